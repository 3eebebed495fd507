/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever has nothing to do is not woken: subscribers that sleep, in each way that there is, a
 * publisher that is blocked, and the runtime that they are attached to are not put on a
 * processor once in ten seconds; nor when all of the runtime was killed and they have come back to
 * another one. The one test that has to let time pass.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <zcp/uv.h>

#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define SECONDS 10

static void on_sample(const struct zcp_sample *sample, void *user)
{
	(void)sample;
	(void)user;
}

static struct zcp_node *subscribe(void)
{
	struct zcp_node *node = zcp_test_node();

	zcp_subscriber_on_sample(zcp_test_subscriber(node, "quiet", 4, 2, 0), on_sample, NULL);
	return node;
}

static void dispatch(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = subscribe();

	(void)arg;
	zcp_test_say_step(self, 0);
	ZCP_CHECK(zcp_node_dispatch(node, ZCP_FOREVER) == 0);
}

static void wait_long(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = subscribe();

	(void)arg;
	zcp_test_say_step(self, 0);
	ZCP_CHECK(zcp_node_wait(node, INT64_C(3600) * 1000000000) == 0);
}

static void poll_descriptor(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = subscribe();
	struct pollfd pollfd = { .fd = zcp_node_fd(node), .events = POLLIN };

	(void)arg;
	ZCP_CHECK(zcp_node_dispatch(node, 0) == -ETIMEDOUT);
	zcp_test_say_step(self, 0);
	do
		ZCP_CHECK(poll(&pollfd, 1, -1) == 1);
	while (zcp_node_dispatch(node, 0) == -ETIMEDOUT);
}

static void on_start(uv_idle_t *idle)
{
	/* The loop has been through its first turn, and from now on has nothing but the node. */
	uv_close((uv_handle_t *)idle, NULL);
	zcp_test_say_step(idle->data, 0);
}

static void run_loop(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = subscribe();
	struct zcp_uv watch;
	uv_idle_t idle;
	uv_loop_t loop;

	(void)arg;
	ZCP_CHECK(uv_loop_init(&loop) == 0 && uv_idle_init(&loop, &idle) == 0);
	idle.data = self;
	ZCP_CHECK(uv_idle_start(&idle, on_start) == 0);
	ZCP_OK(zcp_uv_start(&watch, &loop, node), node);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	ZCP_CHECK(watch.error == 0);
}

/* Once its one subscriber, another node's that takes nothing, has a full queue. */
static void block(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node(), *other = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "blocked", 64, 1);

	(void)arg;
	(void)zcp_test_subscriber(other, "blocked", 1, 1, ZCP_ON_FULL_BLOCK);
	zcp_test_send(publisher, 1);
	zcp_test_say_step(self, 0);
	zcp_test_send(publisher, 2);
}

static void wait_for_publishers(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "quiet", 4, 2, 0);

	(void)arg;
	zcp_test_say_step(self, 0);
	ZCP_OK(zcp_subscriber_wait_publishers(subscriber, 1, ZCP_FOREVER), node);
}

struct sleeper {
	const char *what;
	void (*run)(struct zcp_test_child *self, void *arg);
	/* part of the name of what it sleeps in */
	const char *where;
};

static const struct sleeper sleepers[] = {
	{ "zcp_node_dispatch(), for ever", dispatch, "futex" },
	{ "zcp_node_wait(), an hour", wait_long, "futex" },
	{ "poll() on zcp_node_fd()", poll_descriptor, "poll" },
	{ "a libuv loop", run_loop, "poll" },
	{ "a blocked publisher", block, "futex" },
	{ "a subscriber that waits for publishers", wait_for_publishers, "futex" },
};

#define N_SLEEPERS (sizeof(sleepers) / sizeof(sleepers[0]))

/* And the two processes of the runtime. */
#define N_ALL (N_SLEEPERS + 2)

static void let_time_pass(void)
{
	struct timespec left = { .tv_sec = SECONDS };

	while (nanosleep(&left, &left) < 0)
		ZCP_CHECK(errno == EINTR);
}

static void expect_no_wakes(const struct zcp_test_child *children)
{
	uint64_t before[N_ALL], n_wakes = 0;
	pid_t pids[N_ALL];

	for (size_t i = 0; i < N_SLEEPERS; i++)
		pids[i] = children[i].pid;
	pids[N_SLEEPERS] = zcp_test_runtime_pid("default");
	ZCP_CHECK(pids[N_SLEEPERS] > 0);
	pids[N_SLEEPERS + 1] = zcp_test_worker(pids[N_SLEEPERS]);
	for (size_t i = 0; i < N_ALL; i++)
		zcp_test_wait_until_asleep_in(pids[i], i < N_SLEEPERS ? sleepers[i].where : "poll");
	for (size_t i = 0; i < N_ALL; i++)
		before[i] = zcp_test_n_switches(pids[i]);
	let_time_pass();
	for (size_t i = 0; i < N_ALL; i++) {
		uint64_t n = zcp_test_n_switches(pids[i]) - before[i];

		n_wakes += n;
		(void)printf("%s: %llu wake-ups in %d s\n",
			     i < N_SLEEPERS  ? sleepers[i].what :
			     i == N_SLEEPERS ? "zcpd" :
					       "its worker",
			     (unsigned long long)n, SECONDS);
	}
	ZCP_CHECK(n_wakes == 0);
}

static void nobody_wakes(void)
{
	struct zcp_test_child children[N_SLEEPERS];
	struct zcp_node *node;

	for (size_t i = 0; i < N_SLEEPERS; i++) {
		zcp_test_fork(&children[i], sleepers[i].run, NULL);
		zcp_test_hear_step(&children[i], 0);
	}
	expect_no_wakes(children);
	zcp_test_kill_both(zcp_test_runtime_pid("default"));
	/* Starts another one, and is answered when all are back. */
	node = zcp_test_node();
	zcp_test_wait_for_members(node, "quiet", 0, 5);
	zcp_node_close(node);
	expect_no_wakes(children);
	for (size_t i = 0; i < N_SLEEPERS; i++)
		zcp_test_kill(&children[i]);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(nobody_wakes),
};

ZCP_TEST_MAIN(cases)
