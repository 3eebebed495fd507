/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Help is made from the tables that command lines are read by, so that it leaves nothing out.
 */
#include "cli/help.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"

/* Where an option's text begins. */
#define TEXT_COLUMN 26

/* `left`, and beside it `text`, whose later lines are indented as far. */
static void print_entry(struct cli_output *output, const char *left, const char *text)
{
	size_t used = strlen(left), n;

	cli_output_printf(output, "%s", left);
	for (;;) {
		n = strcspn(text, "\n");
		cli_output_printf(output, "%*s%.*s\n",
				  used < TEXT_COLUMN ? (int)(TEXT_COLUMN - used) : 1, "", (int)n,
				  text);
		if (text[n] == '\0')
			return;
		text += n + 1;
		used = 0;
	}
}

int cli_help_command(const struct cli_command *command)
{
	struct cli_output output;
	char left[64];

	cli_output_init(&output, STDOUT_FILENO);
	cli_output_printf(&output, "usage: zcp %s%s%s [OPTION...]\n\n%s\n", command->name,
			  command->argument[0] ? " " : "", command->argument, command->description);
	for (const struct cli_option *o = command->options; o->kind != CLI_OPTION_END; o++) {
		(void)snprintf(left, sizeof(left), "  --%s%s%s", o->name, o->argument ? " " : "",
			       o->argument ? o->argument : "");
		print_entry(&output, left, o->help);
	}
	print_entry(&output, "  -h, --help", "this text");
	cli_output_printf(&output, "\nExample:\n%s", command->examples);
	return cli_output_end(&output);
}

int cli_help_all(const struct cli_command *const *commands)
{
	struct cli_output output;
	char left[64];

	cli_output_init(&output, STDOUT_FILENO);
	cli_output_printf(&output,
			  "usage: zcp COMMAND [OPTION...]\n\n"
			  "Publishes and shows the messages of zcp's topics: shared memory "
			  "between the\nprocesses of this machine.\n\n");
	for (; *commands; commands++) {
		(void)snprintf(left, sizeof(left), "  %s%s%s", (*commands)->name,
			       (*commands)->argument[0] ? " " : "", (*commands)->argument);
		print_entry(&output, left, (*commands)->summary);
	}
	print_entry(&output, "  help [COMMAND]", "tells all about a command, like COMMAND --help");
	print_entry(&output, "  --version", "prints the version");
	cli_output_printf(&output,
			  "\nExit codes: 0 done, 1 failed, 2 wrong usage, 124 timed out.\n\n"
			  "Example:\n"
			  "  zcp echo greetings --lines --count 2 &\n"
			  "  printf 'hello\\nworld\\n' | zcp pub greetings --lines "
			  "--wait-subscribers 1\n");
	return cli_output_end(&output);
}
