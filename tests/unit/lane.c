/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lanes: order, overflow, what each side may move, and numbers that wrap. ZCP_CHECK, because
 * there are millions of checks, and Criterion sends a message for each of its own.
 */
#include "pubsub/shm/lane.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"

#define LOG2_MAX ZCP_LANE_LOG2_MAX

/* Just below each place where some part of a number wraps. */
static const uint64_t starts[] = {
	1,
	(UINT64_C(1) << 31) - 3,
	(UINT64_C(1) << 32) - 3,
	(UINT64_C(1) << 33) - (UINT64_C(1) << 31) - 3,
	(UINT64_C(5) << 32) - 3,
	(UINT64_C(1) << 56) - 3,
	(UINT64_C(1) << 63) - 3,
};

static const uint32_t depths_log2[] = { 0, 1, 2, 3, 4, 8, LOG2_MAX };

#define EACH_START(s)                                                                              \
	size_t s = 0;                                                                              \
	s < sizeof(starts) / sizeof(starts[0]);                                                    \
	s++
#define EACH_DEPTH(d)                                                                              \
	size_t d = 0;                                                                              \
	d < sizeof(depths_log2) / sizeof(depths_log2[0]);                                          \
	d++

static _Alignas(64) struct zcp_ack_shm ack;
static struct zcp_lane_shm *shm;

static void setup(void)
{
	shm = aligned_alloc(64, sizeof(*shm) + (sizeof(shm->slots[0]) << LOG2_MAX));
	ZCP_CHECK(shm);
	memset(shm, 0, sizeof(*shm) + (sizeof(shm->slots[0]) << LOG2_MAX));
}

static void teardown(void)
{
	free(shm);
}

TestSuite(lane, .init = setup, .fini = teardown, .timeout = 60);

/* A lane, and what its two ends know of it. */
struct pair {
	struct zcp_lane lane;
	/* the publisher's copy of `tail` */
	uint64_t tail;
	/* the subscriber's next number */
	uint64_t next;
	uint64_t n_lost;
};

/* A lane as a subscriber gets it when the publisher's next number is `next_seq`. */
static struct pair make(uint32_t log2, uint64_t next_seq)
{
	struct pair pair = {
		.lane = { .shm = shm, .ack = &ack, .mask = (UINT32_C(1) << log2) - 1 },
		.next = next_seq,
	};

	zcp_lane_reset(&pair.lane, next_seq, 0, true);
	ZCP_CHECK(zcp_lane_settle(&shm->base, next_seq) == next_seq);
	zcp_lane_begin(&pair.lane, next_seq);
	pair.tail = zcp_lane_bound_tail(&pair.lane, next_seq, next_seq);
	return pair;
}

/* What can be told from the number. */
static struct zcp_description describe(uint64_t seq)
{
	return (struct zcp_description){
		.size = seq * 5,
		.publish_time_ns = seq * 7,
		.publisher_id = ~seq,
		.user_header_size = (uint32_t)(seq * 11),
		.ref = (uint32_t)(seq * 3),
		.next_ref = (uint32_t)(seq * 13),
	};
}

/* As a publisher does. Whether the oldest message was pushed out. */
static bool push(struct pair *pair, uint64_t seq)
{
	const struct zcp_description description = describe(seq);
	bool pushed_out = false;

	if (zcp_lane_is_full(&pair->lane, seq, pair->tail)) {
		zcp_lane_refresh_tail(&pair->lane, seq, &pair->tail);
		if (zcp_lane_is_full(&pair->lane, seq, pair->tail))
			pushed_out = zcp_lane_push_out(&pair->lane, seq, &pair->tail);
	}
	zcp_lane_put(&pair->lane, seq, &description);
	return pushed_out;
}

static bool is_there(const struct pair *pair)
{
	return zcp_slot_is(zcp_test_load(&zcp_lane_slot(&pair->lane, pair->next)->word),
			   pair->next);
}

