/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table with aligned columns. Fill in cell by cell, row by row, then print.
 */
#ifndef ZCP_CLI_TABLE_H
#define ZCP_CLI_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "cli/output.h"

struct cli_table {
	/* one letter a column: 'l' for text, 'r' for numbers */
	const char *columns;
	char **cells;
	size_t n_cells;
	size_t n_allocated;
	/* 0 or -ENOMEM */
	int error;
};

/* `columns` is borrowed: "lrr" for three of them. */
void cli_table_init(struct cli_table *table, const char *columns);
void cli_table_deinit(struct cli_table *table);

/* The next cell. Control characters are replaced. A failure is kept for the print. */
__attribute__((format(printf, 2, 3))) void cli_table_add(struct cli_table *table,
							 const char *format, ...);

/* A row of text: "TOPIC|TYPE|MESSAGES". */
void cli_table_add_titles(struct cli_table *table, const char *titles);

/* Prints all rows; `indent` blanks stand before each. Failures go to output->error. */
void cli_table_print(const struct cli_table *table, int indent, struct cli_output *output);

#endif
