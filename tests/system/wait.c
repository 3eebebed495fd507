/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for messages: how long, what ends it, whom it serves, and in what order.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pubsub/util.h"
#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define MS INT64_C(1000000)
#define N_ROUNDS 300

static void ignore(const struct zcp_sample *sample, void *user)
{
	(void)sample;
	(void)user;
}

static void timeouts(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber;
	int (*const waits[])(struct zcp_node *, int64_t) = { zcp_node_wait, zcp_node_dispatch };

	/* With nobody to wait for it would never end. */
	ZCP_REFUSED(zcp_node_wait(node, ZCP_FOREVER), node, -EINVAL, "wait for ever|no subscriber");
	ZCP_CHECK(zcp_node_wait(node, MS) == -ETIMEDOUT);
	subscriber = zcp_test_subscriber(node, "t", 4, 2, 0);
	ZCP_REFUSED(zcp_node_dispatch(node, ZCP_FOREVER), node, -EINVAL,
		    "wait for ever|no subscriber with a callback");
	zcp_subscriber_on_sample(subscriber, ignore, NULL);
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		uint64_t start;

		ZCP_CHECK(waits[i](node, 0) == -ETIMEDOUT);
		start = zcp_now_ns();
		ZCP_CHECK(waits[i](node, 5 * MS) == -ETIMEDOUT);
		ZCP_CHECK(zcp_now_ns() - start >= 5 * MS);
	}
	zcp_node_close(node);
}

/* --- what ends a wait --- */

static void take_all_in_sleep(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", 4, 2, 0);

	(void)arg;
	for (uint64_t i = 1; i <= N_ROUNDS; i++) {
		zcp_test_say_step(self, i);
		ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
		zcp_test_expect(subscriber, i);
	}
	zcp_node_close(node);
}

static void message_of_another_process(void)
{
	struct zcp_test_child child;
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "t", 64, 1);

	zcp_test_fork(&child, take_all_in_sleep, NULL);
	for (uint64_t i = 1; i <= N_ROUNDS; i++) {
		zcp_test_hear_step(&child, i);
		zcp_test_wait_until_asleep(child.pid);
		zcp_test_send(publisher, i);
	}
	zcp_test_join(&child);
	zcp_node_close(node);
}

/* It slept before there was a publisher at all; each new one has to look for sleepers. */
static void message_of_a_publisher_that_came_later(void)
{
	struct zcp_test_child child;
	struct zcp_node *node;

	zcp_test_fork(&child, take_all_in_sleep, NULL);
	zcp_test_hear_step(&child, 1);
	node = zcp_test_node();
	for (uint64_t i = 1; i <= N_ROUNDS; i++) {
		struct zcp_publisher *publisher;

		if (i > 1)
			zcp_test_hear_step(&child, i);
		zcp_test_wait_until_asleep(child.pid);
		publisher = zcp_test_publisher(node, "t", 64, 1);
		zcp_test_send(publisher, i);
		if (i % 2)
			zcp_publisher_close(publisher);
		else
			node = zcp_node_close(node);
		if (!node)
			node = zcp_test_node();
	}
	zcp_test_join(&child);
	zcp_node_close(node);
}

static struct zcp_node *interrupted_node;

static void on_user_signal(int number)
{
	if (number == SIGUSR1)
		zcp_node_interrupt(interrupted_node);
}

static void wait_and_be_interrupted(struct zcp_test_child *self, void *arg)
{
	int (*wait)(struct zcp_node *, int64_t) = *(int (**)(struct zcp_node *, int64_t))arg;
	const struct sigaction action = { .sa_handler = on_user_signal, .sa_flags = SA_RESTART };
	struct zcp_subscriber *subscriber;

	interrupted_node = zcp_test_node();
	subscriber = zcp_test_subscriber(interrupted_node, "t", 4, 2, 0);
	zcp_subscriber_on_sample(subscriber, ignore, NULL);
	/* One interrupts the node; the other does nothing, and ends the wait as well. */
	ZCP_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	ZCP_CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
	for (uint64_t i = 0; i < 50; i++) {
		zcp_test_say_step(self, i);
		ZCP_CHECK(wait(interrupted_node, ZCP_FOREVER) == -EINTR);
		/* Once: the next wait waits. */
		ZCP_CHECK(wait(interrupted_node, 0) == -ETIMEDOUT);
	}
	zcp_node_close(interrupted_node);
}

static void signals_and_interrupts(void)
{
	int (*const waits[])(struct zcp_node *, int64_t) = { zcp_node_wait, zcp_node_dispatch };

	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		struct zcp_test_child child;

		zcp_test_fork(&child, wait_and_be_interrupted, (void *)&waits[i]);
		for (uint64_t step = 0; step < 50; step++) {
			zcp_test_hear_step(&child, step);
			zcp_test_wait_until_asleep(child.pid);
			ZCP_CHECK(kill(child.pid, step % 2 ? SIGUSR1 : SIGUSR2) == 0);
		}
		zcp_test_join(&child);
	}
}

