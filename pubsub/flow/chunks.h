/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chunks that a publisher owns: three lists that are threaded through the `next` field of
 * their descriptors, so that nothing is allocated while it publishes.
 *
 *   published   in the order of their numbers, the oldest first
 *   aside       published; a subscriber held them for longer than those behind them
 *   spare       without a message; the one used last is used first
 *
 * Ends, counts and the number of the oldest are private to the process. What is read of a
 * descriptor is checked: another publisher of the pool may have written there.
 *
 * What a crash can leave: nothing that counts. The runtime and the next publisher of the slot go
 * by owner and number.
 */
#ifndef ZCP_FLOW_CHUNKS_H
#define ZCP_FLOW_CHUNKS_H

#include <stdbool.h>
#include <stdint.h>

#include "pubsub/shm/pool.h"

/* One list; `n` bounds every walk. */
struct zcp_chunk_list {
	uint32_t first;
	uint32_t last;
	uint32_t n;
};

struct zcp_chunks {
	const struct zcp_pool *pool;
	uint32_t owner;
	/* the size class that new chunks are claimed in, and its descriptors */
	uint32_t class_index;
	struct zcp_chunk_shm *own;
	uint32_t n_own;
	/* the ref of the first of them */
	uint32_t first_own;
	/* the last published one; valid while there is one */
	struct zcp_chunk_shm *newest;
	struct zcp_chunk_list published;
	struct zcp_chunk_list aside;
	struct zcp_chunk_list spare;
	/* of the first published one; UINT64_MAX where there is none */
	uint64_t oldest_seq;
	/*
	 * Where the search for a FREE chunk goes on, as long as none has become FREE since the class
	 * counted `seen_freed`: below there is none.
	 */
	uint32_t cursor;
	uint32_t seen_freed;
	/* a chunk became FREE, and the runtime wants to be told */
	bool freed;
};

/*
 * Takes over what former publishers of the slot have left, which is what descriptors name `owner`.
 * Returns 0 or -ENOMEM.
 */
__attribute__((warn_unused_result)) int zcp_chunks_init(struct zcp_chunks *chunks,
							const struct zcp_pool *pool,
							uint32_t class_index, uint32_t owner);

/* The chunks stay the slot's. */
void zcp_chunks_deinit(struct zcp_chunks *chunks);

static inline uint32_t zcp_chunks_n(const struct zcp_chunks *chunks)
{
	return chunks->published.n + chunks->aside.n + chunks->spare.n;
}

/*
 * Whether the ref names a chunk of the size class that is claimed in, as nearly all do; a former
 * publisher of the slot may have used another one.
 */
static inline bool zcp_chunks_is_own(const struct zcp_chunks *chunks, uint32_t ref)
{
	return ref - chunks->first_own < chunks->n_own;
}

/* The descriptor that `ref` names; NULL where there is none. */
static inline struct zcp_chunk_shm *zcp_chunks_find(const struct zcp_chunks *chunks, uint32_t ref)
{
	if (__builtin_expect(zcp_chunks_is_own(chunks, ref), 1))
		return &chunks->own[zcp_ref_index(ref)];
	return zcp_pool_descriptor(chunks->pool, ref);
}

/* Takes the first one off a list; ZCP_REF_NONE where there is none. Wait-free. */
uint32_t zcp_chunk_list_pop(struct zcp_chunks *chunks, struct zcp_chunk_list *list);

/* Takes the oldest published one off its list; ZCP_REF_NONE where there is none. Wait-free. */
static inline uint32_t zcp_chunks_pop_oldest(struct zcp_chunks *chunks)
{
	struct zcp_chunk_list *list = &chunks->published;
	const struct zcp_chunk_shm *chunk = zcp_chunks_find(chunks, list->first);
	uint32_t ref = list->first;

	if (list->n <= 1 || !chunk) {
		*list = (struct zcp_chunk_list){ ZCP_REF_NONE, ZCP_REF_NONE, 0 };
		chunks->oldest_seq = UINT64_MAX;
		return ref;
	}
	/* Relaxed: the owner's words. */
	list->first = atomic_load_explicit(&chunk->next, memory_order_relaxed);
	list->n--;
	chunk = zcp_chunks_find(chunks, list->first);
	chunks->oldest_seq = chunk ? atomic_load_explicit(&chunk->seq, memory_order_relaxed) :
				     UINT64_MAX;
	return ref;
}

/*
 * The same where that is simple: there is another one behind it, and both are of the size class
 * that is claimed in. Returns its descriptor with *ref, or NULL. Wait-free.
 */
static inline struct zcp_chunk_shm *zcp_chunks_pop_own(struct zcp_chunks *chunks, uint32_t *ref)
{
	struct zcp_chunk_list *list = &chunks->published;
	uint32_t first = list->first - chunks->first_own, next;

	if (first >= chunks->n_own || list->n < 2)
		return NULL;
	/* Relaxed, both: the owner's words. */
	next = atomic_load_explicit(&chunks->own[first].next, memory_order_relaxed) -
	       chunks->first_own;
	if (next >= chunks->n_own)
		return NULL;
	chunks->oldest_seq = atomic_load_explicit(&chunks->own[next].seq, memory_order_relaxed);
	*ref = list->first;
	list->first = next + chunks->first_own;
	list->n--;
	return &chunks->own[first];
}

/* Sets the oldest published one aside. Wait-free. */
void zcp_chunks_set_aside(struct zcp_chunks *chunks);

/* Puts one that was taken off the list of those aside back, behind the others. Wait-free. */
void zcp_chunks_put_aside(struct zcp_chunks *chunks, uint32_t ref);

/* Makes a chunk on loan, which has no number, a spare one. Inside op. Wait-free. */
void zcp_chunks_add_spare(struct zcp_chunks *chunks, uint32_t ref);

/* Adds the message that was just published, the newest one. Wait-free. */
static inline void zcp_chunks_add_published(struct zcp_chunks *chunks, uint32_t ref,
					    struct zcp_chunk_shm *chunk, uint64_t seq)
{
	struct zcp_chunk_list *list = &chunks->published;

	/* Relaxed: the owner's words. */
	atomic_store_explicit(&chunk->next, ZCP_REF_NONE, memory_order_relaxed);
	if (__builtin_expect(list->n > 0, 1)) {
		atomic_store_explicit(&chunks->newest->next, ref, memory_order_relaxed);
	} else {
		list->first = ref;
		chunks->oldest_seq = seq;
	}
	chunks->newest = chunk;
	list->last = ref;
	list->n++;
}

/* Gives a chunk that is on no list back: it is FREE. Inside op. Wait-free. */
void zcp_chunks_free(struct zcp_chunks *chunks, uint32_t ref);

/*
 * Claims the FREE chunk with the lowest index. ZCP_REF_NONE where there was a moment at which none
 * was FREE. Lock-free: again only where others free chunks meanwhile.
 */
uint32_t zcp_chunks_claim(struct zcp_chunks *chunks);

#endif
