/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creating, sealing, attaching and checking regions.
 *
 * Whether the kernel gives transparent huge pages to a memfd is for its administrator to say
 * (shmem_enabled), and it says so in several places. So it is tried: with one touch at the
 * beginning of the region either one page has come, or a whole huge one.
 */
#include "pubsub/shm/region.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pubsub/layout/acks_shm.h"
#include "pubsub/layout/backlog_shm.h"
#include "pubsub/layout/class_shm.h"
#include "pubsub/layout/directory_shm.h"
#include "pubsub/layout/signal_shm.h"
#include "pubsub/layout/topic_shm.h"
#include "pubsub/shm/memory.h"
#include "pubsub/util.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)

uint64_t zcp_layout_fingerprint(void)
{
	/* What static_assert pins down in one build may still differ between two. */
	static const uint64_t facts[] = {
		ZCP_SHM_VERSION,
		sizeof(struct zcp_region_shm),
		offsetof(struct zcp_region_shm, memory),
		sizeof(struct zcp_chunk_shm),
		offsetof(struct zcp_chunk_shm, seq),
		offsetof(struct zcp_chunk_shm, n_claims),
		sizeof(struct zcp_class_shm),
		offsetof(struct zcp_class_shm, header_room),
		offsetof(struct zcp_class_shm, n_freed),
		ZCP_CLASS_DATA_OFFSET,
		sizeof(struct zcp_lane_shm),
		sizeof(struct zcp_lane_slot_shm),
		offsetof(struct zcp_lane_slot_shm, next_ref),
		ZCP_SLOT_SEQ_SHIFT,
		ZCP_REF_CLASS_SHIFT,
		sizeof(struct zcp_signal_shm),
		offsetof(struct zcp_signal_shm, node_futex),
		offsetof(struct zcp_signal_shm, beside_futex),
		ZCP_FUTEX_WOKEN,
		offsetof(struct zcp_signals_shm, incarnation),
		sizeof(struct zcp_topic_shm),
		offsetof(struct zcp_topic_shm, version),
		offsetof(struct zcp_topic_shm, present),
		offsetof(struct zcp_topic_shm, announced),
		offsetof(struct zcp_topic_shm, pool_name),
		sizeof(struct zcp_publisher_slot_shm),
		offsetof(struct zcp_publisher_slot_shm, has_waited),
		offsetof(struct zcp_publisher_slot_shm, session),
		offsetof(struct zcp_publisher_slot_shm, node),
		sizeof(struct zcp_subscriber_slot_shm),
		offsetof(struct zcp_subscriber_slot_shm, session),
		offsetof(struct zcp_subscriber_slot_shm, node),
		sizeof(struct zcp_acks_shm),
		sizeof(struct zcp_ack_shm),
		offsetof(struct zcp_ack_shm, released),
		sizeof(struct zcp_ack_counts_shm),
		offsetof(struct zcp_ack_counts_shm, n_held),
		ZCP_HELD_MAX,
		ZCP_HELD_SLOT_SHIFT,
		sizeof(struct zcp_backlog_entry_shm),
		sizeof(struct zcp_node_entry),
		sizeof(struct zcp_pool_entry),
		sizeof(struct zcp_class_entry),
		sizeof(struct zcp_topic_entry),
		sizeof(struct zcp_endpoint_entry),
	};
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		hash ^= facts[i];
		hash *= UINT64_C(0x100000001b3);
	}
	return hash;
}

/* Transparent huge pages are no use to what does not fill one. */
static size_t round_to_pages(size_t size, uint32_t memory)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if ((memory & ZCP_MEMORY_HUGE) ||
	    ((memory & ZCP_MEMORY_TRANSPARENT) && size >= ZCP_HUGE_PAGE_SIZE))
		page = ZCP_HUGE_PAGE_SIZE;
	return (size + page - 1) / page * page;
}

