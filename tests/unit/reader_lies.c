/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that a slot, a descriptor or a header may say that is not true, and size
 * classes that are not there: lost, counted, and never more than that.
 */
#include "tests/unit/reader_helpers.h"

TestSuite(reader_lies, .init = setup, .fini = teardown, .timeout = 20);

/* A good message after it comes through, with one more counted as lost. */
static void assert_one_lost_and_the_next_fine(uint64_t seq)
{
	assert_empty();
	(void)publish_from(0);
	assert_next(seq, 1);
}

Test(reader_lies, ref_out_of_range_is_lost)
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

Test(reader_lies, ref_of_another_chunk_is_lost)
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

Test(reader_lies, message_with_another_number_is_lost)
{
	struct zcp_chunk chunk;

	chunk = chunk_of(publish_from(0));
	zcp_test_store(&chunk.descriptor->seq, 2);
	assert_one_lost_and_the_next_fine(2);
}

Test(reader_lies, message_with_an_older_number_of_the_same_32_bits_is_lost)
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

Test(reader_lies, message_without_our_bit_is_lost)
{
	struct zcp_chunk chunk;

	chunk = chunk_of(publish_from(0));
	zcp_chunk_release(chunk.descriptor, HOLDER);
	zcp_test_store(&chunk.descriptor->holders[0], UINT64_MAX);
	assert_one_lost_and_the_next_fine(2);
}

Test(reader_lies, payload_larger_than_its_chunk_is_lost)
{
	static const uint64_t sizes[] = { PAYLOAD + 1, UINT64_C(1) << 32, UINT64_MAX };
	struct zcp_chunk chunk;

	for (uint64_t i = 0; i < 3; i++) {
		chunk = chunk_of(publish_from(0));
		zcp_test_store(&chunk.header->payload_size, sizes[i]);
		assert_one_lost_and_the_next_fine(2 * i + 2);
		/* It was ours all the same, and is given back. */
		cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
	}
}

Test(reader_lies, user_header_larger_than_its_room_is_lost)
{
	static const uint32_t sizes[] = { 129, 65536, UINT32_MAX };
	uint32_t room = zcp_user_header_room(USER_HEADER);
	struct zcp_reader_message m;
	struct zcp_chunk chunk;

	for (uint64_t i = 0; i < 3; i++) {
		chunk = chunk_of(publish_large());
		zcp_test_store(&chunk.header->user_header_size, sizes[i]);
		assert_one_lost_and_the_next_fine(2 * i + 2);
		cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
	}
	/* A chunk without room for any. */
	chunk = chunk_of(publish_from(0));
	zcp_test_store(&chunk.header->user_header_size, 1);
	assert_one_lost_and_the_next_fine(8);
	/* All of the room. */
	chunk = chunk_of(publish_large());
	zcp_test_store(&chunk.header->user_header_size, room);
	m = take();
	cr_assert_eq(m.n_lost, 0);
	cr_assert_eq(m.user_header_size, room);
	release(&m);
}

Test(reader_lies, slots_full_of_nonsense_do_no_harm)
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
			zcp_reader_lose(&reader, &m);
		}
		ZCP_CHECK(zcp_reader_n_held(&reader) == 0);
		(void)zcp_reader_is_ready(&reader);
	}
}

Test(reader_lies, used_publishers_that_lie_do_no_harm)
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

	zcp_testbed_attach(&bed, view, false);
	zcp_pool_deinit(&view->pool);
	cr_assert_eq(zcp_pool_attach(&view->pool, bed.chunks_fds[0], bed.readonly_fds[0],
				     ZCP_TESTBED_DOMAIN, false, &why),
		     0);
	zcp_reader_deinit(&reader);
	zcp_testbed_reader(view, &subscriber, &reader);
	return publish_large();
}

Test(reader_lies, message_in_a_class_that_is_not_mapped_stays_until_it_is)
{
	struct zcp_testbed_view view;
	struct zcp_reader_message m;
	const char *why;
	uint32_t ref = publish_unmapped(&view);

	for (int i = 0; i < 3; i++) {
		cr_assert_eq(zcp_reader_take(&reader, &m), ZCP_READER_E_UNMAPPED);
		cr_assert_eq(m.ref, ref);
		cr_assert_eq(zcp_reader_n_held(&reader), 0);
	}
	cr_assert_eq(zcp_pool_attach(&view.pool, bed.chunks_fds[1], bed.readonly_fds[1],
				     ZCP_TESTBED_DOMAIN, false, &why),
		     0);
	m = take();
	cr_assert_eq(m.ref, ref);
	cr_assert_eq(m.size, LARGE_PAYLOAD);
	cr_assert_eq(m.seq, 1);
	cr_assert_eq(m.n_lost, 0);
	release(&m);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
	zcp_reader_deinit(&reader);
	zcp_testbed_detach(&view);
}

Test(reader_lies, message_in_a_class_that_is_not_to_be_had_is_lost)
{
	struct zcp_testbed_view view;
	struct zcp_reader_message m;

	(void)publish_unmapped(&view);
	cr_assert_eq(zcp_reader_take(&reader, &m), ZCP_READER_E_UNMAPPED);
	zcp_reader_lose(&reader, &m);
	assert_one_lost_and_the_next_fine(2);
	/* One that its publisher pushes out meanwhile is lost once as well. */
	zcp_test_store(slot_word(3), zcp_slot(3, ZCP_SLOT_LIVE, zcp_ref(63, 0)));
	cr_assert_eq(zcp_reader_take(&reader, &m), ZCP_READER_E_UNMAPPED);
	for (int i = 0; i < 5; i++)
		(void)publish_from(0);
	zcp_reader_lose(&reader, &m);
	assert_next(4, 1);
	for (uint64_t seq = 5; seq <= 7; seq++)
		assert_next(seq, 0);
	assert_empty();
	zcp_reader_deinit(&reader);
	zcp_testbed_detach(&view);
}
