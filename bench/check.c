/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A delay of 1 us before each send, a copy in and out, and a wrong byte. Differences and ratios
 * are of the same blocks, and the delay is measured in the clock that makes it: how busy the
 * machine is decides how many blocks are kept, and not what they say.
 */
#include "bench/check.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "bench/plan.h"
#include "bench/rows.h"

#define SIZE 64
#define LATE_NS 1000
/* Blocks that were not disturbed. */
#define N_LEAST 5
/* Of the delay: reading the clock around it takes some, too. */
#define TOLERANCE 0.2

static int say(bool holds, const char *what, double value)
{
	(void)printf("%-6s %s: %.1f\n", holds ? "ok" : "FAILED", what, value);
	return holds ? 0 : -1;
}

static double median_of(const char *peer, const char *figure)
{
	const struct bench_row *row = bench_rows_find("check", peer, figure, SIZE, NULL);

	return row ? row->median : NAN;
}

static uint32_t n_samples(const char *peer)
{
	const struct bench_row *row = bench_rows_find("check", peer, "p50", SIZE, NULL);

	return row ? row->n_samples : 0;
}

int bench_check(void)
{
	const struct bench_plan *plan = bench_check_plans;
	double late, copied, none, zcp;
	int wrong, r = bench_game_play(&plan->game, plan->quick, NULL);

	if (r < 0)
		return r;
	if (n_samples("late") < N_LEAST || n_samples("ring") < N_LEAST) {
		(void)printf("skipped: others use the processors in nearly all blocks\n");
		return BENCH_CHECK_SKIPPED;
	}
	late = median_of("late", "p50") - median_of("ring", "p50");
	copied = median_of("memcpy", "copied");
	none = median_of("ring", "copied");
	zcp = median_of("zcp", "copied");
	r |= say(fabs(late - LATE_NS) < LATE_NS * TOLERANCE, "ns that a delay of 1000 ns shows",
		 late);
	r |= say(copied == 2.0 * SIZE, "bytes that are copied where 64 go in and out", copied);
	r |= say(none == 0, "bytes that a ring copies", none);
	r |= say(zcp == 0, "bytes that zcp copies", zcp);
	plan++;
	wrong = bench_game_play(&plan->game, plan->quick, NULL);
	r |= say(wrong < 0, "result of a game with a wrong byte", wrong);
	return r;
}
