/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar: lines, headers, keys and values, and TOML's rules on what may be said only once.
 *
 * A header [a.b.c] opens c and implies a and b, which may get headers of their own later; a dotted
 * key a.b.c = 1 makes a and b for good, which no header may open again; a table or array written
 * as a value is closed. Every check of this kind is in step_into() and open_table().
 */
#include "runtime/config/toml/toml.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "runtime/config/toml/reader.h"
#include "runtime/config/toml/value.h"

#define text_cleanup __attribute__((cleanup(zcpd_toml_text_deinit)))

/* One part of a key and where it stands. */
struct key_part {
	struct zcpd_toml_text text;
	struct zcpd_toml_position at;
	char shown[ZCPD_TOML_SHOWN_SIZE];
};

static void key_part_deinit(struct key_part *part)
{
	zcpd_toml_text_deinit(&part->text);
}

#define key_part_cleanup __attribute__((cleanup(key_part_deinit)))

static int read_value(struct zcpd_toml_reader *r, struct zcpd_toml_value *value);

/* Reads the next part of a key in place of the one before, and the blanks around it. */
static int read_part(struct zcpd_toml_reader *r, struct key_part *part)
{
	int error;

	zcpd_toml_text_deinit(&part->text);
	zcpd_toml_skip_blanks(r);
	part->at = zcpd_toml_reader_here(r);
	error = zcpd_toml_read_key(r, &part->text);
	if (error < 0)
		return error;
	zcpd_toml_show(part->shown, part->text.data, part->text.size);
	zcpd_toml_skip_blanks(r);
	return 0;
}

static struct zcpd_toml_value *find(const struct zcpd_toml_value *table,
				    const struct key_part *part)
{
	return zcpd_toml_value_find(table, part->text.data, part->text.size);
}

/* Adds a boolean under that key; the part's text goes into it. */
static int add(struct zcpd_toml_reader *r, struct zcpd_toml_value *parent, struct key_part *part,
	       struct zcpd_toml_position at, struct zcpd_toml_value **valuep)
{
	struct zcpd_toml_value *value;

	if (parent->depth == ZCPD_TOML_MAX_DEPTH)
		return zcpd_toml_fail(r, at, "tables and arrays are nested more than %d deep",
				      ZCPD_TOML_MAX_DEPTH);
	value = zcpd_toml_value_add(parent, part ? part->text.data : NULL,
				    part ? part->text.size : 0, at);
	if (!value)
		return zcpd_toml_fail_memory(r);
	if (part)
		part->text = (struct zcpd_toml_text){ 0 };
	*valuep = value;
	return 0;
}

/* Adds an empty table or array under that key (in an array: without one). */
static int add_list(struct zcpd_toml_reader *r, struct zcpd_toml_value *parent,
		    struct key_part *part, struct zcpd_toml_position at, enum zcpd_toml_kind kind,
		    enum zcpd_toml_origin origin, struct zcpd_toml_value **listp)
{
	int error = add(r, parent, part, at, listp);

	if (error < 0)
		return error;
	if (zcpd_toml_value_make_list(*listp, kind, origin) < 0)
		return zcpd_toml_fail_memory(r);
	return 0;
}

/*
 * From `*tablep` into the table that is named on the way to another one, which is made if it does
 * not exist: by a header (IMPLIED) or by a dotted key (DOTTED).
 */
static int step_into(struct zcpd_toml_reader *r, struct zcpd_toml_value **tablep,
		     struct key_part *part, enum zcpd_toml_origin origin)
{
	struct zcpd_toml_value *table = find(*tablep, part);
	bool dotted = origin == ZCPD_TOML_ORIGIN_DOTTED;

	if (!table)
		return add_list(r, *tablep, part, part->at, ZCPD_TOML_TABLE, origin, tablep);
	if (table->kind < ZCPD_TOML_ARRAY)
		return zcpd_toml_fail(r, part->at,
				      "'%s' is not a table: it was set to %s on line %u",
				      part->shown, zcpd_toml_kind_name(table->kind),
				      table->key_at.line);
	if (table->origin == ZCPD_TOML_ORIGIN_VALUE)
		return zcpd_toml_fail(r, part->at,
				      "'%s' was given in full on line %u: add to it there",
				      part->shown, table->key_at.line);
	if (dotted && table->origin == ZCPD_TOML_ORIGIN_HEADER)
		return zcpd_toml_fail(r, part->at, "'%s' has a header on line %u: add to it there",
				      part->shown, table->key_at.line);
	if (table->kind == ZCPD_TOML_ARRAY)
		table = table->list->last; /* an array of tables has at least one */
	else if (dotted)
		table->origin = ZCPD_TOML_ORIGIN_DOTTED; /* it was implied */
	*tablep = table;
	return 0;
}

