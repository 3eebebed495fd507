/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscriber's end of the data plane: its lanes, one from each publisher slot, and what
 * it holds.
 *
 * One thread takes at a time; samples may be released by any thread of the process.
 * Needs no runtime, allocates only in zcp_reader_init().
 */
#ifndef ZCP_SHM_READER_H
#define ZCP_SHM_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "pubsub/shm/backlog.h"
#include "pubsub/shm/lane.h"
#include "pubsub/shm/pool.h"
#include "pubsub/shm/topic.h"

/* Expected outcomes. */
enum {
	ZCP_READER_E_EMPTY = 1,    /* nothing to take */
	ZCP_READER_E_HELD = 2,     /* as many samples are held as were declared */
	ZCP_READER_E_UNMAPPED = 3, /* the message lies in a size class that is not mapped */
};

struct zcp_reader_options {
	/* slot in the topic, and bit in the pool */
	uint32_t slot;
	uint32_t holder;
	uint32_t depth_log2;
	uint32_t max_held;
	bool blocks;
	bool symmetric;
	/* a publisher was in the middle of a publish when we joined: look for its lane often */
	bool unsure;
	/* the message with the smallest publish time first, not each publisher in turn */
	bool by_time;
	/*
	 * for the first n_starts publisher slots the first number that is sent to us for
	 * certain; only read by zcp_reader_init(); for the others the slot's next_seq
	 */
	const uint64_t *starts;
	uint32_t n_starts;
	/* history that was given to us, moved into the reader by zcp_reader_init(); or NULL */
	struct zcp_backlog *backlog;
};

/* A message that was taken. */
struct zcp_reader_message {
	struct zcp_chunk chunk;
	uint64_t size;
	uint32_t user_header_size;
	uint64_t seq;
	uint64_t publish_time_ns;
	uint64_t publisher_id;
	uint64_t n_lost;
	/* where it is held: what zcp_reader_release() needs */
	uint32_t place;
	uint32_t ticket;
	/* publisher slot and ref: what zcp_reader_lose() needs */
	uint32_t publisher;
	uint32_t ref;
};

struct zcp_reader {
	const struct zcp_topic *topic;
	const struct zcp_pool *pool;
	struct zcp_subscriber_slot_shm *slot;
	struct zcp_reader_options options;
	/* one for each publisher slot */
	struct zcp_lane *lanes;
	struct zcp_lane_cursor *cursors;
	/* the lane to look at first, so that all have their turn */
	uint32_t next;
	/* looks in a row that found nothing */
	uint32_t n_empty;
	uint64_t n_taken;
	uint64_t n_lost;
	/* by those who had the slot before */
	uint64_t n_lost_before;
	/* our bit is set in the topic's sleepers */
	bool sleeps;
	/*
	 * What is held: max_held places, each with the chunk in it, or NULL. Places are taken
	 * by whoever takes and emptied by whoever releases, so that neither needs a count that
	 * both change. Those in `vacant` are known to be empty.
	 */
	struct zcp_reader_place *places;
	uint32_t *vacant;
	uint32_t n_vacant;
	/* set while our thread sleeps because no place is vacant; read by whoever releases */
	_Atomic uint32_t starved;
	/* history that is not taken yet, from `next_backlog` on */
	struct zcp_backlog backlog;
	uint32_t next_backlog;
	/* what zcp_reader_latest() had found when it came to a class that is not mapped */
	bool has_candidate;
	struct zcp_reader_message candidate;
};

struct zcp_reader_place {
	_Atomic(struct zcp_chunk_shm *) chunk;
	/* the next number for each message that is held here: tells a stale copy from it */
	_Atomic uint32_t ticket;
};

/*
 * The views stay the caller's and must outlive the reader. Looks at every lane, so that
 * all that is sent from now on is either taken or counted as lost. Returns 0, or -ENOMEM with
 * the backlog still the caller's.
 */
__attribute__((warn_unused_result)) int zcp_reader_init(struct zcp_reader *reader,
							const struct zcp_topic *topic,
							const struct zcp_pool *pool,
							const struct zcp_reader_options *options);
void zcp_reader_deinit(struct zcp_reader *reader);

/*
 * Takes the next message of any publisher, in turn. Returns 0 with *message, or
 * ZCP_READER_E_EMPTY, _HELD; or _UNMAPPED: attach the class of message->ref and take again,
 * or zcp_reader_lose() it. Wait-free over the publishers.
 */
__attribute__((warn_unused_result)) int zcp_reader_take(struct zcp_reader *reader,
							struct zcp_reader_message *message);

/*
 * Takes all there is, and gives back at once all but the message that was published last: by
 * its publish time, or where there are none the one taken last. What was passed over counts
 * as taken, not as lost. Returns as zcp_reader_take(). Wait-free: takes no more than two laps
 * of each lane, whatever the publishers do meanwhile.
 */
__attribute__((warn_unused_result)) int zcp_reader_latest(struct zcp_reader *reader,
							  struct zcp_reader_message *message);

/* After ZCP_READER_E_UNMAPPED: the class is not to be had; the message is lost. */
void zcp_reader_lose(struct zcp_reader *reader, const struct zcp_reader_message *message);

/*
 * Gives back the message in a place. Any thread. Wait-free. Returns 0, or -EINVAL where
 * that message is not held there any more.
 */
int zcp_reader_release(struct zcp_reader *reader, uint32_t place, uint32_t ticket);

/* Whether the thread that takes sleeps until something is released: then wake it. */
bool zcp_reader_is_starved(const struct zcp_reader *reader);

/* How many messages are held. */
uint32_t zcp_reader_n_held(const struct zcp_reader *reader);

/*
 * Before a sleep: makes sure that publishers look at our signal before they leave a
 * publish, the first time with one heavy fence, afterwards with nothing; and that whoever
 * releases wakes us if all that we may hold is held. Returns 0, or what membarrier(2) gives.
 */
__attribute__((warn_unused_result)) int zcp_reader_arm(struct zcp_reader *reader);

/* After a sleep. */
void zcp_reader_disarm(struct zcp_reader *reader);

/*
 * Whether a take may find something, and has room for it; for the second look before a
 * sleep, after a full fence. Also finds a lane again whose publisher has gone on without us.
 */
bool zcp_reader_is_ready(struct zcp_reader *reader);

#endif