static int map(struct zcp_region *region, int fd, size_t size, bool writable)
{
	int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
	/*
	 * A shared mapping of a memfd takes no memory before it is touched. Without
	 * MAP_NORESERVE one of huge pages fails here where there are too few, not at a touch.
	 */
	void *base = mmap(NULL, size, protection, MAP_SHARED, fd, 0);

	if (base == MAP_FAILED)
		return zcp_errno();
	*region = (struct zcp_region){ .base = base, .size = size };
	return 0;
}

/* Takes all pages of a file now; those that are there already stay. */
static int take_pages(int fd, size_t size)
{
	while (fallocate(fd, 0, 0, (off_t)size) < 0) {
		/* ENOSPC: there are no more huge pages. */
		if (errno != EINTR)
			return errno == ENOSPC ? -ENOMEM : zcp_errno();
	}
	return 0;
}

/* Takes the pages of a new region, as far as they are to be there beforehand. */
static int take_memory(struct zcp_region *region, int fd)
{
	int r = 0;

	if ((region->memory & ZCP_MEMORY_TRANSPARENT) &&
	    !zcp_memory_try_transparent(region->base, region->size))
		region->memory &= ~ZCP_MEMORY_TRANSPARENT;
	if (!(region->memory & (ZCP_MEMORY_PREFAULT | ZCP_MEMORY_HUGE)))
		return 0;
	/* By way of the mapping: fallocate(2) does not know that they should be huge. */
	if (region->memory & ZCP_MEMORY_TRANSPARENT)
		r = zcp_memory_populate(region->base, region->size, true);
	return r < 0 ? r : take_pages(fd, region->size);
}

int zcp_region_create_with(struct zcp_region *region, int *fdp, const char *name, size_t size,
			   uint32_t memory)
{
	unsigned int flags = memory & ZCP_MEMORY_HUGE ? MFD_HUGETLB | MFD_HUGE_2MB : 0;
	ZCP_CLEANUP(zcp_close_fd) int fd = -1;
	struct zcp_region mapped = ZCP_REGION_NULL;
	int r;

	if (size > (size_t)INT64_MAX - (1 << 22))
		return -ENOMEM;
	size = round_to_pages(size, memory);
	fd = zcp_raise_fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags));
	if (fd < 0)
		return zcp_errno();
	if (ftruncate(fd, (off_t)size) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return zcp_errno();
	r = map(&mapped, fd, size, true);
	if (r < 0)
		return r;
	mapped.memory = memory;
	r = take_memory(&mapped, fd);
	if (r < 0) {
		zcp_region_deinit(&mapped);
		return r;
	}
	*region = mapped;
	*fdp = zcp_steal_fd(&fd);
	return 0;
}

int zcp_region_create(struct zcp_region *region, int *fd, const char *name, size_t size)
{
	return zcp_region_create_with(region, fd, name, size, 0);
}

void zcp_region_publish(struct zcp_region *region, uint32_t kind, uint64_t domain_id,
			uint64_t region_id)
{
	struct zcp_region_shm *header = region->base;

	header->magic = ZCP_REGION_MAGIC;
	header->version = ZCP_SHM_VERSION;
	header->kind = kind;
	header->fingerprint = zcp_layout_fingerprint();
	header->size = region->size;
	header->domain_id = domain_id;
	header->region_id = region_id;
	header->memory = region->memory;
	/* REGION-R1 pairs with REGION-A1 in check(): a region that is ready is complete. */
	atomic_store_explicit(&header->state, ZCP_REGION_READY, memory_order_release);
}

