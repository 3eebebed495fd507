/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What peers may send, put together by hand: values of every kind in every field, what is not
 * known, what is missing, and what is not a message.
 */
#include "pubsub/wire/codec.h"

#include "tests/unit/codec_helpers.h"

struct raw {
	char bytes[ZCP_PACKET_SIZE_MAX + 64];
	size_t size;
};

static void put(struct raw *raw, const void *bytes, size_t n)
{
	cr_assert_leq(raw->size + n, sizeof(raw->bytes));
	memcpy(raw->bytes + raw->size, bytes, n);
	raw->size += n;
}

static void put_byte(struct raw *raw, unsigned int byte)
{
	put(raw, &(unsigned char){ (unsigned char)byte }, 1);
}

static void put_size(struct raw *raw, unsigned int tag, uint32_t n)
{
	put_byte(raw, tag);
	for (int shift = 24; shift >= 0; shift -= 8)
		put_byte(raw, n >> shift);
}

static void put_text(struct raw *raw, const void *text, size_t n)
{
	put_size(raw, 0xdb, (uint32_t)n);
	put(raw, text, n);
}

static void put_u64(struct raw *raw, uint64_t value)
{
	put_byte(raw, 0xcf);
	for (int shift = 56; shift >= 0; shift -= 8)
		put_byte(raw, (unsigned int)(value >> shift));
}

static void put_key(struct raw *raw, const char *key)
{
	put_text(raw, key, strlen(key));
}

/* {"v": 1, "t": name, "id": 5, and n_more entries that follow */
static void begin(struct raw *raw, enum zcp_message_type type, uint32_t n_more)
{
	raw->size = 0;
	put_size(raw, 0xdf, 3 + n_more);
	put_key(raw, "v");
	put_byte(raw, ZCP_PROTOCOL_VERSION);
	put_key(raw, "t");
	put_key(raw, zcp_message_table(type)->name);
	put_key(raw, "id");
	put_byte(raw, 5);
}

static int unpack_raw(const struct raw *raw, struct zcp_message *message)
{
	return unpack(message, raw->bytes, raw->size);
}

static int check_raw(const struct raw *raw)
{
	struct zcp_message message;
	int r = unpack_raw(raw, &message);

	if (r == 0)
		zcp_message_deinit(&message);
	return r;
}

static struct raw raw;

/* One value of each kind that msgpack has. */
static const struct {
	const char *name;
	const char *bytes;
	size_t size;
	/* what it is good for, as bits of enum zcp_field_kind */
	unsigned int good;
} values[] = {
#define VALUE(name, bytes, good)                                                                   \
	{                                                                                          \
		name, bytes, sizeof(bytes) - 1, good                                               \
	}
#define NUMBER (1u << ZCP_FIELD_U32 | 1u << ZCP_FIELD_U64)
	VALUE("nil", "\xc0", 0),
	VALUE("false", "\xc2", 1u << ZCP_FIELD_BOOL),
	VALUE("true", "\xc3", 1u << ZCP_FIELD_BOOL),
	VALUE("small number", "\x07", NUMBER),
	VALUE("uint8", "\xcc\xff", NUMBER),
	VALUE("uint32", "\xce\xff\xff\xff\xff", NUMBER),
	VALUE("2^32", "\xcf\0\0\0\x01\0\0\0\0", 1u << ZCP_FIELD_U64),
	VALUE("2^64 - 1", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 1u << ZCP_FIELD_U64),
	VALUE("-1", "\xff", 0),
	VALUE("int64", "\xd3\x80\0\0\0\0\0\0\0", 0),
	VALUE("positive int64", "\xd3\0\0\0\0\0\0\0\x05", NUMBER),
	VALUE("float", "\xca\x3f\x80\0\0", 0),
	VALUE("double", "\xcb\x3f\xf0\0\0\0\0\0\0", 0),
	VALUE("empty string", "\xa0", 1u << ZCP_FIELD_STRING),
	VALUE("string",
	      "\xa3"
	      "abc",
	      1u << ZCP_FIELD_STRING),
	VALUE("string with a zero",
	      "\xa3"
	      "a\0c",
	      0),
	VALUE("binary", "\xc4\x01x", 0),
	VALUE("extension", "\xd4\x01x", 0),
	VALUE("empty list", "\x90", 1u << ZCP_FIELD_LIST),
	VALUE("list of an empty map", "\x91\x80", 1u << ZCP_FIELD_LIST),
	VALUE("list of a number", "\x91\x01", 0),
	VALUE("list of a list", "\x91\x90", 0),
	VALUE("empty map", "\x80", 0),
};

