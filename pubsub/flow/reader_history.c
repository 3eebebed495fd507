/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promised history: it is taken before what comes through the lanes, and protected by `floor` and
 * `base` until then.
 */
#include <errno.h>
#include <stdlib.h>

#include "pubsub/flow/reader_take.h"
#include "pubsub/shm/crashpoint.h"

static int compare_times(const void *a, const void *b)
{
	const struct zcp_backlog_entry_shm *x = a, *y = b;

	if (x->publish_time_ns != y->publish_time_ns)
		return x->publish_time_ns < y->publish_time_ns ? -1 : 1;
	if (x->publisher != y->publisher)
		return x->publisher < y->publisher ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

void zcp_reader_move_floor(struct zcp_reader_lane *lane, uint64_t to)
{
	if (to <= lane->floor)
		return;
	lane->floor = to;
	/* ACK-R4 pairs with ACK-A6 in the exact look: what is held is said before. */
	atomic_store_explicit(&lane->lane.ack->floor, to, memory_order_release);
}

/* Where it was settled; else it begins when that is seen. */
static void begin(struct zcp_reader_lane *lane)
{
	/* Relaxed: the runtime's answer came after it had settled what it could. */
	uint64_t base = atomic_load_explicit(&lane->lane.shm->base, memory_order_relaxed);

	if (base == 0)
		return;
	zcp_lane_begin(&lane->lane, base);
	lane->next = lane->floor = lane->history_end = base;
}

int zcp_reader_begin_history(struct zcp_reader *reader)
{
	uint32_t n = reader->topic->geometry.max_publishers;

	for (uint32_t p = 0; p < n; p++)
		begin(&reader->lanes[p]);
	if (reader->options.backlog) {
		reader->backlog = *reader->options.backlog;
		*reader->options.backlog = (struct zcp_backlog){ .n_entries = 0 };
		reader->options.backlog = NULL;
	}
	/* The first one of each publisher is where its promise begins. */
	for (uint32_t i = 0; i < reader->backlog.n_entries; i++) {
		const struct zcp_backlog_entry_shm *entry = &reader->backlog.entries[i];

		if (entry->publisher < n && entry->seq < reader->lanes[entry->publisher].floor)
			reader->lanes[entry->publisher].floor = entry->seq;
	}
	for (uint32_t p = 0; p < n; p++) {
		struct zcp_reader_lane *lane = &reader->lanes[p];

		/* Relaxed: nothing was read of what was promised and not answered. */
		if (lane->next != 0)
			atomic_store_explicit(&lane->lane.ack->floor, lane->floor,
					      memory_order_relaxed);
	}
	if (reader->options.by_time && reader->backlog.n_entries > 0)
		qsort(reader->backlog.entries, reader->backlog.n_entries,
		      sizeof(reader->backlog.entries[0]), compare_times);
	return 0;
}

int zcp_reader_history(struct zcp_reader *reader, struct zcp_reader_message *message)
{
	for (; reader->next_backlog < reader->backlog.n_entries; reader->next_backlog++) {
		const struct zcp_backlog_entry_shm *entry =
			&reader->backlog.entries[reader->next_backlog];
		const struct zcp_description description = {
			.size = entry->size,
			.user_header_size = entry->user_header_size,
			.ref = entry->ref,
		};
		struct zcp_reader_lane *lane;
		uint32_t place;

		if (entry->publisher >= reader->topic->geometry.max_publishers)
			continue;
		lane = &reader->lanes[entry->publisher];
		/* A publisher's times may lie, and then so does their order. */
		if (entry->seq < lane->floor || entry->seq >= lane->history_end)
			continue;
		message->publisher = entry->publisher;
		message->ref = entry->ref;
		message->seq = entry->seq;
		if (!zcp_reader_find(reader, &description, message)) {
			if (!zcp_pool_has_class(reader->pool, entry->ref))
				return ZCP_READER_E_UNMAPPED;
			lane->n_lost++;
			zcp_reader_move_floor(lane, entry->seq + 1);
			continue;
		}
		place = zcp_reader_hold(reader, entry->publisher, entry->seq, message);
		ZCP_CRASHPOINT("history.after_held");
		zcp_reader_move_floor(lane, entry->seq + 1);
		ZCP_CRASHPOINT("history.after_floor");
		zcp_reader_keep(reader, lane, place);
		message->size = entry->size;
		message->user_header_size = entry->user_header_size;
		message->publish_time_ns = entry->publish_time_ns;
		message->publisher_id = entry->publisher_id;
		message->n_lost = lane->n_lost;
		lane->n_lost = 0;
		reader->next_backlog++;
		zcp_reader_count(reader, 1, message->n_lost);
		return 0;
	}
	return ZCP_READER_E_EMPTY;
}

bool zcp_reader_lose_history(struct zcp_reader *reader, const struct zcp_reader_message *message)
{
	uint32_t i = reader->next_backlog;

	while (i < reader->backlog.n_entries &&
	       (reader->backlog.entries[i].publisher != message->publisher ||
		reader->backlog.entries[i].seq != message->seq))
		i++;
	if (i == reader->backlog.n_entries)
		return false;
	/* Those before it were passed over. */
	for (; reader->next_backlog <= i; reader->next_backlog++) {
		const struct zcp_backlog_entry_shm *entry =
			&reader->backlog.entries[reader->next_backlog];

		if (entry->publisher < reader->topic->geometry.max_publishers)
			zcp_reader_move_floor(&reader->lanes[entry->publisher], entry->seq + 1);
	}
	reader->lanes[message->publisher].n_lost++;
	return true;
}
