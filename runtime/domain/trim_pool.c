/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The looks at one pool.
 */
#include "runtime/domain/trim_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/util.h"
#include "runtime/system/log.h"

/* Looks in trim_after. */
#define LOOKS 4
/* Looks for what publishers that are gone have left, each after twice as long. */
#define WAITS_MAX 8
/* The shortest time from one look to the next. */
#define PERIOD_MIN_NS UINT64_C(1000000)

/* In one turn at the most. A chunk that is larger is given back in one go all the same. */
#define TURN_LOOKED 4096
#define TURN_PUNCHED 256
#define TURN_BYTES (UINT64_C(64) << 20)

/* Instead of an age: nothing of it is to be given back before it is claimed again. */
#define GIVEN_BACK UINT32_MAX

/* One chunk as the last look found it, if it was FREE. */
struct seen {
	uint32_t n_claims;
	/* looks since then at which it was the same; or GIVEN_BACK */
	uint32_t age;
};

struct seen_class {
	struct seen *chunks;
	uint32_t n_chunks;
};

struct zcpd_trim_pool {
	uint64_t period_ns;
	/* of the next turn */
	uint64_t due_ns;
	/* the look that is under way: when it began, and where it goes on */
	uint64_t began_ns;
	uint32_t class_index;
	uint32_t index;
	/* it has found a chunk whose time is still to come */
	bool has_found;
	/* all size classes were asked to tell of the next FREE chunk before it began */
	bool has_asked;
	/* looks in a row that were made for what publishers that are gone have left */
	uint32_t n_waits;
	/* that memory is not given back was said */
	bool has_warned;
	struct seen_class classes[ZCP_CLASSES_MAX];
};

/* What is left of a turn. */
struct turn {
	uint32_t n_looked;
	uint32_t n_punched;
	uint64_t n_bytes;
};

struct zcpd_trim_pool *zcpd_trim_pool_free(struct zcpd_trim_pool *trim)
{
	if (!trim)
		return NULL;
	for (uint32_t c = 0; c < ZCP_CLASSES_MAX; c++)
		free(trim->classes[c].chunks);
	free(trim);
	return NULL;
}

static bool keeps_memory(const struct zcpd_pool *pool)
{
	return (pool->entry.memory | pool->entry.got) & ZCP_MEMORY_FLAGS;
}

void zcpd_trim_pool_freed(struct zcpd_pool *pool, uint64_t trim_after_ns, uint64_t now_ns)
{
	struct zcpd_trim_pool *trim = pool->trim;

	if (keeps_memory(pool) || trim_after_ns == ZCPD_CONFIG_NEVER)
		return;
	if (!trim) {
		trim = pool->trim = calloc(1, sizeof(*trim));
		if (!trim)
			return;
		trim->due_ns = ZCPD_TRIM_IDLE;
	}
	trim->period_ns = trim_after_ns / LOOKS;
	if (trim->period_ns < PERIOD_MIN_NS)
		trim->period_ns = PERIOD_MIN_NS;
	/* The answer to what was asked: the look that is under way may be past that chunk. */
	if (trim->due_ns == ZCPD_TRIM_IDLE || trim->has_asked)
		trim->due_ns = now_ns;
	trim->has_asked = false;
	trim->n_waits = 0;
}

uint64_t zcpd_trim_pool_due(const struct zcpd_pool *pool)
{
	return pool->trim ? pool->trim->due_ns : ZCPD_TRIM_IDLE;
}

/*
 * The whole pages inside a chunk, with the room before its payload, as a part of the data region.
 * Computed from what the runtime itself knows of the class. False where there is none.
 */
static bool find_pages(const struct zcpd_pool *pool, uint32_t class_index, uint32_t index,
		       uint64_t *offset, uint64_t *size)
{
	const struct zcp_class *class = &pool->view.classes[class_index];
	const struct zcp_class_geometry geometry = {
		.payload_size = class->payload_size,
		.n_chunks = class->n_chunks,
		.class_index = class_index,
		.alignment = pool->entry.alignment,
		.user_header_size = pool->entry.user_header_size,
	};
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), first, begin, end;
	size_t chunks_size, data_size;

	if (zcp_class_sizes(&geometry, &chunks_size, &data_size) < 0)
		return false;
	first = data_size - class->n_chunks * class->stride;
	begin = first + index * class->stride;
	end = (begin + class->stride) / page * page;
	begin = (begin + page - 1) / page * page;
	if (end <= begin)
		return false;
	*offset = begin;
	*size = end - begin;
	return true;
}

static void punch(struct zcpd_pool *pool, uint32_t class_index, uint64_t offset, uint64_t size)
{
	if (fallocate(pool->classes[class_index].data_fd,
		      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size) == 0)
		return;
	if (!pool->trim->has_warned)
		zcpd_warning("pool '%s': memory that is free cannot be given back, and stays: %s",
			     pool->entry.name, strerror(errno));
	pool->trim->has_warned = true;
}

/* Gives a chunk back, unless a publisher claims it first. */
static void give_back(struct zcpd_pool *pool, uint32_t class_index, uint32_t index,
		      struct seen *seen, struct turn *turn)
{
	const struct zcp_class *class = &pool->view.classes[class_index];
	struct zcp_chunk_shm *chunk = &class->chunks[index];
	uint64_t offset, size;

