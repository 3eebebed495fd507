/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calling back for those who come and go at the other end of a publisher or subscriber.
 */
#ifndef ZCP_CLIENT_WAITING_WATCH_H
#define ZCP_CLIENT_WAITING_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <zcp/match.h>

#include "pubsub/shm/members.h"

struct zcp_endpoint;
struct zcp_node;

struct zcp_watch {
	/* those that the callback was told of; nothing before the first callback was set */
	struct zcp_members members;
	/* NULL: none, and not in the node's list */
	zcp_on_match_fn on_match;
	void *user;
	LIST_ENTRY(zcp_watch) link;
};

/*
 * Sets the callback of an endpoint, or ends it (NULL). `watches` is the word in its slot that
 * tells the runtime. Returns 0, or -ENOMEM with the sentence in the node.
 */
__attribute__((warn_unused_result)) int zcp_watch_set(struct zcp_endpoint *endpoint,
						      _Atomic uint32_t *watches,
						      zcp_on_match_fn on_match, void *user);

/* The endpoint ends; its topic is still mapped. Touches nothing that is shared. */
void zcp_watch_deinit(struct zcp_endpoint *endpoint);

/* Whether there is something to call back for. */
bool zcp_watch_is_ready(struct zcp_node *node);

/* Calls back for what there is now. Returns how often. */
unsigned int zcp_watch_dispatch(struct zcp_node *node);

#endif
