/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing endpoints.
 */
#include "runtime/domain/registry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/fence.h"
#include "pubsub/util.h"
#include "pubsub/wire/name.h"
#include "runtime/domain/signals.h"
#include "runtime/failover/record.h"
#include "runtime/open/provision.h"
#include "runtime/open/quota.h"
#include "runtime/open/settle.h"
#include "runtime/repair/reclaim.h"
#include "runtime/system/log.h"
#include "runtime/system/process.h"

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

static int get_topic(struct zcpd_registry *registry, const char *name, uint32_t uid,
		     struct zcpd_topic **topicp, char *text, size_t text_size)
{
	struct zcpd_topic *topic = zcpd_registry_topic(registry, name);
	struct zcpd_topic_config config;
	struct zcpd_pool *pool;
	int r;

	if (topic) {
		*topicp = topic;
		return 0;
	}
	if (registry->n_topics >= registry->config->runtime.max_topics) {
		(void)snprintf(
			text, text_size,
			"the runtime has %u topics, as many as max_topics in [runtime] allows: "
			"raise it",
			registry->n_topics);
		return -EUSERS;
	}
	zcpd_config_topic(registry->config, name, &config);
	r = zcpd_quota_check_memory(registry, uid, name, zcpd_topic_size(&config), text, text_size);
	if (r < 0)
		return r;
	r = zcpd_provision_pool(registry, name, &config, &pool, text, text_size);
	if (r < 0)
		return r;
	r = zcpd_topic_new(&topic, zcpd_record_next_id(registry), registry->domain_id, name,
			   &config, pool);
	if (r < 0) {
		/* What the pool has locked counts. */
		ZCP_IGNORE(zcpd_provision_not_taken(r, "cannot make topic", name,
						    zcpd_topic_size(&config), text, text_size));
		zcpd_registry_drop_pool_if_unused(registry, pool);
		return r;
	}
	topic->entry.uid = uid;
	zcpd_registry_insert_topic(registry, topic);
	zcpd_record_topic(registry, topic);
	ZCP_CRASHPOINT("open.after_topic");
	zcpd_debug("topic '%s' begins", name);
	*topicp = topic;
	return 0;
}

void zcpd_registry_drop_if_unused(struct zcpd_registry *registry, struct zcpd_topic *topic)
{
	if (topic->n_publishers > 0 || topic->n_subscribers > 0 || zcpd_topic_keeps_history(topic))
		return;
	zcpd_debug("topic '%s' ends", topic->entry.name);
	free_topic(registry, topic, true);
}

/* No publisher gets a place in a pool of which other processes may have parts. */
static int check_pool(struct zcpd_registry *registry, struct zcpd_pool *pool, char *text,
		      size_t text_size)
{
	char pid[ZCPD_PROCESS_TEXT_SIZE];
	uint32_t missing, n;

	if (!pool->entry.is_adopted)
		return 0;
	missing = registry->events.missing ? registry->events.missing(registry->events.user) : 0;
	if (missing != 0) {
		(void)snprintf(
			text, text_size,
			"pool '%s' was taken over from a runtime that was killed, and %s %s, "
			"which may have parts of it, has not come back: have it wait or "
			"dispatch, or end it, and try again",
			pool->entry.name,
			missing == ZCPD_REGISTRY_PID_UNKNOWN ? "a process of pid" : "process",
			zcpd_process_text(missing == ZCPD_REGISTRY_PID_UNKNOWN ? 0 : missing, pid));
		return -EBUSY;
	}
	n = zcpd_pool_free_strangers(pool);
	if (n > 0)
		zcpd_info("pool '%s': %u chunks of processes that died with the runtime are free",
			  pool->entry.name, n);
	pool->entry.is_adopted = false;
	zcpd_record_pool(registry, pool);
	return 0;
}

static int check_name(const char *name, char *text, size_t text_size)
{
	size_t n;

	if (!name[0]) {
		(void)snprintf(text, text_size, "the topic's name is empty: give it one");
		return -EINVAL;
	}
	if (zcp_name_find_control(name, &n) || strchr(name, '*')) {
		(void)snprintf(text, text_size,
			       "the topic's name has a control character or a '*': remove it");
		return -EINVAL;
	}
	if (!zcp_name_is_utf8(name)) {
		(void)snprintf(text, text_size, "the topic's name is not UTF-8: encode it so");
		return -EINVAL;
	}
	return 0;
}

static void fill_client(struct zcpd_registry *registry, struct zcpd_endpoint *endpoint,
			const struct zcpd_client *client, struct zcpd_topic *topic)
{
	endpoint->entry.id = zcpd_record_next_id(registry);
	endpoint->topic = topic;
	endpoint->session = client->session;
	endpoint->entry.request_id = endpoint->entry.opened_by = client->request_id;
	endpoint->entry.node_id = client->node_id;
	endpoint->entry.process_start = client->process_start;
	endpoint->entry.pid = client->pid;
	endpoint->entry.uid = client->uid;
	endpoint->entry.signal = client->signal;
	(void)snprintf(endpoint->entry.node, sizeof(endpoint->entry.node), "%s", client->node);
}

