/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One lane between two threads. Each message has a payload of its own that is written once
 * and read once, so that the race detector sees whether the slot orders it. Each message is
 * either taken or reported as pushed out, never both, never neither; and what is pushed out
 * is what the subscriber counts as lost.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "pubsub/shm/lane.h"
#include "tests/support/check.h"

#define LOG2_MAX 8

enum fate {
	PENDING,
	TAKEN,
	DROPPED,
};

struct message {
	uint64_t payload[2];
	/* enum fate; written by whoever has it, and nobody else may */
	uint8_t fate;
};

struct stress {
	struct zcp_lane lane;
	struct message *messages;
	uint64_t n_messages;
	uint64_t first_seq;
	uint64_t n_dropped;
	uint32_t pause;
	_Atomic uint32_t done;
};

static void *publish(void *arg)
{
	struct stress *s = arg;
	uint32_t seed = 1;

	for (uint64_t i = 0; i < s->n_messages; i++) {
		struct message *m = &s->messages[i];
		uint32_t dropped;

		zcp_test_fill(m->payload, sizeof(m->payload), 1, i);
		if (zcp_lane_push(&s->lane, s->first_seq + i, (uint32_t)i, &dropped)) {
			ZCP_CHECK(dropped < i && s->messages[dropped].fate == PENDING);
			s->messages[dropped].fate = DROPPED;
			s->n_dropped++;
		}
		if (zcp_test_random(&seed) % 4 == 0)
			zcp_test_pause(&seed, s->pause);
		if (zcp_test_random(&seed) % 64 == 0)
			sched_yield();
	}
	zcp_test_store(&s->done, 1);
	return NULL;
}

/* On the calling thread. Returns how many were lost. */
static uint64_t subscribe(struct stress *s)
{
	struct zcp_lane_cursor cursor = { .seq = zcp_lane_first(&s->lane, s->first_seq) };
	uint64_t expected = s->first_seq, n_lost = 0;
	uint32_t seed = 2, ref;

	for (;;) {
		bool done = zcp_test_load(&s->done);
		struct message *m;

		if (zcp_lane_take(&s->lane, &cursor, NULL, &ref) != 0) {
			if (!zcp_lane_is_ready(&s->lane, cursor.seq)) {
				if (done)
					break;
				sched_yield();
			}
			continue;
		}
		m = &s->messages[ref];
		ZCP_CHECK(s->first_seq + ref == cursor.seq - 1);
		ZCP_CHECK(cursor.seq - 1 == expected + cursor.n_lost);
		ZCP_CHECK(zcp_test_is_filled(m->payload, sizeof(m->payload), 1, ref));
		ZCP_CHECK(m->fate == PENDING);
		m->fate = TAKEN;
		n_lost += cursor.n_lost;
		cursor.n_lost = 0;
		expected = cursor.seq;
		if (zcp_test_random(&seed) % 4 == 0)
			zcp_test_pause(&seed, s->pause);
	}
	ZCP_CHECK(expected == s->first_seq + s->n_messages);
	return n_lost;
}

static void run(uint32_t log2, uint64_t first_seq, uint32_t pause)
{
	static _Alignas(64) struct zcp_lane_slot_shm slots[1 << LOG2_MAX];
	struct stress s = {
		.lane = { .slots = slots, .mask = (UINT32_C(1) << log2) - 1, .log2 = log2 },
		.n_messages = zcp_test_rounds(100000),
		.first_seq = first_seq,
		.pause = pause,
	};
	uint64_t n_lost;
	pthread_t thread;

	s.messages = calloc(s.n_messages, sizeof(s.messages[0]));
	ZCP_CHECK(s.messages);
	zcp_lane_reset(&s.lane, first_seq);
	ZCP_CHECK(pthread_create(&thread, NULL, publish, &s) == 0);
	n_lost = subscribe(&s);
	ZCP_CHECK(pthread_join(thread, NULL) == 0);
	for (uint64_t i = 0; i < s.n_messages; i++)
		ZCP_CHECK(s.messages[i].fate != PENDING);
	ZCP_CHECK(n_lost == s.n_dropped);
	(void)printf("capacity %3u: %llu messages, %llu lost\n", 1U << log2,
		     (unsigned long long)s.n_messages, (unsigned long long)n_lost);
	free(s.messages);
}

int main(void)
{
	static const uint32_t depths_log2[] = { 0, 1, 2, 3, 4, LOG2_MAX };

	zcp_test_watchdog(100);
	for (size_t i = 0; i < sizeof(depths_log2) / sizeof(depths_log2[0]); i++) {
		run(depths_log2[i], 1, 40);
		/* The 32 bits of the slot wrap on the way, and so does their sign. */
		run(depths_log2[i], (UINT64_C(1) << 32) - 5000, 4);
		run(depths_log2[i], (UINT64_C(1) << 31) - 5000, 400);
	}
	return 0;
}
