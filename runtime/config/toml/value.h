/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of values while the parser builds it. A value is attached to its parent before it is
 * filled, so that the root owns everything at any moment and one free is enough on every path.
 */
#ifndef ZCPD_CONFIG_TOML_VALUE_H
#define ZCPD_CONFIG_TOML_VALUE_H

#include "runtime/config/toml/toml.h"

/* How a table or an array came to be decides who may still add to it. */
enum zcpd_toml_origin {
	ZCPD_TOML_ORIGIN_VALUE,   /* written after '=' or in an array: closed */
	ZCPD_TOML_ORIGIN_IMPLIED, /* a table named on the way to another: a header may define it */
	ZCPD_TOML_ORIGIN_HEADER,  /* a table with a header of its own, or an array of [[tables]] */
	ZCPD_TOML_ORIGIN_DOTTED,  /* a table made by a dotted key */
};

/* A new empty table without a parent: the document. */
struct zcpd_toml_value *zcpd_toml_value_new_root(void);

/* Makes `value`, so far a boolean, an empty array or table. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int zcpd_toml_value_make_list(struct zcpd_toml_value *value,
								  enum zcpd_toml_kind kind,
								  enum zcpd_toml_origin origin);

/*
 * Adds a value, for now a boolean, at the end of a table or array. The caller has made sure that
 * the table has no such key. In an array `key` is NULL. `key` is consumed on success only.
 * Returns NULL when memory is short.
 */
struct zcpd_toml_value *zcpd_toml_value_add(struct zcpd_toml_value *parent, char *key,
					    size_t key_size, struct zcpd_toml_position at);

/* The value under that key, or NULL. */
struct zcpd_toml_value *zcpd_toml_value_find(const struct zcpd_toml_value *table, const char *key,
					     size_t key_size);

#endif
