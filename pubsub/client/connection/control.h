/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's conversation with the runtime: one request at a time, and events that come
 * between.
 */
#ifndef ZCP_CLIENT_CONNECTION_CONTROL_H
#define ZCP_CLIENT_CONNECTION_CONTROL_H

#include "pubsub/client/node.h"
#include "pubsub/wire/message.h"
#include "pubsub/wire/socket.h"

/*
 * Sends a request and waits for its answer, at most the node's timeout. Events that come
 * first are acted on. `fds` may be NULL: descriptors are closed then.
 *
 * Returns 0 with *reply (zcp_message_deinit() it) and *fds (zcp_fds_deinit() them); the
 * negative errno that the runtime gave; -ENOTCONN, -ETIMEDOUT, -EPROTO, -ENOMEM. The
 * sentence is in the node.
 */
__attribute__((warn_unused_result)) int
zcp_control_request(struct zcp_node *node, const struct zcp_message *request,
		    enum zcp_message_type expected, struct zcp_message *reply, struct zcp_fds *fds);

/* The same with descriptors beside the request (borrowed). */
__attribute__((warn_unused_result)) int
zcp_control_request_with(struct zcp_node *node, const struct zcp_message *request, const int *out,
			 uint32_t n_out, enum zcp_message_type expected, struct zcp_message *reply,
			 struct zcp_fds *fds);

/* Acts on the events that have come. Does not block. */
void zcp_control_drain(struct zcp_node *node);

#endif
