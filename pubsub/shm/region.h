/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A region as one process sees it: where it is mapped and how large it is. The runtime
 * creates, fills in and publishes it; all others attach, which checks all that the
 * header says before anything else is read.
 */
#ifndef ZCP_SHM_REGION_H
#define ZCP_SHM_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pubsub/layout/region_shm.h"

struct zcp_region {
	void *base;
	size_t size;
	/* ZCP_MEMORY_* */
	uint32_t memory;
};

#define ZCP_REGION_NULL                                                                            \
	{                                                                                          \
		NULL, 0, 0                                                                         \
	}

/* What an attaching process expects to find. */
struct zcp_region_expect {
	uint32_t kind;
	uint64_t domain_id;
	/* bytes that must be there at least */
	size_t min_size;
	bool writable;
};

/* Stands for the layout of every *_shm.h: sizes and offsets folded into one number. */
uint64_t zcp_layout_fingerprint(void);

/*
 * Creates a region of `size` bytes (rounded up to pages), all zero, sealed, mapped for
 * writing. `name` is seen in /proc/<pid>/maps. *fd is the caller's.
 * Errors: -ENOMEM, -EMFILE, -ENFILE, and what ftruncate(2) and mmap(2) give.
 */
__attribute__((warn_unused_result)) int zcp_region_create(struct zcp_region *region, int *fd,
							  const char *name, size_t size);

/*
 * The same with memory of a kind (ZCP_MEMORY_*): pages that are to be there beforehand are
 * taken now. Rounded up to huge pages where it is to have them. region->memory is what the
 * region got: everything but ZCP_MEMORY_TRANSPARENT is a guarantee.
 * Errors: -ENOMEM where the pages are unavailable; where the kernel has no huge pages of
 * that size what memfd_create(2) gives, -ENODEV or -EINVAL; as zcp_region_create().
 */
__attribute__((warn_unused_result)) int zcp_region_create_with(struct zcp_region *region, int *fd,
							       const char *name, size_t size,
							       uint32_t memory);

/* Writes the header of a region whose contents are complete. */
void zcp_region_publish(struct zcp_region *region, uint32_t kind, uint64_t domain_id,
			uint64_t region_id);

/*
 * Maps the region behind `fd` (borrowed) and checks it.
 * Returns 0; -EPROTO with *why set to what is wrong with it; -ENOMEM, -EACCES and what
 * mmap(2) gives, with *why set too.
 */
__attribute__((warn_unused_result)) int zcp_region_attach(struct zcp_region *region, int fd,
							  const struct zcp_region_expect *expect,
							  const char **why);

/*
 * Maps the region behind `fd` (borrowed) for the runtime that has created it, or for the next
 * one: nothing in it is believed, as others have been able to write there; `memory` is what it
 * got. Returns 0; -EPROTO where it has not `min_size`; what fstat(2) and mmap(2) give.
 */
__attribute__((warn_unused_result)) int zcp_region_map(struct zcp_region *region, int fd,
						       size_t min_size, uint32_t memory);

/*
 * After all that is in an attached region has been checked: locks and populates the mapping,
 * as region->memory says.
 * Returns 0; -EPERM where so much memory may not be locked, -ENOMEM where it is not to be
 * had; with *why.
 */
__attribute__((warn_unused_result)) int zcp_region_settle(const struct zcp_region *region,
							  bool writable, const char **why);

/*
 * A new file description of the same region that cannot be mapped for writing; the
 * caller's. Returns the descriptor or a negative errno.
 */
__attribute__((warn_unused_result)) int zcp_region_open_readonly(int fd);

/* Unmaps; a zeroed region is allowed. */
void zcp_region_deinit(struct zcp_region *region);

#endif
