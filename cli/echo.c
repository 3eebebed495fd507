/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zcp echo: messages to standard output.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <zcp/subscriber.h>

#include "cli/alike.h"
#include "cli/command.h"
#include "cli/complain.h"
#include "cli/hexdump.h"
#include "cli/node.h"
#include "cli/output.h"
#include "cli/stop.h"
#include "cli/utf8.h"
#include "pubsub/client/subscriber.h"
#include "pubsub/util.h"

#define BYTES_DEFAULT 64
/* At least so long between two complaints about lost messages. */
#define COMPLAIN_PERIOD_NS UINT64_C(1000000000)

struct echo_options {
	struct cli_common common;
	const char *topic;
	const char *type;
	uint64_t count;
	uint64_t bytes;
	uint64_t depth;
	uint64_t held;
	uint64_t history;
	double timeout;
	uint32_t on_full;
	uint32_t order;
	bool raw;
	bool lines;
	bool header;
	bool quiet;
};

#define OPTION(member) .offset = offsetof(struct echo_options, member)

/* In the order of enum zcp_on_full. */
static const char *const on_full_choices[] = { "drop-oldest", "block", NULL };

/* In the order of enum zcp_order. */
static const char *const order_choices[] = { "turn", "time", NULL };

static const struct cli_option options_table[] = {
	{ .kind = CLI_OPTION_FLAG,
	  OPTION(raw),
	  .name = "raw",
	  .help = "write the payloads, byte for byte, and nothing else" },
	{ .kind = CLI_OPTION_FLAG,
	  OPTION(lines),
	  .name = "lines",
	  .help = "write the payloads, with a newline after each" },
	{ .kind = CLI_OPTION_COUNT,
	  OPTION(bytes),
	  .name = "bytes",
	  .argument = "N",
	  .help = "show the first N bytes of each payload (default: 64)",
	  .max = UINT64_MAX },
	{ .kind = CLI_OPTION_FLAG,
	  OPTION(header),
	  .name = "header",
	  .help = "show each message's user header, before its payload" },
	{ .kind = CLI_OPTION_COUNT,
	  OPTION(count),
	  .name = "count",
	  .argument = "N",
	  .help = "end after N messages",
	  .min = 1,
	  .max = UINT64_MAX },
	{ .kind = CLI_OPTION_NUMBER,
	  OPTION(timeout),
	  .name = "timeout",
	  .argument = "SECONDS",
	  .help = "end with exit code 124 when nothing came for so long",
	  .max = 1000000000 },
	{ .kind = CLI_OPTION_COUNT,
	  OPTION(depth),
	  .name = "depth",
	  .argument = "N",
	  .help = "messages of each publisher that may wait here (default: the\n"
		  "topic's, else 16)",
	  .min = 1,
	  .max = 65536 },
	{ .kind = CLI_OPTION_COUNT,
	  OPTION(held),
	  .name = "held",
	  .argument = "N",
	  .help = "messages to claim beside those that wait (default: the topic's,\n"
		  "else 4; one is enough)",
	  .min = 1,
	  .max = 4096 },
	{ .kind = CLI_OPTION_CHOICE,
	  OPTION(on_full),
	  .name = "on-full",
	  .argument = "POLICY",
	  .help = "when as many wait as may: drop-oldest, or block: the publisher\n"
		  "waits and nothing is lost (default: the topic's, else\n"
		  "drop-oldest)",
	  .choices = on_full_choices },
	{ .kind = CLI_OPTION_COUNT,
	  OPTION(history),
	  .name = "history",
	  .argument = "N",
	  .help = "begin with the last N messages of each publisher, as many as it\n"
		  "keeps (default: 0)",
	  .max = 1024 },
	{ .kind = CLI_OPTION_CHOICE,
	  OPTION(order),
	  .name = "order",
	  .argument = "ORDER",
	  .help = "where several publish: turn, from each in turn, or time, what was\n"
		  "published first of what is there (default: the topic's, else turn)",
	  .choices = order_choices },
	{ .kind = CLI_OPTION_TEXT,
	  OPTION(type),
	  .name = "type",
	  .argument = "NAME",
	  .help = "refuse a topic of another type; end when a publisher gives it one" },
	{ .kind = CLI_OPTION_FLAG,
	  OPTION(quiet),
	  .name = "quiet",
	  .help = "say nothing about runtimes elsewhere, a topic without\n"
		  "publishers, lost messages and how many came" },
	CLI_COMMON_OPTIONS(echo_options, common),
	{ .kind = CLI_OPTION_END },
};

