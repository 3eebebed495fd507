/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to bytes and back, through the tables, so that a new field is tested without being
 * named here.
 */
#include "pubsub/wire/codec.h"

#include <stdalign.h>
#include <stdlib.h>

#include "tests/unit/codec_helpers.h"

static char packet[ZCP_PACKET_SIZE_MAX + 1];

/* --- filling in and comparing by the tables --- */

static uint64_t number_of(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return *seed ^ *seed >> 29;
}

static void fill_fields(char *to, const struct zcp_field *fields, uint64_t *seed);

static void fill_list(char *to, const struct zcp_field *field, uint64_t *seed)
{
	uint32_t n = 3;
	char *elements = calloc(n, field->size);

	cr_assert_not_null(elements);
	for (uint32_t i = 0; i < n; i++)
		fill_fields(elements + i * field->size, field->fields, seed);
	memcpy(to + field->offset, &elements, sizeof(elements));
	memcpy(to + field->count_offset, &n, sizeof(n));
}

static void fill_fields(char *to, const struct zcp_field *fields, uint64_t *seed)
{
	for (; fields->kind != ZCP_FIELD_END; fields++) {
		char *at = to + fields->offset;
		uint64_t number = number_of(seed);

		if (fields->kind == ZCP_FIELD_BOOL) {
			*(bool *)at = number & 1;
		} else if (fields->kind == ZCP_FIELD_U32) {
			memcpy(at, &(uint32_t){ (uint32_t)number }, sizeof(uint32_t));
		} else if (fields->kind == ZCP_FIELD_U64) {
			memcpy(at, &number, sizeof(number));
		} else if (fields->kind == ZCP_FIELD_STRING) {
			/* Any bytes, as many as fit or fewer. */
			size_t n = number % 3 == 0 ? number / 3 % fields->size : fields->size - 1;

			for (size_t i = 0; i < n; i++)
				at[i] = (char)(number_of(seed) % 255 + 1);
		} else {
			fill_list(to, fields, seed);
		}
	}
}

static struct zcp_message make(enum zcp_message_type type, uint64_t seed)
{
	struct zcp_message message;

	memset(&message, 0, sizeof(message));
	message.type = type;
	message.id = number_of(&seed);
	fill_fields((char *)&message.u, zcp_message_table(type)->fields, &seed);
	return message;
}

static size_t pack(const struct zcp_message *message)
{
	size_t size = 0;

	cr_assert_eq(zcp_codec_pack(message, packet, ZCP_PACKET_SIZE_MAX, &size), 0);
	return size;
}

Test(codec, every_message_comes_back_as_it_was)
{
	for (EACH_TYPE(type))
		for (uint64_t seed = 0; seed < 20; seed++) {
			struct zcp_message message = make(type, seed), back;
			size_t size = pack(&message);

			cr_assert_eq(unpack(&back, packet, size), 0, "%s",
				     zcp_message_table(type)->name);
			cr_assert_eq(back.version, ZCP_PROTOCOL_VERSION);
			cr_assert_eq(back.type, type);
			cr_assert_eq(back.id, message.id);
			cr_assert(same_fields((const char *)&message.u, (const char *)&back.u,
					      zcp_message_table(type)->fields));
			zcp_message_deinit(&message);
			zcp_message_deinit(&back);
			cr_assert_eq(back.type, ZCP_MESSAGE_NONE);
		}
}

/* Bytes of the field itself, and of what must divide its offset. */
static size_t size_of(const struct zcp_field *field, size_t *alignment)
{
	*alignment = 1;
	switch (field->kind) {
	case ZCP_FIELD_BOOL:
		return sizeof(bool);
	case ZCP_FIELD_U32:
		*alignment = alignof(uint32_t);
		return sizeof(uint32_t);
	case ZCP_FIELD_U64:
		*alignment = alignof(uint64_t);
		return sizeof(uint64_t);
	case ZCP_FIELD_LIST:
		/* The pointer, and the count behind it. */
		*alignment = alignof(void *);
		cr_assert_eq(field->count_offset, field->offset + sizeof(void *));
		return sizeof(void *) + sizeof(uint32_t);
	default:
		return field->size;
	}
}

