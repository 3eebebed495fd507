/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes as people read them: sixteen a line, in hexadecimal and as text, like xxd(1).
 */
#ifndef ZCP_CLI_HEXDUMP_H
#define ZCP_CLI_HEXDUMP_H

#include <stddef.h>

#include "cli/output.h"

/* Failures are the output's. */
void cli_hexdump(const void *data, size_t size, struct cli_output *output);

#endif
