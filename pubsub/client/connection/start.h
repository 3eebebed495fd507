/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding a domain's runtime, and starting one where there is none.
 */
#ifndef ZCP_CLIENT_CONNECTION_START_H
#define ZCP_CLIENT_CONNECTION_START_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zcp/node.h>

/*
 * Connects to the runtime of options->domain (not NULL), and starts one if there is none
 * and options->auto_start is ZCP_AUTO_START_ON. Blocks until `deadline` (CLOCK_MONOTONIC,
 * ns) at most. With `looks` root connects to the runtime of any user. Returns 0 with *socket, the caller's; or the errors of zcp_node_open(), with
 * a sentence in `text`.
 */
__attribute__((warn_unused_result)) int zcp_start_connect(const struct zcp_node_options *options,
							  bool looks, uint64_t deadline,
							  int *socket, char *text,
							  size_t text_size);

#endif
