/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All about a topic, as the runtime tells it: page after page.
 */
#ifndef ZCP_CLI_INFO_ASK_H
#define ZCP_CLI_INFO_ASK_H

#include <zcp/node.h>

#include "pubsub/layout/topic_shm.h"
#include "pubsub/wire/message.h"

struct cli_info {
	/* with the topic's numbers of endpoints a moment before those below were told */
	struct zcp_message reply;
	struct zcp_publisher_info publishers[ZCP_TOPIC_PUBLISHERS_MAX];
	uint32_t n_publishers;
	struct zcp_subscriber_info subscribers[ZCP_TOPIC_SUBSCRIBERS_MAX];
	uint32_t n_subscribers;
};

/* Returns 0 and all of *info, to be deinit'ed; what zcp_control_request() does; -EPROTO. */
__attribute__((warn_unused_result)) int cli_info_ask(struct zcp_node *node, const char *topic,
						     struct cli_info *info);

void cli_info_deinit(struct cli_info *info);

#endif
