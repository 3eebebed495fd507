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
	cr_assert(zcp_test_is_filled(m.payload, m.size, 0, 1));
	cr_assert_eq(zcp_testbed_n_busy(&bed), 1);
	release(&m);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
	assert_empty();
}

Test(reader, user_header_stands_before_the_message)
{
	struct zcp_reader_message m;
	char *user_header;

	(void)publish_large(0, USER_HEADER);
	m = take();
	cr_assert_eq(m.user_header_size, USER_HEADER);
	user_header = zcp_user_header(m.payload, m.user_header_size);
	cr_assert_eq((char *)m.payload - user_header, 128);
	cr_assert_eq((uintptr_t)user_header % 64, 0);
	release(&m);

	/* A message without one. */
	(void)publish_large(0, 0);
	m = take();
	cr_assert_eq(m.user_header_size, 0);
	cr_assert_null(zcp_user_header(m.payload, m.user_header_size));
	release(&m);
}

/* Subscribers map everything but what they say of themselves for reading. */
Test(reader, message_is_taken_by_one_who_can_write_nothing_but_acks)
{
	struct zcp_testbed_view view;
	struct zcp_reader_message m;

	zcp_testbed_attach(&bed, &view, false);
	zcp_reader_deinit(&reader);
	zcp_testbed_reader(&view, &subscriber, &reader);
	for (uint64_t seq = 1; seq <= 20; seq++) {
		(void)publish_from(0);
		assert_next(seq, 0);
		(void)publish_from(1);
		(void)publish_from(1);
		cr_assert_eq(zcp_reader_latest(&reader, &m), 0);
		cr_assert_eq(m.seq, 2 * seq);
		release(&m);
	}
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
	zcp_reader_deinit(&reader);
	zcp_testbed_detach(&view);
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
	const struct zcp_ack_counts_shm *counts = zcp_acks_counts(&bed.view.acks, 1);

	for (int i = 0; i < 10; i++)
		(void)publish_from(0);
	assert_next(7, 6);
	for (uint64_t seq = 8; seq <= 10; seq++)
		assert_next(seq, 0);
	assert_empty();
	cr_assert_eq(zcp_test_load(&counts->n_taken), 4);
	cr_assert_eq(zcp_test_load(&counts->n_lost), 6);
	/* What is lost in the slot goes on with its next subscriber, what is taken does not. */
	join_anew();
	for (int i = 0; i < 5; i++)
		(void)publish_from(0);
	assert_next(12, 1);
	cr_assert_eq(zcp_test_load(&counts->n_taken), 1);
	cr_assert_eq(zcp_test_load(&counts->n_lost), 7);
}

Test(reader, first_take_begins_with_what_was_sent_since_the_join)
{
	(void)publish_from(0);
	(void)publish_from(0);
	begin_anew(&subscriber);
	assert_next(1, 0);
	assert_next(2, 0);
	/* Those of before the join were not for us, and are not lost. */
	zcp_testbed_leave(&bed, &subscriber);
	for (int i = 0; i < 9; i++)
		(void)publish_from(0);
	zcp_testbed_join(&bed, &subscriber, 0);
	(void)publish_from(0);
	begin_anew(&subscriber);
	(void)publish_from(0);
	assert_next(12, 0);
	assert_next(13, 0);
	assert_empty();
}

Test(reader, what_was_pushed_out_before_the_first_take_is_lost)
{
	struct zcp_reader_message m;

	zcp_testbed_leave(&bed, &subscriber);
	(void)publish_from(0);
	(void)publish_from(0);
	zcp_testbed_join(&bed, &subscriber, 0);
	/* 1 and 2 were not for us; 3 to 6 were, and 7 to 10 have pushed them out. */
	for (int i = 0; i < 8; i++)
		(void)publish_from(0);
	(void)publish_from(1);
	begin_anew(&subscriber);
	assert_next(7, 4);
	m = take();
	cr_assert_eq(m.publisher, 1);
	cr_assert_eq(m.n_lost, 0);
	release(&m);
	for (uint64_t seq = 8; seq <= 10; seq++)
		assert_next(seq, 0);
	assert_empty();
}

