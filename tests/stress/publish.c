/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishers and subscribers as threads of one process, so that the race detector sees
 * them: 1 to 8, 8 to 1, 4 to 4; with overflow, and with publishers that wait instead; while
 * one more subscriber joins and leaves all the time. Before that, a publish and a leave
 * that begin at the same moment.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/support/check.h"
#include "tests/support/testbed.h"
#include "tests/support/traffic.h"

#define N_MAX 8

struct stress {
	struct zcp_testbed bed;
	struct zcp_traffic traffic;
	uint32_t depth_log2;
	uint64_t n_visits;
};

struct party {
	struct stress *stress;
	pthread_t thread;
	uint32_t slot;
};

static struct zcp_reader_options subscriber_in(const struct stress *s, uint32_t slot, bool blocks)
{
	return (struct zcp_reader_options){
		.slot = slot,
		.depth_log2 = s->depth_log2,
		.max_held = ZCP_TRAFFIC_HELD_MAX,
		.blocks = blocks,
		.symmetric = s->bed.symmetric,
	};
}

static void *publish(void *arg)
{
	const struct party *party = arg;
	struct stress *s = party->stress;
	struct zcp_writer writer;

	zcp_testbed_writer(&s->bed, &s->bed.view, party->slot, 1, &writer);
	zcp_traffic_publish(&s->traffic, &writer, party->slot + 1);
	zcp_writer_deinit(&writer);
	return NULL;
}

static void *subscribe(void *arg)
{
	const struct party *party = arg;
	struct stress *s = party->stress;
	struct zcp_reader_options options = subscriber_in(s, party->slot, s->traffic.blocks);
	struct zcp_reader reader;

	zcp_testbed_reader(&s->bed.view, &options, &reader);
	zcp_traffic_subscribe(&s->traffic, &reader, &s->bed.view.signals.signals[party->slot],
			      party->slot + 100);
	zcp_reader_deinit(&reader);
	return NULL;
}

/* The runtime's part and the coming and going subscriber's in one thread. */
static void *visit(void *arg)
{
	const struct party *party = arg;
	struct stress *s = party->stress;
	struct zcp_reader_options options;
	uint32_t seed = 99;

	while (zcp_test_load(&s->traffic.n_done) < s->traffic.n_publishers) {
		struct zcp_reader reader;

		/* A slot and a bit that others have just had, at another depth. */
		options = subscriber_in(s, party->slot, false);
		options.depth_log2 = zcp_test_random(&seed) % (s->depth_log2 + 1);
		zcp_testbed_join(&s->bed, &options, 0);
		zcp_testbed_reader(&s->bed.view, &options, &reader);
		/* Mostly to come and go, which is where publishers may not have noticed. */
		if (zcp_test_random(&seed) % 8 == 0)
			zcp_traffic_visit(&s->traffic, &reader, zcp_test_random(&seed) % 32);
		else
			zcp_test_pause(&seed, 20);
		zcp_testbed_leave(&s->bed, &options);
		zcp_testbed_check_gone(&s->bed, &options);
		zcp_reader_deinit(&reader);
		s->n_visits++;
	}
	return NULL;
}

/* A publish and a subscriber's leave that begin together, again and again. */
struct moment {
	struct stress *stress;
	uint64_t n_rounds;
	_Atomic uint64_t begun;
	_Atomic uint64_t ended;
	_Atomic uint64_t ready;
};

static void *publish_at_the_moment(void *arg)
{
	struct moment *m = arg;
	struct zcp_writer writer;
	struct zcp_writer_loan loan;
	uint32_t seed = 3;

	zcp_testbed_writer(&m->stress->bed, &m->stress->bed.view, 0, 1, &writer);
	for (uint64_t round = 1; round <= m->n_rounds; round++) {
		ZCP_CHECK(zcp_writer_loan(&writer, 64, &loan) == 0);
		zcp_test_store(&m->begun, round);
		zcp_test_await_round(&m->ready, round);
		zcp_test_pause(&seed, 16);
		ZCP_CHECK(zcp_writer_publish(&writer, &loan, 64, 0) == 0);
		zcp_test_store(&m->ended, round);
	}
	zcp_writer_deinit(&writer);
	return NULL;
}

