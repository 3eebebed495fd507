/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making the regions of a pool.
 */
#include "runtime/domain/pool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pubsub/shm/memory.h"
#include "pubsub/util.h"
#include "runtime/domain/trim_pool.h"

int zcpd_pool_new(struct zcpd_pool **poolp, uint64_t id, uint64_t domain_id, const char *name,
		  bool automatic)
{
	struct zcpd_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return -ENOMEM;
	pool->entry.id = id;
	pool->domain_id = domain_id;
	pool->entry.automatic = automatic;
	(void)snprintf(pool->entry.name, sizeof(pool->entry.name), "%s", name);
	for (uint32_t i = 0; i < ZCP_CLASSES_MAX; i++)
		pool->classes[i] = (struct zcpd_class){ -1, -1, -1, -1 };
	/* 0 is no owner. */
	pool->owners[0] = 1;
	zcpd_pool_keep_owner(pool, ZCP_OWNER_RUNTIME);
	*poolp = pool;
	return 0;
}

static int open_readonly(struct zcpd_class *class)
{
	class->chunks_readonly_fd = zcp_region_open_readonly(class->chunks_fd);
	class->data_readonly_fd = zcp_region_open_readonly(class->data_fd);
	if (class->chunks_readonly_fd < 0)
		return class->chunks_readonly_fd;
	return class->data_readonly_fd < 0 ? class->data_readonly_fd : 0;
}

static struct zcp_class view_of(const struct zcp_class_geometry *geometry, struct zcp_region chunks)
{
	return (struct zcp_class){
		.shm = chunks.base,
		.chunks = ((struct zcp_class_shm *)chunks.base)->chunks,
		.payload_size = geometry->payload_size,
		.stride = zcp_class_stride(geometry),
		.n_chunks = geometry->n_chunks,
		.header_room = zcp_user_header_room(geometry->user_header_size),
		.chunks_region = chunks,
	};
}

static void close_class(struct zcpd_class *class)
{
	zcp_close_fd(&class->chunks_fd);
	zcp_close_fd(&class->data_fd);
	zcp_close_fd(&class->chunks_readonly_fd);
	zcp_close_fd(&class->data_readonly_fd);
}

static void remove_classes(struct zcpd_pool *pool)
{
	for (uint32_t i = 0; i < ZCP_CLASSES_MAX; i++)
		close_class(&pool->classes[i]);
	zcp_pool_deinit(&pool->view);
	pool->entry.got = 0;
}

struct zcpd_pool *zcpd_pool_free(struct zcpd_pool *pool)
{
	if (!pool)
		return NULL;
	remove_classes(pool);
	pool->trim = zcpd_trim_pool_free(pool->trim);
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
		.alignment = pool->entry.alignment,
		.user_header_size = pool->entry.user_header_size,
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
	uint32_t of_chunks = pool->entry.memory & (ZCP_MEMORY_PREFAULT | ZCP_MEMORY_LOCK), got = 0;
	struct zcp_region chunks = ZCP_REGION_NULL, data = ZCP_REGION_NULL;
	ZCP_CLEANUP(zcp_close_fd) int chunks_fd = -1;
	ZCP_CLEANUP(zcp_close_fd) int data_fd = -1;
	size_t chunks_size, data_size;
	struct zcpd_class class = { -1, -1, -1, -1 };
	int r;
	const char *why;

	if (geometry.class_index >= ZCP_CLASSES_MAX)
		return -ENOSPC;
	r = zcp_class_sizes(&geometry, &chunks_size, &data_size);
	if (r == 0)
		r = zcp_region_create_with(&chunks, &chunks_fd, "zcp-chunks", chunks_size,
					   of_chunks);
	if (r == 0)
		r = zcp_region_create_with(&data, &data_fd, "zcp-data", data_size,
					   pool->entry.memory);
	if (r == 0) {
		zcp_class_construct(&chunks, &data, &geometry, pool->domain_id, pool->entry.id);
		got = data.memory;
		/* Relaxed: ours alone. Where memory is given back: see trim_pool.h. */
		if (!((pool->entry.memory | got) & ZCP_MEMORY_FLAGS))
			atomic_store_explicit(&((struct zcp_class_shm *)chunks.base)->wants_freed,
					      1, memory_order_relaxed);
		r = zcp_region_settle(&chunks, true, &why);
	}
	class.chunks_fd = zcp_steal_fd(&chunks_fd);
	class.data_fd = zcp_steal_fd(&data_fd);
	if (r == 0)
		r = open_readonly(&class);
	zcp_region_deinit(&data);
	if (r < 0) {
		close_class(&class);
		zcp_region_deinit(&chunks);
		return r;
	}
	pool->classes[geometry.class_index] = class;
	pool->view.classes[geometry.class_index] = view_of(&geometry, chunks);
	pool->view.n_classes++;
	pool->entry.got |= got;
	return 0;
}

