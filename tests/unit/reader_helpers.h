/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three publishers and a subscriber in one process, for the tests of the subscriber's end.
 */
#ifndef ZCP_TESTS_UNIT_READER_HELPERS_H
#define ZCP_TESTS_UNIT_READER_HELPERS_H

#include <criterion/criterion.h>
#include <errno.h>

#include "pubsub/flow/reader.h"
#include "pubsub/flow/writer.h"
#include "tests/support/check.h"
#include "tests/support/testbed.h"

#define PAYLOAD 64
#define LARGE_PAYLOAD 500
/* The larger payloads have room for one. */
#define USER_HEADER 100
#define N_PUBLISHERS 3
#define N_CHUNKS 64
#define MAX_HELD 8
#define HOLDER 77
#define DEPTH_LOG2 2

static struct zcp_testbed bed;
static struct zcp_writer writers[N_PUBLISHERS];
static struct zcp_reader_options subscriber;
static struct zcp_reader reader;

static inline void setup(void)
{
	struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(N_PUBLISHERS, 2, DEPTH_LOG2,
								 PAYLOAD, N_CHUNKS);

	options.classes[1] = (struct zcp_class_geometry){
		.payload_size = LARGE_PAYLOAD,
		.n_chunks = 4,
		.user_header_size = USER_HEADER,
	};
	zcp_testbed_init(&bed, &options);
	subscriber = (struct zcp_reader_options){
		.slot = 1,
		.holder = HOLDER,
		.depth_log2 = DEPTH_LOG2,
		.max_held = MAX_HELD,
		.symmetric = bed.symmetric,
	};
	zcp_testbed_join(&bed, &subscriber);
	zcp_testbed_reader(&bed.view, &subscriber, &reader);
	for (uint32_t i = 0; i < N_PUBLISHERS; i++)
		zcp_testbed_writer(&bed, &bed.view, i, 2, &writers[i]);
}

static inline void teardown(void)
{
	for (uint32_t i = 0; i < N_PUBLISHERS; i++)
		zcp_writer_deinit(&writers[i]);
	zcp_reader_deinit(&reader);
	zcp_testbed_deinit(&bed);
}

static inline struct zcp_chunk chunk_of(uint32_t ref)
{
	struct zcp_chunk chunk = { .descriptor = NULL };

	cr_assert(zcp_pool_chunk(&bed.view.pool, ref, &chunk));
	return chunk;
}

static inline uint32_t publish_from(uint32_t publisher)
{
	uint32_t ref = 0;

	cr_assert_eq(zcp_writer_loan(&writers[publisher], PAYLOAD, &ref), 0);
	zcp_test_fill(chunk_of(ref).payload, PAYLOAD, publisher, writers[publisher].next_seq);
	cr_assert_eq(zcp_writer_publish(&writers[publisher], ref, PAYLOAD, 0), 0);
	return ref;
}

static inline uint32_t publish_large(void)
{
	uint32_t ref = 0;

	cr_assert_eq(zcp_writer_loan(&writers[0], LARGE_PAYLOAD, &ref), 0);
	cr_assert_eq(zcp_writer_publish(&writers[0], ref, LARGE_PAYLOAD, 0), 0);
	return ref;
}

static inline struct zcp_reader_message take(void)
{
	struct zcp_reader_message m = { .seq = 0 };

	cr_assert_eq(zcp_reader_take(&reader, &m), 0);
	return m;
}

static inline void release(const struct zcp_reader_message *m)
{
	cr_assert_eq(zcp_reader_release(&reader, m->place, m->ticket), 0);
}

/* Takes one of publisher 0, checks it and gives it back. */
static inline void assert_next(uint64_t seq, uint64_t n_lost)
{
	struct zcp_reader_message m = take();

	cr_assert_eq(m.seq, seq);
	cr_assert_eq(m.n_lost, n_lost);
	cr_assert(zcp_test_is_filled(m.chunk.payload, m.size, 0, seq));
	release(&m);
}

static inline void assert_empty(void)
{
	struct zcp_reader_message m;

	cr_assert_eq(zcp_reader_take(&reader, &m), ZCP_READER_E_EMPTY);
	cr_assert_eq(zcp_reader_n_held(&reader), 0);
}

static inline _Atomic uint64_t *slot_word(uint64_t seq)
{
	return &zcp_lane_slot(&reader.lanes[0], seq)->word;
}

/* The publisher's next number becomes `seq`, as if it had sent all that is between. */
static inline void go_on_at(uint64_t seq)
{
	writers[0].next_seq = seq;
	zcp_test_store(&bed.view.topic.publishers[0].next_seq, seq);
}

#endif
