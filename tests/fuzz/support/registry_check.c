/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting everything again.
 */
#include "tests/fuzz/support/registry_check.h"

#include <string.h>

#include "runtime/open/admission.h"
#include "runtime/serve/session.h"
#include "tests/support/check.h"

/* Endpoints that are compared with each other. */
#define ZCP_FUZZ_IDS_MAX 256

uint32_t zcp_fuzz_n_bits(const uint64_t *words, uint32_t n_words)
{
	uint32_t n = 0;

	for (uint32_t w = 0; w < n_words; w++)
		n += (uint32_t)__builtin_popcountll(words[w]);
	return n;
}

static bool is_set(const uint64_t *words, uint32_t bit)
{
	return words[bit / 64] >> (bit % 64) & 1;
}

static bool is_pending(const struct zcpd_registry *registry, const struct zcpd_endpoint *endpoint)
{
	const struct zcpd_endpoint *pending;

	TAILQ_FOREACH(pending, &registry->pending, pending)
		if (pending == endpoint)
			return true;
	return false;
}

/* One that was taken over, and its node is to hand back what it needs of the pool. */
static bool is_expected(const struct zcpd_registry *registry, const struct zcpd_endpoint *endpoint)
{
	return endpoint->entry.id >> 32 != registry->last_id >> 32 && !endpoint->entry.returned;
}

static void check_publisher(const struct zcpd_registry *registry, const struct zcpd_topic *topic,
			    uint32_t slot, bool honest)
{
	const struct zcpd_endpoint *publisher = topic->publishers[slot];

	ZCP_CHECK(publisher->entry.is_publisher);
	ZCP_CHECK(publisher->topic == topic && publisher->entry.slot == slot);
	ZCP_CHECK(slot < topic->view.geometry.max_publishers);
	ZCP_CHECK(publisher->entry.state == ZCPD_ENDPOINT_OPEN ||
		  publisher->entry.state == ZCPD_ENDPOINT_INACTIVE);
	ZCP_CHECK(!is_pending(registry, publisher));
	ZCP_CHECK(publisher->entry.owner != 0 &&
		  publisher->entry.owner == topic->entry.owners[slot]);
	ZCP_CHECK(is_set(topic->pool->owners, publisher->entry.owner));
	ZCP_CHECK(publisher->entry.owner < ZCP_OWNER_RUNTIME);
	ZCP_CHECK(!honest || is_expected(registry, publisher) ||
		  (publisher->entry.class_index < topic->pool->view.n_classes &&
		   publisher->entry.max_payload <=
			   topic->pool->view.classes[publisher->entry.class_index].payload_size));
	ZCP_CHECK(topic->kept[slot] == 0);
}

static void check_subscriber(const struct zcpd_registry *registry, const struct zcpd_topic *topic,
			     uint32_t slot)
{
	const struct zcpd_endpoint *subscriber = topic->subscribers[slot];
	bool waits = subscriber->entry.state == ZCPD_ENDPOINT_JOINING ||
		     subscriber->entry.state == ZCPD_ENDPOINT_LEAVING;

	ZCP_CHECK(!subscriber->entry.is_publisher);
	ZCP_CHECK(subscriber->topic == topic && subscriber->entry.slot == slot);
	ZCP_CHECK(slot < topic->view.geometry.max_subscribers);
	ZCP_CHECK(is_pending(registry, subscriber) == waits);
	ZCP_CHECK(subscriber->entry.held <= ZCP_HELD_MAX);
	ZCP_CHECK(subscriber->entry.depth_log2 <= topic->view.geometry.max_depth_log2);
}

/* Returns how many owner numbers it has. */
static uint32_t check_topic(const struct zcpd_registry *registry, const struct zcpd_topic *topic,
			    bool honest)
{
	uint32_t n_publishers = 0, n_subscribers = 0, n_owners = 0;

	for (uint32_t p = 0; p < ZCP_TOPIC_PUBLISHERS_MAX; p++) {
		n_owners += topic->entry.owners[p] != 0;
		if (!topic->publishers[p])
			continue;
		check_publisher(registry, topic, p, honest);
		n_publishers++;
	}
	for (uint32_t s = 0; s < ZCP_TOPIC_SUBSCRIBERS_MAX; s++) {
		if (!topic->subscribers[s])
			continue;
		check_subscriber(registry, topic, s);
		n_subscribers++;
	}
	ZCP_CHECK(topic->n_publishers == n_publishers && topic->n_subscribers == n_subscribers);
	/* Else it would have ended. */
	ZCP_CHECK(n_publishers + n_subscribers > 0 || zcpd_topic_keeps_history(topic));
	return n_owners;
}

