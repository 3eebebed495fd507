/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chunk's descriptor, in the management region. Subscribers never need it: a slot of a lane
 * holds the whole description of a message.
 *
 *   0    state             4   owner:16, flags:16; 0: FREE
 *   4    next              4   the owner's: its lists of chunks are threaded through it
 *   8    seq               8   number of the message in it; 0: it has none
 *   16   size              8   payload, bytes
 *   24   publish_time_ns   8
 *   32   publisher_id      8
 *   40   user_header_size  4
 *   44   n_claims          4
 *   48   reserved         16
 *
 * A publisher owns its chunks from the claim until it stores FREE: the ones on loan to it, the
 * ones whose message a subscriber may still read, its history, and its spare ones (seq 0). The
 * owner number belongs to the publisher's slot in the topic, and so do the chunks: the next
 * publisher of the slot has them.
 *
 * What a crash can leave: LOANED with a dead owner. seq 0: a loan, which the runtime frees. seq
 * equal to the slot's next_seq, inside `op`: a publish, which the runtime finishes. seq below
 * next_seq: published, or a loan of a chunk whose old number was still there; the runtime takes
 * LOANED off. FREE implies seq 0.
 */
#ifndef ZCP_CHUNK_SHM_H
#define ZCP_CHUNK_SHM_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Flags of `state`. */
#define ZCP_CHUNK_LOANED UINT32_C(0x1) /* the owner writes it */
#define ZCP_CHUNK_FLAGS UINT32_C(0xffff)
#define ZCP_CHUNK_OWNER_SHIFT 16
#define ZCP_CHUNK_FREE UINT32_C(0)

/* Owner numbers: 0 is none, and the last one is the runtime, while it gives memory back. */
#define ZCP_OWNERS 65536
#define ZCP_OWNER_RUNTIME (ZCP_OWNERS - 1)

struct zcp_chunk_shm {
	/*
	 * written by: the process that claims it (CAS from FREE); then the owner alone, or the
	 * runtime for an owner whose publisher is gone. Read by: the runtime; claimants look
	 */
	_Atomic uint32_t state;
	/* written and read as `seq` */
	_Atomic uint32_t next;
	/* written by: the owner, or the runtime, as above. Read by: the runtime, the next owner */
	_Atomic uint64_t seq;
	/* what a late joiner, `zcp info` and the audit need; written before `seq` */
	_Atomic uint64_t size;
	_Atomic uint64_t publish_time_ns;
	_Atomic uint64_t publisher_id;
	_Atomic uint32_t user_header_size;
	/* grows with each claim from FREE, so that the runtime knows that it was used meanwhile */
	_Atomic uint32_t n_claims;
	uint64_t reserved[2];
};

static_assert(sizeof(struct zcp_chunk_shm) == 64, "one cache line");
static_assert(offsetof(struct zcp_chunk_shm, state) == 0, "layout");
static_assert(offsetof(struct zcp_chunk_shm, next) == 4, "layout");
static_assert(offsetof(struct zcp_chunk_shm, seq) == 8, "layout");
static_assert(offsetof(struct zcp_chunk_shm, size) == 16, "layout");
static_assert(offsetof(struct zcp_chunk_shm, publish_time_ns) == 24, "layout");
static_assert(offsetof(struct zcp_chunk_shm, publisher_id) == 32, "layout");
static_assert(offsetof(struct zcp_chunk_shm, user_header_size) == 40, "layout");
static_assert(offsetof(struct zcp_chunk_shm, n_claims) == 44, "layout");

#endif
