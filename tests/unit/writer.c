/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A publisher's end: loans, what a publish leaves behind, who gets it, and waiting for room.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <zcp/subscriber.h>

#include "tests/unit/writer_helpers.h"

TestSuite(writer, .init = setup, .fini = teardown, .timeout = 20);

/* --- loans --- */

Test(writer, loan_is_of_the_publisher_s_class_whatever_its_size)
{
	struct zcp_writer_options options = writer.options;
	struct zcp_writer_loan l;

	l = loan();
	cr_assert_eq(zcp_ref_class(l.ref), 0);
	cr_assert_eq(l.capacity, SMALL);
	cr_assert_eq(l.chunk, chunk_of(l.ref));
	cr_assert_eq(l.payload, zcp_class_payload(&bed.view.pool.classes[0], zcp_ref_index(l.ref)));
	options.class_index = 2;
	options.max_payload = LARGE;
	begin_anew(&options);
	cr_assert_eq(zcp_writer_loan(&writer, 0, &l), 0);
	cr_assert_eq(zcp_ref_class(l.ref), 2);
	cr_assert_eq(l.capacity, LARGE);
	cr_assert_eq(l.payload, zcp_class_payload(&bed.view.pool.classes[2], zcp_ref_index(l.ref)));
}

Test(writer, class_that_has_no_room_or_is_not_there_is_refused)
{
	const struct zcp_writer_options good = writer.options;
	struct zcp_writer_options wrong[3] = { good, good, good };
	struct zcp_writer other = { .topic = NULL };

	wrong[0].user_header_size = 1;
	wrong[1].max_payload = SMALL + 1;
	wrong[2].class_index = 1;
	wrong[2].max_payload = 0;
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(zcp_writer_init(&other, &bed.view.topic, &bed.view.acks,
					     &bed.view.pool, &bed.view.signals, &wrong[i]),
			     -EPROTO);
		cr_assert_null(other.lanes);
	}
}

Test(writer, loan_above_the_publisher_s_own_limit_is_too_large)
{
	struct zcp_writer_loan l = { .ref = 77 };

	writer.options.max_payload = 40;
	cr_assert_eq(zcp_writer_loan(&writer, 41, &l), ZCP_WRITER_E_TOO_LARGE);
	cr_assert_eq(zcp_writer_loan(&writer, UINT64_MAX, &l), ZCP_WRITER_E_TOO_LARGE);
	cr_assert_eq(l.ref, 77);
	cr_assert_eq(zcp_testbed_n_owned(&bed), 0);
	cr_assert_eq(zcp_writer_loan(&writer, 40, &l), 0);
}

Test(writer, loan_without_a_free_chunk_is_exhausted_and_counted)
{
	struct zcp_writer_options options = writer.options;
	struct zcp_writer_loan l, first;

	options.class_index = 2;
	begin_anew(&options);
	first = loan();
	for (int i = 1; i < N_LARGE; i++)
		(void)loan();
	l.ref = 77;
	for (uint64_t i = 1; i < 4; i++) {
		cr_assert_eq(zcp_writer_loan(&writer, SMALL, &l), ZCP_WRITER_E_EXHAUSTED);
		cr_assert_eq(zcp_test_load(&own_slot()->n_exhausted), i);
		cr_assert_eq(zcp_test_load(&own_slot()->op) % 2, 0);
	}
	cr_assert_eq(l.ref, 77);
	/* One that comes back is found. */
	zcp_writer_discard(&writer, &first);
	l = loan();
	cr_assert_eq(l.ref, first.ref);
	cr_assert_eq(zcp_writer_loan(&writer, SMALL, &l), ZCP_WRITER_E_EXHAUSTED);
	cr_assert_eq(zcp_writer_publish(&writer, &l, SMALL, 0), 0);
	(void)loan();
	cr_assert_eq(zcp_test_load(&own_slot()->n_exhausted), 4);
}