static void *interrupt_the_sleeper(void *node)
{
	zcp_test_wait_until_asleep(getpid());
	zcp_node_interrupt(node);
	return NULL;
}

static void interrupt_from_another_thread_and_before(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "t", 64, 1);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", 4, 2, 0);
	pthread_t thread;

	zcp_subscriber_on_sample(subscriber, ignore, NULL);
	ZCP_CHECK(pthread_create(&thread, NULL, interrupt_the_sleeper, node) == 0);
	ZCP_CHECK(zcp_node_wait(node, ZCP_FOREVER) == -EINTR);
	ZCP_CHECK(pthread_join(thread, NULL) == 0);

	zcp_node_interrupt(node);
	zcp_node_interrupt(node);
	ZCP_CHECK(zcp_node_wait(node, ZCP_FOREVER) == -EINTR);
	ZCP_CHECK(zcp_node_wait(node, 0) == -ETIMEDOUT);
	zcp_node_interrupt(node);
	ZCP_CHECK(zcp_node_dispatch(node, ZCP_FOREVER) == -EINTR);
	/* Nor is it lost where there is a message as well, or the message. */
	zcp_test_send(publisher, 1);
	zcp_node_interrupt(node);
	ZCP_CHECK(zcp_node_wait(node, ZCP_FOREVER) == -EINTR);
	ZCP_CHECK(zcp_node_wait(node, ZCP_FOREVER) == 0);
	zcp_test_expect(subscriber, 1);
	zcp_node_close(node);
}

/* --- whom a dispatch serves --- */

#define N_TOPICS 4

struct group {
	struct zcp_node *node;
	struct zcp_publisher *publishers[N_TOPICS];
	struct zcp_subscriber *subscribers[N_TOPICS];
	unsigned int n_calls;
	/* bit i: the callback closes subscriber i, its own too */
	unsigned int close;
};

static struct group group;

static void on_group_sample(const struct zcp_sample *sample, void *user)
{
	size_t own = (size_t)(uintptr_t)user;

	ZCP_CHECK(*(const uint64_t *)sample->data == own);
	group.n_calls++;
	for (size_t i = 0; i < N_TOPICS; i++)
		if (group.close >> i & 1 && group.subscribers[i])
			group.subscribers[i] = zcp_subscriber_close(group.subscribers[i]);
}

static void open_group(void)
{
	group = (struct group){ .node = zcp_test_node() };
	for (size_t i = 0; i < N_TOPICS; i++) {
		char topic[16];

		(void)snprintf(topic, sizeof(topic), "t%zu", i);
		group.publishers[i] = zcp_test_publisher(group.node, topic, 64, 1);
		group.subscribers[i] = zcp_test_subscriber(group.node, topic, 4, 2, 0);
		zcp_subscriber_on_sample(group.subscribers[i], on_group_sample,
					 (void *)(uintptr_t)i);
	}
}

static void callback_may_close_any_its_own_too(void)
{
	for (unsigned int close = 0; close < 1u << N_TOPICS; close++) {
		open_group();
		group.close = close;
		for (size_t i = 0; i < N_TOPICS; i++)
			zcp_test_send(group.publishers[i], i);
		ZCP_OK(zcp_node_dispatch(group.node, 0), group.node);
		/* Whoever was closed before its turn was not called, and all others were. */
		for (size_t i = 0; i < N_TOPICS; i++)
			if (group.subscribers[i]) {
				uint64_t number, lost;

				ZCP_CHECK(!zcp_test_take(group.subscribers[i], &number, &lost));
			}
		ZCP_CHECK(group.n_calls >= 1 && group.n_calls <= N_TOPICS);
		if (close == 0)
			ZCP_CHECK(group.n_calls == N_TOPICS);
		if (close == (1u << N_TOPICS) - 1)
			ZCP_CHECK(group.n_calls == 1);
		ZCP_CHECK(zcp_node_dispatch(group.node, 0) == -ETIMEDOUT);
		zcp_node_close(group.node);
	}
}

static void subscriber_without_callback_is_passed_over(void)
{
	open_group();
	zcp_subscriber_on_sample(group.subscribers[1], NULL, NULL);
	zcp_test_send(group.publishers[1], 1);
	ZCP_CHECK(zcp_node_dispatch(group.node, 0) == -ETIMEDOUT);
	ZCP_CHECK(zcp_node_dispatch(group.node, MS) == -ETIMEDOUT);
	ZCP_OK(zcp_node_wait(group.node, ZCP_FOREVER), group.node);
	zcp_test_send(group.publishers[2], 2);
	ZCP_OK(zcp_node_dispatch(group.node, ZCP_FOREVER), group.node);
	ZCP_CHECK(group.n_calls == 1);
	zcp_test_expect(group.subscribers[1], 1);
	zcp_node_close(group.node);
}

static void on_echo(const struct zcp_sample *sample, void *user)
{
	uint64_t number;

	(void)user;
	memcpy(&number, sample->data, sizeof(number));
	group.n_calls++;
	zcp_test_send(group.publishers[0], number + 1);
}

