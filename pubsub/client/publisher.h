/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A publisher from within.
 */
#ifndef ZCP_CLIENT_PUBLISHER_H
#define ZCP_CLIENT_PUBLISHER_H

#include <zcp/publisher.h>

#include "pubsub/client/endpoint.h"
#include "pubsub/flow/writer.h"

struct zcp_publisher {
	struct zcp_endpoint endpoint;
	struct zcp_writer writer;
	/* the node's when it was opened, which stay mapped: the node may get others meanwhile */
	struct zcp_signals signals;
	LIST_ENTRY(zcp_publisher) link;
};

#endif
