/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a subscriber takes first: history before what comes live, the order of publish times,
 * the newest message and nothing else.
 */
#include "tests/unit/reader_helpers.h"

TestSuite(reader_choice, .init = setup, .fini = teardown);

static void publish_at(uint32_t publisher, uint64_t time_ns)
{
	uint64_t seq = writers[publisher].next_seq;

	(void)publish_from(publisher);
	zcp_test_store(&lane_slot(publisher, seq)->publish_time_ns, time_ns);
}

static void assert_taken(uint32_t publisher, uint64_t seq)
{
	struct zcp_reader_message m = take();

	cr_assert_eq(m.publisher, publisher);
	cr_assert_eq(m.seq, seq);
	cr_assert_eq(m.n_lost, 0);
	release(&m);
}

/* --- by time --- */

Test(reader_choice, time_order_takes_the_oldest_of_all_publishers)
{
	struct zcp_reader_options options = subscriber;

	options.by_time = true;
	begin_anew(&options);
	publish_at(0, 30);
	publish_at(1, 10);
	publish_at(1, 40);
	publish_at(2, 20);
	publish_at(0, 50);
	assert_taken(1, 1);
	assert_taken(2, 1);
	assert_taken(0, 1);
	assert_taken(1, 2);
	assert_taken(0, 2);
	assert_empty();
}

Test(reader_choice, time_order_counts_what_was_pushed_out)
{
	struct zcp_reader_options options = subscriber;
	struct zcp_reader_message m;

	options.by_time = true;
	begin_anew(&options);
	for (uint64_t i = 1; i <= 7; i++)
		publish_at(0, 100 + i);
	publish_at(1, 104);
	m = take();
	cr_assert_eq(m.publisher, 0);
	cr_assert_eq(m.seq, 4);
	cr_assert_eq(m.n_lost, 3);
	release(&m);
	assert_taken(1, 1);
	assert_taken(0, 5);
}

/* A time that lies is an order that lies, and nothing else. */
Test(reader_choice, time_order_survives_any_time)
{
	struct zcp_reader_options options = subscriber;

	options.by_time = true;
	begin_anew(&options);
	publish_at(0, UINT64_MAX);
	publish_at(1, 0);
	publish_at(2, UINT64_MAX);
	assert_taken(1, 1);
	assert_taken(0, 1);
	assert_taken(2, 1);
	assert_empty();
}

/* --- the newest --- */

static struct zcp_reader_message latest(void)
{
	struct zcp_reader_message m = { .seq = 0 };

	cr_assert_eq(zcp_reader_latest(&reader, &m), 0);
	return m;
}

Test(reader_choice, latest_passes_over_all_but_the_newest)
{
	struct zcp_reader_message m;

	cr_assert_eq(zcp_reader_latest(&reader, &m), ZCP_READER_E_EMPTY);
	publish_at(0, 10);
	publish_at(1, 30);
	publish_at(2, 20);
	publish_at(0, 25);
	m = latest();
	cr_assert_eq(m.publisher, 1);
	cr_assert_eq(m.seq, 1);
	cr_assert_eq(m.n_lost, 0);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 1);
	release(&m);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
	cr_assert_eq(zcp_reader_latest(&reader, &m), ZCP_READER_E_EMPTY);
	assert_empty();
	/* Passed over is taken, not lost. */
	cr_assert_eq(reader.n_taken, 4);
	cr_assert_eq(reader.n_lost, 0);
}

Test(reader_choice, latest_counts_only_what_was_pushed_out)
{
	struct zcp_reader_message m;

	for (uint64_t i = 1; i <= 6; i++)
		publish_at(0, i);
	publish_at(1, 3);
	m = latest();
	cr_assert_eq(m.publisher, 0);
	cr_assert_eq(m.seq, 6);
	cr_assert_eq(m.n_lost, 2);
	release(&m);
	cr_assert_eq(reader.n_lost, 2);
}

Test(reader_choice, latest_without_times_is_the_one_taken_last)
{
	struct zcp_reader_message m;

	publish_at(0, 0);
	publish_at(1, 0);
	publish_at(2, 0);
	m = latest();
	cr_assert_eq(m.publisher, 2);
	release(&m);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
}

