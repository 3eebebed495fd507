/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for messages, and calling back for them.
 */
#include <errno.h>
#include <zcp/subscriber.h>

#include "pubsub/client/node.h"
#include "pubsub/client/subscriber.h"
#include "pubsub/shm/reader.h"
#include "pubsub/shm/signal.h"
#include "pubsub/util.h"

/* Which subscribers count: all, or those that are called back. */
enum waiting {
	WAIT_ALL,
	WAIT_CALLBACKS,
};

static bool counts(const struct zcp_subscriber *subscriber, enum waiting which)
{
	return which == WAIT_ALL || subscriber->on_sample;
}

static bool is_ready(struct zcp_node *node, enum waiting which)
{
	struct zcp_subscriber *subscriber;

	LIST_FOREACH(subscriber, &node->subscribers, link)
		if (counts(subscriber, which) && zcp_reader_is_ready(&subscriber->reader))
			return true;
	return false;
}

static unsigned int n_waiting(const struct zcp_node *node, enum waiting which)
{
	const struct zcp_subscriber *subscriber;
	unsigned int n = 0;

	LIST_FOREACH(subscriber, &node->subscribers, link)
		if (counts(subscriber, which))
			n++;
	return n;
}

/* Whoever publishes or releases looks at our signal from now on. */
static int arm(struct zcp_node *node, enum waiting which)
{
	struct zcp_subscriber *subscriber;

	LIST_FOREACH(subscriber, &node->subscribers, link) {
		int r = counts(subscriber, which) ? zcp_reader_arm(&subscriber->reader) : 0;

		if (r < 0)
			return zcp_node_fail(node, -ENOTSUP,
					     "membarrier has stopped working in this process: set "
					     "fences = \"symmetric\" in [runtime] of the runtime's "
					     "configuration");
	}
	return 0;
}

static void disarm(struct zcp_node *node)
{
	struct zcp_subscriber *subscriber;

	LIST_FOREACH(subscriber, &node->subscribers, link)
		zcp_reader_disarm(&subscriber->reader);
}

static bool was_interrupted(struct zcp_node *node)
{
	/* Relaxed: the wake that follows the flag is what orders it. */
	return atomic_exchange_explicit(&node->interrupted, 0, memory_order_relaxed) != 0;
}

/* One sleep. Returns 0 where it is worth looking again. */
static int sleep_once(struct zcp_node *node, enum waiting which, int64_t timeout_ns)
{
	uint32_t announced;
	int r = arm(node, which);

	if (r < 0)
		return r;
	announced = zcp_signal_announce(node->signal);
	if (was_interrupted(node))
		r = -EINTR;
	else if (!is_ready(node, which))
		r = zcp_signal_sleep(node->signal, announced, timeout_ns);
	zcp_signal_awake(node->signal);
	disarm(node);
	return r;
}

static int wait_for(struct zcp_node *node, enum waiting which, int64_t timeout_ns)
{
	uint64_t start = 0;

	if (!zcp_process_is(node->process))
		return -EOWNERDEAD;
	if (was_interrupted(node))
		return -EINTR;
	if (is_ready(node, which))
		return 0;
	if (timeout_ns == 0)
		return -ETIMEDOUT;
	if (n_waiting(node, which) == 0 && timeout_ns < 0)
		return zcp_node_fail(node, -EINVAL,
				     "node '%s' would wait for ever: it has no subscriber%s",
				     node->name,
				     which == WAIT_CALLBACKS ? " with a callback" : "");
	if (timeout_ns > 0)
		start = zcp_now_ns();
	for (;;) {
		int64_t left = timeout_ns;
		int r;

		if (timeout_ns > 0) {
			uint64_t passed = zcp_now_ns() - start;

			if (passed >= (uint64_t)timeout_ns)
				return -ETIMEDOUT;
			left = timeout_ns - (int64_t)passed;
		}
		r = sleep_once(node, which, left);
		/* An interrupt is taken by looking at it, and must not be lost to a message. */
		if (was_interrupted(node) || r == -EINTR)
			return -EINTR;
		if (is_ready(node, which))
			return 0;
		if (r < 0 && r != -ETIMEDOUT)
			return r;
	}
}

int zcp_node_wait(struct zcp_node *node, int64_t timeout_ns)
{
	return wait_for(node, WAIT_ALL, timeout_ns);
}

void zcp_node_interrupt(struct zcp_node *node)
{
	/* Release: whoever takes the flag sees what its caller did before. */
	atomic_store_explicit(&node->interrupted, 1, memory_order_release);
	zcp_signal_wake(node->signal);
}

/* Calls back for what one subscriber has, a queue's length at most. Returns how many. */
static int dispatch_one(struct zcp_subscriber *subscriber, unsigned int *n)
{
	uint32_t depth = UINT32_C(1) << subscriber->reader.options.depth_log2;

	for (uint32_t i = 0; i < depth && subscriber->on_sample; i++) {
		struct zcp_sample sample;
		int r = zcp_subscriber_take(subscriber, &sample);

		/* Held to the limit: nothing for us before something is released. */
		if (r == -EAGAIN || r == -EMFILE)
			break;
		if (r < 0)
			return r;
		subscriber->on_sample(&sample, subscriber->user);
		(void)zcp_sample_release(&sample);
		(*n)++;
	}
	return 0;
}

int zcp_node_dispatch(struct zcp_node *node, int64_t timeout_ns)
{
	uint64_t start = zcp_now_ns();
	int64_t left = timeout_ns;

	for (;;) {
		struct zcp_subscriber *subscriber;
		unsigned int n = 0;
		int r = wait_for(node, WAIT_CALLBACKS, left);

		if (r < 0)
			return r;
		for (subscriber = LIST_FIRST(&node->subscribers); subscriber;
		     subscriber = node->dispatch_next) {
			/* A callback may close any subscriber, the next one too. */
			node->dispatch_next = LIST_NEXT(subscriber, link);
			r = dispatch_one(subscriber, &n);
			if (r < 0)
				return r;
		}
		node->dispatch_next = NULL;
		if (n > 0)
			return 0;
		/* What looked like a message was none: wait for the rest of the time. */
		if (timeout_ns > 0) {
			uint64_t passed = zcp_now_ns() - start;

			left = passed < (uint64_t)timeout_ns ? timeout_ns - (int64_t)passed : 0;
		}
	}
}
