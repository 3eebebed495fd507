/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of what was allocated, and a way out.
 */
#include "tests/fuzz/support/mortal.h"

#include <setjmp.h>
#include <stddef.h>
#include <string.h>
#include <uv.h>

#include "tests/fuzz/support/guard.h"
#include "tests/support/check.h"

/* More than any input comes to. */
#define BLOCKS_MAX 65536

static void *blocks[BLOCKS_MAX];
static uint32_t n_blocks;
static bool is_running;
static jmp_buf end_of_life;

/* The linker's names. NOLINTBEGIN(bugprone-reserved-identifier) */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);

static void *track(void *block)
{
	if (block && is_running) {
		ZCP_CHECK(n_blocks < BLOCKS_MAX);
		blocks[n_blocks++] = block;
	}
	return block;
}

/* What was allocated last is freed first, mostly. */
static void forget(const void *block)
{
	for (uint32_t i = block ? n_blocks : 0; i-- > 0;) {
		if (blocks[i] == block) {
			blocks[i] = blocks[--n_blocks];
			return;
		}
	}
}

void *__wrap_malloc(size_t size)
{
	return track(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return track(__real_calloc(n, size));
}

void *__wrap_realloc(void *block, size_t size)
{
	void *moved = __real_realloc(block, size);

	if (!moved)
		return NULL;
	forget(block);
	return track(moved);
}

void __wrap_free(void *block)
{
	forget(block);
	__real_free(block);
}

void zcp_fuzz_mortal_init(void)
{
	ZCP_CHECK(uv_replace_allocator(__wrap_malloc, __wrap_realloc, __wrap_calloc, __wrap_free) ==
		  0);
}

void zcp_fuzz_mortal_bury(void)
{
	ZCP_CHECK(!is_running);
	zcp_fuzz_unmap_all();
	while (n_blocks > 0)
		__real_free(blocks[--n_blocks]);
}
/* NOLINTEND(bugprone-reserved-identifier) */

static void die(void *user)
{
	(void)user;
	longjmp(end_of_life, 1);
}

bool zcp_fuzz_mortal_run(void (*act)(void *user), void *user, uint32_t after)
{
	bool lives;

	if (setjmp(end_of_life) == 0) {
		if (after != ZCP_FUZZ_LIVES)
			zcp_fuzz_at_access(after, die, NULL);
		is_running = true;
		act(user);
		lives = true;
	} else {
		lives = false;
	}
	is_running = false;
	zcp_fuzz_forget_accesses(die);
	return lives;
}

bool zcp_fuzz_mortal_pause(void)
{
	bool was_running = is_running;

	is_running = false;
	return was_running;
}

void zcp_fuzz_mortal_go_on(bool was_running)
{
	is_running = was_running;
}

void zcp_fuzz_mortal_end(void)
{
	/* For the detector of leaks, which would take our list for a place where it is in use. */
	memset(blocks, 0, n_blocks * sizeof(blocks[0]));
	n_blocks = 0;
}