Test(writer, more_loans_than_declared_are_refused_until_one_is_back)
{
	struct zcp_writer_loan loans[N_LOANS], more = { .ref = 77 };

	for (int i = 0; i < N_LOANS; i++)
		loans[i] = loan();
	cr_assert_eq(zcp_writer_loan(&writer, SMALL, &more), ZCP_WRITER_E_LOANS);
	cr_assert_eq(more.ref, 77);
	zcp_writer_discard(&writer, &loans[3]);
	loans[3] = loan();
	cr_assert_eq(zcp_writer_loan(&writer, SMALL, &more), ZCP_WRITER_E_LOANS);
	cr_assert_eq(zcp_writer_publish(&writer, &loans[0], SMALL, 0), 0);
	(void)loan();
}

Test(writer, discarded_loan_is_spare_and_the_next)
{
	struct zcp_writer_loan l = loan();

	cr_assert_eq(zcp_testbed_n_busy(&bed), 1);
	zcp_writer_discard(&writer, &l);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
	cr_assert_eq(zcp_test_load(&chunk_of(l.ref)->state), zcp_chunk_state(1, 0));
	cr_assert_eq(zcp_test_load(&chunk_of(l.ref)->seq), 0);
	cr_assert_eq(zcp_test_load(&own_slot()->next_seq), 1);
	cr_assert_eq(loan().ref, l.ref);
}

Test(writer, more_discarded_loans_than_rotate_are_free)
{
	struct zcp_writer_loan loans[ZCP_ROTATION_SMALL + 4];

	writer.options.max_loans = ZCP_ROTATION_SMALL + 4;
	for (int i = 0; i < ZCP_ROTATION_SMALL + 4; i++)
		loans[i] = loan();
	for (int i = 0; i < ZCP_ROTATION_SMALL + 4; i++)
		zcp_writer_discard(&writer, &loans[i]);
	cr_assert_eq(zcp_testbed_n_owned(&bed), ZCP_ROTATION_SMALL);
}

Test(writer, owns_what_it_has_loaned_and_nothing_else)
{
	struct zcp_writer_loan mine = loan(), theirs, again;
	struct zcp_writer other;

	zcp_testbed_writer(&bed, &bed.view, 1, 1, &other);
	cr_assert_eq(zcp_writer_loan(&other, SMALL, &theirs), 0);
	cr_assert(zcp_writer_owns(&writer, &mine));
	cr_assert_not(zcp_writer_owns(&writer, &theirs));
	cr_assert_not(zcp_writer_owns(&other, &mine));
	/* A copy of a loan of the same chunk, from before: not this one. */
	zcp_writer_discard(&writer, &mine);
	cr_assert_not(zcp_writer_owns(&writer, &mine));
	again = loan();
	cr_assert_eq(again.ref, mine.ref);
	cr_assert_not(zcp_writer_owns(&writer, &mine));
	cr_assert(zcp_writer_owns(&writer, &again));
	cr_assert_eq(zcp_writer_publish(&writer, &again, SMALL, 0), 0);
	cr_assert_not(zcp_writer_owns(&writer, &again));
	zcp_writer_deinit(&other);
}

Test(writer, tickets_of_loans_wrap)
{
	struct zcp_writer_loan before, l;

	writer.ticket = UINT32_MAX - 1;
	before = loan();
	cr_assert_eq(before.ticket, UINT32_MAX);
	zcp_writer_discard(&writer, &before);
	l = loan();
	cr_assert_eq(l.ref, before.ref);
	cr_assert_eq(l.ticket, 0);
	cr_assert(zcp_writer_owns(&writer, &l));
	cr_assert_not(zcp_writer_owns(&writer, &before));
}

/* --- publishing --- */

Test(writer, publish_to_nobody_counts_and_its_chunk_is_back)
{
	for (uint64_t n = 1; n <= 200; n++) {
		(void)publish();
		cr_assert(writer.met & ZCP_MET_NOBODY);
		cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
		cr_assert_eq(zcp_test_load(&own_slot()->next_seq), n + 1);
		cr_assert_eq(zcp_test_load(&own_slot()->op), 4 * n);
	}
	cr_assert_leq(zcp_testbed_n_touched(&bed), ZCP_ROTATION_SMALL + 1);
}

