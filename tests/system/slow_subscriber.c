/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four that block their publisher, of which one is slow, stopped, or killed. A slow one takes
 * only what it has been allowed to, so that the publisher comes to a full queue at known
 * numbers; all get all, in order.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pubsub/util.h"
#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define DEPTH 64
/* What the slow one takes at a time. */
#define BATCH 16
#define N_SUBSCRIBERS 4
#define N_MESSAGES 1000000
#define N_ROUNDS 20
#define MS INT64_C(1000000)
/* Nothing for so long is a stall. */
#define STALL_SECONDS 20

/* The last message that was sent; the watchdog looks at it. */
static _Atomic uint64_t sent;

/* --- subscribers, in processes of their own --- */

static void on_number(const struct zcp_sample *sample, void *user)
{
	uint64_t *taken = user, number;

	memcpy(&number, sample->data, sizeof(number));
	ZCP_CHECK(sample->lost == 0 && number == ++*taken);
}

/* Takes as far as it is told each time, and says when it is there; until 0 comes. */
static void take_what_is_allowed(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", DEPTH, 1,
								ZCP_ON_FULL_BLOCK);
	uint64_t taken = 0, allowed;

	(void)arg;
	zcp_test_say_step(self, 0);
	for (;;) {
		zcp_test_hear(self, &allowed, sizeof(allowed));
		if (allowed == 0)
			break;
		while (taken < allowed) {
			ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
			zcp_test_expect(subscriber, ++taken);
		}
		zcp_test_say_step(self, taken);
	}
	zcp_node_close(node);
}

/* Takes all that comes until there are `*arg`, at most a queue's length after each sleep. */
static void take_all(struct zcp_test_child *self, void *arg)
{
	const uint64_t *n_messages = arg;
	struct zcp_node *node = zcp_test_node();
	uint64_t taken = 0;

	zcp_subscriber_on_sample(zcp_test_subscriber(node, "t", DEPTH, 1, ZCP_ON_FULL_BLOCK),
				 on_number, &taken);
	zcp_test_say_step(self, 0);
	while (taken < *n_messages)
		ZCP_OK(zcp_node_dispatch(node, ZCP_FOREVER), node);
	zcp_test_say_step(self, taken);
	zcp_test_hear_step(self, 0);
	zcp_node_close(node);
}

static void start(struct zcp_test_child *subscribers, uint64_t *n_messages)
{
	zcp_test_fork(&subscribers[0], take_what_is_allowed, NULL);
	for (int i = 1; i < N_SUBSCRIBERS; i++)
		zcp_test_fork(&subscribers[i], take_all, n_messages);
	for (int i = 0; i < N_SUBSCRIBERS; i++)
		zcp_test_hear_step(&subscribers[i], 0);
}

/* From subscriber `first` on: each has had them all. */
static void finish(struct zcp_test_child *subscribers, int first, uint64_t n_messages)
{
	for (int i = first; i < N_SUBSCRIBERS; i++) {
		zcp_test_hear_step(&subscribers[i], n_messages);
		zcp_test_say_step(&subscribers[i], 0);
		zcp_test_join(&subscribers[i]);
	}
}

/* --- a slow one --- */

static void loan_number(struct zcp_publisher *publisher, uint64_t number, struct zcp_loan *loan)
{
	ZCP_CHECK(zcp_publisher_loan(publisher, sizeof(number), loan) == 0);
	memcpy(loan->data, &number, sizeof(number));
	zcp_test_store(&sent, number);
}

static void all_get_all_in_order(void)
{
	uint64_t n_messages = zcp_test_rounds(N_MESSAGES), allowed = 0, n_full = 0;
	struct zcp_test_child subscribers[N_SUBSCRIBERS];
	struct zcp_publisher *publisher;
	struct zcp_node *node;

	start(subscribers, &n_messages);
	zcp_test_watch_progress(&sent, STALL_SECONDS);
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, "t", 64, 1);
	for (uint64_t i = 1; i <= n_messages; i++) {
		struct zcp_loan loan;

		loan_number(publisher, i, &loan);
		if (i == allowed + DEPTH + 1) {
			/* The slow one has them all in its queue, whatever the others have. */
			ZCP_CHECK(zcp_publisher_publish_timed(publisher, &loan, 0) == -EAGAIN);
			ZCP_CHECK(loan.data && *(const uint64_t *)loan.data == i);
			if (allowed > 0)
				zcp_test_hear_step(&subscribers[0], allowed);
			allowed += BATCH;
			zcp_test_say_step(&subscribers[0], allowed);
			n_full++;
		}
		ZCP_OK(zcp_publisher_publish(publisher, &loan), node);
	}
	if (allowed > 0)
		zcp_test_hear_step(&subscribers[0], allowed);
	zcp_test_say_step(&subscribers[0], n_messages);
	finish(subscribers, 0, n_messages);
	(void)printf("%llu messages to %d, %llu times the slow one's queue was full\n",
		     (unsigned long long)n_messages, N_SUBSCRIBERS, (unsigned long long)n_full);
	zcp_node_close(node);
}