/* As a subscriber does: whether the lane has a message, where it has moved what was pushed out. */
static bool resync(struct pair *pair)
{
	uint64_t tail = zcp_test_load(&ack.tail);

	if (is_there(pair))
		return true;
	if ((int64_t)(tail - pair->next) <= 0)
		return false;
	pair->n_lost += tail - pair->next;
	pair->next = tail;
	return is_there(pair);
}

static void assert_take(struct pair *pair, uint64_t seq)
{
	const struct zcp_description wanted = describe(seq);
	struct zcp_description found;
	const struct zcp_lane_slot_shm *slot;
	uint64_t expected;

	ZCP_CHECK(resync(pair));
	ZCP_CHECK(pair->next == seq);
	slot = zcp_lane_slot(&pair->lane, seq);
	zcp_slot_describe(slot, zcp_test_load(&slot->word), &found);
	ZCP_CHECK(found.size == wanted.size && found.publish_time_ns == wanted.publish_time_ns);
	ZCP_CHECK(found.publisher_id == wanted.publisher_id);
	ZCP_CHECK(found.user_header_size == wanted.user_header_size);
	ZCP_CHECK(found.ref == wanted.ref && found.next_ref == wanted.next_ref);
	expected = pair->next++;
	ZCP_CHECK(atomic_compare_exchange_strong(&ack.tail, &expected, pair->next));
}

static void assert_empty(struct pair *pair)
{
	uint64_t next = pair->next;

	ZCP_CHECK(!resync(pair));
	ZCP_CHECK(pair->next == next);
}

Test(lane, slots_of_a_lap_are_all_different)
{
	static bool used[1 << LOG2_MAX];

	for (EACH_DEPTH(d)) {
		struct zcp_lane lane = make(depths_log2[d], 1).lane;

		for (EACH_START(s)) {
			memset(used, 0, sizeof(used));
			for (uint64_t i = 0; i <= lane.mask; i++) {
				ptrdiff_t at = zcp_lane_slot(&lane, starts[s] + i) - shm->slots;

				ZCP_CHECK(at >= 0 && at <= lane.mask);
				ZCP_CHECK(!used[at]);
				used[at] = true;
				ZCP_CHECK(zcp_lane_slot(&lane, starts[s] + i + lane.mask + 1) ==
					  &shm->slots[at]);
			}
		}
	}
}

Test(lane, word_keeps_number_and_ref_apart)
{
	uint64_t word = zcp_slot_word(UINT64_C(0x1fffffffe), ZCP_REF_NONE);

	ZCP_CHECK(zcp_slot_is(word, 0x1fffffffe));
	ZCP_CHECK(zcp_slot_is(word, 0x7fffffffe));
	ZCP_CHECK(!zcp_slot_is(word, 0x1ffffffff));
	ZCP_CHECK(!zcp_slot_is(word, 0x200000000));
	ZCP_CHECK((word & ZCP_SLOT_REF_MASK) == ZCP_REF_NONE);
	word = zcp_slot_word(UINT64_C(0x700000000), 0);
	ZCP_CHECK(zcp_slot_is(word, 0x700000000));
	ZCP_CHECK((word & ZCP_SLOT_REF_MASK) == 0);
}

Test(lane, fresh_one_is_empty_and_has_room)
{
	for (EACH_DEPTH(d))
		for (EACH_START(s)) {
			struct pair pair = make(depths_log2[d], starts[s]);

			assert_empty(&pair);
			ZCP_CHECK(zcp_lane_n_queued(&pair.lane, starts[s]) == 0);
			for (uint64_t i = 0; i <= pair.lane.mask; i++)
				ZCP_CHECK(!zcp_lane_is_full(&pair.lane, starts[s] + i, pair.tail));
			ZCP_CHECK(zcp_lane_is_full(&pair.lane, starts[s] + pair.lane.mask + 1,
						   pair.tail));
		}
}

