/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as a configuration: it is refused with a sentence and a place, or it is printed as
 * something that parses to the same again.
 */
#include "runtime/config/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zcp/node.h>

#include "runtime/config/schema.h"
#include "runtime/config/toml/toml.h"
#include "tests/support/check.h"

#define FILE_NAME "fuzz.toml"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_same_string(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool is_same_member(const struct zcpd_config_key *key, const void *a, const void *b)
{
	const void *x = zcpd_config_const_field(key, a), *y = zcpd_config_const_field(key, b);

	switch (key->kind) {
	case ZCPD_CONFIG_COUNT:
	case ZCPD_CONFIG_CHOICE:
		return *(const uint32_t *)x == *(const uint32_t *)y;
	case ZCPD_CONFIG_SIZE:
	case ZCPD_CONFIG_TIME:
		return *(const uint64_t *)x == *(const uint64_t *)y;
	case ZCPD_CONFIG_BOOLEAN:
		return *(const bool *)x == *(const bool *)y;
	case ZCPD_CONFIG_STRING:
		return is_same_string(*(char *const *)x, *(char *const *)y);
	case ZCPD_CONFIG_CLASSES:
		break;
	}
	return true;
}

static void check_same(const struct zcpd_config_schema *schema, const void *a, const void *b)
{
	for (size_t i = 0; i < schema->n_keys; i++)
		ZCP_CHECK(is_same_member(&schema->keys[i], a, b));
}

/* What holds for one topic. */
static void check_topic(const struct zcpd_config *a, const struct zcpd_config *b, const char *name)
{
	struct zcpd_topic_config x, y;

	zcpd_config_topic(a, name, &x);
	zcpd_config_topic(b, name, &y);
	check_same(&zcpd_config_topic_schema, &x, &y);
	ZCP_CHECK(x.max_depth >= x.depth);
	ZCP_CHECK(!x.pool || zcpd_config_pool(a, x.pool));
}

static void check_pool(const struct zcpd_pool_config *a, const struct zcpd_pool_config *b)
{
	ZCP_CHECK(strcmp(a->name, b->name) == 0);
	check_same(&zcpd_config_pool_schema, a, b);
	ZCP_CHECK(a->n_classes == b->n_classes && a->n_classes > 0);
	for (uint32_t i = 0; i < a->n_classes; i++) {
		check_same(&zcpd_config_class_schema, &a->classes[i], &b->classes[i]);
		ZCP_CHECK(i == 0 || a->classes[i].size > a->classes[i - 1].size);
	}
}

static void check_topics(const struct zcpd_config *a, const struct zcpd_config *b)
{
	/* Names that no section has: one segment, many, and as long as they can be. */
	static const char *const names[] = { "q", "q/r/s", "/", "//" };
	char name[ZCP_TOPIC_NAME_MAX + 1];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check_topic(a, b, names[i]);
	memset(name, '/', sizeof(name));
	name[ZCP_TOPIC_NAME_MAX] = 0;
	check_topic(a, b, name);
	for (size_t i = 0; i < a->n_topics; i++) {
		ZCP_CHECK(strcmp(a->topics[i].name, b->topics[i].name) == 0);
		check_topic(a, b, a->topics[i].name);
		/* One that a wildcard stands for. */
		(void)strcpy(name, a->topics[i].name);
		name[strlen(name) - 1] = 'q';
		check_topic(a, b, name);
	}
}

static char *print(const struct zcpd_config *config, size_t *size)
{
	char *text = NULL;
	FILE *file = open_memstream(&text, size);

	ZCP_CHECK(file);
	ZCP_CHECK(zcpd_config_print(config, file) == 0);
	ZCP_CHECK(fclose(file) == 0);
	return text;
}

static void check_again(const struct zcpd_config *config)
{
	struct zcpd_config_error error;
	struct zcpd_config *again = NULL;
	size_t size, size_again;
	char *text = print(config, &size), *text_again;
	int r = zcpd_config_parse(&again, text, size, FILE_NAME, &error);

	/* What is printed has all keys, and so may be too large for the parser. */
	if (r == -EFBIG) {
		free(text);
		return;
	}
	if (r < 0)
		(void)fprintf(stderr, "%s in:\n%s\n", error.text, text);
	ZCP_CHECK(r == 0);
	check_same(&zcpd_config_runtime_schema, &config->runtime, &again->runtime);
	check_same(&zcpd_config_topic_schema, &config->defaults, &again->defaults);
	ZCP_CHECK(config->n_pools == again->n_pools && config->n_topics == again->n_topics);
	for (size_t i = 0; i < config->n_pools; i++)
		check_pool(&config->pools[i], &again->pools[i]);
	check_topics(config, again);
	text_again = print(again, &size_again);
	ZCP_CHECK(size_again == size && memcmp(text, text_again, size) == 0);
	free(text);
	free(text_again);
	zcpd_config_free(again);
}

static uint32_t count_lines(const char *text, size_t size)
{
	uint32_t n = 1;

	for (size_t i = 0; i < size; i++)
		n += text[i] == '\n';
	return n;
}

/* The place is in the text, and the sentence begins with it. */
static void check_error(const struct zcpd_config_error *error, const char *text, size_t size)
{
	char place[64];

	ZCP_CHECK(memchr(error->text, 0, sizeof(error->text)));
	(void)snprintf(place, sizeof(place), "%s:%u:%u: ", FILE_NAME, error->line, error->column);
	ZCP_CHECK(strncmp(error->text, place, strlen(place)) == 0);
	ZCP_CHECK(strlen(error->text) > strlen(place));
	ZCP_CHECK(error->line >= 1 && error->line <= count_lines(text, size));
	ZCP_CHECK(error->column >= 1 && error->column <= size + 1);
	/* People read it on a terminal. */
	for (const char *c = error->text; *c; c++)
		ZCP_CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct zcpd_config_error error;
	struct zcpd_config *config = NULL;
	/* Of exactly its size, so that what reads behind it is seen. */
	char *text = malloc(size);
	int r;

	ZCP_CHECK(text || size == 0);
	if (size > 0)
		memcpy(text, data, size);
	memset(&error, 0xa5, sizeof(error));
	r = zcpd_config_parse(&config, text, size, FILE_NAME, &error);
	if (r == 0) {
		check_again(config);
		zcpd_config_free(config);
	} else {
		ZCP_CHECK(r == (size > ZCPD_TOML_MAX_SIZE ? -EFBIG : -EINVAL));
		ZCP_CHECK(!config);
		check_error(&error, text, size);
	}
	free(text);
	return 0;
}
