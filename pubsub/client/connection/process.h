/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which process we are, without a system call: a handle that a child has inherited over
 * fork() is recognised, and left alone.
 */
#ifndef ZCP_CLIENT_CONNECTION_PROCESS_H
#define ZCP_CLIENT_CONNECTION_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A word on a page that the kernel wipes in a child (MADV_WIPEONFORK, Linux 4.14): a number
 * of our own, or 0 in a child that has not opened a node yet. NULL before the first node.
 */
extern _Atomic uint64_t *zcp_process_word;

/* Before a node is opened. Returns 0 with *id, or what mmap(2) and madvise(2) give. */
__attribute__((warn_unused_result)) int zcp_process_init(uint64_t *id);

/* Whether the handle that was opened by process `id` is ours. Wait-free. */
static inline bool zcp_process_is(uint64_t id)
{
	/* Relaxed: written before the handle was made, by the same process. */
	return atomic_load_explicit(zcp_process_word, memory_order_relaxed) == id;
}

#endif
