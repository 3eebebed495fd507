/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calibration against CLOCK_MONOTONIC.
 */
#include "bench/clock.h"

#define CALIBRATION_NS 20000000
#define READS 1000

void bench_clock_init(struct bench_clock *clock)
{
	uint64_t start_ns = bench_ns(), start = bench_ticks(), least = UINT64_MAX, now_ns;

	do {
		now_ns = bench_ns();
	} while (now_ns - start_ns < CALIBRATION_NS);
	clock->ns_per_tick = (double)(now_ns - start_ns) / (double)(bench_ticks() - start);
	for (int i = 0; i < READS; i++) {
		uint64_t before = bench_ticks(), between = bench_ticks() - before;

		if (between < least)
			least = between;
	}
	clock->overhead = least;
}
