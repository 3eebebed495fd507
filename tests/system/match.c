/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is at the other end: the names of a sample's publisher, and waiting for publishers.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "pubsub/client/publisher.h"
#include "pubsub/util.h"
#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define TOPIC "match"
#define MS INT64_C(1000000)

static struct zcp_node *open_node(const char *name)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;
	struct zcp_node *node = NULL;

	options.name = name;
	ZCP_OK(zcp_node_open(&node, &options), NULL);
	return node;
}

/* --- the name of a sample's publisher --- */

static char sample_name[ZCP_NODE_NAME_MAX + 1];

static void note_name(const struct zcp_sample *sample, void *user)
{
	(void)user;
	ZCP_CHECK(zcp_sample_publisher_name(sample, sample_name, sizeof(sample_name)) == 0);
}

static void sample_says_whose_it_is(void)
{
	char name[ZCP_NODE_NAME_MAX + 1], longest[ZCP_NODE_NAME_MAX + 1] = "";
	struct zcp_node *node = zcp_test_node(), *front = open_node("front"), *rear;
	struct zcp_publisher *publisher = zcp_test_publisher(front, TOPIC, 64, 1);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 8, 4, 0);
	struct zcp_sample sample, other, copy;

	memset(longest, 'n', sizeof(longest) - 1);
	rear = open_node(longest);
	zcp_test_send(publisher, 1);
	zcp_test_send(publisher, 2);
	zcp_test_send(zcp_test_publisher(rear, TOPIC, 64, 1), 1);

	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	ZCP_OK(zcp_subscriber_take(subscriber, &other), node);
	ZCP_OK(zcp_sample_publisher_name(&sample, name, sizeof(name)), node);
	ZCP_CHECK(strcmp(name, "front") == 0);
	ZCP_OK(zcp_sample_publisher_name(&other, name, sizeof(name)), node);
	ZCP_CHECK(strcmp(name, longest) == 0);
	/* It fits, or it is not there. */
	(void)strcpy(name, "as it was");
	ZCP_CHECK(zcp_sample_publisher_name(&sample, name, 5) == -ENAMETOOLONG);
	ZCP_CHECK(zcp_sample_publisher_name(&sample, name, 0) == -ENAMETOOLONG);
	ZCP_CHECK(strcmp(name, "as it was") == 0);
	ZCP_OK(zcp_sample_publisher_name(&sample, name, 6), node);
	copy = other;
	ZCP_CHECK(zcp_sample_release(&other) == 0);
	ZCP_CHECK(zcp_sample_publisher_name(&other, name, sizeof(name)) == -EINVAL);
	ZCP_CHECK(zcp_sample_release(&copy) == -EINVAL);

	/* Its publisher goes; the name stays until another has the slot. */
	zcp_publisher_close(publisher);
	ZCP_OK(zcp_sample_publisher_name(&sample, name, sizeof(name)), node);
	ZCP_CHECK(strcmp(name, "front") == 0);
	zcp_subscriber_on_sample(subscriber, note_name, NULL);
	ZCP_OK(zcp_node_dispatch(node, 0), node);
	ZCP_CHECK(strcmp(sample_name, "front") == 0);
	publisher = zcp_test_publisher(rear, TOPIC, 64, 1);
	ZCP_CHECK(publisher->writer.options.slot == 0);
	(void)strcpy(name, "as it was");
	ZCP_CHECK(zcp_sample_publisher_name(&sample, name, sizeof(name)) == -ENOENT);
	ZCP_CHECK(strcmp(name, "as it was") == 0);
	ZCP_CHECK(zcp_sample_release(&sample) == 0);
	zcp_node_close(front);
	zcp_node_close(rear);
	zcp_node_close(node);
}

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
	ZCP_TEST_CASE(sample_says_whose_it_is),
	ZCP_TEST_CASE(waiting_for_publishers),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
