/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of keys: here is what a configuration may say. */
#include "runtime/config/schema.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pubsub/layout/class_shm.h"
#include "runtime/config/config.h"
#include "zcp/node.h"

#define GIB (1ull << 30)
#define MS (1000ull * 1000)
#define SECOND (1000 * MS)
#define HOUR (3600 * SECOND)

#define TRIM_AFTER (30 * SECOND)

/* name, kind, struct, member, fallback, min, max, flags, help */
#define KEY(n, k, s, m, fb, lo, hi, f, h)                                                          \
	{                                                                                          \
		n, ZCPD_CONFIG_##k, f, offsetof(struct s, m), fb, lo, hi, NULL, h                  \
	}
/* name, struct, member, fallback, words, help */
#define CHOICE(n, s, m, fb, words, h)                                                              \
	{                                                                                          \
		n, ZCPD_CONFIG_CHOICE, 0, offsetof(struct s, m), fb, 0, 0, words, h                \
	}

static const char *const log_levels[] = {
	[ZCPD_CONFIG_LOG_ERROR] = "error",
	[ZCPD_CONFIG_LOG_WARNING] = "warning",
	[ZCPD_CONFIG_LOG_INFO] = "info",
	[ZCPD_CONFIG_LOG_DEBUG] = "debug",
	NULL,
};

static const char *const fences[] = {
	[ZCPD_CONFIG_FENCES_AUTO] = "auto",
	[ZCPD_CONFIG_FENCES_SYMMETRIC] = "symmetric",
	NULL,
};

static const char *const on_full[] = {
	[ZCPD_CONFIG_ON_FULL_DROP_OLDEST] = "drop-oldest",
	[ZCPD_CONFIG_ON_FULL_BLOCK] = "block",
	NULL,
};

static const char *const orders[] = {
	[ZCPD_CONFIG_ORDER_TURN] = "turn",
	[ZCPD_CONFIG_ORDER_TIME] = "time",
	NULL,
};

#define RUNTIME(n, k, m, fb, lo, hi, h) KEY(n, k, zcpd_runtime_config, m, fb, lo, hi, 0, h)

static const struct zcpd_config_key runtime_keys[] = {
	CHOICE("log_level", zcpd_runtime_config, log_level, ZCPD_CONFIG_LOG_INFO, log_levels,
	       "how much is logged"),
	RUNTIME("idle_timeout", TIME, idle_timeout_ns, 10 * SECOND, MS, 8760 * HOUR,
		"an auto-started runtime without nodes ends after this"),
	CHOICE("fences", zcpd_runtime_config, fences, ZCPD_CONFIG_FENCES_AUTO, fences,
	       "symmetric: never use membarrier"),
	RUNTIME("max_nodes", COUNT, max_nodes, 1024, 1, 65536, "nodes attached at once"),
	RUNTIME("max_topics", COUNT, max_topics, 1024, 1, 65536, "topics that exist at once"),
	RUNTIME("max_connections_per_user", COUNT, max_connections_per_user,
		1024 + ZCPD_CONFIG_SPARE_CONNECTIONS, 0, 1 << 20,
		"connections of one user at once; 0: no limit"),
	RUNTIME("max_endpoints_per_user", COUNT, max_endpoints_per_user, 65536, 0, 1 << 24,
		"publishers and subscribers of one user at once; 0: no limit"),
	RUNTIME("max_memory_per_user", SIZE, max_memory_per_user, 0, 0, UINT64_C(1) << 60,
		"of the topics and their own pools that one user has made; 0: no limit"),
	RUNTIME("hello_timeout", TIME, hello_timeout_ns, 5 * SECOND, MS, HOUR,
		"a connection that has not introduced itself after this is closed"),
	RUNTIME("return_timeout", TIME, return_timeout_ns, SECOND, MS, HOUR,
		"how long a runtime after one that was killed waits for its nodes"),
};

#define TOPIC(n, k, m, fb, lo, hi, h) KEY(n, k, zcpd_topic_config, m, fb, lo, hi, 0, h)
#define TOPIC_ONLY(n, k, m, fb, lo, hi, h)                                                         \
	KEY(n, k, zcpd_topic_config, m, fb, lo, hi, ZCPD_CONFIG_TOPIC_ONLY, h)

