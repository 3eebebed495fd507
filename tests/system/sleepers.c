/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nobody sleeps through the end of the runtime: nodes that sleep, in each way that there is, notice
 * at once that both of its processes are gone, and come back to the next one.
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "pubsub/client/node.h"
#include "pubsub/util.h"
#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

/* Of each of these, so many. */
#define TIMES 4
#define N_WAYS 6
#define N_SLEEPERS (TIMES * N_WAYS)
/* Far above what it takes, and far below the 30 s after which a node looks by itself. */
#define MOST_NS UINT64_C(10000000000)

/* However busy the machine is: opened is nothing before all that live are back. */
static const char config[] = "[runtime]\nreturn_timeout = \"60s\"\n";

static void on_sample(const struct zcp_sample *sample, void *user)
{
	(void)sample;
	(void)user;
}

/* Each says how many descriptors it has open, then sleeps; a child of its own would sleep as well. */
static void say_ready(struct zcp_test_child *self)
{
	zcp_test_say_step(self, zcp_test_n_fds(getpid()) - 1);
}

static void dispatch(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();

	(void)arg;
	zcp_subscriber_on_sample(zcp_test_subscriber(node, "t", 4, 2, 0), on_sample, NULL);
	say_ready(self);
	ZCP_OK(zcp_node_dispatch(node, ZCP_FOREVER), node);
}

static void wait_long(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();

	(void)arg;
	(void)zcp_test_subscriber(node, "t", 4, 2, 0);
	say_ready(self);
	ZCP_OK(zcp_node_wait(node, INT64_C(3600) * 1000000000), node);
}

static void poll_descriptor(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", 4, 2, 0);
	struct pollfd pollfd = { .fd = zcp_node_fd(node), .events = POLLIN };
	uint64_t number, lost;

	(void)arg;
	ZCP_CHECK(zcp_node_wait(node, 0) == -ETIMEDOUT);
	say_ready(self);
	do {
		ZCP_CHECK(poll(&pollfd, 1, -1) == 1);
		ZCP_IGNORE(zcp_node_wait(node, 0) < 0);
	} while (!zcp_test_take(subscriber, &number, &lost));
}

static void wait_for_publishers(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", 4, 2, 0);

	(void)arg;
	say_ready(self);
	ZCP_OK(zcp_subscriber_wait_publishers(subscriber, 1, ZCP_FOREVER), node);
}

/* By a subscriber of another node, which is closed with a publisher's coming. */
static void block(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node(), *other = zcp_test_node();
	char topic[32];
	struct zcp_publisher *publisher;

	(void)arg;
	(void)snprintf(topic, sizeof(topic), "blocked/%d", (int)getpid());
	publisher = zcp_test_publisher(node, topic, 64, 1);
	(void)zcp_test_subscriber(other, topic, 1, 1, ZCP_ON_FULL_BLOCK);
	zcp_test_send(publisher, 1);
	say_ready(self);
	zcp_test_send(publisher, 2);
}

static void *publish_second(void *publisher)
{
	zcp_test_send(publisher, 2);
	return NULL;
}

static void *wait_for_two(void *publisher)
{
	ZCP_IGNORE(zcp_publisher_wait_subscribers(publisher, 2, ZCP_FOREVER) < 0);
	return NULL;
}

/* One thread sleeps in the node, and two beside it. */
static void three_threads(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node(), *other = zcp_test_node();
	struct zcp_publisher *publishers[2];
	pthread_t threads[2];
	char topic[32];

	(void)arg;
	(void)snprintf(topic, sizeof(topic), "three/%d", (int)getpid());
	for (int i = 0; i < 2; i++)
		publishers[i] = zcp_test_publisher(node, topic, 64, 1);
	(void)zcp_test_subscriber(other, topic, 1, 1, ZCP_ON_FULL_BLOCK);
	zcp_test_send(publishers[0], 1);
	ZCP_CHECK(pthread_create(&threads[0], NULL, publish_second, publishers[0]) == 0);
	ZCP_CHECK(pthread_create(&threads[1], NULL, wait_for_two, publishers[1]) == 0);
	say_ready(self);
	ZCP_IGNORE(zcp_node_wait(node, INT64_C(3600) * 1000000000) < 0);
}

static void (*const ways[N_WAYS])(struct zcp_test_child *self, void *arg) = {
	dispatch, wait_long, poll_descriptor, wait_for_publishers, block, three_threads,
};

struct sleeper {
	struct zcp_test_child child;
	/* descriptors that it has open with its connection, or connections */
	unsigned int n_fds;
};

static struct sleeper sleepers[N_SLEEPERS];

/* And nothing would end that. */
static bool is_blocked(int i)
{
	return ways[i % N_WAYS] == block || ways[i % N_WAYS] == three_threads;
}

