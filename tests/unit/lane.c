/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lanes: order, overflow, loss to the message, and numbers that wrap. ZCP_CHECK, because
 * there are millions of checks, and Criterion sends a message for each of its own.
 */
#include "pubsub/shm/lane.h"

#include <criterion/criterion.h>
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

static _Alignas(64) struct zcp_lane_slot_shm slots[1 << LOG2_MAX];

/* A lane as a subscriber gets it when the publisher's next number is `next_seq`. */
static struct zcp_lane make(uint32_t log2, uint64_t next_seq)
{
	struct zcp_lane lane = { .slots = slots, .mask = (UINT32_C(1) << log2) - 1, .log2 = log2 };

	zcp_lane_reset(&lane, next_seq);
	return lane;
}

static uint32_t ref_of(uint64_t seq)
{
	return (uint32_t)(seq * 3 & ZCP_SLOT_REF_MASK);
}

/* Pushes message `seq` with a ref that can be told from the number. */
static bool push(const struct zcp_lane *lane, uint64_t seq, uint32_t *dropped)
{
	return zcp_lane_push(lane, seq, ref_of(seq), dropped);
}

static void assert_take(const struct zcp_lane *lane, struct zcp_lane_cursor *cursor, uint64_t seq)
{
	uint32_t ref = 0;

	ZCP_CHECK(zcp_lane_take(lane, cursor, NULL, &ref) == 0);
	ZCP_CHECK(cursor->seq - 1 == seq);
	ZCP_CHECK(ref == ref_of(seq));
}

static void assert_empty(const struct zcp_lane *lane, struct zcp_lane_cursor *cursor)
{
	uint64_t seq = cursor->seq;
	uint32_t ref = 77;

	ZCP_CHECK(!zcp_lane_is_ready(lane, cursor->seq));
	ZCP_CHECK(zcp_lane_take(lane, cursor, NULL, &ref) == ZCP_LANE_E_EMPTY);
	ZCP_CHECK(zcp_lane_take_after_loss(lane, cursor, NULL, &ref) == ZCP_LANE_E_EMPTY);
	ZCP_CHECK(cursor->seq == seq);
	ZCP_CHECK(ref == 77);
}

Test(lane, slots_of_a_lap_are_all_different)
{
	static bool used[1 << LOG2_MAX];

	for (EACH_DEPTH(d)) {
		struct zcp_lane lane = make(depths_log2[d], 1);

		for (EACH_START(s)) {
			memset(used, 0, sizeof(used));
			for (uint64_t i = 0; i <= lane.mask; i++) {
				ptrdiff_t at = zcp_lane_slot(&lane, starts[s] + i) - slots;

				ZCP_CHECK(at >= 0 && at <= lane.mask);
				ZCP_CHECK(!used[at]);
				used[at] = true;
				ZCP_CHECK(zcp_lane_slot(&lane, starts[s] + i + lane.mask + 1) ==
					  &slots[at]);
			}
		}
	}
}

Test(lane, neighbours_are_on_different_cache_lines)
{
	for (EACH_DEPTH(d)) {
		struct zcp_lane lane = make(depths_log2[d], 1);

		if (lane.mask < 15)
			continue;
		for (uint64_t seq = (UINT64_C(1) << 32) - 300; seq < (UINT64_C(1) << 32) + 300;
		     seq++)
			ZCP_CHECK((zcp_lane_slot(&lane, seq) - slots) / 8 !=
				  (zcp_lane_slot(&lane, seq + 1) - slots) / 8);
	}
}

Test(lane, slot_keeps_its_parts_apart)
{
	uint64_t word = zcp_slot(UINT64_C(0x1fffffffe), ZCP_SLOT_LIVE, ZCP_SLOT_REF_MASK);

	ZCP_CHECK(zcp_slot_seq(word) == 0xfffffffe);
	ZCP_CHECK(zcp_slot_ref(word) == ZCP_SLOT_REF_MASK);
	ZCP_CHECK(word & ZCP_SLOT_LIVE);
	ZCP_CHECK(!(word & ZCP_SLOT_DROPPED));
	ZCP_CHECK(zcp_slot_ahead(word, 0x3fffffffe) == 0);
	ZCP_CHECK(zcp_slot_ahead(word, 0x400000001) == -3);
	ZCP_CHECK(zcp_slot_ahead(word, 0x3fffffff0) == 14);
}

Test(lane, fresh_one_is_empty_and_has_room)
{
	for (EACH_DEPTH(d))
		for (EACH_START(s)) {
			struct zcp_lane lane = make(depths_log2[d], starts[s]);
			struct zcp_lane_cursor cursor = {
				.seq = zcp_lane_first(&lane, starts[s]),
			};

			ZCP_CHECK(cursor.seq == starts[s]);
			assert_empty(&lane, &cursor);
			for (uint64_t i = 0; i <= 2 * (uint64_t)lane.mask; i++)
				ZCP_CHECK(zcp_lane_has_room(&lane, starts[s] + i));
		}
}

