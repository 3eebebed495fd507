/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes, times and suggestions: what stands in a configuration, seen without one. */
#include "common/units.h"

#include <criterion/criterion.h>

#include "common/suggest.h"

#define MS (1000ull * 1000)
#define SECOND (1000 * MS)
#define MIB (1ull << 20)

Test(config, suggestions_are_near_or_not_made)
{
	static const struct {
		const char *written;
		const char *nearest; /* of loans, depth, max_depth */
	} cases[] = {
		{ "loan", "loans" },
		{ "laons", "loans" },
		{ "LOANS", "loans" },
		{ "maxdepth", "max_depth" },
		{ "max-depht", "max_depth" },
		{ "deep", NULL },
		{ "", NULL },
		{ "x", NULL },
		{ "history", NULL },
		{ "a_word_that_is_much_longer_than_any_word_for_which_it_would_be_meant", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct zcp_suggestion suggestion = zcp_suggestion_for(cases[i].written);

		zcp_suggestion_offer(&suggestion, "loans");
		zcp_suggestion_offer(&suggestion, "depth");
		zcp_suggestion_offer(&suggestion, "max_depth");
		if (cases[i].nearest)
			cr_expect_str_eq(suggestion.best, cases[i].nearest);
		else
			cr_expect_null(suggestion.best, "%s", cases[i].written);
	}
}

Test(config, sizes_are_parsed_and_printed_in_their_units)
{
	static const struct {
		const char *text;
		uint64_t size;
		const char *printed;
	} cases[] = {
		{ "0", 0, "0" },
		{ "512", 512, "512" },
		{ "512B", 512, "512" },
		{ "1 KiB", 1024, "1KiB" },
		{ "64KiB", 65536, "64KiB" },
		{ "1024KiB", MIB, "1MiB" },
		{ "8MiB", 8 * MIB, "8MiB" },
		{ "16GiB", 16ull << 30, "16GiB" },
		{ "1000KiB", 1024000, "1000KiB" },
		{ "1001", 1001, "1001" },
		{ "3TiB", 3ull << 40, "3TiB" },
		{ "2kB", 2000, "2kB" },
		{ "2KB", 2000, "2kB" },
		{ "3MB", 3000000, "3MB" },
		{ "1GB", 1000000000, "1GB" },
		{ "1TB", 1000000000000, "1TB" },
		{ "18446744073709551615", UINT64_MAX, "18446744073709551615" },
	};
	char printed[ZCP_UNITS_TEXT_SIZE];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t size = 1;

		cr_expect_eq(zcp_units_parse_size(cases[i].text, &size), 0, "%s", cases[i].text);
		cr_expect_eq(size, cases[i].size, "%s", cases[i].text);
		cr_expect_str_eq(zcp_units_format_size(printed, size), cases[i].printed);
	}
}

Test(config, times_are_parsed_and_printed_in_their_units)
{
	static const struct {
		const char *text;
		uint64_t time_ns;
		const char *printed;
	} cases[] = {
		{ "0s", 0, "0" },
		{ "100ns", 100, "100ns" },
		{ "250us", 250000, "250us" },
		{ "10ms", 10 * MS, "10ms" },
		{ "10 ms", 10 * MS, "10ms" },
		{ "1s", SECOND, "1s" },
		{ "90s", 90 * SECOND, "90s" },
		{ "5min", 300 * SECOND, "5min" },
		{ "60min", 3600 * SECOND, "1h" },
		{ "1500us", 1500000, "1500us" },
	};
	char printed[ZCP_UNITS_TEXT_SIZE];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t time_ns = 1;

		cr_expect_eq(zcp_units_parse_time(cases[i].text, &time_ns), 0, "%s", cases[i].text);
		cr_expect_eq(time_ns, cases[i].time_ns, "%s", cases[i].text);
		cr_expect_str_eq(zcp_units_format_time(printed, time_ns), cases[i].printed);
	}
}

Test(config, units_in_wrong_form_say_what_is_wrong)
{
	static const struct {
		const char *text;
		int size;
		int time;
	} cases[] = {
		{ "", ZCP_UNITS_E_NUMBER, ZCP_UNITS_E_NUMBER },
		{ " 1s", ZCP_UNITS_E_NUMBER, ZCP_UNITS_E_NUMBER },
		{ "-1", ZCP_UNITS_E_NUMBER, ZCP_UNITS_E_NUMBER },
		{ "MiB", ZCP_UNITS_E_NUMBER, ZCP_UNITS_E_NUMBER },
		{ "1", 0, ZCP_UNITS_E_NO_UNIT },
		{ "1 ", ZCP_UNITS_E_UNIT, ZCP_UNITS_E_NO_UNIT },
		{ "1.5", ZCP_UNITS_E_UNIT, ZCP_UNITS_E_UNIT },
		{ "1mib", ZCP_UNITS_E_UNIT, ZCP_UNITS_E_UNIT },
		{ "1  B", ZCP_UNITS_E_UNIT, ZCP_UNITS_E_UNIT },
		{ "1B ", ZCP_UNITS_E_UNIT, ZCP_UNITS_E_UNIT },
		{ "18446744073709551616", ZCP_UNITS_E_OVERFLOW, ZCP_UNITS_E_OVERFLOW },
		{ "18446744073709551615ms", ZCP_UNITS_E_UNIT, ZCP_UNITS_E_OVERFLOW },
		{ "16777216TiB", ZCP_UNITS_E_OVERFLOW, ZCP_UNITS_E_UNIT },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 42;

		cr_expect_eq(zcp_units_parse_size(cases[i].text, &value), cases[i].size, "'%s'",
			     cases[i].text);
		if (cases[i].size != 0)
			cr_expect_eq(value, 42);
		cr_expect_eq(zcp_units_parse_time(cases[i].text, &value), cases[i].time, "'%s'",
			     cases[i].text);
	}
}
