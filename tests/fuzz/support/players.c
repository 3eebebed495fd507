/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is common to publishers and subscribers: what the runtime tells them, how they end, and
 * what must hold of all of them.
 */
#include "tests/fuzz/support/players.h"

#include <setjmp.h>

#include "pubsub/shm/stake.h"
#include "pubsub/util.h"
#include "runtime/repair/history.h"
#include "runtime/repair/reclaim.h"
#include "runtime/repair/sweep.h"
#include "tests/fuzz/support/guard.h"
#include "tests/fuzz/support/lies.h"
#include "tests/support/check.h"

/* Where the process of whoever does something ends, if it does. */
static jmp_buf end_of_process;
static int64_t dies_after = -1;

static void die(void *user)
{
	(void)user;
	longjmp(end_of_process, 1);
}

void zcp_fuzz_die(uint32_t after)
{
	dies_after = after;
}

bool zcp_fuzz_survives(void (*act)(void *user), void *user,
		       void (*look)(const void *at, uint64_t size))
{
	static bool survived;

	survived = false;
	if (setjmp(end_of_process) == 0) {
		if (dies_after >= 0)
			zcp_fuzz_at_access((uint32_t)dies_after, die, NULL);
		zcp_fuzz_watch_stores(look);
		act(user);
		survived = true;
	}
	zcp_fuzz_watch_stores(NULL);
	dies_after = -1;
	zcp_fuzz_forget_accesses(die);
	return survived;
}

/* --- what the runtime says --- */

/* Chunks of an owner that are as only a publisher leaves them which is there. */
static uint32_t n_unsettled(const struct zcpd_pool *pool, uint32_t owner)
{
	uint32_t n = 0;

	for (uint32_t c = 0; c < pool->view.n_classes; c++) {
		const struct zcp_class *class = &pool->view.classes[c];

		for (uint32_t i = 0; i < zcp_class_n_touched(class); i++) {
			uint32_t state = zcp_test_load(&class->chunks[i].state);

			n += state != ZCP_CHUNK_FREE && zcp_chunk_owner(state) == owner &&
			     ((state & ZCP_CHUNK_LOANED) ||
			      zcp_test_load(&class->chunks[i].seq) == 0);
		}
	}
	return n;
}

/* Chunks whose message a subscriber uses. */
static uint32_t n_used_by(const struct zcpd_endpoint *subscriber)
{
	const struct zcpd_topic *topic = subscriber->topic;
	const struct zcp_pool *pool = &topic->pool->view;
	uint32_t n = 0;

	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++) {
		uint64_t next_seq = zcp_test_load(&topic->view.publishers[p].next_seq), end;
		struct zcp_stake stake;

		zcp_stake_init(&stake, &topic->view, &topic->acks, p, subscriber->entry.slot);
		end = zcp_test_load(&stake.lane.shm->end);
		for (uint32_t c = 0; c < pool->n_classes; c++)
			for (uint32_t i = 0; i < zcp_class_n_touched(&pool->classes[c]); i++) {
				const struct zcp_chunk_shm *chunk = &pool->classes[c].chunks[i];
				uint64_t seq = zcp_test_load(&chunk->seq);

				n += seq != 0 &&
				     zcp_test_load(&chunk->state) ==
					     zcp_chunk_state(topic->entry.owners[p], 0) &&
				     zcp_stake_use(&stake, end ? end : next_seq, seq);
			}
	}
	return n;
}

static bool is_member(const _Atomic uint64_t *words, uint32_t slot)
{
	return zcp_test_load(&words[slot / 64]) >> (slot % 64) & 1;
}

static uint64_t n_lies_before;

void zcp_fuzz_players_begin(void)
{
	n_lies_before = zcp_fuzz_n_lies();
}

/* Of whoever is gone nothing is left, whatever the memory said. */
static void on_closed(struct zcpd_endpoint *endpoint, void *user)
{
	struct zcp_fuzz_players *players = user;
	const struct zcpd_topic *topic = endpoint->topic;

	for (int i = 0; i < ZCP_FUZZ_PUBLISHERS; i++)
		if (players->publishers[i].endpoint == endpoint)
			players->publishers[i].endpoint = NULL;
	for (int i = 0; i < ZCP_FUZZ_SUBSCRIBERS; i++)
		if (players->subscribers[i].endpoint == endpoint)
			players->subscribers[i].endpoint = NULL;
	/* Unless somebody wrote while it was cleared away. */
	if (zcp_fuzz_n_lies() != n_lies_before)
		return;
	if (endpoint->entry.is_publisher) {
		ZCP_CHECK(n_unsettled(topic->pool, endpoint->entry.owner) == 0);
		ZCP_CHECK(zcp_test_load(&topic->view.publishers[endpoint->entry.slot].op) % 2 == 0);
		ZCP_CHECK(topic->config.keep_history || topic->kept[endpoint->entry.slot] == 0);
	} else {
		ZCP_CHECK(!is_member(topic->view.shm->active, endpoint->entry.slot));
		ZCP_CHECK(!is_member(topic->view.shm->present, endpoint->entry.slot));
	}
}

static void on_joined(struct zcpd_endpoint *endpoint, void *user)
{
	/* What it was given to know us by; nobody looks into it. */
	struct zcp_fuzz_subscriber *subscriber = (void *)endpoint->session;

	(void)user;
	subscriber->is_joined = true;
}

