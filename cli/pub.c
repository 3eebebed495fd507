/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zcp pub: messages from standard input.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <unistd.h>

#include "cli/alike.h"
#include "cli/command.h"
#include "cli/complain.h"
#include "cli/input.h"
#include "cli/node.h"
#include "cli/sender.h"
#include "cli/stop.h"
#include "pubsub/util.h"

#define LINES_MAX_PAYLOAD UINT64_C(65536)
/* Hz: the period of a smaller one is none that anyone waits for. */
#define RATE_MIN 1e-6
/* As in the configuration. */
#define PAYLOAD_MAX (UINT64_C(16) << 30)
/* How long one wait for the end lasts: with a limit, as there is nothing that we wait for. */
#define STAY_NS (3600 * ZCP_SECOND)

struct pub_options {
	struct cli_common common;
	const char *topic;
	const char *type;
	uint64_t frame_size;
	uint64_t max_payload;
	uint64_t count;
	uint64_t wait_subscribers;
	uint64_t history;
	double rate;
	double timeout;
	bool stay;
	bool lines;
	bool quiet;
};

#define OPTION(member) .offset = offsetof(struct pub_options, member)

static const struct cli_option options_table[] = {
	{ .kind = CLI_OPTION_SIZE,
	  OPTION(frame_size),
	  .name = "frame-size",
	  .argument = "BYTES",
	  .help = "every BYTES of the input are a message, read straight into\n"
		  "shared memory (4096, 64KiB, 8MiB)",
	  .min = 1,
	  .max = PAYLOAD_MAX },
	{ .kind = CLI_OPTION_FLAG,
	  OPTION(lines),
	  .name = "lines",
	  .help = "every line of the input is a message, without its newline" },
	{ .kind = CLI_OPTION_COUNT,
	  OPTION(count),
	  .name = "count",
	  .argument = "N",
	  .help = "end after N messages",
	  .min = 1,
	  .max = UINT64_MAX },
	{ .kind = CLI_OPTION_NUMBER,
	  OPTION(rate),
	  .name = "rate",
	  .argument = "HZ",
	  .help = "publish at most HZ messages a second (0.5, 30)",
	  .max = 1000000000 },
	{ .kind = CLI_OPTION_COUNT,
	  OPTION(wait_subscribers),
	  .name = "wait-subscribers",
	  .argument = "N",
	  .help = "wait for N subscribers before the first message",
	  .min = 1,
	  .max = 256 },
	{ .kind = CLI_OPTION_NUMBER,
	  OPTION(timeout),
	  .name = "timeout",
	  .argument = "SECONDS",
	  .help = "end with exit code 124 when no subscriber came for so long\n"
		  "(--wait-subscribers), or a message has waited for so long for one\n"
		  "that blocks (default: wait)",
	  .max = 1000000000 },
	{ .kind = CLI_OPTION_COUNT,
	  OPTION(history),
	  .name = "history",
	  .argument = "N",
	  .help = "keep the last N messages for subscribers that come later and\n"
		  "ask for them (default: the topic's, else none)",
	  .min = 1,
	  .max = 1024 },
	{ .kind = CLI_OPTION_FLAG,
	  OPTION(stay),
	  .name = "stay",
	  .help = "when the input has ended, stay until stopped: the history goes\n"
		  "with its publisher" },
	{ .kind = CLI_OPTION_TEXT,
	  OPTION(type),
	  .name = "type",
	  .argument = "NAME",
	  .help = "the messages' type; a subscriber with another is refused" },
	{ .kind = CLI_OPTION_SIZE,
	  OPTION(max_payload),
	  .name = "max-payload",
	  .argument = "BYTES",
	  .help = "largest message (default: the frame size, 64KiB for lines)",
	  .min = 1,
	  .max = PAYLOAD_MAX },
	{ .kind = CLI_OPTION_FLAG,
	  OPTION(quiet),
	  .name = "quiet",
	  .help = "say nothing about runtimes elsewhere, that nobody\n"
		  "subscribes, and how much was published when stopped" },
	CLI_COMMON_OPTIONS(pub_options, common),
	{ .kind = CLI_OPTION_END },
};