#define N_VALUES (sizeof(values) / sizeof(values[0]))

static void check_values(enum zcp_message_type type, const struct zcp_field *field,
			 const struct zcp_field *in_list)
{
	for (size_t i = 0; i < N_VALUES; i++) {
		const struct zcp_field *leaf = in_list ? in_list : field;
		int wanted = values[i].good >> leaf->kind & 1 ? 0 : -EPROTO;

		begin(&raw, type, 1);
		put_key(&raw, field->key);
		if (in_list) {
			put_size(&raw, 0xdd, 1);
			put_size(&raw, 0xdf, 1);
			put_key(&raw, in_list->key);
		}
		put(&raw, values[i].bytes, values[i].size);
		cr_assert_eq(check_raw(&raw), wanted, "%s of %s given %s", leaf->key,
			     zcp_message_table(type)->name, values[i].name);
	}
}

Test(codec_input, value_of_another_kind_is_refused)
{
	for (EACH_TYPE(type))
		for (const struct zcp_field *field = zcp_message_table(type)->fields;
		     field->kind != ZCP_FIELD_END; field++) {
			check_values(type, field, NULL);
			if (field->kind != ZCP_FIELD_LIST)
				continue;
			for (const struct zcp_field *leaf = field->fields;
			     leaf->kind != ZCP_FIELD_END; leaf++)
				check_values(type, field, leaf);
		}
}

Test(codec_input, string_may_be_as_long_as_its_field_without_the_zero)
{
	static char text[ZCP_TEXT_SIZE + 2];

	memset(text, 'x', sizeof(text));
	for (EACH_TYPE(type))
		for (const struct zcp_field *field = zcp_message_table(type)->fields;
		     field->kind != ZCP_FIELD_END; field++) {
			if (field->kind != ZCP_FIELD_STRING)
				continue;
			for (size_t n = field->size - 2; n <= field->size + 1; n++) {
				begin(&raw, type, 1);
				put_key(&raw, field->key);
				put_text(&raw, text, n);
				cr_assert_eq(check_raw(&raw), n < field->size ? 0 : -EPROTO);
			}
		}
}

Test(codec_input, list_may_be_as_long_as_its_table_says)
{
	for (EACH_TYPE(type))
		for (const struct zcp_field *field = zcp_message_table(type)->fields;
		     field->kind != ZCP_FIELD_END; field++) {
			if (field->kind != ZCP_FIELD_LIST)
				continue;
			for (uint32_t n = field->max_count; n <= field->max_count + 1; n++) {
				struct zcp_message message;

				begin(&raw, type, 1);
				put_key(&raw, field->key);
				put_size(&raw, 0xdd, n);
				for (uint32_t i = 0; i < n; i++)
					put_byte(&raw, 0x80);
				if (n > field->max_count) {
					cr_assert_eq(check_raw(&raw), -EPROTO);
					continue;
				}
				cr_assert_eq(unpack_raw(&raw, &message), 0);
				cr_assert_eq(*(uint32_t *)(void *)((char *)&message.u +
								   field->count_offset),
					     n);
				zcp_message_deinit(&message);
			}
		}
}

/* What a newer peer says beyond what we know. */
Test(codec_input, keys_that_are_not_known_are_passed_over)
{
	struct zcp_message message;

	begin(&raw, ZCP_MESSAGE_CLOSE, 3);
	put_key(&raw, "colour");
	put(&raw, "\x93\x01\xc0\x81\xa1x\x92\xc3\xc2", 9);
	put_key(&raw, "endpoint");
	put_u64(&raw, 77);
	put_byte(&raw, 0x05); /* a key that is no text */
	put_key(&raw, "five");
	cr_assert_eq(unpack_raw(&raw, &message), 0);
	cr_assert_eq(message.type, ZCP_MESSAGE_CLOSE);
	cr_assert_eq(message.id, 5);
	cr_assert_eq(message.u.close.endpoint, 77);
	zcp_message_deinit(&message);
}

Test(codec_input, keys_that_are_missing_are_zero)
{
	for (EACH_TYPE(type)) {
		struct zcp_message message, zero;

		memset(&zero, 0, sizeof(zero));
		memset(&message, 0xff, sizeof(message));
		begin(&raw, type, 0);
		cr_assert_eq(unpack_raw(&raw, &message), 0);
		cr_assert_eq(message.type, type);
		cr_assert(same_fields((const char *)&message.u, (const char *)&zero.u,
				      zcp_message_table(type)->fields));
		zcp_message_deinit(&message);
	}
	/* An event has no id. */
	raw.size = 0;
	put(&raw, "\x82\xa1v\x01\xa1t\xa2ok", 9);
	cr_assert_eq(check_raw(&raw), 0);
}

