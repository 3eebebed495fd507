/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sections of a configuration, names, and what must fit together: pools that topics name,
 * depth and max_depth.
 */
#include "runtime/config/read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/suggest.h"
#include "pubsub/wire/name.h"
#include "zcp/node.h"

/* A max_depth must not be smaller than the depth that is set beside it or holds below it. */
static int check_depth(struct zcpd_config_reader *r, const struct zcpd_toml_value *table,
		       const struct zcpd_topic_config *below, const struct zcpd_topic_config *own)
{
	const struct zcpd_toml_value *max_depth = zcpd_toml_get(table, "max_depth");
	bool here = zcpd_toml_get(table, "depth") != NULL;
	uint32_t depth = here ? own->depth : below->depth;

	if (!max_depth || own->max_depth >= depth)
		return 0;
	return zcpd_config_fail(r, max_depth->at,
				"max_depth = %u is smaller than depth = %u%s: raise max_depth or "
				"lower depth",
				own->max_depth, depth,
				here ? "" : ", which holds here without being set");
}

static int read_defaults(struct zcpd_config_reader *r, const struct zcpd_toml_value *table,
			 struct zcpd_config *config)
{
	struct zcpd_topic_config own = { 0 };
	uint64_t set;
	int error;

	/* No key of [defaults] owns anything. */
	error = zcpd_config_read_keys(r, &zcpd_config_topic_schema, table, "[defaults]",
				      ZCPD_CONFIG_TOPIC_ONLY, &own, &set);
	if (error == 0)
		error = check_depth(r, table, &config->defaults, &own);
	if (error == 0)
		zcpd_config_apply_layer(&config->defaults, &own, set);
	return error;
}

/* 1 to 255 bytes without control characters; UTF-8 was checked for the whole file. */
static int check_name(struct zcpd_config_reader *r, const struct zcpd_toml_value *entry,
		      const char *what)
{
	char shown[ZCPD_TOML_SHOWN_SIZE];
	size_t n;

	if (entry->key_size == 0)
		return zcpd_config_fail(r, entry->key_at, "the name of a %s cannot be empty", what);
	zcpd_toml_show(shown, entry->key, entry->key_size);
	if (entry->key_size > ZCP_TOPIC_NAME_MAX)
		return zcpd_config_fail(r, entry->key_at,
					"%s name '%s' has %zu bytes: at most %d are allowed", what,
					shown, entry->key_size, ZCP_TOPIC_NAME_MAX);
	/* A zero is one. */
	if (strlen(entry->key) != entry->key_size || zcp_name_find_control(entry->key, &n))
		return zcpd_config_fail(r, entry->key_at,
					"%s name '%s' holds a control character: remove it", what,
					shown);
	return 0;
}

static int check_topic_name(struct zcpd_config_reader *r, const struct zcpd_toml_value *entry)
{
	char shown[ZCPD_TOML_SHOWN_SIZE];
	const char *star;
	int error;

	error = check_name(r, entry, "topic");
	if (error < 0)
		return error;
	star = strchr(entry->key, '*');
	if (!star || strcmp(entry->key, "*") == 0 ||
	    (star[1] == '\0' && star > entry->key && star[-1] == '/'))
		return 0;
	return zcpd_config_fail(r, entry->key_at,
				"'*' in topic name '%s' must be the end, behind a '/', or all of "
				"it",
				zcpd_toml_show(shown, entry->key, entry->key_size));
}

static int read_topic(struct zcpd_config_reader *r, const struct zcpd_toml_value *entry,
		      struct zcpd_config *config)
{
	struct zcpd_topic_entry *topic = &config->topics[config->n_topics];
	char section[ZCPD_CONFIG_SECTION_SIZE];
	char shown[ZCPD_TOML_SHOWN_SIZE];
	int error;

	if (entry->kind != ZCPD_TOML_TABLE)
		return zcpd_config_fail(r, entry->key_at,
					"'%s' in [topic] is %s: topics are written "
					"[topic.\"NAME\"], what holds for all [defaults]",
					zcpd_toml_show(shown, entry->key, entry->key_size),
					zcpd_toml_kind_name(entry->kind));
	error = check_topic_name(r, entry);
	if (error < 0)
		return error;
	topic->name = strdup(entry->key);
	if (!topic->name)
		return zcpd_config_fail_file(r, -ENOMEM, "out of memory");
	topic->wildcard = entry->key[entry->key_size - 1] == '*';
	config->n_topics++;
	snprintf(section, sizeof(section), "[topic.\"%s\"]",
		 zcpd_toml_show(shown, entry->key, entry->key_size));
	return zcpd_config_read_keys(r, &zcpd_config_topic_schema, entry, section, 0, &topic->own,
				     &topic->set);
}

