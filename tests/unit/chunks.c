/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A publisher's own chunks: which FREE one it claims, its lists, what it takes over from those who
 * had the slot before, and lists that another publisher has spoiled.
 */
#include "pubsub/flow/chunks.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/time.h>

#include "tests/support/check.h"
#include "tests/support/testbed.h"

#define N_CHUNKS 8
#define OWNER 5

static struct zcp_testbed bed;
static struct zcp_class *class;
static struct zcp_chunks chunks;

static void begin(struct zcp_chunks *mine, uint32_t owner)
{
	cr_assert_eq(zcp_chunks_init(mine, &bed.view.pool, 0, owner), 0);
}

static void setup(void)
{
	struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(1, 1, 0, 64, N_CHUNKS);

	options.classes[2] = (struct zcp_class_geometry){ .payload_size = 500, .n_chunks = 4 };
	zcp_testbed_init(&bed, &options);
	class = &bed.view.pool.classes[0];
	begin(&chunks, OWNER);
}

static void teardown(void)
{
	zcp_chunks_deinit(&chunks);
	zcp_testbed_deinit(&bed);
}

TestSuite(chunks, .init = setup, .fini = teardown, .timeout = 20);

static struct zcp_chunk_shm *chunk_of(uint32_t ref)
{
	struct zcp_chunk_shm *chunk = zcp_pool_descriptor(&bed.view.pool, ref);

	cr_assert_not_null(chunk);
	return chunk;
}

static uint32_t claim(void)
{
	uint32_t ref = zcp_chunks_claim(&chunks);

	cr_assert_neq(ref, ZCP_REF_NONE);
	return ref;
}

/* Claims all of them. */
static void claim_all(void)
{
	for (uint32_t i = 0; i < N_CHUNKS; i++)
		cr_assert_eq(claim(), i);
	cr_assert_eq(zcp_chunks_claim(&chunks), ZCP_REF_NONE);
}

/* The chunk has message `seq` and is not on loan. */
static void number(uint32_t ref, uint32_t owner, uint64_t seq)
{
	zcp_test_store(&chunk_of(ref)->seq, seq);
	zcp_test_store(&chunk_of(ref)->state, zcp_chunk_state(owner, 0));
}

static void publish(uint32_t ref, uint64_t seq)
{
	number(ref, OWNER, seq);
	zcp_chunks_add_published(&chunks, ref, chunk_of(ref), seq);
}

/* By another process. */
static void free_elsewhere(uint32_t index)
{
	zcp_chunk_free(&class->chunks[index]);
	(void)zcp_class_count_freed(class);
}

/* --- claiming --- */

Test(chunks, claimed_chunk_is_loaned_and_says_to_whom)
{
	uint32_t ref = claim();

	cr_assert_eq(zcp_test_load(&chunk_of(ref)->state),
		     zcp_chunk_state(OWNER, ZCP_CHUNK_LOANED));
	cr_assert_eq(zcp_test_load(&chunk_of(ref)->n_claims), 1);
	cr_assert_eq(zcp_chunks_n(&chunks), 0);
}

Test(chunks, each_is_claimed_once_from_the_lowest_index_up)
{
	for (uint32_t i = 0; i < N_CHUNKS; i++) {
		cr_assert_eq(zcp_class_n_touched(class), i);
		cr_assert_eq(claim(), i);
	}
	for (int i = 0; i < 3; i++)
		cr_assert_eq(zcp_chunks_claim(&chunks), ZCP_REF_NONE);
}

Test(chunks, one_that_was_used_comes_before_one_that_was_not)
{
	for (uint32_t i = 0; i < 4; i++)
		cr_assert_eq(claim(), i);
	zcp_chunks_free(&chunks, 2);
	free_elsewhere(1);
	cr_assert_eq(claim(), 1);
	cr_assert_eq(claim(), 2);
	cr_assert_eq(zcp_class_n_touched(class), 4);
	cr_assert_eq(claim(), 4);
	cr_assert_eq(zcp_class_n_touched(class), 5);
}

Test(chunks, only_free_one_is_found_wherever_it_is)
{
	claim_all();
	for (uint32_t from = 0; from <= N_CHUNKS; from++)
		for (uint32_t i = 0; i < N_CHUNKS; i++) {
			chunks.cursor = from;
			free_elsewhere(i);
			cr_assert_eq(claim(), i);
			cr_assert_eq(zcp_chunks_claim(&chunks), ZCP_REF_NONE);
		}
}

