/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking from many lanes in turn, and checking what comes out of shared memory.
 */
#include "pubsub/shm/reader.h"

#include <errno.h>
#include <stdlib.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/fence.h"
#include "pubsub/shm/memory.h"
#include "pubsub/shm/reader_backlog.h"
#include "pubsub/shm/signal.h"

/* Empty looks in a row after which a polling subscriber compares itself with next_seq. */
#define RESYNC_LOOKS 1024

/* The first look at a lane, and any later one that begins anew. */
static void look(struct zcp_reader *reader, uint32_t publisher)
{
	/* SEQ-A1 pairs with SEQ-R1 in zcp_writer_publish(). */
	uint64_t next_seq = atomic_load_explicit(&reader->topic->publishers[publisher].next_seq,
						 memory_order_acquire);

	reader->cursors[publisher].seq = zcp_lane_first(&reader->lanes[publisher], next_seq);
}

int zcp_reader_init(struct zcp_reader *reader, const struct zcp_topic *topic,
		    const struct zcp_pool *pool, const struct zcp_reader_options *options)
{
	bool prefault = topic->region.memory & ZCP_MEMORY_PREFAULT;
	uint32_t n = topic->geometry.max_publishers;

	*reader = (struct zcp_reader){
		.topic = topic,
		.pool = pool,
		.slot = &topic->subscribers[options->slot],
		.options = *options,
	};
	/* Relaxed: ours alone since we have the slot. */
	reader->n_lost_before = atomic_load_explicit(&reader->slot->n_lost, memory_order_relaxed);
	reader->lanes = zcp_memory_calloc(n, sizeof(reader->lanes[0]), prefault);
	reader->cursors = zcp_memory_calloc(n, sizeof(reader->cursors[0]), prefault);
	reader->places = zcp_memory_calloc(options->max_held, sizeof(reader->places[0]), prefault);
	reader->vacant = zcp_memory_calloc(options->max_held, sizeof(reader->vacant[0]), prefault);
	if (!reader->lanes || !reader->cursors || !reader->places || !reader->vacant) {
		zcp_reader_deinit(reader);
		return -ENOMEM;
	}
	for (uint32_t p = 0; p < n; p++) {
		reader->lanes[p] = zcp_topic_lane(topic, p, options->slot, options->depth_log2);
		if (p < options->n_starts)
			reader->cursors[p].seq = zcp_lane_first(&reader->lanes[p],
								options->starts[p]);
		else
			look(reader, p);
	}
	reader->options.starts = NULL;
	reader->options.backlog = NULL;
	if (options->backlog && zcp_reader_take_over(reader, options->backlog) < 0) {
		zcp_reader_deinit(reader);
		return -ENOMEM;
	}
	return 0;
}

void zcp_reader_deinit(struct zcp_reader *reader)
{
	free(reader->lanes);
	free(reader->cursors);
	free(reader->places);
	free(reader->vacant);
	zcp_backlog_deinit(&reader->backlog);
	*reader = (struct zcp_reader){ .topic = NULL };
}

static uint32_t n_lanes(const struct zcp_reader *reader)
{
	/*
	 * Relaxed: a lane is looked at by its slots; this only says how many can have
	 * something. The runtime sets the bit before it answers the publisher.
	 */
	uint64_t used = atomic_load_explicit(&reader->topic->shm->used, memory_order_relaxed);
	uint32_t n = used ? 64 - (uint32_t)__builtin_clzll(used) : 0;

	return n < reader->topic->geometry.max_publishers ? n :
							    reader->topic->geometry.max_publishers;
}

/* A publisher that has gone on without us: begin anew at what is there. */
static void resync(struct zcp_reader *reader, uint32_t publisher)
{
	struct zcp_lane_cursor *cursor = &reader->cursors[publisher];
	/* SEQ-A1: all messages before next_seq that we get are in the lane. */
	uint64_t next_seq = atomic_load_explicit(&reader->topic->publishers[publisher].next_seq,
						 memory_order_acquire);
	uint64_t before = cursor->seq;

	if ((int64_t)(next_seq - before) <= 0 ||
	    zcp_lane_is_ready(&reader->lanes[publisher], before))
		return;
	look(reader, publisher);
	/*
	 * Only a lag of 2^31 messages, where numbers that are ahead look as if behind, or a
	 * publisher that was stopped in the middle of a publish when we joined comes here.
	 */
	if (cursor->seq > before)
		cursor->n_lost += cursor->seq - before;
	else
		cursor->seq = before;
}

