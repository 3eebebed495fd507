/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for messages by their numbers.
 */
#include "runtime/repair/history.h"

#include <errno.h>
#include <stdlib.h>

#include "runtime/domain/pool.h"

const struct zcp_chunk_shm *zcpd_history_find(const struct zcpd_topic *topic, uint32_t publisher,
					      uint64_t seq, uint32_t *ref)
{
	const struct zcpd_pool *pool = topic->pool;
	uint32_t state = zcp_chunk_state(topic->entry.owners[publisher], 0);

	for (uint32_t c = 0; c < pool->view.n_classes; c++) {
		const struct zcp_class *class = &pool->view.classes[c];
		uint32_t n_touched = zcp_class_n_touched(class);

		for (uint32_t i = 0; i < n_touched; i++) {
			const struct zcp_chunk_shm *chunk = &class->chunks[i];

			/*
			 * Relaxed, both: OP-A1 and SEQ-A1 have ordered them; a message that is
			 * promised stays.
			 */
			if (atomic_load_explicit(&chunk->state, memory_order_relaxed) != state ||
			    atomic_load_explicit(&chunk->seq, memory_order_relaxed) != seq)
				continue;
			if (ref)
				*ref = zcp_ref(c, i);
			return chunk;
		}
	}
	return NULL;
}

static void add_entry(struct zcp_backlog *backlog, const struct zcp_chunk_shm *chunk,
		      uint32_t publisher, uint64_t seq, uint32_t ref)
{
	/* Relaxed, all: as in zcpd_history_find(). */
	backlog->entries[backlog->n_entries++] = (struct zcp_backlog_entry_shm){
		.seq = seq,
		.size = atomic_load_explicit(&chunk->size, memory_order_relaxed),
		.publish_time_ns = atomic_load_explicit(&chunk->publish_time_ns,
							memory_order_relaxed),
		.publisher_id = atomic_load_explicit(&chunk->publisher_id, memory_order_relaxed),
		.user_header_size = atomic_load_explicit(&chunk->user_header_size,
							 memory_order_relaxed),
		.ref = ref,
		.publisher = publisher,
	};
}

/* What a lane promises: [*floor, *base), bounded by what was asked for. */
static void promised(const struct zcpd_topic *topic, const struct zcpd_endpoint *subscriber,
		     uint32_t publisher, uint64_t *floor, uint64_t *base)
{
	struct zcp_lane lane = zcpd_topic_lane(topic, publisher, subscriber);
	uint64_t lowest;

	/* Relaxed, both: the runtime has written them, or the subscriber, which spoils its own. */
	*floor = atomic_load_explicit(&lane.ack->floor, memory_order_relaxed);
	*base = atomic_load_explicit(&lane.shm->base, memory_order_relaxed);
	lowest = *base > subscriber->entry.history ? *base - subscriber->entry.history : 1;
	if (*floor < lowest)
		*floor = lowest;
}

int zcpd_history_backlog(const struct zcpd_topic *topic, const struct zcpd_endpoint *subscriber,
			 struct zcp_backlog *backlog)
{
	uint32_t n = topic->view.geometry.max_publishers;
	uint64_t floor, base, n_entries = 0;

	for (uint32_t p = 0; p < n; p++) {
		promised(topic, subscriber, p, &floor, &base);
		n_entries += base > floor ? base - floor : 0;
	}
	/* One more than needed, so that it is not empty. */
	backlog->n_entries = 0;
	backlog->entries = calloc(n_entries + 1, sizeof(backlog->entries[0]));
	if (!backlog->entries)
		return -ENOMEM;
	for (uint32_t p = 0; p < n; p++) {
		promised(topic, subscriber, p, &floor, &base);
		for (uint64_t seq = floor; seq < base && backlog->n_entries < n_entries; seq++) {
			uint32_t ref;
			const struct zcp_chunk_shm *chunk = zcpd_history_find(topic, p, seq, &ref);

			if (chunk)
				add_entry(backlog, chunk, p, seq, ref);
		}
	}
	return 0;
}
