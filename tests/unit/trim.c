/* SPDX-License-Identifier: Apache-2.0 */
/* Giving memory back: what is punched, and when; what never is. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "pubsub/util.h"
#include "runtime/domain/trim_pool.h"

#define SECOND UINT64_C(1000000000)
#define TRIM_AFTER (4 * SECOND)
#define PERIOD SECOND
#define KIB ((uint64_t)1024)
/* Of a publisher. */
#define OWNER 7

struct bench {
	struct zcpd_pool *pool;
	uint64_t now_ns;
	/* the data region of each class, as a publisher maps it */
	char *data[4];
	size_t data_size[4];
};

static void add_class(struct bench *bench, uint64_t payload_size, uint32_t n_chunks)
{
	uint32_t c = bench->pool->view.n_classes;
	struct stat data;

	cr_assert_eq(zcpd_pool_add_class(bench->pool, payload_size, n_chunks), 0);
	cr_assert_eq(fstat(bench->pool->classes[c].data_fd, &data), 0);
	bench->data_size[c] = (size_t)data.st_size;
	bench->data[c] = mmap(NULL, bench->data_size[c], PROT_READ | PROT_WRITE, MAP_SHARED,
			      bench->pool->classes[c].data_fd, 0);
	cr_assert_neq(bench->data[c], MAP_FAILED);
}

static struct bench new_bench(uint64_t payload_size, uint32_t n_chunks, uint32_t user_header_size,
			      uint32_t memory)
{
	struct bench bench = { .now_ns = 1000 * SECOND };

	cr_assert_eq(zcpd_pool_new(&bench.pool, 3, 9, "pool", true), 0);
	bench.pool->entry.alignment = 64;
	bench.pool->entry.user_header_size = user_header_size;
	bench.pool->entry.memory = memory;
	add_class(&bench, payload_size, n_chunks);
	return bench;
}

static void end_bench(struct bench *bench)
{
	for (uint32_t c = 0; c < bench->pool->view.n_classes; c++)
		munmap(bench->data[c], bench->data_size[c]);
	bench->pool = zcpd_pool_free(bench->pool);
}

static uint64_t n_bytes(const struct bench *bench, uint32_t class_index)
{
	struct stat data;

	cr_assert_eq(fstat(bench->pool->classes[class_index].data_fd, &data), 0);
	return (uint64_t)data.st_blocks * 512;
}

static struct zcp_chunk_shm *chunk_of(const struct bench *bench, uint32_t c, uint32_t index)
{
	return &bench->pool->view.classes[c].chunks[index];
}

static char *payload_of(const struct bench *bench, uint32_t c, uint32_t index)
{
	const struct zcp_class_shm *shm = bench->pool->view.classes[c].shm;

	return bench->data[c] + shm->payload_offset + index * shm->stride;
}

static void claim(struct bench *bench, uint32_t c, uint32_t index)
{
	zcp_class_touch(&bench->pool->view.classes[c], index);
	cr_assert(zcp_chunk_claim(chunk_of(bench, c, index), OWNER));
}

/* A publisher claims the chunks from `from` on and fills them in. */
static void use(struct bench *bench, uint32_t c, uint32_t from, uint32_t n)
{
	for (uint32_t i = from; i < from + n; i++) {
		claim(bench, c, i);
		memset(payload_of(bench, c, i), 'a' + (int)(i % 26),
		       bench->pool->view.classes[c].payload_size);
	}
}

/* And frees them. Returns whether it is to tell the runtime. */
static bool release(struct bench *bench, uint32_t c, uint32_t from, uint32_t n)
{
	for (uint32_t i = from; i < from + n; i++)
		zcp_chunk_free(chunk_of(bench, c, i));
	return zcp_class_count_freed(&bench->pool->view.classes[c]);
}

static bool is_idle(const struct bench *bench)
{
	return zcpd_trim_pool_due(bench->pool) == ZCPD_TRIM_IDLE;
}

static void freed(struct bench *bench)
{
	zcpd_trim_pool_freed(bench->pool, TRIM_AFTER, bench->now_ns);
}

/* Time passes, and all turns that are due are made. Returns how many those were. */
static uint32_t pass(struct bench *bench, uint64_t ns)
{
	uint64_t end_ns = bench->now_ns + ns;
	uint32_t n = 0;

	while (zcpd_trim_pool_due(bench->pool) <= end_ns) {
		if (bench->now_ns < zcpd_trim_pool_due(bench->pool))
			bench->now_ns = zcpd_trim_pool_due(bench->pool);
		zcpd_trim_pool_turn(bench->pool, false, bench->now_ns);
		cr_assert_lt(++n, 100000);
	}
	bench->now_ns = end_ns;
	return n;
}

