/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Percentiles of a few thousand figures.
 */
#ifndef ZCP_BENCH_STATS_H
#define ZCP_BENCH_STATS_H

#include <stddef.h>

/* Sorts `values` and returns the one below which `percent` of them lie. n > 0. */
double bench_percentile(double *values, size_t n, double percent);

/*
 * Sorts `values` and returns the mean of their middle fifth: the median, of times that a clock
 * with coarse ticks has taken. n > 0.
 */
double bench_middle(double *values, size_t n);

/* Of the line that lies closest to the points. n > 1. */
double bench_slope(const double *x, const double *y, size_t n);

#endif
