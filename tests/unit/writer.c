/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A publisher's end: loans, what a publish leaves behind, who gets it, and waiting for room.
 */
#include "pubsub/flow/writer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <zcp/subscriber.h>

#include "pubsub/flow/reader.h"
#include "tests/support/check.h"
#include "tests/support/testbed.h"

#define SMALL 64
#define LARGE 1000
#define N_SMALL 4
#define N_LARGE 3
#define N_LOANS 6

static struct zcp_testbed bed;
static struct zcp_writer writer;

static void setup(void)
{
	struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(2, 130, 3, LARGE, N_LARGE);

	/* The larger class first: a loan goes by size, not by number. */
	options.classes[2] = (struct zcp_class_geometry){ .payload_size = SMALL,
							  .n_chunks = N_SMALL };
	zcp_testbed_init(&bed, &options);
	zcp_testbed_writer(&bed, &bed.view, 0, N_LOANS, &writer);
}

static void teardown(void)
{
	zcp_writer_deinit(&writer);
	zcp_testbed_deinit(&bed);
}

TestSuite(writer, .init = setup, .fini = teardown, .timeout = 20);

static struct zcp_reader_options join(uint32_t slot, uint32_t holder, uint32_t depth_log2,
				      bool blocks)
{
	const struct zcp_reader_options subscriber = {
		.slot = slot,
		.holder = holder,
		.depth_log2 = depth_log2,
		.max_held = 2,
		.blocks = blocks,
		.symmetric = bed.symmetric,
	};

	zcp_testbed_join(&bed, &subscriber);
	return subscriber;
}

static uint32_t loan(uint64_t size)
{
	uint32_t ref = UINT32_MAX;

	cr_assert_eq(zcp_writer_loan(&writer, size, &ref), 0);
	return ref;
}

static uint32_t publish(void)
{
	uint32_t ref = loan(SMALL);

	cr_assert_eq(zcp_writer_publish(&writer, ref, SMALL, 0), 0);
	return ref;
}

static struct zcp_chunk chunk_of(uint32_t ref)
{
	struct zcp_chunk chunk = { .descriptor = NULL };

	cr_assert(zcp_pool_chunk(&bed.view.pool, ref, &chunk));
	return chunk;
}

static void assert_holders(uint32_t ref, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3)
{
	const uint64_t words[] = { w0, w1, w2, w3 };

	for (int i = 0; i < ZCP_HOLDER_WORDS; i++)
		cr_assert_eq(zcp_test_load(&chunk_of(ref).descriptor->holders[i]), words[i],
			     "word %d", i);
}

static uint64_t slot_word(uint32_t subscriber, uint32_t depth_log2, uint64_t seq)
{
	struct zcp_lane lane = zcp_topic_lane(&bed.view.topic, 0, subscriber, depth_log2);

	return zcp_test_load(&zcp_lane_slot(&lane, seq)->word);
}

Test(writer, loan_is_of_the_smallest_class_that_fits)
{
	cr_assert_eq(zcp_ref_class(loan(0)), 2);
	cr_assert_eq(zcp_ref_class(loan(SMALL)), 2);
	cr_assert_eq(zcp_ref_class(loan(SMALL + 1)), 0);
	cr_assert_eq(zcp_ref_class(loan(LARGE)), 0);
}

Test(writer, loan_falls_through_to_the_next_class)
{
	for (int i = 0; i < N_SMALL; i++)
		cr_assert_eq(zcp_ref_class(loan(1)), 2);
	cr_assert_eq(zcp_ref_class(loan(1)), 0);
}

Test(writer, class_without_room_for_the_user_header_is_refused)
{
	struct zcp_writer_options options = writer.options;
	struct zcp_writer other;

	options.user_header_size = 1;
	cr_assert_eq(zcp_writer_init(&other, &bed.view.topic, &bed.view.pool, &bed.view.signals,
				     &options),
		     -EPROTO);
	cr_assert_null(other.lanes);
}

Test(writer, loan_that_no_class_fits_is_too_large)
{
	uint32_t ref = 77;

	cr_assert_eq(zcp_writer_loan(&writer, LARGE + 1, &ref), ZCP_WRITER_E_TOO_LARGE);
	cr_assert_eq(zcp_writer_loan(&writer, UINT64_MAX, &ref), ZCP_WRITER_E_TOO_LARGE);
	cr_assert_eq(ref, 77);
}