/* Relaxed stores: counts that only we write and the runtime reads. */
static void count(struct zcp_reader *reader, uint64_t n_taken, uint64_t n_lost)
{
	reader->n_taken += n_taken;
	reader->n_lost += n_lost;
	atomic_store_explicit(&reader->slot->n_taken, reader->n_taken, memory_order_relaxed);
	if (n_lost > 0)
		atomic_store_explicit(&reader->slot->n_lost, reader->n_lost_before + reader->n_lost,
				      memory_order_relaxed);
}

/* After a take on a blocking lane: the publisher may wait for the room. */
static void make_room(struct zcp_reader *reader, uint32_t publisher)
{
	struct zcp_publisher_slot_shm *slot = &reader->topic->publishers[publisher];

	/* Full: our CAS on the slot before our look at `waiting`. */
	zcp_fence_full();
	if (atomic_load_explicit(&slot->waiting, memory_order_relaxed)) {
		ZCP_CRASHPOINT("room.after_look");
		(void)atomic_fetch_add_explicit(&slot->room, 1, memory_order_relaxed);
		ZCP_CRASHPOINT("room.after_bump");
		zcp_futex_wake_all(&slot->room);
	}
}

void zcp_reader_lose(struct zcp_reader *reader, const struct zcp_reader_message *message)
{
	zcp_lane_lose(&reader->lanes[message->publisher], &reader->cursors[message->publisher]);
	if (reader->options.blocks)
		make_room(reader, message->publisher);
}

/*
 * Everything that a slot or a header says is checked here. What does not hold is counted
 * as lost: the publisher is broken, or somebody has written where he should not.
 */
static bool check(const struct zcp_reader *reader, struct zcp_reader_message *message)
{
	struct zcp_lane_cursor *cursor = &reader->cursors[message->publisher];
	const struct zcp_chunk *chunk = &message->chunk;
	/* Relaxed, all: LANE-A1 has ordered them after the publisher's writes. */
	uint64_t seq = atomic_load_explicit(&chunk->descriptor->seq, memory_order_relaxed);

	message->size = atomic_load_explicit(&chunk->header->payload_size, memory_order_relaxed);
	message->user_header_size = atomic_load_explicit(&chunk->header->user_header_size,
							 memory_order_relaxed);
	if ((uint32_t)seq != (uint32_t)message->seq || seq < message->seq ||
	    !zcp_chunk_has_holder(chunk->descriptor, reader->options.holder))
		return false;
	if (message->size > chunk->payload_size || message->user_header_size > chunk->header_room) {
		/* It was given to us all the same. */
		zcp_chunk_release(chunk->descriptor, reader->options.holder);
		return false;
	}
	if (__builtin_expect(seq != message->seq, 0)) {
		/* More than 2^32 behind: the slot's 32 bits did not tell. */
		cursor->n_lost += seq - message->seq;
		cursor->seq = seq + 1;
		message->seq = seq;
	}
	return true;
}

static void hold(struct zcp_reader *reader, struct zcp_reader_message *message)
{
	struct zcp_reader_place *place;

	message->place = reader->vacant[--reader->n_vacant];
	place = &reader->places[message->place];
	/* Relaxed: whoever releases the message gets it from this thread. */
	message->ticket = atomic_load_explicit(&place->ticket, memory_order_relaxed) + 1;
	atomic_store_explicit(&place->ticket, message->ticket, memory_order_relaxed);
	atomic_store_explicit(&place->chunk, message->chunk.descriptor, memory_order_relaxed);
}

static int open_message(struct zcp_reader *reader, struct zcp_reader_message *message)
{
	struct zcp_lane_cursor *cursor = &reader->cursors[message->publisher];
	const struct zcp_chunk_header_shm *header;

	if (!zcp_pool_chunk(reader->pool, message->ref, &message->chunk) ||
	    !check(reader, message)) {
		cursor->n_lost++;
		return ZCP_READER_E_EMPTY;
	}
	header = message->chunk.header;
	/* Relaxed, as in check(). */
	message->publish_time_ns = atomic_load_explicit(&header->publish_time_ns,
							memory_order_relaxed);
	message->publisher_id = atomic_load_explicit(&header->publisher_id, memory_order_relaxed);
	cursor->last_size = message->size;
	return 0;
}

/* The message is the caller's. */
static inline void deliver(struct zcp_reader *reader, struct zcp_reader_message *message)
{
	struct zcp_lane_cursor *cursor = &reader->cursors[message->publisher];

	message->n_lost = cursor->n_lost;
	cursor->n_lost = 0;
	hold(reader, message);
	count(reader, 1, message->n_lost);
	ZCP_CRASHPOINT("take.after_hold");
}

