/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at everything, and at what seems wrong again.
 */
#include "runtime/audit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pubsub/util.h"

/* Looks at what seems wrong, before it is said to be. */
#define LOOKS 64

/* Whose number it is that stands in descriptors as their owner. */
struct owner {
	const struct zcpd_topic *topic;
	uint32_t slot;
	bool is_former;
};

struct audit {
	const struct zcpd_registry *registry;
	struct zcp_audit_report *report;
	/* of the pool that is being looked at */
	const struct zcpd_pool *pool;
	struct owner *owners;
	const struct zcpd_endpoint *holders[ZCP_HOLDERS_MAX];
};

__attribute__((format(printf, 2, 3))) static void find(struct audit *audit, const char *format, ...)
{
	struct zcp_audit_report *report = audit->report;
	va_list arguments;

	report->n_wrong++;
	if (report->n_findings == ZCP_FINDINGS_MAX)
		return;
	va_start(arguments, format);
	(void)vsnprintf(report->findings[report->n_findings++].text,
			sizeof(report->findings[0].text), format, arguments);
	va_end(arguments);
}

/* --- chunks --- */

/* What a chunk is used for, or what is wrong with it. */
struct verdict {
	enum { FREE, LOANED, HELD, RETAINED, WRONG } use;
	char text[160];
};

__attribute__((format(printf, 2, 3))) static void condemn(struct verdict *verdict,
							  const char *format, ...)
{
	va_list arguments;

	verdict->use = WRONG;
	va_start(arguments, format);
	(void)vsnprintf(verdict->text, sizeof(verdict->text), format, arguments);
	va_end(arguments);
}

static const struct zcpd_endpoint *publisher_of(const struct owner *owner)
{
	return owner->topic && !owner->is_former ? owner->topic->publishers[owner->slot] : NULL;
}

static void check_retained(const struct owner *owner, uint64_t seq, struct verdict *verdict)
{
	const struct zcpd_endpoint *publisher;
	uint64_t next_seq, history;

	if (!owner->topic) {
		condemn(verdict, "is history of nobody");
		return;
	}
	publisher = owner->topic->publishers[owner->slot];
	history = publisher ? publisher->history : owner->topic->kept[owner->slot];
	/* Acquire: as new as the chunk. */
	next_seq = atomic_load_explicit(&owner->topic->view.publishers[owner->slot].next_seq,
					memory_order_acquire);
	/* One more, between step 7 and the one after it. */
	if (seq >= next_seq || next_seq - seq > history + (publisher != NULL))
		condemn(verdict,
			"is history with number %" PRIu64 ", and its publisher keeps the last "
			"%" PRIu64 " before %" PRIu64,
			seq, history, next_seq);
	else
		verdict->use = RETAINED;
}

static void check_holders(const struct audit *audit, const struct owner *owner,
			  const uint64_t *bits, struct verdict *verdict)
{
	for (uint32_t h = 0; h < ZCP_HOLDERS_MAX; h++) {
		const struct zcpd_endpoint *holder = audit->holders[h];

		if (!(bits[h / 64] >> (h % 64) & 1))
			continue;
		if (!holder)
			condemn(verdict, "has holder %u, who is gone", h);
		else if (holder->topic != owner->topic)
			condemn(verdict, "has a holder of topic '%.64s', which it is not of",
				holder->topic->name);
		else if (verdict->use == FREE)
			verdict->use = HELD;
	}
}

static void judge(const struct audit *audit, const struct zcp_chunk_shm *chunk, uint64_t state,
		  struct verdict *verdict)
{
	uint32_t number = zcp_state_owner(state);
	const struct owner *owner = &audit->owners[number];
	/* Acquire, all: they stay between the two looks at `state`. */
	uint64_t seq = atomic_load_explicit(&chunk->seq, memory_order_acquire);
	uint64_t bits[ZCP_HOLDER_WORDS];

	verdict->use = FREE;
	for (int w = 0; w < ZCP_HOLDER_WORDS; w++)
		bits[w] = atomic_load_explicit(&chunk->holders[w], memory_order_acquire);
	switch (state & ZCP_CHUNK_FLAGS) {
	case 0:
		if (owner->topic && !owner->is_former && !publisher_of(owner))
			condemn(verdict, "is of owner %u, who is gone", number);
		break;
	case ZCP_CHUNK_LOANED:
		verdict->use = LOANED;
		if (!publisher_of(owner))
			condemn(verdict, "is loaned by owner %u, who is gone", number);
		break;
	case ZCP_CHUNK_RETAINED:
		check_retained(owner, seq, verdict);
		break;
	default:
		condemn(verdict, "has flags 0x%x, which nobody sets",
			(unsigned int)(state & ZCP_CHUNK_FLAGS));
	}
	check_holders(audit, owner, bits, verdict);
}

