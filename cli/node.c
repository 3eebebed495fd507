/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the common options to a node.
 */
#include "cli/node.h"

#include "cli/complain.h"
#include "cli/elsewhere.h"
#include "cli/stop.h"
#include "pubsub/client/node.h"

struct zcp_node *cli_node_open(const struct cli_common *common, const char *name)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;
	struct zcp_node *node = NULL;
	int r;

	options.name = name;
	options.domain = common->domain;
	options.runtime_dir = common->runtime_dir;
	options.auto_start = common->no_start ? ZCP_AUTO_START_OFF : ZCP_AUTO_START_DEFAULT;
	r = zcp_node_open_as(&node, &options, common->looks ? ZCP_NODE_LOOKS : ZCP_NODE_OBSERVES);
	if (r < 0)
		(void)cli_complain_error(NULL, r, "cannot open a node");
	if (!common->quiet)
		cli_elsewhere_complain(common, node);
	return node;
}

void cli_node_closep(struct zcp_node **node)
{
	cli_stop_forget_node();
	*node = zcp_node_close(*node);
}
