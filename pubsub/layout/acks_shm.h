/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a topic's subscribers say: one region for the topic, mapped for writing by everyone in
 * it. It is the only memory of the domain, beside signals, that a subscriber can write.
 *
 *   0      region header    64
 *   64     geometry         64   checked at attach, never read again
 *   128    sleepers         64
 *   192    room             64 × max_publishers
 *   ...    blocks           block_stride × max_subscribers, from a page on, each:
 *     0      counts          64
 *     64     ack lines       64 × max_publishers
 *     ...    held             8 × ZCP_HELD_MAX
 *
 * A block is whole pages, so that each can become a region of its own.
 *
 * No word here decides what anyone but its subscriber gets, beyond what was reserved for that
 * subscriber: publishers bound `tail` by the lane's capacity, the promised history by what was
 * asked for, and look at no more of `held` than was declared.
 *
 * What a crash can leave: a held entry of a message that the subscriber did not come to take, or
 * a floor behind a held entry (both keep a chunk until the runtime resets the block); a bit in
 * `sleepers` (publishers look at a signal once too often; the runtime clears it before the slot
 * is given again).
 */
#ifndef ZCP_ACKS_SHM_H
#define ZCP_ACKS_SHM_H

#include "pubsub/layout/region_shm.h"

/* Samples that a subscriber can hold at most. */
#define ZCP_HELD_MAX 4096

/* A held entry: publisher slot 8, number 56; 0: vacant. */
#define ZCP_HELD_SLOT_SHIFT 56
#define ZCP_HELD_SEQ_MASK ((UINT64_C(1) << ZCP_HELD_SLOT_SHIFT) - 1)

/* One lane, as its subscriber says; one line each. Read by: the publisher, the runtime. */
struct zcp_ack_shm {
	/*
	 * The next number to take. written by: the subscriber; where the lane drops its oldest
	 * message the publisher moves it on as well, and both do it by CAS. The runtime while the
	 * subscriber joins, by CAS, and before, when nobody else does
	 */
	_Atomic uint64_t tail;
	/*
	 * The next number of the promised history to take. written by: the subscriber; the runtime
	 * until it has joined
	 */
	_Atomic uint64_t floor;
	/* Every message below is given back. written by: the taking thread; the runtime, as `floor` */
	_Atomic uint64_t released;
	uint64_t reserved[5];
};

static_assert(sizeof(struct zcp_ack_shm) == 64, "one cache line");
static_assert(offsetof(struct zcp_ack_shm, tail) == 0, "layout");
static_assert(offsetof(struct zcp_ack_shm, floor) == 8, "layout");
static_assert(offsetof(struct zcp_ack_shm, released) == 16, "layout");

struct zcp_ack_counts_shm {
	/* written by: the subscriber; read by: the runtime, for `zcp info` */
	_Atomic uint64_t n_taken;
	/* goes on from one subscriber of the slot to the next, as next_seq does */
	_Atomic uint64_t n_lost;
	/*
	 * enum zcp_watches: its node is to be woken when a publisher comes or goes; cleared by: the
	 * runtime
	 */
	_Atomic uint32_t watches;
	/* not 0: closed while no runtime was there to be told; cleared by: the runtime */
	_Atomic uint32_t abandoned;
	/* places of `held` that were ever used, from the first one; only grows, before the place is */
	_Atomic uint32_t n_held;
	uint32_t reserved_held;
	uint64_t reserved[4];
};

static_assert(sizeof(struct zcp_ack_counts_shm) == 64, "one cache line");
static_assert(offsetof(struct zcp_ack_counts_shm, n_taken) == 0, "layout");
static_assert(offsetof(struct zcp_ack_counts_shm, n_lost) == 8, "layout");
static_assert(offsetof(struct zcp_ack_counts_shm, watches) == 16, "layout");
static_assert(offsetof(struct zcp_ack_counts_shm, abandoned) == 20, "layout");
static_assert(offsetof(struct zcp_ack_counts_shm, n_held) == 24, "layout");

/* A line of its own for each publisher slot. */
struct zcp_room_shm {
	/* the futex word of a blocked publish; written by: those who make room, with fetch_add */
	_Atomic uint32_t room;
	uint32_t reserved[15];
};

static_assert(sizeof(struct zcp_room_shm) == 64, "one cache line");
static_assert(offsetof(struct zcp_room_shm, room) == 0, "layout");

struct zcp_acks_shm {
	struct zcp_region_shm region;
	/* written by: the creator; read by: everyone, once, at attach */
	uint32_t max_publishers;
	uint32_t max_subscribers;
	uint64_t blocks_offset;
	uint64_t block_stride;
	uint64_t reserved_geometry[5];
	/*
	 * One bit for each subscriber that has slept; read by publishers at every publish. written
	 * by: subscribers, each its own bit once, before its first sleep, with fetch_or; the runtime
	 * clears it when the slot is free again
	 */
	_Atomic uint64_t sleepers[4];
	uint64_t reserved_sleepers[4];
	struct zcp_room_shm rooms[];
};

static_assert(sizeof(struct zcp_acks_shm) == 192, "three cache lines before the rooms");
static_assert(offsetof(struct zcp_acks_shm, max_publishers) == 64, "layout");
static_assert(offsetof(struct zcp_acks_shm, max_subscribers) == 68, "layout");
static_assert(offsetof(struct zcp_acks_shm, blocks_offset) == 72, "layout");
static_assert(offsetof(struct zcp_acks_shm, block_stride) == 80, "layout");
static_assert(offsetof(struct zcp_acks_shm, sleepers) == 128, "layout");
static_assert(offsetof(struct zcp_acks_shm, rooms) == 192, "layout");

#endif
