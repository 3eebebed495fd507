/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool as one process sees it: the size classes it has mapped, and what can be done with
 * a ref. Claiming a free chunk is in claim.h.
 */
#ifndef ZCP_SHM_POOL_H
#define ZCP_SHM_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pubsub/shm/class_shm.h"
#include "pubsub/shm/lane_shm.h"
#include "pubsub/shm/prefetch.h"
#include "pubsub/shm/region.h"

/* One size class; `chunks` is NULL where the class is not mapped. */
struct zcp_class {
	struct zcp_chunk_shm *chunks;
	/* the first chunk's payload */
	char *payloads;
	uint64_t payload_size;
	uint64_t stride;
	uint32_t n_chunks;
	/* for a user header before each chunk header, bytes */
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

/* A chunk that a ref names, found and checked. */
struct zcp_chunk {
	struct zcp_chunk_shm *descriptor;
	struct zcp_chunk_header_shm *header;
	void *payload;
	uint64_t payload_size;
	uint32_t header_room;
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

static inline struct zcp_chunk_header_shm *zcp_class_header(const struct zcp_class *class,
							    uint32_t index)
{
	char *payload = class->payloads + (uint64_t)index * class->stride;

	return (struct zcp_chunk_header_shm *)(void *)payload - 1;
}

/* What a user header takes up before the chunk header, bytes: it begins at a line of its own. */
static inline uint32_t zcp_user_header_room(uint32_t size)
{
	return (size + 63) & ~UINT32_C(63);
}

/*
 * Finds the chunk that `ref` names; false where this process has no such chunk. Every ref
 * that comes out of shared memory goes through here.
 */
static inline bool zcp_pool_chunk(const struct zcp_pool *pool, uint32_t ref,
				  struct zcp_chunk *chunk)
{
	const struct zcp_class *class;
	uint32_t index = zcp_ref_index(ref);

	if (zcp_ref_class(ref) >= ZCP_CLASSES_MAX)
		return false;
	class = &pool->classes[zcp_ref_class(ref)];
	if (index >= class->n_chunks)
		return false;
	chunk->descriptor = &class->chunks[index];
	chunk->header = zcp_class_header(class, index);
	chunk->payload = chunk->header + 1;
	chunk->payload_size = class->payload_size;
	chunk->header_room = class->header_room;
	return true;
}

/* A chunk's user header of `size` bytes; NULL where that is 0. */
static inline void *zcp_chunk_user_header(const struct zcp_chunk *chunk, uint32_t size)
{
	return size ? (char *)chunk->header - zcp_user_header_room(size) : NULL;
}

/* When a chunk's message was published; 0 where there is no such chunk here. */
static inline uint64_t zcp_pool_publish_time(const struct zcp_pool *pool, uint32_t ref)
{
	struct zcp_chunk chunk;

	if (!zcp_pool_chunk(pool, ref, &chunk))
		return 0;
	/* Relaxed: whoever asks has the ref by an acquire; a take finds out if it changes. */
	return atomic_load_explicit(&chunk.header->publish_time_ns, memory_order_relaxed);
}

/* Whether the size class that `ref` names is mapped here. */
static inline bool zcp_pool_has_class(const struct zcp_pool *pool, uint32_t ref)
{
	return zcp_ref_class(ref) < ZCP_CLASSES_MAX && pool->classes[zcp_ref_class(ref)].chunks;
}

/*
 * Brings a chunk's descriptor (for writing), its header, and first and last line of a
 * payload of `size` bytes into the cache.
 */
static inline void zcp_pool_prefetch(const struct zcp_pool *pool, uint32_t ref, uint64_t size)
{
	struct zcp_chunk chunk;

	if (!pool || !zcp_pool_chunk(pool, ref, &chunk))
		return;
	zcp_prefetch_read(chunk.header);
	zcp_prefetch_read(chunk.payload);
	zcp_prefetch_write(chunk.descriptor);
	if (size > sizeof(*chunk.header) && size <= chunk.payload_size)
		zcp_prefetch_read((const char *)chunk.payload + size - 1);
}

/* Clears one holder's bit; the last one frees the chunk. Wait-free; harmless twice. */
static inline void zcp_chunk_release(struct zcp_chunk_shm *chunk, uint32_t holder)
{
	/*
	 * CHUNK-R2 pairs with CHUNK-A2 in zcp_chunk_has_holders(): the holder's reads are over
	 * before anybody writes the chunk again.
	 */
	(void)atomic_fetch_and_explicit(&chunk->holders[holder / 64],
					~(UINT64_C(1) << (holder % 64)), memory_order_release);
}

static inline bool zcp_chunk_has_holder(const struct zcp_chunk_shm *chunk, uint32_t holder)
{
	/* Relaxed: whoever asks has been given the chunk by an acquire, or only counts. */
	return atomic_load_explicit(&chunk->holders[holder / 64], memory_order_relaxed) >>
		       (holder % 64) &
	       1;
}

static inline bool zcp_chunk_has_holders(const struct zcp_chunk_shm *chunk)
{
	uint64_t any = 0;

	/* CHUNK-A2 pairs with CHUNK-R2 in zcp_chunk_release(), the last holder's. */
	for (int i = 0; i < ZCP_HOLDER_WORDS; i++)
		any |= atomic_load_explicit(&chunk->holders[i], memory_order_acquire);
	return any != 0;
}

static inline uint32_t zcp_state_owner(uint64_t state)
{
	return (uint32_t)(state >> ZCP_CHUNK_OWNER_SHIFT) & 0xffff;
}

static inline uint32_t zcp_state_generation(uint64_t state)
{
	return (uint32_t)(state >> ZCP_CHUNK_GENERATION_SHIFT);
}

static inline uint64_t zcp_state(uint32_t generation, uint32_t owner, uint64_t flags)
{
	return (uint64_t)generation << ZCP_CHUNK_GENERATION_SHIFT |
	       (uint64_t)owner << ZCP_CHUNK_OWNER_SHIFT | flags;
}

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
 * Maps a class of the pool from its two descriptors (borrowed). The chunks themselves are
 * mapped read-only unless `writable`.
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
