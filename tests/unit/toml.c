/* SPDX-License-Identifier: Apache-2.0 */
/* The TOML parser: keys, tables, arrays, positions, limits, and input that ends too early. */
#include "runtime/config/toml/toml.h"

#include "tests/unit/toml_helpers.h"

Test(toml, empty_input_gives_an_empty_table)
{
	static const char *const texts[] = { "", "\n", "\r\n", " \t", "# nothing", "\xef\xbb\xbf" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		toml_cleanup struct zcpd_toml_value *root = parse(texts[i]);

		cr_expect_eq(root->kind, ZCPD_TOML_TABLE);
		cr_expect_eq(zcpd_toml_n_values(root), 0);
		cr_expect_null(zcpd_toml_first(root));
	}
}

Test(toml, no_text_of_size_zero_gives_an_empty_table)
{
	toml_cleanup struct zcpd_toml_value *root = NULL;
	struct zcpd_toml_error error;

	cr_assert_eq(zcpd_toml_parse(&root, NULL, 0, &error), 0);
	cr_expect_eq(zcpd_toml_n_values(root), 0);
}

Test(toml, keys_of_every_kind_are_read)
{
	toml_cleanup struct zcpd_toml_value *root = parse(
		"bare_Key-9 = 1\n1234 = 2\n\"quoted \\u00e9\" = 3\n'literal\\' = 4\n\"\" = 5\na . "
		"\"b.c\" .'d'= 6\ntrue = 7\n");

	cr_expect_eq(integer_at(root, "bare_Key-9"), 1);
	cr_expect_eq(integer_at(root, "1234"), 2);
	cr_expect_eq(integer_at(root, "quoted \xc3\xa9"), 3);
	cr_expect_eq(integer_at(root, "literal\\"), 4);
	cr_expect_eq(zcpd_toml_get(root, "")->integer, 5);
	cr_expect_eq(integer_at(root, "a/b.c/d"), 6);
	cr_expect_eq(integer_at(root, "true"), 7);
}

Test(toml, lines_in_wrong_form_are_refused)
{
	static const struct refused cases[] = {
		{ "= 1", 1, 1, "expected a key, found '='" },
		{ "a", 1, 2, "expected '=' behind the key, found the end of the file" },
		{ "a\n= 1", 1, 2, "expected '=' behind the key, found the end of the line" },
		{ "a b = 1", 1, 3, "expected '=' behind the key, found 'b'" },
		{ "a. = 1", 1, 4, "expected a key, found '='" },
		{ ".a = 1", 1, 1, "expected a key, found '.'" },
		{ "a..b = 1", 1, 3, "expected a key, found '.'" },
		{ "\"\"\"a\"\"\" = 1", 1, 1,
		  "a key cannot be a multi-line string: use single quotes" },
		{ "a = 1 b = 2", 1, 7, "expected the end of the line, found 'b'" },
		{ "a = 1\rb = 2", 1, 6,
		  "expected the end of the line, found the control character U+000D" },
		{ "a = 1 # x\x07", 1, 10, "control character U+0007 in a comment: remove it" },
		{ "# x\ry", 1, 4, "control character U+000D in a comment: remove it" },
		{ "\x7f", 1, 1, "expected a key, found the control character U+007F" },
		{ "\xef\xbb\xbf\xef\xbb\xbf", 1, 1, "expected a key, found '\xef\xbb\xbf'" },
	};

	EXPECT_REFUSED(cases);
}

Test(toml, nul_bytes_are_refused)
{
	static const char text[] = "a = 1\n\0b = 2";
	struct zcpd_toml_value *root = NULL;
	struct zcpd_toml_error error = { 0 };

	cr_assert_eq(parse_bytes(&root, text, sizeof(text) - 1, &error), -EINVAL);
	cr_expect_eq(error.at.line, 2);
	cr_expect_str_eq(error.text, "expected a key, found the control character U+0000");
}

