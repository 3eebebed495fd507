/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at everything, and at what seems wrong again.
 */
#include "runtime/repair/audit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <zcp/subscriber.h>

#include "pubsub/util.h"
#include "runtime/repair/census.h"

/* Looks at what seems wrong, before it is said to be. */
#define LOOKS 64

struct audit {
	const struct zcpd_registry *registry;
	struct zcp_audit_report *report;
	/* of the pool that is being looked at */
	struct zcpd_census census;
	/* chunks that are on loan, for each owner number */
	uint32_t *n_loaned;
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

/* What is wrong with a chunk, if anything is: "" where nothing is. */
struct verdict {
	char text[160];
	bool has_leaked;
};

__attribute__((format(printf, 2, 3))) static void condemn(struct verdict *verdict,
							  const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(verdict->text, sizeof(verdict->text), format, arguments);
	va_end(arguments);
}

static void judge_owned(const struct zcp_chunk_shm *chunk, uint32_t state,
			const struct zcpd_owner *owner, struct verdict *verdict)
{
	/* Acquire: `next_seq` is at least as new. */
	uint64_t seq = atomic_load_explicit(&chunk->seq, memory_order_acquire), next_seq;

	if (!owner->topic) {
		condemn(verdict, "is of owner %u, which no publisher slot has",
			zcp_chunk_owner(state));
		verdict->has_leaked = true;
		return;
	}
	if (state & ZCP_CHUNK_LOANED) {
		if (owner->topic->publishers[owner->slot])
			return;
		condemn(verdict, "is on loan to publisher slot %u of topic '%.64s', which is free",
			owner->slot, owner->topic->entry.name);
		verdict->has_leaked = true;
		return;
	}
	/* SEQ-A1 pairs with SEQ-R1 in writer.c. */
	next_seq = atomic_load_explicit(&owner->topic->view.publishers[owner->slot].next_seq,
					memory_order_acquire);
	if ((int64_t)(seq - next_seq) >= 0)
		condemn(verdict,
			"has message %" PRIu64 " of publisher slot %u of topic '%.64s', which "
			"publishes %" PRIu64 " next",
			seq, owner->slot, owner->topic->entry.name, next_seq);
}

static void judge(const struct audit *audit, const struct zcp_chunk_shm *chunk, uint32_t state,
		  struct verdict *verdict)
{
	uint64_t seq;

