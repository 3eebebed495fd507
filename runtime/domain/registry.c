/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What there is, and how endpoints join and leave.
 */
#include "runtime/domain/registry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/fence.h"
#include "pubsub/util.h"
#include "runtime/domain/signals.h"
#include "runtime/failover/record.h"
#include "runtime/repair/reclaim.h"
#include "runtime/repair/sweep.h"
#include "runtime/system/log.h"

/* How long a join, or a close, waits for a publisher that is stopped in the middle of a publish. */
#define GRACE_MAX_NS UINT64_C(50000000)
/* Looks at the publishers before a grace period is left to the timer. */
#define GRACE_LOOKS 200

static void init_empty(struct zcpd_registry *registry, const struct zcpd_config *config,
		       bool symmetric, const struct zcpd_registry_events *events)
{
	*registry = (struct zcpd_registry){
		.config = config,
		.events = *events,
		.symmetric = symmetric,
		.signals_fd = -1,
	};
	LIST_INIT(&registry->topics);
	LIST_INIT(&registry->pools);
	TAILQ_INIT(&registry->pending);
}

int zcpd_registry_init(struct zcpd_registry *registry, const struct zcpd_config *config,
		       bool symmetric, const struct zcpd_registry_events *events)
{
	uint32_t n = config->runtime.max_nodes;
	struct zcp_region region = ZCP_REGION_NULL;
	const char *why;
	int r;

	init_empty(registry, config, symmetric, events);
	if (getrandom(&registry->domain_id, sizeof(registry->domain_id), 0) !=
	    (ssize_t)sizeof(registry->domain_id))
		return zcp_errno();
	r = zcpd_registry_make_signal_tables(registry, n);
	if (r == 0)
		r = zcp_region_create(&region, &registry->signals_fd, "zcp-signals",
				      zcp_signals_size(n));
	if (r == 0) {
		zcp_signals_construct(&region, n, registry->domain_id);
		r = zcp_signals_attach(&registry->signals, registry->signals_fd,
				       registry->domain_id, &why);
	}
	zcp_region_deinit(&region);
	if (r == 0)
		zcpd_registry_own_pids(registry);
	else
		zcpd_registry_deinit(registry);
	return r;
}

int zcpd_registry_restore(struct zcpd_registry *registry, const struct zcpd_config *config,
			  const struct zcp_domain_entry_shm *entry, int signals_fd,
			  const struct zcpd_registry_events *events)
{
	int r;

	init_empty(registry, config, entry->symmetric, events);
	registry->domain_id = entry->domain_id;
	registry->last_id = registry->reserved_id = entry->last_id;
	registry->signals_fd = signals_fd;
	r = entry->symmetric ? 0 : zcp_fence_register();
	if (r == 0)
		r = zcp_signals_map(&registry->signals, signals_fd, entry->n_signals);
	if (r == 0)
		r = zcpd_registry_make_signal_tables(registry, registry->signals.n_signals);
	if (r == 0)
		zcpd_registry_own_pids(registry);
	else
		zcpd_registry_deinit(registry);
	return r;
}

static void free_endpoint(struct zcpd_endpoint **endpointp)
{
	free(*endpointp);
	*endpointp = NULL;
}

void zcpd_registry_drop_pool_if_unused(struct zcpd_registry *registry, struct zcpd_pool *pool)
{
	/* What has been taken beforehand stays for the next topic: to take it again takes seconds. */
	if (pool->n_topics > 0 || (pool->entry.got & ZCP_MEMORY_PREFAULT))
		return;
	zcpd_record_drop_pool(registry, pool);
	if (!pool->entry.automatic)
		LIST_REMOVE(pool, link);
	zcpd_pool_free(pool);
}

/* `ended`: no process goes on with it. */
static void free_topic(struct zcpd_registry *registry, struct zcpd_topic *topic, bool ended)
{
	struct zcpd_pool *pool = topic->pool;

	/* A pool that goes on has them for others; before the record goes, which has the numbers. */
	if (ended)
		(void)zcpd_topic_sweep(topic, true);
	ZCP_CRASHPOINT("drop.after_sweep");
	zcpd_record_drop_topic(registry, topic);
	LIST_REMOVE(topic, link);
	registry->n_topics--;
	zcpd_topic_free(topic);
	if (ended && pool->n_topics > 0)
		zcpd_registry_freed(registry, pool);
	zcpd_registry_drop_pool_if_unused(registry, pool);
}

void zcpd_registry_freed(struct zcpd_registry *registry, struct zcpd_pool *pool)
{
	if (registry->events.freed)
		registry->events.freed(pool, registry->events.user);
}

