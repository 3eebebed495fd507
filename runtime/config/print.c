/* SPDX-License-Identifier: Apache-2.0 */
/* The effective configuration as TOML: what `zcpd --check` shows, and what parses again. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/units.h"
#include "runtime/config/config.h"
#include "runtime/config/schema.h"

/* Comments begin here. */
#define COMMENT_COLUMN 32

/* Returns how many columns it took, as all of these. */
static int print_string(const char *text, FILE *file)
{
	int length = 2;

	fputc('"', file);
	for (; *text != '\0'; text++) {
		bool escape = *text == '"' || *text == '\\';

		length += fprintf(file, "%s%c", escape ? "\\" : "", *text);
	}
	fputc('"', file);
	return length;
}

static int print_time(const struct zcpd_config_key *key, uint64_t time_ns, FILE *file)
{
	char text[ZCP_UNITS_TEXT_SIZE];

	if ((key->flags & ZCPD_CONFIG_OR_NEVER) && time_ns == ZCPD_CONFIG_NEVER)
		return print_string("never", file);
	return print_string(zcp_units_format_time(text, time_ns), file);
}

static int print_class(const struct zcpd_class_config *class, FILE *file)
{
	char size[ZCP_UNITS_TEXT_SIZE];

	return fprintf(file, "\t{ size = \"%s\", count = %" PRIu32 " },\n",
		       zcp_units_format_size(size, class->size), class->count);
}

static int print_value(const struct zcpd_config_key *key, const void *base, FILE *file)
{
	const void *field = zcpd_config_const_field(key, base);
	const struct zcpd_pool_config *pool = base;
	char text[ZCP_UNITS_TEXT_SIZE];

	switch (key->kind) {
	case ZCPD_CONFIG_COUNT:
		return fprintf(file, "%" PRIu32, *(const uint32_t *)field);
	case ZCPD_CONFIG_SIZE:
		return print_string(zcp_units_format_size(text, *(const uint64_t *)field), file);
	case ZCPD_CONFIG_TIME:
		return print_time(key, *(const uint64_t *)field, file);
	case ZCPD_CONFIG_BOOLEAN:
		return fprintf(file, "%s", *(const bool *)field ? "true" : "false");
	case ZCPD_CONFIG_CHOICE:
		return print_string(key->choices[*(const uint32_t *)field], file);
	case ZCPD_CONFIG_STRING:
		return print_string(*(char *const *)field, file);
	case ZCPD_CONFIG_CLASSES:
		fputs("[\n", file);
		for (uint32_t i = 0; i < pool->n_classes; i++)
			print_class(&pool->classes[i], file);
		return fprintf(file, "]");
	}
	return 0;
}

/* The keys of one section; those with one of the flags in `left_out` do not belong there. */
static void print_keys(const struct zcpd_config_schema *schema, const void *base,
		       unsigned int left_out, bool with_help, FILE *file)
{
	for (size_t i = 0; i < schema->n_keys; i++) {
		const struct zcpd_config_key *key = &schema->keys[i];
		const void *field = zcpd_config_const_field(key, base);
		int column;

		if (key->flags & left_out)
			continue;
		if (key->kind == ZCPD_CONFIG_STRING && !*(char *const *)field)
			continue; /* not set is said by not saying it */
		column = fprintf(file, "%s = ", key->name);
		column += print_value(key, base, file);
		if (with_help)
			fprintf(file, "%*s# %s",
				column < COMMENT_COLUMN ? COMMENT_COLUMN - column : 1, "",
				key->help);
		fputc('\n', file);
	}
}

static void print_header(const char *section, const char *name, FILE *file)
{
	fprintf(file, "\n[%s.", section);
	print_string(name, file);
	fputs("]\n", file);
}

int zcpd_config_print(const struct zcpd_config *config, FILE *file)
{
	fputs("[runtime]\n", file);
	print_keys(&zcpd_config_runtime_schema, &config->runtime, 0, true, file);
	fputs("\n[defaults]\n", file);
	print_keys(&zcpd_config_topic_schema, &config->defaults, ZCPD_CONFIG_TOPIC_ONLY, true,
		   file);
	for (size_t i = 0; i < config->n_pools; i++) {
		print_header("pool", config->pools[i].name, file);
		print_keys(&zcpd_config_pool_schema, &config->pools[i], 0, false, file);
	}
	for (size_t i = 0; i < config->n_topics; i++) {
		struct zcpd_topic_config topic;

		zcpd_config_topic(config, config->topics[i].name, &topic);
		print_header("topic", config->topics[i].name, file);
		print_keys(&zcpd_config_topic_schema, &topic, 0, false, file);
	}
	return fflush(file) != 0 || ferror(file) ? -EIO : 0;
}
