/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claiming: which chunk, in what order, and what must not be claimed.
 */
#include "pubsub/flow/claim.h"

#include <criterion/criterion.h>

#include "tests/support/check.h"
#include "tests/support/testbed.h"

#define N_CHUNKS 8
#define OWNER 5

static struct zcp_testbed bed;
static struct zcp_class *class;
static struct zcp_claim claim;

/* Of the rounds in which nothing was free. */
static uint64_t generations;

static void setup(void)
{
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(1, 1, 0, 64, N_CHUNKS);

	zcp_testbed_init(&bed, &options);
	class = &bed.view.pool.classes[0];
	zcp_claim_init(&claim, OWNER);
	cr_assert_eq(zcp_claim_add_class(&claim, &bed.view.pool, 0), 0);
}

static void teardown(void)
{
	zcp_claim_deinit(&claim);
	zcp_testbed_deinit(&bed);
}

TestSuite(claim, .init = setup, .fini = teardown);

static uint32_t take(void)
{
	uint32_t index = UINT32_MAX;

	cr_assert_eq(zcp_claim_take(&claim, class, 0, &index, &generations), 0);
	return index;
}

/* The owner is done with it; `held`: one subscriber is not. */
static void publish(uint32_t index, bool held)
{
	uint64_t state = zcp_test_load(&class->chunks[index].state);

	zcp_test_store(&class->chunks[index].holders[0], held);
	zcp_test_store(&class->chunks[index].state, state & ~ZCP_CHUNK_LOANED);
	zcp_claim_published(&claim, 0, index, zcp_state_generation(state));
}

/* Claims all chunks and publishes them to one holder, 0 first. */
static void publish_all(void)
{
	for (uint32_t i = 0; i < N_CHUNKS; i++)
		(void)take();
	for (uint32_t i = 0; i < N_CHUNKS; i++)
		publish(i, true);
}

static void release(uint32_t index)
{
	zcp_chunk_release(&class->chunks[index], 0);
}

Test(claim, claimed_chunk_is_loaned_and_says_to_whom)
{
	uint32_t index = take();
	uint64_t state = zcp_test_load(&class->chunks[index].state);

	cr_assert_eq(state, zcp_state(1, OWNER, ZCP_CHUNK_LOANED));
	publish(index, false);
	/* Another one of the same chunk has the next generation. */
	while (take() != index)
		;
	state = zcp_test_load(&class->chunks[index].state);
	cr_assert_eq(state, zcp_state(2, OWNER, ZCP_CHUNK_LOANED));
}

Test(claim, each_chunk_is_claimed_once_and_then_none)
{
	uint32_t index = 77, seen = 0;

	for (uint32_t i = 0; i < N_CHUNKS; i++)
		seen |= 1U << take();
	cr_assert_eq(seen, (1U << N_CHUNKS) - 1);
	cr_assert_eq(zcp_claim_take(&claim, class, 0, &index, &generations), ZCP_CLAIM_E_EXHAUSTED);
	cr_assert_eq(index, 77);
}

Test(claim, chunk_with_any_flag_is_left_alone)
{
	static const uint64_t flags[] = { ZCP_CHUNK_LOANED, ZCP_CHUNK_RETAINED, ZCP_CHUNK_PINNED,
					  0x8000 };
	uint32_t index;

	for (uint32_t i = 0; i < N_CHUNKS; i++)
		zcp_test_store(&class->chunks[i].state, zcp_state(9, 7, flags[i % 4]));
	cr_assert_eq(zcp_claim_take(&claim, class, 0, &index, &generations), ZCP_CLAIM_E_EXHAUSTED);
	for (uint32_t i = 0; i < N_CHUNKS; i++)
		cr_assert_eq(zcp_test_load(&class->chunks[i].state), zcp_state(9, 7, flags[i % 4]));
}

Test(claim, round_without_a_chunk_tells_whether_one_was_claimed_meanwhile)
{
	uint64_t sums[3] = { 0, 0, 0 };
	uint32_t index;

	for (uint32_t i = 0; i < N_CHUNKS; i++)
		zcp_test_store(&class->chunks[i].state,
			       zcp_state(UINT32_MAX - i, 7, ZCP_CHUNK_LOANED));
	for (int round = 0; round < 3; round++) {
		/* Before the last one somebody gives one back and claims it again. */
		if (round == 2)
			zcp_test_store(&class->chunks[3].state,
				       zcp_state(UINT32_MAX - 2, 7, ZCP_CHUNK_LOANED));
		cr_assert_eq(zcp_claim_take(&claim, class, 0, &index, &sums[round]),
			     ZCP_CLAIM_E_EXHAUSTED);
	}
	cr_assert_eq(sums[0], N_CHUNKS * (uint64_t)UINT32_MAX - N_CHUNKS * (N_CHUNKS - 1) / 2);
	cr_assert_eq(sums[1], sums[0]);
	cr_assert_eq(sums[2], sums[0] + 1);
}

