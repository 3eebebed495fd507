/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Geometry of an acks region.
 */
#include "pubsub/shm/acks.h"

#include <errno.h>

#define PAGE 4096

static uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

static uint64_t blocks_offset_of(uint32_t max_publishers)
{
	return round_up(sizeof(struct zcp_acks_shm) +
				(uint64_t)max_publishers * sizeof(struct zcp_room_shm),
			PAGE);
}

static uint64_t block_stride_of(uint32_t max_publishers)
{
	return round_up(sizeof(struct zcp_ack_counts_shm) +
				(uint64_t)max_publishers * sizeof(struct zcp_ack_shm) +
				ZCP_HELD_MAX * sizeof(uint64_t),
			PAGE);
}

size_t zcp_acks_size(uint32_t max_publishers, uint32_t max_subscribers)
{
	return blocks_offset_of(max_publishers) + max_subscribers * block_stride_of(max_publishers);
}

void zcp_acks_construct(struct zcp_region *region, uint32_t max_publishers,
			uint32_t max_subscribers, uint64_t domain_id, uint64_t topic_id)
{
	struct zcp_acks_shm *shm = region->base;

	shm->max_publishers = max_publishers;
	shm->max_subscribers = max_subscribers;
	shm->blocks_offset = blocks_offset_of(max_publishers);
	shm->block_stride = block_stride_of(max_publishers);
	zcp_region_publish(region, ZCP_REGION_ACKS, domain_id, topic_id);
}

static void set_view(struct zcp_acks *acks, uint32_t max_publishers, uint32_t max_subscribers)
{
	acks->shm = acks->region.base;
	acks->blocks = (char *)acks->shm + blocks_offset_of(max_publishers);
	acks->block_stride = block_stride_of(max_publishers);
	acks->max_publishers = max_publishers;
	acks->max_subscribers = max_subscribers;
}

int zcp_acks_attach(struct zcp_acks *acks, int fd, uint32_t max_publishers,
		    uint32_t max_subscribers, uint64_t domain_id, uint64_t topic_id,
		    const char **why)
{
	const struct zcp_region_expect expect = {
		.kind = ZCP_REGION_ACKS,
		.domain_id = domain_id,
		.min_size = zcp_acks_size(max_publishers, max_subscribers),
		.writable = true,
	};
	struct zcp_acks attached = { .shm = NULL };
	const struct zcp_acks_shm *shm;
	int r;

	r = zcp_region_attach(&attached.region, fd, &expect, why);
	if (r < 0)
		return r;
	shm = attached.region.base;
	if (shm->max_publishers != max_publishers || shm->max_subscribers != max_subscribers ||
	    shm->blocks_offset != blocks_offset_of(max_publishers) ||
	    shm->block_stride != block_stride_of(max_publishers) ||
	    shm->region.region_id != topic_id) {
		zcp_acks_deinit(&attached);
		*why = "the acks region is not the topic's";
		return -EPROTO;
	}
	r = zcp_region_settle(&attached.region, true, why);
	if (r < 0) {
		zcp_acks_deinit(&attached);
		return r;
	}
	set_view(&attached, max_publishers, max_subscribers);
	*acks = attached;
	return 0;
}

int zcp_acks_map(struct zcp_acks *acks, int fd, uint32_t max_publishers, uint32_t max_subscribers,
		 uint32_t memory)
{
	struct zcp_acks mapped = { .shm = NULL };
	const char *why;
	int r = zcp_region_map(&mapped.region, fd, zcp_acks_size(max_publishers, max_subscribers),
			       memory);

	if (r == 0)
		r = zcp_region_settle(&mapped.region, true, &why);
	if (r < 0) {
		zcp_acks_deinit(&mapped);
		return r;
	}
	set_view(&mapped, max_publishers, max_subscribers);
	*acks = mapped;
	return 0;
}

void zcp_acks_deinit(struct zcp_acks *acks)
{
	zcp_region_deinit(&acks->region);
	*acks = (struct zcp_acks){ .shm = NULL };
}

void zcp_acks_reset(const struct zcp_acks *acks, uint32_t subscriber)
{
	struct zcp_ack_counts_shm *counts = zcp_acks_counts(acks, subscriber);
	_Atomic uint64_t *held = zcp_acks_held(acks, subscriber);

	uint32_t n = atomic_load_explicit(&counts->n_held, memory_order_relaxed);

	/*
	 * Relaxed, all: no process is in the slot, and `version` orders it before the next one. What
	 * lies beyond n_held is not looked at, whatever it says, and may never have been touched.
	 */
	for (uint32_t i = 0; i < n && i < ZCP_HELD_MAX; i++)
		atomic_store_explicit(&held[i], 0, memory_order_relaxed);
	atomic_store_explicit(&counts->n_held, 0, memory_order_relaxed);
	atomic_store_explicit(&counts->watches, 0, memory_order_relaxed);
	atomic_store_explicit(&counts->abandoned, 0, memory_order_relaxed);
}
