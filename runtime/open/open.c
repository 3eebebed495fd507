/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request must pass, what is made for it, and in which order that is kept and shown.
 */
#include "runtime/open/open.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/util.h"
#include "pubsub/wire/name.h"
#include "runtime/failover/record.h"
#include "runtime/open/provision.h"
#include "runtime/open/quota.h"
#include "runtime/open/settle.h"
#include "runtime/repair/reclaim.h"
#include "runtime/system/log.h"
#include "runtime/system/process.h"

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
	ZCP_CLEANUP(zcp_free_memory) struct zcpd_endpoint *endpoint = NULL;
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

int zcpd_open_publisher(struct zcpd_registry *registry, const struct zcpd_client *client,
			const struct zcp_open_publisher *request, struct zcpd_endpoint **endpoint,
			char *text, size_t text_size)
{
	ZCP_CLEANUP(zcp_free_memory) struct zcpd_endpoint *publisher = NULL;
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

int zcpd_open_subscriber(struct zcpd_registry *registry, const struct zcpd_client *client,
			 const struct zcp_open_subscriber *request, uint64_t request_id,
			 struct zcpd_endpoint **endpoint, char *text, size_t text_size)
{
	ZCP_CLEANUP(zcp_free_memory) struct zcpd_endpoint *subscriber = NULL;
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
	zcpd_registry_begin_join(registry, subscriber);
	*endpoint = subscriber;
	subscriber = NULL;
	(void)zcpd_registry_poll(registry);
	return 0;
}
