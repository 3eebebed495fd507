/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking from many lanes in turn, and checking what comes out of shared memory.
 */
#include "pubsub/flow/reader.h"

#include <errno.h>
#include <stdlib.h>

#include "pubsub/flow/reader_lane.h"
#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/fence.h"
#include "pubsub/shm/memory.h"

static int init_lanes(struct zcp_reader *reader)
{
	const struct zcp_topic *topic = reader->topic;

	for (uint32_t p = 0; p < topic->geometry.max_publishers; p++)
		reader->lanes[p] = (struct zcp_reader_lane){
			.lane = zcp_topic_lane(topic, reader->acks, p, reader->options.slot,
					       reader->options.depth_log2),
			.first_held = ZCP_NO_PLACE,
			.last_held = ZCP_NO_PLACE,
			.next_ref = ZCP_REF_NONE,
		};
	for (uint32_t i = reader->options.max_held; i > 0; i--)
		zcp_reader_vacate(reader, i - 1);
	return zcp_reader_begin_history(reader);
}

int zcp_reader_init(struct zcp_reader *reader, const struct zcp_topic *topic,
		    const struct zcp_acks *acks, const struct zcp_pool *pool,
		    const struct zcp_reader_options *options)
{
	bool prefault = topic->region.memory & ZCP_MEMORY_PREFAULT;
	uint32_t max_held = options->max_held < ZCP_HELD_MAX ? options->max_held : ZCP_HELD_MAX;

	*reader = (struct zcp_reader){
		.topic = topic,
		.acks = acks,
		.pool = pool,
		.counts = zcp_acks_counts(acks, options->slot),
		.held = zcp_acks_held(acks, options->slot),
		.options = *options,
	};
	reader->options.max_held = max_held;
	/* Relaxed: ours alone since we have the slot. */
	reader->n_lost_before = atomic_load_explicit(&reader->counts->n_lost, memory_order_relaxed);
	reader->lanes = zcp_memory_calloc(topic->geometry.max_publishers,
					  sizeof(reader->lanes[0]), prefault);
	reader->next_held = zcp_memory_calloc(max_held, sizeof(reader->next_held[0]), prefault);
	reader->vacant = zcp_memory_calloc(max_held, sizeof(reader->vacant[0]), prefault);
	if (!reader->lanes || !reader->next_held || !reader->vacant || init_lanes(reader) < 0) {
		zcp_reader_deinit(reader);
		return -ENOMEM;
	}
	return 0;
}

void zcp_reader_deinit(struct zcp_reader *reader)
{
	free(reader->lanes);
	free(reader->next_held);
	free(reader->vacant);
	zcp_backlog_deinit(&reader->backlog);
	*reader = (struct zcp_reader){ .topic = NULL };
}

/* --- places --- */

/* Takes those out of a lane's list that have been released, wherever they stand in it. */
static void unlink_released(struct zcp_reader *reader, struct zcp_reader_lane *lane)
{
	uint32_t before = ZCP_NO_PLACE, next;

	for (uint32_t place = lane->first_held; place != ZCP_NO_PLACE; place = next) {
		next = reader->next_held[place];
		/* HELD-A2 pairs with HELD-R3 of another thread. */
		if (atomic_load_explicit(&reader->held[place], memory_order_acquire)) {
			before = place;
			continue;
		}
		if (before == ZCP_NO_PLACE)
			lane->first_held = next;
		else
			reader->next_held[before] = next;
		if (next == ZCP_NO_PLACE)
			lane->last_held = before;
		zcp_reader_vacate(reader, place);
	}
}

/* Whether a message can be held; where no place is known to be vacant, looks at all of them. */
bool zcp_reader_has_place(struct zcp_reader *reader)
{
	if (__builtin_expect(reader->n_vacant > 0, 1))
		return true;
	for (uint32_t p = 0; p < reader->topic->geometry.max_publishers; p++)
		unlink_released(reader, &reader->lanes[p]);
	return reader->n_vacant > 0;
}

bool zcp_reader_holds(const struct zcp_reader *reader, uint32_t place, uint64_t held)
{
	/* Relaxed: the caller has the message from the thread that took it. */
	return place < reader->options.max_held && held != 0 &&
	       atomic_load_explicit(&reader->held[place], memory_order_relaxed) == held;
}

int zcp_reader_release(struct zcp_reader *reader, uint32_t place, uint64_t held)
{
	if (!zcp_reader_holds(reader, place, held))
		return -EINVAL;
	/* HELD-R3 pairs with HELD-A1 in the exact look, and A2, A3 in the thread that takes. */
	atomic_store_explicit(&reader->held[place], 0, memory_order_release);
	ZCP_CRASHPOINT("release.after_clear");
	return 0;
}

