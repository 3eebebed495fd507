/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the library keeps to itself and a few tests have to see, or to spoil. The private structs
 * are known here alone.
 */
#ifndef ZCP_TESTS_SUPPORT_INSIDE_H
#define ZCP_TESTS_SUPPORT_INSIDE_H

#include <stdbool.h>
#include <stdint.h>
#include <zcp/zcp.h>

#include "pubsub/flow/reader.h"
#include "pubsub/flow/writer.h"
#include "pubsub/shm/acks.h"
#include "pubsub/shm/pool.h"
#include "pubsub/shm/signal.h"
#include "pubsub/shm/topic.h"
#include "pubsub/wire/message.h"

/* A node's connection, -1 where it has none; what it was told that it is; how often it was. */
int zcp_test_socket(const struct zcp_node *node);
uint64_t zcp_test_node_id(const struct zcp_node *node);
uint64_t zcp_test_domain_id(const struct zcp_node *node);
uint32_t zcp_test_n_attached(const struct zcp_node *node);
/* From now on the node waits so long for an answer, where its options said something else. */
void zcp_test_set_timeout(struct zcp_node *node, uint64_t timeout_ns);
struct zcp_signals *zcp_test_signals(const struct zcp_node *node);

/* A request of the node's, as its own calls make them: see zcp_control_request(). */
int zcp_test_node_request(struct zcp_node *node, const struct zcp_message *request,
			  enum zcp_message_type expected, struct zcp_message *reply);

/* What an endpoint has: pointers into it, good as long as it is open. */
struct zcp_test_inside {
	struct zcp_node *node;
	uint64_t id;
	uint32_t slot;
	/* the runtime that there is now does not go on with it */
	bool is_stale;
	struct zcp_topic *topic;
	struct zcp_acks *acks;
	struct zcp_pool *pool;
	/* of each size class the memfds of its descriptors and of its chunks, or -1 */
	int (*class_fds)[2];
	/* a publisher's; a subscriber's; else NULL */
	struct zcp_writer *writer;
	struct zcp_reader *reader;
};

struct zcp_test_inside zcp_test_inside_publisher(const struct zcp_publisher *publisher);
struct zcp_test_inside zcp_test_inside_subscriber(const struct zcp_subscriber *subscriber);

/* clang-format off */
#define zcp_test_inside(endpoint)                                                                  \
	_Generic((endpoint),                                                                       \
		struct zcp_publisher *: zcp_test_inside_publisher,                                 \
		const struct zcp_publisher *: zcp_test_inside_publisher,                           \
		struct zcp_subscriber *: zcp_test_inside_subscriber,                               \
		const struct zcp_subscriber *: zcp_test_inside_subscriber)(endpoint)
/* clang-format on */

#endif