Test(reader_choice, latest_needs_one_vacant_place)
{
	struct zcp_reader_message held[MAX_HELD], m;

	for (int i = 0; i < MAX_HELD; i++) {
		(void)publish_from(0);
		held[i] = take();
	}
	publish_at(1, 1);
	publish_at(1, 2);
	cr_assert_eq(zcp_reader_latest(&reader, &m), ZCP_READER_E_HELD);
	release(&held[0]);
	held[0] = latest();
	cr_assert_eq(held[0].seq, 2);
	for (int i = 0; i < MAX_HELD; i++)
		release(&held[i]);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
}

/* The memory of a message is not mapped: what was found so far is not lost meanwhile. */
Test(reader_choice, latest_goes_on_after_a_class_that_is_not_mapped)
{
	struct zcp_class unmapped = bed.view.pool.classes[1];
	struct zcp_reader_message m;

	publish_at(0, 10);
	(void)publish_large(1, 0);
	bed.view.pool.classes[1].chunks = NULL;
	bed.view.pool.classes[1].n_chunks = 0;
	cr_assert_eq(zcp_reader_latest(&reader, &m), ZCP_READER_E_UNMAPPED);
	cr_assert(zcp_reader_is_ready(&reader));
	bed.view.pool.classes[1] = unmapped;
	m = latest();
	cr_assert_eq(m.publisher, 1);
	release(&m);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);

	/* Or it is not to be had, and what was found is what there is. */
	publish_at(0, 10);
	(void)publish_large(1, 0);
	bed.view.pool.classes[1].chunks = NULL;
	bed.view.pool.classes[1].n_chunks = 0;
	cr_assert_eq(zcp_reader_latest(&reader, &m), ZCP_READER_E_UNMAPPED);
	zcp_reader_lose(&reader, &m);
	m = take();
	cr_assert_eq(m.publisher, 0);
	release(&m);
	bed.view.pool.classes[1] = unmapped;
}

/* --- history --- */

static void keep_history(uint32_t publisher, uint32_t history)
{
	struct zcp_writer_options options = writers[publisher].options;

	options.history = history;
	replace_publisher(publisher, &options);
}

/* Leaves, has two publishers go on with `n` messages each, and joins with a promised history. */
static void join_late(int n, uint32_t history, struct zcp_backlog *backlog)
{
	zcp_testbed_leave(&bed, &subscriber);
	keep_history(0, 16);
	keep_history(1, 16);
	for (int i = 0; i < n; i++) {
		(void)publish_from(0);
		(void)publish_from(1);
	}
	zcp_testbed_join(&bed, &subscriber, history);
	zcp_testbed_backlog(&bed, &subscriber, backlog);
}

static void begin_with(struct zcp_backlog *backlog, bool by_time)
{
	struct zcp_reader_options options = subscriber;

	options.backlog = backlog;
	options.by_time = by_time;
	begin_anew(&options);
	cr_assert_null(backlog->entries);
	cr_assert_eq(backlog->n_entries, 0);
}

Test(reader_choice, history_comes_first_and_the_lane_goes_on_after_it)
{
	struct zcp_backlog backlog;

	join_late(5, 2, &backlog);
	cr_assert_eq(backlog.n_entries, 4);
	(void)publish_from(0);
	begin_with(&backlog, false);
	cr_assert(zcp_reader_is_ready(&reader));
	assert_taken(0, 4);
	assert_taken(0, 5);
	assert_taken(1, 4);
	assert_taken(1, 5);
	assert_taken(0, 6);
	assert_empty();
	cr_assert_not(zcp_reader_is_ready(&reader));
	cr_assert_eq(reader.n_taken, 5);
	cr_assert_eq(reader.n_lost, 0);
}