/* What the table cannot say. Returns CLI_OPTIONS_RUN or an exit code. */
static int check(struct pub_options *options)
{
	if (!options->frame_size && !options->lines)
		return cli_complain_usage(
			"say how the input is divided: --frame-size BYTES or --lines");
	if (options->frame_size && options->lines)
		return cli_complain_usage(
			"--frame-size and --lines exclude each other: leave one out");
	if (options->rate > 0 && options->rate < RATE_MIN)
		return cli_complain_usage("--rate %g is less than %g, one message in 11 days: "
					  "raise it",
					  options->rate, RATE_MIN);
	if (options->max_payload && options->frame_size > options->max_payload)
		return cli_complain_usage("--frame-size is larger than --max-payload: %" PRIu64
					  " and %" PRIu64
					  " bytes; raise --max-payload or leave it out",
					  options->frame_size, options->max_payload);
	if (!options->max_payload)
		options->max_payload = options->lines ? LINES_MAX_PAYLOAD : options->frame_size;
	return CLI_OPTIONS_RUN;
}

/* Returns an exit code. */
static int publish(const struct pub_options *options, struct zcp_node *node,
		   const struct zcp_publisher_options *publisher_options)
{
	struct cli_sender sender = {
		.node = node,
		.options = publisher_options,
		.topic = options->topic,
		.rate = options->rate,
		.timeout = options->timeout,
		.count = options->count,
		.look_ns = options->quiet ? 0 : zcp_now_ns() + CLI_ALIKE_AFTER_NS,
	};
	int r;

	if (cli_sender_open(&sender) < 0)
		return CLI_EXIT_FAILED;
	r = cli_sender_wait_subscribers(&sender, (unsigned int)options->wait_subscribers);
	if (r == -ETIMEDOUT) {
		cli_complain("topic '%s' had %u of %" PRIu64 " subscribers after %g s: is its "
			     "name right? see zcp list; nothing was published",
			     options->topic, zcp_publisher_n_subscribers(sender.publisher),
			     options->wait_subscribers, options->timeout);
		return CLI_EXIT_TIMED_OUT;
	}
	if (r < 0 && r != -EINTR)
		return cli_complain_error(node, r, "cannot wait for subscribers of topic '%s'",
					  options->topic);
	if (options->lines)
		r = cli_input_lines(STDIN_FILENO, &sender, options->max_payload);
	else
		r = cli_input_frames(STDIN_FILENO, &sender, options->frame_size);
	while (r == CLI_EXIT_OK && options->stay && !cli_stop_asked())
		if (cli_sender_stay(&sender, STAY_NS) < 0 && !cli_stop_asked())
			r = CLI_EXIT_FAILED;
	if (cli_stop_asked() && !options->quiet)
		cli_complain("stopped; published %" PRIu64 " messages", sender.n_published);
	return r;
}

static int run(int argc, char **argv)
{
	struct pub_options options = { .lines = false };
	struct zcp_publisher_options publisher_options = ZCP_PUBLISHER_OPTIONS_INIT;
	ZCP_CLEANUP(cli_node_closep) struct zcp_node *node = NULL;
	int r;

	r = cli_options_parse(&cli_pub, &options, &options.topic, argc, argv);
	if (r == CLI_OPTIONS_RUN)
		r = check(&options);
	if (r != CLI_OPTIONS_RUN)
		return r;
	options.common.quiet = options.quiet;
	node = cli_node_open(&options.common, "zcp-pub");
	if (!node)
		return CLI_EXIT_FAILED;
	cli_stop_on_signals(node);
	publisher_options.type = options.type;
	publisher_options.max_payload = options.max_payload;
	publisher_options.history = (uint32_t)options.history;
	return publish(&options, node, &publisher_options);
}

const struct cli_command cli_pub = {
	.name = "pub",
	.argument = "TOPIC",
	.summary = "publishes what it reads from standard input",
	.description =
		"Publishes messages that it reads from standard input, until that ends.\n"
		"What is published stays with the subscribers; a subscriber that is too slow\n"
		"loses its oldest messages, or with zcp echo --on-full block makes this wait,\n"
		"for --timeout at most.\n",
	.examples = "  ffmpeg -i film.mp4 -f rawvideo -pix_fmt rgb24 -s 1280x720 - |\n"
		    "      zcp pub video/in --frame-size 2764800 --wait-subscribers 1\n",
	.options = options_table,
	.run = run,
};
