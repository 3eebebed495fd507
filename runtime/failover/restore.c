/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the directory's entries, and the descriptors that the keeper has, to objects. An entry that
 * does not fit the others, or what there can be, is not believed.
 */
#include "runtime/failover/restore.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "pubsub/util.h"
#include "pubsub/wire/name.h"
#include "runtime/failover/journal.h"
#include "runtime/failover/record.h"
#include "runtime/failover/shelf.h"
#include "runtime/repair/reclaim.h"
#include "runtime/system/log.h"

struct restore {
	struct zcpd_server *server;
	/* what the keeper has kept, by kind and id */
	struct zcpd_shelf descriptors;
	struct zcpd_registry *registry;
	const struct zcpd_registry_events *events;
	struct zcpd_pool **pools;
	size_t n_pools;
	uint64_t n_entries;
	/* what is wrong, where that is known */
	const char *why;
};

static struct zcpd_pool *find_pool(const struct restore *restore, uint64_t id)
{
	for (size_t i = 0; i < restore->n_pools; i++)
		if (restore->pools[i]->entry.id == id)
			return restore->pools[i];
	return NULL;
}

static struct zcpd_topic *find_topic(const struct restore *restore, uint64_t id)
{
	struct zcpd_topic *topic;

	LIST_FOREACH(topic, &restore->registry->topics, link)
		if (topic->entry.id == id)
			return topic;
	return NULL;
}

static struct zcpd_session *find_session(const struct restore *restore, uint64_t id)
{
	struct zcpd_session *session;

	LIST_FOREACH(session, &restore->server->sessions, link)
		if (session->entry.id == id)
			return session;
	return NULL;
}

/* As many as it can have; *fds is the caller's then. False: the keeper has none. */
static bool take_fds(struct restore *restore, enum zcp_entry_kind kind, uint64_t id,
		     struct zcp_fds *fds)
{
	struct zcpd_shelf_record *record = zcpd_shelf_find(&restore->descriptors, kind, id);

	if (!record)
		return false;
	memcpy(fds->fds, record->fds, record->n_fds * sizeof(fds->fds[0]));
	fds->n_fds = record->n_fds;
	record->n_fds = 0;
	zcpd_shelf_drop(&restore->descriptors, kind, id);
	return true;
}

static int restore_server(struct restore *restore)
{
	ZCP_CLEANUP(zcp_fds_deinit) struct zcp_fds fds = { .n_fds = 0 };
	struct zcpd_server *server = restore->server;
	const char *why;
	uint64_t id;
	int r;

	if (!take_fds(restore, ZCP_ENTRY_SERVER, 1, &fds) || fds.n_fds < 1)
		return 0;
	server->lock = zcp_steal_fd(&fds.fds[0]);
	if (fds.n_fds > 2)
		server->listener = zcp_steal_fd(&fds.fds[2]);
	if (fds.n_fds < 2)
		return 0;
	r = zcpd_directory_open(&server->directory, zcp_steal_fd(&fds.fds[1]), &why);
	if (r < 0) {
		restore->why = why;
		return r;
	}
	server->place = 0;
	if (!zcpd_directory_next(&server->directory, ZCP_ENTRY_SERVER, &server->place, &id,
				 &server->entry))
		server->place = 0;
	return 0;
}

static int restore_domain(struct restore *restore)
{
	ZCP_CLEANUP(zcp_fds_deinit) struct zcp_fds fds = { .n_fds = 0 };
	struct zcp_domain_entry entry;
	uint32_t place = 0;
	uint64_t id;
	int r;

	if (!zcpd_directory_next(&restore->server->directory, ZCP_ENTRY_DOMAIN, &place, &id,
				 &entry))
		return 0;
	if (!take_fds(restore, ZCP_ENTRY_DOMAIN, 1, &fds) || fds.n_fds != 1)
		return -EPROTO;
	r = zcpd_registry_restore(restore->registry, restore->server->config, &entry,
				  zcp_steal_fd(&fds.fds[0]), restore->events);
	restore->registry->place = place;
	return r;
}

static bool is_socket(int fd)
{
	socklen_t size = sizeof(int);
	int type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
}