static bool is_pattern(const struct bench *bench, uint32_t c, uint32_t index)
{
	const char *payload = payload_of(bench, c, index);

	for (uint64_t i = 0; i < bench->pool->view.classes[c].payload_size; i++)
		if (payload[i] != 'a' + (int)(index % 26))
			return false;
	return true;
}

Test(trim, chunks_that_were_free_for_the_time_are_given_back)
{
	struct bench bench = new_bench(64 * KIB, 32, 0, 0);
	uint64_t before;

	use(&bench, 0, 0, 20);
	before = n_bytes(&bench, 0);
	cr_assert_geq(before, 20 * 64 * KIB);
	cr_expect(release(&bench, 0, 0, 20), "a new class wants to be told");
	freed(&bench);
	pass(&bench, TRIM_AFTER - 1);
	cr_expect_eq(n_bytes(&bench, 0), before);
	pass(&bench, PERIOD);
	cr_expect_leq(n_bytes(&bench, 0), before - 20 * 64 * KIB);
	for (uint32_t i = 0; i < 20; i++) {
		const struct zcp_chunk_shm *chunk = chunk_of(&bench, 0, i);

		cr_expect_eq(atomic_load(&chunk->state), ZCP_CHUNK_FREE);
		cr_expect_eq(atomic_load(&chunk->seq), 0);
		cr_expect_eq(payload_of(&bench, 0, i)[5], 0);
	}
	end_bench(&bench);
}

Test(trim, chunks_on_loan_or_used_meanwhile_stay)
{
	struct bench bench = new_bench(16 * KIB, 8, 0, 0);
	uint64_t all;

	use(&bench, 0, 0, 4);
	all = n_bytes(&bench, 0);
	release(&bench, 0, 1, 3);
	freed(&bench);
	pass(&bench, 2 * PERIOD);
	/* 2 comes back at once, 3 while its time runs out. */
	use(&bench, 0, 2, 2);
	release(&bench, 0, 2, 1);
	pass(&bench, TRIM_AFTER - PERIOD);
	cr_expect(is_pattern(&bench, 0, 0));
	cr_expect_eq(payload_of(&bench, 0, 1)[0], 0);
	cr_expect(is_pattern(&bench, 0, 2));
	cr_expect(is_pattern(&bench, 0, 3));
	release(&bench, 0, 3, 1);
	pass(&bench, TRIM_AFTER - PERIOD);
	cr_expect_eq(payload_of(&bench, 0, 2)[0], 0);
	cr_expect(is_pattern(&bench, 0, 3));
	pass(&bench, 2 * PERIOD);
	cr_expect_eq(payload_of(&bench, 0, 3)[0], 0);
	cr_expect(is_pattern(&bench, 0, 0));
	/* What was looked at here is there again, and a part of a page more. */
	cr_expect_lt(n_bytes(&bench, 0), all - 24 * KIB);
	end_bench(&bench);
}

Test(trim, nothing_is_looked_at_before_something_is_free_and_after_all_is_given_back)
{
	struct bench bench = new_bench(8 * KIB, 8, 0, 0);
	struct zcp_class_shm *shm = bench.pool->view.classes[0].shm;
	uint32_t n_claims;

	cr_expect(is_idle(&bench));
	use(&bench, 0, 0, 2);
	freed(&bench);
	pass(&bench, 0);
	cr_expect(is_idle(&bench), "chunks on loan are no reason to look");
	cr_expect_eq(atomic_load(&shm->wants_freed), 1);

	cr_expect(release(&bench, 0, 0, 1));
	cr_expect_not(release(&bench, 0, 1, 1), "the runtime is told once");
	freed(&bench);
	pass(&bench, TRIM_AFTER + PERIOD);
	cr_expect(is_idle(&bench));
	cr_expect_eq(atomic_load(&shm->wants_freed), 1);
	n_claims = atomic_load(&chunk_of(&bench, 0, 0)->n_claims);

	/* One more, and the others are left as they are. */
	use(&bench, 0, 2, 1);
	cr_expect(release(&bench, 0, 2, 1));
	freed(&bench);
	pass(&bench, TRIM_AFTER + PERIOD);
	cr_expect(is_idle(&bench));
	cr_expect_eq(atomic_load(&chunk_of(&bench, 0, 0)->n_claims), n_claims);
	cr_expect_eq(payload_of(&bench, 0, 2)[0], 0);
	end_bench(&bench);
}

