/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two processes share beside zcp, how a side waits for the other one, and what stands
 * in a payload. Every wait has the same instruction between two looks, whatever is measured.
 */
#ifndef ZCP_BENCH_TABLE_H
#define ZCP_BENCH_TABLE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/ring.h"

/* Each word on lines of its own, away from what a processor fetches along with it. */
struct bench_table {
	/* the bare line, in each direction */
	_Alignas(128) _Atomic uint64_t line;
	_Alignas(128) _Atomic uint64_t back;
	_Alignas(128) _Atomic uint64_t met[2][16];
	/* written by: the returner, before a meeting */
	_Alignas(128) _Atomic uint64_t n_lost;
	_Atomic uint64_t n_preempted;
	/* written by: the server, before a meeting */
	_Alignas(128) _Atomic uint64_t is_over;
	_Atomic uint64_t n_frames;
	/* by either side that gives up */
	_Alignas(128) _Atomic uint64_t failed;
	/* what each side sleeps on, and what it spins on */
	_Alignas(128) _Atomic uint32_t futex[2][32];
	_Alignas(128) _Atomic uint64_t spin[2][16];
	/* reference rings: there and back, and a stream's */
	struct bench_ring ping[2];
	struct bench_ring stream[BENCH_FAN];
};

/* Counts the looks of one wait. */
struct bench_wait {
	uint64_t n_looks;
};

/* Between two looks. 0, or a negative errno: the other side has given up, or hangs. */
int bench_wait_check(const struct bench_table *table, const struct bench_wait *wait);

#define BENCH_LOOKS_PER_CHECK (UINT64_C(1) << 23)

static inline void bench_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("yield");
#endif
}

static inline int bench_wait(const struct bench_table *table, struct bench_wait *wait)
{
	bench_relax();
	if (__builtin_expect(++wait->n_looks % BENCH_LOOKS_PER_CHECK != 0, 1))
		return 0;
	return bench_wait_check(table, wait);
}

/* Until the word is at least `value`. */
static inline int bench_wait_word(const struct bench_table *table, _Atomic uint64_t *word,
				  uint64_t value)
{
	struct bench_wait wait = { 0 };
	int r = 0;

	/* Acquire: the other side's writes before it said so. */
	while (r == 0 && atomic_load_explicit(word, memory_order_acquire) < value)
		r = bench_wait(table, &wait);
	return r;
}

/* --- payloads: `value` in the first line and, where there are more, in the last one --- */

void bench_fill(void *data, size_t size, uint64_t value);

/* 0 or -EBADMSG. */
int bench_verify(const void *data, size_t size, uint64_t value);

#endif