	*verdict = (struct verdict){ .text = "" };
	if (state == ZCP_CHUNK_FREE) {
		/* Acquire: it stays between the two looks at `state`. */
		seq = atomic_load_explicit(&chunk->seq, memory_order_acquire);
		if (seq != 0)
			condemn(verdict, "is free, and has message %" PRIu64, seq);
	} else if ((state & ZCP_CHUNK_FLAGS & ~ZCP_CHUNK_LOANED) != 0) {
		condemn(verdict, "has flags 0x%x, which no process sets", state & ZCP_CHUNK_FLAGS);
	} else if (zcp_chunk_owner(state) == ZCP_OWNER_RUNTIME) {
		/* It is never looked at while we do that ourselves. */
		condemn(verdict, "was left by a runtime that died while it gave memory back");
		verdict->has_leaked = true;
	} else {
		judge_owned(chunk, state, &audit->census.owners[zcp_chunk_owner(state)], verdict);
	}
}

static void count(struct audit *audit, enum zcpd_reason reason)
{
	struct zcp_audit_report *report = audit->report;
	uint64_t *const counts[ZCPD_N_REASONS] = {
		[ZCPD_REASON_FREE] = &report->n_free,
		[ZCPD_REASON_SPARE] = &report->n_spare,
		[ZCPD_REASON_LOANED] = &report->n_loaned,
		[ZCPD_REASON_HELD] = &report->n_held,
		[ZCPD_REASON_QUEUED] = &report->n_queued,
		[ZCPD_REASON_HISTORY] = &report->n_history,
		[ZCPD_REASON_LEAKED] = &report->n_leaked,
	};

	(*counts[reason])++;
}

/* As it is while it stands still; one that does not is in use. */
static void check_chunk(struct audit *audit, uint32_t class_index, uint32_t index)
{
	const struct zcp_chunk_shm *chunk =
		&audit->census.pool->view.classes[class_index].chunks[index];
	struct verdict verdict = { .text = "" };
	uint32_t state = 0;

	for (int i = 0; i < LOOKS; i++) {
		uint32_t n_claims = atomic_load_explicit(&chunk->n_claims, memory_order_acquire);

		/* Acquire, all, and again behind the rest: CHUNK-A1. */
		state = atomic_load_explicit(&chunk->state, memory_order_acquire);
		judge(audit, chunk, state, &verdict);
		if (verdict.text[0] == '\0')
			break;
		if (atomic_load_explicit(&chunk->state, memory_order_acquire) != state ||
		    atomic_load_explicit(&chunk->n_claims, memory_order_relaxed) != n_claims)
			verdict = (struct verdict){ .text = "" };
	}
	if (verdict.text[0] != '\0')
		find(audit, "pool '%.64s', class %u, chunk %u %s", audit->census.pool->entry.name,
		     class_index, index, verdict.text);
	if (verdict.has_leaked) {
		count(audit, ZCPD_REASON_LEAKED);
		return;
	}
	if (state & ZCP_CHUNK_LOANED)
		audit->n_loaned[zcp_chunk_owner(state)]++;
	count(audit, zcpd_census_reason(&audit->census, chunk));
}

/* --- loans --- */

static uint32_t count_loans(const struct audit *audit, uint32_t owner)
{
	const struct zcp_pool *view = &audit->census.pool->view;
	uint32_t n = 0;

	for (uint32_t c = 0; c < view->n_classes; c++) {
		uint32_t n_touched = zcp_class_n_touched(&view->classes[c]);

		for (uint32_t i = 0; i < n_touched; i++)
			/* Relaxed: counted again if there are too many. */
			n += atomic_load_explicit(&view->classes[c].chunks[i].state,
						  memory_order_relaxed) ==
			     zcp_chunk_state(owner, ZCP_CHUNK_LOANED);
	}
	return n;
}

/* A publisher has no more on loan than it declared; while it goes on they are not all at once. */
static void check_loans(struct audit *audit, const struct zcpd_endpoint *publisher)
{
	uint32_t n = audit->n_loaned[publisher->entry.owner % ZCP_OWNERS], excess;

	for (int i = 0; i < LOOKS && n > publisher->entry.loans; i++) {
		uint32_t now = count_loans(audit, publisher->entry.owner);

		n = now < n ? now : n;
	}
	if (n <= publisher->entry.loans)
		return;
	find(audit,
	     "topic '%.64s', publisher %" PRIu64 " has %u chunks on loan, and %u at most may be",
	     publisher->topic->entry.name, publisher->entry.id, n, publisher->entry.loans);
	excess = n - publisher->entry.loans;
	audit->report->n_leaked += excess;
	audit->report->n_loaned -= excess < audit->report->n_loaned ? excess :
								      audit->report->n_loaned;
}

/* --- what subscribers have --- */

/* A lane as it is being looked at: from one publisher slot to one subscriber. */
struct queue {
	const struct zcpd_endpoint *subscriber;
	struct zcp_lane lane;
	uint32_t publisher;
	uint32_t owner;
	/* where it begins; 0: not settled yet */
	uint64_t base;
	/* its last message is before this one */
	uint64_t end;
};

static void look_at_queue(struct queue *queue, const struct zcpd_endpoint *subscriber,
			  uint32_t publisher)
{
	const struct zcpd_topic *topic = subscriber->topic;

	*queue = (struct queue){
		.subscriber = subscriber,
		.lane = zcp_topic_lane(&topic->view, &topic->acks, publisher,
				       subscriber->entry.slot, subscriber->entry.depth_log2),
		.publisher = publisher,
		.owner = topic->entry.owners[publisher],
	};
	/* Relaxed: not settled yet, 0, means that nothing is certain, and that all is sent. */
	queue->base = atomic_load_explicit(&queue->lane.shm->base, memory_order_relaxed);
	queue->end = atomic_load_explicit(&queue->lane.shm->end, memory_order_relaxed);
	if (queue->end == 0)
		/* SEQ-A1 pairs with SEQ-R1 in writer.c: all before it is pushed. */
		queue->end = atomic_load_explicit(&topic->view.publishers[publisher].next_seq,
						  memory_order_acquire);
}

static uint64_t tail_of(const struct queue *queue)
{
	/* ACK-A1 pairs with ACK-R1 in reader.c: what it took is said to be held. */
	return zcp_lane_bound_tail(
		&queue->lane, atomic_load_explicit(&queue->lane.ack->tail, memory_order_acquire),
		queue->end);
}

/* A message that is queued: it is in its slot, and in a chunk of its publisher's. */
static const char *wrong_slot(const struct audit *audit, const struct queue *queue, uint64_t seq)
{
	/* LANE-A1 pairs with LANE-R1 in zcp_lane_put(). */
	uint64_t word = atomic_load_explicit(&zcp_lane_slot(&queue->lane, seq)->word,
					     memory_order_acquire);
	const struct zcp_chunk_shm *chunk;

	if (!zcp_slot_is(word, seq))
		return "whose place in the queue has another one";
	chunk = zcp_pool_descriptor(&audit->census.pool->view,
				    (uint32_t)(word & ZCP_SLOT_REF_MASK));
	if (!chunk)
		return "which is in a chunk that there is not";
	/* Acquire, both: they stay before the next look at `tail`. */
	if (zcp_chunk_owner(atomic_load_explicit(&chunk->state, memory_order_acquire)) !=
	    queue->owner)
		return "which is in a chunk of another owner";
	if (atomic_load_explicit(&chunk->seq, memory_order_acquire) != seq)
		return "which is in a chunk with another one";
	return NULL;
}

/* One finding is enough for a lane. */
static void check_queue(struct audit *audit, const struct queue *queue)
{
	uint64_t seq = tail_of(queue);

	if (queue->base == 0)
		return;
	if ((int64_t)(queue->base - seq) > 0)
		seq = queue->base;
	for (; (int64_t)(queue->end - seq) > 0; seq++) {
		const char *wrong = wrong_slot(audit, queue, seq);

		/* Taken or pushed out meanwhile: then it is as it should be. */
		for (int i = 0; wrong && i < LOOKS; i++)
			wrong = (int64_t)(tail_of(queue) - seq) > 0 ? NULL :
								      wrong_slot(audit, queue, seq);
		if (!wrong)
			continue;
		find(audit,
		     "topic '%.64s', subscriber %" PRIu64 " is sent message %" PRIu64
		     " of publisher slot %u, %s",
		     queue->subscriber->topic->entry.name, queue->subscriber->entry.id, seq,
		     queue->publisher, wrong);
		return;
	}
}

/* Whether a chunk has message `seq` (as far as ZCP_HELD_SEQ_MASK) of an owner. */
static bool has_message(const struct audit *audit, uint32_t owner, uint64_t seq)
{
	const struct zcp_pool *view = &audit->census.pool->view;

	for (uint32_t c = 0; c < view->n_classes; c++) {
		uint32_t n_touched = zcp_class_n_touched(&view->classes[c]);

		for (uint32_t i = 0; i < n_touched; i++) {
			const struct zcp_chunk_shm *chunk = &view->classes[c].chunks[i];

			/* Acquire, both: they stay before the next look at `held`. */
			if (zcp_chunk_owner(atomic_load_explicit(&chunk->state,
								 memory_order_acquire)) == owner &&
			    (atomic_load_explicit(&chunk->seq, memory_order_acquire) &
			     ZCP_HELD_SEQ_MASK) == seq)
				return true;
		}
	}
	return false;
}

/*
 * A subscriber says that it holds a message before it takes it, and may find then that the
 * publisher has pushed it out: until it takes that back it holds nothing. It takes one at a time.
 * Whether message `seq` can be such a one: it came out of the history, or the publisher is a
 * whole queue further on.
 */
static bool may_be_lost(const struct queue *queue, uint64_t seq)
{
	if (queue->base == 0 || (int64_t)(queue->base - seq) > 0)
		return true;
	return queue->subscriber->entry.on_full != ZCP_ON_FULL_BLOCK &&
	       (int64_t)(queue->end - seq) > (int64_t)queue->lane.mask;
}

/* Whether no chunk has what a place of `held` names, while that stands still. */
static bool is_missing(const struct audit *audit, uint32_t owner, const _Atomic uint64_t *place,
		       uint64_t word)
{
	for (int i = 0; i < LOOKS; i++) {
		if (has_message(audit, owner, word & ZCP_HELD_SEQ_MASK))
			return false;
		/* HELD-A1 pairs with HELD-R1, R2 and R3 in reader.c. */
		if (atomic_load_explicit(place, memory_order_acquire) != word)
			return false;
	}
	return true;
}

/* One finding is enough for a subscriber. */
static void check_held(struct audit *audit, const struct zcpd_endpoint *subscriber)
{
	const struct zcpd_topic *topic = subscriber->topic;
	const _Atomic uint64_t *held = zcp_acks_held(&topic->acks, subscriber->entry.slot);
	/* Relaxed: a place that it does not count yet is not older than the look. */
	uint32_t n = atomic_load_explicit(
		&zcp_acks_counts(&topic->acks, subscriber->entry.slot)->n_held,
		memory_order_relaxed);
	bool has_lost = false;

	n = n < subscriber->entry.held ? n : subscriber->entry.held;
	for (uint32_t i = 0; i < n && i < ZCP_HELD_MAX; i++) {
		/* HELD-A1. */
		uint64_t word = atomic_load_explicit(&held[i], memory_order_acquire);
		uint32_t publisher = (uint32_t)(word >> ZCP_HELD_SLOT_SHIFT), owner = 0;
		uint64_t seq = word & ZCP_HELD_SEQ_MASK;

		if (publisher < topic->view.geometry.max_publishers)
			owner = topic->entry.owners[publisher];
		if (word == 0 || (owner != 0 && !is_missing(audit, owner, &held[i], word)))
			continue;
		if (owner != 0 && !has_lost) {
			struct queue queue;

			look_at_queue(&queue, subscriber, publisher);
			has_lost = may_be_lost(&queue, seq);
			if (has_lost)
				continue;
		}
		find(audit,
		     "topic '%.64s', subscriber %" PRIu64 " holds message %" PRIu64
		     " of publisher slot %u, which is in no chunk",
		     topic->entry.name, subscriber->entry.id, seq, publisher);
		return;
	}
}

static void check_subscriber(struct audit *audit, const struct zcpd_endpoint *subscriber)
{
	const struct zcpd_topic *topic = subscriber->topic;

	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++) {
		struct queue queue;

		if (topic->entry.owners[p] == 0)
			continue;
		look_at_queue(&queue, subscriber, p);
		check_queue(audit, &queue);
	}
	check_held(audit, subscriber);
}

