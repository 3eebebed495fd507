/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool as one process sees it: the size classes it has mapped, what can be done with a ref,
 * and how a chunk becomes FREE and is claimed. Which chunk a publisher takes is in flow/chunks.h.
 */
#ifndef ZCP_SHM_POOL_H
#define ZCP_SHM_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pubsub/layout/class_shm.h"
#include "pubsub/layout/lane_shm.h"
#include "pubsub/shm/prefetch.h"
#include "pubsub/shm/region.h"

/* One size class; `chunks` is NULL where the class is not mapped. */
struct zcp_class {
	/* read-only where the data is */
	struct zcp_class_shm *shm;
	struct zcp_chunk_shm *chunks;
	/* the first chunk's payload */
	char *payloads;
	uint64_t payload_size;
	uint64_t stride;
	uint32_t n_chunks;
	/* for a user header before each payload, bytes */
	uint32_t header_room;
	struct zcp_region chunks_region;
	struct zcp_region data_region;
};

struct zcp_pool {
	struct zcp_class classes[ZCP_CLASSES_MAX];
	uint32_t n_classes;
};

/* What a class is made from. */
struct zcp_class_geometry {
	uint64_t payload_size;
	uint32_t n_chunks;
	uint32_t class_index;
	/* of the payloads; 0: ZCP_ALIGNMENT_MIN */
	uint32_t alignment;
	/* largest user header, bytes */
	uint32_t user_header_size;
};

static inline uint32_t zcp_ref(uint32_t class_index, uint32_t chunk)
{
	return class_index << ZCP_REF_CLASS_SHIFT | chunk;
}

static inline uint32_t zcp_ref_class(uint32_t ref)
{
	return ref >> ZCP_REF_CLASS_SHIFT;
}

static inline uint32_t zcp_ref_index(uint32_t ref)
{
	return ref & ZCP_REF_INDEX_MASK;
}

/* What a user header takes up before the payload, bytes: it begins at a line of its own. */
static inline uint32_t zcp_user_header_room(uint32_t size)
{
	return (size + 63) & ~UINT32_C(63);
}

/*
 * The class of the chunk that `ref` names; NULL where this process has no such chunk. Every ref
 * that comes out of shared memory goes through here.
 */
static inline const struct zcp_class *zcp_pool_class(const struct zcp_pool *pool, uint32_t ref)
{
	const struct zcp_class *class;

	if (zcp_ref_class(ref) >= ZCP_CLASSES_MAX)
		return NULL;
	class = &pool->classes[zcp_ref_class(ref)];
	return zcp_ref_index(ref) < class->n_chunks ? class : NULL;
}

/* The descriptor that `ref` names; NULL where this process has no such chunk. */
static inline struct zcp_chunk_shm *zcp_pool_descriptor(const struct zcp_pool *pool, uint32_t ref)
{
	const struct zcp_class *class = zcp_pool_class(pool, ref);

	return class ? &class->chunks[zcp_ref_index(ref)] : NULL;
}

static inline char *zcp_class_payload(const struct zcp_class *class, uint32_t index)
{
	return class->payloads + (uint64_t)index * class->stride;
}

/* The user header of `size` bytes before a payload; NULL where that is 0. */
static inline void *zcp_user_header(void *payload, uint32_t size)
{
	return size ? (char *)payload - zcp_user_header_room(size) : NULL;
}

/* Whether the size class that `ref` names is mapped here. */
static inline bool zcp_pool_has_class(const struct zcp_pool *pool, uint32_t ref)
{
	return zcp_ref_class(ref) < ZCP_CLASSES_MAX && pool->classes[zcp_ref_class(ref)].chunks;
}

/* Brings the first line of the payload that `ref` names into the cache, for reading. */
static inline void zcp_pool_prefetch(const struct zcp_pool *pool, uint32_t ref)
{
	const struct zcp_class *class = zcp_pool_class(pool, ref);

	if (class)
		zcp_prefetch_read(zcp_class_payload(class, zcp_ref_index(ref)));
}

