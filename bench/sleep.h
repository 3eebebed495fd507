/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The game for two that sleep: a ball goes to and fro about once a millisecond, by turns in
 * four ways, and whoever waits for it sleeps. A bare futex and a bare eventfd are what the
 * kernel charges for it; a node that waits by itself and one in somebody's poll are zcp.
 */
#ifndef ZCP_BENCH_SLEEP_H
#define ZCP_BENCH_SLEEP_H

#include <stdatomic.h>
#include <stdint.h>
#include <zcp/zcp.h>

#include "bench/game.h"

enum bench_way {
	BENCH_FUTEX,
	BENCH_ZCP_FUTEX,
	BENCH_EVENTFD,
	BENCH_ZCP_FD,
	BENCH_WAYS,
};

/* A node of its own for each of zcp's ways. */
struct bench_sleeper {
	struct zcp_node *node;
	struct zcp_publisher *out;
	struct zcp_subscriber *in;
	/* the last ball that was called back for */
	uint64_t ball;
};

struct bench_sleepers {
	/* made before the fork: the server waits on the first */
	int eventfds[2];
	struct bench_table *table;
	struct bench_sleeper futex;
	struct bench_sleeper fd;
	/* the last that was thrown or caught */
	uint64_t ball;
};

/* Before the fork; 0 or a negative errno. */
int bench_sleepers_init(struct bench_sleepers *sleepers, struct bench_table *table);

/* A side's nodes; 0, or a negative errno after a line on standard error. */
int bench_sleepers_open(struct bench_sleepers *sleepers, enum bench_side side);
void bench_sleepers_close(struct bench_sleepers *sleepers);

/*
 * `n` round trips in each way, of which the server's times in ticks go into `ticks`. 0, or a
 * negative errno after a line on standard error.
 */
int bench_sleep(struct bench_sleepers *sleepers, enum bench_side side, uint32_t n,
		uint64_t *const ticks[BENCH_WAYS]);

#endif
