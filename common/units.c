/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes and times: one table of units each, used in both directions. */
#include "common/units.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
	bool printed;
};

/* From the smallest to the largest: the last that gives an integer is printed. */
static const struct unit sizes[] = {
	{ "B", 1, false },
	{ "kB", 1000, true },
	{ "KB", 1000, false },
	{ "KiB", 1ull << 10, true },
	{ "MB", 1000 * 1000, true },
	{ "MiB", 1ull << 20, true },
	{ "GB", 1000 * 1000 * 1000, true },
	{ "GiB", 1ull << 30, true },
	{ "TB", 1000ull * 1000 * 1000 * 1000, true },
	{ "TiB", 1ull << 40, true },
	{ NULL, 0, false },
};

static const struct unit times[] = {
	{ "ns", 1, true },
	{ "us", 1000, true },
	{ "ms", 1000 * 1000, true },
	{ "s", 1000 * 1000 * 1000, true },
	{ "min", 60ull * 1000 * 1000 * 1000, true },
	{ "h", 3600ull * 1000 * 1000 * 1000, true },
	{ NULL, 0, false },
};

static int parse(const char *text, const struct unit *units, bool needs_unit, uint64_t *out)
{
	const char *s = text;
	uint64_t number = 0, factor = 0;

	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*s - '0'), &number))
			return ZCP_UNITS_E_OVERFLOW;
	if (s == text)
		return ZCP_UNITS_E_NUMBER;
	if (*s == ' ')
		s++;
	if (*s == '\0' && needs_unit)
		return ZCP_UNITS_E_NO_UNIT;
	if (*s == '\0' && s[-1] != ' ')
		factor = 1;
	for (; factor == 0 && units->name; units++)
		if (strcmp(units->name, s) == 0)
			factor = units->factor;
	if (factor == 0)
		return ZCP_UNITS_E_UNIT;
	if (__builtin_mul_overflow(number, factor, &number))
		return ZCP_UNITS_E_OVERFLOW;
	*out = number;
	return 0;
}

int zcp_units_parse_size(const char *text, uint64_t *out)
{
	return parse(text, sizes, false, out);
}

int zcp_units_parse_time(const char *text, uint64_t *out)
{
	return parse(text, times, true, out);
}

static const char *format(char *out, const struct unit *units, uint64_t number)
{
	const struct unit *best = NULL;

	for (; units->name; units++)
		if (units->printed && number % units->factor == 0)
			best = units;
	if (number == 0 || !best)
		snprintf(out, ZCP_UNITS_TEXT_SIZE, "%" PRIu64, number);
	else
		snprintf(out, ZCP_UNITS_TEXT_SIZE, "%" PRIu64 "%s", number / best->factor,
			 best->name);
	return out;
}

const char *zcp_units_format_size(char out[ZCP_UNITS_TEXT_SIZE], uint64_t size)
{
	return format(out, sizes, size);
}

const char *zcp_units_format_time(char out[ZCP_UNITS_TEXT_SIZE], uint64_t time_ns)
{
	return format(out, times, time_ns);
}
