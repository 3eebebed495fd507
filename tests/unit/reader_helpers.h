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
		.depth_log2 = DEPTH_LOG2,
		.max_held = MAX_HELD,
		.symmetric = bed.symmetric,
	};
	zcp_testbed_join(&bed, &subscriber, 0);
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

static inline void begin_anew(struct zcp_reader_options *options)
{
	zcp_reader_deinit(&reader);
	zcp_testbed_reader(&bed.view, options, &reader);
}

/* Leaves and joins again, with a new reader. */
static inline void join_anew(void)
{
	zcp_testbed_leave(&bed, &subscriber);
	zcp_testbed_join(&bed, &subscriber, 0);
	begin_anew(&subscriber);
}

/* Publishes one of a publisher's size class. */
static inline uint32_t publish_sized(uint32_t publisher, uint64_t size)
{
	struct zcp_writer_loan loan;

	cr_assert_eq(zcp_writer_loan(&writers[publisher], size, &loan), 0);
	zcp_test_fill(loan.payload, size / 8 * 8, publisher, writers[publisher].next_seq);
	cr_assert_eq(zcp_writer_publish(&writers[publisher], &loan, size, 0), 0);
	return loan.ref;
}

static inline uint32_t publish_from(uint32_t publisher)
{
	return publish_sized(publisher, PAYLOAD);
}

/* The publisher's slot gets another one, which has other options. */
static inline void replace_publisher(uint32_t publisher, const struct zcp_writer_options *options)
{
	zcp_writer_deinit(&writers[publisher]);
	cr_assert_eq(zcp_writer_init(&writers[publisher], &bed.view.topic, &bed.view.acks,
				     &bed.view.pool, &bed.view.signals, options),
		     0);
}

/* One of the larger class, with a user header of so many bytes, by another one in the slot. */
static inline uint32_t publish_large(uint32_t publisher, uint32_t user_header_size)
{
	const struct zcp_writer_options before = writers[publisher].options;
	struct zcp_writer_options options = before;
	uint32_t ref;

	options.class_index = 1;
	options.max_payload = LARGE_PAYLOAD;
	options.user_header_size = user_header_size;
	replace_publisher(publisher, &options);
	ref = publish_sized(publisher, LARGE_PAYLOAD);
	replace_publisher(publisher, &before);
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
	cr_assert_eq(zcp_reader_release(&reader, m->place, m->held), 0);
}

/* Takes one of publisher 0, checks it and gives it back. */
static inline void assert_next(uint64_t seq, uint64_t n_lost)
{
	struct zcp_reader_message m = take();

	cr_assert_eq(m.seq, seq);
	cr_assert_eq(m.n_lost, n_lost);
	cr_assert(zcp_test_is_filled(m.payload, m.size, 0, seq));
	release(&m);
}

static inline void assert_empty(void)
{
	struct zcp_reader_message m;

	cr_assert_eq(zcp_reader_take(&reader, &m), ZCP_READER_E_EMPTY);
	cr_assert_eq(zcp_reader_n_held(&reader), 0);
}

/* For writing, which the reader may not be able to. */
static inline struct zcp_lane_slot_shm *lane_slot(uint32_t publisher, uint64_t seq)
{
	struct zcp_lane lane = zcp_topic_lane(&bed.view.topic, &bed.view.acks, publisher,
					      subscriber.slot, DEPTH_LOG2);

	return zcp_lane_slot(&lane, seq);
}

static inline _Atomic uint64_t *slot_word(uint64_t seq)
{
	return &lane_slot(0, seq)->word;
}

static inline struct zcp_ack_shm *ack_of(uint32_t publisher)
{
	return zcp_acks_ack(&bed.view.acks, publisher, subscriber.slot);
}

/* Why a message of a publisher is in use by the subscriber: enum zcp_use. */
static inline uint32_t use_of(uint32_t publisher, uint64_t seq)
{
	struct zcp_stake stake;

	zcp_stake_init(&stake, &bed.view.topic, &bed.view.acks, publisher, subscriber.slot);
	return zcp_stake_use(&stake, writers[publisher].next_seq, seq);
}

/* The first publisher's next number becomes `seq`, as if it had sent all that is between. */
static inline void go_on_at(uint64_t seq)
{
	uint64_t tail = zcp_test_load(&ack_of(0)->tail);

	writers[0].next_seq = seq;
	zcp_test_store(&bed.view.topic.publishers[0].next_seq, seq);
	if (seq - tail > 1U << DEPTH_LOG2)
		zcp_test_store(&ack_of(0)->tail, seq - (1U << DEPTH_LOG2));
}

#endif
