/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lane: the queue from one publisher slot to one subscriber slot. It has two parts. The line
 * and the slots below lie in the topic region, which subscribers map read-only; what the
 * subscriber says about the lane lies in the acks region (acks_shm.h).
 *
 *   0    base, end          64   where the lane begins and ends
 *   64   slots              64 × capacity
 *
 * Message n of the publisher slot goes to slot n mod capacity. The topic region holds room for
 * the largest capacity; the subscriber's own depth says how much of it is used. A slot is a
 * cache line and holds the whole description of a message, so that a subscriber reads two
 * things: the slot and the payload.
 *
 * The word of a slot: bits 63..32 are the low 32 bits of the message's number, bits 31..0 are
 * the chunk's ref: size class 8, index 24.
 *
 * What a crash can leave: a slot whose description is new and whose word is old (the publisher
 * died between the two, after `tail` had passed the old message; the runtime pushes the message
 * again or the next publisher overwrites it), a base of 0 (the publisher died before it saw the
 * subscriber; the runtime sets it).
 */
#ifndef ZCP_LANE_SHM_H
#define ZCP_LANE_SHM_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define ZCP_SLOT_SEQ_SHIFT 32
#define ZCP_SLOT_REF_MASK UINT64_C(0xffffffff)

#define ZCP_REF_CLASS_SHIFT 24
#define ZCP_REF_INDEX_MASK ((UINT32_C(1) << ZCP_REF_CLASS_SHIFT) - 1)
/* Names no chunk: a class that there cannot be. */
#define ZCP_REF_NONE UINT32_MAX

/* Largest queue depth of a subscriber, as a power of two. */
#define ZCP_LANE_LOG2_MAX 16

struct zcp_lane_slot_shm {
	/*
	 * written by: the publisher, or the runtime once it is dead, after `tail` has passed the
	 * slot's former message; `word` last. Read by: the subscriber; the runtime, when it
	 * recovers a publisher, and for the audit
	 */
	_Atomic uint64_t word;
	/* payload, bytes */
	_Atomic uint64_t size;
	/* CLOCK_MONOTONIC; 0 if the topic does not want it */
	_Atomic uint64_t publish_time_ns;
	_Atomic uint64_t publisher_id;
	_Atomic uint32_t user_header_size;
	/* the ref that the publisher will most likely use next; ZCP_REF_NONE: it does not know */
	_Atomic uint32_t next_ref;
	uint64_t reserved[3];
};

static_assert(sizeof(struct zcp_lane_slot_shm) == 64, "one cache line");
static_assert(offsetof(struct zcp_lane_slot_shm, word) == 0, "layout");
static_assert(offsetof(struct zcp_lane_slot_shm, size) == 8, "layout");
static_assert(offsetof(struct zcp_lane_slot_shm, publish_time_ns) == 16, "layout");
static_assert(offsetof(struct zcp_lane_slot_shm, publisher_id) == 24, "layout");
static_assert(offsetof(struct zcp_lane_slot_shm, user_header_size) == 32, "layout");
static_assert(offsetof(struct zcp_lane_slot_shm, next_ref) == 36, "layout");

struct zcp_lane_shm {
	/*
	 * The number from which on every message is sent through this lane; 0: not settled yet.
	 * written by: the publisher when it first sees the subscriber inside `op`, or the runtime,
	 * whichever comes first: one CAS from 0. Reset to 0 by the runtime while none pushes.
	 * Read by: the subscriber, the publisher, the runtime
	 */
	_Atomic uint64_t base;
	/*
	 * The number before which pushes to a subscriber ended that is present and no longer
	 * active; 0: they have not ended. Written, read and reset as `base`; the subscriber does
	 * not read it
	 */
	_Atomic uint64_t end;
	/*
	 * Messages before `base` that were promised at most: of what the subscriber asked for as many
	 * as the publisher slot kept when it joined, whatever its next publishers keep. written by:
	 * the runtime, before the subscriber is active. Read by: the publisher, the runtime
	 */
	_Atomic uint32_t history;
	uint32_t reserved_history;
	uint64_t reserved[5];
	struct zcp_lane_slot_shm slots[];
};

static_assert(sizeof(struct zcp_lane_shm) == 64, "one cache line before the slots");
static_assert(offsetof(struct zcp_lane_shm, base) == 0, "layout");
static_assert(offsetof(struct zcp_lane_shm, end) == 8, "layout");
static_assert(offsetof(struct zcp_lane_shm, history) == 16, "layout");
static_assert(offsetof(struct zcp_lane_shm, slots) == 64, "layout");

#endif
