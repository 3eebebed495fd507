/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lane: the ring of slots from one publisher to one subscriber. The topic region holds
 * room for the largest capacity; the subscriber's own depth says how much of it is used.
 *
 * A slot is one 64-bit word:
 *   bits 63..32  seq      low 32 bits of the message's number
 *   bit  31      live     not taken yet
 *   bit  30      dropped  the message a lap before was pushed out of this slot
 *   bits 29..0   ref      size class 6, chunk index 24
 *
 * Message n goes to slot n mod capacity. Neighbouring numbers do not share a cache line:
 * slot i lies at line i mod (capacity/8), word i / (capacity/8).
 *
 * What a crash can leave: `dropped` set while the pushed-out chunk still has the
 * subscriber's bit. The runtime clears the bit; once more is harmless.
 */
#ifndef ZCP_LANE_SHM_H
#define ZCP_LANE_SHM_H

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>

#define ZCP_SLOT_SEQ_SHIFT 32
#define ZCP_SLOT_LIVE (UINT64_C(1) << 31)
#define ZCP_SLOT_DROPPED (UINT64_C(1) << 30)
#define ZCP_SLOT_REF_MASK (ZCP_SLOT_DROPPED - 1)

#define ZCP_REF_CLASS_SHIFT 24
#define ZCP_REF_INDEX_MASK ((UINT32_C(1) << ZCP_REF_CLASS_SHIFT) - 1)

/* Largest queue depth of a subscriber, as a power of two. */
#define ZCP_LANE_LOG2_MAX 16

struct zcp_lane_slot_shm {
	/*
	 * written by: the publisher (store where it is not live, else CAS); the subscriber
	 * takes the live bit off with a CAS; the runtime while one of the two is dead or has
	 * not joined yet
	 */
	_Atomic uint64_t word;
};

static_assert(sizeof(struct zcp_lane_slot_shm) == 8, "eight to a cache line");

#endif