bool zcp_reader_is_starved(const struct zcp_reader *reader)
{
	/* Our emptied place before our look, against the heavy fence of zcp_reader_arm(). */
	zcp_fence_light(reader->options.symmetric);
	return atomic_load_explicit(&reader->starved, memory_order_relaxed) != 0;
}

uint32_t zcp_reader_n_held(const struct zcp_reader *reader)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < reader->n_places; i++)
		/* Relaxed: a count. */
		if (atomic_load_explicit(&reader->held[i], memory_order_relaxed))
			n++;
	return n;
}

/* --- taking --- */

/* A lane that was not settled when we joined: its publisher was stopped inside op. */
__attribute__((noinline)) static bool begin_lane(struct zcp_reader_lane *lane)
{
	/* Relaxed: LANE-A1 orders what comes through the lane. */
	uint64_t base = atomic_load_explicit(&lane->lane.shm->base, memory_order_relaxed);

	if (base == 0)
		return false;
	zcp_lane_begin(&lane->lane, base);
	lane->next = lane->floor = lane->history_end = base;
	/* No history was promised to us: none is left of it. ACK-R4, as in zcp_reader_history(). */
	atomic_store_explicit(&lane->lane.ack->floor, base, memory_order_release);
	return true;
}

static bool is_begun(struct zcp_reader_lane *lane)
{
	return __builtin_expect(lane->next != 0, 1) || begin_lane(lane);
}

bool zcp_reader_resync(struct zcp_reader_lane *lane)
{
	/* Relaxed: LANE-A1 of the next look comes after the CAS that pushed out. */
	uint64_t tail = atomic_load_explicit(&lane->lane.ack->tail, memory_order_relaxed);

	/* Signed; and never back, whatever another one has written there. */
	if ((int64_t)(tail - lane->next) <= 0)
		return false;
	lane->n_lost += tail - lane->next;
	lane->next = tail;
	return true;
}

bool zcp_reader_peek(struct zcp_reader_lane *lane, struct zcp_description *description)
{
	if (!is_begun(lane))
		return false;
	for (uint32_t tries = 0; tries <= lane->lane.mask + 1; tries++) {
		const struct zcp_lane_slot_shm *slot = zcp_lane_slot(&lane->lane, lane->next);
		/* LANE-A1 pairs with LANE-R1 in zcp_lane_put(). */
		uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire);

		if (zcp_slot_is(word, lane->next)) {
			zcp_slot_describe(slot, word, description);
			return true;
		}
		if (!zcp_reader_resync(lane))
			break;
	}
	return false;
}

void zcp_reader_say_released(struct zcp_reader *reader, struct zcp_reader_lane *lane)
{
	uint64_t to = lane->next;

	while (lane->first_held != ZCP_NO_PLACE) {
		uint32_t place = lane->first_held;
		/* HELD-A3 pairs with HELD-R3 of another thread. */
		uint64_t word = atomic_load_explicit(&reader->held[place], memory_order_acquire);

		if (word != 0) {
			to = word & ZCP_HELD_SEQ_MASK;
			break;
		}
		lane->first_held = reader->next_held[place];
		zcp_reader_vacate(reader, place);
	}
	if (__builtin_expect(lane->floor < lane->history_end, 0) && lane->floor < to)
		to = lane->floor;
	if (to == lane->released)
		return;
	lane->released = to;
	/* ACK-R3 pairs with ACK-A5 in the writer: what was read of these is over. */
	atomic_store_explicit(&lane->lane.ack->released, to, memory_order_release);
}

/* After a take on a blocking lane, whose publisher has waited once: it may wait for the room. */
__attribute__((noinline)) static void wake_blocked(struct zcp_reader *reader, uint32_t publisher)
{
	_Atomic uint32_t *room = &reader->acks->shm->rooms[publisher].room;

	/* Full: our store of `tail` before our look at `waiting`. */
	zcp_fence_full();
	if (!atomic_load_explicit(&reader->topic->publishers[publisher].waiting,
				  memory_order_relaxed))
		return;
	ZCP_CRASHPOINT("room.after_look");
	(void)atomic_fetch_add_explicit(room, 1, memory_order_relaxed);
	ZCP_CRASHPOINT("room.after_bump");
	zcp_futex_wake_all(room);
}

