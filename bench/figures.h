/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was measured: for each figure one value a block, told apart by how near the processors
 * were in it, and how medians of them are shown.
 */
#ifndef ZCP_BENCH_FIGURES_H
#define ZCP_BENCH_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

/* Ratios are of zcp to what it is compared with. */
enum bench_figure {
	/* ping: one way, ns */
	BENCH_RAW_P50,
	BENCH_RAW_P99,
	BENCH_REF_P50,
	BENCH_REF_P99,
	BENCH_ZCP_P50,
	BENCH_ZCP_P99,
	BENCH_RATIO_P50,
	BENCH_RATIO_P99,
	BENCH_RATIO_REF_P50,
	BENCH_RATIO_REF_P99,
	BENCH_RATIO_LARGE,
	/* streams of 64 bytes: messages a second */
	BENCH_STREAM_REF,
	BENCH_STREAM_BLOCK,
	BENCH_STREAM_DROP,
	BENCH_STREAM_RATIO_BLOCK,
	BENCH_STREAM_RATIO_DROP,
	BENCH_STREAM_LOST,
	BENCH_STREAM_2_REF,
	BENCH_STREAM_2,
	BENCH_STREAM_2_RATIO,
	BENCH_STREAM_4_REF,
	BENCH_STREAM_4,
	BENCH_STREAM_4_RATIO,
	/* frames a second */
	BENCH_FRAMES_PRIVATE,
	BENCH_FRAMES,
	BENCH_FRAMES_RATIO,
	BENCH_FRAMES_IN_USE,
	/* to a sleeper, or one that waits in a dispatch: one way, ns; two for each way */
	BENCH_SLEEP,
	BENCH_SLEEP_END = BENCH_SLEEP + 12,
	BENCH_RATIO_FUTEX_P50 = BENCH_SLEEP_END,
	BENCH_RATIO_FUTEX_P99,
	BENCH_RATIO_FD_P50,
	BENCH_RATIO_FD_P99,
	BENCH_RATIO_SPIN_P50,
	BENCH_RATIO_SPIN_P99,
	BENCH_FIGURES,
};

/* Where the processors were in a block. */
enum bench_place {
	BENCH_NEAR,
	BENCH_FAR,
	BENCH_ANYWHERE,  /* not told apart, and kept */
	BENCH_MOVED,     /* elsewhere before it than after it: not kept */
	BENCH_DISTURBED, /* a side had to make room for another program: not kept */
	BENCH_PLACES,
};

struct bench_values {
	double *values;
	uint8_t *places;
	uint32_t n;
	/* those before are of blocks that are over */
	uint32_t n_settled;
};

struct bench_figures {
	uint32_t n_max;
	struct bench_values of[BENCH_FIGURES];
	uint32_t n_blocks[BENCH_PLACES];
};

/* What is told beside the figures; rounds that were played. */
struct bench_setting {
	uint32_t n_rounds;
	bool timestamps;
};

/* For `n_max` blocks of each kind, for the process' life. 0 or -ENOMEM. */
int bench_figures_init(struct bench_figures *figures, uint32_t n_max);

/* A value of the block that is being played. */
void bench_figures_put(struct bench_figures *figures, enum bench_figure figure, double value);

/* The block is over, and this is where it was. */
void bench_figures_settle(struct bench_figures *figures, enum bench_place place);

/* Forgets all of it: what warmed up. */
void bench_figures_reset(struct bench_figures *figures);

/* To standard output: a table for people, or one line of JSON. */
void bench_figures_print(struct bench_figures *figures, const struct bench_setting *setting);
void bench_figures_print_json(struct bench_figures *figures, const struct bench_setting *setting);

#endif
