/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing endpoints.
 */
#include "runtime/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/fence.h"
#include "pubsub/util.h"
#include "pubsub/wire/name.h"
#include "runtime/history.h"
#include "runtime/log.h"
#include "runtime/process.h"
#include "runtime/provision.h"
#include "runtime/quota.h"
#include "runtime/reclaim.h"
#include "runtime/record.h"
#include "runtime/settle.h"

/* How long a join waits for a publisher that is stopped in the middle of a publish. */
#define JOIN_GRACE_MAX_NS UINT64_C(50000000)
/* Runtimes of one domain, one after another without an end in order. */
#define INCARNATION_MAX (UINT64_C(1) << 30)
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

static int make_signal_tables(struct zcpd_registry *registry, uint32_t n)
{
	registry->signals_used = calloc((n + 63) / 64, sizeof(registry->signals_used[0]));
	registry->signal_fds = calloc(n, sizeof(registry->signal_fds[0]));
	if (!registry->signals_used || !registry->signal_fds)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		registry->signal_fds[i] = -1;
	return 0;
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
	r = make_signal_tables(registry, n);
	if (r == 0)
		r = zcp_region_create(&region, &registry->signals_fd, "zcp-signals",
				      zcp_signals_size(n));
	if (r == 0) {
		zcp_signals_construct(&region, n, registry->domain_id);
		r = zcp_signals_attach(&registry->signals, registry->signals_fd,
				       registry->domain_id, &why);
	}
	zcp_region_deinit(&region);
	if (r < 0)
		zcpd_registry_deinit(registry);
	return r;
}

int zcpd_registry_restore(struct zcpd_registry *registry, const struct zcpd_config *config,
			  const struct zcp_record_registry *record, int signals_fd,
			  const struct zcpd_registry_events *events)
{
	int r;

	init_empty(registry, config, record->symmetric, events);
	registry->domain_id = record->domain_id;
	registry->last_id = registry->reserved_id = record->last_id;
	registry->signals_fd = signals_fd;
	r = record->symmetric ? 0 : zcp_fence_register();
	if (r == 0)
		r = zcp_signals_map(&registry->signals, signals_fd, record->n_signals);
	if (r == 0)
		r = make_signal_tables(registry, registry->signals.n_signals);
	if (r < 0)
		zcpd_registry_deinit(registry);
	return r;
}

static void free_signals(struct zcpd_registry *registry)
{
	for (uint32_t i = 0; registry->signal_fds && i < registry->signals.n_signals; i++)
		zcp_close_fd(&registry->signal_fds[i]);
	free(registry->signal_fds);
	registry->signal_fds = NULL;
	zcp_signals_deinit(&registry->signals);
	zcp_close_fd(&registry->signals_fd);
	free(registry->signals_used);
	registry->signals_used = NULL;
}

static uint64_t incarnation_of(const struct zcp_signals *signals)
{
	struct zcp_signals_shm *shm = signals->region.base;

	/* Relaxed: the runtime before is dead. */
	return atomic_load_explicit(&shm->incarnation, memory_order_relaxed);
}

int zcpd_registry_adopt(struct zcpd_registry *registry, uint64_t domain_id, bool symmetric,
			int signals_fd, const char **why)
{
	struct zcpd_registry adopted = { .signals_fd = -1 };
	uint64_t incarnation;
	int r = 0;

	if (!symmetric && zcp_fence_register() < 0) {
		*why = "its nodes count on membarrier, which is not to be had";
		return -EPROTO;
	}
	adopted.signals_fd = fcntl(signals_fd, F_DUPFD_CLOEXEC, 0);
	if (adopted.signals_fd < 0) {
		r = zcp_errno();
		*why = strerror(-r);
		return r;
	}
	r = zcp_signals_attach(&adopted.signals, adopted.signals_fd, domain_id, why);
	if (r == 0 && make_signal_tables(&adopted, adopted.signals.n_signals) < 0) {
		r = -ENOMEM;
		*why = "out of memory";
	}
	if (r < 0) {
		free_signals(&adopted);
		return r;
	}
	free_signals(registry);
	registry->domain_id = domain_id;
	registry->symmetric = symmetric;
	if (registry->events.nodes_changed)
		registry->events.nodes_changed(registry->events.user);
	registry->signals = adopted.signals;
	registry->signals_fd = adopted.signals_fd;
	registry->signals_used = adopted.signals_used;
	registry->signal_fds = adopted.signal_fds;
	/* Nobody has such an id, whoever has not come back yet. */
	incarnation = incarnation_of(&registry->signals) % INCARNATION_MAX + 1;
	atomic_store_explicit(
		&((struct zcp_signals_shm *)registry->signals.region.base)->incarnation,
		incarnation, memory_order_relaxed);
	registry->last_id = incarnation << 32;
	zcpd_record_registry(registry);
	zcpd_registry_wake_all(registry);
	return 0;
}