/* What the lane is like after a join whose publisher was stopped inside op. */
Test(reader, lane_that_is_not_settled_is_empty_until_its_publisher_goes_on)
{
	zcp_testbed_leave(&bed, &subscriber);
	(void)publish_from(0);
	(void)publish_from(0);
	zcp_testbed_join(&bed, &subscriber, 0);
	zcp_test_store(&zcp_topic_lane(&bed.view.topic, &bed.view.acks, 0, 1, DEPTH_LOG2).shm->base,
		       0);
	zcp_test_store(&ack_of(0)->tail, 1);
	zcp_test_store(&ack_of(0)->floor, 1);
	begin_anew(&subscriber);
	assert_empty();
	cr_assert_not(zcp_reader_is_ready(&reader));
	cr_assert_eq(zcp_reader_arm(&reader), 0);
	cr_assert_eq(zcp_test_load(&ack_of(0)->released), 1);
	/* The others are not held up by it. */
	(void)publish_from(2);
	{
		struct zcp_reader_message m = take();

		cr_assert_eq(m.publisher, 2);
		release(&m);
	}
	(void)publish_from(0);
	cr_assert(zcp_reader_is_ready(&reader));
	assert_next(3, 0);
	cr_assert_eq(zcp_test_load(&ack_of(0)->tail), 4);
	cr_assert_eq(zcp_test_load(&ack_of(0)->floor), 3);
	assert_empty();
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
}

Test(reader, what_is_held_stands_in_its_place_before_it_is_taken)
{
	const _Atomic uint64_t *held = zcp_acks_held(&bed.view.acks, 1);
	const struct zcp_ack_counts_shm *counts = zcp_acks_counts(&bed.view.acks, 1);
	struct zcp_reader_message m[3];

	for (uint32_t p = 0; p < 3; p++) {
		(void)publish_from(p);
		m[p] = take();
		cr_assert_eq(m[p].place, p);
		cr_assert_eq(m[p].held, zcp_held(p, 1));
		cr_assert_eq(zcp_test_load(&held[p]), zcp_held(p, 1));
		cr_assert_eq(zcp_test_load(&counts->n_held), p + 1);
		cr_assert_eq(use_of(p, 1), ZCP_USE_HELD);
	}
	cr_assert_eq(zcp_reader_n_held(&reader), 3);
	release(&m[1]);
	cr_assert_eq(zcp_test_load(&held[1]), 0);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 2);
	release(&m[0]);
	release(&m[2]);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
}

Test(reader, few_places_are_used_where_few_messages_are_held)
{
	struct zcp_reader_message before, m;

	(void)publish_from(0);
	before = take();
	for (int i = 0; i < 100; i++) {
		(void)publish_from(0);
		m = take();
		release(&before);
		before = m;
	}
	cr_assert_leq(zcp_test_load(&zcp_acks_counts(&bed.view.acks, 1)->n_held), 2);
	release(&before);
}

Test(reader, released_is_what_is_given_back_without_a_gap)
{
	struct zcp_reader_message m[3];

	for (int i = 0; i < 3; i++) {
		(void)publish_from(0);
		m[i] = take();
	}
	cr_assert_eq(zcp_reader_arm(&reader), 0);
	cr_assert_eq(zcp_test_load(&ack_of(0)->released), 1);
	release(&m[1]);
	cr_assert_eq(zcp_reader_arm(&reader), 0);
	cr_assert_eq(zcp_test_load(&ack_of(0)->released), 1);
	release(&m[0]);
	cr_assert_eq(zcp_reader_arm(&reader), 0);
	cr_assert_eq(zcp_test_load(&ack_of(0)->released), 3);
	/* Or at the next take. */
	release(&m[2]);
	cr_assert_eq(zcp_test_load(&ack_of(0)->released), 3);
	assert_empty();
	cr_assert_eq(zcp_test_load(&ack_of(0)->released), 4);
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
	cr_assert_eq(zcp_reader_release(&reader, MAX_HELD, m.held), -EINVAL);
	cr_assert_eq(zcp_reader_release(&reader, UINT32_MAX, m.held), -EINVAL);
	release(&m);
	cr_assert_eq(zcp_reader_release(&reader, m.place, m.held), -EINVAL);
	/* A copy of another message's sample, from before: not this one. */
	cr_assert_eq(zcp_reader_release(&reader, other.place, other.held - 1), -EINVAL);
	cr_assert_eq(zcp_reader_release(&reader, other.place, 0), -EINVAL);
	cr_assert_eq(zcp_reader_n_held(&reader), 1);
	cr_assert_eq(use_of(0, 2), ZCP_USE_HELD);
	release(&other);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
}

