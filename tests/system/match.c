/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is at the other end: match callbacks across processes, what they are told of, and what they
 * may do.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/system/match_helpers.h"

/* --- those of other processes --- */

static void subscribe_until_told(struct zcp_test_child *self, void *name)
{
	struct zcp_node *node = open_node(name);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 4, 2, 0);

	zcp_test_say_step(self, zcp_test_inside(subscriber).id);
	zcp_test_hear_step(self, 1);
	zcp_subscriber_close(subscriber);
	zcp_test_say_step(self, 2);
	zcp_test_wait_for_the_end(self);
}

static void publish_until_told(struct zcp_test_child *self, void *name)
{
	struct zcp_node *node = open_node(name);
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);

	zcp_test_say_step(self, zcp_publisher_id(publisher));
	zcp_test_hear_step(self, 1);
	zcp_publisher_close(publisher);
	zcp_test_say_step(self, 2);
	zcp_test_wait_for_the_end(self);
}

static uint64_t hear_id(struct zcp_test_child *child)
{
	uint64_t id;

	zcp_test_hear(child, &id, sizeof(id));
	return id;
}

/* Two others: one that closes, and one that is killed. */
static void see_two_come_and_go(struct zcp_node *node,
				void (*run)(struct zcp_test_child *self, void *name))
{
	struct zcp_test_child front, rear;
	uint64_t id;

	zcp_test_fork(&front, run, "front");
	id = hear_id(&front);
	expect(node, "+front(1)");
	ZCP_CHECK(told.matches[0].id == id && told.matches[0].pid == (uint32_t)front.pid);
	zcp_test_fork(&rear, run, "rear");
	expect(node, "+rear(2)");
	ZCP_CHECK(told.matches[0].id == hear_id(&rear));
	ZCP_CHECK(told.matches[0].pid == (uint32_t)rear.pid && told.matches[0].id != id);

	zcp_test_say_step(&front, 1);
	expect(node, "-front(1)");
	ZCP_CHECK(told.matches[0].id == id && told.matches[0].pid == (uint32_t)front.pid);
	zcp_test_hear_step(&front, 2);
	zcp_test_kill(&rear);
	expect(node, "-rear(0)");
	ZCP_CHECK(told.matches[0].pid == (uint32_t)rear.pid);
	zcp_test_kill(&front);
	ZCP_CHECK(zcp_node_dispatch(node, 0) == -ETIMEDOUT);
}

static void publisher_sees_subscribers_join_leave_and_die(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);

	ZCP_OK(zcp_publisher_on_match(publisher, note, NULL), node);
	see_two_come_and_go(node, subscribe_until_told);
	/* Other publishers are none of its own. */
	zcp_test_publisher(node, TOPIC, 64, 2);
	ZCP_CHECK(zcp_node_dispatch(node, 0) == -ETIMEDOUT);
	zcp_node_close(node);
}

static void subscriber_sees_publishers_join_leave_and_die(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 4, 2, 0);

	ZCP_OK(zcp_subscriber_on_match(subscriber, note, NULL), node);
	see_two_come_and_go(node, publish_until_told);
	zcp_test_subscriber(node, TOPIC, 4, 2, 0);
	ZCP_CHECK(zcp_node_dispatch(node, 0) == -ETIMEDOUT);
	zcp_node_close(node);
}

/* --- what is told, and what is not --- */

static void those_who_are_there_are_told_of_once(void)
{
	struct zcp_node *node = zcp_test_node(), *other = open_node("other");
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);
	struct zcp_subscriber *subscribers[2];

	for (int i = 0; i < 2; i++)
		subscribers[i] = zcp_test_subscriber(other, TOPIC, 4, 2, 0);
	ZCP_OK(zcp_publisher_on_match(publisher, note, NULL), node);
	ZCP_CHECK(told.n == 0);
	expect(node, "+other(1) +other(2)");
	ZCP_CHECK(told.matches[0].id == zcp_test_inside(subscribers[0]).id);
	ZCP_CHECK(told.matches[1].id == zcp_test_inside(subscribers[1]).id);
	/* Set anew, it begins anew. */
	ZCP_OK(zcp_publisher_on_match(publisher, note, "again"), node);
	expect(node, "again+other(1) again+other(2)");
	ZCP_OK(zcp_publisher_on_match(publisher, NULL, NULL), node);
	zcp_subscriber_close(subscribers[0]);
	ZCP_CHECK(zcp_node_dispatch(node, 0) == -ETIMEDOUT);
	ZCP_OK(zcp_publisher_on_match(publisher, note, NULL), node);
	expect(node, "+other(1)");
	zcp_node_close(other);
	zcp_node_close(node);
}

