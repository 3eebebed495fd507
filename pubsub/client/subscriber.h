/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscriber from within.
 */
#ifndef ZCP_CLIENT_SUBSCRIBER_H
#define ZCP_CLIENT_SUBSCRIBER_H

#include <zcp/subscriber.h>

#include "pubsub/client/anchor.h"
#include "pubsub/client/endpoint.h"
#include "pubsub/flow/reader.h"

/* Meaning of zcp_sample.reserved. */
enum {
	ZCP_SAMPLE_ANCHOR = 0,
	ZCP_SAMPLE_PLACE = 1,
	ZCP_SAMPLE_HELD = 2,
	ZCP_SAMPLE_GENERATION = 3,
};

struct zcp_subscriber {
	struct zcp_endpoint endpoint;
	struct zcp_reader reader;
	/* what its samples know it by, since it was opened */
	struct zcp_anchor *anchor;
	uint64_t generation;
	zcp_on_sample_fn on_sample;
	void *user;
	/* the sample that its callback has, by what it is held as; 0: none, or it is kept */
	uint64_t lent;
	/* closed by its own callback; that is done when the callback has returned */
	bool is_closing;
	LIST_ENTRY(zcp_subscriber) link;
};

#endif
