/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zcp info: all about one topic.
 */
#include <errno.h>
#include <unistd.h>

#include "cli/alike.h"
#include "cli/command.h"
#include "cli/complain.h"
#include "cli/info_print.h"
#include "cli/node.h"
#include "pubsub/util.h"

struct info_options {
	struct cli_common common;
	const char *topic;
	bool json;
};

static const struct cli_option options_table[] = {
	{ .kind = CLI_OPTION_FLAG,
	  .offset = offsetof(struct info_options, json),
	  .name = "json",
	  .help = "one object; sizes in bytes" },
	CLI_COMMON_OPTIONS(info_options, common),
	{ .kind = CLI_OPTION_END },
};

/* Returns an exit code. */
static int print_info(struct zcp_node *node, const char *topic, bool is_json)
{
	ZCP_CLEANUP(cli_info_deinit) struct cli_info info;
	struct cli_output output;
	int r;

	r = cli_info_ask(node, topic, &info);
	if (r == -ENOENT && cli_complain_no_topic(node, topic))
		return CLI_EXIT_FAILED;
	if (r < 0)
		return cli_complain_error(node, r, "cannot ask for topic '%s'", topic);
	cli_output_init(&output, STDOUT_FILENO);
	if (is_json)
		cli_info_print_json(&info, &output);
	else
		cli_info_print(&info, &output);
	r = cli_output_end(&output);
	if (info.n_publishers == 0 && info.reply.u.topic_info.n_messages == 0)
		cli_complain_no_publisher(node, topic);
	return r;
}

static int run(int argc, char **argv)
{
	struct info_options options = { .json = false };
	ZCP_CLEANUP(cli_node_closep) struct zcp_node *node = NULL;
	int r;

	r = cli_options_parse(&cli_info, &options, &options.topic, argc, argv);
	if (r != CLI_OPTIONS_RUN)
		return r;
	/* A runtime that we would start has no topic. */
	options.common.no_start = true;
	options.common.looks = true;
	node = cli_node_open(&options.common, "zcp-info");
	if (!node)
		return CLI_EXIT_FAILED;
	return print_info(node, options.topic, options.json);
}

const struct cli_command cli_info = {
	.name = "info",
	.argument = "TOPIC",
	.summary = "tells all about a topic",
	.description =
		"Tells which nodes publish on a topic and which subscribe, what came through\n"
		"and what was lost, and how full its pool is. What endpoints may use at once,\n"
		"by their loans, depth and held, is reserved for them; an endpoint that would\n"
		"need more than is left is refused.\n",
	.examples = "  zcp info camera/front\n"
		    "  zcp info camera/front --json | jq '.pool.classes[].free'\n",
	.options = options_table,
	.run = run,
};