static int read_pool(struct zcpd_config_reader *r, const struct zcpd_toml_value *entry,
		     struct zcpd_config *config)
{
	struct zcpd_pool_config *pool = &config->pools[config->n_pools];
	char section[ZCPD_CONFIG_SECTION_SIZE];
	char shown[ZCPD_TOML_SHOWN_SIZE];
	uint64_t set;
	int error;

	if (entry->kind != ZCPD_TOML_TABLE)
		return zcpd_config_fail(r, entry->key_at,
					"'%s' in [pool] is %s: pools are written [pool.NAME]",
					zcpd_toml_show(shown, entry->key, entry->key_size),
					zcpd_toml_kind_name(entry->kind));
	error = check_name(r, entry, "pool");
	if (error < 0)
		return error;
	pool->name = strdup(entry->key);
	if (!pool->name)
		return zcpd_config_fail_file(r, -ENOMEM, "out of memory");
	config->n_pools++;
	zcpd_config_schema_init(&zcpd_config_pool_schema, pool);
	snprintf(section, sizeof(section), "[pool.\"%s\"]",
		 zcpd_toml_show(shown, entry->key, entry->key_size));
	return zcpd_config_read_keys(r, &zcpd_config_pool_schema, entry, section, 0, pool, &set);
}

static int read_topics(struct zcpd_config_reader *r, const struct zcpd_toml_value *table,
		       struct zcpd_config *config)
{
	int error = 0;

	config->topics = calloc(zcpd_toml_n_values(table) + 1, sizeof(*config->topics));
	if (!config->topics)
		return zcpd_config_fail_file(r, -ENOMEM, "out of memory");
	for (const struct zcpd_toml_value *v = zcpd_toml_first(table); v && !error; v = v->next)
		error = read_topic(r, v, config);
	qsort(config->topics, config->n_topics, sizeof(*config->topics), zcpd_config_compare_names);
	return error;
}

static int read_pools(struct zcpd_config_reader *r, const struct zcpd_toml_value *table,
		      struct zcpd_config *config)
{
	int error = 0;

	config->pools = calloc(zcpd_toml_n_values(table) + 1, sizeof(*config->pools));
	if (!config->pools)
		return zcpd_config_fail_file(r, -ENOMEM, "out of memory");
	for (const struct zcpd_toml_value *v = zcpd_toml_first(table); v && !error; v = v->next)
		error = read_pool(r, v, config);
	qsort(config->pools, config->n_pools, sizeof(*config->pools), zcpd_config_compare_names);
	return error;
}

static int read_runtime(struct zcpd_config_reader *r, const struct zcpd_toml_value *table,
			struct zcpd_config *config)
{
	uint64_t set;
	int error = zcpd_config_read_keys(r, &zcpd_config_runtime_schema, table, "[runtime]", 0,
					  &config->runtime, &set);

	/* Where the file allows more nodes, they may all connect, also those of one user. */
	if (error == 0 && !zcpd_toml_get(table, "max_connections_per_user"))
		config->runtime.max_connections_per_user = config->runtime.max_nodes +
							   ZCPD_CONFIG_SPARE_CONNECTIONS;
	return error;
}

static int check_pool_exists(struct zcpd_config_reader *r, const struct zcpd_toml_value *entry,
			     const struct zcpd_config *config)
{
	const struct zcpd_toml_value *pool = zcpd_toml_get(entry, "pool");
	struct zcp_suggestion suggestion;
	char shown[ZCPD_TOML_SHOWN_SIZE];

	if (!pool || zcpd_config_pool(config, pool->string.data))
		return 0;
	suggestion = zcp_suggestion_for(pool->string.data);
	for (size_t i = 0; i < config->n_pools; i++)
		zcp_suggestion_offer(&suggestion, config->pools[i].name);
	zcpd_toml_show(shown, pool->string.data, pool->string.size);
	if (suggestion.best)
		return zcpd_config_fail(r, pool->at, "there is no pool '%s'; did you mean '%s'?",
					shown, suggestion.best);
	return zcpd_config_fail(r, pool->at, "there is no pool '%s': add a section [pool.\"%s\"]",
				shown, shown);
}

/* What a topic's messages need, its pool must have. */
static int check_pool_has(struct zcpd_config_reader *r, const struct zcpd_toml_value *entry,
			  const struct zcpd_topic_config *topic, const char *name, uint64_t wanted,
			  uint64_t has)
{
	const struct zcpd_toml_value *here = zcpd_toml_get(entry, name);
	char shown[ZCPD_TOML_SHOWN_SIZE];

	/* Where neither is set here, a shorter name has been checked. */
	if (!here)
		here = zcpd_toml_get(entry, "pool");
	if (!here || wanted <= has)
		return 0;
	zcpd_toml_show(shown, topic->pool, strlen(topic->pool));
	return zcpd_config_fail(r, here->at,
				"%s = %" PRIu64 " is more than pool '%s' has, %" PRIu64
				": raise %s in [pool.\"%s\"]",
				name, wanted, shown, has, name, shown);
}

