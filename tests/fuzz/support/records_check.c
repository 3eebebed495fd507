/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping everything again, onto another shelf.
 */
#include "tests/fuzz/support/records_check.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "pubsub/wire/codec.h"
#include "runtime/failover/record.h"
#include "tests/support/check.h"

static void keep_pool(struct zcpd_registry *registry, const struct zcpd_pool *pool)
{
	zcpd_record_pool(registry, pool);
	for (uint32_t c = 0; c < pool->view.n_classes; c++)
		zcpd_record_class(registry, pool, c);
}

static void keep_endpoint(struct zcpd_registry *registry, const struct zcpd_endpoint *endpoint)
{
	if (endpoint)
		zcpd_record_endpoint(registry, endpoint);
}

static void keep_all(struct zcpd_server *server)
{
	struct zcpd_registry *registry = &server->registry;
	const struct zcpd_session *session;
	const struct zcpd_topic *topic;
	const struct zcpd_pool *pool;

	LIST_FOREACH(session, &server->sessions, link)
		zcpd_record_session(session);
	LIST_FOREACH(pool, &registry->pools, link)
		keep_pool(registry, pool);
	LIST_FOREACH(topic, &registry->topics, link) {
		if (topic->pool->automatic)
			keep_pool(registry, topic->pool);
		zcpd_record_topic(registry, topic);
		for (uint32_t p = 0; p < ZCP_TOPIC_PUBLISHERS_MAX; p++)
			keep_endpoint(registry, topic->publishers[p]);
		for (uint32_t s = 0; s < ZCP_TOPIC_SUBSCRIBERS_MAX; s++)
			keep_endpoint(registry, topic->subscribers[s]);
	}
}

/* --- comparing --- */

static bool has_session(const struct zcpd_server *server, uint64_t id)
{
	const struct zcpd_session *session;

	LIST_FOREACH(session, &server->sessions, link)
		if (session->id == id)
			return true;
	return false;
}

/* What the next worker does not look at. */
static void clear_endpoint(const struct zcpd_server *server, struct zcp_record_endpoint *endpoint)
{
	/* Whom nobody can be told about. */
	if (!has_session(server, endpoint->session))
		endpoint->session = endpoint->request = 0;
	if (endpoint->session == 0 && !endpoint->is_publisher)
		endpoint->state = ZCPD_ENDPOINT_LEAVING;
}

static void clear_topic(struct zcp_record_topic *topic)
{
	/* It counts again. */
	for (uint32_t p = 0; p < topic->n_slots; p++)
		topic->slots[p].kept = 0;
}

/* The record's fields as text, without what is of no importance. Returns its size. */
static size_t essence(const struct zcpd_server *server, const struct zcpd_shelf_record *record,
		      char *bytes, size_t room)
{
	struct zcp_message message;
	size_t size;

	ZCP_CHECK(zcp_codec_unpack(&message, record->bytes, record->size) == 0);
	switch (message.type) {
	case ZCP_MESSAGE_RECORD_ENDPOINT:
		clear_endpoint(server, &message.u.record_endpoint);
		break;
	case ZCP_MESSAGE_RECORD_TOPIC:
		clear_topic(&message.u.record_topic);
		break;
	case ZCP_MESSAGE_RECORD_SESSION:
		/* What somebody says who is refused. */
		if (!message.u.record_session.greeted)
			message.u.record_session.node[0] = 0;
		break;
	default:
		break;
	}
	ZCP_CHECK(zcp_codec_pack(&message, bytes, room, &size) == 0);
	zcp_message_deinit(&message);
	return size;
}

static bool is_same_file(int a, int b)
{
	struct stat st_a, st_b;

	ZCP_CHECK(fstat(a, &st_a) == 0 && fstat(b, &st_b) == 0);
	return st_a.st_dev == st_b.st_dev && st_a.st_ino == st_b.st_ino;
}

static void print_bytes(const char *what, const char *bytes, size_t size)
{
	(void)fprintf(stderr, "%s: ", what);
	for (size_t i = 0; i < size; i++)
		(void)fprintf(stderr, bytes[i] >= 0x20 && bytes[i] < 0x7f ? "%c" : "<%02x>",
			      (unsigned char)bytes[i]);
	(void)fprintf(stderr, "\n");
}

static void check_same(const struct zcpd_server *server, const struct zcpd_shelf_record *a,
		       const struct zcpd_shelf_record *b)
{
	static char bytes_a[ZCPD_KEEP_SIZE_MAX], bytes_b[ZCPD_KEEP_SIZE_MAX];
	size_t size_a = essence(server, a, bytes_a, sizeof(bytes_a));
	size_t size_b = essence(server, b, bytes_b, sizeof(bytes_b));

	if (size_a != size_b || memcmp(bytes_a, bytes_b, size_a) != 0) {
		print_bytes("kept", bytes_a, size_a);
		print_bytes("there", bytes_b, size_b);
		ZCP_CHECK(false);
	}
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

/* It stands for numbers that nobody has had yet. */
static void check_domain(const struct zcpd_registry *registry,
			 const struct zcpd_shelf_record *record)
{
	const struct zcp_record_registry *domain;
	struct zcp_message message;

	ZCP_CHECK(zcp_codec_unpack(&message, record->bytes, record->size) == 0);
	domain = &message.u.record_registry;
	ZCP_CHECK(domain->domain_id == registry->domain_id);
	ZCP_CHECK(domain->last_id == registry->reserved_id);
	ZCP_CHECK(registry->last_id <= registry->reserved_id);
	ZCP_CHECK(domain->n_signals == registry->signals.n_signals);
	ZCP_CHECK(domain->symmetric == registry->symmetric);
	ZCP_CHECK(record->n_fds == 1 && is_same_file(record->fds[0], registry->signals_fd));
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
		if (record->kind == ZCP_MESSAGE_RECORD_REGISTRY) {
			check_domain(&server->registry, record);
			continue;
		}
		other = find(&now, record);
		ZCP_CHECK(other);
		check_same(server, record, other);
	}
	TAILQ_FOREACH(record, &now.records, link)
		ZCP_CHECK(find(&keeper->shelf, record));
	zcpd_shelf_deinit(&now);
}

void zcp_fuzz_records_check_last(struct zcp_fuzz_keeper *keeper, struct zcpd_server *server)
{
	const struct zcpd_shelf_record *record;

	zcp_fuzz_records_check(keeper, server);
	TAILQ_FOREACH(record, &keeper->shelf.records, link) {
		ZCP_CHECK(record->kind != ZCP_MESSAGE_RECORD_SESSION);
		ZCP_CHECK(record->kind != ZCP_MESSAGE_RECORD_ENDPOINT);
	}
}
