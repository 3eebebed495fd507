/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zcp_subscriber_take_timed(): it waits for one subscriber, as long as it was told, and what ends
 * it; and zcp_node_run(): it calls back until it is interrupted.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "pubsub/util.h"
#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define N_ROUNDS 300

static void expect_number(struct zcp_sample *sample, uint64_t number)
{
	ZCP_CHECK(sample->size == sizeof(number) &&
		  memcmp(sample->data, &number, sizeof(number)) == 0);
	ZCP_CHECK(zcp_sample_release(sample) == 0);
}

/* --- taking --- */

static void waits_as_long_as_it_was_told(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", 4, 2, 0);
	struct zcp_sample sample;
	uint64_t start = zcp_now_ns();

	ZCP_CHECK(zcp_subscriber_take_timed(subscriber, &sample, 0) == -EAGAIN);
	ZCP_CHECK(zcp_subscriber_take_timed(subscriber, &sample, 5 * ZCP_MS) == -EAGAIN);
	ZCP_CHECK(zcp_now_ns() - start >= 5 * ZCP_MS);
	zcp_test_send(zcp_test_publisher(node, "t", 64, 1), 1);
	ZCP_OK(zcp_subscriber_take_timed(subscriber, &sample, 0), node);
	expect_number(&sample, 1);
	zcp_node_close(node);
}

static void take_all_in_sleep(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", 4, 2, 0);
	struct zcp_sample sample;

	(void)arg;
	for (uint64_t i = 1; i <= N_ROUNDS; i++) {
		int64_t timeout_ns = i % 2 ? ZCP_FOREVER : 60 * ZCP_SECOND;

		zcp_test_say_step(self, i);
		ZCP_OK(zcp_subscriber_take_timed(subscriber, &sample, timeout_ns), node);
		expect_number(&sample, i);
	}
	zcp_node_close(node);
}

static void is_woken_by_another_process(void)
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

static void ignore_match(const struct zcp_match *match, void *user)
{
	(void)match;
	(void)user;
}

static void others_do_not_end_it(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "other", 64, 1);
	struct zcp_subscriber *other = zcp_test_subscriber(node, "other", 4, 2, 0);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", 4, 2, 0);
	struct zcp_sample sample;

	ZCP_OK(zcp_subscriber_on_match(other, ignore_match, NULL), node);
	zcp_test_send(publisher, 1);
	ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
	/* Both are still there, and nothing for us. */
	ZCP_CHECK(zcp_subscriber_take_timed(subscriber, &sample, 5 * ZCP_MS) == -EAGAIN);
	ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
	zcp_test_expect(other, 1);
	zcp_node_close(node);
}

static void all_held_is_said_at_once(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "t", 64, 1);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", 4, 1, 0);
	struct zcp_sample sample, more;

	for (int i = 0; i < 2; i++) {
		zcp_test_send(publisher, 1);
		ZCP_OK(zcp_subscriber_take_timed(subscriber, &sample, ZCP_FOREVER), node);
		ZCP_REFUSED(zcp_subscriber_take_timed(subscriber, &more, ZCP_FOREVER), node,
			    -EMLINK, "release one");
		expect_number(&sample, 1);
	}
	zcp_node_close(node);
}

static struct zcp_node *interrupted_node;

static void on_signal(int number)
{
	if (number == SIGUSR1)
		zcp_node_interrupt(interrupted_node);
}

static void handle_signals(void)
{
	const struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	ZCP_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	ZCP_CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
}

static void take_and_be_interrupted(struct zcp_test_child *self, void *arg)
{
	struct zcp_subscriber *subscriber;
	struct zcp_sample sample;

	(void)arg;
	interrupted_node = zcp_test_node();
	subscriber = zcp_test_subscriber(interrupted_node, "t", 4, 2, 0);
	handle_signals();
	for (uint64_t i = 0; i < 50; i++) {
		zcp_test_say_step(self, i);
		ZCP_CHECK(zcp_subscriber_take_timed(subscriber, &sample, ZCP_FOREVER) == -EINTR);
		ZCP_CHECK(zcp_subscriber_take_timed(subscriber, &sample, 0) == -EAGAIN);
	}
	zcp_node_close(interrupted_node);
}

static void signals_and_interrupts_end_it(void)
{
	struct zcp_test_child child;

	zcp_test_fork(&child, take_and_be_interrupted, NULL);
	for (uint64_t step = 0; step < 50; step++) {
		zcp_test_hear_step(&child, step);
		zcp_test_wait_until_asleep(child.pid);
		ZCP_CHECK(kill(child.pid, step % 2 ? SIGUSR1 : SIGUSR2) == 0);
	}
	zcp_test_join(&child);
}

/* A loop that always finds a message must be able to end. */
static void interrupt_is_not_lost_to_a_message(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "t", 64, 1);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", 4, 2, 0);
	struct zcp_sample sample;

	zcp_test_send(publisher, 1);
	zcp_node_interrupt(node);
	ZCP_CHECK(zcp_subscriber_take_timed(subscriber, &sample, ZCP_FOREVER) == -EINTR);
	ZCP_OK(zcp_subscriber_take_timed(subscriber, &sample, ZCP_FOREVER), node);
	expect_number(&sample, 1);
	zcp_node_close(node);
}

