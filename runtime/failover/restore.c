/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From records to objects. They come in the order in which they were kept first: what one names
 * has come before it. One that does not fit the others, or what there can be, is not believed.
 */
#include "runtime/failover/restore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pubsub/util.h"
#include "runtime/domain/former.h"
#include "runtime/failover/record.h"
#include "runtime/repair/reclaim.h"
#include "runtime/system/log.h"

struct restore {
	struct zcpd_server *server;
	struct zcpd_registry *registry;
	const struct zcpd_registry_events *events;
	struct zcpd_pool **pools;
	size_t n_pools;
	uint64_t n_records;
};

static struct zcpd_pool *find_pool(const struct restore *restore, uint64_t id)
{
	for (size_t i = 0; i < restore->n_pools; i++)
		if (restore->pools[i]->id == id)
			return restore->pools[i];
	return NULL;
}

static struct zcpd_topic *find_topic(const struct restore *restore, uint64_t id)
{
	struct zcpd_topic *topic;

	LIST_FOREACH(topic, &restore->registry->topics, link)
		if (topic->id == id)
			return topic;
	return NULL;
}

static struct zcpd_session *find_session(const struct restore *restore, uint64_t id)
{
	struct zcpd_session *session;

	LIST_FOREACH(session, &restore->server->sessions, link)
		if (session->id == id)
			return session;
	return NULL;
}

static int restore_server(struct restore *restore, const struct zcp_record_server *record,
			  struct zcp_fds *fds)
{
	struct zcpd_server *server = restore->server;

	if (server->lock >= 0 || fds->n_fds != 1 + (uint32_t)record->listening)
		return -EPROTO;
	server->lock = zcp_steal_fd(&fds->fds[0]);
	server->waits_until_ns = record->waits_until_ns;
	if (record->listening)
		server->listener = zcp_steal_fd(&fds->fds[1]);
	return 0;
}

static int restore_session(struct restore *restore, const struct zcp_record_session *record,
			   struct zcp_fds *fds)
{
	struct zcpd_session *session;
	uint32_t n = 1;
	int r;

	if (fds->n_fds != 1 + (uint32_t)record->connected + record->has_eventfd)
		return -EPROTO;
	if (find_session(restore, record->number) ||
	    (record->greeted && (record->signal >= restore->registry->signals.n_signals ||
				 zcpd_registry_has_signal(restore->registry, record->signal))))
		return -EPROTO;
	r = zcpd_server_add_session(restore->server, record, zcp_steal_fd(&fds->fds[0]),
				    record->connected ? zcp_steal_fd(&fds->fds[n++]) : -1,
				    &session);
	if (r < 0 || !record->greeted)
		return r;
	zcpd_registry_keep_signal(restore->registry, record->signal,
				  record->has_eventfd ? zcp_steal_fd(&fds->fds[n]) : -1);
	if (restore->registry->has_foreign_pids)
		zcpd_registry_name_signal(restore->registry, record->signal, session->id,
					  session->pid, session->process_start);
	return 0;
}

static int restore_pool(struct restore *restore, const struct zcp_record_pool *record)
{
	struct zcpd_pool **pools, *pool;
	int r;

	if (find_pool(restore, record->number))
		return -EPROTO;
	pools = realloc(restore->pools, (restore->n_pools + 1) * sizeof(pools[0]));
	if (!pools)
		return -ENOMEM;
	restore->pools = pools;
	r = zcpd_pool_new(&pool, record->number, restore->registry->domain_id, record->name,
			  record->automatic);
	if (r < 0)
		return r;
	pool->alignment = record->alignment;
	pool->user_header_size = record->user_header_size;
	pool->memory = record->memory;
	pool->got = record->got;
	pool->is_adopted = record->is_adopted;
	if (!pool->automatic)
		LIST_INSERT_HEAD(&restore->registry->pools, pool, link);
	pools[restore->n_pools++] = pool;
	return 0;
}

static int restore_class(struct restore *restore, const struct zcp_record_class *record,
			 struct zcp_fds *fds)
{
	struct zcpd_pool *pool = find_pool(restore, record->pool);
	int r;

