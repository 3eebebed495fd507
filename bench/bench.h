/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The benchmark's one interface. Two processes, each pinned to a processor of its own, play the
 * same blocks one after the other. A block is a few games that are compared with each other,
 * such as the reference ring and zcp; each game begins with a meeting of the two sides. Before
 * and after each block both play the bare line, and its time says whether the processors were
 * near or far.
 */
#ifndef ZCP_BENCH_BENCH_H
#define ZCP_BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <zcp/zcp.h>

#include "bench/clock.h"
#include "bench/figures.h"
#include "bench/table.h"

/* Round trips of a game at most, and bytes of a message. */
#define BENCH_ROUND_TRIPS 2000
#define BENCH_SMALL 64
#define BENCH_LARGE (4u << 20)

enum bench_side {
	BENCH_SERVER, /* serves, and keeps the time */
	BENCH_RETURNER,
};

/* One side. */
struct bench {
	enum bench_side side;
	struct bench_clock clock;
	struct bench_table *table;
	/* the node of all endpoints but the sleeping ones */
	struct zcp_node *node;
	/* how often the two sides have met, and the last ball on the bare line */
	uint64_t n_meetings;
	uint64_t ball;
	/* of the game that was played last; the server's */
	uint64_t ticks[BENCH_ROUND_TRIPS];
	double ns[BENCH_ROUND_TRIPS];
	/* the server's */
	struct bench_figures figures;
};

struct bench_kind {
	/* one block in so many rounds */
	uint32_t every;
	/* its sides are busy all the time, so that near and far can be told apart */
	bool is_busy;
	/* what both sides have from before the fork; or NULL. 0 or a negative errno */
	int (*prepare)(void);
	/* opens this side's ends, before it is pinned: what helps to open needs a processor too; or NULL */
	int (*open)(struct bench *bench);
	/* plays a block; the server hands its figures to bench_figures_put() */
	int (*play)(struct bench *bench);
};

extern const struct bench_kind bench_ping_kind;
extern const struct bench_kind bench_stream_kind;
extern const struct bench_kind bench_fan_kind;
extern const struct bench_kind bench_frames_kind;
extern const struct bench_kind bench_sleep_kind;

/* Says what failed, on standard error, and returns r. */
int bench_complain(const struct bench *bench, const char *what, int r);

/* Both sides are there; a negative errno where the other one has failed. */
int bench_meet(struct bench *bench);

/* One-way nanoseconds of the n round trips in bench->ticks. */
void bench_evaluate(struct bench *bench, uint32_t n, double *p50, double *p99);

/* `n` round trips of a bare cache line, evaluated by the server. */
int bench_line(struct bench *bench, uint32_t n, double *p50, double *p99);

#endif