static const char *check(const struct zcp_region_shm *header, size_t size,
			 const struct zcp_region_expect *expect)
{
	/* REGION-A1 pairs with REGION-R1 in zcp_region_publish(). */
	if (atomic_load_explicit(&header->state, memory_order_acquire) != ZCP_REGION_READY)
		return "the region is not complete";
	if (header->magic != ZCP_REGION_MAGIC)
		return "the region is not one of zcp's (bad magic)";
	if (header->version != ZCP_SHM_VERSION)
		return "the region has another layout version: bring zcpd and libzcp to one version";
	if (header->fingerprint != zcp_layout_fingerprint())
		return "the region has another layout: bring zcpd and libzcp to one build";
	if (header->kind != expect->kind)
		return "the region is of another kind";
	if (header->domain_id != expect->domain_id)
		return "the region belongs to another domain";
	if (header->size != size)
		return "the region has not the size that its header says";
	return NULL;
}

static const char *check_file(int fd, size_t min_size, size_t *size, size_t *taken)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || fstat(fd, &st) < 0)
		return "the descriptor is not a memfd";
	if ((seals & SEALS) != SEALS)
		return "the region is not sealed against shrinking and growing";
	if (st.st_size < 0 || (uint64_t)st.st_size < sizeof(struct zcp_region_shm) ||
	    (uint64_t)st.st_size < min_size)
		return "the region is too short";
	*size = (size_t)st.st_size;
	*taken = (size_t)st.st_blocks * 512;
	return NULL;
}

int zcp_region_attach(struct zcp_region *region, int fd, const struct zcp_region_expect *expect,
		      const char **why)
{
	struct zcp_region mapped = ZCP_REGION_NULL;
	const char *wrong;
	size_t size, taken;
	int r;

	wrong = check_file(fd, expect->min_size, &size, &taken);
	if (wrong) {
		*why = wrong;
		return -EPROTO;
	}
	r = map(&mapped, fd, size, expect->writable);
	if (r < 0) {
		*why = "the region could not be mapped";
		return r;
	}
	wrong = check(mapped.base, mapped.size, expect);
	mapped.memory = ((const struct zcp_region_shm *)mapped.base)->memory;
	if (!wrong && (mapped.memory & ~ZCP_MEMORY_FLAGS))
		wrong = "the region's memory is of an unknown kind";
	/* Else whoever believes it would take it all, and a sparse region spans far more than is. */
	if (!wrong && (mapped.memory & (ZCP_MEMORY_PREFAULT | ZCP_MEMORY_HUGE)) && taken < size)
		wrong = "the region has not all the memory that its header says";
	if (wrong) {
		zcp_region_deinit(&mapped);
		*why = wrong;
		return -EPROTO;
	}
	*region = mapped;
	return 0;
}

int zcp_region_map(struct zcp_region *region, int fd, size_t min_size, uint32_t memory)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return zcp_errno();
	if (st.st_size < 0 || (uint64_t)st.st_size < min_size)
		return -EPROTO;
	r = map(region, fd, (size_t)st.st_size, true);
	if (r == 0)
		region->memory = memory;
	return r;
}

int zcp_region_settle(const struct zcp_region *region, bool writable, const char **why)
{
	int r = 0;

	if (region->memory & ZCP_MEMORY_TRANSPARENT)
		zcp_memory_want_transparent(region->base, region->size);
	/* Pages of the kernel's pool of huge ones stay in memory by themselves. */
	if ((region->memory & ZCP_MEMORY_LOCK) && !(region->memory & ZCP_MEMORY_HUGE))
		r = zcp_memory_lock(region->base, region->size);
	if (r < 0) {
		*why = "the region could not be locked into memory";
		return r;
	}
	if (region->memory & ZCP_MEMORY_PREFAULT)
		r = zcp_memory_populate(region->base, region->size, writable);
	if (r < 0)
		*why = "there is not enough memory for all of the region";
	return r;
}

int zcp_region_open_readonly(int fd)
{
	char path[64];
	int readonly;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	readonly = zcp_raise_fd(open(path, O_RDONLY | O_CLOEXEC));
	return readonly < 0 ? zcp_errno() : readonly;
}

void zcp_region_deinit(struct zcp_region *region)
{
	if (region->base)
		(void)munmap(region->base, region->size);
	*region = (struct zcp_region)ZCP_REGION_NULL;
}