/* Nothing lies between the fields, nor behind them (0: not known), but what alignment asks for. */
static void check_complete(const char *name, const struct zcp_field *fields, size_t struct_size)
{
	size_t end = 0, largest = 1, alignment;

	for (; fields->kind != ZCP_FIELD_END; fields++) {
		size_t size = size_of(fields, &alignment);

		end = (end + alignment - 1) / alignment * alignment;
		cr_assert_eq(fields->offset, end, "%s: a member before '%s' is in no table", name,
			     fields->key);
		end += size;
		if (alignment > largest)
			largest = alignment;
		if (fields->kind == ZCP_FIELD_LIST)
			check_complete(fields->key, fields->fields, fields->size);
	}
	end = (end + largest - 1) / largest * largest;
	if (struct_size > 0)
		cr_assert_eq(struct_size, end, "%s: the last member is in no table", name);
}

Test(codec, tables_have_every_member_of_their_structs)
{
	static const size_t sizes[ZCP_MESSAGE_N_TYPES] = {
		[ZCP_MESSAGE_HELLO] = sizeof(struct zcp_hello),
		[ZCP_MESSAGE_WELCOME] = sizeof(struct zcp_welcome),
		[ZCP_MESSAGE_OPEN_PUBLISHER] = sizeof(struct zcp_open_publisher),
		[ZCP_MESSAGE_OPEN_SUBSCRIBER] = sizeof(struct zcp_open_subscriber),
		[ZCP_MESSAGE_OPENED] = sizeof(struct zcp_opened),
		[ZCP_MESSAGE_CLOSE] = sizeof(struct zcp_close),
		[ZCP_MESSAGE_POOL_GET] = sizeof(struct zcp_pool_get),
		[ZCP_MESSAGE_POOL_CLASSES] = sizeof(struct zcp_pool_classes),
		[ZCP_MESSAGE_FREED] = sizeof(struct zcp_freed),
		[ZCP_MESSAGE_HAND_BACK] = sizeof(struct zcp_hand_back),
		[ZCP_MESSAGE_ERROR] = sizeof(struct zcp_error),
		[ZCP_MESSAGE_LIST] = sizeof(struct zcp_list),
		[ZCP_MESSAGE_TOPICS] = sizeof(struct zcp_topics),
		[ZCP_MESSAGE_INFO] = sizeof(struct zcp_info),
		[ZCP_MESSAGE_TOPIC_INFO] = sizeof(struct zcp_topic_info),
		[ZCP_MESSAGE_ENDPOINTS] = sizeof(struct zcp_endpoints),
		[ZCP_MESSAGE_ENDPOINT_PAGE] = sizeof(struct zcp_endpoint_page),
		[ZCP_MESSAGE_AUDIT_REPORT] = sizeof(struct zcp_audit_report),
		[ZCP_MESSAGE_REPLACE] = sizeof(struct zcp_replace),
		[ZCP_MESSAGE_SIGNAL_GET] = sizeof(struct zcp_signal_get),
		[ZCP_MESSAGE_SIGNAL] = sizeof(struct zcp_signal_of),
	};

	for (EACH_TYPE(type))
		check_complete(zcp_message_table(type)->name, zcp_message_table(type)->fields,
			       sizes[type]);
}

Test(codec, names_of_messages_and_keys_are_unique)
{
	for (EACH_TYPE(type)) {
		const struct zcp_field *fields = zcp_message_table(type)->fields;

		for (EACH_TYPE(other))
			cr_assert((strcmp(zcp_message_table(type)->name,
					  zcp_message_table(other)->name) == 0) == (type == other));
		for (size_t i = 0; fields[i].kind != ZCP_FIELD_END; i++) {
			cr_assert(strcmp(fields[i].key, "v") != 0);
			cr_assert(strcmp(fields[i].key, "t") != 0);
			cr_assert(strcmp(fields[i].key, "id") != 0);
			for (size_t k = 0; k < i; k++)
				cr_assert(strcmp(fields[i].key, fields[k].key) != 0);
		}
	}
}

Test(codec, truncated_message_is_none)
{
	for (EACH_TYPE(type)) {
		struct zcp_message message = make(type, 1), back = { .id = 4711 };
		size_t size = pack(&message);

		for (size_t n = 0; n < size; n++)
			cr_assert_eq(unpack(&back, packet, n), -EPROTO);
		/* It was left alone. */
		cr_assert_eq(back.id, 4711);
		zcp_message_deinit(&message);
	}
}

