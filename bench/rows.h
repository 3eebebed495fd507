/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The results: rows, each with its name, unit, samples, median and spread, and the ratio to what
 * it was compared with in the same blocks.
 */
#ifndef ZCP_BENCH_ROWS_H
#define ZCP_BENCH_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define BENCH_NAME_MAX 48

struct bench_row {
	/* what was played, who played, and what was counted: "latency-spin", "zcp", "p50" */
	char game[BENCH_NAME_MAX];
	char peer[BENCH_NAME_MAX];
	char figure[BENCH_NAME_MAX];
	char unit[24];
	/* bytes of a message, or 0; and how many there were of something else, such as topics */
	uint64_t size;
	uint64_t n;
	/* "near", "far" or "all": where the processors were */
	const char *place;
	/* blocks; the median over them, and its first and third quartile */
	uint32_t n_samples;
	double median;
	double low;
	double high;
	/* median of block-wise ratios, with quartiles; NAN and "": it is compared with nothing */
	double ratio;
	double ratio_low;
	double ratio_high;
	char ratio_to[BENCH_NAME_MAX];
};

/* What did not play, or stopped to, and why. */
void bench_rows_note(const char *game, const char *peer, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Copies it; `n` values become median and quartiles, and so do `n_ratios` ratios. */
void bench_rows_add(const struct bench_row *row, double *values, uint32_t n, double *ratios,
		    uint32_t n_ratios);

/* One value, measured once or counted. */
void bench_rows_put(const char *game, const char *peer, const char *figure, const char *unit,
		    uint64_t n, double value);

/* Of a game; it adds up where it is played with several sizes. */
struct bench_blocks {
	uint32_t n_blocks;
	/* in which the processors moved: left out */
	uint32_t n_moved;
	uint32_t n_plays;
	/* in which others had the processors: left out */
	uint32_t n_disturbed;
	/* from its start to its end */
	double seconds;
};

void bench_rows_count(const char *game, const struct bench_blocks *blocks);

/* NULL: there is none. */
const struct bench_row *bench_rows_find(const char *game, const char *peer, const char *figure,
					uint64_t size, const char *ratio_to);

/* The table of people: the rows of one game, "all" places. */
void bench_rows_print(const char *game);

/* All of it; `mode` is "quick" or "full". */
int bench_rows_write(FILE *file, const char *mode, double seconds);

#endif