static void begin(void)
{
	/* The keeper's heirs are ours. */
	ZCP_CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	for (int i = 0; i < N_SLEEPERS; i++) {
		uint64_t n_fds;

		zcp_test_fork(&sleepers[i].child, ways[i % N_WAYS], NULL);
		zcp_test_hear(&sleepers[i].child, &n_fds, sizeof(n_fds));
		sleepers[i].n_fds = (unsigned int)n_fds;
	}
}

static void wait_until_asleep(void)
{
	for (int i = 0; i < N_SLEEPERS; i++)
		zcp_test_wait_until_asleep_in(sleepers[i].child.pid,
					      ways[i % N_WAYS] == poll_descriptor ? "poll" :
										    "futex");
}

/* Whoever notices closes its connection. */
static void expect_all_notice(const char *what)
{
	uint64_t begin_ns = zcp_now_ns(), ns;

	for (int i = 0; i < N_SLEEPERS; i++)
		/* The other node of one that is blocked is in no call, and notices nothing. */
		zcp_test_wait_n_fds(sleepers[i].child.pid, sleepers[i].n_fds - 1);
	ns = zcp_now_ns() - begin_ns;
	(void)printf("%s: %d sleepers have noticed after %.1f ms\n", what, N_SLEEPERS,
		     (double)ns / 1e6);
	ZCP_CHECK(ns < MOST_NS);
}

static void expect_all_back(const char *what)
{
	uint64_t begin_ns = zcp_now_ns(), ns;

	for (int i = 0; i < N_SLEEPERS; i++)
		zcp_test_wait_n_fds(sleepers[i].child.pid, sleepers[i].n_fds);
	ns = zcp_now_ns() - begin_ns;
	(void)printf("%s: %d sleepers are back after %.1f ms\n", what, N_SLEEPERS,
		     (double)ns / 1e6);
	ZCP_CHECK(ns < MOST_NS);
}

/* Those that wait for something get it, from the runtime that is there at last. */
static void end(struct zcp_test_runtime *runtime)
{
	struct zcp_node *node;
	struct zcp_publisher *publisher;

	for (int i = 0; i < N_SLEEPERS; i++)
		if (is_blocked(i))
			zcp_test_kill(&sleepers[i].child);
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, "t", 64, 1);
	zcp_test_send(publisher, 1);
	for (int i = 0; i < N_SLEEPERS; i++)
		if (!is_blocked(i))
			zcp_test_join(&sleepers[i].child);
	ZCP_CHECK(zcp_test_audit(node) == 0);
	zcp_node_close(node);
	zcp_test_runtime_stop(runtime);
}

static void both_processes_are_killed(void)
{
	struct zcp_test_runtime runtime;

	zcp_test_runtime_start(&runtime, config);
	begin();
	for (int round = 0; round < 3; round++) {
		wait_until_asleep();
		zcp_test_runtime_kill_all(&runtime);
		expect_all_notice("killed");
		zcp_test_runtime_start(&runtime, config);
		expect_all_back("killed");
	}
	end(&runtime);
}

static void runtime_ends_in_order(void)
{
	struct zcp_test_runtime runtime;

	zcp_test_runtime_start(&runtime, config);
	begin();
	wait_until_asleep();
	zcp_test_runtime_stop(&runtime);
	expect_all_notice("ended");
	zcp_test_runtime_start(&runtime, config);
	expect_all_back("ended");
	end(&runtime);
}

/* The next keeper holds what they sleep on, whatever has become of the one before. */
static void keeper_and_later_both_are_killed(void)
{
	struct zcp_test_runtime runtime;

	zcp_test_runtime_start(&runtime, config);
	begin();
	for (int round = 0; round < 3; round++) {
		wait_until_asleep();
		zcp_test_runtime_kill_keeper(&runtime);
	}
	wait_until_asleep();
	zcp_test_runtime_kill_all(&runtime);
	expect_all_notice("killed after its keeper");
	zcp_test_runtime_start(&runtime, config);
	expect_all_back("killed after its keeper");
	end(&runtime);
}

static void runtime_is_replaced_and_later_killed(void)
{
	struct zcp_test_runtime runtime;

	zcp_test_runtime_start(&runtime, config);
	begin();
	wait_until_asleep();
	zcp_test_runtime_replace(&runtime, config);
	zcp_test_runtime_kill_all(&runtime);
	expect_all_notice("killed after a replacement");
	zcp_test_runtime_start(&runtime, config);
	expect_all_back("killed after a replacement");
	end(&runtime);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(both_processes_are_killed),
	ZCP_TEST_CASE(runtime_ends_in_order),
	ZCP_TEST_CASE(keeper_and_later_both_are_killed),
	ZCP_TEST_CASE(runtime_is_replaced_and_later_killed),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