void zcpd_registry_wake_all(struct zcpd_registry *registry)
{
	for (uint32_t i = 0; i < registry->signals.n_signals; i++)
		zcp_signal_wake(&registry->signals.signals[i]);
}

void zcpd_registry_name_signal(struct zcpd_registry *registry, uint32_t signal, uint64_t node,
			       uint32_t pid, uint64_t process_start)
{
	struct zcp_signal_shm *shm = &registry->signals.signals[signal];

	/* Relaxed: read by whoever is handed the region. */
	atomic_store_explicit(&shm->process_start, process_start, memory_order_relaxed);
	atomic_store_explicit(&shm->pid, pid, memory_order_relaxed);
	/* The node writes it as well, but may not have come to it when we are killed. */
	atomic_store_explicit(&shm->node, node, memory_order_relaxed);
}

/* Whether a node that had the signal may come back. */
static bool may_come_back(const struct zcpd_registry *registry, uint32_t signal)
{
	struct zcp_signal_shm *shm = &registry->signals.signals[signal];
	/* Relaxed, all of it: whoever is not here yet does not write it. */
	uint64_t start = atomic_load_explicit(&shm->process_start, memory_order_relaxed);

	return atomic_load_explicit(&shm->node, memory_order_relaxed) != 0 &&
	       !zcpd_registry_has_signal(registry, signal) &&
	       zcpd_process_start(atomic_load_explicit(&shm->pid, memory_order_relaxed)) == start;
}

uint32_t zcpd_registry_missing(const struct zcpd_registry *registry)
{
	/* Whom there is to wait for is not known before the first one has come. */
	if (incarnation_of(&registry->signals) == 0)
		return UINT32_MAX;
	for (uint32_t i = 0; i < registry->signals.n_signals; i++)
		if (may_come_back(registry, i))
			return atomic_load_explicit(&registry->signals.signals[i].pid,
						    memory_order_relaxed);
	return 0;
}

static void free_endpoint(struct zcpd_endpoint **endpointp)
{
	if (*endpointp)
		zcp_close_fd(&(*endpointp)->backlog_fd);
	free(*endpointp);
	*endpointp = NULL;
}

void zcpd_registry_drop_pool_if_unused(struct zcpd_registry *registry, struct zcpd_pool *pool)
{
	/* What has been taken beforehand stays for the next topic: to take it again takes seconds. */
	if (pool->n_topics > 0 || (pool->got & ZCP_MEMORY_PREFAULT))
		return;
	zcpd_record_drop_pool(registry, pool);
	if (!pool->automatic)
		LIST_REMOVE(pool, link);
	zcpd_pool_free(pool);
}

static void free_topic(struct zcpd_registry *registry, struct zcpd_topic *topic)
{
	struct zcpd_pool *pool = topic->pool;

	zcpd_record_drop_topic(registry, topic);
	LIST_REMOVE(topic, link);
	registry->n_topics--;
	zcpd_topic_free(topic);
	zcpd_registry_drop_pool_if_unused(registry, pool);
}

