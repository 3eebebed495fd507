/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for messages and for endpoints that join or leave, and calling back for them.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <zcp/subscriber.h>

#include "pubsub/client/connection/attach.h"
#include "pubsub/client/inside.h"
#include "pubsub/client/node.h"
#include "pubsub/client/subscriber.h"
#include "pubsub/client/waiting/watch.h"
#include "pubsub/flow/reader.h"
#include "pubsub/shm/fence.h"
#include "pubsub/shm/signal.h"
#include "pubsub/util.h"

/* Looks between two looks at the clock, while spinning. */
#define LOOKS_PER_CLOCK 64

/* Which subscribers count: all, or those that are called back. */
enum waiting {
	WAIT_ALL,
	WAIT_CALLBACKS,
};

static bool counts(const struct zcp_subscriber *subscriber, enum waiting which)
{
	return (which == WAIT_ALL || subscriber->on_sample) && !subscriber->is_closing &&
	       subscriber->endpoint.process != ZCP_ENDPOINT_STALE;
}

static bool is_ready(struct zcp_node *node, enum waiting which)
{
	struct zcp_subscriber *subscriber;

	LIST_FOREACH(subscriber, &node->subscribers, link)
		if (counts(subscriber, which) && zcp_reader_is_ready(&subscriber->reader))
			return true;
	return zcp_watch_is_ready(node);
}

/* Whether anything can end a wait without a limit. */
static bool can_be_ready(const struct zcp_node *node, enum waiting which)
{
	const struct zcp_subscriber *subscriber;

	LIST_FOREACH(subscriber, &node->subscribers, link)
		if (counts(subscriber, which))
			return true;
	return !LIST_EMPTY(&node->watches);
}

/* Publishers, and threads that release, look at our signal from now on. */
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
	/* Relaxed, both: the wake that follows the flag is what orders it. */
	if (!atomic_load_explicit(&node->interrupted, memory_order_relaxed))
		return false;
	return atomic_exchange_explicit(&node->interrupted, 0, memory_order_relaxed) != 0;
}

/* What is left of a timeout that began at `start`; 0 where nothing is. */
static int64_t time_left(int64_t timeout_ns, uint64_t start)
{
	uint64_t passed;

	if (timeout_ns <= 0)
		return timeout_ns;
	passed = zcp_now_ns() - start;
	return passed < (uint64_t)timeout_ns ? timeout_ns - (int64_t)passed : 0;
}

/* Looks for messages without sleeping, for a while. */
static bool spin(struct zcp_node *node, enum waiting which, int64_t timeout_ns)
{
	uint64_t spin_ns = node->spin_ns, start;

	if (timeout_ns > 0 && (uint64_t)timeout_ns < spin_ns)
		spin_ns = (uint64_t)timeout_ns;
	if (spin_ns == 0)
		return false;
	start = zcp_now_ns();
	do {
		for (int i = 0; i < LOOKS_PER_CLOCK; i++) {
			if (is_ready(node, which) ||
			    atomic_load_explicit(&node->interrupted, memory_order_relaxed))
				return true;
			zcp_cpu_relax();
		}
	} while (zcp_now_ns() - start < spin_ns);
	return false;
}

/* One sleep. Returns 0 where it is worth looking again. */
static int sleep_once(struct zcp_node *node, enum waiting which, int64_t timeout_ns)
{
	uint32_t announced;
	int r;

	if (spin(node, which, timeout_ns))
		return 0;
	r = arm(node, which);
	if (r < 0)
		return r;
	zcp_signal_use(node->signal, ZCP_SIGNAL_FUTEX);
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
	int r;

	if (was_interrupted(node))
		return -EINTR;
	/* A poll loop may have called us because of the connection. */
	r = node->poll_fd >= 0 ? zcp_attend(node) : zcp_attend_seldom(node);
	if (r < 0)
		return r;
	if (is_ready(node, which))
		return 0;
	if (timeout_ns == 0) {
		/* A caller that only looks may do so seldom. */
		r = zcp_attend(node);
		return r < 0 ? r : -ETIMEDOUT;
	}
	if (timeout_ns < 0 && !can_be_ready(node, which))
		return zcp_node_fail(
			node, -EINVAL,
			"node '%s' would wait for ever: it has no subscriber%s, nor a match "
			"callback",
			node->name, which == WAIT_CALLBACKS ? " with a callback" : "");
	if (timeout_ns > 0)
		start = zcp_now_ns();
	for (;;) {
		int64_t left = time_left(timeout_ns, start), most;

		if (left == 0)
			return -ETIMEDOUT;
		r = zcp_attend(node);
		if (r < 0)
			return r;
		most = (int64_t)zcp_attend_interval(node);
		r = sleep_once(node, which, left < 0 || left > most ? most : left);
		/* An interrupt is taken by looking at it, and must not be lost to a message. */
		if (was_interrupted(node) || r == -EINTR)
			return -EINTR;
		if (is_ready(node, which))
			return 0;
		if (r < 0 && r != -ETIMEDOUT)
			return r;
		/* Woken for nothing: so does a runtime that goes on with the domain. */
		if (r == 0)
			zcp_attend_soon(node);
	}
}

/* Running: publishers need not write to our eventfd. */
static void begin(struct zcp_node *node)
{
	if (node->poll_fd >= 0)
		zcp_signal_awake(node->signal);
}

/*
 * Back to the caller's poll loop: asleep as far as publishers can tell, and readable
 * if there is something after all. What is cleared here was for a sleep that is over.
 */
static int end(struct zcp_node *node, enum waiting which, int r)
{
	eventfd_t count;
	int armed;

	if (node->poll_fd < 0)
		return r;
	armed = arm(node, which);
	if (armed < 0)
		return armed;
	(void)eventfd_read(node->event_fd, &count);
	/* It ticks as long as there is no connection. */
	if (node->socket < 0)
		(void)eventfd_read(node->timer_fd, &count);
	zcp_signal_use(node->signal, ZCP_SIGNAL_FD);
	(void)zcp_signal_announce(node->signal);
	if (atomic_load_explicit(&node->interrupted, memory_order_relaxed) || is_ready(node, which))
		(void)eventfd_write(node->event_fd, 1);
	return r;
}

int zcp_node_wait(struct zcp_node *node, int64_t timeout_ns)
{
	ZCP_CLEANUP(zcp_node_leave) struct zcp_node *inside = NULL;
	int r;

	if (!zcp_process_is(node->process))
		return -EOWNERDEAD;
	r = zcp_node_enter(node);
	if (r < 0)
		return r;
	inside = node;
	begin(node);
	return end(node, WAIT_ALL, wait_for(node, WAIT_ALL, timeout_ns));
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
		if (r == -EAGAIN || r == -EMFILE)
			break;
		if (r < 0)
			return r;
		subscriber->lent = call.sample.reserved[ZCP_SAMPLE_HELD];
		subscriber->on_sample(&call.sample, subscriber->user);
		(*n)++;
	}
	return 0;
}

static int wait_and_call(struct zcp_node *node, int64_t timeout_ns)
{
	uint64_t start = zcp_now_ns();

	for (;;) {
		struct zcp_subscriber *subscriber;
		unsigned int n = 0;
		int r = wait_for(node, WAIT_CALLBACKS, time_left(timeout_ns, start));

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
	begin(node);
	return end(node, WAIT_CALLBACKS, wait_and_call(node, timeout_ns));
}

int zcp_node_dispatch(struct zcp_node *node, int64_t timeout_ns)
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
	return dispatch(node, timeout_ns);
}
