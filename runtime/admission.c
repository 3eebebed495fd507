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

/*
 * What the topics whose largest messages take class `c` first may use at once, for each class
 * of the pool; with `more` where it is not NULL.
 */
static void sum_demands(const struct zcpd_registry *registry, const struct zcpd_pool *pool,
			const struct zcpd_endpoint *more, uint64_t *demands)
{
	const struct zcpd_topic *topic;

	for (uint32_t c = 0; c < pool->view.n_classes; c++)
		demands[c] = 0;
	LIST_FOREACH(topic, &registry->topics, link) {
		const struct zcpd_endpoint *of_topic = more && topic == more->topic ? more : NULL;

		if (topic->pool == pool && pool->view.n_classes > 0)
			demands[class_of(pool, zcpd_topic_max_payload(topic, of_topic))] +=
				zcpd_topic_demand(topic, of_topic);
	}
}

/* The sum for the classes from the j-th on. */
static struct zcpd_admission_sum sum_from(uint32_t j, const struct zcpd_pool *pool,
					  const uint64_t *demands)
{
	uint64_t smaller = 0, larger = 0, below = 0, spill;
	struct zcpd_admission_sum sum = { .n_chunks = 0 };

	for (uint32_t c = 0; c < pool->view.n_classes; c++) {
		if (c >= j) {
			larger += demands[c];
			sum.n_chunks += pool->view.classes[c].n_chunks;
			continue;
		}
		smaller += demands[c];
		/* Passed by those who spill: from the largest of the smaller payloads on. */
		if (demands[c] > 0)
			below = 0;
		below += pool->view.classes[c].n_chunks;
	}
	spill = smaller + larger > below ? smaller + larger - below : 0;
	sum.n_reserved = larger + (spill < smaller ? spill : smaller);
	/* Nobody has payloads of that size: then what spills must fit one class further down. */
	sum.is_bound = larger > 0;
	return sum;
}

void zcpd_admission_sums(const struct zcpd_registry *registry, const struct zcpd_pool *pool,
			 const struct zcpd_endpoint *more, struct zcpd_admission_sum *sums)
{
	uint64_t demands[ZCP_CLASSES_MAX];

	sum_demands(registry, pool, more, demands);
	for (uint32_t j = 0; j < pool->view.n_classes; j++)
		sums[j] = sum_from(j, pool, demands);
}

uint64_t zcpd_admission_reserved(const struct zcpd_registry *registry, const struct zcpd_pool *pool)
{
	const struct zcpd_topic *topic;
	uint64_t n = 0;

	LIST_FOREACH(topic, &registry->topics, link)
		if (topic->pool == pool)
			n += zcpd_topic_demand(topic, NULL);
	return n;
}

static const char *plural(uint32_t n)
{
	return n == 1 ? "" : "s";
}

/* "this subscriber (depth 16, 2 held) would need 34 with 2 publishers" */
static void describe(const struct zcpd_endpoint *more, uint64_t n, char *text, size_t text_size)
{
	uint32_t n_others = more->is_publisher ? more->topic->n_subscribers :
						 zcpd_topic_n_lanes(more->topic, NULL);
	char with[64] = "", history[32] = "";

	if (n_others > 0)
		(void)snprintf(with, sizeof(with), " with %u %s%s", n_others,
			       more->is_publisher ? "subscriber" : "publisher", plural(n_others));
	if (more->history > 0)
		(void)snprintf(history, sizeof(history), ", history %u", more->history);
	if (more->is_publisher)
		(void)snprintf(text, text_size,
			       "this publisher (%u loan%s%s) would need %" PRIu64 "%s", more->loans,
			       plural(more->loans), history, n, with);
	else
		(void)snprintf(text, text_size,
			       "this subscriber (depth %u, %u held%s) would need %" PRIu64 "%s",
			       1u << more->depth_log2, more->held, history, n, with);
}

static void refuse(const struct zcpd_endpoint *more, uint32_t j,
		   const struct zcpd_admission_sum *without, const struct zcpd_admission_sum *with,
		   char *text, size_t text_size)
{
	const struct zcpd_pool *pool = more->topic->pool;
	uint64_t left = zcpd_admission_left(without);
	const char *what = more->is_publisher ? "loans or the subscribers' depth" : "depth or held";
	char size[64], who[160];

	zcpd_format_size(pool->view.classes[j].payload_size, size, sizeof(size));
	describe(more, with->n_reserved - (without->n_chunks - left), who, sizeof(who));
	(void)snprintf(text, text_size,
		       "pool '%s' has %" PRIu64 " chunks of %s%s, %" PRIu64
		       " of them left; %s; raise %s, or lower %s",
		       pool->name, with->n_chunks, size,
		       j + 1 < pool->view.n_classes ? " or more" : "", left, who,
		       pool->automatic ? "the topic's limits" : "the pool's count", what);
}

int zcpd_admission_check(const struct zcpd_registry *registry, const struct zcpd_endpoint *more,
			 char *text, size_t text_size)
{
	struct zcpd_admission_sum without[ZCP_CLASSES_MAX], with[ZCP_CLASSES_MAX];
	const struct zcpd_pool *pool = more->topic->pool;

	zcpd_admission_sums(registry, pool, more, with);
	for (uint32_t j = 0; j < pool->view.n_classes; j++) {
		if (!with[j].is_bound || with[j].n_reserved <= with[j].n_chunks)
			continue;
		zcpd_admission_sums(registry, pool, NULL, without);
		refuse(more, j, &without[j], &with[j], text, text_size);
		return -ENOSPC;
	}
	return 0;
}
