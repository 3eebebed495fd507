/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits of a domain, of its topics and of its pools: who is refused, with which
 * sentence, and that room which was given back is there for the next one.
 */
#include <errno.h>
#include <zcp/zcp.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/runtime.h"

static struct zcp_publisher *publish_on(struct zcp_node *node, const char *topic)
{
	return zcp_test_publisher(node, topic, 64, 1);
}

static struct zcp_subscriber *subscribe_to(struct zcp_node *node, const char *topic)
{
	return zcp_test_subscriber(node, topic, 4, 1, 0);
}

static int try_to_publish(struct zcp_node *node, const char *topic)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_publisher *publisher = NULL;
	int r;

	options.max_payload = 64;
	options.loans = 1;
	r = zcp_publisher_open(&publisher, node, topic, &options);
	ZCP_CHECK((r == 0) == (publisher != NULL));
	return r;
}

static int try_to_subscribe(struct zcp_node *node, const char *topic, uint32_t depth, uint32_t held)
{
	struct zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_subscriber *subscriber = NULL;
	int r;

	options.depth = depth;
	options.held = held;
	r = zcp_subscriber_open(&subscriber, node, topic, &options);
	ZCP_CHECK((r == 0) == (subscriber != NULL));
	return r;
}

static void max_nodes(void)
{
	static const char *const words = "3 nodes|max_nodes in [runtime]|raise it";
	struct zcp_test_runtime runtime;
	struct zcp_node *nodes[3], *one_more = NULL;

	zcp_test_runtime_start(&runtime, "[runtime]\nmax_nodes = 3\n");
	for (int i = 0; i < 3; i++)
		nodes[i] = zcp_test_node();
	ZCP_REFUSED(zcp_node_open(&one_more, NULL), NULL, -EUSERS, words);
	/* The end of a connection is no answer: the runtime learns of it in its own time. */
	zcp_node_close(nodes[1]);
	while (zcp_node_open(&one_more, NULL) < 0)
		ZCP_CHECK(zcp_test_has(zcp_node_error(NULL), words));
	zcp_node_close(one_more);
	zcp_node_close(nodes[0]);
	zcp_node_close(nodes[2]);
}

/*
 * A node that closes without waiting for its subscriber's grace period is gone when that is
 * over, though its process goes on.
 */
static void node_that_did_not_wait_leaves_room(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_publisher *publisher;
	struct zcp_node *node, *hasty;

	zcp_test_runtime_start(&runtime, "[runtime]\nmax_nodes = 2\n");
	node = zcp_test_node();
	publisher = publish_on(node, "t");
	hasty = zcp_test_node();
	(void)subscribe_to(hasty, "t");
	zcp_test_set_timeout(hasty, 20000000);
	/* As if it had stopped in the middle of a publish. */
	zcp_test_store(&zcp_test_inside(publisher).writer->slot->op,
		       zcp_test_inside(publisher).writer->op + 1);
	zcp_node_close(hasty);
	zcp_test_wait_for_members(node, "t", 1, 1);
	ZCP_REFUSED(zcp_node_open(&hasty, NULL), NULL, -EUSERS, "2 nodes");
	zcp_test_store(&zcp_test_inside(publisher).writer->slot->op,
		       zcp_test_inside(publisher).writer->op);
	zcp_test_wait_for_members(node, "t", 1, 0);
	ZCP_OK(zcp_node_open(&hasty, NULL), NULL);
	zcp_node_close(hasty);
	zcp_node_close(node);
}

static void max_topics(void)
{
	static const char *const words = "2 topics|max_topics in [runtime]|raise it";
	struct zcp_test_runtime runtime;
	struct zcp_publisher *publisher;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, "[runtime]\nmax_topics = 2\n");
	node = zcp_test_node();
	publisher = publish_on(node, "a");
	(void)subscribe_to(node, "b");
	ZCP_REFUSED(try_to_publish(node, "c"), node, -EUSERS, words);
	ZCP_REFUSED(try_to_subscribe(node, "c", 1, 1), node, -EUSERS, words);
	/* What exists is not concerned, and what has gone leaves room. */
	ZCP_OK(try_to_subscribe(node, "b", 1, 1), node);
	zcp_publisher_close(publisher);
	ZCP_OK(try_to_publish(node, "c"), node);
	ZCP_REFUSED(try_to_publish(node, "a"), node, -EUSERS, words);
	zcp_node_close(node);
}

static void max_publishers_and_max_subscribers(void)
{
	static const char *const publishers = "topic 't' has 2 publishers|max_publishers|raise it";
	static const char *const subscribers =
		"topic 't' has 3 subscribers|max_subscribers|raise it";
	struct zcp_test_runtime runtime;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
	struct zcp_node *node, *other;

	zcp_test_runtime_start(&runtime,
			       "[topic.\"t\"]\nmax_publishers = 2\nmax_subscribers = 3\n");
	node = zcp_test_node();
	other = zcp_test_node();
	publisher = publish_on(node, "t");
	(void)publish_on(other, "t");
	(void)subscribe_to(node, "t");
	subscriber = subscribe_to(other, "t");
	(void)subscribe_to(node, "t");
	ZCP_REFUSED(try_to_publish(node, "t"), node, -EUSERS, publishers);
	ZCP_REFUSED(try_to_subscribe(other, "t", 1, 1), other, -EUSERS, subscribers);
	zcp_publisher_close(publisher);
	zcp_subscriber_close(subscriber);
	ZCP_OK(try_to_publish(other, "t"), other);
	ZCP_OK(try_to_subscribe(node, "t", 1, 1), node);
	ZCP_REFUSED(try_to_publish(other, "t"), other, -EUSERS, publishers);
	ZCP_REFUSED(try_to_subscribe(node, "t", 1, 1), node, -EUSERS, subscribers);
	zcp_node_close(node);
	zcp_node_close(other);
}