static inline uint32_t zcp_chunk_state(uint32_t owner, uint32_t flags)
{
	return owner << ZCP_CHUNK_OWNER_SHIFT | flags;
}

static inline uint32_t zcp_chunk_owner(uint32_t state)
{
	return state >> ZCP_CHUNK_OWNER_SHIFT;
}

/*
 * Claims the chunk if it is FREE: it is LOANED to `owner` then. The caller says before that it
 * touches it: zcp_class_touch(). Wait-free.
 */
static inline bool zcp_chunk_claim(struct zcp_chunk_shm *chunk, uint32_t owner)
{
	uint32_t state = atomic_load_explicit(&chunk->state, memory_order_relaxed);

	if (state != ZCP_CHUNK_FREE)
		return false;
	/*
	 * CHUNK-A1 pairs with CHUNK-R1 in zcp_chunk_free(): every read of the former message is
	 * over, as the one that stored FREE had found.
	 */
	if (!atomic_compare_exchange_strong_explicit(&chunk->state, &state,
						     zcp_chunk_state(owner, ZCP_CHUNK_LOANED),
						     memory_order_acquire, memory_order_relaxed))
		return false;
	/* Relaxed: ours alone by now. */
	atomic_store_explicit(&chunk->n_claims,
			      atomic_load_explicit(&chunk->n_claims, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	return true;
}

/* One more than the highest index that was ever claimed, whatever the region says. */
static inline uint32_t zcp_class_n_touched(const struct zcp_class *class)
{
	/* Relaxed: a bound; a claim that it does not count yet is not older than the look. */
	uint32_t n = atomic_load_explicit(&class->shm->n_touched, memory_order_relaxed);

	return n < class->n_chunks ? n : class->n_chunks;
}

/* Before a claim of this index. Lock-free. */
void zcp_class_touch(const struct zcp_class *class, uint32_t index);

/*
 * The owner, or the runtime in its name: the chunk has no message that a subscriber may still
 * have, and is FREE from here on. The caller counts it with zcp_class_count_freed(). Wait-free.
 */
void zcp_chunk_free(struct zcp_chunk_shm *chunk);

/*
 * After chunks of the class became FREE: claimants look below again. Returns whether the runtime
 * wants to be told, once. Wait-free; one locked instruction.
 */
bool zcp_class_count_freed(const struct zcp_class *class);

/* From one chunk to the next. */
uint64_t zcp_class_stride(const struct zcp_class_geometry *geometry);

/*
 * Bytes of the two regions of a class; -EINVAL where they would not fit an address space, or
 * the geometry is impossible.
 */
__attribute__((warn_unused_result)) int zcp_class_sizes(const struct zcp_class_geometry *geometry,
							size_t *chunks_size, size_t *data_size);

/* Fills in the two regions, both mapped for writing and zero, and publishes them. */
void zcp_class_construct(struct zcp_region *chunks, struct zcp_region *data,
			 const struct zcp_class_geometry *geometry, uint64_t domain_id,
			 uint64_t pool_id);

/*
 * Maps a class of the pool from its two descriptors (borrowed), read-only unless `writable`.
 * Returns 0 also where the class is mapped already; -EPROTO with *why, or as
 * zcp_region_attach() and zcp_region_settle().
 */
__attribute__((warn_unused_result)) int zcp_pool_attach(struct zcp_pool *pool, int chunks_fd,
							int data_fd, uint64_t domain_id,
							bool writable, const char **why);

/*
 * The same for reading, to see whether it is one: memory that is to be taken or locked is not.
 * Errors as zcp_region_attach().
 */
__attribute__((warn_unused_result)) int zcp_pool_check(struct zcp_pool *pool, int chunks_fd,
						       int data_fd, uint64_t domain_id,
						       const char **why);

void zcp_pool_deinit(struct zcp_pool *pool);

#endif
