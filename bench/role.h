/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A role: one of the two processes of a peer. It opens ends and plays what the benchmark asks for,
 * and sleeps in between.
 */
#ifndef ZCP_BENCH_ROLE_H
#define ZCP_BENCH_ROLE_H

#include "bench/clock.h"
#include "bench/pair.h"

/* The ends of one place. */
struct bench_ends {
	struct bench_link links[2]; /* there, back */
	uint32_t n_out;
	uint32_t n_in;
	struct bench_end out[BENCH_OUT_MAX];
	struct bench_end in[BENCH_IN_MAX];
};

struct bench_role {
	const struct bench_peer *peer;
	struct bench_pair *pair;
	enum bench_side side;
	struct bench_clock clock;
	struct bench_ends ends[BENCH_LINKS / 2];
	uint64_t ticks[BENCH_TIMES];
	/* number of the last message that this side sent and saw; never used again */
	uint64_t n_sent;
	uint64_t n_seen;
	/* places in which payloads lay in this play */
	const void *buffers[64];
	uint32_t n_buffers;
	uint64_t n_lost;
};

/* The process' life; returns its exit status. */
int bench_role_run(struct bench_role *role);

/* Plays job->task: 0 or a negative errno, and *result's n_times. */
int bench_play(struct bench_role *role, const struct bench_job *job, struct bench_result *result);

#endif
