/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8, by its leading bytes.
 */
#include "pubsub/wire/name.h"

#include <stdint.h>
#include <string.h>

/* How many bytes follow a leading byte, with its share of the code point; -1: it is none. */
static int n_following(unsigned char lead, uint32_t *point)
{
	if (lead < 0x80) {
		*point = lead;
		return 0;
	}
	if (lead >= 0xc2 && lead < 0xe0) {
		*point = lead & 0x1f;
		return 1;
	}
	if (lead >= 0xe0 && lead < 0xf0) {
		*point = lead & 0x0f;
		return 2;
	}
	if (lead >= 0xf0 && lead < 0xf5) {
		*point = lead & 0x07;
		return 3;
	}
	return -1;
}

/* Moves *text past a character; false, and by one byte, where none begins there. */
static bool next(const char **text, uint32_t *point)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	const unsigned char *c = (const unsigned char *)*text;
	int n = n_following(*c, point);

	(*text)++;
	if (n < 0)
		return false;
	/* The zero at the end follows nothing: what is behind it is not read. */
	for (int i = 1; i <= n; i++) {
		if ((c[i] & 0xc0) != 0x80)
			return false;
		*point = *point << 6 | (c[i] & 0x3f);
	}
	if (*point < least[n] || *point > 0x10ffff || (*point >= 0xd800 && *point < 0xe000))
		return false;
	*text += n;
	return true;
}

bool zcp_name_is_utf8(const char *name)
{
	uint32_t point;

	while (*name)
		if (!next(&name, &point))
			return false;
	return true;
}

const char *zcp_name_find_control(const char *name, size_t *n_bytes)
{
	while (*name) {
		const char *begin = name;
		uint32_t point;

		if (!next(&name, &point))
			point = (unsigned char)*begin;
		if (point < 0x20 || (point >= 0x7f && point < 0xa0)) {
			*n_bytes = (size_t)(name - begin);
			return begin;
		}
	}
	return NULL;
}

bool zcp_name_is_text(const char *name)
{
	size_t n;

	return !zcp_name_find_control(name, &n) && zcp_name_is_utf8(name);
}

void zcp_name_hide_controls(char *name)
{
	const char *control;
	size_t n;

	while ((control = zcp_name_find_control(name, &n)) != NULL) {
		name += control - name;
		memset(name, '?', n);
	}
}

size_t zcp_name_cut(const char *name, size_t most)
{
	const char *end = name;
	size_t n = 0;

	while (*end && (size_t)(end - name) <= most) {
		uint32_t point;

		n = (size_t)(end - name);
		(void)next(&end, &point);
	}
	return (size_t)(end - name) <= most ? (size_t)(end - name) : n;
}