static int restore_node(struct restore *restore, const struct zcp_node_entry *entry, uint32_t place)
{
	ZCP_CLEANUP(zcp_fds_deinit) struct zcp_fds fds = { .n_fds = 0 };
	struct zcpd_session *session;
	bool connected;
	uint32_t n = 1;
	int r;

	if (!take_fds(restore, ZCP_ENTRY_NODE, entry->id, &fds) || fds.n_fds < 1 ||
	    !zcp_name_ends(entry->node, sizeof(entry->node)) ||
	    (entry->greeted && (entry->signal >= restore->registry->signals.n_signals ||
				zcpd_registry_has_signal(restore->registry, entry->signal))))
		return -EPROTO;
	connected = fds.n_fds > 1 && is_socket(fds.fds[1]);
	r = zcpd_server_add_session(restore->server, entry, zcp_steal_fd(&fds.fds[0]),
				    connected ? zcp_steal_fd(&fds.fds[n++]) : -1, &session);
	if (r < 0)
		return r;
	session->place = place;
	if (entry->greeted)
		zcpd_registry_keep_signal(restore->registry, entry->signal,
					  n < fds.n_fds ? zcp_steal_fd(&fds.fds[n]) : -1);
	return 0;
}

static int restore_class(struct restore *restore, struct zcpd_pool *pool, uint32_t index)
{
	struct zcp_fds fds = { .n_fds = 0 };
	const struct zcp_class_entry *entry = &pool->entry.classes[index];

	if (!take_fds(restore, ZCP_ENTRY_POOL, pool->entry.id * ZCP_CLASSES_MAX + index, &fds) ||
	    fds.n_fds != 2) {
		zcp_fds_deinit(&fds);
		return -EPROTO;
	}
	return zcpd_pool_restore_class(pool, entry->payload_size, entry->n_chunks, fds.fds);
}

static int restore_pool(struct restore *restore, const struct zcp_pool_entry *entry, uint32_t place)
{
	struct zcpd_pool **pools, *pool;
	int r;

	if (!zcp_name_ends(entry->name, sizeof(entry->name)) ||
	    entry->n_classes > ZCP_CLASSES_MAX || find_pool(restore, entry->id))
		return -EPROTO;
	pools = realloc(restore->pools, (restore->n_pools + 1) * sizeof(pools[0]));
	if (!pools)
		return -ENOMEM;
	restore->pools = pools;
	r = zcpd_pool_new(&pool, entry->id, restore->registry->domain_id, entry->name,
			  entry->automatic);
	if (r < 0)
		return r;
	pool->entry = *entry;
	pool->place = place;
	if (!pool->entry.automatic)
		LIST_INSERT_HEAD(&restore->registry->pools, pool, link);
	pools[restore->n_pools++] = pool;
	for (uint32_t i = 0; i < entry->n_classes && r == 0; i++)
		r = restore_class(restore, pool, i);
	return r;
}

/* Limits as zcp_topic_attach() wants them, and owner numbers that there are. */
static bool is_topic(const struct zcp_topic_entry *entry)
{
	if (!zcp_name_ends(entry->name, sizeof(entry->name)) ||
	    !zcp_name_ends(entry->type, sizeof(entry->type)) || entry->max_publishers == 0 ||
	    entry->max_publishers > ZCP_TOPIC_PUBLISHERS_MAX || entry->max_subscribers == 0 ||
	    entry->max_subscribers > ZCP_TOPIC_SUBSCRIBERS_MAX ||
	    entry->max_depth_log2 > ZCP_LANE_LOG2_MAX)
		return false;
	for (uint32_t p = 0; p < entry->max_publishers; p++)
		if (entry->owners[p] >= ZCP_OWNER_RUNTIME)
			return false;
	return true;
}

static int restore_topic(struct restore *restore, const struct zcp_topic_entry *entry,
			 uint32_t place)
{
	ZCP_CLEANUP(zcp_fds_deinit) struct zcp_fds fds = { .n_fds = 0 };
	struct zcpd_pool *pool = find_pool(restore, entry->pool);
	struct zcpd_topic_config config;
	struct zcpd_topic *topic;
	int r;

	if (!pool || !take_fds(restore, ZCP_ENTRY_TOPIC, entry->id, &fds) || fds.n_fds != 2 ||
	    !is_topic(entry) || zcpd_registry_topic(restore->registry, entry->name))
		return -EPROTO;
	zcpd_config_topic(restore->registry->config, entry->name, &config);
	r = zcpd_topic_restore(&topic, &config, pool, entry, zcp_steal_fd(&fds.fds[0]),
			       zcp_steal_fd(&fds.fds[1]));
	if (r < 0)
		return r;
	topic->place = place;
	zcpd_registry_insert_topic(restore->registry, topic);
	return 0;
}