	if (!pool || fds->n_fds != 2 || record->index != pool->view.n_classes ||
	    record->index >= ZCP_CLASSES_MAX)
		return -EPROTO;
	fds->n_fds = 0;
	r = zcpd_pool_restore_class(pool, record->payload_size, record->n_chunks, fds->fds);
	if (r == 0)
		pool->classes[record->index].uid = record->uid;
	return r;
}

/* Limits as zcp_topic_attach() wants them, and owner numbers that there are. */
static bool is_topic(const struct zcp_record_topic *record)
{
	if (record->max_publishers == 0 || record->max_publishers > ZCP_TOPIC_PUBLISHERS_MAX ||
	    record->max_subscribers == 0 || record->max_subscribers > ZCP_TOPIC_SUBSCRIBERS_MAX ||
	    record->max_depth_log2 > ZCP_LANE_LOG2_MAX || record->n_slots != record->max_publishers)
		return false;
	for (uint32_t p = 0; p < record->n_slots; p++)
		if (record->slots[p].owner >= ZCP_OWNER_RUNTIME)
			return false;
	return true;
}

static int restore_topic(struct restore *restore, const struct zcp_record_topic *record,
			 struct zcp_fds *fds)
{
	struct zcpd_pool *pool = find_pool(restore, record->pool);
	struct zcpd_topic_config config;
	struct zcpd_topic *topic;
	int r;

	if (!pool || fds->n_fds != 2 || !is_topic(record) || find_topic(restore, record->number) ||
	    zcpd_registry_topic(restore->registry, record->name))
		return -EPROTO;
	zcpd_config_topic(restore->registry->config, record->name, &config);
	r = zcpd_topic_restore(&topic, &config, pool, record, zcp_steal_fd(&fds->fds[0]),
			       zcp_steal_fd(&fds->fds[1]));
	if (r == 0)
		zcpd_registry_insert_topic(restore->registry, topic);
	return r;
}

static void fill_endpoint(struct zcpd_endpoint *endpoint, const struct zcp_record_endpoint *record)
{
	endpoint->id = record->number;
	endpoint->is_publisher = record->is_publisher;
	endpoint->state = (enum zcpd_endpoint_state)record->state;
	(void)strcpy(endpoint->node, record->node);
	endpoint->pid = record->pid;
	endpoint->uid = record->uid;
	endpoint->signal = record->signal;
	endpoint->slot = record->slot;
	endpoint->owner = record->owner;
	endpoint->class_index = record->class;
	endpoint->loans = record->loans;
	endpoint->alignment = record->alignment;
	endpoint->user_header_size = record->user_header_size;
	endpoint->max_payload = record->max_payload;
	endpoint->first_seq = record->first_seq;
	endpoint->history = record->history;
	endpoint->order = record->order;
	endpoint->depth_log2 = record->depth_log2;
	endpoint->held = record->held;
	endpoint->on_full = record->on_full;
	endpoint->request_id = record->request;
	endpoint->opened_by = record->opened_by;
	endpoint->returned = record->returned;
	(void)strcpy(endpoint->type, record->type);
	endpoint->type_size = record->type_size;
	endpoint->type_alignment = record->type_alignment;
}

/* Of what a publisher is known by, and where it is. */
static bool is_publisher(const struct zcpd_topic *topic, const struct zcp_record_endpoint *record)
{
	return record->slot < topic->view.geometry.max_publishers &&
	       !topic->publishers[record->slot] && record->owner &&
	       record->owner == topic->owners[record->slot] &&
	       record->class < topic->pool->view.n_classes &&
	       (record->state == ZCPD_ENDPOINT_OPEN || record->state == ZCPD_ENDPOINT_INACTIVE);
}

static bool is_subscriber(const struct zcpd_topic *topic, const struct zcp_record_endpoint *record)
{
	return record->slot < topic->view.geometry.max_subscribers &&
	       !topic->subscribers[record->slot] && record->held > 0 &&
	       record->held <= ZCP_HELD_MAX &&
	       record->depth_log2 <= topic->view.geometry.max_depth_log2 &&
	       record->state <= ZCPD_ENDPOINT_LEAVING;
}

static int restore_endpoint(struct restore *restore, const struct zcp_record_endpoint *record,
			    struct zcp_fds *fds)
{
	struct zcpd_topic *topic = find_topic(restore, record->topic);
	struct zcpd_endpoint *endpoint;

