/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subscriber's API over the data plane.
 */
#include "pubsub/client/subscriber.h"

#include <errno.h>
#include <string.h>

#include "pubsub/client/connection/control.h"
#include "pubsub/client/inside.h"
#include "pubsub/flow/reader_take.h"
#include "pubsub/util.h"

static void free_subscriber(struct zcp_subscriber **subscriber)
{
	if (*subscriber)
		zcp_anchor_free((*subscriber)->anchor);
	free(*subscriber);
}

static int fill_request(struct zcp_node *node, struct zcp_message *request, const char *topic,
			const struct zcp_subscriber_options *theirs)
{
	struct zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	int r;

	r = theirs ? zcp_options_copy(&options, sizeof(options), theirs) : 0;
	if (r == 0 && options.reserved)
		r = -EINVAL;
	if (r < 0)
		return zcp_node_fail(node, r,
				     "subscriber options: initialise them with "
				     "ZCP_SUBSCRIBER_OPTIONS_INIT of this libzcp's headers");
	if (options.on_full > ZCP_ON_FULL_BLOCK)
		return zcp_node_fail(
			node, -EINVAL,
			"subscriber option on_full is %u: use ZCP_ON_FULL_DROP_OLDEST or "
			"ZCP_ON_FULL_BLOCK",
			options.on_full);
	if (options.order > ZCP_ORDER_TIME)
		return zcp_node_fail(
			node, -EINVAL,
			"subscriber option order is %u: use ZCP_ORDER_TURN or ZCP_ORDER_TIME",
			options.order);
	r = zcp_node_check_topic(node, topic);
	if (r == 0)
		r = zcp_node_copy_type(node, request->u.open_subscriber.type, options.type);
	if (r < 0)
		return r;
	(void)strcpy(request->u.open_subscriber.topic, topic);
	request->u.open_subscriber.type_size = options.type_size;
	request->u.open_subscriber.type_alignment = options.type_alignment;
	request->u.open_subscriber.depth = options.depth;
	request->u.open_subscriber.held = options.held;
	request->u.open_subscriber.on_full = options.on_full;
	request->u.open_subscriber.history = options.history;
	request->u.open_subscriber.order = options.order;
	request->u.open_subscriber.user_header_size = options.user_header_size;
	request->u.open_subscriber.observes = node->role != ZCP_NODE_TAKES_PART;
	return 0;
}

/* For a runtime that comes after this one. */
static void keep_declared(struct zcp_endpoint *endpoint, const struct zcp_open_subscriber *request)
{
	if (request->observes)
		return;
	(void)strcpy(endpoint->declared.type, request->type);
	endpoint->declared.type_size = request->type_size;
	endpoint->declared.type_alignment = request->type_alignment;
	endpoint->declared.user_header_size = request->user_header_size;
}

int zcp_subscriber_open(struct zcp_subscriber **subscriberp, struct zcp_node *node,
			const char *topic, const struct zcp_subscriber_options *options)
{
	ZCP_CLEANUP(free_subscriber) struct zcp_subscriber *subscriber = NULL;
	struct zcp_message request = { .type = ZCP_MESSAGE_OPEN_SUBSCRIBER };
	struct zcp_reader_options reader_options;
	ZCP_CLEANUP(zcp_message_deinit) struct zcp_message reply = { .type = ZCP_MESSAGE_NONE };
	ZCP_CLEANUP(zcp_node_leave) struct zcp_node *inside = NULL;
	const struct zcp_opened *opened = &reply.u.opened;
	int r;

	if (!zcp_process_is(node->process))
		return -EOWNERDEAD;
	r = zcp_node_enter(node);
	if (r < 0)
		return r;
	inside = node;
	r = fill_request(node, &request, topic, options);
	if (r < 0)
		return r;
	subscriber = calloc(1, sizeof(*subscriber));
	if (subscriber)
		subscriber->anchor = zcp_anchor_new(subscriber);
	if (!subscriber || !subscriber->anchor)
		return zcp_node_fail(node, -ENOMEM, "out of memory");
	subscriber->generation = zcp_anchor_generation(subscriber->anchor);
	r = zcp_endpoint_init(&subscriber->endpoint, node, topic, &request, &reply);
	if (r < 0)
		return r;
	keep_declared(&subscriber->endpoint, &request.u.open_subscriber);
	reader_options = (struct zcp_reader_options){
		.slot = opened->slot,
		.depth_log2 = opened->depth_log2,
		.max_held = opened->held,
		.blocks = opened->on_full == ZCP_ON_FULL_BLOCK,
		.by_time = opened->order == ZCP_ORDER_TIME,
		.backlog = &subscriber->endpoint.backlog,
		.symmetric = node->symmetric,
		.signals = node->signals.signals,
		.n_signals = node->signals.n_signals,
	};
	if (opened->slot >= subscriber->endpoint.topic.geometry.max_subscribers ||
	    opened->held == 0 || opened->held > ZCP_HELD_MAX ||
	    opened->depth_log2 > subscriber->endpoint.topic.geometry.max_depth_log2)
		r = zcp_node_fail(node, -EPROTO, "the runtime gave an impossible subscriber slot");
	else if (zcp_reader_init(&subscriber->reader, &subscriber->endpoint.topic,
				 &subscriber->endpoint.acks, &subscriber->endpoint.pool,
				 &reader_options) < 0)
		r = zcp_node_fail(node, -ENOMEM, "out of memory");
	if (r < 0) {
		zcp_endpoint_deinit(&subscriber->endpoint);
		return r;
	}
	LIST_INSERT_HEAD(&node->subscribers, subscriber, link);
	*subscriberp = subscriber;
	subscriber = NULL;
	return 0;
}