Test(writer, loan_above_the_publisher_s_own_limit_is_too_large)
{
	uint32_t ref = 77;

	writer.options.max_payload = 100;
	cr_assert_eq(zcp_ref_class(loan(100)), 0);
	cr_assert_eq(zcp_writer_loan(&writer, 101, &ref), ZCP_WRITER_E_TOO_LARGE);
	cr_assert_eq(ref, 77);
}

Test(writer, loan_without_a_free_chunk_is_exhausted_and_counted)
{
	uint32_t ref = 77;

	for (int i = 0; i < N_LARGE; i++)
		(void)loan(LARGE);
	for (uint64_t i = 1; i < 4; i++) {
		cr_assert_eq(zcp_writer_loan(&writer, LARGE, &ref), ZCP_WRITER_E_EXHAUSTED);
		cr_assert_eq(zcp_test_load(&bed.view.topic.publishers[0].n_exhausted), i);
	}
	cr_assert_eq(ref, 77);
	/* That none is free of its size is no reason for a smaller loan to fail. */
	(void)loan(SMALL);
}

Test(writer, more_loans_than_declared_are_refused_until_one_is_back)
{
	uint32_t ref = 77, refs[N_LOANS];

	for (int i = 0; i < N_LOANS; i++)
		refs[i] = loan(SMALL);
	cr_assert_eq(zcp_writer_loan(&writer, SMALL, &ref), ZCP_WRITER_E_LOANS);
	cr_assert_eq(ref, 77);
	zcp_writer_discard(&writer, refs[3]);
	refs[3] = loan(SMALL);
	cr_assert_eq(zcp_writer_loan(&writer, SMALL, &ref), ZCP_WRITER_E_LOANS);
	cr_assert_eq(zcp_writer_publish(&writer, refs[0], SMALL, 0), 0);
	(void)loan(SMALL);
}

Test(writer, discarded_loan_is_free_and_the_next)
{
	uint32_t ref = loan(SMALL);

	cr_assert_eq(zcp_testbed_n_busy(&bed), 1);
	zcp_writer_discard(&writer, ref);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
	cr_assert_eq(zcp_test_load(&bed.view.topic.publishers[0].next_seq), 1);
	cr_assert_eq(loan(SMALL), ref);
}

Test(writer, owns_what_it_has_loaned_and_nothing_else)
{
	uint32_t ref = loan(SMALL), theirs = 0;
	struct zcp_writer other;

	zcp_testbed_writer(&bed, &bed.view, 1, 1, &other);
	cr_assert_eq(zcp_writer_loan(&other, SMALL, &theirs), 0);
	cr_assert(zcp_writer_owns(&writer, ref));
	cr_assert_not(zcp_writer_owns(&writer, theirs));
	cr_assert_not(zcp_writer_owns(&other, ref));
	cr_assert_not(zcp_writer_owns(&writer, zcp_ref(2, N_SMALL)));
	cr_assert_not(zcp_writer_owns(&writer, zcp_ref(1, 0)));
	cr_assert_not(zcp_writer_owns(&writer, UINT32_MAX));
	cr_assert_eq(zcp_writer_publish(&writer, ref, SMALL, 0), 0);
	cr_assert_not(zcp_writer_owns(&writer, ref));
	zcp_writer_deinit(&other);
}

Test(writer, generation_tells_one_loan_of_a_chunk_from_the_next)
{
	uint32_t ref = loan(SMALL), generation = zcp_writer_generation(&writer, ref);

	cr_assert_eq(generation, 1);
	zcp_writer_discard(&writer, ref);
	cr_assert_eq(loan(SMALL), ref);
	cr_assert_eq(zcp_writer_generation(&writer, ref), generation + 1);
	cr_assert_eq(zcp_writer_generation(&writer, UINT32_MAX), 0);
}

Test(writer, publish_of_a_ref_that_names_no_chunk_is_refused)
{
	cr_assert_eq(zcp_writer_publish(&writer, zcp_ref(2, N_SMALL), 1, 0), -EINVAL);
	cr_assert_eq(zcp_writer_publish(&writer, UINT32_MAX, 1, 0), -EINVAL);
	zcp_writer_discard(&writer, UINT32_MAX);
	cr_assert_eq(zcp_test_load(&bed.view.topic.publishers[0].next_seq), 1);
}

