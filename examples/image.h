/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images that say what they are: what edges publishes and png_viewer reads. The payload is the
 * pixels, row by row from the top without gaps; the rest stands before it, as the topic's user
 * header.
 */
#ifndef IMAGE_H
#define IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAGE_TYPE "sensor/Image"

enum { IMAGE_SIDE_MAX = 65535 };

struct image_header {
	/* of the camera's message that it was made from, and the same all through a pipeline */
	uint64_t sequence;
	/* CLOCK_MONOTONIC when that was published, ns; 0: not known */
	uint64_t time_ns;
	/* pixels */
	uint32_t width, height;
	/* bytes of a pixel: 1 for grey, 3 for red, green, blue */
	uint32_t channels;
	uint32_t reserved;
};

/* Whether `size` bytes of pixels are what the header says: a publisher may be in error. */
static inline bool image_is_good(const struct image_header *header, size_t size)
{
	return header->width > 0 && header->width <= IMAGE_SIDE_MAX && header->height > 0 &&
	       header->height <= IMAGE_SIDE_MAX &&
	       (header->channels == 1 || header->channels == 3) &&
	       size == (size_t)header->width * header->height * header->channels;
}

#endif
