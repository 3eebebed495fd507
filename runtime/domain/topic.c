/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topics: slots, sums, and what is told about their endpoints.
 */
#include "runtime/domain/topic.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zcp/subscriber.h>

#include "pubsub/flow/writer.h"
#include "pubsub/shm/life.h"
#include "pubsub/util.h"
#include "runtime/domain/former.h"

uint32_t zcpd_depth_log2(uint32_t depth)
{
	uint32_t log2 = 0;

	while (log2 < ZCP_LANE_LOG2_MAX && (UINT32_C(1) << log2) < depth)
		log2++;
	return log2;
}

static struct zcp_topic_geometry geometry_of(const struct zcpd_topic_config *config)
{
	return (struct zcp_topic_geometry){
		.max_publishers = config->max_publishers,
		.max_subscribers = config->max_subscribers,
		.max_depth_log2 = zcpd_depth_log2(config->max_depth),
	};
}

size_t zcpd_topic_size(const struct zcpd_topic_config *config)
{
	const struct zcp_topic_geometry geometry = geometry_of(config);

	return zcp_topic_size(&geometry) +
	       zcp_acks_size(geometry.max_publishers, geometry.max_subscribers);
}

static void close_regions(struct zcpd_topic *topic)
{
	zcp_topic_deinit(&topic->view);
	zcp_acks_deinit(&topic->acks);
	zcp_close_fd(&topic->fd);
	zcp_close_fd(&topic->readonly_fd);
	zcp_close_fd(&topic->acks_fd);
}

static int make_readonly(struct zcpd_topic *topic)
{
	topic->readonly_fd = zcp_region_open_readonly(topic->fd);
	return topic->readonly_fd < 0 ? topic->readonly_fd : 0;
}

static int make_acks(struct zcpd_topic *topic, uint64_t domain_id)
{
	uint32_t max_publishers = topic->view.geometry.max_publishers;
	uint32_t max_subscribers = topic->view.geometry.max_subscribers;
	struct zcp_region region = ZCP_REGION_NULL;
	const char *why;
	int r;

	r = zcp_region_create_with(&region, &topic->acks_fd, "zcp-acks",
				   zcp_acks_size(max_publishers, max_subscribers),
				   topic->view.region.memory);
	if (r < 0)
		return r;
	zcp_acks_construct(&region, max_publishers, max_subscribers, domain_id, topic->entry.id);
	zcp_region_deinit(&region);
	return zcp_acks_attach(&topic->acks, topic->acks_fd, max_publishers, max_subscribers,
			       domain_id, topic->entry.id, &why);
}

int zcpd_topic_new(struct zcpd_topic **topicp, uint64_t id, uint64_t domain_id, const char *name,
		   const struct zcpd_topic_config *config, struct zcpd_pool *pool)
{
	const struct zcp_topic_geometry geometry = geometry_of(config);
	ZCP_CLEANUP(zcp_free_memory) struct zcpd_topic *topic = calloc(1, sizeof(*topic));
	struct zcp_region region = ZCP_REGION_NULL;
	const char *why;
	int r;

	if (!topic)
		return -ENOMEM;
	topic->fd = topic->readonly_fd = topic->acks_fd = -1;
	topic->entry.id = id;
	topic->config = *config;
	topic->pool = pool;
	topic->entry.pool = pool->entry.id;
	topic->entry.max_publishers = geometry.max_publishers;
	topic->entry.max_subscribers = geometry.max_subscribers;
	topic->entry.max_depth_log2 = geometry.max_depth_log2;
	(void)snprintf(topic->entry.name, sizeof(topic->entry.name), "%s", name);
	r = zcp_region_create_with(&region, &topic->fd, "zcp-topic", zcp_topic_size(&geometry),
				   pool->entry.memory & (ZCP_MEMORY_PREFAULT | ZCP_MEMORY_LOCK));
	if (r < 0)
		return r;
	zcp_topic_construct(&region, &geometry, name, pool->entry.id, domain_id, id);
	zcp_region_deinit(&region);
	r = zcp_topic_attach(&topic->view, topic->fd, domain_id, true, &why);
	if (r == 0)
		r = make_acks(topic, domain_id);
	if (r == 0)
		r = make_readonly(topic);
	if (r < 0) {
		close_regions(topic);
		return r;
	}
	topic->view.shm->pid_namespace = zcp_life_pid_namespace();
	memcpy(topic->view.shm->pool_name, pool->entry.name, sizeof(pool->entry.name));
	topic->view.shm->pool_is_automatic = pool->entry.automatic;
	if (config->type)
		zcpd_topic_set_type(topic, config->type, 0, 0);
	if (config->user_header > 0)
		zcpd_topic_set_user_header(topic, (uint32_t)config->user_header);
	pool->n_topics++;
	*topicp = topic;
	topic = NULL;
	return 0;
}