/* --- members --- */

static void check_publisher_slot(struct audit *audit, const struct zcpd_topic *topic, uint32_t p)
{
	/* Relaxed, all here: only the runtime changes them, which is us. */
	bool shown = atomic_load_explicit(&topic->view.shm->publishers, memory_order_relaxed) >> p &
		     1;

	if (shown != (topic->publishers[p] != NULL))
		find(audit, "topic '%.64s' shows publisher slot %u as %s", topic->entry.name, p,
		     shown ? "taken, and it is free" : "free, and it is taken");
	if (p >= topic->view.geometry.max_publishers)
		return;
	if (topic->publishers[p])
		check_loans(audit, topic->publishers[p]);
	else if (atomic_load_explicit(&topic->view.publishers[p].op, memory_order_relaxed) % 2 != 0)
		find(audit, "topic '%.64s': publisher slot %u is inside a publish, and free",
		     topic->entry.name, p);
}

static bool has_bit(const _Atomic uint64_t *words, uint32_t bit)
{
	/* Relaxed: only the runtime changes them, which is us. */
	return atomic_load_explicit(&words[bit / 64], memory_order_relaxed) >> (bit % 64) & 1;
}

static void check_subscriber_slot(struct audit *audit, const struct zcpd_topic *topic, uint32_t s)
{
	const struct zcpd_endpoint *subscriber = topic->subscribers[s];
	bool is_active = subscriber && (subscriber->entry.state == ZCPD_ENDPOINT_OPEN ||
					subscriber->entry.state == ZCPD_ENDPOINT_JOINING);
	bool is_present = is_active ||
			  (subscriber && subscriber->entry.state == ZCPD_ENDPOINT_INACTIVE);

	if (has_bit(topic->view.shm->active, s) != is_active)
		find(audit, "topic '%.64s' shows subscriber slot %u as %s", topic->entry.name, s,
		     is_active ? "inactive, and it is not" : "active, and it is not");
	if (has_bit(topic->view.shm->present, s) != is_present)
		find(audit, "topic '%.64s' shows subscriber slot %u as %s", topic->entry.name, s,
		     is_present ? "absent, and it is not" : "present, and it is not");
	if (is_present)
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

/* No number is two slots'. */
static void check_owners(struct audit *audit, const struct zcpd_topic *topic)
{
	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++) {
		uint32_t number = topic->entry.owners[p];
		const struct zcpd_owner *owner;

		if (number == 0)
			continue;
		owner = number < ZCP_OWNER_RUNTIME ? &audit->census.owners[number] : NULL;
		if (!owner || owner->topic != topic || owner->slot != p)
			find(audit, "topic '%.64s': publisher slot %u has owner number %u, %s",
			     topic->entry.name, p, number,
			     owner ? "which another slot has too" : "which no publisher is given");
	}
}

