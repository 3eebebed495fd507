/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids that have been given before, by us or by a runtime before us, as regions and nodes say them.
 * An id that a node has made up could be given to another node later: what is recorded by it would
 * be lost.
 */
#ifndef ZCPD_DOMAIN_FORMER_H
#define ZCPD_DOMAIN_FORMER_H

#include "runtime/domain/registry.h"

/*
 * Before the first id of a runtime that waits for nodes whose ids it does not know: no node has
 * such an id, not even where all of this has been before. Where none of them comes, ids go on from
 * there.
 */
uint64_t zcpd_former_first_id(uint64_t domain_id);

/* Of a topic, a pool or an endpoint: whether it can have been given. */
bool zcpd_former_is_id(const struct zcpd_registry *registry, uint64_t id);

/* Of a node. */
bool zcpd_former_is_node(const struct zcpd_registry *registry, uint64_t id);

/* Pids of its slots that a runtime in another pid namespace has written are made 0. */
void zcpd_former_forget_pids(struct zcpd_topic *topic);

/* What an endpoint's process is called here, as its slot says too. */
void zcpd_former_set_process(struct zcpd_endpoint *endpoint, uint32_t pid, uint64_t start);

/* Whether there is an endpoint that has it. */
bool zcpd_former_has_endpoint(const struct zcpd_registry *registry, uint64_t id);

#endif
