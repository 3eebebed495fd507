/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping everything again, onto another shelf.
 */
#include "tests/fuzz/support/records_check.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/failover/record.h"
#include "tests/support/check.h"

static void keep_pool(struct zcpd_registry *registry, const struct zcpd_pool *pool)
{
	for (uint32_t c = 0; c < pool->view.n_classes; c++)
		zcpd_record_class_fds(registry, pool, c);
}

static void keep_all(struct zcpd_server *server)
{
	struct zcpd_registry *registry = &server->registry;
	const struct zcpd_session *session;
	const struct zcpd_topic *topic;
	const struct zcpd_pool *pool;

	zcpd_server_record_fds(server);
	zcpd_record_signals(registry);
	LIST_FOREACH(session, &server->sessions, link)
		zcpd_record_session_fds(session);
	LIST_FOREACH(pool, &registry->pools, link)
		keep_pool(registry, pool);
	LIST_FOREACH(topic, &registry->topics, link) {
		if (topic->pool->entry.automatic)
			keep_pool(registry, topic->pool);
		zcpd_record_topic_fds(registry, topic);
	}
}

/* --- comparing --- */

/* How many entries of a kind there are; the one with this id is copied, and its place is right. */
static uint32_t look_up(const struct zcpd_directory *directory, enum zcp_entry_kind kind,
			uint64_t id, uint32_t place, void *contents)
{
	static _Alignas(8) char other[4096];
	uint32_t at = 0, n = 0;
	bool is_found = id == 0;
	uint64_t this_id;

	while (zcpd_directory_next(directory, kind, &at, &this_id, other)) {
		n++;
		if (id == 0 || this_id != id)
			continue;
		ZCP_CHECK(!is_found && at == place);
		is_found = true;
		memcpy(contents, other, zcpd_directory_contents_size(kind));
	}
	ZCP_CHECK(is_found);
	return n;
}

static void check_endpoint(const struct zcpd_directory *directory,
			   const struct zcpd_endpoint *endpoint, uint32_t *n)
{
	struct zcp_endpoint_entry kept, is;

	if (!endpoint)
		return;
	(*n)++;
	(void)look_up(directory, ZCP_ENTRY_ENDPOINT, endpoint->entry.id, endpoint->place, &kept);
	is = endpoint->entry;
	/* A process that cannot be told about it: the next worker looks at neither. */
	if (!endpoint->session) {
		kept.node_id = kept.request_id = is.node_id = is.request_id = 0;
		if (!is.is_publisher)
			kept.state = is.state = ZCPD_ENDPOINT_LEAVING;
	}
	ZCP_CHECK(memcmp(&kept, &is, sizeof(kept)) == 0);
}

static void check_pool(const struct zcpd_directory *directory, const struct zcpd_pool *pool,
		       uint32_t *n)
{
	struct zcp_pool_entry kept;

	(*n)++;
	(void)look_up(directory, ZCP_ENTRY_POOL, pool->entry.id, pool->place, &kept);
	ZCP_CHECK(memcmp(&kept, &pool->entry, sizeof(kept)) == 0);
	ZCP_CHECK(kept.n_classes == pool->view.n_classes);
}

static void check_topic(const struct zcpd_directory *directory, const struct zcpd_topic *topic,
			uint32_t *n_endpoints, uint32_t *n_pools)
{
	struct zcp_topic_entry kept;

	(void)look_up(directory, ZCP_ENTRY_TOPIC, topic->entry.id, topic->place, &kept);
	ZCP_CHECK(memcmp(&kept, &topic->entry, sizeof(kept)) == 0);
	if (topic->pool->entry.automatic)
		check_pool(directory, topic->pool, n_pools);
	for (uint32_t p = 0; p < ZCP_TOPIC_PUBLISHERS_MAX; p++)
		check_endpoint(directory, topic->publishers[p], n_endpoints);
	for (uint32_t s = 0; s < ZCP_TOPIC_SUBSCRIBERS_MAX; s++)
		check_endpoint(directory, topic->subscribers[s], n_endpoints);
}

static void check_session(const struct zcpd_directory *directory,
			  const struct zcpd_session *session)
{
	struct zcp_node_entry kept;

	(void)look_up(directory, ZCP_ENTRY_NODE, session->entry.id, session->place, &kept);
	/* What a node says that is refused. */
	if (!session->entry.greeted)
		memcpy(kept.node, session->entry.node, sizeof(kept.node));
	ZCP_CHECK(memcmp(&kept, &session->entry, sizeof(kept)) == 0);
}