/* Of what a publisher is known by, and where it is. */
static bool is_publisher(const struct zcpd_topic *topic, const struct zcp_endpoint_entry *entry)
{
	return entry->slot < topic->view.geometry.max_publishers &&
	       !topic->publishers[entry->slot] && entry->owner &&
	       entry->owner == topic->entry.owners[entry->slot] &&
	       entry->class_index < topic->pool->view.n_classes &&
	       (entry->state == ZCPD_ENDPOINT_OPEN || entry->state == ZCPD_ENDPOINT_INACTIVE);
}

static bool is_subscriber(const struct zcpd_topic *topic, const struct zcp_endpoint_entry *entry)
{
	return entry->slot < topic->view.geometry.max_subscribers &&
	       !topic->subscribers[entry->slot] && entry->held > 0 && entry->held <= ZCP_HELD_MAX &&
	       entry->depth_log2 <= topic->view.geometry.max_depth_log2 &&
	       entry->state <= ZCPD_ENDPOINT_LEAVING;
}

static int restore_endpoint(struct restore *restore, const struct zcp_endpoint_entry *entry,
			    uint32_t place)
{
	struct zcpd_topic *topic = find_topic(restore, entry->topic);
	struct zcpd_endpoint *endpoint;

	if (!topic || entry->signal >= restore->registry->signals.n_signals ||
	    !zcp_name_ends(entry->node, sizeof(entry->node)) ||
	    !zcp_name_ends(entry->type, sizeof(entry->type)) ||
	    !(entry->is_publisher ? is_publisher(topic, entry) : is_subscriber(topic, entry)))
		return -EPROTO;
	endpoint = calloc(1, sizeof(*endpoint));
	if (!endpoint)
		return -ENOMEM;
	endpoint->entry = *entry;
	endpoint->place = place;
	endpoint->topic = topic;
	endpoint->session = find_session(restore, entry->node_id);
	if (endpoint->session)
		LIST_INSERT_HEAD(&endpoint->session->endpoints, endpoint, link);
	if (endpoint->entry.is_publisher) {
		topic->publishers[endpoint->entry.slot] = endpoint;
		topic->n_publishers++;
	} else {
		topic->subscribers[endpoint->entry.slot] = endpoint;
		topic->n_subscribers++;
	}
	return 0;
}

/* From the keeper, of whatever there is. */
static int read_descriptors(struct restore *restore)
{
	for (;;) {
		struct zcpd_journal_record record = { .kind = ZCP_ENTRY_NONE };
		int r = zcpd_journal_next(&restore->server->journal, &record);

		if (r == ZCPD_JOURNAL_E_END)
			return 0;
		if (r == 0)
			r = zcpd_shelf_keep(&restore->descriptors, record.kind, record.id, "", 0,
					    record.fds.fds, record.fds.n_fds);
		if (r < 0)
			return r;
	}
}

union entry {
	uint64_t id;
	struct zcp_node_entry node;
	struct zcp_pool_entry pool;
	struct zcp_topic_entry topic;
	struct zcp_endpoint_entry endpoint;
};

static int restore_entry(struct restore *restore, enum zcp_entry_kind kind,
			 const union entry *entry, uint32_t place)
{
	switch (kind) {
	case ZCP_ENTRY_NODE:
		return restore_node(restore, &entry->node, place);
	case ZCP_ENTRY_POOL:
		return restore_pool(restore, &entry->pool, place);
	case ZCP_ENTRY_TOPIC:
		return restore_topic(restore, &entry->topic, place);
	default:
		return restore_endpoint(restore, &entry->endpoint, place);
	}
}

/* What one names comes before it. */
static int read_entries(struct restore *restore)
{
	static const enum zcp_entry_kind kinds[] = {
		ZCP_ENTRY_NODE,
		ZCP_ENTRY_POOL,
		ZCP_ENTRY_TOPIC,
		ZCP_ENTRY_ENDPOINT,
	};
	const struct zcpd_directory *directory = &restore->server->directory;
	int r = restore_domain(restore);

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		uint32_t place = 0;
		union entry entry;
		uint64_t id;

		while (r == 0 && zcpd_directory_next(directory, kinds[i], &place, &id, &entry)) {
			/* Each begins with its id. */
			if (restore->registry->signals_fd < 0 || entry.id != id)
				return -EPROTO;
			r = restore_entry(restore, kinds[i], &entry, place);
			restore->n_entries += r == 0;
		}
	}
	return r;
}

