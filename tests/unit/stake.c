/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rule by which a message is in use: queued, promised, held; what the three ways to ask for it
 * say of the same words; and words that lie.
 */
#include "pubsub/shm/stake.h"

#include <criterion/criterion.h>

#include "tests/support/check.h"
#include "tests/support/testbed.h"

#define PUBLISHER 1
#define SUBSCRIBER 1
#define LOG2 3
#define CAPACITY (1 << LOG2)
#define MAX_HELD 40

static struct zcp_testbed bed;
static struct zcp_stake stake;

static void setup(void)
{
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(3, 2, LOG2, 64, 4);
	struct zcp_subscriber_slot_shm *slot;

	zcp_testbed_init(&bed, &options);
	slot = &bed.view.topic.subscribers[SUBSCRIBER];
	zcp_test_store(&slot->depth_log2, LOG2);
	zcp_test_store(&slot->held, MAX_HELD);
}

static void teardown(void)
{
	zcp_testbed_deinit(&bed);
}

TestSuite(stake, .init = setup, .fini = teardown, .timeout = 60);

/* What the words say, before any of them lies. */
struct words {
	uint64_t base;
	uint64_t tail;
	uint64_t floor;
	uint32_t history;
};

static void write(const struct words *words)
{
	struct zcp_lane lane = zcp_topic_lane(&bed.view.topic, &bed.view.acks, PUBLISHER,
					      SUBSCRIBER, LOG2);

	zcp_test_store(&lane.shm->base, words->base);
	zcp_test_store(&lane.shm->history, words->history);
	zcp_test_store(&lane.ack->tail, words->tail);
	zcp_test_store(&lane.ack->floor, words->floor);
	zcp_stake_init(&stake, &bed.view.topic, &bed.view.acks, PUBLISHER, SUBSCRIBER);
}

static void hold(uint32_t place, uint32_t publisher, uint64_t seq)
{
	zcp_test_store(&zcp_acks_held(&bed.view.acks, SUBSCRIBER)[place], zcp_held(publisher, seq));
}

static void declare(uint32_t n_held)
{
	zcp_test_store(&zcp_acks_counts(&bed.view.acks, SUBSCRIBER)->n_held, n_held);
}

/* Of the numbers from `first` on, those below `from` are not in use and those below `to` are. */
static void assert_uses(uint64_t end, uint64_t first, uint64_t from, uint64_t to, uint32_t use)
{
	for (uint64_t seq = first; seq < to + 20; seq++)
		cr_assert_eq(zcp_stake_use(&stake, end, seq), seq >= from && seq < to ? use : 0,
			     "number %llu", (unsigned long long)seq);
}

Test(stake, queued_is_from_tail_on)
{
	write(&(struct words){ .base = 50, .tail = 95, .floor = 50 });
	assert_uses(100, 1, 95, 100, ZCP_USE_QUEUED);
	write(&(struct words){ .base = 50, .tail = 100, .floor = 50 });
	assert_uses(100, 1, 100, 100, 0);
	/* What was sent before it joined was not sent to it. */
	write(&(struct words){ .base = 97, .tail = 95, .floor = 97 });
	assert_uses(100, 1, 97, 100, ZCP_USE_QUEUED);
}

Test(stake, tail_that_lies_keeps_no_more_than_a_queue)
{
	static const uint64_t behind[] = { 0, 1, 91, UINT64_MAX, (UINT64_C(1) << 63) + 100 };
	static const uint64_t ahead[] = { 100, 101, UINT64_C(1) << 32, (UINT64_C(1) << 63) + 99 };

	for (size_t i = 0; i < sizeof(behind) / sizeof(behind[0]); i++) {
		write(&(struct words){ .base = 1, .tail = behind[i], .floor = 1 });
		assert_uses(100, 1, 100 - CAPACITY, 100, ZCP_USE_QUEUED);
	}
	for (size_t i = 0; i < sizeof(ahead) / sizeof(ahead[0]); i++) {
		write(&(struct words){ .base = 1, .tail = ahead[i], .floor = 1 });
		assert_uses(100, 1, 100, 100, 0);
	}
}

Test(stake, numbers_after_the_end_are_not_its)
{
	write(&(struct words){ .base = 1, .tail = 10, .floor = 1 });
	assert_uses(13, 1, 10, 13, ZCP_USE_QUEUED);
}

/* Its publisher has not seen it: all that it will send may be for it. */
Test(stake, lane_that_is_not_settled_keeps_what_comes)
{
	write(&(struct words){ .base = 0, .tail = 98, .floor = 1, .history = 5 });
	assert_uses(100, 1, 98, 100, ZCP_USE_QUEUED);
}

