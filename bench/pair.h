/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two processes of a peer and the benchmark share: the job that is to be done, its
 * result, and the words at which the two meet. How a side waits for the other one: every wait has
 * the same instruction between two looks, whatever is measured. And what stands in a payload.
 */
#ifndef ZCP_BENCH_PAIR_H
#define ZCP_BENCH_PAIR_H

#include <stdatomic.h>

#include "bench/peer.h"

/* Times of a play at most. */
#define BENCH_TIMES 4000

enum bench_task {
	BENCH_OPEN,    /* the links of a place */
	BENCH_LATENCY, /* to and fro, one message at a time */
	BENCH_STREAM,  /* one way, as fast as it goes */
	BENCH_FAN,     /* one way in bursts that fit into the queues; each publish is timed */
	BENCH_END,
};

struct bench_job {
	uint32_t task;
	/* what is opened and played on: two links, there and back */
	uint32_t place;
	struct bench_link there;
	/* both ways have such a link */
	bool is_both_ways;
	size_t size;
	/* all of a payload is written and summed, not its first and last line */
	bool is_whole;
	/* messages, of each publisher */
	uint32_t n;
	/* buffers of a peer that is private */
	uint32_t n_buffers;
	/* where each side runs */
	uint32_t cpu[2];
	/* the server sleeps until the next multiple of it before each message; 0: it does not */
	uint64_t period_ns;
};

/* One side's. */
struct bench_result {
	int32_t r;
	char error[160];
	/* from when both sides were there until both were done */
	double ns;
	/* of all its threads */
	double cpu_ns;
	/* the playing thread was ready to run, and waited for a processor */
	double delay_ns;
	/* of all its threads but the playing one */
	double helper_ns;
	uint64_t n_faults;
	uint64_t n_major_faults;
	uint64_t n_switches;
	uint64_t n_copied;
	uint64_t n_lost;
	/* different places in which payloads lay */
	uint32_t n_buffers;
	/* in bench_pair's ns; the server's */
	uint32_t n_times;
};

/* Each word on lines of its own, away from what a processor fetches along with it. */
struct bench_pair {
	/* both sides have met so often */
	_Alignas(128) _Atomic uint64_t met[2][16];
	/* by a side that gives up */
	_Alignas(128) _Atomic uint32_t failed;
	/* a new job; the benchmark sets it, and both sides sleep on it */
	_Alignas(128) _Atomic uint32_t job_number;
	/* sides that are done with it; the benchmark sleeps on it */
	_Alignas(128) _Atomic uint32_t n_done;
	struct bench_job job;
	struct bench_result results[2];
	double ns[BENCH_TIMES];
};

/* Counts the looks of one wait. */
struct bench_wait {
	uint64_t n_looks;
};

/* Between two looks. 0, or a negative errno: the other side has given up, or hangs. */
int bench_wait_check(const struct bench_pair *pair, const struct bench_wait *wait);

#define BENCH_LOOKS_PER_CHECK (UINT64_C(1) << 20)

static inline void bench_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("yield");
#endif
}

static inline int bench_wait(const struct bench_pair *pair, struct bench_wait *wait)
{
	bench_relax();
	if (__builtin_expect(++wait->n_looks % BENCH_LOOKS_PER_CHECK != 0, 1))
		return 0;
	return bench_wait_check(pair, wait);
}

/* Both sides are there; a negative errno where the other one has failed. */
int bench_meet(struct bench_pair *pair, enum bench_side side);

/* --- sleeping, on shared memory --- */

void bench_futex_wake(_Atomic uint32_t *word);
/* As long as it is `value`: 0, or -ETIMEDOUT. Wakes up early now and then. */
int bench_futex_wait(_Atomic uint32_t *word, uint32_t value, uint32_t timeout_ms);

/* --- payloads: words that count up from `value` --- */

/* `value` in the first line and, where there are more, in the last one; or in all of it. */
void bench_fill(void *data, size_t size, bool is_whole, uint64_t value);

/* 0, and what was filled in; or -EBADMSG where a word is wrong. */
int bench_verify(const void *data, size_t size, bool is_whole, uint64_t *value);

#endif