Test(claim, chunk_with_any_holder_is_left_alone)
{
	uint32_t index;

	for (uint32_t i = 0; i < N_CHUNKS; i++)
		zcp_test_store(&class->chunks[i].holders[i % 4], UINT64_C(1) << (i * 9));
	cr_assert_eq(zcp_claim_take(&claim, class, 0, &index, &generations), ZCP_CLAIM_E_EXHAUSTED);
	zcp_test_store(&class->chunks[6].holders[2], 0);
	cr_assert_eq(take(), 6);
}

Test(claim, dropped_chunks_come_first_and_the_last_of_them_before_the_others)
{
	publish_all();
	release(0);
	release(3);
	release(5);
	zcp_claim_dropped(&claim, 0, 3);
	zcp_claim_dropped(&claim, 0, 5);
	cr_assert_eq(take(), 5);
	cr_assert_eq(take(), 3);
	cr_assert_eq(take(), 0);
}

Test(claim, dropped_chunk_that_somebody_still_holds_is_passed_over)
{
	publish_all();
	release(3);
	zcp_claim_dropped(&claim, 0, 3);
	zcp_claim_dropped(&claim, 0, 4);
	cr_assert_eq(take(), 3);
}

Test(claim, more_dropped_chunks_than_are_remembered_are_found_by_the_round)
{
	uint32_t seen = 0;

	publish_all();
	for (uint32_t i = 0; i < N_CHUNKS; i++) {
		release(i);
		zcp_claim_dropped(&claim, 0, i);
	}
	for (uint32_t i = 0; i < N_CHUNKS; i++)
		seen |= 1U << take();
	cr_assert_eq(seen, (1U << N_CHUNKS) - 1);
}

Test(claim, oldest_published_comes_before_the_round)
{
	publish_all();
	release(6);
	release(1);
	/* The round would begin at 0 and find 1 as well: let it begin at 2. */
	claim.classes[0].cursor = 2;
	cr_assert_eq(take(), 1);
}

Test(claim, published_chunk_that_is_held_moves_to_the_end)
{
	publish_all();
	release(2);
	claim.classes[0].cursor = 5;
	cr_assert_eq(take(), 2);
	/* 0 and 1 were held: now they are behind 7. */
	publish(2, true);
	for (uint32_t i = 0; i < N_CHUNKS; i++)
		release(i);
	cr_assert_eq(take(), 3);
}

Test(claim, few_published_chunks_are_looked_at_before_the_round)
{
	publish_all();
	release(7);
	claim.classes[0].cursor = 7;
	/* 7 is the eighth in the queue, and the first in the round. */
	cr_assert_eq(take(), 7);
	cr_assert_eq(claim.classes[0].cursor, 8);
}

Test(claim, chunk_that_another_publisher_had_since_is_forgotten)
{
	publish_all();
	/* Claimed and published by another, and free again. */
	zcp_test_store(&class->chunks[0].state, zcp_state(2, OWNER + 1, 0));
	release(0);
	release(1);
	cr_assert_eq(take(), 1);
	/* But it may be claimed as any other. */
	claim.classes[0].cursor = 0;
	cr_assert_eq(take(), 0);
}

Test(claim, one_is_forgotten_where_the_next_is_free_as_well)
{
	publish_all();
	release(0);
	release(1);
	release(2);
	cr_assert_eq(take(), 0);
	/* 1 was dropped: fewer chunks will do. */
	claim.classes[0].cursor = 3;
	cr_assert_eq(take(), 2);
	/* It is not lost: a round finds it. */
	cr_assert_eq(take(), 1);
}

Test(claim, chunk_published_last_is_left_to_its_subscribers)
{
	uint32_t first = take(), second = take();

	/* It is free, but there are others. */
	publish(first, false);
	cr_assert_neq(take(), first);
	publish(second, true);
	for (int i = 0; i < 10; i++) {
		/* All is free, and still they take turns. */
		release(first);
		release(second);
		cr_assert_eq(take(), first);
		publish(first, true);
		release(first);
		cr_assert_eq(take(), second);
		publish(second, true);
	}
}

Test(claim, two_chunks_take_turns_where_one_message_is_under_way)
{
	uint32_t seen = 0, n = 0, last = take();

	/* Many chunks were needed once. */
	for (uint32_t i = 1; i < N_CHUNKS; i++)
		publish(take(), false);
	publish(last, true);
	for (int i = 0; i < 4 * N_CHUNKS; i++) {
		uint32_t next = take();

		release(last);
		publish(next, true);
		last = next;
		if (i >= 2 * N_CHUNKS)
			seen |= 1U << next;
	}
	for (; seen; seen &= seen - 1)
		n++;
	cr_assert_leq(n, 3, "%u chunks rotate", n);
}