Test(reader_choice, history_is_described_as_it_was_published)
{
	struct zcp_backlog backlog;
	struct zcp_reader_message m;

	zcp_testbed_leave(&bed, &subscriber);
	keep_history(0, 1);
	(void)publish_large(0, USER_HEADER);
	zcp_testbed_join(&bed, &subscriber, 1);
	zcp_testbed_backlog(&bed, &subscriber, &backlog);
	begin_with(&backlog, false);
	m = take();
	cr_assert_eq(m.seq, 1);
	cr_assert_eq(m.size, LARGE_PAYLOAD);
	cr_assert_eq(m.user_header_size, USER_HEADER);
	cr_assert_eq(m.publisher_id, 1);
	cr_assert_neq(m.publish_time_ns, 0);
	cr_assert(zcp_test_is_filled(m.payload, LARGE_PAYLOAD / 8 * 8, 0, 1));
	release(&m);
	assert_empty();
}

/* The lane has overflowed between the join and the first look. */
Test(reader_choice, what_overflows_after_the_history_is_lost)
{
	struct zcp_backlog backlog;
	struct zcp_reader_message m;

	join_late(2, 1, &backlog);
	for (int i = 0; i < 10; i++)
		(void)publish_from(0);
	begin_with(&backlog, false);
	assert_taken(0, 2);
	assert_taken(1, 2);
	m = take();
	cr_assert_eq(m.seq, 9);
	cr_assert_eq(m.n_lost, 6);
	release(&m);
}

Test(reader_choice, history_may_be_longer_than_the_queue)
{
	struct zcp_backlog backlog;

	join_late(20, 16, &backlog);
	begin_with(&backlog, false);
	for (uint32_t p = 0; p < 2; p++)
		for (uint64_t seq = 5; seq <= 20; seq++)
			assert_taken(p, seq);
	assert_empty();
}

/* However long the subscriber takes its time, and whatever is pushed out of its queue. */
Test(reader_choice, promised_message_stays_until_it_is_taken_and_given_back)
{
	struct zcp_backlog backlog;
	struct zcp_reader_message m;

	join_late(8, 4, &backlog);
	begin_with(&backlog, false);
	for (uint64_t seq = 5; seq <= 8; seq++) {
		cr_assert_eq(use_of(0, seq), ZCP_USE_PROMISED);
		for (int i = 0; i < 300; i++)
			(void)publish_from(0);
		m = take();
		cr_assert_eq(m.publisher, 0);
		cr_assert_eq(m.seq, seq);
		cr_assert_eq(zcp_test_load(&ack_of(0)->floor), seq + 1);
		cr_assert_eq(use_of(0, seq), ZCP_USE_HELD);
		for (int i = 0; i < 300; i++)
			(void)publish_from(0);
		cr_assert(zcp_test_is_filled(m.payload, m.size, 0, seq));
		release(&m);
		cr_assert_eq(use_of(0, seq), ZCP_USE_NONE);
	}
}

Test(reader_choice, released_stays_below_the_history_that_is_left)
{
	struct zcp_backlog backlog;

	join_late(8, 3, &backlog);
	begin_with(&backlog, false);
	(void)publish_from(0);
	cr_assert_eq(zcp_reader_arm(&reader), 0);
	cr_assert_leq(zcp_test_load(&ack_of(0)->released), 6);
	assert_taken(0, 6);
	cr_assert_eq(zcp_reader_arm(&reader), 0);
	cr_assert_eq(zcp_test_load(&ack_of(0)->released), 7);
	assert_taken(0, 7);
	assert_taken(0, 8);
	for (uint64_t seq = 6; seq <= 8; seq++)
		assert_taken(1, seq);
	assert_taken(0, 9);
	cr_assert_eq(zcp_reader_arm(&reader), 0);
	cr_assert_eq(zcp_test_load(&ack_of(0)->released), 10);
	cr_assert_eq(zcp_test_load(&ack_of(1)->released), 9);
}

Test(reader_choice, history_is_merged_by_time_where_that_is_the_order)
{
	struct zcp_backlog backlog;

	join_late(3, 3, &backlog);
	for (uint32_t i = 0; i < backlog.n_entries; i++) {
		struct zcp_backlog_entry_shm *entry = &backlog.entries[i];

		entry->publish_time_ns = 10 * entry->seq + 5 * entry->publisher;
	}
	begin_with(&backlog, true);
	for (uint64_t seq = 1; seq <= 3; seq++)
		for (uint32_t p = 0; p < 2; p++)
			assert_taken(p, seq);
	assert_empty();
}

