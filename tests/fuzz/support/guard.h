/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What makes a wrong access to a region seen.
 *
 * Each mapping of a file lies between two pages that nobody may touch (the linker hands the
 * project's mmap(2) and munmap(2) to us), and what is in a mapping but belongs to nobody can
 * be poisoned.
 *
 * And each load and store of the project's, and each crash point (pubsub/shm/crashpoint.h), can
 * be the moment in which somebody else changes the memory, or the process ends: the compiler
 * calls us before it.
 */
#ifndef ZCP_FUZZ_GUARD_H
#define ZCP_FUZZ_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For what runs in the middle of what is fuzzed, and is no part of it. */
#define ZCP_FUZZ_UNSEEN __attribute__((no_sanitize("coverage")))

/* Whether a piece of memory lies completely inside one mapping of a file. */
bool zcp_fuzz_is_mapped(const void *at, uint64_t size);

/* Reads the first and the last bytes of it: from outside a mapping or what is poisoned, a crash. */
void zcp_fuzz_read(const void *at, uint64_t size);

/* The process that has them is over. */
void zcp_fuzz_unmap_all(void);

/* Nobody may touch what is between the two, which are in one mapping, until it is unmapped. */
void zcp_fuzz_poison(const void *from, const void *to);

/*
 * Calls `act` before the `after`-th access to mapped memory from now on, 0 being the next, where
 * a crash point counts as one. It need not return. Up to ZCP_FUZZ_MOMENTS of them can be waited for.
 */
#define ZCP_FUZZ_MOMENTS 4
void zcp_fuzz_at_access(uint32_t after, void (*act)(void *user), void *user);

/*
 * Shows `look` each store of the project's to mapped memory before it is made (but not what changes
 * it in one step, as a compare-and-swap does), from now on; NULL: nobody is shown it. What happens
 * at an access is not shown.
 */
void zcp_fuzz_watch_stores(void (*look)(const void *at, uint64_t size));

/* Waits for none any more that would call `act`, or, where that is NULL, for none at all. */
void zcp_fuzz_forget_accesses(void (*act)(void *user));

#endif