	if (!find_pages(pool, class_index, index, &offset, &size)) {
		seen->age = GIVEN_BACK;
		return;
	}
	if (!zcp_chunk_claim(chunk, ZCP_OWNER_RUNTIME))
		return;
	ZCP_CRASHPOINT("trim.after_claim");
	punch(pool, class_index, offset, size);
	ZCP_CRASHPOINT("trim.after_punch");
	/* Relaxed: ours. */
	seen->n_claims = atomic_load_explicit(&chunk->n_claims, memory_order_relaxed);
	seen->age = GIVEN_BACK;
	zcp_chunk_free(chunk);
	/* That there is a FREE chunk is no news to us. */
	(void)zcp_class_count_freed(class);
	turn->n_punched++;
	turn->n_bytes += size;
}

static void look_at(struct zcpd_pool *pool, uint32_t class_index, uint32_t index, struct seen *seen,
		    struct turn *turn)
{
	const struct zcp_chunk_shm *chunk = &pool->view.classes[class_index].chunks[index];
	uint32_t n_claims;

	/* CHUNK-A1 pairs with CHUNK-R1 in zcp_chunk_free(): the count is as new as FREE is. */
	if (atomic_load_explicit(&chunk->state, memory_order_acquire) != ZCP_CHUNK_FREE)
		return;
	n_claims = atomic_load_explicit(&chunk->n_claims, memory_order_relaxed);
	if (n_claims != seen->n_claims) {
		*seen = (struct seen){ .n_claims = n_claims };
	} else if (n_claims == 0 || seen->age == GIVEN_BACK) {
		/* One that was never claimed has nothing. */
		return;
	} else if (++seen->age >= LOOKS) {
		give_back(pool, class_index, index, seen, turn);
		return;
	}
	pool->trim->has_found = true;
}

/* Has room to remember as many chunks of a class as were touched; false where memory ran out. */
static bool make_room(struct seen_class *seen, uint32_t n_touched, uint32_t n_chunks)
{
	uint32_t n = seen->n_chunks;
	struct seen *chunks;

	if (n_touched <= n)
		return true;
	/* Twice as many, so that it is seldom: n_chunks is below 2^24. */
	n = 2 * n_touched < n_chunks ? 2 * n_touched : n_chunks;
	chunks = realloc(seen->chunks, n * sizeof(*chunks));
	if (!chunks)
		return false;
	memset(chunks + seen->n_chunks, 0, (n - seen->n_chunks) * sizeof(*chunks));
	seen->chunks = chunks;
	seen->n_chunks = n;
	return true;
}

/* Goes on with the look in one class. Returns whether the class is done. */
static bool look_at_class(struct zcpd_pool *pool, struct turn *turn)
{
	struct zcpd_trim_pool *trim = pool->trim;
	const struct zcp_class *class = &pool->view.classes[trim->class_index];
	struct seen_class *seen = &trim->classes[trim->class_index];
	uint32_t n_touched = zcp_class_n_touched(class);

	if (class->stride < (uint64_t)sysconf(_SC_PAGESIZE))
		return true;
	if (!make_room(seen, n_touched, class->n_chunks)) {
		trim->has_found = true;
		return true;
	}
	for (; trim->index < n_touched; trim->index++) {
		if (turn->n_looked == TURN_LOOKED || turn->n_punched == TURN_PUNCHED ||
		    turn->n_bytes >= TURN_BYTES)
			return false;
		turn->n_looked++;
		look_at(pool, trim->class_index, trim->index, &seen->chunks[trim->index], turn);
	}
	return true;
}

/* Has publishers tell of the next chunk that becomes FREE. */
static void ask(const struct zcpd_pool *pool)
{
	for (uint32_t c = 0; c < pool->view.n_classes; c++) {
		struct zcp_class_shm *shm = pool->view.classes[c].shm;

		/*
		 * Sequentially consistent, both, as zcp_class_count_freed(): a publisher that frees a
		 * chunk and does not see this has counted it before, so that we see it FREE.
		 */
		atomic_store_explicit(&shm->wants_freed, 1, memory_order_seq_cst);
		(void)atomic_load_explicit(&shm->n_freed, memory_order_seq_cst);
	}
}

static void end_look(struct zcpd_pool *pool, bool has_left, uint64_t now_ns)
{
	struct zcpd_trim_pool *trim = pool->trim;

	if (trim->has_found) {
		trim->has_asked = false;
		trim->n_waits = 0;
		trim->due_ns = trim->began_ns + trim->period_ns;
	} else if (trim->has_asked) {
		trim->due_ns = ZCPD_TRIM_IDLE;
		if (has_left && trim->n_waits < WAITS_MAX)
			trim->due_ns = trim->began_ns + (trim->period_ns << trim->n_waits++);
	} else {
		ask(pool);
		trim->has_asked = true;
		trim->due_ns = now_ns;
	}
	trim->class_index = 0;
	trim->index = 0;
	trim->has_found = false;
}

void zcpd_trim_pool_turn(struct zcpd_pool *pool, bool has_left, uint64_t now_ns)
{
	struct zcpd_trim_pool *trim = pool->trim;
	struct turn turn = { .n_looked = 0 };

	if (zcpd_trim_pool_due(pool) > now_ns)
		return;
	if (trim->class_index == 0 && trim->index == 0)
		trim->began_ns = now_ns;
	for (; trim->class_index < pool->view.n_classes; trim->class_index++, trim->index = 0)
		if (!look_at_class(pool, &turn))
			return;
	end_look(pool, has_left, now_ns);
}
