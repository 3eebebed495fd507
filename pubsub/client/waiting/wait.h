/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting, from within: what zcp_node_wait(), zcp_subscriber_take_timed() and the dispatch wait
 * for. The thread is inside the node.
 */
#ifndef ZCP_CLIENT_WAIT_H
#define ZCP_CLIENT_WAIT_H

#include <stdbool.h>
#include <stdint.h>

struct zcp_node;
struct zcp_subscriber;

/* What a wait is for, and what ends it before. */
struct zcp_waiting {
	/* one subscriber's messages; NULL: all subscribers', and match callbacks */
	struct zcp_subscriber *one;
	/* subscribers without a callback do not count */
	bool callbacks;
	/* zcp_node_interrupt() ends it; a signal handler that has run does not */
	bool until_interrupted;
};

/* What is left of a timeout that began at `start`; 0 where nothing is. */
int64_t zcp_wait_left(int64_t timeout_ns, uint64_t start);

/*
 * Waits. Returns 0 where there is something, or no place for it; else as zcp_node_wait(). Between
 * zcp_wait_begin() and zcp_wait_end().
 */
__attribute__((warn_unused_result)) int
zcp_wait_for(struct zcp_node *node, const struct zcp_waiting *waiting, int64_t timeout_ns);

/* Running: no publisher needs to write to the node's eventfd. */
void zcp_wait_begin(struct zcp_node *node);

/*
 * Back to a program that polls on the eventfd: asleep as far as publishers can tell, and readable
 * if there is something after all. What is cleared here was for a sleep that is over. Returns `r`,
 * or -ENOTSUP.
 */
__attribute__((warn_unused_result)) int zcp_wait_end(struct zcp_node *node,
						     const struct zcp_waiting *waiting, int r);

#endif
