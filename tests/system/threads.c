/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two threads on one node: what the second one is refused while the first one is inside, and that
 * it may publish meanwhile.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "tests/support/cases.h"
#include "tests/support/runtime.h"

#define N_ROUNDS 200

static struct {
	struct zcp_node *node;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
	/* bumped by whoever's turn is over */
	_Atomic unsigned int step;
} bed;

static void wait_for_step(unsigned int step)
{
	while (zcp_test_load(&bed.step) != step)
		(void)sched_yield();
}

static void stay_inside(const struct zcp_sample *sample, void *user)
{
	(void)sample;
	(void)user;
	zcp_test_store(&bed.step, 1);
	wait_for_step(2);
}

static void *dispatch(void *arg)
{
	(void)arg;
	ZCP_OK(zcp_node_dispatch(bed.node, ZCP_FOREVER), bed.node);
	return NULL;
}

static void ignore_match(const struct zcp_match *match, void *user)
{
	(void)match;
	(void)user;
}

#define BUSY "another thread"

static void check_all_is_refused(void)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_subscriber *subscriber = NULL;
	struct zcp_publisher *publisher = NULL;
	struct zcp_sample sample;

	options.max_payload = 64;
	ZCP_REFUSED(zcp_node_wait(bed.node, 0), bed.node, -EBUSY, BUSY);
	ZCP_REFUSED(zcp_node_dispatch(bed.node, 0), bed.node, -EBUSY, BUSY);
	ZCP_REFUSED(zcp_node_fd(bed.node), bed.node, -EBUSY, BUSY);
	ZCP_REFUSED(zcp_publisher_open(&publisher, bed.node, "t", &options), bed.node, -EBUSY,
		    BUSY);
	ZCP_REFUSED(zcp_subscriber_open(&subscriber, bed.node, "t", NULL), bed.node, -EBUSY, BUSY);
	ZCP_CHECK(!publisher && !subscriber);
	ZCP_REFUSED(zcp_subscriber_take(bed.subscriber, &sample), bed.node, -EBUSY, BUSY);
	ZCP_REFUSED(zcp_subscriber_latest(bed.subscriber, &sample), bed.node, -EBUSY, BUSY);
	ZCP_REFUSED(zcp_publisher_on_match(bed.publisher, ignore_match, NULL), bed.node, -EBUSY,
		    BUSY);
	ZCP_REFUSED(zcp_subscriber_on_match(bed.subscriber, ignore_match, NULL), bed.node, -EBUSY,
		    BUSY);
}

static void second_thread_is_refused_and_may_publish(void)
{
	struct zcp_loan loan;
	pthread_t thread;

	bed.node = zcp_test_node();
	bed.publisher = zcp_test_publisher(bed.node, "t", 64, 1);
	bed.subscriber = zcp_test_subscriber(bed.node, "t", 4, 2, 0);
	zcp_subscriber_on_sample(bed.subscriber, stay_inside, NULL);
	zcp_test_send(bed.publisher, 1);
	ZCP_CHECK(pthread_create(&thread, NULL, dispatch, NULL) == 0);
	wait_for_step(1);
	check_all_is_refused();
	zcp_test_send(bed.publisher, 2);
	ZCP_OK(zcp_publisher_wait_subscribers(bed.publisher, 1, ZCP_FOREVER), bed.node);
	/* Its own failures have their own sentences. */
	ZCP_REFUSED(zcp_publisher_loan(bed.publisher, 65, &loan), bed.node, -EMSGSIZE,
		    "65 bytes|max_payload");
	zcp_subscriber_on_sample(bed.subscriber, NULL, NULL);
	zcp_test_store(&bed.step, 2);
	ZCP_CHECK(pthread_join(thread, NULL) == 0);
	/* When that one is out, this one may do all. */
	ZCP_OK(zcp_node_wait(bed.node, 0), bed.node);
	zcp_test_expect(bed.subscriber, 2);
	ZCP_CHECK(zcp_node_wait(bed.node, 0) == -ETIMEDOUT);
	zcp_node_close(bed.node);
}

/* --- publishing while the node's thread talks to the runtime --- */

static void note(const struct zcp_sample *sample, void *user)
{
	(void)sample;
	++*(unsigned int *)user;
}

/* Nodes that poll, one after another: of each the publisher has to learn how to wake it. */
static void *poll_for_one_message_each(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < N_ROUNDS; i++) {
		struct zcp_node *node = zcp_test_node();
		struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "polled", 4, 2, 0);
		struct pollfd pollfd = { .fd = zcp_node_fd(node), .events = POLLIN };
		unsigned int n = 0;

		ZCP_CHECK(pollfd.fd >= 0);
		zcp_subscriber_on_sample(subscriber, note, &n);
		while (n == 0) {
			int r = zcp_node_dispatch(node, 0);

			ZCP_CHECK(r == 0 || r == -ETIMEDOUT);
			if (r < 0)
				ZCP_CHECK(poll(&pollfd, 1, -1) == 1);
		}
		zcp_node_close(node);
	}
	zcp_test_store(&bed.step, 1);
	return NULL;
}

/* And asks the runtime, as a publish does for a node that it cannot wake yet. */
static void *publish(void *arg)
{
	(void)arg;
	for (uint64_t i = 1; zcp_test_load(&bed.step) == 0; i++) {
		zcp_test_send(bed.publisher, i);
		ZCP_OK(zcp_test_ask(bed.node, "polled"), bed.node);
	}
	return NULL;
}

static void publish_and_open_at_the_same_time(void)
{
	pthread_t publishing, polling;

	bed.node = zcp_test_node();
	bed.publisher = zcp_test_publisher(bed.node, "polled", 64, 1);
	ZCP_CHECK(pthread_create(&publishing, NULL, publish, NULL) == 0);
	ZCP_CHECK(pthread_create(&polling, NULL, poll_for_one_message_each, NULL) == 0);
	while (zcp_test_load(&bed.step) == 0) {
		struct zcp_subscriber *subscriber = zcp_test_subscriber(bed.node, "t", 4, 2, 0);

		ZCP_CHECK(zcp_node_wait(bed.node, 0) == -ETIMEDOUT);
		zcp_subscriber_close(subscriber);
	}
	ZCP_CHECK(pthread_join(publishing, NULL) == 0);
	ZCP_CHECK(pthread_join(polling, NULL) == 0);
	zcp_node_close(bed.node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(second_thread_is_refused_and_may_publish),
	ZCP_TEST_CASE(publish_and_open_at_the_same_time),
};

ZCP_TEST_MAIN(cases)