/* Either the publisher has seen that the subscriber leaves, or the leave waits for it. */
static void leave_at_the_moment(void)
{
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(1, 1, 0, 64, 2);
	static struct stress s;
	struct moment m = { .stress = &s, .n_rounds = zcp_test_rounds(30000) };
	struct zcp_reader_options subscriber;
	uint32_t seed = 4;
	pthread_t thread;

	zcp_testbed_init(&s.bed, &options);
	subscriber = subscriber_in(&s, 0, false);
	ZCP_CHECK(pthread_create(&thread, NULL, publish_at_the_moment, &m) == 0);
	for (uint64_t round = 1; round <= m.n_rounds; round++) {
		zcp_testbed_join(&s.bed, &subscriber, 0);
		zcp_test_store(&m.ready, round);
		zcp_test_await_round(&m.begun, round);
		zcp_test_pause(&seed, 16);
		zcp_testbed_leave(&s.bed, &subscriber);
		zcp_test_await_round(&m.ended, round);
		zcp_testbed_check_gone(&s.bed, &subscriber);
	}
	ZCP_CHECK(pthread_join(thread, NULL) == 0);
	ZCP_CHECK(zcp_testbed_n_busy(&s.bed) == 0);
	zcp_testbed_deinit(&s.bed);
}

static void start(struct party *party, struct stress *s, uint32_t slot, void *(*run)(void *))
{
	*party = (struct party){ .stress = s, .slot = slot };
	ZCP_CHECK(pthread_create(&party->thread, NULL, run, party) == 0);
}

static void run(uint32_t n_publishers, uint32_t n_subscribers, bool blocks, uint64_t first_seq)
{
	static struct stress s;
	struct party publishers[N_MAX], subscribers[N_MAX], visitor;
	struct zcp_testbed_options options;

	s = (struct stress){
		.traffic = {
			.n_publishers = n_publishers,
			.n_subscribers = n_subscribers,
			.n_messages = zcp_test_rounds(12000) / n_publishers,
			.first_seq = first_seq,
			.blocks = blocks,
			.pause = 300,
		},
		.depth_log2 = 3,
	};
	options = ZCP_TESTBED_OPTIONS(n_publishers, n_subscribers + 1, s.depth_log2,
				      ZCP_TRAFFIC_PAYLOAD,
				      zcp_traffic_n_chunks(&s.traffic, s.depth_log2, 1));
	options.first_seq = first_seq;
	zcp_testbed_init(&s.bed, &options);
	for (uint32_t i = 0; i < n_subscribers; i++) {
		struct zcp_reader_options subscriber = subscriber_in(&s, i, blocks);

		zcp_testbed_join(&s.bed, &subscriber, 0);
		start(&subscribers[i], &s, i, subscribe);
	}
	for (uint32_t i = 0; i < n_publishers; i++)
		start(&publishers[i], &s, i, publish);
	start(&visitor, &s, n_subscribers, visit);
	for (uint32_t i = 0; i < n_publishers; i++)
		ZCP_CHECK(pthread_join(publishers[i].thread, NULL) == 0);
	for (uint32_t i = 0; i < n_subscribers; i++)
		ZCP_CHECK(pthread_join(subscribers[i].thread, NULL) == 0);
	ZCP_CHECK(pthread_join(visitor.thread, NULL) == 0);
	zcp_traffic_check(&s.traffic);
	ZCP_CHECK(zcp_testbed_n_busy(&s.bed) == 0);
	(void)printf("%u to %u, %s: %llu received, %llu lost, %llu visits\n", n_publishers,
		     n_subscribers, blocks ? "blocking" : "dropping",
		     (unsigned long long)zcp_test_load(&s.traffic.n_received),
		     (unsigned long long)zcp_test_load(&s.traffic.n_lost),
		     (unsigned long long)s.n_visits);
	zcp_testbed_deinit(&s.bed);
}

int main(void)
{
	zcp_test_watchdog(100);
	leave_at_the_moment();
	for (int blocks = 0; blocks < 2; blocks++) {
		run(1, 8, blocks, 1);
		run(8, 1, blocks, (UINT64_C(1) << 32) - 1000);
		run(4, 4, blocks, (UINT64_C(1) << 31) - 1000);
	}
	return 0;
}
