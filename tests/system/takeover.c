/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the taking over of a domain must not do: touch what living processes hold, whoever comes
 * late or has lost its connection; and what it must not leave: chunks of the dead, nodes that
 * nobody finds, handles that fail without a word.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pubsub/util.h"
#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define DEPTH 4
#define HELD 2
#define PAYLOAD 64
#define N_MESSAGES 300

/* Nodes that do not look are late soon. */
static const char impatient[] = "[runtime]\nreturn_timeout = \"50ms\"\n"
				"[pool.shared]\nclasses = [{ size = \"4KiB\", count = 64 }]\n"
				"[topic.\"shared/*\"]\npool = \"shared\"\n";

static uint64_t number_in(const struct zcp_sample *sample)
{
	uint64_t number;

	memcpy(&number, sample->data, sizeof(number));
	return number;
}

/* --- a connection that breaks under a living process --- */

static void what_is_held_stays_when_the_connection_breaks(void)
{
	struct zcp_publisher *publisher, *mine;
	struct zcp_subscriber *subscriber, *new;
	struct zcp_test_runtime runtime;
	struct zcp_node *node, *other;
	struct zcp_sample sample;
	struct zcp_loan loan;

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	other = zcp_test_node();
	publisher = zcp_test_publisher(other, "t", PAYLOAD, 2);
	subscriber = zcp_test_subscriber(node, "t", DEPTH, HELD, 0);
	mine = zcp_test_publisher(node, "t", PAYLOAD, 2);
	zcp_test_send(publisher, 111);
	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	ZCP_OK(zcp_publisher_loan(mine, PAYLOAD, &loan), node);
	memset(loan.data, 'L', PAYLOAD);
	ZCP_CHECK(shutdown(zcp_test_socket(node), SHUT_RDWR) == 0);
	/* One for each of the two. */
	ZCP_REFUSED(zcp_node_wait(node, ZCP_FOREVER), node, -ESTALE, "topic 't'");
	ZCP_REFUSED(zcp_node_wait(node, 0), node, -ESTALE, "topic 't'");
	ZCP_CHECK(zcp_node_wait(node, 0) == -ETIMEDOUT);
	new = zcp_test_subscriber(other, "t", DEPTH, HELD, 0);
	ZCP_CHECK(zcp_test_inside(new).slot != zcp_test_inside(subscriber).slot);
	for (uint64_t i = 0; i < N_MESSAGES; i++)
		zcp_test_send(publisher, i);
	ZCP_CHECK(number_in(&sample) == 111 && ((const char *)loan.data)[PAYLOAD - 1] == 'L');
	ZCP_CHECK(zcp_sample_release(&sample) == 0);
	zcp_subscriber_close(subscriber);
	zcp_publisher_close(mine);
	zcp_subscriber_close(new);
	ZCP_CHECK(zcp_test_audit(other) == 0);
	zcp_node_close(node);
	zcp_node_close(other);
	zcp_test_runtime_stop(&runtime);
}

/* --- a pool that topics share --- */

/* Holds a sample and a loan, and does nothing else until it is told. */
static void hold(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "shared/b", 4096, 2);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "shared/b", DEPTH, HELD, 0);
	struct zcp_sample sample;
	struct zcp_loan loan;

	(void)arg;
	zcp_test_send(publisher, 111);
	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	ZCP_OK(zcp_publisher_loan(publisher, PAYLOAD, &loan), node);
	memset(loan.data, 'L', PAYLOAD);
	zcp_test_say_step(self, 0);
	zcp_test_hear_step(self, 1);
	ZCP_CHECK(number_in(&sample) == 111 && ((const char *)loan.data)[PAYLOAD - 1] == 'L');
	while (zcp_test_ask(node, "shared/b") == -ENOENT)
		;
	ZCP_CHECK(!zcp_test_inside(publisher).is_stale && !zcp_test_inside(subscriber).is_stale);
	zcp_test_say_step(self, 2);
	zcp_test_hear_step(self, 3);
	ZCP_CHECK(number_in(&sample) == 111 && ((const char *)loan.data)[PAYLOAD - 1] == 'L');
	ZCP_CHECK(zcp_sample_release(&sample) == 0);
	ZCP_OK(zcp_publisher_publish(publisher, &loan), node);
	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	zcp_node_close(node);
}

