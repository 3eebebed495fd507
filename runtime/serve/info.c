/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers to list and info.
 */
#include "runtime/serve/info.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "pubsub/util.h"
#include "pubsub/wire/name.h"
#include "runtime/open/admission.h"
#include "runtime/repair/census.h"

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
	topics->topics = calloc(ZCP_TOPICS_PER_PAGE, sizeof(topics->topics[0]));
	if (!topics->topics)
		return out_of_memory(text, text_size);
	LIST_FOREACH(topic, &registry->topics, link) {
		struct zcp_topic_line *line = &topics->topics[topics->n_topics];

		if (strcmp(topic->entry.name, request->after) <= 0)
			continue;
		if (topics->n_topics == ZCP_TOPICS_PER_PAGE) {
			topics->more = true;
			break;
		}
		(void)strcpy(line->name, topic->entry.name);
		(void)strcpy(line->type, zcpd_topic_shape(topic).type);
		line->n_publishers = topic->n_publishers;
		line->n_subscribers = topic->n_subscribers;
		line->n_messages = zcpd_topic_n_messages(topic);
		topics->n_topics++;
	}
	return 0;
}

static int find_topic(const struct zcpd_registry *registry, const char *name,
		      const struct zcpd_topic **topic, char *text, size_t text_size)
{
	*topic = zcpd_registry_topic(registry, name);
	if (*topic)
		return 0;
	if (zcp_name_is_text(name))
		(void)snprintf(text, text_size,
			       "there is no topic '%s': see `zcp list` for those there are", name);
	else
		(void)snprintf(text, text_size,
			       "there is no topic of that name, which is no text: see `zcp list` "
			       "for those there are");
	return -ENOENT;
}

static void class_info(const struct zcpd_census *census, uint32_t class_index,
		       struct zcp_class_info *info)
{
	const struct zcpd_pool *pool = census->pool;
	const struct zcp_class *class = &pool->view.classes[class_index];
	uint32_t counts[ZCPD_N_REASONS];
	struct stat data;

	zcpd_census_count(census, class_index, counts);
	*info = (struct zcp_class_info){
		.payload_size = class->payload_size,
		.n_chunks = class->n_chunks,
		.n_free = counts[ZCPD_REASON_FREE],
		.n_spare = counts[ZCPD_REASON_SPARE],
		.n_loaned = counts[ZCPD_REASON_LOANED],
		.n_queued = counts[ZCPD_REASON_QUEUED],
		.n_held = counts[ZCPD_REASON_HELD],
		.n_history = counts[ZCPD_REASON_HISTORY],
		.n_used = zcp_class_n_touched(class),
	};
	if (fstat(pool->classes[class_index].data_fd, &data) == 0)
		info->n_bytes = (uint64_t)data.st_blocks * 512;
}

static int pool_info(const struct zcpd_registry *registry, const struct zcpd_pool *pool,
		     struct zcp_topic_info *info, char *text, size_t text_size)
{
	struct zcpd_admission_sum sums[ZCP_CLASSES_MAX];
	struct zcpd_census census;

	if (zcpd_census_init(&census, registry, pool) < 0)
		return out_of_memory(text, text_size);
	/* One more than needed, so that it is not empty. */
	info->classes = calloc(pool->view.n_classes + 1, sizeof(info->classes[0]));
	if (!info->classes) {
		zcpd_census_deinit(&census);
		return out_of_memory(text, text_size);
	}
	info->n_classes = pool->view.n_classes;
	if (zcpd_admission_sums(registry, pool, NULL, sums) < 0) {
		zcpd_census_deinit(&census);
		return out_of_memory(text, text_size);
	}
	for (uint32_t i = 0; i < info->n_classes; i++) {
		class_info(&census, i, &info->classes[i]);
		info->classes[i].n_reserved = sums[i].n_reserved;
	}
	zcpd_census_deinit(&census);
	(void)strcpy(info->pool, pool->entry.name);
	info->own_pool = pool->entry.automatic;
	info->prefaulted = pool->entry.got & ZCP_MEMORY_PREFAULT;
	info->locked = pool->entry.got & ZCP_MEMORY_LOCK;
	zcpd_pool_pages(pool, info->pages, sizeof(info->pages));
	info->n_pool_topics = pool->n_topics;
	info->n_pool_reserved = zcpd_admission_reserved(registry, pool);
	return 0;
}

