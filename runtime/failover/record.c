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
	struct zcp_message record = { .type = ZCP_MESSAGE_RECORD_REGISTRY };

	registry->reserved_id = registry->last_id + IDS_RESERVED;
	record.u.record_registry = (struct zcp_record_registry){
		.domain_id = registry->domain_id,
		.last_id = registry->reserved_id,
		.n_signals = registry->signals.n_signals,
		.symmetric = registry->symmetric,
	};
	zcpd_journal_keep(registry->journal, 0, &record, &registry->signals_fd, 1);
}

void zcpd_record_pool(struct zcpd_registry *registry, const struct zcpd_pool *pool)
{
	struct zcp_message record = { .type = ZCP_MESSAGE_RECORD_POOL };

	record.u.record_pool = (struct zcp_record_pool){
		.number = pool->id,
		.automatic = pool->automatic,
		.alignment = pool->alignment,
		.user_header_size = pool->user_header_size,
		.memory = pool->memory,
		.got = pool->got,
		.is_adopted = pool->is_adopted,
	};
	(void)strcpy(record.u.record_pool.name, pool->name);
	zcpd_journal_keep(registry->journal, pool->id, &record, NULL, 0);
}

static uint64_t class_id(const struct zcpd_pool *pool, uint32_t class_index)
{
	return pool->id * ZCP_CLASSES_MAX + class_index;
}

void zcpd_record_class(struct zcpd_registry *registry, const struct zcpd_pool *pool,
		       uint32_t class_index)
{
	struct zcp_message record = { .type = ZCP_MESSAGE_RECORD_CLASS };
	const struct zcpd_class *class = &pool->classes[class_index];
	const int fds[] = { class->chunks_fd, class->data_fd };

	record.u.record_class = (struct zcp_record_class){
		.pool = pool->id,
		.index = class_index,
		.uid = class->uid,
		.n_chunks = pool->view.classes[class_index].n_chunks,
		.payload_size = pool->view.classes[class_index].payload_size,
	};
	zcpd_journal_keep(registry->journal, class_id(pool, class_index), &record, fds, 2);
}

void zcpd_record_topic(struct zcpd_registry *registry, const struct zcpd_topic *topic)
{
	struct zcp_message record = { .type = ZCP_MESSAGE_RECORD_TOPIC };
	struct zcp_record_slot slots[ZCP_TOPIC_PUBLISHERS_MAX];
	const int fds[] = { topic->fd, topic->acks_fd };

	for (uint32_t p = 0; p < ZCP_TOPIC_PUBLISHERS_MAX; p++)
		slots[p] = (struct zcp_record_slot){
			.owner = topic->owners[p],
			.kept = topic->kept[p],
		};
	record.u.record_topic = (struct zcp_record_topic){
		.number = topic->id,
		.pool = topic->pool->id,
		.uid = topic->uid,
		.type_size = topic->type_size,
		.type_alignment = topic->type_alignment,
		.former_payload = topic->former_payload,
		.user_header_size = topic->user_header_size,
		.has_user_header_size = topic->has_user_header_size,
		.max_publishers = topic->view.geometry.max_publishers,
		.max_subscribers = topic->view.geometry.max_subscribers,
		.max_depth_log2 = topic->view.geometry.max_depth_log2,
		.slots = slots,
		.n_slots = topic->view.geometry.max_publishers,
	};
	(void)strcpy(record.u.record_topic.name, topic->name);
	(void)strcpy(record.u.record_topic.type, topic->type);
	zcpd_journal_keep(registry->journal, topic->id, &record, fds, 2);
}

void zcpd_record_endpoint(struct zcpd_registry *registry, const struct zcpd_endpoint *endpoint)
{
	struct zcp_message record = { .type = ZCP_MESSAGE_RECORD_ENDPOINT };

	zcpd_member_set_state(endpoint, false);
	record.u.record_endpoint = (struct zcp_record_endpoint){
		.number = endpoint->id,
		.topic = endpoint->topic->id,
		.session = endpoint->session ? endpoint->session->id : 0,
		.is_publisher = endpoint->is_publisher,
		.state = endpoint->state,
		.pid = endpoint->pid,
		.uid = endpoint->uid,
		.signal = endpoint->signal,
		.slot = endpoint->slot,
		.owner = endpoint->owner,
		.class = endpoint->class_index,
		.loans = endpoint->loans,
		.alignment = endpoint->alignment,
		.user_header_size = endpoint->user_header_size,
		.max_payload = endpoint->max_payload,
		.first_seq = endpoint->first_seq,
		.history = endpoint->history,
		.order = endpoint->order,
		.depth_log2 = endpoint->depth_log2,
		.held = endpoint->held,
		.on_full = endpoint->on_full,
		.request = endpoint->request_id,
		.opened_by = endpoint->opened_by,
		.returned = endpoint->returned,
		.type_size = endpoint->type_size,
		.type_alignment = endpoint->type_alignment,
	};
	(void)strcpy(record.u.record_endpoint.node, endpoint->node);
	(void)strcpy(record.u.record_endpoint.type, endpoint->type);
	zcpd_journal_keep(registry->journal, endpoint->id, &record, NULL, 0);
}

void zcpd_record_session(const struct zcpd_session *session)
{
	struct zcp_message record = { .type = ZCP_MESSAGE_RECORD_SESSION };
	int eventfd = session->greeted ? session->registry->signal_fds[session->signal] : -1;
	int fds[3] = { session->pidfd };
	uint32_t n_fds = 1;

	record.u.record_session = (struct zcp_record_session){
		.number = session->id,
		.pid = session->pid,
		.uid = session->uid,
		.signal = session->signal,
		.process_start = session->process_start,
		.connected = session->socket >= 0,
		.greeted = session->greeted,
		.has_eventfd = eventfd >= 0,
		.returning = session->returning,
	};
	(void)strcpy(record.u.record_session.node, session->node);
	if (session->socket >= 0)
		fds[n_fds++] = session->socket;
	if (eventfd >= 0)
		fds[n_fds++] = eventfd;
	zcpd_journal_keep(session->registry->journal, session->id, &record, fds, n_fds);
}

void zcpd_record_drop_pool(struct zcpd_registry *registry, const struct zcpd_pool *pool)
{
	/* From the last one on: what is left at any moment is a pool with fewer of them. */
	for (uint32_t i = pool->view.n_classes; i > 0; i--)
		zcpd_journal_drop(registry->journal, ZCP_MESSAGE_RECORD_CLASS,
				  class_id(pool, i - 1));
	zcpd_journal_drop(registry->journal, ZCP_MESSAGE_RECORD_POOL, pool->id);
}

void zcpd_record_drop_topic(struct zcpd_registry *registry, const struct zcpd_topic *topic)
{
	zcpd_journal_drop(registry->journal, ZCP_MESSAGE_RECORD_TOPIC, topic->id);
}

void zcpd_record_drop_endpoint(struct zcpd_registry *registry, const struct zcpd_endpoint *endpoint)
{
	zcpd_member_set_state(endpoint, true);
	zcpd_journal_drop(registry->journal, ZCP_MESSAGE_RECORD_ENDPOINT, endpoint->id);
}

void zcpd_record_drop_session(const struct zcpd_session *session)
{
	zcpd_journal_drop(session->registry->journal, ZCP_MESSAGE_RECORD_SESSION, session->id);
}
