/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was measured, a figure for each block, and how it is told.
 */
#ifndef ZCP_BENCH_FIGURES_H
#define ZCP_BENCH_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

struct bench_figures {
	uint32_t n_blocks;
	bool timestamps;
	double *raw_p50, *raw_p99, *zcp_p50, *zcp_p99, *large_p50, *rate;
	double *ratio_p50, *ratio_p99, *ratio_large;
};

/* Allocates them, for the process' life. 0 or -ENOMEM. */
int bench_figures_init(struct bench_figures *figures, uint32_t n_blocks, bool timestamps);

/* To standard output: a table for people, or one line of JSON. */
void bench_figures_print(const struct bench_figures *figures);
void bench_figures_print_json(const struct bench_figures *figures);

#endif
