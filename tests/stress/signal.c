/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No wake-up is lost. First two threads do at the same moment what must not miss each other:
 * one announces its sleep and looks, the other publishes and looks for a sleeper; then two
 * sleep and wake each other by turns; then messages to a subscriber that sleeps whenever
 * there is nothing, from publishers that wait whenever there is no room. A lost wake-up
 * leaves somebody asleep for ever; the watchdog sees that nothing moves on.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

#include "pubsub/shm/fence.h"
#include "tests/support/check.h"
#include "tests/support/testbed.h"
#include "tests/support/traffic.h"

#define WATCH_SECONDS 20

/* Grows; between two looks at it something must have happened. */
static _Atomic uint64_t progress;

/* Messages of a round; of two, the first one is pushed out. */
static uint64_t n_messages_of(uint64_t round)
{
	return 1 + round / 2 % 2;
}

/* Two sides that begin each round together, so that they meet at its critical moment. */
struct moment {
	struct zcp_testbed *bed;
	uint64_t n_rounds;
	/* rounds that the waker has begun and ended, and the sleeper has begun */
	_Atomic uint64_t begun;
	_Atomic uint64_t ended;
	_Atomic uint64_t ready;
	/* what is published, where it is not a message */
	_Atomic uint64_t published;
};

static void begin_waking(struct moment *m, uint64_t round, uint32_t *seed)
{
	zcp_test_store(&m->begun, round);
	zcp_test_await_round(&m->ready, round);
	zcp_test_pause(seed, 8);
}

static void begin_sleeping(struct moment *m, uint64_t round, uint32_t *seed)
{
	zcp_test_store(&m->ready, round);
	zcp_test_await_round(&m->begun, round);
	zcp_test_pause(seed, 8);
}

/* Whoever neither sees what was published nor is woken would sleep for ever. */
static void end_sleeping(struct moment *m, uint64_t round, bool seen, uint32_t announced)
{
	struct zcp_signal_shm *signal = &m->bed->view.signals.signals[0];

	zcp_test_await_round(&m->ended, round);
	ZCP_CHECK(seen || zcp_test_load(&signal->node_futex) != announced);
	zcp_signal_awake(signal);
	(void)atomic_fetch_add_explicit(&progress, 1, memory_order_relaxed);
}

static void *wake_at_the_moment(void *arg)
{
	struct moment *m = arg;
	uint32_t seed = 5;

	for (uint64_t round = 1; round <= m->n_rounds; round++) {
		uint64_t woken = 0;

		begin_waking(m, round, &seed);
		/* A plain store, which the processor may keep back: the fence is what counts. */
		atomic_store_explicit(&m->published, round, memory_order_relaxed);
		zcp_fence_full();
		zcp_signal_wake_sleeper(&m->bed->view.signals.signals[0], &woken);
		zcp_test_store(&m->ended, round);
	}
	return NULL;
}

/* The signal alone. */
static void words_at_the_moment(struct zcp_testbed *bed)
{
	struct moment m = { .bed = bed, .n_rounds = zcp_test_rounds(100000) };
	uint32_t seed = 6;
	pthread_t thread;

	ZCP_CHECK(pthread_create(&thread, NULL, wake_at_the_moment, &m) == 0);
	for (uint64_t round = 1; round <= m.n_rounds; round++) {
		uint32_t announced;
		bool seen;

		begin_sleeping(&m, round, &seed);
		announced = zcp_signal_announce(&bed->view.signals.signals[0]);
		seen = atomic_load_explicit(&m.published, memory_order_relaxed) == round;
		end_sleeping(&m, round, seen, announced);
	}
	ZCP_CHECK(pthread_join(thread, NULL) == 0);
}

