/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools for topics: their own, which grow with what publishers declare, and named ones, which
 * are as the configuration says, and in memory of the kind that it says.
 */
#include "runtime/open/provision.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/memory.h"
#include "pubsub/util.h"
#include "runtime/failover/record.h"
#include "runtime/open/admission.h"
#include "runtime/open/available.h"
#include "runtime/open/quota.h"
#include "runtime/system/log.h"
#include "runtime/system/process.h"

/* Address space that one size class of an automatic pool may span; memory is taken by use. */
#define AUTOMATIC_SPAN_MAX (UINT64_C(64) << 30)
/* The same for one publisher and one subscriber with the topic's own settings, whatever comes first. */
#define AUTOMATIC_SPAN_FIRST (UINT64_C(1) << 42)
#define AUTOMATIC_PAYLOAD_MAX (UINT64_C(1) << 46)
#define AUTOMATIC_CHUNKS_MAX (UINT64_C(1) << 20)

int zcpd_provision_failed(int r, const char *what, const char *name, char *text, size_t text_size)
{
	if (r == -EMFILE)
		(void)snprintf(
			text, text_size,
			"%s '%s': %s: raise the runtime's RLIMIT_NOFILE (ulimit -n), which is "
			"%" PRIu64,
			what, name, strerror(-r), zcpd_process_max_fds());
	else
		(void)snprintf(text, text_size, "%s '%s': %s: raise the runtime's limits (ulimit)",
			       what, name, strerror(-r));
	return r;
}

int zcpd_provision_not_taken(int r, const char *what, const char *name, uint64_t to_lock,
			     char *text, size_t text_size)
{
	char failed[ZCP_TOPIC_SIZE + 64];

	if (r != -EPERM)
		return zcpd_provision_failed(r, what, name, text, text_size);
	(void)snprintf(failed, sizeof(failed), "%s '%s'", what, name);
	zcp_memory_explain_lock(failed, to_lock, "the runtime", text, text_size);
	return r;
}

/* Whether `size` bytes that are to be taken at once are there. */
static int check_available(const struct zcpd_pool_config *config, uint64_t size, char *text,
			   size_t text_size)
{
	uint64_t available = zcpd_available_memory("");

	if (!config->prefault || size <= available)
		return 0;
	(void)snprintf(text, text_size,
		       "pool '%s' takes its memory beforehand (prefault = true): with the "
		       "topic's queues %" PRIu64 " MiB more, and %" PRIu64
		       " MiB are available: lower its counts, make room, or set prefault = false",
		       config->name, (size >> 20) + 1, available >> 20);
	return -ENOMEM;
}

static int refuse_huge_pages(int r, const struct zcpd_pool_config *config, uint64_t n, char *text,
			     size_t text_size)
{
	struct zcpd_huge_pages pages;

	zcpd_available_huge_pages("", &pages);
	if (r != -ENOMEM)
		(void)snprintf(
			text, text_size,
			"pool '%s' must have huge pages (huge_pages = \"must\"), and the kernel "
			"gives none of 2 MiB (%s): set \"try\" or \"no\"",
			config->name, strerror(-r));
	else if (n > pages.n_free)
		(void)snprintf(text, text_size,
			       "pool '%s' must have %" PRIu64
			       " huge pages of 2 MiB (huge_pages = \"must\") and %" PRIu64
			       " are free: %" PRIu64
			       " are missing; set sysctl vm.nr_hugepages=%" PRIu64
			       " (best when the machine starts), or huge_pages = \"try\"",
			       config->name, n, pages.n_free, n - pages.n_free,
			       pages.n_total + n - pages.n_free);
	else
		(void)snprintf(text, text_size,
			       "pool '%s' must have %" PRIu64
			       " huge pages of 2 MiB (huge_pages = \"must\"); %" PRIu64
			       " are free, but not to the runtime: raise the hugetlb limit of its "
			       "cgroup",
			       config->name, n, pages.n_free);
	return -ENOMEM;
}

/*
 * Makes the classes of a named pool; `queues`: bytes of its first topic's region, which come
 * on top.
 */