/* As it is while it stands still; one that does not is in use. */
static void check_chunk(struct audit *audit, uint32_t class_index, uint32_t index)
{
	const struct zcp_chunk_shm *chunk = &audit->pool->view.classes[class_index].chunks[index];
	struct zcp_audit_report *report = audit->report;
	struct verdict verdict = { .use = LOANED };

	for (int i = 0; i < LOOKS; i++) {
		/* Acquire, and again behind the rest: CHUNK-A1. */
		uint64_t state = atomic_load_explicit(&chunk->state, memory_order_acquire);

		judge(audit, chunk, state, &verdict);
		if (verdict.use != WRONG)
			break;
		if (atomic_load_explicit(&chunk->state, memory_order_relaxed) != state)
			verdict.use = LOANED;
	}
	switch (verdict.use) {
	case FREE:
		report->n_free++;
		break;
	case LOANED:
		report->n_loaned++;
		break;
	case HELD:
		report->n_held++;
		break;
	case RETAINED:
		report->n_retained++;
		break;
	case WRONG:
		find(audit, "pool '%.64s', class %u, chunk %u %s", audit->pool->name, class_index,
		     index, verdict.text);
	}
}

/* --- lanes --- */

/* A message that is queued: its chunk is there, is held for the subscriber, and is its. */
static const char *wrong_slot(const struct audit *audit, const struct zcpd_endpoint *subscriber,
			      uint64_t word)
{
	const struct zcp_chunk_shm *chunk = zcpd_pool_descriptor(audit->pool, zcp_slot_ref(word));

	if (!chunk)
		return "which there is not";
	if (!(atomic_load_explicit(&chunk->holders[subscriber->holder / 64],
				   memory_order_acquire) >>
		      (subscriber->holder % 64) &
	      1))
		return "which is not held for it";
	if ((uint32_t)atomic_load_explicit(&chunk->seq, memory_order_acquire) != zcp_slot_seq(word))
		return "which has another number";
	return NULL;
}

static void check_lane(struct audit *audit, const struct zcpd_endpoint *subscriber,
		       uint32_t publisher)
{
	struct zcp_lane lane = zcpd_topic_lane(subscriber->topic, publisher, subscriber);

	for (uint32_t i = 0; i <= lane.mask; i++) {
		/* LANE-A1. */
		uint64_t word = atomic_load_explicit(&lane.slots[i].word, memory_order_acquire);
		const char *wrong;

		if (!(word & ZCP_SLOT_LIVE))
			continue;
		wrong = wrong_slot(audit, subscriber, word);
		/* Taken or pushed out meanwhile: then it is as it should be. */
		if (wrong &&
		    atomic_load_explicit(&lane.slots[i].word, memory_order_relaxed) == word)
			find(audit,
			     "topic '%.64s', subscriber %" PRIu64 ": message %u is in class %u, "
			     "chunk %u, %s",
			     subscriber->topic->name, subscriber->id, zcp_slot_seq(word),
			     zcp_ref_class(zcp_slot_ref(word)), zcp_ref_index(zcp_slot_ref(word)),
			     wrong);
	}
}

static uint64_t n_bits(const struct audit *audit, uint32_t holder)
{
	uint64_t n = 0;

	for (uint32_t c = 0; c < audit->pool->view.n_classes; c++) {
		uint32_t n_touched = zcpd_pool_n_touched(audit->pool, c);

		for (uint32_t i = 0; i < n_touched; i++)
			n += zcp_chunk_has_holder(&audit->pool->view.classes[c].chunks[i], holder);
	}
	return n;
}

/* What is held and not queued is held by the subscriber, which has declared how much. */
static void check_subscriber(struct audit *audit, const struct zcpd_endpoint *subscriber)
{
	uint64_t most = (uint64_t)subscriber->held + subscriber->backlog, held = 0;

	/* One whose publishers may still be sending to it is swept when they are not. */
	if (subscriber->state == ZCPD_ENDPOINT_LEAVING)
		return;
	for (uint32_t p = 0; p < subscriber->topic->view.geometry.max_publishers; p++)
		check_lane(audit, subscriber, p);
	for (int i = 0; i < LOOKS; i++) {
		uint64_t queued = zcpd_topic_n_queued(subscriber), bits, after;

		bits = n_bits(audit, subscriber->holder);
		after = zcpd_topic_n_queued(subscriber);
		if (queued < after)
			queued = after;
		held = bits > queued ? bits - queued : 0;
		if (held <= most)
			return;
	}
	find(audit,
	     "topic '%.64s', subscriber %" PRIu64 " has %" PRIu64 " chunks that are not queued, "
	     "and %" PRIu64 " at most may be",
	     subscriber->topic->name, subscriber->id, held, most);
}

/* --- members --- */

