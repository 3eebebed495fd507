/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which thread is inside a node.
 *
 * A node is used by one thread at a time. A call that waits, opens or asks enters the node; where
 * another thread is inside it is refused. Only publishers may be used meanwhile: what a publish
 * does beside its lanes it does under node->talk, which the thread inside holds as well while it
 * talks to the runtime, but not while it sleeps.
 */
#ifndef ZCP_CLIENT_INSIDE_H
#define ZCP_CLIENT_INSIDE_H

#include "pubsub/client/node.h"

/* In node->inside, beside the thread: it is a publish, which holds node->talk, and soon over. */
#define ZCP_INSIDE_BRIEFLY ((uintptr_t)1)

/* A word of each thread, whose address is what node->inside says. */
extern _Thread_local uint64_t zcp_inside_thread __attribute__((tls_model("initial-exec")));

static inline uintptr_t zcp_inside_me(void)
{
	return (uintptr_t)&zcp_inside_thread;
}

/* Whether another thread waits, dispatches, opens or asks. Wait-free. */
static inline bool zcp_node_is_busy(const struct zcp_node *node)
{
	/* Relaxed: it is a look, and our own thread's entry is in order for us. */
	uintptr_t inside = atomic_load_explicit(&node->inside, memory_order_relaxed);

	return inside && !(inside & ZCP_INSIDE_BRIEFLY) && inside != zcp_inside_me();
}

/* Whether no other thread has entered since ours did, but for looks after the connection. */
static inline bool zcp_node_is_ours(const struct zcp_node *node)
{
	/* Relaxed: only our own thread writes our own thread's entry. */
	return atomic_load_explicit(&node->last_inside, memory_order_relaxed) == zcp_inside_me();
}

/* Returns -EBUSY, with a sentence for this thread. */
int zcp_node_refuse_busy(struct zcp_node *node);

/*
 * Enters, also where our thread is inside already. Returns 0, or -EBUSY with a sentence: another
 * thread is inside. Blocks only as long as a publish looks after the connection.
 */
__attribute__((warn_unused_result)) int zcp_node_enter(struct zcp_node *node);

/* For ZCP_CLEANUP; NULL is allowed. */
void zcp_node_leave(struct zcp_node **node);

/*
 * Enters for a look after the connection, with node->talk. Returns false, where another thread is
 * inside: that one looks.
 */
bool zcp_node_enter_briefly(struct zcp_node *node);
void zcp_node_leave_briefly(struct zcp_node **node);

/* A thread that talks to the runtime, or uses what it has told, holds this; may nest. */
struct zcp_node *zcp_node_begin_talk(struct zcp_node *node);
void zcp_node_end_talk(struct zcp_node **node);

#endif
