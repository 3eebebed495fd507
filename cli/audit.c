/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zcp audit: whether everything in the domain is somebody's.
 */
#include <inttypes.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/complain.h"
#include "cli/json.h"
#include "cli/node.h"
#include "cli/output.h"
#include "cli/utf8.h"
#include "pubsub/client/connection/control.h"
#include "pubsub/util.h"

struct audit_options {
	struct cli_common common;
	bool json;
};

static const struct cli_option options_table[] = {
	{ .kind = CLI_OPTION_FLAG,
	  .offset = offsetof(struct audit_options, json),
	  .name = "json",
	  .help = "one object" },
	CLI_COMMON_OPTIONS(audit_options, common),
	{ .kind = CLI_OPTION_END },
};

static void print_json(const struct zcp_audit_report *report, struct cli_output *output)
{
	struct cli_json json;

	cli_json_init(&json, output);
	cli_json_begin(&json, NULL, '{');
	cli_json_bool(&json, "clean", report->n_wrong == 0);
	cli_json_number(&json, "topics", report->n_topics);
	cli_json_number(&json, "pools", report->n_pools);
	cli_json_begin(&json, "chunks", '{');
	cli_json_number(&json, "count", report->n_chunks);
	cli_json_number(&json, "free", report->n_free);
	cli_json_number(&json, "spare", report->n_spare);
	cli_json_number(&json, "loaned", report->n_loaned);
	cli_json_number(&json, "queued", report->n_queued);
	cli_json_number(&json, "held", report->n_held);
	cli_json_number(&json, "history", report->n_history);
	cli_json_number(&json, "leaked", report->n_leaked);
	cli_json_end(&json, '}');
	cli_json_number(&json, "wrong", report->n_wrong);
	cli_json_begin(&json, "findings", '[');
	for (uint32_t i = 0; i < report->n_findings; i++)
		cli_json_text(&json, NULL, report->findings[i].text);
	cli_json_end(&json, ']');
	cli_json_end(&json, '}');
}

static void print(const struct zcp_audit_report *report, struct cli_output *output)
{
	for (uint32_t i = 0; i < report->n_findings; i++) {
		struct zcp_finding finding = report->findings[i];

		cli_utf8_make_printable(finding.text);
		cli_output_printf(output, "%s\n", finding.text);
	}
	if (report->n_wrong > report->n_findings)
		cli_output_printf(output, "and %" PRIu64 " more\n",
				  report->n_wrong - report->n_findings);
	cli_output_printf(output,
			  "%s: %" PRIu64 " chunks in %" PRIu64 " pools of %" PRIu64
			  " topics; %" PRIu64 " free, %" PRIu64 " spare, %" PRIu64
			  " loaned, %" PRIu64 " queued, %" PRIu64 " held, %" PRIu64
			  " history, %" PRIu64 " leaked; %" PRIu64 " wrong\n",
			  report->n_wrong ? "not clean" : "clean", report->n_chunks,
			  report->n_pools, report->n_topics, report->n_free, report->n_spare,
			  report->n_loaned, report->n_queued, report->n_held, report->n_history,
			  report->n_leaked, report->n_wrong);
}

/* Returns an exit code. */
static int audit(struct zcp_node *node, bool is_json)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_AUDIT };
	ZCP_CLEANUP(zcp_message_deinit) struct zcp_message reply = { .version = 0 };
	struct cli_output output;
	int r;

	r = zcp_control_request(node, &request, ZCP_MESSAGE_AUDIT_REPORT, &reply, NULL);
	if (r < 0)
		return cli_complain_error(node, r, "cannot ask for the audit");
	cli_output_init(&output, STDOUT_FILENO);
	if (is_json)
		print_json(&reply.u.audit_report, &output);
	else
		print(&reply.u.audit_report, &output);
	r = cli_output_end(&output);
	return r == CLI_EXIT_OK && reply.u.audit_report.n_wrong > 0 ? CLI_EXIT_FAILED : r;
}

static int run(int argc, char **argv)
{
	struct audit_options options = { .json = false };
	ZCP_CLEANUP(cli_node_closep) struct zcp_node *node = NULL;
	int r;

	r = cli_options_parse(&cli_audit, &options, NULL, argc, argv);
	if (r != CLI_OPTIONS_RUN)
		return r;
	/* A runtime that we would start has nothing to look at. */
	options.common.no_start = true;
	options.common.looks = true;
	node = cli_node_open(&options.common, "zcp-audit");
	if (!node)
		return CLI_EXIT_FAILED;
	return audit(node, options.json);
}

const struct cli_command cli_audit = {
	.name = "audit",
	.argument = "",
	.summary = "proves that no chunk is lost, or tells which",
	.description =
		"Walks all pools and queues of the domain while everybody goes on, and tells\n"
		"of each chunk, queue and member that is not as it must be: every chunk is\n"
		"free, a publisher's spare one, on loan to a publisher, queued at or held by a\n"
		"subscriber, or history; else it has leaked. Exit code 0: all is well; 1: it\n"
		"is not.\n",
	.examples = "  zcp audit\n"
		    "  zcp audit --json | jq -e .clean\n",
	.options = options_table,
	.run = run,
};