int zcpd_info_topic(const struct zcpd_registry *registry, const struct zcp_info *request,
		    struct zcp_message *reply, char *text, size_t text_size)
{
	struct zcp_topic_info *info = &reply->u.topic_info;
	const struct zcpd_topic *topic;
	struct zcpd_topic_shape shape;
	int r;

	r = find_topic(registry, request->topic, &topic, text, text_size);
	if (r < 0)
		return r;
	shape = zcpd_topic_shape(topic);
	reply->type = ZCP_MESSAGE_TOPIC_INFO;
	r = pool_info(registry, topic->pool, info, text, text_size);
	if (r < 0)
		return r;
	(void)strcpy(info->name, topic->entry.name);
	(void)strcpy(info->type, shape.type);
	info->type_size = shape.type_size;
	info->type_alignment = shape.type_alignment;
	info->alignment = zcpd_topic_alignment(topic);
	info->user_header_size = shape.user_header_size;
	info->n_reserved = zcpd_topic_demand(topic, NULL);
	info->max_publishers = topic->view.geometry.max_publishers;
	info->max_subscribers = topic->view.geometry.max_subscribers;
	info->n_publishers = topic->n_publishers;
	info->n_subscribers = topic->n_subscribers;
	info->depth = UINT32_C(1) << zcpd_depth_log2(topic->config.depth);
	info->max_depth = UINT32_C(1) << topic->view.geometry.max_depth_log2;
	info->held = topic->config.held;
	info->on_full = zcpd_topic_on_full(&topic->config);
	info->loans = topic->config.loans;
	info->history = topic->config.history;
	info->keep_history = topic->config.keep_history;
	info->order = zcpd_topic_order(&topic->config);
	info->max_payload = topic->config.max_payload;
	info->timestamps = topic->config.timestamps;
	info->n_messages = zcpd_topic_n_messages(topic);
	info->n_lost = zcpd_topic_n_lost(topic);
	return 0;
}

/* Adds the endpoint in a place, if there is one. */
static void add_endpoint(const struct zcpd_topic *topic, uint32_t place,
			 struct zcp_endpoint_page *page)
{
	uint32_t max_publishers = topic->view.geometry.max_publishers;

	if (place < max_publishers) {
		if (topic->publishers[place])
			zcpd_topic_publisher_info(topic, topic->publishers[place],
						  &page->publishers[page->n_publishers++]);
	} else if (topic->subscribers[place - max_publishers]) {
		zcpd_topic_subscriber_info(topic, topic->subscribers[place - max_publishers],
					   &page->subscribers[page->n_subscribers++]);
	}
}

int zcpd_info_endpoints(const struct zcpd_registry *registry, const struct zcp_endpoints *request,
			struct zcp_message *reply, char *text, size_t text_size)
{
	struct zcp_endpoint_page *page = &reply->u.endpoint_page;
	const struct zcpd_topic *topic;
	uint32_t n_places, place;
	int r;

	r = find_topic(registry, request->topic, &topic, text, text_size);
	if (r < 0)
		return r;
	reply->type = ZCP_MESSAGE_ENDPOINT_PAGE;
	page->publishers = calloc(ZCP_ENDPOINTS_PER_PAGE, sizeof(page->publishers[0]));
	page->subscribers = calloc(ZCP_ENDPOINTS_PER_PAGE, sizeof(page->subscribers[0]));
	if (!page->publishers || !page->subscribers) {
		zcp_message_deinit(reply);
		return out_of_memory(text, text_size);
	}
	n_places = topic->view.geometry.max_publishers + topic->view.geometry.max_subscribers;
	for (place = request->from; place < n_places; place++) {
		if (page->n_publishers + page->n_subscribers == ZCP_ENDPOINTS_PER_PAGE)
			break;
		add_endpoint(topic, place, page);
	}
	page->more = place < n_places;
	page->next = place;
	return 0;
}