struct zcp_subscriber *zcp_subscriber_close(struct zcp_subscriber *subscriber)
{
	struct zcp_node *node;

	if (!subscriber)
		return NULL;
	node = subscriber->endpoint.node;
	if (node->dispatch_now == subscriber) {
		subscriber->is_closing = true;
		return NULL;
	}
	if (node->dispatch_next == subscriber)
		node->dispatch_next = LIST_NEXT(subscriber, link);
	LIST_REMOVE(subscriber, link);
	/* What is queued and held is given back with it. */
	zcp_endpoint_deinit(&subscriber->endpoint);
	zcp_reader_deinit(&subscriber->reader);
	free_subscriber(&subscriber);
	return NULL;
}

/*
 * The message lies in a part of the pool that has been added since. It stays in its queue
 * until that is mapped; if there is no such part, somebody lies.
 */
static int map_class(struct zcp_subscriber *subscriber, const struct zcp_reader_message *message)
{
	struct zcp_endpoint *endpoint = &subscriber->endpoint;
	ZCP_CLEANUP(zcp_node_leave) struct zcp_node *inside = NULL;
	int r = zcp_node_enter(endpoint->node);

	if (r < 0)
		return r;
	inside = endpoint->node;
	r = zcp_endpoint_get_classes(endpoint, zcp_ref_class(message->ref));
	/* On the way another runtime may have been found. */
	if (!zcp_process_is(endpoint->process))
		return zcp_endpoint_refuse(endpoint);
	if (r == 0 && !zcp_pool_has_class(&endpoint->pool, message->ref))
		zcp_reader_lose(&subscriber->reader, message);
	return r;
}

typedef int (*take_fn)(struct zcp_reader *reader, struct zcp_reader_message *message);

static inline void describe(struct zcp_subscriber *subscriber,
			    const struct zcp_reader_message *message, struct zcp_sample *sample)
{
	/* Member by member: to clear what is not used takes as long as all the rest. */
	sample->data = message->payload;
	sample->size = message->size;
	sample->user_header = zcp_user_header(message->payload, message->user_header_size);
	sample->user_header_size = message->user_header_size;
	sample->sequence = message->seq;
	sample->publish_time_ns = message->publish_time_ns;
	sample->publisher_id = message->publisher_id;
	sample->lost = message->n_lost;
	sample->reserved[ZCP_SAMPLE_ANCHOR] = (uint64_t)(uintptr_t)subscriber->anchor;
	sample->reserved[ZCP_SAMPLE_PLACE] = message->place;
	sample->reserved[ZCP_SAMPLE_HELD] = message->held;
	sample->reserved[ZCP_SAMPLE_GENERATION] = subscriber->generation;
}

static int take(struct zcp_subscriber *subscriber, take_fn take_message, struct zcp_sample *sample)
{
	struct zcp_reader_message message;
	int r;

	if (!zcp_process_is(subscriber->endpoint.process))
		return zcp_endpoint_refuse(&subscriber->endpoint);
	if (__builtin_expect(zcp_node_is_busy(subscriber->endpoint.node), 0))
		return zcp_node_refuse_busy(subscriber->endpoint.node);
	while ((r = take_message(&subscriber->reader, &message)) == ZCP_READER_E_UNMAPPED) {
		r = map_class(subscriber, &message);
		if (r < 0)
			return r;
	}
	if (r == ZCP_READER_E_HELD)
		return zcp_node_fail(
			subscriber->endpoint.node, -EMLINK,
			"%u samples of topic '%s' are held, as many as this subscriber "
			"declared: release one, or raise held",
			subscriber->reader.options.max_held, subscriber->endpoint.name);
	if (r != 0)
		return -EAGAIN;
	describe(subscriber, &message, sample);
	return 0;
}

int zcp_subscriber_take(struct zcp_subscriber *subscriber, struct zcp_sample *sample)
{
	/* Of this function alone, so that it stays in registers. */
	struct zcp_reader_message message;
	int r;

	if (__builtin_expect(!zcp_process_is(subscriber->endpoint.process) ||
				     zcp_node_is_busy(subscriber->endpoint.node) ||
				     !zcp_reader_takes_in_turn(&subscriber->reader),
			     0))
		return take(subscriber, zcp_reader_take, sample);
	r = zcp_reader_take_in_turn(&subscriber->reader, &message);
	if (r == ZCP_READER_E_EMPTY)
		return -EAGAIN;
	if (__builtin_expect(r != 0, 0))
		return take(subscriber, zcp_reader_take, sample);
	describe(subscriber, &message, sample);
	return 0;
}

