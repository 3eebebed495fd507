/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking, as inline functions: the usual take is one function in the client, and what is read of
 * a slot goes to the sample without a stop in memory.
 */
#ifndef ZCP_FLOW_READER_TAKE_H
#define ZCP_FLOW_READER_TAKE_H

#include "pubsub/flow/reader_lane.h"
#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/fence.h"

/* Messages in a row after which a subscriber is behind. */
#define ZCP_READER_RUN 32

/* --- reader.c: what is rare --- */

bool zcp_reader_begin_lane(struct zcp_reader_lane *lane);
void zcp_reader_wake_blocked(struct zcp_reader *reader, uint32_t publisher);
/* Fetches ahead what a subscriber that is behind will take. */
void zcp_reader_look_ahead(const struct zcp_reader *reader, struct zcp_reader_lane *lane);
/* Gives up the messages up to `seq`. */
void zcp_reader_lose_in_lane(struct zcp_reader *reader, struct zcp_reader_lane *lane, uint64_t seq);

static inline bool zcp_reader_is_begun(struct zcp_reader_lane *lane)
{
	return __builtin_expect(lane->next != 0, 1) || zcp_reader_begin_lane(lane);
}

/* Says that what was taken from the lane is given back, as far as it is. */
static inline void zcp_reader_say_released(struct zcp_reader *reader, struct zcp_reader_lane *lane)
{
	uint32_t place = lane->first_held;
	uint64_t to = lane->next;

	while (place != ZCP_NO_PLACE) {
		/* HELD-A3 pairs with HELD-R3 of another thread. */
		uint64_t word = atomic_load_explicit(&reader->held[place], memory_order_acquire);

		if (word != 0) {
			to = word & ZCP_HELD_SEQ_MASK;
			break;
		}
		zcp_reader_vacate(reader, place);
		place = reader->next_held[place];
	}
	lane->first_held = place;
	if (__builtin_expect(lane->floor < lane->history_end, 0) && lane->floor < to)
		to = lane->floor;
	if (to == lane->released)
		return;
	lane->released = to;
	/* ACK-R3 pairs with ACK-A5 in the writer: what was read of these is over. */
	atomic_store_explicit(&lane->lane.ack->released, to, memory_order_release);
}

static inline void zcp_reader_make_room(struct zcp_reader *reader, uint32_t publisher)
{
	/* Our store of `tail` before the load, against the publisher's heavy fence at its first wait. */
	zcp_fence_light(reader->options.symmetric);
	if (__builtin_expect(atomic_load_explicit(&reader->topic->publishers[publisher].has_waited,
						  memory_order_relaxed),
			     0))
		zcp_reader_wake_blocked(reader, publisher);
}

/*
 * Takes what is before `to` from a lane whose `tail` is *tail. False, with what it is, where the
 * publisher was faster; never on a lane that blocks.
 */
static inline bool zcp_reader_pass(struct zcp_reader *reader, struct zcp_reader_lane *lane,
				   uint64_t *tail, uint64_t to)
{
	if (reader->options.blocks) {
		/* ACK-R1; no other process moves it. */
		atomic_store_explicit(&lane->lane.ack->tail, to, memory_order_release);
		zcp_reader_make_room(reader, (uint32_t)(lane - reader->lanes));
		return true;
	}
	/*
	 * ACK-R1 pairs with ACK-A1, A2 and A3: the description was read before a publisher writes the
	 * slot anew, and what is held is said before it asks. Relaxed on failure: the next look at the
	 * slot acquires.
	 */
	return atomic_compare_exchange_strong_explicit(&lane->lane.ack->tail, tail, to,
						       memory_order_release, memory_order_relaxed);
}

static inline void zcp_reader_count(struct zcp_reader *reader, uint64_t n_taken, uint64_t n_lost)
{
	struct zcp_ack_counts_shm *counts = reader->counts;

	/* Relaxed stores: counts that only we write and the runtime reads. */
	reader->n_taken += n_taken;
	atomic_store_explicit(&counts->n_taken, reader->n_taken, memory_order_relaxed);
	if (__builtin_expect(n_lost == 0, 1))
		return;
	reader->n_lost += n_lost;
	atomic_store_explicit(&counts->n_lost, reader->n_lost_before + reader->n_lost,
			      memory_order_relaxed);
}