/* Of those whose entry was not there yet, or was there no more. */
static void drop_orphans(struct restore *restore)
{
	while (!TAILQ_EMPTY(&restore->descriptors.records)) {
		const struct zcpd_shelf_record *record = TAILQ_FIRST(&restore->descriptors.records);

		zcpd_journal_drop(&restore->server->journal, record->kind, record->id);
		zcpd_shelf_drop(&restore->descriptors, record->kind, record->id);
	}
}

/* A publisher whose worker died before it was shown to the others; its answer was not sent. */
static void show_publisher(struct zcpd_registry *registry, struct zcpd_topic *topic,
			   struct zcpd_endpoint *publisher)
{
	/* Relaxed: the runtime's word. */
	if (!(atomic_load_explicit(&topic->view.shm->publishers, memory_order_relaxed) >>
		      publisher->entry.slot &
	      1))
		zcpd_publisher_enter(topic, publisher, &registry->signals, registry->signal_fds);
}

/* What publishers that are gone have left: only the slots say it. */
static void read_kept(struct zcpd_topic *topic)
{
	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++) {
		/* Relaxed: the runtime's word. */
		uint32_t kept = atomic_load_explicit(&topic->view.publishers[p].history,
						     memory_order_relaxed);

		topic->kept[p] = topic->publishers[p] || !topic->entry.owners[p] ||
						 kept > ZCP_TOPIC_HISTORY_MAX ?
					 0 :
					 kept;
	}
}

static void resume_publishers(struct zcpd_registry *registry, struct zcpd_topic *topic)
{
	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++) {
		struct zcpd_endpoint *publisher = topic->publishers[p];

		if (publisher)
			show_publisher(registry, topic, publisher);
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
			subscriber->entry.state = ZCPD_ENDPOINT_LEAVING;
		if (subscriber->entry.state == ZCPD_ENDPOINT_JOINING ||
		    subscriber->entry.state == ZCPD_ENDPOINT_LEAVING)
			zcpd_registry_resume(registry, subscriber);
		else if (subscriber->entry.state == ZCPD_ENDPOINT_INACTIVE)
			zcpd_subscriber_deactivate(topic, subscriber, &registry->signals,
						   registry->signal_fds);
	}
}

void zcpd_restore_topic(struct zcpd_registry *registry, struct zcpd_topic *topic)
{
	/* Closing the last one ends the topic: held as if by one more, until all is done. */
	topic->n_subscribers++;
	/* Before those that join are given it. */
	read_kept(topic);
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
								 pool->entry.name);

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
			restore->pools[i]->entry.got = 0;
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
static void store(struct zcpd_server *server)
{
	/* One that nodes have started is in the service of one of them. */
	if (server->journal.socket < 0 || server->until_idle)
		return;
	zcpd_journal_store(&server->journal, &server->store);
	/* The worker before may not have come to its registry. */
	if (server->journal.store && server->registry.signals_fd >= 0)
		zcpd_succession_record_all(server);
	else if (server->journal.store && server->lock >= 0)
		zcpd_server_record_fds(server);
	zcpd_journal_store_complete(&server->journal);
}

int zcpd_restore(struct zcpd_server *server, const struct zcpd_registry_events *events, char *text,
		 size_t text_size)
{
	static struct restore restore;
	bool has_domain;
	int r;

	restore = (struct restore){
		.server = server,
		.registry = &server->registry,
		.events = events,
	};
	zcpd_shelf_init(&restore.descriptors);
	r = read_descriptors(&restore);
	if (r == 0)
		r = restore_server(&restore);
	if (r == 0)
		r = read_entries(&restore);
	if (r < 0)
		(void)snprintf(text, text_size,
			       "cannot go on from what the worker before has left (entry %" PRIu64
			       "): %s: end all of it, and start anew",
			       restore.n_entries + 1, restore.why ? restore.why : strerror(-r));
	has_domain = server->registry.signals_fd >= 0;
	server->registry.journal = &server->journal;
	server->registry.directory = &server->directory;
	if (r == 0 && server->lock >= 0)
		server->journal.loss = ZCPD_LOSS_OF_KEEPER;
	if (r == 0)
		store(server);
	if (r == 0)
		drop_orphans(&restore);
	if (r == 0 && has_domain) {
		resume(&restore);
		zcpd_info("goes on from %" PRIu64 " entries", restore.n_entries);
	}
	zcpd_shelf_deinit(&restore.descriptors);
	free(restore.pools);
	return r;
}
