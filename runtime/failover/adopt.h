/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nodes of a runtime before us hand back: themselves, their topics, and all endpoints that
 * those topics name. No node is believed: a process that says that it was a node must be the one
 * that the topic's slot names, and a region is checked as a node checks one that it gets.
 *
 * A topic comes with all of its endpoints, whichever node hands it back. The runtime cleans up
 * those whose processes are gone at once; those whose nodes have not come back go on as they are,
 * until the nodes come or end.
 */
#ifndef ZCPD_FAILOVER_ADOPT_H
#define ZCPD_FAILOVER_ADOPT_H

#include "pubsub/wire/socket.h"
#include "runtime/serve/session.h"

/* Whether a node that says so may be one of those that the runtime waits for. */
bool zcpd_adopt_may_be(const struct zcpd_registry *registry, const struct zcp_hello *hello);

/*
 * A node introduces itself with what it was. Returns whether it is that again; else it is a new
 * one. Descriptors are borrowed.
 */
bool zcpd_adopt_node(struct zcpd_session *session, const struct zcp_hello *hello,
		     const struct zcp_fds *fds);

/*
 * It hands back one of its endpoints (descriptors are borrowed). Returns 0, or with a sentence in
 * `text` -ESTALE: it cannot go on with it; -EINVAL: it has nothing to hand back.
 */
__attribute__((warn_unused_result)) int zcpd_adopt_endpoint(struct zcpd_session *session,
							    const struct zcp_hand_back *message,
							    const struct zcp_fds *fds, char *text,
							    size_t text_size);

/* It has handed back all: what else it had is closed. */
void zcpd_adopt_end(struct zcpd_session *session);

#endif
