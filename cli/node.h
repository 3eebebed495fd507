/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command's node.
 */
#ifndef ZCP_CLI_NODE_H
#define ZCP_CLI_NODE_H

#include <stdbool.h>

#include <zcp/node.h>

#include "cli/options.h"

/*
 * Opens it; `name` is what `zcp info` shows of it. Returns NULL where that failed; it has
 * been complained about then. Says of runtimes of the domain in other places: see elsewhere.h.
 */
struct zcp_node *cli_node_open(const struct cli_common *common, const char *name);

/* For a local that owns one; signals are no longer passed on to it. */
void cli_node_closep(struct zcp_node **node);

#endif
