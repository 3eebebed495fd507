/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser's cursor over the input, and what is read with it without knowing of tables: blanks,
 * comments, ends of lines, keys, strings, numbers. Nothing is ever read at or behind `end`.
 */
#ifndef ZCPD_CONFIG_TOML_READER_H
#define ZCPD_CONFIG_TOML_READER_H

#include "runtime/config/toml/toml.h"

struct zcpd_toml_reader {
	const char *at;
	const char *end;
	/* Where `mark` is in lines and columns; it follows `at`, so that counting stays linear. */
	const char *mark;
	struct zcpd_toml_position mark_at;
	struct zcpd_toml_error *error;
};

/* A string that is being put together, or a key. */
struct zcpd_toml_text {
	char *data;
	size_t size;
	size_t room;
};

void zcpd_toml_text_deinit(struct zcpd_toml_text *text);

/* Line and column of the cursor. */
struct zcpd_toml_position zcpd_toml_reader_here(struct zcpd_toml_reader *r);

/* Fills the error and returns -EINVAL. */
__attribute__((format(printf, 3, 4))) int
zcpd_toml_fail(struct zcpd_toml_reader *r, struct zcpd_toml_position at, const char *format, ...);

/* Fills the error and returns -ENOMEM. */
int zcpd_toml_fail_memory(struct zcpd_toml_reader *r);

/* Fills the error with "`expected`, found what is at the cursor" and returns -EINVAL. */
int zcpd_toml_fail_found(struct zcpd_toml_reader *r, const char *expected);

/* The character at the cursor as an unsigned char, or -1 at the end of the input. */
static inline int zcpd_toml_peek(const struct zcpd_toml_reader *r)
{
	return r->at < r->end ? (unsigned char)*r->at : -1;
}

/* Whether the input goes on with `word`. */
bool zcpd_toml_starts_with(const struct zcpd_toml_reader *r, const char *word);

/* Whether the input is UTF-8 throughout; the error points at the first character that is not. */
__attribute__((warn_unused_result)) int zcpd_toml_check_utf8(struct zcpd_toml_reader *r);

/* Skips blanks and tabs. */
void zcpd_toml_skip_blanks(struct zcpd_toml_reader *r);

/* Skips an end of line, LF or CRLF. False if there is none. */
bool zcpd_toml_skip_newline(struct zcpd_toml_reader *r);

/* Skips blanks and a comment, but not the end of the line. */
__attribute__((warn_unused_result)) int zcpd_toml_skip_comment(struct zcpd_toml_reader *r);

/* Skips everything that may stand between two values of an array. */
__attribute__((warn_unused_result)) int zcpd_toml_skip_lines(struct zcpd_toml_reader *r);

/* Reads one part of a key, bare or quoted, into an empty text. */
__attribute__((warn_unused_result)) int zcpd_toml_read_key(struct zcpd_toml_reader *r,
							   struct zcpd_toml_text *key);

/* Reads a string of any of the four kinds; the cursor is on its first quote. */
__attribute__((warn_unused_result)) int zcpd_toml_read_string(struct zcpd_toml_reader *r,
							      struct zcpd_toml_text *text);

/*
 * Reads what is written without quotes or brackets - a boolean or a number - into `value`. On
 * failure the value is unchanged.
 */
__attribute__((warn_unused_result)) int zcpd_toml_read_word(struct zcpd_toml_reader *r,
							    struct zcpd_toml_value *value);

#endif