/* What was freed behind the look that was to be the last one: another look follows. */
Test(trim, chunk_that_is_free_behind_a_look_is_not_forgotten)
{
	struct bench bench = new_bench(4 * KIB, 10000, 0, 0);

	use(&bench, 0, 0, 10000);
	freed(&bench);
	/* The first look, in which all are on loan; then the runtime asks, and looks again. */
	for (int i = 0; i < 3; i++)
		zcpd_trim_pool_turn(bench.pool, false, bench.now_ns);
	zcpd_trim_pool_turn(bench.pool, false, bench.now_ns);
	cr_assert_not(is_idle(&bench));
	cr_expect(release(&bench, 0, 0, 1));
	freed(&bench);
	pass(&bench, TRIM_AFTER + PERIOD);
	cr_expect(is_idle(&bench));
	cr_expect_eq(payload_of(&bench, 0, 0)[0], 0);
	end_bench(&bench);
}

/* What publishers that are gone have left is looked for a few times, ever more seldom. */
Test(trim, looks_for_what_is_left_come_to_an_end)
{
	struct bench bench = new_bench(16 * KIB, 8, 0, 0);
	uint64_t last = 0, first = bench.now_ns;
	uint32_t n = 0;

	freed(&bench);
	for (; !is_idle(&bench); n++) {
		bench.now_ns = zcpd_trim_pool_due(bench.pool);
		last = bench.now_ns;
		zcpd_trim_pool_turn(bench.pool, true, bench.now_ns);
		cr_assert_lt(n, 100);
	}
	cr_expect_eq(n, 2 + 8, "%u", n);
	cr_expect_eq(last - first, PERIOD * 255);
	/* Asked for all the while: one that is freed is not waited for. */
	use(&bench, 0, 0, 1);
	cr_expect(release(&bench, 0, 0, 1));
	freed(&bench);
	pass(&bench, TRIM_AFTER);
	cr_expect(is_idle(&bench));
	cr_expect_eq(payload_of(&bench, 0, 0)[0], 0);
	end_bench(&bench);
}

Test(trim, turn_is_bounded)
{
	struct bench bench = new_bench(4 * KIB, 10000, 0, 0);
	uint64_t before, last;
	uint32_t n;

	use(&bench, 0, 0, 10000);
	release(&bench, 0, 0, 10000);
	freed(&bench);
	n = pass(&bench, 0);
	cr_expect_eq(n, 3, "%u", n);
	pass(&bench, TRIM_AFTER - 1);
	last = before = n_bytes(&bench, 0);
	bench.now_ns++;
	for (n = 0; n_bytes(&bench, 0) > before - 10000 * 4 * KIB && n < 1000; n++) {
		zcpd_trim_pool_turn(bench.pool, false, bench.now_ns);
		cr_expect_geq(n_bytes(&bench, 0) + 256 * 4 * KIB, last);
		last = n_bytes(&bench, 0);
	}
	cr_expect_eq(n, 40, "%u", n);
	end_bench(&bench);
}

Test(trim, pools_that_have_their_memory_beforehand_keep_it)
{
	struct bench bench = new_bench(16 * KIB, 8, 0, ZCP_MEMORY_PREFAULT);
	uint64_t before = n_bytes(&bench, 0);

	use(&bench, 0, 0, 8);
	(void)release(&bench, 0, 0, 8);
	freed(&bench);
	cr_expect(is_idle(&bench));
	pass(&bench, 10 * TRIM_AFTER);
	cr_expect_eq(n_bytes(&bench, 0), before);
	/* Asked for, or got: each is enough. */
	for (uint32_t memory = 1; memory & ZCP_MEMORY_FLAGS; memory <<= 1) {
		bench.pool->entry.memory = memory;
		bench.pool->entry.got = 0;
		freed(&bench);
		cr_expect(is_idle(&bench));
		bench.pool->entry.memory = 0;
		bench.pool->entry.got = memory;
		freed(&bench);
		cr_expect(is_idle(&bench));
	}
	end_bench(&bench);
}