Test(reader_choice, latest_is_of_the_history_where_nothing_newer_is_there)
{
	struct zcp_backlog backlog;
	struct zcp_reader_message m;

	join_late(5, 3, &backlog);
	begin_with(&backlog, false);
	m = latest();
	cr_assert_eq(m.publisher, 1);
	cr_assert_eq(m.seq, 5);
	cr_assert_eq(use_of(1, 5), ZCP_USE_HELD);
	release(&m);
	/* All of it was passed over. */
	cr_assert_eq(reader.n_taken, 6);
	cr_assert_eq(reader.n_lost, 0);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
	cr_assert_eq(zcp_reader_latest(&reader, &m), ZCP_READER_E_EMPTY);
	assert_empty();
}

Test(reader_choice, latest_passes_over_the_history)
{
	struct zcp_backlog backlog;
	struct zcp_reader_message m;

	join_late(5, 3, &backlog);
	(void)publish_from(0);
	begin_with(&backlog, false);
	m = latest();
	cr_assert_eq(m.publisher, 0);
	cr_assert_eq(m.seq, 6);
	release(&m);
	cr_assert_eq(reader.n_taken, 7);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
	assert_empty();
}

Test(reader_choice, history_in_a_class_that_is_not_mapped_stays_until_it_is)
{
	struct zcp_class unmapped = bed.view.pool.classes[1];
	struct zcp_backlog backlog;
	struct zcp_reader_message m;

	for (int is_lost = 0; is_lost < 2; is_lost++) {
		zcp_testbed_leave(&bed, &subscriber);
		keep_history(0, 2);
		(void)publish_large(0, 0);
		(void)publish_from(0);
		zcp_testbed_join(&bed, &subscriber, 2);
		zcp_testbed_backlog(&bed, &subscriber, &backlog);
		begin_with(&backlog, false);
		bed.view.pool.classes[1].chunks = NULL;
		bed.view.pool.classes[1].n_chunks = 0;
		for (int i = 0; i < 2; i++)
			cr_assert_eq(zcp_reader_take(&reader, &m), ZCP_READER_E_UNMAPPED);
		cr_assert_eq(m.seq, 2 * (uint64_t)is_lost + 1);
		if (is_lost)
			zcp_reader_lose(&reader, &m);
		bed.view.pool.classes[1] = unmapped;
		m = take();
		cr_assert_eq(m.seq, 3 * (uint64_t)is_lost + 1);
		cr_assert_eq(m.n_lost, (uint64_t)is_lost);
		release(&m);
	}
}

/* The runtime is believed no more than anybody else who writes shared memory. */
Test(reader_choice, history_that_lies_is_lost)
{
	struct zcp_backlog backlog;
	struct zcp_reader_message m;

	join_late(6, 6, &backlog);
	cr_assert_eq(backlog.n_entries, 12);
	backlog.entries[0].ref = zcp_ref(0, N_CHUNKS);
	backlog.entries[1].size = PAYLOAD + 1;
	backlog.entries[2].user_header_size = UINT32_MAX;
	/* Not before the lane, and then before what was there already. */
	backlog.entries[4].seq = 7;
	for (uint32_t i = 6; i < 12; i++)
		backlog.entries[i].publisher = UINT32_MAX;
	backlog.entries[7].publisher = N_PUBLISHERS;
	begin_with(&backlog, false);
	m = take();
	cr_assert_eq(m.seq, 4);
	cr_assert_eq(m.n_lost, 3);
	release(&m);
	m = take();
	cr_assert_eq(m.seq, 6);
	release(&m);
	assert_empty();
}

Test(reader_choice, message_that_stands_twice_in_the_history_is_taken_once)
{
	struct zcp_backlog backlog;

	join_late(4, 4, &backlog);
	backlog.entries[2] = backlog.entries[1];
	begin_with(&backlog, false);
	assert_taken(0, 1);
	assert_taken(0, 2);
	assert_taken(0, 4);
	assert_taken(1, 1);
}
