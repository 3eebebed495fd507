/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples that are used when they are not held any more: after their callback, or after their
 * subscriber was closed.
 */
#include <errno.h>
#include <string.h>

#include "pubsub/client/subscriber.h"
#include "tests/support/cases.h"
#include "tests/support/runtime.h"

#define TOPIC "sample"

static uint64_t number_in(const struct zcp_sample *sample)
{
	uint64_t number;

	ZCP_CHECK(sample->size == sizeof(number));
	memcpy(&number, sample->data, sizeof(number));
	return number;
}

/* It is not held: nothing is given back, and *sample stays as it is. */
static void check_dead(struct zcp_sample *sample)
{
	const struct zcp_sample before = *sample;
	char name[ZCP_NODE_NAME_MAX + 1];

	ZCP_CHECK(zcp_sample_release(sample) == -EINVAL);
	ZCP_CHECK(zcp_sample_publisher_name(sample, name, sizeof(name)) == -EINVAL);
	ZCP_CHECK(memcmp(sample, &before, sizeof(before)) == 0);
}

static void sample_of_a_closed_subscriber_is_refused(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 1);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 4, 2, 0), *next;
	struct zcp_sample held, copy, released;

	zcp_test_send(publisher, 1);
	zcp_test_send(publisher, 2);
	ZCP_OK(zcp_subscriber_take(subscriber, &held), node);
	ZCP_OK(zcp_subscriber_take(subscriber, &released), node);
	copy = released;
	ZCP_CHECK(zcp_sample_release(&released) == 0);
	zcp_subscriber_close(subscriber);
	check_dead(&held);
	check_dead(&copy);
	/* The next one holds the same messages' successors at the same places. */
	next = zcp_test_subscriber(node, TOPIC, 4, 2, 0);
	check_dead(&held);
	check_dead(&copy);
	zcp_test_send(publisher, 3);
	ZCP_OK(zcp_subscriber_take(next, &copy), node);
	check_dead(&held);
	ZCP_CHECK(zcp_reader_n_held(&next->reader) == 1);
	ZCP_CHECK(zcp_sample_release(&copy) == 0);
	zcp_node_close(node);
}

static void sample_of_a_closed_node_is_refused(void)
{
	struct zcp_node *node = zcp_test_node(), *other = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(other, TOPIC, 64, 1);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 4, 2, 0);
	struct zcp_sample sample;

	zcp_test_send(publisher, 1);
	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	zcp_node_close(node);
	check_dead(&sample);
	ZCP_CHECK(zcp_test_audit(other) == 0);
	zcp_node_close(other);
}

/* --- out of a callback --- */

static struct zcp_sample taken_out;

static void copy_first(const struct zcp_sample *sample, void *user)
{
	(void)user;
	if (number_in(sample) == 1)
		taken_out = *sample;
}

static void copy_of_a_callbacks_sample_is_refused(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 1);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 4, 1, 0);

	zcp_subscriber_on_sample(subscriber, copy_first, NULL);
	for (uint64_t i = 1; i <= 20; i++) {
		zcp_test_send(publisher, i);
		ZCP_OK(zcp_node_dispatch(node, 0), node);
		check_dead(&taken_out);
	}
	zcp_node_close(node);
	check_dead(&taken_out);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(sample_of_a_closed_subscriber_is_refused),
	ZCP_TEST_CASE(sample_of_a_closed_node_is_refused),
	ZCP_TEST_CASE(copy_of_a_callbacks_sample_is_refused),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
