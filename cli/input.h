/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard input as messages.
 */
#ifndef ZCP_CLI_INPUT_H
#define ZCP_CLI_INPUT_H

#include <stddef.h>

#include "cli/sender.h"

/*
 * Publishes until the input ends, or the sender is done. Every `frame_size` bytes are a
 * message, read straight into shared memory. Returns an exit code; a failure has been
 * complained about, and what was read before it is published.
 */
int cli_input_frames(int fd, struct cli_sender *sender, size_t frame_size);

/*
 * The same for lines of at most `max_size` bytes, which are messages without their newline.
 * A last line needs none.
 */
int cli_input_lines(int fd, struct cli_sender *sender, size_t max_size);

#endif
