/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that a slot or another one's ack may say that is not true, and size classes that are
 * not there: lost, counted, and never more than that.
 */
#include <unistd.h>

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
		zcp_test_store(slot_word(n), zcp_slot_word(n, refs[i]));
		assert_one_lost_and_the_next_fine(n + 1);
		n += 2;
	}
}

Test(reader_lies, message_with_another_number_is_not_taken)
{
	struct zcp_reader_message m;

	(void)publish_from(0);
	for (uint64_t seq = 2; seq < 6; seq++) {
		zcp_test_store(slot_word(1), zcp_slot_word(seq, 0));
		cr_assert_eq(zcp_reader_take(&reader, &m), ZCP_READER_E_EMPTY);
	}
	cr_assert_eq(zcp_test_load(&ack_of(0)->tail), 1);
}

Test(reader_lies, payload_larger_than_its_chunk_is_lost)
{
	static const uint64_t sizes[] = { PAYLOAD + 1, UINT64_C(1) << 32, UINT64_MAX };

	for (uint64_t i = 0; i < 3; i++) {
		(void)publish_from(0);
		zcp_test_store(&lane_slot(0, 2 * i + 1)->size, sizes[i]);
		assert_one_lost_and_the_next_fine(2 * i + 2);
		cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
	}
}

Test(reader_lies, user_header_larger_than_its_room_is_lost)
{
	static const uint32_t sizes[] = { 129, 65536, UINT32_MAX };
	uint32_t room = zcp_user_header_room(USER_HEADER);
	struct zcp_reader_message m;

	for (uint64_t i = 0; i < 3; i++) {
		(void)publish_large(0, USER_HEADER);
		zcp_test_store(&lane_slot(0, 2 * i + 1)->user_header_size, sizes[i]);
		assert_one_lost_and_the_next_fine(2 * i + 2);
		cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
	}
	/* A chunk without room for any. */
	(void)publish_from(0);
	zcp_test_store(&lane_slot(0, 7)->user_header_size, 1);
	assert_one_lost_and_the_next_fine(8);
	/* All of the room. */
	(void)publish_large(0, USER_HEADER);
	zcp_test_store(&lane_slot(0, 9)->user_header_size, room);
	m = take();
	cr_assert_eq(m.n_lost, 0);
	cr_assert_eq(m.user_header_size, room);
	release(&m);
}

/* What is right, so that it gets further, something near it, or anything. */
static uint64_t nonsense(uint32_t *random, uint64_t right)
{
	uint64_t any = (uint64_t)zcp_test_random(random) << 32 | zcp_test_random(random);

	switch (zcp_test_random(random) % 8) {
	case 0:
		return any;
	case 1:
		return right - 4 + any % 12;
	default:
		return right;
	}
}

static void check_take(int r, const struct zcp_reader_message *m)
{
	const struct zcp_class *class;

	if (r == ZCP_READER_E_UNMAPPED)
		zcp_reader_lose(&reader, m);
	if (r != 0)
		return;
	class = zcp_pool_class(&bed.view.pool, m->ref);
	ZCP_CHECK(class);
	ZCP_CHECK(m->size <= class->payload_size);
	ZCP_CHECK(m->user_header_size <= class->header_room);
	ZCP_CHECK(m->payload == zcp_class_payload(class, zcp_ref_index(m->ref)));
	ZCP_CHECK(m->publisher < N_PUBLISHERS && m->place < MAX_HELD);
	(void)zcp_reader_release(&reader, m->place, m->held);
}