Test(writer, publish_to_nobody_frees_the_chunk_and_counts)
{
	for (uint64_t n = 1; n <= 20; n++) {
		uint32_t ref = publish();

		assert_holders(ref, 0, 0, 0, 0);
		cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
		cr_assert_eq(zcp_test_load(&bed.view.topic.publishers[0].next_seq), n + 1);
		cr_assert_eq(zcp_test_load(&bed.view.topic.publishers[0].op), 2 * n);
	}
}

Test(writer, publish_fills_header_descriptor_and_slot)
{
	struct zcp_chunk chunk;
	uint32_t ref;

	(void)join(0, 0, 3, false);
	(void)publish();
	ref = loan(SMALL);
	cr_assert_eq(zcp_writer_publish(&writer, ref, 17, 0), 0);
	chunk = chunk_of(ref);
	cr_assert_eq(zcp_test_load(&chunk.header->seq), 2);
	cr_assert_eq(zcp_test_load(&chunk.header->payload_size), 17);
	cr_assert_eq(zcp_test_load(&chunk.header->publisher_id), 1);
	cr_assert_neq(zcp_test_load(&chunk.header->publish_time_ns), 0);
	cr_assert_eq(zcp_test_load(&chunk.header->user_header_size), 0);
	cr_assert_eq(zcp_test_load(&chunk.descriptor->seq), 2);
	cr_assert_eq(zcp_test_load(&chunk.descriptor->state), zcp_state(1, 1, 0));
	cr_assert_eq(slot_word(0, 3, 2), zcp_slot(2, ZCP_SLOT_LIVE, ref));
}

Test(writer, publish_without_timestamps_says_so)
{
	uint32_t ref;

	writer.options.timestamps = false;
	(void)join(0, 0, 3, false);
	ref = publish();
	cr_assert_eq(zcp_test_load(&chunk_of(ref).header->publish_time_ns), 0);
}

Test(writer, holders_are_the_subscribers_bits_in_every_word)
{
	(void)join(0, 0, 3, false);
	(void)join(1, 255, 3, false);
	/* Slot and bit have nothing to do with each other. */
	(void)join(64, 63, 3, false);
	(void)join(129, 130, 3, false);
	assert_holders(publish(), UINT64_C(1) << 63 | 1, 0, 4, UINT64_C(1) << 63);
	cr_assert_eq(zcp_slot_seq(slot_word(129, 3, 1)), 1);
}

Test(writer, who_has_left_gets_nothing_and_who_joins_gets_the_next)
{
	struct zcp_reader_options first = join(0, 0, 3, false);
	uint32_t ref = publish();

	assert_holders(ref, 1, 0, 0, 0);
	(void)join(1, 1, 3, false);
	assert_holders(publish(), 3, 0, 0, 0);
	zcp_testbed_leave(&bed, &first);
	assert_holders(ref, 0, 0, 0, 0);
	assert_holders(publish(), 2, 0, 0, 0);
	cr_assert_not(slot_word(0, 3, 1) & ZCP_SLOT_LIVE);
	cr_assert_lt(zcp_slot_ahead(slot_word(0, 3, 3), 3), 0);
}

Test(writer, subscriber_with_an_impossible_bit_gets_nothing)
{
	uint32_t ref;

	(void)join(0, 5, 3, false);
	(void)join(1, 6, 3, false);
	zcp_test_store(&bed.view.topic.subscribers[1].holder, ZCP_HOLDERS_MAX);
	ref = publish();
	assert_holders(ref, 1 << 5, 0, 0, 0);
	zcp_test_store(&bed.view.topic.subscribers[1].holder, UINT32_MAX);
	zcp_test_store(&bed.view.topic.shm->version, 1000);
	ref = publish();
	assert_holders(ref, 1 << 5, 0, 0, 0);
	cr_assert_lt(zcp_slot_ahead(slot_word(1, 3, 2), 2), 0);
}

