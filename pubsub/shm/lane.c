/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The less frequent operations on a lane.
 */
#include "pubsub/shm/lane.h"

bool zcp_lane_push_out(const struct zcp_lane *lane, uint64_t seq, uint64_t *tail)
{
	uint64_t next = seq - lane->mask, expected = next - 1;

	*tail = next;
	/*
	 * ACK-R2 pairs with ACK-A4 in the runtime; ACK-A3, on failure, pairs with ACK-R1: the
	 * subscriber has read the description before we write the next one. The strong one, since
	 * a failure is read as "it was taken". No acquire is needed on success: the load before has
	 * acquired the very value that is replaced; C11 allows no failure order above it.
	 */
	return atomic_compare_exchange_strong_explicit(&lane->ack->tail, &expected, next,
						       memory_order_acq_rel, memory_order_acquire);
}

uint64_t zcp_lane_settle(_Atomic uint64_t *word, uint64_t next_seq)
{
	uint64_t now = atomic_load_explicit(word, memory_order_relaxed);

	/*
	 * Relaxed, all: what comes with a base is ordered by `op`; too old a value only says that
	 * messages are in use.
	 */
	if (now == 0 && atomic_compare_exchange_strong_explicit(
				word, &now, next_seq, memory_order_relaxed, memory_order_relaxed))
		return next_seq;
	return now;
}

void zcp_lane_begin(const struct zcp_lane *lane, uint64_t base)
{
	/*
	 * ACK-A4, here and on failure, pairs with ACK-R2: what a publisher has pushed past the base
	 * comes with the tail that it has moved.
	 */
	uint64_t tail = atomic_load_explicit(&lane->ack->tail, memory_order_acquire);

	while ((int64_t)(base - tail) > 0 &&
	       !atomic_compare_exchange_weak_explicit(&lane->ack->tail, &tail, base,
						      memory_order_acquire, memory_order_acquire))
		continue;
}

void zcp_lane_reset(const struct zcp_lane *lane, uint64_t next_seq, uint32_t history, bool is_used)
{
	/* Older than anything, and without a ref. Numbers begin at 1. */
	uint64_t word = zcp_slot_word(next_seq - lane->mask - 2, ZCP_REF_NONE);

	/* Relaxed, all: MEM-R1 orders it, and no process looks at the lane before. */
	for (uint32_t i = 0; is_used && i <= lane->mask; i++)
		atomic_store_explicit(&lane->shm->slots[i].word, word, memory_order_relaxed);
	atomic_store_explicit(&lane->shm->base, 0, memory_order_relaxed);
	atomic_store_explicit(&lane->shm->end, 0, memory_order_relaxed);
	atomic_store_explicit(&lane->shm->history, history, memory_order_relaxed);
	atomic_store_explicit(&lane->ack->tail, next_seq, memory_order_relaxed);
	/* From the first message on; what is promised of it is bounded by what was asked for. */
	atomic_store_explicit(&lane->ack->floor, 1, memory_order_relaxed);
	/* At most `floor`: it is believed before that is looked at. */
	atomic_store_explicit(&lane->ack->released, 1, memory_order_relaxed);
}

uint64_t zcp_lane_n_queued(const struct zcp_lane *lane, uint64_t end)
{
	/* Relaxed: a count, which changes meanwhile. */
	uint64_t tail = zcp_lane_bound_tail(
		lane, atomic_load_explicit(&lane->ack->tail, memory_order_relaxed), end);

	return end - tail;
}
