/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One way, as fast as it goes: the reference ring, zcp where the publisher waits for room, and
 * zcp where it drops the oldest message; and from one publisher to several subscribers, all of
 * which are the other side's.
 */
#include <errno.h>

#include "bench/bench.h"

#define DEPTH BENCH_RING_SLOTS
#define N_MESSAGES 20000
/* To several: of each of them. */
#define N_FANNED 8000

/* The topics, by the subscribers that each has; the last one drops. */
enum stream {
	STREAM_1,
	STREAM_2,
	STREAM_4,
	STREAM_DROP,
	STREAMS,
};

static const struct {
	const char *topic;
	uint32_t n_subscribers;
} streams[STREAMS] = {
	[STREAM_1] = { "bench/stream", 1 },
	[STREAM_2] = { "bench/stream2", 2 },
	[STREAM_4] = { "bench/stream4", BENCH_FAN },
	[STREAM_DROP] = { "bench/drop", 1 },
};

static struct {
	/* the server's */
	struct zcp_publisher *out[STREAMS];
	/* the returner's */
	struct zcp_subscriber *in[STREAMS][BENCH_FAN];
} ends;

static int open_ends(struct bench *bench)
{
	struct zcp_publisher_options publisher = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_subscriber_options subscriber = ZCP_SUBSCRIBER_OPTIONS_INIT;
	int r = 0;

	publisher.max_payload = BENCH_SMALL;
	subscriber.depth = DEPTH;
	for (int s = 0; s < STREAMS && r == 0; s++) {
		subscriber.on_full = s == STREAM_DROP ? ZCP_ON_FULL_DROP_OLDEST : ZCP_ON_FULL_BLOCK;
		if (bench->side == BENCH_SERVER)
			r = zcp_publisher_open(&ends.out[s], bench->node, streams[s].topic,
					       &publisher);
		for (uint32_t i = 0;
		     bench->side != BENCH_SERVER && r == 0 && i < streams[s].n_subscribers; i++)
			r = zcp_subscriber_open(&ends.in[s][i], bench->node, streams[s].topic,
						&subscriber);
	}
	return r < 0 ? bench_complain(bench, "cannot open a stream's endpoint", r) : 0;
}

/* --- the reference ring --- */

static int push_out(const struct bench *bench, uint32_t n_rings, uint32_t n)
{
	struct bench_ring *rings = bench->table->stream;
	struct bench_ring_end out[BENCH_FAN];

	for (uint32_t s = 0; s < n_rings; s++)
		bench_ring_begin(&out[s], &rings[s], DEPTH);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t place = bench_ring_place(&out[0]);

		for (uint32_t s = 0; s < n_rings; s++) {
			struct bench_wait wait = { 0 };

			while (bench_ring_is_full(&out[s])) {
				int r = bench_wait(bench->table, &wait);

				if (r < 0)
					return r;
			}
		}
		bench_fill(&rings[0].chunks[place], BENCH_SMALL, i);
		for (uint32_t s = 0; s < n_rings; s++)
			bench_ring_push(&out[s], place);
	}
	return 0;
}

static int pop_one(const struct bench *bench, struct bench_ring_end *in, uint64_t value)
{
	struct bench_wait wait = { 0 };
	uint32_t place;
	int r;

	while (!bench_ring_peek(in, &place)) {
		r = bench_wait(bench->table, &wait);
		if (r < 0)
			return r;
	}
	r = bench_verify(&bench->table->stream[0].chunks[place], BENCH_SMALL, value);
	bench_ring_pop(in);
	return r;
}

static int pop_in(const struct bench *bench, uint32_t n_rings, uint32_t n)
{
	struct bench_ring_end in[BENCH_FAN];
	int r = 0;

	for (uint32_t s = 0; s < n_rings; s++)
		bench_ring_begin(&in[s], &bench->table->stream[s], DEPTH);
	for (uint32_t i = 0; i < n && r == 0; i++)
		for (uint32_t s = 0; s < n_rings && r == 0; s++)
			r = pop_one(bench, &in[s], i);
	return r;
}

/* While nobody looks: numbers begin at 1 in each game. */
static void reset_rings(struct bench_table *table)
{
	for (uint32_t s = 0; s < BENCH_FAN; s++) {
		atomic_store_explicit(&table->stream[s].tail, 1, memory_order_relaxed);
		for (uint32_t i = 0; i < DEPTH; i++)
			atomic_store_explicit(&table->stream[s].slots[i].word, 0,
					      memory_order_relaxed);
	}
}

/* --- zcp --- */

static int publish(struct zcp_publisher *out, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct zcp_loan loan;
		int r = zcp_publisher_loan(out, BENCH_SMALL, &loan);

		if (r < 0)
			return r;
		bench_fill(loan.data, BENCH_SMALL, i);
		r = zcp_publisher_publish(out, &loan);
		if (r < 0)
			return r;
	}
	return 0;
}

static inline int await(const struct bench *bench, struct zcp_subscriber *in,
			struct zcp_sample *sample)
{
	struct bench_wait wait = { 0 };
	int r;

