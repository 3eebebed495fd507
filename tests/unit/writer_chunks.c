/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A publisher's end: which of its chunks come back and when, what goes back to the pool, and what
 * the slot's next publisher makes of them.
 */
#include "tests/unit/writer_helpers.h"

TestSuite(writer_chunks, .init = setup, .fini = teardown, .timeout = 20);

Test(writer_chunks, pushed_out_message_is_back_and_the_pool_is_not_crept_through)
{
	(void)join(0, 0, false);
	for (uint64_t n = 1; n <= 1000; n++) {
		(void)publish();
		cr_assert_eq(!!(writer.met & ZCP_MET_FULL), n > 1);
		cr_assert_eq(use_of(0, n), ZCP_USE_QUEUED);
		cr_assert_eq(zcp_testbed_n_busy(&bed), 1);
	}
	cr_assert_leq(zcp_testbed_n_touched(&bed), ZCP_ROTATION_SMALL + 1 + 1);
}

Test(writer_chunks, pushed_out_message_stays_with_those_who_have_it)
{
	(void)join(0, 0, false);
	(void)join(1, 3, false);
	(void)publish();
	(void)publish();
	cr_assert_not(writer.met & ZCP_MET_FULL);
	cr_assert_eq(use_of(0, 1), ZCP_USE_NONE);
	cr_assert_eq(use_of(1, 1), ZCP_USE_QUEUED);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 2);
}

Test(writer_chunks, chunk_that_was_not_used_is_not_touched_while_one_is_back)
{
	struct zcp_reader_options subscriber = join(0, 3, false);
	struct zcp_reader reader;

	zcp_testbed_reader(&bed.view, &subscriber, &reader);
	/* Bursts that fill the queue, and are taken. */
	for (int burst = 0; burst < 100; burst++) {
		struct zcp_reader_message m;

		for (int i = 0; i < 8; i++)
			(void)publish();
		for (int i = 0; i < 8; i++) {
			m = take(&reader);
			release(&reader, &m);
		}
		/* What is in use, on loan, and rotates. */
		cr_assert_leq(zcp_testbed_n_touched(&bed), 8 + 1 + ZCP_ROTATION_SMALL);
	}
	zcp_reader_deinit(&reader);
}

Test(writer_chunks, message_that_is_held_is_never_written_however_long)
{
	struct zcp_reader_options subscriber = join(0, 2, false);
	struct zcp_reader_message held[MAX_HELD];
	struct zcp_reader reader;
	uint64_t n_messages = 0;

	zcp_testbed_reader(&bed.view, &subscriber, &reader);
	/* Every third one is held, until no more can be; then all go on for long. */
	for (int n_held = 0; n_held < MAX_HELD; n_messages++) {
		struct zcp_writer_loan l = loan();
		struct zcp_reader_message m;

		zcp_test_fill(l.payload, SMALL, 0, writer.next_seq);
		cr_assert_eq(zcp_writer_publish(&writer, &l, SMALL, 0), 0);
		m = take(&reader);
		if (n_messages % 3 == 0)
			held[n_held++] = m;
		else
			release(&reader, &m);
	}
	for (int i = 0; i < 1000; i++) {
		struct zcp_writer_loan l = loan();

		zcp_test_fill(l.payload, SMALL, 7, 7);
		cr_assert_eq(zcp_writer_publish(&writer, &l, SMALL, 0), 0);
	}
	cr_assert_leq(zcp_testbed_n_touched(&bed), MAX_HELD + 4 + 1 + ZCP_ROTATION_SMALL);
	for (int i = 0; i < MAX_HELD; i++) {
		cr_assert(zcp_test_is_filled(held[i].payload, SMALL, 0, held[i].seq));
		cr_assert(use_of(0, held[i].seq) & ZCP_USE_HELD);
	}
	/* Given back in any order, all of them come back. */
	for (int i = 0; i < MAX_HELD; i++)
		release(&reader, &held[i * 7 % MAX_HELD]);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 4);
	for (int i = 0; i < 2000; i++)
		(void)publish();
	cr_assert_leq(zcp_testbed_n_owned(&bed), 4 + 1 + 2 * ZCP_ROTATION_SMALL);
	zcp_reader_deinit(&reader);
}