void zcpd_registry_deinit(struct zcpd_registry *registry)
{
	registry->journal = NULL;
	while (!LIST_EMPTY(&registry->topics)) {
		struct zcpd_topic *topic = LIST_FIRST(&registry->topics);

		for (uint32_t p = 0; p < ZCP_TOPIC_PUBLISHERS_MAX; p++)
			free_endpoint(&topic->publishers[p]);
		for (uint32_t s = 0; s < ZCP_TOPIC_SUBSCRIBERS_MAX; s++)
			free_endpoint(&topic->subscribers[s]);
		free_topic(registry, topic);
	}
	while (!LIST_EMPTY(&registry->pools)) {
		struct zcpd_pool *pool = LIST_FIRST(&registry->pools);

		LIST_REMOVE(pool, link);
		zcpd_pool_free(pool);
	}
	free_signals(registry);
}

bool zcpd_registry_has_signal(const struct zcpd_registry *registry, uint32_t signal)
{
	return registry->signals_used[signal / 64] >> (signal % 64) & 1;
}

/* A signal that nobody has; `fresh`: nor may somebody of a runtime before us come back to. */
static int find_signal(const struct zcpd_registry *registry, bool fresh)
{
	for (uint32_t i = 0; i < registry->signals.n_signals; i++)
		/* Relaxed: it is nobody's, or was written by the runtime before us. */
		if (!zcpd_registry_has_signal(registry, i) &&
		    (!fresh || atomic_load_explicit(&registry->signals.signals[i].node,
						    memory_order_relaxed) == 0))
			return (int)i;
	return -EUSERS;
}

int zcpd_registry_take_signal(struct zcpd_registry *registry)
{
	int signal = find_signal(registry, true);

	if (signal < 0)
		signal = find_signal(registry, false);
	if (signal >= 0)
		zcpd_registry_keep_signal(registry, (uint32_t)signal, -1);
	return signal;
}

void zcpd_registry_keep_signal(struct zcpd_registry *registry, uint32_t signal, int fd)
{
	registry->signals_used[signal / 64] |= UINT64_C(1) << (signal % 64);
	registry->signal_fds[signal] = fd;
	registry->n_nodes++;
	if (registry->events.nodes_changed)
		registry->events.nodes_changed(registry->events.user);
}

void zcpd_registry_give_signal(struct zcpd_registry *registry, uint32_t signal)
{
	zcp_close_fd(&registry->signal_fds[signal]);
	registry->signals_used[signal / 64] &= ~(UINT64_C(1) << (signal % 64));
	registry->n_nodes--;
	if (registry->events.nodes_changed)
		registry->events.nodes_changed(registry->events.user);
	/* Relaxed: a runtime after us does not wait for this node. */
	atomic_store_explicit(&registry->signals.signals[signal].node, 0, memory_order_relaxed);
}

/* Whoever publishes to this subscriber learns how to wake it, before it has to. */
static void tell_publishers(struct zcpd_registry *registry, const struct zcpd_endpoint *subscriber)
{
	struct zcpd_topic *topic = subscriber->topic;

	if (registry->signal_fds[subscriber->signal] < 0)
		return;
	for (uint32_t p = 0; p < ZCP_TOPIC_PUBLISHERS_MAX; p++)
		if (topic->publishers[p])
			registry->events.wakes(topic->publishers[p], subscriber,
					       registry->events.user);
}

void zcpd_registry_set_signal_fd(struct zcpd_registry *registry, uint32_t signal, int fd)
{
	struct zcpd_topic *topic;

	zcp_close_fd(&registry->signal_fds[signal]);
	registry->signal_fds[signal] = fd;
	LIST_FOREACH(topic, &registry->topics, link)
		for (uint32_t s = 0; s < ZCP_TOPIC_SUBSCRIBERS_MAX; s++)
			if (topic->subscribers[s] && topic->subscribers[s]->signal == signal)
				tell_publishers(registry, topic->subscribers[s]);
}

struct zcpd_topic *zcpd_registry_topic(const struct zcpd_registry *registry, const char *name)
{
	struct zcpd_topic *topic;

	LIST_FOREACH(topic, &registry->topics, link)
		if (strcmp(topic->name, name) == 0)
			return topic;
	return NULL;
}

