/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chunk: its 64-byte descriptor in the management region, and in the data region the
 * 64-byte header that stands directly before the payload.
 *
 * Descriptor
 *   0    state          8   generation:32, owner:16, flags:16
 *   8    seq            8   the publisher's number of the message; 0: none yet
 *   16   holders       32   one bit for each subscriber of the pool
 *   48   reserved      16
 *
 * A chunk is free when no flag is set and no holder is left.
 *
 * What a crash can leave: LOANED with a dead owner, with or without holders (the runtime
 * finishes or undoes the publish); RETAINED with a dead owner (the runtime clears it, or
 * takes the chunk over where the topic keeps its history), on one chunk more than the
 * publisher's history is long; holders' bits of a dead subscriber (the runtime clears them);
 * PINNED by a dead runtime (the next one clears it). Nothing else, since every other step is
 * one atomic operation.
 *
 * Header
 *   0    seq               8
 *   8    publish_time_ns   8   CLOCK_MONOTONIC, 0 if the topic does not want it
 *   16   payload_size      8   bytes
 *   24   publisher_id      8
 *   32   user_header_size  4   bytes that stand before this header: they begin at a line of
 *                              their own, round_up(user_header_size, 64) before it
 *   36   reserved         28
 */
#ifndef ZCP_CHUNK_SHM_H
#define ZCP_CHUNK_SHM_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Flags of `state`. */
#define ZCP_CHUNK_LOANED UINT64_C(0x1)   /* the owner writes it */
#define ZCP_CHUNK_RETAINED UINT64_C(0x2) /* it is history */
#define ZCP_CHUNK_PINNED UINT64_C(0x4)   /* the runtime looks at it for a late join */
#define ZCP_CHUNK_FLAGS UINT64_C(0xffff)

#define ZCP_CHUNK_OWNER_SHIFT 16
#define ZCP_CHUNK_GENERATION_SHIFT 32

/* Subscribers that can share a pool: bits of `holders`. */
#define ZCP_HOLDERS_MAX 256
#define ZCP_HOLDER_WORDS 4

struct zcp_chunk_shm {
	/*
	 * written by: whoever claims the chunk (CAS); then its owner; the runtime for a dead
	 * owner, whose pidfd has spoken. Of a RETAINED one the owner clears RETAINED, the
	 * runtime sets (CAS) and clears PINNED, both with fetch_and
	 */
	_Atomic uint64_t state;
	/* written by: the owner while LOANED */
	_Atomic uint64_t seq;
	/*
	 * written by: the owner while LOANED; afterwards each subscriber clears its own bit
	 * and the runtime a dead one's, each with one fetch_and, which is harmless twice
	 */
	_Atomic uint64_t holders[ZCP_HOLDER_WORDS];
	uint64_t reserved[2];
};

static_assert(sizeof(struct zcp_chunk_shm) == 64, "one cache line");
static_assert(offsetof(struct zcp_chunk_shm, state) == 0, "layout");
static_assert(offsetof(struct zcp_chunk_shm, seq) == 8, "layout");
static_assert(offsetof(struct zcp_chunk_shm, holders) == 16, "layout");

/* Relaxed atomics, because a peer that lies may change them while they are read. */
struct zcp_chunk_header_shm {
	/* written by: the owner while LOANED; read by: holders */
	_Atomic uint64_t seq;
	_Atomic uint64_t publish_time_ns;
	_Atomic uint64_t payload_size;
	_Atomic uint64_t publisher_id;
	_Atomic uint32_t user_header_size;
	uint32_t reserved[7];
};

static_assert(sizeof(struct zcp_chunk_header_shm) == 64, "one cache line");
static_assert(offsetof(struct zcp_chunk_header_shm, seq) == 0, "layout");
static_assert(offsetof(struct zcp_chunk_header_shm, publish_time_ns) == 8, "layout");
static_assert(offsetof(struct zcp_chunk_header_shm, payload_size) == 16, "layout");
static_assert(offsetof(struct zcp_chunk_header_shm, publisher_id) == 24, "layout");
static_assert(offsetof(struct zcp_chunk_header_shm, user_header_size) == 32, "layout");

#endif
