/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Geometry of size classes: how they are constructed, and what is checked at attach.
 */
#include "pubsub/shm/pool.h"

#include <errno.h>

#include "pubsub/shm/memory.h"

#define PAGE 4096
#define LINE_PAIR 128

static uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

static uint32_t alignment_of(const struct zcp_class_geometry *geometry)
{
	return geometry->alignment ? geometry->alignment : ZCP_ALIGNMENT_MIN;
}

/*
 * Payloads of small chunks stand at pairs of lines, which processors fetch together; unless they
 * have to begin at more.
 */
static uint64_t payload_offset_of(const struct zcp_class_geometry *geometry)
{
	uint32_t room = zcp_user_header_room(geometry->user_header_size);
	uint32_t alignment = alignment_of(geometry);

	return round_up(ZCP_CLASS_DATA_OFFSET + room,
			alignment < LINE_PAIR ? LINE_PAIR : alignment);
}

uint64_t zcp_class_stride(const struct zcp_class_geometry *geometry)
{
	uint32_t room = zcp_user_header_room(geometry->user_header_size);
	/* Large chunks have their pages to themselves. */
	uint64_t unit = geometry->payload_size < PAGE ? LINE_PAIR : PAGE;

	if (unit < alignment_of(geometry))
		unit = alignment_of(geometry);
	return round_up(room + geometry->payload_size, unit);
}

static bool is_alignment(uint32_t alignment)
{
	return alignment >= ZCP_ALIGNMENT_MIN && alignment <= ZCP_ALIGNMENT_MAX &&
	       (alignment & (alignment - 1)) == 0;
}

int zcp_class_sizes(const struct zcp_class_geometry *geometry, size_t *chunks_size,
		    size_t *data_size)
{
	uint64_t chunks, data, first;

	if (!is_alignment(alignment_of(geometry)) ||
	    geometry->user_header_size > ZCP_USER_HEADER_MAX)
		return -EINVAL;
	if (geometry->n_chunks == 0 || geometry->n_chunks > ZCP_CLASS_CHUNKS_MAX ||
	    geometry->class_index >= ZCP_CLASSES_MAX || geometry->payload_size > UINT64_C(1) << 46)
		return -EINVAL;
	chunks = sizeof(struct zcp_class_shm) +
		 (uint64_t)geometry->n_chunks * sizeof(struct zcp_chunk_shm);
	if (__builtin_mul_overflow((uint64_t)geometry->n_chunks, zcp_class_stride(geometry),
				   &data) ||
	    data > UINT64_C(1) << 46)
		return -EINVAL;
	first = payload_offset_of(geometry) - zcp_user_header_room(geometry->user_header_size);
	*chunks_size = chunks;
	*data_size = first + data;
	return 0;
}

void zcp_class_construct(struct zcp_region *chunks, struct zcp_region *data,
			 const struct zcp_class_geometry *geometry, uint64_t domain_id,
			 uint64_t pool_id)
{
	struct zcp_class_shm *class = chunks->base;
	uint64_t region_id = pool_id << 8 | geometry->class_index;

	class->class_index = geometry->class_index;
	class->n_chunks = geometry->n_chunks;
	class->payload_size = geometry->payload_size;
	class->stride = zcp_class_stride(geometry);
	class->payload_offset = payload_offset_of(geometry);
	class->alignment = alignment_of(geometry);
	class->header_room = zcp_user_header_room(geometry->user_header_size);
	/* Descriptors are all zero: FREE, and without a message. */
	zcp_region_publish(data, ZCP_REGION_DATA, domain_id, region_id);
	zcp_region_publish(chunks, ZCP_REGION_CHUNKS, domain_id, region_id);
}

/* Copies the geometry out of shared memory and checks the copy against both regions. */
static const char *check_geometry(struct zcp_class *class, uint32_t *class_index)
{
	const struct zcp_class_shm *shm = class->chunks_region.base;
	const struct zcp_region_shm *data = class->data_region.base;
	uint64_t n_chunks = shm->n_chunks, payload_size = shm->payload_size;
	uint64_t stride = shm->stride, payload_offset = shm->payload_offset, end;
	uint32_t alignment = shm->alignment, header_room = shm->header_room;

	*class_index = shm->class_index;
	if (*class_index >= ZCP_CLASSES_MAX || n_chunks == 0 || n_chunks > ZCP_CLASS_CHUNKS_MAX)
		return "the size class has impossible numbers";
	if (data->region_id != shm->region.region_id)
		return "the descriptors and the chunks are not of one size class";
	if ((class->chunks_region.size - sizeof(*shm)) / sizeof(struct zcp_chunk_shm) < n_chunks)
		return "the size class has more descriptors than fit its region";
	if (!is_alignment(alignment) || header_room > ZCP_USER_HEADER_MAX || header_room % 64 != 0)
		return "the size class has an impossible alignment or room for user headers";
	if (payload_offset % alignment != 0 || stride % alignment != 0)
		return "the size class has chunks that are not aligned";
	if (payload_offset < sizeof(struct zcp_region_shm) + (uint64_t)header_room ||
	    stride < header_room || payload_size > stride - header_room)
		return "the size class has chunks that overlap";
	if (__builtin_mul_overflow(n_chunks - 1, stride, &end) ||
	    __builtin_add_overflow(end, payload_offset, &end) ||
	    __builtin_add_overflow(end, payload_size, &end) || end > class->data_region.size)
		return "the size class has more chunks than fit its region";
	class->n_chunks = (uint32_t)n_chunks;
	class->payload_size = payload_size;
	class->stride = stride;
	class->header_room = header_room;
	class->payloads = (char *)class->data_region.base + payload_offset;
	class->shm = class->chunks_region.base;
	class->chunks = class->shm->chunks;
	return NULL;
}

