/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscriber's end: whose turn it is, limits, and everything that a slot or a header may
 * say that is not true.
 */
#include "pubsub/shm/reader.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "pubsub/shm/writer.h"
#include "tests/support/check.h"
#include "tests/support/testbed.h"

#define PAYLOAD 64
#define N_PUBLISHERS 3
#define N_CHUNKS 64
#define MAX_HELD 8
#define HOLDER 77
#define DEPTH_LOG2 2

static struct zcp_testbed bed;
static struct zcp_writer writers[N_PUBLISHERS];
static struct zcp_reader_options subscriber;
static struct zcp_reader reader;

static void setup(void)
{
	struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(N_PUBLISHERS, 2, DEPTH_LOG2,
								 PAYLOAD, N_CHUNKS);

	options.classes[1] = (struct zcp_class_geometry){ .payload_size = 500, .n_chunks = 4 };
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

static void teardown(void)
{
	for (uint32_t i = 0; i < N_PUBLISHERS; i++)
		zcp_writer_deinit(&writers[i]);
	zcp_reader_deinit(&reader);
	zcp_testbed_deinit(&bed);
}

TestSuite(reader, .init = setup, .fini = teardown, .timeout = 20);

static struct zcp_chunk chunk_of(uint32_t ref)
{
	struct zcp_chunk chunk = { .descriptor = NULL };

	cr_assert(zcp_pool_chunk(&bed.view.pool, ref, &chunk));
	return chunk;
}

static uint32_t publish_from(uint32_t publisher)
{
	uint32_t ref = 0;

	cr_assert_eq(zcp_writer_loan(&writers[publisher], PAYLOAD, &ref), 0);
	zcp_test_fill(chunk_of(ref).payload, PAYLOAD, publisher, writers[publisher].next_seq);
	cr_assert_eq(zcp_writer_publish(&writers[publisher], ref, PAYLOAD, 0), 0);
	return ref;
}

static struct zcp_reader_message take(void)
{
	struct zcp_reader_message m = { .seq = 0 };

	cr_assert_eq(zcp_reader_take(&reader, &m), 0);
	return m;
}

static void release(const struct zcp_reader_message *m)
{
	(void)zcp_reader_release(&reader, m->place);
}

/* Takes one of publisher 0, checks it and gives it back. */
static void assert_next(uint64_t seq, uint64_t n_lost)
{
	struct zcp_reader_message m = take();

	cr_assert_eq(m.seq, seq);
	cr_assert_eq(m.n_lost, n_lost);
	cr_assert(zcp_test_is_filled(m.chunk.payload, m.size, 0, seq));
	release(&m);
}

static void assert_empty(void)
{
	struct zcp_reader_message m;

	cr_assert_eq(zcp_reader_take(&reader, &m), ZCP_READER_E_EMPTY);
	cr_assert_eq(zcp_reader_n_held(&reader), 0);
}

static _Atomic uint64_t *slot_word(uint64_t seq)
{
	return &zcp_lane_slot(&reader.lanes[0], seq)->word;
}

/* The publisher's next number becomes `seq`, as if it had sent all that is between. */
static void go_on_at(uint64_t seq)
{
	writers[0].next_seq = seq;
	zcp_test_store(&bed.view.topic.publishers[0].next_seq, seq);
}

Test(reader, message_is_what_was_published)
{
	struct zcp_reader_message m;
	uint32_t ref = publish_from(0);

	m = take();
	cr_assert_eq(m.ref, ref);
	cr_assert_eq(m.publisher, 0);
	cr_assert_eq(m.publisher_id, 1);
	cr_assert_eq(m.seq, 1);
	cr_assert_eq(m.size, PAYLOAD);
	cr_assert_eq(m.n_lost, 0);
	cr_assert_neq(m.publish_time_ns, 0);
	cr_assert(zcp_test_is_filled(m.chunk.payload, m.size, 0, 1));
	cr_assert_eq(zcp_testbed_n_busy(&bed), 1);
	release(&m);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
	assert_empty();
}

Test(reader, publishers_take_turns)
{
	for (int i = 0; i < 3; i++)
		for (uint32_t p = 0; p < N_PUBLISHERS; p++)
			(void)publish_from(p);
	for (uint64_t i = 1; i <= 3; i++)
		for (uint32_t p = 0; p < N_PUBLISHERS; p++) {
			struct zcp_reader_message m = take();

			cr_assert_eq(m.publisher, p);
			cr_assert_eq(m.seq, i);
			release(&m);
		}
	assert_empty();
}

Test(reader, busy_publisher_does_not_hide_a_quiet_one)
{
	struct zcp_reader_message m;

	for (int i = 0; i < 4; i++)
		(void)publish_from(0);
	(void)publish_from(2);
	m = take();
	cr_assert_eq(m.publisher, 0);
	release(&m);
	m = take();
	cr_assert_eq(m.publisher, 2);
	release(&m);
}

Test(reader, more_held_than_declared_is_refused_until_one_is_back)
{
	struct zcp_reader_message held[MAX_HELD], m;

	for (int i = 0; i < MAX_HELD; i++) {
		(void)publish_from(0);
		held[i] = take();
	}
	(void)publish_from(0);
	cr_assert_eq(zcp_reader_take(&reader, &m), ZCP_READER_E_HELD);
	release(&held[3]);
	held[3] = take();
	cr_assert_eq(held[3].seq, MAX_HELD + 1);
	cr_assert_eq(held[3].n_lost, 0);
	for (int i = 0; i < MAX_HELD; i++)
		release(&held[i]);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
}

Test(reader, counts_for_the_runtime_are_what_was_taken_and_lost)
{
	const struct zcp_subscriber_slot_shm *slot = &bed.view.topic.subscribers[1];

	for (int i = 0; i < 10; i++)
		(void)publish_from(0);
	assert_next(7, 6);
	for (uint64_t seq = 8; seq <= 10; seq++)
		assert_next(seq, 0);
	assert_empty();
	cr_assert_eq(zcp_test_load(&slot->n_taken), 4);
	cr_assert_eq(zcp_test_load(&slot->n_lost), 6);
}

Test(reader, first_look_begins_with_what_was_sent_since_the_join)
{
	(void)publish_from(0);
	(void)publish_from(0);
	zcp_reader_deinit(&reader);
	zcp_testbed_reader(&bed.view, &subscriber, &reader);
	assert_next(1, 0);
	assert_next(2, 0);
	/* Those of before the join were not for us, and are not lost. */
	zcp_testbed_leave(&bed, &subscriber);
	for (int i = 0; i < 9; i++)
		(void)publish_from(0);
	zcp_testbed_join(&bed, &subscriber);
	zcp_reader_deinit(&reader);
	(void)publish_from(0);
	zcp_testbed_reader(&bed.view, &subscriber, &reader);
	(void)publish_from(0);
	assert_next(12, 0);
	assert_next(13, 0);
	assert_empty();
}

Test(reader, what_was_pushed_out_before_the_first_look_is_lost_where_the_start_is_known)
{
	const uint64_t starts[] = { 3, 1 };
	struct zcp_reader_options options = subscriber;

	/* 1 and 2 were not for us; 3 to 6 were, and 7 to 10 have pushed them out. */
	for (int i = 0; i < 10; i++)
		(void)publish_from(0);
	(void)publish_from(1);
	zcp_reader_deinit(&reader);
	options.starts = starts;
	options.n_starts = 2;
	zcp_testbed_reader(&bed.view, &options, &reader);
	cr_assert_null(reader.options.starts);
	assert_next(7, 4);
	{
		struct zcp_reader_message m = take();

		cr_assert_eq(m.publisher, 1);
		cr_assert_eq(m.n_lost, 0);
		release(&m);
	}
	/* One that pushed to us before it had to, and a slot that got its publisher later. */
	zcp_reader_deinit(&reader);
	(void)publish_from(2);
	options.starts = (const uint64_t[]){ 9, 2 };
	zcp_testbed_reader(&bed.view, &options, &reader);
	assert_next(8, 0);
	{
		struct zcp_reader_message m = take();

		cr_assert_eq(m.publisher, 2);
		cr_assert_eq(m.seq, 1);
		release(&m);
	}
	assert_next(9, 0);
	assert_next(10, 0);
	assert_empty();
}

Test(reader, place_where_nothing_is_held_cannot_be_released)
{
	struct zcp_reader_message m, other;

	(void)publish_from(0);
	(void)publish_from(0);
	m = take();
	other = take();
	for (uint32_t place = 0; place < MAX_HELD; place++)
		if (place != m.place && place != other.place)
			cr_assert_eq(zcp_reader_release(&reader, place), -EINVAL);
	cr_assert_eq(zcp_reader_release(&reader, MAX_HELD), -EINVAL);
	cr_assert_eq(zcp_reader_release(&reader, UINT32_MAX), -EINVAL);
	release(&m);
	cr_assert_eq(zcp_reader_release(&reader, m.place), -EINVAL);
	cr_assert_eq(zcp_reader_n_held(&reader), 1);
	cr_assert(zcp_chunk_has_holder(other.chunk.descriptor, HOLDER));
	release(&other);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
}

Test(reader, numbers_wrap_at_2_to_the_32_with_nothing_lost)
{
	static const uint64_t starts[] = { (UINT64_C(1) << 31) - 4, (UINT64_C(1) << 32) - 4,
					   (UINT64_C(7) << 32) - 4 };

	for (int i = 0; i < 3; i++) {
		zcp_testbed_leave(&bed, &subscriber);
		go_on_at(starts[i]);
		zcp_testbed_join(&bed, &subscriber);
		zcp_reader_deinit(&reader);
		zcp_testbed_reader(&bed.view, &subscriber, &reader);
		for (uint64_t seq = starts[i]; seq < starts[i] + 20; seq++) {
			(void)publish_from(0);
			assert_next(seq, 0);
		}
		assert_empty();
	}
}

/* Sends four messages after a gap of `lag` numbers, and takes them. */
static void take_after(uint64_t lag)
{
	uint64_t expected = reader.cursors[0].seq, seq = expected + lag;

	go_on_at(seq);
	for (int i = 0; i < 4; i++)
		(void)publish_from(0);
	/* One that sleeps looks so, one that polls comes to it after a while. */
	cr_assert(zcp_reader_is_ready(&reader));
	assert_next(seq, lag);
	for (uint64_t i = 1; i < 4; i++)
		assert_next(seq + i, 0);
	assert_empty();
	cr_assert_eq(reader.cursors[0].seq, expected + lag + 4);
}

Test(reader, lag_is_lost_to_the_message_however_long)
{
	static const uint64_t lags[] = {
		0,
		1,
		4,
		5,
		1000,
		(UINT64_C(1) << 31) - 8,
		(UINT64_C(1) << 31) - 4,
		UINT64_C(1) << 31,
		(UINT64_C(1) << 31) + 4,
		(UINT64_C(3) << 30) + 1,
		(UINT64_C(1) << 32) - 4,
		UINT64_C(1) << 32,
		(UINT64_C(1) << 32) + 4,
		(UINT64_C(1) << 32) + 1000,
		(UINT64_C(3) << 31) + 8,
		(UINT64_C(9) << 32) + 12,
	};

	for (size_t i = 0; i < sizeof(lags) / sizeof(lags[0]); i++) {
		/* Multiples of the capacity keep what was pushed out known to the publisher. */
		take_after(lags[i] / 4 * 4);
		cr_assert_eq(zcp_testbed_n_busy(&bed), 0, "lag %llu", (unsigned long long)lags[i]);
	}
}

Test(reader, polling_subscriber_finds_back_after_2_to_the_31)
{
	struct zcp_reader_message m;
	int n = 0;

	go_on_at(1 + (UINT64_C(1) << 31));
	(void)publish_from(0);
	while (zcp_reader_take(&reader, &m) == ZCP_READER_E_EMPTY)
		cr_assert_lt(n++, 5000);
	cr_assert_eq(m.seq, 1 + (UINT64_C(1) << 31));
	cr_assert_eq(m.n_lost, UINT64_C(1) << 31);
	release(&m);
}

Test(reader, one_whose_publisher_was_inside_a_publish_at_the_join_finds_it)
{
	/* Message 1 was under way without us: 2 is the first of ours. */
	zcp_test_store(&bed.view.topic.shm->active[0], 0);
	zcp_test_store(&bed.view.topic.shm->version, 100);
	(void)publish_from(0);
	zcp_test_store(&bed.view.topic.shm->active[0], 2);
	zcp_test_store(&bed.view.topic.shm->version, 101);
	(void)publish_from(0);
	cr_assert(zcp_reader_is_ready(&reader));
	assert_next(2, 1);
}

/* A good message after it comes through, with one more counted as lost. */
static void assert_one_lost_and_the_next_fine(uint64_t seq)
{
	assert_empty();
	(void)publish_from(0);
	assert_next(seq, 1);
}

Test(reader, ref_out_of_range_is_lost)
{
	uint64_t n = 1;

	static const uint32_t refs[] = { N_CHUNKS, ZCP_REF_INDEX_MASK, 1U << 24 | 4 };

	for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
		(void)publish_from(0);
		zcp_test_store(slot_word(n), zcp_slot(n, ZCP_SLOT_LIVE, refs[i]));
		assert_one_lost_and_the_next_fine(n + 1);
		n += 2;
	}
}

