/* SPDX-License-Identifier: Apache-2.0 */
/* One value of a configuration: its type, its unit, its bounds. */
#include "runtime/config/read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/suggest.h"
#include "common/units.h"
#include "pubsub/wire/name.h"

static int fail_type(struct zcpd_config_reader *r, const struct zcpd_config_key *key,
		     const struct zcpd_toml_value *value, const char *expected)
{
	return zcpd_config_fail(r, value->at, "%s must be %s, not %s", key->name, expected,
				zcpd_toml_kind_name(value->kind));
}

/* The value as the file has it, for messages: 10 or "10ms". */
static const char *written(char out[ZCPD_TOML_SHOWN_SIZE + 2], const struct zcpd_toml_value *value)
{
	char shown[ZCPD_TOML_SHOWN_SIZE];

	if (value->kind == ZCPD_TOML_INTEGER)
		snprintf(out, ZCPD_TOML_SHOWN_SIZE + 2, "%" PRId64, value->integer);
	else
		snprintf(out, ZCPD_TOML_SHOWN_SIZE + 2, "\"%s\"",
			 zcpd_toml_show(shown, value->string.data, value->string.size));
	return out;
}

static int check_range(struct zcpd_config_reader *r, const struct zcpd_config_key *key,
		       const struct zcpd_toml_value *value, uint64_t number,
		       const char *(*format)(char *, uint64_t))
{
	char shown[ZCPD_TOML_SHOWN_SIZE + 2];
	char min[ZCP_UNITS_TEXT_SIZE], max[ZCP_UNITS_TEXT_SIZE];

	/* What was negative is larger than any max now. */
	if (number >= key->min && number <= key->max)
		return 0;
	return zcpd_config_fail(r, value->at, "%s = %s is out of range: %s to %s", key->name,
				written(shown, value), format(min, key->min),
				format(max, key->max));
}

static const char *format_count(char *out, uint64_t count)
{
	snprintf(out, ZCP_UNITS_TEXT_SIZE, "%" PRIu64, count);
	return out;
}

static int read_count(struct zcpd_config_reader *r, const struct zcpd_config_key *key,
		      const struct zcpd_toml_value *value, uint32_t *field)
{
	int error;

	if (value->kind != ZCPD_TOML_INTEGER)
		return fail_type(r, key, value, "an integer");
	error = check_range(r, key, value, (uint64_t)value->integer, format_count);
	if (error < 0)
		return error;
	*field = (uint32_t)value->integer;
	return 0;
}

static int fail_units(struct zcpd_config_reader *r, const struct zcpd_config_key *key,
		      const struct zcpd_toml_value *value, int why)
{
	bool size = key->kind == ZCPD_CONFIG_SIZE;
	char shown[ZCPD_TOML_SHOWN_SIZE + 2];
	const char *units = size ? ZCP_UNITS_SIZES : ZCP_UNITS_TIMES;

	written(shown, value);
	switch (why) {
	case ZCP_UNITS_E_UNIT:
		return zcpd_config_fail(r, value->at, "%s = %s has an unknown unit: use %s",
					key->name, shown, units);
	case ZCP_UNITS_E_NO_UNIT:
		return zcpd_config_fail(r, value->at, "%s = %s needs a unit: %s", key->name, shown,
					units);
	case ZCP_UNITS_E_OVERFLOW:
		return zcpd_config_fail(r, value->at, "%s = %s does not fit in 64 bits", key->name,
					shown);
	default:
		return zcpd_config_fail(r, value->at,
					"%s = %s is not a %s: write an integer and a unit, as in "
					"%s%s",
					key->name, shown, size ? "size" : "time",
					size ? "\"8MiB\"" : "\"10ms\"",
					key->flags & ZCPD_CONFIG_OR_NEVER ? ", or \"never\"" : "");
	}
}

static int fail_power_of_two(struct zcpd_config_reader *r, const struct zcpd_config_key *key,
			     const struct zcpd_toml_value *value)
{
	char shown[ZCPD_TOML_SHOWN_SIZE + 2];

	return zcpd_config_fail(r, value->at,
				"%s = %s is not a power of two, as 64, 128 and 4096 are", key->name,
				written(shown, value));
}

