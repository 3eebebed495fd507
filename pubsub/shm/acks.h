/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A topic's acks as one process sees them: what its subscribers say, and where it stands.
 */
#ifndef ZCP_SHM_ACKS_H
#define ZCP_SHM_ACKS_H

#include <stddef.h>
#include <stdint.h>

#include "pubsub/layout/acks_shm.h"
#include "pubsub/shm/region.h"

struct zcp_acks {
	struct zcp_acks_shm *shm;
	char *blocks;
	uint64_t block_stride;
	uint32_t max_publishers;
	uint32_t max_subscribers;
	struct zcp_region region;
};

/* Bytes of an acks region. */
size_t zcp_acks_size(uint32_t max_publishers, uint32_t max_subscribers);

/* Fills in a region that is mapped for writing and zero, and publishes it. */
void zcp_acks_construct(struct zcp_region *region, uint32_t max_publishers,
			uint32_t max_subscribers, uint64_t domain_id, uint64_t topic_id);

/*
 * Maps the acks of the topic `topic_id` with these limits from `fd` (borrowed). Errors as
 * zcp_region_attach() and zcp_region_settle().
 */
__attribute__((warn_unused_result)) int
zcp_acks_attach(struct zcp_acks *acks, int fd, uint32_t max_publishers, uint32_t max_subscribers,
		uint64_t domain_id, uint64_t topic_id, const char **why);

/* For the runtime, which knows the limits better than the region does: see zcp_region_map(). */
__attribute__((warn_unused_result)) int zcp_acks_map(struct zcp_acks *acks, int fd,
						     uint32_t max_publishers,
						     uint32_t max_subscribers, uint32_t memory);

void zcp_acks_deinit(struct zcp_acks *acks);

static inline char *zcp_acks_block(const struct zcp_acks *acks, uint32_t subscriber)
{
	return acks->blocks + subscriber * acks->block_stride;
}

static inline struct zcp_ack_counts_shm *zcp_acks_counts(const struct zcp_acks *acks,
							 uint32_t subscriber)
{
	return (struct zcp_ack_counts_shm *)(void *)zcp_acks_block(acks, subscriber);
}

/* What a subscriber says of the lane from a publisher. */
static inline struct zcp_ack_shm *zcp_acks_ack(const struct zcp_acks *acks, uint32_t publisher,
					       uint32_t subscriber)
{
	return (struct zcp_ack_shm *)(void *)(zcp_acks_block(acks, subscriber) +
					      sizeof(struct zcp_ack_counts_shm)) +
	       publisher;
}

/* The ZCP_HELD_MAX entries of what a subscriber holds. */
static inline _Atomic uint64_t *zcp_acks_held(const struct zcp_acks *acks, uint32_t subscriber)
{
	return (_Atomic uint64_t *)(void *)(zcp_acks_block(acks, subscriber) +
					    sizeof(struct zcp_ack_counts_shm) +
					    acks->max_publishers * sizeof(struct zcp_ack_shm));
}

static inline uint64_t zcp_held(uint32_t publisher, uint64_t seq)
{
	return (uint64_t)publisher << ZCP_HELD_SLOT_SHIFT | (seq & ZCP_HELD_SEQ_MASK);
}

/* Runtime: nothing is held by the subscriber slot, whose former subscriber is gone. */
void zcp_acks_reset(const struct zcp_acks *acks, uint32_t subscriber);

#endif
