/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process's anchors: a list that only grows.
 *
 * Without a lock, which a child that was forked could inherit locked.
 */
#include "pubsub/client/anchor.h"

#include <stdbool.h>
#include <stdlib.h>

static struct zcp_anchor *_Atomic anchors;

static bool claim(struct zcp_anchor *anchor, struct zcp_subscriber *subscriber)
{
	struct zcp_subscriber *none = NULL;

	/*
	 * ANCHOR-A1 pairs with ANCHOR-R1: the generation that we read next is the one after the
	 * last subscriber's. Relaxed on failure: nothing is read then.
	 */
	return atomic_compare_exchange_strong_explicit(&anchor->subscriber, &none, subscriber,
						       memory_order_acquire, memory_order_relaxed);
}

struct zcp_anchor *zcp_anchor_new(struct zcp_subscriber *subscriber)
{
	/* ANCHOR-A2 pairs with ANCHOR-R2: an anchor that is in the list is whole. */
	struct zcp_anchor *first = atomic_load_explicit(&anchors, memory_order_acquire), *anchor;

	for (anchor = first; anchor; anchor = anchor->next)
		if (claim(anchor, subscriber))
			return anchor;
	anchor = calloc(1, sizeof(*anchor));
	if (!anchor)
		return NULL;
	/* Relaxed: ours alone until it is in the list. */
	atomic_store_explicit(&anchor->subscriber, subscriber, memory_order_relaxed);
	do {
		anchor->next = first;
		/* ANCHOR-R2 pairs with ANCHOR-A2. Acquire on failure, as there. */
	} while (!atomic_compare_exchange_weak_explicit(
		&anchors, &first, anchor, memory_order_release, memory_order_acquire));
	return anchor;
}

struct zcp_anchor *zcp_anchor_free(struct zcp_anchor *anchor)
{
	if (!anchor)
		return NULL;
	/* Relaxed: ours alone; ANCHOR-R1 orders it. */
	(void)atomic_fetch_add_explicit(&anchor->generation, 1, memory_order_relaxed);
	/* ANCHOR-R1 pairs with ANCHOR-A1 in claim(). */
	atomic_store_explicit(&anchor->subscriber, NULL, memory_order_release);
	return NULL;
}
