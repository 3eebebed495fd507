/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thousand endpoints and hundreds of nodes that come and go leave no descriptor, no
 * mapping and no chunk behind, in the process that opens them and in both of the runtime's.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "pubsub/util.h"
#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

struct count {
	unsigned int fds;
	unsigned int mappings;
	unsigned int runtime_fds;
	unsigned int runtime_mappings;
	unsigned int keeper_fds;
};

static struct count count(const struct zcp_test_runtime *runtime, struct zcp_node *node)
{
	/* It answers a close, or sees the end of a connection, and clears up in that turn. */
	for (int i = 0; i < 3; i++)
		ZCP_IGNORE(zcp_test_ask(node, "t"));
	/* What it was told by then, the keeper has read when it sleeps. */
	zcp_test_wait_until_asleep_in(runtime->pid, "poll");
	return (struct count){
		.fds = zcp_test_n_fds(getpid()),
		.mappings = zcp_test_n_mappings(getpid()),
		.runtime_fds = zcp_test_n_fds(zcp_test_worker(runtime->pid)),
		.runtime_mappings = zcp_test_n_mappings(zcp_test_worker(runtime->pid)),
		.keeper_fds = zcp_test_n_fds(runtime->pid),
	};
}

static void check_same(const struct zcp_test_runtime *runtime, struct zcp_node *node,
		       const struct count *before)
{
	struct count now = count(runtime, node);

	(void)fprintf(stderr,
		      "descriptors %u -> %u, mappings %u -> %u; runtime %u -> %u, %u -> %u; "
		      "keeper %u -> %u\n",
		      before->fds, now.fds, before->mappings, now.mappings, before->runtime_fds,
		      now.runtime_fds, before->runtime_mappings, now.runtime_mappings,
		      before->keeper_fds, now.keeper_fds);
	ZCP_CHECK(now.fds == before->fds && now.runtime_fds == before->runtime_fds);
	ZCP_CHECK(now.keeper_fds == before->keeper_fds);
	ZCP_CHECK(now.mappings == before->mappings);
	ZCP_CHECK(now.runtime_mappings == before->runtime_mappings);
}

static void endpoints_that_come_and_go(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_node *node;
	struct count before = { 0 };

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	for (int i = 0; i < 501; i++) {
		char topic[32];
		struct zcp_publisher *publisher;
		struct zcp_subscriber *subscriber;

		(void)snprintf(topic, sizeof(topic), "topic/%d", i % 3);
		publisher = zcp_test_publisher(node, topic, (size_t)64 << i % 8, 2);
		subscriber = zcp_test_subscriber(node, topic, 4, 1, 0);
		zcp_test_send(publisher, 1);
		if (i % 2)
			zcp_test_expect(subscriber, 1);
		if (i % 4 < 2) {
			zcp_subscriber_close(subscriber);
			zcp_publisher_close(publisher);
		} else {
			zcp_publisher_close(publisher);
			zcp_subscriber_close(subscriber);
		}
		if (i == 0)
			before = count(&runtime, node);
	}
	check_same(&runtime, node, &before);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

/* Within a topic that stays, whose pool grows once. */
static void endpoints_of_a_topic_that_stays(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_publisher *stays;
	struct zcp_node *node;
	struct count before = { 0 };

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	stays = zcp_test_publisher(node, "t", 64, 2);
	for (int i = 0; i < 501; i++) {
		struct zcp_publisher *publisher = zcp_test_publisher(node, "t", 1000, 2);
		struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", 4, 1, 0);

		zcp_test_send(publisher, 1);
		zcp_subscriber_close(subscriber);
		zcp_publisher_close(publisher);
		if (i == 0)
			before = count(&runtime, node);
	}
	check_same(&runtime, node, &before);
	ZCP_CHECK(zcp_test_n_busy(node) == 0);
	/* What is larger than it can send is not mapped by it. */
	ZCP_CHECK(zcp_test_inside(stays).pool->n_classes == 1);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static void nodes_that_come_and_go(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_node *stays;
	struct count before = { 0 };

	zcp_test_runtime_start(&runtime, NULL);
	stays = zcp_test_node();
	for (int i = 0; i < 301; i++) {
		struct zcp_node *node = zcp_test_node();

		(void)zcp_test_publisher(node, "t", 64, 2);
		(void)zcp_test_subscriber(node, "t", 4, 1, 0);
		zcp_node_close(node);
		if (i == 0)
			before = count(&runtime, stays);
	}
	check_same(&runtime, stays, &before);
	zcp_node_close(stays);
	zcp_test_runtime_stop(&runtime);
}

static void refusals(void)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_test_runtime runtime;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
	struct zcp_subscriber_options deep = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_node *node;
	struct count before = { 0 };

	zcp_test_runtime_start(&runtime, "[pool.p]\nclasses = [{size = 64, count = 4}]\n"
					 "[topic.\"p/*\"]\npool = \"p\"\n");
	node = zcp_test_node();
	deep.depth = 257;
	options.loans = 5;
	for (int i = 0; i < 300; i++) {
		ZCP_REFUSED(zcp_publisher_open(&publisher, node, "t", NULL), node, -EINVAL, NULL);
		ZCP_REFUSED(zcp_publisher_open(&publisher, node, "p/t", &options), node, -ENOSPC,
			    NULL);
		ZCP_REFUSED(zcp_subscriber_open(&subscriber, node, "t", &deep), node, -ERANGE,
			    NULL);
		if (i == 0)
			before = count(&runtime, node);
	}
	check_same(&runtime, node, &before);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

/* --- a process without room for more descriptors --- */

static void set_limit(unsigned long n)
{
	struct rlimit limit;

	ZCP_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = n;
	ZCP_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* The number from which on no descriptor is open, with none free below it. */
static unsigned int close_the_gaps(void)
{
	unsigned int n;
	int last;

	do {
		last = dup(STDIN_FILENO);
		ZCP_CHECK(last >= 0);
		n = zcp_test_n_fds(getpid()) - 1;
	} while ((unsigned int)last + 1 != n);
	return n;
}

static void out_of_descriptors(void)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_test_runtime runtime;
	struct zcp_publisher *publisher;
	struct zcp_node *node, *other = NULL;
	unsigned int n;

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	n = close_the_gaps();
	options.max_payload = 64;
	/* One too few for a topic, its acks, its chunks and their descriptors. */
	for (unsigned int room = 0; room < 4; room++) {
		set_limit(n + room);
		ZCP_REFUSED(zcp_publisher_open(&publisher, node, "t", &options), node, -EMFILE,
			    "cut off|RLIMIT_NOFILE");
	}
	set_limit(n);
	ZCP_REFUSED(zcp_node_open(&other, NULL), NULL, -EMFILE, "socket");
	set_limit(n + 1);
	ZCP_REFUSED(zcp_node_open(&other, NULL), NULL, -EMFILE, "RLIMIT_NOFILE");
	set_limit(n + 4);
	ZCP_OK(zcp_publisher_open(&publisher, node, "t", &options), node);
	zcp_test_send(publisher, 1);
	set_limit(1024);
	ZCP_OK(zcp_node_open(&other, NULL), NULL);
	zcp_node_close(other);
	/* What was opened for nobody does not stay. */
	zcp_test_wait_for_members(node, "t", 1, 0);
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(endpoints_that_come_and_go), ZCP_TEST_CASE(endpoints_of_a_topic_that_stays),
	ZCP_TEST_CASE(nodes_that_come_and_go),     ZCP_TEST_CASE(refusals),
	ZCP_TEST_CASE(out_of_descriptors),
};

ZCP_TEST_MAIN(cases)