Test(toml, headers_open_tables)
{
	toml_cleanup struct zcpd_toml_value *root = parse(
		"[a]\nx = 1\n[ b . \"c.d\" ] # comment\nx = 2\r\n[b.'e']\nx = 3\n[b]\nx = "
		"4\n[a.\"camera/*\"]\nx = 5");

	cr_expect_eq(integer_at(root, "a/x"), 1);
	cr_expect_eq(integer_at(root, "b/c.d/x"), 2);
	cr_expect_eq(integer_at(root, "b/e/x"), 3);
	cr_expect_eq(integer_at(root, "b/x"), 4);
	cr_expect_eq(zcpd_toml_n_values(at(root, "a")), 2);
	cr_expect_str_eq(at(root, "a/x")->next->key, "camera/*");
}

Test(toml, headers_in_wrong_form_are_refused)
{
	static const struct refused cases[] = {
		{ "[", 1, 2, "expected a key, found the end of the file" },
		{ "[]", 1, 2, "expected a key, found ']'" },
		{ "[a", 1, 3, "expected ']' at the end of the header, found the end of the file" },
		{ "[a\n]", 1, 3,
		  "expected ']' at the end of the header, found the end of the line" },
		{ "[a.", 1, 4, "expected a key, found the end of the file" },
		{ "[a.]", 1, 4, "expected a key, found ']'" },
		{ "[a/b]", 1, 3,
		  "expected ']' (a name of more than letters, digits, '_' and '-' needs quotes), "
		  "found '/'" },
		{ "[[a]", 1, 4, "expected ']]' at the end of the header, found ']'" },
		{ "[[a] ]", 1, 4, "expected ']]' at the end of the header, found ']'" },
		{ "[ [a]]", 1, 3, "expected a key, found '['" },
		{ "[a] x = 1", 1, 5, "expected the end of the line, found 'x'" },
		{ "[a]]", 1, 4, "expected the end of the line, found ']'" },
	};

	EXPECT_REFUSED(cases);
}

Test(toml, what_is_defined_twice_is_refused)
{
	static const struct refused cases[] = {
		{ "a = 1\n\na = 2", 3, 1, "'a' is set twice: first on line 1" },
		{ "a = 1\n'a' = 2", 2, 1, "'a' is set twice: first on line 1" },
		{ "a.b = 1\na.b = 2", 2, 3, "'b' is set twice: first on line 1" },
		{ "[a]\nb = 1\nc = 2\nb = 3", 4, 1, "'b' is set twice: first on line 2" },
		{ "[a]\n[b]\n[a]", 3, 2, "table 'a' is defined twice: first on line 1" },
		{ "[a.b]\n[a]\n[a.b]", 3, 4, "table 'b' is defined twice: first on line 1" },
		{ "[a.b]\n[a]\n[a]", 3, 2, "table 'a' is defined twice: first on line 2" },
		{ "a = 1\n[a]", 2, 2, "'a' is not a table: it was set to an integer on line 1" },
		{ "a = ''\n[a.b]", 2, 2, "'a' is not a table: it was set to a string on line 1" },
		{ "a = true\na.b = 1", 2, 1,
		  "'a' is not a table: it was set to a boolean on line 1" },
		{ "a = {}\n[a]", 2, 2, "table 'a' is defined twice: first on line 1" },
		{ "a = { b = {} }\n[a.c]", 2, 2,
		  "'a' was given in full on line 1: add to it there" },
		{ "a = {}\na.b = 1", 2, 1, "'a' was given in full on line 1: add to it there" },
		{ "a = { b = { c = 1 }, b.d = 2 }", 1, 22,
		  "'b' was given in full on line 1: add to it there" },
		{ "a = { b = 1, b = 2 }", 1, 14, "'b' is set twice: first on line 1" },
		{ "a = [{}]\n[a.b]", 2, 2, "'a' was given in full on line 1: add to it there" },
		{ "a = []\n[[a]]", 2, 3, "'a' was given in full on line 1: add to it there" },
		{ "a.b = 1\n[a]", 2, 2, "table 'a' is defined twice: first on line 1" },
		{ "[t]\na.b.c = 1\n[t.a.b]", 3, 6, "table 'b' is defined twice: first on line 2" },
		{ "[a.b]\n[a]\nb.c = 1", 3, 1, "'b' has a header on line 1: add to it there" },
		{ "[a.b.c]\n[a]\nb.x = 1\n[a.b]", 4, 4,
		  "table 'b' is defined twice: first on line 1" },
		{ "[[a.b]]\n[a]\nb.c = 1", 3, 1, "'b' has a header on line 1: add to it there" },
		{ "[[a]]\n[a]", 2, 2, "'a' is an array of tables since line 1: write [[ ]]" },
		{ "[a]\n[[a]]", 2, 3, "table 'a' is defined twice: first on line 1" },
		{ "[a.b]\n[[a]]", 2, 3, "table 'a' is defined twice: first on line 1" },
		{ "[[a]]\n[a.b]\n[a.b]", 3, 4, "table 'b' is defined twice: first on line 2" },
	};

	EXPECT_REFUSED(cases);
}

