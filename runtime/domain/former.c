/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing ids, which grow from one runtime of a domain to the next, and pids.
 */
#include "runtime/domain/former.h"

#include "pubsub/shm/life.h"

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

/* Relaxed: a later runtime reads it, and a process that asks who has the slot reads the pid. */
static void write_process(const struct zcp_topic *view, bool is_publisher, uint32_t slot,
			  uint32_t pid, uint64_t start)
{
	atomic_store_explicit(is_publisher ? &view->publishers[slot].process_start :
					     &view->subscribers[slot].process_start,
			      start, memory_order_relaxed);
	atomic_store_explicit(is_publisher ? &view->publishers[slot].pid :
					     &view->subscribers[slot].pid,
			      pid, memory_order_relaxed);
}

void zcpd_former_forget_pids(struct zcpd_topic *topic)
{
	const struct zcp_topic *view = &topic->view;

	if (zcp_life_is_pid_namespace(view->shm->pid_namespace))
		return;
	for (uint32_t p = 0; p < view->geometry.max_publishers; p++)
		write_process(view, true, p, 0, 0);
	for (uint32_t s = 0; s < view->geometry.max_subscribers; s++)
		write_process(view, false, s, 0, 0);
	view->shm->pid_namespace = zcp_life_pid_namespace();
}

void zcpd_former_set_process(struct zcpd_endpoint *endpoint, uint32_t pid, uint64_t start)
{
	endpoint->entry.pid = pid;
	endpoint->entry.process_start = start;
	write_process(&endpoint->topic->view, endpoint->entry.is_publisher, endpoint->entry.slot,
		      pid, start);
}
