/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To one that waits: a ball goes to and fro about once a millisecond, by turns in six ways. With
 * a bare futex and a bare eventfd its catcher sleeps, which is what the kernel charges; zcp does
 * so in a node's dispatch, and in a poll of the node's descriptor. In the last two the catcher
 * spins, on a bare line and in a node's dispatch.
 */
#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"

/* Round trips in each way. */
#define N_TRIPS 100
#define PERIOD_NS 1000000
/* Longer than any wait for a ball. */
#define SPIN_NS 50000000
/* The other side has given up, or hangs. */
#define GIVE_UP_SECONDS 10

enum way {
	WAY_FUTEX,
	WAY_ZCP_FUTEX,
	WAY_EVENTFD,
	WAY_ZCP_FD,
	WAY_SPIN,
	WAY_ZCP_SPIN,
	WAYS,
};

static_assert(BENCH_SLEEP_END - BENCH_SLEEP == 2 * WAYS, "two figures for each way");

/* A node of its own for each of zcp's ways. */
struct sleeper {
	struct zcp_node *node;
	struct zcp_publisher *out;
	struct zcp_subscriber *in;
	/* the last ball that was called back for */
	uint64_t ball;
};

static struct {
	/* made before the fork: each side waits on its own */
	int eventfds[2];
	struct sleeper futex;
	struct sleeper fd;
	struct sleeper spin;
	/* the last that was thrown or caught */
	uint64_t ball;
	uint64_t ticks[WAYS][N_TRIPS];
} ends;

static int prepare(void)
{
	for (int i = 0; i < 2; i++) {
		ends.eventfds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (ends.eventfds[i] < 0)
			return -errno;
	}
	return 0;
}

static void on_ball(const struct zcp_sample *sample, void *user)
{
	memcpy(user, sample->data, sizeof(uint64_t));
}

static int open_sleeper(const struct bench *bench, struct sleeper *sleeper, uint64_t spin_ns,
			const char *there, const char *back)
{
	struct zcp_node_options node = ZCP_NODE_OPTIONS_INIT;
	struct zcp_publisher_options publisher = ZCP_PUBLISHER_OPTIONS_INIT;
	bool serves = bench->side == BENCH_SERVER;
	int r;

	node.spin_ns = spin_ns;
	publisher.max_payload = BENCH_SMALL;
	r = zcp_node_open(&sleeper->node, &node);
	if (r == 0)
		r = zcp_publisher_open(&sleeper->out, sleeper->node, serves ? there : back,
				       &publisher);
	if (r == 0)
		r = zcp_subscriber_open(&sleeper->in, sleeper->node, serves ? back : there, NULL);
	if (r < 0)
		return bench_complain(bench, "cannot open what sleeps", r);
	zcp_subscriber_on_sample(sleeper->in, on_ball, &sleeper->ball);
	return 0;
}

static int open_ends(struct bench *bench)
{
	int r = open_sleeper(bench, &ends.futex, 0, "bench/futex/there", "bench/futex/back");

	if (r == 0)
		r = open_sleeper(bench, &ends.fd, 0, "bench/fd/there", "bench/fd/back");
	if (r == 0)
		r = open_sleeper(bench, &ends.spin, SPIN_NS, "bench/spin/there", "bench/spin/back");
	if (r < 0)
		return r;
	r = zcp_node_fd(ends.fd.node);
	if (r < 0)
		return bench_complain(bench, "cannot get a node's descriptor", r);
	r = zcp_node_dispatch(ends.fd.node, 0);
	return r == -ETIMEDOUT ? 0 : bench_complain(bench, "a message came early", r);
}

/* --- the kernel's ways --- */

static int throw_futex(const struct bench *bench, uint64_t ball)
{
	_Atomic uint32_t *word = &bench->table->futex[!bench->side][0];

	atomic_store_explicit(word, (uint32_t)ball, memory_order_release);
	return syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0) < 0 ? -errno : 0;
}

static int catch_futex(const struct bench *bench, uint64_t ball)
{
	const struct timespec limit = { .tv_sec = GIVE_UP_SECONDS };
	_Atomic uint32_t *word = &bench->table->futex[bench->side][0];
	uint32_t seen;

	while ((seen = atomic_load_explicit(word, memory_order_acquire)) != (uint32_t)ball)
		if (syscall(SYS_futex, word, FUTEX_WAIT, seen, &limit, NULL, 0) < 0 &&
		    errno != EAGAIN)
			return -errno;
	return 0;
}

static int throw_eventfd(const struct bench *bench)
{
	return eventfd_write(ends.eventfds[!bench->side], 1) < 0 ? -errno : 0;
}

static int await_readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	int r = poll(&pollfd, 1, GIVE_UP_SECONDS * 1000);

	return r < 0 ? -errno : r == 0 ? -ETIMEDOUT : 0;
}

static int catch_eventfd(const struct bench *bench)
{
	eventfd_t count;
	int r = await_readable(ends.eventfds[bench->side]);

	if (r < 0)
		return r;
	return eventfd_read(ends.eventfds[bench->side], &count) < 0 ? -errno : 0;
}

