/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From objects to records.
 */
#include "runtime/failover/record.h"

#include <stdio.h>
#include <string.h>

#include "runtime/failover/journal.h"
#include "runtime/repair/reclaim.h"

/* Ids that one record of the registry stands for. */
#define IDS_RESERVED 4096

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
	zcpd_journal_keep(registry->journal, ZCP_ENTRY_DOMAIN, 0, &entry, sizeof(entry),
			  &registry->signals_fd, 1);
}

void zcpd_record_pool(struct zcpd_registry *registry, const struct zcpd_pool *pool)
{
	zcpd_journal_keep(registry->journal, ZCP_ENTRY_POOL, pool->entry.id, &pool->entry,
			  sizeof(pool->entry), NULL, 0);
}

static uint64_t class_id(const struct zcpd_pool *pool, uint32_t class_index)
{
	return pool->entry.id * ZCP_CLASSES_MAX + class_index;
}

void zcpd_record_class(struct zcpd_registry *registry, const struct zcpd_pool *pool,
		       uint32_t class_index)
{
	const struct zcpd_class *class = &pool->classes[class_index];
	const int fds[] = { class->chunks_fd, class->data_fd };
	const struct zcp_class_entry entry = {
		.pool = pool->entry.id,
		.index = class_index,
		.uid = class->uid,
		.n_chunks = pool->view.classes[class_index].n_chunks,
		.payload_size = pool->view.classes[class_index].payload_size,
	};

	zcpd_journal_keep(registry->journal, ZCP_ENTRY_CLASS, class_id(pool, class_index), &entry,
			  sizeof(entry), fds, 2);
}

void zcpd_record_topic(struct zcpd_registry *registry, const struct zcpd_topic *topic)
{
	const int fds[] = { topic->fd, topic->acks_fd };

	zcpd_journal_keep(registry->journal, ZCP_ENTRY_TOPIC, topic->entry.id, &topic->entry,
			  sizeof(topic->entry), fds, 2);
}

void zcpd_record_endpoint(struct zcpd_registry *registry, struct zcpd_endpoint *endpoint)
{
	zcpd_member_set_state(endpoint, false);
	endpoint->entry.topic = endpoint->topic->entry.id;
	if (!endpoint->session)
		endpoint->entry.node_id = 0;
	zcpd_journal_keep(registry->journal, ZCP_ENTRY_ENDPOINT, endpoint->entry.id,
			  &endpoint->entry, sizeof(endpoint->entry), NULL, 0);
}

void zcpd_record_session(const struct zcpd_session *session)
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
	zcpd_journal_keep(session->registry->journal, ZCP_ENTRY_NODE, session->entry.id,
			  &session->entry, sizeof(session->entry), fds, n_fds);
}

void zcpd_record_drop_pool(struct zcpd_registry *registry, const struct zcpd_pool *pool)
{
	/* From the last one on: what is left at any moment is a pool with fewer of them. */
	for (uint32_t i = pool->view.n_classes; i > 0; i--)
		zcpd_journal_drop(registry->journal, ZCP_ENTRY_CLASS, class_id(pool, i - 1));
	zcpd_journal_drop(registry->journal, ZCP_ENTRY_POOL, pool->entry.id);
}

void zcpd_record_drop_topic(struct zcpd_registry *registry, const struct zcpd_topic *topic)
{
	zcpd_journal_drop(registry->journal, ZCP_ENTRY_TOPIC, topic->entry.id);
}

void zcpd_record_drop_endpoint(struct zcpd_registry *registry, const struct zcpd_endpoint *endpoint)
{
	zcpd_member_set_state(endpoint, true);
	zcpd_journal_drop(registry->journal, ZCP_ENTRY_ENDPOINT, endpoint->entry.id);
}

void zcpd_record_drop_session(const struct zcpd_session *session)
{
	zcpd_journal_drop(session->registry->journal, ZCP_ENTRY_NODE, session->entry.id);
}