static void *publish_at_the_moment(void *arg)
{
	struct moment *m = arg;
	struct zcp_writer_loan loan;
	struct zcp_writer writer;
	uint32_t seed = 7;

	zcp_testbed_writer(m->bed, &m->bed->view, 0, 1, &writer);
	for (uint64_t round = 1; round <= m->n_rounds; round++) {
		ZCP_CHECK(zcp_writer_loan(&writer, 64, &loan) == 0);
		begin_waking(m, round, &seed);
		ZCP_CHECK(zcp_writer_publish(&writer, &loan, 64, 0) == 0);
		if (n_messages_of(round) == 2) {
			ZCP_CHECK(zcp_writer_loan(&writer, 64, &loan) == 0);
			ZCP_CHECK(zcp_writer_publish(&writer, &loan, 64, 0) == 0);
		}
		zcp_test_store(&m->ended, round);
	}
	zcp_writer_deinit(&writer);
	return NULL;
}

/* A publish against a sleep, and every other time against a first sleep. */
static void messages_at_the_moment(struct zcp_testbed *bed)
{
	const struct zcp_reader_options subscriber = { .max_held = 1, .symmetric = bed->symmetric };
	struct moment m = { .bed = bed, .n_rounds = zcp_test_rounds(50000) };
	struct zcp_signal_shm *signal = &bed->view.signals.signals[0];
	struct zcp_reader reader;
	uint32_t seed = 8;
	pthread_t thread;

	zcp_testbed_join(bed, &subscriber, 0);
	zcp_testbed_reader(&bed->view, &subscriber, &reader);
	ZCP_CHECK(pthread_create(&thread, NULL, publish_at_the_moment, &m) == 0);
	for (uint64_t round = 1; round <= m.n_rounds; round++) {
		struct zcp_reader_message message;
		uint32_t announced;
		bool seen;

		if (round % 2 == 0) {
			zcp_test_store(&bed->view.acks.shm->sleepers[0], 0);
			reader.sleeps = false;
		}
		begin_sleeping(&m, round, &seed);
		ZCP_CHECK(zcp_reader_arm(&reader) == 0);
		announced = zcp_signal_announce(signal);
		seen = zcp_reader_is_ready(&reader);
		end_sleeping(&m, round, seen, announced);
		ZCP_CHECK(zcp_reader_take(&reader, &message) == 0);
		ZCP_CHECK(message.n_lost == n_messages_of(round) - 1);
		ZCP_CHECK(zcp_reader_release(&reader, message.place, message.held) == 0);
	}
	ZCP_CHECK(pthread_join(thread, NULL) == 0);
	zcp_reader_deinit(&reader);
}

static void moments(void)
{
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(1, 1, 0, 64, 4);
	struct zcp_testbed bed;

	zcp_testbed_init(&bed, &options);
	words_at_the_moment(&bed);
	messages_at_the_moment(&bed);
	zcp_testbed_deinit(&bed);
}

/* One side of the ball game: the ball is thrown with a word, and whoever sleeps is woken. */
struct player {
	struct zcp_signal_shm *mine;
	struct zcp_signal_shm *theirs;
	/* the ball's number, written by both by turns */
	_Atomic uint64_t *ball;
	/* whether the odd or the even balls are mine */
	uint64_t side;
	uint64_t n_rounds;
	uint32_t seed;
};

static bool is_mine(const struct player *p)
{
	/* Relaxed: what is tested is the fences that zcp_signal_*() and its callers have. */
	return atomic_load_explicit(p->ball, memory_order_relaxed) % 2 == p->side;
}

static void await_ball(const struct player *p)
{
	while (!is_mine(p)) {
		uint32_t announced = zcp_signal_announce(p->mine);

		if (!is_mine(p))
			(void)zcp_signal_sleep(p->mine, announced, -1);
		zcp_signal_awake(p->mine);
	}
}

static void *play(void *arg)
{
	struct player *p = arg;
	uint64_t woken = 0;

	for (uint64_t i = 0; i < p->n_rounds; i++) {
		await_ball(p);
		zcp_test_pause(&p->seed, 1 + (zcp_test_random(&p->seed) % 8 == 0 ? 4000 : 100));
		(void)atomic_fetch_add_explicit(&progress, 1, memory_order_relaxed);
		/* A plain store, which the processor may keep back: the fence is what counts. */
		atomic_store_explicit(p->ball,
				      atomic_load_explicit(p->ball, memory_order_relaxed) + 1,
				      memory_order_relaxed);
		zcp_fence_full();
		zcp_signal_wake_sleeper(p->theirs, &woken);
	}
	return NULL;
}

