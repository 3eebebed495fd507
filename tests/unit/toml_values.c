/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, words and strings in TOML: every form, and what is refused in which words. */
#include <inttypes.h>
#include <math.h>

#include "tests/unit/toml_helpers.h"

Test(toml, integers_of_every_base_are_read)
{
	static const struct {
		const char *text;
		int64_t value;
	} cases[] = {
		{ "0", 0 },
		{ "+0", 0 },
		{ "-0", 0 },
		{ "+99", 99 },
		{ "1_000_000", 1000000 },
		{ "9223372036854775807", INT64_MAX },
		{ "-9223372036854775808", INT64_MIN },
		{ "0xDEAD_beef", 0xdeadbeef },
		{ "0x7fffffffffffffff", INT64_MAX },
		{ "0o0755", 0755 },
		{ "0b1101_0110", 0xd6 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[64];

		snprintf(text, sizeof(text), "a = %s", cases[i].text);
		toml_cleanup struct zcpd_toml_value *root = parse(text);
		cr_expect_eq(integer_at(root, "a"), cases[i].value, "%s", cases[i].text);
	}
}

Test(toml, floats_of_every_form_are_read)
{
	static const struct {
		const char *text;
		double value;
	} cases[] = {
		{ "1.0", 1.0 },
		{ "-0.01", -0.01 },
		{ "5e+22", 5e22 },
		{ "1e06", 1e6 },
		{ "-2E-2", -2e-2 },
		{ "6.626e-34", 6.626e-34 },
		{ "224_617.445_991", 224617.445991 },
		{ "1e1_0", 1e10 },
		{ "inf", (double)INFINITY },
		{ "+inf", (double)INFINITY },
		{ "-inf", (double)-INFINITY },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[64];

		snprintf(text, sizeof(text), "a = %s", cases[i].text);
		toml_cleanup struct zcpd_toml_value *root = parse(text);
		cr_assert_eq(at(root, "a")->kind, ZCPD_TOML_FLOAT, "%s", cases[i].text);
		cr_expect(memcmp(&at(root, "a")->real, &cases[i].value, sizeof(double)) == 0, "%s",
			  cases[i].text);
	}

	toml_cleanup struct zcpd_toml_value *root = parse("a = nan\nb = -nan\nc = -0.0");
	cr_expect(isnan(at(root, "a")->real));
	cr_expect(isnan(at(root, "b")->real));
	cr_expect(signbit(at(root, "c")->real));
}

Test(toml, numbers_in_wrong_form_are_refused)
{
	static const struct refused cases[] = {
		{ "a = 01", 1, 5,
		  "a number cannot start with a zero: remove it, or write 0o for octal" },
		{ "a = -00", 1, 5,
		  "a number cannot start with a zero: remove it, or write 0o for octal" },
		{ "a = 1__0", 1, 5, "'1__0' is not a number as TOML writes them" },
		{ "a = 1_", 1, 5, "'1_' is not a number as TOML writes them" },
		{ "a = 1.", 1, 5, "'1.' is not a number as TOML writes them" },
		{ "a = 1.e5", 1, 5, "'1.e5' is not a number as TOML writes them" },
		{ "a = 1e", 1, 5, "'1e' is not a number as TOML writes them" },
		{ "a = 1e_5", 1, 5, "'1e_5' is not a number as TOML writes them" },
		{ "a = 0x", 1, 5, "'0x' is not a number as TOML writes them" },
		{ "a = 0x_1", 1, 5, "'0x_1' is not a number as TOML writes them" },
		{ "a = 0xg", 1, 5, "'0xg' is not a number as TOML writes them" },
		{ "a = 0b2", 1, 5, "'0b2' is not a number as TOML writes them" },
		{ "a = 0o8", 1, 5, "'0o8' is not a number as TOML writes them" },
		{ "a = 0X1", 1, 5, "'0X1' is not a number as TOML writes them" },
		{ "a = +0x1", 1, 5, "'+0x1' is not a number as TOML writes them" },
		{ "a = .5", 1, 5, "'.5' is not a value: a string needs quotes" },
		{ "a = +", 1, 5, "'+' is not a value: a string needs quotes" },
		{ "a = _1", 1, 5, "'_1' is not a value: a string needs quotes" },
		{ "a = 9223372036854775808", 1, 5, "9223372036854775808 does not fit in 64 bits" },
		{ "a = -9223372036854775809", 1, 5,
		  "-9223372036854775809 does not fit in 64 bits" },
		{ "a = 0x8000000000000000", 1, 5, "0x8000000000000000 does not fit in 64 bits" },
		{ "a = 1e400", 1, 5, "1e400 is too large for a float" },
	};

	EXPECT_REFUSED(cases);
}

Test(toml, words_without_quotes_are_refused)
{
	static const struct refused cases[] = {
		{ "a = debug", 1, 5, "'debug' is not a value: a string needs quotes" },
		{ "a = True", 1, 5, "'True' is not a value: a string needs quotes" },
		{ "a = truer", 1, 5, "'truer' is not a value: a string needs quotes" },
		{ "a = Inf", 1, 5, "'Inf' is not a value: a string needs quotes" },
		{ "a = \xc3\xa9", 1, 5, "'\xc3\xa9' is not a value: a string needs quotes" },
		{ "a = ", 1, 5, "expected a value, found the end of the file" },
		{ "a = \nb = 1", 1, 5, "expected a value, found the end of the line" },
		{ "a = # none", 1, 5, "expected a value, found '#'" },
	};

	EXPECT_REFUSED(cases);
}

Test(toml, dates_and_times_are_refused_by_name)
{
	static const struct refused cases[] = {
		{ "a = 1979-05-27", 1, 5, "dates are not supported here: write a string" },
		{ "a = 1979-05-27T07:32:00Z", 1, 5,
		  "dates are not supported here: write a string" },
		{ "a = 1979-05-27 07:32:00", 1, 5, "dates are not supported here: write a string" },
		{ "\na = [ 07:32:00.5 ]", 2, 7, "dates are not supported here: write a string" },
	};

	EXPECT_REFUSED(cases);
}

static void expect_string(const char *text, const char *data, size_t size)
{
	toml_cleanup struct zcpd_toml_value *root = parse(text);
	const struct zcpd_toml_value *value = at(root, "a");

	cr_assert_eq(value->kind, ZCPD_TOML_STRING, "%s", text);
	cr_expect_eq(value->string.size, size, "%zu bytes: %s", value->string.size, text);
	/* with the NUL at the end */
	cr_expect(value->string.size == size && memcmp(value->string.data, data, size + 1) == 0,
		  "'%s' from:\n%s", value->string.data, text);
}

#define EXPECT_STRING(text, data) expect_string(text, data, sizeof(data) - 1)

Test(toml, strings_of_all_four_kinds_are_read)
{
	EXPECT_STRING("a = \"\"", "");
	EXPECT_STRING("a = ''", "");
	EXPECT_STRING("a = \"plain # no comment\"", "plain # no comment");
	EXPECT_STRING("a = 'C:\\no\\escapes \"here\"'", "C:\\no\\escapes \"here\"");
	EXPECT_STRING("a = \"tab\there \xc3\xa9\"", "tab\there \xc3\xa9");
	EXPECT_STRING("a = \"\"\"\"\"\"", "");
	EXPECT_STRING("a = ''''''", "");
	EXPECT_STRING("a = \"\"\"\nfirst newline\ngoes\"\"\"", "first newline\ngoes");
	EXPECT_STRING("a = \"\"\"\r\nCRLF\r\nis LF\"\"\"", "CRLF\nis LF");
	EXPECT_STRING("a = '''\n\nraw \\n\n'''", "\nraw \\n\n");
	EXPECT_STRING("a = \"\"\"one\\\n   \t\n  two \\  \r\n three\"\"\"", "onetwo three");
	EXPECT_STRING("a = \"\"\"\\\n\"\"\"", "");
}

Test(toml, quotes_at_the_ends_of_a_multi_line_string_belong_to_it)
{
	EXPECT_STRING("a = \"\"\"\"one\"\"\"\"", "\"one\"");
	EXPECT_STRING("a = \"\"\"\"\"two\"\"\"\"\"", "\"\"two\"\"");
	EXPECT_STRING("a = '''''two'''''", "''two''");
	EXPECT_STRING("a = \"\"\"in\"\"between\"\"\"", "in\"\"between");
	EXPECT_STRING("a = \"\"\"\\\"\"\"\\\"\"\"\"", "\"\"\"\"");
}

Test(toml, escapes_are_read)
{
	EXPECT_STRING("a = \"\\b\\t\\n\\f\\r\\\"\\\\\"", "\b\t\n\f\r\"\\");
	EXPECT_STRING("a = \"\\u0041\\u00e9\\u20AC\\uffff\"", "A\xc3\xa9\xe2\x82\xac\xef\xbf\xbf");
	EXPECT_STRING("a = \"\\U0001F600\\U0010FFFF\"", "\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf");
	EXPECT_STRING("a = \"\\u007f\\u0080\\u07ff\\u0800\"", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80");
	EXPECT_STRING("a = \"x\\u0000y\"", "x\0y");
}

Test(toml, strings_in_wrong_form_are_refused)
{
	static const struct refused cases[] = {
		{ "a = \"open", 1, 5, "the string is not closed: expected \" on the same line" },
		{ "a = \"open\nb = 1", 1, 5,
		  "the string is not closed: expected \" on the same line" },
		{ "a = 'open\r\n", 1, 5, "the string is not closed: expected ' on the same line" },
		{ "\n a = \"\"\"open\n\n", 2, 6,
		  "the string is not closed: expected \"\"\" before the end of the file" },
		{ "a = '''open''", 1, 5,
		  "the string is not closed: expected ''' before the end of the file" },
		{ "a = \"\"\"\"\"\"\"\"\"", 1, 13, "expected the end of the line, found '\"'" },
		{ "a = \"x\\q\"", 1, 7,
		  "unknown escape \\q: write \\\\ for a backslash, or put the text in single "
		  "quotes" },
		{ "a = \"x\\", 1, 7,
		  "a backslash needs a letter behind it: write \\\\ for a backslash" },
		{ "a = \"x\\ \n\"", 1, 7,
		  "a backslash needs a letter behind it: write \\\\ for a backslash" },
		{ "a = \"\\u12\"", 1, 6, "the escape needs 4 hexadecimal digits" },
		{ "a = \"\\U0001F60\"", 1, 6, "the escape needs 8 hexadecimal digits" },
		{ "a = \"\\ud800\"", 1, 6, "U+D800 is not a character of Unicode" },
		{ "a = \"\\U00110000\"", 1, 6, "U+110000 is not a character of Unicode" },
		{ "a = \"x\x01\"", 1, 7,
		  "control character U+0001 in a string: write it as \\u0001 in double quotes" },
		{ "a = '\x7f'", 1, 6,
		  "control character U+007F in a string: write it as \\u007F in double quotes" },
		{ "a = \"\"\"x\ry\"\"\"", 1, 9,
		  "control character U+000D in a string: write it as \\u000D in double quotes" },
		{ "a = \"x\" y", 1, 9, "expected the end of the line, found 'y'" },
	};

	EXPECT_REFUSED(cases);
}

Test(toml, every_byte_sequence_that_is_not_utf8_is_refused)
{
	static const char *const bad[] = {
		"\x80",
		"\xbf",
		"\xc0\x80",
		"\xc1\xbf",
		"\xc2",
		"\xc3\x28",
		"\xe0\x9f\xbf",
		"\xe2\x82",
		"\xe2\x28\xa1",
		"\xed\xa0\x80",
		"\xed\xbf\xbf",
		"\xf0\x8f\xbf\xbf",
		"\xf0\x9f\x98",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xff",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[32], sentence[64];
		struct refused comment = { text, 2, 4, sentence };

		snprintf(sentence, sizeof(sentence),
			 "byte 0x%02x is not UTF-8: save the file as UTF-8",
			 (unsigned int)(unsigned char)bad[i][0]);
		snprintf(text, sizeof(text), "\n# \xc3\xa9%s", bad[i]);
		comment.column = 4;
		expect_refused(&comment, 1);
		snprintf(text, sizeof(text), "\n a=\"%s\"", bad[i]);
		comment.column = 5;
		expect_refused(&comment, 1);
	}
}