Test(reader, ref_of_another_chunk_is_lost)
{
	uint32_t theirs = publish_from(1);

	/* One that is ours as well, but of another number; it stays what it is. */
	(void)publish_from(0);
	(void)publish_from(0);
	zcp_test_store(slot_word(2), zcp_slot(2, ZCP_SLOT_LIVE, theirs));
	assert_next(1, 0);
	{
		struct zcp_reader_message m = take();

		cr_assert_eq(m.publisher, 1);
		cr_assert_eq(m.seq, 1);
		release(&m);
	}
	assert_one_lost_and_the_next_fine(3);
	/* One that is free. */
	(void)publish_from(0);
	zcp_test_store(slot_word(4), zcp_slot(4, ZCP_SLOT_LIVE, N_CHUNKS - 1));
	assert_one_lost_and_the_next_fine(5);
}

Test(reader, message_with_another_number_is_lost)
{
	struct zcp_chunk chunk;

	chunk = chunk_of(publish_from(0));
	zcp_test_store(&chunk.descriptor->seq, 2);
	assert_one_lost_and_the_next_fine(2);
}

Test(reader, message_with_an_older_number_of_the_same_32_bits_is_lost)
{
	struct zcp_chunk chunk;

	zcp_testbed_leave(&bed, &subscriber);
	go_on_at((UINT64_C(5) << 32) + 1);
	zcp_testbed_join(&bed, &subscriber);
	zcp_reader_deinit(&reader);
	zcp_testbed_reader(&bed.view, &subscriber, &reader);
	chunk = chunk_of(publish_from(0));
	zcp_test_store(&chunk.descriptor->seq, (UINT64_C(4) << 32) + 1);
	assert_one_lost_and_the_next_fine((UINT64_C(5) << 32) + 2);
}

