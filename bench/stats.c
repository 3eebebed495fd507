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
