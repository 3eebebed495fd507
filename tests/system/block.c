/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subscribers that block their publishers: nothing is lost, all get a message or none does,
 * and who waits for room goes on when there is some, or when there is nobody left to wait
 * for. And publishers that wait for subscribers.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "pubsub/util.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define DEPTH 4
#define MS INT64_C(1000000)
#define N_STREAM 20000

static struct zcp_publisher *open_publisher(struct zcp_node *node)
{
	return zcp_test_publisher(node, "t", 64, 2);
}

static struct zcp_subscriber *open_blocking(struct zcp_node *node)
{
	return zcp_test_subscriber(node, "t", DEPTH, 2, ZCP_ON_FULL_BLOCK);
}

/* Once there are so many subscribers: sends one more than there is room for. */
static void send_one_too_many(struct zcp_test_child *self, void *arg)
{
	const unsigned int *n_subscribers = arg;
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = open_publisher(node);

	ZCP_OK(zcp_publisher_wait_subscribers(publisher, *n_subscribers, ZCP_FOREVER), node);
	for (uint64_t i = 1; i <= DEPTH; i++)
		zcp_test_send(publisher, i);
	zcp_test_say_step(self, 1);
	zcp_test_send(publisher, DEPTH + 1);
	zcp_test_say_step(self, 2);
	zcp_test_hear_step(self, 3);
	zcp_node_close(node);
}

static void publisher_goes_on_when_there_is_room(void)
{
	unsigned int n = 2;
	struct zcp_test_child child;
	struct zcp_subscriber *subscriber, *other;
	struct zcp_node *node;
	uint64_t number, lost;

	zcp_test_fork(&child, send_one_too_many, &n);
	node = zcp_test_node();
	/* One that does not block: it gets what the blocking one gets, and not before. */
	other = zcp_test_subscriber(node, "t", 2 * DEPTH, 2, 0);
	subscriber = open_blocking(node);
	zcp_test_hear_step(&child, 1);
	zcp_test_wait_until_asleep(child.pid);
	for (uint64_t i = 1; i <= DEPTH; i++)
		zcp_test_expect(other, i);
	ZCP_CHECK(!zcp_test_take(other, &number, &lost));
	zcp_test_expect(subscriber, 1);
	zcp_test_hear_step(&child, 2);
	for (uint64_t i = 2; i <= DEPTH + 1; i++)
		zcp_test_expect(subscriber, i);
	zcp_test_expect(other, DEPTH + 1);
	zcp_test_say_step(&child, 3);
	zcp_test_join(&child);
	zcp_node_close(node);
}

static void publisher_goes_on_when_the_subscriber_closes(void)
{
	unsigned int n = 2;
	struct zcp_test_child child;
	struct zcp_subscriber *subscriber, *other;
	struct zcp_node *node;

	zcp_test_fork(&child, send_one_too_many, &n);
	node = zcp_test_node();
	other = zcp_test_subscriber(node, "t", 2 * DEPTH, 2, 0);
	subscriber = open_blocking(node);
	zcp_test_hear_step(&child, 1);
	zcp_test_wait_until_asleep(child.pid);
	zcp_subscriber_close(subscriber);
	zcp_test_hear_step(&child, 2);
	for (uint64_t i = 1; i <= DEPTH + 1; i++)
		zcp_test_expect(other, i);
	zcp_test_say_step(&child, 3);
	zcp_test_join(&child);
	zcp_node_close(node);
}

static void block_and_die(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();

	(void)arg;
	(void)open_blocking(node);
	zcp_test_say_step(self, 0);
	zcp_test_wait_for_the_end(self);
}

static void publisher_goes_on_when_the_subscriber_dies(void)
{
	unsigned int n = 1;
	struct zcp_test_child publisher, subscriber;

	zcp_test_fork(&publisher, send_one_too_many, &n);
	zcp_test_fork(&subscriber, block_and_die, NULL);
	zcp_test_hear_step(&subscriber, 0);
	zcp_test_hear_step(&publisher, 1);
	zcp_test_wait_until_asleep(publisher.pid);
	zcp_test_kill(&subscriber);
	zcp_test_hear_step(&publisher, 2);
	zcp_test_say_step(&publisher, 3);
	zcp_test_join(&publisher);
}

