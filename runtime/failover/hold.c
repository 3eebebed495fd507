/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of robust futexes whose words lie in the signal region.
 *
 * The kernel goes from entry to entry, and looks for each entry's word at one and the same distance
 * from it. So the entries lie in a mapping of the keeper's own in the same pattern as the words in
 * the region, one for each word: no address stands in what others can write. The kernel changes a
 * word only if it has the id of the thread that ends.
 *
 *   signal region   header | ..., node_futex, beside_futex, ... | the next signal
 *   list            head   | ..., entry,      entry,        ... | the next signal's
 */
#include "runtime/failover/hold.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pubsub/shm/signal.h"
#include "pubsub/util.h"

static_assert(sizeof(struct robust_list) <= offsetof(struct zcp_signal_shm, beside_futex) -
						    offsetof(struct zcp_signal_shm, node_futex),
	      "an entry for each of a signal's words");
static_assert(sizeof(struct robust_list_head) <= offsetof(struct zcp_signals_shm, signals),
	      "the head of the list lies before the first entry");
static_assert(2 * ZCP_SIGNALS_HELD_MAX <= 2048, "ROBUST_LIST_LIMIT of the kernel");

static struct zcp_signal_shm *signal_of(const struct zcpd_hold *hold, uint32_t i)
{
	return &((struct zcp_signals_shm *)hold->signals.base)->signals[i];
}

/* The entry of a word. */
static struct robust_list *entry_of(const struct zcpd_hold *hold, const _Atomic uint32_t *futex)
{
	size_t offset = (size_t)((const char *)futex - (const char *)hold->signals.base);

	return (struct robust_list *)((char *)hold->list + offset);
}

static int map(struct zcpd_hold *hold, int fd)
{
	struct stat stat;
	size_t n;
	int r;

	if (fstat(fd, &stat) < 0)
		return zcp_errno();
	if ((uint64_t)stat.st_size < zcp_signals_size(1))
		return -EPROTO;
	/* The file may have a few more signals than the domain; no node sleeps on those. */
	n = ((size_t)stat.st_size - zcp_signals_size(0)) / sizeof(struct zcp_signal_shm);
	hold->n_signals = n < ZCP_SIGNALS_HELD_MAX ? (uint32_t)n : ZCP_SIGNALS_HELD_MAX;
	hold->inode = stat.st_ino;
	r = zcp_region_map(&hold->signals, fd, zcp_signals_size(hold->n_signals), 0);
	if (r < 0)
		return r;
	/* Shared: what the kernel takes from a process that it kills for want of memory is not. */
	hold->list_size = zcp_signals_size(hold->n_signals);
	hold->list = mmap(NULL, hold->list_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	return hold->list == MAP_FAILED ? zcp_errno() : 0;
}

static void unmap(struct zcpd_hold *hold)
{
	if (hold->list && hold->list != MAP_FAILED)
		(void)munmap(hold->list, hold->list_size);
	zcp_region_deinit(&hold->signals);
	*hold = (struct zcpd_hold){ .signals = ZCP_REGION_NULL };
}

/* From the last to the first, so that each entry's next one is there. */
static int enlist(const struct zcpd_hold *hold)
{
	struct robust_list_head *head = hold->list;
	struct robust_list *next = &head->list;

	head->futex_offset = (const char *)hold->signals.base - (const char *)hold->list;
	for (uint32_t i = hold->n_signals; i-- > 0;) {
		_Atomic uint32_t *futexes[] = { &signal_of(hold, i)->beside_futex,
						&signal_of(hold, i)->node_futex };

		for (int f = 0; f < 2; f++) {
			struct robust_list *entry = entry_of(hold, futexes[f]);

			entry->next = next;
			next = entry;
		}
	}
	head->list.next = next;
	return syscall(SYS_set_robust_list, head, sizeof(*head)) < 0 ? zcp_errno() : 0;
}

void zcpd_hold_again(const struct zcpd_hold *hold)
{
	uint32_t thread = (uint32_t)syscall(SYS_gettid);

	for (uint32_t i = 0; i < hold->n_signals; i++) {
		zcp_signal_hold(&signal_of(hold, i)->node_futex, thread);
		zcp_signal_hold(&signal_of(hold, i)->beside_futex, thread);
	}
}

int zcpd_hold_signals(struct zcpd_hold *hold, int fd)
{
	struct zcpd_hold new = { .signals = ZCP_REGION_NULL };
	struct stat stat;
	int r;

	if (hold->list && fstat(fd, &stat) == 0 && stat.st_ino == hold->inode)
		return 0;
	r = map(&new, fd);
	/* First the list, then the words: at any moment the kernel marks those that have our id. */
	if (r == 0)
		r = enlist(&new);
	if (r < 0) {
		unmap(&new);
		return r;
	}
	/* No process reads our id in the old domain's signals; the kernel has left their list. */
	unmap(hold);
	*hold = new;
	zcpd_hold_again(hold);
	return 0;
}
