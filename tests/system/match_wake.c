/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for those at the other end: what a match callback wakes, and waiting for publishers.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "pubsub/util.h"
#include "tests/support/process.h"
#include "tests/system/match_helpers.h"

/* --- what wakes --- */

static void report_in_sleep(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);

	(void)arg;
	ZCP_OK(zcp_publisher_on_match(publisher, note, NULL), node);
	zcp_test_say_step(self, 0);
	for (uint64_t i = 1; i <= N_ROUNDS; i++) {
		told.n = 0;
		/* Both of them wait for it; one does it. */
		ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
		ZCP_CHECK(told.n == 0);
		ZCP_OK(zcp_node_dispatch(node, i % 2 ? ZCP_FOREVER : 0), node);
		ZCP_CHECK(told.n == 1);
		ZCP_CHECK(told.matches[0].change == (i % 2 ? ZCP_MATCH_JOINED : ZCP_MATCH_LEFT));
		zcp_test_say_step(self, i);
	}
	zcp_node_close(node);
}

static void node_with_publishers_only_is_woken(void)
{
	struct zcp_subscriber *subscriber = NULL;
	struct zcp_test_child child;
	struct zcp_node *node;

	zcp_test_fork(&child, report_in_sleep, NULL);
	node = zcp_test_node();
	zcp_test_hear_step(&child, 0);
	for (uint64_t i = 1; i <= N_ROUNDS; i++) {
		/* Asleep, or on its way there: half of the time each. */
		if (i % 4 < 2)
			zcp_test_wait_until_asleep(child.pid);
		if (subscriber)
			subscriber = zcp_subscriber_close(subscriber);
		else
			subscriber = zcp_test_subscriber(node, TOPIC, 4, 2, 0);
		zcp_test_hear_step(&child, i);
	}
	zcp_test_join(&child);
	zcp_node_close(node);
}

static void waiting_for_ever_needs_something_to_wait_for(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);

	ZCP_REFUSED(zcp_node_wait(node, ZCP_FOREVER), node, -EINVAL,
		    "no subscriber|nor a match callback");
	ZCP_REFUSED(zcp_node_dispatch(node, ZCP_FOREVER), node, -EINVAL,
		    "no subscriber with a callback, nor a match callback");
	ZCP_OK(zcp_publisher_on_match(publisher, note, NULL), node);
	ZCP_CHECK(zcp_node_dispatch(node, MS) == -ETIMEDOUT);
	zcp_node_interrupt(node);
	ZCP_CHECK(zcp_node_dispatch(node, ZCP_FOREVER) == -EINTR);
	/* What there is can be waited for, and stays until it is dispatched. */
	(void)zcp_test_subscriber(node, TOPIC, 4, 2, 0);
	ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
	ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
	ZCP_OK(zcp_node_dispatch(node, ZCP_FOREVER), node);
	ZCP_CHECK(zcp_node_wait(node, 0) == -ETIMEDOUT && told.n == 1);
	zcp_node_close(node);
}

static bool is_readable(int fd, int timeout_ms)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	int r = poll(&pollfd, 1, timeout_ms);

	ZCP_CHECK(r >= 0);
	return r == 1;
}

static void come_and_go(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();

	(void)arg;
	for (uint64_t i = 1; i <= N_ROUNDS; i++) {
		struct zcp_subscriber *subscriber;

		zcp_test_hear_step(self, 2 * i);
		subscriber = zcp_test_subscriber(node, TOPIC, 4, 2, 0);
		zcp_test_hear_step(self, 2 * i + 1);
		zcp_subscriber_close(subscriber);
	}
	zcp_node_close(node);
}

static void descriptor_is_readable_while_somebody_is_to_be_told_of(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);
	struct zcp_test_child child;
	int fd = zcp_node_fd(node);

	ZCP_CHECK(fd >= 0 && zcp_node_dispatch(node, 0) == -ETIMEDOUT);
	ZCP_CHECK(!is_readable(fd, 0));
	/* In a loop nobody dispatches before it is readable. */
	ZCP_OK(zcp_publisher_on_match(publisher, note, NULL), node);
	ZCP_CHECK(is_readable(fd, 0) && zcp_node_dispatch(node, 0) == -ETIMEDOUT);
	ZCP_CHECK(!is_readable(fd, 0));
	zcp_test_fork(&child, come_and_go, NULL);
	for (uint64_t i = 2; i <= 2 * N_ROUNDS + 1; i++) {
		told.n = 0;
		zcp_test_say_step(&child, i);
		ZCP_CHECK(is_readable(fd, -1));
		/* Level-triggered, until it was told. */
		ZCP_CHECK(i % 8 || (zcp_node_wait(node, 0) == 0 && is_readable(fd, 0)));
		while (told.n == 0) {
			int r;

			ZCP_CHECK(is_readable(fd, -1));
			r = zcp_node_dispatch(node, 0);
			ZCP_CHECK(r == (told.n ? 0 : -ETIMEDOUT));
		}
		ZCP_CHECK(told.matches[0].change == (i % 2 ? ZCP_MATCH_LEFT : ZCP_MATCH_JOINED));
	}
	zcp_test_join(&child);
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
	ZCP_TEST_CASE(node_with_publishers_only_is_woken),
	ZCP_TEST_CASE(waiting_for_ever_needs_something_to_wait_for),
	ZCP_TEST_CASE(descriptor_is_readable_while_somebody_is_to_be_told_of),
	ZCP_TEST_CASE(waiting_for_publishers),
};

ZCP_TEST_MAIN(cases)
