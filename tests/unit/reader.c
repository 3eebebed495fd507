/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscriber's end: whose turn it is, limits, numbers that wrap, and sleeping.
 */
#include "tests/unit/reader_helpers.h"

TestSuite(reader, .init = setup, .fini = teardown, .timeout = 20);

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

Test(reader, user_header_stands_before_the_message)
{
	struct zcp_reader_message m;
	char *user_header;

	writers[0].options.user_header_size = USER_HEADER;
	(void)publish_large();
	m = take();
	cr_assert_eq(m.user_header_size, USER_HEADER);
	user_header = zcp_chunk_user_header(&m.chunk, m.user_header_size);
	cr_assert_eq((char *)m.chunk.header - user_header, 128);
	cr_assert_eq((uintptr_t)user_header % 64, 0);
	release(&m);

	/* A message without one. */
	writers[0].options.user_header_size = 0;
	(void)publish_large();
	m = take();
	cr_assert_eq(m.user_header_size, 0);
	cr_assert_null(zcp_chunk_user_header(&m.chunk, m.user_header_size));
	release(&m);
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

Test(reader, message_that_is_not_held_cannot_be_released)
{
	struct zcp_reader_message m, other;

	(void)publish_from(0);
	(void)publish_from(0);
	m = take();
	other = take();
	for (uint32_t place = 0; place < MAX_HELD; place++)
		if (place != m.place && place != other.place)
			cr_assert_eq(zcp_reader_release(&reader, place, 0), -EINVAL);
	cr_assert_eq(zcp_reader_release(&reader, MAX_HELD, 0), -EINVAL);
	cr_assert_eq(zcp_reader_release(&reader, UINT32_MAX, 0), -EINVAL);
	release(&m);
	cr_assert_eq(zcp_reader_release(&reader, m.place, m.ticket), -EINVAL);
	/* A copy of another message's sample, from before: not this one. */
	cr_assert_eq(zcp_reader_release(&reader, other.place, other.ticket - 1), -EINVAL);
	cr_assert_eq(zcp_reader_n_held(&reader), 1);
	cr_assert(zcp_chunk_has_holder(other.chunk.descriptor, HOLDER));
	release(&other);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
}

Test(reader, tickets_wrap_and_tell_a_stale_copy_still)
{
	struct zcp_reader_message before, m;

	for (uint32_t place = 0; place < MAX_HELD; place++)
		zcp_test_store(&reader.places[place].ticket, UINT32_MAX - 1);
	(void)publish_from(0);
	before = m = take();
	cr_assert_eq(before.ticket, UINT32_MAX);
	/* Until the place has its turn again. */
	do {
		release(&m);
		(void)publish_from(0);
		m = take();
	} while (m.place != before.place);
	cr_assert_eq(m.ticket, 0);
	cr_assert_eq(zcp_reader_release(&reader, before.place, before.ticket), -EINVAL);
	cr_assert(zcp_chunk_has_holder(m.chunk.descriptor, HOLDER));
	release(&m);
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

Test(reader, arming_sets_our_bit_once)
{
	_Atomic uint64_t *sleepers = &bed.view.topic.shm->sleepers[0];

	zcp_test_store(sleepers, 4);
	ZCP_CHECK(zcp_reader_arm(&reader) == 0);
	cr_assert_eq(zcp_test_load(sleepers), 6);
	zcp_test_store(sleepers, 0);
	ZCP_CHECK(zcp_reader_arm(&reader) == 0);
	cr_assert_eq(zcp_test_load(sleepers), 0);
}

Test(reader, release_wakes_one_that_sleeps_because_it_holds_all_it_may)
{
	struct zcp_reader_message held[MAX_HELD];

	for (int i = 0; i < MAX_HELD; i++) {
		(void)publish_from(0);
		held[i] = take();
	}
	(void)publish_from(0);
	cr_assert_not(zcp_reader_is_starved(&reader));
	cr_assert_eq(zcp_reader_arm(&reader), 0);
	cr_assert_not(zcp_reader_is_ready(&reader));
	cr_assert(zcp_reader_is_starved(&reader));
	release(&held[0]);
	cr_assert(zcp_reader_is_starved(&reader));
	cr_assert(zcp_reader_is_ready(&reader));
	zcp_reader_disarm(&reader);
	cr_assert_not(zcp_reader_is_starved(&reader));
	held[0] = take();
	/* Again, now that publishers know already that it sleeps. */
	cr_assert_eq(zcp_reader_arm(&reader), 0);
	cr_assert(zcp_reader_is_starved(&reader));
	zcp_reader_disarm(&reader);
	release(&held[0]);
	/* With room to hold another one it is not starved. */
	cr_assert_eq(zcp_reader_arm(&reader), 0);
	cr_assert_not(zcp_reader_is_starved(&reader));
	for (int i = 1; i < MAX_HELD; i++)
		release(&held[i]);
}

Test(reader, lane_that_may_be_unsure_is_found_by_the_first_take)
{
	struct zcp_reader_message m;

	/* As in one_whose_publisher_was_inside_a_publish_at_the_join_finds_it. */
	reader.options.unsure = true;
	zcp_test_store(&bed.view.topic.shm->active[0], 0);
	zcp_test_store(&bed.view.topic.shm->version, 100);
	(void)publish_from(0);
	zcp_test_store(&bed.view.topic.shm->active[0], 2);
	zcp_test_store(&bed.view.topic.shm->version, 101);
	(void)publish_from(0);
	cr_assert_eq(zcp_reader_take(&reader, &m), ZCP_READER_E_EMPTY);
	assert_next(2, 1);
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
	/* One that is given up makes room as well. */
	(void)publish_from(0);
	zcp_test_store(slot_word(3), zcp_slot(3, ZCP_SLOT_LIVE, zcp_ref(63, 0)));
	{
		struct zcp_reader_message m;

		cr_assert_eq(zcp_reader_take(&reader, &m), ZCP_READER_E_UNMAPPED);
		zcp_reader_lose(&reader, &m);
	}
	cr_assert_eq(zcp_test_load(&slot->room), 1);
}
