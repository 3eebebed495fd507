/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The name of a sample's publisher.
 */
#include <errno.h>
#include <string.h>

#include "tests/support/inside.h"
#include "tests/system/match_helpers.h"

static char sample_name[ZCP_NODE_NAME_MAX + 1];

static void note_name(const struct zcp_sample *sample, void *user)
{
	(void)user;
	ZCP_CHECK(zcp_sample_publisher_name(sample, sample_name, sizeof(sample_name)) == 0);
}

static void sample_says_whose_it_is(void)
{
	char name[ZCP_NODE_NAME_MAX + 1], longest[ZCP_NODE_NAME_MAX + 1] = "";
	struct zcp_node *node = zcp_test_node(), *front = open_node("front"), *rear;
	struct zcp_publisher *publisher = zcp_test_publisher(front, TOPIC, 64, 1);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 8, 4, 0);
	struct zcp_sample sample, other, copy;

	memset(longest, 'n', sizeof(longest) - 1);
	rear = open_node(longest);
	zcp_test_send(publisher, 1);
	zcp_test_send(publisher, 2);
	zcp_test_send(zcp_test_publisher(rear, TOPIC, 64, 1), 1);

	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	ZCP_OK(zcp_subscriber_take(subscriber, &other), node);
	ZCP_OK(zcp_sample_publisher_name(&sample, name, sizeof(name)), node);
	ZCP_CHECK(strcmp(name, "front") == 0);
	ZCP_OK(zcp_sample_publisher_name(&other, name, sizeof(name)), node);
	ZCP_CHECK(strcmp(name, longest) == 0);
	/* It fits, or it is not there. */
	(void)strcpy(name, "as it was");
	ZCP_CHECK(zcp_sample_publisher_name(&sample, name, 5) == -ENAMETOOLONG);
	ZCP_CHECK(zcp_sample_publisher_name(&sample, name, 0) == -ENAMETOOLONG);
	ZCP_CHECK(strcmp(name, "as it was") == 0);
	ZCP_OK(zcp_sample_publisher_name(&sample, name, 6), node);
	copy = other;
	ZCP_CHECK(zcp_sample_release(&other) == 0);
	ZCP_CHECK(zcp_sample_publisher_name(&other, name, sizeof(name)) == -EINVAL);
	ZCP_CHECK(zcp_sample_release(&copy) == -EINVAL);

	/* Its publisher goes; the name stays until another has the slot. */
	zcp_publisher_close(publisher);
	ZCP_OK(zcp_sample_publisher_name(&sample, name, sizeof(name)), node);
	ZCP_CHECK(strcmp(name, "front") == 0);
	zcp_subscriber_on_sample(subscriber, note_name, NULL);
	ZCP_OK(zcp_node_dispatch(node, 0), node);
	ZCP_CHECK(strcmp(sample_name, "front") == 0);
	publisher = zcp_test_publisher(rear, TOPIC, 64, 1);
	ZCP_CHECK(zcp_test_inside(publisher).slot == 0);
	(void)strcpy(name, "as it was");
	ZCP_CHECK(zcp_sample_publisher_name(&sample, name, sizeof(name)) == -ENOENT);
	ZCP_CHECK(strcmp(name, "as it was") == 0);
	ZCP_CHECK(zcp_sample_release(&sample) == 0);
	zcp_node_close(front);
	zcp_node_close(rear);
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(sample_says_whose_it_is),
};

ZCP_TEST_MAIN(cases)
