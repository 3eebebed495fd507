/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sample knows its subscriber by: a few words that stay when the subscriber is closed, so
 * that a release that comes too late finds out, and does not look into freed memory.
 *
 * An anchor is never freed. The next subscriber that is opened takes it over with another
 * generation, so a process has as many as it had subscribers at the same time.
 */
#ifndef ZCP_CLIENT_ANCHOR_H
#define ZCP_CLIENT_ANCHOR_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct zcp_subscriber;

struct zcp_anchor {
	/* NULL: free for the next one */
	struct zcp_subscriber *_Atomic subscriber;
	/* how many subscribers have let go of it */
	_Atomic uint64_t generation;
	/* set once */
	struct zcp_anchor *next;
};

/* Finds an anchor for a subscriber, or makes one; NULL: out of memory. Lock-free, any thread. */
struct zcp_anchor *zcp_anchor_new(struct zcp_subscriber *subscriber);

/* The subscriber is closed: whatever still names it by this anchor names nothing. Returns NULL. */
struct zcp_anchor *zcp_anchor_free(struct zcp_anchor *anchor);

/* Relaxed: an anchor's owner reads its own. */
static inline uint64_t zcp_anchor_generation(const struct zcp_anchor *anchor)
{
	return atomic_load_explicit(&anchor->generation, memory_order_relaxed);
}

/* The subscriber that had it in that generation; NULL: it is closed. Wait-free. */
static inline struct zcp_subscriber *zcp_anchor_find(const struct zcp_anchor *anchor,
						     uint64_t generation)
{
	/* Relaxed, both: the caller has the sample from a thread that had the subscriber open. */
	if (atomic_load_explicit(&anchor->generation, memory_order_relaxed) != generation)
		return NULL;
	return atomic_load_explicit(&anchor->subscriber, memory_order_relaxed);
}

#endif
