/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short writes, interrupted writes, full disks and readers that have gone.
 */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/complain.h"
#include "cli/stop.h"
#include "pubsub/util.h"

static bool output_was_closed;

void cli_output_check_standard(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		output_was_closed = output_was_closed || fd == STDOUT_FILENO;
		/* The lowest one that is free. */
		ZCP_IGNORE(open("/dev/null", O_RDWR) < 0);
	}
}

bool cli_output_is_abandoned(const struct cli_output *output)
{
	struct pollfd pollfd = { .fd = output->fd };

	return poll(&pollfd, 1, 0) > 0 && (pollfd.revents & POLLERR);
}

void cli_output_init(struct cli_output *output, int fd)
{
	output->fd = fd;
	output->error = fd == STDOUT_FILENO && output_was_closed ? -EBADF : 0;
	output->used = 0;
	(void)signal(SIGPIPE, SIG_IGN);
}

static int write_all(struct cli_output *output, const char *data, size_t size)
{
	while (size > 0 && output->error == 0) {
		ssize_t n = write(output->fd, data, size);

		if (n >= 0) {
			data += n;
			size -= (size_t)n;
		} else if (errno == EAGAIN) {
			struct pollfd pollfd = { .fd = output->fd, .events = POLLOUT };

			/* Some programs hand their non-blocking descriptors on. */
			if (poll(&pollfd, 1, -1) < 0 && errno == EINTR && cli_stop_insisted())
				output->error = -EINTR;
		} else if (errno != EINTR || cli_stop_insisted()) {
			output->error = zcp_errno();
		}
	}
	return output->error;
}

int cli_output_flush(struct cli_output *output)
{
	size_t used = output->used;

	output->used = 0;
	return write_all(output, output->buffer, used);
}

int cli_output_write(struct cli_output *output, const void *data, size_t size)
{
	if (size > sizeof(output->buffer) - output->used)
		(void)cli_output_flush(output);
	if (size >= sizeof(output->buffer))
		return write_all(output, data, size);
	if (output->error == 0 && size > 0) {
		memcpy(output->buffer + output->used, data, size);
		output->used += size;
	}
	return output->error;
}

int cli_output_printf(struct cli_output *output, const char *format, ...)
{
	ZCP_CLEANUP(zcp_free_memory) char *text = NULL;
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (n < 0) {
		text = NULL;
		if (output->error == 0)
			output->error = -ENOMEM;
		return output->error;
	}
	return cli_output_write(output, text, (size_t)n);
}

int cli_output_end(struct cli_output *output)
{
	(void)cli_output_flush(output);
	/* Some file systems say only here that there was no room. */
	if (close(output->fd) < 0 && errno != EINTR && output->error == 0)
		output->error = zcp_errno();
	output->fd = -1;
	switch (output->error) {
	case 0:
		return CLI_EXIT_OK;
	case -EPIPE:
		cli_complain("standard output was closed by its reader");
		break;
	case -EINTR:
		cli_complain("stopped before the reader of standard output took the last message");
		break;
	case -EBADF:
		cli_complain("standard output is closed: give it one, as in >FILE or >/dev/null");
		break;
	default:
		cli_complain("cannot write to standard output: %s", strerror(-output->error));
	}
	return CLI_EXIT_FAILED;
}
