/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting what a user has.
 */
#include "runtime/open/quota.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

int zcpd_quota_check_connection(const struct zcpd_config *config, uint32_t uid, uint32_t n,
				char *text, size_t text_size)
{
	uint32_t most = config->runtime.max_connections_per_user;

	if (most == 0 || n < most)
		return 0;
	(void)snprintf(text, text_size,
		       "user %u has %u connections, as many as max_connections_per_user in "
		       "[runtime] allows: close some, or raise it",
		       uid, n);
	return -EUSERS;
}

static uint32_t count_endpoints(const struct zcpd_topic *topic, uint32_t uid)
{
	uint32_t n = 0;

	/* Slots are given from the lowest on: where all have been seen, the rest is free. */
	for (uint32_t p = 0, left = topic->n_publishers; left > 0 && p < ZCP_TOPIC_PUBLISHERS_MAX;
	     p++) {
		if (!topic->publishers[p])
			continue;
		n += topic->publishers[p]->entry.uid == uid;
		left--;
	}
	for (uint32_t s = 0, left = topic->n_subscribers; left > 0 && s < ZCP_TOPIC_SUBSCRIBERS_MAX;
	     s++) {
		if (!topic->subscribers[s])
			continue;
		n += topic->subscribers[s]->entry.uid == uid;
		left--;
	}
	return n;
}

int zcpd_quota_check_endpoint(const struct zcpd_registry *registry, uint32_t uid, char *text,
			      size_t text_size)
{
	uint32_t most = registry->config->runtime.max_endpoints_per_user, n = 0;
	const struct zcpd_topic *topic;

	if (most == 0)
		return 0;
	LIST_FOREACH(topic, &registry->topics, link)
		n += count_endpoints(topic, uid);
	if (n < most)
		return 0;
	(void)snprintf(text, text_size,
		       "user %u has %u publishers and subscribers, as many as "
		       "max_endpoints_per_user in [runtime] allows: close some, or raise it",
		       uid, n);
	return -EUSERS;
}

/* What the topic has taken, or may take one day, for that user. */
static uint64_t memory_of(const struct zcpd_topic *topic, uint32_t uid)
{
	const struct zcpd_pool *pool = topic->pool;
	uint64_t size = topic->entry.uid == uid ? topic->view.region.size : 0;

	for (uint32_t c = 0; pool->entry.automatic && c < pool->view.n_classes; c++)
		if (pool->entry.classes[c].uid == uid)
			size += zcpd_pool_class_size(pool, pool->view.classes[c].payload_size,
						     pool->view.classes[c].n_chunks);
	return size;
}

static uint64_t in_mib(uint64_t size)
{
	return (size >> 20) + (size % (1 << 20) > 0);
}

int zcpd_quota_check_memory(const struct zcpd_registry *registry, uint32_t uid, const char *topic,
			    uint64_t size, char *text, size_t text_size)
{
	uint64_t most = registry->config->runtime.max_memory_per_user, has = 0;
	const struct zcpd_topic *other;

	if (most == 0)
		return 0;
	LIST_FOREACH(other, &registry->topics, link)
		has += memory_of(other, uid);
	if (has <= most && size <= most - has)
		return 0;
	(void)snprintf(
		text, text_size,
		"topic '%s' would take up to %" PRIu64 " MiB more, and what user %u has made "
		"takes up to %" PRIu64 " MiB: max_memory_per_user in [runtime] allows %" PRIu64
		" MiB: raise it, or lower the topic's max_publishers, max_subscribers, depths "
		"or max_payload",
		topic, in_mib(size), uid, in_mib(has), most >> 20);
	return -EDQUOT;
}
