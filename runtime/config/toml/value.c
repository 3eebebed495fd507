/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of values: a list in file order for each table and array, and for tables with more
 * than a few keys a hash index, without which a file of nothing but keys would take minutes.
 */
#include "runtime/config/toml/value.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pubsub/wire/name.h"

/* A table gets its index with this many keys; below, walking the list is quicker. */
#define INDEX_FROM 16

static uint32_t hash_key(const char *key, size_t key_size)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < key_size; i++)
		hash = (hash ^ (uint8_t)key[i]) * 16777619u;
	return hash;
}

struct zcpd_toml_value *zcpd_toml_value_new_root(void)
{
	struct zcpd_toml_value *root = calloc(1, sizeof(*root));

	if (!root)
		return NULL;
	root->at = (struct zcpd_toml_position){ 1, 1 };
	root->key_at = root->at;
	if (zcpd_toml_value_make_list(root, ZCPD_TOML_TABLE, ZCPD_TOML_ORIGIN_HEADER) < 0)
		return zcpd_toml_free(root);
	return root;
}

int zcpd_toml_value_make_list(struct zcpd_toml_value *value, enum zcpd_toml_kind kind,
			      enum zcpd_toml_origin origin)
{
	struct zcpd_toml_list *list = calloc(1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	value->kind = kind;
	value->origin = (uint8_t)origin;
	value->list = list;
	return 0;
}

/* The list must have room: at most half of the slots are ever in use. */
static void index_insert(struct zcpd_toml_list *list, struct zcpd_toml_value *value)
{
	size_t mask = list->n_slots - 1;
	size_t i = value->key_hash & mask;

	while (list->slots[i])
		i = (i + 1) & mask;
	list->slots[i] = value;
}

/* Makes room for one more value. */
static int index_grow(struct zcpd_toml_list *list)
{
	size_t n_slots = list->n_slots ? list->n_slots * 2 : 4 * INDEX_FROM;
	struct zcpd_toml_value **slots;

	if (list->n_values + 1 < INDEX_FROM || (list->n_values + 1) * 2 <= list->n_slots)
		return 0;
	slots = calloc(n_slots, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	free(list->slots);
	list->slots = slots;
	list->n_slots = n_slots;
	for (struct zcpd_toml_value *v = list->first; v; v = v->next)
		index_insert(list, v);
	return 0;
}

struct zcpd_toml_value *zcpd_toml_value_add(struct zcpd_toml_value *parent, char *key,
					    size_t key_size, struct zcpd_toml_position at)
{
	struct zcpd_toml_list *list = parent->list;
	struct zcpd_toml_value *value;

	assert(parent->kind == (key ? ZCPD_TOML_TABLE : ZCPD_TOML_ARRAY));
	if (key && index_grow(list) < 0)
		return NULL;
	value = calloc(1, sizeof(*value));
	if (!value)
		return NULL;
	value->kind = ZCPD_TOML_BOOLEAN;
	value->depth = (uint8_t)(parent->depth + 1);
	value->at = at;
	value->key_at = at;
	value->key = key;
	value->key_size = key_size;

	if (list->last)
		list->last->next = value;
	else
		list->first = value;
	list->last = value;
	list->n_values++;
	if (key) {
		value->key_hash = hash_key(key, key_size);
		if (list->slots)
			index_insert(list, value);
	}
	return value;
}

static bool has_key(const struct zcpd_toml_value *value, const char *key, size_t key_size)
{
	return value->key_size == key_size && memcmp(value->key, key, key_size) == 0;
}

struct zcpd_toml_value *zcpd_toml_value_find(const struct zcpd_toml_value *table, const char *key,
					     size_t key_size)
{
	const struct zcpd_toml_list *list = table->list;

	assert(table->kind == ZCPD_TOML_TABLE);
	if (list->slots) {
		size_t mask = list->n_slots - 1;
		size_t i = hash_key(key, key_size) & mask;

		for (; list->slots[i]; i = (i + 1) & mask)
			if (has_key(list->slots[i], key, key_size))
				return list->slots[i];
		return NULL;
	}
	for (struct zcpd_toml_value *v = list->first; v; v = v->next)
		if (has_key(v, key, key_size))
			return v;
	return NULL;
}

/* Recursion ends at ZCPD_TOML_MAX_DEPTH, which the parser enforces. */
struct zcpd_toml_value *zcpd_toml_free(struct zcpd_toml_value *root)
{
	while (root) {
		struct zcpd_toml_value *next = root->next;

		if (root->kind == ZCPD_TOML_STRING) {
			free(root->string.data);
		} else if (root->kind >= ZCPD_TOML_ARRAY && root->list) {
			zcpd_toml_free(root->list->first);
			free(root->list->slots);
			free(root->list);
		}
		free(root->key);
		free(root);
		root = next;
	}
	return NULL;
}

const struct zcpd_toml_value *zcpd_toml_get(const struct zcpd_toml_value *table, const char *key)
{
	return zcpd_toml_value_find(table, key, strlen(key));
}

const struct zcpd_toml_value *zcpd_toml_first(const struct zcpd_toml_value *list)
{
	assert(list->kind >= ZCPD_TOML_ARRAY);
	return list->list->first;
}

size_t zcpd_toml_n_values(const struct zcpd_toml_value *list)
{
	assert(list->kind >= ZCPD_TOML_ARRAY);
	return list->list->n_values;
}

const char *zcpd_toml_kind_name(enum zcpd_toml_kind kind)
{
	static const char *const names[] = {
		[ZCPD_TOML_BOOLEAN] = "a boolean", [ZCPD_TOML_INTEGER] = "an integer",
		[ZCPD_TOML_FLOAT] = "a float",     [ZCPD_TOML_STRING] = "a string",
		[ZCPD_TOML_ARRAY] = "an array",    [ZCPD_TOML_TABLE] = "a table",
	};

	return names[kind];
}

const char *zcpd_toml_show(char out[ZCPD_TOML_SHOWN_SIZE], const char *text, size_t size)
{
	const size_t room = ZCPD_TOML_SHOWN_SIZE - sizeof("...");
	bool cut = size > room;

	if (cut) {
		size = room;
		while (size > 0 && ((uint8_t)text[size] & 0xc0) == 0x80)
			size--;
	}
	for (size_t i = 0; i < size; i++)
		out[i] = text[i] ? text[i] : '?';
	out[size] = 0;
	zcp_name_hide_controls(out);
	memcpy(out + size, cut ? "..." : "", cut ? sizeof("...") : 1);
	return out;
}
