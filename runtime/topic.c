/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topics: slots, sums, and what is told about their endpoints.
 */
#include "runtime/topic.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zcp/subscriber.h>

#include "pubsub/util.h"

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

	return zcp_topic_size(&geometry);
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
	topic->id = id;
	topic->config = *config;
	topic->pool = pool;
	(void)snprintf(topic->name, sizeof(topic->name), "%s", name);
	r = zcp_region_create_with(&region, &topic->fd, "zcp-topic", zcp_topic_size(&geometry),
				   pool->memory & (ZCP_MEMORY_PREFAULT | ZCP_MEMORY_LOCK));
	if (r < 0)
		return r;
	zcp_topic_construct(&region, &geometry, name, pool->id, domain_id, id);
	zcp_region_deinit(&region);
	r = zcp_topic_attach(&topic->view, topic->fd, domain_id, &why);
	if (r < 0) {
		zcp_close_fd(&topic->fd);
		return r;
	}
	memcpy(topic->view.shm->pool_name, pool->name, sizeof(pool->name));
	topic->view.shm->pool_is_automatic = pool->automatic;
	if (config->type)
		zcpd_topic_set_type(topic, config->type, 0, 0);
	if (config->user_header > 0)
		zcpd_topic_set_user_header(topic, (uint32_t)config->user_header);
	pool->n_topics++;
	*topicp = topic;
	topic = NULL;
	return 0;
}

static void restore_slots(struct zcpd_topic *topic, const struct zcp_record_topic *record)
{
	for (uint32_t p = 0; p < record->n_slots; p++) {
		topic->owners[p] = record->slots[p].owner;
		topic->formers[p] = record->slots[p].former;
		topic->kept[p] = record->slots[p].kept;
		if (topic->owners[p])
			zcpd_pool_keep_owner(topic->pool, topic->owners[p]);
		if (topic->formers[p])
			zcpd_pool_keep_owner(topic->pool, topic->formers[p]);
	}
}

int zcpd_topic_restore(struct zcpd_topic **topicp, const struct zcpd_topic_config *config,
		       struct zcpd_pool *pool, const struct zcp_record_topic *record, int fd)
{
	const struct zcp_topic_geometry geometry = {
		.max_publishers = record->max_publishers,
		.max_subscribers = record->max_subscribers,
		.max_depth_log2 = record->max_depth_log2,
	};
	struct zcpd_topic *topic = calloc(1, sizeof(*topic));
	int r;

	if (!topic) {
		zcp_close_fd(&fd);
		return -ENOMEM;
	}
	r = zcp_topic_map(&topic->view, fd, &geometry,
			  pool->memory & (ZCP_MEMORY_PREFAULT | ZCP_MEMORY_LOCK));
	if (r < 0) {
		zcp_close_fd(&fd);
		free(topic);
		return r;
	}
	topic->fd = fd;
	topic->id = record->number;
	topic->uid = record->uid;
	topic->config = *config;
	topic->pool = pool;
	topic->former_payload = record->former_payload;
	topic->type_size = record->type_size;
	topic->type_alignment = record->type_alignment;
	topic->user_header_size = record->user_header_size;
	topic->has_user_header_size = record->has_user_header_size;
	(void)strcpy(topic->name, record->name);
	(void)strcpy(topic->type, record->type);
	restore_slots(topic, record);
	pool->n_topics++;
	*topicp = topic;
	return 0;
}

struct zcpd_topic *zcpd_topic_free(struct zcpd_topic *topic)
{
	if (!topic)
		return NULL;
	topic->pool->n_topics--;
	for (uint32_t p = 0; p < ZCP_TOPIC_PUBLISHERS_MAX; p++) {
		if (topic->owners[p])
			zcpd_pool_give_owner(topic->pool, topic->owners[p]);
		if (topic->formers[p])
			zcpd_pool_give_owner(topic->pool, topic->formers[p]);
	}
	zcp_topic_deinit(&topic->view);
	zcp_close_fd(&topic->fd);
	free(topic);
	return NULL;
}

