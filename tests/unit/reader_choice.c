/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a subscriber takes first: history before what comes live, the order of publish times,
 * the newest message and nothing else.
 */
#include <stdlib.h>

#include "tests/unit/reader_helpers.h"

TestSuite(reader_choice, .init = setup, .fini = teardown);

static void publish_at(uint32_t publisher, uint64_t time_ns)
{
	uint32_t ref = publish_from(publisher);

	zcp_test_store(&chunk_of(ref).header->publish_time_ns, time_ns);
}

static void assert_taken(uint32_t publisher, uint64_t seq)
{
	struct zcp_reader_message m = take();

	cr_assert_eq(m.publisher, publisher);
	cr_assert_eq(m.seq, seq);
	cr_assert_eq(m.n_lost, 0);
	release(&m);
}

static void begin_anew(struct zcp_reader_options *options)
{
	zcp_reader_deinit(&reader);
	zcp_testbed_reader(&bed.view, options, &reader);
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
	uint32_t ref;

	publish_at(0, 10);
	cr_assert_eq(zcp_writer_loan(&writers[1], 400, &ref), 0);
	cr_assert_eq(zcp_writer_publish(&writers[1], ref, 400, 0), 0);
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
	cr_assert_eq(zcp_writer_loan(&writers[1], 400, &ref), 0);
	cr_assert_eq(zcp_writer_publish(&writers[1], ref, 400, 0), 0);
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

/* A publisher with a history, as the runtime would make it. */
static void keep_history(uint32_t publisher, uint32_t history)
{
	struct zcp_writer_options options = writers[publisher].options;

	zcp_writer_deinit(&writers[publisher]);
	options.history = history;
	cr_assert_eq(zcp_writer_init(&writers[publisher], &bed.view.topic, &bed.view.pool,
				     &bed.view.signals, &options),
		     0);
}

static bool is_retained(uint32_t ref)
{
	return zcp_test_load(&chunk_of(ref).descriptor->state) & ZCP_CHUNK_RETAINED;
}

Test(reader_choice, publisher_retains_its_last_messages)
{
	uint32_t refs[8];

	keep_history(0, 3);
	for (int i = 0; i < 8; i++) {
		refs[i] = publish_from(0);
		assert_next((uint64_t)i + 1, 0);
		for (int j = i; j >= 0 && j > i - 3; j--) {
			cr_assert(is_retained(refs[j]), "%d of %d", j, i);
			cr_assert_eq(zcp_test_load(&chunk_of(refs[j]).descriptor->seq),
				     (uint64_t)j + 1);
		}
		/* Nothing else keeps a chunk. */
		cr_assert_eq(zcp_testbed_n_busy(&bed), i < 3 ? (uint32_t)i + 1 : 3);
	}
}

Test(reader_choice, a_retained_chunk_is_never_loaned)
{
	uint32_t refs[4], ref;

	keep_history(0, 4);
	for (int i = 0; i < 4; i++) {
		refs[i] = publish_from(0);
		assert_next((uint64_t)i + 1, 0);
	}
	while (zcp_writer_loan(&writers[1], PAYLOAD, &ref) == 0) {
		for (int i = 0; i < 4; i++)
			cr_assert_neq(ref, refs[i]);
		zcp_writer_discard(&writers[1], ref);
		if (bed.view.pool.classes[0].n_chunks == ++writers[1].options.publisher_id)
			break;
	}
	for (int i = 0; i < 4; i++)
		cr_assert(is_retained(refs[i]));
}

/* A subscriber's bit on a message, and the entry for it. */
static void give(struct zcp_backlog *backlog, uint32_t publisher, uint32_t ref)
{
	struct zcp_chunk chunk = chunk_of(ref);

	zcp_test_store(&chunk.descriptor->holders[HOLDER / 64], UINT64_C(1) << (HOLDER % 64));
	backlog->entries = realloc(backlog->entries,
				   (backlog->n_entries + 1) * sizeof(backlog->entries[0]));
	backlog->entries[backlog->n_entries++] = (struct zcp_backlog_entry_shm){
		.seq = zcp_test_load(&chunk.descriptor->seq),
		.ref = ref,
		.publisher = publisher,
	};
}

/* Leaves, lets the publishers go on with `n` messages each, and joins again. */
static void join_late(uint32_t n, uint32_t refs[][2])
{
	zcp_testbed_leave(&bed, &subscriber);
	keep_history(0, 16);
	keep_history(1, 16);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t p = 0; p < 2; p++)
			refs[i][p] = publish_from(p);
	zcp_testbed_join(&bed, &subscriber);
}

