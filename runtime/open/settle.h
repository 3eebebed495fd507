/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settling an endpoint that is about to be opened.
 */
#ifndef ZCPD_OPEN_SETTLE_H
#define ZCPD_OPEN_SETTLE_H

#include <stddef.h>

#include "runtime/domain/registry.h"

/*
 * Gives an endpoint, whose topic is known, its slot, its numbers and its limits. No node sees
 * it yet, but the pool may have grown. Returns 0, or a negative errno of zcp_publisher_open() or
 * zcp_subscriber_open() with a sentence in `text`.
 */
__attribute__((warn_unused_result)) int
zcpd_settle_publisher(struct zcpd_registry *registry, struct zcpd_endpoint *publisher,
		      const struct zcp_open_publisher *request, char *text, size_t text_size);
__attribute__((warn_unused_result)) int
zcpd_settle_subscriber(struct zcpd_registry *registry, struct zcpd_endpoint *subscriber,
		       const struct zcp_open_subscriber *request, char *text, size_t text_size);

#endif
