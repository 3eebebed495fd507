/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From objects to entries of the directory, and descriptors to the keeper.
 */
#include "runtime/failover/record.h"

#include <stdio.h>
#include <string.h>

#include "runtime/failover/journal.h"
#include "runtime/failover/keep.h"
#include "runtime/repair/reclaim.h"

/* Ids that one entry of the domain stands for. */
#define IDS_RESERVED 4096
/* The id of what there is one of. */
#define SINGLE ZCPD_KEEP_SINGLE

static void put(struct zcpd_registry *registry, enum zcp_entry_kind kind, uint32_t *place,
		uint64_t id, const void *contents)
{
	if (registry->directory)
		zcpd_directory_put(registry->directory, kind, place, id, contents);
}

uint64_t zcpd_record_next_id(struct zcpd_registry *registry)
{
	if (registry->last_id == registry->reserved_id)
		zcpd_record_registry(registry);
	return ++registry->last_id;
}

void zcpd_record_registry(struct zcpd_registry *registry)
{
	struct zcp_domain_entry entry;

	registry->reserved_id = registry->last_id + IDS_RESERVED;
	entry = (struct zcp_domain_entry){
		.domain_id = registry->domain_id,
		.last_id = registry->reserved_id,
		.n_signals = registry->signals.n_signals,
		.symmetric = registry->symmetric,
	};
	zcpd_record_signals(registry);
	put(registry, ZCP_ENTRY_DOMAIN, &registry->place, SINGLE, &entry);
}

void zcpd_record_signals(const struct zcpd_registry *registry)
{
	zcpd_journal_keep(registry->journal, ZCP_ENTRY_DOMAIN, SINGLE, &registry->signals_fd, 1);
}

void zcpd_record_pool(struct zcpd_registry *registry, struct zcpd_pool *pool)
{
	put(registry, ZCP_ENTRY_POOL, &pool->place, pool->entry.id, &pool->entry);
}

/* A pool's own descriptors are those of its classes. */
static uint64_t class_id(const struct zcpd_pool *pool, uint32_t class_index)
{
	return pool->entry.id * ZCP_CLASSES_MAX + class_index;
}

void zcpd_record_class_fds(const struct zcpd_registry *registry, const struct zcpd_pool *pool,
			   uint32_t class_index)
{
	const struct zcpd_class *class = &pool->classes[class_index];
	const int fds[] = { class->chunks_fd, class->data_fd };

	zcpd_journal_keep(registry->journal, ZCP_ENTRY_POOL, class_id(pool, class_index), fds, 2);
}

void zcpd_record_class(struct zcpd_registry *registry, struct zcpd_pool *pool, uint32_t class_index,
		       uint32_t uid)
{
	pool->entry.classes[class_index] = (struct zcp_class_entry){
		.payload_size = pool->view.classes[class_index].payload_size,
		.n_chunks = pool->view.classes[class_index].n_chunks,
		.uid = uid,
	};
	zcpd_record_class_fds(registry, pool, class_index);
	pool->entry.n_classes = class_index + 1;
	zcpd_record_pool(registry, pool);
}

void zcpd_record_topic_fds(const struct zcpd_registry *registry, const struct zcpd_topic *topic)
{
	const int fds[] = { topic->fd, topic->acks_fd };

	zcpd_journal_keep(registry->journal, ZCP_ENTRY_TOPIC, topic->entry.id, fds, 2);
}

void zcpd_record_topic(struct zcpd_registry *registry, struct zcpd_topic *topic)
{
	if (topic->place == 0)
		zcpd_record_topic_fds(registry, topic);
	put(registry, ZCP_ENTRY_TOPIC, &topic->place, topic->entry.id, &topic->entry);
}

void zcpd_record_endpoint(struct zcpd_registry *registry, struct zcpd_endpoint *endpoint)
{
	zcpd_member_set_state(endpoint, false);
	endpoint->entry.topic = endpoint->topic->entry.id;
	if (!endpoint->session)
		endpoint->entry.node_id = 0;
	put(registry, ZCP_ENTRY_ENDPOINT, &endpoint->place, endpoint->entry.id, &endpoint->entry);
}

void zcpd_record_session_fds(const struct zcpd_session *session)
{
	int eventfd = session->entry.greeted ?
			      session->registry->signal_fds[session->entry.signal] :
			      -1;
	int fds[3] = { session->pidfd };
	uint32_t n_fds = 1;

	if (session->socket >= 0)
		fds[n_fds++] = session->socket;
	if (eventfd >= 0)
		fds[n_fds++] = eventfd;
	zcpd_journal_keep(session->registry->journal, ZCP_ENTRY_NODE, session->entry.id, fds,
			  n_fds);
}

void zcpd_record_session(struct zcpd_session *session)
{
	zcpd_record_session_fds(session);
	put(session->registry, ZCP_ENTRY_NODE, &session->place, session->entry.id, &session->entry);
}

static void drop(struct zcpd_registry *registry, enum zcp_entry_kind kind, uint32_t *place)
{
	if (registry->directory)
		zcpd_directory_drop(registry->directory, kind, place);
}

void zcpd_record_drop_pool(struct zcpd_registry *registry, struct zcpd_pool *pool)
{
	drop(registry, ZCP_ENTRY_POOL, &pool->place);
	for (uint32_t i = pool->view.n_classes; i > 0; i--)
		zcpd_journal_drop(registry->journal, ZCP_ENTRY_POOL, class_id(pool, i - 1));
}

void zcpd_record_drop_topic(struct zcpd_registry *registry, struct zcpd_topic *topic)
{
	drop(registry, ZCP_ENTRY_TOPIC, &topic->place);
	zcpd_journal_drop(registry->journal, ZCP_ENTRY_TOPIC, topic->entry.id);
}

void zcpd_record_drop_endpoint(struct zcpd_registry *registry, struct zcpd_endpoint *endpoint)
{
	zcpd_member_set_state(endpoint, true);
	drop(registry, ZCP_ENTRY_ENDPOINT, &endpoint->place);
}

void zcpd_record_drop_session(struct zcpd_session *session)
{
	drop(session->registry, ZCP_ENTRY_NODE, &session->place);
	zcpd_journal_drop(session->registry->journal, ZCP_ENTRY_NODE, session->entry.id);
}
