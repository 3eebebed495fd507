/* SPDX-License-Identifier: Apache-2.0 */
/* The edge detector of the example edges: values that were worked out by hand. */
#include "examples/sobel.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "examples/image.h"

enum { W = 7, H = 5 };

/* A grey frame of W x H, from one character a pixel: '0' to '9' are 0 to 90. */
static void filter(const char *picture, uint8_t *edges)
{
	uint8_t rgb[3 * W * H];

	for (size_t i = 0; i < sizeof(rgb); i++)
		rgb[i] = (uint8_t)(10 * (picture[i / 3] - '0'));
	/* what the chunk has held before */
	memset(edges, 0xa5, W * H);
	sobel(rgb, W, H, edges);
}

static void expect(const uint8_t *edges, const uint8_t wanted[H][W])
{
	for (size_t y = 0; y < H; y++)
		for (size_t x = 0; x < W; x++)
			cr_expect_eq(edges[y * W + x], wanted[y][x], "(%zu, %zu): %u, not %u", x, y,
				     edges[y * W + x], wanted[y][x]);
}

Test(sobel, flat_area_has_no_edge)
{
	uint8_t edges[W * H];

	filter("7777777"
	       "7777777"
	       "7777777"
	       "7777777"
	       "7777777",
	       edges);
	expect(edges, (const uint8_t[H][W]){ { 0 } });
}

Test(sobel, step_is_an_edge_on_both_of_its_sides)
{
	uint8_t edges[W * H];

	/* (1 + 2 + 1) * 10 */
	filter("5554444"
	       "5554444"
	       "5554444"
	       "5554444"
	       "5554444",
	       edges);
	expect(edges, (const uint8_t[H][W]){ { 0 },
					     { 0, 0, 40, 40, 0, 0, 0 },
					     { 0, 0, 40, 40, 0, 0, 0 },
					     { 0, 0, 40, 40, 0, 0, 0 },
					     { 0 } });
	filter("1111111"
	       "1111111"
	       "1111111"
	       "3333333"
	       "3333333",
	       edges);
	expect(edges, (const uint8_t[H][W]){ { 0 },
					     { 0 },
					     { 0, 80, 80, 80, 80, 80, 0 },
					     { 0, 80, 80, 80, 80, 80, 0 },
					     { 0 } });
}

Test(sobel, point_is_seen_from_all_around_and_not_from_itself)
{
	uint8_t edges[W * H];

	/* beside it 2 * 20; across a corner 20 both ways, of which sqrt(800) is left */
	filter("0000000"
	       "0000000"
	       "0002000"
	       "0000000"
	       "0000000",
	       edges);
	expect(edges, (const uint8_t[H][W]){ { 0 },
					     { 0, 0, 28, 40, 28, 0, 0 },
					     { 0, 0, 40, 0, 40, 0, 0 },
					     { 0, 0, 28, 40, 28, 0, 0 },
					     { 0 } });
}

Test(sobel, steep_edge_is_white)
{
	uint8_t edges[W * H];

	filter("0007777"
	       "0007777"
	       "0007777"
	       "0007777"
	       "0007777",
	       edges);
	expect(edges, (const uint8_t[H][W]){ { 0 },
					     { 0, 0, 255, 255, 0, 0, 0 },
					     { 0, 0, 255, 255, 0, 0, 0 },
					     { 0, 0, 255, 255, 0, 0, 0 },
					     { 0 } });
}

Test(sobel, colours_are_as_bright_as_they_look)
{
	/* of a step from 0 to 50: 50 * 77 / 256 = 15, 50 * 150 / 256 = 29, 50 * 29 / 256 = 5 */
	static const uint8_t wanted[] = { 4 * 15, 4 * 29, 4 * 5 };

	for (size_t colour = 0; colour < 3; colour++) {
		uint8_t rgb[3 * 3 * 3] = { 0 }, edges[3 * 3];

		for (size_t y = 0; y < 3; y++)
			rgb[9 * y + 6 + colour] = 50;
		sobel(rgb, 3, 3, edges);
		cr_expect_eq(edges[4], wanted[colour], "colour %zu: %u", colour, edges[4]);
	}
}

/* Memory of exactly that size: the address sanitizer sees one byte more. */
Test(sobel, smallest_images_stay_within_their_memory)
{
	for (size_t width = 1; width <= 4; width++) {
		for (size_t height = 1; height <= 4; height++) {
			uint8_t *rgb = calloc(width * height, 3);
			uint8_t *edges = malloc(width * height);

			cr_assert(rgb && edges);
			memset(edges, 0xa5, width * height);
			sobel(rgb, width, height, edges);
			for (size_t i = 0; i < width * height; i++)
				cr_expect_eq(edges[i], 0, "%zux%zu at %zu", width, height, i);
			free(rgb);
			free(edges);
		}
	}
}

Test(image, is_good_as_long_as_it_has_the_pixels_it_says)
{
	static const struct image_header good = { .width = 5, .height = 3, .channels = 3 };
	static const size_t size = (size_t)5 * 3 * 3;
	struct image_header bad;

	cr_expect(image_is_good(&good, size));
	cr_expect_not(image_is_good(&good, size - 1));
	cr_expect_not(image_is_good(&good, size + 1));
	cr_expect_not(image_is_good(&good, 0));

	bad = good;
	bad.width = 0;
	cr_expect_not(image_is_good(&bad, 0));
	bad = good;
	bad.height = 0;
	cr_expect_not(image_is_good(&bad, 0));
	bad = good;
	bad.channels = 2;
	cr_expect_not(image_is_good(&bad, (size_t)5 * 3 * 2));
	bad = (struct image_header){ .width = 65536, .height = 1, .channels = 1 };
	cr_expect_not(image_is_good(&bad, 65536));
	bad = (struct image_header){ .width = 1, .height = 65536, .channels = 1 };
	cr_expect_not(image_is_good(&bad, 65536));
}