Test(lane, memory_that_was_never_written_is_empty_for_the_first_messages)
{
	for (EACH_DEPTH(d)) {
		struct pair pair = make(depths_log2[d], 1);

		memset(shm, 0, sizeof(*shm) + (sizeof(shm->slots[0]) << LOG2_MAX));
		zcp_lane_reset(&pair.lane, 1, 0, false);
		ZCP_CHECK(zcp_test_load(&shm->slots[0].word) == 0);
		for (uint64_t i = 0; i <= pair.lane.mask; i++, pair.next++)
			assert_empty(&pair);
	}
}

Test(lane, full_one_gives_back_all_in_order)
{
	for (EACH_DEPTH(d))
		for (EACH_START(s)) {
			struct pair pair = make(depths_log2[d], starts[s]);
			uint64_t end = starts[s] + pair.lane.mask + 1;

			for (uint64_t seq = starts[s]; seq < end; seq++) {
				ZCP_CHECK(!push(&pair, seq));
				ZCP_CHECK(zcp_lane_n_queued(&pair.lane, seq + 1) ==
					  seq + 1 - starts[s]);
			}
			ZCP_CHECK(zcp_lane_is_full(&pair.lane, end, pair.tail));
			for (uint64_t seq = starts[s]; seq < end; seq++)
				assert_take(&pair, seq);
			assert_empty(&pair);
			/* The publisher has to look for that. */
			ZCP_CHECK(zcp_lane_is_full(&pair.lane, end, pair.tail));
			zcp_lane_refresh_tail(&pair.lane, end, &pair.tail);
			ZCP_CHECK(pair.tail == end);
			ZCP_CHECK(zcp_lane_n_queued(&pair.lane, end) == 0);
			ZCP_CHECK(pair.n_lost == 0);
		}
}

Test(lane, one_in_one_out_goes_on_over_every_wrap)
{
	for (EACH_DEPTH(d))
		for (EACH_START(s)) {
			struct pair pair = make(depths_log2[d], starts[s]);

			for (uint64_t seq = starts[s]; seq < starts[s] + 1000; seq++) {
				ZCP_CHECK(!push(&pair, seq));
				assert_take(&pair, seq);
				assert_empty(&pair);
			}
			ZCP_CHECK(pair.n_lost == 0);
		}
}

/* Pushes `n` into an empty lane; what falls out is the oldest, and what is left is found. */
static void overflow(uint32_t log2, uint64_t start, uint64_t n)
{
	struct pair pair = make(log2, start);
	uint64_t capacity = (uint64_t)pair.lane.mask + 1, n_out = 0;

	for (uint64_t seq = start; seq < start + n; seq++) {
		bool pushed_out = push(&pair, seq);

		ZCP_CHECK(pushed_out == (seq - start >= capacity));
		n_out += pushed_out;
		ZCP_CHECK(zcp_test_load(&ack.tail) == start + n_out);
	}
	ZCP_CHECK(zcp_lane_n_queued(&pair.lane, start + n) == n - n_out);
	for (uint64_t seq = start + n_out; seq < start + n; seq++) {
		assert_take(&pair, seq);
		ZCP_CHECK(pair.n_lost == n_out);
	}
	assert_empty(&pair);
	ZCP_CHECK(pair.n_lost == n_out);
}

Test(lane, received_and_lost_are_all_that_were_pushed)
{
	for (EACH_DEPTH(d))
		for (EACH_START(s)) {
			uint64_t capacity = UINT64_C(1) << depths_log2[d];

			for (uint64_t more = 0; more < 3; more++) {
				overflow(depths_log2[d], starts[s], capacity + more);
				overflow(depths_log2[d], starts[s], 2 * capacity + more);
				overflow(depths_log2[d], starts[s], 5 * capacity + more);
			}
		}
}