	if (!topic || fds->n_fds > 0 || record->signal >= restore->registry->signals.n_signals ||
	    !(record->is_publisher ? is_publisher(topic, record) : is_subscriber(topic, record)))
		return -EPROTO;
	endpoint = calloc(1, sizeof(*endpoint));
	if (!endpoint)
		return -ENOMEM;
	fill_endpoint(endpoint, record);
	endpoint->topic = topic;
	endpoint->session = find_session(restore, record->session);
	if (endpoint->session) {
		endpoint->node_id = endpoint->session->id;
		zcpd_former_set_process(endpoint, endpoint->session->pid,
					endpoint->session->process_start);
		LIST_INSERT_HEAD(&endpoint->session->endpoints, endpoint, link);
	}
	if (endpoint->is_publisher) {
		topic->publishers[endpoint->slot] = endpoint;
		topic->n_publishers++;
	} else {
		topic->subscribers[endpoint->slot] = endpoint;
		topic->n_subscribers++;
	}
	return 0;
}

static int restore_record(struct restore *restore, const struct zcp_message *record,
			  struct zcp_fds *fds)
{
	bool has_registry = restore->registry->signals_fd >= 0;

	if (record->type != ZCP_MESSAGE_RECORD_SERVER &&
	    has_registry == (record->type == ZCP_MESSAGE_RECORD_REGISTRY))
		return -EPROTO;
	switch (record->type) {
	case ZCP_MESSAGE_RECORD_SERVER:
		return restore_server(restore, &record->u.record_server, fds);
	case ZCP_MESSAGE_RECORD_REGISTRY:
		if (fds->n_fds != 1)
			return -EPROTO;
		return zcpd_registry_restore(restore->registry, restore->server->config,
					     &record->u.record_registry, zcp_steal_fd(&fds->fds[0]),
					     restore->events);
	case ZCP_MESSAGE_RECORD_SESSION:
		return restore_session(restore, &record->u.record_session, fds);
	case ZCP_MESSAGE_RECORD_POOL:
		return restore_pool(restore, &record->u.record_pool);
	case ZCP_MESSAGE_RECORD_CLASS:
		return restore_class(restore, &record->u.record_class, fds);
	case ZCP_MESSAGE_RECORD_TOPIC:
		return restore_topic(restore, &record->u.record_topic, fds);
	case ZCP_MESSAGE_RECORD_ENDPOINT:
		return restore_endpoint(restore, &record->u.record_endpoint, fds);
	default:
		return -EPROTO;
	}
}

static int read_records(struct restore *restore)
{
	for (;;) {
		ZCP_CLEANUP(zcp_fds_deinit) struct zcp_fds fds = { .n_fds = 0 };
		struct zcp_message record = { .type = ZCP_MESSAGE_NONE };
		int r = zcpd_journal_next(&restore->server->journal, &record, &fds);

		if (r == ZCPD_JOURNAL_E_END)
			return 0;
		if (r == 0)
			r = restore_record(restore, &record, &fds);
		zcp_message_deinit(&record);
		if (r < 0)
			return r;
		restore->n_records++;
	}
}

/* A publisher whose worker died before it was shown to the others; its answer was not sent. */
static void show_publisher(struct zcpd_registry *registry, struct zcpd_topic *topic,
			   struct zcpd_endpoint *publisher)
{
	/* Relaxed: the runtime's word. */
	if (!(atomic_load_explicit(&topic->view.shm->publishers, memory_order_relaxed) >>
		      publisher->slot &
	      1))
		zcpd_publisher_enter(topic, publisher, &registry->signals, registry->signal_fds);
}

static void resume_publishers(struct zcpd_registry *registry, struct zcpd_topic *topic)
{
	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++) {
		struct zcpd_endpoint *publisher = topic->publishers[p];

		if (publisher) {
			topic->kept[p] = 0;
			show_publisher(registry, topic, publisher);
		} else {
			/*
			 * The worker may have died before it had put this down. Relaxed: the
			 * runtime's word.
			 */
			topic->kept[p] = atomic_load_explicit(&topic->view.publishers[p].history,
							      memory_order_relaxed);
			if (topic->kept[p] > ZCP_TOPIC_HISTORY_MAX || !topic->owners[p])
				topic->kept[p] = 0;
		}
		/* Its process is dead, or its session would be there. */
		if (publisher && !publisher->session)
			zcpd_registry_close(registry, publisher, 0);
	}
}