Test(toml, dotted_keys_and_headers_may_share_a_table_where_the_spec_says_so)
{
	toml_cleanup struct zcpd_toml_value *root = parse(
		"x.y.z = 1\nx.y.w = 2\n[t]\na.b = 3\na.c = 4\n[t.a.d]\ne = 5\n[p.q.r]\n[p]\nq.s = "
		"6\nin = { a.b = 7, a.c = 8 }\n");

	cr_expect_eq(integer_at(root, "x/y/w"), 2);
	cr_expect_eq(integer_at(root, "t/a/c"), 4);
	cr_expect_eq(integer_at(root, "t/a/d/e"), 5);
	cr_expect_eq(integer_at(root, "p/q/s"), 6);
	cr_expect_eq(zcpd_toml_n_values(at(root, "p/q/r")), 0);
	cr_expect_eq(integer_at(root, "p/in/a/c"), 8);
}

Test(toml, arrays_of_tables_grow_at_their_end)
{
	toml_cleanup struct zcpd_toml_value *root = parse(
		"[[a]]\nx = 1\n[[a]]\n[[a]]\nx = 3\n[a.t]\ny = 4\n[[a.u]]\n[[a.u]]\nz = "
		"5\n[[a]]\n[a.t]\ny = 6");
	const struct zcpd_toml_value *a = at(root, "a");

	cr_assert_eq(zcpd_toml_n_values(a), 4);
	cr_expect_eq(integer_at(nth(a, 0), "x"), 1);
	cr_expect_eq(zcpd_toml_n_values(nth(a, 1)), 0);
	cr_expect_eq(integer_at(nth(a, 2), "t/y"), 4);
	cr_expect_eq(integer_at(nth(at(nth(a, 2), "u"), 1), "z"), 5);
	cr_expect_eq(integer_at(nth(a, 3), "t/y"), 6);
}

Test(toml, arrays_are_read_over_several_lines)
{
	toml_cleanup struct zcpd_toml_value *root = parse(
		"a = []\nb = [ 1, 'two', [ 3.0 ], { four = 4 } ]\nc = [ # comment\n\n 1 # one\r\n "
		", # comma\n 2,\n # end\n]\nd = [[],[[]],]");

	cr_expect_eq(zcpd_toml_n_values(at(root, "a")), 0);
	cr_expect_eq(nth(at(root, "b"), 0)->integer, 1);
	cr_expect_str_eq(nth(at(root, "b"), 1)->string.data, "two");
	cr_expect_eq(nth(nth(at(root, "b"), 2), 0)->kind, ZCPD_TOML_FLOAT);
	cr_expect_eq(integer_at(nth(at(root, "b"), 3), "four"), 4);
	cr_expect_eq(zcpd_toml_n_values(at(root, "c")), 2);
	cr_expect_eq(nth(at(root, "c"), 1)->integer, 2);
	cr_expect_eq(zcpd_toml_n_values(at(root, "d")), 2);
}

