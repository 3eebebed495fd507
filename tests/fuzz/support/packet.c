/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msgpack, written with the longest lengths there are, so that they can be filled in.
 */
#include "tests/fuzz/support/packet.h"

#include <string.h>

#include "tests/fuzz/support/input.h"

#define DEPTH_MAX 40

/* A map or an array that is still open. */
struct list {
	size_t length_at;
	uint32_t n_objects;
	uint32_t objects_per_entry;
};

struct writer {
	uint8_t *packet;
	size_t size;
	size_t room;
	struct list lists[DEPTH_MAX];
	uint32_t depth;
};

static void put(struct writer *w, uint64_t value, unsigned int n_bytes)
{
	for (unsigned int i = n_bytes; i-- > 0;)
		if (w->size < w->room)
			w->packet[w->size++] = (uint8_t)(value >> 8 * i);
}

static void fill_length(struct writer *w, size_t at, uint32_t length)
{
	for (unsigned int i = 0; i < 4; i++)
		if (at + i < w->size)
			w->packet[at + i] = (uint8_t)(length >> 8 * (3 - i));
}

/* One more object in the list that is open. */
static void count(struct writer *w)
{
	if (w->depth > 0)
		w->lists[w->depth - 1].n_objects++;
}

static void open_list(struct writer *w, uint8_t tag, uint32_t objects_per_entry)
{
	count(w);
	put(w, tag, 1);
	if (w->depth < DEPTH_MAX)
		w->lists[w->depth++] = (struct list){ .length_at = w->size,
						      .objects_per_entry = objects_per_entry };
	put(w, 0, 4);
}

static void close_list(struct writer *w)
{
	if (w->depth > 0) {
		const struct list *list = &w->lists[--w->depth];

		fill_length(w, list->length_at, list->n_objects / list->objects_per_entry);
	}
}

static void put_string(struct writer *w, struct zcp_fuzz_input *text)
{
	size_t at = w->size + 1, n = 0;
	uint8_t c;

	count(w);
	put(w, 0xdb00000000, 5);
	for (; text->at < text->end && (c = zcp_fuzz_byte(text)) != '"'; n++)
		put(w, c, 1);
	fill_length(w, at, (uint32_t)n);
}

static void put_long_string(struct writer *w, struct zcp_fuzz_input *text)
{
	uint32_t n = zcp_fuzz_below(text, 1024);

	count(w);
	put(w, UINT64_C(0xdb00000000) | n, 5);
	for (; n > 0; n--)
		put(w, 'x', 1);
}

static void put_number(struct writer *w, struct zcp_fuzz_input *text)
{
	count(w);
	put(w, 0xcf, 1);
	put(w, zcp_fuzz_number(text), 8);
}

static void put_object(struct writer *w, uint8_t tag)
{
	count(w);
	put(w, tag, 1);
}

static void edit(struct writer *w, struct zcp_fuzz_input *text)
{
	uint64_t at = zcp_fuzz_number(text), value = zcp_fuzz_number(text);

	if (at < w->size)
		w->packet[at] = (uint8_t)value;
}

static void put_token(struct writer *w, struct zcp_fuzz_input *text)
{
	uint8_t c = zcp_fuzz_byte(text);

	if (c >= '0' && c <= '9') {
		text->at--;
		put_number(w, text);
		return;
	}
	switch (c) {
	case ' ':
	case '\n':
	case ':':
	case ',':
		break;
	case '{':
		open_list(w, 0xdf, 2);
		break;
	case '[':
		open_list(w, 0xdd, 1);
		break;
	case '}':
	case ']':
		close_list(w);
		break;
	case '"':
		put_string(w, text);
		break;
	case '*':
		put_long_string(w, text);
		break;
	case 'T':
		put_object(w, 0xc3);
		break;
	case 'F':
		put_object(w, 0xc2);
		break;
	case 'N':
		put_object(w, 0xc0);
		break;
	case '~':
		edit(w, text);
		break;
	default:
		put_object(w, c);
	}
}

size_t zcp_fuzz_packet(const uint8_t *text, size_t size, uint8_t *packet, size_t room)
{
	struct zcp_fuzz_input input = { text, text + size };
	struct writer w = { .packet = packet, .room = room };

	while (input.at < input.end)
		put_token(&w, &input);
	while (w.depth > 0)
		close_list(&w);
	return w.size;
}
