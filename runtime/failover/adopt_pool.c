/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the size classes that a node hands back to a pool.
 */
#include <errno.h>
#include <string.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/util.h"
#include "runtime/failover/adoption.h"
#include "runtime/failover/record.h"

static struct zcpd_pool *find_pool(const struct zcpd_registry *registry, uint64_t id)
{
	const struct zcpd_topic *topic;
	struct zcpd_pool *pool;

	LIST_FOREACH(topic, &registry->topics, link)
		if (topic->pool->entry.id == id)
			return topic->pool;
	LIST_FOREACH(pool, &registry->pools, link)
		if (pool->entry.id == id)
			return pool;
	return NULL;
}

static bool has_named_pool(const struct zcpd_registry *registry, const char *name)
{
	const struct zcpd_pool *pool;

	LIST_FOREACH(pool, &registry->pools, link)
		if (strcmp(pool->entry.name, name) == 0)
			return true;
	return false;
}

/* One class that the pool does not have yet, of a region that `class` has been checked with. */
static int add_class(struct zcpd_adoption *adoption, const struct zcp_class *class, int chunks_fd,
		     int data_fd)
{
	struct zcpd_pool *pool = adoption->pool;
	const struct zcp_class_shm *shm = class->chunks_region.base;
	struct zcp_class_geometry geometry = {
		.payload_size = class->payload_size,
		.n_chunks = class->n_chunks,
		.class_index = pool->view.n_classes,
	};
	int fds[2];

	if (pool->view.n_classes == 0) {
		uint32_t size = adoption->entry.user_header_size;

		pool->entry.alignment = shm->alignment;
		pool->entry.user_header_size = zcp_user_header_room(size) == class->header_room ?
						       size :
						       class->header_room;
		pool->entry.memory = class->data_region.memory;
	}
	pool->entry.got |= class->data_region.memory;
	geometry.alignment = pool->entry.alignment;
	geometry.user_header_size = pool->entry.user_header_size;
	/* Where it finds descriptors and chunks the runtime computes by itself. */
	if (zcp_class_stride(&geometry) != class->stride)
		return zcpd_adoption_stale(
			adoption, "its pool is laid out otherwise than this runtime does it");
	fds[0] = zcpd_adoption_open(chunks_fd);
	fds[1] = zcpd_adoption_open(data_fd);
	if (fds[0] < 0 || fds[1] < 0) {
		zcp_close_fd(&fds[0]);
		zcp_close_fd(&fds[1]);
		return zcpd_adoption_stale(adoption, "its pool cannot be opened for writing");
	}
	if (zcpd_pool_restore_class(pool, class->payload_size, class->n_chunks, fds) < 0)
		return zcpd_adoption_stale(adoption, "its pool cannot be mapped");
	zcpd_record_class(adoption->registry, pool, pool->view.n_classes - 1, adoption->uid);
	/* What the runtime before was just giving back. */
	zcpd_pool_free_owner(pool, ZCP_OWNER_RUNTIME);
	ZCP_CRASHPOINT("adopt.after_class");
	return 0;
}

int zcpd_adoption_add_classes(struct zcpd_adoption *adoption)
{
	const struct zcp_fds *fds = adoption->fds;
	struct zcpd_pool *pool = adoption->pool;
	struct zcp_pool view = { .n_classes = 0 };
	int r = 0;

	for (uint32_t i = 2; r == 0 && i + 1 < fds->n_fds; i += 2) {
		const char *why;
		uint32_t n = pool->view.n_classes;

		uint32_t c = (i - 2) / 2;

		/* A node has them from the first one on. */
		if (c < n) {
			if (!zcpd_adoption_is_same_file(fds->fds[i], pool->classes[c].chunks_fd) ||
			    !zcpd_adoption_is_same_file(fds->fds[i + 1], pool->classes[c].data_fd))
				r = zcpd_adoption_stale(adoption,
							"its pool has grown otherwise since");
			continue;
		}
		if (zcp_pool_check(&view, fds->fds[i], fds->fds[i + 1],
				   adoption->registry->domain_id, &why) < 0)
			r = zcpd_adoption_stale(adoption, why);
		else if (n < ZCP_CLASSES_MAX && view.classes[n].chunks) {
			const struct zcp_region_shm *region = view.classes[n].chunks_region.base;

			r = region->region_id == (pool->entry.id << 8 | n) ?
				    add_class(adoption, &view.classes[n], fds->fds[i],
					      fds->fds[i + 1]) :
				    zcpd_adoption_stale(adoption, "its chunks are of another pool");
		}
	}
	zcp_pool_deinit(&view);
	return r;
}

int zcpd_adoption_adopt_pool(struct zcpd_adoption *adoption)
{
	struct zcpd_registry *registry = adoption->registry;
	int r;

	adoption->pool = find_pool(registry, adoption->entry.pool);
	if (adoption->pool)
		return zcpd_adoption_add_classes(adoption);
	if (!adoption->pool_is_automatic && has_named_pool(registry, adoption->pool_name))
		return zcpd_adoption_stale(adoption, "its pool has been made anew");
	r = zcpd_pool_new(&adoption->pool, adoption->entry.pool, registry->domain_id,
			  adoption->pool_name, adoption->pool_is_automatic);
	if (r < 0)
		return zcpd_adoption_stale(adoption, "the runtime is out of memory");
	if (!adoption->pool->entry.automatic)
		LIST_INSERT_HEAD(&registry->pools, adoption->pool, link);
	/* Numbers in it may be those of nodes that have not come back. */
	adoption->pool->entry.is_adopted = !adoption->pool->entry.automatic;
	zcpd_record_pool(registry, adoption->pool);
	r = zcpd_adoption_add_classes(adoption);
	if (r < 0)
		/* Half of it is of no use to the next topic. */
		adoption->pool->entry.got = 0;
	return r;
}
