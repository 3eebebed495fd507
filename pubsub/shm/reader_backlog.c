/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the lanes go on after the backlog, and the order in which it is taken.
 */
#include "pubsub/shm/reader_backlog.h"

#include <errno.h>
#include <stdlib.h>

/* One publisher's part of a backlog that is being merged. */
struct run {
	uint32_t next;
	uint32_t end;
};

static uint32_t find_runs(const struct zcp_backlog *backlog, struct run *runs)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < backlog->n_entries; i++) {
		if (i == 0 || backlog->entries[i].publisher != backlog->entries[i - 1].publisher) {
			if (n == ZCP_TOPIC_PUBLISHERS_MAX)
				break;
			runs[n++].next = i;
		}
		runs[n - 1].end = i + 1;
	}
	return n;
}

/* In the order of their times; those of one publisher stay in the order of their numbers. */
static void sort_backlog(struct zcp_reader *reader, struct zcp_backlog_entry_shm *sorted)
{
	struct zcp_backlog *backlog = &reader->backlog;
	struct run runs[ZCP_TOPIC_PUBLISHERS_MAX];
	uint32_t n_runs = find_runs(backlog, runs), n = 0;

	for (;;) {
		struct run *first = NULL;
		uint64_t first_time = 0;

		for (uint32_t i = 0; i < n_runs; i++) {
			uint64_t time;

			if (runs[i].next == runs[i].end)
				continue;
			time = zcp_pool_publish_time(reader->pool,
						     backlog->entries[runs[i].next].ref);
			if (!first || time < first_time) {
				first = &runs[i];
				first_time = time;
			}
		}
		if (!first)
			break;
		sorted[n++] = backlog->entries[first->next++];
	}
	free(backlog->entries);
	backlog->entries = sorted;
	backlog->n_entries = n;
}

/*
 * A publisher's lane goes on where its part of the backlog ends: what was sent after that was
 * sent to us, and what is not in the lane any more is lost. The same holds before the backlog
 * begins, where the lane has overflowed while we joined: the backlog then has messages that
 * were pushed out of it.
 */
static void begin_after(struct zcp_reader *reader, const struct zcp_backlog_entry_shm *first,
			const struct zcp_backlog_entry_shm *last)
{
	struct zcp_lane_cursor *cursor;

	if (first->publisher >= reader->topic->geometry.max_publishers)
		return;
	cursor = &reader->cursors[first->publisher];
	if (first->seq > cursor->seq)
		cursor->n_lost += first->seq - cursor->seq;
	cursor->seq = last->seq + 1;
}

int zcp_reader_take_over(struct zcp_reader *reader, struct zcp_backlog *backlog)
{
	struct zcp_backlog_entry_shm *sorted = NULL;
	struct run runs[ZCP_TOPIC_PUBLISHERS_MAX];
	uint32_t n_runs;

	if (reader->options.by_time) {
		sorted = calloc(backlog->n_entries + 1, sizeof(sorted[0]));
		if (!sorted)
			return -ENOMEM;
	}
	reader->backlog = *backlog;
	*backlog = (struct zcp_backlog){ .n_entries = 0 };
	n_runs = find_runs(&reader->backlog, runs);
	for (uint32_t i = 0; i < n_runs; i++)
		begin_after(reader, &reader->backlog.entries[runs[i].next],
			    &reader->backlog.entries[runs[i].end - 1]);
	if (sorted)
		sort_backlog(reader, sorted);
	return 0;
}
