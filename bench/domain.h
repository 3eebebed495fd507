/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A domain of the benchmark's own, so that nobody else's is measured or disturbed.
 */
#ifndef ZCP_BENCH_DOMAIN_H
#define ZCP_BENCH_DOMAIN_H

#include <limits.h>
#include <stdbool.h>

struct bench_domain {
	char directory[PATH_MAX - 64];
};

/* Nodes that this process and its children open find it. 0, or -1 after a line on standard error. */
int bench_domain_make(struct bench_domain *domain, bool timestamps);

/* Ends its runtime. */
void bench_domain_remove(const struct bench_domain *domain);

#endif