/* The message is the caller's. */
static inline void zcp_reader_deliver(struct zcp_reader_lane *lane,
				      const struct zcp_description *description, uint64_t seq,
				      struct zcp_reader_message *message)
{
	message->size = description->size;
	message->user_header_size = description->user_header_size;
	message->seq = seq;
	message->publish_time_ns = description->publish_time_ns;
	message->publisher_id = description->publisher_id;
	message->n_lost = lane->n_lost;
	message->ref = description->ref;
	lane->n_lost = 0;
	lane->next_ref = description->next_ref;
}

/* Takes the next message of a lane. */
static inline int zcp_reader_take_lane(struct zcp_reader *reader, uint32_t publisher,
				       struct zcp_reader_message *message)
{
	struct zcp_reader_lane *lane = &reader->lanes[publisher];
	struct zcp_description description;

	if (!zcp_reader_is_begun(lane))
		return ZCP_READER_E_EMPTY;
	zcp_reader_say_released(reader, lane);
	for (uint32_t tries = 0; tries <= lane->lane.mask + 1; tries++) {
		uint64_t seq = lane->next;
		const struct zcp_lane_slot_shm *slot = zcp_lane_slot(&lane->lane, seq);
		/* LANE-A1 pairs with LANE-R1 in zcp_slot_put(). */
		uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire), tail;
		uint32_t place;

		if (__builtin_expect(!zcp_slot_is(word, seq), 0)) {
			if (zcp_reader_resync(lane))
				continue;
			lane->n_run = 0;
			/* The next payload comes with the next slot then, in one trip. */
			zcp_pool_prefetch(reader->pool, lane->next_ref);
			return ZCP_READER_E_EMPTY;
		}
		zcp_slot_describe(slot, word, &description);
		message->publisher = publisher;
		if (__builtin_expect(!zcp_reader_find(reader, &description, message), 0)) {
			if (!zcp_pool_has_class(reader->pool, description.ref)) {
				message->ref = description.ref;
				message->seq = seq;
				return ZCP_READER_E_UNMAPPED;
			}
			zcp_reader_lose_in_lane(reader, lane, seq);
			continue;
		}
		if (description.size > 64)
			zcp_prefetch_read((const char *)message->payload + description.size - 1);
		place = zcp_reader_hold(reader, publisher, seq, message);
		ZCP_CRASHPOINT("take.after_held");
		tail = seq;
		if (__builtin_expect(!zcp_reader_pass(reader, lane, &tail, seq + 1), 0)) {
			zcp_reader_unhold(reader, place);
			if (!zcp_reader_resync(lane))
				break;
			continue;
		}
		ZCP_CRASHPOINT("take.after_tail");
		zcp_reader_keep(reader, lane, place);
		lane->next = seq + 1;
		zcp_reader_deliver(lane, &description, seq, message);
		zcp_reader_count(reader, 1, message->n_lost);
		if (__builtin_expect(++lane->n_run > ZCP_READER_RUN, 0))
			zcp_reader_look_ahead(reader, lane);
		return 0;
	}
	return ZCP_READER_E_EMPTY;
}

/* Whether zcp_reader_take() is zcp_reader_take_in_turn(). */
static inline bool zcp_reader_takes_in_turn(const struct zcp_reader *reader)
{
	return reader->n_vacant > 0 && reader->next_backlog >= reader->backlog.n_entries &&
	       !reader->options.by_time;
}

/* Takes the next message of any publisher in turn; a place is vacant. As zcp_reader_take(). */
static inline int zcp_reader_take_in_turn(struct zcp_reader *reader,
					  struct zcp_reader_message *message)
{
	uint32_t n = zcp_reader_n_lanes(reader);
	uint32_t publisher = reader->next;

	for (uint32_t i = 0; i < n; i++, publisher++) {
		int r;

		if (publisher >= n)
			publisher = 0;
		r = zcp_reader_take_lane(reader, publisher, message);
		if (r == ZCP_READER_E_EMPTY)
			continue;
		reader->next = publisher + 1;
		return r;
	}
	return ZCP_READER_E_EMPTY;
}

#endif
