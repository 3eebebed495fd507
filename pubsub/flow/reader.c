/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking from many lanes in turn, and checking what comes out of shared memory.
 */
#include "pubsub/flow/reader.h"

#include <errno.h>
#include <stdlib.h>

#include "pubsub/flow/reader_take.h"
#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/fence.h"
#include "pubsub/shm/memory.h"

/* Messages that a subscriber looks ahead which is behind. */
#define AHEAD 4

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
	reader->lanes = zcp_memory_calloc(topic->geometry.max_publishers, sizeof(reader->lanes[0]),
					  prefault);
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
bool zcp_reader_begin_lane(struct zcp_reader_lane *lane)
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

/*
 * A subscriber that has not found the lane empty for a while is behind its publisher: then slots and
 * payloads are fetched ahead. One that keeps up would only take from the publisher what that writes.
 */
__attribute__((noinline)) void zcp_reader_look_ahead(const struct zcp_reader *reader,
						     struct zcp_reader_lane *lane)
{
	uint64_t seq = lane->next + AHEAD;
	/* Relaxed: a wrong guess costs nothing but the fetch. */
	uint64_t word = atomic_load_explicit(&zcp_lane_slot(&lane->lane, seq)->word,
					     memory_order_relaxed);

	if (!zcp_slot_is(word, seq)) {
		lane->n_run = 0;
		return;
	}
	zcp_pool_prefetch(reader->pool, (uint32_t)(word & ZCP_SLOT_REF_MASK));
	zcp_prefetch_read(zcp_lane_slot(&lane->lane, seq + AHEAD));
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
	if (!zcp_reader_is_begun(lane))
		return false;
	for (uint32_t tries = 0; tries <= lane->lane.mask + 1; tries++) {
		const struct zcp_lane_slot_shm *slot = zcp_lane_slot(&lane->lane, lane->next);
		/* LANE-A1 pairs with LANE-R1 in zcp_slot_put(). */
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

/* After a take on a blocking lane, whose publisher has waited once: it may wait for the room. */
void zcp_reader_wake_blocked(struct zcp_reader *reader, uint32_t publisher)
{
	struct zcp_publisher_slot_shm *slot = &reader->topic->publishers[publisher];
	_Atomic uint32_t *room = &reader->acks->shm->rooms[publisher].room;
	uint32_t waiting, signal;

	/* Full: our store of `tail` before our look at `waiting`. */
	zcp_fence_full();
	waiting = atomic_load_explicit(&slot->waiting, memory_order_relaxed);
	if (waiting == ZCP_WAITING_NOT)
		return;
	ZCP_CRASHPOINT("room.after_look");
	if (waiting == ZCP_WAITING_BESIDE) {
		/* Relaxed: written before the slot was given. */
		signal = atomic_load_explicit(&slot->signal, memory_order_relaxed);
		if (signal < reader->options.n_signals)
			zcp_signal_wake_beside(&reader->options.signals[signal]);
		return;
	}
	(void)atomic_fetch_add_explicit(room, 1, memory_order_relaxed);
	ZCP_CRASHPOINT("room.after_bump");
	zcp_futex_wake_all(room);
}

void zcp_reader_lose_in_lane(struct zcp_reader *reader, struct zcp_reader_lane *lane, uint64_t seq)
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

void zcp_reader_lose(struct zcp_reader *reader, const struct zcp_reader_message *message)
{
	if (!zcp_reader_lose_history(reader, message))
		zcp_reader_lose_in_lane(reader, &reader->lanes[message->publisher], message->seq);
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
		r = zcp_reader_take_lane(reader, publisher, message);
		if (r != ZCP_READER_E_EMPTY)
			return r;
	}
	/* What was pushed out under every look may be there in turn. */
	for (uint32_t p = 0; p < n; p++) {
		int r = zcp_reader_take_lane(reader, p, message);

		if (r != ZCP_READER_E_EMPTY)
			return r;
	}
	return ZCP_READER_E_EMPTY;
}

int zcp_reader_take(struct zcp_reader *reader, struct zcp_reader_message *message)
{
	if (!zcp_reader_has_place(reader))
		return ZCP_READER_E_HELD;
	if (__builtin_expect(reader->next_backlog < reader->backlog.n_entries, 0)) {
		int r = zcp_reader_history(reader, message);

		if (r != ZCP_READER_E_EMPTY)
			return r;
	}
	if (__builtin_expect(reader->options.by_time, 0))
		return take_by_time(reader, zcp_reader_n_lanes(reader), message);
	return zcp_reader_take_in_turn(reader, message);
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

		if (!zcp_reader_is_begun(lane))
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