static void slot_that_is_used_again_is_another(void)
{
	struct zcp_node *node = zcp_test_node(), *front = open_node("front");
	struct zcp_node *rear = open_node("rear");
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(front, TOPIC, 4, 2, 0);

	ZCP_OK(zcp_publisher_on_match(publisher, note, NULL), node);
	expect(node, "+front(1)");
	zcp_subscriber_close(subscriber);
	subscriber = zcp_test_subscriber(rear, TOPIC, 4, 2, 0);
	ZCP_CHECK(zcp_test_inside(subscriber).slot == 0);
	expect(node, "-front(0) +rear(1)");
	/* The same node again is another as well. */
	zcp_subscriber_close(subscriber);
	(void)zcp_test_subscriber(rear, TOPIC, 4, 2, 0);
	expect(node, "-rear(0) +rear(1)");
	/* Who comes and goes between two looks is not seen, and ends no wait. */
	zcp_subscriber_close(zcp_test_subscriber(rear, TOPIC, 4, 2, 0));
	ZCP_CHECK(zcp_node_wait(node, 0) == -ETIMEDOUT);
	ZCP_CHECK(zcp_node_dispatch(node, 0) == -ETIMEDOUT);
	zcp_node_close(front);
	zcp_node_close(rear);
	zcp_node_close(node);
}

/* Its process lives, its connection does not: nothing more is sent to it. */
static void subscriber_that_hangs_up_has_left(void)
{
	struct zcp_node *node = zcp_test_node(), *other = open_node("other");
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);

	(void)zcp_test_subscriber(other, TOPIC, 4, 2, 0);
	ZCP_OK(zcp_publisher_on_match(publisher, note, NULL), node);
	expect(node, "+other(1)");
	ZCP_CHECK(shutdown(zcp_test_socket(other), SHUT_RDWR) == 0);
	expect(node, "-other(0)");
	zcp_node_close(other);
	zcp_node_close(node);
}

static void callback_outlives_the_runtime(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_publisher *publisher;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, TOPIC, 64, 2);
	(void)zcp_test_subscriber(node, TOPIC, 4, 2, 0);
	zcp_test_runtime_kill_all(&runtime);
	ZCP_OK(zcp_publisher_on_match(publisher, note, NULL), node);
	ZCP_OK(zcp_node_dispatch(node, 0), node);
	ZCP_CHECK(told.n == 1);
	ZCP_CHECK(zcp_node_dispatch(node, MS) == -ETIMEDOUT);
	zcp_node_close(node);
}

static struct zcp_publisher *answering;

static void answer(const struct zcp_match *match, void *user)
{
	uint64_t *n = user;

	if (match->change == ZCP_MATCH_JOINED) {
		ZCP_CHECK(zcp_publisher_n_subscribers(answering) == 1);
		zcp_test_send(answering, ++*n);
	}
}

static void subscribe_for_one_message_each(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();

	(void)self;
	(void)arg;
	for (uint64_t i = 1; i <= N_ROUNDS; i++) {
		struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 4, 2, 0);

		ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
		zcp_test_expect(subscriber, i);
		zcp_subscriber_close(subscriber);
	}
	zcp_node_close(node);
}

/* With nothing but publishers, a dispatch sleeps until somebody comes. */
static void what_is_published_after_the_callback_is_received(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_test_child child;
	uint64_t n = 0;

	answering = zcp_test_publisher(node, TOPIC, 64, 2);
	ZCP_OK(zcp_publisher_on_match(answering, answer, &n), node);
	zcp_test_fork(&child, subscribe_for_one_message_each, NULL);
	while (n < N_ROUNDS)
		ZCP_OK(zcp_node_dispatch(node, ZCP_FOREVER), node);
	zcp_test_join(&child);
	zcp_node_close(node);
}

