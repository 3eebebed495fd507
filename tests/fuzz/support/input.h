/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzzer's input, read as a text of commands: a letter, then its arguments. So seeds can be
 * written and crashes be read by people, while any bytes whatsoever mean something: what is no
 * command stands for one, and what is no number for its byte.
 *
 *   blanks, ends of lines   nothing
 *   # to the end of a line  a comment
 *   12  x7f  -1             numbers
 *   w and eight bytes       a number, little-endian
 */
#ifndef ZCP_FUZZ_INPUT_H
#define ZCP_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zcp_fuzz_input {
	const uint8_t *at;
	const uint8_t *end;
};

/* One of `letters`, or 0 at the end. */
char zcp_fuzz_command(struct zcp_fuzz_input *input, const char *letters);

/* Whether `letter` comes next; then it has been read. */
bool zcp_fuzz_begins_with(struct zcp_fuzz_input *input, char letter);

/* 0 at the end. */
uint8_t zcp_fuzz_byte(struct zcp_fuzz_input *input);
uint64_t zcp_fuzz_number(struct zcp_fuzz_input *input);

/* A number below `n`. */
uint32_t zcp_fuzz_below(struct zcp_fuzz_input *input, uint32_t n);

#endif