static void inherited_handle_is_refused(struct zcp_test_child *self, void *arg)
{
	struct zcp_subscriber *subscriber = arg;
	struct zcp_sample sample;

	(void)self;
	ZCP_CHECK(zcp_subscriber_take_timed(subscriber, &sample, ZCP_FOREVER) == -EOWNERDEAD);
	ZCP_CHECK(zcp_node_run(interrupted_node) == -EOWNERDEAD);
}

static void child_is_refused(void)
{
	struct zcp_test_child child;

	interrupted_node = zcp_test_node();
	zcp_test_fork(&child, inherited_handle_is_refused,
		      zcp_test_subscriber(interrupted_node, "t", 4, 2, 0));
	zcp_test_join(&child);
	zcp_node_close(interrupted_node);
}

/* --- running --- */

static uint64_t n_calls;

static void count_to_three(const struct zcp_sample *sample, void *user)
{
	(void)sample;
	ZCP_CHECK(zcp_node_run(user) == -EBUSY);
	if (++n_calls == 3)
		zcp_node_interrupt(user);
}

static void run_and_count(struct zcp_test_child *self, void *arg)
{
	struct zcp_subscriber *subscriber;

	(void)arg;
	interrupted_node = zcp_test_node();
	subscriber = zcp_test_subscriber(interrupted_node, "t", 4, 2, 0);
	zcp_subscriber_on_sample(subscriber, count_to_three, interrupted_node);
	handle_signals();
	zcp_test_say_step(self, 0);
	ZCP_OK(zcp_node_run(interrupted_node), interrupted_node);
	ZCP_CHECK(n_calls == 3);
	/* The interrupt was for that one. */
	ZCP_CHECK(zcp_node_dispatch(interrupted_node, 0) == -ETIMEDOUT);
	zcp_node_close(interrupted_node);
}

/* One message a sleep, and before each a signal whose handler does nothing. */
static void run_ends_when_it_is_interrupted_and_not_by_a_signal(void)
{
	struct zcp_test_child child;
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "t", 64, 1);

	zcp_test_fork(&child, run_and_count, NULL);
	zcp_test_hear_step(&child, 0);
	for (uint64_t i = 1; i <= 3; i++) {
		zcp_test_wait_until_asleep(child.pid);
		ZCP_CHECK(kill(child.pid, SIGUSR2) == 0);
		zcp_test_wait_until_asleep(child.pid);
		zcp_test_send(publisher, i);
	}
	zcp_test_join(&child);
	zcp_node_close(node);
}

static void *interrupt_the_sleeper(void *node)
{
	zcp_test_wait_until_asleep(getpid());
	zcp_node_interrupt(node);
	return NULL;
}

static void node_without_a_callback_runs_too(void)
{
	struct zcp_node *node = zcp_test_node();
	pthread_t thread;

	ZCP_CHECK(pthread_create(&thread, NULL, interrupt_the_sleeper, node) == 0);
	ZCP_OK(zcp_node_run(node), node);
	ZCP_CHECK(pthread_join(thread, NULL) == 0);
	/* Before, and where it is polled. */
	ZCP_CHECK(zcp_node_fd(node) >= 0);
	zcp_node_interrupt(node);
	ZCP_OK(zcp_node_run(node), node);
	ZCP_CHECK(zcp_node_wait(node, 0) == -ETIMEDOUT);
	zcp_node_close(node);
}

static void close_node(const struct zcp_sample *sample, void *user)
{
	(void)sample;
	n_calls++;
	zcp_node_close(user);
}

static void callback_that_closes_the_node_ends_the_run(void)
{
	struct zcp_node *node = zcp_test_node(), *other = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", 4, 2, 0);
	struct zcp_publisher *publisher = zcp_test_publisher(other, "t", 64, 1);

	zcp_subscriber_on_sample(subscriber, close_node, node);
	zcp_test_send(publisher, 1);
	zcp_test_send(publisher, 2);
	ZCP_OK(zcp_node_run(node), NULL);
	ZCP_CHECK(n_calls == 1 && zcp_publisher_n_subscribers(publisher) == 0);
	zcp_node_close(other);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(waits_as_long_as_it_was_told),
	ZCP_TEST_CASE(is_woken_by_another_process),
	ZCP_TEST_CASE(others_do_not_end_it),
	ZCP_TEST_CASE(all_held_is_said_at_once),
	ZCP_TEST_CASE(signals_and_interrupts_end_it),
	ZCP_TEST_CASE(interrupt_is_not_lost_to_a_message),
	ZCP_TEST_CASE(child_is_refused),
	ZCP_TEST_CASE(run_ends_when_it_is_interrupted_and_not_by_a_signal),
	ZCP_TEST_CASE(node_without_a_callback_runs_too),
	ZCP_TEST_CASE(callback_that_closes_the_node_ends_the_run),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