/* --- what a callback may do --- */

static struct {
	struct zcp_node *node;
	struct zcp_publisher *publishers[3];
	unsigned int n_calls;
	/* bit i: publisher i is closed by the first call */
	unsigned int close;
} group;

static void close_some(const struct zcp_match *match, void *user)
{
	struct zcp_publisher **own = user;

	ZCP_CHECK(*own);
	group.n_calls++;
	for (unsigned int i = 0; i < 3; i++)
		if (group.close >> i & 1 && group.publishers[i])
			group.publishers[i] = zcp_publisher_close(group.publishers[i]);
	/* What it was told is still there. */
	ZCP_CHECK(strcmp(match->node, "other") == 0 && match->n >= 1);
}

static void callback_may_close_any_its_own_too(void)
{
	struct zcp_node *other = open_node("other");

	(void)zcp_test_subscriber(other, TOPIC, 4, 2, 0);
	(void)zcp_test_subscriber(other, TOPIC, 4, 2, 0);
	for (unsigned int close = 0; close < 8; close++) {
		unsigned int n_left = 0;

		group.node = zcp_test_node();
		group.n_calls = 0;
		group.close = close;
		for (int i = 0; i < 3; i++) {
			struct zcp_publisher **publisher = &group.publishers[i];

			*publisher = zcp_test_publisher(group.node, TOPIC, 64, 1);
			ZCP_OK(zcp_publisher_on_match(*publisher, close_some, publisher),
			       group.node);
		}
		ZCP_OK(zcp_node_dispatch(group.node, 0), group.node);
		for (int i = 0; i < 3; i++)
			n_left += group.publishers[i] != NULL;
		/* Two calls for each that was not closed, one for the one that closed them. */
		ZCP_CHECK(n_left == 3u - (unsigned int)__builtin_popcount(close));
		ZCP_CHECK(group.n_calls == 2 * n_left || group.n_calls == 2 * n_left + 1);
		ZCP_CHECK(zcp_node_dispatch(group.node, 0) == -ETIMEDOUT);
		zcp_node_close(group.node);
	}
	zcp_node_close(other);
}

static void note_then_end(const struct zcp_match *match, void *user)
{
	struct zcp_publisher *publisher = user;

	note(match, NULL);
	ZCP_CHECK(zcp_publisher_on_match(publisher, NULL, NULL) == 0);
}

static void note_then_begin_anew(const struct zcp_match *match, void *user)
{
	struct zcp_publisher *publisher = user;

	note(match, "once");
	ZCP_CHECK(zcp_publisher_on_match(publisher, note, NULL) == 0);
}

static void callback_may_set_itself_anew(void)
{
	struct zcp_node *node = zcp_test_node(), *other = open_node("other");
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);

	(void)zcp_test_subscriber(other, TOPIC, 4, 2, 0);
	(void)zcp_test_subscriber(other, TOPIC, 4, 2, 0);
	ZCP_OK(zcp_publisher_on_match(publisher, note_then_end, publisher), node);
	expect(node, "+other(1)");
	ZCP_OK(zcp_publisher_on_match(publisher, note_then_begin_anew, publisher), node);
	expect(node, "once+other(1) +other(1) +other(2)");
	zcp_node_close(other);
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(publisher_sees_subscribers_join_leave_and_die),
	ZCP_TEST_CASE(subscriber_sees_publishers_join_leave_and_die),
	ZCP_TEST_CASE(those_who_are_there_are_told_of_once),
	ZCP_TEST_CASE(slot_that_is_used_again_is_another),
	ZCP_TEST_CASE(subscriber_that_hangs_up_has_left),
	ZCP_TEST_CASE(callback_outlives_the_runtime),
	ZCP_TEST_CASE(what_is_published_after_the_callback_is_received),
	ZCP_TEST_CASE(callback_may_close_any_its_own_too),
	ZCP_TEST_CASE(callback_may_set_itself_anew),
};

ZCP_TEST_MAIN(cases)
