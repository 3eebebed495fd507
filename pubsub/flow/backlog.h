/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backlog in a process's own memory, and its way through a region from the runtime to the
 * endpoint that it is for.
 */
#ifndef ZCP_FLOW_BACKLOG_H
#define ZCP_FLOW_BACKLOG_H

#include <stdint.h>

#include "pubsub/layout/backlog_shm.h"
#include "pubsub/shm/region.h"

/* {0} is an empty one. */
struct zcp_backlog {
	struct zcp_backlog_entry_shm *entries;
	uint32_t n_entries;
};

/*
 * Runtime: puts a backlog into a region of its own. Returns 0 with the region's descriptor,
 * the caller's; or -ENOMEM, -EMFILE, -ENFILE.
 */
__attribute__((warn_unused_result)) int zcp_backlog_export(const struct zcp_backlog *backlog,
							   uint64_t domain_id, int *fd);

/*
 * Endpoint: copies the backlog that the region behind `fd` (borrowed) holds. Returns 0;
 * -EPROTO with *why; -ENOMEM, or as zcp_region_attach().
 */
__attribute__((warn_unused_result)) int zcp_backlog_import(struct zcp_backlog *backlog, int fd,
							   uint64_t domain_id, const char **why);

void zcp_backlog_deinit(struct zcp_backlog *backlog);

#endif
