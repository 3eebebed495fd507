/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One lane between two threads: a publisher that pushes, and a reader that takes. Each message has
 * a chunk of its own, whose payload is written once and read once, so that the race detector sees
 * whether the slot orders it, and a description of its own, of which each part must be what was
 * announced. Each message is taken, passed over for a newer one, or pushed out; what is pushed out
 * is what the subscriber counts as lost, and a lane that blocks loses nothing.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "pubsub/flow/reader.h"
#include "tests/support/check.h"
#include "tests/support/testbed.h"

#define LOG2_MAX 8
#define PAYLOAD 64
#define HEADER 64

enum fate {
	PENDING,
	TAKEN,
	DROPPED,
};

enum way {
	IN_ORDER,
	BLOCKING,
	/* by turns in order and the newest one */
	LATEST,
};

static const char *const way_names[] = { "in order", "blocking", "latest" };

struct stress {
	struct zcp_testbed bed;
	struct zcp_lane lane;
	/* enum fate, of each message; written by the one thread that has it */
	uint8_t *fates;
	uint64_t n_messages;
	uint64_t first_seq;
	uint64_t n_dropped;
	uint32_t pause;
	enum way way;
	_Atomic uint32_t done;
};

/* What nobody would announce by chance. */
static struct zcp_description describe(uint32_t i)
{
	return (struct zcp_description){
		.size = 16 + i % 7 * 8,
		.publish_time_ns = UINT64_C(0x100000001) * (i + 1),
		.publisher_id = ~(uint64_t)i,
		.user_header_size = i % (HEADER + 1),
		.ref = zcp_ref(0, i),
		.next_ref = zcp_ref(0, i + 1),
	};
}

/* Room for message `seq`, where the lane is full by the copy of `tail`. */
static void make_room(struct stress *s, uint64_t seq, uint64_t *tail)
{
	uint64_t oldest;

	for (;;) {
		zcp_lane_refresh_tail(&s->lane, seq, tail);
		if (!zcp_lane_is_full(&s->lane, seq, *tail))
			return;
		if (s->way != BLOCKING)
			break;
		sched_yield();
	}
	oldest = *tail;
	if (!zcp_lane_push_out(&s->lane, seq, tail))
		return;
	ZCP_CHECK(oldest >= s->first_seq && oldest < seq);
	ZCP_CHECK(s->fates[oldest - s->first_seq] == PENDING);
	s->fates[oldest - s->first_seq] = DROPPED;
	s->n_dropped++;
}

static void *publish(void *arg)
{
	struct stress *s = arg;
	const struct zcp_class *class = &s->bed.view.pool.classes[0];
	uint64_t tail = s->first_seq;
	uint32_t seed = 1;

	for (uint32_t i = 0; i < s->n_messages; i++) {
		struct zcp_description description = describe(i);
		uint64_t seq = s->first_seq + i;

		zcp_test_fill(zcp_class_payload(class, i), description.size, 1, i);
		if (zcp_lane_is_full(&s->lane, seq, tail))
			make_room(s, seq, &tail);
		zcp_lane_put(&s->lane, seq, &description);
		if (zcp_test_random(&seed) % 4 == 0)
			zcp_test_pause(&seed, s->pause);
		if (zcp_test_random(&seed) % 64 == 0)
			sched_yield();
	}
	zcp_test_store(&s->done, 1);
	return NULL;
}

static void check_message(const struct stress *s, const struct zcp_reader_message *m)
{
	uint32_t i = zcp_ref_index(m->ref);
	struct zcp_description d = describe(i);

	ZCP_CHECK(s->first_seq + i == m->seq);
	ZCP_CHECK(m->size == d.size && m->publish_time_ns == d.publish_time_ns);
	ZCP_CHECK(m->publisher_id == d.publisher_id && m->user_header_size == d.user_header_size);
	ZCP_CHECK(zcp_test_is_filled(m->payload, m->size, 1, i));
	ZCP_CHECK(s->fates[i] == PENDING);
	s->fates[i] = TAKEN;
}