Test(codec_input, message_of_another_version_says_which)
{
	static const uint64_t versions[] = { 0, ZCP_PROTOCOL_VERSION + 1, 99, UINT32_MAX };

	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		struct zcp_message message;

		/* Whatever else is in it is not ours to judge. */
		raw.size = 0;
		put_size(&raw, 0xdf, 3);
		put_key(&raw, "id");
		put_byte(&raw, 9);
		put_key(&raw, "t");
		put_byte(&raw, 0xc0);
		put_key(&raw, "v");
		put_u64(&raw, versions[i]);
		cr_assert_eq(unpack_raw(&raw, &message), -EPROTONOSUPPORT);
		cr_assert_eq(message.version, versions[i]);
		cr_assert_eq(message.id, 9);
	}
}

Test(codec_input, message_that_is_not_known_says_its_id)
{
	static const char *const names[] = { "", "hell", "hello ", "helloo", "HELLO", "none" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct zcp_message message;

		raw.size = 0;
		put(&raw, "\x83\xa1v\x01\xa2id\x09\xa1t", 10);
		put_key(&raw, names[i]);
		cr_assert_eq(unpack_raw(&raw, &message), -EOPNOTSUPP);
		cr_assert_eq(message.id, 9);
	}
}

Test(codec_input, what_is_no_message_is_refused)
{
	static const struct {
		const char *bytes;
		size_t size;
	} bad[] = {
#define BAD(bytes) { bytes, sizeof(bytes) - 1 }
		BAD(""),
		BAD("\x80"),
		BAD("\x93\x01\x02\x03"),
		BAD("\xc1"),
		/* no "v"; one that is no number, or too large, or negative */
		BAD("\x82\xa1t\xa2ok\xa2id\x01"),
		BAD("\x82\xa1v\xa1\x31\xa1t\xa2ok"),
		BAD("\x82\xa1v\xcf\0\0\0\x01\0\0\0\0\xa1t\xa2ok"),
		BAD("\x82\xa1v\xff\xa1t\xa2ok"),
		/* no "t"; one that is no text */
		BAD("\x82\xa1v\x01\xa2id\x01"),
		BAD("\x82\xa1v\x01\xa1t\x01"),
		BAD("\x82\xa1v\x01\xa1t\xc4\x02ok"),
		/* an "id" that is no number */
		BAD("\x83\xa1v\x01\xa1t\xa2ok\xa2id\xc0"),
		/* more entries, and longer texts, than there are */
		BAD("\xdf\xff\xff\xff\xff\xa1v\x01"),
		BAD("\x82\xa1v\x01\xa1t\xdb\xff\xff\xff\xffok"),
		BAD("\xdd\xff\xff\xff\xff"),
	};
	struct zcp_message message;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(unpack(&message, bad[i].bytes, bad[i].size), -EPROTO, "number %zu", i);
}

Test(codec_input, lists_inside_lists_are_passed_over_or_malformed)
{
	/* The message itself is one of 16. */
	for (uint32_t n = 1; n < 100; n++) {
		begin(&raw, ZCP_MESSAGE_OK, 2);
		put_key(&raw, "x");
		for (uint32_t i = 0; i < n; i++)
			put(&raw, i % 2 ? "\x91" : "\x81\0", i % 2 ? 1 : 2);
		put_byte(&raw, 0xc0);
		put_key(&raw, "y");
		put_byte(&raw, 0xc0);
		cr_assert_eq(check_raw(&raw), n <= 15 ? 0 : -EPROTO, "%u lists", n);
	}
}

Test(codec_input, packet_that_is_too_large_is_refused)
{
	struct zcp_message message;

	/* A text that nobody asked for fills it up. */
	begin(&raw, ZCP_MESSAGE_OK, 1);
	put_key(&raw, "x");
	put_size(&raw, 0xdb, (uint32_t)(ZCP_PACKET_SIZE_MAX - raw.size - 5));
	memset(raw.bytes + raw.size, 'x', sizeof(raw.bytes) - raw.size);
	cr_assert_eq(unpack(&message, raw.bytes, ZCP_PACKET_SIZE_MAX), 0);
	zcp_message_deinit(&message);
	begin(&raw, ZCP_MESSAGE_OK, 1);
	put_key(&raw, "x");
	put_size(&raw, 0xdb, (uint32_t)(ZCP_PACKET_SIZE_MAX + 1 - raw.size - 5));
	cr_assert_eq(unpack(&message, raw.bytes, ZCP_PACKET_SIZE_MAX + 1), -EPROTO);
}