void zcpd_topic_set_type(struct zcpd_topic *topic, const char *type, uint64_t size,
			 uint64_t alignment)
{
	if (!topic->type[0] && type[0]) {
		(void)snprintf(topic->type, sizeof(topic->type), "%s", type);
		(void)snprintf(topic->view.shm->type, sizeof(topic->view.shm->type), "%s", type);
	}
	if (!topic->type_size)
		topic->type_size = topic->view.shm->type_size = size;
	if (!topic->type_alignment)
		topic->type_alignment = topic->view.shm->type_alignment = alignment;
}

void zcpd_topic_set_user_header(struct zcpd_topic *topic, uint32_t size)
{
	topic->has_user_header_size = true;
	topic->user_header_size = size;
	topic->view.shm->user_header_size = size;
	topic->view.shm->has_user_header_size = true;
}

uint32_t zcpd_topic_alignment(const struct zcpd_topic *topic)
{
	uint32_t configured = (uint32_t)topic->config.alignment;

	if (!topic->pool->automatic || topic->pool->view.n_classes > 0)
		return topic->pool->alignment;
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
	return zcp_topic_lane(&topic->view, publisher, subscriber->slot, subscriber->depth_log2);
}

static uint64_t n_queued(const struct zcpd_topic *topic, uint32_t publisher,
			 const struct zcpd_endpoint *subscriber)
{
	struct zcp_lane lane = zcpd_topic_lane(topic, publisher, subscriber);
	uint64_t n = 0;

	for (uint32_t i = 0; i <= lane.mask; i++)
		/* Relaxed: a count, which changes while we count. */
		if (atomic_load_explicit(&lane.slots[i].word, memory_order_relaxed) & ZCP_SLOT_LIVE)
			n++;
	return n;
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

/* What is retained in a slot at the most. */
static uint32_t slot_history(const struct zcpd_topic *topic, uint32_t publisher)
{
	return topic->publishers[publisher] ? topic->publishers[publisher]->history :
					      topic->kept[publisher];
}

uint32_t zcpd_topic_backlog(const struct zcpd_topic *topic, uint32_t history)
{
	uint32_t n = 0;

	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++) {
		uint32_t there = slot_history(topic, p);

		n += there < history ? there : history;
	}
	return n;
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
		    (more && more->is_publisher && more->slot == p))
			n++;
	return n;
}

/* What the publishers, and those before them, may use. */
static uint64_t publishers_demand(const struct zcpd_topic *topic, const struct zcpd_endpoint *more)
{
	uint64_t loans = 0, history = 0;

	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++) {
		const struct zcpd_endpoint *publisher = topic->publishers[p];

		if (!publisher && more && more->is_publisher && more->slot == p)
			publisher = more;
		loans += publisher ? publisher->loans : 0;
		history += publisher ? publisher->history : topic->kept[p];
	}
	return loans + history + (history > 0);
}

uint64_t zcpd_topic_demand(const struct zcpd_topic *topic, const struct zcpd_endpoint *more)
{
	uint64_t demand = publishers_demand(topic, more), depths = 0;

	for (uint32_t s = 0; s < topic->view.geometry.max_subscribers; s++) {
		const struct zcpd_endpoint *subscriber = topic->subscribers[s];

		if (!subscriber)
			continue;
		demand += subscriber->held + subscriber->backlog;
		depths += UINT64_C(1) << subscriber->depth_log2;
	}
	if (more && !more->is_publisher) {
		demand += more->held + more->backlog;
		depths += UINT64_C(1) << more->depth_log2;
	}
	return demand + depths * zcpd_topic_n_lanes(topic, more);
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

uint64_t zcpd_topic_limit_demand(const struct zcpd_topic_config *config, uint32_t history)
{
	uint64_t per_lane = (UINT64_C(1) << zcpd_depth_log2(config->depth)) + history;

	return (uint64_t)config->max_publishers * (config->loans + (uint64_t)history) +
	       config->max_subscribers * (per_lane * config->max_publishers + config->held) +
	       (history > 0);
}

uint64_t zcpd_topic_max_payload(const struct zcpd_topic *topic, const struct zcpd_endpoint *more)
{
	uint64_t max = more && more->is_publisher ? more->max_payload : 0;
	bool has_left = false;

	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++) {
		if (topic->publishers[p] && topic->publishers[p]->max_payload > max)
			max = topic->publishers[p]->max_payload;
		has_left = has_left || (!topic->publishers[p] &&
					(topic->kept[p] > 0 || has_left_messages(topic, p)));
	}
	return has_left && topic->former_payload > max ? topic->former_payload : max;
}