/* On the calling thread. Returns how many were passed over. */
static uint64_t subscribe(struct stress *s, struct zcp_reader *reader)
{
	uint64_t expected = s->first_seq, n_passed = 0;
	uint32_t seed = 2;

	for (;;) {
		bool done = zcp_test_load(&s->done);
		bool latest = s->way == LATEST && zcp_test_random(&seed) % 2;
		struct zcp_reader_message m;

		if ((latest ? zcp_reader_latest(reader, &m) : zcp_reader_take(reader, &m)) != 0) {
			if (!zcp_reader_is_ready(reader)) {
				if (done)
					break;
				sched_yield();
			}
			continue;
		}
		check_message(s, &m);
		ZCP_CHECK(latest ? m.seq >= expected + m.n_lost : m.seq == expected + m.n_lost);
		n_passed += m.seq - expected - m.n_lost;
		expected = m.seq + 1;
		ZCP_CHECK(zcp_reader_release(reader, m.place, m.held) == 0);
		if (zcp_test_random(&seed) % 4 == 0)
			zcp_test_pause(&seed, s->pause);
	}
	ZCP_CHECK(expected == s->first_seq + s->n_messages);
	return n_passed;
}

/* All that was published was pushed out, taken, or passed over. */
static void check_fates(const struct stress *s, const struct zcp_reader *reader, uint64_t n_passed)
{
	uint64_t n[3] = { 0 };

	for (uint64_t i = 0; i < s->n_messages; i++)
		n[s->fates[i]]++;
	ZCP_CHECK(n[DROPPED] == s->n_dropped && n[PENDING] == n_passed);
	ZCP_CHECK(reader->n_lost == s->n_dropped);
	ZCP_CHECK(reader->n_taken == n[TAKEN] + n_passed);
	ZCP_CHECK(s->way == LATEST || n_passed == 0);
	ZCP_CHECK(s->way != BLOCKING || s->n_dropped == 0);
}

static void run(enum way way, uint32_t log2, uint64_t first_seq, uint32_t pause)
{
	struct stress s = {
		.n_messages = zcp_test_rounds(50000),
		.first_seq = first_seq,
		.pause = pause,
		.way = way,
	};
	struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(1, 1, LOG2_MAX, PAYLOAD,
								 (uint32_t)s.n_messages);
	struct zcp_reader_options subscriber = {
		.depth_log2 = log2,
		.max_held = 2,
		.blocks = way == BLOCKING,
	};
	struct zcp_reader reader;
	uint64_t n_passed;
	pthread_t thread;

	options.classes[0].user_header_size = HEADER;
	options.first_seq = first_seq;
	zcp_testbed_init(&s.bed, &options);
	subscriber.symmetric = s.bed.symmetric;
	zcp_testbed_join(&s.bed, &subscriber, 0);
	zcp_test_store(&s.bed.view.topic.shm->used, 1);
	zcp_testbed_reader(&s.bed.view, &subscriber, &reader);
	s.lane = zcp_topic_lane(&s.bed.view.topic, &s.bed.view.acks, 0, 0, log2);
	s.fates = calloc(s.n_messages, sizeof(s.fates[0]));
	ZCP_CHECK(s.fates);
	ZCP_CHECK(pthread_create(&thread, NULL, publish, &s) == 0);
	n_passed = subscribe(&s, &reader);
	ZCP_CHECK(pthread_join(thread, NULL) == 0);
	check_fates(&s, &reader, n_passed);
	(void)printf("%s, capacity %3u: %llu messages, %llu lost, %llu passed over\n",
		     way_names[way], 1U << log2, (unsigned long long)s.n_messages,
		     (unsigned long long)s.n_dropped, (unsigned long long)n_passed);
	free(s.fates);
	zcp_reader_deinit(&reader);
	zcp_testbed_deinit(&s.bed);
}

int main(void)
{
	static const uint32_t depths_log2[] = { 0, 1, 2, 3, 4, LOG2_MAX };
	static const enum way ways[] = { IN_ORDER, BLOCKING, LATEST };

	zcp_test_watchdog(100);
	for (size_t i = 0; i < sizeof(depths_log2) / sizeof(depths_log2[0]); i++)
		for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
			run(ways[w], depths_log2[i], 1, 40);
			/* The 32 bits of the slot wrap on the way, and so does their sign. */
			run(ways[w], depths_log2[i], (UINT64_C(1) << 32) - 5000, 4);
			run(ways[w], depths_log2[i], (UINT64_C(1) << 31) - 5000, 400);
		}
	return 0;
}
