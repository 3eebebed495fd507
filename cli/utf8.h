/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names come from other programs. What is printed of them is valid UTF-8 and moves no cursor.
 */
#ifndef ZCP_CLI_UTF8_H
#define ZCP_CLI_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLI_UTF8_REPLACEMENT 0xfffd

/* Longest character, bytes. */
#define CLI_UTF8_SIZE 4

/*
 * The next character of a text, and *text behind it; the replacement character for a byte
 * that begins none. 0 at the end.
 */
uint32_t cli_utf8_next(const char **text);

/* Encodes a character of cli_utf8_next(); returns how many bytes. */
size_t cli_utf8_encode(uint32_t character, char out[CLI_UTF8_SIZE]);

/* Columns that a terminal shows it in: 2 for most of Chinese, Japanese, Korean, 0 for accents. */
unsigned int cli_utf8_width(uint32_t character);

/* Whether a terminal would act on it. */
bool cli_utf8_is_control(uint32_t character);

/* Writes '?' over each byte of those in a text, but for newlines and tabs. */
void cli_utf8_make_printable(char *text);

#endif
