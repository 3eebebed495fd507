/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames of camera_publisher and camera_viewer: 1920x1080, 8-bit RGB, 6,220,800 bytes. As
 * with many cameras, the first pixels carry the frame's number and a checksum.
 */
#ifndef CAMERA_H
#define CAMERA_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CAMERA_TOPIC "camera/front"
#define CAMERA_TYPE "sensor/Image.rgb8.1920x1080"

enum {
	CAMERA_WIDTH = 1920,
	CAMERA_HEIGHT = 1080,
	CAMERA_PIXEL_SIZE = 3,
	CAMERA_ROW_SIZE = CAMERA_WIDTH * CAMERA_PIXEL_SIZE,
	CAMERA_FRAME_SIZE = CAMERA_HEIGHT * CAMERA_ROW_SIZE,
	/* every so many pixels one is checked: a prime, so that all columns have their turn */
	CAMERA_STRIDE = 1021,
};

struct camera_stamp {
	uint64_t number;
	uint64_t checksum;
};

/* Over one pixel in CAMERA_STRIDE and the frame's number (FNV-1a by pixels). */
static inline uint64_t camera_checksum(const uint8_t *frame, uint64_t number)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325) ^ number;
	size_t i;

	for (i = CAMERA_STRIDE; i < (size_t)CAMERA_WIDTH * CAMERA_HEIGHT; i += CAMERA_STRIDE) {
		const uint8_t *pixel = frame + i * CAMERA_PIXEL_SIZE;
		uint64_t rgb = (uint64_t)pixel[0] << 16 | (uint64_t)pixel[1] << 8 | pixel[2];

		sum = (sum ^ rgb) * UINT64_C(0x100000001b3);
	}
	return sum;
}

/* A rainbow that moves diagonally: 171 * 3 is 1 modulo 256, so each channel has its phase. */
static inline void camera_draw(uint8_t *frame, uint64_t number)
{
	struct camera_stamp stamp = { .number = number };
	unsigned int x, y;

	for (y = 0; y < CAMERA_HEIGHT; y++) {
		uint8_t *row = frame + (size_t)y * CAMERA_ROW_SIZE;
		uint8_t phase = (uint8_t)(y + 4 * number);

		for (x = 0; x < CAMERA_ROW_SIZE; x++)
			row[x] = (uint8_t)(171 * x + phase);
	}
	stamp.checksum = camera_checksum(frame, number);
	memcpy(frame, &stamp, sizeof(stamp));
}

/* Whether a frame is as it was drawn. */
static inline int camera_frame_is_good(const uint8_t *frame, size_t size)
{
	struct camera_stamp stamp;

	if (size != CAMERA_FRAME_SIZE)
		return 0;
	memcpy(&stamp, frame, sizeof(stamp));
	return stamp.checksum == camera_checksum(frame, stamp.number);
}

#endif
