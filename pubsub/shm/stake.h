/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stake: what one present subscriber may still have of one publisher's messages, as the
 * subscriber says and as far as it was promised. The one rule by which a chunk is given back;
 * publishers, the runtime's sweep, and the audit all ask here.
 *
 * Message q of publisher p is in use by subscriber s iff
 *   q >= tail and q >= base and q + capacity >= end and q < end      queued
 *   base != 0 and q < base and q + history >= base and q >= floor    promised
 *   (p, q) is among the declared places of `held`                    held
 * read in this order. `end` is the publisher's next number, or where pushes to the subscriber
 * ended. The bounds by capacity and history change nothing among honest peers; they limit what a
 * lying subscriber can keep from coming back to what was reserved for it.
 */
#ifndef ZCP_SHM_STAKE_H
#define ZCP_SHM_STAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "pubsub/shm/topic.h"

struct zcp_stake {
	struct zcp_lane lane;
	const _Atomic uint64_t *held;
	const struct zcp_ack_counts_shm *counts;
	uint32_t publisher;
	/* what was promised when the subscriber joined */
	uint32_t history;
	/* places of `held` that it has declared */
	uint32_t max_held;
};

/* Why a message is in use. */
enum zcp_use {
	ZCP_USE_NONE = 0,
	ZCP_USE_QUEUED = 1,
	ZCP_USE_PROMISED = 2,
	ZCP_USE_HELD = 4,
};

/* Numbers that one look can tell apart from those around them. */
#define ZCP_STAKE_EXCEPTIONS 16

/* "Every message below `below` is given back, but those promised and these." */
struct zcp_stake_look {
	uint64_t below;
	/* history that is not taken yet: from `promised` on, before `base` */
	uint64_t promised;
	uint64_t base;
	/* ascending */
	uint64_t exceptions[ZCP_STAKE_EXCEPTIONS];
	uint32_t n_exceptions;
};

/* From the two slots of a topic, which are below its limits. */
void zcp_stake_init(struct zcp_stake *stake, const struct zcp_topic *topic,
		    const struct zcp_acks *acks, uint32_t publisher, uint32_t subscriber);

/* Whether message `seq` is in use: enum zcp_use, or several. Wait-free. */
uint32_t zcp_stake_use(const struct zcp_stake *stake, uint64_t end, uint64_t seq);

/* The first message from `seq` on that is in use; UINT64_MAX where none is. Wait-free. */
uint64_t zcp_stake_first(const struct zcp_stake *stake, uint64_t end, uint64_t seq);

/*
 * The exact look: all of it at once, for messages from `from` on and below `end`. Where more are held
 * than it can tell apart `below` ends before the first of the others. Wait-free.
 */
void zcp_stake_look(const struct zcp_stake *stake, uint64_t from, uint64_t end,
		    struct zcp_stake_look *look);

#endif
