/* SPDX-License-Identifier: Apache-2.0 */
/* The cursor: positions, errors, UTF-8, blanks, comments and keys. */
#include "runtime/config/toml/reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct zcpd_toml_position zcpd_toml_reader_here(struct zcpd_toml_reader *r)
{
	for (; r->mark < r->at; r->mark++) {
		unsigned char c = (unsigned char)*r->mark;

		if (c == '\n') {
			r->mark_at.line++;
			r->mark_at.column = 1;
		} else if ((c & 0xc0) != 0x80) {
			r->mark_at.column++;
		}
	}
	return r->mark_at;
}

int zcpd_toml_fail(struct zcpd_toml_reader *r, struct zcpd_toml_position at, const char *format,
		   ...)
{
	va_list args;

	r->error->at = at;
	va_start(args, format);
	vsnprintf(r->error->text, sizeof(r->error->text), format, args);
	va_end(args);
	return -EINVAL;
}

int zcpd_toml_fail_memory(struct zcpd_toml_reader *r)
{
	zcpd_toml_fail(r, zcpd_toml_reader_here(r), "out of memory");
	return -ENOMEM;
}

/* The length of the character at `text`; 0 if it is not one that UTF-8 allows, or cut short. */
static size_t utf8_length(const char *text, size_t size)
{
	const unsigned char *s = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xbf; /* what the second byte may be */
	size_t length;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (length > size)
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0; /* shorter forms exist below */
	else if (s[0] == 0xed)
		high = 0x9f; /* surrogates above */
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f; /* U+10FFFF is the last */
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

int zcpd_toml_check_utf8(struct zcpd_toml_reader *r)
{
	const char *start = r->at;
	size_t length;

	for (; r->at < r->end; r->at += length) {
		length = utf8_length(r->at, (size_t)(r->end - r->at));
		if (length == 0)
			return zcpd_toml_fail(r, zcpd_toml_reader_here(r),
					      "byte 0x%02x is not UTF-8: save the file as UTF-8",
					      (unsigned char)*r->at);
	}
	r->at = start;
	return 0;
}

int zcpd_toml_fail_found(struct zcpd_toml_reader *r, const char *expected)
{
	struct zcpd_toml_position here = zcpd_toml_reader_here(r);
	int c = zcpd_toml_peek(r);

	if (c < 0)
		return zcpd_toml_fail(r, here, "%s, found the end of the file", expected);
	if (c == '\n' || zcpd_toml_starts_with(r, "\r\n"))
		return zcpd_toml_fail(r, here, "%s, found the end of the line", expected);
	if (c < 0x20 || c == 0x7f)
		return zcpd_toml_fail(r, here, "%s, found the control character U+%04X", expected,
				      (unsigned int)c);
	return zcpd_toml_fail(r, here, "%s, found '%.*s'", expected,
			      (int)utf8_length(r->at, (size_t)(r->end - r->at)), r->at);
}

bool zcpd_toml_starts_with(const struct zcpd_toml_reader *r, const char *word)
{
	size_t length = strlen(word);

	return (size_t)(r->end - r->at) >= length && memcmp(r->at, word, length) == 0;
}

void zcpd_toml_skip_blanks(struct zcpd_toml_reader *r)
{
	while (zcpd_toml_peek(r) == ' ' || zcpd_toml_peek(r) == '\t')
		r->at++;
}

bool zcpd_toml_skip_newline(struct zcpd_toml_reader *r)
{
	if (zcpd_toml_peek(r) == '\n')
		r->at++;
	else if (zcpd_toml_starts_with(r, "\r\n"))
		r->at += 2;
	else
		return false;
	return true;
}

int zcpd_toml_skip_comment(struct zcpd_toml_reader *r)
{
	zcpd_toml_skip_blanks(r);
	if (zcpd_toml_peek(r) != '#')
		return 0;
	for (; r->at < r->end && *r->at != '\n' && !zcpd_toml_starts_with(r, "\r\n"); r->at++) {
		int c = zcpd_toml_peek(r);

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return zcpd_toml_fail(r, zcpd_toml_reader_here(r),
					      "control character U+%04X in a comment: remove it",
					      (unsigned int)c);
	}
	return 0;
}

int zcpd_toml_skip_lines(struct zcpd_toml_reader *r)
{
	int error;

	do {
		error = zcpd_toml_skip_comment(r);
		if (error < 0)
			return error;
	} while (zcpd_toml_skip_newline(r));
	return 0;
}
