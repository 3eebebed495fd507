/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a publisher and a subscriber do with the lane between them.
 *
 * Message n goes to slot n mod capacity, so that both sides know where to look without sharing
 * a head. `tail` is the next message that the subscriber takes. Where the lane drops its oldest
 * message, publisher and subscriber both move `tail` by CAS, and exactly one of them gets each
 * message; where it blocks, the subscriber alone moves it, by a plain store. A publisher changes
 * a slot only after `tail` has passed the message in it, so what a subscriber read of a slot
 * before it moved `tail` is what was announced.
 *
 * Orders (checked with GenMC under RC11, IMM and TSO; on the lanes nothing needs seq_cst):
 *   LANE-R1  push: store of `word`             pairs with LANE-A1  take: load of `word`
 *   ACK-R1   take: CAS or store of `tail`      pairs with ACK-A1   the exact look (stake.c)
 *                                                         ACK-A2   push: is it full?
 *                                                         ACK-A3   push out, failed: it was taken
 *   ACK-R2   push out: CAS of `tail`           pairs with ACK-A4   the runtime, settling a join
 */
#ifndef ZCP_SHM_LANE_H
#define ZCP_SHM_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "pubsub/layout/acks_shm.h"
#include "pubsub/layout/lane_shm.h"

struct zcp_lane {
	/* a subscriber has it mapped read-only */
	struct zcp_lane_shm *shm;
	struct zcp_ack_shm *ack;
	/* capacity - 1 */
	uint32_t mask;
};

/* A message as its slot describes it. */
struct zcp_description {
	uint64_t size;
	uint64_t publish_time_ns;
	uint64_t publisher_id;
	uint32_t user_header_size;
	uint32_t ref;
	uint32_t next_ref;
};

static inline struct zcp_lane_slot_shm *zcp_lane_slot(const struct zcp_lane *lane, uint64_t seq)
{
	return &lane->shm->slots[seq & lane->mask];
}

static inline uint64_t zcp_slot_word(uint64_t seq, uint32_t ref)
{
	return seq << ZCP_SLOT_SEQ_SHIFT | ref;
}

/* Whether `word` is that of message `seq`. */
static inline bool zcp_slot_is(uint64_t word, uint64_t seq)
{
	return (uint32_t)(word >> ZCP_SLOT_SEQ_SHIFT) == (uint32_t)seq;
}

/* The same for a message whose word the caller has loaded with LANE-A1. */
static inline void zcp_slot_describe(const struct zcp_lane_slot_shm *slot, uint64_t word,
				     struct zcp_description *description)
{
	/* Relaxed, all: LANE-A1 has ordered them, and ACK-R1 has them stay before it. */
	description->size = atomic_load_explicit(&slot->size, memory_order_relaxed);
	description->publish_time_ns = atomic_load_explicit(&slot->publish_time_ns,
							    memory_order_relaxed);
	description->publisher_id = atomic_load_explicit(&slot->publisher_id, memory_order_relaxed);
	description->user_header_size = atomic_load_explicit(&slot->user_header_size,
							     memory_order_relaxed);
	description->next_ref = atomic_load_explicit(&slot->next_ref, memory_order_relaxed);
	description->ref = (uint32_t)(word & ZCP_SLOT_REF_MASK);
}

/* --- publisher --- */

/*
 * What of the lane the publisher knows: `tail` as it last read or moved it, at most the number
 * that it publishes next, at least that less the capacity.
 */
static inline uint64_t zcp_lane_bound_tail(const struct zcp_lane *lane, uint64_t tail, uint64_t seq)
{
	uint64_t lowest = seq > lane->mask ? seq - lane->mask - 1 : 0;

	/* Signed: a peer may say anything. */
	if ((int64_t)(tail - seq) > 0)
		return seq;
	return (int64_t)(tail - lowest) < 0 ? lowest : tail;
}

/* Reads `tail`; the copy never goes back. */
static inline void zcp_lane_refresh_tail(const struct zcp_lane *lane, uint64_t seq, uint64_t *tail)
{
	/* ACK-A2 pairs with ACK-R1: what was read of the slots below is over. */
	uint64_t now = zcp_lane_bound_tail(
		lane, atomic_load_explicit(&lane->ack->tail, memory_order_acquire), seq);

	if ((int64_t)(now - *tail) > 0)
		*tail = now;
}

/* Whether message `seq` has to wait or push one out, by the copy of `tail`. */
static inline bool zcp_lane_is_full(const struct zcp_lane *lane, uint64_t seq, uint64_t tail)
{
	return (int64_t)(seq - tail) > (int64_t)lane->mask;
}

/*
 * Makes room for message `seq` in a lane that is full by a fresh copy of `tail`. True where the
 * oldest message was pushed out and will not be taken; false where it was taken meanwhile.
 * Wait-free.
 */
bool zcp_lane_push_out(const struct zcp_lane *lane, uint64_t seq, uint64_t *tail);

/* Puts message `seq` into its slot, after `tail` has passed the one before. Wait-free. */
static inline void zcp_slot_put(struct zcp_lane_slot_shm *slot, uint64_t seq,
				const struct zcp_description *description)
{
	/* Relaxed, all: LANE-R1 orders them; ACK-A2 or ACK-A3 has them stay after the old one's. */
	atomic_store_explicit(&slot->size, description->size, memory_order_relaxed);
	atomic_store_explicit(&slot->publish_time_ns, description->publish_time_ns,
			      memory_order_relaxed);
	atomic_store_explicit(&slot->publisher_id, description->publisher_id, memory_order_relaxed);
	atomic_store_explicit(&slot->user_header_size, description->user_header_size,
			      memory_order_relaxed);
	atomic_store_explicit(&slot->next_ref, description->next_ref, memory_order_relaxed);
	/* LANE-R1 pairs with LANE-A1: description and payload are there first. */
	atomic_store_explicit(&slot->word, zcp_slot_word(seq, description->ref),
			      memory_order_release);
}

static inline void zcp_lane_put(const struct zcp_lane *lane, uint64_t seq,
				const struct zcp_description *description)
{
	zcp_slot_put(zcp_lane_slot(lane, seq), seq, description);
}

/* --- publisher or runtime --- */

/*
 * Settles where the lane begins (`word`: base) or where pushes to it have ended (end), unless it
 * is settled. Returns what it is. Inside `op`, or while no publisher can be in the slot.
 */
uint64_t zcp_lane_settle(_Atomic uint64_t *word, uint64_t next_seq);

/* --- publisher, subscriber or runtime --- */

/*
 * Moves `tail` up to where the lane begins. The publisher does so before its first push: from then
 * on a `tail` that it cannot move was moved by a take. Lock-free: again only where it was moved.
 */
void zcp_lane_begin(const struct zcp_lane *lane, uint64_t base);

/* --- runtime --- */

/*
 * Before a subscriber joins: the lane is empty, nothing of it is settled, and what the subscriber
 * says is that it has given back all. No publisher pushes to it. `is_used`: the publisher slot has
 * had a publisher; else no slot of the lane was ever written, and none is touched. `history`: the
 * messages of the publisher slot that are promised at most.
 */
void zcp_lane_reset(const struct zcp_lane *lane, uint64_t next_seq, uint32_t history, bool is_used);

/* Messages that wait in the lane, as of now: below `end`, where the last one is. */
uint64_t zcp_lane_n_queued(const struct zcp_lane *lane, uint64_t end);

#endif
