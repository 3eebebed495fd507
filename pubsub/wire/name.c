/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8, by its leading bytes.
 */
#include "pubsub/wire/name.h"

#include <stdint.h>

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

bool zcp_name_is_utf8(const char *name)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	const unsigned char *c = (const unsigned char *)name;

	while (*c) {
		uint32_t point;
		int n = n_following(*c++, &point);

		if (n < 0)
			return false;
		for (int i = 0; i < n; i++, c++) {
			if ((*c & 0xc0) != 0x80)
				return false;
			point = point << 6 | (*c & 0x3f);
		}
		if (point < least[n] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
			return false;
	}
	return true;
}

bool zcp_name_is_text(const char *name)
{
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return false;
	return zcp_name_is_utf8(name);
}
