/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard output with every write checked. Small pieces are gathered, large ones are
 * written from where they lie.
 *
 * A failure is kept: later calls do nothing and return it, so that it may be looked at once,
 * at the end.
 */
#ifndef ZCP_CLI_OUTPUT_H
#define ZCP_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#define CLI_OUTPUT_SIZE 16384

struct cli_output {
	int fd;
	/* 0 or the first failure, a negative errno */
	int error;
	size_t used;
	char buffer[CLI_OUTPUT_SIZE];
};

/*
 * First of all: standard input, output and error that are closed become /dev/null, so that nothing
 * else is opened in their place. Writing to an output that was closed fails with -EBADF.
 */
void cli_output_check_standard(void);

/* Whether the reader of a pipe or socket has gone. */
bool cli_output_is_abandoned(const struct cli_output *output);

/* The descriptor is borrowed. From here on a reader that goes away is -EPIPE and no signal. */
void cli_output_init(struct cli_output *output, int fd);

/*
 * Each returns 0 or the first failure. Of what write(2) gives, -EINTR is only returned where
 * the user wants an end (cli_stop_insisted()) and the reader takes nothing.
 */
int cli_output_write(struct cli_output *output, const void *data, size_t size);
__attribute__((format(printf, 2, 3))) int cli_output_printf(struct cli_output *output,
							    const char *format, ...);
int cli_output_flush(struct cli_output *output);

/* Writes what is left and closes the descriptor. Complains; returns an exit code. */
int cli_output_end(struct cli_output *output);

#endif