Test(trim, never_is_never)
{
	struct bench bench = new_bench(16 * KIB, 8, 0, 0);

	use(&bench, 0, 0, 8);
	(void)release(&bench, 0, 0, 8);
	zcpd_trim_pool_freed(bench.pool, ZCPD_CONFIG_NEVER, bench.now_ns);
	cr_expect(is_idle(&bench));
	end_bench(&bench);
}

Test(trim, chunks_smaller_than_a_page_keep_theirs)
{
	struct bench bench = new_bench(1000, 64, 0, 0);
	uint64_t before;

	use(&bench, 0, 0, 64);
	before = n_bytes(&bench, 0);
	release(&bench, 0, 0, 64);
	freed(&bench);
	pass(&bench, 2 * TRIM_AFTER);
	cr_expect(is_idle(&bench));
	cr_expect_eq(n_bytes(&bench, 0), before);
	for (uint32_t i = 0; i < 64; i++)
		cr_expect(is_pattern(&bench, 0, i));
	end_bench(&bench);
}

/* With room for a user header chunks do not begin at pages: what two share stays. */
Test(trim, neighbours_of_a_chunk_are_not_touched)
{
	/* As long as from one chunk to the next: nothing is left between them. */
	struct bench bench = new_bench(24 * KIB - 64, 3, 64, 0);

	use(&bench, 0, 0, 3);
	/* The user header of the one behind, right before its payload. */
	memset(payload_of(&bench, 0, 2) - 64, 'h', 64);
	release(&bench, 0, 1, 1);
	freed(&bench);
	pass(&bench, TRIM_AFTER + PERIOD);
	cr_expect(is_pattern(&bench, 0, 0));
	cr_expect(is_pattern(&bench, 0, 2));
	for (int i = 1; i <= 64; i++)
		cr_expect_eq(payload_of(&bench, 0, 2)[-i], 'h');
	cr_expect_eq(payload_of(&bench, 0, 1)[8 * KIB], 0);
	end_bench(&bench);
}

Test(trim, all_size_classes_of_a_pool_are_looked_at)
{
	struct bench bench = new_bench(1000, 4, 0, 0);

	use(&bench, 0, 0, 4);
	release(&bench, 0, 0, 4);
	freed(&bench);
	pass(&bench, 2 * TRIM_AFTER);
	cr_expect(is_idle(&bench));
	add_class(&bench, 100 * KIB, 4);
	add_class(&bench, 300 * KIB, 4);
	use(&bench, 1, 0, 2);
	use(&bench, 2, 3, 1);
	cr_expect(release(&bench, 1, 0, 2), "classes that came later want to be told as well");
	cr_expect(release(&bench, 2, 3, 1));
	freed(&bench);
	pass(&bench, TRIM_AFTER + PERIOD);
	cr_expect_leq(n_bytes(&bench, 1), 8 * KIB);
	cr_expect_leq(n_bytes(&bench, 2), 8 * KIB);
	end_bench(&bench);
}

/* A publisher may write anything into the words of the class. */
Test(trim, lies_about_how_far_chunks_were_used_are_bounded)
{
	struct bench bench = new_bench(8 * KIB, 8, 0, 0);
	struct zcp_class_shm *shm = bench.pool->view.classes[0].shm;

	use(&bench, 0, 0, 8);
	release(&bench, 0, 0, 8);
	atomic_store(&shm->n_touched, UINT32_MAX);
	shm->n_chunks = UINT32_MAX;
	shm->stride = UINT64_C(1) << 40;
	freed(&bench);
	pass(&bench, TRIM_AFTER + PERIOD);
	cr_expect_leq(n_bytes(&bench, 0), 8 * KIB);
	cr_expect(is_idle(&bench));
	end_bench(&bench);
}

/* Killed at trim.after_claim or trim.after_punch. */
Test(trim, chunk_that_a_dead_runtime_had_claimed_is_freed_by_the_next_one)
{
	struct bench bench = new_bench(8 * KIB, 8, 0, 0);
	struct zcp_chunk_shm *chunk = chunk_of(&bench, 0, 2);

	use(&bench, 0, 0, 4);
	release(&bench, 0, 0, 4);
	cr_assert(zcp_chunk_claim(chunk, ZCP_OWNER_RUNTIME));
	cr_expect_eq(zcpd_pool_free_strangers(bench.pool), 1);
	cr_expect_eq(atomic_load(&chunk->state), ZCP_CHUNK_FREE);
	freed(&bench);
	pass(&bench, TRIM_AFTER + PERIOD);
	cr_expect_leq(n_bytes(&bench, 0), 8 * KIB);
	end_bench(&bench);
}
