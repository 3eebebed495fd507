/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The games that two processes play against each other, each pinned to a processor of its
 * own: a bare cache line going to and fro, and messages going to and fro or one way.
 *
 * Both processes call the same function with their side; the ball starts at the server's.
 */
#ifndef ZCP_BENCH_GAME_H
#define ZCP_BENCH_GAME_H

#include <stdatomic.h>
#include <stdint.h>
#include <zcp/zcp.h>

#define BENCH_SMALL 64
#define BENCH_LARGE (4u << 20)

enum bench_side {
	BENCH_SERVER, /* serves, and keeps the time */
	BENCH_RETURNER,
};

/* Shared by the two processes; each word on lines of its own. */
struct bench_table {
	_Alignas(128) _Atomic uint64_t ball[2];
	_Alignas(128) _Atomic uint64_t back[2];
	_Alignas(128) _Atomic uint64_t ready[2];
	_Alignas(128) _Atomic uint64_t failed;
	/* for each side the word that it sleeps on */
	_Alignas(128) _Atomic uint32_t futex[2][32];
};

/* One side's ends of zcp. */
struct bench_ends {
	struct zcp_node *node;
	/* ping to and fro */
	struct zcp_publisher *out;
	struct zcp_subscriber *in;
	/* one way; each side has one of them */
	struct zcp_publisher *stream_out;
	struct zcp_subscriber *stream_in;
};

/* Opens a side's ends; 0, or a negative errno after a line on standard error. */
int bench_ends_open(struct bench_ends *ends, enum bench_side side);
void bench_ends_close(struct bench_ends *ends);

/* Both sides are there; -1 where the other has failed. */
int bench_meet(struct bench_table *table, enum bench_side side, uint64_t number);

/*
 * `n` round trips of one cache line; the server's times in ticks go into `ticks`. Numbers
 * begin after *number, which goes on.
 */
int bench_raw(struct bench_table *table, enum bench_side side, uint64_t *number, uint32_t n,
	      uint64_t *ticks);

/* `n` round trips of messages of `size` bytes, of which first and last 64 are used. */
int bench_ping(struct bench_table *table, struct bench_ends *ends, enum bench_side side,
	       size_t size, uint32_t n, uint64_t *ticks);

/* `n` messages of 64 bytes from the server, none lost; *ns is what they took. */
int bench_stream(struct bench_table *table, struct bench_ends *ends, enum bench_side side,
		 uint32_t n, uint64_t *ns);

#endif
