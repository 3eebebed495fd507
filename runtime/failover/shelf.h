/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper's records: bytes and descriptors by key, in the order in which they came.
 */
#ifndef ZCPD_FAILOVER_SHELF_H
#define ZCPD_FAILOVER_SHELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "runtime/failover/keep.h"

#define ZCPD_SHELF_BUCKETS 1024

struct zcpd_shelf_record {
	uint32_t kind;
	uint64_t id;
	char *bytes;
	size_t size;
	int fds[ZCPD_KEEP_FDS_MAX];
	uint32_t n_fds;
	/* for a caller that goes through all records */
	bool is_seen;
	TAILQ_ENTRY(zcpd_shelf_record) link;
	LIST_ENTRY(zcpd_shelf_record) bucket;
};

struct zcpd_shelf {
	TAILQ_HEAD(zcpd_shelf_records, zcpd_shelf_record) records;
	LIST_HEAD(zcpd_shelf_bucket, zcpd_shelf_record) buckets[ZCPD_SHELF_BUCKETS];
};

void zcpd_shelf_init(struct zcpd_shelf *shelf);
void zcpd_shelf_deinit(struct zcpd_shelf *shelf);

/*
 * Keeps a record in place of the one with its key, or behind all others. The bytes are copied,
 * the descriptors are consumed. Returns 0 or -ENOMEM; the record before is there then.
 */
__attribute__((warn_unused_result)) int zcpd_shelf_keep(struct zcpd_shelf *shelf, uint32_t kind,
							uint64_t id, const char *bytes, size_t size,
							int *fds, uint32_t n_fds);

/* NULL: there is none. */
struct zcpd_shelf_record *zcpd_shelf_find(struct zcpd_shelf *shelf, uint32_t kind, uint64_t id);

/* Closes the record's descriptors. One that is not there is none. */
void zcpd_shelf_drop(struct zcpd_shelf *shelf, uint32_t kind, uint64_t id);

#endif
