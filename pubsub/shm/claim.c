/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a publisher looks for a free chunk, and in what order.
 */
#include "pubsub/shm/claim.h"

#include <errno.h>
#include <stdlib.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/memory.h"

/* Published chunks that a publisher remembers at most; others are found by the round. */
#define PUBLISHED_MAX 4096
/* Remembered chunks that are looked at before the round. */
#define TRIES 4

void zcp_claim_init(struct zcp_claim *claim, uint32_t owner)
{
	*claim = (struct zcp_claim){ .owner = owner };
}

void zcp_claim_deinit(struct zcp_claim *claim)
{
	for (uint32_t i = 0; i < ZCP_CLASSES_MAX; i++)
		free(claim->classes[i].published);
	*claim = (struct zcp_claim){ .owner = 0 };
}

int zcp_claim_add_class(struct zcp_claim *claim, const struct zcp_pool *pool, uint32_t class_index)
{
	struct zcp_claim_class *mine = &claim->classes[class_index];
	uint32_t n = 2;

	if (mine->published)
		return 0;
	while (n < pool->classes[class_index].n_chunks && n < PUBLISHED_MAX)
		n *= 2;
	mine->published = zcp_memory_calloc(n, sizeof(mine->published[0]),
					    pool->classes[class_index].chunks_region.memory &
						    ZCP_MEMORY_PREFAULT);
	if (!mine->published)
		return -ENOMEM;
	mine->published_mask = n - 1;
	return 0;
}

/* Whether a chunk is free; with its state. */
static inline bool is_free(const struct zcp_chunk_shm *chunk, uint64_t *state)
{
	/* CHUNK-A1 pairs with CHUNK-R1 in zcp_writer_publish() of the previous owner. */
	*state = atomic_load_explicit(&chunk->state, memory_order_acquire);
	return !(*state & ZCP_CHUNK_FLAGS) && !zcp_chunk_has_holders(chunk);
}

static inline bool claim_free(struct zcp_chunk_shm *chunk, uint64_t state, uint32_t owner)
{
	/* Relaxed: the two acquire loads of is_free() have ordered all that went before. */
	if (!atomic_compare_exchange_strong_explicit(&chunk->state, &state,
						     zcp_state(zcp_state_generation(state) + 1,
							       owner, ZCP_CHUNK_LOANED),
						     memory_order_relaxed, memory_order_relaxed))
		return false;
	ZCP_CRASHPOINT("claim.after_cas");
	/*
	 * No number yet: whoever recovers us tells the loan that is being published from the
	 * others by it. Relaxed: OP-A1 orders it where `op` was found odd.
	 */
	atomic_store_explicit(&chunk->seq, 0, memory_order_relaxed);
	ZCP_CRASHPOINT("claim.after_seq");
	return true;
}

static bool try_claim(struct zcp_chunk_shm *chunk, uint32_t owner)
{
	uint64_t state;

	return is_free(chunk, &state) && claim_free(chunk, state, owner);
}

static bool from_hints(struct zcp_claim_class *mine, const struct zcp_class *class, uint32_t owner,
		       uint32_t *index)
{
	while (mine->n_hints > 0) {
		uint32_t i = mine->hints[--mine->n_hints];

		if (try_claim(&class->chunks[i], owner)) {
			*index = i;
			return true;
		}
	}
	return false;
}

static uint64_t *published_at(const struct zcp_claim_class *mine, uint32_t position)
{
	return &mine->published[position & mine->published_mask];
}

/* The next one is free as well, and not the last: fewer chunks will do. */
static void forget(struct zcp_claim_class *mine, const struct zcp_class *class)
{
	uint64_t state;

	if (mine->tail - mine->head >= 2 &&
	    is_free(&class->chunks[(uint32_t)*published_at(mine, mine->head)], &state))
		mine->head++;
}

/*
 * The one published last is left alone: its subscribers still have it in their caches, and
 * fetching it back takes as long as handing a message over. With another one in turn, what
 * the next claim needs is fetched while they read.
 */
static bool from_published(struct zcp_claim_class *mine, const struct zcp_class *class,
			   uint32_t owner, uint32_t *index)
{
	for (int tries = 0; tries < TRIES && mine->tail - mine->head >= 2; tries++) {
		uint64_t entry = *published_at(mine, mine->head++), state;
		struct zcp_chunk_shm *chunk = &class->chunks[(uint32_t)entry];
		bool free = is_free(chunk, &state);

		/* Somebody else has claimed it since: it is not ours to remember. */
		if (zcp_state_generation(state) != entry >> 32)
			continue;
		if (free && claim_free(chunk, state, owner)) {
			forget(mine, class);
			*index = (uint32_t)entry;
			return true;
		}
		*published_at(mine, mine->tail++) = entry;
	}
	return false;
}

static bool from_round(struct zcp_claim_class *mine, const struct zcp_class *class, uint32_t owner,
		       uint32_t *index, uint64_t *generations)
{
	uint32_t i = mine->cursor;

	for (uint32_t n = 0; n < class->n_chunks; n++) {
		if (i >= class->n_chunks)
			i = 0;
		if (try_claim(&class->chunks[i], owner)) {
			mine->cursor = i + 1;
			*index = i;
			return true;
		}
		/*
		 * Relaxed: CHUNK-A1 or CHUNK-A2 has it stay after the look that found the chunk in
		 * use. If it is the same in the round before, the look was in this generation, in
		 * which what is free once stays free: the chunk was in use all the time between.
		 */
		*generations += zcp_state_generation(
			atomic_load_explicit(&class->chunks[i].state, memory_order_relaxed));
		i++;
	}
	return false;
}

int zcp_claim_take(struct zcp_claim *claim, const struct zcp_class *class, uint32_t class_index,
		   uint32_t *index, uint64_t *generations)
{
	struct zcp_claim_class *mine = &claim->classes[class_index];

	if (from_hints(mine, class, claim->owner, index) ||
	    from_published(mine, class, claim->owner, index) ||
	    from_round(mine, class, claim->owner, index, generations))
		return 0;
	return ZCP_CLAIM_E_EXHAUSTED;
}

void zcp_claim_published(struct zcp_claim *claim, uint32_t class_index, uint32_t index,
			 uint32_t generation)
{
	struct zcp_claim_class *mine = &claim->classes[class_index];

	if (!mine->published)
		return;
	if (mine->tail - mine->head > mine->published_mask)
		mine->head++;
	*published_at(mine, mine->tail++) = (uint64_t)generation << 32 | index;
}

void zcp_claim_dropped(struct zcp_claim *claim, uint32_t class_index, uint32_t index)
{
	struct zcp_claim_class *mine = &claim->classes[class_index];

	if (mine->n_hints < ZCP_CLAIM_HINTS)
		mine->hints[mine->n_hints++] = index;
}

void zcp_claim_prefetch(const struct zcp_claim *claim, const struct zcp_class *class,
			uint32_t class_index, uint64_t size)
{
	const struct zcp_claim_class *mine = &claim->classes[class_index];
	const struct zcp_chunk_header_shm *header;
	uint32_t index;

	if (mine->head == mine->tail)
		return;
	index = (uint32_t)*published_at(mine, mine->head);
	header = zcp_class_header(class, index);
	zcp_prefetch_write(&class->chunks[index]);
	zcp_prefetch_write(header);
	zcp_prefetch_write(header + 1);
	if (size > sizeof(*header))
		zcp_prefetch_write((const char *)(header + 1) + size - 1);
}