Test(claim, round_goes_on_where_it_stopped_and_wraps)
{
	uint32_t index;

	claim.classes[0].cursor = N_CHUNKS - 2;
	cr_assert_eq(take(), N_CHUNKS - 2);
	cr_assert_eq(take(), N_CHUNKS - 1);
	for (uint32_t i = 0; i < N_CHUNKS - 2; i++)
		cr_assert_eq(take(), i);
	cr_assert_eq(zcp_claim_take(&claim, class, 0, &index, &generations), ZCP_CLAIM_E_EXHAUSTED);
}

Test(claim, round_finds_the_only_free_chunk_from_anywhere)
{
	for (uint32_t i = 0; i < N_CHUNKS; i++)
		(void)take();
	for (uint32_t from = 0; from <= N_CHUNKS; from++)
		for (uint32_t i = 0; i < N_CHUNKS; i++) {
			claim.classes[0].cursor = from;
			zcp_test_store(&class->chunks[i].state, 0);
			cr_assert_eq(take(), i);
		}
}

Test(claim, generation_wraps)
{
	uint32_t index, other;

	for (uint32_t i = 0; i < N_CHUNKS; i++)
		zcp_test_store(&class->chunks[i].state, zcp_state(UINT32_MAX, 9, 0));
	index = take();
	cr_assert_eq(zcp_test_load(&class->chunks[index].state),
		     zcp_state(0, OWNER, ZCP_CHUNK_LOANED));
	publish(index, true);
	release(index);
	/* The last one is left alone: another one after it. */
	other = take();
	publish(other, true);
	release(other);
	cr_assert_eq(take(), index);
}

Test(claim, queue_of_published_chunks_wraps)
{
	claim.classes[0].head = claim.classes[0].tail = UINT32_MAX - 3;
	for (int i = 0; i < 10 * N_CHUNKS; i++) {
		uint32_t index = take();

		publish(index, true);
		release(index);
	}
	cr_assert_lt(claim.classes[0].tail, 10 * N_CHUNKS);
	cr_assert_leq(claim.classes[0].tail - claim.classes[0].head, N_CHUNKS);
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
}

Test(claim, full_queue_forgets_the_oldest)
{
	for (int times = 0; times < 3; times++)
		for (uint32_t i = 0; i < N_CHUNKS; i++) {
			zcp_test_store(&class->chunks[i].state, zcp_state(1, OWNER, 0));
			zcp_claim_published(&claim, 0, i, 1);
			cr_assert_leq(claim.classes[0].tail - claim.classes[0].head, N_CHUNKS);
		}
	cr_assert_eq(take(), 0);
}

Test(claim, class_added_twice_keeps_what_is_known)
{
	uint64_t *published = claim.classes[0].published;

	cr_assert_eq(zcp_claim_add_class(&claim, &bed.view.pool, 0), 0);
	cr_assert_eq(claim.classes[0].published, published);
}

Test(claim, class_that_was_not_added_can_be_claimed_from)
{
	struct zcp_claim other;
	uint32_t index;

	zcp_claim_init(&other, OWNER);
	cr_assert_eq(zcp_claim_take(&other, class, 0, &index, &generations), 0);
	zcp_claim_published(&other, 0, index, 1);
	zcp_claim_prefetch(&other, class, 0, 0);
	cr_assert_eq(zcp_claim_take(&other, class, 0, &index, &generations), 0);
	zcp_claim_deinit(&other);
}

Test(claim, class_of_one_chunk_works)
{
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(1, 1, 0, 64, 1);
	struct zcp_testbed small;
	struct zcp_claim mine;
	uint32_t index;

	zcp_testbed_init(&small, &options);
	zcp_claim_init(&mine, 1);
	cr_assert_eq(zcp_claim_add_class(&mine, &small.view.pool, 0), 0);
	for (int i = 0; i < 10; i++) {
		struct zcp_class *only = &small.view.pool.classes[0];

		cr_assert_eq(zcp_claim_take(&mine, only, 0, &index, &generations), 0);
		cr_assert_eq(zcp_claim_take(&mine, only, 0, &index, &generations),
			     ZCP_CLAIM_E_EXHAUSTED);
		zcp_test_store(&only->chunks[0].state, zcp_state((uint32_t)i + 1, 1, 0));
		zcp_claim_published(&mine, 0, 0, (uint32_t)i + 1);
	}
	zcp_claim_deinit(&mine);
	zcp_testbed_deinit(&small);
}
