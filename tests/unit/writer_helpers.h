/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One publisher and whoever joins it, in one process, for the tests of the publisher's end.
 */
#ifndef ZCP_TESTS_UNIT_WRITER_HELPERS_H
#define ZCP_TESTS_UNIT_WRITER_HELPERS_H

#include <criterion/criterion.h>

#include "pubsub/flow/reader.h"
#include "pubsub/flow/writer.h"
#include "tests/support/check.h"
#include "tests/support/testbed.h"

#define SMALL 64
#define LARGE 1000
#define N_SMALL 64
#define N_LARGE 3
#define N_LOANS 6
#define MAX_HELD 24

static struct zcp_testbed bed;
static struct zcp_writer writer;

static inline void setup(void)
{
	struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(2, 130, 3, SMALL, N_SMALL);

	options.classes[2] = (struct zcp_class_geometry){ .payload_size = LARGE,
							  .n_chunks = N_LARGE };
	zcp_testbed_init(&bed, &options);
	zcp_testbed_writer(&bed, &bed.view, 0, N_LOANS, &writer);
}

static inline void teardown(void)
{
	zcp_writer_deinit(&writer);
	zcp_testbed_deinit(&bed);
}

static inline struct zcp_reader_options join(uint32_t slot, uint32_t depth_log2, bool blocks)
{
	const struct zcp_reader_options subscriber = {
		.slot = slot,
		.depth_log2 = depth_log2,
		.max_held = MAX_HELD,
		.blocks = blocks,
		.symmetric = bed.symmetric,
	};

	zcp_testbed_join(&bed, &subscriber, 0);
	return subscriber;
}

/* The writer anew, as the next publisher of the slot. */
static inline void begin_anew(const struct zcp_writer_options *options)
{
	zcp_writer_deinit(&writer);
	cr_assert_eq(zcp_writer_init(&writer, &bed.view.topic, &bed.view.acks, &bed.view.pool,
				     &bed.view.signals, options),
		     0);
}

static inline struct zcp_publisher_slot_shm *own_slot(void)
{
	return &bed.view.topic.publishers[0];
}

static inline struct zcp_writer_loan loan(void)
{
	struct zcp_writer_loan loan = { .ref = ZCP_REF_NONE };

	cr_assert_eq(zcp_writer_loan(&writer, SMALL, &loan), 0);
	return loan;
}

static inline uint32_t publish(void)
{
	struct zcp_writer_loan l = loan();

	cr_assert_eq(zcp_writer_publish(&writer, &l, SMALL, 0), 0);
	return l.ref;
}

static inline struct zcp_chunk_shm *chunk_of(uint32_t ref)
{
	struct zcp_chunk_shm *chunk = zcp_pool_descriptor(&bed.view.pool, ref);

	cr_assert_not_null(chunk);
	return chunk;
}

static inline const struct zcp_lane_slot_shm *slot_of(uint32_t subscriber, uint32_t depth_log2,
						      uint64_t seq)
{
	struct zcp_lane lane = zcp_topic_lane(&bed.view.topic, &bed.view.acks, 0, subscriber,
					      depth_log2);

	return zcp_lane_slot(&lane, seq);
}

static inline bool has(uint32_t subscriber, uint32_t depth_log2, uint64_t seq)
{
	return zcp_slot_is(zcp_test_load(&slot_of(subscriber, depth_log2, seq)->word), seq);
}

/* Why a message of ours is in use by a subscriber: enum zcp_use. */
static inline uint32_t use_of(uint32_t subscriber, uint64_t seq)
{
	struct zcp_stake stake;

	zcp_stake_init(&stake, &bed.view.topic, &bed.view.acks, 0, subscriber);
	return zcp_stake_use(&stake, writer.next_seq, seq);
}

static inline struct zcp_reader_message take(struct zcp_reader *reader)
{
	struct zcp_reader_message m = { .seq = 0 };

	cr_assert_eq(zcp_reader_take(reader, &m), 0);
	return m;
}

static inline void release(struct zcp_reader *reader, const struct zcp_reader_message *m)
{
	cr_assert_eq(zcp_reader_release(reader, m->place, m->held), 0);
}

#endif
