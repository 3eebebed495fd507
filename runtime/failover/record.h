/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of all that a domain has: each call keeps one in the registry's journal, as the
 * object is now. Without a journal they do nothing.
 */
#ifndef ZCPD_FAILOVER_RECORD_H
#define ZCPD_FAILOVER_RECORD_H

#include "runtime/domain/registry.h"
#include "runtime/serve/session.h"

/* An id that nobody has had, whichever worker gave it. */
uint64_t zcpd_record_next_id(struct zcpd_registry *registry);

void zcpd_record_registry(struct zcpd_registry *registry);
void zcpd_record_pool(struct zcpd_registry *registry, const struct zcpd_pool *pool);
void zcpd_record_class(struct zcpd_registry *registry, const struct zcpd_pool *pool,
		       uint32_t class_index);
void zcpd_record_topic(struct zcpd_registry *registry, const struct zcpd_topic *topic);
void zcpd_record_endpoint(struct zcpd_registry *registry, const struct zcpd_endpoint *endpoint);
void zcpd_record_session(const struct zcpd_session *session);

/* Nothing is left of it. */
void zcpd_record_drop_pool(struct zcpd_registry *registry, const struct zcpd_pool *pool);
void zcpd_record_drop_topic(struct zcpd_registry *registry, const struct zcpd_topic *topic);
void zcpd_record_drop_endpoint(struct zcpd_registry *registry,
			       const struct zcpd_endpoint *endpoint);
void zcpd_record_drop_session(const struct zcpd_session *session);

#endif
