/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for retained messages while their publishers go on.
 *
 * A publisher lets go of its oldest message first. So where one is found to be gone, those
 * before it are gone too, and what is given from the newest on is without a gap as far as it
 * was there when the look began. What is published during the look is sent to the subscriber
 * as well; where that is pushed out of its lane at once, some of it may be found here and some
 * not: the subscriber counts what is missing as lost.
 */
#include "runtime/history.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/lane.h"
#include "runtime/pool.h"

/* A message that was RETAINED when it was looked at. */
struct retained {
	struct zcp_chunk_shm *chunk;
	uint64_t state;
	uint64_t seq;
	uint32_t ref;
	uint32_t publisher;
};

struct retained_list {
	struct retained *items;
	size_t n_items;
	size_t n_allocated;
};

static int append(struct retained_list *list, const struct retained *item)
{
	if (list->n_items == list->n_allocated) {
		size_t n = list->n_allocated ? 2 * list->n_allocated : 64;
		struct retained *items = realloc(list->items, n * sizeof(items[0]));

		if (!items)
			return -ENOMEM;
		list->items = items;
		list->n_allocated = n;
	}
	list->items[list->n_items++] = *item;
	return 0;
}

/* By publisher, the newest first. */
static int compare(const void *a, const void *b)
{
	const struct retained *x = a, *y = b;

	if (x->publisher != y->publisher)
		return x->publisher < y->publisher ? -1 : 1;
	return x->seq > y->seq ? -1 : x->seq < y->seq;
}

/* The publisher slot that an owner number stands for; -1 where it is another topic's. */
static int slot_of(const struct zcpd_topic *topic, uint32_t owner)
{
	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++)
		if (owner && (topic->owners[p] == owner || topic->formers[p] == owner))
			return (int)p;
	return -1;
}

/* All that the topic's publishers retain; of one slot only where `only` is not -1. */
static int collect(const struct zcpd_topic *topic, int only, struct retained_list *list)
{
	const struct zcpd_pool *pool = topic->pool;

	for (uint32_t c = 0; c < pool->view.n_classes; c++) {
		uint32_t n_touched = zcpd_pool_n_touched(pool, c);

		for (uint32_t i = 0; i < n_touched; i++) {
			struct zcp_chunk_shm *chunk = &pool->view.classes[c].chunks[i];
			/* CHUNK-A1 pairs with CHUNK-R1 in unloan(): seq is this message's. */
			uint64_t state = atomic_load_explicit(&chunk->state, memory_order_acquire);
			int slot = state & ZCP_CHUNK_RETAINED ?
					   slot_of(topic, zcp_state_owner(state)) :
					   -1;
			struct retained item = {
				.chunk = chunk,
				.state = state,
				.ref = zcp_ref(c, i),
				.publisher = (uint32_t)slot,
			};

			if (slot < 0 || (only >= 0 && slot != only))
				continue;
			/* Relaxed: if the state is the same when it is pinned, so is this. */
			item.seq = atomic_load_explicit(&chunk->seq, memory_order_relaxed);
			if (append(list, &item) < 0)
				return -ENOMEM;
		}
	}
	if (list->n_items > 0)
		qsort(list->items, list->n_items, sizeof(list->items[0]), compare);
	return 0;
}

/* Whether the message is still there; then it cannot be let go of until unpin(). */
static bool pin(const struct retained *item)
{
	uint64_t state = item->state;

	/* Acquire: on failure, too, what is read of older messages is at least as new. */
	return atomic_compare_exchange_strong_explicit(&item->chunk->state, &state,
						       state | ZCP_CHUNK_PINNED,
						       memory_order_acquire, memory_order_acquire);
}

static void unpin(const struct retained *item)
{
	/* Release: the holder's bit is there before anybody can find the chunk free. */
	(void)atomic_fetch_and_explicit(&item->chunk->state, ~ZCP_CHUNK_PINNED,
					memory_order_release);
}

enum gift {
	GIVEN,
	IN_LANE, /* it was sent to the subscriber, and is there or has just been pushed out */
	GONE,
};

/*
 * Whether a message whose bit is clear was sent to the subscriber, and pushed out of its lane
 * by the message a lap later. There the lane says so, and whoever recovers the publisher takes
 * a bit on the message for one that it has not come to clear.
 */
static bool was_pushed_out(const struct retained *item, const struct zcpd_endpoint *subscriber)
{
	struct zcp_lane lane = zcpd_topic_lane(subscriber->topic, item->publisher, subscriber);
	/* Relaxed: the clear bit, acquired, came after it. */
	uint64_t word = atomic_load_explicit(&zcp_lane_slot(&lane, item->seq)->word,
					     memory_order_relaxed);

	return zcp_slot_ahead(word, item->seq) == (int32_t)lane.mask + 1 &&
	       (word & ZCP_SLOT_DROPPED);
}

static enum gift give(const struct retained *item, const struct zcpd_endpoint *subscriber)
{
	_Atomic uint64_t *holders = &item->chunk->holders[subscriber->holder / 64];
	uint64_t bit = UINT64_C(1) << (subscriber->holder % 64);
	enum gift gift = IN_LANE;

