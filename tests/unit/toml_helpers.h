/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the TOML parser share. */
#ifndef ZCP_TESTS_TOML_HELPERS_H
#define ZCP_TESTS_TOML_HELPERS_H

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/config/toml/toml.h"

#define toml_cleanup __attribute__((cleanup(zcpd_toml_freep)))

/* Of exactly the size that is parsed, so that a sanitizer sees what reads too far. */
static inline int parse_bytes(struct zcpd_toml_value **rootp, const char *text, size_t size,
			      struct zcpd_toml_error *error)
{
	char *copy = malloc(size > 0 ? size : 1);
	int result;

	cr_assert_not_null(copy);
	memcpy(copy, text, size);
	result = zcpd_toml_parse(rootp, copy, size, error);
	free(copy);
	return result;
}

static inline struct zcpd_toml_value *parse(const char *text)
{
	struct zcpd_toml_value *root = NULL;
	struct zcpd_toml_error error = { 0 };
	int result = parse_bytes(&root, text, strlen(text), &error);

	cr_assert(result == 0, "%u:%u: %s in:\n%s", error.at.line, error.at.column, error.text,
		  text);
	return root;
}

struct refused {
	const char *text;
	uint32_t line;
	uint32_t column;
	const char *sentence;
};

static inline void expect_refused(const struct refused *cases, size_t n_cases)
{
	for (size_t i = 0; i < n_cases; i++) {
		struct zcpd_toml_value *root = NULL;
		struct zcpd_toml_error error = { 0 };
		int result = parse_bytes(&root, cases[i].text, strlen(cases[i].text), &error);

		cr_assert(result == -EINVAL, "taken:\n%s", cases[i].text);
		cr_assert_null(root);
		cr_expect(error.at.line == cases[i].line && error.at.column == cases[i].column,
			  "at %u:%u, not at %u:%u:\n%s", error.at.line, error.at.column,
			  cases[i].line, cases[i].column, cases[i].text);
		cr_expect_str_eq(error.text, cases[i].sentence);
	}
}

#define EXPECT_REFUSED(cases) expect_refused(cases, sizeof(cases) / sizeof((cases)[0]))

/* A value by the keys that lead to it, which must exist. */
static inline const struct zcpd_toml_value *at(const struct zcpd_toml_value *value,
					       const char *path)
{
	char buffer[64];
	char *rest = buffer;

	snprintf(buffer, sizeof(buffer), "%s", path);
	for (const char *key; (key = strsep(&rest, "/"));) {
		cr_assert_eq(value->kind, ZCPD_TOML_TABLE, "%s", path);
		value = zcpd_toml_get(value, key);
		cr_assert_not_null(value, "%s", path);
	}
	return value;
}

static inline int64_t integer_at(const struct zcpd_toml_value *root, const char *path)
{
	const struct zcpd_toml_value *value = at(root, path);

	cr_assert_eq(value->kind, ZCPD_TOML_INTEGER, "%s", path);
	return value->integer;
}

/* The n-th value of an array, from 0. */
static inline const struct zcpd_toml_value *nth(const struct zcpd_toml_value *array, size_t n)
{
	const struct zcpd_toml_value *value;

	cr_assert_eq(array->kind, ZCPD_TOML_ARRAY);
	cr_assert_lt(n, zcpd_toml_n_values(array));
	for (value = zcpd_toml_first(array); n > 0; n--)
		value = value->next;
	return value;
}

#endif