/* Each message makes another one: the call ends all the same. */
static void callback_may_publish_and_the_call_ends(void)
{
	open_group();
	zcp_subscriber_on_sample(group.subscribers[0], on_echo, NULL);
	zcp_test_send(group.publishers[0], 1);
	for (unsigned int i = 1; i <= 10; i++) {
		ZCP_OK(zcp_node_dispatch(group.node, ZCP_FOREVER), group.node);
		ZCP_CHECK(group.n_calls == 4 * i);
	}
	zcp_test_expect(group.subscribers[0], 41);
	zcp_node_close(group.node);
}

static void on_last_sample(const struct zcp_sample *sample, void *user)
{
	(void)sample;
	(void)user;
	group.n_calls++;
	zcp_subscriber_on_sample(group.subscribers[3], NULL, NULL);
}

static void callback_may_end_its_own(void)
{
	open_group();
	zcp_subscriber_on_sample(group.subscribers[3], on_last_sample, NULL);
	for (uint64_t i = 1; i <= 3; i++)
		zcp_test_send(group.publishers[3], i);
	ZCP_OK(zcp_node_dispatch(group.node, 0), group.node);
	ZCP_CHECK(group.n_calls == 1);
	ZCP_CHECK(zcp_node_dispatch(group.node, 0) == -ETIMEDOUT);
	zcp_test_expect(group.subscribers[3], 2);
	zcp_test_expect(group.subscribers[3], 3);
	zcp_node_close(group.node);
}

/* --- in what order --- */

static void publishers_have_their_turns(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", 4, 2, 0);
	struct zcp_publisher *publishers[3];

	for (uint64_t p = 0; p < 3; p++)
		publishers[p] = zcp_test_publisher(node, "t", 64, 1);
	for (uint64_t p = 0; p < 3; p++)
		for (uint64_t i = 0; i < 4; i++)
			zcp_test_send(publishers[p], 10 * p + i);
	for (uint64_t i = 0; i < 4; i++)
		for (uint64_t p = 0; p < 3; p++)
			zcp_test_expect(subscriber, 10 * p + i);
	/* One that has nothing does not hold up the others. */
	for (uint64_t i = 0; i < 3; i++)
		zcp_test_send(publishers[0], i);
	zcp_test_send(publishers[2], 20);
	zcp_test_expect(subscriber, 0);
	zcp_test_expect(subscriber, 20);
	zcp_test_expect(subscriber, 1);
	zcp_test_expect(subscriber, 2);
	zcp_node_close(node);
}

static void check_overflow(uint32_t depth, uint64_t n)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "t", 64, 1);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", depth, 1, 0);
	uint64_t first = n > depth ? n - depth + 1 : 1, taken, lost;
	struct zcp_message reply;

	for (uint64_t i = 1; i <= n; i++)
		zcp_test_send(publisher, i);
	for (uint64_t i = first; i <= n; i++) {
		struct zcp_sample sample;

		ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
		ZCP_CHECK(sample.sequence == i && *(const uint64_t *)sample.data == i);
		ZCP_CHECK(sample.lost == (i == first ? first - 1 : 0));
		ZCP_CHECK(sample.publisher_id == zcp_publisher_id(publisher));
		ZCP_CHECK(zcp_sample_release(&sample) == 0);
	}
	ZCP_CHECK(!zcp_test_take(subscriber, &taken, &lost));
	zcp_subscriber_counts(subscriber, &taken, &lost);
	ZCP_CHECK(taken == n - first + 1 && lost == first - 1);
	zcp_test_info(node, "t", &reply);
	ZCP_CHECK(reply.u.topic_info.n_messages == n && reply.u.topic_info.n_lost == lost);
	zcp_message_deinit(&reply);
	zcp_test_endpoints(node, "t", &reply);
	ZCP_CHECK(reply.u.endpoint_page.n_subscribers == 1);
	ZCP_CHECK(reply.u.endpoint_page.subscribers[0].n_taken == taken);
	zcp_message_deinit(&reply);
	zcp_node_close(node);
}

static void every_message_is_taken_or_counted(void)
{
	static const uint32_t depths[] = { 1, 2, 4, 8, 16, 256 };

	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		check_overflow(depths[i], depths[i] - 1);
		check_overflow(depths[i], depths[i]);
		check_overflow(depths[i], depths[i] + 1);
		check_overflow(depths[i], 3 * depths[i] + 5);
	}
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(timeouts),
	ZCP_TEST_CASE(message_of_another_process),
	ZCP_TEST_CASE(message_of_a_publisher_that_came_later),
	ZCP_TEST_CASE(signals_and_interrupts),
	ZCP_TEST_CASE(interrupt_from_another_thread_and_before),
	ZCP_TEST_CASE(callback_may_close_any_its_own_too),
	ZCP_TEST_CASE(subscriber_without_callback_is_passed_over),
	ZCP_TEST_CASE(callback_may_publish_and_the_call_ends),
	ZCP_TEST_CASE(callback_may_end_its_own),
	ZCP_TEST_CASE(publishers_have_their_turns),
	ZCP_TEST_CASE(every_message_is_taken_or_counted),
};

ZCP_TEST_MAIN(cases)
