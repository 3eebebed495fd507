/* SPDX-License-Identifier: Apache-2.0 */
/* Strings of all four kinds, and keys, which are words or strings of the two short kinds. */
#include "runtime/config/toml/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How one string is written. */
struct quoting {
	struct zcpd_toml_position at; /* of the opening quotes */
	char quote;                   /* '"' has escapes, '\'' has none */
	bool multi_line;
};

void zcpd_toml_text_deinit(struct zcpd_toml_text *text)
{
	free(text->data);
	*text = (struct zcpd_toml_text){ 0 };
}

/* Keeps one byte free for the NUL at the end, which is always there. */
static int append(struct zcpd_toml_reader *r, struct zcpd_toml_text *text, const char *data,
		  size_t size)
{
	if (text->room - text->size <= size) {
		size_t room = (text->room + size) * 2 < 16 ? 16 : (text->room + size) * 2;
		char *grown = realloc(text->data, room);

		if (!grown)
			return zcpd_toml_fail_memory(r);
		text->data = grown;
		text->room = room;
	}
	if (size > 0)
		memcpy(text->data + text->size, data, size);
	text->size += size;
	text->data[text->size] = '\0';
	return 0;
}

static int append_code_point(struct zcpd_toml_reader *r, struct zcpd_toml_text *text, uint32_t code)
{
	char utf8[4];
	size_t size;

	if (code < 0x80) {
		utf8[0] = (char)code;
		return append(r, text, utf8, 1);
	}
	size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	for (size_t i = size - 1; i > 0; i--) {
		utf8[i] = (char)(0x80 | (code & 0x3f));
		code >>= 6;
	}
	utf8[0] = (char)((0xf00u >> size) | code);
	return append(r, text, utf8, size);
}

/* \uXXXX and \UXXXXXXXX; the cursor is behind the letter. */
static int read_unicode_escape(struct zcpd_toml_reader *r, struct zcpd_toml_text *text,
			       int n_digits, struct zcpd_toml_position at)
{
	uint32_t code = 0;

	for (int i = 0; i < n_digits; i++, r->at++) {
		int c = zcpd_toml_peek(r);

		if (c >= '0' && c <= '9')
			c -= '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			c = (c | 0x20) - 'a' + 10;
		else
			return zcpd_toml_fail(r, at, "the escape needs %d hexadecimal digits",
					      n_digits);
		code = code << 4 | (uint32_t)c;
	}
	if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return zcpd_toml_fail(r, at, "U+%04X is not a character of Unicode", code);
	return append_code_point(r, text, code);
}

/* A backslash at the end of a line: everything up to the next visible character is skipped. */
static bool skip_continuation(struct zcpd_toml_reader *r)
{
	const char *start = r->at;
	bool newline = false;

	for (;;) {
		zcpd_toml_skip_blanks(r);
		if (!zcpd_toml_skip_newline(r))
			break;
		newline = true;
	}
	if (!newline)
		r->at = start;
	return newline;
}

/* The cursor is on a backslash. */
static int read_escape(struct zcpd_toml_reader *r, struct zcpd_toml_text *text,
		       const struct quoting *quoting)
{
	static const char letters[] = "btnfr\"\\";
	static const char meanings[] = "\b\t\n\f\r\"\\";
	struct zcpd_toml_position at = zcpd_toml_reader_here(r);
	const char *letter;
	int c;

	r->at++;
	if (quoting->multi_line && skip_continuation(r))
		return 0;
	c = zcpd_toml_peek(r);
	letter = c > 0 ? strchr(letters, c) : NULL;
	if (letter) {
		r->at++;
		return append(r, text, &meanings[letter - letters], 1);
	}
	if (c == 'u' || c == 'U') {
		r->at++;
		return read_unicode_escape(r, text, c == 'u' ? 4 : 8, at);
	}
	if (c < 0x21 || c > 0x7e)
		return zcpd_toml_fail(r, at,
				      "a backslash needs a letter behind it: write \\\\ for a "
				      "backslash");
	return zcpd_toml_fail(r, at,
			      "unknown escape \\%c: write \\\\ for a backslash, or put the text in "
			      "single quotes",
			      c);
}

