/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/topics.h"

#include <string.h>

#include "pubsub/client/connection/control.h"
#include "pubsub/util.h"

int cli_topics_each(struct zcp_node *node, cli_topics_fn each, void *user)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_LIST };
	char *after = request.u.list.after;
	bool more = true;

	while (more) {
		ZCP_CLEANUP(zcp_message_deinit) struct zcp_message reply = { .version = 0 };
		const struct zcp_topics *topics = &reply.u.topics;
		int r;

		r = zcp_control_request(node, &request, ZCP_MESSAGE_TOPICS, &reply, NULL);
		if (r < 0)
			return r;
		for (uint32_t i = 0; i < topics->n_topics; i++)
			each(&topics->topics[i], user);
		/* A runtime that promises more and gives nothing must not keep us for ever. */
		more = topics->more && topics->n_topics > 0;
		if (more)
			memcpy(after, topics->topics[topics->n_topics - 1].name,
			       sizeof(request.u.list.after));
	}
	return 0;
}
