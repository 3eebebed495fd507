/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
 */
#include "cli/utf8.h"

#include <locale.h>
#include <string.h>
#include <wchar.h>

struct form {
	/* of the first byte */
	uint8_t mask;
	uint8_t bits;
	size_t n_bytes;
	uint32_t min;
};

static const struct form forms[] = {
	{ 0x80, 0x00, 1, 0 },
	{ 0xe0, 0xc0, 2, 0x80 },
	{ 0xf0, 0xe0, 3, 0x800 },
	{ 0xf8, 0xf0, 4, 0x10000 },
};

uint32_t cli_utf8_next(const char **text)
{
	const unsigned char *s = (const unsigned char *)*text;

	if (*s == 0)
		return 0;
	for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
		const struct form *form = &forms[f];
		uint32_t character = s[0] & (uint8_t)~form->mask;
		size_t i;

		if ((s[0] & form->mask) != form->bits)
			continue;
		/* The zero at the end is no continuation: nothing behind it is read. */
		for (i = 1; i < form->n_bytes && (s[i] & 0xc0) == 0x80; i++)
			character = character << 6 | (s[i] & 0x3f);
		if (i < form->n_bytes || character < form->min || character > 0x10ffff ||
		    (character >= 0xd800 && character <= 0xdfff))
			break;
		*text += form->n_bytes;
		return character;
	}
	*text += 1;
	return CLI_UTF8_REPLACEMENT;
}

size_t cli_utf8_encode(uint32_t character, char out[CLI_UTF8_SIZE])
{
	for (size_t f = sizeof(forms) / sizeof(forms[0]); f-- > 0;) {
		const struct form *form = &forms[f];

		if (character < form->min)
			continue;
		for (size_t i = form->n_bytes - 1; i > 0; i--) {
			out[i] = (char)(0x80 | (character & 0x3f));
			character >>= 6;
		}
		out[0] = (char)(form->bits | character);
		return form->n_bytes;
	}
	return 0;
}

bool cli_utf8_is_control(uint32_t character)
{
	return character < 0x20 || (character >= 0x7f && character < 0xa0);
}

/* NULL where the system has no such locale; kept to the end. */
static locale_t utf8_locale(void)
{
	static locale_t locale;

	if (!locale)
		locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
	return locale;
}

unsigned int cli_utf8_width(uint32_t character)
{
	locale_t locale = character < 0x80 ? NULL : utf8_locale(), before;
	int width;

	if (!locale)
		return 1;
	/* The user's own locale may know nothing of this character. */
	before = uselocale(locale);
	width = wcwidth((wchar_t)character);
	(void)uselocale(before);
	return width < 0 ? 1 : (unsigned int)width;
}

void cli_utf8_make_printable(char *text)
{
	const char *next = text;
	uint32_t character;

	for (const char *at = text; (character = cli_utf8_next(&next)) != 0; at = next)
		if (cli_utf8_is_control(character) && character != '\n' && character != '\t')
			memset(text + (at - text), '?', (size_t)(next - at));
}
