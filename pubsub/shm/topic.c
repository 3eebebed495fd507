/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Geometry of a topic region.
 */
#include "pubsub/shm/topic.h"

#include <errno.h>
#include <string.h>

struct layout {
	uint64_t subscribers_offset;
	uint64_t lanes_offset;
	uint64_t lane_stride;
	uint64_t size;
};

static struct layout layout_of(const struct zcp_topic_geometry *geometry)
{
	struct layout l;
	uint64_t n_lanes = (uint64_t)geometry->max_publishers * geometry->max_subscribers;

	l.lane_stride = sizeof(struct zcp_lane_shm) +
			(sizeof(struct zcp_lane_slot_shm) << geometry->max_depth_log2);
	l.subscribers_offset = sizeof(struct zcp_topic_shm) +
			       (uint64_t)geometry->max_publishers *
				       sizeof(struct zcp_publisher_slot_shm);
	l.lanes_offset = l.subscribers_offset + (uint64_t)geometry->max_subscribers *
							sizeof(struct zcp_subscriber_slot_shm);
	l.size = l.lanes_offset + n_lanes * l.lane_stride;
	return l;
}

size_t zcp_topic_size(const struct zcp_topic_geometry *geometry)
{
	return layout_of(geometry).size;
}

void zcp_topic_construct(struct zcp_region *region, const struct zcp_topic_geometry *geometry,
			 const char *name, uint64_t pool_id, uint64_t domain_id, uint64_t topic_id)
{
	struct layout l = layout_of(geometry);
	struct zcp_topic_shm *shm = region->base;
	struct zcp_publisher_slot_shm *publishers = (struct zcp_publisher_slot_shm *)(shm + 1);

	shm->max_publishers = geometry->max_publishers;
	shm->max_subscribers = geometry->max_subscribers;
	shm->max_depth_log2 = geometry->max_depth_log2;
	shm->publishers_offset = sizeof(*shm);
	shm->subscribers_offset = l.subscribers_offset;
	shm->lanes_offset = l.lanes_offset;
	shm->lane_stride = l.lane_stride;
	(void)strncpy(shm->name, name, sizeof(shm->name) - 1);
	shm->pool_id = pool_id;
	/* Relaxed: REGION-R1 publishes all of it. */
	for (uint32_t p = 0; p < geometry->max_publishers; p++)
		atomic_store_explicit(&publishers[p].next_seq, 1, memory_order_relaxed);
	zcp_region_publish(region, ZCP_REGION_TOPIC, domain_id, topic_id);
}

static void set_view(struct zcp_topic *topic, const struct zcp_topic_geometry *geometry)
{
	const struct layout l = layout_of(geometry);

	topic->geometry = *geometry;
	topic->lane_stride = l.lane_stride;
	topic->shm = topic->region.base;
	topic->publishers = (struct zcp_publisher_slot_shm *)(topic->shm + 1);
	topic->subscribers = (struct zcp_subscriber_slot_shm *)(void *)((char *)topic->shm +
									l.subscribers_offset);
	topic->lanes = (char *)topic->shm + l.lanes_offset;
}

static const char *check_geometry(struct zcp_topic *topic)
{
	const struct zcp_topic_shm *shm = topic->region.base;
	struct zcp_topic_geometry g = {
		.max_publishers = shm->max_publishers,
		.max_subscribers = shm->max_subscribers,
		.max_depth_log2 = shm->max_depth_log2,
	};
	struct layout l;

	if (g.max_publishers == 0 || g.max_publishers > ZCP_TOPIC_PUBLISHERS_MAX ||
	    g.max_subscribers == 0 || g.max_subscribers > ZCP_TOPIC_SUBSCRIBERS_MAX ||
	    g.max_depth_log2 > ZCP_LANE_LOG2_MAX)
		return "the topic region has impossible limits";
	l = layout_of(&g);
	if (shm->publishers_offset != sizeof(*shm) ||
	    shm->subscribers_offset != l.subscribers_offset ||
	    shm->lanes_offset != l.lanes_offset || shm->lane_stride != l.lane_stride)
		return "the topic region is laid out otherwise than its limits say";
	if (l.size > topic->region.size)
		return "the topic region is too short for its limits";
	set_view(topic, &g);
	return NULL;
}

int zcp_topic_attach(struct zcp_topic *topic, int fd, uint64_t domain_id, bool writable,
		     const char **why)
{
	const struct zcp_region_expect expect = {
		.kind = ZCP_REGION_TOPIC,
		.domain_id = domain_id,
		.min_size = sizeof(struct zcp_topic_shm),
		.writable = writable,
	};
	struct zcp_topic attached = { .shm = NULL };
	const char *wrong;
	int r;

	r = zcp_region_attach(&attached.region, fd, &expect, why);
	if (r < 0)
		return r;
	wrong = check_geometry(&attached);
	if (wrong) {
		zcp_topic_deinit(&attached);
		*why = wrong;
		return -EPROTO;
	}
	r = zcp_region_settle(&attached.region, writable, why);
	if (r < 0) {
		zcp_topic_deinit(&attached);
		return r;
	}
	*topic = attached;
	return 0;
}

int zcp_topic_map(struct zcp_topic *topic, int fd, const struct zcp_topic_geometry *geometry,
		  uint32_t memory)
{
	struct zcp_topic mapped = { .shm = NULL };
	const char *why;
	int r = zcp_region_map(&mapped.region, fd, zcp_topic_size(geometry), memory);

	if (r == 0)
		r = zcp_region_settle(&mapped.region, true, &why);
	if (r < 0) {
		zcp_topic_deinit(&mapped);
		return r;
	}
	set_view(&mapped, geometry);
	*topic = mapped;
	return 0;
}

void zcp_topic_deinit(struct zcp_topic *topic)
{
	zcp_region_deinit(&topic->region);
	*topic = (struct zcp_topic){ .shm = NULL };
}