int zcpd_topic_restore(struct zcpd_topic **topicp, const struct zcpd_topic_config *config,
		       struct zcpd_pool *pool, const struct zcp_topic_entry_shm *entry, int fd,
		       int acks_fd)
{
	const struct zcp_topic_geometry geometry = {
		.max_publishers = entry->max_publishers,
		.max_subscribers = entry->max_subscribers,
		.max_depth_log2 = entry->max_depth_log2,
	};
	uint32_t memory = pool->entry.memory & (ZCP_MEMORY_PREFAULT | ZCP_MEMORY_LOCK);
	struct zcpd_topic *topic = calloc(1, sizeof(*topic));
	int r;

	if (!topic) {
		zcp_close_fd(&fd);
		zcp_close_fd(&acks_fd);
		return -ENOMEM;
	}
	topic->fd = fd;
	topic->acks_fd = acks_fd;
	topic->readonly_fd = -1;
	r = zcp_topic_map(&topic->view, fd, &geometry, memory);
	if (r == 0)
		r = zcp_acks_map(&topic->acks, acks_fd, geometry.max_publishers,
				 geometry.max_subscribers, memory);
	if (r == 0)
		r = make_readonly(topic);
	if (r < 0) {
		close_regions(topic);
		free(topic);
		return r;
	}
	topic->entry = *entry;
	topic->config = *config;
	topic->pool = pool;
	topic->has_left = true;
	for (uint32_t p = 0; p < geometry.max_publishers; p++)
		if (entry->owners[p])
			zcpd_pool_keep_owner(pool, entry->owners[p]);
	zcpd_former_forget_pids(topic);
	pool->n_topics++;
	*topicp = topic;
	return 0;
}

struct zcpd_topic *zcpd_topic_free(struct zcpd_topic *topic)
{
	if (!topic)
		return NULL;
	topic->pool->n_topics--;
	for (uint32_t p = 0; p < ZCP_TOPIC_PUBLISHERS_MAX; p++)
		if (topic->entry.owners[p])
			zcpd_pool_give_owner(topic->pool, topic->entry.owners[p]);
	close_regions(topic);
	free(topic);
	return NULL;
}

void zcpd_topic_set_type(struct zcpd_topic *topic, const char *type, uint64_t size,
			 uint64_t alignment)
{
	if (!topic->entry.type[0] && type[0]) {
		(void)snprintf(topic->entry.type, sizeof(topic->entry.type), "%s", type);
		(void)snprintf(topic->view.shm->type, sizeof(topic->view.shm->type), "%s", type);
	}
	if (!topic->entry.type_size)
		topic->entry.type_size = topic->view.shm->type_size = size;
	if (!topic->entry.type_alignment)
		topic->entry.type_alignment = topic->view.shm->type_alignment = alignment;
}

static void add_declared(struct zcpd_topic_shape *shape, const struct zcpd_endpoint *subscriber)
{
	if (!shape->type[0])
		shape->type = subscriber->entry.type;
	if (!shape->type_size)
		shape->type_size = subscriber->entry.type_size;
	if (!shape->type_alignment)
		shape->type_alignment = subscriber->entry.type_alignment;
	if (!shape->has_user_header_size && subscriber->entry.user_header_size > 0) {
		shape->has_user_header_size = true;
		shape->user_header_size = subscriber->entry.user_header_size;
	}
}

