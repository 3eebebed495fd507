/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The topic and its pool, then its endpoints.
 */
#include "cli/info_ask.h"

#include <errno.h>
#include <string.h>

#include "pubsub/client/connection/control.h"
#include "pubsub/util.h"

#define N_PLACES_MAX (ZCP_TOPIC_PUBLISHERS_MAX + ZCP_TOPIC_SUBSCRIBERS_MAX)

void cli_info_deinit(struct cli_info *info)
{
	zcp_message_deinit(&info->reply);
}

/* Whether the page gets on: a runtime that does not must not keep us for ever. */
static bool is_possible(const struct cli_info *info, const struct zcp_endpoint_page *page,
			uint32_t from)
{
	if (page->n_publishers > ZCP_TOPIC_PUBLISHERS_MAX - info->n_publishers ||
	    page->n_subscribers > ZCP_TOPIC_SUBSCRIBERS_MAX - info->n_subscribers)
		return false;
	return !page->more || (page->next > from && page->next < N_PLACES_MAX);
}

/* Pids as they are here, where the command runs. */
static void add_page(const struct zcp_node *node, struct cli_info *info,
		     const struct zcp_endpoint_page *page)
{
	for (uint32_t i = 0; i < page->n_publishers; i++) {
		info->publishers[info->n_publishers] = page->publishers[i];
		info->publishers[info->n_publishers++].pid = zcp_signals_pid_here(
			&node->signals, page->publishers[i].pid);
	}
	for (uint32_t i = 0; i < page->n_subscribers; i++) {
		info->subscribers[info->n_subscribers] = page->subscribers[i];
		info->subscribers[info->n_subscribers++].pid = zcp_signals_pid_here(
			&node->signals, page->subscribers[i].pid);
	}
}

static int ask_endpoints(struct zcp_node *node, const char *topic, struct cli_info *info)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_ENDPOINTS };
	uint32_t *from = &request.u.endpoints.from;
	bool more = true;

	(void)strcpy(request.u.endpoints.topic, topic);
	while (more) {
		ZCP_CLEANUP(zcp_message_deinit) struct zcp_message reply = { .version = 0 };
		const struct zcp_endpoint_page *page = &reply.u.endpoint_page;
		int r;

		r = zcp_control_request(node, &request, ZCP_MESSAGE_ENDPOINT_PAGE, &reply, NULL);
		/* The last one has gone since, and the topic with it. */
		if (r == -ENOENT)
			return 0;
		if (r < 0)
			return r;
		if (!is_possible(info, page, *from))
			return zcp_node_fail(node, -EPROTO,
					     "the runtime tells of endpoints that topic '%s' "
					     "cannot have: bring zcpd and zcp to one version",
					     topic);
		add_page(node, info, page);
		more = page->more;
		*from = page->next;
	}
	return 0;
}

int cli_info_ask(struct zcp_node *node, const char *topic, struct cli_info *info)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_INFO };
	int r;

	memset(info, 0, sizeof(*info));
	r = zcp_node_check_topic(node, topic);
	if (r < 0)
		return r;
	(void)strcpy(request.u.info.topic, topic);
	r = zcp_control_request(node, &request, ZCP_MESSAGE_TOPIC_INFO, &info->reply, NULL);
	if (r == 0)
		r = ask_endpoints(node, topic, info);
	if (r < 0)
		cli_info_deinit(info);
	return r;
}