Test(lane, overflow_in_the_middle_is_lost_to_the_message)
{
	for (EACH_START(s)) {
		struct pair pair = make(2, starts[s]);
		uint64_t next = starts[s];

		for (int i = 0; i < 4; i++)
			ZCP_CHECK(!push(&pair, next++));
		assert_take(&pair, starts[s]);
		assert_take(&pair, starts[s] + 1);
		/* Two into the room, one over it. */
		ZCP_CHECK(!push(&pair, next++));
		ZCP_CHECK(!push(&pair, next++));
		ZCP_CHECK(push(&pair, next++));
		assert_take(&pair, starts[s] + 3);
		ZCP_CHECK(pair.n_lost == 1);
		for (uint64_t i = 4; i < 7; i++)
			assert_take(&pair, starts[s] + i);
		ZCP_CHECK(pair.n_lost == 1);
		assert_empty(&pair);
	}
}

Test(lane, exactly_one_side_gets_a_message)
{
	for (EACH_DEPTH(d))
		for (EACH_START(s)) {
			struct pair pair = make(depths_log2[d], starts[s]);
			uint64_t next = starts[s] + pair.lane.mask + 1, taken = starts[s];

			for (uint64_t seq = starts[s]; seq < next; seq++)
				ZCP_CHECK(!push(&pair, seq));
			/* It was taken after the publisher's look: nothing is pushed out. */
			zcp_test_store(&ack.tail, starts[s] + 1);
			ZCP_CHECK(!zcp_lane_push_out(&pair.lane, next, &pair.tail));
			ZCP_CHECK(pair.tail == starts[s] + 1);
			ZCP_CHECK(zcp_test_load(&ack.tail) == starts[s] + 1);
			/* It was pushed out: the take of it fails. */
			if (pair.lane.mask == 0)
				continue;
			ZCP_CHECK(zcp_lane_push_out(&pair.lane, next + 1, &pair.tail));
			ZCP_CHECK(pair.tail == starts[s] + 2);
			taken = starts[s] + 1;
			ZCP_CHECK(
				!atomic_compare_exchange_strong(&ack.tail, &taken, starts[s] + 2));
			ZCP_CHECK(taken == starts[s] + 2);
		}
}

Test(lane, tail_is_between_the_next_number_and_a_lap_before_it_whatever_it_says)
{
	uint32_t random = 1;

	for (EACH_DEPTH(d))
		for (EACH_START(s)) {
			struct zcp_lane lane = make(depths_log2[d], starts[s]).lane;
			uint64_t seq = starts[s] + 5, capacity = (uint64_t)lane.mask + 1;
			uint64_t lowest = seq > capacity ? seq - capacity : 0;

			for (uint64_t tail = lowest; tail <= seq && tail < lowest + 100; tail++)
				ZCP_CHECK(zcp_lane_bound_tail(&lane, tail, seq) == tail);
			ZCP_CHECK(zcp_lane_bound_tail(&lane, seq, seq) == seq);
			ZCP_CHECK(zcp_lane_bound_tail(&lane, seq + 1, seq) == seq);
			ZCP_CHECK(zcp_lane_bound_tail(&lane, seq + (UINT64_C(1) << 62), seq) ==
				  seq);
			ZCP_CHECK(zcp_lane_bound_tail(&lane, lowest - 1, seq) == lowest);
			for (int i = 0; i < 1000; i++) {
				uint64_t tail = (uint64_t)zcp_test_random(&random) << 32 |
						zcp_test_random(&random);
				uint64_t bound = zcp_lane_bound_tail(&lane, tail, seq);

				ZCP_CHECK(bound >= lowest && bound <= seq);
				zcp_test_store(&ack.tail, tail);
				ZCP_CHECK(zcp_lane_n_queued(&lane, seq) == seq - bound);
			}
		}
}