struct zcpd_topic_shape zcpd_topic_shape(const struct zcpd_topic *topic)
{
	struct zcpd_topic_shape shape = {
		.type = topic->entry.type,
		.type_size = topic->entry.type_size,
		.type_alignment = topic->entry.type_alignment,
		.user_header_size = topic->entry.user_header_size,
		.has_user_header_size = topic->entry.has_user_header_size,
	};

	/* In any order: one that declares something else than another was refused. */
	for (uint32_t s = 0; s < topic->view.geometry.max_subscribers; s++)
		if (topic->subscribers[s] &&
		    topic->subscribers[s]->entry.state != ZCPD_ENDPOINT_LEAVING)
			add_declared(&shape, topic->subscribers[s]);
	return shape;
}

void zcpd_topic_set_user_header(struct zcpd_topic *topic, uint32_t size)
{
	topic->entry.has_user_header_size = true;
	topic->entry.user_header_size = size;
	topic->view.shm->user_header_size = size;
	topic->view.shm->has_user_header_size = true;
}

uint32_t zcpd_topic_alignment(const struct zcpd_topic *topic)
{
	uint32_t configured = (uint32_t)topic->config.alignment;

	if (!topic->pool->entry.automatic || topic->pool->view.n_classes > 0)
		return topic->pool->entry.alignment;
	return configured > 0 && configured < ZCP_ALIGNMENT_MIN ? ZCP_ALIGNMENT_MIN : configured;
}

int zcpd_topic_publisher_slot(const struct zcpd_topic *topic)
{
	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++)
		if (!topic->publishers[p])
			return (int)p;
	return -EUSERS;
}

int zcpd_topic_subscriber_slot(const struct zcpd_topic *topic)
{
	for (uint32_t s = 0; s < topic->view.geometry.max_subscribers; s++)
		if (!topic->subscribers[s])
			return (int)s;
	return -EUSERS;
}

struct zcp_lane zcpd_topic_lane(const struct zcpd_topic *topic, uint32_t publisher,
				const struct zcpd_endpoint *subscriber)
{
	return zcp_topic_lane(&topic->view, &topic->acks, publisher, subscriber->entry.slot,
			      subscriber->entry.depth_log2);
}

bool zcpd_topic_is_active(const struct zcpd_endpoint *subscriber)
{
	return subscriber->entry.state == ZCPD_ENDPOINT_JOINING ||
	       subscriber->entry.state == ZCPD_ENDPOINT_OPEN;
}

static uint64_t n_queued(const struct zcpd_topic *topic, uint32_t publisher,
			 const struct zcpd_endpoint *subscriber)
{
	struct zcp_lane lane = zcpd_topic_lane(topic, publisher, subscriber);
	/* Relaxed, all: a count. */
	uint64_t end = atomic_load_explicit(&topic->view.publishers[publisher].next_seq,
					    memory_order_relaxed);
	uint64_t ended = atomic_load_explicit(&lane.shm->end, memory_order_relaxed);
	uint64_t base = atomic_load_explicit(&lane.shm->base, memory_order_relaxed), n;

	if (ended != 0 && !zcpd_topic_is_active(subscriber))
		end = ended;
	if (base == 0 || base >= end)
		return 0;
	n = zcp_lane_n_queued(&lane, end);
	return n < end - base ? n : end - base;
}

uint64_t zcpd_topic_n_queued(const struct zcpd_endpoint *subscriber)
{
	const struct zcpd_topic *topic = subscriber->topic;
	uint64_t n = 0;

	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++)
		n += n_queued(topic, p, subscriber);
	return n;
}

/* Whether a publisher that has gone has left messages that are not taken yet. */
static bool has_left_messages(const struct zcpd_topic *topic, uint32_t publisher)
{
	for (uint32_t s = 0; s < topic->view.geometry.max_subscribers; s++)
		if (topic->subscribers[s] && n_queued(topic, publisher, topic->subscribers[s]) > 0)
			return true;
	return false;
}

uint32_t zcpd_topic_kept(const struct zcpd_topic *topic, uint32_t publisher)
{
	return topic->publishers[publisher] ? topic->publishers[publisher]->entry.history :
					      topic->kept[publisher];
}

