/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One size class of a pool: two regions, so that a pool can grow by a class while it is in use
 * and subscribers can be given both read-only.
 *
 * Management region (ZCP_REGION_CHUNKS)
 *   0    region header    64
 *   64   geometry         64   checked at attach, never read again
 *   128  use              64   how far up chunks were used, and how often one became FREE
 *   192  descriptors      64 × n_chunks   chunk_shm.h
 *
 * Data region (ZCP_REGION_DATA)
 *   0    region header    64
 *   ...  chunks           stride × n_chunks, from 4096 on, each: room for a user header, payload
 *
 * region_id of both: pool id << 8 | class index.
 *
 * What a crash can leave: an n_touched that is one too high (the chunk was not claimed after
 * all), an n_freed that does not count the last chunk that became FREE (a claimant that has
 * looked below finds it after the next one; the runtime counts one for each publisher that dies).
 */
#ifndef ZCP_CLASS_SHM_H
#define ZCP_CLASS_SHM_H

#include "pubsub/layout/chunk_shm.h"
#include "pubsub/layout/region_shm.h"

/* Size classes of a pool, and chunks of a class: what a ref can name. */
#define ZCP_CLASSES_MAX 64
#define ZCP_CLASS_CHUNKS_MAX ((UINT32_C(1) << 24) - 1)

#define ZCP_CLASS_DATA_OFFSET 4096

/* Of payloads, bytes; a power of two. A mapping begins at a page, and no better. */
#define ZCP_ALIGNMENT_MIN 64
#define ZCP_ALIGNMENT_MAX 4096

/* Largest user header, bytes. */
#define ZCP_USER_HEADER_MAX 4096

struct zcp_class_shm {
	struct zcp_region_shm region;
	/* written by: the creator; read by: everyone, once, at attach */
	uint32_t class_index;
	uint32_t n_chunks;
	/* largest payload of a chunk, bytes */
	uint64_t payload_size;
	/* from one chunk to the next in the data region, bytes */
	uint64_t stride;
	/* of the first chunk's payload in the data region, bytes; its user header is right before */
	uint64_t payload_offset;
	/* of every payload, bytes */
	uint32_t alignment;
	/* before every payload, bytes; a multiple of 64 */
	uint32_t header_room;
	uint32_t reserved[6];
	/*
	 * written by: publishers that claim and free chunks, and the runtime, each by an atomic
	 * operation that is harmless when repeated. Read by: the same, when they look for a FREE
	 * chunk; never on the way of a usual loan
	 */
	/* one more than the highest index that was ever claimed; only grows, before the claim */
	_Atomic uint32_t n_touched;
	/* grows with each chunk that becomes FREE, after it */
	_Atomic uint32_t n_freed;
	/* not 0: the runtime wants to be told of the next chunk that becomes FREE; taken by exchange */
	_Atomic uint32_t wants_freed;
	uint32_t reserved_use[13];
	struct zcp_chunk_shm chunks[];
};

static_assert(sizeof(struct zcp_class_shm) == 192, "three cache lines before the descriptors");
static_assert(offsetof(struct zcp_class_shm, class_index) == 64, "layout");
static_assert(offsetof(struct zcp_class_shm, n_chunks) == 68, "layout");
static_assert(offsetof(struct zcp_class_shm, payload_size) == 72, "layout");
static_assert(offsetof(struct zcp_class_shm, stride) == 80, "layout");
static_assert(offsetof(struct zcp_class_shm, payload_offset) == 88, "layout");
static_assert(offsetof(struct zcp_class_shm, alignment) == 96, "layout");
static_assert(offsetof(struct zcp_class_shm, header_room) == 100, "layout");
static_assert(offsetof(struct zcp_class_shm, n_touched) == 128, "layout");
static_assert(offsetof(struct zcp_class_shm, n_freed) == 132, "layout");
static_assert(offsetof(struct zcp_class_shm, wants_freed) == 136, "layout");
static_assert(offsetof(struct zcp_class_shm, chunks) == 192, "layout");

#endif
