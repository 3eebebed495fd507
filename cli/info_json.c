/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A topic as one JSON object. Names stay what they are once they have been released.
 */
#include "cli/info_print.h"
#include "cli/info_words.h"
#include "cli/json.h"

/* Null where it is in a pid namespace that is not seen here. */
static void write_pid(struct cli_json *json, uint32_t pid)
{
	if (pid == 0)
		cli_json_null(json, "pid");
	else
		cli_json_number(json, "pid", pid);
}

static void write_publisher(struct cli_json *json, const struct zcp_publisher_info *p)
{
	cli_json_begin(json, NULL, '{');
	cli_json_number(json, "id", p->id);
	cli_json_text(json, "node", p->node);
	write_pid(json, p->pid);
	cli_json_number(json, "subscribers", p->n_subscribers);
	cli_json_number(json, "loans", p->loans);
	cli_json_number(json, "history", p->history);
	cli_json_number(json, "max_payload", p->max_payload);
	cli_json_number(json, "messages", p->n_messages);
	cli_json_number(json, "no_chunk", p->n_exhausted);
	cli_json_end(json, '}');
}

static void write_subscriber(struct cli_json *json, const struct zcp_subscriber_info *s)
{
	cli_json_begin(json, NULL, '{');
	cli_json_number(json, "id", s->id);
	cli_json_text(json, "node", s->node);
	write_pid(json, s->pid);
	cli_json_number(json, "publishers", s->n_publishers);
	cli_json_text(json, "on_full", cli_info_on_full(s->on_full));
	cli_json_number(json, "depth", s->depth);
	cli_json_number(json, "held", s->held);
	cli_json_number(json, "history", s->history);
	cli_json_text(json, "order", cli_info_order(s->order));
	cli_json_number(json, "taken", s->n_taken);
	cli_json_number(json, "lost", s->n_lost);
	cli_json_number(json, "queued", s->n_queued);
	cli_json_end(json, '}');
}

static void write_class(struct cli_json *json, const struct zcp_class_info *c)
{
	cli_json_begin(json, NULL, '{');
	cli_json_number(json, "size", c->payload_size);
	cli_json_number(json, "count", c->n_chunks);
	cli_json_number(json, "free", c->n_free);
	cli_json_number(json, "spare", c->n_spare);
	cli_json_number(json, "loaned", c->n_loaned);
	cli_json_number(json, "queued", c->n_queued);
	cli_json_number(json, "held", c->n_held);
	cli_json_number(json, "history", c->n_history);
	cli_json_number(json, "highest_use", c->n_used);
	cli_json_number(json, "bytes", c->n_bytes);
	cli_json_number(json, "reserved", c->n_reserved);
	cli_json_number(json, "left", cli_info_left(c));
	cli_json_end(json, '}');
}

void cli_info_print_json(const struct cli_info *info, struct cli_output *output)
{
	const struct zcp_topic_info *topic = &info->reply.u.topic_info;
	struct cli_json json;

	cli_json_init(&json, output);
	cli_json_begin(&json, NULL, '{');
	cli_json_text(&json, "name", topic->name);
	cli_json_text(&json, "type", topic->type);
	cli_json_number(&json, "type_size", topic->type_size);
	cli_json_number(&json, "type_alignment", topic->type_alignment);
	cli_json_number(&json, "alignment", topic->alignment);
	cli_json_number(&json, "user_header_size", topic->user_header_size);
	cli_json_number(&json, "messages", topic->n_messages);
	cli_json_number(&json, "lost", topic->n_lost);
	cli_json_number(&json, "depth", topic->depth);
	cli_json_number(&json, "max_depth", topic->max_depth);
	cli_json_number(&json, "held", topic->held);
	cli_json_text(&json, "on_full", cli_info_on_full(topic->on_full));
	cli_json_number(&json, "loans", topic->loans);
	cli_json_number(&json, "history", topic->history);
	cli_json_bool(&json, "keep_history", topic->keep_history);
	cli_json_text(&json, "order", cli_info_order(topic->order));
	cli_json_number(&json, "max_payload", topic->max_payload);
	cli_json_bool(&json, "timestamps", topic->timestamps);
	cli_json_number(&json, "max_publishers", topic->max_publishers);
	cli_json_begin(&json, "publishers", '[');
	for (uint32_t i = 0; i < info->n_publishers; i++)
		write_publisher(&json, &info->publishers[i]);
	cli_json_end(&json, ']');
	cli_json_number(&json, "max_subscribers", topic->max_subscribers);
	cli_json_begin(&json, "subscribers", '[');
	for (uint32_t i = 0; i < info->n_subscribers; i++)
		write_subscriber(&json, &info->subscribers[i]);
	cli_json_end(&json, ']');
	cli_json_number(&json, "reserved", topic->n_reserved);
	cli_json_begin(&json, "pool", '{');
	cli_json_text(&json, "name", topic->pool);
	cli_json_bool(&json, "own", topic->own_pool);
	cli_json_text(&json, "pages", topic->pages);
	cli_json_bool(&json, "prefaulted", topic->prefaulted);
	cli_json_bool(&json, "locked", topic->locked);
	cli_json_number(&json, "topics", topic->n_pool_topics);
	cli_json_number(&json, "reserved", topic->n_pool_reserved);
	cli_json_begin(&json, "classes", '[');
	for (uint32_t i = 0; i < topic->n_classes; i++)
		write_class(&json, &topic->classes[i]);
	cli_json_end(&json, ']');
	cli_json_end(&json, '}');
	cli_json_end(&json, '}');
}