Test(reader, message_without_our_bit_is_lost)
{
	struct zcp_chunk chunk;

	chunk = chunk_of(publish_from(0));
	zcp_chunk_release(chunk.descriptor, HOLDER);
	zcp_test_store(&chunk.descriptor->holders[0], UINT64_MAX);
	assert_one_lost_and_the_next_fine(2);
}

Test(reader, payload_larger_than_its_chunk_is_lost)
{
	static const uint64_t sizes[] = { PAYLOAD + 1, UINT64_C(1) << 32, UINT64_MAX };
	struct zcp_chunk chunk;

	for (uint64_t i = 0; i < 3; i++) {
		chunk = chunk_of(publish_from(0));
		zcp_test_store(&chunk.header->payload_size, sizes[i]);
		assert_one_lost_and_the_next_fine(2 * i + 2);
	}
}

Test(reader, slots_full_of_nonsense_do_no_harm)
{
	uint32_t random = 1;

	for (int round = 0; round < 20000; round++) {
		struct zcp_reader_message m;
		uint64_t word = (uint64_t)zcp_test_random(&random) << 32;

		word |= zcp_test_random(&random);
		/* Half of them near what is expected, so that they get further. */
		if (zcp_test_random(&random) % 2)
			word = zcp_slot(reader.cursors[0].seq + zcp_test_random(&random) % 8,
					word & ZCP_SLOT_LIVE, (uint32_t)word % (N_CHUNKS + 2));
		zcp_test_store(slot_word(zcp_test_random(&random)), word);
		zcp_test_store(&bed.view.pool.classes[0].chunks[round % N_CHUNKS].holders[1],
			       UINT64_MAX);
		zcp_test_store(&bed.view.pool.classes[0].chunks[round % N_CHUNKS].seq,
			       reader.cursors[0].seq + zcp_test_random(&random) % 4);
		switch (zcp_reader_take(&reader, &m)) {
		case 0:
			ZCP_CHECK(m.size <= m.chunk.payload_size);
			release(&m);
			break;
		case ZCP_READER_E_UNMAPPED:
			zcp_reader_lose_message(&reader, &m);
		}
		ZCP_CHECK(zcp_reader_n_held(&reader) == 0);
		(void)zcp_reader_is_ready(&reader);
	}
}