static int check_pool(struct zcpd_config_reader *r, const struct zcpd_toml_value *entry,
		      const struct zcpd_config *config)
{
	const struct zcpd_pool_config *pool;
	struct zcpd_topic_config topic;
	int error;

	zcpd_config_topic(config, entry->key, &topic);
	pool = topic.pool ? zcpd_config_pool(config, topic.pool) : NULL;
	/* One that does not exist is told where it is named. */
	if (!pool)
		return 0;
	error = check_pool_has(r, entry, &topic, "alignment", topic.alignment, pool->alignment);
	return error < 0 ? error :
			   check_pool_has(r, entry, &topic, "user_header", topic.user_header,
					  pool->user_header);
}

/* A pool that does not say it has room for the user headers of all topics that use it. */
static void settle_user_headers(struct zcpd_config *config)
{
	for (size_t p = 0; p < config->n_pools; p++) {
		struct zcpd_pool_config *pool = &config->pools[p];
		bool said = pool->user_header > 0;

		for (size_t i = 0; !said && i < config->n_topics; i++) {
			struct zcpd_topic_config topic;

			zcpd_config_topic(config, config->topics[i].name, &topic);
			if (topic.pool && strcmp(topic.pool, pool->name) == 0 &&
			    topic.user_header > pool->user_header)
				pool->user_header = topic.user_header;
		}
	}
}

/* What can be checked when all sections have been read. */
static int check_topics(struct zcpd_config_reader *r, const struct zcpd_toml_value *table,
			const struct zcpd_config *config)
{
	int error = 0;

	for (const struct zcpd_toml_value *v = zcpd_toml_first(table); v && !error; v = v->next) {
		const struct zcpd_topic_entry *entry = bsearch(&v->key, config->topics,
							       config->n_topics, sizeof(*entry),
							       zcpd_config_compare_names);
		struct zcpd_topic_config below;

		zcpd_config_topic_below(config, entry, &below);
		error = check_pool_exists(r, v, config);
		if (error == 0)
			error = check_depth(r, v, &below, &entry->own);
		if (error == 0)
			error = check_pool(r, v, config);
	}
	return error;
}

static const struct {
	const char *name;
	int (*read)(struct zcpd_config_reader *, const struct zcpd_toml_value *,
		    struct zcpd_config *);
} sections[] = {
	{ "runtime", read_runtime },
	{ "defaults", read_defaults },
	{ "pool", read_pools },
	{ "topic", read_topics },
};

#define N_SECTIONS (sizeof(sections) / sizeof(sections[0]))

static int fail_unknown_section(struct zcpd_config_reader *r, const struct zcpd_toml_value *value)
{
	struct zcp_suggestion suggestion = zcp_suggestion_for(zcpd_config_plain_key(value));
	char shown[ZCPD_TOML_SHOWN_SIZE];

	zcpd_toml_show(shown, value->key, value->key_size);
	if (value->kind != ZCPD_TOML_TABLE && value->kind != ZCPD_TOML_ARRAY)
		return zcpd_config_fail(r, value->key_at,
					"'%s' stands in front of the first section: move it below "
					"[runtime] or [defaults]",
					shown);
	for (size_t i = 0; i < N_SECTIONS; i++)
		zcp_suggestion_offer(&suggestion, sections[i].name);
	if (suggestion.best)
		return zcpd_config_fail(r, value->key_at,
					"unknown section '%s'; did you mean '%s'?", shown,
					suggestion.best);
	return zcpd_config_fail(r, value->key_at,
				"unknown section '%s': there are [runtime], [defaults], "
				"[pool.NAME] and [topic.\"NAME\"]",
				shown);
}

static int read_section(struct zcpd_config_reader *r, const struct zcpd_toml_value *value,
			struct zcpd_config *config)
{
	for (size_t i = 0; i < N_SECTIONS; i++) {
		if (strcmp(sections[i].name, zcpd_config_plain_key(value)) != 0)
			continue;
		if (value->kind == ZCPD_TOML_ARRAY)
			return zcpd_config_fail(r, value->key_at,
						"'%s' is no list: write single brackets",
						sections[i].name);
		if (value->kind != ZCPD_TOML_TABLE)
			return zcpd_config_fail(r, value->key_at, "'%s' is a section, not a key",
						sections[i].name);
		return sections[i].read(r, value, config);
	}
	return fail_unknown_section(r, value);
}

int zcpd_config_read(struct zcpd_config_reader *r, const struct zcpd_toml_value *root,
		     struct zcpd_config *config)
{
	const struct zcpd_toml_value *topics = zcpd_toml_get(root, "topic");
	int error;

	for (const struct zcpd_toml_value *v = zcpd_toml_first(root); v; v = v->next) {
		error = read_section(r, v, config);
		if (error < 0)
			return error;
	}
	settle_user_headers(config);
	return topics ? check_topics(r, topics, config) : 0;
}
