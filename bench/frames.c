/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of 1080p: one side fills them, the other one sums them up. First through zcp, then each
 * side over buffers of its own, as many as zcp had in use: what the loops cost where no frame
 * goes from one processor to the other.
 */
#include <errno.h>
#include <stdlib.h>

#include "bench/bench.h"

#define FRAME_SIZE ((size_t)1920 * 1080 * 3)
#define N_WORDS (FRAME_SIZE / sizeof(uint64_t))
#define N_FRAMES 12
#define DEPTH 2
#define BUFFERS_MAX 32

static struct {
	struct zcp_publisher *out;
	struct zcp_subscriber *in;
	/* the places in which frames have been published; the server's */
	const void *seen[BUFFERS_MAX];
	uint32_t n_seen;
	/* private ones */
	uint64_t *buffers[BUFFERS_MAX];
	/* so that no sum is left out */
	volatile uint64_t sum;
} ends;

static int open_ends(struct bench *bench)
{
	struct zcp_publisher_options publisher = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_subscriber_options subscriber = ZCP_SUBSCRIBER_OPTIONS_INIT;
	int r;

	publisher.max_payload = FRAME_SIZE;
	subscriber.depth = DEPTH;
	subscriber.on_full = ZCP_ON_FULL_BLOCK;
	if (bench->side == BENCH_SERVER)
		r = zcp_publisher_open(&ends.out, bench->node, "bench/frames", &publisher);
	else
		r = zcp_subscriber_open(&ends.in, bench->node, "bench/frames", &subscriber);
	return r < 0 ? bench_complain(bench, "cannot open a camera's endpoint", r) : 0;
}

/* --- the loops --- */

static void fill_frame(uint64_t *frame, uint64_t value)
{
	for (size_t i = 0; i < N_WORDS; i++)
		frame[i] = value + i;
}

static uint64_t sum_frame(const uint64_t *frame)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < N_WORDS; i++)
		sum += frame[i];
	return sum;
}

static uint64_t sum_of(uint64_t value)
{
	return value * N_WORDS + (uint64_t)N_WORDS * (N_WORDS - 1) / 2;
}

/* --- zcp --- */

static void see(const void *place)
{
	for (uint32_t i = 0; i < ends.n_seen; i++)
		if (ends.seen[i] == place)
			return;
	if (ends.n_seen < BUFFERS_MAX)
		ends.seen[ends.n_seen++] = place;
}

static int publish(struct bench *bench)
{
	ends.n_seen = 0;
	for (uint32_t i = 0; i < N_FRAMES; i++) {
		struct zcp_loan loan;
		int r = zcp_publisher_loan(ends.out, FRAME_SIZE, &loan);

		if (r < 0)
			return r;
		see(loan.data);
		fill_frame(loan.data, i);
		r = zcp_publisher_publish(ends.out, &loan);
		if (r < 0)
			return r;
	}
	atomic_store_explicit(&bench->table->n_frames, ends.n_seen, memory_order_relaxed);
	return 0;
}

static int take(const struct bench *bench)
{
	for (uint32_t i = 0; i < N_FRAMES; i++) {
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
		r = sum_frame(sample.data) == sum_of(i) ? 0 : -EBADMSG;
		(void)zcp_sample_release(&sample);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- private buffers --- */

static int allocate(const struct bench *bench)
{
	uint64_t n = atomic_load_explicit(&bench->table->n_frames, memory_order_relaxed);

	for (uint64_t i = 0; i < n; i++) {
		if (ends.buffers[i])
			continue;
		ends.buffers[i] = malloc(FRAME_SIZE);
		if (!ends.buffers[i])
			return -ENOMEM;
		fill_frame(ends.buffers[i], 0);
	}
	return 0;
}

static int use_own(struct bench *bench)
{
	uint64_t n = atomic_load_explicit(&bench->table->n_frames, memory_order_relaxed);

	for (uint32_t i = 0; i < N_FRAMES; i++)
		if (bench->side == BENCH_SERVER)
			fill_frame(ends.buffers[i % n], i);
		else
			ends.sum += sum_frame(ends.buffers[i % n]);
	return 0;
}

/* --- the games --- */

static int play_with(struct bench *bench, bool own, double *rate)
{
	int r = bench_meet(bench);
	uint64_t start = bench_ns();

	if (r == 0 && own)
		r = use_own(bench);
	else if (r == 0)
		r = bench->side == BENCH_SERVER ? publish(bench) : take(bench);
	if (r == 0)
		r = bench_meet(bench);
	*rate = N_FRAMES * 1e9 / (double)(bench_ns() - start);
	return r < 0 ? bench_complain(bench, "frames", r) : 0;
}

static int play(struct bench *bench)
{
	double zcp, own;
	int r = play_with(bench, false, &zcp);

	if (r == 0)
		r = allocate(bench);
	if (r == 0)
		r = play_with(bench, true, &own);
	if (r < 0 || bench->side != BENCH_SERVER)
		return r;
	bench_figures_put(&bench->figures, BENCH_FRAMES_PRIVATE, own);
	bench_figures_put(&bench->figures, BENCH_FRAMES, zcp);
	bench_figures_put(&bench->figures, BENCH_FRAMES_RATIO, zcp / own);
	bench_figures_put(&bench->figures, BENCH_FRAMES_IN_USE, ends.n_seen);
	return 0;
}

const struct bench_kind bench_frames_kind = {
	.every = 4,
	.is_busy = true,
	.open = open_ends,
	.play = play,
};