/* Its owner died between the two; the runtime counts one for it. */
Test(chunks, free_one_that_is_not_counted_is_found_after_the_next_count)
{
	struct zcp_chunks other;

	claim_all();
	zcp_chunk_free(&class->chunks[2]);
	cr_assert_eq(zcp_chunks_claim(&chunks), ZCP_REF_NONE);
	(void)zcp_class_count_freed(class);
	cr_assert_eq(claim(), 2);
	/* Who has not looked there yet finds it anyway. */
	zcp_chunk_free(&class->chunks[3]);
	begin(&other, OWNER + 1);
	cr_assert_eq(zcp_chunks_claim(&other), 3);
	zcp_chunks_deinit(&other);
}

Test(chunks, chunk_that_has_any_state_is_left_alone)
{
	static const uint32_t flags[] = { 0, ZCP_CHUNK_LOANED, 0x8000, ZCP_CHUNK_FLAGS };

	for (uint32_t i = 0; i < N_CHUNKS; i++)
		zcp_test_store(&class->chunks[i].state, zcp_chunk_state(i + 1, flags[i % 4]));
	cr_assert_eq(zcp_chunks_claim(&chunks), ZCP_REF_NONE);
	for (uint32_t i = 0; i < N_CHUNKS; i++)
		cr_assert_eq(zcp_test_load(&class->chunks[i].state),
			     zcp_chunk_state(i + 1, flags[i % 4]));
	cr_assert_eq(zcp_class_n_touched(class), 0);
}

Test(chunks, two_owners_never_claim_the_same_one)
{
	struct zcp_chunks other;

	begin(&other, OWNER + 1);
	for (uint32_t i = 0; i < N_CHUNKS; i += 2) {
		cr_assert_eq(claim(), i);
		cr_assert_eq(zcp_chunks_claim(&other), i + 1);
	}
	cr_assert_eq(zcp_chunks_claim(&chunks), ZCP_REF_NONE);
	cr_assert_eq(zcp_chunks_claim(&other), ZCP_REF_NONE);
	zcp_chunks_free(&other, 5);
	cr_assert_eq(claim(), 5);
	zcp_chunks_deinit(&other);
}

Test(chunks, count_of_what_became_free_wraps)
{
	claim_all();
	zcp_test_store(&class->shm->n_freed, UINT32_MAX);
	cr_assert_eq(zcp_chunks_claim(&chunks), ZCP_REF_NONE);
	free_elsewhere(6);
	cr_assert_eq(zcp_test_load(&class->shm->n_freed), 0);
	cr_assert_eq(claim(), 6);
}

static struct zcp_class *counted;

static void count(int number)
{
	(void)number;
	(void)zcp_class_count_freed(counted);
}

/*
 * Another process says that a chunk became FREE, again and again, and none has. Here a timer does,
 * several times while all chunks are looked at once.
 */
Test(chunks, one_that_only_counts_holds_nobody_up)
{
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(1, 1, 0, 64, 1 << 18);
	const struct sigaction action = { .sa_handler = count, .sa_flags = SA_RESTART };
	const struct itimerval often = { { .tv_usec = 200 }, { .tv_usec = 200 } };
	const struct itimerval never = { { .tv_usec = 0 }, { .tv_usec = 0 } };
	struct zcp_testbed large;
	struct zcp_chunks mine;

	zcp_testbed_init(&large, &options);
	counted = &large.view.pool.classes[0];
	for (uint32_t i = 0; i < counted->n_chunks; i++)
		zcp_test_store(&counted->chunks[i].state, zcp_chunk_state(1, 0));
	cr_assert_eq(zcp_chunks_init(&mine, &large.view.pool, 0, 2), 0);
	cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
	cr_assert_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
	cr_assert_eq(zcp_chunks_claim(&mine), ZCP_REF_NONE);
	cr_assert_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
	zcp_chunks_deinit(&mine);
	zcp_testbed_deinit(&large);
}

Test(chunks, class_of_one_chunk_works)
{
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(1, 1, 0, 64, 1);
	struct zcp_testbed small;
	struct zcp_chunks mine;

	zcp_testbed_init(&small, &options);
	cr_assert_eq(zcp_chunks_init(&mine, &small.view.pool, 0, 1), 0);
	for (int i = 0; i < 10; i++) {
		cr_assert_eq(zcp_chunks_claim(&mine), 0);
		cr_assert_eq(zcp_chunks_claim(&mine), ZCP_REF_NONE);
		zcp_chunks_free(&mine, 0);
	}
	zcp_chunks_deinit(&mine);
	zcp_testbed_deinit(&small);
}

