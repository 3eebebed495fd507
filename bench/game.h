/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A game: players that are compared with each other. All of them play in each block, in turn;
 * ratios are taken block by block. A bare line before and after each block says where the
 * processors were.
 */
#ifndef ZCP_BENCH_GAME_H
#define ZCP_BENCH_GAME_H

#include "bench/pair.h"

#define BENCH_PLAYERS_MAX 24

struct bench_player {
	const char *peer;
	/* bytes of a message */
	size_t size;
	/* publishers and subscribers; 0: 1 of each, both ways in a latency game */
	uint32_t n_out;
	uint32_t n_in;
};

struct bench_game {
	const char *name;
	enum bench_task task;
	uint32_t depth;
	bool is_whole;
	bool blocks;
	bool drops;
	/* both sides on one processor */
	bool is_on_one;
	/* subscribers are told apart by `n` in the rows */
	bool is_fan;
	/* a busy process runs beside it, and no block is left out */
	bool is_steady;
	/* of a message; 0: as fast as it goes */
	uint64_t period_ns;
	/* of one play, about */
	double play_ms;
	/* the first one is what all but zcp's are compared with; ended by a NULL peer */
	struct bench_player players[BENCH_PLAYERS_MAX];
};

/*
 * Plays it for so long, and adds its rows. Players whose peers are not there, or not in
 * `only` (names with commas between; NULL: all), are left out. 0, or -1: a wrong byte, or zcp
 * failed; it has been said.
 */
int bench_game_play(const struct bench_game *game, double seconds, const char *only);

#endif
