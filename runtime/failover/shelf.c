/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list and a hash table over it.
 */
#include "runtime/failover/shelf.h"

#include <stdlib.h>
#include <string.h>

#include "pubsub/util.h"

void zcpd_shelf_init(struct zcpd_shelf *shelf)
{
	TAILQ_INIT(&shelf->records);
	for (int i = 0; i < ZCPD_SHELF_BUCKETS; i++)
		LIST_INIT(&shelf->buckets[i]);
}

static void close_all(int *fds, uint32_t n_fds)
{
	for (uint32_t i = 0; i < n_fds; i++)
		zcp_close_fd(&fds[i]);
}

static void free_record(struct zcpd_shelf *shelf, struct zcpd_shelf_record *record)
{
	TAILQ_REMOVE(&shelf->records, record, link);
	LIST_REMOVE(record, bucket);
	close_all(record->fds, record->n_fds);
	free(record->bytes);
	free(record);
}

void zcpd_shelf_deinit(struct zcpd_shelf *shelf)
{
	while (!TAILQ_EMPTY(&shelf->records))
		free_record(shelf, TAILQ_FIRST(&shelf->records));
}

/* Ids are counted up, whatever their kind. */
static struct zcpd_shelf_bucket *bucket_of(struct zcpd_shelf *shelf, uint64_t id)
{
	return &shelf->buckets[id % ZCPD_SHELF_BUCKETS];
}

struct zcpd_shelf_record *zcpd_shelf_find(struct zcpd_shelf *shelf, uint32_t kind, uint64_t id)
{
	struct zcpd_shelf_record *record;

	LIST_FOREACH(record, bucket_of(shelf, id), bucket)
		if (record->kind == kind && record->id == id)
			return record;
	return NULL;
}

static struct zcpd_shelf_record *add(struct zcpd_shelf *shelf, uint32_t kind, uint64_t id)
{
	struct zcpd_shelf_record *record = calloc(1, sizeof(*record));

	if (!record)
		return NULL;
	record->kind = kind;
	record->id = id;
	TAILQ_INSERT_TAIL(&shelf->records, record, link);
	LIST_INSERT_HEAD(bucket_of(shelf, id), record, bucket);
	return record;
}

int zcpd_shelf_keep(struct zcpd_shelf *shelf, uint32_t kind, uint64_t id, const char *bytes,
		    size_t size, int *fds, uint32_t n_fds)
{
	struct zcpd_shelf_record *record = zcpd_shelf_find(shelf, kind, id);
	char *copy = n_fds <= ZCPD_KEEP_FDS_MAX ? malloc(size + 1) : NULL;

	if (copy && !record)
		record = add(shelf, kind, id);
	if (!copy || !record) {
		free(copy);
		close_all(fds, n_fds);
		return -ENOMEM;
	}
	memcpy(copy, bytes, size);
	free(record->bytes);
	close_all(record->fds, record->n_fds);
	record->bytes = copy;
	record->size = size;
	if (n_fds > 0)
		memcpy(record->fds, fds, n_fds * sizeof(fds[0]));
	record->n_fds = n_fds;
	return 0;
}

void zcpd_shelf_drop(struct zcpd_shelf *shelf, uint32_t kind, uint64_t id)
{
	struct zcpd_shelf_record *record = zcpd_shelf_find(shelf, kind, id);

	if (record)
		free_record(shelf, record);
}
