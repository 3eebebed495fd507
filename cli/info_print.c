/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A topic as a page of text.
 */
#include "cli/info_print.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/info_words.h"
#include "cli/table.h"
#include "common/units.h"
#include "pubsub/util.h"

static void add_row(struct cli_table *table, const char *name, const char *value)
{
	cli_table_add(table, "%s", name);
	cli_table_add(table, "%s", value);
}

static void add_type(struct cli_table *table, const struct zcp_topic_info *topic)
{
	char size[64] = "", alignment[64] = "";

	if (topic->type_size)
		(void)snprintf(size, sizeof(size), ", %" PRIu64 " bytes", topic->type_size);
	if (topic->type_alignment)
		(void)snprintf(alignment, sizeof(alignment), ", aligned to %" PRIu64,
			       topic->type_alignment);
	cli_table_add(table, "type");
	cli_table_add(table, "%s%s%s", topic->type[0] ? topic->type : "- (any)", size, alignment);
}

static void add_payload(struct cli_table *table, const struct zcp_topic_info *topic)
{
	char size[ZCP_UNITS_TEXT_SIZE], alignment[48] = "";

	if (topic->alignment)
		(void)snprintf(alignment, sizeof(alignment), ", aligned to %" PRIu32,
			       topic->alignment);
	cli_table_add(table, "payload");
	if (topic->max_payload > 0)
		cli_table_add(table, "at most %s%s",
			      zcp_units_format_size(size, topic->max_payload), alignment);
	else
		cli_table_add(table, "what publishers declare%s", alignment);
}

static void print_head(const struct zcp_topic_info *topic, struct cli_output *output)
{
	ZCP_CLEANUP(cli_table_deinit) struct cli_table table;

	cli_table_init(&table, "ll");
	add_row(&table, "topic", topic->name);
	add_type(&table, topic);
	cli_table_add(&table, "messages");
	cli_table_add(&table, "%" PRIu64 " published, %" PRIu64 " lost", topic->n_messages,
		      topic->n_lost);
	add_payload(&table, topic);
	cli_table_add(&table, "user header");
	if (topic->user_header_size > 0)
		cli_table_add(&table, "%" PRIu32 " bytes", topic->user_header_size);
	else
		cli_table_add(&table, "none");
	cli_table_add(&table, "defaults");
	cli_table_add(&table,
		      "depth %" PRIu32 " (at most %" PRIu32 "), %" PRIu32 " held, %s; %" PRIu32
		      " loans; history %" PRIu32 "%s; by %s",
		      topic->depth, topic->max_depth, topic->held, cli_info_on_full(topic->on_full),
		      topic->loans, topic->history, topic->keep_history ? " kept" : "",
		      cli_info_order(topic->order));
	add_row(&table, "timestamps", topic->timestamps ? "yes" : "no");
	cli_table_add(&table, "pool");
	if (topic->own_pool)
		cli_table_add(&table, "the topic's own");
	else
		cli_table_add(&table, "%s (%" PRIu32 " topic%s)", topic->pool, topic->n_pool_topics,
			      topic->n_pool_topics == 1 ? "" : "s");
	cli_table_add(&table, "memory");
	cli_table_add(&table, "%s%s%s", topic->pages, topic->prefaulted ? ", prefaulted" : "",
		      topic->locked ? ", locked" : "");
	cli_table_print(&table, 0, output);
}

/* 0: it is in a pid namespace that is not seen here. */
static void add_pid(struct cli_table *table, uint32_t pid)
{
	if (pid == 0)
		cli_table_add(table, "-");
	else
		cli_table_add(table, "%" PRIu32, pid);
}

static void print_publishers(const struct cli_info *info, struct cli_output *output)
{
	ZCP_CLEANUP(cli_table_deinit) struct cli_table table;
	char size[ZCP_UNITS_TEXT_SIZE];

	cli_table_init(&table, "llrrrrrrr");
	cli_output_printf(output, "\npublishers (%" PRIu32 " of at most %" PRIu32 ")\n",
			  info->n_publishers, info->reply.u.topic_info.max_publishers);
	if (info->n_publishers == 0)
		return;
	cli_table_add_titles(&table, "ID|NODE|PID|SUBSCRIBERS|LOANS|HISTORY|MAX PAYLOAD|MESSAGES|"
				     "NO CHUNK");
	for (uint32_t i = 0; i < info->n_publishers; i++) {
		const struct zcp_publisher_info *p = &info->publishers[i];

		cli_table_add(&table, "%" PRIu64, p->id);
		cli_table_add(&table, "%s", p->node);
		add_pid(&table, p->pid);
		cli_table_add(&table, "%" PRIu32, p->n_subscribers);
		cli_table_add(&table, "%" PRIu32, p->loans);
		cli_table_add(&table, "%" PRIu32, p->history);
		cli_table_add(&table, "%s", zcp_units_format_size(size, p->max_payload));
		cli_table_add(&table, "%" PRIu64, p->n_messages);
		cli_table_add(&table, "%" PRIu64, p->n_exhausted);
	}
	cli_table_print(&table, 2, output);
}