/* --- a stopped one --- */

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void print_times(const char *what, uint64_t *ns, size_t n)
{
	qsort(ns, n, sizeof(ns[0]), compare);
	(void)printf("%s: %.1f us at the median, %.1f us at the most of %zu\n", what,
		     (double)ns[n / 2] / 1000, (double)ns[n - 1] / 1000, n);
}

static void stopped_one_makes_a_publish_time_out(void)
{
	static const int64_t timeouts[] = { MS / 10, MS, 10 * MS, 50 * MS };
	uint64_t n_messages = (uint64_t)N_ROUNDS * (DEPTH + 1), late[N_ROUNDS];
	struct zcp_test_child subscribers[N_SUBSCRIBERS];
	struct zcp_publisher *publisher;
	struct zcp_node *node;

	start(subscribers, &n_messages);
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, "t", 64, 1);
	for (uint64_t round = 0, i = 1; round < N_ROUNDS; round++) {
		uint64_t timeout = (uint64_t)timeouts[round % 4], begin, passed;
		struct zcp_loan loan;

		/* It has taken all that there was, and now there is room for one queue. */
		zcp_test_stop(&subscribers[0]);
		for (int n = 0; n < DEPTH; n++)
			zcp_test_send(publisher, i++);
		loan_number(publisher, i++, &loan);
		begin = zcp_now_ns();
		ZCP_CHECK(zcp_publisher_publish_timed(publisher, &loan, (int64_t)timeout) ==
			  -EAGAIN);
		passed = zcp_now_ns() - begin;
		ZCP_CHECK(passed >= timeout && loan.data);
		late[round] = passed - timeout;
		zcp_test_continue(&subscribers[0]);
		zcp_test_say_step(&subscribers[0], i - 1);
		ZCP_OK(zcp_publisher_publish(publisher, &loan), node);
		zcp_test_hear_step(&subscribers[0], i - 1);
	}
	print_times("publish that times out: later than the timeout by", late, N_ROUNDS);
	finish(subscribers, 1, n_messages);
	zcp_test_say_step(&subscribers[0], 0);
	zcp_test_join(&subscribers[0]);
	zcp_node_close(node);
}

/* --- a killed one --- */

struct publishing {
	/* as many as go into the stopped one's queue, one that does not, and more */
	uint64_t n_messages;
	uint64_t returned_ns;
};

static void publish_one_too_many(struct zcp_test_child *self, void *arg)
{
	struct publishing *publishing = arg;
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "t", 64, 1);
	struct zcp_loan loan;
	uint64_t i;

	zcp_test_hear_step(self, 1);
	for (i = 1; i <= DEPTH; i++)
		zcp_test_send(publisher, i);
	loan_number(publisher, i++, &loan);
	zcp_test_say_step(self, 2);
	ZCP_OK(zcp_publisher_publish(publisher, &loan), node);
	publishing->returned_ns = zcp_now_ns();
	zcp_test_say(self, publishing, sizeof(*publishing));
	while (i <= publishing->n_messages)
		zcp_test_send(publisher, i++);
	zcp_test_hear_step(self, 3);
	zcp_node_close(node);
}

/* Returns how long after the kill the publish has returned. */
static uint64_t kill_one(void)
{
	struct publishing publishing = { .n_messages = UINT64_C(4) * DEPTH };
	struct zcp_test_child subscribers[N_SUBSCRIBERS], publisher;
	uint64_t killed_ns;

	zcp_test_fork(&publisher, publish_one_too_many, &publishing);
	start(subscribers, &publishing.n_messages);
	zcp_test_stop(&subscribers[0]);
	zcp_test_say_step(&publisher, 1);
	zcp_test_hear_step(&publisher, 2);
	zcp_test_wait_until_asleep(publisher.pid);
	killed_ns = zcp_now_ns();
	zcp_test_kill(&subscribers[0]);
	zcp_test_hear(&publisher, &publishing, sizeof(publishing));
	finish(subscribers, 1, publishing.n_messages);
	zcp_test_say_step(&publisher, 3);
	zcp_test_join(&publisher);
	return publishing.returned_ns - killed_ns;
}

static void killed_one_lets_the_publisher_go_on(void)
{
	uint64_t after[N_ROUNDS];

	for (int round = 0; round < N_ROUNDS; round++)
		after[round] = kill_one();
	print_times("blocked publish: returned after the kill by", after, N_ROUNDS);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(all_get_all_in_order),
	ZCP_TEST_CASE(stopped_one_makes_a_publish_time_out),
	ZCP_TEST_CASE(killed_one_lets_the_publisher_go_on),
};

ZCP_TEST_MAIN(cases)