Test(stake, promised_is_from_floor_to_base)
{
	write(&(struct words){ .base = 60, .tail = 100, .floor = 55, .history = 20 });
	assert_uses(100, 1, 55, 60, ZCP_USE_PROMISED);
	write(&(struct words){ .base = 60, .tail = 100, .floor = 60, .history = 20 });
	assert_uses(100, 1, 60, 60, 0);
	/* Until the join is settled, all that may be promised. */
	write(&(struct words){ .base = 60, .tail = 100, .floor = 1, .history = 20 });
	assert_uses(100, 1, 40, 60, ZCP_USE_PROMISED);
	/* More than was ever sent. */
	write(&(struct words){ .base = 4, .tail = 100, .floor = 1, .history = 20 });
	assert_uses(100, 1, 1, 4, ZCP_USE_PROMISED);
}

Test(stake, floor_that_lies_keeps_no_more_than_was_promised)
{
	static const uint64_t floors[] = { 0, 1, 30, UINT64_MAX, (UINT64_C(1) << 63) + 60 };

	for (size_t i = 0; i < sizeof(floors) / sizeof(floors[0]); i++) {
		write(&(struct words){ .base = 60, .tail = 100, .floor = floors[i], .history = 5 });
		assert_uses(100, 1, 55, 60, ZCP_USE_PROMISED);
		/* Nothing was. */
		write(&(struct words){ .base = 60, .tail = 100, .floor = floors[i] });
		assert_uses(100, 1, 60, 60, 0);
	}
}

Test(stake, held_is_what_stands_in_a_declared_place)
{
	write(&(struct words){ .base = 1, .tail = 100, .floor = 1 });
	declare(2);
	hold(0, PUBLISHER, 50);
	hold(1, PUBLISHER + 1, 51);
	/* A place that was never used. */
	hold(2, PUBLISHER, 52);
	assert_uses(100, 1, 50, 51, ZCP_USE_HELD);
	declare(3);
	cr_assert_eq(zcp_stake_use(&stake, 100, 52), ZCP_USE_HELD);
	/* Places that it may not have. */
	hold(MAX_HELD - 1, PUBLISHER, 53);
	hold(MAX_HELD, PUBLISHER, 54);
	declare(UINT32_MAX);
	cr_assert_eq(zcp_stake_use(&stake, 100, 53), ZCP_USE_HELD);
	cr_assert_eq(zcp_stake_use(&stake, 100, 54), 0);
	zcp_test_store(&bed.view.topic.subscribers[SUBSCRIBER].held, UINT32_MAX);
	zcp_stake_init(&stake, &bed.view.topic, &bed.view.acks, PUBLISHER, SUBSCRIBER);
	cr_assert_eq(stake.max_held, ZCP_HELD_MAX);
	cr_assert_eq(zcp_stake_use(&stake, 100, 54), ZCP_USE_HELD);
}

Test(stake, reasons_are_told_together)
{
	write(&(struct words){ .base = 98, .tail = 98, .floor = 90, .history = 20 });
	declare(2);
	hold(0, PUBLISHER, 97);
	hold(1, PUBLISHER, 99);
	cr_assert_eq(zcp_stake_use(&stake, 100, 96), ZCP_USE_PROMISED);
	cr_assert_eq(zcp_stake_use(&stake, 100, 97), ZCP_USE_PROMISED | ZCP_USE_HELD);
	cr_assert_eq(zcp_stake_use(&stake, 100, 98), ZCP_USE_QUEUED);
	cr_assert_eq(zcp_stake_use(&stake, 100, 99), ZCP_USE_QUEUED | ZCP_USE_HELD);
}

Test(stake, more_held_than_a_look_can_tell_end_it_before_the_first_of_the_others)
{
	struct zcp_stake_look look;

	write(&(struct words){ .base = 1, .tail = 100, .floor = 1 });
	declare(MAX_HELD);
	/* 79, 77, ..., 1: the order in which they stand is none. */
	for (uint32_t i = 0; i < MAX_HELD; i++)
		hold(i, PUBLISHER, 79 - 2 * i);
	zcp_stake_look(&stake, 1, 100, &look);
	cr_assert_eq(look.n_exceptions, ZCP_STAKE_EXCEPTIONS);
	for (uint32_t e = 0; e < ZCP_STAKE_EXCEPTIONS; e++)
		cr_assert_eq(look.exceptions[e], 1 + 2 * e);
	cr_assert_eq(look.below, 1 + 2 * ZCP_STAKE_EXCEPTIONS);
	/* From there on it goes on. */
	zcp_stake_look(&stake, look.below, 100, &look);
	cr_assert_eq(look.exceptions[0], 1 + 2 * ZCP_STAKE_EXCEPTIONS);
	cr_assert_eq(look.below, 1 + 4 * ZCP_STAKE_EXCEPTIONS);
	zcp_stake_look(&stake, look.below, 100, &look);
	cr_assert_eq(look.n_exceptions, MAX_HELD - 2 * ZCP_STAKE_EXCEPTIONS);
	cr_assert_eq(look.below, 100);
	/* One number in every place is one. */
	for (uint32_t i = 0; i < MAX_HELD; i++)
		hold(i, PUBLISHER, 30);
	zcp_stake_look(&stake, 1, 100, &look);
	cr_assert_eq(look.n_exceptions, 1);
	cr_assert_eq(look.below, 100);
}