Test(lane, copy_of_tail_never_goes_back)
{
	for (EACH_START(s)) {
		struct pair pair = make(3, starts[s]);
		uint64_t seq = starts[s] + 8;

		zcp_test_store(&ack.tail, starts[s] + 4);
		zcp_lane_refresh_tail(&pair.lane, seq, &pair.tail);
		ZCP_CHECK(pair.tail == starts[s] + 4);
		zcp_test_store(&ack.tail, starts[s] + 3);
		zcp_lane_refresh_tail(&pair.lane, seq, &pair.tail);
		ZCP_CHECK(pair.tail == starts[s] + 4);
		zcp_test_store(&ack.tail, starts[s] - 100);
		zcp_lane_refresh_tail(&pair.lane, seq, &pair.tail);
		ZCP_CHECK(pair.tail == starts[s] + 4);
		/* Nor does it pass the number that is published next. */
		zcp_test_store(&ack.tail, seq + 7);
		zcp_lane_refresh_tail(&pair.lane, seq, &pair.tail);
		ZCP_CHECK(pair.tail == seq);
	}
}

Test(lane, begins_and_ends_once)
{
	for (EACH_START(s)) {
		struct pair pair = make(2, starts[s]);

		ZCP_CHECK(zcp_lane_settle(&shm->base, starts[s] + 9) == starts[s]);
		ZCP_CHECK(zcp_test_load(&shm->base) == starts[s]);
		ZCP_CHECK(zcp_test_load(&shm->end) == 0);
		ZCP_CHECK(zcp_lane_settle(&shm->end, starts[s] + 5) == starts[s] + 5);
		ZCP_CHECK(zcp_lane_settle(&shm->end, starts[s] + 6) == starts[s] + 5);
		/* The next subscriber of the slot begins and ends elsewhere. */
		zcp_lane_reset(&pair.lane, starts[s] + 7, 4, true);
		ZCP_CHECK(zcp_test_load(&shm->base) == 0);
		ZCP_CHECK(zcp_test_load(&shm->end) == 0);
		ZCP_CHECK(zcp_test_load(&shm->history) == 4);
	}
}

Test(lane, begin_moves_tail_up_and_never_back)
{
	for (EACH_DEPTH(d))
		for (EACH_START(s)) {
			struct zcp_lane lane = make(depths_log2[d], starts[s]).lane;

			zcp_lane_begin(&lane, starts[s] + 10);
			ZCP_CHECK(zcp_test_load(&ack.tail) == starts[s] + 10);
			zcp_lane_begin(&lane, starts[s] + 10);
			zcp_lane_begin(&lane, starts[s] + 9);
			ZCP_CHECK(zcp_test_load(&ack.tail) == starts[s] + 10);
		}
}

Test(lane, reset_leaves_nothing_of_the_one_before)
{
	for (EACH_DEPTH(d))
		for (EACH_START(s)) {
			struct pair pair = make(depths_log2[d], starts[s]);
			uint64_t next = starts[s] + pair.lane.mask + 5;

			for (uint64_t seq = starts[s]; seq < next; seq++)
				(void)push(&pair, seq);
			pair = make(depths_log2[d], next);
			ZCP_CHECK(zcp_test_load(&ack.tail) == next);
			/* Nothing is given back of what may have been promised. */
			ZCP_CHECK(zcp_test_load(&ack.released) <= zcp_test_load(&ack.floor));
			ZCP_CHECK(zcp_test_load(&ack.floor) == 1);
			for (uint64_t i = 0; i <= pair.lane.mask; i++) {
				uint64_t word = zcp_test_load(&shm->slots[i].word);

				ZCP_CHECK((word & ZCP_SLOT_REF_MASK) == ZCP_REF_NONE);
			}
			for (uint64_t i = 0; i <= pair.lane.mask; i++, pair.next++)
				assert_empty(&pair);
			pair.next = next;
			ZCP_CHECK(!push(&pair, next));
			assert_take(&pair, next);
			ZCP_CHECK(pair.n_lost == 0);
		}
}
