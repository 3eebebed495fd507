/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames and lines.
 */
#include "cli/input.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/complain.h"
#include "cli/stop.h"
#include "pubsub/util.h"

/* At least so much of the input is asked for at once when it is lines. */
#define LINES_READ_SIZE 65536

/* Until there is input, or its end. Returns 0, -EINTR: the user wants an end, or what poll(2) gives. */
static int wait_for_input(struct cli_sender *sender, int fd)
{
	/* Without it the node comes back to the next runtime with the next message. */
	int node_fd = zcp_node_fd(sender->node);
	struct pollfd pollfds[2] = { { .fd = fd, .events = POLLIN },
				     { .fd = node_fd, .events = POLLIN } };

	for (;;) {
		int r = poll(pollfds, node_fd >= 0 ? 2 : 1, -1);

		if (cli_stop_asked())
			return -EINTR;
		if (r < 0 && errno != EINTR)
			return zcp_errno();
		if (r > 0 && pollfds[0].revents)
			return 0;
		if (r > 0)
			cli_sender_attend(sender);
	}
}

/*
 * One read(2). Returns 0 with *n (0: the input has ended); -EINTR: the user wants an end;
 * another negative errno that has been complained about.
 */
static int read_some(struct cli_sender *sender, int fd, void *to, size_t size, size_t *n)
{
	for (;;) {
		int error = wait_for_input(sender, fd);
		ssize_t r = error < 0 ? -1 : read(fd, to, size);

		if (r >= 0) {
			*n = (size_t)r;
			return 0;
		}
		if (error == 0)
			error = zcp_errno();
		if (cli_stop_asked())
			return -EINTR;
		/* Some programs hand their non-blocking descriptors on, and read them as well. */
		if (error == -EINTR || error == -EAGAIN)
			continue;
		cli_complain("cannot read standard input: %s", strerror(-error));
		return error;
	}
}

/* The user's end is a good one, unless it was to be one after so many messages. */
static int exit_code(const struct cli_sender *sender, int r)
{
	if (r == -EAGAIN)
		return CLI_EXIT_TIMED_OUT;
	if (r < 0 && r != -EINTR)
		return CLI_EXIT_FAILED;
	return cli_stop_asked() && sender->n_published < sender->count ? CLI_EXIT_STOPPED :
									 CLI_EXIT_OK;
}

/* Fills `size` bytes; *filled is less where the input ends. Returns like read_some(). */
static int read_frame(struct cli_sender *sender, int fd, char *to, size_t size, size_t *filled)
{
	size_t n = 1;
	int r = 0;

	*filled = 0;
	while (r == 0 && n > 0 && *filled < size) {
		r = read_some(sender, fd, to + *filled, size - *filled, &n);
		if (r == 0)
			*filled += n;
	}
	return r;
}

int cli_input_frames(int fd, struct cli_sender *sender, size_t frame_size)
{
	while (!cli_sender_is_done(sender)) {
		struct zcp_loan loan;
		size_t filled = 0;
		int r;

		r = cli_sender_loan(sender, frame_size, &loan);
		if (r == 0)
			r = read_frame(sender, fd, loan.data, frame_size, &filled);
		/* A loan that is not published ends with the publisher. */
		if (r < 0)
			return exit_code(sender, r);
		if (filled == 0)
			break;
		if (filled < frame_size) {
			cli_complain("input ends inside frame %" PRIu64
				     ": %zu of %zu bytes; frames "
				     "before it were published",
				     sender->n_published + 1, filled, frame_size);
			return CLI_EXIT_FAILED;
		}
		r = cli_sender_publish(sender, &loan);
		if (r < 0)
			return exit_code(sender, r);
	}
	return exit_code(sender, 0);
}

/* Input that was read and not yet published. */
struct lines {
	char *buffer;
	size_t capacity;
	size_t begin;
	size_t end;
	/* the first bytes behind `begin` that hold no newline for certain */
	size_t n_searched;
};

/* Returns 0; -EINTR; a negative errno that has been complained about. */
static int publish_line(struct cli_sender *sender, const char *line, size_t size, size_t max_size)
{
	struct zcp_loan loan;
	int r;

	if (size > max_size) {
		cli_complain("line %" PRIu64
			     " is longer than %zu bytes; raise --max-payload. Nothing "
			     "of it was published, the lines before it were",
			     sender->n_published + 1, max_size);
		return -EMSGSIZE;
	}
	r = cli_sender_loan(sender, size, &loan);
	if (r < 0)
		return r;
	if (size > 0)
		memcpy(loan.data, line, size);
	return cli_sender_publish(sender, &loan);
}

/* Publishes the lines that are complete. Returns like publish_line(). */
static int publish_lines(struct lines *lines, struct cli_sender *sender, size_t max_size)
{
	while (!cli_sender_is_done(sender)) {
		char *line = lines->buffer + lines->begin;
		size_t n = lines->end - lines->begin, size;
		char *newline = memchr(line + lines->n_searched, '\n', n - lines->n_searched);
		int r;

		lines->n_searched = n;
		if (!newline && n <= max_size)
			return 0;
		size = newline ? (size_t)(newline - line) : n;
		r = publish_line(sender, line, size, max_size);
		if (r < 0)
			return r;
		lines->begin += size + 1;
		lines->n_searched = 0;
	}
	return 0;
}

/* Reads more; *ended where there is none. Returns like read_some(). */
static int read_lines(struct cli_sender *sender, int fd, struct lines *lines, bool *ended)
{
	size_t n = 0;
	int r;

	memmove(lines->buffer, lines->buffer + lines->begin, lines->end - lines->begin);
	lines->end -= lines->begin;
	lines->begin = 0;
	r = read_some(sender, fd, lines->buffer + lines->end, lines->capacity - lines->end, &n);
	if (r < 0)
		return r;
	lines->end += n;
	*ended = n == 0;
	return 0;
}

int cli_input_lines(int fd, struct cli_sender *sender, size_t max_size)
{
	ZCP_CLEANUP(zcp_free_memory) char *buffer = NULL;
	struct lines lines = { .begin = 0 };
	bool ended = false;
	int r = 0;

	/* A line that is too long is known by its first byte too many. */
	if (__builtin_add_overflow(max_size, LINES_READ_SIZE, &lines.capacity) ||
	    !(buffer = malloc(lines.capacity))) {
		cli_complain("no memory for lines of %zu bytes; lower --max-payload", max_size);
		return CLI_EXIT_FAILED;
	}
	lines.buffer = buffer;
	while (r == 0 && !ended && !cli_sender_is_done(sender)) {
		r = read_lines(sender, fd, &lines, &ended);
		if (r == 0)
			r = publish_lines(&lines, sender, max_size);
	}
	if (r == 0 && lines.end > lines.begin && !cli_sender_is_done(sender))
		r = publish_line(sender, buffer + lines.begin, lines.end - lines.begin, max_size);
	return exit_code(sender, r);
}
