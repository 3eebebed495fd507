/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command of `zcp` is, and how it ends.
 */
#ifndef ZCP_CLI_COMMAND_H
#define ZCP_CLI_COMMAND_H

#include "cli/options.h"

/* Exit codes; 124 is what timeout(1) uses, 130 what a shell says of a command that SIGINT ended. */
enum cli_exit {
	CLI_EXIT_OK = 0,
	CLI_EXIT_FAILED = 1,
	CLI_EXIT_USAGE = 2,
	CLI_EXIT_TIMED_OUT = 124,
	/* stopped by a signal before it had done what was asked: main() ends by that signal */
	CLI_EXIT_STOPPED = 130,
};

struct cli_command {
	const char *name;
	/* in the usage line: "TOPIC", or "" for a command that takes none */
	const char *argument;
	/* one line without a full stop, for `zcp help` */
	const char *summary;
	/* whole lines, for `zcp help COMMAND` */
	const char *description;
	const char *examples;
	const struct cli_option *options;
	/* argv[0] is the command's name; returns an exit code */
	int (*run)(int argc, char **argv);
};

extern const struct cli_command cli_pub;
extern const struct cli_command cli_echo;
extern const struct cli_command cli_list;
extern const struct cli_command cli_info;
extern const struct cli_command cli_audit;

#endif