/* A publisher that dies while it waits has not sent what it waited with. */
static void publisher_dies_while_it_waits(void)
{
	unsigned int n = 1;
	struct zcp_test_child child;
	struct zcp_subscriber *subscriber;
	struct zcp_publisher *next;
	struct zcp_node *node;
	uint64_t number, lost;

	zcp_test_fork(&child, send_one_too_many, &n);
	node = zcp_test_node();
	subscriber = open_blocking(node);
	zcp_test_hear_step(&child, 1);
	zcp_test_wait_until_asleep(child.pid);
	zcp_test_kill(&child);
	zcp_test_wait_for_members(node, "t", 0, 1);
	next = open_publisher(node);
	ZCP_CHECK(zcp_test_n_busy(node) == DEPTH);
	for (uint64_t i = 1; i <= DEPTH; i++)
		zcp_test_expect(subscriber, i);
	ZCP_CHECK(!zcp_test_take(subscriber, &number, &lost));
	ZCP_CHECK(zcp_test_n_busy(node) == 0);
	/* Nor is it waited for by those who make room later. */
	for (uint64_t i = 1; i <= 2 * DEPTH; i++) {
		zcp_test_send(next, i);
		zcp_test_expect(subscriber, i);
	}
	zcp_node_close(node);
}

static void loan_stays_where_there_is_no_room(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = open_publisher(node);
	struct zcp_subscriber *subscriber = open_blocking(node);
	struct zcp_subscriber *other = zcp_test_subscriber(node, "t", 2 * DEPTH, 2, 0);
	struct zcp_loan loan;
	uint64_t start, number, lost;

	for (uint64_t i = 1; i <= DEPTH; i++)
		zcp_test_send(publisher, i);
	ZCP_OK(zcp_publisher_loan(publisher, sizeof(uint64_t), &loan), node);
	*(uint64_t *)loan.data = DEPTH + 1;
	ZCP_CHECK(zcp_publisher_publish_timed(publisher, &loan, 0) == -EAGAIN);
	start = zcp_now_ns();
	ZCP_CHECK(zcp_publisher_publish_timed(publisher, &loan, 5 * MS) == -EAGAIN);
	ZCP_CHECK(zcp_now_ns() - start >= 5 * MS);
	ZCP_CHECK(loan.data && *(uint64_t *)loan.data == DEPTH + 1);
	for (uint64_t i = 1; i <= DEPTH; i++)
		zcp_test_expect(other, i);
	ZCP_CHECK(!zcp_test_take(other, &number, &lost));
	zcp_test_expect(subscriber, 1);
	ZCP_OK(zcp_publisher_publish_timed(publisher, &loan, 0), node);
	ZCP_CHECK(!loan.data);
	zcp_test_expect(other, DEPTH + 1);
	for (uint64_t i = 2; i <= DEPTH + 1; i++)
		zcp_test_expect(subscriber, i);

	/* Or it is given back. */
	for (uint64_t i = 1; i <= DEPTH; i++)
		zcp_test_send(publisher, i);
	ZCP_OK(zcp_publisher_loan(publisher, sizeof(uint64_t), &loan), node);
	ZCP_CHECK(zcp_publisher_publish_timed(publisher, &loan, 0) == -EAGAIN);
	ZCP_OK(zcp_publisher_discard(publisher, &loan), node);
	ZCP_CHECK(zcp_test_n_busy(node) == DEPTH);
	zcp_node_close(node);
}

/* Whether a subscriber that asks for `on_full` makes a publisher of the topic wait. */
static bool blocks(struct zcp_node *node, const char *topic, uint32_t on_full)
{
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, topic, DEPTH, 2, on_full);
	struct zcp_publisher *publisher = zcp_test_publisher(node, topic, 64, 2);
	struct zcp_loan loan;
	bool is_full;

	for (uint64_t i = 1; i <= DEPTH; i++)
		zcp_test_send(publisher, i);
	ZCP_OK(zcp_publisher_loan(publisher, sizeof(uint64_t), &loan), node);
	is_full = zcp_publisher_publish_timed(publisher, &loan, 0) == -EAGAIN;
	ZCP_CHECK(is_full == (loan.data != NULL));
	zcp_publisher_close(publisher);
	zcp_subscriber_close(subscriber);
	return is_full;
}

static void configuration_says_what_holds_for_who_does_not(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, "[topic.\"a/*\"]\non_full = \"block\"\n");
	node = zcp_test_node();
	ZCP_CHECK(blocks(node, "a/b", ZCP_ON_FULL_DEFAULT));
	ZCP_CHECK(!blocks(node, "a/b", ZCP_ON_FULL_DROP_OLDEST));
	ZCP_CHECK(blocks(node, "a/b", ZCP_ON_FULL_BLOCK));
	ZCP_CHECK(!blocks(node, "b", ZCP_ON_FULL_DEFAULT));
	ZCP_CHECK(!blocks(node, "b", ZCP_ON_FULL_DROP_OLDEST));
	ZCP_CHECK(blocks(node, "b", ZCP_ON_FULL_BLOCK));
	zcp_node_close(node);
}