Test(writer, publish_fills_descriptor_and_slot)
{
	const struct zcp_lane_slot_shm *slot;
	struct zcp_writer_loan l;

	writer.options.publisher_id = UINT64_C(0x123456789a);
	(void)join(0, 3, false);
	(void)publish();
	l = loan();
	cr_assert_eq(zcp_writer_publish(&writer, &l, 17, 0), 0);
	cr_assert_eq(zcp_test_load(&l.chunk->seq), 2);
	cr_assert_eq(zcp_test_load(&l.chunk->size), 17);
	cr_assert_eq(zcp_test_load(&l.chunk->publisher_id), UINT64_C(0x123456789a));
	cr_assert_neq(zcp_test_load(&l.chunk->publish_time_ns), 0);
	cr_assert_eq(zcp_test_load(&l.chunk->user_header_size), 0);
	cr_assert_eq(zcp_test_load(&l.chunk->state), zcp_chunk_state(1, 0));
	slot = slot_of(0, 3, 2);
	cr_assert_eq(zcp_test_load(&slot->word), zcp_slot_word(2, l.ref));
	cr_assert_eq(zcp_test_load(&slot->size), 17);
	cr_assert_eq(zcp_test_load(&slot->publisher_id), UINT64_C(0x123456789a));
	cr_assert_eq(zcp_test_load(&slot->publish_time_ns),
		     zcp_test_load(&l.chunk->publish_time_ns));
	cr_assert_eq(zcp_test_load(&slot->user_header_size), 0);
	cr_assert_eq(writer.met, 0);
}

Test(writer, publish_without_timestamps_says_so)
{
	writer.options.timestamps = false;
	(void)join(0, 3, false);
	cr_assert_eq(zcp_test_load(&chunk_of(publish())->publish_time_ns), 0);
	cr_assert_eq(zcp_test_load(&slot_of(0, 3, 1)->publish_time_ns), 0);
}

Test(writer, announced_chunk_is_the_next_one)
{
	struct zcp_reader_options subscriber = join(0, 3, false);
	struct zcp_reader reader;
	uint32_t announced = ZCP_REF_NONE, n = 0;

	zcp_testbed_reader(&bed.view, &subscriber, &reader);
	for (uint64_t seq = 1; seq <= 100; seq++) {
		struct zcp_reader_message m;
		uint32_t ref = publish();

		cr_assert(announced == ZCP_REF_NONE || announced == ref);
		announced = zcp_test_load(&slot_of(0, 3, seq)->next_ref);
		n += announced != ZCP_REF_NONE;
		m = take(&reader);
		release(&reader, &m);
	}
	/* One that is never announced is no announcement. */
	cr_assert_geq(n, 50);
	zcp_reader_deinit(&reader);
}

Test(writer, every_subscriber_gets_it_in_every_word_of_the_membership)
{
	static const uint32_t slots[] = { 0, 1, 63, 64, 127, 128, 129 };

	for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++)
		(void)join(slots[i], 3, false);
	(void)publish();
	for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
		cr_assert(has(slots[i], 3, 1));
		cr_assert_eq(use_of(slots[i], 1), ZCP_USE_QUEUED);
	}
	cr_assert_not(has(2, 3, 1));
}

