/* SPDX-License-Identifier: Apache-2.0 */
/* What `zcp list --json` and `zcp info --json` are written with. */
#include "cli/json.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/utf8.h"

struct written {
	int fd;
	struct cli_output output;
	struct cli_json json;
	char text[4096];
};

static void begin(struct written *written)
{
	written->fd = memfd_create("json", MFD_CLOEXEC);
	cr_assert_geq(written->fd, 0);
	cli_output_init(&written->output, written->fd);
	cli_json_init(&written->json, &written->output);
}

static const char *end(struct written *written)
{
	ssize_t n;

	cr_assert_eq(cli_output_flush(&written->output), 0);
	n = pread(written->fd, written->text, sizeof(written->text) - 1, 0);
	cr_assert_geq(n, 0);
	written->text[n] = '\0';
	(void)close(written->fd);
	return written->text;
}

Test(json, empty_list_and_object_stand_on_one_line)
{
	struct written w;

	begin(&w);
	cli_json_begin(&w.json, NULL, '[');
	cli_json_end(&w.json, ']');
	cr_expect_str_eq(end(&w), "[]\n");

	begin(&w);
	cli_json_begin(&w.json, NULL, '{');
	cli_json_begin(&w.json, "a", '[');
	cli_json_end(&w.json, ']');
	cli_json_begin(&w.json, "b", '{');
	cli_json_end(&w.json, '}');
	cli_json_end(&w.json, '}');
	cr_expect_str_eq(end(&w), "{\n  \"a\": [],\n  \"b\": {}\n}\n");
}

Test(json, members_and_elements_have_commas_between_them)
{
	struct written w;

	begin(&w);
	cli_json_begin(&w.json, NULL, '[');
	cli_json_begin(&w.json, NULL, '{');
	cli_json_number(&w.json, "largest", UINT64_MAX);
	cli_json_number(&w.json, "smallest", 0);
	cli_json_bool(&w.json, "yes", true);
	cli_json_bool(&w.json, "no", false);
	cli_json_end(&w.json, '}');
	cli_json_text(&w.json, NULL, "");
	cli_json_end(&w.json, ']');
	cr_expect_str_eq(end(&w), "[\n"
				  "  {\n"
				  "    \"largest\": 18446744073709551615,\n"
				  "    \"smallest\": 0,\n"
				  "    \"yes\": true,\n"
				  "    \"no\": false\n"
				  "  },\n"
				  "  \"\"\n"
				  "]\n");
}

Test(json, text_is_escaped_where_it_must_be)
{
	static const struct {
		const char *text;
		const char *json;
	} cases[] = {
		{ "camera/front", "\"camera/front\"" },
		{ "say \"a\\b\"", "\"say \\\"a\\\\b\\\"\"" },
		{ "\x01\t\n\x1f", "\"\\u0001\\u0009\\u000a\\u001f\"" },
		{ "\x7f\xc2\x80", "\"\\u007f\\u0080\"" },
		{ "grün €\xf0\x9f\x8e\xa5", "\"grün €\xf0\x9f\x8e\xa5\"" },
		{ "100%s%n", "\"100%s%n\"" },
		/* not UTF-8: each such byte becomes U+FFFD */
		{ "a\xff"
		  "b",
		  "\"a\xef\xbf\xbd"
		  "b\"" },
		{ "\xc3", "\"\xef\xbf\xbd\"" },
		{ "\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct written w;

		begin(&w);
		cli_json_text(&w.json, NULL, cases[i].text);
		cr_expect_str_eq(end(&w), cases[i].json);
	}
}

Test(json, every_character_survives_decoding_and_encoding)
{
	for (uint32_t character = 1; character <= 0x10ffff; character++) {
		char bytes[CLI_UTF8_SIZE + 1];
		const char *text = bytes;
		size_t n = cli_utf8_encode(character, bytes);

		if (character >= 0xd800 && character <= 0xdfff)
			continue;
		bytes[n] = '\0';
		cr_assert_eq(cli_utf8_next(&text), character, "U+%04X", character);
		cr_assert_eq(text, bytes + n, "U+%04X", character);
	}
}

Test(json, what_is_not_utf8_is_replaced_byte_by_byte)
{
	static const char *const cases[] = {
		"\x80",             /* a continuation that continues nothing */
		"\xc0\xaf",         /* '/' in two bytes */
		"\xe0\x80\xaf",     /* in three */
		"\xf0\x80\x80\xaf", /* in four */
		"\xed\xa0\x80",     /* a surrogate */
		"\xf4\x90\x80\x80", /* above U+10FFFF */
		"\xf8\x88\x80\x80", /* five bytes, cut off */
		"\xff\xfe",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text = cases[i];

		for (size_t n = strlen(text); n > 0; n--) {
			cr_expect_eq(cli_utf8_next(&text), CLI_UTF8_REPLACEMENT, "case %zu", i);
			cr_assert_eq((size_t)(cases[i] + strlen(cases[i]) - text), n - 1);
		}
		cr_expect_eq(cli_utf8_next(&text), 0);
	}
}