Test(reader, used_publishers_that_lie_do_no_harm)
{
	_Atomic uint64_t *used = &bed.view.topic.shm->used;
	struct zcp_reader_message m;

	(void)publish_from(2);
	/* More than there are slots: the lanes that there are. */
	zcp_test_store(used, UINT64_MAX);
	m = take();
	cr_assert_eq(m.publisher, 2);
	release(&m);
	assert_empty();
	cr_assert_not(zcp_reader_is_ready(&reader));
	/* None, or fewer than there were: those are not looked at, and nothing breaks. */
	(void)publish_from(2);
	for (uint64_t fewer = 0; fewer < 4; fewer++) {
		zcp_test_store(used, fewer);
		assert_empty();
		cr_assert_not(zcp_reader_is_ready(&reader));
	}
	zcp_test_store(used, 7);
	m = take();
	cr_assert_eq(m.publisher, 2);
	release(&m);
}

/* A reader whose process has only the first size class, and a message in the second. */
static uint32_t publish_unmapped(struct zcp_testbed_view *view)
{
	const char *why;
	uint32_t ref = 0;

	zcp_testbed_attach(&bed, view, false);
	zcp_pool_deinit(&view->pool);
	cr_assert_eq(zcp_pool_attach(&view->pool, bed.chunks_fds[0], bed.readonly_fds[0],
				     ZCP_TESTBED_DOMAIN, false, &why),
		     0);
	zcp_reader_deinit(&reader);
	zcp_testbed_reader(view, &subscriber, &reader);
	cr_assert_eq(zcp_writer_loan(&writers[0], 500, &ref), 0);
	cr_assert_eq(zcp_writer_publish(&writers[0], ref, 500, 0), 0);
	return ref;
}

