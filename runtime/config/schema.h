/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a configuration may say: a table of keys for each kind of section. Reading, defaults,
 * layering, printing and freeing all go by these tables, so that a new key is one line in
 * config_schema.c, one member in config.h and one paragraph in config/zcp.toml.
 */
#ifndef ZCPD_CONFIG_SCHEMA_H
#define ZCPD_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a key is written, and the type of its member. */
enum zcpd_config_kind {
	ZCPD_CONFIG_COUNT,   /* an integer: uint32_t */
	ZCPD_CONFIG_SIZE,    /* bytes or "8MiB": uint64_t */
	ZCPD_CONFIG_TIME,    /* nanoseconds or "10ms": uint64_t */
	ZCPD_CONFIG_BOOLEAN, /* bool */
	ZCPD_CONFIG_CHOICE,  /* one word of several: uint32_t, the word's number */
	ZCPD_CONFIG_STRING,  /* char *, owned, NULL if not set; min and max are of its size */
	ZCPD_CONFIG_CLASSES, /* the size classes of a struct zcpd_pool_config */
};

enum {
	ZCPD_CONFIG_REQUIRED = 1 << 0,     /* the section is nothing without it */
	ZCPD_CONFIG_TOPIC_ONLY = 1 << 1,   /* in [topic."NAME"], but not in [defaults] */
	ZCPD_CONFIG_POWER_OF_TWO = 1 << 2, /* a size: that, or 0 if min is */
	ZCPD_CONFIG_OR_NEVER = 1 << 3,     /* a time: or "never", ZCPD_CONFIG_NEVER */
};

struct zcpd_config_key {
	const char *name;
	enum zcpd_config_kind kind;
	unsigned int flags;
	size_t offset;
	uint64_t fallback; /* the value if it is not set; strings and classes have none */
	uint64_t min;
	uint64_t max;               /* of numbers below 2^63 */
	const char *const *choices; /* ends with NULL */
	const char *help;
};

struct zcpd_config_schema {
	const struct zcpd_config_key *keys;
	size_t n_keys; /* at most 64 */
};

extern const struct zcpd_config_schema zcpd_config_runtime_schema; /* zcpd_runtime_config */
extern const struct zcpd_config_schema zcpd_config_topic_schema;   /* zcpd_topic_config */
extern const struct zcpd_config_schema zcpd_config_pool_schema;    /* zcpd_pool_config */
extern const struct zcpd_config_schema zcpd_config_class_schema;   /* zcpd_class_config */

/* The member of the struct at `base` that a key stands for. */
static inline void *zcpd_config_field(const struct zcpd_config_key *key, void *base)
{
	return (char *)base + key->offset;
}

static inline const void *zcpd_config_const_field(const struct zcpd_config_key *key,
						  const void *base)
{
	return (const char *)base + key->offset;
}

/* The number of the key of that name, or n_keys. */
size_t zcpd_config_schema_find(const struct zcpd_config_schema *schema, const char *name);

/* Sets every member to its fallback. */
void zcpd_config_schema_init(const struct zcpd_config_schema *schema, void *base);

/* Frees what the members own. */
void zcpd_config_schema_deinit(const struct zcpd_config_schema *schema, void *base);

/* Copies the members whose bit is in `set`; of what they own the pointer only. */
void zcpd_config_schema_overlay(const struct zcpd_config_schema *schema, void *to, const void *from,
				uint64_t set);

#endif
