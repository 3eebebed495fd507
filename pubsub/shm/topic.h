/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A topic as one process sees it: its geometry, checked at attach, and where things lie.
 */
#ifndef ZCP_SHM_TOPIC_H
#define ZCP_SHM_TOPIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pubsub/layout/topic_shm.h"
#include "pubsub/shm/acks.h"
#include "pubsub/shm/lane.h"
#include "pubsub/shm/region.h"

struct zcp_topic_geometry {
	uint32_t max_publishers;
	uint32_t max_subscribers;
	uint32_t max_depth_log2;
};

struct zcp_topic {
	struct zcp_topic_shm *shm;
	struct zcp_publisher_slot_shm *publishers;
	struct zcp_subscriber_slot_shm *subscribers;
	char *lanes;
	uint64_t lane_stride;
	struct zcp_topic_geometry geometry;
	struct zcp_region region;
};

/* Bytes of a topic region. */
size_t zcp_topic_size(const struct zcp_topic_geometry *geometry);

/* Fills in a region that is mapped for writing and zero, and publishes it. */
void zcp_topic_construct(struct zcp_region *region, const struct zcp_topic_geometry *geometry,
			 const char *name, uint64_t pool_id, uint64_t domain_id, uint64_t topic_id);

/*
 * Maps a topic from `fd` (borrowed), read-only unless `writable`. Errors as zcp_region_attach()
 * and zcp_region_settle().
 */
__attribute__((warn_unused_result)) int zcp_topic_attach(struct zcp_topic *topic, int fd,
							 uint64_t domain_id, bool writable,
							 const char **why);

/* For the runtime, which knows its geometry better than the region does: see zcp_region_map(). */
__attribute__((warn_unused_result)) int zcp_topic_map(struct zcp_topic *topic, int fd,
						      const struct zcp_topic_geometry *geometry,
						      uint32_t memory);

void zcp_topic_deinit(struct zcp_topic *topic);

/*
 * The lane from publisher slot `publisher` to subscriber slot `subscriber`, both below the
 * topic's limits, with a capacity of 1 << depth_log2; a larger one than the topic's lanes
 * have is cut down.
 */
static inline struct zcp_lane zcp_topic_lane(const struct zcp_topic *topic,
					     const struct zcp_acks *acks, uint32_t publisher,
					     uint32_t subscriber, uint32_t depth_log2)
{
	uint64_t number = (uint64_t)subscriber * topic->geometry.max_publishers + publisher;

	if (depth_log2 > topic->geometry.max_depth_log2)
		depth_log2 = topic->geometry.max_depth_log2;
	return (struct zcp_lane){
		.shm = (struct zcp_lane_shm *)(void *)(topic->lanes + number * topic->lane_stride),
		.ack = zcp_acks_ack(acks, publisher, subscriber),
		.mask = (UINT32_C(1) << depth_log2) - 1,
	};
}

#endif