Test(lane, zero_memory_is_empty_for_the_first_message)
{
	for (EACH_DEPTH(d)) {
		struct zcp_lane lane = make(depths_log2[d], 1);
		struct zcp_lane_cursor cursor = { .seq = 1 };

		memset(slots, 0, sizeof(slots));
		ZCP_CHECK(zcp_lane_first(&lane, 1) == 1);
		assert_empty(&lane, &cursor);
	}
}

Test(lane, full_one_gives_back_all_in_order)
{
	for (EACH_DEPTH(d))
		for (EACH_START(s)) {
			struct zcp_lane lane = make(depths_log2[d], starts[s]);
			struct zcp_lane_cursor cursor = { .seq = starts[s] };
			uint64_t end = starts[s] + lane.mask + 1;
			uint32_t dropped;

			for (uint64_t seq = starts[s]; seq < end; seq++) {
				ZCP_CHECK(zcp_lane_has_room(&lane, seq));
				ZCP_CHECK(!push(&lane, seq, &dropped));
			}
			ZCP_CHECK(!zcp_lane_has_room(&lane, end));
			for (uint64_t seq = starts[s]; seq < end; seq++) {
				ZCP_CHECK(zcp_lane_is_ready(&lane, cursor.seq));
				assert_take(&lane, &cursor, seq);
			}
			assert_empty(&lane, &cursor);
			ZCP_CHECK(zcp_lane_has_room(&lane, end));
			ZCP_CHECK(cursor.n_lost == 0);
		}
}

Test(lane, one_in_one_out_goes_on_over_every_wrap)
{
	for (EACH_DEPTH(d))
		for (EACH_START(s)) {
			struct zcp_lane lane = make(depths_log2[d], starts[s]);
			struct zcp_lane_cursor cursor = { .seq = starts[s] };
			uint32_t dropped;

			for (uint64_t seq = starts[s]; seq < starts[s] + 1000; seq++) {
				ZCP_CHECK(!push(&lane, seq, &dropped));
				assert_take(&lane, &cursor, seq);
				assert_empty(&lane, &cursor);
			}
			ZCP_CHECK(cursor.n_lost == 0);
		}
}

/* Pushes `n` into an empty lane; what falls out is the oldest, and what is left is found. */
static void overflow(uint32_t log2, uint64_t start, uint64_t n)
{
	struct zcp_lane lane = make(log2, start);
	struct zcp_lane_cursor cursor = { .seq = start };
	uint64_t capacity = (uint64_t)lane.mask + 1, n_dropped = 0;

	for (uint64_t seq = start; seq < start + n; seq++) {
		uint32_t dropped;

		if (!push(&lane, seq, &dropped))
			continue;
		ZCP_CHECK(dropped == ref_of(seq - capacity));
		n_dropped++;
	}
	ZCP_CHECK(n_dropped == (n > capacity ? n - capacity : 0));
	for (uint64_t seq = start + n_dropped; seq < start + n; seq++) {
		assert_take(&lane, &cursor, seq);
		ZCP_CHECK(cursor.n_lost == n_dropped);
	}
	assert_empty(&lane, &cursor);
	ZCP_CHECK(cursor.n_lost == n_dropped);
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
		struct zcp_lane lane = make(2, starts[s]);
		struct zcp_lane_cursor cursor = { .seq = starts[s] };
		uint64_t next = starts[s];
		uint32_t dropped;

		for (int i = 0; i < 4; i++)
			ZCP_CHECK(!push(&lane, next++, &dropped));
		assert_take(&lane, &cursor, starts[s]);
		assert_take(&lane, &cursor, starts[s] + 1);
		/* Two into the room, one over it. */
		ZCP_CHECK(!push(&lane, next++, &dropped));
		ZCP_CHECK(!push(&lane, next++, &dropped));
		ZCP_CHECK(push(&lane, next++, &dropped));
		ZCP_CHECK(dropped == ref_of(starts[s] + 2));
		assert_take(&lane, &cursor, starts[s] + 3);
		ZCP_CHECK(cursor.n_lost == 1);
		for (uint64_t i = 4; i < 7; i++)
			assert_take(&lane, &cursor, starts[s] + i);
		ZCP_CHECK(cursor.n_lost == 1);
		assert_empty(&lane, &cursor);
	}
}

Test(lane, lag_of_almost_2_to_the_31_is_lost_to_the_message)
{
	struct zcp_lane lane = make(4, 1);
	struct zcp_lane_cursor cursor = { .seq = 1 };
	uint64_t first = UINT64_C(0x7fffff01), last = first + lane.mask;
	uint32_t dropped;

	for (uint64_t seq = first; seq <= last; seq++)
		(void)push(&lane, seq, &dropped);
	/* Nothing older can be there, so that the jump is to the oldest of them. */
	for (uint64_t seq = first; seq <= last; seq++)
		assert_take(&lane, &cursor, seq);
	ZCP_CHECK(cursor.n_lost == first - 1);
}

