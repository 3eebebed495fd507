/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The games.
 */
#include "bench/game.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench/clock.h"

/* Looks after which a waiting side checks that the other is alive, and gives up in the end. */
#define LOOKS_PER_CHECK 10000000
#define CHECKS_MAX 2000
#define STREAM_DEPTH 256

static int complain(const struct bench_ends *ends, const char *what, int r)
{
	(void)fprintf(stderr, "zcp-bench: %s: %s: %s\n", what, zcp_strerror(r),
		      zcp_node_error(ends->node));
	return r;
}

int bench_ends_open(struct bench_ends *ends, enum bench_side side)
{
	static const char *const topics[] = { "bench/there", "bench/back" };
	struct zcp_publisher_options publisher = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_subscriber_options subscriber = ZCP_SUBSCRIBER_OPTIONS_INIT;
	int r;

	memset(ends, 0, sizeof(*ends));
	r = zcp_node_open(&ends->node, NULL);
	if (r < 0)
		return complain(ends, "cannot open a node", r);
	publisher.max_payload = BENCH_LARGE;
	r = zcp_publisher_open(&ends->out, ends->node, topics[side], &publisher);
	if (r == 0)
		r = zcp_subscriber_open(&ends->in, ends->node, topics[!side], &subscriber);
	publisher.max_payload = BENCH_SMALL;
	subscriber.depth = STREAM_DEPTH;
	subscriber.on_full = ZCP_ON_FULL_BLOCK;
	if (r == 0 && side == BENCH_SERVER)
		r = zcp_publisher_open(&ends->stream_out, ends->node, "bench/stream", &publisher);
	if (r == 0 && side == BENCH_RETURNER)
		r = zcp_subscriber_open(&ends->stream_in, ends->node, "bench/stream", &subscriber);
	return r < 0 ? complain(ends, "cannot open an endpoint", r) : 0;
}

void bench_ends_close(struct bench_ends *ends)
{
	ends->node = zcp_node_close(ends->node);
}

/* Whether to go on waiting; the other side may have given up, or hang. */
static int still_waiting(struct bench_table *table, uint64_t *looks)
{
	bench_relax();
	if (++*looks % LOOKS_PER_CHECK != 0)
		return 0;
	if (atomic_load_explicit(&table->failed, memory_order_relaxed))
		return -ECANCELED;
	return *looks / LOOKS_PER_CHECK > CHECKS_MAX ? -ETIMEDOUT : 0;
}

static int wait_for(struct bench_table *table, _Atomic uint64_t *word, uint64_t value)
{
	uint64_t looks = 0;

	/* Acquire: the other side's writes before it said so. */
	while (atomic_load_explicit(word, memory_order_acquire) < value) {
		int r = still_waiting(table, &looks);

		if (r < 0)
			return r;
	}
	return 0;
}

int bench_meet(struct bench_table *table, enum bench_side side, uint64_t number)
{
	atomic_store_explicit(&table->ready[side], number, memory_order_release);
	return wait_for(table, &table->ready[!side], number);
}

int bench_raw(struct bench_table *table, enum bench_side side, uint64_t *number, uint32_t n,
	      uint64_t *ticks)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t start = bench_ticks();
		int r;

		++*number;
		if (side == BENCH_SERVER)
			atomic_store_explicit(&table->ball[0], *number, memory_order_release);
		r = wait_for(table, side == BENCH_SERVER ? &table->back[0] : &table->ball[0],
			     *number);
		if (r < 0)
			return r;
		if (side == BENCH_SERVER)
			ticks[i] = bench_ticks() - start;
		else
			atomic_store_explicit(&table->back[0], *number, memory_order_release);
	}
	return 0;
}

/* Writes a line at the begin and, of larger messages, one at the end. */
static void fill(void *data, size_t size, uint64_t value)
{
	uint64_t *first = data, *last = (uint64_t *)(void *)((char *)data + size - BENCH_SMALL);

	for (size_t i = 0; i < BENCH_SMALL / sizeof(*first); i++)
		first[i] = value + i;
	if (first != last)
		for (size_t i = 0; i < BENCH_SMALL / sizeof(*last); i++)
			last[i] = value + i;
}

static int verify(const void *data, size_t size, uint64_t value)
{
	const uint64_t *first = data;
	const uint64_t *last = (const uint64_t *)(const void *)((const char *)data + size -
								BENCH_SMALL);
	uint64_t wrong = 0;

	for (size_t i = 0; i < BENCH_SMALL / sizeof(*first); i++)
		wrong |= (first[i] ^ (value + i)) | (last[i] ^ (value + i));
	return wrong ? -EBADMSG : 0;
}

static int send_ball(struct bench_ends *ends, size_t size, uint64_t value)
{
	struct zcp_loan loan;
	int r = zcp_publisher_loan(ends->out, size, &loan);

	if (r < 0)
		return r;
	fill(loan.data, size, value);
	return zcp_publisher_publish(ends->out, &loan);
}

static int await_ball(struct bench_table *table, struct bench_ends *ends, size_t size,
		      uint64_t value)
{
	struct zcp_sample sample;
	uint64_t looks = 0;
	int r;

	while ((r = zcp_subscriber_take(ends->in, &sample)) == -EAGAIN) {
		r = still_waiting(table, &looks);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	r = sample.size == size && sample.lost == 0 ? verify(sample.data, size, value) : -EBADMSG;
	(void)zcp_sample_release(&sample);
	return r;
}

int bench_ping(struct bench_table *table, struct bench_ends *ends, enum bench_side side,
	       size_t size, uint32_t n, uint64_t *ticks)
{
	int r = 0;

	for (uint32_t i = 0; i < n && r == 0; i++) {
		uint64_t start = bench_ticks();

		if (side == BENCH_SERVER) {
			r = send_ball(ends, size, i);
			if (r == 0)
				r = await_ball(table, ends, size, i);
			ticks[i] = bench_ticks() - start;
		} else {
			r = await_ball(table, ends, size, i);
			if (r == 0)
				r = send_ball(ends, size, i);
		}
	}
	return r < 0 ? complain(ends, "ping", r) : 0;
}

static int stream_out(struct bench_ends *ends, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct zcp_loan loan;
		int r = zcp_publisher_loan(ends->stream_out, BENCH_SMALL, &loan);

		if (r < 0)
			return r;
		fill(loan.data, BENCH_SMALL, i);
		r = zcp_publisher_publish(ends->stream_out, &loan);
		if (r < 0)
			return r;
	}
	return 0;
}

static int stream_in(struct bench_table *table, struct bench_ends *ends, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct zcp_sample sample;
		uint64_t looks = 0;
		int r;

		while ((r = zcp_subscriber_take(ends->stream_in, &sample)) == -EAGAIN) {
			r = still_waiting(table, &looks);
			if (r < 0)
				return r;
		}
		if (r < 0)
			return r;
		r = sample.lost == 0 ? verify(sample.data, BENCH_SMALL, i) : -EBADMSG;
		(void)zcp_sample_release(&sample);
		if (r < 0)
			return r;
	}
	return 0;
}

int bench_stream(struct bench_table *table, struct bench_ends *ends, enum bench_side side,
		 uint32_t n, uint64_t *ns)
{
	uint64_t start = bench_ns();
	int r = side == BENCH_SERVER ? stream_out(ends, n) : stream_in(table, ends, n);

	*ns = bench_ns() - start;
	return r < 0 ? complain(ends, "stream", r) : 0;
}
