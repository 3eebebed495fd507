/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a publisher and a subscriber do with the lane between them.
 *
 * Message n goes to slot n mod capacity, so that both sides know where to look without
 * sharing a head or a tail. The publisher never waits: a slot whose message has not been
 * taken is overwritten, and the subscriber sees from the number that it lost some.
 *
 * Orders (checked with GenMC): the store or CAS that fills a slot is a release, the load
 * that finds it an acquire; both CASes are decided by the word alone.
 */
#ifndef ZCP_SHM_LANE_H
#define ZCP_SHM_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "pubsub/shm/lane_shm.h"
#include "pubsub/shm/pool.h"

struct zcp_lane {
	struct zcp_lane_slot_shm *slots;
	/* capacity - 1 */
	uint32_t mask;
	/* capacity as a power of two */
	uint32_t log2;
};

/* Expected outcomes of zcp_lane_take(). */
enum {
	ZCP_LANE_E_EMPTY = 1,
	ZCP_LANE_E_UNMAPPED = 2, /* the message's size class is not mapped; it stays */
};

/* Where a subscriber is in a lane; private to it. */
struct zcp_lane_cursor {
	/* number of the next message */
	uint64_t seq;
	/* messages lost since the last one that was taken */
	uint64_t n_lost;
	/* number of the last one that was taken from the backlog; 0: none */
	uint64_t backlog_seq;
	/* bytes of the last one: the next is probably as large, and fetched so far ahead */
	uint64_t last_size;
};

static inline uint64_t zcp_slot(uint64_t seq, uint64_t flags, uint32_t ref)
{
	return seq << ZCP_SLOT_SEQ_SHIFT | flags | ref;
}

static inline uint32_t zcp_slot_seq(uint64_t word)
{
	return (uint32_t)(word >> ZCP_SLOT_SEQ_SHIFT);
}

static inline uint32_t zcp_slot_ref(uint64_t word)
{
	return (uint32_t)(word & ZCP_SLOT_REF_MASK);
}

/* How far `word`'s message is ahead of number `seq`; negative: behind. Wrap is harmless. */
static inline int32_t zcp_slot_ahead(uint64_t word, uint64_t seq)
{
	return (int32_t)(zcp_slot_seq(word) - (uint32_t)seq);
}

/*
 * The slot of message `seq`. Its place in the ring, turned left by three bits: neighbours
 * are a cache line apart. A ring of one line stays as it is.
 */
static inline struct zcp_lane_slot_shm *zcp_lane_slot(const struct zcp_lane *lane, uint64_t seq)
{
	uint32_t i = (uint32_t)seq & lane->mask;
	uint32_t lines_log2 = lane->log2 > 3 ? lane->log2 - 3 : 0;

	return &lane->slots[(i << 3 | i >> lines_log2) & lane->mask];
}

/*
 * Publisher: puts message `seq` into the lane. True where a message was pushed out;
 * *dropped is its ref, and the caller clears the subscriber's bit on that chunk. Wait-free.
 */
static inline bool zcp_lane_push(const struct zcp_lane *lane, uint64_t seq, uint32_t ref,
				 uint32_t *dropped)
{
	struct zcp_lane_slot_shm *slot = zcp_lane_slot(lane, seq);
	/* Relaxed: only this side makes a slot live, and the CAS checks it again. */
	uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);

	/* LANE-R1 pairs with LANE-A1 in zcp_lane_take(): the payload is there first. */
	if ((word & ZCP_SLOT_LIVE) &&
	    atomic_compare_exchange_strong_explicit(
		    &slot->word, &word, zcp_slot(seq, ZCP_SLOT_LIVE | ZCP_SLOT_DROPPED, ref),
		    memory_order_release, memory_order_relaxed)) {
		*dropped = zcp_slot_ref(word);
		return true;
	}
	/* Not live, or taken this moment: nobody but us writes the slot now. */
	atomic_store_explicit(&slot->word, zcp_slot(seq, ZCP_SLOT_LIVE, ref), memory_order_release);
	return false;
}

/* The rest of zcp_lane_take(): what is there is not the message at the cursor. */
int zcp_lane_take_after_loss(const struct zcp_lane *lane, struct zcp_lane_cursor *cursor,
			     const struct zcp_pool *pool, uint32_t *ref);

