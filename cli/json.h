/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes JSON (RFC 8259), one member or element a line. Failures are the output's.
 */
#ifndef ZCP_CLI_JSON_H
#define ZCP_CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/output.h"

struct cli_json {
	struct cli_output *output;
	unsigned int depth;
	/* something stands before in the innermost list or object */
	bool follows;
};

/* The output is borrowed. */
void cli_json_init(struct cli_json *json, struct cli_output *output);

/*
 * `key` is the member's name in an object, NULL in a list and outermost. `bracket` is '{' or
 * '[', and '}' or ']'. The end of the outermost one ends the line.
 */
void cli_json_begin(struct cli_json *json, const char *key, char bracket);
void cli_json_end(struct cli_json *json, char bracket);

/* Bytes that are not UTF-8 become the replacement character. */
void cli_json_text(struct cli_json *json, const char *key, const char *value);
void cli_json_number(struct cli_json *json, const char *key, uint64_t value);
void cli_json_null(struct cli_json *json, const char *key);
void cli_json_bool(struct cli_json *json, const char *key, bool value);

#endif
