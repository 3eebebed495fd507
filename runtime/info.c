/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers to list and info.
 */
#include "runtime/info.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pubsub/util.h"

/* Topics in one answer: with the longest names they fit a packet. */
#define TOPICS_PER_PAGE 100

static int out_of_memory(char *text, size_t text_size)
{
	(void)snprintf(text, text_size, "the runtime is out of memory");
	return -ENOMEM;
}

int zcpd_info_list(const struct zcpd_registry *registry, const struct zcp_list *request,
		   struct zcp_message *reply, char *text, size_t text_size)
{
	struct zcp_topics *topics = &reply->u.topics;
	const struct zcpd_topic *topic;

	reply->type = ZCP_MESSAGE_TOPICS;
	topics->topics = calloc(TOPICS_PER_PAGE, sizeof(topics->topics[0]));
	if (!topics->topics)
		return out_of_memory(text, text_size);
	LIST_FOREACH(topic, &registry->topics, link) {
		struct zcp_topic_line *line = &topics->topics[topics->n_topics];

		if (strcmp(topic->name, request->after) <= 0)
			continue;
		if (topics->n_topics == TOPICS_PER_PAGE) {
			topics->more = true;
			break;
		}
		(void)strcpy(line->name, topic->name);
		(void)strcpy(line->type, topic->type);
		line->n_publishers = topic->n_publishers;
		line->n_subscribers = topic->n_subscribers;
		line->n_messages = zcpd_topic_n_messages(topic);
		topics->n_topics++;
	}
	return 0;
}

int zcpd_info_topic(const struct zcpd_registry *registry, const struct zcp_info *request,
		    struct zcp_message *reply, char *text, size_t text_size)
{
	const struct zcpd_topic *topic = zcpd_registry_topic(registry, request->topic);
	struct zcp_topic_info *info = &reply->u.topic_info;

	if (!topic) {
		(void)snprintf(text, text_size,
			       "there is no topic '%s': see `zcp list` for those there are",
			       request->topic);
		return -ENOENT;
	}
	reply->type = ZCP_MESSAGE_TOPIC_INFO;
	info->n_publishers = topic->n_publishers;
	info->n_subscribers = topic->n_subscribers;
	info->n_classes = topic->pool->view.n_classes;
	/* One more than needed, so that none is empty. */
	info->publishers = calloc(info->n_publishers + 1, sizeof(info->publishers[0]));
	info->subscribers = calloc(info->n_subscribers + 1, sizeof(info->subscribers[0]));
	info->classes = calloc(info->n_classes + 1, sizeof(info->classes[0]));
	if (!info->publishers || !info->subscribers || !info->classes) {
		zcp_message_deinit(reply);
		return out_of_memory(text, text_size);
	}
	zcpd_topic_info(topic, info);
	return 0;
}
