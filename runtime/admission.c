/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sums over a pool's endpoints.
 *
 * A message takes the smallest size class that fits, then the larger ones. So the classes
 * from the j-th on may be taken up by all that the topics with payloads of that size use,
 * and by what spills over from the topics with smaller ones: no more than those use, and no
 * more than all together use beyond the classes that it passes, since a message spills only
 * while those are full. A message may be smaller than its topic's largest: so whoever fills
 * them need not be who spills.
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

/* Chunks that may be wanted of the classes from the j-th on, at the most. */
static uint64_t wanted_from(uint32_t j, const uint64_t *demands, const uint64_t *counts,
			    uint32_t n_classes)
{
	uint64_t smaller = 0, larger = 0, below = 0, spill;

	for (uint32_t c = 0; c < n_classes; c++) {
		if (c >= j) {
			larger += demands[c];
			continue;
		}
		smaller += demands[c];
		/* Passed by those who spill: from the largest of the smaller payloads on. */
		if (demands[c] > 0)
			below = 0;
		below += counts[c];
	}
	/* Nobody has payloads of that size: then only what spills matters, one class down. */
	if (larger == 0)
		return 0;
	spill = smaller + larger > below ? smaller + larger - below : 0;
	return larger + (spill < smaller ? spill : smaller);
}

int zcpd_admission_check(const struct zcpd_registry *registry, const struct zcpd_endpoint *more,
			 char *text, size_t text_size)
{
	const struct zcpd_pool *pool = more->topic->pool;
	uint64_t demands[ZCP_CLASSES_MAX], counts[ZCP_CLASSES_MAX];
	uint32_t n_classes = pool->view.n_classes;
	char size[64], who[64];

	for (uint32_t c = 0; c < n_classes; c++) {
		demands[c] = class_demand(registry, pool, c, more);
		counts[c] = pool->view.classes[c].n_chunks;
	}
	for (uint32_t j = 0; j < n_classes; j++) {
		uint64_t wanted = wanted_from(j, demands, counts, n_classes), have = 0;

		for (uint32_t c = j; c < n_classes; c++)
			have += counts[c];
		if (wanted <= have)
			continue;
		zcpd_format_size(pool->view.classes[j].payload_size, size, sizeof(size));
		describe(more, who, sizeof(who));
		(void)snprintf(text, text_size,
			       "pool '%s' has %" PRIu64
			       " chunks of %s%s; with %s its endpoints would "
			       "need %" PRIu64 "; %s",
			       pool->name, have, size, j + 1 < n_classes ? " or more" : "", who,
			       wanted,
			       pool->automatic ?
				       "lower depth, held or loans, or raise the topic's limits" :
				       "raise the pool's count, or lower depth, held or loans");
		return -ENOSPC;
	}
	return 0;
}
