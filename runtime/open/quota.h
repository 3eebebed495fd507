/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one user may have in a domain, so that a user that floods it leaves room for the others.
 *
 * It is counted anew from what is there each time it is asked for: no count can be forgotten
 * when something ends, nor when a worker dies. What is taken over from a runtime that was killed
 * counts for the user who hands it back, and is not refused.
 */
#ifndef ZCPD_OPEN_QUOTA_H
#define ZCPD_OPEN_QUOTA_H

#include "runtime/domain/registry.h"

/* Whether the user may have one connection more beside `n`. Returns 0, or -EUSERS. */
__attribute__((warn_unused_result)) int
zcpd_quota_check_connection(const struct zcpd_config *config, uint32_t uid, uint32_t n, char *text,
			    size_t text_size);

/* Whether the user may have one endpoint more. Returns 0, or -EUSERS. */
__attribute__((warn_unused_result)) int
zcpd_quota_check_endpoint(const struct zcpd_registry *registry, uint32_t uid, char *text,
			  size_t text_size);

/*
 * Whether what the user's topics and their own pools take at the most may be `size` bytes more,
 * for `topic`. Returns 0, or -EDQUOT.
 */
__attribute__((warn_unused_result)) int
zcpd_quota_check_memory(const struct zcpd_registry *registry, uint32_t uid, const char *topic,
			uint64_t size, char *text, size_t text_size);

#endif
