/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is played, and for how long.
 */
#ifndef ZCP_BENCH_PLAN_H
#define ZCP_BENCH_PLAN_H

#include "bench/game.h"

/* A game with its seconds in each mode; 0: not played in it. */
struct bench_plan {
	struct bench_game game;
	double quick;
	double full;
};

/* Ended by a game without a name. */
extern const struct bench_plan bench_plans[];

/* What the harness is tested with. */
extern const struct bench_plan bench_check_plans[];

#endif
