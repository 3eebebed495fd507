/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A region's file before it is one: its first bytes, its size, its seals, all of which a
 * fuzzer can change.
 */
#ifndef ZCP_FUZZ_IMAGE_H
#define ZCP_FUZZ_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the rest of a file holds is zero. */
#define ZCP_FUZZ_IMAGE_SIZE 16384

enum zcp_fuzz_descriptor {
	ZCP_FUZZ_MEMFD,
	ZCP_FUZZ_MEMFD_READONLY,
	ZCP_FUZZ_MEMFD_HUGE,
	/* no memfds */
	ZCP_FUZZ_DEV_ZERO,
	ZCP_FUZZ_DIRECTORY,
	ZCP_FUZZ_PIPE,
	ZCP_FUZZ_SOCKET,
	ZCP_FUZZ_EVENTFD,
	/* one that does not block */
	ZCP_FUZZ_WAKER,
	ZCP_FUZZ_NONE,
	ZCP_FUZZ_N_DESCRIPTORS,
};

struct zcp_fuzz_image {
	uint8_t bytes[ZCP_FUZZ_IMAGE_SIZE];
	uint64_t size;
	/* as fcntl(2) has them */
	int seals;
	enum zcp_fuzz_descriptor descriptor;
};

/* Takes over what the region behind `fd` (consumed) is. */
void zcp_fuzz_image_read(struct zcp_fuzz_image *image, int fd);

/* Writes `width` bytes, where they lie inside. */
void zcp_fuzz_image_edit(struct zcp_fuzz_image *image, uint64_t at, uint32_t width, uint64_t value);

/* The file, the caller's; -1 where it cannot be. */
int zcp_fuzz_image_open(const struct zcp_fuzz_image *image);

#endif