Test(writer, who_has_left_gets_nothing_and_who_joins_gets_the_next)
{
	struct zcp_reader_options first = join(0, 3, false);
	uint32_t ref = publish();

	cr_assert(has(0, 3, 1));
	cr_assert_eq(zcp_testbed_n_busy(&bed), 1);
	(void)join(1, 3, false);
	cr_assert_not(has(1, 3, 1));
	cr_assert_eq(use_of(1, 1), ZCP_USE_NONE);
	(void)publish();
	cr_assert(has(0, 3, 2) && has(1, 3, 2));
	zcp_testbed_leave(&bed, &first);
	(void)publish();
	cr_assert_not(has(0, 3, 3));
	cr_assert(has(1, 3, 3));
	zcp_testbed_check_gone(&bed, &first);
	/* What only the first one had is back. */
	cr_assert_eq(zcp_testbed_n_busy(&bed), 2);
	for (int i = 0; i < 3 * N_SMALL; i++)
		if (publish() == ref)
			return;
	cr_assert_fail("the chunk of the first message is never used again");
}

Test(writer, subscriber_with_an_impossible_signal_gets_messages_but_no_wake)
{
	(void)join(0, 3, false);
	zcp_test_store(&bed.view.topic.subscribers[0].signal, bed.view.signals.n_signals);
	zcp_test_store(&bed.view.acks.shm->sleepers[0], UINT64_MAX);
	(void)publish();
	zcp_test_store(&bed.view.topic.subscribers[0].signal, UINT32_MAX);
	zcp_test_store(&bed.view.topic.shm->version, 1000);
	(void)publish();
	cr_assert(has(0, 3, 1) && has(0, 3, 2));
}

Test(writer, subscriber_with_an_impossible_depth_gets_what_fits_the_topic)
{
	(void)join(0, 3, false);
	zcp_test_store(&bed.view.topic.subscribers[0].depth_log2, UINT32_MAX);
	zcp_test_store(&bed.view.topic.shm->version, 1000);
	for (int i = 0; i < 12; i++)
		(void)publish();
	for (uint64_t seq = 5; seq <= 12; seq++)
		cr_assert(has(0, 3, seq));
	cr_assert_eq(zcp_testbed_n_busy(&bed), 8);
}

Test(writer, members_beyond_the_topic_s_limit_are_ignored)
{
	(void)join(0, 3, false);
	for (int w = 2; w < ZCP_TOPIC_SUBSCRIBER_WORDS; w++) {
		zcp_test_store(&bed.view.topic.shm->active[w], UINT64_MAX);
		zcp_test_store(&bed.view.topic.shm->present[w], UINT64_MAX);
	}
	zcp_test_store(&bed.view.topic.shm->version, 1000);
	(void)publish();
	cr_assert_eq(writer.n_active, 3);
	cr_assert_eq(writer.n_lanes, 3);
	/* One that is active and not present is none that is no longer active. */
	zcp_test_store(&bed.view.topic.shm->present[2], 0);
	zcp_test_store(&bed.view.topic.shm->version, 1001);
	(void)publish();
	cr_assert_eq(writer.n_active, 3);
	cr_assert_eq(writer.n_lanes, 3);
}

Test(writer, numbers_go_on_over_2_to_the_32_and_with_the_next_publisher)
{
	static const uint64_t start = (UINT64_C(1) << 32) - 2;
	struct zcp_writer_options options = writer.options;

	writer.next_seq = start;
	zcp_test_store(&own_slot()->next_seq, start);
	for (uint64_t n = start; n < start + 4; n++) {
		cr_assert_eq(zcp_test_load(&chunk_of(publish())->seq), n);
		cr_assert_eq(zcp_test_load(&own_slot()->next_seq), n + 1);
	}
	/* The one before may have died inside a publish. */
	zcp_test_store(&own_slot()->op, 7);
	begin_anew(&options);
	cr_assert_eq(zcp_test_load(&chunk_of(publish())->seq), start + 4);
	cr_assert_eq(zcp_test_load(&own_slot()->op), 12);
}

