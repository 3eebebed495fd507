/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that endpoints have from their open on (reserve = true).
 *
 * What all publishers of a pool may own at once is known (admission.h), and they claim the FREE
 * chunk with the lowest index. So the first so many chunks of each size class are all that they
 * touch, and these are taken from the machine before an endpoint is let in.
 */
#ifndef ZCPD_OPEN_RESERVE_H
#define ZCPD_OPEN_RESERVE_H

#include <stddef.h>

#include "runtime/domain/registry.h"

/* Whether the configuration has the pool's memory reserved; such a pool gives none back. */
bool zcpd_reserve_is_wanted(const struct zcpd_registry *registry, const struct zcpd_pool *pool);

/*
 * Takes what the pool lacks with `more` among its endpoints, and all of its topic's queues, where
 * that is wanted. Returns 0, or -ENOMEM with a sentence. May take a second for each 4 GiB.
 */
__attribute__((warn_unused_result)) int zcpd_reserve(const struct zcpd_registry *registry,
						     const struct zcpd_endpoint *more, char *text,
						     size_t text_size);

#endif