static void nobody_gets_what_late_ones_have_in_a_shared_pool(void)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_publisher *publisher, *another;
	struct zcp_subscriber *subscriber;
	struct zcp_test_runtime runtime;
	struct zcp_test_child child;
	struct zcp_node *node;
	char pid[32];

	zcp_test_runtime_start(&runtime, impatient);
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, "shared/a", 4096, 2);
	zcp_test_fork(&child, hold, NULL);
	zcp_test_hear_step(&child, 0);
	zcp_test_runtime_kill_all(&runtime);
	zcp_test_runtime_start(&runtime, impatient);
	options.max_payload = 4096;
	(void)snprintf(pid, sizeof(pid), "'shared'|process %d", (int)child.pid);
	ZCP_REFUSED(zcp_publisher_open(&another, node, "shared/c", &options), node, -EBUSY, pid);
	for (uint64_t i = 0; i < N_MESSAGES; i++)
		zcp_test_send(publisher, i);
	zcp_test_say_step(&child, 1);
	zcp_test_hear_step(&child, 2);
	ZCP_OK(zcp_publisher_open(&another, node, "shared/c", &options), node);
	subscriber = zcp_test_subscriber(node, "shared/c", DEPTH, HELD, 0);
	for (uint64_t i = 0; i < N_MESSAGES; i++)
		zcp_test_send(another, i);
	zcp_subscriber_close(subscriber);
	zcp_publisher_close(another);
	zcp_test_say_step(&child, 3);
	zcp_test_join(&child);
	ZCP_CHECK(zcp_test_audit(node) == 0);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static void what_the_dead_have_in_a_shared_pool_is_free(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_publisher *another;
	struct zcp_test_child child;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, impatient);
	node = zcp_test_node();
	(void)zcp_test_publisher(node, "shared/a", 4096, 2);
	zcp_test_fork(&child, hold, NULL);
	zcp_test_hear_step(&child, 0);
	ZCP_CHECK(zcp_test_n_busy(node) == 2);
	zcp_test_runtime_kill_all(&runtime);
	zcp_test_kill(&child);
	zcp_test_runtime_start(&runtime, impatient);
	another = zcp_test_publisher(node, "shared/c", 4096, 2);
	ZCP_CHECK(zcp_test_n_busy(node) == 0);
	ZCP_CHECK(zcp_test_runtime_said(&runtime, "2 chunks of processes that died"));
	zcp_test_send(another, 1);
	ZCP_CHECK(zcp_test_audit(node) == 0);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

/* --- who is found, and when --- */

static void take_for_ever(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", DEPTH, HELD, 0);
	uint64_t number, lost;

	(void)arg;
	zcp_test_say_step(self, 0);
	for (;;) {
		ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
		while (zcp_test_take(subscriber, &number, &lost))
			;
	}
}

static void one_who_publishes_to_the_dead_comes_back(void)
{
	struct zcp_subscriber *subscriber;
	struct zcp_test_runtime runtime;
	struct zcp_publisher *publisher;
	struct zcp_node *node, *other;
	struct zcp_test_child child;
	uint64_t n = 0;

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, "t", PAYLOAD, 2);
	zcp_test_fork(&child, take_for_ever, NULL);
	zcp_test_hear_step(&child, 0);
	zcp_test_send(publisher, ++n);
	zcp_test_runtime_kill_all(&runtime);
	zcp_test_kill(&child);
	zcp_test_runtime_start(&runtime, NULL);
	while (!zcp_test_runtime_said(&runtime, "topic 't' has been handed back"))
		zcp_test_send(publisher, ++n);
	other = zcp_test_node();
	subscriber = zcp_test_subscriber(other, "t", DEPTH, HELD, 0);
	zcp_test_send(publisher, ++n);
	zcp_test_expect(subscriber, n);
	zcp_node_close(other);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static void one_who_is_late_and_alone_is_taken_over(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_publisher *publisher;
	struct zcp_node *node, *other;

	zcp_test_runtime_start(&runtime, impatient);
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, "t", PAYLOAD, 2);
	zcp_test_runtime_kill_all(&runtime);
	zcp_test_runtime_start(&runtime, impatient);
	/* Let in when the wait is over, and gone again. */
	other = zcp_test_node();
	ZCP_CHECK(zcp_test_domain_id(other) != zcp_test_domain_id(node));
	zcp_node_close(other);
	while (zcp_test_runtime_count(&runtime, "has left") < 1)
		;
	while (zcp_test_n_attached(node) < 2)
		ZCP_CHECK(zcp_node_wait(node, 0) == -ETIMEDOUT);
	ZCP_CHECK(!zcp_test_inside(publisher).is_stale);
	ZCP_CHECK(zcp_test_ask(node, "t") == 0);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