Test(reader, message_in_a_class_that_is_not_mapped_can_be_opened_later)
{
	struct zcp_testbed_view view;
	struct zcp_reader_message m;
	const char *why;
	uint32_t ref = publish_unmapped(&view);

	cr_assert_eq(zcp_reader_take(&reader, &m), ZCP_READER_E_UNMAPPED);
	cr_assert_eq(m.ref, ref);
	cr_assert_eq(zcp_reader_n_held(&reader), 0);
	cr_assert_eq(zcp_pool_attach(&view.pool, bed.chunks_fds[1], bed.readonly_fds[1],
				     ZCP_TESTBED_DOMAIN, false, &why),
		     0);
	cr_assert_eq(zcp_reader_open_message(&reader, &m), 0);
	cr_assert_eq(m.size, 500);
	cr_assert_eq(m.seq, 1);
	release(&m);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
	zcp_reader_deinit(&reader);
	zcp_testbed_detach(&view);
}

Test(reader, message_in_a_class_that_is_not_to_be_had_is_lost)
{
	struct zcp_testbed_view view;
	struct zcp_reader_message m;

	(void)publish_unmapped(&view);
	cr_assert_eq(zcp_reader_take(&reader, &m), ZCP_READER_E_UNMAPPED);
	zcp_reader_lose_message(&reader, &m);
	assert_one_lost_and_the_next_fine(2);
	/* Opened all the same it is corrupt, and lost once. */
	zcp_test_store(slot_word(3), zcp_slot(3, ZCP_SLOT_LIVE, zcp_ref(63, 0)));
	cr_assert_eq(zcp_reader_take(&reader, &m), ZCP_READER_E_UNMAPPED);
	cr_assert_eq(zcp_reader_open_message(&reader, &m), ZCP_READER_E_EMPTY);
	cr_assert_eq(zcp_reader_n_held(&reader), 0);
	cr_assert_eq(reader.cursors[0].n_lost, 1);
	zcp_reader_deinit(&reader);
	zcp_testbed_detach(&view);
}

