/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the machine has left for a pool that takes all of its memory at once. The kernel
 * gives a memfd whatever is asked for and ends some process when there is no more: so it is
 * looked up before.
 */
#ifndef ZCPD_OPEN_AVAILABLE_H
#define ZCPD_OPEN_AVAILABLE_H

#include <stdint.h>

/*
 * Bytes that can be taken without the kernel ending a process for it or sending one to swap: of the
 * machine, and of the cgroups (version 2) that the runtime is in. UINT64_MAX where the kernel does
 * not say. `root` is before /proc and /sys, "" but for tests.
 */
uint64_t zcpd_available_memory(const char *root);

/* Huge pages of 2 MiB that there are, and that are free; 0 where the kernel has none. */
struct zcpd_huge_pages {
	uint64_t n_total;
	uint64_t n_free;
};

void zcpd_available_huge_pages(const char *root, struct zcpd_huge_pages *pages);

#endif