int zcp_subscriber_latest(struct zcp_subscriber *subscriber, struct zcp_sample *sample)
{
	return take(subscriber, zcp_reader_latest, sample);
}

/* NULL: never taken, or the subscriber is closed. */
static struct zcp_subscriber *find_subscriber(const struct zcp_sample *sample)
{
	const struct zcp_anchor *anchor =
		(const struct zcp_anchor *)(uintptr_t)sample->reserved[ZCP_SAMPLE_ANCHOR];

	return sample->data && anchor ?
		       zcp_anchor_find(anchor, sample->reserved[ZCP_SAMPLE_GENERATION]) :
		       NULL;
}

static bool is_held(const struct zcp_subscriber *subscriber, const struct zcp_sample *sample)
{
	return zcp_reader_holds(&subscriber->reader, (uint32_t)sample->reserved[ZCP_SAMPLE_PLACE],
				sample->reserved[ZCP_SAMPLE_HELD]);
}

/* What a stale one holds is given back to those that it has it from. */
static bool is_ours(const struct zcp_subscriber *subscriber)
{
	return zcp_process_is(subscriber->endpoint.process) ||
	       zcp_endpoint_refuse(&subscriber->endpoint) == -ESTALE;
}

int zcp_sample_keep(const struct zcp_sample *sample)
{
	struct zcp_subscriber *subscriber = find_subscriber(sample);

	if (!subscriber)
		return -EINVAL;
	if (!is_ours(subscriber))
		return -EOWNERDEAD;
	if (!is_held(subscriber, sample))
		return -EINVAL;
	if (subscriber->lent == sample->reserved[ZCP_SAMPLE_HELD])
		subscriber->lent = 0;
	return 0;
}

int zcp_sample_release(struct zcp_sample *sample)
{
	struct zcp_subscriber *subscriber = find_subscriber(sample);
	int r;

	if (!subscriber)
		return -EINVAL;
	if (!is_ours(subscriber))
		return -EOWNERDEAD;
	r = zcp_reader_release(&subscriber->reader, (uint32_t)sample->reserved[ZCP_SAMPLE_PLACE],
			       sample->reserved[ZCP_SAMPLE_HELD]);
	if (r < 0)
		return r;
	if (__builtin_expect(zcp_reader_is_starved(&subscriber->reader), 0))
		zcp_node_wake_self(subscriber->endpoint.node);
	sample->data = NULL;
	sample->size = 0;
	sample->user_header = NULL;
	sample->user_header_size = 0;
	sample->reserved[ZCP_SAMPLE_ANCHOR] = 0;
	return 0;
}

void zcp_subscriber_on_sample(struct zcp_subscriber *subscriber, zcp_on_sample_fn on_sample,
			      void *user)
{
	subscriber->on_sample = on_sample;
	subscriber->user = user;
}

unsigned int zcp_subscriber_n_publishers(const struct zcp_subscriber *subscriber)
{
	return zcp_endpoint_n_others(&subscriber->endpoint);
}

int zcp_subscriber_wait_publishers(struct zcp_subscriber *subscriber, unsigned int n,
				   int64_t timeout_ns)
{
	return zcp_endpoint_wait_others(&subscriber->endpoint, &subscriber->reader.counts->watches,
					n, timeout_ns);
}

int zcp_subscriber_on_match(struct zcp_subscriber *subscriber, zcp_on_match_fn on_match, void *user)
{
	ZCP_CLEANUP(zcp_node_leave) struct zcp_node *inside = NULL;
	int r;

	if (!zcp_process_is(subscriber->endpoint.process))
		return zcp_endpoint_refuse(&subscriber->endpoint);
	r = zcp_node_enter(subscriber->endpoint.node);
	if (r < 0)
		return r;
	inside = subscriber->endpoint.node;
	return zcp_watch_set(&subscriber->endpoint, &subscriber->reader.counts->watches, on_match,
			     user);
}

int zcp_sample_publisher_name(const struct zcp_sample *sample, char *name, size_t size)
{
	const struct zcp_subscriber *subscriber = find_subscriber(sample);
	struct zcp_member member;

	if (!subscriber)
		return -EINVAL;
	if (!zcp_process_is(subscriber->endpoint.process))
		return zcp_endpoint_refuse(&subscriber->endpoint);
	if (!is_held(subscriber, sample))
		return -EINVAL;
	if (!zcp_member_find(&subscriber->endpoint.topic, ZCP_MEMBER_PUBLISHER,
			     sample->publisher_id, &member))
		return -ENOENT;
	if (strlen(member.node) >= size)
		return -ENAMETOOLONG;
	(void)strcpy(name, member.node);
	return 0;
}

void zcp_subscriber_counts(const struct zcp_subscriber *subscriber, uint64_t *taken, uint64_t *lost)
{
	*taken = subscriber->reader.n_taken;
	*lost = subscriber->reader.n_lost;
}
