/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Going by the one rule.
 */
#include "runtime/repair/census.h"

#include <string.h>

#include "pubsub/shm/stake.h"
#include "pubsub/util.h"

int zcpd_census_init(struct zcpd_census *census, const struct zcpd_registry *registry,
		     const struct zcpd_pool *pool)
{
	const struct zcpd_topic *topic;
	/* Pages of numbers that no publisher has are never touched. */
	struct zcpd_owner *owners = calloc(ZCP_OWNERS, sizeof(*owners));

	if (!owners)
		return -ENOMEM;
	LIST_FOREACH(topic, &registry->topics, link)
		for (uint32_t p = 0; topic->pool == pool && p < topic->view.geometry.max_publishers;
		     p++)
			if (topic->entry.owners[p] != 0 && topic->entry.owners[p] < ZCP_OWNERS)
				owners[topic->entry.owners[p]] = (struct zcpd_owner){ topic, p };
	*census = (struct zcpd_census){ pool, owners };
	return 0;
}

void zcpd_census_deinit(struct zcpd_census *census)
{
	free(census->owners);
	*census = (struct zcpd_census){ NULL, NULL };
}

/* For what present subscribers use message `seq` of a publisher slot: enum zcp_use. */
static uint32_t use_of(const struct zcpd_owner *owner, uint64_t next_seq, uint64_t seq)
{
	const struct zcpd_topic *topic = owner->topic;
	uint32_t use = ZCP_USE_NONE;

	for (uint32_t w = 0; w < ZCP_TOPIC_SUBSCRIBER_WORDS; w++) {
		/* Relaxed: only the runtime changes it, which is us. */
		uint64_t present = atomic_load_explicit(&topic->view.shm->present[w],
							memory_order_relaxed);

		for (; present; present &= present - 1) {
			uint32_t s = w * 64 + (uint32_t)__builtin_ctzll(present);
			struct zcp_stake stake;
			uint64_t end;

			if (s >= topic->view.geometry.max_subscribers)
				break;
			zcp_stake_init(&stake, &topic->view, &topic->acks, owner->slot, s);
			/* Relaxed: not settled yet, 0, means that everything is sent. */
			end = atomic_load_explicit(&stake.lane.shm->end, memory_order_relaxed);
			use |= zcp_stake_use(&stake, end ? end : next_seq, seq);
		}
	}
	return use;
}

static enum zcpd_reason published(const struct zcpd_owner *owner, uint64_t seq)
{
	const struct zcp_publisher_slot_shm *slot = &owner->topic->view.publishers[owner->slot];
	/* SEQ-A1 pairs with SEQ-R1 in writer.c: as new as the chunk. */
	uint64_t next_seq = atomic_load_explicit(&slot->next_seq, memory_order_acquire);
	/* Relaxed: written by us. */
	uint64_t history = atomic_load_explicit(&slot->history, memory_order_relaxed);
	uint32_t use = use_of(owner, next_seq, seq);

	if (use & ZCP_USE_HELD)
		return ZCPD_REASON_HELD;
	if (use & ZCP_USE_QUEUED)
		return ZCPD_REASON_QUEUED;
	if ((use & ZCP_USE_PROMISED) || (int64_t)(next_seq - seq) <= (int64_t)history)
		return ZCPD_REASON_HISTORY;
	return ZCPD_REASON_SPARE;
}

enum zcpd_reason zcpd_census_reason(const struct zcpd_census *census,
				    const struct zcp_chunk_shm *chunk)
{
	/* CHUNK-A1 pairs with CHUNK-R1 in zcp_chunk_free(), and keeps what follows behind. */
	uint32_t state = atomic_load_explicit(&chunk->state, memory_order_acquire);
	const struct zcpd_owner *owner = &census->owners[zcp_chunk_owner(state)];
	uint64_t seq;

	/* The runtime has a chunk for a moment only, or left it so when it died. */
	if (state == ZCP_CHUNK_FREE || zcp_chunk_owner(state) == ZCP_OWNER_RUNTIME)
		return ZCPD_REASON_FREE;
	if (!owner->topic)
		return ZCPD_REASON_LEAKED;
	if (state & ZCP_CHUNK_LOANED)
		return owner->topic->publishers[owner->slot] ? ZCPD_REASON_LOANED :
							       ZCPD_REASON_LEAKED;
	/* Relaxed: the publisher goes on, and the reason is as of one moment. */
	seq = atomic_load_explicit(&chunk->seq, memory_order_relaxed);
	return seq == 0 ? ZCPD_REASON_SPARE : published(owner, seq);
}

void zcpd_census_count(const struct zcpd_census *census, uint32_t class_index,
		       uint32_t counts[ZCPD_N_REASONS])
{
	const struct zcp_class *class = &census->pool->view.classes[class_index];
	uint32_t n_touched = zcp_class_n_touched(class);

	memset(counts, 0, ZCPD_N_REASONS * sizeof(counts[0]));
	for (uint32_t i = 0; i < n_touched; i++)
		counts[zcpd_census_reason(census, &class->chunks[i])]++;
	/* The others were never claimed. */
	counts[ZCPD_REASON_FREE] += class->n_chunks - n_touched;
}
