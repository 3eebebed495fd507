/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A topic in which one operation is made, instruction by instruction, by a child.
 */
#ifndef ZCP_TESTS_STRESS_STEPS_HELPERS_H
#define ZCP_TESTS_STRESS_STEPS_HELPERS_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "pubsub/shm/lane.h"
#include "tests/support/check.h"
#include "tests/support/testbed.h"
#include "tests/support/tracee.h"

#define PAYLOAD 64
#define N_CHUNKS 16
#define N_SUBSCRIBERS 3
#define OWNER 1

/* A topic in which one operation is about to be made. */
struct scene {
	struct zcp_testbed bed;
	struct zcp_writer writer;
	struct zcp_reader readers[N_SUBSCRIBERS];
	struct zcp_reader_options subscribers[N_SUBSCRIBERS];
	/* the chunk that is loaned or given back */
	struct zcp_writer_loan loan;
	/* the message that is published, taken or released, by whom, and how */
	uint64_t seq;
	uint32_t subscriber;
	bool latest;
	struct zcp_reader_message message;
	/* as it was before */
	uint32_t state;
	uint64_t chunk_seq;
	uint32_t n_freed;
	uint64_t words[N_SUBSCRIBERS];
	struct zcp_description dropped;
	uint64_t n_steps;
	/* stages of the operation that were seen */
	uint32_t seen;
	uint32_t last_seen;
};

static inline struct zcp_publisher_slot_shm *publisher_of(const struct scene *s)
{
	return &s->bed.view.topic.publishers[0];
}

static inline struct zcp_lane_slot_shm *slot_of(const struct scene *s, uint32_t subscriber,
						uint64_t seq)
{
	return zcp_lane_slot(&s->readers[subscriber].lanes[0].lane, seq);
}

static inline struct zcp_ack_shm *ack_of(const struct scene *s, uint32_t subscriber)
{
	return s->readers[subscriber].lanes[0].lane.ack;
}

static inline bool is_inside(const struct scene *s)
{
	return zcp_test_load(&publisher_of(s)->op) % 2 == 1;
}

static inline void send(struct scene *s)
{
	struct zcp_writer_loan loan;

	ZCP_CHECK(zcp_writer_loan(&s->writer, PAYLOAD, &loan) == 0);
	ZCP_CHECK(zcp_writer_publish(&s->writer, &loan, PAYLOAD, 0) == 0);
}

static inline void release(struct scene *s, uint32_t subscriber, const struct zcp_reader_message *m)
{
	ZCP_CHECK(zcp_reader_release(&s->readers[subscriber], m->place, m->held) == 0);
}

static inline void join(struct scene *s, uint32_t subscriber, bool blocks)
{
	s->subscribers[subscriber] = (struct zcp_reader_options){
		.slot = subscriber,
		.depth_log2 = subscriber,
		.max_held = 2,
		.blocks = blocks,
		.symmetric = s->bed.symmetric,
	};
	zcp_testbed_join(&s->bed, &s->subscribers[subscriber], 0);
	zcp_testbed_reader(&s->bed.view, &s->subscribers[subscriber], &s->readers[subscriber]);
}

/* Three subscribers, of queues of 1, 2 and 4; the first one has not taken a message yet. */
static inline void scene_init(struct scene *s, uint32_t n_chunks, bool symmetric, bool blocks)
{
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(1, N_SUBSCRIBERS, 2, PAYLOAD,
								       n_chunks);

	*s = (struct scene){ .seq = 2 };
	zcp_testbed_init(&s->bed, &options);
	s->bed.symmetric |= symmetric;
	for (uint32_t i = 0; i < N_SUBSCRIBERS; i++)
		join(s, i, blocks);
	zcp_testbed_writer(&s->bed, &s->bed.view, 0, N_CHUNKS, &s->writer);
	send(s);
	for (uint32_t i = 1; i < N_SUBSCRIBERS; i++) {
		struct zcp_reader_message m;

		ZCP_CHECK(zcp_reader_take(&s->readers[i], &m) == 0);
		release(s, i, &m);
	}
}

static inline void scene_deinit(struct scene *s)
{
	for (uint32_t i = 0; i < N_SUBSCRIBERS; i++)
		zcp_reader_deinit(&s->readers[i]);
	zcp_writer_deinit(&s->writer);
	zcp_testbed_deinit(&s->bed);
}

/* Looks with `check` before each instruction of `body` and after the last. */
static inline void single_step(struct scene *s, void (*body)(void *), void (*check)(struct scene *))
{
	pid_t pid = zcp_tracee_start(body, s);

	s->n_steps = s->seen = s->last_seen = 0;
	do {
		check(s);
		s->n_steps++;
	} while (zcp_tracee_step(pid));
	check(s);
}

/* Stages are in order: none comes again once a later one was seen. */
static inline void see(struct scene *s, uint32_t stage)
{
	ZCP_CHECK(stage >= s->last_seen);
	s->last_seen = stage;
	s->seen |= stage;
}

#endif