static uint64_t n_published(const struct zcpd_topic *topic, const struct zcpd_endpoint *publisher)
{
	/* Relaxed: a count. */
	uint64_t next = atomic_load_explicit(&topic->view.publishers[publisher->slot].next_seq,
					     memory_order_relaxed);

	return next > publisher->first_seq ? next - publisher->first_seq : 0;
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
		n += atomic_load_explicit(&topic->view.subscribers[s].n_lost, memory_order_relaxed);
	return n;
}

static uint64_t n_lost(const struct zcp_subscriber_slot_shm *slot)
{
	/* Relaxed: counts. */
	uint64_t n = atomic_load_explicit(&slot->n_lost, memory_order_relaxed),
		 before = atomic_load_explicit(&slot->first_lost, memory_order_relaxed);

	return n > before ? n - before : 0;
}

/* Whether publishers send to it. */
static bool is_active(const struct zcpd_endpoint *subscriber)
{
	return subscriber->state == ZCPD_ENDPOINT_JOINING ||
	       subscriber->state == ZCPD_ENDPOINT_OPEN;
}

void zcpd_topic_publisher_info(const struct zcpd_topic *topic,
			       const struct zcpd_endpoint *publisher,
			       struct zcp_publisher_info *info)
{
	const struct zcp_publisher_slot_shm *slot = &topic->view.publishers[publisher->slot];

	*info = (struct zcp_publisher_info){
		.id = publisher->id,
		.pid = publisher->pid,
		.slot = publisher->slot,
		.loans = publisher->loans,
		.history = publisher->history,
		.max_payload = publisher->max_payload,
		.n_messages = n_published(topic, publisher),
		.n_exhausted = atomic_load_explicit(&slot->n_exhausted, memory_order_relaxed),
	};
	(void)snprintf(info->node, sizeof(info->node), "%s", publisher->node);
	for (uint32_t s = 0; s < topic->view.geometry.max_subscribers; s++)
		if (topic->subscribers[s] && is_active(topic->subscribers[s]))
			info->n_subscribers++;
}

void zcpd_topic_subscriber_info(const struct zcpd_topic *topic,
				const struct zcpd_endpoint *subscriber,
				struct zcp_subscriber_info *info)
{
	const struct zcp_subscriber_slot_shm *slot = &topic->view.subscribers[subscriber->slot];

	*info = (struct zcp_subscriber_info){
		.id = subscriber->id,
		.pid = subscriber->pid,
		.slot = subscriber->slot,
		.n_publishers = is_active(subscriber) ? topic->n_publishers : 0,
		.depth = UINT32_C(1) << subscriber->depth_log2,
		.held = subscriber->held,
		.on_full = subscriber->on_full,
		.history = subscriber->history,
		.order = subscriber->order,
		/* Relaxed: a count. */
		.n_taken = atomic_load_explicit(&slot->n_taken, memory_order_relaxed),
		.n_lost = n_lost(slot),
	};
	(void)snprintf(info->node, sizeof(info->node), "%s", subscriber->node);
	info->n_queued = zcpd_topic_n_queued(subscriber);
}
