/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is at the other end: waiting for publishers.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "pubsub/util.h"
#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define TOPIC "match"
#define MS INT64_C(1000000)

/* --- waiting for publishers --- */

static void do_nothing(int number)
{
	(void)number;
}

static void wait_for_two(struct zcp_test_child *self, void *arg)
{
	const struct sigaction action = { .sa_handler = do_nothing, .sa_flags = SA_RESTART };
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 4, 2, 0);

	(void)arg;
	ZCP_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	zcp_test_say_step(self, 1);
	ZCP_CHECK(zcp_subscriber_wait_publishers(subscriber, 2, ZCP_FOREVER) == -EINTR);
	zcp_test_say_step(self, 2);
	ZCP_OK(zcp_subscriber_wait_publishers(subscriber, 2, ZCP_FOREVER), node);
	ZCP_CHECK(zcp_subscriber_n_publishers(subscriber) == 2);
	zcp_test_say_step(self, 3);
	zcp_node_close(node);
}

static void waiting_for_publishers(void)
{
	struct zcp_test_child child;
	struct zcp_subscriber *subscriber;
	struct zcp_node *node;
	uint64_t start;

	zcp_test_fork(&child, wait_for_two, NULL);
	node = zcp_test_node();
	subscriber = zcp_test_subscriber(node, TOPIC, 4, 2, 0);
	ZCP_OK(zcp_subscriber_wait_publishers(subscriber, 0, 0), node);
	ZCP_CHECK(zcp_subscriber_wait_publishers(subscriber, 1, 0) == -ETIMEDOUT);
	start = zcp_now_ns();
	ZCP_CHECK(zcp_subscriber_wait_publishers(subscriber, 1, 5 * MS) == -ETIMEDOUT);
	ZCP_CHECK(zcp_now_ns() - start >= 5 * MS);

	zcp_test_hear_step(&child, 1);
	zcp_test_wait_until_asleep(child.pid);
	ZCP_CHECK(kill(child.pid, SIGUSR1) == 0);
	zcp_test_hear_step(&child, 2);
	zcp_test_publisher(node, TOPIC, 64, 2);
	ZCP_OK(zcp_subscriber_wait_publishers(subscriber, 1, 0), node);
	zcp_test_wait_until_asleep(child.pid);
	zcp_test_publisher(node, TOPIC, 64, 2);
	zcp_test_hear_step(&child, 3);
	zcp_test_join(&child);
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(waiting_for_publishers),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