Test(reader_choice, history_comes_first_and_the_lane_goes_on_after_it)
{
	struct zcp_backlog backlog = { .n_entries = 0 };
	struct zcp_reader_options options = subscriber;
	uint32_t refs[5][2];

	join_late(5, refs);
	give(&backlog, 0, refs[3][0]);
	give(&backlog, 0, refs[4][0]);
	give(&backlog, 1, refs[4][1]);
	(void)publish_from(0);
	options.backlog = &backlog;
	begin_anew(&options);
	cr_assert_eq(backlog.n_entries, 0);
	cr_assert(zcp_reader_is_ready(&reader));
	assert_taken(0, 4);
	assert_taken(0, 5);
	assert_taken(1, 5);
	assert_taken(0, 6);
	assert_empty();
	cr_assert_not(zcp_reader_is_ready(&reader));
}

/* The lane has overflowed between the join and the first look. */
Test(reader_choice, what_overflows_after_the_history_is_lost)
{
	struct zcp_backlog backlog = { .n_entries = 0 };
	struct zcp_reader_options options = subscriber;
	struct zcp_reader_message m;
	uint32_t refs[2][2];

	join_late(2, refs);
	give(&backlog, 0, refs[1][0]);
	for (int i = 0; i < 10; i++)
		(void)publish_from(0);
	options.backlog = &backlog;
	begin_anew(&options);
	assert_taken(0, 2);
	m = take();
	cr_assert_eq(m.seq, 9);
	cr_assert_eq(m.n_lost, 6);
	release(&m);
}

/* It had overflowed before: the history has what was pushed out of it. */
Test(reader_choice, what_overflowed_before_the_history_is_lost)
{
	const uint64_t starts[] = { 3 };
	struct zcp_backlog backlog = { .n_entries = 0 };
	struct zcp_reader_options options = subscriber;
	struct zcp_reader_message m;
	uint32_t refs[2][2], ref[10];

	join_late(2, refs);
	for (int i = 0; i < 10; i++)
		ref[i] = publish_from(0);
	/* 3 to 8 were pushed out, 7 and 8 were still retained. */
	give(&backlog, 0, ref[4]);
	give(&backlog, 0, ref[5]);
	options.backlog = &backlog;
	options.starts = starts;
	options.n_starts = 1;
	begin_anew(&options);
	m = take();
	cr_assert_eq(m.seq, 7);
	cr_assert_eq(m.n_lost, 4);
	release(&m);
	for (uint64_t seq = 8; seq <= 12; seq++)
		assert_taken(0, seq);
	assert_empty();
}

/* One was pushed out of the lane and missed, while the runtime looked for what is retained. */
Test(reader_choice, hole_in_the_history_is_lost)
{
	struct zcp_backlog backlog = { .n_entries = 0 };
	struct zcp_reader_options options = subscriber;
	struct zcp_reader_message m;
	uint32_t refs[6][2];

	join_late(6, refs);
	for (int i = 0; i < 6; i++)
		if (i != 2 && i != 3)
			give(&backlog, 0, refs[i][0]);
	options.backlog = &backlog;
	begin_anew(&options);
	assert_taken(0, 1);
	assert_taken(0, 2);
	m = take();
	cr_assert_eq(m.seq, 5);
	cr_assert_eq(m.n_lost, 2);
	release(&m);
	assert_taken(0, 6);
	assert_empty();
}

Test(reader_choice, history_is_merged_by_time_where_that_is_the_order)
{
	struct zcp_backlog backlog = { .n_entries = 0 };
	struct zcp_reader_options options = subscriber;
	uint32_t refs[3][2];

	join_late(3, refs);
	for (uint64_t i = 0; i < 3; i++) {
		zcp_test_store(&chunk_of(refs[i][0]).header->publish_time_ns, 10 + 10 * i);
		zcp_test_store(&chunk_of(refs[i][1]).header->publish_time_ns, 15 + 10 * i);
	}
	for (uint32_t p = 0; p < 2; p++)
		for (int i = 0; i < 3; i++)
			give(&backlog, p, refs[i][p]);
	options.backlog = &backlog;
	options.by_time = true;
	begin_anew(&options);
	for (uint64_t seq = 1; seq <= 3; seq++)
		for (uint32_t p = 0; p < 2; p++)
			assert_taken(p, seq);
	assert_empty();
}

/* The runtime is believed no more than anybody else who writes shared memory. */
Test(reader_choice, history_that_lies_is_lost)
{
	struct zcp_backlog backlog = { .n_entries = 0 };
	struct zcp_reader_options options = subscriber;
	struct zcp_reader_message m;
	uint32_t refs[4][2];

	join_late(4, refs);
	for (int i = 0; i < 4; i++)
		give(&backlog, 0, refs[i][0]);
	give(&backlog, 1, refs[0][1]);
	backlog.entries[0].ref = 0x3fffffff;
	backlog.entries[1].seq++;
	zcp_test_store(&chunk_of(refs[2][0]).header->payload_size, UINT64_MAX);
	backlog.entries[4].publisher = UINT32_MAX;
	options.backlog = &backlog;
	begin_anew(&options);
	m = take();
	cr_assert_eq(m.seq, 4);
	/* And the number before the one that was raised. */
	cr_assert_eq(m.n_lost, 4);
	release(&m);
	assert_empty();
}
