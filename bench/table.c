/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting, and payloads.
 */
#include "bench/table.h"

#include <errno.h>

#define LINE 64
#define WORDS (LINE / sizeof(uint64_t))
/* A few minutes. */
#define CHECKS_MAX 2000

int bench_wait_check(const struct bench_table *table, const struct bench_wait *wait)
{
	if (atomic_load_explicit(&table->failed, memory_order_relaxed))
		return -ECANCELED;
	return wait->n_looks / BENCH_LOOKS_PER_CHECK > CHECKS_MAX ? -ETIMEDOUT : 0;
}

void bench_fill(void *data, size_t size, uint64_t value)
{
	uint64_t *first = data, *last = (uint64_t *)(void *)((char *)data + size - LINE);

	for (size_t i = 0; i < WORDS; i++)
		first[i] = value + i;
	if (first != last)
		for (size_t i = 0; i < WORDS; i++)
			last[i] = value + i;
}

int bench_verify(const void *data, size_t size, uint64_t value)
{
	const uint64_t *first = data;
	const uint64_t *last = (const uint64_t *)(const void *)((const char *)data + size - LINE);
	uint64_t wrong = 0;

	for (size_t i = 0; i < WORDS; i++)
		wrong |= (first[i] ^ (value + i)) | (last[i] ^ (value + i));
	return wrong ? -EBADMSG : 0;
}