Test(writer, subscriber_with_an_impossible_signal_gets_messages_but_no_wake)
{
	(void)join(0, 0, 3, false);
	zcp_test_store(&bed.view.topic.subscribers[0].signal, bed.view.signals.n_signals);
	zcp_test_store(&bed.view.topic.shm->sleepers[0], UINT64_MAX);
	assert_holders(publish(), 1, 0, 0, 0);
	zcp_test_store(&bed.view.topic.subscribers[0].signal, UINT32_MAX);
	zcp_test_store(&bed.view.topic.shm->version, 1000);
	assert_holders(publish(), 1, 0, 0, 0);
}

Test(writer, subscriber_with_an_impossible_depth_gets_what_fits_the_topic)
{
	uint32_t refs[10];

	(void)join(0, 0, 3, false);
	zcp_test_store(&bed.view.topic.subscribers[0].depth_log2, UINT32_MAX);
	zcp_test_store(&bed.view.topic.shm->version, 1000);
	for (int i = 0; i < N_SMALL; i++)
		refs[i] = publish();
	for (int i = 0; i < N_SMALL; i++)
		assert_holders(refs[i], 1, 0, 0, 0);
	cr_assert_eq(zcp_slot_seq(slot_word(0, 3, 1)), 1);
}

Test(writer, active_bits_beyond_the_topic_s_limit_are_ignored)
{
	(void)join(0, 0, 3, false);
	zcp_test_store(&bed.view.topic.shm->active[2], UINT64_MAX);
	zcp_test_store(&bed.view.topic.shm->active[3], UINT64_MAX);
	zcp_test_store(&bed.view.topic.shm->version, 1000);
	(void)publish();
	cr_assert_leq(writer.n_lanes, 3);
}

Test(writer, pushed_out_message_is_released_and_its_chunk_used_next)
{
	uint32_t first, second;

	(void)join(0, 70, 0, false);
	first = publish();
	assert_holders(first, 0, 1 << 6, 0, 0);
	second = publish();
	cr_assert_neq(first, second);
	assert_holders(first, 0, 0, 0, 0);
	assert_holders(second, 0, 1 << 6, 0, 0);
	cr_assert_eq(slot_word(0, 0, 2), zcp_slot(2, ZCP_SLOT_LIVE | ZCP_SLOT_DROPPED, second));
	cr_assert_eq(loan(SMALL), first);
}

Test(writer, pushed_out_message_stays_with_its_other_holders)
{
	uint32_t first;

	(void)join(0, 0, 0, false);
	(void)join(1, 1, 3, false);
	first = publish();
	(void)publish();
	assert_holders(first, 2, 0, 0, 0);
}

Test(writer, pushed_out_ref_that_names_no_chunk_is_left_alone)
{
	struct zcp_lane lane = zcp_topic_lane(&bed.view.topic, 0, 0, 0);
	uint32_t ref;

	(void)join(0, 0, 0, false);
	(void)publish();
	zcp_test_store(&lane.slots[0].word, zcp_slot(1, ZCP_SLOT_LIVE, zcp_ref(63, 77)));
	ref = publish();
	assert_holders(ref, 1, 0, 0, 0);
	cr_assert_eq(writer.claim.classes[63].n_hints, 0);
}

Test(writer, numbers_go_on_over_2_to_the_32_and_with_the_next_publisher)
{
	static const uint64_t start = (UINT64_C(1) << 32) - 2;

	writer.next_seq = start;
	zcp_test_store(&bed.view.topic.publishers[0].next_seq, start);
	for (uint64_t n = start; n < start + 4; n++) {
		uint32_t ref = publish();

		cr_assert_eq(zcp_test_load(&chunk_of(ref).header->seq), n);
		cr_assert_eq(zcp_test_load(&bed.view.topic.publishers[0].next_seq), n + 1);
	}
	zcp_writer_deinit(&writer);
	/* The one before may have died inside a publish. */
	zcp_test_store(&bed.view.topic.publishers[0].op, 7);
	zcp_testbed_writer(&bed, &bed.view, 0, N_LOANS, &writer);
	cr_assert_eq(zcp_test_load(&chunk_of(publish()).header->seq), start + 4);
	cr_assert_eq(zcp_test_load(&bed.view.topic.publishers[0].op), 10);
}

