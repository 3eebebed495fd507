/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the configuration share. */
#ifndef ZCP_TESTS_CONFIG_HELPERS_H
#define ZCP_TESTS_CONFIG_HELPERS_H

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/config/config.h"

#define config_cleanup __attribute__((cleanup(zcpd_config_freep)))

#define ONE_POOL "[pool.p]\nclasses = [ { size = 64, count = 1 } ]\n"

static inline struct zcpd_config *parse(const char *text)
{
	struct zcpd_config *config = NULL;
	struct zcpd_config_error error = { 0 };
	int result = zcpd_config_parse(&config, text, strlen(text), "zcp.toml", &error);

	cr_assert(result == 0, "%s in:\n%s", error.text, text);
	return config;
}

struct refused {
	const char *text;
	const char *sentence; /* behind "zcp.toml:" */
};

static inline void expect_refused(const struct refused *cases, size_t n_cases)
{
	for (size_t i = 0; i < n_cases; i++) {
		struct zcpd_config *config = NULL;
		struct zcpd_config_error error = { 0 };
		char expected[512], place[64];
		int result = zcpd_config_parse(&config, cases[i].text, strlen(cases[i].text),
					       "zcp.toml", &error);

		snprintf(expected, sizeof(expected), "zcp.toml:%s", cases[i].sentence);
		snprintf(place, sizeof(place), "zcp.toml:%u:%u: ", error.line, error.column);
		cr_assert(result == -EINVAL, "taken:\n%s", cases[i].text);
		cr_assert_null(config);
		cr_expect_str_eq(error.text, expected);
		cr_expect(strncmp(error.text, place, strlen(place)) == 0, "%s is not %s",
			  error.text, place);
	}
}

#define EXPECT_REFUSED(cases) expect_refused(cases, sizeof(cases) / sizeof((cases)[0]))

#endif