/* 64 and 256: more than that a topic cannot have. */
static void as_many_as_there_can_be(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_node *node;
	uint64_t number, lost;
	struct zcp_subscriber *subscriber = NULL;

	zcp_test_runtime_start(&runtime, "[topic.\"t\"]\nmax_publishers = 64\n"
					 "max_subscribers = 256\nmax_depth = 2\ndepth = 2\n");
	node = zcp_test_node();
	for (int i = 0; i < 256; i++)
		subscriber = zcp_test_subscriber(node, "t", 2, 1, 0);
	for (uint64_t i = 0; i < 64; i++)
		zcp_test_send(publish_on(node, "t"), i);
	for (uint64_t i = 0; i < 64; i++) {
		ZCP_CHECK(zcp_test_take(subscriber, &number, &lost));
		ZCP_CHECK(number == i && lost == 0);
	}
	ZCP_REFUSED(try_to_publish(node, "t"), node, -EUSERS, "64 publishers");
	ZCP_REFUSED(try_to_subscribe(node, "t", 1, 1), node, -EUSERS, "256 subscribers");
	zcp_node_close(node);
}

static void pool_that_is_shared_has_one_sum(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_subscriber *subscriber;
	struct zcp_publisher *first;
	struct zcp_node *node;

	/* A loan and 8 that rotate for each publisher, and one that is just given back. */
	zcp_test_runtime_start(&runtime, "[pool.shared]\nclasses = [{size = 64, count = 29}]\n"
					 "[topic.\"s/*\"]\npool = \"shared\"\n");
	node = zcp_test_node();
	first = publish_on(node, "s/a");
	(void)publish_on(node, "s/b");
	/* A queue of 4 and one held, for its one publisher. */
	subscriber = zcp_test_subscriber(node, "s/a", 4, 1, 0);
	ZCP_REFUSED(try_to_subscribe(node, "s/b", 4, 2), node, -ENOSPC,
		    "pool 'shared' has 29 chunks of 64 bytes, 5 of them left|"
		    "this subscriber (depth 4, 2 held) would need 6 with 1 publisher|"
		    "raise the pool's count, or lower depth or held");
	ZCP_OK(try_to_subscribe(node, "s/b", 4, 1), node);
	ZCP_REFUSED(try_to_publish(node, "s/a"), node, -ENOSPC,
		    "29 chunks|0 of them left|"
		    "this publisher (1 loan) would need 14 with 1 subscriber");
	zcp_subscriber_close(subscriber);
	zcp_publisher_close(first);
	ZCP_OK(try_to_publish(node, "s/a"), node);
	zcp_node_close(node);
}

/* A subscriber that holds and queues all it may leaves a publisher its loans. */
static void within_the_sum_nobody_starves(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
	struct zcp_sample samples[2];
	struct zcp_loan loan;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, "[pool.p]\nclasses = [{size = 64, count = 16}]\n"
					 "[topic.\"t\"]\npool = \"p\"\n");
	node = zcp_test_node();
	publisher = publish_on(node, "t");
	subscriber = zcp_test_subscriber(node, "t", 4, 2, 0);
	for (uint64_t i = 1; i <= 2; i++)
		zcp_test_send(publisher, i);
	for (int i = 0; i < 2; i++)
		ZCP_OK(zcp_subscriber_take(subscriber, &samples[i]), node);
	for (uint64_t i = 3; i <= 1000; i++)
		zcp_test_send(publisher, i);
	/* 2 held, 4 queued, 1 loan, 8 that rotate, 1 that is just given back: 16. */
	ZCP_OK(zcp_publisher_loan(publisher, 64, &loan), node);
	ZCP_CHECK(*(const uint64_t *)samples[0].data == 1);
	ZCP_CHECK(*(const uint64_t *)samples[1].data == 2);
	zcp_node_close(node);
}

/* One publisher and one subscriber that say nothing else, whichever of them comes first. */
static void large_payload_has_room_in_either_order(void)
{
	const size_t size = (size_t)4 << 30;
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber, *second;
	struct zcp_publisher *publisher;

	publisher = zcp_test_publisher(node, "publisher/first", size, 0);
	ZCP_OK(zcp_subscriber_open(&subscriber, node, "publisher/first", NULL), node);
	zcp_test_send(publisher, 1);
	zcp_test_expect(subscriber, 1);
	/* What helps is said. */
	ZCP_REFUSED(zcp_subscriber_open(&second, node, "publisher/first", NULL), node, -ENOSPC,
		    "26 chunks of 4 GiB|raise the topic's limits or give it a pool|lower");
	ZCP_OK(zcp_subscriber_open(&subscriber, node, "subscriber/first", NULL), node);
	publisher = zcp_test_publisher(node, "subscriber/first", size, 0);
	zcp_test_send(publisher, 1);
	zcp_test_expect(subscriber, 1);
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(max_nodes),
	ZCP_TEST_CASE(node_that_did_not_wait_leaves_room),
	ZCP_TEST_CASE(max_topics),
	ZCP_TEST_CASE(max_publishers_and_max_subscribers),
	ZCP_TEST_CASE(as_many_as_there_can_be),
	ZCP_TEST_CASE(pool_that_is_shared_has_one_sum),
	ZCP_TEST_CASE(within_the_sum_nobody_starves),
	ZCP_TEST_CASE(large_payload_has_room_in_either_order),
};

ZCP_TEST_MAIN(cases)
