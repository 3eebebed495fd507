/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an endpoint asks for, against what its topic and its pool have: from a request to all
 * the numbers of an endpoint, or to the sentence that says why not.
 */
#include "runtime/open/settle.h"

#include <errno.h>
#include <stdio.h>
#include <zcp/subscriber.h>

#include "pubsub/util.h"
#include "runtime/open/admission.h"
#include "runtime/open/provision.h"
#include "runtime/open/shape.h"

#define HELD_MAX ZCP_HELD_MAX
#define LOANS_MAX 1024

/* The slot's owner number, and the size class that it claims in. */
static int settle_owner(struct zcpd_endpoint *publisher)
{
	struct zcpd_topic *topic = publisher->topic;
	uint32_t *number = &topic->entry.owners[publisher->entry.slot];
	int owner = *number ? (int)*number : zcpd_pool_take_owner(topic->pool);

	if (owner < 0)
		return owner;
	*number = (uint32_t)owner;
	publisher->entry.owner = (uint32_t)owner;
	return 0;
}

int zcpd_settle_publisher(struct zcpd_registry *registry, struct zcpd_endpoint *publisher,
			  const struct zcp_open_publisher *request, char *text, size_t text_size)
{
	struct zcpd_topic *topic = publisher->topic;
	const struct zcpd_shape shape = zcpd_shape_of_publisher(request, &topic->config);
	int slot, r;

	r = zcpd_shape_check(topic, &shape, text, text_size);
	if (r < 0)
		return r;
	publisher->entry.loans = request->loans ? request->loans : topic->config.loans;
	if (publisher->entry.loans > LOANS_MAX) {
		(void)snprintf(text, text_size, "loans is %u, and %u at most: lower it",
			       publisher->entry.loans, LOANS_MAX);
		return -EINVAL;
	}
	publisher->entry.history = request->history ? request->history : topic->config.history;
	if (publisher->entry.history > ZCP_TOPIC_HISTORY_MAX) {
		(void)snprintf(text, text_size, "history is %u, and %u at most: lower it",
			       publisher->entry.history, ZCP_TOPIC_HISTORY_MAX);
		return -EINVAL;
	}
	slot = zcpd_topic_publisher_slot(topic);
	if (slot < 0) {
		(void)snprintf(
			text, text_size,
			"topic '%s' has %u publishers, as many as its max_publishers allows: "
			"raise it",
			topic->entry.name, topic->n_publishers);
		return slot;
	}
	publisher->entry.slot = (uint32_t)slot;
	publisher->entry.alignment = zcpd_shape_alignment(topic, &shape);
	publisher->entry.user_header_size = (uint32_t)shape.user_header_size;
	r = zcpd_provision_payload(registry, publisher, request, text, text_size);
	if (r == 0)
		publisher->entry.class_index = (uint32_t)zcpd_pool_class_for(
			topic->pool, publisher->entry.max_payload);
	if (r == 0)
		r = zcpd_admission_check(registry, publisher, text, text_size);
	if (r < 0)
		return r;
	r = settle_owner(publisher);
	if (r < 0) {
		(void)snprintf(text, text_size,
			       "pool '%s' has publishers in 65534 slots: use another pool",
			       topic->pool->entry.name);
		return r;
	}
	zcpd_shape_settle(topic, &shape);
	return 0;
}

static int settle_order(struct zcpd_endpoint *subscriber, const struct zcp_open_subscriber *request,
			char *text, size_t text_size)
{
	const struct zcpd_topic *topic = subscriber->topic;

	subscriber->entry.order = request->order ? request->order :
						   zcpd_topic_order(&topic->config);
	if (subscriber->entry.order > ZCP_ORDER_TIME) {
		(void)snprintf(text, text_size, "order is %u: the node is of a newer version",
			       subscriber->entry.order);
		return -EINVAL;
	}
	if (subscriber->entry.order == ZCP_ORDER_TIME && !topic->config.timestamps) {
		(void)snprintf(
			text, text_size,
			"topic '%s' has no timestamps, by its configuration, and this subscriber "
			"asks for their order: set timestamps = true, or order = \"turn\"",
			topic->entry.name);
		return -EINVAL;
	}
	return 0;
}

static int settle_depth(struct zcpd_endpoint *subscriber, const struct zcp_open_subscriber *request,
			char *text, size_t text_size)
{
	const struct zcpd_topic *topic = subscriber->topic;
	uint32_t most = UINT32_C(1) << topic->view.geometry.max_depth_log2;
	uint32_t depth = request->depth ? request->depth : topic->config.depth;

	if (depth > most) {
		(void)snprintf(text, text_size,
			       "depth %u is more than the max_depth %u of topic '%s': lower it, or "
			       "raise max_depth in the configuration",
			       depth, most, topic->entry.name);
		return -ERANGE;
	}
	subscriber->entry.depth_log2 = zcpd_depth_log2(depth);
	subscriber->entry.held = request->held ? request->held : topic->config.held;
	if (subscriber->entry.held > HELD_MAX) {
		(void)snprintf(text, text_size, "held is %u, and %u at most: lower it",
			       subscriber->entry.held, HELD_MAX);
		return -ERANGE;
	}
	subscriber->entry.history = request->history;
	if (subscriber->entry.history > ZCP_TOPIC_HISTORY_MAX) {
		(void)snprintf(text, text_size, "history is %u, and %u at most: lower it",
			       subscriber->entry.history, ZCP_TOPIC_HISTORY_MAX);
		return -ERANGE;
	}
	subscriber->entry.on_full = request->on_full ? request->on_full :
						       zcpd_topic_on_full(&topic->config);
	if (subscriber->entry.on_full > ZCP_ON_FULL_BLOCK) {
		(void)snprintf(text, text_size, "on_full is %u: the node is of a newer version",
			       subscriber->entry.on_full);
		return -EINVAL;
	}
	if (subscriber->entry.on_full == ZCP_ON_FULL_BLOCK && !topic->config.allow_block) {
		(void)snprintf(
			text, text_size,
			"topic '%s' has allow_block = false, by its configuration, and this "
			"subscriber asks its publishers to wait: set on_full to drop-oldest, or "
			"allow_block = true",
			topic->entry.name);
		return -EACCES;
	}
	return settle_order(subscriber, request, text, text_size);
}

int zcpd_settle_subscriber(struct zcpd_registry *registry, struct zcpd_endpoint *subscriber,
			   const struct zcp_open_subscriber *request, char *text, size_t text_size)
{
	struct zcpd_topic *topic = subscriber->topic;
	const struct zcpd_shape shape = zcpd_shape_of_subscriber(request);
	int slot, r;

	r = zcpd_shape_check(topic, &shape, text, text_size);
	if (r == 0)
		r = settle_depth(subscriber, request, text, text_size);
	if (r < 0)
		return r;
	slot = zcpd_topic_subscriber_slot(topic);
	if (slot < 0) {
		(void)snprintf(
			text, text_size,
			"topic '%s' has %u subscribers, as many as its max_subscribers allows: "
			"raise it",
			topic->entry.name, topic->n_subscribers);
		return slot;
	}
	subscriber->entry.slot = (uint32_t)slot;
	r = zcpd_admission_check(registry, subscriber, text, text_size);
	if (r < 0)
		return r;
	if (!request->observes)
		zcpd_shape_declare(subscriber, &shape);
	return 0;
}