struct echo {
	const struct echo_options *options;
	struct zcp_node *node;
	/* another one when the one before was lost with its runtime */
	struct zcp_subscriber *subscriber;
	struct zcp_subscriber_options subscriber_options;
	struct cli_output output;
	uint64_t n_received;
	/* by subscribers before */
	uint64_t n_lost;
	/* when to see whether anybody publishes; 0: that has been done */
	uint64_t look_ns;
	/* lost and not yet complained about; when that was done last */
	uint64_t n_unsaid;
	uint64_t said_ns;
};

/* What the table cannot say. Returns CLI_OPTIONS_RUN or an exit code. */
static int check(const struct echo_options *options)
{
	if (options->raw && options->lines)
		return cli_complain_usage("--raw and --lines exclude each other: leave one out");
	if (options->header && (options->raw || options->lines))
		return cli_complain_usage("--header is for the readable form, and --%s writes "
					  "payloads alone: leave one out",
					  options->raw ? "raw" : "lines");
	return CLI_OPTIONS_RUN;
}

/* It comes from another program. */
static void print_name(struct cli_output *output, const char *name)
{
	uint32_t character;

	cli_output_printf(output, " (");
	while ((character = cli_utf8_next(&name)) != 0) {
		char bytes[CLI_UTF8_SIZE];

		if (cli_utf8_is_control(character))
			character = '?';
		cli_output_write(output, bytes, cli_utf8_encode(character, bytes));
	}
	cli_output_printf(output, ")");
}

static void print_header(struct cli_output *output, const struct zcp_sample *sample)
{
	if (sample->user_header_size == 0) {
		cli_output_printf(output, "  no user header\n");
		return;
	}
	cli_output_printf(output, "  user header, %zu bytes\n", sample->user_header_size);
	cli_hexdump(sample->user_header, sample->user_header_size, output);
	cli_output_printf(output, "  payload\n");
}

static void print_readable(struct echo *echo, const struct zcp_sample *sample)
{
	struct cli_output *output = &echo->output;
	size_t shown = sample->size < echo->options->bytes ? sample->size : echo->options->bytes;
	char node[ZCP_NODE_NAME_MAX + 1];

	cli_output_printf(output, "message %" PRIu64 "  publisher %" PRIu64, sample->sequence,
			  sample->publisher_id);
	if (zcp_sample_publisher_name(sample, node, sizeof(node)) == 0)
		print_name(output, node);
	cli_output_printf(output, "  %zu bytes", sample->size);
	if (sample->publish_time_ns > 0)
		cli_output_printf(output, "  age %.1f us",
				  (double)(int64_t)(zcp_now_ns() - sample->publish_time_ns) / 1e3);
	cli_output_printf(output, "  lost %" PRIu64 "\n", sample->lost);
	if (echo->options->header)
		print_header(output, sample);
	cli_hexdump(sample->data, shown, output);
	if (shown < sample->size && shown > 0)
		cli_output_printf(output, "  ... %zu more bytes (--bytes %zu shows them)\n",
				  sample->size - shown, sample->size);
}

/* The readable form has it in its line. At most once a second: a flood would cost more. */
static void complain_lost(struct echo *echo, const struct zcp_sample *sample)
{
	uint64_t now;

	echo->n_unsaid += sample->lost;
	if (echo->n_unsaid == 0 || echo->options->quiet)
		return;
	now = zcp_now_ns();
	if (echo->said_ns > 0 && now - echo->said_ns < COMPLAIN_PERIOD_NS)
		return;
	cli_complain("lost %" PRIu64 " messages before message %" PRIu64 " of publisher %" PRIu64
		     "; raise --depth, or use --on-full block",
		     echo->n_unsaid, sample->sequence, sample->publisher_id);
	echo->said_ns = now;
	echo->n_unsaid = 0;
}

