/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference ring: what sharing a pool costs without anything else. One publisher and one
 * subscriber; a slot says where the payload lies, so that the subscriber fetches the slot and
 * then the payload, as anyone must who shares a pool. Nobody joins, dies or lies here.
 */
#ifndef ZCP_BENCH_RING_H
#define ZCP_BENCH_RING_H

#include <stdatomic.h>
#include <stdint.h>

#define BENCH_LINE 64
/* Slots at most. */
#define BENCH_RING_SLOTS 256
/* Chunks beyond the slots: one that is written, one that is read, and some that rest. */
#define BENCH_RING_SPARE 8
/* Rings that one publisher pushes to at most; they share the first one's chunks. */
#define BENCH_FAN 4

struct bench_ring_slot {
	/* low 32 bits of the message's number, place of its payload */
	_Alignas(BENCH_LINE) _Atomic uint64_t word;
};

struct bench_ring_chunk {
	_Alignas(BENCH_LINE) uint64_t words[BENCH_LINE / sizeof(uint64_t)];
};

struct bench_ring {
	/* the next message to take; written by: the subscriber */
	_Alignas(128) _Atomic uint64_t tail;
	_Alignas(128) struct bench_ring_slot slots[BENCH_RING_SLOTS];
	struct bench_ring_chunk chunks[BENCH_RING_SLOTS + BENCH_RING_SPARE];
};

/* One side's view of a ring; numbers begin at 1. */
struct bench_ring_end {
	struct bench_ring *ring;
	/* slots that are used, a power of two */
	uint32_t depth;
	/* number of the next message, and the publisher's copy of `tail` */
	uint64_t next;
	uint64_t tail;
	/* in which the publisher uses the chunks */
	uint16_t order[BENCH_RING_SLOTS + BENCH_RING_SPARE];
};

void bench_ring_begin(struct bench_ring_end *end, struct bench_ring *ring, uint32_t depth);

/* --- publisher --- */

/*
 * Where the next payload goes: the chunks take turns, in an order that no processor guesses, as
 * those of a pool do once it has been in use for a while.
 */
static inline uint32_t bench_ring_place(const struct bench_ring_end *end)
{
	return end->order[end->next % (end->depth + BENCH_RING_SPARE)];
}

static inline int bench_ring_is_full(struct bench_ring_end *end)
{
	if (end->next - end->tail < end->depth)
		return 0;
	/* Acquire: what was read of the payloads below is over. */
	end->tail = atomic_load_explicit(&end->ring->tail, memory_order_acquire);
	return end->next - end->tail >= end->depth;
}

/* Release: the payload is there first. */
static inline void bench_ring_push(struct bench_ring_end *end, uint32_t place)
{
	atomic_store_explicit(&end->ring->slots[end->next % end->depth].word,
			      end->next << 32 | place, memory_order_release);
	end->next++;
}

/* --- subscriber --- */

/* Whether the next message is there, and where its payload lies. */
static inline int bench_ring_peek(const struct bench_ring_end *end, uint32_t *place)
{
	uint64_t word = atomic_load_explicit(&end->ring->slots[end->next % end->depth].word,
					     memory_order_acquire);

	*place = (uint32_t)word;
	return word >> 32 == (uint32_t)end->next;
}

/* It has been read. */
static inline void bench_ring_pop(struct bench_ring_end *end)
{
	atomic_store_explicit(&end->ring->tail, ++end->next, memory_order_release);
}

#endif
