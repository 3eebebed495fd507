/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sizes and times as people write them: "8MiB", "64KiB", "1GB", "512"; "10ms", "5min", "100ns".
 * An integer, and a unit right behind it or after a blank.
 */
#ifndef ZCP_COMMON_UNITS_H
#define ZCP_COMMON_UNITS_H

#include <stddef.h>
#include <stdint.h>

/* Expected outcomes. */
enum {
	ZCP_UNITS_E_NUMBER = 1, /* does not begin with a number */
	ZCP_UNITS_E_UNIT,       /* ends with something that is no unit of this kind */
	ZCP_UNITS_E_NO_UNIT,    /* a time without a unit */
	ZCP_UNITS_E_OVERFLOW,   /* more than 64 bits of bytes or nanoseconds */
};

#define ZCP_UNITS_TEXT_SIZE 32

/* For messages. */
#define ZCP_UNITS_SIZES "B, KiB, MiB, GiB, TiB (1024 each), kB, MB, GB, TB (1000 each)"
#define ZCP_UNITS_TIMES "ns, us, ms, s, min, h"

/* Bytes. 0 or ZCP_UNITS_E_*. */
__attribute__((warn_unused_result)) int zcp_units_parse_size(const char *text, uint64_t *out);

/* Nanoseconds. 0 or ZCP_UNITS_E_*. */
__attribute__((warn_unused_result)) int zcp_units_parse_time(const char *text, uint64_t *out);

/* In the largest unit that gives an integer, bytes without a unit. Returns `out`. */
const char *zcp_units_format_size(char out[ZCP_UNITS_TEXT_SIZE], uint64_t size);

/* In the largest unit that gives an integer. Returns `out`. */
const char *zcp_units_format_time(char out[ZCP_UNITS_TEXT_SIZE], uint64_t time_ns);

#endif
