/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is common to publishers and subscribers: what the runtime tells them, how they end, and
 * what must hold of all of them.
 */
#include "tests/fuzz/support/players.h"

#include <setjmp.h>

#include "pubsub/util.h"
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

bool zcp_fuzz_survives(void (*act)(void *user), void *user)
{
	static bool survived;

	survived = false;
	if (setjmp(end_of_process) == 0) {
		if (dies_after >= 0)
			zcp_fuzz_at_access((uint32_t)dies_after, die, NULL);
		act(user);
		survived = true;
	}
	dies_after = -1;
	zcp_fuzz_forget_accesses(die);
	return survived;
}

/* --- what the runtime says --- */

static bool names_owner(const struct zcpd_pool *pool, uint32_t owner)
{
	for (uint32_t c = 0; c < pool->view.n_classes; c++)
		for (uint32_t i = 0; i < pool->view.classes[c].n_chunks; i++)
			if (zcp_state_owner(
				    zcp_test_load(&pool->view.classes[c].chunks[i].state)) == owner)
				return true;
	return false;
}

static uint32_t n_held_by(const struct zcpd_pool *pool, uint32_t holder)
{
	uint32_t n = 0;

	for (uint32_t c = 0; c < pool->view.n_classes; c++)
		for (uint32_t i = 0; i < pool->view.classes[c].n_chunks; i++)
			n += zcp_chunk_has_holder(&pool->view.classes[c].chunks[i], holder);
	return n;
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
	if (endpoint->is_publisher) {
		ZCP_CHECK(!names_owner(topic->pool, endpoint->owner));
		ZCP_CHECK(zcp_test_load(&topic->view.publishers[endpoint->slot].op) % 2 == 0);
		ZCP_CHECK(topic->config.keep_history || topic->kept[endpoint->slot] == 0);
	} else {
		ZCP_CHECK(n_held_by(topic->pool, endpoint->holder) == 0);
		ZCP_CHECK(zcpd_topic_n_queued(endpoint) == 0);
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

void zcp_fuzz_import(const struct zcp_fuzz_players *players, struct zcpd_endpoint *endpoint,
		     uint32_t n_slots, struct zcp_backlog *backlog)
{
	const char *why;

	if (endpoint->backlog_fd >= 0)
		ZCP_CHECK(zcp_backlog_import(backlog, endpoint->backlog_fd,
					     players->bed.registry.domain_id, &why) == 0);
	zcp_close_fd(&endpoint->backlog_fd);
	ZCP_CHECK(backlog->n_entries <= n_slots * endpoint->history);
	zcp_fuzz_lie_in_backlog(backlog);
}

void zcp_fuzz_players_check(const struct zcp_fuzz_players *players)
{
	for (int i = 0; i < ZCP_FUZZ_SUBSCRIBERS && zcp_fuzz_n_lies() == 0; i++) {
		const struct zcp_fuzz_subscriber *subscriber = &players->subscribers[i];
		const struct zcp_reader *reader = &subscriber->reader;

		/* What is in a class that it has not mapped is lost to it, and stays its. */
		if (!subscriber->has_reader || subscriber->is_partial)
			continue;
		ZCP_CHECK(n_held_by(players->bed.pool, subscriber->endpoint->holder) ==
			  zcpd_topic_n_queued(subscriber->endpoint) + subscriber->n_held +
				  reader->has_candidate + reader->backlog.n_entries -
				  reader->next_backlog);
	}
}

/* When nobody is there any more: a chunk is free, or history that topic 1 keeps. */
static void check_all_free(const struct zcp_fuzz_bed *bed)
{
	const struct zcpd_topic *keeps = bed->topics[1];
	uint32_t n_kept = 0;

	for (uint32_t p = 0; p < keeps->view.geometry.max_publishers; p++)
		n_kept += keeps->kept[p];
	for (uint32_t c = 0; c < bed->pool->view.n_classes; c++)
		for (uint32_t i = 0; i < bed->pool->view.classes[c].n_chunks; i++) {
			const struct zcp_chunk_shm *chunk = &bed->pool->view.classes[c].chunks[i];
			uint64_t flags = zcp_test_load(&chunk->state) & ZCP_CHUNK_FLAGS;

			ZCP_CHECK(!zcp_chunk_has_holders(chunk));
			ZCP_CHECK(flags == 0 || flags == ZCP_CHUNK_RETAINED);
			n_kept -= flags == ZCP_CHUNK_RETAINED;
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
	if (zcp_fuzz_n_lies() == 0)
		check_all_free(&players->bed);
	zcp_fuzz_bed_reset(&players->bed);
}
