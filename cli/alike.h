/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A topic without an endpoint at the other end, and the one that may have been meant: slashes in
 * front, behind or doubled, upper case, letters that look alike, slips.
 */
#ifndef ZCP_CLI_ALIKE_H
#define ZCP_CLI_ALIKE_H

#include <stdbool.h>

#include <zcp/node.h>

/* A command that waits for the other end says after so long that there is none. */
#define CLI_ALIKE_AFTER_NS UINT64_C(1000000000)

/* "topic 'x' has no publisher", and which topic there is that looks like it. */
void cli_complain_no_publisher(struct zcp_node *node, const char *topic);

/*
 * "topic 'x' has no subscriber", and which topic looks like it whose subscribers have no
 * publisher. With `only_alike` nothing where there is none.
 */
void cli_complain_no_subscriber(struct zcp_node *node, const char *topic, bool only_alike);

/* "there is no topic 'topic'; there is ...". Returns false, and says nothing, where none is alike. */
bool cli_complain_no_topic(struct zcp_node *node, const char *topic);

#endif