Test(writer, op_and_version_wrap)
{
	struct zcp_reader_options subscriber;
	struct zcp_reader_message m;
	struct zcp_reader reader;

	zcp_writer_deinit(&writer);
	zcp_test_store(&bed.view.topic.publishers[0].op, UINT64_MAX - 3);
	zcp_test_store(&bed.view.topic.shm->version, UINT64_MAX);
	zcp_testbed_writer(&bed, &bed.view, 0, N_LOANS, &writer);
	(void)publish();
	cr_assert_eq(zcp_test_load(&bed.view.topic.publishers[0].op), UINT64_MAX - 1);
	subscriber = join(0, 0, 2, false);
	cr_assert_eq(zcp_test_load(&bed.view.topic.shm->version), 0);
	zcp_testbed_reader(&bed.view, &subscriber, &reader);
	for (uint64_t n = 2; n < 4; n++) {
		(void)publish();
		cr_assert_eq(zcp_test_load(&bed.view.topic.publishers[0].op), 2 * (n - 2));
		cr_assert_eq(zcp_reader_take(&reader, &m), 0);
		cr_assert_eq(m.seq, n);
		cr_assert_eq(zcp_reader_release(&reader, m.place, m.ticket), 0);
	}
	zcp_reader_deinit(&reader);
}

Test(writer, only_an_armed_sleeper_is_woken)
{
	struct zcp_signal_shm *signals = bed.view.signals.signals;
	struct zcp_reader_options subscriber = join(1, 1, 3, false);
	struct zcp_reader reader;

	(void)join(0, 0, 3, false);
	zcp_testbed_reader(&bed.view, &subscriber, &reader);
	(void)zcp_signal_announce(&signals[0]);
	(void)zcp_signal_announce(&signals[1]);
	(void)publish();
	cr_assert_eq(zcp_test_load(&signals[1].events), 0);
	ZCP_CHECK(zcp_reader_arm(&reader) == 0);
	(void)publish();
	(void)publish();
	cr_assert_eq(zcp_test_load(&signals[1].events), 1);
	cr_assert_eq(zcp_test_load(&signals[0].events), 0);
	zcp_signal_awake(&signals[1]);
	(void)publish();
	cr_assert_eq(zcp_test_load(&signals[1].events), 1);
	(void)zcp_signal_announce(&signals[1]);
	zcp_reader_deinit(&reader);
}

Test(writer, full_blocking_lane_refuses_and_keeps_the_loan)
{
	struct zcp_reader_options subscriber = join(1, 1, 1, true);
	struct zcp_reader_message m;
	struct zcp_reader reader;
	uint64_t lossy, op;
	uint32_t ref;

	(void)join(0, 0, 0, false);
	zcp_testbed_reader(&bed.view, &subscriber, &reader);
	(void)publish();
	(void)publish();
	lossy = slot_word(0, 0, 3);
	ref = loan(SMALL);
	zcp_test_fill(chunk_of(ref).payload, SMALL, 1, 3);
	for (int64_t timeout = 0; timeout < 3; timeout++) {
		cr_assert_eq(zcp_writer_publish(&writer, ref, SMALL, timeout), ZCP_WRITER_E_FULL);
		op = zcp_test_load(&bed.view.topic.publishers[0].op);
		cr_assert_eq(op % 2, 0);
		cr_assert(zcp_writer_owns(&writer, ref));
		cr_assert_eq(zcp_test_load(&bed.view.topic.publishers[0].next_seq), 3);
		cr_assert_eq(zcp_test_load(&bed.view.topic.publishers[0].waiting), 0);
		/* Nobody has got it, not even those who would have lost one for it. */
		cr_assert_eq(slot_word(0, 0, 3), lossy);
		assert_holders(ref, 0, 0, 0, 0);
	}
	/* Taken is room, released or not. */
	cr_assert_eq(zcp_reader_take(&reader, &m), 0);
	cr_assert_eq(zcp_writer_publish(&writer, ref, SMALL, 0), 0);
	cr_assert(zcp_test_is_filled(chunk_of(ref).payload, SMALL, 1, 3));
	assert_holders(ref, 3, 0, 0, 0);
	zcp_reader_deinit(&reader);
}

/* A publish that has to wait, on a thread of its own. */
struct blocked {
	pthread_t thread;
	uint32_t ref;
	int result;
};