Test(reader, place_that_has_another_message_by_now_is_not_released)
{
	struct zcp_reader_message before, m;

	(void)publish_from(0);
	before = take();
	release(&before);
	(void)publish_from(0);
	m = take();
	cr_assert_eq(m.place, before.place);
	cr_assert_eq(zcp_reader_release(&reader, before.place, before.held), -EINVAL);
	cr_assert_eq(use_of(0, 2), ZCP_USE_HELD);
	release(&m);
}

Test(reader, numbers_wrap_at_2_to_the_32_with_nothing_lost)
{
	static const uint64_t starts[] = { (UINT64_C(1) << 31) - 4, (UINT64_C(1) << 32) - 4,
					   (UINT64_C(7) << 32) - 4 };

	for (int i = 0; i < 3; i++) {
		zcp_testbed_leave(&bed, &subscriber);
		go_on_at(starts[i]);
		join_anew();
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
	uint64_t expected = reader.lanes[0].next, seq = expected + lag;

	go_on_at(seq);
	for (int i = 0; i < 4; i++)
		(void)publish_from(0);
	cr_assert(zcp_reader_is_ready(&reader));
	assert_next(seq, lag);
	for (uint64_t i = 1; i < 4; i++)
		assert_next(seq + i, 0);
	assert_empty();
	cr_assert_eq(reader.lanes[0].next, expected + lag + 4);
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
		take_after(lags[i]);
		cr_assert_eq(zcp_testbed_n_busy(&bed), 0, "lag %llu", (unsigned long long)lags[i]);
	}
}

Test(reader, arming_sets_our_bit_once)
{
	_Atomic uint64_t *sleepers = &bed.view.acks.shm->sleepers[0];

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
	_Atomic uint32_t *room = &bed.view.acks.shm->rooms[0].room;
	struct zcp_reader_message m;

	subscriber.blocks = true;
	join_anew();
	zcp_test_store(room, UINT32_MAX);
	for (int i = 0; i < 3; i++)
		(void)publish_from(0);
	assert_next(1, 0);
	cr_assert_eq(zcp_test_load(room), UINT32_MAX);
	/* It has waited once, and does not now. */
	zcp_test_store(&slot->has_waited, 1);
	assert_next(2, 0);
	cr_assert_eq(zcp_test_load(room), UINT32_MAX);
	zcp_test_store(&slot->waiting, 1);
	assert_next(3, 0);
	cr_assert_eq(zcp_test_load(room), 0);
	/* What the waiter wrote stays the waiter's. */
	cr_assert_eq(zcp_test_load(&slot->waiting), 1);
	assert_empty();
	cr_assert_eq(zcp_test_load(room), 0);
	/* One that is given up makes room as well. */
	(void)publish_from(0);
	zcp_test_store(slot_word(4), zcp_slot_word(4, zcp_ref(63, 0)));
	cr_assert_eq(zcp_reader_take(&reader, &m), ZCP_READER_E_UNMAPPED);
	zcp_reader_lose(&reader, &m);
	cr_assert_eq(zcp_test_load(room), 1);
	/* And so do those that are passed over. */
	(void)publish_from(0);
	(void)publish_from(0);
	cr_assert_eq(zcp_reader_latest(&reader, &m), 0);
	cr_assert_eq(m.seq, 6);
	cr_assert_geq(zcp_test_load(room), 2);
	release(&m);
}