Test(reader, arming_sets_our_bit_once)
{
	_Atomic uint64_t *sleepers = &bed.view.topic.shm->sleepers[0];

	zcp_test_store(sleepers, 4);
	zcp_reader_arm(&reader);
	cr_assert_eq(zcp_test_load(sleepers), 6);
	zcp_test_store(sleepers, 0);
	zcp_reader_arm(&reader);
	cr_assert_eq(zcp_test_load(sleepers), 0);
}

Test(reader, ready_is_what_a_take_would_find)
{
	cr_assert_not(zcp_reader_is_ready(&reader));
	(void)publish_from(2);
	cr_assert(zcp_reader_is_ready(&reader));
	{
		struct zcp_reader_message m = take();

		cr_assert_not(zcp_reader_is_ready(&reader));
		release(&m);
	}
	cr_assert_not(zcp_reader_is_ready(&reader));
}

Test(reader, take_wakes_a_publisher_that_waits_for_room)
{
	struct zcp_publisher_slot_shm *slot = &bed.view.topic.publishers[0];

	zcp_testbed_leave(&bed, &subscriber);
	subscriber.blocks = true;
	zcp_testbed_join(&bed, &subscriber);
	zcp_reader_deinit(&reader);
	zcp_testbed_reader(&bed.view, &subscriber, &reader);
	zcp_test_store(&slot->room, UINT32_MAX);
	(void)publish_from(0);
	(void)publish_from(0);
	assert_next(1, 0);
	cr_assert_eq(zcp_test_load(&slot->room), UINT32_MAX);
	zcp_test_store(&slot->waiting, 1);
	assert_next(2, 0);
	cr_assert_eq(zcp_test_load(&slot->room), 0);
	/* What the waiter wrote stays the waiter's. */
	cr_assert_eq(zcp_test_load(&slot->waiting), 1);
	assert_empty();
	cr_assert_eq(zcp_test_load(&slot->room), 0);
}
