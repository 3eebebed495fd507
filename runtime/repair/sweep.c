/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunk by chunk: whose it was, and whether a subscriber still uses it.
 */
#include "runtime/repair/sweep.h"

#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/stake.h"
#include "pubsub/util.h"

/* Whether a message of a publisher that is gone is its slot's history. */
static bool is_kept(const struct zcpd_topic *topic, uint32_t publisher, uint64_t seq)
{
	uint64_t next_seq = zcpd_topic_next_seq(topic, publisher);

	return seq != 0 && seq < next_seq && seq + topic->kept[publisher] >= next_seq;
}

/* Not gone: also one that has still to come back to us. */
static bool is_there(const struct zcpd_topic *topic, uint32_t slot)
{
	const struct zcpd_endpoint *subscriber = topic->subscribers[slot];

	if (subscriber)
		return subscriber->entry.state != ZCPD_ENDPOINT_LEAVING;
	/* Relaxed: only a runtime writes it. */
	return atomic_load_explicit(&topic->view.shm->present[slot / 64], memory_order_relaxed) >>
		       (slot % 64) &
	       1;
}

/* Whether a present subscriber uses it. */
static bool is_used(const struct zcpd_topic *topic, uint32_t publisher, uint64_t seq)
{
	uint64_t next_seq = zcpd_topic_next_seq(topic, publisher);

	if (seq == 0)
		return false;
	for (uint32_t s = 0; s < topic->view.geometry.max_subscribers; s++) {
		struct zcp_stake stake;
		uint64_t end;

		if (!is_there(topic, s))
			continue;
		zcp_stake_init(&stake, &topic->view, &topic->acks, publisher, s);
		end = atomic_load_explicit(&stake.lane.shm->end, memory_order_relaxed);
		if (end == 0 ||
		    (topic->subscribers[s] && zcpd_topic_is_active(topic->subscribers[s])))
			end = next_seq;
		if (zcp_stake_use(&stake, end, seq))
			return true;
	}
	return false;
}

/*
 * The publisher slot that has the owner number and no publisher, nor one that may still come back
 * to us; -1: none. With `all` no publisher comes back any more.
 */
static int left_slot(const struct zcpd_topic *topic, uint32_t owner, bool all)
{
	/* Relaxed: only a runtime writes it. */
	uint64_t publishers = all ? 0 :
				    atomic_load_explicit(&topic->view.shm->publishers,
							 memory_order_relaxed);

	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++)
		if (topic->entry.owners[p] == owner)
			return topic->publishers[p] || (publishers >> p & 1) ? -1 : (int)p;
	return -1;
}

/* Frees a chunk that a publisher that is gone has left, if it has come back. */
static bool sweep_chunk(struct zcpd_topic *topic, struct zcp_chunk_shm *chunk, bool all)
{
	/* Relaxed, both: of slots that are ours no process writes them. */
	uint32_t state = atomic_load_explicit(&chunk->state, memory_order_relaxed);
	uint64_t seq = atomic_load_explicit(&chunk->seq, memory_order_relaxed);
	int slot = state == ZCP_CHUNK_FREE ? -1 : left_slot(topic, zcp_chunk_owner(state), all);

	if (slot < 0 || (!all && is_kept(topic, (uint32_t)slot, seq)))
		return false;
	if (!all && is_used(topic, (uint32_t)slot, seq)) {
		topic->has_left = true;
		return false;
	}
	zcp_chunk_free(chunk);
	ZCP_CRASHPOINT("sweep.after_chunk");
	return true;
}

uint32_t zcpd_topic_sweep(struct zcpd_topic *topic, bool all)
{
	uint32_t n = 0;

	topic->has_left = false;
	for (uint32_t c = 0; c < topic->pool->view.n_classes; c++) {
		const struct zcp_class *class = &topic->pool->view.classes[c];
		uint32_t n_touched = zcp_class_n_touched(class), before = n;

		for (uint32_t i = 0; i < n_touched; i++)
			n += sweep_chunk(topic, &class->chunks[i], all);
		if (n > before)
			ZCP_IGNORE(zcp_class_count_freed(class));
	}
	return n;
}