	if (!pin(item))
		return GONE;
	ZCP_CRASHPOINT("history.after_pin");
	/*
	 * Acquire: where the publisher has cleared the bit, having pushed the message out of the
	 * lane, it has also cleared those of the messages that it pushed out before.
	 */
	if (!(atomic_load_explicit(holders, memory_order_acquire) & bit) &&
	    !was_pushed_out(item, subscriber)) {
		/* Relaxed: unpin() orders it, and the subscriber has it from us. */
		(void)atomic_fetch_or_explicit(holders, bit, memory_order_relaxed);
		gift = GIVEN;
	}
	ZCP_CRASHPOINT("history.after_bit");
	unpin(item);
	ZCP_CRASHPOINT("history.after_unpin");
	return gift;
}

/* The entries of one publisher were found newest first. */
static void reverse(struct zcp_backlog_entry_shm *entries, uint32_t n)
{
	for (uint32_t i = 0; i < n / 2; i++) {
		struct zcp_backlog_entry_shm entry = entries[i];

		entries[i] = entries[n - 1 - i];
		entries[n - 1 - i] = entry;
	}
}

static void add_entry(struct zcp_backlog *backlog, const struct retained *item)
{
	backlog->entries[backlog->n_entries++] = (struct zcp_backlog_entry_shm){
		.seq = item->seq,
		.ref = item->ref,
		.publisher = item->publisher,
	};
}

static int make_backlog(struct zcp_backlog *backlog, size_t n_entries)
{
	backlog->entries = calloc(n_entries + 1, sizeof(backlog->entries[0]));
	backlog->n_entries = 0;
	return backlog->entries ? 0 : -ENOMEM;
}

int zcpd_history_give(struct zcpd_topic *topic, const struct zcpd_endpoint *subscriber,
		      struct zcp_backlog *backlog)
{
	struct retained_list list = { .n_items = 0 };
	int r = collect(topic, -1, &list);

	if (r == 0)
		r = make_backlog(backlog, list.n_items);
	for (size_t i = 0, end; r == 0 && i < list.n_items; i = end) {
		uint32_t first = backlog->n_entries;
		enum gift gift = GIVEN;

		for (end = i;
		     end < list.n_items && list.items[end].publisher == list.items[i].publisher;
		     end++) {
			if (gift == GONE || end - i >= subscriber->history)
				continue;
			gift = give(&list.items[end], subscriber);
			if (gift == GIVEN)
				add_entry(backlog, &list.items[end]);
		}
		reverse(backlog->entries + first, backlog->n_entries - first);
	}
	free(list.items);
	return r;
}

static void let_go(const struct retained *item)
{
	/* CHUNK-R1, in the name of a publisher that is gone. */
	(void)atomic_fetch_and_explicit(&item->chunk->state, ~ZCP_CHUNK_RETAINED,
					memory_order_release);
}

int zcpd_history_hand_on(struct zcpd_topic *topic, const struct zcpd_endpoint *publisher,
			 struct zcp_backlog *backlog)
{
	struct retained_list list = { .n_items = 0 };
	int r = collect(topic, (int)publisher->slot, &list);

	if (r == 0)
		r = make_backlog(backlog, list.n_items);
	for (size_t i = list.n_items; r == 0 && i-- > 0;) {
		if (i < publisher->history)
			add_entry(backlog, &list.items[i]);
		else
			let_go(&list.items[i]);
		ZCP_CRASHPOINT("hand_on.after_chunk");
	}
	free(list.items);
	return r;
}

void zcpd_history_forget(struct zcpd_topic *topic, uint32_t slot)
{
	struct retained_list list = { .n_items = 0 };

	if (collect(topic, (int)slot, &list) == 0) {
		for (size_t i = list.n_items; i-- > 0;) {
			let_go(&list.items[i]);
			ZCP_CRASHPOINT("forget.after_chunk");
		}
	}
	free(list.items);
}

uint32_t zcpd_history_trim(struct zcpd_topic *topic, uint32_t slot, uint32_t history)
{
	const struct zcpd_pool *pool = topic->pool;
	/* Relaxed: the slot's publisher is gone. */
	uint64_t next_seq = atomic_load_explicit(&topic->view.publishers[slot].next_seq,
						 memory_order_relaxed);
	uint32_t n = 0;

	for (uint32_t c = 0; c < pool->view.n_classes; c++) {
		uint32_t n_touched = zcpd_pool_n_touched(pool, c);

		for (uint32_t i = 0; i < n_touched; i++) {
			struct retained item = { .chunk = &pool->view.classes[c].chunks[i] };

			item.state = atomic_load_explicit(&item.chunk->state, memory_order_acquire);
			if (!(item.state & ZCP_CHUNK_RETAINED) ||
			    slot_of(topic, zcp_state_owner(item.state)) != (int)slot)
				continue;
			item.seq = atomic_load_explicit(&item.chunk->seq, memory_order_relaxed);
			if (next_seq - item.seq <= history)
				n++;
			else
				let_go(&item);
		}
	}
	return n;
}
