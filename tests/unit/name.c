/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which bytes make a name.
 */
#include "pubsub/wire/name.h"

#include <criterion/criterion.h>

Test(name, utf8_is_taken)
{
	static const char *const names[] = { "",
					     "camera/front",
					     "caf\xc3\xa9",
					     "\xe2\x82\xac",
					     "\xf0\x9f\x9a\x97",
					     "\xef\xbf\xbf",
					     "\xed\x9f\xbf",
					     "\xf4\x8f\xbf\xbf" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		cr_assert(zcp_name_is_utf8(names[i]), "%zu", i);
}

Test(name, what_is_not_utf8_is_refused)
{
	static const char *const names[] = {
		"caf\xe9",          /* Latin-1 */
		"\x80",             /* a following byte alone */
		"\xc0\xaf",         /* overlong */
		"\xe0\x80\xaf",     /* overlong */
		"\xf0\x80\x80\xaf", /* overlong */
		"\xed\xa0\x80",     /* a surrogate */
		"\xf4\x90\x80\x80", /* beyond U+10FFFF */
		"\xf5\x80\x80\x80",
		"\xff",
		"\xc3",
		"\xe2\x82",
		"\xf0\x9f\x9a",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		cr_assert_not(zcp_name_is_utf8(names[i]), "%zu", i);
}

Test(name, text_has_no_control_characters)
{
	static const char *const bad[] = { "a\n", "\x1b[2J", "\x01", "a\x7f", "caf\xe9" };
	static const char *const good[] = { "", " ", "camera/front", "caf\xc3\xa9", "~" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_not(zcp_name_is_text(bad[i]), "%zu", i);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_assert(zcp_name_is_text(good[i]), "%zu", i);
}
