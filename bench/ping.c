/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To and fro: the bare line, the reference ring, and zcp with small and with large messages.
 */
#include <errno.h>

#include "bench/bench.h"

/* As deep as a subscriber's queue is by default. */
#define DEPTH 16

/* One way of zcp's, for messages of one size. */
struct way {
	size_t size;
	struct zcp_publisher *out;
	struct zcp_subscriber *in;
};

static struct {
	struct way small;
	struct way large;
	struct bench_ring_end ring_out;
	struct bench_ring_end ring_in;
} ends;

static int open_way(const struct bench *bench, struct way *way, size_t size, const char *there,
		    const char *back)
{
	bool serves = bench->side == BENCH_SERVER;
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	int r;

	way->size = size;
	options.max_payload = size;
	r = zcp_publisher_open(&way->out, bench->node, serves ? there : back, &options);
	if (r == 0)
		r = zcp_subscriber_open(&way->in, bench->node, serves ? back : there, NULL);
	return r < 0 ? bench_complain(bench, "cannot open an endpoint", r) : 0;
}

static int open_ends(struct bench *bench)
{
	int r;

	bench_ring_begin(&ends.ring_out, &bench->table->ping[bench->side], DEPTH);
	bench_ring_begin(&ends.ring_in, &bench->table->ping[!bench->side], DEPTH);
	r = open_way(bench, &ends.small, BENCH_SMALL, "bench/there", "bench/back");
	if (r == 0)
		r = open_way(bench, &ends.large, BENCH_LARGE, "bench/large/there",
			     "bench/large/back");
	return r;
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

static int throw_message(const struct way *way, uint64_t value)
{
	struct zcp_loan loan;
	int r = zcp_publisher_loan(way->out, way->size, &loan);

	if (r < 0)
		return r;
	bench_fill(loan.data, way->size, value);
	return zcp_publisher_publish(way->out, &loan);
}

static int catch_message(const struct bench *bench, const struct way *way, uint64_t value)
{
	struct bench_wait wait = { 0 };
	struct zcp_sample sample;
	int r;

	while ((r = zcp_subscriber_take(way->in, &sample)) == -EAGAIN) {
		r = bench_wait(bench->table, &wait);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	r = sample.size == way->size && sample.lost == 0 ?
		    bench_verify(sample.data, way->size, value) :
		    -EBADMSG;
	(void)zcp_sample_release(&sample);
	return r;
}

/* --- the games --- */

/* `way` NULL: the reference ring. */
static int throw_ball(const struct way *way, uint64_t value)
{
	return way ? throw_message(way, value) : throw_in_ring(value);
}

static int catch_ball(const struct bench *bench, const struct way *way, uint64_t value)
{
	return way ? catch_message(bench, way, value) : catch_in_ring(bench, value);
}

static int ping(struct bench *bench, const struct way *way, double *p50, double *p99)
{
	bool serves = bench->side == BENCH_SERVER;
	int r = bench_meet(bench);

	for (uint32_t i = 0; i < BENCH_ROUND_TRIPS && r == 0; i++) {
		uint64_t start = bench_ticks();

		r = serves ? throw_ball(way, i) : catch_ball(bench, way, i);
		if (r == 0)
			r = serves ? catch_ball(bench, way, i) : throw_ball(way, i);
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
		r = ping(bench, NULL, &ref[0], &ref[1]);
	if (r == 0)
		r = ping(bench, &ends.small, &zcp[0], &zcp[1]);
	if (r == 0)
		r = ping(bench, &ends.large, &large[0], &large[1]);
	if (r < 0 || bench->side != BENCH_SERVER)
		return r;
	for (int i = 0; i < 2; i++) {
		bench_figures_put(figures, (enum bench_figure)(BENCH_RAW_P50 + i), raw[i]);
		bench_figures_put(figures, (enum bench_figure)(BENCH_REF_P50 + i), ref[i]);
		bench_figures_put(figures, (enum bench_figure)(BENCH_ZCP_P50 + i), zcp[i]);
		bench_figures_put(figures, (enum bench_figure)(BENCH_RATIO_P50 + i),
				  zcp[i] / raw[i]);
		bench_figures_put(figures, (enum bench_figure)(BENCH_RATIO_REF_P50 + i),
				  zcp[i] / ref[i]);
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
