/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What --help prints.
 */
#ifndef ZCP_CLI_HELP_H
#define ZCP_CLI_HELP_H

#include "cli/command.h"

/* About one command. Returns an exit code. */
int cli_help_command(const struct cli_command *command);

/* About all of them; `commands` ends with NULL. Returns an exit code. */
int cli_help_all(const struct cli_command *const *commands);

#endif
