/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting, and payloads.
 */
#include "bench/pair.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LINE 64
/* About half a minute, where a look takes 20 ns. */
#define CHECKS_MAX 1500
#define LOOKS_PER_YIELD 2000
/* A millisecond or so: longer than any play ends apart. */
#define LOOKS_AWAKE 50000
#define PAUSE_NS 100000

int bench_wait_check(const struct bench_pair *pair, const struct bench_wait *wait)
{
	if (atomic_load_explicit(&pair->failed, memory_order_relaxed))
		return -ECANCELED;
	return wait->n_looks / BENCH_LOOKS_PER_CHECK > CHECKS_MAX ? -ETIMEDOUT : 0;
}

int bench_meet(struct bench_pair *pair, enum bench_side side)
{
	/* This side's own word: nobody else writes it. */
	uint64_t n = atomic_load_explicit(&pair->met[side][0], memory_order_relaxed) + 1;
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	struct bench_wait wait = { 0 };
	int r = 0;

	/* Release: what this side has written before. Acquire: what the other one has. */
	atomic_store_explicit(&pair->met[side][0], n, memory_order_release);
	while (r == 0 && atomic_load_explicit(&pair->met[!side][0], memory_order_acquire) < n) {
		r = bench_wait(pair, &wait);
		/*
		 * The other side may need this very processor to come; and where it opens what the
		 * runtime has to answer, so may the runtime, which a real-time policy holds off.
		 */
		if (wait.n_looks % LOOKS_PER_YIELD == 0)
			(void)(wait.n_looks < LOOKS_AWAKE ? sched_yield() :
							    nanosleep(&pause, NULL));
	}
	return r;
}

void bench_futex_wake(_Atomic uint32_t *word)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

int bench_futex_wait(_Atomic uint32_t *word, uint32_t value, uint32_t timeout_ms)
{
	const struct timespec limit = { .tv_sec = timeout_ms / 1000,
					.tv_nsec = (long)(timeout_ms % 1000) * 1000000 };

	if (syscall(SYS_futex, word, FUTEX_WAIT, value, &limit, NULL, 0) < 0 && errno == ETIMEDOUT)
		return -ETIMEDOUT;
	return 0;
}

static void fill(uint64_t *words, size_t n, uint64_t value)
{
	for (size_t i = 0; i < n; i++)
		words[i] = value + i;
}

void bench_fill(void *data, size_t size, bool is_whole, uint64_t value)
{
	size_t n = size / sizeof(uint64_t), line = LINE / sizeof(uint64_t);

	if (is_whole || size <= LINE) {
		fill(data, n, value);
		return;
	}
	fill(data, line, value);
	fill((uint64_t *)data + n - line, line, value);
}

/* Bits that differ from what fill() has written. */
static uint64_t differ(const uint64_t *words, size_t n, uint64_t value)
{
	uint64_t wrong = 0;

	for (size_t i = 0; i < n; i++)
		wrong |= words[i] ^ (value + i);
	return wrong;
}

/* Words that count up from `value` have this sum, and hardly any others do. */
static uint64_t sum_differs(const uint64_t *words, size_t n, uint64_t value)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += words[i];
	return sum ^ (value * n + (uint64_t)n * (n - 1) / 2);
}

int bench_verify(const void *data, size_t size, bool is_whole, uint64_t *value)
{
	const uint64_t *words = data;
	size_t n = size / sizeof(uint64_t), line = LINE / sizeof(uint64_t);
	uint64_t first = words[0], wrong;

	if (size <= LINE)
		wrong = differ(words, n, first);
	else if (is_whole)
		wrong = sum_differs(words, n, first);
	else
		wrong = differ(words, line, first) | differ(words + n - line, line, first);
	*value = first;
	return wrong ? -EBADMSG : 0;
}
