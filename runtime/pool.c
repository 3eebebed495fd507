/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making the regions of a pool, and counting what its chunks are used for.
 */
#include "runtime/pool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pubsub/shm/memory.h"
#include "pubsub/util.h"

int zcpd_pool_new(struct zcpd_pool **poolp, uint64_t id, uint64_t domain_id, const char *name,
		  bool automatic)
{
	struct zcpd_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return -ENOMEM;
	pool->id = id;
	pool->domain_id = domain_id;
	pool->automatic = automatic;
	(void)snprintf(pool->name, sizeof(pool->name), "%s", name);
	for (uint32_t i = 0; i < ZCP_CLASSES_MAX; i++)
		pool->classes[i] = (struct zcpd_class){ -1, -1, -1, 0 };
	/* 0 is nobody. */
	pool->owners[0] = 1;
	*poolp = pool;
	return 0;
}

static void close_class(struct zcpd_class *class)
{
	zcp_close_fd(&class->chunks_fd);
	zcp_close_fd(&class->data_fd);
	zcp_close_fd(&class->data_readonly_fd);
}

static void remove_classes(struct zcpd_pool *pool)
{
	for (uint32_t i = 0; i < ZCP_CLASSES_MAX; i++)
		close_class(&pool->classes[i]);
	zcp_pool_deinit(&pool->view);
	pool->got = 0;
}

struct zcpd_pool *zcpd_pool_free(struct zcpd_pool *pool)
{
	if (!pool)
		return NULL;
	remove_classes(pool);
	free(pool);
	return NULL;
}

static struct zcp_class_geometry geometry_of(const struct zcpd_pool *pool, uint32_t class_index,
					     uint64_t payload_size, uint32_t n_chunks)
{
	return (struct zcp_class_geometry){
		.payload_size = payload_size,
		.n_chunks = n_chunks,
		.class_index = class_index,
		.alignment = pool->alignment,
		.user_header_size = pool->user_header_size,
	};
}

uint64_t zcpd_pool_class_size(const struct zcpd_pool *pool, uint64_t payload_size,
			      uint32_t n_chunks)
{
	/* How large it is does not depend on which it is. */
	const struct zcp_class_geometry geometry = geometry_of(pool, 0, payload_size, n_chunks);
	size_t chunks_size, data_size;

	if (zcp_class_sizes(&geometry, &chunks_size, &data_size) < 0)
		return 0;
	return (uint64_t)chunks_size + data_size;
}

int zcpd_pool_add_class(struct zcpd_pool *pool, uint64_t payload_size, uint32_t n_chunks)
{
	const struct zcp_class_geometry geometry = geometry_of(pool, pool->view.n_classes,
							       payload_size, n_chunks);
	/* Descriptors are looked at for holes, and are few: ordinary pages will do. */
	uint32_t of_chunks = pool->memory & (ZCP_MEMORY_PREFAULT | ZCP_MEMORY_LOCK), got = 0;
	struct zcp_region chunks = ZCP_REGION_NULL, data = ZCP_REGION_NULL;
	ZCP_CLEANUP(zcp_close_fd) int chunks_fd = -1;
	ZCP_CLEANUP(zcp_close_fd) int data_fd = -1;
	size_t chunks_size, data_size;
	int readonly = -1, r;
	const char *why;

	if (geometry.class_index >= ZCP_CLASSES_MAX)
		return -ENOSPC;
	r = zcp_class_sizes(&geometry, &chunks_size, &data_size);
	if (r == 0)
		r = zcp_region_create_with(&chunks, &chunks_fd, "zcp-chunks", chunks_size,
					   of_chunks);
	if (r == 0)
		r = zcp_region_create_with(&data, &data_fd, "zcp-data", data_size, pool->memory);
	if (r == 0) {
		zcp_class_construct(&chunks, &data, &geometry, pool->domain_id, pool->id);
		got = data.memory;
		r = zcp_region_settle(&chunks, true, &why);
	}
	if (r == 0) {
		readonly = zcp_region_open_readonly(data_fd);
		r = readonly < 0 ? readonly : 0;
	}
	zcp_region_deinit(&data);
	if (r < 0) {
		zcp_region_deinit(&chunks);
		return r;
	}
	pool->classes[geometry.class_index] = (struct zcpd_class){
		.chunks_fd = zcp_steal_fd(&chunks_fd),
		.data_fd = zcp_steal_fd(&data_fd),
		.data_readonly_fd = readonly,
	};
	pool->view.classes[geometry.class_index] = (struct zcp_class){
		.chunks = ((struct zcp_class_shm *)chunks.base)->chunks,
		.payload_size = payload_size,
		.stride = zcp_class_stride(&geometry),
		.n_chunks = n_chunks,
		.chunks_region = chunks,
	};
	pool->view.n_classes++;
	pool->got |= got;
	return 0;
}

