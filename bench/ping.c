/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To and fro: the bare line, the reference ring, and zcp with small and with large messages.
 */
#include <errno.h>

#include "bench/bench.h"

/* As deep as a subscriber's queue is by default. */
#define DEPTH 16

static struct {
	struct zcp_publisher *out;
	struct zcp_subscriber *in;
	struct bench_ring_end ring_out;
	struct bench_ring_end ring_in;
} ends;

static int open_ends(struct bench *bench)
{
	static const char *const topics[] = { "bench/there", "bench/back" };
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	int r;

	bench_ring_begin(&ends.ring_out, &bench->table->ping[bench->side], DEPTH);
	bench_ring_begin(&ends.ring_in, &bench->table->ping[!bench->side], DEPTH);
	options.max_payload = BENCH_LARGE;
	r = zcp_publisher_open(&ends.out, bench->node, topics[bench->side], &options);
	if (r == 0)
		r = zcp_subscriber_open(&ends.in, bench->node, topics[!bench->side], NULL);
	return r < 0 ? bench_complain(bench, "cannot open an endpoint", r) : 0;
}

/* --- a ball in the reference ring --- */

static int throw_in_ring(uint64_t value)
{
	struct bench_ring_end *end = &ends.ring_out;
	uint32_t place = bench_ring_place(end);

	if (bench_ring_is_full(end))
		return -ENOBUFS;
	bench_fill(&end->ring->chunks[place], BENCH_SMALL, value);
	bench_ring_push(end, place);
	return 0;
}

static int catch_in_ring(const struct bench *bench, uint64_t value)
{
	struct bench_ring_end *end = &ends.ring_in;
	struct bench_wait wait = { 0 };
	uint32_t place;
	int r = 0;

	while (!bench_ring_peek(end, &place)) {
		r = bench_wait(bench->table, &wait);
		if (r < 0)
			return r;
	}
	r = bench_verify(&end->ring->chunks[place], BENCH_SMALL, value);
	bench_ring_pop(end);
	return r;
}

/* --- and in zcp --- */

static int throw_message(size_t size, uint64_t value)
{
	struct zcp_loan loan;
	int r = zcp_publisher_loan(ends.out, size, &loan);

	if (r < 0)
		return r;
	bench_fill(loan.data, size, value);
	return zcp_publisher_publish(ends.out, &loan);
}

static int catch_message(const struct bench *bench, size_t size, uint64_t value)
{
	struct bench_wait wait = { 0 };
	struct zcp_sample sample;
	int r;

	while ((r = zcp_subscriber_take(ends.in, &sample)) == -EAGAIN) {
		r = bench_wait(bench->table, &wait);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	r = sample.size == size && sample.lost == 0 ? bench_verify(sample.data, size, value) :
						      -EBADMSG;
	(void)zcp_sample_release(&sample);
	return r;
}

/* --- the games --- */

/* `size` 0: the reference ring. */
static int throw_ball(size_t size, uint64_t value)
{
	return size ? throw_message(size, value) : throw_in_ring(value);
}

static int catch_ball(const struct bench *bench, size_t size, uint64_t value)
{
	return size ? catch_message(bench, size, value) : catch_in_ring(bench, value);
}

static int ping(struct bench *bench, size_t size, double *p50, double *p99)
{
	bool serves = bench->side == BENCH_SERVER;
	int r = bench_meet(bench);

	for (uint32_t i = 0; i < BENCH_ROUND_TRIPS && r == 0; i++) {
		uint64_t start = bench_ticks();

		r = serves ? throw_ball(size, i) : catch_ball(bench, size, i);
		if (r == 0)
			r = serves ? catch_ball(bench, size, i) : throw_ball(size, i);
		bench->ticks[i] = bench_ticks() - start;
	}
	if (r < 0)
		return bench_complain(bench, "ping", r);
	bench_evaluate(bench, BENCH_ROUND_TRIPS, p50, p99);
	return 0;
}

static int play(struct bench *bench)
{
	struct bench_figures *figures = &bench->figures;
	double raw[2], ref[2], zcp[2], large[2];
	int r = bench_line(bench, BENCH_ROUND_TRIPS, &raw[0], &raw[1]);

	if (r == 0)
		r = ping(bench, 0, &ref[0], &ref[1]);
	if (r == 0)
		r = ping(bench, BENCH_SMALL, &zcp[0], &zcp[1]);
	if (r == 0)
		r = ping(bench, BENCH_LARGE, &large[0], &large[1]);
	if (r < 0 || bench->side != BENCH_SERVER)
		return r;
	for (int i = 0; i < 2; i++) {
		bench_figures_put(figures, BENCH_RAW_P50 + i, raw[i]);
		bench_figures_put(figures, BENCH_REF_P50 + i, ref[i]);
		bench_figures_put(figures, BENCH_ZCP_P50 + i, zcp[i]);
		bench_figures_put(figures, BENCH_RATIO_P50 + i, zcp[i] / raw[i]);
		bench_figures_put(figures, BENCH_RATIO_REF_P50 + i, zcp[i] / ref[i]);
	}
	bench_figures_put(figures, BENCH_RATIO_LARGE, large[0] / zcp[0]);
	return 0;
}

const struct bench_kind bench_ping_kind = {
	.every = 1,
	.is_busy = true,
	.open = open_ends,
	.play = play,
};