void zcpd_registry_insert_topic(struct zcpd_registry *registry, struct zcpd_topic *topic)
{
	struct zcpd_topic *other, *before = NULL;

	LIST_FOREACH(other, &registry->topics, link) {
		if (strcmp(other->name, topic->name) > 0)
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
	topic->uid = uid;
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
	zcpd_debug("topic '%s' ends", topic->name);
	free_topic(registry, topic);
}

/* Nobody gets a place in a pool that others may have parts of. */
static int check_pool(struct zcpd_registry *registry, struct zcpd_pool *pool, char *text,
		      size_t text_size)
{
	uint32_t missing, n;

	if (!pool->is_adopted)
		return 0;
	missing = registry->events.missing ? registry->events.missing(registry->events.user) : 0;
	if (missing != 0) {
		(void)snprintf(
			text, text_size,
			"pool '%s' was taken over from a runtime that was killed, and process "
			"%u, which may have parts of it, has not come back: have it wait or "
			"dispatch, or end it, and try again",
			pool->name, missing);
		return -EBUSY;
	}
	n = zcpd_pool_free_strangers(pool);
	if (n > 0)
		zcpd_info("pool '%s': %u chunks of those who died with the runtime are free",
			  pool->name, n);
	pool->is_adopted = false;
	zcpd_record_pool(registry, pool);
	return 0;
}

static int check_name(const char *name, char *text, size_t text_size)
{
	if (!name[0]) {
		(void)snprintf(text, text_size, "the topic's name is empty: give it one");
		return -EINVAL;
	}
	for (const char *c = name; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '*') {
			(void)snprintf(
				text, text_size,
				"the topic's name has a control character or a '*': remove it");
			return -EINVAL;
		}
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
	endpoint->id = zcpd_record_next_id(registry);
	endpoint->topic = topic;
	endpoint->session = client->session;
	endpoint->request_id = endpoint->opened_by = client->request_id;
	endpoint->node_id = client->node_id;
	endpoint->process_start = client->process_start;
	endpoint->pid = client->pid;
	endpoint->uid = client->uid;
	endpoint->signal = client->signal;
	(void)snprintf(endpoint->node, sizeof(endpoint->node), "%s", client->node);
}

static struct zcpd_endpoint *new_endpoint(bool is_publisher, char *text, size_t text_size)
{
	struct zcpd_endpoint *endpoint = calloc(1, sizeof(*endpoint));

	if (!endpoint) {
		(void)snprintf(text, text_size, "the runtime is out of memory");
		return NULL;
	}
	endpoint->is_publisher = is_publisher;
	endpoint->backlog_fd = -1;
	return endpoint;
}

int zcpd_registry_open_publisher(struct zcpd_registry *registry, const struct zcpd_client *client,
				 const struct zcp_open_publisher *request,
				 struct zcpd_endpoint **endpoint, char *text, size_t text_size)
{
	ZCP_CLEANUP(free_endpoint) struct zcpd_endpoint *publisher = NULL;
	struct zcpd_topic *topic;
	int r;

	r = check_name(request->topic, text, text_size);
	if (r == 0)
		r = zcpd_quota_check_endpoint(registry, client->uid, text, text_size);
	if (r < 0)
		return r;
	publisher = new_endpoint(true, text, text_size);
	if (!publisher)
		return -ENOMEM;
	r = get_topic(registry, request->topic, client->uid, &topic, text, text_size);
	if (r < 0)
		return r;
	fill_client(registry, publisher, client, topic);
	r = check_pool(registry, topic->pool, text, text_size);
	if (r == 0)
		r = zcpd_settle_publisher(registry, publisher, request, text, text_size);
	if (r < 0) {
		zcpd_registry_drop_if_unused(registry, topic);
		return r;
	}
	publisher->state = ZCPD_ENDPOINT_OPEN;
	zcpd_publisher_settle_start(topic, publisher);
	ZCP_CRASHPOINT("open.before_record");
	zcpd_record_topic(registry, topic);
	zcpd_record_endpoint(registry, publisher);
	ZCP_CRASHPOINT("open.after_record");
	topic->publishers[publisher->slot] = publisher;
	topic->kept[publisher->slot] = 0;
	topic->n_publishers++;
	zcpd_publisher_enter(topic, publisher, &registry->signals, registry->signal_fds);
	ZCP_CRASHPOINT("open.after_enter");
	*endpoint = publisher;
	publisher = NULL;
	return 0;
}

static void begin_grace(struct zcpd_registry *registry, struct zcpd_endpoint *subscriber)
{
	zcpd_grace_begin(&subscriber->grace, subscriber->topic, registry->symmetric);
	TAILQ_INSERT_TAIL(&registry->pending, subscriber, pending);
	for (int i = 0; i < GRACE_LOOKS; i++)
		if (zcpd_grace_is_over(&subscriber->grace, subscriber->topic))
			break;
}

/* Publishers see it from here on. */
static void begin_join(struct zcpd_registry *registry, struct zcpd_endpoint *subscriber)
{
	subscriber->deadline_ns = zcp_now_ns() + JOIN_GRACE_MAX_NS;
	tell_publishers(registry, subscriber);
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
	int r;

	r = check_name(request->topic, text, text_size);
	if (r == 0)
		r = zcpd_quota_check_endpoint(registry, client->uid, text, text_size);
	if (r < 0)
		return r;
	subscriber = new_endpoint(false, text, text_size);
	if (!subscriber)
		return -ENOMEM;
	r = get_topic(registry, request->topic, client->uid, &topic, text, text_size);
	if (r < 0)
		return r;
	fill_client(registry, subscriber, client, topic);
	r = check_pool(registry, topic->pool, text, text_size);
	if (r == 0)
		r = zcpd_settle_subscriber(registry, subscriber, request, text, text_size);
	if (r < 0) {
		zcpd_registry_drop_if_unused(registry, topic);
		return r;
	}
	subscriber->state = ZCPD_ENDPOINT_JOINING;
	subscriber->request_id = request_id;
	topic->subscribers[subscriber->slot] = subscriber;
	topic->n_subscribers++;
	ZCP_CRASHPOINT("join.before_record");
	zcpd_record_topic(registry, topic);
	zcpd_record_endpoint(registry, subscriber);
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
	if (publisher->max_payload > topic->former_payload)
		topic->former_payload = publisher->max_payload;
	topic->publishers[publisher->slot] = NULL;
	topic->n_publishers--;
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

	zcpd_subscriber_sweep(topic, subscriber);
	topic->subscribers[subscriber->slot] = NULL;
	topic->n_subscribers--;
	zcpd_pool_give_holder(topic->pool, subscriber->holder);
	ZCP_CRASHPOINT("leave.after_sweep");
	zcpd_record_topic(registry, topic);
	registry->events.closed(subscriber, registry->events.user);
	ZCP_CRASHPOINT("leave.after_answer");
	zcpd_record_drop_endpoint(registry, subscriber);
	free_endpoint(&subscriber);
	zcpd_registry_drop_if_unused(registry, topic);
}

void zcpd_registry_close(struct zcpd_registry *registry, struct zcpd_endpoint *endpoint,
			 uint64_t request_id)
{
	if (endpoint->is_publisher) {
		endpoint->request_id = request_id;
		close_publisher(registry, endpoint);
		return;
	}
	if (endpoint->state == ZCPD_ENDPOINT_LEAVING && !endpoint->rejoins)
		return;
	if (endpoint->state == ZCPD_ENDPOINT_JOINING || endpoint->rejoins)
		TAILQ_REMOVE(&registry->pending, endpoint, pending);
	endpoint->request_id = request_id;
	endpoint->state = ZCPD_ENDPOINT_LEAVING;
	endpoint->rejoins = false;
	zcpd_record_endpoint(registry, endpoint);
	ZCP_CRASHPOINT("leave.after_record");
	zcpd_subscriber_leave(endpoint->topic, endpoint, &registry->signals, registry->signal_fds);
	begin_grace(registry, endpoint);
	(void)zcpd_registry_poll(registry);
}

void zcpd_registry_deactivate(struct zcpd_registry *registry, struct zcpd_endpoint *endpoint)
{
	/* Nobody waits for it any more, and it has got nothing yet. */
	if (endpoint->rejoins) {
		endpoint->rejoins = false;
		endpoint->request_id = 0;
		zcpd_record_endpoint(registry, endpoint);
	}
	if (endpoint->state == ZCPD_ENDPOINT_JOINING)
		TAILQ_REMOVE(&registry->pending, endpoint, pending);
	else if (endpoint->state != ZCPD_ENDPOINT_OPEN)
		return;
	endpoint->state = ZCPD_ENDPOINT_INACTIVE;
	zcpd_record_endpoint(registry, endpoint);
	ZCP_CRASHPOINT("deactivate.after_record");
	if (!endpoint->is_publisher)
		zcpd_subscriber_leave(endpoint->topic, endpoint, &registry->signals,
				      registry->signal_fds);
}

static int give_history(struct zcpd_registry *registry, struct zcpd_endpoint *subscriber)
{
	ZCP_CLEANUP(zcp_backlog_deinit) struct zcp_backlog backlog = { .n_entries = 0 };
	int r;

	if (subscriber->history == 0)
		return 0;
	r = zcpd_history_give(subscriber->topic, subscriber, &backlog);
	if (r < 0 || backlog.n_entries == 0)
		return r;
	return zcp_backlog_export(&backlog, registry->domain_id, &subscriber->backlog_fd);
}

static void finish_join(struct zcpd_registry *registry, struct zcpd_endpoint *subscriber,
			bool certain)
{
	int r = give_history(registry, subscriber);

	if (r < 0) {
		registry->events.refused(subscriber, r, registry->events.user);
		/* It stays pending, as one that leaves; what it was given is swept then. */
		subscriber->request_id = 0;
		subscriber->state = ZCPD_ENDPOINT_LEAVING;
		zcpd_record_endpoint(registry, subscriber);
		zcpd_subscriber_leave(subscriber->topic, subscriber, &registry->signals,
				      registry->signal_fds);
		zcpd_grace_begin(&subscriber->grace, subscriber->topic, registry->symmetric);
		return;
	}
	TAILQ_REMOVE(&registry->pending, subscriber, pending);
	subscriber->unsure = !certain;
	subscriber->state = ZCPD_ENDPOINT_OPEN;
	ZCP_CRASHPOINT("join.after_history");
	zcpd_record_endpoint(registry, subscriber);
	ZCP_CRASHPOINT("join.after_open");
	zcpd_members_announce(subscriber->topic, &registry->signals, registry->signal_fds);
	ZCP_CRASHPOINT("join.after_announce");
	registry->events.joined(subscriber, registry->events.user);
}

/* It has no answer yet, so it has taken nothing: what it was sent is given back. */
static void join_again(struct zcpd_registry *registry, struct zcpd_endpoint *subscriber)
{
	zcpd_subscriber_sweep(subscriber->topic, subscriber);
	subscriber->rejoins = false;
	subscriber->state = ZCPD_ENDPOINT_JOINING;
	begin_join(registry, subscriber);
}

void zcpd_registry_resume(struct zcpd_registry *registry, struct zcpd_endpoint *subscriber)
{
	const struct zcpd_endpoint *pending;

	TAILQ_FOREACH(pending, &registry->pending, pending)
		if (pending == subscriber)
			return;
	subscriber->rejoins = subscriber->state == ZCPD_ENDPOINT_JOINING;
	subscriber->state = ZCPD_ENDPOINT_LEAVING;
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
		if (endpoint->state == ZCPD_ENDPOINT_JOINING &&
		    (over || zcp_now_ns() >= endpoint->deadline_ns)) {
			/*
			 * A publisher that is stopped in the middle of a publish must not keep
			 * the subscriber out: the reader finds its lane again by itself.
			 */
			finish_join(registry, endpoint, over);
		} else if (endpoint->state == ZCPD_ENDPOINT_LEAVING && over) {
			TAILQ_REMOVE(&registry->pending, endpoint, pending);
			if (endpoint->rejoins)
				join_again(registry, endpoint);
			else
				finish_leave(registry, endpoint);
		}
	}
	return !TAILQ_EMPTY(&registry->pending);
}