Test(writer_chunks, what_a_burst_used_goes_back_to_the_pool)
{
	struct zcp_reader_options subscriber = join(0, 3, false);
	struct zcp_reader_message held[MAX_HELD];
	struct zcp_reader reader;

	zcp_testbed_reader(&bed.view, &subscriber, &reader);
	for (int i = 0; i < MAX_HELD; i++) {
		(void)publish();
		held[i] = take(&reader);
	}
	cr_assert_geq(zcp_testbed_n_owned(&bed), MAX_HELD);
	for (int i = 0; i < MAX_HELD; i++)
		release(&reader, &held[i]);
	zcp_test_store(&bed.view.pool.classes[0].shm->wants_freed, 1);
	cr_assert_not(zcp_writer_has_freed(&writer));
	for (int i = 0; i < 1000; i++) {
		struct zcp_reader_message m;

		(void)publish();
		m = take(&reader);
		release(&reader, &m);
	}
	cr_assert_leq(zcp_testbed_n_owned(&bed), 1 + 2 * ZCP_ROTATION_SMALL);
	/* The runtime is told once, and asked again where it could not be. */
	cr_assert(zcp_writer_has_freed(&writer));
	cr_assert_not(zcp_writer_has_freed(&writer));
	cr_assert_eq(zcp_test_load(&bed.view.pool.classes[0].shm->wants_freed), 0);
	zcp_writer_want_freed(&writer);
	cr_assert_eq(zcp_test_load(&bed.view.pool.classes[0].shm->wants_freed), 1);
	zcp_reader_deinit(&reader);
}

Test(writer_chunks, one_that_is_no_longer_active_keeps_what_it_had_and_gets_no_more)
{
	struct zcp_reader_options subscriber = join(0, 2, false);
	uint32_t refs[3];

	for (int i = 0; i < 3; i++)
		refs[i] = publish();
	zcp_test_store(&bed.view.topic.shm->active[0], 0);
	zcp_test_store(&bed.view.topic.shm->version, 1000);
	for (int i = 0; i < 500; i++) {
		uint32_t ref = publish();

		cr_assert(ref != refs[0] && ref != refs[1] && ref != refs[2]);
	}
	cr_assert_not(has(0, 2, 4));
	cr_assert_eq(zcp_test_load(&writer.lanes[0].stake.lane.shm->end), 4);
	for (uint32_t i = 0; i < 3; i++)
		cr_assert_eq(zcp_test_load(&chunk_of(refs[i])->seq), i + 1);
	zcp_testbed_leave(&bed, &subscriber);
	for (int i = 0; i < 500; i++)
		(void)publish();
	cr_assert_leq(zcp_testbed_n_owned(&bed), 1 + 2 * ZCP_ROTATION_SMALL);
}

/* --- the slot's next publisher --- */

Test(writer_chunks, next_publisher_has_the_chunks_of_the_one_before)
{
	struct zcp_writer_options options = writer.options;

	(void)join(0, 2, false);
	for (int i = 0; i < 20; i++)
		(void)publish();
	cr_assert_geq(zcp_testbed_n_owned(&bed), ZCP_ROTATION_SMALL);
	begin_anew(&options);
	for (int i = 0; i < 100; i++)
		(void)publish();
	cr_assert_leq(zcp_testbed_n_touched(&bed), 4 + 1 + ZCP_ROTATION_SMALL);
	for (uint64_t seq = 117; seq <= 120; seq++)
		cr_assert_eq(use_of(0, seq), ZCP_USE_QUEUED);
}

Test(writer_chunks, next_publisher_with_a_shorter_history_gives_the_rest_back)
{
	struct zcp_writer_options options = writer.options;

	options.history = 30;
	begin_anew(&options);
	for (int i = 0; i < 200; i++)
		(void)publish();
	cr_assert_geq(zcp_testbed_n_owned(&bed), 30);
	cr_assert_leq(zcp_testbed_n_touched(&bed), 30 + 1 + ZCP_ROTATION_SMALL);
	options.history = 2;
	begin_anew(&options);
	for (int i = 0; i < 1000; i++)
		(void)publish();
	cr_assert_leq(zcp_testbed_n_owned(&bed), 2 + 1 + 2 * ZCP_ROTATION_SMALL);
}

Test(writer_chunks, next_publisher_of_another_class_frees_those_of_the_one_before)
{
	struct zcp_writer_options options = writer.options;
	struct zcp_writer_loan l;
	uint32_t n = 0;

	options.class_index = 2;
	begin_anew(&options);
	for (int i = 0; i < 10; i++)
		(void)publish();
	/* One of them is spare. */
	l = loan();
	zcp_writer_discard(&writer, &l);
	options.class_index = 0;
	begin_anew(&options);
	for (int i = 0; i < 200; i++)
		cr_assert_eq(zcp_ref_class(publish()), 0);
	for (uint32_t i = 0; i < N_LARGE; i++)
		n += zcp_test_load(&bed.view.pool.classes[2].chunks[i].state) != ZCP_CHUNK_FREE;
	cr_assert_leq(n, 1);
}