bool zcpd_topic_keeps_history(const struct zcpd_topic *topic)
{
	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++)
		if (topic->kept[p] > 0)
			return true;
	return false;
}

uint32_t zcpd_topic_n_lanes(const struct zcpd_topic *topic, const struct zcpd_endpoint *more)
{
	uint32_t n = 0;

	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++)
		if (topic->publishers[p] || has_left_messages(topic, p) ||
		    (more && more->entry.is_publisher && more->entry.slot == p))
			n++;
	return n;
}

static void add_subscriber(const struct zcpd_endpoint *publisher,
			   const struct zcpd_endpoint *subscriber, uint64_t *deepest,
			   uint64_t *need)
{
	uint64_t capacity = UINT64_C(1) << subscriber->entry.depth_log2;

	if (subscriber->entry.state == ZCPD_ENDPOINT_INACTIVE)
		*need += capacity;
	else if (capacity > *deepest)
		*deepest = capacity;
	*need += subscriber->entry.held;
	*need += subscriber->entry.history < publisher->entry.history ? subscriber->entry.history :
									publisher->entry.history;
}

uint64_t zcpd_topic_need(const struct zcpd_topic *topic, const struct zcpd_endpoint *publisher,
			 const struct zcpd_endpoint *more)
{
	uint64_t need = publisher->entry.loans +
			(uint64_t)zcp_rotation(publisher->entry.max_payload);
	uint64_t deepest = publisher->entry.history;

	for (uint32_t s = 0; s < topic->view.geometry.max_subscribers; s++)
		if (topic->subscribers[s])
			add_subscriber(publisher, topic->subscribers[s], &deepest, &need);
	if (more)
		add_subscriber(publisher, more, &deepest, &need);
	return need + deepest;
}

uint64_t zcpd_topic_demand(const struct zcpd_topic *topic, const struct zcpd_endpoint *more)
{
	const struct zcpd_endpoint *subscriber = more && !more->entry.is_publisher ? more : NULL;
	uint64_t demand = 0;

	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++)
		if (topic->publishers[p])
			demand += zcpd_topic_need(topic, topic->publishers[p], subscriber);
		else
			demand += topic->kept[p];
	if (more && more->entry.is_publisher)
		demand += zcpd_topic_need(topic, more, NULL);
	return demand;
}

uint32_t zcpd_topic_on_full(const struct zcpd_topic_config *config)
{
	return config->on_full == ZCPD_CONFIG_ON_FULL_BLOCK ? ZCP_ON_FULL_BLOCK :
							      ZCP_ON_FULL_DROP_OLDEST;
}

uint32_t zcpd_topic_order(const struct zcpd_topic_config *config)
{
	return config->order == ZCPD_CONFIG_ORDER_TIME ? ZCP_ORDER_TIME : ZCP_ORDER_TURN;
}

uint64_t zcpd_topic_limit_demand(const struct zcpd_topic_config *config, uint32_t history,
				 uint64_t payload)
{
	uint64_t deepest = UINT64_C(1) << zcpd_depth_log2(config->max_depth);
	uint64_t of_publisher = config->loans + (history > deepest ? history : deepest) +
				zcp_rotation(payload) +
				config->max_subscribers * ((uint64_t)history + config->held);

	/* And one whose memory is just being given back. */
	return config->max_publishers * of_publisher + 1;
}

uint64_t zcpd_topic_max_payload(const struct zcpd_topic *topic, const struct zcpd_endpoint *more)
{
	uint64_t max = more && more->entry.is_publisher ? more->entry.max_payload : 0;
	bool has_left = false;

	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++) {
		if (topic->publishers[p] && topic->publishers[p]->entry.max_payload > max)
			max = topic->publishers[p]->entry.max_payload;
		has_left = has_left || (!topic->publishers[p] &&
					(topic->kept[p] > 0 || has_left_messages(topic, p)));
	}
	return has_left && topic->entry.former_payload > max ? topic->entry.former_payload : max;
}