/* Whether a node that has not come back wholly may have size classes that nobody else knows. */
static bool may_grow(const struct zcpd_registry *registry, const struct zcpd_pool *pool)
{
	const struct zcpd_topic *topic;

	LIST_FOREACH(topic, &registry->topics, link) {
		if (topic->pool != pool)
			continue;
		for (uint32_t p = 0; p < ZCP_TOPIC_PUBLISHERS_MAX; p++)
			if (topic->publishers[p] && topic->publishers[p]->session &&
			    topic->publishers[p]->session->entry.returning)
				return true;
	}
	return registry->waits;
}

/* Nobody can starve anybody. */
static void check_sums(const struct zcpd_registry *registry, const struct zcpd_pool *pool)
{
	struct zcpd_admission_sum sums[ZCP_CLASSES_MAX];

	if (may_grow(registry, pool))
		return;
	ZCP_CHECK(zcpd_admission_sums(registry, pool, NULL, sums) == 0);
	for (uint32_t c = 0; c < pool->view.n_classes; c++)
		ZCP_CHECK(sums[c].n_reserved <= sums[c].n_chunks);
}

static void check_pool(const struct zcpd_registry *registry, const struct zcpd_pool *pool,
		       bool honest)
{
	uint32_t n_topics = 0, n_owners = 0;
	const struct zcpd_topic *topic;

	LIST_FOREACH(topic, &registry->topics, link) {
		if (topic->pool != pool)
			continue;
		n_topics++;
		n_owners += check_topic(registry, topic, honest);
	}
	ZCP_CHECK(n_topics > 0 && pool->n_topics == n_topics);
	/* Each slot has one of its own; nobody's and the runtime's are never given. */
	ZCP_CHECK(zcp_fuzz_n_bits(pool->owners, ZCPD_OWNERS / 64) == n_owners + 2);
	if (honest)
		check_sums(registry, pool);
}

static void check_signals(const struct zcpd_registry *registry)
{
	for (uint32_t i = 0; i < registry->signals.n_signals; i++)
		ZCP_CHECK(registry->signal_fds[i] < 0 || is_set(registry->signals_used, i));
}

/* Records are kept by them. */
static void check_ids(const struct zcpd_registry *registry)
{
	static uint64_t ids[ZCP_FUZZ_IDS_MAX];
	const struct zcpd_topic *topic;
	uint32_t n = 0;

	LIST_FOREACH(topic, &registry->topics, link) {
		for (uint32_t p = 0; p < ZCP_TOPIC_PUBLISHERS_MAX; p++)
			if (topic->publishers[p] && n < ZCP_FUZZ_IDS_MAX)
				ids[n++] = topic->publishers[p]->entry.id;
		for (uint32_t s = 0; s < ZCP_TOPIC_SUBSCRIBERS_MAX; s++)
			if (topic->subscribers[s] && n < ZCP_FUZZ_IDS_MAX)
				ids[n++] = topic->subscribers[s]->entry.id;
	}
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < i; k++)
			ZCP_CHECK(ids[i] != ids[k]);
}

void zcp_fuzz_registry_check(const struct zcpd_registry *registry, bool honest)
{
	const struct zcpd_topic *topic, *before = NULL;
	const struct zcpd_endpoint *endpoint;
	const struct zcpd_pool *pool;
	uint32_t n = 0;

	LIST_FOREACH(topic, &registry->topics, link) {
		ZCP_CHECK(!before || strcmp(before->entry.name, topic->entry.name) < 0);
		before = topic;
		n++;
		if (topic->pool->entry.automatic)
			check_pool(registry, topic->pool, honest);
	}
	ZCP_CHECK(registry->n_topics == n && n <= registry->config->runtime.max_topics);
	LIST_FOREACH(pool, &registry->pools, link)
		check_pool(registry, pool, honest);
	TAILQ_FOREACH(endpoint, &registry->pending, pending)
		ZCP_CHECK(endpoint->topic->subscribers[endpoint->entry.slot] == endpoint);
	check_signals(registry);
	check_ids(registry);
}

uint32_t zcp_fuzz_n_endpoints(const struct zcpd_registry *registry,
			      const struct zcpd_session *session)
{
	const struct zcpd_topic *topic;
	uint32_t n = 0;

	LIST_FOREACH(topic, &registry->topics, link) {
		for (uint32_t p = 0; p < ZCP_TOPIC_PUBLISHERS_MAX; p++)
			n += topic->publishers[p] && topic->publishers[p]->session == session;
		for (uint32_t s = 0; s < ZCP_TOPIC_SUBSCRIBERS_MAX; s++)
			n += topic->subscribers[s] && topic->subscribers[s]->session == session;
	}
	return n;
}