static int throw_line(const struct bench *bench, uint64_t ball)
{
	atomic_store_explicit(&bench->table->spin[!bench->side][0], ball, memory_order_release);
	return 0;
}

static int catch_line(const struct bench *bench, uint64_t ball)
{
	return bench_wait_word(bench->table, &bench->table->spin[bench->side][0], ball);
}

/* --- zcp's --- */

static int throw_message(struct sleeper *sleeper, uint64_t ball)
{
	return zcp_publisher_send(sleeper->out, &ball, sizeof(ball));
}

static int catch_in_node(struct sleeper *sleeper, uint64_t ball)
{
	int r = zcp_node_dispatch(sleeper->node, INT64_C(1000000000) * GIVE_UP_SECONDS);

	return r < 0 ? r : sleeper->ball == ball ? 0 : -EBADMSG;
}

static int catch_in_poll(struct sleeper *sleeper, uint64_t ball)
{
	while (sleeper->ball != ball) {
		int r = await_readable(zcp_node_fd(sleeper->node));

		if (r < 0)
			return r;
		r = zcp_node_dispatch(sleeper->node, 0);
		if (r < 0 && r != -ETIMEDOUT)
			return r;
	}
	return 0;
}

/* --- the game --- */

static int throw_ball(const struct bench *bench, enum way way, uint64_t ball)
{
	switch (way) {
	case WAY_FUTEX:
		return throw_futex(bench, ball);
	case WAY_EVENTFD:
		return throw_eventfd(bench);
	case WAY_SPIN:
		return throw_line(bench, ball);
	case WAY_ZCP_FUTEX:
		return throw_message(&ends.futex, ball);
	case WAY_ZCP_FD:
		return throw_message(&ends.fd, ball);
	default:
		return throw_message(&ends.spin, ball);
	}
}

static int catch_ball(const struct bench *bench, enum way way, uint64_t ball)
{
	switch (way) {
	case WAY_FUTEX:
		return catch_futex(bench, ball);
	case WAY_EVENTFD:
		return catch_eventfd(bench);
	case WAY_SPIN:
		return catch_line(bench, ball);
	case WAY_ZCP_FUTEX:
		return catch_in_node(&ends.futex, ball);
	case WAY_ZCP_FD:
		return catch_in_poll(&ends.fd, ball);
	default:
		return catch_in_node(&ends.spin, ball);
	}
}

/* Until the other side waits as well, for certain and for a while. */
static void let_wait(uint64_t *next_ns)
{
	struct timespec at;

	*next_ns += PERIOD_NS;
	at = (struct timespec){ .tv_sec = (time_t)(*next_ns / 1000000000),
				.tv_nsec = (long)(*next_ns % 1000000000) };
	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static int round_trip(const struct bench *bench, enum way way, uint64_t ball)
{
	int r;

	if (bench->side == BENCH_SERVER) {
		r = throw_ball(bench, way, ball);
		return r == 0 ? catch_ball(bench, way, ball) : r;
	}
	r = catch_ball(bench, way, ball);
	return r == 0 ? throw_ball(bench, way, ball) : r;
}

static int go_round(struct bench *bench)
{
	uint64_t next_ns = bench_ns();

	for (uint32_t i = 0; i < N_TRIPS * WAYS; i++) {
		enum way way = (enum way)(i % WAYS);
		uint64_t start;
		int r;

		if (bench->side == BENCH_SERVER)
			let_wait(&next_ns);
		start = bench_ticks();
		r = round_trip(bench, way, ++ends.ball);
		if (r < 0)
			return bench_complain(bench, "a hand-over to one that waits", r);
		ends.ticks[way][i / WAYS] = bench_ticks() - start;
	}
	return 0;
}

static int play(struct bench *bench)
{
	/* of zcp's ways, each beside the one before it */
	static const enum bench_figure ratios[WAYS] = { [WAY_ZCP_FUTEX] = BENCH_RATIO_FUTEX_P50,
							[WAY_ZCP_FD] = BENCH_RATIO_FD_P50,
							[WAY_ZCP_SPIN] = BENCH_RATIO_SPIN_P50 };
	double p50[WAYS], p99[WAYS];
	int r = bench_meet(bench);

	if (r == 0)
		r = go_round(bench);
	if (r < 0 || bench->side != BENCH_SERVER)
		return r;
	for (int way = 0; way < WAYS; way++) {
		memcpy(bench->ticks, ends.ticks[way], sizeof(ends.ticks[way]));
		bench_evaluate(bench, N_TRIPS, &p50[way], &p99[way]);
		bench_figures_put(&bench->figures, (enum bench_figure)(BENCH_SLEEP + 2 * way),
				  p50[way]);
		bench_figures_put(&bench->figures, (enum bench_figure)(BENCH_SLEEP + 2 * way + 1),
				  p99[way]);
		if (!ratios[way])
			continue;
		bench_figures_put(&bench->figures, ratios[way], p50[way] / p50[way - 1]);
		bench_figures_put(&bench->figures, ratios[way] + 1, p99[way] / p99[way - 1]);
	}
	return 0;
}

const struct bench_kind bench_sleep_kind = {
	.every = 10,
	.prepare = prepare,
	.open = open_ends,
	.play = play,
};