static int fail_table_twice(struct zcpd_toml_reader *r, const struct key_part *part,
			    const struct zcpd_toml_value *first)
{
	if (first->kind < ZCPD_TOML_ARRAY)
		return zcpd_toml_fail(r, part->at,
				      "'%s' is not a table: it was set to %s on line %u",
				      part->shown, zcpd_toml_kind_name(first->kind),
				      first->key_at.line);
	if (first->kind == ZCPD_TOML_ARRAY && first->origin == ZCPD_TOML_ORIGIN_HEADER)
		return zcpd_toml_fail(r, part->at,
				      "'%s' is an array of tables since line %u: write [[ ]]",
				      part->shown, first->key_at.line);
	return zcpd_toml_fail(r, part->at, "table '%s' is defined twice: first on line %u",
			      part->shown, first->key_at.line);
}

/* The last part of [a.b.part]: the table that the lines below fill. */
static int open_table(struct zcpd_toml_reader *r, struct zcpd_toml_value **tablep,
		      struct key_part *part)
{
	struct zcpd_toml_value *table = find(*tablep, part);

	if (!table)
		return add_list(r, *tablep, part, part->at, ZCPD_TOML_TABLE,
				ZCPD_TOML_ORIGIN_HEADER, tablep);
	if (table->kind != ZCPD_TOML_TABLE || table->origin != ZCPD_TOML_ORIGIN_IMPLIED)
		return fail_table_twice(r, part, table);
	table->origin = ZCPD_TOML_ORIGIN_HEADER;
	table->at = part->at;
	table->key_at = part->at;
	*tablep = table;
	return 0;
}

/* The last part of [[a.b.part]]: one more table at the end of the array. */
static int open_array_table(struct zcpd_toml_reader *r, struct zcpd_toml_value **tablep,
			    struct key_part *part)
{
	struct zcpd_toml_value *array = find(*tablep, part);
	struct zcpd_toml_position at = part->at;
	int error;

	if (!array) {
		error = add_list(r, *tablep, part, at, ZCPD_TOML_ARRAY, ZCPD_TOML_ORIGIN_HEADER,
				 &array);
		if (error < 0)
			return error;
	} else if (array->kind != ZCPD_TOML_ARRAY) {
		return fail_table_twice(r, part, array);
	} else if (array->origin != ZCPD_TOML_ORIGIN_HEADER) {
		return zcpd_toml_fail(r, at, "'%s' was given in full on line %u: add to it there",
				      part->shown, array->key_at.line);
	}
	return add_list(r, array, NULL, at, ZCPD_TOML_TABLE, ZCPD_TOML_ORIGIN_HEADER, tablep);
}

static int fail_header_end(struct zcpd_toml_reader *r, bool array)
{
	int c = zcpd_toml_peek(r);

	if (c > ' ' && c != '=' && c != '#' && c != ']')
		return zcpd_toml_fail_found(r, "expected ']' (a name of more than letters, digits, "
					       "'_' and '-' needs quotes)");
	return zcpd_toml_fail_found(r, array ? "expected ']]' at the end of the header" :
					       "expected ']' at the end of the header");
}

/* [a.b] and [[a.b]]; the cursor is on the first bracket. */
static int read_header(struct zcpd_toml_reader *r, struct zcpd_toml_value *root,
		       struct zcpd_toml_value **tablep)
{
	key_part_cleanup struct key_part part = { 0 };
	struct zcpd_toml_value *table = root;
	bool array = zcpd_toml_starts_with(r, "[[");
	int error;

	r->at += array ? 2 : 1;
	for (;;) {
		error = read_part(r, &part);
		if (error < 0)
			return error;
		if (zcpd_toml_peek(r) != '.')
			break;
		r->at++;
		error = step_into(r, &table, &part, ZCPD_TOML_ORIGIN_IMPLIED);
		if (error < 0)
			return error;
	}
	if (!zcpd_toml_starts_with(r, array ? "]]" : "]"))
		return fail_header_end(r, array);
	r->at += array ? 2 : 1;
	error = array ? open_array_table(r, &table, &part) : open_table(r, &table, &part);
	if (error < 0)
		return error;
	*tablep = table;
	return 0;
}

/* key = value, a.b.c = value */
static int read_pair(struct zcpd_toml_reader *r, struct zcpd_toml_value *table)
{
	key_part_cleanup struct key_part part = { 0 };
	struct zcpd_toml_value *value;
	int error;

	error = read_part(r, &part);
	while (error == 0 && zcpd_toml_peek(r) == '.') {
		r->at++;
		error = step_into(r, &table, &part, ZCPD_TOML_ORIGIN_DOTTED);
		if (error == 0)
			error = read_part(r, &part);
	}
	if (error < 0)
		return error;
	value = find(table, &part);
	if (value)
		return zcpd_toml_fail(r, part.at, "'%s' is set twice: first on line %u", part.shown,
				      value->key_at.line);
	if (zcpd_toml_peek(r) != '=')
		return zcpd_toml_fail_found(r, "expected '=' behind the key");
	r->at++;
	zcpd_toml_skip_blanks(r);
	error = add(r, table, &part, part.at, &value);
	if (error < 0)
		return error;
	return read_value(r, value);
}