static void check_publisher_slot(struct audit *audit, const struct zcpd_topic *topic, uint32_t p)
{
	/* Relaxed, all here: only the runtime changes them, which is us. */
	bool shown = atomic_load_explicit(&topic->view.shm->publishers, memory_order_relaxed) >> p &
		     1;

	if (shown != (topic->publishers[p] != NULL))
		find(audit, "topic '%.64s' shows publisher slot %u as %s", topic->name, p,
		     shown ? "taken, and it is free" : "free, and it is taken");
	if (p < topic->view.geometry.max_publishers && !topic->publishers[p] &&
	    atomic_load_explicit(&topic->view.publishers[p].op, memory_order_relaxed) % 2 != 0)
		find(audit, "topic '%.64s': publisher slot %u is inside a publish, and free",
		     topic->name, p);
}

static void check_subscriber_slot(struct audit *audit, const struct zcpd_topic *topic, uint32_t s)
{
	const struct zcpd_endpoint *subscriber = topic->subscribers[s];
	bool shown = atomic_load_explicit(&topic->view.shm->active[s / 64], memory_order_relaxed) >>
			     (s % 64) &
		     1;
	bool is_active = subscriber && (subscriber->state == ZCPD_ENDPOINT_OPEN ||
					subscriber->state == ZCPD_ENDPOINT_JOINING);

	if (shown != is_active)
		find(audit, "topic '%.64s' shows subscriber slot %u as %s", topic->name, s,
		     shown ? "active, and it is not" : "inactive, and it is not");
	if (subscriber)
		check_subscriber(audit, subscriber);
}

static void check_topic(struct audit *audit, const struct zcpd_topic *topic)
{
	for (uint32_t p = 0; p < ZCP_TOPIC_PUBLISHERS_MAX; p++)
		check_publisher_slot(audit, topic, p);
	for (uint32_t s = 0; s < ZCP_TOPIC_SUBSCRIBERS_MAX; s++)
		check_subscriber_slot(audit, topic, s);
	audit->report->n_topics++;
}

/* Who has which number in the pool. */
static void note_numbers(struct audit *audit, const struct zcpd_topic *topic)
{
	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++) {
		audit->owners[topic->owners[p]] = (struct owner){ topic, p, false };
		audit->owners[topic->formers[p]] = (struct owner){ topic, p, true };
	}
	for (uint32_t s = 0; s < topic->view.geometry.max_subscribers; s++)
		if (topic->subscribers[s])
			audit->holders[topic->subscribers[s]->holder] = topic->subscribers[s];
	/* Nobody has this one. */
	audit->owners[0] = (struct owner){ NULL, 0, false };
}

static void check_pool(struct audit *audit, const struct zcpd_pool *pool)
{
	const struct zcpd_topic *topic;

	audit->pool = pool;
	memset(audit->owners, 0, ZCPD_OWNERS * sizeof(audit->owners[0]));
	memset(audit->holders, 0, sizeof(audit->holders));
	LIST_FOREACH(topic, &audit->registry->topics, link)
		if (topic->pool == pool)
			note_numbers(audit, topic);
	for (uint32_t h = 0; h < ZCP_HOLDERS_MAX; h++)
		if ((pool->holders[h / 64] >> (h % 64) & 1) != (audit->holders[h] != NULL))
			find(audit, "pool '%.64s': holder %u is %s", pool->name, h,
			     audit->holders[h] ? "used, and not given" : "given, and not used");
	for (uint32_t c = 0; c < pool->view.n_classes; c++) {
		uint32_t n_touched = zcpd_pool_n_touched(pool, c);

		audit->report->n_chunks += pool->view.classes[c].n_chunks;
		audit->report->n_free += pool->view.classes[c].n_chunks - n_touched;
		for (uint32_t i = 0; i < n_touched; i++)
			check_chunk(audit, c, i);
	}
	LIST_FOREACH(topic, &audit->registry->topics, link)
		if (topic->pool == pool)
			check_topic(audit, topic);
	audit->report->n_pools++;
}

int zcpd_audit(const struct zcpd_registry *registry, struct zcp_message *reply, char *text,
	       size_t text_size)
{
	struct zcp_audit_report *report = &reply->u.audit_report;
	struct audit audit = { .registry = registry, .report = report };
	const struct zcpd_topic *topic;
	const struct zcpd_pool *pool;

	reply->type = ZCP_MESSAGE_AUDIT_REPORT;
	report->findings = calloc(ZCP_FINDINGS_MAX, sizeof(report->findings[0]));
	audit.owners = calloc(ZCPD_OWNERS, sizeof(audit.owners[0]));
	if (!report->findings || !audit.owners) {
		free(audit.owners);
		zcp_message_deinit(reply);
		(void)snprintf(text, text_size, "the runtime is out of memory");
		return -ENOMEM;
	}
	LIST_FOREACH(pool, &registry->pools, link)
		check_pool(&audit, pool);
	LIST_FOREACH(topic, &registry->topics, link)
		if (topic->pool->automatic)
			check_pool(&audit, topic->pool);
	free(audit.owners);
	return 0;
}
