/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Widths are columns of a terminal: a character takes one, two, or none.
 */
#include "cli/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/utf8.h"
#include "pubsub/util.h"

#define COLUMNS_MAX 16

/* Between columns. */
#define GAP 2

void cli_table_init(struct cli_table *table, const char *columns)
{
	*table = (struct cli_table){ .columns = columns };
}

void cli_table_deinit(struct cli_table *table)
{
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i]);
	free(table->cells);
	*table = (struct cli_table){ .columns = "" };
}

/* A copy that a terminal will only show; NULL: no memory. */
static char *make_printable(const char *text)
{
	/* A byte may become a replacement character of three. */
	char *copy = malloc(strlen(text) * 3 + 1), *end = copy;
	uint32_t character;

	if (!copy)
		return NULL;
	while ((character = cli_utf8_next(&text)) != 0) {
		if (cli_utf8_is_control(character))
			character = '?';
		end += cli_utf8_encode(character, end);
	}
	*end = '\0';
	return copy;
}

static void add(struct cli_table *table, const char *text)
{
	char *cell;

	if (table->error)
		return;
	if (table->n_cells == table->n_allocated) {
		size_t n = table->n_allocated ? table->n_allocated * 2 : 64;
		char **cells = realloc(table->cells, n * sizeof(*cells));

		if (!cells) {
			table->error = -ENOMEM;
			return;
		}
		table->cells = cells;
		table->n_allocated = n;
	}
	cell = make_printable(text);
	if (!cell) {
		table->error = -ENOMEM;
		return;
	}
	table->cells[table->n_cells++] = cell;
}

void cli_table_add(struct cli_table *table, const char *format, ...)
{
	ZCP_CLEANUP(zcp_free_memory) char *text = NULL;
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (n < 0) {
		text = NULL;
		table->error = -ENOMEM;
		return;
	}
	add(table, text);
}

void cli_table_add_titles(struct cli_table *table, const char *titles)
{
	while (*titles != '\0') {
		size_t n = strcspn(titles, "|");

		cli_table_add(table, "%.*s", (int)n, titles);
		titles += titles[n] == '|' ? n + 1 : n;
	}
}

static size_t width_of(const char *text)
{
	uint32_t character;
	size_t n = 0;

	while ((character = cli_utf8_next(&text)) != 0)
		n += cli_utf8_width(character);
	return n;
}

static void print_cell(const struct cli_table *table, size_t i, size_t column_width,
		       struct cli_output *output)
{
	size_t n_columns = strlen(table->columns), column = i % n_columns;
	const char *cell = table->cells[i];
	int fill = (int)(column_width - width_of(cell));

	if (table->columns[column] == 'r')
		cli_output_printf(output, "%*s%s", fill, "", cell);
	else if (column + 1 < n_columns)
		cli_output_printf(output, "%s%*s", cell, fill, "");
	else
		cli_output_printf(output, "%s", cell);
	if (column + 1 < n_columns)
		cli_output_printf(output, "%*s", GAP, "");
	else
		cli_output_printf(output, "\n");
}

void cli_table_print(const struct cli_table *table, int indent, struct cli_output *output)
{
	size_t n_columns = strlen(table->columns), widths[COLUMNS_MAX] = { 0 };

	if (table->error && !output->error)
		output->error = table->error;
	if (n_columns == 0 || n_columns > COLUMNS_MAX)
		return;
	for (size_t i = 0; i < table->n_cells; i++) {
		size_t width = width_of(table->cells[i]);

		if (width > widths[i % n_columns])
			widths[i % n_columns] = width;
	}
	for (size_t i = 0; i < table->n_cells; i++) {
		if (i % n_columns == 0)
			cli_output_printf(output, "%*s", indent, "");
		print_cell(table, i, widths[i % n_columns], output);
	}
}
