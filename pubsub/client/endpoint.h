/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What publishers and subscribers have in common: an id, a topic, a pool.
 */
#ifndef ZCP_CLIENT_ENDPOINT_H
#define ZCP_CLIENT_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "pubsub/client/node.h"
#include "pubsub/client/waiting/watch.h"
#include "pubsub/flow/backlog.h"
#include "pubsub/shm/members.h"
#include "pubsub/shm/pool.h"
#include "pubsub/shm/topic.h"
#include "pubsub/wire/message.h"
#include "pubsub/wire/socket.h"

/* Instead of a process: it cannot go on under the runtime that there is now. */
#define ZCP_ENDPOINT_STALE UINT64_MAX

struct zcp_endpoint {
	struct zcp_node *node;
	/* who opened it: zcp_process_is(); ZCP_ENDPOINT_STALE */
	uint64_t process;
	/* which domain that was opened in */
	uint64_t domain_id;
	/* in the domain, and in its topic */
	uint64_t id;
	uint32_t slot;
	/* a publisher: may write the topic's region and the pool's; a subscriber only the acks */
	bool writable;
	struct zcp_topic topic;
	struct zcp_acks acks;
	struct zcp_pool pool;
	/* a subscriber's promised history, until its reader has taken it over */
	struct zcp_backlog backlog;
	/*
	 * what is handed back to a runtime that comes after this one: the topic's region and its
	 * acks, and of each size class its descriptors and its chunks; -1 where there is none
	 */
	int topic_fd;
	int acks_fd;
	int class_fds[ZCP_CLASSES_MAX][2];
	/* the same: what a subscriber has declared */
	struct zcp_hand_back declared;
	/* size classes that were asked for, and that the pool does not have */
	uint64_t absent;
	/* where it is stale: the whole sentence, or NULL; and whether a wait has to say so yet */
	char *stale_error;
	bool is_stale_unsaid;
	/* who is told of those at the other end */
	struct zcp_watch watch;
	/* the topic's */
	char name[ZCP_TOPIC_SIZE];
};

/*
 * Asks the runtime for an endpoint of topic `name` and maps its topic and pool.
 * Returns 0 with *endpoint and the runtime's answer (zcp_message_deinit() it), or the errors
 * of zcp_publisher_open() and zcp_subscriber_open().
 */
__attribute__((warn_unused_result)) int zcp_endpoint_init(struct zcp_endpoint *endpoint,
							  struct zcp_node *node, const char *name,
							  const struct zcp_message *request,
							  struct zcp_message *reply);

/* A call on a handle that is not ours or is stale: returns -EOWNERDEAD or -ESTALE, with a sentence. */
int zcp_endpoint_refuse(const struct zcp_endpoint *endpoint);

/* What the runtime has said of it is kept for the node's next wait. */
void zcp_endpoint_set_stale(struct zcp_endpoint *endpoint, const char *text);

/*
 * The descriptors that are handed back, borrowed; `fds` has room for ZCP_PACKET_FDS_MAX. Returns
 * how many.
 */
uint32_t zcp_endpoint_fds(const struct zcp_endpoint *endpoint, int *fds);

/* Tells the runtime, and unmaps. Nothing at the runtime where the handle was inherited. */
void zcp_endpoint_deinit(struct zcp_endpoint *endpoint);

/*
 * Maps the size classes whose descriptors are in `fds` from `first` on, two for each, and keeps
 * those of the ones that were not mapped yet. Returns 0, or as zcp_pool_attach(); the sentence is
 * in the node.
 */
__attribute__((warn_unused_result)) int
zcp_endpoint_map_classes(struct zcp_endpoint *endpoint, struct zcp_fds *fds, uint32_t first);

/* What is at the other end of its topic. */
static inline enum zcp_member_kind zcp_endpoint_others(const struct zcp_endpoint *endpoint)
{
	return endpoint->writable ? ZCP_MEMBER_SUBSCRIBER : ZCP_MEMBER_PUBLISHER;
}

/* How many of those there are; 0 for a handle inherited over fork(). */
unsigned int zcp_endpoint_n_others(const struct zcp_endpoint *endpoint);

/*
 * Waits until there are at least `n` of them; `watches` is the word in its slot. Returns as zcp_publisher_wait_subscribers() and
 * zcp_subscriber_wait_publishers().
 */
__attribute__((warn_unused_result)) int
zcp_endpoint_wait_others(const struct zcp_endpoint *endpoint, _Atomic uint32_t *watches,
			 unsigned int n, int64_t timeout_ns);

/* The runtime says that the pool of subscriber `id` has more size classes. */
void zcp_endpoint_add_classes(struct zcp_node *node, uint64_t id, struct zcp_fds *fds);

/*
 * A ref names a class that is not mapped: looks for it among the events, then asks.
 * Returns 0 when all that the runtime has is mapped; else as zcp_control_request().
 * A class that the runtime did not have is not asked for again until the pool grows.
 */
__attribute__((warn_unused_result)) int zcp_endpoint_get_classes(struct zcp_endpoint *endpoint,
								 uint32_t class_index);

#endif