static void on_refused(struct zcpd_endpoint *endpoint, int error, void *user)
{
	(void)endpoint;
	(void)user;
	/* There is memory enough. */
	ZCP_CHECK(error == 0);
}

static void on_wakes(struct zcpd_endpoint *publisher, const struct zcpd_endpoint *subscriber,
		     void *user)
{
	(void)publisher;
	(void)subscriber;
	(void)user;
}

static void on_grown(struct zcpd_endpoint *endpoint, uint32_t first, void *user)
{
	(void)endpoint;
	(void)first;
	(void)user;
}

void zcp_fuzz_players_init(struct zcp_fuzz_players *players)
{
	const struct zcpd_registry_events events = {
		.joined = on_joined,
		.refused = on_refused,
		.closed = on_closed,
		.wakes = on_wakes,
		.grown = on_grown,
		.user = players,
	};

	zcp_fuzz_bed_init(&players->bed, &events);
}

uint32_t zcp_fuzz_topic_of(const struct zcp_fuzz_players *players,
			   const struct zcpd_endpoint *endpoint)
{
	return endpoint->topic == players->bed.topics[1];
}

bool zcp_fuzz_is_subscriber_lied_to(const struct zcp_fuzz_players *players,
				    const struct zcp_fuzz_subscriber *subscriber)
{
	return zcp_fuzz_is_lied_to(zcp_fuzz_topic_of(players, subscriber->endpoint),
				   subscriber->endpoint->entry.slot);
}

void zcp_fuzz_import(const struct zcp_fuzz_players *players, const struct zcpd_endpoint *subscriber,
		     struct zcp_backlog *backlog)
{
	struct zcp_backlog promised = { .n_entries = 0 };
	const char *why;
	int fd = -1;

	if (subscriber->entry.history > 0) {
		ZCP_CHECK(zcpd_history_backlog(subscriber->topic, subscriber, &promised) == 0);
		ZCP_CHECK(zcp_backlog_export(&promised, players->bed.registry.domain_id, &fd) == 0);
		ZCP_CHECK(zcp_backlog_import(backlog, fd, players->bed.registry.domain_id, &why) ==
			  0);
		ZCP_CHECK(backlog->n_entries == promised.n_entries);
		zcp_backlog_deinit(&promised);
		zcp_close_fd(&fd);
	}
	ZCP_CHECK(backlog->n_entries <=
		  subscriber->topic->view.geometry.max_publishers * subscriber->entry.history);
	zcp_fuzz_lie_in_backlog(backlog);
}

void zcp_fuzz_players_check(const struct zcp_fuzz_players *players)
{
	for (int i = 0; i < ZCP_FUZZ_SUBSCRIBERS; i++) {
		const struct zcp_fuzz_subscriber *subscriber = &players->subscribers[i];
		const struct zcp_reader *reader = &subscriber->reader;

		if (!subscriber->has_reader || zcp_fuzz_is_subscriber_lied_to(players, subscriber))
			continue;
		ZCP_CHECK(n_used_by(subscriber->endpoint) ==
			  zcpd_topic_n_queued(subscriber->endpoint) + subscriber->n_held +
				  reader->backlog.n_entries - reader->next_backlog);
	}
}

/*
 * When nobody is there any more, and what publishers have left is swept: a chunk is FREE and has no
 * message, or is history that topic 1 keeps.
 */
static void check_all_free(const struct zcp_fuzz_bed *bed)
{
	const struct zcpd_topic *keeps = bed->topics[1];
	uint32_t n_kept = 0;

	for (int i = 0; i < ZCP_FUZZ_TOPICS; i++)
		ZCP_IGNORE(zcpd_topic_sweep(bed->topics[i], false));
	for (uint32_t p = 0; p < keeps->view.geometry.max_publishers; p++)
		n_kept += keeps->kept[p];
	for (uint32_t c = 0; c < bed->pool->view.n_classes; c++)
		for (uint32_t i = 0; i < bed->pool->view.classes[c].n_chunks; i++) {
			const struct zcp_chunk_shm *chunk = &bed->pool->view.classes[c].chunks[i];
			uint32_t state = zcp_test_load(&chunk->state);

			ZCP_CHECK((state == ZCP_CHUNK_FREE) == (zcp_test_load(&chunk->seq) == 0));
			ZCP_CHECK((state & ZCP_CHUNK_FLAGS) == 0);
			n_kept -= state != ZCP_CHUNK_FREE;
		}
	ZCP_CHECK(n_kept == 0);
}

void zcp_fuzz_players_reset(struct zcp_fuzz_players *players)
{
	zcp_fuzz_forget_accesses(NULL);
	zcp_fuzz_players_begin();
	for (int i = 0; i < ZCP_FUZZ_SUBSCRIBERS; i++)
		zcp_fuzz_subscriber_end(players, &players->subscribers[i]);
	for (int i = 0; i < ZCP_FUZZ_PUBLISHERS; i++)
		zcp_fuzz_publisher_end(players, &players->publishers[i]);
	/* Nobody is inside a publish any more, whatever is said. */
	for (int i = 0; i < ZCP_FUZZ_TOPICS; i++)
		zcp_test_store(&players->bed.keeper.topics[i].publishers[0].op, 0);
	ZCP_CHECK(!zcpd_registry_poll(&players->bed.registry));
	if (zcp_fuzz_n_others_lies() == 0)
		check_all_free(&players->bed);
	zcp_fuzz_bed_reset(&players->bed);
}
