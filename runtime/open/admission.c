/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sums over a pool's publishers.
 *
 * A publisher takes its chunks from one size class. What it may own there is zcpd_topic_need(), or
 * what it owns now if that is more, as a subscriber may just have left. `held` counts for each
 * publisher: what a subscriber held of one and holds of another now stays the first one's until
 * that looks again. What a slot has in other classes, or without a publisher, counts as it is. And
 * there is one chunk whose memory is just being given back.
 */
#include "runtime/open/admission.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/repair/reclaim.h"
#include "runtime/repair/sweep.h"

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

/* The need of one slot's publisher in class `c`; with what it owns there. */
static uint64_t slot_sum(const struct zcpd_topic *topic, uint32_t slot, uint32_t c, uint64_t owned,
			 const struct zcpd_endpoint *more)
{
	const struct zcpd_endpoint *publisher = topic->publishers[slot];
	const struct zcpd_endpoint *subscriber = NULL;
	uint64_t need = 0;

	if (more && more->topic == topic) {
		if (!more->entry.is_publisher)
			subscriber = more;
		else if (more->entry.slot == slot)
			publisher = more;
	}
	if (publisher && publisher->entry.class_index == c)
		need = zcpd_topic_need(topic, publisher, subscriber);
	return need > owned ? need : owned;
}

static uint64_t class_sum(const struct zcpd_registry *registry, const struct zcpd_pool *pool,
			  uint32_t c, const struct zcpd_endpoint *more, const uint32_t *owned)
{
	const struct zcpd_topic *topic;
	uint64_t sum = 0;

	LIST_FOREACH(topic, &registry->topics, link)
		for (uint32_t p = 0; topic->pool == pool && p < topic->view.geometry.max_publishers;
		     p++)
			sum += slot_sum(topic, p, c,
					topic->entry.owners[p] ? owned[topic->entry.owners[p]] : 0,
					more);
	return sum > 0 ? sum + 1 : 0;
}

int zcpd_admission_sums(const struct zcpd_registry *registry, const struct zcpd_pool *pool,
			const struct zcpd_endpoint *more, struct zcpd_admission_sum *sums)
{
	uint32_t *owned = calloc(ZCP_OWNERS, sizeof(owned[0]));

	if (!owned)
		return -ENOMEM;
	for (uint32_t c = 0; c < pool->view.n_classes; c++) {
		memset(owned, 0, ZCP_OWNERS * sizeof(owned[0]));
		zcpd_pool_count_owned(pool, c, owned);
		sums[c].n_chunks = pool->view.classes[c].n_chunks;
		sums[c].n_reserved = class_sum(registry, pool, c, more, owned);
	}
	free(owned);
	return 0;
}

uint64_t zcpd_admission_reserved(const struct zcpd_registry *registry, const struct zcpd_pool *pool)
{
	struct zcpd_admission_sum sums[ZCP_CLASSES_MAX];
	uint64_t n = 0;

	if (zcpd_admission_sums(registry, pool, NULL, sums) < 0)
		return 0;
	for (uint32_t c = 0; c < pool->view.n_classes; c++)
		n += sums[c].n_reserved;
	return n;
}

static const char *plural(uint32_t n)
{
	return n == 1 ? "" : "s";
}

/* "this subscriber (depth 16, 2 held) would need 34 with 2 publishers" */
static void describe(const struct zcpd_endpoint *more, uint64_t n, char *text, size_t text_size)
{
	uint32_t n_others = more->entry.is_publisher ? more->topic->n_subscribers :
						       zcpd_topic_n_lanes(more->topic, NULL);
	char with[64] = "", history[32] = "";

	if (n_others > 0)
		(void)snprintf(with, sizeof(with), " with %u %s%s", n_others,
			       more->entry.is_publisher ? "subscriber" : "publisher",
			       plural(n_others));
	if (more->entry.history > 0)
		(void)snprintf(history, sizeof(history), ", history %u", more->entry.history);
	if (more->entry.is_publisher)
		(void)snprintf(text, text_size,
			       "this publisher (%u loan%s%s) would need %" PRIu64 "%s",
			       more->entry.loans, plural(more->entry.loans), history, n, with);
	else
		(void)snprintf(text, text_size,
			       "this subscriber (depth %u, %u held%s) would need %" PRIu64 "%s",
			       1u << more->entry.depth_log2, more->entry.held, history, n, with);
}

static void refuse(const struct zcpd_endpoint *more, uint32_t c,
		   const struct zcpd_admission_sum *without, const struct zcpd_admission_sum *with,
		   char *text, size_t text_size)
{
	const struct zcpd_pool *pool = more->topic->pool;
	uint64_t left = zcpd_admission_left(without);
	const char *what = more->entry.is_publisher ? "loans or the subscribers' depth" :
						      "depth or held";
	char size[64], who[160];

	zcpd_format_size(pool->view.classes[c].payload_size, size, sizeof(size));
	describe(more, with->n_reserved - (without->n_chunks - left), who, sizeof(who));
	(void)snprintf(text, text_size,
		       "pool '%s' has %" PRIu64 " chunks of %s, %" PRIu64
		       " of them left; %s; raise %s, or lower %s",
		       pool->entry.name, with->n_chunks, size, left, who,
		       pool->entry.automatic ? "the topic's limits or give it a pool" :
					       "the pool's count",
		       what);
}

/* The class that lacks room; the number of classes where none does. */
static uint32_t find_short(const struct zcpd_pool *pool, const struct zcpd_admission_sum *without,
			   const struct zcpd_admission_sum *with)
{
	uint32_t c = 0;

	/* What is too much without it is not its fault. */
	while (c < pool->view.n_classes && (with[c].n_reserved <= with[c].n_chunks ||
					    with[c].n_reserved <= without[c].n_reserved))
		c++;
	return c;
}

int zcpd_admission_check(struct zcpd_registry *registry, const struct zcpd_endpoint *more,
			 char *text, size_t text_size)
{
	struct zcpd_admission_sum without[ZCP_CLASSES_MAX], with[ZCP_CLASSES_MAX];
	struct zcpd_pool *pool = more->topic->pool;

	for (bool is_swept = false;; is_swept = true) {
		struct zcpd_topic *topic;
		uint32_t c, n = 0;

		if (zcpd_admission_sums(registry, pool, NULL, without) < 0 ||
		    zcpd_admission_sums(registry, pool, more, with) < 0) {
			(void)snprintf(text, text_size, "the runtime is out of memory");
			return -ENOMEM;
		}
		c = find_short(pool, without, with);
		if (c == pool->view.n_classes)
			return 0;
		LIST_FOREACH(topic, &registry->topics, link)
			if (!is_swept && topic->pool == pool)
				n += zcpd_topic_sweep(topic, false);
		if (n == 0) {
			refuse(more, c, &without[c], &with[c], text, text_size);
			return -ENOSPC;
		}
		zcpd_registry_freed(registry, pool);
	}
}
