/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscriber from within.
 */
#ifndef ZCP_CLIENT_SUBSCRIBER_H
#define ZCP_CLIENT_SUBSCRIBER_H

#include <zcp/subscriber.h>

#include "pubsub/client/endpoint.h"
#include "pubsub/flow/reader.h"

struct zcp_subscriber {
	struct zcp_endpoint endpoint;
	struct zcp_reader reader;
	zcp_on_sample_fn on_sample;
	void *user;
	LIST_ENTRY(zcp_subscriber) link;
};

#endif