static void resume_subscribers(struct zcpd_registry *registry, struct zcpd_topic *topic)
{
	for (uint32_t s = 0; s < topic->view.geometry.max_subscribers; s++) {
		struct zcpd_endpoint *subscriber = topic->subscribers[s];

		if (!subscriber)
			continue;
		if (!subscriber->session)
			subscriber->state = ZCPD_ENDPOINT_LEAVING;
		if (subscriber->state == ZCPD_ENDPOINT_JOINING ||
		    subscriber->state == ZCPD_ENDPOINT_LEAVING)
			zcpd_registry_resume(registry, subscriber);
		else if (subscriber->state == ZCPD_ENDPOINT_INACTIVE)
			zcpd_subscriber_deactivate(topic, subscriber, &registry->signals,
						   registry->signal_fds);
	}
}

void zcpd_restore_topic(struct zcpd_registry *registry, struct zcpd_topic *topic)
{
	/* Closing the last one ends the topic: held as if by one more, until all is done. */
	topic->n_subscribers++;
	resume_subscribers(registry, topic);
	resume_publishers(registry, topic);
	zcpd_members_announce(topic, &registry->signals, registry->signal_fds);
	zcpd_publishers_announce(topic, &registry->signals, registry->signal_fds);
	topic->n_subscribers--;
	zcpd_registry_drop_if_unused(registry, topic);
}

/* A pool without a topic may stay for the next one, but not one that is half recorded. */
static bool is_complete(const struct restore *restore, const struct zcpd_pool *pool)
{
	const struct zcpd_pool_config *config = zcpd_config_pool(restore->registry->config,
								 pool->name);

	return pool->n_topics > 0 || (config && config->n_classes == pool->view.n_classes);
}

static void resume(struct restore *restore)
{
	struct zcpd_topic *topic, *next;
	struct zcpd_session *session, *next_session;

	for (size_t i = 0; i < restore->n_pools; i++) {
		/* The worker may have died while it gave memory back. */
		zcpd_pool_free_owner(restore->pools[i], ZCP_OWNER_RUNTIME);
		if (!is_complete(restore, restore->pools[i]))
			restore->pools[i]->got = 0;
		zcpd_registry_drop_pool_if_unused(restore->registry, restore->pools[i]);
	}
	for (topic = LIST_FIRST(&restore->registry->topics); topic; topic = next) {
		next = LIST_NEXT(topic, link);
		zcpd_restore_topic(restore->registry, topic);
	}
	/* What no publisher is in the way of is done before a node can ask. */
	(void)zcpd_registry_poll(restore->registry);
	for (session = LIST_FIRST(&restore->server->sessions); session; session = next_session) {
		next_session = LIST_NEXT(session, link);
		zcpd_session_resume(session);
	}
}

/* Before anything is changed: what is stored may be behind by what was done last. */
static void store(struct zcpd_server *server, bool has_records)
{
	/* One that nodes have started is in the service of one of them. */
	if (server->journal.socket < 0 || server->until_idle)
		return;
	zcpd_journal_store(&server->journal, &server->store);
	/* The worker before may not have come to its registry. */
	if (server->journal.store && server->registry.signals_fd >= 0)
		zcpd_succession_record_all(server);
	else if (server->journal.store && has_records)
		zcpd_server_record(server);
	zcpd_journal_store_complete(&server->journal);
}

int zcpd_restore(struct zcpd_server *server, const struct zcpd_registry_events *events, char *text,
		 size_t text_size)
{
	struct restore restore = {
		.server = server,
		.registry = &server->registry,
		.events = events,
	};
	int r = read_records(&restore);

	if (r < 0)
		(void)snprintf(
			text, text_size,
			"cannot go on from what the worker before has left (record %llu): %s",
			(unsigned long long)restore.n_records + 1, strerror(-r));
	server->registry.journal = &server->journal;
	if (r == 0 && restore.n_records > 0)
		server->journal.loss = ZCPD_LOSS_OF_KEEPER;
	if (r == 0)
		store(server, restore.n_records > 0);
	if (r == 0 && restore.n_records > 0) {
		resume(&restore);
		zcpd_info("goes on from %llu records", (unsigned long long)restore.n_records);
	}
	free(restore.pools);
	return r;
}
