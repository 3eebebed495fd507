/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zcp list: all topics of a domain.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/complain.h"
#include "cli/elsewhere.h"
#include "cli/json.h"
#include "cli/node.h"
#include "cli/table.h"
#include "cli/topics.h"
#include "pubsub/util.h"

struct list_options {
	struct cli_common common;
	bool json;
};

static const struct cli_option options_table[] = {
	{ .kind = CLI_OPTION_FLAG,
	  .offset = offsetof(struct list_options, json),
	  .name = "json",
	  .help = "an array of objects: name, type, publishers, subscribers,\n"
		  "messages, waited_for" },
	CLI_COMMON_OPTIONS(list_options, common),
	{ .kind = CLI_OPTION_END },
};

/* Where the lines go: tables that are printed at the end, or JSON as they come. */
struct listing {
	bool is_json;
	struct cli_table table;
	/* a name without a publisher so far is no topic yet */
	struct cli_table waited_for;
	uint32_t n_waited_for;
	struct cli_json json;
};

static void listing_deinit(struct listing *listing)
{
	cli_table_deinit(&listing->table);
	cli_table_deinit(&listing->waited_for);
}

static void add_line(const struct zcp_topic_line *line, void *user)
{
	struct listing *listing = user;
	struct cli_json *json = &listing->json;

	if (!listing->is_json && cli_topic_is_waited_for(line)) {
		cli_table_add(&listing->waited_for, "%s", line->name);
		cli_table_add(&listing->waited_for, "%" PRIu32, line->n_subscribers);
		listing->n_waited_for++;
		return;
	}
	if (!listing->is_json) {
		cli_table_add(&listing->table, "%s", line->name);
		cli_table_add(&listing->table, "%s", line->type[0] ? line->type : "-");
		cli_table_add(&listing->table, "%" PRIu32, line->n_publishers);
		cli_table_add(&listing->table, "%" PRIu32, line->n_subscribers);
		cli_table_add(&listing->table, "%" PRIu64, line->n_messages);
		return;
	}
	cli_json_begin(json, NULL, '{');
	cli_json_text(json, "name", line->name);
	cli_json_text(json, "type", line->type);
	cli_json_number(json, "publishers", line->n_publishers);
	cli_json_number(json, "subscribers", line->n_subscribers);
	cli_json_number(json, "messages", line->n_messages);
	cli_json_bool(json, "waited_for", cli_topic_is_waited_for(line));
	cli_json_end(json, '}');
}

/* Returns an exit code. */
static int print_list(struct zcp_node *node, bool is_json)
{
	ZCP_CLEANUP(listing_deinit) struct listing listing = { .is_json = is_json };
	struct cli_output output;
	int r;

	cli_output_init(&output, STDOUT_FILENO);
	cli_json_init(&listing.json, &output);
	cli_table_init(&listing.table, "llrrr");
	cli_table_init(&listing.waited_for, "lr");
	cli_table_add_titles(&listing.waited_for, "WAITED FOR|SUBSCRIBERS");
	if (is_json)
		cli_json_begin(&listing.json, NULL, '[');
	else
		cli_table_add_titles(&listing.table, "TOPIC|TYPE|PUBLISHERS|SUBSCRIBERS|MESSAGES");
	r = cli_topics_each(node, add_line, &listing);
	if (r < 0)
		return cli_complain_error(node, r, "cannot list the topics");
	if (is_json)
		cli_json_end(&listing.json, ']');
	else
		cli_table_print(&listing.table, 0, &output);
	if (listing.n_waited_for > 0) {
		cli_output_printf(&output, "\n");
		cli_table_print(&listing.waited_for, 0, &output);
	}
	return cli_output_end(&output);
}

static int run(int argc, char **argv)
{
	struct list_options options = { .json = false };
	ZCP_CLEANUP(cli_node_closep) struct zcp_node *node = NULL;
	int r;

	r = cli_options_parse(&cli_list, &options, NULL, argc, argv);
	if (r != CLI_OPTIONS_RUN)
		return r;
	/* To start a runtime would only show that nothing is there. */
	options.common.no_start = true;
	options.common.looks = true;
	/* Behind the table. */
	options.common.quiet = true;
	node = cli_node_open(&options.common, "zcp-list");
	r = node ? print_list(node, options.json) : CLI_EXIT_FAILED;
	cli_elsewhere_complain_all(&options.common, node);
	return r;
}

const struct cli_command cli_list = {
	.name = "list",
	.argument = "",
	.summary = "lists the topics",
	.description = "Lists the topics of a domain, with their types, how many publishers and\n"
		       "subscribers they have, and how many messages were published on them; and\n"
		       "apart from them the names that are waited for: they have subscribers, and\n"
		       "have had no publisher. The last line, on standard error, tells which\n"
		       "domain that is, and where other runtimes have one of that name.\n",
	.examples = "  zcp list\n"
		    "  zcp list --json | jq -r '.[] | select(.publishers == 0) | .name'\n",
	.options = options_table,
	.run = run,
};
