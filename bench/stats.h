/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Percentiles of a few thousand figures.
 */
#ifndef ZCP_BENCH_STATS_H
#define ZCP_BENCH_STATS_H

#include <stddef.h>

/* Sorts `values` and returns the one below which `percent` of them lie. n > 0. */
double bench_percentile(double *values, size_t n, double percent);

#endif