static int check_pool(struct audit *audit, const struct zcpd_pool *pool)
{
	const struct zcpd_topic *topic;

	if (zcpd_census_init(&audit->census, audit->registry, pool) < 0)
		return -ENOMEM;
	memset(audit->n_loaned, 0, ZCP_OWNERS * sizeof(audit->n_loaned[0]));
	for (uint32_t c = 0; c < pool->view.n_classes; c++) {
		const struct zcp_class *class = &pool->view.classes[c];
		uint32_t n_touched = zcp_class_n_touched(class);

		audit->report->n_chunks += class->n_chunks;
		audit->report->n_free += class->n_chunks - n_touched;
		for (uint32_t i = 0; i < n_touched; i++)
			check_chunk(audit, c, i);
	}
	LIST_FOREACH(topic, &audit->registry->topics, link) {
		if (topic->pool != pool)
			continue;
		check_owners(audit, topic);
		check_topic(audit, topic);
	}
	audit->report->n_pools++;
	zcpd_census_deinit(&audit->census);
	return 0;
}

static int check_pools(struct audit *audit)
{
	const struct zcpd_topic *topic;
	const struct zcpd_pool *pool;
	int r = 0;

	LIST_FOREACH(pool, &audit->registry->pools, link)
		r = r < 0 ? r : check_pool(audit, pool);
	LIST_FOREACH(topic, &audit->registry->topics, link)
		if (topic->pool->entry.automatic)
			r = r < 0 ? r : check_pool(audit, topic->pool);
	return r;
}

int zcpd_audit(const struct zcpd_registry *registry, struct zcp_message *reply, char *text,
	       size_t text_size)
{
	struct zcp_audit_report *report = &reply->u.audit_report;
	ZCP_CLEANUP(zcp_free_memory) uint32_t *n_loaned = calloc(ZCP_OWNERS, sizeof(*n_loaned));
	struct audit audit = { .registry = registry, .report = report, .n_loaned = n_loaned };

	reply->type = ZCP_MESSAGE_AUDIT_REPORT;
	report->findings = calloc(ZCP_FINDINGS_MAX, sizeof(report->findings[0]));
	if (report->findings && n_loaned && check_pools(&audit) == 0)
		return 0;
	zcp_message_deinit(reply);
	(void)snprintf(text, text_size, "the runtime is out of memory");
	return -ENOMEM;
}
