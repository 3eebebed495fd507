/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the pages behind a mapping are taken. By itself a shared mapping costs a page fault
 * for each page in each process: for the first of all it takes and clears the page, for the
 * others it only fills in the page table. What must have none of that later has it here.
 */
#ifndef ZCP_SHM_MEMORY_H
#define ZCP_SHM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZCP_HUGE_PAGE_SIZE ((size_t)1 << 21)

/*
 * Maps all of a memfd (borrowed), shared. In a program that has all it maps locked into memory
 * (mlockall(MCL_FUTURE)) the kernel would take every page of it at once; here pages are locked when
 * they are used for the first time, as without that they would be taken. Returns 0; -EPERM where so
 * much may not be locked; what mmap(2) gives.
 */
__attribute__((warn_unused_result)) int zcp_memory_map(void **base, size_t size, bool writable,
						       int fd);

/*
 * Has the pages of a mapping stay in memory, those that are there and those that will come.
 * Ends with the mapping. Returns 0, or -EPERM where so much may not be locked.
 */
__attribute__((warn_unused_result)) int zcp_memory_lock(void *base, size_t size);

/*
 * Takes all pages of a shared mapping and fills in the page tables; changes no byte, so that
 * others may be at work in it. Returns 0, or -ENOMEM.
 */
__attribute__((warn_unused_result)) int zcp_memory_populate(void *base, size_t size, bool writable);

/*
 * Leaves a mapping out of core dumps: a dump would take all of its pages, those too that were never
 * touched. A kernel that cannot is not told again.
 */
void zcp_memory_hide_from_dumps(void *base, size_t size);

/* Asks for transparent huge pages; the kernel may do what it likes. */
void zcp_memory_want_transparent(void *base, size_t size);

/* The same for a new shared mapping that is all zero; whether the kernel gives them. */
bool zcp_memory_try_transparent(void *base, size_t size);

/* calloc(3); with all its pages where `prefault`. */
__attribute__((warn_unused_result)) void *zcp_memory_calloc(size_t n, size_t size, bool prefault);

/*
 * The sentence for -EPERM, which begins with `failed` ("cannot map topic 'x'"): `who`, which is
 * us, was to lock `size` bytes, and holds none of them now.
 */
void zcp_memory_explain_lock(const char *failed, uint64_t size, const char *who, char *text,
			     size_t text_size);

#endif
