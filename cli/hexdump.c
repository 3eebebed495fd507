/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "  00000010: 6865 6c6c 6f0a                           hello."
 */
#include "cli/hexdump.h"

#include <stdio.h>

#define BYTES_A_LINE 16

static void dump_line(const unsigned char *bytes, size_t n, size_t offset,
		      struct cli_output *output)
{
	/* Two digits a byte, a blank after each second one. */
	char hex[BYTES_A_LINE / 2 * 5 + 1], text[BYTES_A_LINE + 1];
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		used += (size_t)snprintf(hex + used, sizeof(hex) - used, "%02x%s", bytes[i],
					 i % 2 ? " " : "");
		text[i] = bytes[i] >= 0x20 && bytes[i] < 0x7f ? (char)bytes[i] : '.';
	}
	text[n] = '\0';
	cli_output_printf(output, "  %08zx: %-*s %s\n", offset, (int)sizeof(hex) - 1, hex, text);
}

void cli_hexdump(const void *data, size_t size, struct cli_output *output)
{
	const unsigned char *bytes = data;

	for (size_t at = 0; at < size; at += BYTES_A_LINE) {
		size_t left = size - at;

		dump_line(bytes + at, left < BYTES_A_LINE ? left : BYTES_A_LINE, at, output);
	}
}