static void *publish_blocked(void *arg)
{
	struct blocked *blocked = arg;

	blocked->result = zcp_writer_publish(&writer, blocked->ref, SMALL, -1);
	return NULL;
}

/* Starts it, and returns when it has announced its wait. */
static void start_blocked(struct blocked *blocked)
{
	blocked->ref = loan(SMALL);
	cr_assert_eq(pthread_create(&blocked->thread, NULL, publish_blocked, blocked), 0);
	while (!zcp_test_load(&bed.view.topic.publishers[0].waiting))
		sched_yield();
}

Test(writer, blocked_publish_goes_on_when_a_message_is_taken_and_the_word_wraps)
{
	struct zcp_reader_options subscriber = join(0, 0, 0, true);
	struct zcp_reader_message m;
	struct zcp_reader reader;
	struct blocked blocked;

	zcp_testbed_reader(&bed.view, &subscriber, &reader);
	zcp_test_store(&bed.view.topic.publishers[0].room, UINT32_MAX);
	for (uint64_t n = 1; n < 20; n++) {
		if (n == 1)
			(void)publish();
		start_blocked(&blocked);
		cr_assert_eq(zcp_reader_take(&reader, &m), 0);
		cr_assert_eq(m.seq, n);
		cr_assert_eq(m.n_lost, 0);
		(void)zcp_reader_release(&reader, m.place, m.ticket);
		cr_assert_eq(pthread_join(blocked.thread, NULL), 0);
		cr_assert_eq(blocked.result, 0);
	}
	/* Once at least. */
	cr_assert_lt(zcp_test_load(&bed.view.topic.publishers[0].room), 20);
	cr_assert_eq(zcp_test_load(&bed.view.topic.publishers[0].waiting), 0);
	zcp_reader_deinit(&reader);
}

Test(writer, blocked_publish_goes_on_when_the_subscriber_leaves)
{
	struct zcp_reader_options subscriber = join(0, 0, 0, true);
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
	struct blocked blocked = { .ref = 0 };

	(void)join(0, 0, 0, true);
	(void)publish();
	cr_assert_eq(sigaction(SIGUSR1, &action, NULL), 0);
	blocked.ref = loan(SMALL);
	cr_assert_eq(pthread_create(&blocked.thread, NULL, publish_interrupted, &blocked), 0);
	/* One that comes before the sleep interrupts nothing; the next one will. */
	while (!zcp_test_load(&interrupted_ended)) {
		(void)pthread_kill(blocked.thread, SIGUSR1);
		sched_yield();
	}
	cr_assert_eq(pthread_join(blocked.thread, NULL), 0);
	cr_assert_eq(blocked.result, -EINTR);
	cr_assert(zcp_writer_owns(&writer, blocked.ref));
	cr_assert_eq(zcp_test_load(&bed.view.topic.publishers[0].waiting), 0);
	cr_assert_eq(zcp_test_load(&bed.view.topic.publishers[0].op) % 2, 0);
}

Test(writer, class_attached_later_can_be_loaned_once_it_was_added)
{
	struct zcp_testbed_view view;
	struct zcp_writer late;
	const char *why;
	uint32_t ref;

	zcp_testbed_attach(&bed, &view, true);
	zcp_pool_deinit(&view.pool);
	cr_assert_eq(zcp_pool_attach(&view.pool, bed.chunks_fds[2], bed.data_fds[2],
				     ZCP_TESTBED_DOMAIN, true, &why),
		     0);
	zcp_testbed_writer(&bed, &view, 1, 4, &late);
	cr_assert_eq(zcp_writer_loan(&late, LARGE, &ref), ZCP_WRITER_E_TOO_LARGE);
	cr_assert_eq(zcp_pool_attach(&view.pool, bed.chunks_fds[0], bed.data_fds[0],
				     ZCP_TESTBED_DOMAIN, true, &why),
		     0);
	cr_assert_eq(zcp_writer_add_class(&late, 0), 0);
	cr_assert_eq(zcp_writer_add_class(&late, 1), 0);
	cr_assert_eq(zcp_writer_loan(&late, LARGE, &ref), 0);
	cr_assert_eq(zcp_ref_class(ref), 0);
	cr_assert_eq(zcp_writer_publish(&late, ref, LARGE, 0), 0);
	zcp_writer_deinit(&late);
	zcp_testbed_detach(&view);
}
