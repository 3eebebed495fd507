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
	static const char *const bad[] = { "a\n",     "\x1b[2J",      "\x01",     "a\x7f",
					   "caf\xe9", "a\xc2\x9b[2J", "\xc2\x80", "\x9b" };
	static const char *const good[] = {
		"", " ", "camera/front", "caf\xc3\xa9", "~", "\xc2\xa0"
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_not(zcp_name_is_text(bad[i]), "%zu", i);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_assert(zcp_name_is_text(good[i]), "%zu", i);
}

Test(name, controls_are_hidden_byte_for_byte)
{
	char name[] = "a\x1b[b\xc2\x9b"
		      "c\x9b"
		      "\xc3\xa9\x7f";

	zcp_name_hide_controls(name);
	cr_assert_str_eq(name, "a?[b??c?\xc3\xa9?");
}

Test(name, is_cut_between_characters)
{
	cr_assert_eq(zcp_name_cut("abc", 3), 3);
	cr_assert_eq(zcp_name_cut("abc", 2), 2);
	cr_assert_eq(zcp_name_cut("a\xe2\x82\xac", 4), 4);
	cr_assert_eq(zcp_name_cut("a\xe2\x82\xac", 3), 1);
	cr_assert_eq(zcp_name_cut("a\xe2\x82\xac"
				  "b",
				  4),
		     4);
	cr_assert_eq(zcp_name_cut("\xe2\x82\xac", 2), 0);
	cr_assert_eq(zcp_name_cut("\xff\xff\xff", 2), 2);
	cr_assert_eq(zcp_name_cut("", 2), 0);
}
