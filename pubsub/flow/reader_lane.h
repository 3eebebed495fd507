/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader from within: lanes, and places in which messages are held. Between the files of the
 * reader alone.
 */
#ifndef ZCP_FLOW_READER_LANE_H
#define ZCP_FLOW_READER_LANE_H

#include "pubsub/flow/reader.h"
#include "pubsub/shm/signal.h"

/* The end of a list of places. */
#define ZCP_NO_PLACE UINT32_MAX

static inline uint32_t zcp_reader_n_lanes(struct zcp_reader *reader)
{
	/*
	 * Relaxed: a lane is looked at by its slots; this only says how many can have something. The
	 * runtime sets the bit before it answers the publisher.
	 */
	uint64_t used = atomic_load_explicit(&reader->topic->shm->used, memory_order_relaxed);
	uint32_t n;

	if (__builtin_expect(used == reader->used, 1))
		return reader->n_lanes;
	n = used ? 64 - (uint32_t)__builtin_clzll(used) : 0;
	if (n > reader->topic->geometry.max_publishers)
		n = reader->topic->geometry.max_publishers;
	reader->used = used;
	reader->n_lanes = n;
	return n;
}

/* Finds the chunk of a message in the pool and checks its sizes. */
static inline bool zcp_reader_find(const struct zcp_reader *reader,
				   const struct zcp_description *description,
				   struct zcp_reader_message *message)
{
	const struct zcp_class *class = zcp_pool_class(reader->pool, description->ref);

	if (!class || description->size > class->payload_size ||
	    description->user_header_size > class->header_room)
		return false;
	message->payload = zcp_class_payload(class, zcp_ref_index(description->ref));
	zcp_prefetch_read(message->payload);
	return true;
}

/* A place is known to be empty. */
static inline void zcp_reader_vacate(struct zcp_reader *reader, uint32_t place)
{
	reader->vacant[reader->n_vacant++] = place;
}

/*
 * Says that the message is held, in a vacant place, before anything says that it is taken. The
 * place stays vacant until zcp_reader_keep(). The caller has made sure that there is one.
 */
static inline uint32_t zcp_reader_hold(struct zcp_reader *reader, uint32_t publisher, uint64_t seq,
				       struct zcp_reader_message *message)
{
	uint32_t place = reader->vacant[reader->n_vacant - 1];

	message->place = place;
	message->held = zcp_held(publisher, seq);
	if (__builtin_expect(place >= reader->n_places, 0)) {
		reader->n_places = place + 1;
		/* Relaxed: HELD-R1 has it seen before the entry counts. */
		atomic_store_explicit(&reader->counts->n_held, place + 1, memory_order_relaxed);
	}
	/* HELD-R1 pairs with HELD-A1 in the exact look; ACK-R1 or ACK-R4 has it seen with them. */
	atomic_store_explicit(&reader->held[place], message->held, memory_order_release);
	return place;
}

/* The message was not taken after all. */
static inline void zcp_reader_unhold(struct zcp_reader *reader, uint32_t place)
{
	/* HELD-R2 pairs with HELD-A1 in the exact look. */
	atomic_store_explicit(&reader->held[place], 0, memory_order_release);
}

/* It was: the place is the message's until it is released. */
static inline void zcp_reader_keep(struct zcp_reader *reader, struct zcp_reader_lane *lane,
				   uint32_t place)
{
	reader->n_vacant--;
	reader->next_held[place] = ZCP_NO_PLACE;
	if (__builtin_expect(lane->first_held == ZCP_NO_PLACE, 1))
		lane->first_held = place;
	else
		reader->next_held[lane->last_held] = place;
	lane->last_held = place;
}

bool zcp_reader_has_place(struct zcp_reader *reader);

/* The publisher has moved `tail`: what it has pushed out is lost. False where it has not. */
bool zcp_reader_resync(struct zcp_reader_lane *lane);

/* Describes the next message of a lane, which stays there until it is pushed out. */
bool zcp_reader_peek(struct zcp_reader_lane *lane, struct zcp_description *description);

/* --- promised history: reader_history.c --- */

/* Every lane begins, those with a promised history before their base. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int zcp_reader_begin_history(struct zcp_reader *reader);

/* Takes the next message of history. Returns as zcp_reader_take(). */
int zcp_reader_history(struct zcp_reader *reader, struct zcp_reader_message *message);

/* Gives up the next message of history if that is this one. */
bool zcp_reader_lose_history(struct zcp_reader *reader, const struct zcp_reader_message *message);

/* What of a lane's history is before `to` is taken, or given up. */
void zcp_reader_move_floor(struct zcp_reader_lane *lane, uint64_t to);

#endif