int zcpd_pool_restore_class(struct zcpd_pool *pool, uint64_t payload_size, uint32_t n_chunks,
			    int fds[3])
{
	const struct zcp_class_geometry geometry = geometry_of(pool, pool->view.n_classes,
							       payload_size, n_chunks);
	uint32_t memory = pool->memory & (ZCP_MEMORY_PREFAULT | ZCP_MEMORY_LOCK);
	struct zcp_region chunks = ZCP_REGION_NULL;
	const char *why;
	size_t chunks_size, data_size;
	int r;

	/* Deinit closes them from here on. */
	pool->classes[geometry.class_index] = (struct zcpd_class){
		.chunks_fd = fds[0],
		.data_fd = fds[1],
		.data_readonly_fd = fds[2],
	};
	r = zcp_class_sizes(&geometry, &chunks_size, &data_size);
	if (r == 0)
		r = zcp_region_map(&chunks, fds[0], chunks_size, memory);
	if (r == 0)
		r = zcp_region_settle(&chunks, true, &why);
	if (r < 0) {
		zcp_region_deinit(&chunks);
		close_class(&pool->classes[geometry.class_index]);
		return r;
	}
	pool->view.classes[geometry.class_index] = (struct zcp_class){
		.chunks = ((struct zcp_class_shm *)chunks.base)->chunks,
		.payload_size = payload_size,
		.stride = zcp_class_stride(&geometry),
		.n_chunks = n_chunks,
		.chunks_region = chunks,
	};
	pool->view.n_classes++;
	return 0;
}

int zcpd_pool_add_configured(struct zcpd_pool *pool, const struct zcpd_pool_config *config,
			     uint32_t memory)
{
	pool->memory = memory;
	for (uint32_t i = 0; i < config->n_classes; i++) {
		int r = zcpd_pool_add_class(pool, config->classes[i].size,
					    config->classes[i].count);

		if (r < 0) {
			remove_classes(pool);
			return r;
		}
	}
	return 0;
}

int zcpd_pool_sizes(const struct zcpd_pool *pool, const struct zcpd_pool_config *config,
		    struct zcpd_pool_sizes *sizes)
{
	*sizes = (struct zcpd_pool_sizes){ .descriptors = 0 };
	for (uint32_t i = 0; i < config->n_classes; i++) {
		const struct zcp_class_geometry geometry = geometry_of(
			pool, i, config->classes[i].size, config->classes[i].count);
		size_t chunks_size, data_size;
		int r = zcp_class_sizes(&geometry, &chunks_size, &data_size);

		if (r < 0)
			return r;
		sizes->descriptors += chunks_size;
		sizes->chunks += data_size;
		sizes->huge_pages += (data_size + ZCP_HUGE_PAGE_SIZE - 1) / ZCP_HUGE_PAGE_SIZE;
	}
	return 0;
}

void zcpd_pool_pages(const struct zcpd_pool *pool, char *text, size_t text_size)
{
	if (pool->got & ZCP_MEMORY_HUGE)
		(void)snprintf(text, text_size, "2 MiB huge pages");
	else if (pool->got & ZCP_MEMORY_TRANSPARENT)
		(void)snprintf(text, text_size, "transparent huge pages");
	else
		(void)snprintf(text, text_size, "%ld KiB pages", sysconf(_SC_PAGESIZE) / 1024);
}

uint64_t zcpd_pool_max_payload(const struct zcpd_pool *pool)
{
	uint64_t max = 0;

	for (uint32_t i = 0; i < pool->view.n_classes; i++)
		if (pool->view.classes[i].payload_size > max)
			max = pool->view.classes[i].payload_size;
	return max;
}

uint32_t zcpd_pool_fds(const struct zcpd_pool *pool, uint32_t first, bool writable, int *fds)
{
	uint32_t n = 0;

	for (uint32_t i = first; i < pool->view.n_classes; i++) {
		fds[n++] = pool->classes[i].chunks_fd;
		fds[n++] = writable ? pool->classes[i].data_fd : pool->classes[i].data_readonly_fd;
	}
	return n;
}

static void keep_bit(uint64_t *words, uint32_t bit)
{
	words[bit / 64] |= UINT64_C(1) << (bit % 64);
}

void zcpd_pool_keep_holder(struct zcpd_pool *pool, uint32_t holder)
{
	keep_bit(pool->holders, holder);
}

bool zcpd_pool_has_holder(const struct zcpd_pool *pool, uint32_t holder)
{
	return pool->holders[holder / 64] >> (holder % 64) & 1;
}

void zcpd_pool_keep_owner(struct zcpd_pool *pool, uint32_t owner)
{
	keep_bit(pool->owners, owner);
}

/* The lowest bit that is not set, set now. */
static int take_bit(uint64_t *words, uint32_t n_words)
{
	for (uint32_t w = 0; w < n_words; w++) {
		if (words[w] != UINT64_MAX) {
			uint32_t bit = (uint32_t)__builtin_ctzll(~words[w]);

			words[w] |= UINT64_C(1) << bit;
			return (int)(w * 64 + bit);
		}
	}
	return -EUSERS;
}