/* One that missed the runtime in between comes first to the one after. */
static void it_is_the_last_domain_that_goes_on(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_subscriber *subscriber;
	struct zcp_publisher *publisher;
	struct zcp_node *old, *now;

	zcp_test_runtime_start(&runtime, impatient);
	old = zcp_test_node();
	(void)zcp_test_publisher(old, "old", PAYLOAD, 2);
	zcp_test_runtime_kill_all(&runtime);
	zcp_test_runtime_start(&runtime, impatient);
	now = zcp_test_node();
	publisher = zcp_test_publisher(now, "t", PAYLOAD, 2);
	subscriber = zcp_test_subscriber(now, "t", DEPTH, HELD, 0);
	zcp_test_runtime_kill_all(&runtime);
	zcp_test_runtime_start(&runtime, NULL);
	while (zcp_test_n_attached(now) < 2) {
		ZCP_IGNORE(zcp_node_wait(old, 0) < 0);
		ZCP_CHECK(zcp_node_wait(now, 0) == -ETIMEDOUT);
	}
	ZCP_CHECK(zcp_test_ask(now, "t") == 0);
	ZCP_CHECK(!zcp_test_inside(publisher).is_stale && !zcp_test_inside(subscriber).is_stale);
	zcp_test_send(publisher, 1);
	zcp_test_expect(subscriber, 1);
	zcp_node_close(old);
	zcp_node_close(now);
	zcp_test_runtime_stop(&runtime);
}

/* A child that was forked has the old connection open as well. */
static void nothing_stays_readable_where_a_child_lives(void)
{
	struct zcp_test_runtime runtime;
	struct pollfd pollfd;
	struct zcp_node *node;
	pid_t pid;

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	(void)zcp_test_subscriber(node, "t", DEPTH, HELD, 0);
	pollfd = (struct pollfd){ .fd = zcp_node_fd(node), .events = POLLIN };
	ZCP_CHECK(pollfd.fd >= 0 && zcp_node_wait(node, 0) == -ETIMEDOUT);
	pid = fork();
	ZCP_CHECK(pid >= 0);
	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	zcp_test_runtime_kill_all(&runtime);
	zcp_test_runtime_start(&runtime, NULL);
	while (zcp_test_n_attached(node) < 2) {
		ZCP_CHECK(poll(&pollfd, 1, -1) == 1);
		ZCP_CHECK(zcp_node_wait(node, 0) == -ETIMEDOUT);
	}
	/* The runtime has woken all: that one is looked at. */
	(void)poll(&pollfd, 1, 0);
	ZCP_CHECK(zcp_node_wait(node, 0) == -ETIMEDOUT);
	ZCP_CHECK(poll(&pollfd, 1, 0) == 0);
	ZCP_CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(what_is_held_stays_when_the_connection_breaks),
	ZCP_TEST_CASE(nobody_gets_what_late_ones_have_in_a_shared_pool),
	ZCP_TEST_CASE(what_the_dead_have_in_a_shared_pool_is_free),
	ZCP_TEST_CASE(one_who_publishes_to_the_dead_comes_back),
	ZCP_TEST_CASE(one_who_is_late_and_alone_is_taken_over),
	ZCP_TEST_CASE(it_is_the_last_domain_that_goes_on),
	ZCP_TEST_CASE(nothing_stays_readable_where_a_child_lives),
};

ZCP_TEST_MAIN(cases)
