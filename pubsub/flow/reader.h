/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscriber's end of the data plane: its lanes, one from each publisher slot, and what it
 * holds.
 *
 * One thread takes at a time; samples may be released by any thread of the process. Needs no
 * runtime, allocates only in zcp_reader_init(). Writes nothing but its own block of the acks.
 */
#ifndef ZCP_FLOW_READER_H
#define ZCP_FLOW_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "pubsub/flow/backlog.h"
#include "pubsub/shm/pool.h"
#include "pubsub/shm/topic.h"

/* Expected outcomes. */
enum {
	ZCP_READER_E_EMPTY = 1,    /* nothing to take */
	ZCP_READER_E_HELD = 2,     /* as many samples are held as were declared */
	ZCP_READER_E_UNMAPPED = 3, /* the message lies in a size class that is not mapped */
};

struct zcp_reader_options {
	/* slot in the topic */
	uint32_t slot;
	uint32_t depth_log2;
	uint32_t max_held;
	bool blocks;
	bool symmetric;
	/* the message with the smallest publish time first, not each publisher in turn */
	bool by_time;
	/* the domain's, to wake publishers that it blocks; NULL and 0: they sleep on `room` alone */
	struct zcp_signal_shm *signals;
	uint32_t n_signals;
	/* promised history, moved into the reader by zcp_reader_init(); or NULL */
	struct zcp_backlog *backlog;
};

/* A message that was taken. */
struct zcp_reader_message {
	void *payload;
	uint64_t size;
	uint32_t user_header_size;
	uint64_t seq;
	uint64_t publish_time_ns;
	uint64_t publisher_id;
	uint64_t n_lost;
	/* where it is held, and as what: what zcp_reader_release() needs */
	uint32_t place;
	uint64_t held;
	/* publisher slot and ref: what zcp_reader_lose() needs */
	uint32_t publisher;
	uint32_t ref;
};

/* A lane as its subscriber knows it. */
struct zcp_reader_lane {
	struct zcp_lane lane;
	/* number of the next message to take, which is `tail` unless that was moved; 0: not begun */
	uint64_t next;
	/* messages lost since the last one that was taken */
	uint64_t n_lost;
	/* as we last wrote them; `history_end`: floor when all of the history is taken */
	uint64_t released;
	uint64_t floor;
	uint64_t history_end;
	/* what is held of it, in the order in which it was taken: places, or NO_PLACE */
	uint32_t first_held;
	uint32_t last_held;
	/* the chunk of the next message, as its publisher expects */
	uint32_t next_ref;
	/* messages taken since the lane was last found empty, or nearly so */
	uint32_t n_run;
};

struct zcp_reader {
	const struct zcp_topic *topic;
	const struct zcp_acks *acks;
	const struct zcp_pool *pool;
	struct zcp_ack_counts_shm *counts;
	_Atomic uint64_t *held;
	struct zcp_reader_options options;
	/* one for each publisher slot */
	struct zcp_reader_lane *lanes;
	/* publisher slots that were ever given, and how many lanes that makes */
	uint64_t used;
	uint32_t n_lanes;
	/* the lane to look at first, so that all have their turn */
	uint32_t next;
	uint64_t n_taken;
	uint64_t n_lost;
	/* by those who had the slot before */
	uint64_t n_lost_before;
	/* our bit is set in the topic's sleepers */
	bool sleeps;
	/*
	 * max_held places, each with its entry in `held`: taken by the thread that takes and emptied
	 * by those that release. For each the one that was taken after it from the same lane; and
	 * those that are known to be vacant, the one that was emptied last behind the others, so
	 * that low ones are used again first.
	 */
	uint32_t *next_held;
	uint32_t *vacant;
	uint32_t n_vacant;
	uint32_t n_places;
	/* set while our thread sleeps because no place is vacant; read by those that release */
	_Atomic uint32_t starved;
	/* history that is not taken yet, from `next_backlog` on */
	struct zcp_backlog backlog;
	uint32_t next_backlog;
};

/*
 * The views stay the caller's and must outlive the reader. Returns 0, or -ENOMEM with the backlog
 * still the caller's.
 */
__attribute__((warn_unused_result)) int zcp_reader_init(struct zcp_reader *reader,
							const struct zcp_topic *topic,
							const struct zcp_acks *acks,
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
 * Takes the message that was published last, by its publish time, or where there are none of the
 * last lane that has one; and passes over all the others, which count as taken, not as lost.
 * Returns as zcp_reader_take(). Lock-free: again only where publishers push out what was found.
 */
__attribute__((warn_unused_result)) int zcp_reader_latest(struct zcp_reader *reader,
							  struct zcp_reader_message *message);

/* After ZCP_READER_E_UNMAPPED: there is no such class; the message is lost. */
void zcp_reader_lose(struct zcp_reader *reader, const struct zcp_reader_message *message);

/* Whether a message is held as `held` in a place. Any thread. Wait-free. */
bool zcp_reader_holds(const struct zcp_reader *reader, uint32_t place, uint64_t held);

/*
 * Gives back the message that is held as `held` in a place. Any thread. Wait-free. Returns 0, or
 * -EINVAL where that message is not held there any more.
 */
int zcp_reader_release(struct zcp_reader *reader, uint32_t place, uint64_t held);

/* Whether the thread that takes sleeps until something is released: then wake it. */
bool zcp_reader_is_starved(const struct zcp_reader *reader);

/* How many messages are held. */
uint32_t zcp_reader_n_held(const struct zcp_reader *reader);

/*
 * Before a sleep: says what has been given back, and makes sure that publishers look at our
 * signal before they leave a publish, the first time with one heavy fence, afterwards with
 * nothing; and that a release wakes us if all that we may hold is held. Returns 0, or what
 * membarrier(2) gives.
 */
__attribute__((warn_unused_result)) int zcp_reader_arm(struct zcp_reader *reader);

/* After a sleep. */
void zcp_reader_disarm(struct zcp_reader *reader);

/*
 * Whether a take may find something, and has room for it; for the second look before a sleep,
 * after a full fence. Looks at slots and at the subscriber's own words alone.
 */
bool zcp_reader_is_ready(struct zcp_reader *reader);

#endif