static void configuration_forbids_to_block(void)
{
	struct zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_subscriber *subscriber = NULL;
	struct zcp_test_runtime runtime;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, "[topic.\"a/*\"]\nallow_block = false\n"
					 "[topic.\"a/b/*\"]\non_full = \"block\"\n"
					 "[topic.\"a/c\"]\nallow_block = true\n");
	node = zcp_test_node();
	options.on_full = ZCP_ON_FULL_BLOCK;
	ZCP_REFUSED(zcp_subscriber_open(&subscriber, node, "a/x", &options), node, -EACCES,
		    "'a/x' has allow_block = false|drop-oldest");
	/* What holds for those who do not say is refused as well: nobody has said otherwise. */
	options.on_full = ZCP_ON_FULL_DEFAULT;
	ZCP_REFUSED(zcp_subscriber_open(&subscriber, node, "a/b/x", &options), node, -EACCES,
		    "'a/b/x' has allow_block = false");
	ZCP_CHECK(subscriber == NULL);
	ZCP_CHECK(zcp_test_ask(node, "a/x") == -ENOENT);
	ZCP_CHECK(!blocks(node, "a/x", ZCP_ON_FULL_DEFAULT));
	ZCP_CHECK(!blocks(node, "a/b/x", ZCP_ON_FULL_DROP_OLDEST));
	ZCP_CHECK(blocks(node, "a/c", ZCP_ON_FULL_BLOCK));
	ZCP_CHECK(blocks(node, "b", ZCP_ON_FULL_BLOCK));
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

/* The thread that would have to take is the one that waits. */
static void node_does_not_wait_for_itself(void)
{
	struct zcp_node *node = zcp_test_node(), *other = zcp_test_node();
	struct zcp_publisher *publisher = open_publisher(node);
	struct zcp_subscriber *own = open_blocking(node), *others;
	struct zcp_loan loan;

	for (uint64_t i = 1; i <= DEPTH; i++)
		zcp_test_send(publisher, i);
	ZCP_OK(zcp_publisher_loan(publisher, sizeof(uint64_t), &loan), node);
	*(uint64_t *)loan.data = DEPTH + 1;
	ZCP_CHECK(zcp_publisher_publish_timed(publisher, &loan, 0) == -EAGAIN);
	ZCP_CHECK(zcp_publisher_publish_timed(publisher, &loan, MS) == -EAGAIN);
	ZCP_REFUSED(zcp_publisher_publish(publisher, &loan), node, -EDEADLK,
		    "topic 't'|subscriber of this node|take from it");
	ZCP_CHECK(loan.data != NULL);
	ZCP_CHECK(zcp_publisher_send(publisher, "", 1) == -EDEADLK);
	zcp_test_expect(own, 1);
	ZCP_OK(zcp_publisher_publish(publisher, &loan), node);
	for (uint64_t i = 2; i <= DEPTH + 1; i++)
		zcp_test_expect(own, i);

	/* Another node's is waited for, and our own has room. */
	others = open_blocking(other);
	for (uint64_t i = 1; i <= DEPTH; i++) {
		zcp_test_send(publisher, i);
		zcp_test_expect(own, i);
	}
	ZCP_OK(zcp_publisher_loan(publisher, sizeof(uint64_t), &loan), node);
	ZCP_CHECK(zcp_publisher_publish_timed(publisher, &loan, MS) == -EAGAIN);
	zcp_test_expect(others, 1);
	ZCP_OK(zcp_publisher_publish(publisher, &loan), node);
	zcp_node_close(other);
	zcp_node_close(node);
}

static void do_nothing(int number)
{
	(void)number;
}

static void wait_for_room_and_for_a_signal(struct zcp_test_child *self, void *arg)
{
	const struct sigaction action = { .sa_handler = do_nothing };
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = open_publisher(node);
	struct zcp_loan loan;

	(void)arg;
	ZCP_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	ZCP_OK(zcp_publisher_wait_subscribers(publisher, 1, ZCP_FOREVER), node);
	for (uint64_t i = 1; i <= DEPTH; i++)
		zcp_test_send(publisher, i);
	ZCP_OK(zcp_publisher_loan(publisher, sizeof(uint64_t), &loan), node);
	*(uint64_t *)loan.data = DEPTH + 1;
	zcp_test_say_step(self, 1);
	ZCP_CHECK(zcp_publisher_publish(publisher, &loan) == -EINTR);
	zcp_test_say_step(self, 2);
	ZCP_CHECK(zcp_publisher_publish_timed(publisher, &loan, ZCP_FOREVER) == -EINTR);
	zcp_test_say_step(self, 3);
	/* A copy is given up, with its chunk. */
	ZCP_CHECK(zcp_publisher_send(publisher, "x", 1) == -EINTR);
	ZCP_CHECK(zcp_test_n_busy(node) == DEPTH + 1);
	zcp_test_say_step(self, 4);
	ZCP_CHECK(zcp_publisher_wait_subscribers(publisher, 2, ZCP_FOREVER) == -EINTR);
	zcp_test_say_step(self, 5);
	ZCP_OK(zcp_publisher_publish(publisher, &loan), node);
	zcp_node_close(node);
}

