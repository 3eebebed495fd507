/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peers at the other end of a topic: the subscribers of a publisher, the publishers of a
 * subscriber. zcp_publisher_on_match() and zcp_subscriber_on_match() have a function called
 * for each that comes or goes.
 */
#ifndef ZCP_MATCH_H
#define ZCP_MATCH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum zcp_match_change {
	ZCP_MATCH_JOINED = 1,
	/* it was closed, or its process has ended */
	ZCP_MATCH_LEFT = 2,
};

/* One endpoint that has come or gone. The library's; valid during the callback. */
struct zcp_match {
	/* in the domain, and never given to another; a publisher's is zcp_publisher_id() */
	uint64_t id;
	/* its node's name, at most ZCP_NODE_NAME_MAX bytes, control characters as '?' */
	const char *node;
	/* its process; 0: it has no pid in the pid namespace of this process or of the runtime */
	uint32_t pid;
	/* how many there are after this change, of those that this callback was told of */
	uint32_t n;
	enum zcp_match_change change;
};

/*
 * Called by zcp_node_dispatch(), in the node's thread. It may do all that a callback for
 * samples may, see there. It may also close its own endpoint, at once, and call
 * zcp_publisher_on_match() and zcp_subscriber_on_match() for any.
 */
typedef void (*zcp_on_match_fn)(const struct zcp_match *match, void *user);

#ifdef __cplusplus
}
#endif

#endif