Test(writer, op_and_version_wrap)
{
	struct zcp_writer_options options = writer.options;
	struct zcp_reader_options subscriber;
	struct zcp_reader reader;

	zcp_test_store(&own_slot()->op, UINT64_MAX - 5);
	zcp_test_store(&bed.view.topic.shm->version, UINT64_MAX - 1);
	begin_anew(&options);
	(void)publish();
	cr_assert_eq(zcp_test_load(&own_slot()->op), UINT64_MAX - 1);
	subscriber = join(1, 2, false);
	zcp_testbed_leave(&bed, &subscriber);
	subscriber = join(0, 2, false);
	cr_assert_eq(zcp_test_load(&bed.view.topic.shm->version), 1);
	zcp_testbed_reader(&bed.view, &subscriber, &reader);
	for (uint64_t n = 2; n < 4; n++) {
		struct zcp_reader_message m;

		(void)publish();
		cr_assert_eq(zcp_test_load(&own_slot()->op), 4 * (n - 1) - 2);
		m = take(&reader);
		cr_assert_eq(m.seq, n);
		release(&reader, &m);
	}
	zcp_reader_deinit(&reader);
}

Test(writer, only_an_armed_sleeper_is_woken)
{
	struct zcp_signal_shm *signals = bed.view.signals.signals;
	struct zcp_reader_options subscriber = join(1, 3, false);
	struct zcp_reader reader;

	(void)join(0, 3, false);
	zcp_testbed_reader(&bed.view, &subscriber, &reader);
	(void)zcp_signal_announce(&signals[0]);
	(void)zcp_signal_announce(&signals[1]);
	(void)publish();
	cr_assert_eq(zcp_test_load(&signals[1].node_futex), 0);
	cr_assert_not(writer.met & ZCP_MET_ASLEEP);
	ZCP_CHECK(zcp_reader_arm(&reader) == 0);
	(void)publish();
	cr_assert(writer.met & ZCP_MET_ASLEEP);
	(void)publish();
	cr_assert_not(writer.met & ZCP_MET_ASLEEP);
	cr_assert_eq(zcp_test_load(&signals[1].node_futex), ZCP_FUTEX_WOKEN);
	cr_assert_eq(zcp_test_load(&signals[0].node_futex), 0);
	zcp_signal_awake(&signals[1]);
	(void)zcp_signal_settle(&signals[1].node_futex);
	(void)publish();
	cr_assert_eq(zcp_test_load(&signals[1].node_futex), 0);
	/* Each sleep is ended once. */
	(void)zcp_signal_announce(&signals[1]);
	(void)publish();
	cr_assert_eq(zcp_test_load(&signals[1].node_futex), ZCP_FUTEX_WOKEN);
	zcp_reader_deinit(&reader);
}

/* --- blocking --- */

Test(writer, full_blocking_lane_refuses_and_keeps_the_loan)
{
	struct zcp_reader_options subscriber = join(1, 1, true);
	struct zcp_reader_message m;
	struct zcp_writer_loan l;
	struct zcp_reader reader;
	uint64_t lossy;

	(void)join(0, 0, false);
	zcp_testbed_reader(&bed.view, &subscriber, &reader);
	(void)publish();
	(void)publish();
	lossy = zcp_test_load(&slot_of(0, 0, 3)->word);
	l = loan();
	zcp_test_fill(l.payload, SMALL, 1, 3);
	for (int64_t timeout = 0; timeout < 3; timeout++) {
		cr_assert_eq(zcp_writer_publish(&writer, &l, SMALL, timeout), ZCP_WRITER_E_FULL);
		cr_assert_eq(zcp_test_load(&own_slot()->op) % 2, 0);
		cr_assert(zcp_writer_owns(&writer, &l));
		cr_assert_eq(zcp_test_load(&own_slot()->next_seq), 3);
		cr_assert_eq(zcp_test_load(&own_slot()->waiting), 0);
		/* Nobody has got it, not even those who would have lost one for it. */
		cr_assert_eq(zcp_test_load(&slot_of(0, 0, 3)->word), lossy);
		cr_assert_not(has(1, 1, 3));
		cr_assert_eq(zcp_test_load(&l.chunk->seq), 0);
	}
	/* Taken is room, released or not. */
	m = take(&reader);
	cr_assert_eq(zcp_writer_publish(&writer, &l, SMALL, 0), 0);
	cr_assert(zcp_test_is_filled(l.payload, SMALL, 1, 3));
	cr_assert(has(0, 0, 3) && has(1, 1, 3));
	release(&reader, &m);
	zcp_reader_deinit(&reader);
}