Test(toml, arrays_and_inline_tables_in_wrong_form_are_refused)
{
	static const struct refused cases[] = {
		{ "a = [", 1, 6, "expected a value, found the end of the file" },
		{ "a = [ 1", 1, 8, "expected ',' or ']' in the array, found the end of the file" },
		{ "a = [\n 1\n 2 ]", 3, 2, "expected ',' or ']' in the array, found '2'" },
		{ "a = [,]", 1, 6, "expected a value, found ','" },
		{ "a = [1,,2]", 1, 8, "expected a value, found ','" },
		{ "a = [1}", 1, 7, "expected ',' or ']' in the array, found '}'" },
		{ "a = {", 1, 6, "expected a key, found the end of the file" },
		{ "a = { b = 1", 1, 12,
		  "expected ',' or '}' in the inline table, found the end of the file" },
		{ "a = { b = 1, }", 1, 14, "expected a key, found '}'" },
		{ "a = { b = 1\n}", 1, 12,
		  "expected ',' or '}' in the inline table, found the end of the line" },
		{ "a = {\n b = 1 }", 1, 6, "expected a key, found the end of the line" },
		{ "a = { b = 1 c = 2 }", 1, 13,
		  "expected ',' or '}' in the inline table, found 'c'" },
		{ "a = { , }", 1, 7, "expected a key, found ','" },
	};

	EXPECT_REFUSED(cases);
}

Test(toml, positions_count_characters_from_one)
{
	toml_cleanup struct zcpd_toml_value *root = parse(
		"\xef\xbb\xbf"
		"a = 1\r\n\t\"\xc3\xa9\xf0\x9f\x98\x80\" =\t[ 2,\n  'x' ]\n"
		"[ t . u ]\nv.w = {k=3}\n[[ l ]]");
	const struct zcpd_toml_value *array = zcpd_toml_first(root)->next;

#define EXPECT_POSITION(position, l, c)                                                            \
	cr_expect((position).line == (l) && (position).column == (c), "%u:%u", (position).line,    \
		  (position).column)
	EXPECT_POSITION(zcpd_toml_first(root)->key_at, 1, 1);
	EXPECT_POSITION(zcpd_toml_first(root)->at, 1, 5);
	EXPECT_POSITION(array->key_at, 2, 2);
	EXPECT_POSITION(array->at, 2, 9);
	EXPECT_POSITION(nth(array, 0)->at, 2, 11);
	EXPECT_POSITION(nth(array, 1)->at, 3, 3);
	EXPECT_POSITION(at(root, "t")->key_at, 4, 3);
	EXPECT_POSITION(at(root, "t/u")->at, 4, 7);
	EXPECT_POSITION(at(root, "t/u/v")->key_at, 5, 1);
	EXPECT_POSITION(at(root, "t/u/v/w")->key_at, 5, 3);
	EXPECT_POSITION(at(root, "t/u/v/w")->at, 5, 7);
	EXPECT_POSITION(at(root, "t/u/v/w/k")->at, 5, 10);
	EXPECT_POSITION(nth(at(root, "l"), 0)->at, 6, 4);
#undef EXPECT_POSITION
}

Test(toml, keys_of_a_large_table_are_found_in_file_order_and_only_once)
{
	enum { N_KEYS = 20000 };
	char *text = malloc(N_KEYS * 16 + 16);
	struct zcpd_toml_value *root;
	struct zcpd_toml_error error;
	char *end = text;
	int64_t i = 0;

	cr_assert_not_null(text);
	for (int k = 0; k < N_KEYS; k++)
		end += sprintf(end, "k%d = %d\n", k, k);
	root = parse(text);
	cr_assert_eq(zcpd_toml_n_values(root), N_KEYS);
	for (const struct zcpd_toml_value *v = zcpd_toml_first(root); v; v = v->next, i++) {
		cr_assert_eq(v->integer, i);
		cr_assert_eq(zcpd_toml_get(root, v->key), v);
	}
	cr_expect_null(zcpd_toml_get(root, "k20000"));
	root = zcpd_toml_free(root);
	cr_expect_null(root);

	sprintf(end, "k12345 = 0\n");
	cr_expect_eq(zcpd_toml_parse(&root, text, strlen(text), &error), -EINVAL);
	cr_expect_str_eq(error.text, "'k12345' is set twice: first on line 12346");
	free(text);
}