static const struct zcpd_config_key topic_keys[] = {
	TOPIC("max_publishers", COUNT, max_publishers, 8, 1, 64, "publishers at once"),
	TOPIC("max_subscribers", COUNT, max_subscribers, 32, 1, 256, "subscribers at once"),
	TOPIC("depth", COUNT, depth, 16, 1, 65536, "queue depth of a subscriber that does not ask"),
	TOPIC("max_depth", COUNT, max_depth, 256, 1, 65536, "largest queue depth one may ask for"),
	TOPIC("loans", COUNT, loans, 2, 1, 1024, "loans at once of a publisher that does not ask"),
	TOPIC("held", COUNT, held, 4, 1, 4096, "samples held by a subscriber that does not ask"),
	CHOICE("on_full", zcpd_topic_config, on_full, ZCPD_CONFIG_ON_FULL_DROP_OLDEST, on_full,
	       "when the queue is full of a subscriber that does not ask"),
	TOPIC("allow_block", BOOLEAN, allow_block, true, 0, 0,
	      "subscribers may make publishers wait"),
	TOPIC("history", COUNT, history, 0, 0, 1024, "messages kept for those who join later"),
	TOPIC("keep_history", BOOLEAN, keep_history, false, 0, 0,
	      "history stays when its publisher goes"),
	CHOICE("order", zcpd_topic_config, order, ZCPD_CONFIG_ORDER_TURN, orders,
	       "order of taking of a subscriber that does not ask"),
	TOPIC("timestamps", BOOLEAN, timestamps, true, 0, 0, "messages carry their publish time"),
	TOPIC("reserve", BOOLEAN, reserve, false, 0, 0,
	      "memory that endpoints may need is taken when they open"),
	KEY("trim_after", TIME, zcpd_topic_config, trim_after_ns, TRIM_AFTER, MS, 8760 * HOUR,
	    ZCPD_CONFIG_OR_NEVER, "memory of chunks that were free for so long is given back"),
	KEY("alignment", SIZE, zcpd_topic_config, alignment, 0, 0, ZCP_ALIGNMENT_MAX,
	    ZCPD_CONFIG_POWER_OF_TWO, "of payloads; 0: what the first publisher needs"),
	TOPIC("user_header", SIZE, user_header, 0, 0, ZCP_USER_HEADER_MAX,
	      "before each message; 0: what the first endpoint declares"),
	TOPIC_ONLY("type", STRING, type, 0, 1, ZCP_TYPE_NAME_MAX,
		   "name of the type that endpoints must have"),
	TOPIC_ONLY("max_payload", SIZE, max_payload, 0, 0, 16 * GIB,
		   "largest message; 0: what the publishers declare"),
	TOPIC_ONLY("pool", STRING, pool, 0, 1, ZCP_TOPIC_NAME_MAX,
		   "the [pool.NAME] that the chunks come from"),
};

static const char *const huge_pages[] = {
	[ZCPD_CONFIG_HUGE_PAGES_NO] = "no",
	[ZCPD_CONFIG_HUGE_PAGES_TRY] = "try",
	[ZCPD_CONFIG_HUGE_PAGES_MUST] = "must",
	NULL,
};

static const struct zcpd_config_key pool_keys[] = {
	KEY("classes", CLASSES, zcpd_pool_config, classes, 0, 1, 64, ZCPD_CONFIG_REQUIRED,
	    "size and count of each size class"),
	KEY("alignment", SIZE, zcpd_pool_config, alignment, ZCP_ALIGNMENT_MIN, ZCP_ALIGNMENT_MIN,
	    ZCP_ALIGNMENT_MAX, ZCPD_CONFIG_POWER_OF_TWO, "of payloads"),
	KEY("user_header", SIZE, zcpd_pool_config, user_header, 0, 0, ZCP_USER_HEADER_MAX, 0,
	    "room before each message; 0: the most that its topics have"),
	KEY("reserve", BOOLEAN, zcpd_pool_config, reserve, false, 0, 0, 0,
	    "memory that endpoints may need is taken when they open"),
	KEY("trim_after", TIME, zcpd_pool_config, trim_after_ns, TRIM_AFTER, MS, 8760 * HOUR,
	    ZCPD_CONFIG_OR_NEVER, "memory of chunks that were free for so long is given back"),
	KEY("prefault", BOOLEAN, zcpd_pool_config, prefault, false, 0, 0, 0,
	    "all memory is taken and mapped beforehand"),
	KEY("lock", BOOLEAN, zcpd_pool_config, lock, false, 0, 0, 0, "memory is never swapped out"),
	CHOICE("huge_pages", zcpd_pool_config, huge_pages, ZCPD_CONFIG_HUGE_PAGES_NO, huge_pages,
	       "pages of 2 MiB for the chunks"),
};

