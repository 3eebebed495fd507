/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept of all that a domain has: each call writes the object's entry of the directory as
 * the object is now, and gives its descriptors to the keeper, in that order that a worker which
 * finds the entry finds them too. Without a directory and a journal they do nothing.
 */
#ifndef ZCPD_FAILOVER_RECORD_H
#define ZCPD_FAILOVER_RECORD_H

#include "runtime/domain/registry.h"
#include "runtime/serve/session.h"

/* An id that no worker has given before. */
uint64_t zcpd_record_next_id(struct zcpd_registry *registry);

void zcpd_record_registry(struct zcpd_registry *registry);
void zcpd_record_pool(struct zcpd_registry *registry, struct zcpd_pool *pool);
/* Its latest size class; `uid`: the user whose request it was made for. */
void zcpd_record_class(struct zcpd_registry *registry, struct zcpd_pool *pool, uint32_t class_index,
		       uint32_t uid);
void zcpd_record_topic(struct zcpd_registry *registry, struct zcpd_topic *topic);
void zcpd_record_endpoint(struct zcpd_registry *registry, struct zcpd_endpoint *endpoint);
void zcpd_record_session(struct zcpd_session *session);

/* Only the descriptors, for another keeper. */
void zcpd_record_signals(const struct zcpd_registry *registry);
void zcpd_record_class_fds(const struct zcpd_registry *registry, const struct zcpd_pool *pool,
			   uint32_t class_index);
void zcpd_record_topic_fds(const struct zcpd_registry *registry, const struct zcpd_topic *topic);
void zcpd_record_session_fds(const struct zcpd_session *session);

/* Nothing is left of it. */
void zcpd_record_drop_pool(struct zcpd_registry *registry, struct zcpd_pool *pool);
void zcpd_record_drop_topic(struct zcpd_registry *registry, struct zcpd_topic *topic);
void zcpd_record_drop_endpoint(struct zcpd_registry *registry, struct zcpd_endpoint *endpoint);
void zcpd_record_drop_session(struct zcpd_session *session);

#endif