/* --- lists --- */

Test(chunks, published_ones_are_taken_oldest_first)
{
	static const uint64_t starts[] = { 1, (UINT64_C(1) << 32) - 2, UINT64_MAX - 10 };

	for (int s = 0; s < 3; s++) {
		cr_assert_eq(chunks.oldest_seq, UINT64_MAX);
		for (uint32_t i = 0; i < N_CHUNKS; i++)
			publish(claim(), starts[s] + i);
		for (uint32_t i = 0; i < N_CHUNKS; i++) {
			cr_assert_eq(zcp_chunks_n(&chunks), N_CHUNKS - i);
			cr_assert_eq(chunks.oldest_seq, starts[s] + i);
			cr_assert_eq(zcp_chunks_pop_oldest(&chunks), i);
		}
		cr_assert_eq(zcp_chunks_n(&chunks), 0);
		cr_assert_eq(chunks.oldest_seq, UINT64_MAX);
		cr_assert_eq(zcp_chunks_pop_oldest(&chunks), ZCP_REF_NONE);
		for (uint32_t i = 0; i < N_CHUNKS; i++)
			zcp_chunks_free(&chunks, i);
	}
}

Test(chunks, published_one_joins_those_that_are_left)
{
	for (uint32_t i = 0; i < 3; i++)
		publish(claim(), i + 1);
	cr_assert_eq(zcp_chunks_pop_oldest(&chunks), 0);
	publish(0, 4);
	for (uint32_t i = 1; i < 4; i++)
		cr_assert_eq(zcp_chunks_pop_oldest(&chunks), i % 3);
	cr_assert_eq(zcp_chunks_pop_oldest(&chunks), ZCP_REF_NONE);
	publish(2, 5);
	cr_assert_eq(chunks.oldest_seq, 5);
	cr_assert_eq(zcp_chunks_pop_oldest(&chunks), 2);
}

Test(chunks, spare_one_used_last_is_used_first_and_has_no_number)
{
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t ref = claim();

		zcp_test_store(&chunk_of(ref)->seq, 9);
		zcp_chunks_add_spare(&chunks, ref);
		cr_assert_eq(zcp_test_load(&chunk_of(ref)->seq), 0);
		cr_assert_eq(zcp_test_load(&chunk_of(ref)->state), zcp_chunk_state(OWNER, 0));
	}
	cr_assert_eq(zcp_chunks_n(&chunks), 3);
	for (uint32_t i = 3; i > 0; i--)
		cr_assert_eq(zcp_chunk_list_pop(&chunks, &chunks.spare), i - 1);
	cr_assert_eq(zcp_chunk_list_pop(&chunks, &chunks.spare), ZCP_REF_NONE);
}

Test(chunks, one_that_is_set_aside_leaves_the_others_as_they_are)
{
	for (uint32_t i = 0; i < 4; i++)
		publish(claim(), i + 1);
	zcp_chunks_set_aside(&chunks);
	zcp_chunks_set_aside(&chunks);
	cr_assert_eq(chunks.aside.n, 2);
	cr_assert_eq(chunks.oldest_seq, 3);
	cr_assert_eq(zcp_chunks_n(&chunks), 4);
	/* Each is looked at once in a round. */
	cr_assert_eq(zcp_chunk_list_pop(&chunks, &chunks.aside), 0);
	zcp_chunks_put_aside(&chunks, 0);
	cr_assert_eq(zcp_chunk_list_pop(&chunks, &chunks.aside), 1);
	cr_assert_eq(zcp_chunk_list_pop(&chunks, &chunks.aside), 0);
	cr_assert_eq(zcp_chunk_list_pop(&chunks, &chunks.aside), ZCP_REF_NONE);
	cr_assert_eq(zcp_chunks_pop_oldest(&chunks), 2);
	cr_assert_eq(zcp_chunks_pop_oldest(&chunks), 3);
	/* None is left to be set aside. */
	zcp_chunks_set_aside(&chunks);
	cr_assert_eq(zcp_chunks_n(&chunks), 0);
}

