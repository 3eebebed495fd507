/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of the chunks.
 */
#include "bench/ring.h"

void bench_ring_begin(struct bench_ring_end *end, struct bench_ring *ring, uint32_t depth)
{
	uint32_t n = depth + BENCH_RING_SPARE, random = 1;

	*end = (struct bench_ring_end){ .ring = ring, .depth = depth, .next = 1, .tail = 1 };
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at;

		random = random * 1664525 + 1013904223;
		at = (random >> 16) % (i + 1);
		end->order[i] = end->order[at];
		end->order[at] = (uint16_t)i;
	}
}