void zcp_class_touch(const struct zcp_class *class, uint32_t index)
{
	_Atomic uint32_t *n_touched = &class->shm->n_touched;
	/* Relaxed, all: it only has to be there when the claim is, and a death orders that. */
	uint32_t n = atomic_load_explicit(n_touched, memory_order_relaxed);

	while (n <= index &&
	       !atomic_compare_exchange_weak_explicit(n_touched, &n, index + 1,
						      memory_order_relaxed, memory_order_relaxed))
		continue;
}

void zcp_chunk_free(struct zcp_chunk_shm *chunk)
{
	/* Relaxed: the store of FREE orders it, and FREE implies seq 0. */
	atomic_store_explicit(&chunk->seq, 0, memory_order_relaxed);
	/* CHUNK-R1 pairs with CHUNK-A1 in zcp_chunk_claim(). */
	atomic_store_explicit(&chunk->state, ZCP_CHUNK_FREE, memory_order_release);
}

bool zcp_class_count_freed(const struct zcp_class *class)
{
	/*
	 * Sequentially consistent, all: FREE and the count before our look at `wants_freed`, against
	 * the runtime, which stores that and then looks for FREE chunks.
	 */
	(void)atomic_fetch_add_explicit(&class->shm->n_freed, 1, memory_order_seq_cst);
	return atomic_load_explicit(&class->shm->wants_freed, memory_order_seq_cst) &&
	       atomic_exchange_explicit(&class->shm->wants_freed, 0, memory_order_seq_cst);
}

static void class_deinit(struct zcp_class *class)
{
	zcp_region_deinit(&class->chunks_region);
	zcp_region_deinit(&class->data_region);
	*class = (struct zcp_class){ .n_chunks = 0 };
}

static int attach(struct zcp_pool *pool, int chunks_fd, int data_fd, uint64_t domain_id,
		  bool writable, bool settle, const char **why)
{
	struct zcp_region_expect expect = {
		.kind = ZCP_REGION_CHUNKS,
		.domain_id = domain_id,
		.min_size = sizeof(struct zcp_class_shm),
		.writable = writable,
	};
	struct zcp_class class = { .n_chunks = 0 };
	const char *wrong;
	uint32_t index;
	int r;

	r = zcp_region_attach(&class.chunks_region, chunks_fd, &expect, why);
	if (r < 0)
		return r;
	expect.kind = ZCP_REGION_DATA;
	expect.min_size = ZCP_CLASS_DATA_OFFSET;
	r = zcp_region_attach(&class.data_region, data_fd, &expect, why);
	if (r < 0) {
		class_deinit(&class);
		return r;
	}
	zcp_memory_hide_from_dumps(class.data_region.base, class.data_region.size);
	wrong = check_geometry(&class, &index);
	if (wrong) {
		class_deinit(&class);
		*why = wrong;
		return -EPROTO;
	}
	if (pool->classes[index].chunks) {
		class_deinit(&class);
		return 0;
	}
	if (settle)
		r = zcp_region_settle(&class.chunks_region, writable, why);
	if (settle && r == 0)
		r = zcp_region_settle(&class.data_region, writable, why);
	if (r < 0) {
		class_deinit(&class);
		return r;
	}
	pool->classes[index] = class;
	if (pool->n_classes <= index)
		pool->n_classes = index + 1;
	return 0;
}

int zcp_pool_attach(struct zcp_pool *pool, int chunks_fd, int data_fd, uint64_t domain_id,
		    bool writable, const char **why)
{
	return attach(pool, chunks_fd, data_fd, domain_id, writable, true, why);
}

int zcp_pool_check(struct zcp_pool *pool, int chunks_fd, int data_fd, uint64_t domain_id,
		   const char **why)
{
	return attach(pool, chunks_fd, data_fd, domain_id, false, false, why);
}

void zcp_pool_deinit(struct zcp_pool *pool)
{
	for (uint32_t i = 0; i < pool->n_classes; i++)
		class_deinit(&pool->classes[i]);
	pool->n_classes = 0;
}
