/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for messages, and for endpoints that join or leave.
 */
#include "pubsub/client/waiting/wait.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <zcp/subscriber.h>

#include "pubsub/client/connection/attach.h"
#include "pubsub/client/inside.h"
#include "pubsub/client/node.h"
#include "pubsub/client/subscriber.h"
#include "pubsub/client/waiting/watch.h"
#include "pubsub/flow/reader_lane.h"
#include "pubsub/shm/fence.h"
#include "pubsub/shm/signal.h"
#include "pubsub/util.h"

/* Looks between two looks at the clock, while spinning. */
#define LOOKS_PER_CLOCK 64

static const struct zcp_waiting for_all = { .one = NULL };

static bool counts(const struct zcp_subscriber *subscriber, const struct zcp_waiting *waiting)
{
	return (!waiting->one || waiting->one == subscriber) &&
	       (!waiting->callbacks || subscriber->on_sample) && !subscriber->is_closing &&
	       subscriber->endpoint.process != ZCP_ENDPOINT_STALE;
}

static bool is_ready(struct zcp_node *node, const struct zcp_waiting *waiting)
{
	struct zcp_subscriber *subscriber;

	LIST_FOREACH(subscriber, &node->subscribers, link)
		if (counts(subscriber, waiting) && zcp_reader_is_ready(&subscriber->reader))
			return true;
	return !waiting->one && zcp_watch_is_ready(node);
}

/* Whether anything can end a wait without a limit. */
static bool can_be_ready(const struct zcp_node *node, const struct zcp_waiting *waiting)
{
	const struct zcp_subscriber *subscriber;

	LIST_FOREACH(subscriber, &node->subscribers, link)
		if (counts(subscriber, waiting))
			return true;
	return waiting->until_interrupted || !LIST_EMPTY(&node->watches);
}

