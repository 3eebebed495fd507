/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calling back for messages, and for endpoints that join or leave.
 */
#include <errno.h>

#include "pubsub/client/inside.h"
#include "pubsub/client/node.h"
#include "pubsub/client/subscriber.h"
#include "pubsub/client/waiting/wait.h"
#include "pubsub/client/waiting/watch.h"
#include "pubsub/util.h"

static const struct zcp_waiting for_callbacks = { .callbacks = true };
static const struct zcp_waiting for_interrupt = { .callbacks = true, .until_interrupted = true };

/* A callback and its sample. */
struct call {
	struct zcp_subscriber *subscriber;
	struct zcp_sample sample;
};

/* This one and those below also run where a callback of C++ leaves by an exception. */
static void end_call(struct call *call)
{
	if (call->subscriber->lent)
		(void)zcp_sample_release(&call->sample);
	call->subscriber->lent = 0;
}

static void end_turn(struct zcp_subscriber **subscriber)
{
	(*subscriber)->endpoint.node->dispatch_now = NULL;
	if ((*subscriber)->is_closing)
		zcp_subscriber_close(*subscriber);
}

/* A callback may end itself, its subscriber and its node. */
static bool is_called(const struct zcp_subscriber *subscriber)
{
	return subscriber->on_sample && !subscriber->is_closing &&
	       !subscriber->endpoint.node->is_closing;
}

/* Calls back for what one subscriber has, a queue's length at most. Returns how many. */
static int dispatch_one(struct zcp_subscriber *subscriber, unsigned int *n)
{
	ZCP_CLEANUP(end_turn) struct zcp_subscriber *turn = subscriber;
	uint32_t depth = UINT32_C(1) << subscriber->reader.options.depth_log2;

	turn->endpoint.node->dispatch_now = turn;
	for (uint32_t i = 0; i < depth && is_called(subscriber); i++) {
		ZCP_CLEANUP(end_call) struct call call = { .subscriber = subscriber };
		int r = zcp_subscriber_take(subscriber, &call.sample);

		/* Held to the limit: nothing for us before something is released. */
		if (r == -EAGAIN || r == -EMLINK)
			break;
		if (r < 0)
			return r;
		subscriber->lent = call.sample.reserved[ZCP_SAMPLE_HELD];
		subscriber->on_sample(&call.sample, subscriber->user);
		(*n)++;
	}
	return 0;
}

static int wait_and_call(struct zcp_node *node, const struct zcp_waiting *waiting,
			 int64_t timeout_ns)
{
	uint64_t start = zcp_now_ns();

	for (;;) {
		struct zcp_subscriber *subscriber;
		unsigned int n = 0;
		int r = zcp_wait_for(node, waiting, zcp_wait_left(timeout_ns, start));

		if (r < 0)
			return r;
		n += zcp_watch_dispatch(node);
		for (subscriber = LIST_FIRST(&node->subscribers); subscriber && !node->is_closing;
		     subscriber = node->dispatch_next) {
			/* A callback may close any subscriber, the next one too. */
			node->dispatch_next = LIST_NEXT(subscriber, link);
			r = dispatch_one(subscriber, &n);
			if (r < 0)
				return r;
		}
		node->dispatch_next = NULL;
		/* Else what looked like something was nothing: wait for the rest of the time. */
		if (n > 0)
			return 0;
	}
}

static void end_dispatch(struct zcp_node **node)
{
	(*node)->is_dispatching = false;
	zcp_node_leave(node);
	if ((*node)->is_closing)
		zcp_node_close(*node);
}

/* Our thread is inside, and leaves. */
static int dispatch(struct zcp_node *node, int64_t timeout_ns)
{
	ZCP_CLEANUP(end_dispatch) struct zcp_node *dispatched = node;

	dispatched->is_dispatching = true;
	zcp_wait_begin(node);
	return zcp_wait_end(node, &for_callbacks, wait_and_call(node, &for_callbacks, timeout_ns));
}

static int run(struct zcp_node *node)
{
	ZCP_CLEANUP(end_dispatch) struct zcp_node *dispatched = node;
	int r;

	dispatched->is_dispatching = true;
	zcp_wait_begin(node);
	do
		r = wait_and_call(node, &for_interrupt, ZCP_FOREVER);
	while (r == 0 && !node->is_closing);
	return zcp_wait_end(node, &for_callbacks, r == -EINTR ? 0 : r);
}

static int enter_to_call(struct zcp_node *node)
{
	int r;

	if (!zcp_process_is(node->process))
		return -EOWNERDEAD;
	r = zcp_node_enter(node);
	if (r < 0)
		return r;
	if (node->is_dispatching) {
		zcp_node_leave(&node);
		return zcp_node_fail(node, -EBUSY,
				     "node '%s' is in a callback of zcp_node_dispatch(): dispatch "
				     "again when that has returned, or take in the callback",
				     node->name);
	}
	return 0;
}

int zcp_node_dispatch(struct zcp_node *node, int64_t timeout_ns)
{
	int r = enter_to_call(node);

	return r < 0 ? r : dispatch(node, timeout_ns);
}

int zcp_node_run(struct zcp_node *node)
{
	int r = enter_to_call(node);

	return r < 0 ? r : run(node);
}