static void give_bit(uint64_t *words, uint32_t bit)
{
	words[bit / 64] &= ~(UINT64_C(1) << (bit % 64));
}

int zcpd_pool_take_holder(struct zcpd_pool *pool)
{
	return take_bit(pool->holders, ZCP_HOLDER_WORDS);
}

void zcpd_pool_give_holder(struct zcpd_pool *pool, uint32_t holder)
{
	give_bit(pool->holders, holder);
}

int zcpd_pool_take_owner(struct zcpd_pool *pool)
{
	return take_bit(pool->owners, ZCPD_OWNERS / 64);
}

void zcpd_pool_give_owner(struct zcpd_pool *pool, uint32_t owner)
{
	give_bit(pool->owners, owner);
}

static bool free_stranger(const struct zcpd_pool *pool, struct zcp_chunk_shm *chunk)
{
	/* CHUNK-A1. */
	uint64_t state = atomic_load_explicit(&chunk->state, memory_order_acquire);
	uint32_t owner = zcp_state_owner(state);
	bool is_one = false;

	for (uint32_t w = 0; w < ZCP_HOLDER_WORDS; w++) {
		uint64_t strange = atomic_load_explicit(&chunk->holders[w], memory_order_relaxed) &
				   ~pool->holders[w];

		is_one = is_one || strange;
		if (strange)
			/* Release, as every holder's: they are dead. */
			(void)atomic_fetch_and_explicit(&chunk->holders[w], ~strange,
							memory_order_release);
	}
	if (pool->owners[owner / 64] >> (owner % 64) & 1)
		return is_one;
	/* CHUNK-R1, in its name; fails only where somebody claims it, who is no stranger. */
	(void)atomic_compare_exchange_strong_explicit(&chunk->state, &state,
						      zcp_state(zcp_state_generation(state), 0, 0),
						      memory_order_release, memory_order_relaxed);
	return true;
}

uint32_t zcpd_pool_free_strangers(struct zcpd_pool *pool)
{
	uint32_t n = 0;

	for (uint32_t c = 0; c < pool->view.n_classes; c++) {
		uint32_t n_touched = zcpd_pool_n_touched(pool, c);

		for (uint32_t i = 0; i < n_touched; i++)
			n += free_stranger(pool, &pool->view.classes[c].chunks[i]);
	}
	return n;
}

struct zcp_chunk_shm *zcpd_pool_descriptor(const struct zcpd_pool *pool, uint32_t ref)
{
	const struct zcp_class *class;

	if (zcp_ref_class(ref) >= pool->view.n_classes)
		return NULL;
	class = &pool->view.classes[zcp_ref_class(ref)];
	return zcp_ref_index(ref) < class->n_chunks ? &class->chunks[zcp_ref_index(ref)] : NULL;
}

uint32_t zcpd_pool_n_touched(const struct zcpd_pool *pool, uint32_t class_index)
{
	const struct zcp_class *class = &pool->view.classes[class_index];
	int fd = pool->classes[class_index].chunks_fd;
	off_t end = 0, data = 0;
	uint64_t n;

	/* Holes in between are rare: a round begins where the last one ended. */
	while ((data = lseek(fd, data, SEEK_DATA)) >= 0) {
		end = lseek(fd, data, SEEK_HOLE);
		if (end < 0)
			return class->n_chunks;
		data = end;
	}
	if (errno != ENXIO)
		return class->n_chunks;
	if ((uint64_t)end <= sizeof(struct zcp_class_shm))
		return 0;
	n = ((uint64_t)end - sizeof(struct zcp_class_shm) + sizeof(struct zcp_chunk_shm) - 1) /
	    sizeof(struct zcp_chunk_shm);
	return n < class->n_chunks ? (uint32_t)n : class->n_chunks;
}

void zcpd_pool_class_info(const struct zcpd_pool *pool, uint32_t class_index,
			  struct zcp_class_info *info)
{
	const struct zcp_class *class = &pool->view.classes[class_index];
	uint32_t n_touched;

	*info = (struct zcp_class_info){
		.payload_size = class->payload_size,
		.n_chunks = class->n_chunks,
	};
	n_touched = zcpd_pool_n_touched(pool, class_index);
	info->n_free = class->n_chunks - n_touched;
	for (uint32_t i = 0; i < n_touched; i++) {
		const struct zcp_chunk_shm *chunk = &class->chunks[i];
		/* Relaxed: counts, which change while we count. */
		uint64_t state = atomic_load_explicit(&chunk->state, memory_order_relaxed);

		if (zcp_state_generation(state) > 0)
			info->n_used++;
		if (state & ZCP_CHUNK_LOANED)
			info->n_loaned++;
		else if (zcp_chunk_has_holders(chunk))
			info->n_held++;
		else if (state & ZCP_CHUNK_FLAGS)
			info->n_retained++;
		else
			info->n_free++;
	}
}
