/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A census of a pool: the one reason for which each of its chunks is not available, as publishers
 * and subscribers say themselves (pubsub/shm/stake.h). For `zcp info` and the audit.
 */
#ifndef ZCPD_REPAIR_CENSUS_H
#define ZCPD_REPAIR_CENSUS_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/domain/registry.h"

enum zcpd_reason {
	ZCPD_REASON_FREE,
	ZCPD_REASON_SPARE, /* a publisher's, without a message or with one that has come back */
	ZCPD_REASON_LOANED,
	ZCPD_REASON_HELD,
	ZCPD_REASON_QUEUED,
	ZCPD_REASON_HISTORY, /* its publisher's, or promised to a subscriber */
	ZCPD_REASON_LEAKED,  /* of an owner or on loan to a publisher that there is not */
	ZCPD_N_REASONS,
};

/* The publisher slot that has an owner number; topic NULL: none has it. */
struct zcpd_owner {
	const struct zcpd_topic *topic;
	uint32_t slot;
};

struct zcpd_census {
	const struct zcpd_pool *pool;
	/* ZCP_OWNERS of them */
	struct zcpd_owner *owners;
};

/* Of the pool and the topics in it as they are now. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int zcpd_census_init(struct zcpd_census *census,
							 const struct zcpd_registry *registry,
							 const struct zcpd_pool *pool);
void zcpd_census_deinit(struct zcpd_census *census);

/*
 * Why a chunk is not available. It has the first of several reasons, in the order of the
 * enumerators from LOANED on. Publishers and subscribers go on meanwhile.
 */
enum zcpd_reason zcpd_census_reason(const struct zcpd_census *census,
				    const struct zcp_chunk_shm *chunk);

/* The same for all chunks of a class, counted. */
void zcpd_census_count(const struct zcpd_census *census, uint32_t class_index,
		       uint32_t counts[ZCPD_N_REASONS]);

#endif
