/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zcp: publishes and shows messages from the command line.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <zcp/version.h>

#include "cli/command.h"
#include "cli/complain.h"
#include "cli/help.h"
#include "cli/output.h"
#include "cli/stop.h"
#include "common/suggest.h"

static const struct cli_command *const commands[] = {
	&cli_pub, &cli_echo, &cli_list, &cli_info, &cli_audit, NULL,
};

static const struct cli_command *find(const char *name)
{
	for (size_t i = 0; commands[i]; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static int complain_unknown(const char *name)
{
	struct zcp_suggestion suggestion = zcp_suggestion_for(name);

	for (size_t i = 0; commands[i]; i++)
		zcp_suggestion_offer(&suggestion, commands[i]->name);
	zcp_suggestion_offer(&suggestion, "help");
	if (suggestion.best)
		return cli_complain_usage("there is no command '%s'; did you mean '%s'?", name,
					  suggestion.best);
	return cli_complain_usage("there is no command '%s'", name);
}

static int print_version(void)
{
	struct cli_output output;

	cli_output_init(&output, STDOUT_FILENO);
	cli_output_printf(&output, "zcp %s\n", zcp_version_string());
	return cli_output_end(&output);
}

static int help(int argc, char **argv)
{
	const struct cli_command *command;

	if (argc < 3)
		return cli_help_all(commands);
	command = find(argv[2]);
	if (!command)
		return complain_unknown(argv[2]);
	return cli_help_command(command);
}

int main(int argc, char **argv)
{
	const struct cli_command *command;
	int code;

	cli_output_check_standard();

	if (argc < 2)
		return cli_complain_usage("which command? pub, echo, list, info or audit");
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
	    strcmp(argv[1], "-h") == 0)
		return help(argc, argv);
	if (strcmp(argv[1], "--version") == 0)
		return print_version();
	command = find(argv[1]);
	if (!command && argv[1][0] == '-')
		return cli_complain_usage("the command comes first, before %s", argv[1]);
	if (!command)
		return complain_unknown(argv[1]);
	cli_complain_as(command->name);
	code = command->run(argc - 1, argv + 1);
	if (code == CLI_EXIT_STOPPED)
		cli_stop_die();
	return code;
}