/*
 * Subscriber: takes the message at the cursor or the oldest after it, and moves the cursor
 * on; its number is then cursor->seq - 1, or equal to that in the low 32 bits where the
 * subscriber had fallen further behind. What was lost on the way is added to
 * cursor->n_lost. The chunk is fetched from `pool` into the cache on the way (NULL: it is
 * not). Returns 0 with *ref, ZCP_LANE_E_EMPTY, or ZCP_LANE_E_UNMAPPED with *ref. Wait-free:
 * looks at no more than two laps of slots, whatever the publisher does meanwhile.
 */
static inline int zcp_lane_take(const struct zcp_lane *lane, struct zcp_lane_cursor *cursor,
				const struct zcp_pool *pool, uint32_t *ref)
{
	struct zcp_lane_slot_shm *slot = zcp_lane_slot(lane, cursor->seq);
	/* LANE-A1 pairs with LANE-R1 in zcp_lane_push(). */
	uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire);
	int32_t ahead = zcp_slot_ahead(word, cursor->seq);

	if (ahead < 0)
		return ZCP_LANE_E_EMPTY;
	if (__builtin_expect(ahead == 0 && (word & ZCP_SLOT_LIVE), 1)) {
		if (__builtin_expect(pool && !zcp_pool_has_class(pool, zcp_slot_ref(word)), 0)) {
			*ref = zcp_slot_ref(word);
			return ZCP_LANE_E_UNMAPPED;
		}
		zcp_pool_prefetch(pool, zcp_slot_ref(word), cursor->last_size);
		/*
		 * Relaxed: LANE-A1 has ordered what the slot refers to. A publisher that pushes
		 * the message out at the same time makes this fail, and we have lost it.
		 */
		if (__builtin_expect(atomic_compare_exchange_strong_explicit(
					     &slot->word, &word, word & ~ZCP_SLOT_LIVE,
					     memory_order_relaxed, memory_order_relaxed),
				     1)) {
			cursor->seq++;
			*ref = zcp_slot_ref(word);
			return 0;
		}
	}
	return zcp_lane_take_after_loss(lane, cursor, pool, ref);
}

/*
 * Subscriber: looks for the next message as zcp_lane_take() does, moves the cursor to it and
 * leaves it there. Returns 0 with *ref, which stays what it is only until the publisher
 * pushes it out; or ZCP_LANE_E_EMPTY. Wait-free like it.
 */
int zcp_lane_peek(const struct zcp_lane *lane, struct zcp_lane_cursor *cursor, uint32_t *ref);

/* Subscriber: gives up the message at the cursor, as lost. Wait-free. */
void zcp_lane_lose(const struct zcp_lane *lane, struct zcp_lane_cursor *cursor);

/* Subscriber: whether zcp_lane_take() would not say empty. Wait-free. */
static inline bool zcp_lane_is_ready(const struct zcp_lane *lane, uint64_t cursor)
{
	/* Relaxed: decides only whether to sleep, after a full fence. */
	uint64_t word = atomic_load_explicit(&zcp_lane_slot(lane, cursor)->word,
					     memory_order_relaxed);

	return zcp_slot_ahead(word, cursor) >= 0;
}

/*
 * Publisher: whether message `seq` would push nothing out. Wait-free.
 */
static inline bool zcp_lane_has_room(const struct zcp_lane *lane, uint64_t seq)
{
	/*
	 * Relaxed: nothing is read that the taker wrote; the chunk it took is claimed again
	 * only through CHUNK-A2.
	 */
	uint64_t word = atomic_load_explicit(&zcp_lane_slot(lane, seq)->word, memory_order_relaxed);

	return !(word & ZCP_SLOT_LIVE);
}

/*
 * Subscriber: the first look at a lane whose publisher's next number is `next_seq`:
 * where to begin. Messages before were not sent to this subscriber.
 */
uint64_t zcp_lane_first(const struct zcp_lane *lane, uint64_t next_seq);

/* Runtime: every slot "not live, older than anything", before the subscriber joins. */
void zcp_lane_reset(const struct zcp_lane *lane, uint64_t next_seq);

#endif
