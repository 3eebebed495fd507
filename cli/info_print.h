/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All about a topic, for people and for programs. Failures are the output's.
 */
#ifndef ZCP_CLI_INFO_PRINT_H
#define ZCP_CLI_INFO_PRINT_H

#include "cli/output.h"
#include "pubsub/wire/message.h"

void cli_info_print(const struct zcp_topic_info *info, struct cli_output *output);
void cli_info_print_json(const struct zcp_topic_info *info, struct cli_output *output);

#endif
