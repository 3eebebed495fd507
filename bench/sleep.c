/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleeping and waking.
 */
#include "bench/sleep.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bench/clock.h"

#define PERIOD_NS 1000000
/* The other side has given up, or hangs. */
#define GIVE_UP_SECONDS 10

static int complain(const char *what, int r, const struct zcp_node *node)
{
	(void)fprintf(stderr, "zcp-bench: %s: %s%s%s\n", what, zcp_strerror(r), node ? ": " : "",
		      node ? zcp_node_error(node) : "");
	return r;
}

int bench_sleepers_init(struct bench_sleepers *sleepers, struct bench_table *table)
{
	*sleepers = (struct bench_sleepers){ .table = table };
	for (int i = 0; i < 2; i++) {
		sleepers->eventfds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (sleepers->eventfds[i] < 0)
			return -errno;
	}
	return 0;
}

static void on_ball(const struct zcp_sample *sample, void *user)
{
	memcpy(user, sample->data, sizeof(uint64_t));
}

static int open_sleeper(struct bench_sleeper *sleeper, enum bench_side side,
			const char *const *topics)
{
	struct zcp_publisher_options publisher = ZCP_PUBLISHER_OPTIONS_INIT;
	int r;

	r = zcp_node_open(&sleeper->node, NULL);
	if (r < 0)
		return complain("cannot open a node", r, NULL);
	publisher.max_payload = BENCH_SMALL;
	r = zcp_publisher_open(&sleeper->out, sleeper->node, topics[side], &publisher);
	if (r == 0)
		r = zcp_subscriber_open(&sleeper->in, sleeper->node, topics[!side], NULL);
	if (r < 0)
		return complain("cannot open an endpoint", r, sleeper->node);
	zcp_subscriber_on_sample(sleeper->in, on_ball, &sleeper->ball);
	return 0;
}

int bench_sleepers_open(struct bench_sleepers *sleepers, enum bench_side side)
{
	static const char *const futex[] = { "bench/futex/there", "bench/futex/back" };
	static const char *const fd[] = { "bench/fd/there", "bench/fd/back" };
	int r = open_sleeper(&sleepers->futex, side, futex);

	if (r == 0)
		r = open_sleeper(&sleepers->fd, side, fd);
	if (r < 0)
		return r;
	r = zcp_node_fd(sleepers->fd.node);
	if (r < 0)
		return complain("cannot get a node's descriptor", r, sleepers->fd.node);
	r = zcp_node_dispatch(sleepers->fd.node, 0);
	return r == -ETIMEDOUT ? 0 : complain("a message came early", r, sleepers->fd.node);
}

void bench_sleepers_close(struct bench_sleepers *sleepers)
{
	sleepers->futex.node = zcp_node_close(sleepers->futex.node);
	sleepers->fd.node = zcp_node_close(sleepers->fd.node);
}

/* --- the kernel's ways --- */

static int throw_futex(struct bench_sleepers *sleepers, enum bench_side side, uint64_t ball)
{
	_Atomic uint32_t *word = &sleepers->table->futex[!side][0];

	atomic_store_explicit(word, (uint32_t)ball, memory_order_release);
	return syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0) < 0 ? -errno : 0;
}

static int catch_futex(struct bench_sleepers *sleepers, enum bench_side side, uint64_t ball)
{
	const struct timespec limit = { .tv_sec = GIVE_UP_SECONDS };
	_Atomic uint32_t *word = &sleepers->table->futex[side][0];
	uint32_t seen;

	while ((seen = atomic_load_explicit(word, memory_order_acquire)) != (uint32_t)ball)
		if (syscall(SYS_futex, word, FUTEX_WAIT, seen, &limit, NULL, 0) < 0 &&
		    errno != EAGAIN)
			return -errno;
	return 0;
}

static int throw_eventfd(struct bench_sleepers *sleepers, enum bench_side side)
{
	return eventfd_write(sleepers->eventfds[!side], 1) < 0 ? -errno : 0;
}

static int await_readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	int r = poll(&pollfd, 1, GIVE_UP_SECONDS * 1000);

	return r < 0 ? -errno : r == 0 ? -ETIMEDOUT : 0;
}

static int catch_eventfd(struct bench_sleepers *sleepers, enum bench_side side)
{
	eventfd_t count;
	int r = await_readable(sleepers->eventfds[side]);

	if (r < 0)
		return r;
	return eventfd_read(sleepers->eventfds[side], &count) < 0 ? -errno : 0;
}

/* --- zcp's --- */

static int throw_message(struct bench_sleeper *sleeper, uint64_t ball)
{
	return zcp_publisher_send(sleeper->out, &ball, sizeof(ball));
}

static int catch_in_node(struct bench_sleeper *sleeper, uint64_t ball)
{
	int r = zcp_node_dispatch(sleeper->node, INT64_C(1000000000) * GIVE_UP_SECONDS);

	return r < 0 ? r : sleeper->ball == ball ? 0 : -EBADMSG;
}

static int catch_in_poll(struct bench_sleeper *sleeper, uint64_t ball)
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

static int throw_ball(struct bench_sleepers *sleepers, enum bench_side side, enum bench_way way,
		      uint64_t ball)
{
	switch (way) {
	case BENCH_FUTEX:
		return throw_futex(sleepers, side, ball);
	case BENCH_EVENTFD:
		return throw_eventfd(sleepers, side);
	case BENCH_ZCP_FUTEX:
		return throw_message(&sleepers->futex, ball);
	default:
		return throw_message(&sleepers->fd, ball);
	}
}

static int catch_ball(struct bench_sleepers *sleepers, enum bench_side side, enum bench_way way,
		      uint64_t ball)
{
	switch (way) {
	case BENCH_FUTEX:
		return catch_futex(sleepers, side, ball);
	case BENCH_EVENTFD:
		return catch_eventfd(sleepers, side);
	case BENCH_ZCP_FUTEX:
		return catch_in_node(&sleepers->futex, ball);
	default:
		return catch_in_poll(&sleepers->fd, ball);
	}
}

/* Until the other side sleeps as well, for certain and for a while. */
static void let_sleep(uint64_t *next_ns)
{
	struct timespec at;

	*next_ns += PERIOD_NS;
	at = (struct timespec){ .tv_sec = (time_t)(*next_ns / 1000000000),
				.tv_nsec = (long)(*next_ns % 1000000000) };
	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static int round_trip(struct bench_sleepers *sleepers, enum bench_side side, enum bench_way way,
		      uint64_t ball)
{
	int r;

	if (side == BENCH_SERVER) {
		r = throw_ball(sleepers, side, way, ball);
		return r == 0 ? catch_ball(sleepers, side, way, ball) : r;
	}
	r = catch_ball(sleepers, side, way, ball);
	return r == 0 ? throw_ball(sleepers, side, way, ball) : r;
}

int bench_sleep(struct bench_sleepers *sleepers, enum bench_side side, uint32_t n,
		uint64_t *const ticks[BENCH_WAYS])
{
	uint64_t next_ns = bench_ns();

	for (uint32_t i = 0; i < n * BENCH_WAYS; i++) {
		enum bench_way way = (enum bench_way)(i % BENCH_WAYS);
		uint64_t start;
		int r;

		if (side == BENCH_SERVER)
			let_sleep(&next_ns);
		start = bench_ticks();
		r = round_trip(sleepers, side, way, ++sleepers->ball);
		if (r < 0)
			return complain("a hand-over between sleepers", r, NULL);
		ticks[way][i / BENCH_WAYS] = bench_ticks() - start;
	}
	return 0;
}