static inline void make_room(struct zcp_reader *reader, uint32_t publisher)
{
	/* Our store of `tail` before the load, against the publisher's heavy fence at its first wait. */
	zcp_fence_light(reader->options.symmetric);
	if (__builtin_expect(atomic_load_explicit(&reader->topic->publishers[publisher].has_waited,
						  memory_order_relaxed),
			     0))
		wake_blocked(reader, publisher);
}

static inline bool pass(struct zcp_reader *reader, struct zcp_reader_lane *lane, uint64_t *tail,
			uint64_t to)
{
	if (reader->options.blocks) {
		/* ACK-R1; nobody else moves it. */
		atomic_store_explicit(&lane->lane.ack->tail, to, memory_order_release);
		make_room(reader, (uint32_t)(lane - reader->lanes));
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

bool zcp_reader_pass(struct zcp_reader *reader, struct zcp_reader_lane *lane, uint64_t *tail,
		     uint64_t to)
{
	return pass(reader, lane, tail, to);
}

void zcp_reader_count(struct zcp_reader *reader, uint64_t n_taken, uint64_t n_lost)
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
static inline void deliver(struct zcp_reader_lane *lane, const struct zcp_description *description,
			   uint64_t seq, struct zcp_reader_message *message)
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

/* Gives up the messages up to `seq`. */
static void lose(struct zcp_reader *reader, struct zcp_reader_lane *lane, uint64_t seq)
{
	uint64_t tail = lane->next;

	while ((int64_t)(tail - seq) <= 0) {
		if (!zcp_reader_pass(reader, lane, &tail, seq + 1))
			continue;
		lane->n_lost += seq + 1 - lane->next;
		lane->next = seq + 1;
		return;
	}
	(void)zcp_reader_resync(lane);
}

static int take_lane(struct zcp_reader *reader, uint32_t publisher,
		     struct zcp_reader_message *message)
{
	struct zcp_reader_lane *lane = &reader->lanes[publisher];
	struct zcp_description description;

	if (!is_begun(lane))
		return ZCP_READER_E_EMPTY;
	zcp_reader_say_released(reader, lane);
	for (uint32_t tries = 0; tries <= lane->lane.mask + 1; tries++) {
		const struct zcp_lane_slot_shm *slot = zcp_lane_slot(&lane->lane, lane->next);
		/* LANE-A1 pairs with LANE-R1 in zcp_lane_put(). */
		uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire), tail;
		uint32_t place;

		if (__builtin_expect(!zcp_slot_is(word, lane->next), 0)) {
			if (zcp_reader_resync(lane))
				continue;
			/* The next payload comes with the next slot then, in one trip. */
			zcp_pool_prefetch(reader->pool, lane->next_ref);
			return ZCP_READER_E_EMPTY;
		}
		zcp_slot_describe(slot, word, &description);
		message->publisher = publisher;
		if (__builtin_expect(!zcp_reader_find(reader, &description, message), 0)) {
			if (!zcp_pool_has_class(reader->pool, description.ref)) {
				message->ref = description.ref;
				message->seq = lane->next;
				return ZCP_READER_E_UNMAPPED;
			}
			lose(reader, lane, lane->next);
			continue;
		}
		if (description.size > 64)
			zcp_prefetch_read((const char *)message->payload + description.size - 1);
		place = zcp_reader_hold(reader, publisher, lane->next, message);
		ZCP_CRASHPOINT("take.after_held");
		tail = lane->next;
		if (__builtin_expect(!pass(reader, lane, &tail, lane->next + 1), 0)) {
			zcp_reader_unhold(reader, place);
			if (!zcp_reader_resync(lane))
				break;
			continue;
		}
		ZCP_CRASHPOINT("take.after_tail");
		zcp_reader_keep(reader, lane, place);
		deliver(lane, &description, lane->next++, message);
		zcp_reader_count(reader, 1, message->n_lost);
		return 0;
	}
	return ZCP_READER_E_EMPTY;
}

void zcp_reader_lose(struct zcp_reader *reader, const struct zcp_reader_message *message)
{
	if (!zcp_reader_lose_history(reader, message))
		lose(reader, &reader->lanes[message->publisher], message->seq);
}

/* The lane whose next message was published first. Returns its number, or n. */
static uint32_t find_oldest(struct zcp_reader *reader, uint32_t n)
{
	uint32_t oldest = n;
	uint64_t oldest_time = 0;

	for (uint32_t p = 0; p < n; p++) {
		struct zcp_reader_lane *lane = &reader->lanes[p];
		struct zcp_description description;

		/*
		 * Counts only if `tail`, read after it, has not passed the message. ACK-A1: what was
		 * described stays before the load.
		 */
		if (!zcp_reader_peek(lane, &description) ||
		    (int64_t)(atomic_load_explicit(&lane->lane.ack->tail, memory_order_acquire) -
			      lane->next) > 0)
			continue;
		if (oldest == n || description.publish_time_ns < oldest_time) {
			oldest = p;
			oldest_time = description.publish_time_ns;
		}
	}
	return oldest;
}

static int take_by_time(struct zcp_reader *reader, uint32_t n, struct zcp_reader_message *message)
{
	/* Again where what was found has been pushed out since; not for ever. */
	for (uint32_t tries = 0; tries <= n; tries++) {
		uint32_t publisher = find_oldest(reader, n);
		int r;

		if (publisher == n)
			break;
		r = take_lane(reader, publisher, message);
		if (r != ZCP_READER_E_EMPTY)
			return r;
	}
	/* What was pushed out under every look may be there in turn. */
	for (uint32_t p = 0; p < n; p++) {
		int r = take_lane(reader, p, message);

		if (r != ZCP_READER_E_EMPTY)
			return r;
	}
	return ZCP_READER_E_EMPTY;
}

static inline int take_in_turn(struct zcp_reader *reader, uint32_t n,
			       struct zcp_reader_message *message)
{
	uint32_t publisher = reader->next;

	for (uint32_t i = 0; i < n; i++, publisher++) {
		int r;

		if (publisher >= n)
			publisher = 0;
		r = take_lane(reader, publisher, message);
		if (r == ZCP_READER_E_EMPTY)
			continue;
		reader->next = publisher + 1;
		return r;
	}
	return ZCP_READER_E_EMPTY;
}

int zcp_reader_take(struct zcp_reader *reader, struct zcp_reader_message *message)
{
	uint32_t n = zcp_reader_n_lanes(reader);

	if (!zcp_reader_has_place(reader))
		return ZCP_READER_E_HELD;
	if (__builtin_expect(reader->next_backlog < reader->backlog.n_entries, 0)) {
		int r = zcp_reader_history(reader, message);

		if (r != ZCP_READER_E_EMPTY)
			return r;
	}
	if (__builtin_expect(reader->options.by_time, 0))
		return take_by_time(reader, n, message);
	return take_in_turn(reader, n, message);
}

/* --- waiting --- */

int zcp_reader_arm(struct zcp_reader *reader)
{
	uint32_t s = reader->options.slot, n = zcp_reader_n_lanes(reader);
	bool starved = !zcp_reader_has_place(reader);
	int r;

	for (uint32_t p = 0; p < n; p++)
		if (reader->lanes[p].next != 0)
			zcp_reader_say_released(reader, &reader->lanes[p]);
	if (reader->sleeps && !starved)
		return 0;
	/* Relaxed, both: the heavy fence orders them against the others' light one. */
	atomic_store_explicit(&reader->starved, starved, memory_order_relaxed);
	(void)atomic_fetch_or_explicit(&reader->acks->shm->sleepers[s / 64],
				       UINT64_C(1) << (s % 64), memory_order_relaxed);
	r = zcp_fence_heavy(reader->options.symmetric);
	reader->sleeps = r == 0;
	return r;
}

void zcp_reader_disarm(struct zcp_reader *reader)
{
	/* Relaxed: a release that still sees it wakes us once too often. */
	if (atomic_load_explicit(&reader->starved, memory_order_relaxed))
		atomic_store_explicit(&reader->starved, 0, memory_order_relaxed);
}

bool zcp_reader_is_ready(struct zcp_reader *reader)
{
	uint32_t n = zcp_reader_n_lanes(reader);

	if (!zcp_reader_has_place(reader))
		return false;
	if (reader->next_backlog < reader->backlog.n_entries)
		return true;
	for (uint32_t p = 0; p < n; p++) {
		struct zcp_reader_lane *lane = &reader->lanes[p];
		const struct zcp_lane_slot_shm *slot;

		if (!is_begun(lane))
			continue;
		slot = zcp_lane_slot(&lane->lane, lane->next);
		/* Relaxed, both: they decide only whether to sleep, after a full fence. */
		if (zcp_slot_is(atomic_load_explicit(&slot->word, memory_order_relaxed),
				lane->next) ||
		    (int64_t)(atomic_load_explicit(&lane->lane.ack->tail, memory_order_relaxed) -
			      lane->next) > 0)
			return true;
		zcp_pool_prefetch(reader->pool, lane->next_ref);
	}
	return false;
}
