/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Match callbacks.
 *
 * A callback may close any endpoint and set any callback anew, its own too. So whoever takes
 * a watch off its node's list ends the dispatch of it, and moves on the one that comes next.
 */
#include "pubsub/client/waiting/watch.h"

#include <errno.h>

#include "pubsub/client/endpoint.h"
#include "pubsub/client/node.h"
#include "pubsub/shm/signal.h"

static_assert(ZCP_MEMBER_NODE_SIZE == ZCP_NODE_NAME_MAX + 1, "every name fits");

static void remove_watch(struct zcp_node *node, struct zcp_watch *watch)
{
	if (!watch->on_match)
		return;
	if (node->watch_now == watch)
		node->watch_now = NULL;
	if (node->watch_next == watch)
		node->watch_next = LIST_NEXT(watch, link);
	LIST_REMOVE(watch, link);
	watch->on_match = NULL;
}

int zcp_watch_set(struct zcp_endpoint *endpoint, _Atomic uint32_t *watches,
		  zcp_on_match_fn on_match, void *user)
{
	struct zcp_watch *watch = &endpoint->watch;
	struct zcp_node *node = endpoint->node;

	if (on_match && !watch->members.known &&
	    zcp_members_init(&watch->members, &endpoint->topic, zcp_endpoint_others(endpoint)) < 0)
		return zcp_node_fail(node, -ENOMEM, "out of memory");
	remove_watch(node, watch);
	/* Relaxed: a fence comes before the next sleep, and the look that finds what was missed. */
	if (!on_match) {
		(void)atomic_fetch_and_explicit(watches, ~ZCP_WATCHES_MATCH, memory_order_relaxed);
		return 0;
	}
	(void)atomic_fetch_or_explicit(watches, ZCP_WATCHES_MATCH, memory_order_relaxed);
	zcp_members_reset(&watch->members);
	watch->on_match = on_match;
	watch->user = user;
	LIST_INSERT_HEAD(&node->watches, watch, link);
	/* Whoever polls on our eventfd has not looked for these. */
	zcp_node_wake_self(node);
	return 0;
}

void zcp_watch_deinit(struct zcp_endpoint *endpoint)
{
	remove_watch(endpoint->node, &endpoint->watch);
	zcp_members_deinit(&endpoint->watch.members);
}

bool zcp_watch_is_ready(struct zcp_node *node)
{
	struct zcp_watch *watch;

	LIST_FOREACH(watch, &node->watches, link)
		if (zcp_members_have_changed(&watch->members))
			return true;
	return false;
}

static unsigned int dispatch_one(struct zcp_node *node, struct zcp_watch *watch)
{
	struct zcp_members_look look = zcp_members_look(&watch->members);
	struct zcp_member member;
	unsigned int n = 0;
	bool has_joined;

	node->watch_now = watch;
	while (zcp_members_next(&watch->members, &look, &member, &has_joined)) {
		const struct zcp_match match = {
			.id = member.id,
			.node = member.node,
			.pid = zcp_signals_pid_here(&node->signals, member.pid),
			.n = watch->members.n_known,
			.change = has_joined ? ZCP_MATCH_JOINED : ZCP_MATCH_LEFT,
		};

		watch->on_match(&match, watch->user);
		n++;
		/* Closed, or set anew. */
		if (node->watch_now != watch || node->is_closing)
			break;
	}
	node->watch_now = NULL;
	return n;
}

unsigned int zcp_watch_dispatch(struct zcp_node *node)
{
	struct zcp_watch *watch;
	unsigned int n = 0;

	for (watch = LIST_FIRST(&node->watches); watch && !node->is_closing;
	     watch = node->watch_next) {
		node->watch_next = LIST_NEXT(watch, link);
		if (zcp_members_have_changed(&watch->members))
			n += dispatch_one(node, watch);
	}
	node->watch_next = NULL;
	return n;
}
