/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sentences on standard error: "zcp pub: what failed, on what, and what to do".
 */
#ifndef ZCP_CLI_COMPLAIN_H
#define ZCP_CLI_COMPLAIN_H

#include <zcp/node.h>

/* What every later sentence begins with: "zcp", and the command's name unless NULL. */
void cli_complain_as(const char *command);

__attribute__((format(printf, 1, 2))) void cli_complain(const char *format, ...);

/* The command line is wrong. Adds where to read more; returns CLI_EXIT_USAGE. */
__attribute__((format(printf, 1, 2))) int cli_complain_usage(const char *format, ...);

/*
 * A call of the library returned `error`. The node's sentence about it (NULL: that of
 * zcp_node_open()), else what was to be done, from `format`, and what the code means.
 * Returns CLI_EXIT_FAILED.
 */
__attribute__((format(printf, 3, 4))) int cli_complain_error(const struct zcp_node *node, int error,
							     const char *format, ...);

/* What was open on a topic was lost with its runtime, and is opened anew. */
void cli_complain_anew(const char *topic);

#endif
