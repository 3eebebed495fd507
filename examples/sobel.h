/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An edge detector: how fast the brightness changes around each pixel (Sobel's operator). Each
 * pixel of the input is looked at in place and each of the output written once, so that the one
 * can be a subscriber's sample and the other a publisher's loan.
 */
#ifndef SOBEL_H
#define SOBEL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Three pixels below one another, as the operator needs them. */
struct sobel_column {
	/* their brightness, the middle one twice */
	int sum;
	/* from the upper to the lower one */
	int difference;
};

/* Of a pixel red, green, blue: 0 to 255; grey stays what it is. */
static inline int sobel_brightness(const uint8_t *rgb)
{
	return (77 * rgb[0] + 150 * rgb[1] + 29 * rgb[2]) / 256;
}

static inline struct sobel_column sobel_column(const uint8_t *upper, size_t row_size)
{
	int above = sobel_brightness(upper);
	int middle = sobel_brightness(upper + row_size);
	int below = sobel_brightness(upper + 2 * row_size);

	return (struct sobel_column){ above + 2 * middle + below, below - above };
}

/* From width x height pixels of 8-bit RGB to as many of 8-bit grey; the border is black. */
static inline void sobel(const uint8_t *rgb, size_t width, size_t height, uint8_t *edges)
{
	size_t row_size = 3 * width, x, y;

	if (width < 3 || height < 3) {
		memset(edges, 0, width * height);
		return;
	}
	memset(edges, 0, width);
	for (y = 1; y < height - 1; y++) {
		const uint8_t *upper = rgb + (y - 1) * row_size;
		struct sobel_column left = sobel_column(upper, row_size);
		struct sobel_column here = sobel_column(upper + 3, row_size), right;
		uint8_t *row = edges + y * width;

		row[0] = row[width - 1] = 0;
		for (x = 1; x < width - 1; x++) {
			float across, down, edge;

			right = sobel_column(upper + 3 * (x + 1), row_size);
			across = (float)(right.sum - left.sum);
			down = (float)(left.difference + 2 * here.difference + right.difference);
			edge = sqrtf(across * across + down * down);
			row[x] = edge < 255 ? (uint8_t)edge : 255;
			left = here;
			here = right;
		}
	}
	memset(edges + (height - 1) * width, 0, width);
}

#endif