static bool is_never(const struct zcpd_config_key *key, const struct zcpd_toml_value *value)
{
	return (key->flags & ZCPD_CONFIG_OR_NEVER) && value->kind == ZCPD_TOML_STRING &&
	       value->string.size == strlen("never") && strcmp(value->string.data, "never") == 0;
}

/* Sizes and times. */
static int read_units(struct zcpd_config_reader *r, const struct zcpd_config_key *key,
		      const struct zcpd_toml_value *value, uint64_t *field)
{
	bool size = key->kind == ZCPD_CONFIG_SIZE;
	uint64_t number;
	int error = 0;

	if (is_never(key, value)) {
		*field = ZCPD_CONFIG_NEVER;
		return 0;
	}
	if (value->kind == ZCPD_TOML_INTEGER)
		number = (uint64_t)value->integer;
	else if (value->kind != ZCPD_TOML_STRING)
		return fail_type(r, key, value,
				 size ? "a size, as in 4096 or \"8MiB\"" :
					"a time, as in \"10ms\" or nanoseconds");
	else if (strlen(value->string.data) != value->string.size)
		error = ZCP_UNITS_E_UNIT; /* a NUL inside */
	else if (size)
		error = zcp_units_parse_size(value->string.data, &number);
	else
		error = zcp_units_parse_time(value->string.data, &number);
	if (error > 0)
		return fail_units(r, key, value, error);
	error = check_range(r, key, value, number,
			    size ? zcp_units_format_size : zcp_units_format_time);
	if (error < 0)
		return error;
	if ((key->flags & ZCPD_CONFIG_POWER_OF_TWO) && (number & (number - 1)) != 0)
		return fail_power_of_two(r, key, value);
	*field = number;
	return 0;
}

static int read_boolean(struct zcpd_config_reader *r, const struct zcpd_config_key *key,
			const struct zcpd_toml_value *value, bool *field)
{
	if (value->kind != ZCPD_TOML_BOOLEAN)
		return fail_type(r, key, value, "true or false");
	*field = value->boolean;
	return 0;
}

static int read_choice(struct zcpd_config_reader *r, const struct zcpd_config_key *key,
		       const struct zcpd_toml_value *value, uint32_t *field)
{
	struct zcp_suggestion suggestion;
	char shown[ZCPD_TOML_SHOWN_SIZE + 2];
	char words[128] = "";
	size_t length = 0;

	for (size_t i = 0; key->choices[i] && length < sizeof(words); i++)
		length += (size_t)snprintf(words + length, sizeof(words) - length, "%s\"%s\"",
					   i > 0 ? ", " : "", key->choices[i]);
	if (value->kind != ZCPD_TOML_STRING)
		return zcpd_config_fail(r, value->at, "%s must be one of %s, not %s", key->name,
					words, zcpd_toml_kind_name(value->kind));
	suggestion = zcp_suggestion_for(value->string.data);
	for (uint32_t i = 0; key->choices[i]; i++) {
		if (strlen(key->choices[i]) == value->string.size &&
		    memcmp(key->choices[i], value->string.data, value->string.size) == 0) {
			*field = i;
			return 0;
		}
		zcp_suggestion_offer(&suggestion, key->choices[i]);
	}
	written(shown, value);
	if (suggestion.best)
		return zcpd_config_fail(r, value->at, "%s = %s is none of %s; did you mean \"%s\"?",
					key->name, shown, words, suggestion.best);
	return zcpd_config_fail(r, value->at, "%s = %s is none of %s", key->name, shown, words);
}

