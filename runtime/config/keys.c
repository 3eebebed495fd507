/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of one section, whichever it is, and how errors are told. */
#include "runtime/config/read.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/suggest.h"

/* A longer file name is shown by its end, so that the sentence has room. */
#define FILE_NAME_SHOWN 200

static size_t print_file_name(struct zcpd_config_reader *r)
{
	size_t length = strlen(r->file_name);
	const char *end = r->file_name + length;
	const char *shown = length > FILE_NAME_SHOWN ? end - FILE_NAME_SHOWN : r->file_name;

	return (size_t)snprintf(r->error->text, sizeof(r->error->text), "%s%s",
				shown > r->file_name ? "..." : "", shown);
}

int zcpd_config_fail(struct zcpd_config_reader *r, struct zcpd_toml_position at, const char *format,
		     ...)
{
	char *text = r->error->text;
	size_t length = print_file_name(r);
	va_list args;

	r->error->line = at.line;
	r->error->column = at.column;
	length += (size_t)snprintf(text + length, sizeof(r->error->text) - length,
				   ":%u:%u: ", at.line, at.column);
	va_start(args, format);
	vsnprintf(text + length, sizeof(r->error->text) - length, format, args);
	va_end(args);
	return -EINVAL;
}

int zcpd_config_fail_file(struct zcpd_config_reader *r, int code, const char *sentence)
{
	size_t length = print_file_name(r);

	r->error->line = 0;
	r->error->column = 0;
	snprintf(r->error->text + length, sizeof(r->error->text) - length, ": %s", sentence);
	return code;
}

const char *zcpd_config_plain_key(const struct zcpd_toml_value *value)
{
	return strlen(value->key) == value->key_size ? value->key : "";
}

static int fail_unknown_key(struct zcpd_config_reader *r, const struct zcpd_config_schema *schema,
			    const struct zcpd_toml_value *value, const char *section)
{
	struct zcp_suggestion suggestion = zcp_suggestion_for(zcpd_config_plain_key(value));
	char shown[ZCPD_TOML_SHOWN_SIZE];
	char known[256] = "";
	size_t length = 0;

	zcpd_toml_show(shown, value->key, value->key_size);
	for (size_t i = 0; i < schema->n_keys; i++) {
		zcp_suggestion_offer(&suggestion, schema->keys[i].name);
		if (length < sizeof(known))
			length += (size_t)snprintf(known + length, sizeof(known) - length, "%s%s",
						   i > 0 ? ", " : "", schema->keys[i].name);
	}
	if (suggestion.best)
		return zcpd_config_fail(r, value->key_at,
					"unknown key '%s' in %s; did you mean '%s'?", shown,
					section, suggestion.best);
	if (value->kind == ZCPD_TOML_TABLE)
		return zcpd_config_fail(r, value->key_at,
					"unknown section '%s' in %s: a name with dots needs quotes",
					shown, section);
	return zcpd_config_fail(r, value->key_at, "unknown key '%s' in %s: it has %s", shown,
				section, known);
}

int zcpd_config_read_keys(struct zcpd_config_reader *r, const struct zcpd_config_schema *schema,
			  const struct zcpd_toml_value *table, const char *section,
			  unsigned int refused, void *base, uint64_t *set)
{
	int error;

	*set = 0;
	for (const struct zcpd_toml_value *v = zcpd_toml_first(table); v; v = v->next) {
		size_t i = zcpd_config_schema_find(schema, zcpd_config_plain_key(v));

		if (i == schema->n_keys)
			return fail_unknown_key(r, schema, v, section);
		if (schema->keys[i].flags & refused)
			return zcpd_config_fail(r, v->key_at,
						"%s does not belong in %s: set it in a "
						"[topic.\"NAME\"]",
						schema->keys[i].name, section);
		error = zcpd_config_read_value(r, &schema->keys[i], v, base);
		if (error < 0)
			return error;
		*set |= (uint64_t)1 << i;
	}
	for (size_t i = 0; i < schema->n_keys; i++)
		if ((schema->keys[i].flags & ZCPD_CONFIG_REQUIRED) && !(*set & (uint64_t)1 << i))
			return zcpd_config_fail(r, table->at, "%s needs '%s': %s", section,
						schema->keys[i].name, schema->keys[i].help);
	return 0;
}
