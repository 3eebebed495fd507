/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a player's plays were, block by block, and the rows that are made of them.
 */
#ifndef ZCP_BENCH_FIGURES_H
#define ZCP_BENCH_FIGURES_H

#include "bench/game.h"

#define BENCH_BLOCKS_MAX 4000

/* Where the processors were in a block. */
enum bench_place {
	BENCH_NEAR,
	BENCH_FAR,
	BENCH_MOVED, /* elsewhere before it than after it: not kept */
};

enum bench_figure {
	BENCH_P50,      /* ns */
	BENCH_P99,      /* ns */
	BENCH_RATE,     /* messages a second, of all subscribers */
	BENCH_CPU,      /* seconds of both processes, for a million messages */
	BENCH_LOST,     /* percent */
	BENCH_COPIED,   /* bytes that were copied for a message */
	BENCH_FAULTS,   /* page faults for a message */
	BENCH_SWITCHES, /* context switches for a message */
	BENCH_BUFFERS,  /* different places in which payloads lay */
	BENCH_FIGURES,
};

struct bench_values {
	double of[BENCH_FIGURES];
	uint8_t place;
	bool is_kept;
};

/* A player that is there. */
struct bench_entry {
	const struct bench_peer *peer;
	size_t size;
	/* by which it is told apart, or 0 */
	uint64_t n;
	uint32_t n_in;
	uint32_t n_out;
	bool has_left;
	/* of the block that is being played */
	struct bench_values now;
	bool has_now;
	bool is_disturbed;
	uint32_t n_now;
	/* of the blocks that are over; those in which it did not play are not kept */
	struct bench_values *blocks;
	uint32_t n_blocks;
	/* single times of all kept blocks, ns */
	float *times;
	size_t n_times;
	size_t capacity;
	float now_times[BENCH_TIMES];
};

double bench_median_of_pair(struct bench_pair *pair, uint32_t n);

/* What it has played. */
void bench_entry_put(struct bench_entry *entry, const struct bench_job *job,
		     struct bench_pair *pair, bool is_disturbed);

/* The block is over. */
void bench_entry_settle(struct bench_entry *entry, enum bench_place place, bool is_warm_up);

void bench_entry_free(struct bench_entry *entry);

/* Adds the rows of a game. */
void bench_figures_report(const struct bench_game *game, const struct bench_entry *entries,
			  uint32_t n);

#endif