static int add_classes(struct zcpd_pool *pool, const struct zcpd_pool_config *config,
		       uint64_t queues, char *text, size_t text_size)
{
	uint32_t memory = (config->prefault ? ZCP_MEMORY_PREFAULT : 0) |
			  (config->lock ? ZCP_MEMORY_LOCK : 0);
	bool must = config->huge_pages == ZCPD_CONFIG_HUGE_PAGES_MUST;
	struct zcpd_pool_sizes sizes;
	int r;

	r = zcpd_pool_sizes(pool, config, &sizes);
	if (r < 0)
		return zcpd_provision_failed(r, "cannot make pool", config->name, text, text_size);
	sizes.descriptors += queues;
	r = check_available(config, sizes.descriptors, text, text_size);
	if (r < 0)
		return r;
	if (config->huge_pages != ZCPD_CONFIG_HUGE_PAGES_NO) {
		r = zcpd_pool_add_configured(pool, config, memory | ZCP_MEMORY_HUGE);
		if (must && (r == -ENOMEM || r == -EINVAL || r == -ENODEV || r == -ENOSYS))
			return refuse_huge_pages(r, config, sizes.huge_pages, text, text_size);
		if (r == 0)
			return 0;
		memory |= ZCP_MEMORY_TRANSPARENT;
	}
	if (!must) {
		r = check_available(config, sizes.descriptors + sizes.chunks, text, text_size);
		if (r < 0)
			return r;
		r = zcpd_pool_add_configured(pool, config, memory);
	}
	return r < 0 ? zcpd_provision_not_taken(r, "cannot make pool", config->name,
						sizes.descriptors, text, text_size) :
		       0;
}

static int make_named(struct zcpd_registry *registry, const struct zcpd_pool_config *config,
		      uint64_t queues, struct zcpd_pool **poolp, char *text, size_t text_size)
{
	struct zcpd_pool *pool;
	char pages[ZCP_NAME_SIZE];
	int r;

	r = zcpd_pool_new(&pool, zcpd_record_next_id(registry), registry->domain_id, config->name,
			  false);
	if (r < 0)
		return zcpd_provision_failed(r, "cannot make pool", config->name, text, text_size);
	pool->entry.alignment = (uint32_t)config->alignment;
	pool->entry.user_header_size = (uint32_t)config->user_header;
	r = add_classes(pool, config, queues, text, text_size);
	if (r < 0) {
		zcpd_pool_free(pool);
		return r;
	}
	zcpd_pool_pages(pool, pages, sizeof(pages));
	zcpd_debug("pool '%s' begins, in %s", pool->entry.name, pages);
	LIST_INSERT_HEAD(&registry->pools, pool, link);
	zcpd_record_pool(registry, pool);
	for (uint32_t i = 0; i < pool->view.n_classes; i++)
		zcpd_record_class(registry, pool, i, 0);
	*poolp = pool;
	return 0;
}

int zcpd_provision_pool(struct zcpd_registry *registry, const char *topic_name,
			const struct zcpd_topic_config *config, struct zcpd_pool **poolp,
			char *text, size_t text_size)
{
	const struct zcpd_pool_config *named;
	struct zcpd_pool *pool;
	int r;

	if (!config->pool) {
		r = zcpd_pool_new(poolp, zcpd_record_next_id(registry), registry->domain_id,
				  topic_name, true);
		if (r == 0)
			zcpd_record_pool(registry, *poolp);
		return r < 0 ? zcpd_provision_failed(r, "cannot make the pool of topic", topic_name,
						     text, text_size) :
			       0;
	}
	named = zcpd_config_pool(registry->config, config->pool);
	LIST_FOREACH(pool, &registry->pools, link) {
		if (strcmp(pool->entry.name, config->pool) == 0) {
			*poolp = pool;
			return check_available(named, zcpd_topic_size(config), text, text_size);
		}
	}
	return make_named(registry, named, zcpd_topic_size(config), poolp, text, text_size);
}

/* What one publisher and one subscriber use that say nothing of their own. */
static uint64_t first_demand(const struct zcpd_topic_config *config, uint32_t history,
			     uint64_t payload)
{
	struct zcpd_topic_config first = *config;

	first.max_publishers = 1;
	first.max_subscribers = 1;
	first.max_depth = first.depth;
	return zcpd_topic_limit_demand(&first, history, payload);
}