static void check_directory(const struct zcpd_server *server)
{
	const struct zcpd_directory *directory = &server->directory;
	const struct zcpd_registry *registry = &server->registry;
	uint32_t n_sessions = 0, n_pools = 0, n_topics = 0, n_endpoints = 0;
	const struct zcpd_session *session;
	const struct zcpd_topic *topic;
	const struct zcpd_pool *pool;

	LIST_FOREACH(session, &server->sessions, link) {
		check_session(directory, session);
		n_sessions++;
	}
	LIST_FOREACH(pool, &registry->pools, link)
		check_pool(directory, pool, &n_pools);
	LIST_FOREACH(topic, &registry->topics, link) {
		check_topic(directory, topic, &n_endpoints, &n_pools);
		n_topics++;
	}
	ZCP_CHECK(look_up(directory, ZCP_ENTRY_NODE, 0, 0, NULL) == n_sessions);
	ZCP_CHECK(look_up(directory, ZCP_ENTRY_POOL, 0, 0, NULL) == n_pools);
	ZCP_CHECK(look_up(directory, ZCP_ENTRY_TOPIC, 0, 0, NULL) == n_topics);
	ZCP_CHECK(look_up(directory, ZCP_ENTRY_ENDPOINT, 0, 0, NULL) == n_endpoints);
}

static bool is_same_file(int a, int b)
{
	struct stat st_a, st_b;

	ZCP_CHECK(fstat(a, &st_a) == 0 && fstat(b, &st_b) == 0);
	return st_a.st_dev == st_b.st_dev && st_a.st_ino == st_b.st_ino;
}

static void check_same(const struct zcpd_shelf_record *a, const struct zcpd_shelf_record *b)
{
	ZCP_CHECK(a->n_fds == b->n_fds);
	for (uint32_t i = 0; i < a->n_fds; i++)
		ZCP_CHECK(is_same_file(a->fds[i], b->fds[i]));
}

static const struct zcpd_shelf_record *find(const struct zcpd_shelf *shelf,
					    const struct zcpd_shelf_record *key)
{
	const struct zcpd_shelf_record *record;

	TAILQ_FOREACH(record, &shelf->records, link)
		if (record->kind == key->kind && record->id == key->id)
			return record;
	return NULL;
}

/* It stands for numbers that no object has had yet. */
static void check_domain(const struct zcpd_server *server)
{
	const struct zcpd_registry *registry = &server->registry;
	struct zcp_domain_entry domain;

	ZCP_CHECK(look_up(&server->directory, ZCP_ENTRY_DOMAIN, 1, registry->place, &domain) == 1);
	ZCP_CHECK(domain.domain_id == registry->domain_id);
	ZCP_CHECK(domain.last_id == registry->reserved_id);
	ZCP_CHECK(registry->last_id <= registry->reserved_id);
	ZCP_CHECK(domain.n_signals == registry->signals.n_signals);
	ZCP_CHECK(domain.symmetric == registry->symmetric);
}

void zcp_fuzz_records_check(struct zcp_fuzz_keeper *keeper, struct zcpd_server *server)
{
	const struct zcpd_shelf_record *record, *other;
	struct zcpd_shelf now;

	zcpd_shelf_init(&now);
	keeper->other = &now;
	keep_all(server);
	keeper->other = NULL;
	TAILQ_FOREACH(record, &keeper->shelf.records, link) {
		other = find(&now, record);
		ZCP_CHECK(other);
		check_same(record, other);
	}
	TAILQ_FOREACH(record, &now.records, link)
		ZCP_CHECK(find(&keeper->shelf, record));
	zcpd_shelf_deinit(&now);
	check_domain(server);
	check_directory(server);
}

void zcp_fuzz_records_check_last(struct zcp_fuzz_keeper *keeper, struct zcpd_server *server)
{
	zcp_fuzz_records_check(keeper, server);
	ZCP_CHECK(look_up(&server->directory, ZCP_ENTRY_NODE, 0, 0, NULL) == 0);
	ZCP_CHECK(look_up(&server->directory, ZCP_ENTRY_ENDPOINT, 0, 0, NULL) == 0);
}