/* { a = 1, b.c = 2 }, on one line; the cursor is on the brace. */
static int read_inline_table(struct zcpd_toml_reader *r, struct zcpd_toml_value *table)
{
	int error;

	if (zcpd_toml_value_make_list(table, ZCPD_TOML_TABLE, ZCPD_TOML_ORIGIN_VALUE) < 0)
		return zcpd_toml_fail_memory(r);
	r->at++;
	zcpd_toml_skip_blanks(r);
	if (zcpd_toml_peek(r) == '}') {
		r->at++;
		return 0;
	}
	for (;;) {
		error = read_pair(r, table);
		if (error < 0)
			return error;
		zcpd_toml_skip_blanks(r);
		if (zcpd_toml_peek(r) != ',')
			break;
		r->at++;
	}
	if (zcpd_toml_peek(r) != '}')
		return zcpd_toml_fail_found(r, "expected ',' or '}' in the inline table");
	r->at++;
	return 0;
}

/* [ 1, 2, ], over as many lines as one likes; the cursor is on the bracket. */
static int read_array(struct zcpd_toml_reader *r, struct zcpd_toml_value *array)
{
	struct zcpd_toml_value *value = NULL;
	int error;

	if (zcpd_toml_value_make_list(array, ZCPD_TOML_ARRAY, ZCPD_TOML_ORIGIN_VALUE) < 0)
		return zcpd_toml_fail_memory(r);
	do {
		r->at++; /* the bracket or the comma */
		error = zcpd_toml_skip_lines(r);
		if (error < 0)
			return error;
		if (zcpd_toml_peek(r) == ']')
			break;
		error = add(r, array, NULL, zcpd_toml_reader_here(r), &value);
		if (error == 0)
			error = read_value(r, value);
		if (error == 0)
			error = zcpd_toml_skip_lines(r);
		if (error < 0)
			return error;
	} while (zcpd_toml_peek(r) == ',');
	if (zcpd_toml_peek(r) != ']')
		return zcpd_toml_fail_found(r, "expected ',' or ']' in the array");
	r->at++;
	return 0;
}

/* Fills a value that is in its place already. add() bounds the recursion. */
static int read_value(struct zcpd_toml_reader *r, struct zcpd_toml_value *value)
{
	text_cleanup struct zcpd_toml_text text = { 0 };
	int error;

	value->at = zcpd_toml_reader_here(r);
	switch (zcpd_toml_peek(r)) {
	case '[':
		return read_array(r, value);
	case '{':
		return read_inline_table(r, value);
	case '"':
	case '\'':
		error = zcpd_toml_read_string(r, &text);
		if (error < 0)
			return error;
		value->kind = ZCPD_TOML_STRING;
		value->string.data = text.data;
		value->string.size = text.size;
		text = (struct zcpd_toml_text){ 0 };
		return 0;
	default:
		return zcpd_toml_read_word(r, value);
	}
}

static int read_document(struct zcpd_toml_reader *r, struct zcpd_toml_value *root)
{
	struct zcpd_toml_value *table = root;
	int error;

	for (;;) {
		error = zcpd_toml_skip_lines(r);
		if (error < 0 || zcpd_toml_peek(r) < 0)
			return error;
		if (zcpd_toml_peek(r) == '[')
			error = read_header(r, root, &table);
		else
			error = read_pair(r, table);
		if (error == 0)
			error = zcpd_toml_skip_comment(r);
		if (error < 0)
			return error;
		if (zcpd_toml_peek(r) >= 0 && !zcpd_toml_skip_newline(r))
			return zcpd_toml_fail_found(r, "expected the end of the line");
	}
}

int zcpd_toml_parse(struct zcpd_toml_value **rootp, const char *text, size_t size,
		    struct zcpd_toml_error *error)
{
	__attribute__((cleanup(zcpd_toml_freep))) struct zcpd_toml_value *root = NULL;
	struct zcpd_toml_reader reader = { .mark_at = { 1, 1 }, .error = error };
	int result;

	reader.at = reader.mark = size > 0 ? text : ""; /* it may be NULL */
	reader.end = reader.at + size;
	if (size > ZCPD_TOML_MAX_SIZE) {
		zcpd_toml_fail(&reader, reader.mark_at,
			       "larger than %zu bytes: no configuration is", ZCPD_TOML_MAX_SIZE);
		return -EFBIG;
	}
	if (zcpd_toml_starts_with(&reader, "\xef\xbb\xbf")) { /* a byte order mark */
		reader.at += 3;
		reader.mark = reader.at;
	}
	root = zcpd_toml_value_new_root();
	if (!root)
		return zcpd_toml_fail_memory(&reader);
	result = zcpd_toml_check_utf8(&reader);
	if (result < 0)
		return result;
	result = read_document(&reader, root);
	if (result < 0)
		return result;
	*rootp = root;
	root = NULL;
	return 0;
}
