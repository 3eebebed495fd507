/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sums over a pool's endpoints.
 *
 * A message takes the smallest size class that fits, then the larger ones. So what the
 * topics of one class may use beyond its chunks spills into the next class, and a loan can
 * fail only if the largest class overflows.
 */
#include "runtime/admission.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

void zcpd_format_size(uint64_t bytes, char *text, size_t text_size)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	size_t unit = 0;

	while (bytes >= 1024 && bytes % 1024 == 0 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		bytes /= 1024;
		unit++;
	}
	(void)snprintf(text, text_size, "%" PRIu64 " %s", bytes, units[unit]);
}

/* The size class that a topic's largest messages take first. */
static uint32_t class_of(const struct zcpd_pool *pool, uint64_t payload)
{
	uint32_t c = 0;

	while (c + 1 < pool->view.n_classes && pool->view.classes[c].payload_size < payload)
		c++;
	return c;
}

/* What the topics whose largest messages take class `c` may use at once. */
static uint64_t class_demand(const struct zcpd_registry *registry, const struct zcpd_pool *pool,
			     uint32_t c, const struct zcpd_endpoint *more)
{
	const struct zcpd_topic *topic;
	uint64_t demand = 0;

	LIST_FOREACH(topic, &registry->topics, link) {
		const struct zcpd_endpoint *of_topic = topic == more->topic ? more : NULL;

		if (topic->pool == pool &&
		    class_of(pool, zcpd_topic_max_payload(topic, of_topic)) == c)
			demand += zcpd_topic_demand(topic, of_topic);
	}
	return demand;
}

static void describe(const struct zcpd_endpoint *more, char *text, size_t text_size)
{
	if (more->is_publisher)
		(void)snprintf(text, text_size, "this publisher (%u loans)", more->loans);
	else
		(void)snprintf(text, text_size, "this subscriber (depth %u, %u held)",
			       1u << more->depth_log2, more->held);
}

int zcpd_admission_check(const struct zcpd_registry *registry, const struct zcpd_endpoint *more,
			 char *text, size_t text_size)
{
	const struct zcpd_pool *pool = more->topic->pool;
	uint64_t spill = 0, have = 0;
	uint32_t first = 0;
	char size[64], who[64];

	for (uint32_t c = 0; c < pool->view.n_classes; c++) {
		uint64_t n_chunks = pool->view.classes[c].n_chunks;
		uint64_t demand = spill + class_demand(registry, pool, c, more);

		if (spill == 0) {
			first = c;
			have = 0;
		}
		have += n_chunks;
		spill = demand > n_chunks ? demand - n_chunks : 0;
	}
	if (spill == 0)
		return 0;
	zcpd_format_size(pool->view.classes[first].payload_size, size, sizeof(size));
	describe(more, who, sizeof(who));
	(void)snprintf(text, text_size,
		       "pool '%s' has %" PRIu64 " chunks of %s%s; with %s its endpoints would need "
		       "%" PRIu64 "; %s",
		       pool->name, have, size, first + 1 < pool->view.n_classes ? " or more" : "",
		       who, have + spill,
		       pool->automatic ? "lower depth, held or loans, or raise the topic's limits" :
					 "raise the pool's count, or lower depth, held or loans");
	return -ENOSPC;
}