	while ((r = zcp_subscriber_take(in, sample)) == -EAGAIN) {
		r = bench_wait(bench->table, &wait);
		if (r < 0)
			return r;
	}
	return r;
}

static int take_all(const struct bench *bench, enum stream stream, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t s = 0; s < streams[stream].n_subscribers; s++) {
			struct zcp_sample sample;
			int r = await(bench, ends.in[stream][s], &sample);

			if (r < 0)
				return r;
			r = sample.lost == 0 ? bench_verify(sample.data, BENCH_SMALL, i) : -EBADMSG;
			(void)zcp_sample_release(&sample);
			if (r < 0)
				return r;
		}
	return 0;
}

/* Takes and releases, and counts what was lost; the newest message never is. */
static int take_some(const struct bench *bench, uint32_t n)
{
	uint64_t n_seen = 0, n_lost = 0;

	while (n_seen < n) {
		struct zcp_sample sample;
		int r = await(bench, ends.in[STREAM_DROP][0], &sample);

		if (r < 0)
			return r;
		n_lost += sample.lost;
		n_seen += sample.lost + 1;
		(void)zcp_sample_release(&sample);
	}
	atomic_store_explicit(&bench->table->n_lost, n_lost, memory_order_relaxed);
	return 0;
}

/* --- the games --- */

/* Messages a second, until the last one is read. */
static double rate_of(uint32_t n, uint64_t ns)
{
	return (double)n * 1e9 / (double)ns;
}

static int play_ring(struct bench *bench, uint32_t n_rings, uint32_t n, double *rate)
{
	uint64_t start;
	int r;

	if (bench->side == BENCH_SERVER)
		reset_rings(bench->table);
	r = bench_meet(bench);
	start = bench_ns();
	if (r == 0)
		r = bench->side == BENCH_SERVER ? push_out(bench, n_rings, n) :
						  pop_in(bench, n_rings, n);
	if (r == 0)
		r = bench_meet(bench);
	*rate = rate_of(n, bench_ns() - start);
	return r < 0 ? bench_complain(bench, "the reference ring's stream", r) : 0;
}

static int play_zcp(struct bench *bench, enum stream stream, uint32_t n, double *rate)
{
	int r = bench_meet(bench);
	uint64_t start = bench_ns();

	if (r == 0 && bench->side == BENCH_SERVER)
		r = publish(ends.out[stream], n);
	else if (r == 0)
		r = stream == STREAM_DROP ? take_some(bench, n) : take_all(bench, stream, n);
	if (r == 0)
		r = bench_meet(bench);
	*rate = rate_of(n, bench_ns() - start);
	return r < 0 ? bench_complain(bench, "a stream", r) : 0;
}

static int play_single(struct bench *bench)
{
	struct bench_figures *figures = &bench->figures;
	double ref, blocking, dropping, lost;
	int r = play_ring(bench, 1, N_MESSAGES, &ref);

	if (r == 0)
		r = play_zcp(bench, STREAM_1, N_MESSAGES, &blocking);
	if (r == 0)
		r = play_zcp(bench, STREAM_DROP, N_MESSAGES, &dropping);
	if (r < 0 || bench->side != BENCH_SERVER)
		return r;
	lost = (double)atomic_load_explicit(&bench->table->n_lost, memory_order_relaxed) /
	       N_MESSAGES;
	dropping *= 1 - lost;
	bench_figures_put(figures, BENCH_STREAM_REF, ref);
	bench_figures_put(figures, BENCH_STREAM_BLOCK, blocking);
	bench_figures_put(figures, BENCH_STREAM_DROP, dropping);
	bench_figures_put(figures, BENCH_STREAM_RATIO_BLOCK, blocking / ref);
	bench_figures_put(figures, BENCH_STREAM_RATIO_DROP, dropping / ref);
	bench_figures_put(figures, BENCH_STREAM_LOST, lost * 100);
	return 0;
}

static int play_fan(struct bench *bench, enum stream stream, enum bench_figure first)
{
	double ref, zcp;
	int r = play_ring(bench, streams[stream].n_subscribers, N_FANNED, &ref);

	if (r == 0)
		r = play_zcp(bench, stream, N_FANNED, &zcp);
	if (r < 0 || bench->side != BENCH_SERVER)
		return r;
	bench_figures_put(&bench->figures, first, ref);
	bench_figures_put(&bench->figures, first + 1, zcp);
	bench_figures_put(&bench->figures, first + 2, zcp / ref);
	return 0;
}

static int play_fans(struct bench *bench)
{
	int r = play_fan(bench, STREAM_2, BENCH_STREAM_2_REF);

	return r == 0 ? play_fan(bench, STREAM_4, BENCH_STREAM_4_REF) : r;
}

const struct bench_kind bench_stream_kind = {
	.every = 1,
	.is_busy = true,
	.open = open_ends,
	.play = play_single,
};

const struct bench_kind bench_fan_kind = {
	.every = 2,
	.is_busy = true,
	.play = play_fans,
};