/* An endpoint, and all that is made with it where it is the first of its topic. */
static int reserve(struct zcpd_registry *registry)
{
	static const enum zcp_entry_kind kinds[] = {
		ZCP_ENTRY_POOL,
		ZCP_ENTRY_TOPIC,
		ZCP_ENTRY_ENDPOINT,
	};
	int r = 0;

	for (size_t i = 0; registry->directory && i < sizeof(kinds) / sizeof(kinds[0]) && r == 0;
	     i++)
		r = zcpd_directory_reserve(registry->directory, kinds[i]);
	return r;
}

static int check_room(struct zcpd_registry *registry, char *text, size_t text_size)
{
	int r = reserve(registry);

	if (r == 0)
		return 0;
	(void)snprintf(
		text, text_size,
		"the runtime's directory cannot grow: %s: have some room where its socket is",
		strerror(-r));
	return r == -ENOMEM ? r : -ENOSPC;
}

/*
 * The endpoint and its topic, which may be new, with all that both kinds have. On failure neither is
 * there.
 */
static int begin_open(struct zcpd_registry *registry, const struct zcpd_client *client,
		      const char *name, bool is_publisher, struct zcpd_endpoint **endpointp,
		      char *text, size_t text_size)
{
	ZCP_CLEANUP(free_endpoint) struct zcpd_endpoint *endpoint = NULL;
	struct zcpd_topic *topic;
	int r;

	r = check_name(name, text, text_size);
	if (r == 0)
		r = zcpd_quota_check_endpoint(registry, client->uid, text, text_size);
	if (r == 0)
		r = check_room(registry, text, text_size);
	if (r < 0)
		return r;
	endpoint = calloc(1, sizeof(*endpoint));
	if (!endpoint) {
		(void)snprintf(text, text_size, "the runtime is out of memory");
		return -ENOMEM;
	}
	endpoint->entry.is_publisher = is_publisher;
	r = get_topic(registry, name, client->uid, &topic, text, text_size);
	if (r < 0)
		return r;
	fill_client(registry, endpoint, client, topic);
	r = check_pool(registry, topic->pool, text, text_size);
	if (r < 0) {
		zcpd_registry_drop_if_unused(registry, topic);
		return r;
	}
	*endpointp = endpoint;
	endpoint = NULL;
	return 0;
}

static void tell_opened(struct zcpd_registry *registry, struct zcpd_endpoint *endpoint)
{
	if (registry->events.opened)
		registry->events.opened(endpoint, registry->events.user);
}

int zcpd_registry_open_publisher(struct zcpd_registry *registry, const struct zcpd_client *client,
				 const struct zcp_open_publisher *request,
				 struct zcpd_endpoint **endpoint, char *text, size_t text_size)
{
	ZCP_CLEANUP(free_endpoint) struct zcpd_endpoint *publisher = NULL;
	struct zcpd_topic *topic;
	int r = begin_open(registry, client, request->topic, true, &publisher, text, text_size);

	if (r < 0)
		return r;
	topic = publisher->topic;
	r = zcpd_settle_publisher(registry, publisher, request, text, text_size);
	if (r < 0) {
		zcpd_registry_drop_if_unused(registry, topic);
		return r;
	}
	publisher->entry.state = ZCPD_ENDPOINT_OPEN;
	zcpd_publisher_settle_start(topic, publisher);
	ZCP_CRASHPOINT("open.before_record");
	zcpd_record_topic(registry, topic);
	zcpd_record_endpoint(registry, publisher);
	ZCP_CRASHPOINT("open.after_record");
	topic->publishers[publisher->entry.slot] = publisher;
	topic->kept[publisher->entry.slot] = 0;
	topic->n_publishers++;
	tell_opened(registry, publisher);
	zcpd_publisher_enter(topic, publisher, &registry->signals, registry->signal_fds);
	ZCP_CRASHPOINT("open.after_enter");
	*endpoint = publisher;
	publisher = NULL;
	return 0;
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
static void begin_join(struct zcpd_registry *registry, struct zcpd_endpoint *subscriber)
{
	zcpd_registry_tell_publishers(registry, subscriber);
	zcpd_subscriber_join(subscriber->topic, subscriber);
	ZCP_CRASHPOINT("join.after_active");
	begin_grace(registry, subscriber);
}

int zcpd_registry_open_subscriber(struct zcpd_registry *registry, const struct zcpd_client *client,
				  const struct zcp_open_subscriber *request, uint64_t request_id,
				  struct zcpd_endpoint **endpoint, char *text, size_t text_size)
{
	ZCP_CLEANUP(free_endpoint) struct zcpd_endpoint *subscriber = NULL;
	struct zcpd_topic *topic;
	int r = begin_open(registry, client, request->topic, false, &subscriber, text, text_size);

	if (r < 0)
		return r;
	topic = subscriber->topic;
	r = zcpd_settle_subscriber(registry, subscriber, request, text, text_size);
	if (r < 0) {
		zcpd_registry_drop_if_unused(registry, topic);
		return r;
	}
	subscriber->entry.state = ZCPD_ENDPOINT_JOINING;
	subscriber->entry.request_id = request_id;
	topic->subscribers[subscriber->entry.slot] = subscriber;
	topic->n_subscribers++;
	ZCP_CRASHPOINT("join.before_record");
	zcpd_record_topic(registry, topic);
	zcpd_record_endpoint(registry, subscriber);
	tell_opened(registry, subscriber);
	begin_join(registry, subscriber);
	*endpoint = subscriber;
	subscriber = NULL;
	(void)zcpd_registry_poll(registry);
	return 0;
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
		begin_join(registry, subscriber);
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