Test(codec, bytes_behind_a_message_are_refused)
{
	for (EACH_TYPE(type)) {
		struct zcp_message message = make(type, 2), back;
		size_t size = pack(&message);

		packet[size] = 0;
		cr_assert_eq(unpack(&back, packet, size + 1), -EPROTO);
		zcp_message_deinit(&message);
	}
}

Test(codec, buffer_that_is_too_small_is_an_error)
{
	for (EACH_TYPE(type)) {
		struct zcp_message message = make(type, 3);
		size_t size = pack(&message), got = 4711;

		for (size_t n = 0; n < size; n++) {
			char *buffer = malloc(n ? n : 1);

			cr_assert_eq(zcp_codec_pack(&message, buffer, n, &got), -EMSGSIZE);
			free(buffer);
		}
		cr_assert_eq(got, 4711);
		zcp_message_deinit(&message);
	}
}

Test(codec, no_change_of_a_byte_is_more_than_an_error)
{
	uint64_t seed = 7;

	for (EACH_TYPE(type)) {
		struct zcp_message message = make(type, 4), back;
		size_t size = pack(&message);

		for (int i = 0; i < 3000; i++) {
			size_t at = number_of(&seed) % size;
			char was = packet[at];

			packet[at] = (char)number_of(&seed);
			if (unpack(&back, packet, size) == 0)
				zcp_message_deinit(&back);
			packet[at] = was;
		}
		zcp_message_deinit(&message);
	}
}

static void fill_largest(char *to, const struct zcp_field *fields)
{
	for (; fields->kind != ZCP_FIELD_END; fields++) {
		char *at = to + fields->offset, *elements;

		if (fields->kind == ZCP_FIELD_BOOL) {
			*(bool *)at = true;
		} else if (fields->kind == ZCP_FIELD_U32) {
			memset(at, 0xff, sizeof(uint32_t));
		} else if (fields->kind == ZCP_FIELD_U64) {
			memset(at, 0xff, sizeof(uint64_t));
		} else if (fields->kind == ZCP_FIELD_STRING) {
			memset(at, 'x', fields->size - 1);
		} else {
			elements = calloc(fields->max_count, fields->size);
			cr_assert_not_null(elements);
			for (uint32_t i = 0; i < fields->max_count; i++)
				fill_largest(elements + i * fields->size, fields->fields);
			memcpy(at, &elements, sizeof(elements));
			memcpy(to + fields->count_offset, &fields->max_count, sizeof(uint32_t));
		}
	}
}

/*
 * The longest names, the largest numbers, and lists as long as they may be: whatever fields a
 * message gets, it can be sent.
 */
Test(codec, largest_message_of_every_type_fits_a_packet)
{
	for (EACH_TYPE(type)) {
		struct zcp_message message, back;
		size_t size = 0;

		memset(&message, 0, sizeof(message));
		message.type = type;
		message.id = UINT64_MAX;
		fill_largest((char *)&message.u, zcp_message_table(type)->fields);
		cr_assert_eq(zcp_codec_pack(&message, packet, ZCP_PACKET_SIZE_MAX, &size), 0,
			     "%s: let a page have fewer entries", zcp_message_table(type)->name);
		cr_assert_eq(unpack(&back, packet, size), 0);
		cr_assert(same_fields((const char *)&message.u, (const char *)&back.u,
				      zcp_message_table(type)->fields));
		zcp_message_deinit(&message);
		zcp_message_deinit(&back);
	}
}

/* A packet is only so large: the sender pages, or is told. */
Test(codec, message_that_does_not_fit_a_packet_is_an_error)
{
	struct zcp_message message = { .type = ZCP_MESSAGE_TOPICS };
	size_t size;

	message.u.topics.n_topics = 2000;
	message.u.topics.topics = calloc(2000, sizeof(message.u.topics.topics[0]));
	cr_assert_eq(zcp_codec_pack(&message, packet, ZCP_PACKET_SIZE_MAX, &size), -EMSGSIZE);
	zcp_message_deinit(&message);
}
