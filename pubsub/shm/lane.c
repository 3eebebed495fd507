/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The less frequent operations on a lane.
 */
#include "pubsub/shm/lane.h"

/* The oldest message that can still be there when `seen` was found ahead of `cursor`. */
static uint64_t after_loss(const struct zcp_lane *lane, uint64_t cursor, uint64_t seen)
{
	uint64_t next = cursor + 1;

	if (seen > lane->mask && seen - lane->mask > next)
		next = seen - lane->mask;
	return next;
}

/* Moves the cursor to what may still be there. False where the lane is empty. */
static bool advance(const struct zcp_lane *lane, struct zcp_lane_cursor *cursor)
{
	/* LANE-A1 pairs with LANE-R1 in zcp_lane_push(). */
	uint64_t word = atomic_load_explicit(&zcp_lane_slot(lane, cursor->seq)->word,
					     memory_order_acquire);
	int32_t ahead = zcp_slot_ahead(word, cursor->seq);

	if (ahead < 0)
		return false;
	if (ahead > 0) {
		uint64_t next = after_loss(lane, cursor->seq, cursor->seq + (uint32_t)ahead);

		cursor->n_lost += next - cursor->seq;
		cursor->seq = next;
	} else if (!(word & ZCP_SLOT_LIVE)) {
		cursor->seq++;
	}
	return true;
}

int zcp_lane_take_after_loss(const struct zcp_lane *lane, struct zcp_lane_cursor *cursor,
			     const struct zcp_pool *pool, uint32_t *ref)
{
	for (uint64_t n = 0; n <= 2 * (uint64_t)lane->mask + 2; n++) {
		struct zcp_lane_slot_shm *slot;
		uint64_t word;

		if (!advance(lane, cursor))
			break;
		slot = zcp_lane_slot(lane, cursor->seq);
		/* LANE-A1 pairs with LANE-R1 in zcp_lane_push(). */
		word = atomic_load_explicit(&slot->word, memory_order_acquire);
		if (zcp_slot_ahead(word, cursor->seq) != 0 || !(word & ZCP_SLOT_LIVE))
			continue;
		if (pool && !zcp_pool_has_class(pool, zcp_slot_ref(word))) {
			*ref = zcp_slot_ref(word);
			return ZCP_LANE_E_UNMAPPED;
		}
		zcp_pool_prefetch(pool, zcp_slot_ref(word), cursor->last_size);
		/* Relaxed, as in zcp_lane_take(). */
		if (atomic_compare_exchange_strong_explicit(
			    &slot->word, &word, word & ~ZCP_SLOT_LIVE, memory_order_relaxed,
			    memory_order_relaxed)) {
			cursor->seq++;
			*ref = zcp_slot_ref(word);
			return 0;
		}
	}
	return ZCP_LANE_E_EMPTY;
}

int zcp_lane_peek(const struct zcp_lane *lane, struct zcp_lane_cursor *cursor, uint32_t *ref)
{
	for (uint64_t n = 0; n <= 2 * (uint64_t)lane->mask + 2; n++) {
		uint64_t word;

		if (!advance(lane, cursor))
			break;
		/* LANE-A1 pairs with LANE-R1 in zcp_lane_push(). */
		word = atomic_load_explicit(&zcp_lane_slot(lane, cursor->seq)->word,
					    memory_order_acquire);
		if (zcp_slot_ahead(word, cursor->seq) == 0 && (word & ZCP_SLOT_LIVE)) {
			*ref = zcp_slot_ref(word);
			return 0;
		}
	}
	return ZCP_LANE_E_EMPTY;
}

void zcp_lane_lose(const struct zcp_lane *lane, struct zcp_lane_cursor *cursor)
{
	struct zcp_lane_slot_shm *slot = zcp_lane_slot(lane, cursor->seq);
	/* Relaxed, both: nothing is read by it, and a publisher that was faster is as well. */
	uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);

	if (zcp_slot_ahead(word, cursor->seq) == 0 && (word & ZCP_SLOT_LIVE))
		(void)atomic_compare_exchange_strong_explicit(&slot->word, &word,
							      word & ~ZCP_SLOT_LIVE,
							      memory_order_relaxed,
							      memory_order_relaxed);
	cursor->seq++;
	cursor->n_lost++;
}

uint64_t zcp_lane_first(const struct zcp_lane *lane, uint64_t next_seq)
{
	int32_t first = 0;

	for (uint32_t i = 0; i <= lane->mask; i++) {
		/* Relaxed: the take that follows acquires the slot. */
		uint64_t word = atomic_load_explicit(&lane->slots[i].word, memory_order_relaxed);
		int32_t ahead = zcp_slot_ahead(word, next_seq);

		if ((word & ZCP_SLOT_LIVE) && ahead < first)
			first = ahead;
	}
	/* No number is below 1, whatever a slot says. */
	if (first < 0 && next_seq <= (uint64_t) - (int64_t)first)
		return 1;
	return next_seq + (uint64_t)(int64_t)first;
}

void zcp_lane_reset(const struct zcp_lane *lane, uint64_t next_seq)
{
	uint64_t older = next_seq - lane->mask - 2;

	for (uint32_t i = 0; i <= lane->mask; i++) {
		/*
		 * Relaxed: the release that sets the subscriber in `active` comes after, and
		 * nobody looks at the lane before.
		 */
		atomic_store_explicit(&lane->slots[i].word, zcp_slot(older, 0, 0),
				      memory_order_relaxed);
	}
}