/* A size class for payloads that no class of the topic's own pool holds. */
static int grow(struct zcpd_registry *registry, struct zcpd_endpoint *publisher, char *text,
		size_t text_size)
{
	struct zcpd_topic *topic = publisher->topic;
	struct zcpd_pool *pool = topic->pool;
	uint64_t largest = zcpd_pool_max_payload(pool), payload = publisher->entry.max_payload;
	uint64_t now = zcpd_topic_demand(topic, publisher) + 1, limit, most, least;
	struct zcp_class_geometry geometry = { .n_chunks = 1 };
	uint32_t first = pool->view.n_classes, n_chunks;
	int r;

	if (first > 0 && payload <= largest)
		return 0;
	limit = zcpd_topic_limit_demand(&topic->config, publisher->entry.history, payload);
	/* Twice as large each time, so that a few classes reach everywhere. */
	if (payload < 2 * largest)
		payload = 2 * largest;
	/* More is refused with the class; here the stride would wrap. */
	if (payload > AUTOMATIC_PAYLOAD_MAX)
		return -EINVAL;
	if (first == 0) {
		pool->entry.alignment = publisher->entry.alignment;
		pool->entry.user_header_size = publisher->entry.user_header_size;
	}
	geometry.payload_size = payload;
	geometry.alignment = pool->entry.alignment;
	geometry.user_header_size = pool->entry.user_header_size;
	most = AUTOMATIC_SPAN_MAX / zcp_class_stride(&geometry);
	if (most > AUTOMATIC_CHUNKS_MAX)
		most = AUTOMATIC_CHUNKS_MAX;
	least = first_demand(&topic->config, publisher->entry.history, payload);
	if (least < now || least > AUTOMATIC_SPAN_FIRST / zcp_class_stride(&geometry))
		least = now;
	if (most < least)
		most = least;
	if (limit < least)
		limit = least;
	n_chunks = (uint32_t)(limit < most ? limit : most);
	r = zcpd_quota_check_memory(registry, publisher->entry.uid, topic->entry.name,
				    zcpd_pool_class_size(pool, payload, n_chunks), text, text_size);
	if (r == 0)
		r = zcpd_pool_add_class(pool, payload, n_chunks);
	if (r < 0) {
		/* Not settled by a class that there is not. */
		if (first == 0)
			pool->entry.alignment = pool->entry.user_header_size = 0;
		return r;
	}
	/* The next classes are like the first, whatever becomes of this publisher. */
	if (first == 0) {
		zcpd_topic_set_user_header(topic, pool->entry.user_header_size);
		zcpd_record_topic(registry, topic);
		zcpd_record_pool(registry, pool);
	}
	zcpd_record_class(registry, pool, first, publisher->entry.uid);
	ZCP_CRASHPOINT("open.after_class");
	zcpd_debug("pool '%s' has %u chunks of %" PRIu64 " bytes more", pool->entry.name,
		   pool->view.classes[first].n_chunks, payload);
	/* Its publishers go on with the classes that they have. */
	for (uint32_t s = 0; s < ZCP_TOPIC_SUBSCRIBERS_MAX; s++)
		if (topic->subscribers[s])
			registry->events.grown(topic->subscribers[s], first, registry->events.user);
	return 0;
}

int zcpd_provision_payload(struct zcpd_registry *registry, struct zcpd_endpoint *publisher,
			   const struct zcp_open_publisher *request, char *text, size_t text_size)
{
	struct zcpd_topic *topic = publisher->topic;
	struct zcpd_pool *pool = topic->pool;
	uint64_t wanted = request->max_payload ? request->max_payload : request->type_size;
	uint64_t most = topic->config.max_payload;
	char size[64];
	int r;

	if (!pool->entry.automatic && (most == 0 || zcpd_pool_max_payload(pool) < most))
		most = zcpd_pool_max_payload(pool);
	if (most > 0 && wanted > most) {
		zcpd_format_size(most, size, sizeof(size));
		(void)snprintf(text, text_size,
			       "%s of %" PRIu64 " bytes is more than topic '%s' holds (%s, by "
			       "its configuration): lower it, or raise %s",
			       request->max_payload ? "max_payload" : "type_size", wanted,
			       topic->entry.name, size,
			       pool->entry.automatic ? "max_payload of the topic" :
						       "a size of the pool");
		return -EMSGSIZE;
	}
	publisher->entry.max_payload = wanted ? wanted : most ? most : zcpd_pool_max_payload(pool);
	if (publisher->entry.max_payload == 0)
		publisher->entry.max_payload = zcpd_topic_shape(topic).type_size;
	if (publisher->entry.max_payload == 0) {
		(void)snprintf(text, text_size,
			       "no payload size is known for topic '%s': set max_payload or "
			       "type_size in the publisher's options, or max_payload in the "
			       "configuration",
			       topic->entry.name);
		return -EINVAL;
	}
	if (!pool->entry.automatic)
		return 0;
	r = grow(registry, publisher, text, text_size);
	if (r == -EDQUOT)
		return r;
	if (r == -EINVAL || r == -ENOSPC) {
		(void)snprintf(text, text_size,
			       "a payload of %" PRIu64
			       " bytes is more than topic '%s' can have: lower "
			       "max_payload",
			       publisher->entry.max_payload, topic->entry.name);
		return -EMSGSIZE;
	}
	return r < 0 ? zcpd_provision_failed(r, "cannot make the pool of topic", topic->entry.name,
					     text, text_size) :
		       0;
}
