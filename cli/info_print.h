/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All about a topic, for people and for programs. Failures are the output's.
 */
#ifndef ZCP_CLI_INFO_PRINT_H
#define ZCP_CLI_INFO_PRINT_H

#include "cli/info_ask.h"
#include "cli/output.h"

void cli_info_print(const struct cli_info *info, struct cli_output *output);
void cli_info_print_json(const struct cli_info *info, struct cli_output *output);

#endif
