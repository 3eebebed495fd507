/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claiming a free chunk: one CAS that both takes the chunk and records whose it is.
 *
 * There is no free list. A publisher remembers, privately, where free chunks are likely:
 * what it just pushed out of a lane, then what it published longest ago. Only when neither
 * helps does it go round the size class. Memory that was used last is used again
 * first, and as few chunks rotate as the subscribers' backlog asks for.
 */
#ifndef ZCP_SHM_CLAIM_H
#define ZCP_SHM_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "pubsub/shm/pool.h"

#define ZCP_CLAIM_HINTS 4

/* What one publisher remembers of one size class; private to the process. */
struct zcp_claim_class {
	/* chunks published, oldest first: generation:32, index:32; a ring */
	uint64_t *published;
	uint32_t published_mask;
	uint32_t head;
	uint32_t tail;
	/* where the next round begins */
	uint32_t cursor;
	/* chunks that were just pushed out of a lane */
	uint32_t hints[ZCP_CLAIM_HINTS];
	uint32_t n_hints;
};

struct zcp_claim {
	struct zcp_claim_class classes[ZCP_CLASSES_MAX];
	uint32_t owner;
};

/* Expected outcomes. */
enum {
	ZCP_CLAIM_E_EXHAUSTED = 1,
};

/* `owner`: the publisher's number in the pool, 1 to 65535. */
void zcp_claim_init(struct zcp_claim *claim, uint32_t owner);
void zcp_claim_deinit(struct zcp_claim *claim);

/* Makes ready for a size class that was attached. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int
zcp_claim_add_class(struct zcp_claim *claim, const struct zcp_pool *pool, uint32_t class_index);

/*
 * Claims a chunk of one size class; it is LOANED and ours. Returns 0 with *index, or
 * ZCP_CLAIM_E_EXHAUSTED after a round in which each chunk was in use when it was looked at;
 * their generations are added to *generations. A chunk may have become free behind the look
 * while the one ahead was claimed, by somebody else: only two rounds of the same sum say that
 * all were in use at one moment, the one between them. Wait-free: a few looks and one round.
 */
__attribute__((warn_unused_result)) int zcp_claim_take(struct zcp_claim *claim,
						       const struct zcp_class *class,
						       uint32_t class_index, uint32_t *index,
						       uint64_t *generations);

/* Remembers a chunk that was just published in this generation. */
void zcp_claim_published(struct zcp_claim *claim, uint32_t class_index, uint32_t index,
			 uint32_t generation);

/* Remembers a chunk that was just pushed out of a lane, or discarded. */
void zcp_claim_dropped(struct zcp_claim *claim, uint32_t class_index, uint32_t index);

/*
 * Brings what the next claim will probably touch into the cache, for writing: descriptor,
 * header, and first and last line of a payload of `size` bytes, like the one before it.
 */
void zcp_claim_prefetch(const struct zcp_claim *claim, const struct zcp_class *class,
			uint32_t class_index, uint64_t size);

#endif
