/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mapping, locking, populating and touching.
 *
 * mlockall(MCL_FUTURE) is a flag of the process that no call tells of. Its effect is seen in a
 * mapping of one page: that page is there at once. What may not be accessed is not populated, so a
 * region is mapped so, has its pages locked on fault, and is made accessible then.
 */
#include "pubsub/shm/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "pubsub/util.h"

/* Linux 5.14; older headers do not have them. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

/* Whether what we map has all of its pages at once; as it seems too where no more may be locked. */
static bool is_populated_when_mapped(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char present = 0;

	if (page == MAP_FAILED)
		return true;
	ZCP_IGNORE(mincore(page, size, &present));
	(void)munmap(page, size);
	return present & 1;
}

int zcp_memory_map(void **basep, size_t size, bool writable, int fd)
{
	int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ, r;
	bool is_populated = is_populated_when_mapped();
	/*
	 * A shared mapping of a memfd takes no memory before it is touched. Without
	 * MAP_NORESERVE one of huge pages fails here where there are too few, not at a touch.
	 */
	void *base = mmap(NULL, size, is_populated ? PROT_NONE : protection, MAP_SHARED, fd, 0);

	/* EAGAIN: more than may be locked. */
	if (base == MAP_FAILED)
		return errno == EAGAIN ? -EPERM : zcp_errno();
	r = is_populated ? zcp_memory_lock(base, size) : 0;
	if (r == 0 && is_populated && mprotect(base, size, protection) < 0)
		r = zcp_errno();
	if (r < 0)
		(void)munmap(base, size);
	else
		*basep = base;
	return r;
}

int zcp_memory_lock(void *base, size_t size)
{
	/*
	 * Those that are not there yet when they come: populating is for zcp_memory_populate(),
	 * which also does it for writing, and says when it fails.
	 */
	return mlock2(base, size, MLOCK_ONFAULT) < 0 ? -EPERM : 0;
}

int zcp_memory_populate(void *base, size_t size, bool writable)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (madvise(base, size, writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) == 0)
		return 0;
	if (errno != EINVAL)
		return -ENOMEM;
	/*
	 * An older kernel. To read is enough: pages of a memfd are mapped for writing at once
	 * where the mapping is. Relaxed: what is read is not used.
	 */
	for (size_t at = 0; at < size; at += page)
		(void)atomic_load_explicit((const _Atomic unsigned char *)base + at,
					   memory_order_relaxed);
	return 0;
}

void zcp_memory_hide_from_dumps(void *base, size_t size)
{
	(void)madvise(base, size, MADV_DONTDUMP);
}

void zcp_memory_want_transparent(void *base, size_t size)
{
	/* A kernel without them says -EINVAL. */
	ZCP_IGNORE(madvise(base, size, MADV_HUGEPAGE));
}

/* A write that changes nothing and that no compiler leaves out. */
static void touch_byte(void *base, size_t at)
{
	(void)atomic_fetch_or_explicit((_Atomic unsigned char *)base + at, 0, memory_order_relaxed);
}

/* Takes all pages of memory that only the caller knows yet. */
static void touch(void *base, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	for (size_t at = 0; at < size; at += page)
		touch_byte(base, at);
	/* It need not begin where a page does. */
	if (size > 0)
		touch_byte(base, size - 1);
}

bool zcp_memory_try_transparent(void *base, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = ZCP_HUGE_PAGE_SIZE / page;
	unsigned char present[512];

	if (size < ZCP_HUGE_PAGE_SIZE || n < 2 || n > sizeof(present))
		return false;
	zcp_memory_want_transparent(base, size);
	touch(base, 1);
	return mincore(base, ZCP_HUGE_PAGE_SIZE, present) == 0 && (present[n - 1] & 1);
}

void *zcp_memory_calloc(size_t n, size_t size, bool prefault)
{
	void *memory = calloc(n, size);

	if (memory && prefault)
		touch(memory, n * size);
	return memory;
}

/* KiB that this process has locked. */
static uint64_t locked_kib(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[128];
	uint64_t n = 0;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "VmLck: %" SCNu64, &n) == 1)
			break;
	if (file)
		(void)fclose(file);
	return n;
}

void zcp_memory_explain_lock(const char *failed, uint64_t size, const char *who, char *text,
			     size_t text_size)
{
	uint64_t kib = (size + 1023) / 1024, locked = locked_kib();
	struct rlimit limit = { .rlim_cur = 0 };

	(void)getrlimit(RLIMIT_MEMLOCK, &limit);
	(void)snprintf(text, text_size,
		       "%s: %" PRIu64
		       " KiB are to be locked into memory (lock = true of the pool, or "
		       "mlockall(MCL_FUTURE) of the program), and "
		       "%s may lock %" PRIu64 " KiB and has locked %" PRIu64
		       ": raise its RLIMIT_MEMLOCK (ulimit -l %" PRIu64
		       "; LimitMEMLOCK= of a service), or give it CAP_IPC_LOCK",
		       failed, kib, who, (uint64_t)limit.rlim_cur / 1024, locked, kib + locked);
}