/* Gathers the places that have been emptied. */
static bool find_vacant(struct zcp_reader *reader)
{
	for (uint32_t i = 0; i < reader->options.max_held; i++)
		/* PLACE-A1 pairs with PLACE-R1 in zcp_reader_release(). */
		if (!atomic_load_explicit(&reader->places[i].chunk, memory_order_acquire))
			reader->vacant[reader->n_vacant++] = i;
	return reader->n_vacant > 0;
}

static int take_lane(struct zcp_reader *reader, uint32_t publisher,
		     struct zcp_reader_message *message)
{
	struct zcp_lane_cursor *cursor = &reader->cursors[publisher];
	int r = zcp_lane_take(&reader->lanes[publisher], cursor, reader->pool, &message->ref);

	if (r == ZCP_LANE_E_EMPTY)
		return ZCP_READER_E_EMPTY;
	message->publisher = publisher;
	if (r == ZCP_LANE_E_UNMAPPED)
		return ZCP_READER_E_UNMAPPED;
	message->seq = cursor->seq - 1;
	ZCP_CRASHPOINT("take.after_cas");
	if (reader->options.blocks)
		make_room(reader, publisher);
	return open_message(reader, message);
}

/*
 * A message that was sent to us, and pushed out of the lane again, while the runtime looked for
 * what is retained may have been missed by it, and the ones before and after it found.
 */
static void count_hole(struct zcp_lane_cursor *cursor, uint64_t seq)
{
	if (cursor->backlog_seq && seq > cursor->backlog_seq + 1)
		cursor->n_lost += seq - cursor->backlog_seq - 1;
	cursor->backlog_seq = seq;
}

/* History comes first. What is not as it was given to us is lost. */
static int take_backlog(struct zcp_reader *reader, struct zcp_reader_message *message)
{
	while (reader->next_backlog < reader->backlog.n_entries) {
		const struct zcp_backlog_entry_shm *entry =
			&reader->backlog.entries[reader->next_backlog++];
		struct zcp_chunk chunk;

		if (entry->publisher >= reader->topic->geometry.max_publishers)
			continue;
		count_hole(&reader->cursors[entry->publisher], entry->seq);
		message->publisher = entry->publisher;
		message->ref = entry->ref;
		message->seq = entry->seq;
		/* Relaxed: it was retained when the runtime gave it to us, and is ours since. */
		if (zcp_pool_chunk(reader->pool, entry->ref, &chunk) &&
		    atomic_load_explicit(&chunk.descriptor->seq, memory_order_relaxed) ==
			    entry->seq) {
			ZCP_CRASHPOINT("take.after_backlog");
			if (open_message(reader, message) == 0)
				return 0;
		} else {
			reader->cursors[entry->publisher].n_lost++;
		}
	}
	return ZCP_READER_E_EMPTY;
}