/* --- any words at all --- */

/* The rule as stake.h has it, word by word. */
static bool is_in_use(const struct words *words, uint32_t n_held, uint64_t end, uint64_t seq)
{
	const _Atomic uint64_t *held = zcp_acks_held(&bed.view.acks, SUBSCRIBER);

	if ((int64_t)(seq - words->tail) >= 0 && seq >= words->base && seq + CAPACITY >= end &&
	    seq < end)
		return true;
	if (words->base != 0 && seq < words->base && seq + words->history >= words->base &&
	    (int64_t)(seq - words->floor) >= 0)
		return true;
	for (uint32_t i = 0; i < n_held && i < MAX_HELD; i++)
		if (zcp_test_load(&held[i]) == zcp_held(PUBLISHER, seq))
			return true;
	return false;
}

static void check_look(uint64_t from, uint64_t end, uint64_t last)
{
	struct zcp_stake_look look;

	zcp_stake_look(&stake, from, end, &look);
	ZCP_CHECK(look.n_exceptions <= ZCP_STAKE_EXCEPTIONS);
	for (uint32_t e = 0; e < look.n_exceptions; e++) {
		ZCP_CHECK(look.exceptions[e] >= from && look.exceptions[e] < look.below);
		ZCP_CHECK(e == 0 || look.exceptions[e] > look.exceptions[e - 1]);
	}
	for (uint64_t seq = from; seq < look.below && seq < last; seq++) {
		bool told = seq >= look.promised && seq < look.base;

		for (uint32_t e = 0; e < look.n_exceptions; e++)
			told |= look.exceptions[e] == seq;
		ZCP_CHECK(told == (zcp_stake_use(&stake, end, seq) != 0));
	}
	/* It tells no less than it could. */
	if (look.n_exceptions < ZCP_STAKE_EXCEPTIONS)
		ZCP_CHECK(zcp_stake_first(&stake, end, look.below) >= look.below);
	if (look.n_exceptions < ZCP_STAKE_EXCEPTIONS && look.below < end)
		ZCP_CHECK(zcp_stake_use(&stake, end, look.below) & ZCP_USE_QUEUED);
}

static void check_words(const struct words *words, uint32_t n_held, uint64_t start, uint64_t end)
{
	uint64_t next = UINT64_MAX;

	write(words);
	/* From above, so that the next one in use is known. */
	for (uint64_t seq = end + 30; seq-- > start;) {
		bool in_use = zcp_stake_use(&stake, end, seq) != 0;

		ZCP_CHECK(in_use == is_in_use(words, n_held, end, seq));
		if (in_use)
			next = seq;
		ZCP_CHECK(zcp_stake_first(&stake, end, seq) == next);
	}
	check_look(start, end, end);
	check_look(start + 20, end, end);
}

/* Mostly near the number, else anything. */
static uint64_t near(uint32_t *random, uint64_t seq, uint32_t range)
{
	if (zcp_test_random(random) % 16 == 0)
		return (uint64_t)zcp_test_random(random) << 32 | zcp_test_random(random);
	return seq - range + zcp_test_random(random) % (range + 3);
}

Test(stake, every_way_to_ask_says_the_same_of_any_words)
{
	static const uint64_t starts[] = { 1, (UINT64_C(1) << 31) - 40, (UINT64_C(1) << 32) - 40,
					   (UINT64_C(1) << 33) - 40, (UINT64_C(1) << 55) - 40 };
	uint32_t random = 1;

	for (int round = 0; round < 20000; round++) {
		uint64_t start = starts[round % 5], end = start + 80;
		uint32_t n_held = zcp_test_random(&random) % (MAX_HELD + 2);
		struct words words = {
			.base = zcp_test_random(&random) % 8 ?
					start + zcp_test_random(&random) % 81 :
					0,
			.history = zcp_test_random(&random) % 30,
			.tail = near(&random, end, 30),
			.floor = near(&random, end - 20, 60),
		};

		declare(n_held);
		for (uint32_t i = 0; i < MAX_HELD; i++)
			hold(i, zcp_test_random(&random) % 4 ? PUBLISHER : PUBLISHER + 1,
			     start + zcp_test_random(&random) % 80);
		if (zcp_test_random(&random) % 2)
			for (uint32_t i = 0; i < MAX_HELD; i++)
				if (zcp_test_random(&random) % 4)
					zcp_test_store(
						&zcp_acks_held(&bed.view.acks, SUBSCRIBER)[i], 0);
		check_words(&words, n_held, start, end);
	}
}