static void signal_ends_the_wait_and_the_loan_stays(void)
{
	struct zcp_test_child child;
	struct zcp_subscriber *subscriber;
	struct zcp_node *node;

	zcp_test_fork(&child, wait_for_room_and_for_a_signal, NULL);
	node = zcp_test_node();
	subscriber = open_blocking(node);
	for (uint64_t step = 1; step <= 4; step++) {
		zcp_test_hear_step(&child, step);
		zcp_test_wait_until_asleep(child.pid);
		ZCP_CHECK(kill(child.pid, SIGUSR1) == 0);
	}
	zcp_test_hear_step(&child, 5);
	for (uint64_t i = 1; i <= DEPTH; i++)
		zcp_test_expect(subscriber, i);
	ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
	zcp_test_expect(subscriber, DEPTH + 1);
	zcp_test_join(&child);
	zcp_node_close(node);
}

static void stream(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = open_publisher(node);

	(void)arg;
	ZCP_OK(zcp_publisher_wait_subscribers(publisher, 2, ZCP_FOREVER), node);
	for (uint64_t i = 1; i <= N_STREAM; i++)
		zcp_test_send(publisher, i);
	zcp_test_say_step(self, 1);
	zcp_test_hear_step(self, 2);
	zcp_node_close(node);
}

/* Two that block, of which one only ever sleeps and the other only ever polls. */
static void nothing_is_lost(void)
{
	struct zcp_test_child child;
	struct zcp_subscriber *sleeper, *poller;
	struct zcp_node *node, *other;
	uint64_t slept = 0, polled = 0, number, lost;

	zcp_test_fork(&child, stream, NULL);
	node = zcp_test_node();
	other = zcp_test_node();
	sleeper = open_blocking(node);
	poller = open_blocking(other);
	while (slept < N_STREAM || polled < N_STREAM) {
		if (polled > slept || polled == N_STREAM) {
			ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
			zcp_test_expect(sleeper, ++slept);
		} else if (zcp_test_take(poller, &number, &lost)) {
			ZCP_CHECK(number == ++polled && lost == 0);
		}
	}
	zcp_test_hear_step(&child, 1);
	zcp_test_say_step(&child, 2);
	zcp_test_join(&child);
	zcp_node_close(node);
	zcp_node_close(other);
}

/* --- publishers that wait for subscribers --- */

static void wait_for_three(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = open_publisher(node);

	(void)arg;
	/* The word that it sleeps on wraps when the first one comes. */
	zcp_test_store(&zcp_test_inside(publisher).topic->shm->changes, UINT32_MAX);
	for (unsigned int n = 1; n <= 3; n++) {
		ZCP_CHECK(zcp_publisher_wait_subscribers(publisher, n, 0) == -ETIMEDOUT);
		ZCP_CHECK(zcp_publisher_wait_subscribers(publisher, n, MS) == -ETIMEDOUT);
		zcp_test_say_step(self, n);
		ZCP_OK(zcp_publisher_wait_subscribers(publisher, n, ZCP_FOREVER), node);
		ZCP_CHECK(zcp_publisher_n_subscribers(publisher) == n);
	}
	ZCP_CHECK(zcp_test_load(&zcp_test_inside(publisher).topic->shm->changes) < 100);
	ZCP_OK(zcp_publisher_wait_subscribers(publisher, 1, 0), node);
	ZCP_OK(zcp_publisher_wait_subscribers(publisher, 0, 0), node);
	zcp_node_close(node);
}

static void subscribers_are_waited_for(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_test_child child;

	zcp_test_fork(&child, wait_for_three, NULL);
	for (unsigned int n = 1; n <= 3; n++) {
		zcp_test_hear_step(&child, n);
		zcp_test_wait_until_asleep(child.pid);
		(void)zcp_test_subscriber(node, "t", 1, 1, 0);
	}
	zcp_test_join(&child);
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(publisher_goes_on_when_there_is_room),
	ZCP_TEST_CASE(publisher_goes_on_when_the_subscriber_closes),
	ZCP_TEST_CASE(publisher_goes_on_when_the_subscriber_dies),
	ZCP_TEST_CASE(publisher_dies_while_it_waits),
	ZCP_TEST_CASE(loan_stays_where_there_is_no_room),
	ZCP_TEST_CASE(configuration_says_what_holds_for_who_does_not),
	ZCP_TEST_CASE(configuration_forbids_to_block),
	ZCP_TEST_CASE(node_does_not_wait_for_itself),
	ZCP_TEST_CASE(signal_ends_the_wait_and_the_loan_stays),
	ZCP_TEST_CASE(nothing_is_lost),
	ZCP_TEST_CASE(subscribers_are_waited_for),
};

ZCP_TEST_MAIN(cases)
