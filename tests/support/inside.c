/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes, publishers and subscribers from within.
 */
#include "tests/support/inside.h"

#include "pubsub/client/connection/control.h"
#include "pubsub/client/node.h"
#include "pubsub/client/publisher.h"
#include "pubsub/client/subscriber.h"

int zcp_test_socket(const struct zcp_node *node)
{
	return node->socket;
}

uint64_t zcp_test_node_id(const struct zcp_node *node)
{
	return node->id;
}

uint64_t zcp_test_domain_id(const struct zcp_node *node)
{
	return node->domain_id;
}

uint32_t zcp_test_n_attached(const struct zcp_node *node)
{
	return node->n_attached;
}

void zcp_test_set_timeout(struct zcp_node *node, uint64_t timeout_ns)
{
	node->timeout_ns = timeout_ns;
}

struct zcp_signals *zcp_test_signals(const struct zcp_node *node)
{
	return &((struct zcp_node *)node)->signals;
}

int zcp_test_node_request(struct zcp_node *node, const struct zcp_message *request,
			  enum zcp_message_type expected, struct zcp_message *reply)
{
	return zcp_control_request(node, request, expected, reply, NULL);
}

static struct zcp_test_inside look_into(struct zcp_endpoint *endpoint)
{
	return (struct zcp_test_inside){
		.node = endpoint->node,
		.id = endpoint->id,
		.slot = endpoint->slot,
		.is_stale = endpoint->process == ZCP_ENDPOINT_STALE,
		.topic = &endpoint->topic,
		.acks = &endpoint->acks,
		.pool = &endpoint->pool,
		.class_fds = endpoint->class_fds,
	};
}

/* They are never constant: a test that only looks has a pointer that says so. */
struct zcp_test_inside zcp_test_inside_publisher(const struct zcp_publisher *publisher)
{
	struct zcp_publisher *p = (struct zcp_publisher *)publisher;
	struct zcp_test_inside inside = look_into(&p->endpoint);

	inside.writer = &p->writer;
	return inside;
}

struct zcp_test_inside zcp_test_inside_subscriber(const struct zcp_subscriber *subscriber)
{
	struct zcp_subscriber *s = (struct zcp_subscriber *)subscriber;
	struct zcp_test_inside inside = look_into(&s->endpoint);

	inside.reader = &s->reader;
	return inside;
}
