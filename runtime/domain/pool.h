/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool as the runtime keeps it: the regions of its size classes, and which owner numbers are
 * given away. A topic has a pool of its own, or shares one that the
 * configuration names.
 */
#ifndef ZCPD_DOMAIN_POOL_H
#define ZCPD_DOMAIN_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pubsub/layout/directory_shm.h"
#include "pubsub/shm/pool.h"
#include "pubsub/wire/message.h"
#include "runtime/config/config.h"

#define ZCPD_OWNERS ZCP_OWNERS

/* One size class: descriptors for processes that write, and for those that only read. */
struct zcpd_class {
	int chunks_fd;
	int data_fd;
	int chunks_readonly_fd;
	int data_readonly_fd;
};

struct zcpd_trim_pool;

struct zcpd_pool {
	/* what is kept of it, and where */
	struct zcp_pool_entry_shm entry;
	uint32_t place;
	uint64_t domain_id;
	struct zcpd_class classes[ZCP_CLASSES_MAX];
	/* the tables of descriptors; the chunks themselves are not mapped here */
	struct zcp_pool view;
	uint64_t owners[ZCPD_OWNERS / 64];
	uint32_t n_topics;
	/* see trim_pool.h; NULL: none of its memory was to be given back yet */
	struct zcpd_trim_pool *trim;
	LIST_ENTRY(zcpd_pool) link;
};

/* Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int zcpd_pool_new(struct zcpd_pool **pool, uint64_t id,
						      uint64_t domain_id, const char *name,
						      bool automatic);
struct zcpd_pool *zcpd_pool_free(struct zcpd_pool *pool);

/*
 * Adds a size class. Returns 0; -ENOSPC where the pool has all classes it can have; -EINVAL
 * where it does not fit an address space; as zcp_region_create_with() and
 * zcp_region_settle().
 */
__attribute__((warn_unused_result)) int
zcpd_pool_add_class(struct zcpd_pool *pool, uint64_t payload_size, uint32_t n_chunks);

/*
 * The next size class from its regions (consumed). Returns 0, or what mapping them gives.
 */
__attribute__((warn_unused_result)) int zcpd_pool_restore_class(struct zcpd_pool *pool,
								uint64_t payload_size,
								uint32_t n_chunks, int fds[2]);

/* What a class takes when it is full, with its descriptors, bytes; 0 where it cannot be. */
uint64_t zcpd_pool_class_size(const struct zcpd_pool *pool, uint64_t payload_size,
			      uint32_t n_chunks);

/* Adds all classes of a configured pool, with memory of a kind (ZCP_MEMORY_*); or none. */
__attribute__((warn_unused_result)) int
zcpd_pool_add_configured(struct zcpd_pool *pool, const struct zcpd_pool_config *config,
			 uint32_t memory);

/* What all classes of a configured pool take when they are full. */
struct zcpd_pool_sizes {
	uint64_t descriptors; /* bytes */
	uint64_t chunks;      /* bytes */
	uint64_t huge_pages;  /* instead of the chunks' bytes */
};

/* Returns 0, or -EINVAL where a class does not fit an address space. */
__attribute__((warn_unused_result)) int zcpd_pool_sizes(const struct zcpd_pool *pool,
							const struct zcpd_pool_config *config,
							struct zcpd_pool_sizes *sizes);

/* What its chunks lie in, for people: "2 MiB huge pages". */
void zcpd_pool_pages(const struct zcpd_pool *pool, char *text, size_t text_size);

/* The largest payload, bytes; 0 without a class. */
uint64_t zcpd_pool_max_payload(const struct zcpd_pool *pool);

/*
 * What is to be sent to an endpoint: two descriptors for each class from `first` on,
 * borrowed. `fds` has room for 2 * ZCP_CLASSES_MAX. Returns how many.
 */
uint32_t zcpd_pool_fds(const struct zcpd_pool *pool, uint32_t first, bool writable, int *fds);

/* The smallest size class for payloads of that size; -ENOENT where there is none. */
__attribute__((warn_unused_result)) int zcpd_pool_class_for(const struct zcpd_pool *pool,
							    uint64_t payload_size);

/* An owner number from 1 up that no publisher slot has; -EUSERS where all are taken. */
__attribute__((warn_unused_result)) int zcpd_pool_take_owner(struct zcpd_pool *pool);
void zcpd_pool_give_owner(struct zcpd_pool *pool, uint32_t owner);

/*
 * Frees chunks of owners that no publisher slot has: of publishers that are dead and whose topics
 * no node has handed back, and of a runtime that died while it gave memory back. Returns how many.
 */
uint32_t zcpd_pool_free_strangers(struct zcpd_pool *pool);

/* Frees all chunks of an owner. */
void zcpd_pool_free_owner(struct zcpd_pool *pool, uint32_t owner);

/* How many chunks of a class each owner has; `counts` has room for ZCP_OWNERS. */
void zcpd_pool_count_owned(const struct zcpd_pool *pool, uint32_t class_index, uint32_t *counts);

/* One that a worker before us has given. */
void zcpd_pool_keep_owner(struct zcpd_pool *pool, uint32_t owner);

#endif
