/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A clock cheap enough to be read at every round trip: the processor's counter where it
 * ticks evenly, else CLOCK_MONOTONIC.
 */
#ifndef ZCP_BENCH_CLOCK_H
#define ZCP_BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t bench_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static inline uint64_t bench_ticks(void)
{
#if defined(__x86_64__)
	uint32_t low, high;

	__asm__ __volatile__("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
#else
	return bench_ns();
#endif
}

/* Nanoseconds of a tick, and ticks that reading the clock itself takes. */
struct bench_clock {
	double ns_per_tick;
	uint64_t overhead;
};

void bench_clock_init(struct bench_clock *clock);

/* Without what reading the clock takes. */
static inline double bench_clock_ns(const struct bench_clock *clock, uint64_t ticks)
{
	return (double)(ticks - (ticks < clock->overhead ? ticks : clock->overhead)) *
	       clock->ns_per_tick;
}

#endif
