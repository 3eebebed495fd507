/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of chunks, and claiming.
 */
#include "pubsub/flow/chunks.h"

#include <errno.h>
#include <stdlib.h>

#include "pubsub/shm/crashpoint.h"

/* Rounds over the class, as long as others free chunks: one that only counts cannot hold us up. */
#define ROUNDS_MAX 64

static const struct zcp_chunk_list empty = { ZCP_REF_NONE, ZCP_REF_NONE, 0 };

struct inherited {
	uint64_t seq;
	uint32_t ref;
};

static int compare(const void *a, const void *b)
{
	const struct inherited *x = a, *y = b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Fills in `list` where it is not NULL. Returns how many there are. */
static size_t find_own(const struct zcp_chunks *chunks, struct inherited *list, size_t most)
{
	size_t n = 0;

	for (uint32_t c = 0; c < chunks->pool->n_classes; c++) {
		const struct zcp_class *class = &chunks->pool->classes[c];
		uint32_t n_touched = class->chunks ? zcp_class_n_touched(class) : 0;

		for (uint32_t i = 0; i < n_touched && n < most; i++) {
			/* Relaxed, both: ours since the runtime has given us the slot. */
			if (atomic_load_explicit(&class->chunks[i].state, memory_order_relaxed) !=
			    zcp_chunk_state(chunks->owner, 0))
				continue;
			if (list)
				list[n] = (struct inherited){
					.seq = atomic_load_explicit(&class->chunks[i].seq,
								    memory_order_relaxed),
					.ref = zcp_ref(c, i),
				};
			n++;
		}
	}
	return n;
}

static int inherit(struct zcp_chunks *chunks)
{
	size_t n = find_own(chunks, NULL, SIZE_MAX);
	struct inherited *list;

	if (n == 0)
		return 0;
	list = calloc(n, sizeof(list[0]));
	if (!list)
		return -ENOMEM;
	n = find_own(chunks, list, n);
	qsort(list, n, sizeof(list[0]), compare);
	for (size_t i = 0; i < n; i++) {
		if (list[i].seq == 0)
			zcp_chunks_add_spare(chunks, list[i].ref);
		else
			zcp_chunks_add_published(chunks, list[i].ref,
						 zcp_chunks_find(chunks, list[i].ref), list[i].seq);
	}
	free(list);
	return 0;
}

int zcp_chunks_init(struct zcp_chunks *chunks, const struct zcp_pool *pool, uint32_t class_index,
		    uint32_t owner)
{
	const struct zcp_class *class = &pool->classes[class_index];

	*chunks = (struct zcp_chunks){
		.pool = pool,
		.owner = owner,
		.class_index = class_index,
		.own = class->chunks,
		.n_own = class->n_chunks,
		.first_own = zcp_ref(class_index, 0),
		.published = empty,
		.aside = empty,
		.spare = empty,
		.oldest_seq = UINT64_MAX,
	};
	return inherit(chunks);
}

void zcp_chunks_deinit(struct zcp_chunks *chunks)
{
	*chunks = (struct zcp_chunks){ .pool = NULL };
}

uint32_t zcp_chunk_list_pop(struct zcp_chunks *chunks, struct zcp_chunk_list *list)
{
	uint32_t ref = list->first;
	const struct zcp_chunk_shm *chunk = zcp_chunks_find(chunks, ref);

	/* Where another publisher has written there the rest is lost to us. */
	if (list->n == 0 || !chunk) {
		*list = empty;
		return ZCP_REF_NONE;
	}
	/* Relaxed: the owner's words. */
	list->first = atomic_load_explicit(&chunk->next, memory_order_relaxed);
	if (--list->n == 0)
		*list = empty;
	return ref;
}

/* Behind the others. */
static void append(struct zcp_chunks *chunks, struct zcp_chunk_list *list, uint32_t ref)
{
	struct zcp_chunk_shm *chunk = zcp_chunks_find(chunks, ref);
	struct zcp_chunk_shm *last = zcp_chunks_find(chunks, list->last);

	if (!chunk)
		return;
	atomic_store_explicit(&chunk->next, ZCP_REF_NONE, memory_order_relaxed);
	if (list->n > 0 && last)
		atomic_store_explicit(&last->next, ref, memory_order_relaxed);
	else
		list->first = ref;
	list->last = ref;
	list->n++;
}

void zcp_chunks_put_aside(struct zcp_chunks *chunks, uint32_t ref)
{
	append(chunks, &chunks->aside, ref);
}

void zcp_chunks_set_aside(struct zcp_chunks *chunks)
{
	append(chunks, &chunks->aside, zcp_chunks_pop_oldest(chunks));
}

/* Before the others. */
static void push(struct zcp_chunks *chunks, struct zcp_chunk_list *list, uint32_t ref)
{
	struct zcp_chunk_shm *chunk = zcp_chunks_find(chunks, ref);

	atomic_store_explicit(&chunk->next, list->n > 0 ? list->first : ZCP_REF_NONE,
			      memory_order_relaxed);
	list->first = ref;
	if (list->n++ == 0)
		list->last = ref;
}

void zcp_chunks_add_spare(struct zcp_chunks *chunks, uint32_t ref)
{
	struct zcp_chunk_shm *chunk = zcp_chunks_find(chunks, ref);

	if (!chunk)
		return;
	/* Relaxed, both: the owner's words; `op` orders them for the runtime. */
	atomic_store_explicit(&chunk->seq, 0, memory_order_relaxed);
	ZCP_CRASHPOINT("discard.after_seq");
	atomic_store_explicit(&chunk->state, zcp_chunk_state(chunks->owner, 0),
			      memory_order_relaxed);
	push(chunks, &chunks->spare, ref);
}

void zcp_chunks_free(struct zcp_chunks *chunks, uint32_t ref)
{
	const struct zcp_class *class = zcp_pool_class(chunks->pool, ref);

	if (!class)
		return;
	zcp_chunk_free(&class->chunks[zcp_ref_index(ref)]);
	ZCP_CRASHPOINT("loan.after_free");
	chunks->freed |= zcp_class_count_freed(class);
}

uint32_t zcp_chunks_claim(struct zcp_chunks *chunks)
{
	const struct zcp_class *class = &chunks->pool->classes[chunks->class_index];

	for (int round = 0; round < ROUNDS_MAX; round++) {
		/*
		 * Acquire, so that it stays before the look at the chunks. A chunk that becomes FREE
		 * behind the look is counted after it, and found in the next round.
		 */
		uint32_t n_freed = atomic_load_explicit(&class->shm->n_freed, memory_order_acquire);

		if (n_freed != chunks->seen_freed) {
			chunks->seen_freed = n_freed;
			chunks->cursor = 0;
		} else if (round > 0) {
			break;
		}
		for (; chunks->cursor < class->n_chunks; chunks->cursor++) {
			struct zcp_chunk_shm *chunk = &class->chunks[chunks->cursor];

			/* Relaxed: only a look. */
			if (atomic_load_explicit(&chunk->state, memory_order_relaxed) !=
			    ZCP_CHUNK_FREE)
				continue;
			zcp_class_touch(class, chunks->cursor);
			if (zcp_chunk_claim(chunk, chunks->owner))
				return zcp_ref(chunks->class_index, chunks->cursor++);
		}
	}
	return ZCP_REF_NONE;
}
