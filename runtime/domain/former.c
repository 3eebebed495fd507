/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing ids, which grow from one runtime of a domain to the next.
 */
#include "runtime/domain/former.h"

uint64_t zcpd_former_first_id(uint64_t domain_id)
{
	return UINT64_C(1) << 63 | domain_id << 16;
}

bool zcpd_former_is_id(const struct zcpd_registry *registry, uint64_t id)
{
	uint64_t first = zcpd_former_first_id(registry->domain_id);

	if (id == 0 || id <= registry->last_id)
		return id != 0;
	return registry->last_id < first && id > first && id - first <= UINT32_MAX;
}

/* It may have waited with a domain that was given up for the one that was taken over. */
bool zcpd_former_is_node(const struct zcpd_registry *registry, uint64_t id)
{
	return id >> 63 || zcpd_former_is_id(registry, id);
}

bool zcpd_former_has_endpoint(const struct zcpd_registry *registry, uint64_t id)
{
	const struct zcpd_topic *topic;

	LIST_FOREACH(topic, &registry->topics, link) {
		for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++)
			if (topic->publishers[p] && topic->publishers[p]->entry.id == id)
				return true;
		for (uint32_t s = 0; s < topic->view.geometry.max_subscribers; s++)
			if (topic->subscribers[s] && topic->subscribers[s]->entry.id == id)
				return true;
	}
	return false;
}