/* Whoever publishes or releases looks at our signal from now on. */
static int arm(struct zcp_node *node, const struct zcp_waiting *waiting)
{
	struct zcp_subscriber *subscriber;

	LIST_FOREACH(subscriber, &node->subscribers, link) {
		int r = counts(subscriber, waiting) ? zcp_reader_arm(&subscriber->reader) : 0;

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
	/* Relaxed, both: the wake that follows the flag is what orders it. */
	if (!atomic_load_explicit(&node->interrupted, memory_order_relaxed))
		return false;
	return atomic_exchange_explicit(&node->interrupted, 0, memory_order_relaxed) != 0;
}

int64_t zcp_wait_left(int64_t timeout_ns, uint64_t start)
{
	uint64_t passed;

	if (timeout_ns <= 0)
		return timeout_ns;
	passed = zcp_now_ns() - start;
	return passed < (uint64_t)timeout_ns ? timeout_ns - (int64_t)passed : 0;
}

/* Looks for messages without sleeping, for a while. */
static bool spin(struct zcp_node *node, const struct zcp_waiting *waiting, int64_t timeout_ns)
{
	uint64_t spin_ns = node->spin_ns, start;

	if (timeout_ns > 0 && (uint64_t)timeout_ns < spin_ns)
		spin_ns = (uint64_t)timeout_ns;
	if (spin_ns == 0)
		return false;
	start = zcp_now_ns();
	do {
		for (int i = 0; i < LOOKS_PER_CLOCK; i++) {
			if (is_ready(node, waiting) ||
			    atomic_load_explicit(&node->interrupted, memory_order_relaxed))
				return true;
			zcp_cpu_relax();
		}
	} while (zcp_now_ns() - start < spin_ns);
	return false;
}

/*
 * Asleep as far as others can tell. No keeper holds our word: there is none, or it has just ended
 * and the connection did not look like it yet, or another one is about to take its place.
 */
static int sleep_announced(struct zcp_node *node, uint32_t announced, int64_t timeout_ns)
{
	/* Without a connection it looks for one by itself. */
	bool is_held = zcp_signal_is_held(announced) || node->socket < 0;
	int r;

	if (!is_held && timeout_ns > ZCP_SIGNAL_LOOK_NS)
		timeout_ns = ZCP_SIGNAL_LOOK_NS;
	r = zcp_signal_sleep(node->signal, announced, timeout_ns);
	return r == -ETIMEDOUT && !is_held ? 0 : r;
}

/* One sleep. Returns 0 where it is worth looking again, after the connection too. */
static int sleep_once(struct zcp_node *node, const struct zcp_waiting *waiting, int64_t timeout_ns)
{
	uint32_t announced;
	int r;

	if (spin(node, waiting, timeout_ns))
		return 0;
	r = arm(node, waiting);
	if (r < 0)
		return r;
	zcp_signal_use(node->signal, ZCP_SIGNAL_FUTEX);
	announced = zcp_signal_announce(node->signal);
	if (was_interrupted(node))
		r = -EINTR;
	else if (!is_ready(node, waiting))
		r = sleep_announced(node, announced, timeout_ns);
	zcp_signal_awake(node->signal);
	disarm(node);
	return r;
}

int zcp_wait_for(struct zcp_node *node, const struct zcp_waiting *waiting, int64_t timeout_ns)
{
	uint64_t start = 0;
	int r;

	if (was_interrupted(node))
		return -EINTR;
	/* Who polls on us may have come because of the connection. */
	r = node->poll_fd >= 0 ? zcp_attend(node) : zcp_attend_seldom(node);
	if (r < 0)
		return r;
	if (is_ready(node, waiting))
		return 0;
	/* No message ends the wait where all is held that may be: the take says so. */
	if (waiting->one && !zcp_reader_has_place(&waiting->one->reader))
		return 0;
	if (timeout_ns == 0) {
		/* Whoever only looks may do so seldom. */
		r = zcp_attend(node);
		return r < 0 ? r : -ETIMEDOUT;
	}
	if (timeout_ns < 0 && !can_be_ready(node, waiting))
		return zcp_node_fail(
			node, -EINVAL,
			"node '%s' would wait for ever: it has no subscriber%s, nor a match "
			"callback",
			node->name, waiting->callbacks ? " with a callback" : "");
	if (timeout_ns > 0)
		start = zcp_now_ns();
	for (;;) {
		int64_t left = zcp_wait_left(timeout_ns, start), most;

		if (left == 0)
			return -ETIMEDOUT;
		r = zcp_attend(node);
		if (r < 0)
			return r;
		most = (int64_t)zcp_attend_interval(node);
		r = sleep_once(node, waiting, left < 0 || left > most ? most : left);
		/* An interrupt is taken by looking at it, and must not be lost to a message. */
		if (was_interrupted(node) || (r == -EINTR && !waiting->until_interrupted))
			return -EINTR;
		if (is_ready(node, waiting))
			return 0;
		if (r < 0 && r != -ETIMEDOUT && r != -EINTR)
			return r;
		/* Woken for nothing: by the end of the runtime, or by one that goes on with the domain. */
		if (r == 0)
			zcp_attend_soon(node);
	}
}

void zcp_wait_begin(struct zcp_node *node)
{
	if (node->poll_fd >= 0)
		zcp_signal_awake(node->signal);
}

int zcp_wait_end(struct zcp_node *node, const struct zcp_waiting *waiting, int r)
{
	eventfd_t count;
	int armed;

	if (node->poll_fd < 0)
		return r;
	armed = arm(node, waiting);
	if (armed < 0)
		return armed;
	(void)eventfd_read(node->event_fd, &count);
	/* It ticks as long as there is no connection. */
	if (node->socket < 0)
		(void)eventfd_read(node->timer_fd, &count);
	zcp_signal_use(node->signal, ZCP_SIGNAL_FD);
	(void)zcp_signal_announce(node->signal);
	if (atomic_load_explicit(&node->interrupted, memory_order_relaxed) ||
	    is_ready(node, waiting))
		(void)eventfd_write(node->event_fd, 1);
	return r;
}

static int enter_and_wait(struct zcp_node *node, const struct zcp_waiting *waiting,
			  int64_t timeout_ns)
{
	ZCP_CLEANUP(zcp_node_leave) struct zcp_node *inside = NULL;
	int r;

	if (!zcp_process_is(node->process))
		return -EOWNERDEAD;
	r = zcp_node_enter(node);
	if (r < 0)
		return r;
	inside = node;
	zcp_wait_begin(node);
	return zcp_wait_end(node, &for_all, zcp_wait_for(node, waiting, timeout_ns));
}

int zcp_node_wait(struct zcp_node *node, int64_t timeout_ns)
{
	return enter_and_wait(node, &for_all, timeout_ns);
}

int zcp_subscriber_take_timed(struct zcp_subscriber *subscriber, struct zcp_sample *sample,
			      int64_t timeout_ns)
{
	const struct zcp_waiting waiting = { .one = subscriber };
	uint64_t start = zcp_now_ns();
	int r;

	if (!zcp_process_is(subscriber->endpoint.process))
		return zcp_endpoint_refuse(&subscriber->endpoint);
	for (;;) {
		r = enter_and_wait(subscriber->endpoint.node, &waiting,
				   zcp_wait_left(timeout_ns, start));
		if (r < 0)
			return r == -ETIMEDOUT ? -EAGAIN : r;
		r = zcp_subscriber_take(subscriber, sample);
		if (r != -EAGAIN)
			return r;
	}
}

void zcp_node_wake_self(struct zcp_node *node)
{
	zcp_signal_wake(node->signal);
	/* One that is full is awake. */
	if (node->event_fd >= 0)
		(void)eventfd_write(node->event_fd, 1);
}

void zcp_node_interrupt(struct zcp_node *node)
{
	/*
	 * Sequentially consistent, so that it stays before the load of node->signal: a node that
	 * changes that looks at the flag afterwards.
	 */
	atomic_store_explicit(&node->interrupted, 1, memory_order_seq_cst);
	zcp_node_wake_self(node);
}

int zcp_node_fd(struct zcp_node *node)
{
	ZCP_CLEANUP(zcp_node_leave) struct zcp_node *inside = NULL;
	int r;

	if (!zcp_process_is(node->process))
		return -EOWNERDEAD;
	r = zcp_node_enter(node);
	if (r < 0)
		return r;
	inside = node;
	if (node->poll_fd >= 0)
		return node->poll_fd;
	r = zcp_attach_make_poll_fd(node);
	return r < 0 ? r : node->poll_fd;
}
