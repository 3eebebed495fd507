/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening endpoints, with the topic and the pool that they are the first of.
 */
#ifndef ZCPD_OPEN_OPEN_H
#define ZCPD_OPEN_OPEN_H

#include "runtime/domain/registry.h"

/*
 * Opens an endpoint. Returns 0, or a negative errno of zcp_publisher_open() or
 * zcp_subscriber_open() with a sentence in `text`. A subscriber is JOINING then, and
 * events.joined() is called, perhaps before this returns; where that closes it, it is gone then.
 */
__attribute__((warn_unused_result)) int
zcpd_open_publisher(struct zcpd_registry *registry, const struct zcpd_client *client,
		    const struct zcp_open_publisher *request, struct zcpd_endpoint **endpoint,
		    char *text, size_t text_size);
__attribute__((warn_unused_result)) int
zcpd_open_subscriber(struct zcpd_registry *registry, const struct zcpd_client *client,
		     const struct zcp_open_subscriber *request, uint64_t request_id,
		     struct zcpd_endpoint **endpoint, char *text, size_t text_size);

#endif