int zcpd_pool_restore_class(struct zcpd_pool *pool, uint64_t payload_size, uint32_t n_chunks,
			    int fds[2])
{
	const struct zcp_class_geometry geometry = geometry_of(pool, pool->view.n_classes,
							       payload_size, n_chunks);
	uint32_t memory = pool->entry.memory & (ZCP_MEMORY_PREFAULT | ZCP_MEMORY_LOCK);
	struct zcp_region chunks = ZCP_REGION_NULL;
	const char *why;
	size_t chunks_size, data_size;
	int r;

	/* Deinit closes them from here on. */
	pool->classes[geometry.class_index] = (struct zcpd_class){
		.chunks_fd = fds[0],
		.data_fd = fds[1],
		.chunks_readonly_fd = -1,
		.data_readonly_fd = -1,
	};
	r = open_readonly(&pool->classes[geometry.class_index]);
	if (r == 0)
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
	pool->view.classes[geometry.class_index] = view_of(&geometry, chunks);
	pool->view.n_classes++;
	return 0;
}

int zcpd_pool_add_configured(struct zcpd_pool *pool, const struct zcpd_pool_config *config,
			     uint32_t memory)
{
	pool->entry.memory = memory;
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
	if (pool->entry.got & ZCP_MEMORY_HUGE)
		(void)snprintf(text, text_size, "2 MiB huge pages");
	else if (pool->entry.got & ZCP_MEMORY_TRANSPARENT)
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
		fds[n++] = writable ? pool->classes[i].chunks_fd :
				      pool->classes[i].chunks_readonly_fd;
		fds[n++] = writable ? pool->classes[i].data_fd : pool->classes[i].data_readonly_fd;
	}
	return n;
}

static void keep_bit(uint64_t *words, uint32_t bit)
{
	words[bit / 64] |= UINT64_C(1) << (bit % 64);
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

int zcpd_pool_take_owner(struct zcpd_pool *pool)
{
	return take_bit(pool->owners, ZCPD_OWNERS / 64);
}

void zcpd_pool_give_owner(struct zcpd_pool *pool, uint32_t owner)
{
	give_bit(pool->owners, owner);
}

int zcpd_pool_class_for(const struct zcpd_pool *pool, uint64_t payload_size)
{
	int best = -ENOENT;

	for (uint32_t i = 0; i < pool->view.n_classes; i++) {
		uint64_t size = pool->view.classes[i].payload_size;

		if (size >= payload_size &&
		    (best < 0 || size < pool->view.classes[best].payload_size))
			best = (int)i;
	}
	return best;
}

static bool has_owner(const struct zcpd_pool *pool, uint32_t owner)
{
	return owner != ZCP_OWNER_RUNTIME && pool->owners[owner / 64] >> (owner % 64) & 1;
}

/* Frees the chunks of one owner, or of all that no publisher slot has. */
static uint32_t free_chunks(struct zcpd_pool *pool, bool strangers, uint32_t owner)
{
	uint32_t n = 0;

	for (uint32_t c = 0; c < pool->view.n_classes; c++) {
		const struct zcp_class *class = &pool->view.classes[c];
		uint32_t n_touched = zcp_class_n_touched(class), before = n;

		for (uint32_t i = 0; i < n_touched; i++) {
			/* Relaxed: what is freed here no process uses any more. */
			uint32_t state = atomic_load_explicit(&class->chunks[i].state,
							      memory_order_relaxed);

			if (state == ZCP_CHUNK_FREE ||
			    (strangers ? has_owner(pool, zcp_chunk_owner(state)) :
					 zcp_chunk_owner(state) != owner))
				continue;
			zcp_chunk_free(&class->chunks[i]);
			n++;
		}
		if (n > before)
			ZCP_IGNORE(zcp_class_count_freed(class));
	}
	return n;
}

uint32_t zcpd_pool_free_strangers(struct zcpd_pool *pool)
{
	return free_chunks(pool, true, 0);
}

void zcpd_pool_free_owner(struct zcpd_pool *pool, uint32_t owner)
{
	(void)free_chunks(pool, false, owner);
}

void zcpd_pool_count_owned(const struct zcpd_pool *pool, uint32_t class_index, uint32_t *counts)
{
	const struct zcp_class *class = &pool->view.classes[class_index];
	uint32_t n_touched = zcp_class_n_touched(class);

	for (uint32_t i = 0; i < n_touched; i++)
		/* Relaxed: counts, which change meanwhile. */
		counts[zcp_chunk_owner(
			atomic_load_explicit(&class->chunks[i].state, memory_order_relaxed))]++;
}
