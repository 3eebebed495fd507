/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commas, indentation and escapes.
 */
#include "cli/json.h"

#include <inttypes.h>

#include "cli/utf8.h"

void cli_json_init(struct cli_json *json, struct cli_output *output)
{
	*json = (struct cli_json){ .output = output };
}

static void write_string(struct cli_json *json, const char *text)
{
	char bytes[CLI_UTF8_SIZE];
	uint32_t character;

	cli_output_printf(json->output, "\"");
	while ((character = cli_utf8_next(&text)) != 0) {
		if (character == '"' || character == '\\')
			cli_output_printf(json->output, "\\%c", (char)character);
		else if (cli_utf8_is_control(character))
			cli_output_printf(json->output, "\\u%04" PRIx32, character);
		else
			cli_output_write(json->output, bytes, cli_utf8_encode(character, bytes));
	}
	cli_output_printf(json->output, "\"");
}

/* What stands before a value. */
static void begin_value(struct cli_json *json, const char *key)
{
	if (json->follows)
		cli_output_printf(json->output, ",");
	if (json->depth > 0)
		cli_output_printf(json->output, "\n%*s", (int)(2 * json->depth), "");
	if (key) {
		write_string(json, key);
		cli_output_printf(json->output, ": ");
	}
	json->follows = true;
}

void cli_json_begin(struct cli_json *json, const char *key, char bracket)
{
	begin_value(json, key);
	cli_output_printf(json->output, "%c", bracket);
	json->depth++;
	json->follows = false;
}

void cli_json_end(struct cli_json *json, char bracket)
{
	json->depth--;
	if (json->follows)
		cli_output_printf(json->output, "\n%*s", (int)(2 * json->depth), "");
	cli_output_printf(json->output, "%c%s", bracket, json->depth == 0 ? "\n" : "");
	json->follows = true;
}

void cli_json_text(struct cli_json *json, const char *key, const char *value)
{
	begin_value(json, key);
	write_string(json, value);
}

void cli_json_number(struct cli_json *json, const char *key, uint64_t value)
{
	begin_value(json, key);
	cli_output_printf(json->output, "%" PRIu64, value);
}

void cli_json_null(struct cli_json *json, const char *key)
{
	begin_value(json, key);
	cli_output_printf(json->output, "null");
}

void cli_json_bool(struct cli_json *json, const char *key, bool value)
{
	begin_value(json, key);
	cli_output_printf(json->output, value ? "true" : "false");
}
