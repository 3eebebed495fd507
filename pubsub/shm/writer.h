/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A publisher's end of the data plane: loan, publish, discard on a topic and its pool.
 *
 * The steps of a publish and what the runtime does when the publisher dies between two of
 * them:
 *
 *   1   op odd; light fence; who subscribes       op even
 *   2   blocking lanes have room, or wait         op even
 *   3   header; descriptor seq := n               frees the chunk
 *   4   holders := the subscribers' bits          pushes to the lanes that lack n
 *   5   push to each lane                         the same
 *   5'  slot replaced, old chunk's bit not clear  clears it
 *   6   next_seq := n + 1                         takes LOANED off
 *   7   LOANED off, with history RETAINED on      nothing is left to do
 *   7'  RETAINED off on the message H before      clears it: it is older than the last H
 *   8   op even; light fence; wake sleepers       wakes them
 *
 * Step 4 is one store for each 64 holder bits in use: killed between two of them, the publisher
 * has sent the message to some of its subscribers only. Nothing is leaked by that.
 *
 * One thread at a time. Needs no runtime, allocates only in zcp_writer_init() and
 * zcp_writer_add_class().
 */
#ifndef ZCP_SHM_WRITER_H
#define ZCP_SHM_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "pubsub/shm/backlog.h"
#include "pubsub/shm/claim.h"
#include "pubsub/shm/pool.h"
#include "pubsub/shm/signal.h"
#include "pubsub/shm/topic.h"

/* Expected outcomes. */
enum {
	ZCP_WRITER_E_EXHAUSTED = 1, /* no chunk that fits is free */
	ZCP_WRITER_E_TOO_LARGE = 2, /* no chunk is that large */
	ZCP_WRITER_E_LOANS = 3,     /* as many loans are out as were declared */
	ZCP_WRITER_E_FULL = 4,      /* a blocking subscriber's queue is full */
};

/* What is known of one subscriber while the membership does not change. */
struct zcp_writer_lane {
	struct zcp_lane lane;
	struct zcp_signal_shm *signal;
	uint32_t signal_index;
	/* epoch of the sleep that we have ended */
	uint64_t woken;
	uint32_t subscriber;
	uint32_t holder;
	bool blocks;
};

struct zcp_writer_options {
	/* slot in the topic, and number in the pool */
	uint32_t slot;
	uint32_t owner;
	uint32_t max_loans;
	/* bytes; 0: as large as the largest chunk */
	uint64_t max_payload;
	uint64_t publisher_id;
	/* messages that stay RETAINED; at most ZCP_TOPIC_HISTORY_MAX */
	uint32_t history;
	/*
	 * what the slot has kept of former publishers, the oldest first, at most `history`:
	 * ours to clear; only read by zcp_writer_init()
	 */
	const struct zcp_backlog *kept;
	/* of every message, bytes */
	uint32_t user_header_size;
	bool symmetric;
	bool timestamps;
	/* writes to the eventfd of the node that has `signal`; NULL where none can have one */
	void (*wake_fd)(uint32_t signal, void *user);
	void *user;
};

struct zcp_writer {
	const struct zcp_topic *topic;
	const struct zcp_pool *pool;
	const struct zcp_signals *signals;
	struct zcp_publisher_slot_shm *slot;
	struct zcp_writer_options options;
	/* our own words, as we last wrote them */
	uint64_t op;
	uint64_t next_seq;
	/* the membership as of `version` */
	uint64_t version;
	uint64_t members[ZCP_TOPIC_SUBSCRIBER_WORDS];
	uint64_t holders[ZCP_HOLDER_WORDS];
	struct zcp_writer_lane *lanes;
	uint32_t n_lanes;
	/* publishes one after another that nobody had room for: each has pushed out another one */
	uint32_t n_unread;
	/*
	 * a good moment to look after other things: a sleeper was woken, or nobody takes anything;
	 * cleared by whoever looks at it
	 */
	bool has_time;
	uint32_t n_blocking;
	uint32_t n_loaned;
	/* the pool's size classes that we can use, the smallest first */
	uint32_t by_size[ZCP_CLASSES_MAX];
	uint32_t n_classes;
	/* refs of the messages that are RETAINED, from `first_retained` on; a ring */
	uint32_t *retained;
	uint32_t first_retained;
	uint32_t n_retained;
	struct zcp_claim claim;
};

/*
 * The views stay the caller's and must outlive the writer. Returns 0, -ENOMEM, or -EPROTO where
 * a size class has no room for our user header.
 */
__attribute__((warn_unused_result)) int zcp_writer_init(struct zcp_writer *writer,
							const struct zcp_topic *topic,
							const struct zcp_pool *pool,
							const struct zcp_signals *signals,
							const struct zcp_writer_options *options);
void zcp_writer_deinit(struct zcp_writer *writer);

/* After a size class was attached to the pool. Returns 0, -ENOMEM, -EPROTO as above. */
__attribute__((warn_unused_result)) int zcp_writer_add_class(struct zcp_writer *writer,
							     uint32_t class_index);

/*
 * Claims a chunk for `size` bytes: the smallest class that fits, then the larger ones.
 * Returns 0 with *ref, or ZCP_WRITER_E_TOO_LARGE, _LOANS, or _EXHAUSTED: there was a moment
 * at which all were in use. Wait-free; more than two rounds only where others claim chunks
 * meanwhile.
 */
__attribute__((warn_unused_result)) int zcp_writer_loan(struct zcp_writer *writer, uint64_t size,
							uint32_t *ref);

/* Whether `ref` is a chunk that is on loan to this writer. */
bool zcp_writer_owns(const struct zcp_writer *writer, uint32_t ref);

/* The generation of a chunk that is on loan to this writer: tells one loan from another. */
uint32_t zcp_writer_generation(const struct zcp_writer *writer, uint32_t ref);

/*
 * Publishes a loan of this writer. Where a blocking subscriber's queue is full, waits for
 * timeout_ns (< 0: without a limit). Returns 0, ZCP_WRITER_E_FULL with the loan as it was,
 * -EINTR likewise, or -EINVAL (no such chunk). Wait-free over the subscribers where none
 * blocks.
 */
__attribute__((warn_unused_result)) int zcp_writer_publish(struct zcp_writer *writer, uint32_t ref,
							   uint64_t size, int64_t timeout_ns);

/* The same for whoever has the chunk and the loan's generation at hand. */
__attribute__((warn_unused_result)) int
zcp_writer_publish_chunk(struct zcp_writer *writer, uint32_t ref, const struct zcp_chunk *chunk,
			 uint32_t generation, uint64_t size, int64_t timeout_ns);

/* Gives a loan of this writer back. Wait-free. */
void zcp_writer_discard(struct zcp_writer *writer, uint32_t ref);

#endif
