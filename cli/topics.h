/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All topics of a domain, as the runtime tells them: page after page.
 */
#ifndef ZCP_CLI_TOPICS_H
#define ZCP_CLI_TOPICS_H

#include <stdbool.h>

#include <zcp/node.h>

#include "pubsub/wire/message.h"

/* Called for each topic, in the order of their names. */
typedef void (*cli_topics_fn)(const struct zcp_topic_line *line, void *user);

/* Returns 0, or what zcp_control_request() does; `each` may have been called before. */
__attribute__((warn_unused_result)) int cli_topics_each(struct zcp_node *node, cli_topics_fn each,
							void *user);

/* Whether all that there is of it is a subscriber: its name may be a mistake. */
static inline bool cli_topic_is_waited_for(const struct zcp_topic_line *line)
{
	return line->n_publishers == 0 && line->n_messages == 0;
}

#endif