static uint64_t n_published(const struct zcpd_topic *topic, const struct zcpd_endpoint *publisher)
{
	/* Relaxed: a count. */
	uint64_t next = atomic_load_explicit(
		&topic->view.publishers[publisher->entry.slot].next_seq, memory_order_relaxed);

	return next > publisher->entry.first_seq ? next - publisher->entry.first_seq : 0;
}

/* The number of a slot's next message, all pushes before which are over. */
uint64_t zcpd_topic_next_seq(const struct zcpd_topic *topic, uint32_t publisher)
{
	/* SEQ-A1 pairs with SEQ-R1 in zcp_writer_publish(). */
	return atomic_load_explicit(&topic->view.publishers[publisher].next_seq,
				    memory_order_acquire);
}

/*
 * The numbers of a slot go on when a new publisher gets it, and so does what is lost in a
 * subscriber's slot: nothing has to be put down when one goes, which could be put down twice.
 */
uint64_t zcpd_topic_n_messages(const struct zcpd_topic *topic)
{
	uint64_t n = 0;

	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++)
		/* Relaxed: a count. */
		n += atomic_load_explicit(&topic->view.publishers[p].next_seq,
					  memory_order_relaxed) -
		     1;
	return n;
}

uint64_t zcpd_topic_n_lost(const struct zcpd_topic *topic)
{
	uint64_t n = 0;

	for (uint32_t s = 0; s < topic->view.geometry.max_subscribers; s++)
		/* Relaxed: a count. */
		n += atomic_load_explicit(&zcp_acks_counts(&topic->acks, s)->n_lost,
					  memory_order_relaxed);
	return n;
}

static uint64_t n_lost(const struct zcpd_topic *topic, uint32_t subscriber)
{
	/* Relaxed: counts. */
	uint64_t n = atomic_load_explicit(&zcp_acks_counts(&topic->acks, subscriber)->n_lost,
					  memory_order_relaxed);
	uint64_t before = atomic_load_explicit(&topic->view.subscribers[subscriber].first_lost,
					       memory_order_relaxed);

	return n > before ? n - before : 0;
}

void zcpd_topic_publisher_info(const struct zcpd_topic *topic,
			       const struct zcpd_endpoint *publisher,
			       struct zcp_publisher_info *info)
{
	const struct zcp_publisher_slot_shm *slot = &topic->view.publishers[publisher->entry.slot];

	*info = (struct zcp_publisher_info){
		.id = publisher->entry.id,
		.pid = publisher->entry.pid,
		.slot = publisher->entry.slot,
		.loans = publisher->entry.loans,
		.history = publisher->entry.history,
		.max_payload = publisher->entry.max_payload,
		.n_messages = n_published(topic, publisher),
		.n_exhausted = atomic_load_explicit(&slot->n_exhausted, memory_order_relaxed),
	};
	(void)snprintf(info->node, sizeof(info->node), "%s", publisher->entry.node);
	for (uint32_t s = 0; s < topic->view.geometry.max_subscribers; s++)
		if (topic->subscribers[s] && zcpd_topic_is_active(topic->subscribers[s]))
			info->n_subscribers++;
}

void zcpd_topic_subscriber_info(const struct zcpd_topic *topic,
				const struct zcpd_endpoint *subscriber,
				struct zcp_subscriber_info *info)
{
	*info = (struct zcp_subscriber_info){
		.id = subscriber->entry.id,
		.pid = subscriber->entry.pid,
		.slot = subscriber->entry.slot,
		.n_publishers = zcpd_topic_is_active(subscriber) ? topic->n_publishers : 0,
		.depth = UINT32_C(1) << subscriber->entry.depth_log2,
		.held = subscriber->entry.held,
		.on_full = subscriber->entry.on_full,
		.history = subscriber->entry.history,
		.order = subscriber->entry.order,
		/* Relaxed: a count. */
		.n_taken = atomic_load_explicit(
			&zcp_acks_counts(&topic->acks, subscriber->entry.slot)->n_taken,
			memory_order_relaxed),
		.n_lost = n_lost(topic, subscriber->entry.slot),
	};
	(void)snprintf(info->node, sizeof(info->node), "%s", subscriber->entry.node);
	info->n_queued = zcpd_topic_n_queued(subscriber);
}
