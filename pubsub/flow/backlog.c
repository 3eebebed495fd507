/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backlogs: written once, copied once.
 */
#include "pubsub/flow/backlog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int zcp_backlog_export(const struct zcp_backlog *backlog, uint64_t domain_id, int *fd)
{
	size_t size = sizeof(struct zcp_backlog_shm) +
		      backlog->n_entries * sizeof(backlog->entries[0]);
	struct zcp_region region = ZCP_REGION_NULL;
	struct zcp_backlog_shm *shm;
	int r;

	r = zcp_region_create(&region, fd, "zcp-backlog", size);
	if (r < 0)
		return r;
	shm = region.base;
	shm->n_entries = backlog->n_entries;
	if (backlog->n_entries > 0)
		memcpy(shm->entries, backlog->entries,
		       backlog->n_entries * sizeof(backlog->entries[0]));
	zcp_region_publish(&region, ZCP_REGION_BACKLOG, domain_id, 0);
	zcp_region_deinit(&region);
	return 0;
}

int zcp_backlog_import(struct zcp_backlog *backlog, int fd, uint64_t domain_id, const char **why)
{
	const struct zcp_region_expect expect = {
		.kind = ZCP_REGION_BACKLOG,
		.domain_id = domain_id,
		.min_size = sizeof(struct zcp_backlog_shm),
	};
	struct zcp_region region = ZCP_REGION_NULL;
	const struct zcp_backlog_shm *shm;
	uint32_t n;
	int r;

	r = zcp_region_attach(&region, fd, &expect, why);
	if (r < 0)
		return r;
	shm = region.base;
	n = shm->n_entries;
	*why = "the backlog has more messages than fit its region, or than there can be";
	r = -EPROTO;
	if (n <= ZCP_BACKLOG_ENTRIES_MAX &&
	    n <= (region.size - sizeof(*shm)) / sizeof(shm->entries[0])) {
		/* One more than needed, so that it is not empty. */
		backlog->entries = calloc(n + 1, sizeof(backlog->entries[0]));
		*why = "out of memory";
		r = backlog->entries ? 0 : -ENOMEM;
	}
	if (r == 0) {
		memcpy(backlog->entries, shm->entries, n * sizeof(shm->entries[0]));
		backlog->n_entries = n;
	}
	zcp_region_deinit(&region);
	return r;
}

void zcp_backlog_deinit(struct zcp_backlog *backlog)
{
	free(backlog->entries);
	*backlog = (struct zcp_backlog){ .n_entries = 0 };
}
