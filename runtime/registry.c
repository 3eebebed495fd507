/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing endpoints.
 */
#include "runtime/registry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <zcp/subscriber.h>

#include "pubsub/util.h"
#include "pubsub/wire/name.h"
#include "runtime/admission.h"
#include "runtime/history.h"
#include "runtime/log.h"
#include "runtime/provision.h"
#include "runtime/reclaim.h"
#include "runtime/shape.h"

/* How long a join waits for a publisher that is stopped in the middle of a publish. */
#define JOIN_GRACE_MAX_NS UINT64_C(50000000)
/* Looks at the publishers before a grace period is left to the timer. */
#define GRACE_LOOKS 200
#define HELD_MAX 4096
#define LOANS_MAX 1024

int zcpd_registry_init(struct zcpd_registry *registry, const struct zcpd_config *config,
		       bool symmetric, const struct zcpd_registry_events *events)
{
	uint32_t n = config->runtime.max_nodes;
	struct zcp_region region = ZCP_REGION_NULL;
	const char *why;
	int r;

	*registry = (struct zcpd_registry){
		.config = config,
		.events = *events,
		.symmetric = symmetric,
		.signals_fd = -1,
	};
	LIST_INIT(&registry->topics);
	LIST_INIT(&registry->pools);
	TAILQ_INIT(&registry->pending);
	if (getrandom(&registry->domain_id, sizeof(registry->domain_id), 0) !=
	    (ssize_t)sizeof(registry->domain_id))
		return zcp_errno();
	registry->signals_used = calloc((n + 63) / 64, sizeof(registry->signals_used[0]));
	registry->signal_fds = calloc(n, sizeof(registry->signal_fds[0]));
	if (!registry->signals_used || !registry->signal_fds) {
		zcpd_registry_deinit(registry);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++)
		registry->signal_fds[i] = -1;
	r = zcp_region_create(&region, &registry->signals_fd, "zcp-signals", zcp_signals_size(n));
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

static void free_endpoint(struct zcpd_endpoint **endpointp)
{
	if (*endpointp)
		zcp_close_fd(&(*endpointp)->backlog_fd);
	free(*endpointp);
	*endpointp = NULL;
}

/* What has been taken beforehand stays for the next topic: to take it again takes seconds. */
static void drop_pool_if_unused(struct zcpd_pool *pool)
{
	if (pool->n_topics > 0 || (pool->got & ZCP_MEMORY_PREFAULT))
		return;
	if (!pool->automatic)
		LIST_REMOVE(pool, link);
	zcpd_pool_free(pool);
}

static void free_topic(struct zcpd_registry *registry, struct zcpd_topic *topic)
{
	struct zcpd_pool *pool = topic->pool;

	LIST_REMOVE(topic, link);
	registry->n_topics--;
	zcpd_topic_free(topic);
	drop_pool_if_unused(pool);
}

void zcpd_registry_deinit(struct zcpd_registry *registry)
{
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
	for (uint32_t i = 0; registry->signal_fds && i < registry->signals.n_signals; i++)
		zcp_close_fd(&registry->signal_fds[i]);
	free(registry->signal_fds);
	registry->signal_fds = NULL;
	zcp_signals_deinit(&registry->signals);
	zcp_close_fd(&registry->signals_fd);
	free(registry->signals_used);
	registry->signals_used = NULL;
}

int zcpd_registry_take_signal(struct zcpd_registry *registry)
{
	for (uint32_t i = 0; i < registry->signals.n_signals; i++) {
		uint64_t *word = &registry->signals_used[i / 64], bit = UINT64_C(1) << (i % 64);

		if (!(*word & bit)) {
			*word |= bit;
			return (int)i;
		}
	}
	return -EUSERS;
}

void zcpd_registry_give_signal(struct zcpd_registry *registry, uint32_t signal)
{
	zcp_close_fd(&registry->signal_fds[signal]);
	registry->signals_used[signal / 64] &= ~(UINT64_C(1) << (signal % 64));
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

static void insert_sorted(struct zcpd_registry *registry, struct zcpd_topic *topic)
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

static int get_topic(struct zcpd_registry *registry, const char *name, struct zcpd_topic **topicp,
		     char *text, size_t text_size)
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
	r = zcpd_provision_pool(registry, name, &config, &pool, text, text_size);
	if (r < 0)
		return r;
	r = zcpd_topic_new(&topic, ++registry->last_id, registry->domain_id, name, &config, pool);
	if (r < 0) {
		/* What the pool has locked counts. */
		ZCP_IGNORE(zcpd_provision_not_taken(r, "cannot make topic", name,
						    zcpd_topic_size(&config), text, text_size));
		drop_pool_if_unused(pool);
		return r;
	}
	insert_sorted(registry, topic);
	zcpd_debug("topic '%s' begins", name);
	*topicp = topic;
	return 0;
}

static void drop_if_unused(struct zcpd_registry *registry, struct zcpd_topic *topic)
{
	if (topic->n_publishers > 0 || topic->n_subscribers > 0 || zcpd_topic_keeps_history(topic))
		return;
	zcpd_debug("topic '%s' ends", topic->name);
	free_topic(registry, topic);
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
	endpoint->id = ++registry->last_id;
	endpoint->topic = topic;
	endpoint->session = client->session;
	endpoint->pid = client->pid;
	endpoint->signal = client->signal;
	(void)snprintf(endpoint->node, sizeof(endpoint->node), "%s", client->node);
}

/* The slot's two owner numbers. */
static int settle_owner(struct zcpd_endpoint *publisher)
{
	struct zcpd_topic *topic = publisher->topic;
	uint32_t *numbers[] = { &topic->owners[publisher->slot], &topic->formers[publisher->slot] };

	for (int i = 0; i < 2; i++) {
		int owner = *numbers[i] ? (int)*numbers[i] : zcpd_pool_take_owner(topic->pool);

		if (owner < 0)
			return owner;
		*numbers[i] = (uint32_t)owner;
	}
	publisher->owner = *numbers[0];
	publisher->former = *numbers[1];
	return 0;
}

/* What the slot's former publishers have left is the new one's to let go of. */
static int hand_history_on(struct zcpd_registry *registry, struct zcpd_endpoint *publisher)
{
	struct zcpd_topic *topic = publisher->topic;
	ZCP_CLEANUP(zcp_backlog_deinit) struct zcp_backlog backlog = { .n_entries = 0 };
	int r;

	if (topic->kept[publisher->slot] == 0)
		return 0;
	r = zcpd_history_hand_on(topic, publisher, &backlog);
	if (r < 0)
		return r;
	/* Should the rest fail: what is retained is still what the slot keeps. */
	topic->kept[publisher->slot] = backlog.n_entries;
	return zcp_backlog_export(&backlog, registry->domain_id, &publisher->backlog_fd);
}

static int open_publisher(struct zcpd_registry *registry, struct zcpd_endpoint *publisher,
			  const struct zcp_open_publisher *request, char *text, size_t text_size)
{
	struct zcpd_topic *topic = publisher->topic;
	const struct zcpd_shape shape = zcpd_shape_of_publisher(request, &topic->config);
	int slot, r;

	r = zcpd_shape_check(topic, &shape, text, text_size);
	if (r < 0)
		return r;
	publisher->loans = request->loans ? request->loans : topic->config.loans;
	if (publisher->loans > LOANS_MAX) {
		(void)snprintf(text, text_size, "loans is %u, and %u at most: lower it",
			       publisher->loans, LOANS_MAX);
		return -EINVAL;
	}
	publisher->history = request->history ? request->history : topic->config.history;
	if (publisher->history > ZCP_TOPIC_HISTORY_MAX) {
		(void)snprintf(text, text_size, "history is %u, and %u at most: lower it",
			       publisher->history, ZCP_TOPIC_HISTORY_MAX);
		return -EINVAL;
	}
	slot = zcpd_topic_publisher_slot(topic);
	if (slot < 0) {
		(void)snprintf(
			text, text_size,
			"topic '%s' has %u publishers, as many as its max_publishers allows: "
			"raise it",
			topic->name, topic->n_publishers);
		return slot;
	}
	publisher->slot = (uint32_t)slot;
	publisher->alignment = zcpd_shape_alignment(topic, &shape);
	publisher->user_header_size = (uint32_t)shape.user_header_size;
	r = zcpd_provision_payload(registry, publisher, request, text, text_size);
	if (r == 0)
		r = zcpd_admission_check(registry, publisher, text, text_size);
	if (r < 0)
		return r;
	r = settle_owner(publisher);
	if (r < 0) {
		(void)snprintf(text, text_size,
			       "pool '%s' has publishers in 32767 slots: use another pool",
			       topic->pool->name);
		return r;
	}
	r = hand_history_on(registry, publisher);
	if (r < 0)
		return zcpd_provision_failed(r, "cannot hand on the history of topic", topic->name,
					     text, text_size);
	zcpd_shape_settle(topic, &shape);
	return 0;
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
	if (r < 0)
		return r;
	publisher = new_endpoint(true, text, text_size);
	if (!publisher)
		return -ENOMEM;
	r = get_topic(registry, request->topic, &topic, text, text_size);
	if (r < 0)
		return r;
	fill_client(registry, publisher, client, topic);
	r = open_publisher(registry, publisher, request, text, text_size);
	if (r < 0) {
		drop_if_unused(registry, topic);
		return r;
	}
	publisher->state = ZCPD_ENDPOINT_OPEN;
	topic->publishers[publisher->slot] = publisher;
	topic->kept[publisher->slot] = 0;
	topic->n_publishers++;
	zcpd_publisher_enter(topic, publisher, &registry->signals, registry->signal_fds);
	*endpoint = publisher;
	publisher = NULL;
	return 0;
}

static int settle_order(struct zcpd_endpoint *subscriber, const struct zcp_open_subscriber *request,
			char *text, size_t text_size)
{
	const struct zcpd_topic *topic = subscriber->topic;

	subscriber->order = request->order ? request->order : zcpd_topic_order(&topic->config);
	if (subscriber->order > ZCP_ORDER_TIME) {
		(void)snprintf(text, text_size, "order is %u: the node is of a newer version",
			       subscriber->order);
		return -EINVAL;
	}
	if (subscriber->order == ZCP_ORDER_TIME && !topic->config.timestamps) {
		(void)snprintf(
			text, text_size,
			"topic '%s' has no timestamps, by its configuration, and this subscriber "
			"asks for their order: set timestamps = true, or order = \"turn\"",
			topic->name);
		return -EINVAL;
	}
	return 0;
}

static int settle_depth(struct zcpd_endpoint *subscriber, const struct zcp_open_subscriber *request,
			char *text, size_t text_size)
{
	const struct zcpd_topic *topic = subscriber->topic;
	uint32_t most = UINT32_C(1) << topic->view.geometry.max_depth_log2;
	uint32_t depth = request->depth ? request->depth : topic->config.depth;

	if (depth > most) {
		(void)snprintf(text, text_size,
			       "depth %u is more than the max_depth %u of topic '%s': lower it, or "
			       "raise max_depth in the configuration",
			       depth, most, topic->name);
		return -ERANGE;
	}
	subscriber->depth_log2 = zcpd_depth_log2(depth);
	subscriber->held = request->held ? request->held : topic->config.held;
	if (subscriber->held > HELD_MAX) {
		(void)snprintf(text, text_size, "held is %u, and %u at most: lower it",
			       subscriber->held, HELD_MAX);
		return -ERANGE;
	}
	subscriber->history = request->history;
	if (subscriber->history > ZCP_TOPIC_HISTORY_MAX) {
		(void)snprintf(text, text_size, "history is %u, and %u at most: lower it",
			       subscriber->history, ZCP_TOPIC_HISTORY_MAX);
		return -ERANGE;
	}
	subscriber->backlog = zcpd_topic_backlog(topic, subscriber->history);
	subscriber->on_full = request->on_full ? request->on_full :
						 zcpd_topic_on_full(&topic->config);
	if (subscriber->on_full > ZCP_ON_FULL_BLOCK) {
		(void)snprintf(text, text_size, "on_full is %u: the node is of a newer version",
			       subscriber->on_full);
		return -EINVAL;
	}
	return settle_order(subscriber, request, text, text_size);
}

static int open_subscriber(struct zcpd_registry *registry, struct zcpd_endpoint *subscriber,
			   const struct zcp_open_subscriber *request, char *text, size_t text_size)
{
	struct zcpd_topic *topic = subscriber->topic;
	const struct zcpd_shape shape = zcpd_shape_of_subscriber(request);
	int slot, holder, r;

	r = zcpd_shape_check(topic, &shape, text, text_size);
	if (r == 0)
		r = settle_depth(subscriber, request, text, text_size);
	if (r < 0)
		return r;
	slot = zcpd_topic_subscriber_slot(topic);
	if (slot < 0) {
		(void)snprintf(
			text, text_size,
			"topic '%s' has %u subscribers, as many as its max_subscribers allows: "
			"raise it",
			topic->name, topic->n_subscribers);
		return slot;
	}
	subscriber->slot = (uint32_t)slot;
	r = zcpd_admission_check(registry, subscriber, text, text_size);
	if (r < 0)
		return r;
	holder = zcpd_pool_take_holder(topic->pool);
	if (holder < 0) {
		(void)snprintf(
			text, text_size,
			"pool '%s' has %d subscribers, as many as a pool can have: use another "
			"pool",
			topic->pool->name, ZCP_HOLDERS_MAX);
		return holder;
	}
	subscriber->holder = (uint32_t)holder;
	zcpd_shape_settle(topic, &shape);
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

int zcpd_registry_open_subscriber(struct zcpd_registry *registry, const struct zcpd_client *client,
				  const struct zcp_open_subscriber *request, uint64_t request_id,
				  struct zcpd_endpoint **endpoint, char *text, size_t text_size)
{
	ZCP_CLEANUP(free_endpoint) struct zcpd_endpoint *subscriber = NULL;
	struct zcpd_topic *topic;
	int r;

	r = check_name(request->topic, text, text_size);
	if (r < 0)
		return r;
	subscriber = new_endpoint(false, text, text_size);
	if (!subscriber)
		return -ENOMEM;
	r = get_topic(registry, request->topic, &topic, text, text_size);
	if (r < 0)
		return r;
	fill_client(registry, subscriber, client, topic);
	r = open_subscriber(registry, subscriber, request, text, text_size);
	if (r < 0) {
		drop_if_unused(registry, topic);
		return r;
	}
	subscriber->state = ZCPD_ENDPOINT_JOINING;
	subscriber->request_id = request_id;
	subscriber->deadline_ns = zcp_now_ns() + JOIN_GRACE_MAX_NS;
	topic->subscribers[subscriber->slot] = subscriber;
	topic->n_subscribers++;
	tell_publishers(registry, subscriber);
	zcpd_subscriber_join(topic, subscriber);
	begin_grace(registry, subscriber);
	*endpoint = subscriber;
	subscriber = NULL;
	(void)zcpd_registry_poll(registry);
	return 0;
}

static void close_publisher(struct zcpd_registry *registry, struct zcpd_endpoint *publisher)
{
	struct zcpd_topic *topic = publisher->topic;
	uint64_t before;

	zcpd_publisher_recover(topic, publisher, &registry->signals, registry->signal_fds);
	before = zcpd_topic_n_messages(topic);
	if (publisher->max_payload > topic->former_payload)
		topic->former_payload = publisher->max_payload;
	topic->publishers[publisher->slot] = NULL;
	topic->n_publishers--;
	topic->n_messages_before += before - zcpd_topic_n_messages(topic);
	registry->events.closed(publisher, registry->events.user);
	free_endpoint(&publisher);
	drop_if_unused(registry, topic);
}

static void finish_leave(struct zcpd_registry *registry, struct zcpd_endpoint *subscriber)
{
	struct zcpd_topic *topic = subscriber->topic;

	zcpd_subscriber_sweep(topic, subscriber);
	/* Relaxed: a count. */
	topic->n_lost_before += atomic_load_explicit(
		&topic->view.subscribers[subscriber->slot].n_lost, memory_order_relaxed);
	topic->subscribers[subscriber->slot] = NULL;
	topic->n_subscribers--;
	zcpd_pool_give_holder(topic->pool, subscriber->holder);
	registry->events.closed(subscriber, registry->events.user);
	free_endpoint(&subscriber);
	drop_if_unused(registry, topic);
}

void zcpd_registry_close(struct zcpd_registry *registry, struct zcpd_endpoint *endpoint,
			 uint64_t request_id)
{
	if (endpoint->is_publisher) {
		endpoint->request_id = request_id;
		close_publisher(registry, endpoint);
		return;
	}
	if (endpoint->state == ZCPD_ENDPOINT_LEAVING)
		return;
	if (endpoint->state == ZCPD_ENDPOINT_JOINING)
		TAILQ_REMOVE(&registry->pending, endpoint, pending);
	endpoint->request_id = request_id;
	endpoint->state = ZCPD_ENDPOINT_LEAVING;
	zcpd_subscriber_leave(endpoint->topic, endpoint, &registry->signals, registry->signal_fds);
	begin_grace(registry, endpoint);
	(void)zcpd_registry_poll(registry);
}

void zcpd_registry_deactivate(struct zcpd_registry *registry, struct zcpd_endpoint *endpoint)
{
	if (endpoint->state == ZCPD_ENDPOINT_JOINING)
		TAILQ_REMOVE(&registry->pending, endpoint, pending);
	else if (endpoint->state != ZCPD_ENDPOINT_OPEN)
		return;
	endpoint->state = ZCPD_ENDPOINT_INACTIVE;
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
		zcpd_subscriber_leave(subscriber->topic, subscriber, &registry->signals,
				      registry->signal_fds);
		zcpd_grace_begin(&subscriber->grace, subscriber->topic, registry->symmetric);
		return;
	}
	TAILQ_REMOVE(&registry->pending, subscriber, pending);
	subscriber->unsure = !certain;
	subscriber->state = ZCPD_ENDPOINT_OPEN;
	zcpd_members_announce(subscriber->topic, &registry->signals, registry->signal_fds);
	registry->events.joined(subscriber, registry->events.user);
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
			finish_leave(registry, endpoint);
		}
	}
	return !TAILQ_EMPTY(&registry->pending);
}