static void print(struct echo *echo, const struct zcp_sample *sample)
{
	if (!echo->options->raw && !echo->options->lines) {
		print_readable(echo, sample);
		return;
	}
	complain_lost(echo, sample);
	cli_output_write(&echo->output, sample->data, sample->size);
	if (echo->options->lines)
		cli_output_write(&echo->output, "\n", 1);
}

/* Once; the topic's name may be a mistake. */
static void complain_alone(struct echo *echo)
{
	if (echo->look_ns == 0)
		return;
	echo->look_ns = 0;
	if (!echo->options->quiet && echo->n_received == 0 &&
	    zcp_subscriber_n_publishers(echo->subscriber) == 0)
		cli_complain_no_publisher(echo->node, echo->options->topic);
}

/*
 * Until the node has something, the output's reader has gone, a signal comes, or it is time to look
 * for a publisher.
 */
static int poll_both(struct echo *echo, int node_fd, uint64_t start_ns)
{
	struct pollfd pollfds[2] = { { .fd = node_fd, .events = POLLIN },
				     { .fd = echo->output.fd } };
	double timeout = echo->options->timeout;
	uint64_t now = zcp_now_ns();
	uint64_t end = timeout > 0 ? start_ns + (uint64_t)(timeout * 1e9) : UINT64_MAX;
	uint64_t until = echo->look_ns > 0 && echo->look_ns < end ? echo->look_ns : end;
	uint64_t left = until > now ? until - now : 0;
	const struct timespec ts = { .tv_sec = (time_t)(left / 1000000000),
				     .tv_nsec = (long)(left % 1000000000) };

	if (ppoll(pollfds, 2, until < UINT64_MAX ? &ts : NULL, NULL) != 0)
		return 0;
	if (until == end)
		return -ETIMEDOUT;
	complain_alone(echo);
	return 0;
}

/* Returns 0 where it is worth looking again; -ETIMEDOUT. */
static int wait_more(struct echo *echo)
{
	uint64_t start_ns = zcp_now_ns();
	int node_fd = zcp_node_fd(echo->node), r;

	/* Nobody waits for what we have while we wait. */
	if (cli_output_flush(&echo->output) < 0)
		return 0;
	if (node_fd < 0)
		return node_fd;
	for (;;) {
		r = zcp_node_wait(echo->node, 0);
		if (r != -ETIMEDOUT)
			return r == -EINTR ? 0 : r;
		r = poll_both(echo, node_fd, start_ns);
		if (r < 0 || cli_stop_asked())
			return r;
		/* As if we had written to it. */
		if (cli_output_is_abandoned(&echo->output)) {
			echo->output.error = -EPIPE;
			return 0;
		}
	}
}

/*
 * We keep no publisher out whose type is another one than we want; what it publishes we do not
 * take. The runtime has written it before that publisher published.
 */
static bool has_other_type(const struct echo *echo)
{
	const char *type = echo->subscriber->endpoint.topic.shm->type;

	return echo->options->type && type[0] &&
	       strncmp(type, echo->options->type, ZCP_TYPE_SIZE) != 0;
}

static uint64_t n_lost(const struct echo *echo)
{
	uint64_t n_taken, n;

	zcp_subscriber_counts(echo->subscriber, &n_taken, &n);
	return echo->n_lost + n;
}

static int open_subscriber(struct echo *echo)
{
	int r = zcp_subscriber_open(&echo->subscriber, echo->node, echo->options->topic,
				    &echo->subscriber_options);

	if (r < 0)
		(void)cli_complain_error(echo->node, r, "cannot subscribe to topic '%s'",
					 echo->options->topic);
	return r;
}

/* Takes and prints until there is an end. Returns 0 or a negative errno. */
static int take_all(struct echo *echo)
{
	const struct echo_options *options = echo->options;

	while (!cli_stop_asked() && echo->output.error == 0 &&
	       (options->count == 0 || echo->n_received < options->count)) {
		struct zcp_sample sample;
		int r = zcp_subscriber_take(echo->subscriber, &sample);

		if (r == -EAGAIN) {
			r = wait_more(echo);
			if (r < 0)
				return r;
			continue;
		}
		if (r < 0)
			return r;
		if (has_other_type(echo)) {
			(void)zcp_sample_release(&sample);
			return -EPROTOTYPE;
		}
		print(echo, &sample);
		(void)zcp_sample_release(&sample);
		echo->n_received++;
	}
	return 0;
}

