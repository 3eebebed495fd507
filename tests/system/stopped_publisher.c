/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A publisher is stopped in the middle of a publish: subscribers that close do not wait for it, and
 * their places are free when it goes on, or has died.
 */
#include <errno.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define N_VIEWERS 8
/* Longer than a case may take: a close that waits for its end is a failure. */
#define FOR_EVER_NS (600 * INT64_C(1000000000))

static struct zcp_test_runtime runtime;
static struct zcp_node *node, *viewer;
static struct zcp_subscriber *subscribers[N_VIEWERS];

static void begin(void)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;

	zcp_test_runtime_start(&runtime, "[topic.t]\nmax_subscribers = 8\n");
	node = zcp_test_node();
	options.timeout_ns = FOR_EVER_NS;
	ZCP_OK(zcp_node_open(&viewer, &options), NULL);
}

static void open_viewers(void)
{
	for (int i = 0; i < N_VIEWERS; i++)
		subscribers[i] = zcp_test_subscriber(viewer, "t", 4, 2, 0);
}

static void close_viewers(void)
{
	for (int i = 0; i < N_VIEWERS; i++)
		subscribers[i] = zcp_subscriber_close(subscribers[i]);
}

/* As a publisher leaves it that has got so far, and no further. */
static void stop_inside(const struct zcp_publisher *publisher, uint64_t *op)
{
	_Atomic uint64_t *word =
		&zcp_test_inside(publisher).topic->publishers[zcp_test_inside(publisher).slot].op;

	*op = zcp_test_load(word);
	ZCP_CHECK(*op % 2 == 0);
	zcp_test_store(word, *op + 1);
}

static void go_on(const struct zcp_publisher *publisher, uint64_t op)
{
	zcp_test_store(
		&zcp_test_inside(publisher).topic->publishers[zcp_test_inside(publisher).slot].op,
		op);
}

static int try_to_subscribe(void)
{
	struct zcp_subscriber *subscriber;
	int r = zcp_subscriber_open(&subscriber, viewer, "t", NULL);

	if (r == 0)
		zcp_subscriber_close(subscriber);
	return r;
}

static void closes_return_and_the_places_follow(void)
{
	struct zcp_publisher *publisher;
	uint64_t op;

	begin();
	publisher = zcp_test_publisher(node, "t", 64, 2);
	for (int round = 0; round < 3; round++) {
		open_viewers();
		stop_inside(publisher, &op);
		close_viewers();
		/* It may still write into their queues. */
		ZCP_REFUSED(try_to_subscribe(), viewer, -EUSERS, "8 subscribers|max_subscribers");
		/* Whichever worker it is that knows of it. */
		if (round == 1)
			(void)zcp_test_kill_worker(runtime.pid);
		ZCP_REFUSED(try_to_subscribe(), viewer, -EUSERS, "8 subscribers|max_subscribers");
		go_on(publisher, op);
		zcp_test_wait_for_members(node, "t", 1, 0);
		ZCP_OK(try_to_subscribe(), viewer);
	}
	open_viewers();
	zcp_test_send(publisher, 1);
	for (int i = 0; i < N_VIEWERS; i++)
		zcp_test_expect(subscribers[i], 1);
	/* A node that ends leaves in the same way. */
	stop_inside(publisher, &op);
	zcp_node_close(viewer);
	go_on(publisher, op);
	zcp_test_wait_for_members(node, "t", 1, 0);
	ZCP_CHECK(zcp_test_audit(node) == 0);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static void publish_and_stop(struct zcp_test_child *self, void *arg)
{
	struct zcp_publisher *publisher = zcp_test_publisher(zcp_test_node(), "t", 64, 2);
	uint64_t op;

	(void)arg;
	zcp_test_say_step(self, 0);
	zcp_test_hear_step(self, 1);
	stop_inside(publisher, &op);
	zcp_test_say_step(self, 2);
	zcp_test_wait_for_the_end(self);
}

static void places_follow_when_the_publisher_dies(void)
{
	struct zcp_test_child child;

	begin();
	zcp_test_fork(&child, publish_and_stop, NULL);
	zcp_test_hear_step(&child, 0);
	open_viewers();
	zcp_test_say_step(&child, 1);
	zcp_test_hear_step(&child, 2);
	close_viewers();
	ZCP_REFUSED(try_to_subscribe(), viewer, -EUSERS, "8 subscribers|max_subscribers");
	zcp_test_kill(&child);
	while (zcp_test_ask(node, "t") == 0)
		;
	ZCP_OK(try_to_subscribe(), viewer);
	ZCP_CHECK(zcp_test_audit(node) == 0);
	zcp_node_close(viewer);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(closes_return_and_the_places_follow),
	ZCP_TEST_CASE(places_follow_when_the_publisher_dies),
};

ZCP_TEST_MAIN(cases)
