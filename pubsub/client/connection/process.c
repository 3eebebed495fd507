/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page that does not survive a fork.
 */
#include "pubsub/client/connection/process.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "pubsub/util.h"

_Atomic uint64_t *zcp_process_word;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int failed;

static void map_word(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED) {
		failed = zcp_errno();
		return;
	}
	if (madvise(page, size, MADV_WIPEONFORK) < 0) {
		failed = zcp_errno();
		(void)munmap(page, size);
		return;
	}
	zcp_process_word = page;
}

int zcp_process_init(uint64_t *id)
{
	uint64_t mine = 0, seen = 0;

	(void)pthread_once(&once, map_word);
	if (failed)
		return failed;
	/* Not the pid, which may be given to another process of our descent. */
	while (mine == 0)
		if (getrandom(&mine, sizeof(mine), 0) < 0)
			return zcp_errno();
	/* Relaxed: the word says it all. The first thread of the process decides. */
	if (!atomic_compare_exchange_strong_explicit(zcp_process_word, &seen, mine,
						     memory_order_relaxed, memory_order_relaxed))
		mine = seen;
	*id = mine;
	return 0;
}
