/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A publisher's end of the data plane: loan, publish, discard on a topic and its pool.
 *
 * The steps, and what the runtime does when the publisher dies right after each of them:
 *
 *   L1  op odd; light fence; `version` changed: members read anew       op even
 *   L2  a chunk is chosen: LOANED (a FREE one by CAS)                   frees it, or LOANED off
 *   L3  its seq := 0; op even                                           frees it
 *
 *   1   op odd; light fence; members                                    op even
 *   2   blocking lanes have room, else op even, wait, again             op even
 *   3   descriptor: size, time, ..., seq := n                           finishes the publish
 *   4   push to each lane: `tail` moved on if it is full, description,  pushes to the lanes that
 *       word                                                            lack n
 *   5   next_seq := n + 1                                               LOANED off
 *   6   LOANED off                                                      nothing is left to do
 *   7   op even; light fence; wake sleepers                             wakes them
 *
 * A loan is inside `op` too: a join that has promised history must know that no publisher still
 * chooses a chunk by an older membership.
 *
 * A published chunk comes back when no present subscriber has a stake in its message any more
 * (stake.h) and it is not the publisher's history. For each subscriber the writer keeps "all below
 * `given` are given back, but these exceptions", from what the subscriber says in `released`, from
 * what the writer itself has pushed out, and, where neither suffices, from an exact look.
 *
 * One thread at a time. Needs no runtime, allocates only in zcp_writer_init().
 */
#ifndef ZCP_FLOW_WRITER_H
#define ZCP_FLOW_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "pubsub/flow/chunks.h"
#include "pubsub/shm/beside.h"
#include "pubsub/shm/pool.h"
#include "pubsub/shm/signal.h"
#include "pubsub/shm/stake.h"
#include "pubsub/shm/topic.h"

/* Expected outcomes. */
enum {
	ZCP_WRITER_E_EXHAUSTED = 1, /* no chunk that fits is free */
	ZCP_WRITER_E_TOO_LARGE = 2, /* more than max_payload */
	ZCP_WRITER_E_LOANS = 3,     /* as many loans are out as were declared */
	ZCP_WRITER_E_FULL = 4,      /* a blocking subscriber's queue is full */
};

/* Chunks beyond those in use that rotate, so that the next one's lines are not still being read. */
#define ZCP_ROTATION_SMALL 8
#define ZCP_ROTATION_LARGE 3
#define ZCP_ROTATION_SMALL_MAX 4096

static inline uint32_t zcp_rotation(uint64_t payload_size)
{
	return payload_size <= ZCP_ROTATION_SMALL_MAX ? ZCP_ROTATION_SMALL : ZCP_ROTATION_LARGE;
}

/* What is known of one present subscriber while the membership does not change. */
struct zcp_writer_lane {
	struct zcp_stake stake;
	/* our copy of `tail` */
	uint64_t tail;
	/* of an active one: all below are given back, but the exceptions */
	struct zcp_stake_look given;
	/* where pushes to one that is no longer active ended */
	uint64_t end;
	struct zcp_signal_shm *signal;
	uint32_t signal_index;
	/* epoch of the sleep that we have ended */
	uint64_t woken;
	uint32_t subscriber;
	bool blocks;
	/* of our own node */
	bool is_own;
};

/* What a push needs of an active one's lane: as little as possible, and side by side. */
struct zcp_writer_way {
	struct zcp_lane_slot_shm *slots;
	/* capacity - 1 */
	uint64_t mask;
};

struct zcp_writer_options {
	/* slot in the topic, and the slot's owner number in the pool */
	uint32_t slot;
	uint32_t owner;
	/* the size class that its chunks are claimed in */
	uint32_t class_index;
	uint32_t max_loans;
	/* bytes */
	uint64_t max_payload;
	uint64_t publisher_id;
	/* its node, which is nobody to wait for; 0: it has none */
	uint64_t node;
	/* messages that stay for those who join later; at most ZCP_TOPIC_HISTORY_MAX */
	uint32_t history;
	/* of every message, bytes */
	uint32_t user_header_size;
	bool symmetric;
	bool timestamps;
	/* how it sleeps while it waits for room */
	struct zcp_beside beside;
	/* writes to the eventfd of the node that has `signal`; NULL where none can have one */
	void (*wake_fd)(uint32_t signal, void *user);
	void *user;
};

/* A chunk on loan. */
struct zcp_writer_loan {
	struct zcp_chunk_shm *chunk;
	void *payload;
	uint64_t capacity;
	uint32_t ref;
	/* tells this loan of the chunk from another one */
	uint32_t ticket;
};

