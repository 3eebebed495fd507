/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A histogram of latencies: 32 buckets for each power of two, so that any percentile is right
 * within 3 % and counting one costs a few nanoseconds and no memory.
 */
#ifndef METER_H
#define METER_H

#include <stdint.h>

enum { METER_BUCKETS = 1920 };

struct meter {
	uint64_t n;
	uint64_t n_in[METER_BUCKETS];
};

static inline unsigned int meter_bucket(uint64_t value)
{
	unsigned int shift;

	if (value < 64)
		return (unsigned int)value;
	shift = 58 - (unsigned int)__builtin_clzll(value);
	return 32 * shift + (unsigned int)(value >> shift);
}

/* The middle of a bucket. */
static inline uint64_t meter_value(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < 64)
		return bucket;
	shift = bucket / 32 - 1;
	return ((uint64_t)(bucket - 32 * shift) << shift) + ((UINT64_C(1) << shift) >> 1);
}

static inline void meter_add(struct meter *meter, uint64_t value)
{
	meter->n++;
	meter->n_in[meter_bucket(value)]++;
}

/* The value that `percent` of all do not exceed; 0 if there is none. */
static inline uint64_t meter_percentile(const struct meter *meter, double percent)
{
	uint64_t wanted = (uint64_t)((double)meter->n * percent / 100), sum = 0;
	unsigned int i;

	if (meter->n == 0)
		return 0;
	if (wanted >= meter->n)
		wanted = meter->n - 1;
	for (i = 0; i < METER_BUCKETS; i++) {
		sum += meter->n_in[i];
		if (sum > wanted)
			break;
	}
	return meter_value(i);
}

#endif
