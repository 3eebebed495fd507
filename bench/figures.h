/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was measured, a figure for each block, and how it is told.
 */
#ifndef ZCP_BENCH_FIGURES_H
#define ZCP_BENCH_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/sleep.h"

struct bench_figures {
	uint32_t n_blocks;
	bool timestamps;
	double *raw_p50, *raw_p99, *zcp_p50, *zcp_p99, *large_p50, *rate;
	double *ratio_p50, *ratio_p99, *ratio_large;
	/* of the blocks in which both sides sleep */
	uint32_t n_sleep_blocks;
	double *sleep_p50[BENCH_WAYS], *sleep_p99[BENCH_WAYS];
	/* of zcp's ways to the kernel's */
	double *ratio_futex_p50, *ratio_futex_p99, *ratio_fd_p50, *ratio_fd_p99;
};

/* Allocates them, for the process' life. 0 or -ENOMEM. */
int bench_figures_init(struct bench_figures *figures, uint32_t n_blocks, uint32_t n_sleep_blocks,
		       bool timestamps);

/* To standard output: a table for people, or one line of JSON. */
void bench_figures_print(const struct bench_figures *figures);
void bench_figures_print_json(const struct bench_figures *figures);

#endif