void zcpd_registry_deinit(struct zcpd_registry *registry)
{
	/* What is open is the next worker's, or the next runtime's: nothing of it is dropped. */
	registry->journal = NULL;
	registry->directory = NULL;
	while (!LIST_EMPTY(&registry->topics)) {
		struct zcpd_topic *topic = LIST_FIRST(&registry->topics);

		for (uint32_t p = 0; p < ZCP_TOPIC_PUBLISHERS_MAX; p++)
			free_endpoint(&topic->publishers[p]);
		for (uint32_t s = 0; s < ZCP_TOPIC_SUBSCRIBERS_MAX; s++)
			free_endpoint(&topic->subscribers[s]);
		free_topic(registry, topic, false);
	}
	while (!LIST_EMPTY(&registry->pools)) {
		struct zcpd_pool *pool = LIST_FIRST(&registry->pools);

		LIST_REMOVE(pool, link);
		zcpd_pool_free(pool);
	}
	zcpd_registry_free_signals(registry);
}

struct zcpd_topic *zcpd_registry_topic(const struct zcpd_registry *registry, const char *name)
{
	struct zcpd_topic *topic;

	LIST_FOREACH(topic, &registry->topics, link)
		if (strcmp(topic->entry.name, name) == 0)
			return topic;
	return NULL;
}

void zcpd_registry_insert_topic(struct zcpd_registry *registry, struct zcpd_topic *topic)
{
	struct zcpd_topic *other, *before = NULL;

	LIST_FOREACH(other, &registry->topics, link) {
		if (strcmp(other->entry.name, topic->entry.name) > 0)
			break;
		before = other;
	}
	if (before)
		LIST_INSERT_AFTER(before, topic, link);
	else
		LIST_INSERT_HEAD(&registry->topics, topic, link);
	registry->n_topics++;
}

void zcpd_registry_drop_if_unused(struct zcpd_registry *registry, struct zcpd_topic *topic)
{
	if (topic->n_publishers > 0 || topic->n_subscribers > 0 || zcpd_topic_keeps_history(topic))
		return;
	zcpd_debug("topic '%s' ends", topic->entry.name);
	free_topic(registry, topic, true);
}

static void begin_grace(struct zcpd_registry *registry, struct zcpd_endpoint *subscriber)
{
	subscriber->deadline_ns = zcp_now_ns() + GRACE_MAX_NS;
	zcpd_grace_begin(&subscriber->grace, subscriber->topic, registry->symmetric);
	TAILQ_INSERT_TAIL(&registry->pending, subscriber, pending);
	for (int i = 0; i < GRACE_LOOKS; i++)
		if (zcpd_grace_is_over(&subscriber->grace, subscriber->topic))
			break;
}

/* Publishers see it from here on. */
void zcpd_registry_begin_join(struct zcpd_registry *registry, struct zcpd_endpoint *subscriber)
{
	zcpd_registry_tell_publishers(registry, subscriber);
	zcpd_subscriber_join(subscriber->topic, subscriber);
	ZCP_CRASHPOINT("join.after_active");
	begin_grace(registry, subscriber);
}

static void close_publisher(struct zcpd_registry *registry, struct zcpd_endpoint *publisher)
{
	struct zcpd_topic *topic = publisher->topic;

	zcpd_publisher_recover(topic, publisher, &registry->signals, registry->signal_fds);
	if (publisher->entry.max_payload > topic->entry.former_payload)
		topic->entry.former_payload = publisher->entry.max_payload;
	topic->publishers[publisher->entry.slot] = NULL;
	topic->n_publishers--;
	ZCP_IGNORE(zcpd_topic_sweep(topic, false));
	zcpd_registry_freed(registry, topic->pool);
	ZCP_CRASHPOINT("close.after_recover");
	zcpd_record_topic(registry, topic);
	registry->events.closed(publisher, registry->events.user);
	ZCP_CRASHPOINT("close.after_answer");
	zcpd_record_drop_endpoint(registry, publisher);
	free_endpoint(&publisher);
	zcpd_registry_drop_if_unused(registry, topic);
}

static void finish_leave(struct zcpd_registry *registry, struct zcpd_endpoint *subscriber)
{
	struct zcpd_topic *topic = subscriber->topic;

	topic->subscribers[subscriber->entry.slot] = NULL;
	topic->n_subscribers--;
	ZCP_CRASHPOINT("leave.after_grace");
	/* Living publishers take back by themselves what only it had. */
	if (zcpd_topic_sweep(topic, false) > 0)
		zcpd_registry_freed(registry, topic->pool);
	ZCP_CRASHPOINT("leave.after_sweep");
	zcpd_record_topic(registry, topic);
	registry->events.closed(subscriber, registry->events.user);
	ZCP_CRASHPOINT("leave.after_answer");
	zcpd_record_drop_endpoint(registry, subscriber);
	free_endpoint(&subscriber);
	zcpd_registry_drop_if_unused(registry, topic);
}

/* Whether a publisher of the topic holds up others longer than it may. */
static bool is_held_up(const struct zcpd_registry *registry, const struct zcpd_topic *topic)
{
	struct zcpd_endpoint *other;

	TAILQ_FOREACH(other, &registry->pending, pending)
		if (other->topic == topic && zcp_now_ns() >= other->deadline_ns &&
		    !zcpd_grace_is_over(&other->grace, topic))
			return true;
	return false;
}