/* The lane whose next message was published first. Returns its number, or n_lanes. */
static uint32_t find_oldest(struct zcp_reader *reader, uint32_t n)
{
	uint32_t oldest = n;
	uint64_t oldest_time = 0;

	for (uint32_t p = 0; p < n; p++) {
		uint64_t time;
		uint32_t ref;

		if (zcp_lane_peek(&reader->lanes[p], &reader->cursors[p], &ref) != 0)
			continue;
		time = zcp_pool_publish_time(reader->pool, ref);
		if (oldest == n || time < oldest_time) {
			oldest = p;
			oldest_time = time;
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
	return ZCP_READER_E_EMPTY;
}

static int take_in_turn(struct zcp_reader *reader, uint32_t n, struct zcp_reader_message *message)
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

/* The next message; it is held by nobody but our bit. */
static inline int take_next(struct zcp_reader *reader, struct zcp_reader_message *message)
{
	uint32_t n = n_lanes(reader);
	int r = ZCP_READER_E_EMPTY;

	if (__builtin_expect(reader->next_backlog < reader->backlog.n_entries, 0))
		r = take_backlog(reader, message);
	if (r == ZCP_READER_E_EMPTY)
		r = __builtin_expect(reader->options.by_time, 0) ?
			    take_by_time(reader, n, message) :
			    take_in_turn(reader, n, message);
	if (r != ZCP_READER_E_EMPTY) {
		reader->n_empty = 0;
		return r;
	}
	if (++reader->n_empty % RESYNC_LOOKS == 0 || reader->options.unsure)
		for (uint32_t p = 0; p < n; p++)
			resync(reader, p);
	return ZCP_READER_E_EMPTY;
}

int zcp_reader_take(struct zcp_reader *reader, struct zcp_reader_message *message)
{
	int r = 0;

	if (reader->n_vacant == 0 && !find_vacant(reader))
		return ZCP_READER_E_HELD;
	if (__builtin_expect(reader->has_candidate, 0)) {
		*message = reader->candidate;
		reader->has_candidate = false;
	} else {
		r = take_next(reader, message);
	}
	if (r == 0)
		deliver(reader, message);
	return r;
}

static bool is_newer(const struct zcp_reader_message *a, const struct zcp_reader_message *b)
{
	return a->publisher == b->publisher || a->publish_time_ns >= b->publish_time_ns;
}

/* Keeps the newer of the two, and gives the other one back. */
static void compete(struct zcp_reader *reader, struct zcp_reader_message *message)
{
	struct zcp_reader_message *older = message;

	if (reader->has_candidate) {
		if (is_newer(message, &reader->candidate))
			older = &reader->candidate;
		zcp_chunk_release(older->chunk.descriptor, reader->options.holder);
		count(reader, 1, 0);
	}
	if (!reader->has_candidate || older == &reader->candidate)
		reader->candidate = *message;
	reader->has_candidate = true;
}

int zcp_reader_latest(struct zcp_reader *reader, struct zcp_reader_message *message)
{
	uint64_t laps = 2 * ((uint64_t)1 << reader->options.depth_log2) * n_lanes(reader);
	uint64_t most = laps + reader->backlog.n_entries - reader->next_backlog;

	if (reader->n_vacant == 0 && !find_vacant(reader))
		return ZCP_READER_E_HELD;
	for (uint64_t i = 0; i < most; i++) {
		int r = take_next(reader, message);

		if (r == ZCP_READER_E_UNMAPPED)
			return r;
		if (r != 0)
			break;
		compete(reader, message);
	}
	if (!reader->has_candidate)
		return ZCP_READER_E_EMPTY;
	*message = reader->candidate;
	reader->has_candidate = false;
	deliver(reader, message);
	return 0;
}

int zcp_reader_release(struct zcp_reader *reader, uint32_t index, uint32_t ticket)
{
	struct zcp_reader_place *place;
	struct zcp_chunk_shm *chunk;

	if (index >= reader->options.max_held)
		return -EINVAL;
	place = &reader->places[index];
	/* Relaxed, both: whoever has the message has it from the thread that took it. */
	chunk = atomic_load_explicit(&place->chunk, memory_order_relaxed);
	if (!chunk || atomic_load_explicit(&place->ticket, memory_order_relaxed) != ticket)
		return -EINVAL;
	zcp_chunk_release(chunk, reader->options.holder);
	ZCP_CRASHPOINT("release.after_clear");
	/* PLACE-R1 pairs with PLACE-A1 in find_vacant(): our bit is clear by then. */
	atomic_store_explicit(&place->chunk, NULL, memory_order_release);
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

	for (uint32_t i = 0; i < reader->options.max_held; i++)
		/* Relaxed: a count. */
		if (atomic_load_explicit(&reader->places[i].chunk, memory_order_relaxed))
			n++;
	return n;
}

int zcp_reader_arm(struct zcp_reader *reader)
{
	uint32_t s = reader->options.slot;
	bool starved = reader->n_vacant == 0 && !find_vacant(reader);
	int r;

	if (reader->sleeps && !starved)
		return 0;
	/* Relaxed, both: the heavy fence orders them against the others' light one. */
	atomic_store_explicit(&reader->starved, starved, memory_order_relaxed);
	(void)atomic_fetch_or_explicit(&reader->topic->shm->sleepers[s / 64],
				       UINT64_C(1) << (s % 64), memory_order_relaxed);
	r = zcp_fence_heavy(reader->options.symmetric);
	reader->sleeps = r == 0;
	return r;
}

void zcp_reader_disarm(struct zcp_reader *reader)
{
	/* Relaxed: whoever still sees it wakes us once too often. */
	if (atomic_load_explicit(&reader->starved, memory_order_relaxed))
		atomic_store_explicit(&reader->starved, 0, memory_order_relaxed);
}

bool zcp_reader_is_ready(struct zcp_reader *reader)
{
	uint32_t n = n_lanes(reader);

	if (reader->n_vacant == 0 && !find_vacant(reader))
		return false;
	if (reader->has_candidate || reader->next_backlog < reader->backlog.n_entries)
		return true;
	for (uint32_t p = 0; p < n; p++) {
		if (zcp_lane_is_ready(&reader->lanes[p], reader->cursors[p].seq))
			return true;
		resync(reader, p);
		if (zcp_lane_is_ready(&reader->lanes[p], reader->cursors[p].seq))
			return true;
	}
	return false;
}