/*
 * The subscriber was lost with its runtime: opens another one. Returns 0, or a negative errno that
 * has been complained about.
 */
static int open_anew(struct echo *echo)
{
	struct zcp_subscriber *lost = echo->subscriber;
	uint64_t n = n_lost(echo);
	int r = open_subscriber(echo);

	if (r < 0)
		return r;
	cli_complain_anew(echo->options->topic);
	(void)zcp_subscriber_close(lost);
	echo->n_lost = n;
	return 0;
}

/* Returns an exit code. */
static int end(struct echo *echo, int r)
{
	const struct echo_options *options = echo->options;
	int code;

	/* A reader that has gone has what it wanted. */
	code = echo->output.error == -EPIPE ? CLI_EXIT_OK : cli_output_end(&echo->output);

	if (r == -ETIMEDOUT) {
		complain_alone(echo);
		cli_complain("nothing came on topic '%s' for %g s", options->topic,
			     options->timeout);
		code = code == CLI_EXIT_OK ? CLI_EXIT_TIMED_OUT : code;
	} else if (r == -EPROTOTYPE) {
		cli_complain("topic '%s' has type '%.*s' by now, and --type is '%s': use that one",
			     options->topic, ZCP_TYPE_NAME_MAX,
			     echo->subscriber->endpoint.topic.shm->type, options->type);
		code = CLI_EXIT_FAILED;
	} else if (r < 0) {
		code = cli_complain_error(echo->node, r, "cannot take a message of topic '%s'",
					  options->topic);
	}
	if (!options->quiet)
		cli_complain("received %" PRIu64 " messages, lost %" PRIu64, echo->n_received,
			     n_lost(echo));
	if (code == CLI_EXIT_OK && cli_stop_asked() && echo->n_received < options->count)
		return CLI_EXIT_STOPPED;
	return code;
}

static int run(int argc, char **argv)
{
	struct echo_options options = { .bytes = BYTES_DEFAULT };
	ZCP_CLEANUP(cli_node_closep) struct zcp_node *node = NULL;
	struct echo echo = { .options = &options,
			     .subscriber_options = ZCP_SUBSCRIBER_OPTIONS_INIT };
	int r;

	r = cli_options_parse(&cli_echo, &options, &options.topic, argc, argv);
	if (r == CLI_OPTIONS_RUN)
		r = check(&options);
	if (r != CLI_OPTIONS_RUN)
		return r;
	options.common.quiet = options.quiet;
	node = cli_node_open(&options.common, "zcp-echo");
	if (!node)
		return CLI_EXIT_FAILED;
	cli_stop_on_signals(node);
	echo.subscriber_options.type = options.type;
	echo.subscriber_options.depth = (uint32_t)options.depth;
	echo.subscriber_options.held = (uint32_t)options.held;
	echo.subscriber_options.on_full = options.on_full;
	echo.subscriber_options.history = (uint32_t)options.history;
	echo.subscriber_options.order = options.order;
	echo.node = node;
	if (open_subscriber(&echo) < 0)
		return CLI_EXIT_FAILED;
	echo.look_ns = zcp_now_ns() + CLI_ALIKE_AFTER_NS;
	cli_output_init(&echo.output, STDOUT_FILENO);
	while ((r = take_all(&echo)) == -ESTALE)
		if (open_anew(&echo) < 0)
			return CLI_EXIT_FAILED;
	return end(&echo, r);
}

const struct cli_command cli_echo = {
	.name = "echo",
	.argument = "TOPIC",
	.summary = "shows the messages of a topic, or writes their payloads",
	.description = "Shows the messages of a topic as they come, or writes their payloads to\n"
		       "standard output. What it has to say itself goes to standard error.\n",
	.examples = "  zcp echo video/in --raw --on-full block |\n"
		    "      ffplay -f rawvideo -pixel_format rgb24 -video_size 1280x720 -\n",
	.options = options_table,
	.run = run,
};