Test(reader_lies, shared_memory_full_of_nonsense_does_no_harm)
{
	uint32_t random = 1;

	for (uint32_t p = 0; p < N_PUBLISHERS; p++)
		(void)publish_from(p);
	for (int round = 0; round < 50000; round++) {
		uint32_t publisher = zcp_test_random(&random) % N_PUBLISHERS;
		uint64_t expected = reader.lanes[publisher].next;
		struct zcp_lane_slot_shm *slot = lane_slot(publisher, nonsense(&random, expected));
		struct zcp_reader_message m;

		zcp_test_store(&slot->word,
			       zcp_slot_word(nonsense(&random, expected),
					     (uint32_t)nonsense(&random, N_CHUNKS - 1)));
		zcp_test_store(&slot->size, nonsense(&random, PAYLOAD));
		zcp_test_store(&slot->publish_time_ns, nonsense(&random, 5));
		zcp_test_store(&slot->user_header_size, (uint32_t)nonsense(&random, 4));
		zcp_test_store(&slot->next_ref, (uint32_t)nonsense(&random, N_CHUNKS));
		/* What other subscribers, who can write there, make of ours; mostly they let it be. */
		zcp_test_store(&ack_of(publisher)->tail, nonsense(&random, expected));
		zcp_test_store(&reader.held[zcp_test_random(&random) % MAX_HELD],
			       nonsense(&random, 0));
		reader.options.by_time = zcp_test_random(&random) % 2;
		if (zcp_test_random(&random) % 4)
			check_take(zcp_reader_take(&reader, &m), &m);
		else
			check_take(zcp_reader_latest(&reader, &m), &m);
		(void)zcp_reader_is_ready(&reader);
		ZCP_CHECK(zcp_reader_n_held(&reader) <= MAX_HELD);
		ZCP_CHECK(reader.n_vacant <= MAX_HELD);
		/* It never goes back, and has no more of it than that. */
		ZCP_CHECK((int64_t)(reader.lanes[publisher].next - expected) >= 0);
	}
	/* It did get somewhere. */
	cr_assert_gt(reader.n_taken, 1000);
}

Test(reader_lies, tail_that_another_moves_back_stops_nothing_but_us)
{
	struct zcp_reader_message m;

	for (int i = 0; i < 3; i++)
		(void)publish_from(0);
	assert_next(1, 0);
	zcp_test_store(&ack_of(0)->tail, 1);
	cr_assert_eq(zcp_reader_take(&reader, &m), ZCP_READER_E_EMPTY);
	cr_assert_eq(zcp_reader_n_held(&reader), 0);
	cr_assert_eq(reader.lanes[0].next, 2);
	zcp_test_store(&ack_of(0)->tail, 2);
	assert_next(2, 0);
	/* And on: those are lost. */
	(void)publish_from(0);
	zcp_test_store(&ack_of(0)->tail, 4);
	assert_next(4, 1);
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

static void attach_class(struct zcp_testbed_view *view, uint32_t class_index)
{
	int chunks_fd = zcp_region_open_readonly(bed.chunks_fds[class_index]);
	int data_fd = zcp_region_open_readonly(bed.data_fds[class_index]);
	const char *why = "";

	cr_assert_eq(zcp_pool_attach(&view->pool, chunks_fd, data_fd, ZCP_TESTBED_DOMAIN, false,
				     &why),
		     0, "%s", why);
	close(chunks_fd);
	close(data_fd);
}

/* A reader whose process has only the first size class, and a message in the second. */
static uint32_t publish_unmapped(struct zcp_testbed_view *view)
{
	zcp_testbed_attach(&bed, view, false);
	zcp_pool_deinit(&view->pool);
	attach_class(view, 0);
	zcp_reader_deinit(&reader);
	zcp_testbed_reader(view, &subscriber, &reader);
	return publish_large(0, 0);
}

Test(reader_lies, message_in_a_class_that_is_not_mapped_stays_until_it_is)
{
	struct zcp_testbed_view view;
	struct zcp_reader_message m;
	uint32_t ref = publish_unmapped(&view);

	for (int i = 0; i < 3; i++) {
		cr_assert_eq(zcp_reader_take(&reader, &m), ZCP_READER_E_UNMAPPED);
		cr_assert_eq(m.ref, ref);
		cr_assert_eq(zcp_reader_n_held(&reader), 0);
	}
	attach_class(&view, 1);
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
	zcp_test_store(slot_word(3), zcp_slot_word(3, zcp_ref(63, 0)));
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

Test(reader_lies, class_that_there_cannot_be_is_asked_for_and_lost)
{
	static const uint32_t refs[] = { ZCP_REF_NONE, 2U << 24, 64U << 24, 255U << 24 };
	uint64_t n = 1;

	for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++, n += 2) {
		struct zcp_reader_message m;

		(void)publish_from(0);
		zcp_test_store(slot_word(n), zcp_slot_word(n, refs[i]));
		cr_assert_eq(zcp_reader_take(&reader, &m), ZCP_READER_E_UNMAPPED);
		cr_assert_eq(m.ref, refs[i]);
		zcp_reader_lose(&reader, &m);
		assert_one_lost_and_the_next_fine(n + 1);
	}
}