/* A publish that has to wait, on a thread of its own. */
struct blocked {
	pthread_t thread;
	struct zcp_writer_loan loan;
	int result;
};

static void *publish_blocked(void *arg)
{
	struct blocked *blocked = arg;

	blocked->result = zcp_writer_publish(&writer, &blocked->loan, SMALL, -1);
	return NULL;
}

/* Starts it, and returns when it has announced its wait. */
static void start_blocked(struct blocked *blocked)
{
	blocked->loan = loan();
	cr_assert_eq(pthread_create(&blocked->thread, NULL, publish_blocked, blocked), 0);
	while (!zcp_test_load(&own_slot()->waiting))
		sched_yield();
}

Test(writer, blocked_publish_goes_on_when_a_message_is_taken_and_the_word_wraps)
{
	struct zcp_reader_options subscriber = join(0, 0, true);
	_Atomic uint32_t *room = &bed.view.acks.shm->rooms[0].room;
	struct zcp_reader reader;
	struct blocked blocked;

	zcp_testbed_reader(&bed.view, &subscriber, &reader);
	zcp_test_store(room, UINT32_MAX);
	for (uint64_t n = 1; n < 20; n++) {
		struct zcp_reader_message m;

		if (n == 1)
			(void)publish();
		start_blocked(&blocked);
		m = take(&reader);
		cr_assert_eq(m.seq, n);
		cr_assert_eq(m.n_lost, 0);
		release(&reader, &m);
		cr_assert_eq(pthread_join(blocked.thread, NULL), 0);
		cr_assert_eq(blocked.result, 0);
	}
	/* Once at least. */
	cr_assert_lt(zcp_test_load(room), 20);
	cr_assert_eq(zcp_test_load(&own_slot()->waiting), 0);
	zcp_reader_deinit(&reader);
}

Test(writer, blocked_publish_goes_on_when_the_subscriber_leaves)
{
	struct zcp_reader_options subscriber = join(0, 0, true);
	struct blocked blocked;

	(void)publish();
	start_blocked(&blocked);
	zcp_testbed_leave(&bed, &subscriber);
	cr_assert_eq(pthread_join(blocked.thread, NULL), 0);
	cr_assert_eq(blocked.result, 0);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
}

static void on_signal(int number)
{
	(void)number;
}

static _Atomic uint32_t interrupted_ended;

static void *publish_interrupted(void *arg)
{
	(void)publish_blocked(arg);
	zcp_test_store(&interrupted_ended, 1);
	return NULL;
}

Test(writer, blocked_publish_ends_at_a_signal_and_keeps_the_loan)
{
	const struct sigaction action = { .sa_handler = on_signal };
	struct blocked blocked = { .result = 0 };

	(void)join(0, 0, true);
	(void)publish();
	cr_assert_eq(sigaction(SIGUSR1, &action, NULL), 0);
	blocked.loan = loan();
	cr_assert_eq(pthread_create(&blocked.thread, NULL, publish_interrupted, &blocked), 0);
	/* One that comes before the sleep interrupts nothing; the next one will. */
	while (!zcp_test_load(&interrupted_ended)) {
		(void)pthread_kill(blocked.thread, SIGUSR1);
		sched_yield();
	}
	cr_assert_eq(pthread_join(blocked.thread, NULL), 0);
	cr_assert_eq(blocked.result, -EINTR);
	cr_assert(zcp_writer_owns(&writer, &blocked.loan));
	cr_assert_eq(zcp_test_load(&bed.view.topic.publishers[0].waiting), 0);
	cr_assert_eq(zcp_test_load(&bed.view.topic.publishers[0].op) % 2, 0);
}