static void print_subscribers(const struct cli_info *info, struct cli_output *output)
{
	ZCP_CLEANUP(cli_table_deinit) struct cli_table table;

	cli_table_init(&table, "llrrllrrrrrr");
	cli_output_printf(output, "\nsubscribers (%" PRIu32 " of at most %" PRIu32 ")\n",
			  info->n_subscribers, info->reply.u.topic_info.max_subscribers);
	if (info->n_subscribers == 0)
		return;
	cli_table_add_titles(&table,
			     "ID|NODE|PID|PUBLISHERS|ON FULL|ORDER|DEPTH|HELD|HISTORY|TAKEN|"
			     "LOST|QUEUED");
	for (uint32_t i = 0; i < info->n_subscribers; i++) {
		const struct zcp_subscriber_info *s = &info->subscribers[i];

		cli_table_add(&table, "%" PRIu64, s->id);
		cli_table_add(&table, "%s", s->node);
		add_pid(&table, s->pid);
		cli_table_add(&table, "%" PRIu32, s->n_publishers);
		cli_table_add(&table, "%s", cli_info_on_full(s->on_full));
		cli_table_add(&table, "%s", cli_info_order(s->order));
		cli_table_add(&table, "%" PRIu32, s->depth);
		cli_table_add(&table, "%" PRIu32, s->held);
		cli_table_add(&table, "%" PRIu32, s->history);
		cli_table_add(&table, "%" PRIu64, s->n_taken);
		cli_table_add(&table, "%" PRIu64, s->n_lost);
		cli_table_add(&table, "%" PRIu64, s->n_queued);
	}
	cli_table_print(&table, 2, output);
}

/* What the pool's chunks are used for, and the numbers by which an endpoint more is let in. */
static void print_chunks(const struct zcp_topic_info *topic, struct cli_output *output)
{
	ZCP_CLEANUP(cli_table_deinit) struct cli_table table;
	char size[ZCP_UNITS_TEXT_SIZE];

	cli_table_init(&table, "rrrrrrrrrrrr");
	cli_output_printf(output,
			  "\nchunks (%" PRIu64 " reserved for this topic's endpoints, %" PRIu64
			  " for all of the pool's)\n",
			  topic->n_reserved, topic->n_pool_reserved);
	if (topic->n_classes == 0)
		return;
	cli_table_add_titles(&table, "SIZE|COUNT|RESERVED|LEFT|FREE|SPARE|LOANED|QUEUED|HELD|"
				     "HISTORY|HIGHEST USE|MEMORY");
	for (uint32_t i = 0; i < topic->n_classes; i++) {
		const struct zcp_class_info *c = &topic->classes[i];

		cli_table_add(&table, "%s", zcp_units_format_size(size, c->payload_size));
		cli_table_add(&table, "%" PRIu32, c->n_chunks);
		cli_table_add(&table, "%" PRIu64, c->n_reserved);
		cli_table_add(&table, "%" PRIu64, cli_info_left(c));
		cli_table_add(&table, "%" PRIu32, c->n_free);
		cli_table_add(&table, "%" PRIu32, c->n_spare);
		cli_table_add(&table, "%" PRIu32, c->n_loaned);
		cli_table_add(&table, "%" PRIu32, c->n_queued);
		cli_table_add(&table, "%" PRIu32, c->n_held);
		cli_table_add(&table, "%" PRIu32, c->n_history);
		cli_table_add(&table, "%" PRIu32, c->n_used);
		cli_table_add(&table, "%s", zcp_units_format_size(size, c->n_bytes));
	}
	cli_table_print(&table, 2, output);
}

void cli_info_print(const struct cli_info *info, struct cli_output *output)
{
	const struct zcp_topic_info *topic = &info->reply.u.topic_info;

	print_head(topic, output);
	print_publishers(info, output);
	print_subscribers(info, output);
	print_chunks(topic, output);
}
