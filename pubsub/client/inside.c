/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entering and leaving a node.
 */
#include "pubsub/client/inside.h"

#include <errno.h>

#include "pubsub/util.h"

_Thread_local uint64_t zcp_inside_thread __attribute__((tls_model("initial-exec")));

/* Relaxed: only our own thread writes our own thread's entry. */
static bool is_me(const struct zcp_node *node)
{
	return (atomic_load_explicit(&node->inside, memory_order_relaxed) & ~ZCP_INSIDE_BRIEFLY) ==
	       zcp_inside_me();
}

static bool claim(struct zcp_node *node, uintptr_t as, uintptr_t *inside)
{
	*inside = 0;
	/* INSIDE-A1 pairs with INSIDE-R1. Relaxed on failure: nothing is read then. */
	return atomic_compare_exchange_strong_explicit(&node->inside, inside, as,
						       memory_order_acquire, memory_order_relaxed);
}

static void leave(struct zcp_node *node)
{
	if (node->n_inside > 0)
		node->n_inside--;
	else
		/* INSIDE-R1 pairs with INSIDE-A1: what we have done to the node is done. */
		atomic_store_explicit(&node->inside, 0, memory_order_release);
}

int zcp_node_enter(struct zcp_node *node)
{
	uintptr_t inside;
	bool claimed;

	if (is_me(node)) {
		node->n_inside++;
		return 0;
	}
	claimed = claim(node, zcp_inside_me(), &inside);
	if (!claimed && inside & ZCP_INSIDE_BRIEFLY) {
		ZCP_CLEANUP(zcp_node_end_talk) struct zcp_node *talk = zcp_node_begin_talk(node);

		claimed = claim(talk, zcp_inside_me(), &inside);
	}
	if (!claimed)
		return zcp_node_refuse_busy(node);
	/* Relaxed: see zcp_node_is_ours(). */
	atomic_store_explicit(&node->last_inside, zcp_inside_me(), memory_order_relaxed);
	return 0;
}

void zcp_node_leave(struct zcp_node **node)
{
	if (*node)
		leave(*node);
}

bool zcp_node_enter_briefly(struct zcp_node *node)
{
	uintptr_t inside;

	if (is_me(node)) {
		(void)zcp_node_begin_talk(node);
		node->n_inside++;
		return true;
	}
	/* Held: another publish looks, or one that is inside talks. */
	if (pthread_mutex_trylock(&node->talk) != 0)
		return false;
	if (claim(node, zcp_inside_me() | ZCP_INSIDE_BRIEFLY, &inside))
		return true;
	(void)pthread_mutex_unlock(&node->talk);
	return false;
}

void zcp_node_leave_briefly(struct zcp_node **node)
{
	if (!*node)
		return;
	leave(*node);
	(void)pthread_mutex_unlock(&(*node)->talk);
}

struct zcp_node *zcp_node_begin_talk(struct zcp_node *node)
{
	(void)pthread_mutex_lock(&node->talk);
	return node;
}

void zcp_node_end_talk(struct zcp_node **node)
{
	(void)pthread_mutex_unlock(&(*node)->talk);
}