#define CLASS(n, k, m, lo, hi, h)                                                                  \
	KEY(n, k, zcpd_class_config, m, 0, lo, hi, ZCPD_CONFIG_REQUIRED, h)

static const struct zcpd_config_key class_keys[] = {
	CLASS("size", SIZE, size, 1, 16 * GIB, "payload that fits into a chunk"),
	CLASS("count", COUNT, count, 1, 16777215, "chunks of this size"),
};

#define N_KEYS(keys) (sizeof(keys) / sizeof((keys)[0]))

static_assert(N_KEYS(topic_keys) <= 64, "zcpd_topic_entry.set has 64 bits");

const struct zcpd_config_schema zcpd_config_runtime_schema = { runtime_keys, N_KEYS(runtime_keys) };
const struct zcpd_config_schema zcpd_config_topic_schema = { topic_keys, N_KEYS(topic_keys) };
const struct zcpd_config_schema zcpd_config_pool_schema = { pool_keys, N_KEYS(pool_keys) };
const struct zcpd_config_schema zcpd_config_class_schema = { class_keys, N_KEYS(class_keys) };

/* The size of a key's member; 0 for classes, which overlays and fallbacks do not touch. */
static size_t member_size(enum zcpd_config_kind kind)
{
	static const size_t member_sizes[] = {
		[ZCPD_CONFIG_COUNT] = sizeof(uint32_t),
		[ZCPD_CONFIG_SIZE] = sizeof(uint64_t),
		[ZCPD_CONFIG_TIME] = sizeof(uint64_t),
		[ZCPD_CONFIG_BOOLEAN] = sizeof(bool),
		[ZCPD_CONFIG_CHOICE] = sizeof(uint32_t),
		[ZCPD_CONFIG_STRING] = sizeof(char *),
		[ZCPD_CONFIG_CLASSES] = 0,
	};

	return member_sizes[kind];
}

size_t zcpd_config_schema_find(const struct zcpd_config_schema *schema, const char *name)
{
	size_t i = 0;

	while (i < schema->n_keys && strcmp(schema->keys[i].name, name) != 0)
		i++;
	return i;
}

void zcpd_config_schema_init(const struct zcpd_config_schema *schema, void *base)
{
	for (size_t i = 0; i < schema->n_keys; i++) {
		const struct zcpd_config_key *key = &schema->keys[i];
		void *field = zcpd_config_field(key, base);

		switch (key->kind) {
		case ZCPD_CONFIG_COUNT:
		case ZCPD_CONFIG_CHOICE:
			*(uint32_t *)field = (uint32_t)key->fallback;
			break;
		case ZCPD_CONFIG_SIZE:
		case ZCPD_CONFIG_TIME:
			*(uint64_t *)field = key->fallback;
			break;
		case ZCPD_CONFIG_BOOLEAN:
			*(bool *)field = key->fallback != 0;
			break;
		case ZCPD_CONFIG_STRING:
			*(char **)field = NULL;
			break;
		case ZCPD_CONFIG_CLASSES:
			break;
		}
	}
}

void zcpd_config_schema_deinit(const struct zcpd_config_schema *schema, void *base)
{
	for (size_t i = 0; i < schema->n_keys; i++) {
		char **string = zcpd_config_field(&schema->keys[i], base);

		if (schema->keys[i].kind == ZCPD_CONFIG_STRING) {
			free(*string);
			*string = NULL;
		}
	}
}

void zcpd_config_schema_overlay(const struct zcpd_config_schema *schema, void *to, const void *from,
				uint64_t set)
{
	for (size_t i = 0; i < schema->n_keys; i++) {
		const struct zcpd_config_key *key = &schema->keys[i];

		if (set & (uint64_t)1 << i)
			memcpy(zcpd_config_field(key, to), zcpd_config_const_field(key, from),
			       member_size(key->kind));
	}
}
