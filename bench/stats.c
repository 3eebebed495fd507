/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorting.
 */
#include "bench/stats.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_percentile(double *values, size_t n, double percent)
{
	size_t at = (size_t)((double)(n - 1) * percent / 100.0 + 0.5);

	qsort(values, n, sizeof(values[0]), compare);
	return values[at];
}

double bench_middle(double *values, size_t n)
{
	size_t from = n * 2 / 5, to = n * 3 / 5 + 1;
	double sum = 0;

	qsort(values, n, sizeof(values[0]), compare);
	for (size_t i = from; i < to && i < n; i++)
		sum += values[i];
	return sum / (double)((to < n ? to : n) - from);
}

double bench_slope(const double *x, const double *y, size_t n)
{
	double mean_x = 0, mean_y = 0, xy = 0, xx = 0;

	for (size_t i = 0; i < n; i++) {
		mean_x += x[i] / (double)n;
		mean_y += y[i] / (double)n;
	}
	for (size_t i = 0; i < n; i++) {
		xy += (x[i] - mean_x) * (y[i] - mean_y);
		xx += (x[i] - mean_x) * (x[i] - mean_x);
	}
	return xy / xx;
}