Test(chunks, freed_one_is_anyones_and_the_runtime_is_told_once)
{
	(void)claim();
	zcp_chunks_free(&chunks, 0);
	cr_assert_eq(zcp_test_load(&class->chunks[0].state), ZCP_CHUNK_FREE);
	cr_assert_eq(zcp_test_load(&class->shm->n_freed), 1);
	cr_assert_not(chunks.freed);
	zcp_test_store(&class->shm->wants_freed, 1);
	cr_assert_eq(claim(), 0);
	zcp_chunks_free(&chunks, 0);
	cr_assert(chunks.freed);
	/* Until the node has taken it, whatever becomes FREE meanwhile. */
	cr_assert_eq(claim(), 0);
	zcp_chunks_free(&chunks, 0);
	cr_assert(chunks.freed);
}

Test(chunks, ref_that_names_no_chunk_does_nothing)
{
	static const uint32_t refs[] = { ZCP_REF_NONE, N_CHUNKS, 1U << 24, 63U << 24 };

	for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
		zcp_chunks_free(&chunks, refs[i]);
		zcp_chunks_add_spare(&chunks, refs[i]);
		zcp_chunks_put_aside(&chunks, refs[i]);
	}
	cr_assert_eq(zcp_chunks_n(&chunks), 0);
	cr_assert_eq(zcp_test_load(&class->shm->n_freed), 0);
}

/* Another publisher of the pool can write descriptors: at most the list is lost. */
Test(chunks, list_that_another_has_spoiled_comes_to_an_end)
{
	static const uint32_t nonsense[] = { ZCP_REF_NONE, N_CHUNKS, 63U << 24, 0, 1 };

	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		uint32_t n = 0;

		for (uint32_t c = 0; c < N_CHUNKS; c++)
			publish(c, c + 1);
		zcp_test_store(&class->chunks[2].next, nonsense[i]);
		while (zcp_chunks_pop_oldest(&chunks) != ZCP_REF_NONE)
			cr_assert_leq(++n, N_CHUNKS);
		cr_assert_geq(n, 3);
		cr_assert_eq(chunks.published.n, 0);
		n = 0;
		for (uint32_t c = 0; c < N_CHUNKS; c++)
			zcp_chunks_add_spare(&chunks, c);
		zcp_test_store(&class->chunks[5].next, nonsense[i]);
		while (zcp_chunk_list_pop(&chunks, &chunks.spare) != ZCP_REF_NONE)
			cr_assert_leq(++n, N_CHUNKS);
		cr_assert_geq(n, 3);
		cr_assert_eq(chunks.spare.n, 0);
	}
}

/* --- what the slot's former publishers have left --- */

Test(chunks, next_publisher_of_the_slot_has_what_is_left_in_its_order)
{
	static const uint64_t seqs[N_CHUNKS] = { 7, 0, UINT64_C(1) << 40, 5, 0, 6, 0, 0 };
	uint32_t other = zcp_ref(2, 1);
	struct zcp_chunks next;

	claim_all();
	for (uint32_t i = 0; i < N_CHUNKS; i++)
		number(i, OWNER, seqs[i]);
	/* Not its own: another owner's, one on loan, one that is FREE. */
	number(5, OWNER + 1, 6);
	zcp_test_store(&class->chunks[6].state, zcp_chunk_state(OWNER, ZCP_CHUNK_LOANED));
	free_elsewhere(7);
	/* One of another size class, which a former publisher used. */
	zcp_class_touch(&bed.view.pool.classes[2], 1);
	number(other, OWNER, 6);
	begin(&next, OWNER);
	cr_assert_eq(next.published.n, 4);
	cr_assert_eq(next.spare.n, 2);
	cr_assert_eq(next.aside.n, 0);
	cr_assert_eq(next.oldest_seq, 5);
	cr_assert_eq(zcp_chunks_pop_oldest(&next), 3);
	cr_assert_eq(zcp_chunks_pop_oldest(&next), other);
	cr_assert_eq(zcp_chunks_pop_oldest(&next), 0);
	cr_assert_eq(next.oldest_seq, UINT64_C(1) << 40);
	cr_assert_eq(zcp_chunks_pop_oldest(&next), 2);
	cr_assert_eq(zcp_chunk_list_pop(&next, &next.spare), 4);
	cr_assert_eq(zcp_chunk_list_pop(&next, &next.spare), 1);
	zcp_chunks_deinit(&next);
}

Test(chunks, descriptors_that_were_never_touched_are_not_looked_at)
{
	struct zcp_chunks next;

	zcp_class_touch(class, 2);
	for (uint32_t i = 0; i < N_CHUNKS; i++)
		number(i, OWNER, i + 1);
	begin(&next, OWNER);
	cr_assert_eq(next.published.n, 3);
	zcp_chunks_deinit(&next);
}