/* Its node waits no longer; the slot is given again only when the publisher has gone on. */
static void answer_leave(struct zcpd_registry *registry, struct zcpd_endpoint *subscriber)
{
	registry->events.held_up(subscriber, registry->events.user);
	subscriber->entry.request_id = 0;
	zcpd_record_endpoint(registry, subscriber);
}

void zcpd_registry_close(struct zcpd_registry *registry, struct zcpd_endpoint *endpoint,
			 uint64_t request_id)
{
	if (endpoint->entry.is_publisher) {
		endpoint->entry.request_id = request_id;
		close_publisher(registry, endpoint);
		return;
	}
	if (endpoint->entry.state == ZCPD_ENDPOINT_LEAVING)
		return;
	if (endpoint->entry.state == ZCPD_ENDPOINT_JOINING)
		TAILQ_REMOVE(&registry->pending, endpoint, pending);
	endpoint->entry.request_id = request_id;
	endpoint->entry.state = ZCPD_ENDPOINT_LEAVING;
	zcpd_record_endpoint(registry, endpoint);
	ZCP_CRASHPOINT("leave.after_record");
	zcpd_subscriber_leave(endpoint->topic, endpoint, &registry->signals, registry->signal_fds);
	begin_grace(registry, endpoint);
	/* A node that closes many does not wait as often. */
	if (is_held_up(registry, endpoint->topic))
		endpoint->deadline_ns = 0;
	(void)zcpd_registry_poll(registry);
}

void zcpd_registry_deactivate(struct zcpd_registry *registry, struct zcpd_endpoint *endpoint)
{
	if (endpoint->entry.state == ZCPD_ENDPOINT_JOINING)
		TAILQ_REMOVE(&registry->pending, endpoint, pending);
	else if (endpoint->entry.state != ZCPD_ENDPOINT_OPEN)
		return;
	endpoint->entry.state = ZCPD_ENDPOINT_INACTIVE;
	zcpd_record_endpoint(registry, endpoint);
	ZCP_CRASHPOINT("deactivate.after_record");
	if (!endpoint->entry.is_publisher)
		zcpd_subscriber_deactivate(endpoint->topic, endpoint, &registry->signals,
					   registry->signal_fds);
}

static void finish_join(struct zcpd_registry *registry, struct zcpd_endpoint *subscriber)
{
	zcpd_subscriber_settle(subscriber->topic, subscriber, &subscriber->grace);
	TAILQ_REMOVE(&registry->pending, subscriber, pending);
	/* Before the answer leaves: what is settled is never settled again. */
	subscriber->entry.state = ZCPD_ENDPOINT_OPEN;
	zcpd_record_endpoint(registry, subscriber);
	ZCP_CRASHPOINT("join.after_open");
	zcpd_members_announce(subscriber->topic, &registry->signals, registry->signal_fds);
	ZCP_CRASHPOINT("join.after_announce");
	registry->events.joined(subscriber, registry->events.user);
}

void zcpd_registry_resume(struct zcpd_registry *registry, struct zcpd_endpoint *subscriber)
{
	const struct zcpd_endpoint *pending;

	TAILQ_FOREACH(pending, &registry->pending, pending)
		if (pending == subscriber)
			return;
	if (subscriber->entry.state == ZCPD_ENDPOINT_JOINING) {
		zcpd_registry_begin_join(registry, subscriber);
		return;
	}
	zcpd_subscriber_leave(subscriber->topic, subscriber, &registry->signals,
			      registry->signal_fds);
	begin_grace(registry, subscriber);
}

bool zcpd_registry_poll(struct zcpd_registry *registry)
{
	struct zcpd_endpoint *endpoint = TAILQ_FIRST(&registry->pending), *next;

	for (; endpoint; endpoint = next) {
		bool over = zcpd_grace_is_over(&endpoint->grace, endpoint->topic);

		next = TAILQ_NEXT(endpoint, pending);
		if (endpoint->entry.state == ZCPD_ENDPOINT_JOINING &&
		    (over || zcp_now_ns() >= endpoint->deadline_ns)) {
			/*
			 * A publisher that is stopped inside op must not keep the subscriber out: its
			 * lane begins when it goes on.
			 */
			finish_join(registry, endpoint);
		} else if (endpoint->entry.state == ZCPD_ENDPOINT_LEAVING && over) {
			TAILQ_REMOVE(&registry->pending, endpoint, pending);
			finish_leave(registry, endpoint);
		} else if (endpoint->entry.state == ZCPD_ENDPOINT_LEAVING &&
			   endpoint->entry.request_id && zcp_now_ns() >= endpoint->deadline_ns) {
			answer_leave(registry, endpoint);
		}
	}
	return !TAILQ_EMPTY(&registry->pending);
}