/* n times `open`, then n times `close`. */
static int parse_nested(const char *before, const char *open, const char *middle, const char *close,
			int n, struct zcpd_toml_error *error)
{
	char text[1024];
	struct zcpd_toml_value *root = NULL;
	size_t length = (size_t)snprintf(text, sizeof(text), "%s", before);
	int result;

	for (int i = 0; i < n; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s", open);
	length += (size_t)snprintf(text + length, sizeof(text) - length, "%s", middle);
	for (int i = 0; i < n; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s", close);
	cr_assert_lt(length, sizeof(text));
	result = parse_bytes(&root, text, length, error);
	zcpd_toml_free(root);
	return result;
}

Test(toml, nesting_is_taken_to_the_limit_and_refused_beyond)
{
	static const struct {
		const char *before, *open, *middle, *close;
		int taken; /* how many are within the limit */
	} cases[] = {
		{ "a = ", "[", "", "]", ZCPD_TOML_MAX_DEPTH },
		{ "a = ", "{ a = ", "1", "}", ZCPD_TOML_MAX_DEPTH - 1 },
		{ "", "a.", "a = 1", "", ZCPD_TOML_MAX_DEPTH - 1 },
		{ "[", "a.", "a]", "", ZCPD_TOML_MAX_DEPTH - 1 },
		{ "[[", "a.", "a]]", "", ZCPD_TOML_MAX_DEPTH - 2 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct zcpd_toml_error error = { 0 };
		int taken = cases[i].taken;

		cr_expect_eq(parse_nested(cases[i].before, cases[i].open, cases[i].middle,
					  cases[i].close, taken, &error),
			     0, "case %zu: %s", i, error.text);
		cr_expect_eq(parse_nested(cases[i].before, cases[i].open, cases[i].middle,
					  cases[i].close, taken + 1, &error),
			     -EINVAL, "case %zu", i);
		cr_expect_str_eq(error.text, "tables and arrays are nested more than 64 deep");
	}
}

Test(toml, input_is_taken_to_the_size_limit_and_refused_beyond)
{
	char *text = malloc(ZCPD_TOML_MAX_SIZE + 1);
	toml_cleanup struct zcpd_toml_value *root = NULL;
	struct zcpd_toml_value *none = NULL;
	struct zcpd_toml_error error = { 0 };

	cr_assert_not_null(text);
	memset(text, ' ', ZCPD_TOML_MAX_SIZE + 1);
	memcpy(text, "a = 1", 5);
	cr_expect_eq(zcpd_toml_parse(&root, text, ZCPD_TOML_MAX_SIZE, &error), 0);
	cr_expect_eq(zcpd_toml_parse(&none, text, ZCPD_TOML_MAX_SIZE + 1, &error), -EFBIG);
	cr_expect_null(none);
	cr_expect_str_eq(error.text, "larger than 1048576 bytes: no configuration is");
	free(text);
}

/* A line of a truncated text of single-line values: whether it is whole, told without a parser. */
static bool is_whole_line(const char *line, size_t size)
{
	const char *equals = memchr(line, '=', size);
	const char *value;
	size_t value_size;

	if (size == 0 || line[0] == '#')
		return true;
	if (line[0] == '[')
		return line[size - 1] == ']';
	if (!equals || (size_t)(equals - line) + 2 >= size)
		return false;
	value = equals + 2;
	value_size = size - (size_t)(value - line);
	if (value[0] == '"')
		return value_size >= 2 && value[value_size - 1] == '"';
	if (value[0] == 't')
		return value_size == 4; /* true */
	if (value[0] == 'f')
		return value_size == 5; /* false */
	return true;                    /* a number, however short */
}

Test(toml, every_prefix_of_the_reference_file_is_taken_or_refused_as_its_last_line_says)
{
	FILE *file = fopen(ZCP_SOURCE_DIR "/config/zcp.toml", "re");
	static char text[64 * 1024];
	size_t size, n_refused = 0;

	cr_assert_not_null(file);
	size = fread(text, 1, sizeof(text), file);
	fclose(file);
	cr_assert(size > 0 && size < sizeof(text));
	for (size_t cut = 0; cut <= size; cut++) {
		const char *newline = memrchr(text, '\n', cut);
		const char *line = newline ? newline + 1 : text;
		bool whole = is_whole_line(line, (size_t)(text + cut - line));
		struct zcpd_toml_value *root = NULL;
		struct zcpd_toml_error error = { 0 };
		int result = parse_bytes(&root, text, cut, &error);

		cr_assert_eq(result, whole ? 0 : -EINVAL, "cut at %zu: %s", cut, error.text);
		n_refused += result < 0;
		zcpd_toml_free(root);
	}
	cr_expect_gt(n_refused, 100);
}

Test(toml, every_prefix_of_a_text_with_everything_is_survived_and_none_that_ends_inside_is_taken)
{
	/* Each piece can only be taken as a whole. */
	static const char *const pieces[] = {
		"[table.\"quoted\\u00e9\".'x']\n",
		"a = \"basic \\\" \\U0001F600\"\n",
		"b = 'literal'\n",
		"c = \"\"\"multi\n \\\"\"\" line\\\n  end\"\"\"\n",
		"d = '''raw\n'' '''\n",
		"e = [ 1_0, [ 0x1, ], # comment ]\r\n 'x',\n { f.g = inf, h = [ ] } ]\n",
		"[[list]]\n",
		"\"i\" . j = { k = \"}\", l = '\xc3\xa9' }\n",
	};
	char text[1024] = "";
	size_t whole = 0;

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		size_t size = strlen(pieces[i]);

		memcpy(text + whole, pieces[i], size + 1);
		for (size_t cut = 1; cut <= size; cut++) {
			struct zcpd_toml_value *root = NULL;
			struct zcpd_toml_error error = { 0 };
			int result = parse_bytes(&root, text, whole + cut, &error);
			bool empty_string = cut == 6 && (memcmp(pieces[i] + 4, "\"\"\"", 3) == 0 ||
							 memcmp(pieces[i] + 4, "'''", 3) == 0);
			bool complete = cut >= size - 1 || empty_string;

			cr_assert_eq(result, complete ? 0 : -EINVAL, "cut %zu of: %s", cut,
				     pieces[i]);
			zcpd_toml_free(root);
		}
		whole += size;
	}
}

Test(toml, input_in_messages_is_made_printable_and_cut_between_characters)
{
	char out[ZCPD_TOML_SHOWN_SIZE];
	char text[128];

	cr_expect_str_eq(zcpd_toml_show(out, "a\n\x1b[1m\x7f\xc3\xa9", 8), "a??[1m?\xc3");
	memset(text, 'x', sizeof(text));
	zcpd_toml_show(out, text, sizeof(out) - 4);
	cr_expect_eq(strlen(out), sizeof(out) - 4);
	zcpd_toml_show(out, text, sizeof(text));
	cr_expect_eq(strlen(out), sizeof(out) - 1);
	cr_expect_str_eq(out + sizeof(out) - 4, "...");
	memcpy(text + sizeof(out) - 5, "\xc3\xa9", 2);
	zcpd_toml_show(out, text, sizeof(text));
	cr_expect_str_eq(out + sizeof(out) - 6, "x...");
}

Test(toml, kinds_have_names)
{
	cr_expect_str_eq(zcpd_toml_kind_name(ZCPD_TOML_INTEGER), "an integer");
	cr_expect_str_eq(zcpd_toml_kind_name(ZCPD_TOML_FLOAT), "a float");
	cr_expect_str_eq(zcpd_toml_kind_name(ZCPD_TOML_TABLE), "a table");
	cr_expect_null(zcpd_toml_free(NULL));
}
