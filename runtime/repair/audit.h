/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit: walks all pools and lanes of the domain and says what cannot be. Every chunk is
 * free, a publisher's spare one, on loan to a publisher that is there, queued at or held by a
 * subscriber that is there, or history; else it has leaked. What is queued or held is in a chunk.
 * No lane has to be drained first: publishers and subscribers say themselves what they have.
 *
 * Publishers and subscribers go on meanwhile. What is in the middle of a step is looked at
 * again; what is told stood still while it was looked at.
 */
#ifndef ZCPD_REPAIR_AUDIT_H
#define ZCPD_REPAIR_AUDIT_H

#include <stddef.h>

#include "runtime/domain/registry.h"

/*
 * Fills in the answer, whose lists the caller frees with zcp_message_deinit(). Returns 0, or
 * -ENOMEM with a sentence.
 */
__attribute__((warn_unused_result)) int zcpd_audit(const struct zcpd_registry *registry,
						   struct zcp_message *reply, char *text,
						   size_t text_size);

#endif
