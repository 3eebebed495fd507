/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's connection to the runtime: the first one, and those after it. What a node has open
 * needs no runtime; when another one has come, the node tells it who it was and hands back what
 * it has.
 */
#ifndef ZCP_CLIENT_CONNECTION_ATTACH_H
#define ZCP_CLIENT_CONNECTION_ATTACH_H

#include <stdint.h>

#include "pubsub/client/node.h"

enum zcp_attach_effort {
	ZCP_ATTACH_LOOK, /* only to one that answers now */
	ZCP_ATTACH_WAIT, /* starts one, or waits for one where none is to be started */
};

/* For the first time. Blocks until `deadline` at most. Returns the errors of zcp_node_open(). */
__attribute__((warn_unused_result)) int zcp_attach(struct zcp_node *node, uint64_t deadline);

/*
 * The connection is lost: finds a runtime and hands back what the node has. What cannot go on
 * under it is stale from then on; that is no error of this call. Returns 0, -ENOTCONN, or as
 * zcp_attach(), with a sentence.
 */
__attribute__((warn_unused_result)) int
zcp_reattach(struct zcp_node *node, enum zcp_attach_effort effort, uint64_t deadline);

/*
 * Before a sleep, and now and then: whether the connection is still there, and if not, whether
 * there is a runtime again. Costs a look at the clock, and every now and then system calls;
 * blocks as long as a runtime that has come takes to answer, a tenth of a second at most.
 * Returns 0; -ESTALE, once, where something of this node has become stale; with a sentence.
 */
__attribute__((warn_unused_result)) int zcp_attend(struct zcp_node *node);

/* The same; what has become stale is said later. */
void zcp_attend_quietly(struct zcp_node *node);

/* The same; whether the connection is still there at once, however short ago that was looked. */
void zcp_attend_now(struct zcp_node *node);

/*
 * After a publish that has met something out of the ordinary (enum zcp_met): where nobody gets the
 * message, or a system call was made anyhow, is the time to look, and no other publish does. No
 * system call but every 50 ms.
 */
void zcp_attend_published(struct zcp_node *node, uint32_t met);

/* The next time it is not too early. */
void zcp_attend_soon(struct zcp_node *node);

/* The same where somebody does not sleep: one look in many. */
__attribute__((warn_unused_result)) int zcp_attend_seldom(struct zcp_node *node);

/* How long it may sleep until it attends again, ns. */
uint64_t zcp_attend_interval(const struct zcp_node *node);

/*
 * What zcp_node_fd() gives out, from our eventfd on. Returns 0, -EMFILE, -ENFILE or -ENOMEM;
 * the node has none of its descriptors then.
 */
__attribute__((warn_unused_result)) int zcp_attach_make_poll_fd(struct zcp_node *node);

/* The connection is over. */
void zcp_attach_close_socket(struct zcp_node *node);

/* Closes all descriptors. */
void zcp_detach(struct zcp_node *node);

#endif