/* What the last publish has met, for the client to act upon; flags. */
enum zcp_met {
	ZCP_MET_NOBODY = 1, /* there is no subscriber */
	ZCP_MET_FULL = 2,   /* each subscriber had no room, and lost its oldest message */
	ZCP_MET_ASLEEP = 4, /* a subscriber was asleep, and a system call woke it */
};

struct zcp_writer {
	const struct zcp_topic *topic;
	const struct zcp_acks *acks;
	const struct zcp_pool *pool;
	const struct zcp_signals *signals;
	struct zcp_publisher_slot_shm *slot;
	struct zcp_writer_options options;
	/* the topic's version, and its first word of sleepers */
	const _Atomic uint64_t *shared_version;
	const _Atomic uint64_t *sleepers;
	/* the size class that chunks are claimed in, and `state` of a published one of ours */
	const struct zcp_class *class;
	uint32_t state;
	struct zcp_chunks chunks;
	/* our own words, as we last wrote them */
	uint64_t op;
	uint64_t next_seq;
	/* the membership as of `version` */
	uint64_t version;
	uint64_t members[ZCP_TOPIC_SUBSCRIBER_WORDS];
	/* words of it that the topic can have */
	uint32_t n_words;
	/* the active ones, then those that are only present */
	struct zcp_writer_lane *lanes;
	struct zcp_writer_way *ways;
	uint32_t n_lanes;
	uint32_t n_active;
	uint32_t n_blocking;
	uint32_t n_loaned;
	uint32_t ticket;
	/* the oldest published chunk may be taken without a look if its number is below */
	uint64_t reusable;
	/* messages below fit into every active lane, by our copies of `tail`; 0 if there is none */
	uint64_t room;
	uint32_t rotation;
	/* loans between two looks; and of the last few looks the most chunks that were in use */
	uint32_t look_every;
	uint32_t n_looks;
	uint32_t most_in_use;
	uint32_t keep;
	/* enum zcp_met */
	uint32_t met;
};

/*
 * The views stay the caller's and must outlive the writer. Returns 0, -ENOMEM, or -EPROTO where
 * there is no such size class, or it has no room for our user header or payload.
 */
__attribute__((warn_unused_result)) int
zcp_writer_init(struct zcp_writer *writer, const struct zcp_topic *topic,
		const struct zcp_acks *acks, const struct zcp_pool *pool,
		const struct zcp_signals *signals, const struct zcp_writer_options *options);
void zcp_writer_deinit(struct zcp_writer *writer);

/*
 * Lends a chunk for `size` bytes. Returns 0 with *loan, or ZCP_WRITER_E_TOO_LARGE, _LOANS, or
 * _EXHAUSTED: there was a moment at which all were in use. Wait-free but for the search for a
 * FREE chunk, which begins again only where others free chunks meanwhile.
 */
__attribute__((warn_unused_result)) int zcp_writer_loan(struct zcp_writer *writer, uint64_t size,
							struct zcp_writer_loan *loan);

/* Whether the loan is this writer's and still out. */
static inline bool zcp_writer_owns(const struct zcp_writer *writer,
				   const struct zcp_writer_loan *loan)
{
	/* Relaxed, both: if it is ours, we wrote it. */
	return atomic_load_explicit(&loan->chunk->state, memory_order_relaxed) ==
		       (writer->state | ZCP_CHUNK_LOANED) &&
	       atomic_load_explicit(&loan->chunk->next, memory_order_relaxed) == loan->ticket;
}

/*
 * Publishes a loan of this writer. Where a blocking subscriber's queue is full, waits for
 * timeout_ns (< 0: without a limit), or less where the runtime may be gone. Returns 0,
 * ZCP_WRITER_E_FULL with the loan as it was, -EINTR likewise, or what membarrier(2) gives, likewise. Wait-free over the subscribers where
 * none blocks.
 */
__attribute__((warn_unused_result)) int zcp_writer_publish(struct zcp_writer *writer,
							   const struct zcp_writer_loan *loan,
							   uint64_t size, int64_t timeout_ns);

/*
 * Right after ZCP_WRITER_E_FULL: whether a queue that is full is that of a subscriber of its own
 * node, whose thread takes nothing while it waits here.
 */
bool zcp_writer_waits_for_itself(struct zcp_writer *writer);

/* Gives a loan of this writer back. Wait-free. */
void zcp_writer_discard(struct zcp_writer *writer, const struct zcp_writer_loan *loan);

/* Whether the runtime wants to be told that a chunk became FREE; once. */
static inline bool zcp_writer_has_freed(struct zcp_writer *writer)
{
	bool freed = writer->chunks.freed;

	if (__builtin_expect(freed, 0))
		writer->chunks.freed = false;
	return freed;
}

/* The runtime could not be told: it still wants to be. */
void zcp_writer_want_freed(const struct zcp_writer *writer);

#endif