static int read_string(struct zcpd_config_reader *r, const struct zcpd_config_key *key,
		       const struct zcpd_toml_value *value, char **field)
{
	char *copy;
	size_t n;

	if (value->kind != ZCPD_TOML_STRING)
		return fail_type(r, key, value, "a string");
	if (value->string.size < key->min || value->string.size > key->max)
		return zcpd_config_fail(r, value->at,
					"%s has %zu bytes: %" PRIu64 " to %" PRIu64 " are allowed",
					key->name, value->string.size, key->min, key->max);
	/* A zero is one. */
	if (strlen(value->string.data) != value->string.size ||
	    zcp_name_find_control(value->string.data, &n))
		return zcpd_config_fail(r, value->at, "%s holds a control character: remove it",
					key->name);
	copy = strdup(value->string.data);
	if (!copy)
		return zcpd_config_fail_file(r, -ENOMEM, "out of memory");
	*field = copy;
	return 0;
}

static int compare_classes(const void *a, const void *b)
{
	const struct zcpd_class_config *x = a, *y = b;

	return (x->size > y->size) - (x->size < y->size);
}

static int read_class(struct zcpd_config_reader *r, const struct zcpd_toml_value *value,
		      struct zcpd_pool_config *pool)
{
	struct zcpd_class_config *class = &pool->classes[pool->n_classes];
	char shown[ZCP_UNITS_TEXT_SIZE];
	uint64_t set;
	int error;

	if (value->kind != ZCPD_TOML_TABLE)
		return zcpd_config_fail(r, value->at,
					"a size class must be a table, as in { size = \"8MiB\", "
					"count = 64 }, not %s",
					zcpd_toml_kind_name(value->kind));
	zcpd_config_schema_init(&zcpd_config_class_schema, class);
	error = zcpd_config_read_keys(r, &zcpd_config_class_schema, value, "a size class", 0, class,
				      &set);
	if (error < 0)
		return error;
	for (uint32_t i = 0; i < pool->n_classes; i++)
		if (pool->classes[i].size == class->size)
			return zcpd_config_fail(r, zcpd_toml_get(value, "size")->at,
						"there are two classes of size %s: add up their "
						"counts",
						zcp_units_format_size(shown, class->size));
	pool->n_classes++;
	return 0;
}

static int read_classes(struct zcpd_config_reader *r, const struct zcpd_config_key *key,
			const struct zcpd_toml_value *value, struct zcpd_pool_config *pool)
{
	size_t n_classes;
	int error;

	if (value->kind != ZCPD_TOML_ARRAY)
		return fail_type(r, key, value,
				 "an array, as in [ { size = \"8MiB\", count = 64 } ]");
	n_classes = zcpd_toml_n_values(value);
	if (n_classes < key->min || n_classes > key->max)
		return zcpd_config_fail(r, value->at,
					"a pool has %" PRIu64 " to %" PRIu64
					" size classes, not %zu",
					key->min, key->max, n_classes);
	pool->classes = calloc(n_classes, sizeof(*pool->classes));
	if (!pool->classes)
		return zcpd_config_fail_file(r, -ENOMEM, "out of memory");
	for (const struct zcpd_toml_value *v = zcpd_toml_first(value); v; v = v->next) {
		error = read_class(r, v, pool);
		if (error < 0)
			return error;
	}
	qsort(pool->classes, pool->n_classes, sizeof(*pool->classes), compare_classes);
	return 0;
}

int zcpd_config_read_value(struct zcpd_config_reader *r, const struct zcpd_config_key *key,
			   const struct zcpd_toml_value *value, void *base)
{
	void *field = zcpd_config_field(key, base);

	switch (key->kind) {
	case ZCPD_CONFIG_COUNT:
		return read_count(r, key, value, field);
	case ZCPD_CONFIG_SIZE:
	case ZCPD_CONFIG_TIME:
		return read_units(r, key, value, field);
	case ZCPD_CONFIG_BOOLEAN:
		return read_boolean(r, key, value, field);
	case ZCPD_CONFIG_CHOICE:
		return read_choice(r, key, value, field);
	case ZCPD_CONFIG_STRING:
		return read_string(r, key, value, field);
	case ZCPD_CONFIG_CLASSES:
		return read_classes(r, key, value, base);
	}
	return -EINVAL; /* there is no other kind */
}
