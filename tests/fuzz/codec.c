/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any packet: what the codec takes holds nothing that its struct has no room for, and is the
 * same again after it was packed and unpacked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pubsub/wire/codec.h"
#include "tests/fuzz/support/packet.h"
#include "tests/support/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_same_list(const struct zcp_field *field, const char *a, const char *b);

static bool is_same_field(const struct zcp_field *field, const char *a, const char *b)
{
	switch (field->kind) {
	case ZCP_FIELD_BOOL:
		return memcmp(a + field->offset, b + field->offset, sizeof(bool)) == 0;
	case ZCP_FIELD_U32:
		return memcmp(a + field->offset, b + field->offset, sizeof(uint32_t)) == 0;
	case ZCP_FIELD_U64:
		return memcmp(a + field->offset, b + field->offset, sizeof(uint64_t)) == 0;
	case ZCP_FIELD_STRING:
		ZCP_CHECK(memchr(a + field->offset, 0, field->size));
		return strcmp(a + field->offset, b + field->offset) == 0;
	case ZCP_FIELD_LIST:
		return is_same_list(field, a, b);
	case ZCP_FIELD_END:
		break;
	}
	return true;
}

static bool is_same(const struct zcp_field *fields, const char *a, const char *b)
{
	for (const struct zcp_field *field = fields; field->kind != ZCP_FIELD_END; field++)
		if (!is_same_field(field, a, b))
			return false;
	return true;
}

static bool is_same_list(const struct zcp_field *field, const char *a, const char *b)
{
	const char *x = *(char *const *)(const void *)(a + field->offset);
	const char *y = *(char *const *)(const void *)(b + field->offset);
	uint32_t n = *(const uint32_t *)(const void *)(a + field->count_offset);

	ZCP_CHECK(n <= field->max_count);
	ZCP_CHECK(n == 0 || x);
	if (*(const uint32_t *)(const void *)(b + field->count_offset) != n)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!is_same(field->fields, x + i * field->size, y + i * field->size))
			return false;
	return true;
}

/* One byte less room is too little, and nothing is written behind it. */
static void check_room(const struct zcp_message *message, size_t size)
{
	char *buffer = malloc(size - 1);
	size_t n = 0;

	ZCP_CHECK(buffer);
	ZCP_CHECK(zcp_codec_pack(message, buffer, size - 1, &n) == -EMSGSIZE);
	ZCP_CHECK(n == 0);
	free(buffer);
}

static void check_again(const struct zcp_message *message)
{
	static char first[ZCP_PACKET_SIZE_MAX], second[ZCP_PACKET_SIZE_MAX];
	struct zcp_message again;
	size_t size, size_again;

	ZCP_CHECK(message->version == ZCP_PROTOCOL_VERSION);
	ZCP_CHECK(message->type > ZCP_MESSAGE_NONE && message->type < ZCP_MESSAGE_N_TYPES);
	ZCP_CHECK(zcp_codec_pack(message, first, sizeof(first), &size) == 0);
	ZCP_CHECK(zcp_codec_unpack(&again, first, size) == 0);
	ZCP_CHECK(again.type == message->type && again.id == message->id);
	ZCP_CHECK(is_same(zcp_message_table(message->type)->fields, (const char *)&message->u,
			  (const char *)&again.u));
	ZCP_CHECK(zcp_codec_pack(&again, second, sizeof(second), &size_again) == 0);
	ZCP_CHECK(size_again == size && memcmp(first, second, size) == 0);
	check_room(message, size);
	zcp_message_deinit(&again);
}

static void check(const char *packet, size_t size)
{
	struct zcp_message message, before;
	int r;

	memset(&message, 0xa5, sizeof(message));
	memcpy(&before, &message, sizeof(message));
	r = zcp_codec_unpack(&message, packet, size);
	switch (r) {
	case 0:
		check_again(&message);
		zcp_message_deinit(&message);
		break;
	case -EPROTONOSUPPORT:
		ZCP_CHECK(message.version != ZCP_PROTOCOL_VERSION);
		zcp_message_deinit(&message);
		break;
	case -EOPNOTSUPP:
		ZCP_CHECK(message.type == ZCP_MESSAGE_NONE);
		zcp_message_deinit(&message);
		break;
	default:
		ZCP_CHECK(r == -EPROTO);
		ZCP_CHECK(memcmp(&message, &before, sizeof(message)) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t buffer[ZCP_PACKET_SIZE_MAX + 16];
	const uint8_t *bytes = data;
	char *packet;

	/* No msgpack map begins with this: it is one that is written down. */
	if (size > 0 && data[0] == '{') {
		size = zcp_fuzz_packet(data, size, buffer, sizeof(buffer));
		bytes = buffer;
	}
	/* Of exactly its size, so that what reads behind it is seen. */
	packet = malloc(size);
	ZCP_CHECK(packet || size == 0);
	if (size > 0)
		memcpy(packet, bytes, size);
	check(packet, size);
	free(packet);
	return 0;
}
