/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A team: the two processes of a peer, for the time of one game. The benchmark gives them jobs.
 */
#ifndef ZCP_BENCH_TEAM_H
#define ZCP_BENCH_TEAM_H

#include <sys/types.h>

#include "bench/pair.h"

struct bench_team {
	const struct bench_peer *peer;
	struct bench_pair *pair;
	pid_t pids[2];
	/* setups that are open */
	uint32_t n_places;
};

/* Starts both. 0, or a negative errno and bench_peer_error(). */
int bench_team_start(struct bench_team *team, const struct bench_peer *peer);

/* Both do it. 0, or the first side's error that failed, and bench_peer_error(). */
int bench_team_do(struct bench_team *team, const struct bench_job *job);

void bench_team_stop(struct bench_team *team);

/* The two processors; -ENODEV where only one may be used. */
int bench_team_processors(uint32_t cpus[2]);

#endif