static int fail_unclosed(struct zcpd_toml_reader *r, const struct quoting *quoting)
{
	char quotes[4] = { quoting->quote, '\0' };

	if (quoting->multi_line)
		quotes[1] = quotes[2] = quoting->quote;
	return zcpd_toml_fail(r, quoting->at, "the string is not closed: expected %s %s", quotes,
			      quoting->multi_line ? "before the end of the file" :
						    "on the same line");
}

/*
 * The closing quotes, if the cursor is on them: then 1, and they are skipped. Up to two quotes
 * before those of a multi-line string still belong to it.
 */
static int read_closing(struct zcpd_toml_reader *r, struct zcpd_toml_text *text,
			const struct quoting *quoting)
{
	size_t n_quotes = 0;
	int error;

	if (!quoting->multi_line) {
		r->at++;
		return 1;
	}
	while (n_quotes < 5 && r->end - r->at > (ptrdiff_t)n_quotes &&
	       r->at[n_quotes] == quoting->quote)
		n_quotes++;
	error = append(r, text, r->at, n_quotes < 3 ? n_quotes : n_quotes - 3);
	if (error < 0)
		return error;
	r->at += n_quotes;
	return n_quotes >= 3;
}

static int read_body(struct zcpd_toml_reader *r, struct zcpd_toml_text *text,
		     const struct quoting *quoting)
{
	int result = 0;

	while (result == 0) {
		const char *plain = r->at;
		int c;

		for (; (c = zcpd_toml_peek(r)) >= 0x20 || c == '\t'; r->at++)
			if (c == quoting->quote || c == 0x7f ||
			    (c == '\\' && quoting->quote == '"'))
				break;
		result = append(r, text, plain, (size_t)(r->at - plain));
		if (result < 0)
			break;
		if (c == quoting->quote)
			result = read_closing(r, text, quoting);
		else if (c == '\\')
			result = read_escape(r, text, quoting);
		else if (c >= 0 && quoting->multi_line && zcpd_toml_skip_newline(r))
			result = append(r, text, "\n", 1);
		else if (c < 0 || c == '\n' || zcpd_toml_starts_with(r, "\r\n"))
			result = fail_unclosed(r, quoting);
		else
			result = zcpd_toml_fail(r, zcpd_toml_reader_here(r),
						"control character U+%04X in a string: write it as "
						"\\u%04X in double quotes",
						(unsigned int)c, (unsigned int)c);
	}
	return result < 0 ? result : 0;
}

int zcpd_toml_read_string(struct zcpd_toml_reader *r, struct zcpd_toml_text *text)
{
	struct quoting quoting = { .at = zcpd_toml_reader_here(r), .quote = *r->at };

	quoting.multi_line = zcpd_toml_starts_with(r, quoting.quote == '"' ? "\"\"\"" : "'''");
	r->at += quoting.multi_line ? 3 : 1;
	if (quoting.multi_line)
		zcpd_toml_skip_newline(r); /* one right behind the quotes does not count */
	return read_body(r, text, &quoting);
}

static bool is_bare(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '_' || c == '-';
}

int zcpd_toml_read_key(struct zcpd_toml_reader *r, struct zcpd_toml_text *key)
{
	const char *start = r->at;
	int c = zcpd_toml_peek(r);

	if (zcpd_toml_starts_with(r, "\"\"\"") || zcpd_toml_starts_with(r, "'''"))
		return zcpd_toml_fail(r, zcpd_toml_reader_here(r),
				      "a key cannot be a multi-line string: use single quotes");
	if (c == '"' || c == '\'')
		return zcpd_toml_read_string(r, key);
	while (is_bare(zcpd_toml_peek(r)))
		r->at++;
	if (r->at == start)
		return zcpd_toml_fail_found(r, "expected a key");
	return append(r, key, start, (size_t)(r->at - start));
}