Test(lane, slot_tells_that_a_message_was_pushed_out_of_it)
{
	struct zcp_lane lane = make(0, 1);
	struct zcp_lane_cursor cursor = { .seq = 1 };
	uint32_t dropped;

	ZCP_CHECK(!push(&lane, 1, &dropped));
	ZCP_CHECK(!(zcp_test_load(&slots[0].word) & ZCP_SLOT_DROPPED));
	ZCP_CHECK(push(&lane, 2, &dropped));
	ZCP_CHECK(zcp_test_load(&slots[0].word) & ZCP_SLOT_DROPPED);
	ZCP_CHECK(push(&lane, 3, &dropped));
	ZCP_CHECK(dropped == ref_of(2));
	ZCP_CHECK(zcp_test_load(&slots[0].word) & ZCP_SLOT_DROPPED);
	/* A take leaves it: the publisher may not have cleared the old chunk's bit yet. */
	assert_take(&lane, &cursor, 3);
	ZCP_CHECK(zcp_test_load(&slots[0].word) & ZCP_SLOT_DROPPED);
	ZCP_CHECK(!push(&lane, 4, &dropped));
	ZCP_CHECK(!(zcp_test_load(&slots[0].word) & ZCP_SLOT_DROPPED));
}

Test(lane, first_look_finds_the_oldest_that_is_there)
{
	for (EACH_DEPTH(d))
		for (EACH_START(s)) {
			struct zcp_lane lane = make(depths_log2[d], starts[s]);
			struct zcp_lane_cursor cursor;
			uint64_t next = starts[s], n = 2 * (uint64_t)lane.mask + 3;
			uint32_t dropped;

			for (uint64_t i = 0; i < n; i++)
				(void)push(&lane, next++, &dropped);
			cursor = (struct zcp_lane_cursor){ .seq = zcp_lane_first(&lane, next) };
			ZCP_CHECK(cursor.seq == next - lane.mask - 1);
			assert_take(&lane, &cursor, next - lane.mask - 1);
			ZCP_CHECK(cursor.n_lost == 0);
			/* Another look, by one that begins anew after that. */
			ZCP_CHECK(zcp_lane_first(&lane, next) == next - lane.mask);
		}
}

Test(lane, first_look_is_not_led_below_the_first_number)
{
	struct zcp_lane lane = make(1, 10);

	zcp_test_store(&slots[0].word, zcp_slot(UINT64_C(0x80000010), ZCP_SLOT_LIVE, 0));
	ZCP_CHECK(zcp_lane_first(&lane, 10) == 1);
	zcp_test_store(&slots[0].word, zcp_slot(UINT64_C(0xffffffff), ZCP_SLOT_LIVE, 0));
	ZCP_CHECK(zcp_lane_first(&lane, 10) == 1);
	ZCP_CHECK(zcp_lane_first(&lane, UINT64_C(1) << 32) == UINT64_C(0xffffffff));
}

Test(lane, taken_slot_at_the_cursor_is_skipped)
{
	struct zcp_lane lane = make(2, 1);
	struct zcp_lane_cursor cursor = { .seq = 1 }, other = { .seq = 1 };
	uint32_t dropped;

	for (uint64_t seq = 1; seq <= 3; seq++)
		(void)push(&lane, seq, &dropped);
	assert_take(&lane, &other, 1);
	assert_take(&lane, &other, 2);
	assert_take(&lane, &cursor, 3);
	ZCP_CHECK(cursor.n_lost == 0);
}

Test(lane, reset_leaves_nothing_of_the_one_before)
{
	for (EACH_DEPTH(d))
		for (EACH_START(s)) {
			struct zcp_lane lane = make(depths_log2[d], starts[s]);
			struct zcp_lane_cursor cursor;
			uint64_t next = starts[s] + lane.mask + 5;
			uint32_t dropped;

			for (uint64_t seq = starts[s]; seq < next; seq++)
				(void)push(&lane, seq, &dropped);
			zcp_lane_reset(&lane, next);
			cursor = (struct zcp_lane_cursor){ .seq = zcp_lane_first(&lane, next) };
			ZCP_CHECK(cursor.seq == next);
			assert_empty(&lane, &cursor);
			ZCP_CHECK(!push(&lane, next, &dropped));
			assert_take(&lane, &cursor, next);
			ZCP_CHECK(cursor.n_lost == 0);
		}
}

Test(lane, slots_that_lie_end_in_empty)
{
	for (EACH_DEPTH(d)) {
		struct zcp_lane lane = make(depths_log2[d], 1);
		struct zcp_lane_cursor cursor = { .seq = 1 };
		uint32_t ref;

		/* Each leads far ahead, and none is live. */
		for (uint64_t seq = 1; seq <= (uint64_t)lane.mask + 1; seq++)
			zcp_test_store(&zcp_lane_slot(&lane, seq)->word,
				       zcp_slot(seq + 0x7fff0000, 0, 0));
		for (int i = 0; i < 100; i++)
			ZCP_CHECK(zcp_lane_take(&lane, &cursor, NULL, &ref) == ZCP_LANE_E_EMPTY);
	}
}