static void handovers(struct zcp_testbed *bed)
{
	struct zcp_signal_shm *signals = bed->view.signals.signals;
	_Atomic uint64_t ball = 0;
	struct player players[2];
	pthread_t thread;

	for (uint32_t i = 0; i < 2; i++)
		players[i] = (struct player){
			.mine = &signals[i],
			.theirs = &signals[1 - i],
			.ball = &ball,
			.side = i,
			.n_rounds = zcp_test_rounds(50000),
			.seed = i + 1,
		};
	ZCP_CHECK(pthread_create(&thread, NULL, play, &players[0]) == 0);
	(void)play(&players[1]);
	ZCP_CHECK(pthread_join(thread, NULL) == 0);
	(void)printf("%llu handovers\n", (unsigned long long)zcp_test_load(&ball));
}

struct publisher {
	struct zcp_traffic *traffic;
	struct zcp_writer writer;
	uint32_t seed;
};

static void *publish(void *arg)
{
	struct publisher *p = arg;

	zcp_traffic_publish(p->traffic, &p->writer, p->seed);
	return NULL;
}

/* Short lanes, so that both sides sleep often. */
static void messages(uint32_t n_publishers, bool blocks, uint32_t depth_log2)
{
	struct zcp_traffic traffic = {
		.n_publishers = n_publishers,
		.n_subscribers = 1,
		.n_messages = zcp_test_rounds(16000) / n_publishers,
		.first_seq = 1,
		.sleeps = true,
		.blocks = blocks,
		.pause = 3000,
	};
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(
		n_publishers, 1, depth_log2, ZCP_TRAFFIC_PAYLOAD,
		zcp_traffic_n_chunks(&traffic, depth_log2, 0));
	struct zcp_reader_options subscriber = {
		.depth_log2 = depth_log2,
		.max_held = ZCP_TRAFFIC_HELD_MAX,
		.blocks = blocks,
	};
	struct publisher publishers[4];
	pthread_t threads[4];
	struct zcp_reader reader;
	struct zcp_testbed bed;

	zcp_testbed_init(&bed, &options);
	subscriber.symmetric = bed.symmetric;
	zcp_testbed_join(&bed, &subscriber, 0);
	zcp_testbed_reader(&bed.view, &subscriber, &reader);
	for (uint32_t p = 0; p < n_publishers; p++) {
		publishers[p] = (struct publisher){ .traffic = &traffic, .seed = p + 1 };
		zcp_testbed_writer(&bed, &bed.view, p, 1, &publishers[p].writer);
		ZCP_CHECK(pthread_create(&threads[p], NULL, publish, &publishers[p]) == 0);
	}
	zcp_traffic_subscribe(&traffic, &reader, &bed.view.signals.signals[0], 7);
	for (uint32_t p = 0; p < n_publishers; p++) {
		ZCP_CHECK(pthread_join(threads[p], NULL) == 0);
		zcp_writer_deinit(&publishers[p].writer);
	}
	zcp_traffic_check(&traffic);
	ZCP_CHECK(zcp_testbed_n_busy(&bed) == 0);
	(void)atomic_fetch_add_explicit(&progress, 1, memory_order_relaxed);
	(void)printf("%u publishers, %s, depth %u: %llu received, %llu lost\n", n_publishers,
		     blocks ? "blocking" : "dropping", 1U << depth_log2,
		     (unsigned long long)zcp_test_load(&traffic.n_received),
		     (unsigned long long)zcp_test_load(&traffic.n_lost));
	zcp_reader_deinit(&reader);
	zcp_testbed_deinit(&bed);
}

int main(void)
{
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(1, 2, 0, 64, 1);
	struct zcp_testbed bed;

	zcp_test_watch_progress(&progress, zcp_test_seconds(WATCH_SECONDS));
	moments();
	zcp_testbed_init(&bed, &options);
	handovers(&bed);
	zcp_testbed_deinit(&bed);
	messages(1, false, 1);
	messages(1, true, 0);
	messages(1, true, 2);
	messages(4, false, 0);
	messages(4, true, 1);
	return 0;
}
