/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packing and unpacking from tables.
 */
#include "pubsub/wire/codec.h"

#include <errno.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "pubsub/util.h"

/* Lists and maps inside each other; msgpack-c has room for 32, our messages have three. */
#define NESTED_MAX 16

struct sink {
	char *buffer;
	size_t size;
	size_t capacity;
};

static int sink_write(void *data, const char *bytes, size_t n)
{
	struct sink *sink = data;

	if (n > sink->capacity - sink->size)
		return -1;
	memcpy(sink->buffer + sink->size, bytes, n);
	sink->size += n;
	return 0;
}

static int pack_text(msgpack_packer *packer, const char *text, size_t n)
{
	if (msgpack_pack_str(packer, n) < 0)
		return -1;
	return msgpack_pack_str_body(packer, text, n);
}

static size_t count_fields(const struct zcp_field *fields)
{
	size_t n = 0;

	while (fields[n].kind != ZCP_FIELD_END)
		n++;
	return n;
}

static int pack_fields(msgpack_packer *packer, const char *from, const struct zcp_field *fields);

static int pack_list(msgpack_packer *packer, const char *from, const struct zcp_field *field)
{
	const char *elements = *(char *const *)(const void *)(from + field->offset);
	uint32_t n = *(const uint32_t *)(const void *)(from + field->count_offset);

	if (msgpack_pack_array(packer, n) < 0)
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		if (msgpack_pack_map(packer, count_fields(field->fields)) < 0 ||
		    pack_fields(packer, elements + i * field->size, field->fields) < 0)
			return -1;
	}
	return 0;
}

static int pack_fields(msgpack_packer *packer, const char *from, const struct zcp_field *fields)
{
	for (const struct zcp_field *field = fields; field->kind != ZCP_FIELD_END; field++) {
		const void *at = from + field->offset;
		int r = 0;

		if (pack_text(packer, field->key, strlen(field->key)) < 0)
			return -1;
		switch (field->kind) {
		case ZCP_FIELD_BOOL:
			r = *(const bool *)at ? msgpack_pack_true(packer) :
						msgpack_pack_false(packer);
			break;
		case ZCP_FIELD_U32:
			r = msgpack_pack_uint32(packer, *(const uint32_t *)at);
			break;
		case ZCP_FIELD_U64:
			r = msgpack_pack_uint64(packer, *(const uint64_t *)at);
			break;
		case ZCP_FIELD_STRING:
			r = pack_text(packer, at, strnlen(at, field->size - 1));
			break;
		case ZCP_FIELD_LIST:
			r = pack_list(packer, from, field);
			break;
		case ZCP_FIELD_END:
			break;
		}
		if (r < 0)
			return -1;
	}
	return 0;
}

int zcp_codec_pack(const struct zcp_message *message, char *buffer, size_t buffer_size,
		   size_t *size)
{
	const struct zcp_message_table *table = zcp_message_table(message->type);
	struct sink sink = { .buffer = buffer, .size = 0, .capacity = buffer_size };
	msgpack_packer packer;

	msgpack_packer_init(&packer, &sink, sink_write);
	if (msgpack_pack_map(&packer, 3 + count_fields(table->fields)) < 0 ||
	    pack_text(&packer, "v", 1) < 0 ||
	    msgpack_pack_uint32(&packer, ZCP_PROTOCOL_VERSION) < 0 ||
	    pack_text(&packer, "t", 1) < 0 ||
	    pack_text(&packer, table->name, strlen(table->name)) < 0 ||
	    pack_text(&packer, "id", 2) < 0 || msgpack_pack_uint64(&packer, message->id) < 0 ||
	    pack_fields(&packer, (const char *)&message->u, table->fields) < 0)
		return -EMSGSIZE;
	*size = sink.size;
	return 0;
}

static const msgpack_object *find(const msgpack_object_map *map, const char *key)
{
	for (uint32_t i = 0; i < map->size; i++) {
		const msgpack_object *k = &map->ptr[i].key;

		if (k->type == MSGPACK_OBJECT_STR && k->via.str.size == strlen(key) &&
		    memcmp(k->via.str.ptr, key, k->via.str.size) == 0)
			return &map->ptr[i].val;
	}
	return NULL;
}

static int unpack_u64(const msgpack_object *object, uint64_t max, uint64_t *value)
{
	if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER || object->via.u64 > max)
		return -EPROTO;
	*value = object->via.u64;
	return 0;
}

static int unpack_fields(char *to, const msgpack_object_map *map, const struct zcp_field *fields);

static int unpack_list(char *to, const msgpack_object *object, const struct zcp_field *field)
{
	char *elements;
	uint32_t n;

	if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size > field->max_count)
		return -EPROTO;
	n = object->via.array.size;
	if (n == 0)
		return 0;
	elements = calloc(n, field->size);
	if (!elements)
		return -ENOMEM;
	/* Owned by the message from here on. */
	*(char **)(void *)(to + field->offset) = elements;
	*(uint32_t *)(void *)(to + field->count_offset) = n;
	for (uint32_t i = 0; i < n; i++) {
		const msgpack_object *element = &object->via.array.ptr[i];
		int r;

		if (element->type != MSGPACK_OBJECT_MAP)
			return -EPROTO;
		r = unpack_fields(elements + i * field->size, &element->via.map, field->fields);
		if (r < 0)
			return r;
	}
	return 0;
}

static int unpack_string(char *to, const msgpack_object *object, const struct zcp_field *field)
{
	const msgpack_object_str *str = &object->via.str;

	if (object->type != MSGPACK_OBJECT_STR || str->size >= field->size ||
	    memchr(str->ptr, 0, str->size))
		return -EPROTO;
	memcpy(to + field->offset, str->ptr, str->size);
	to[field->offset + str->size] = 0;
	return 0;
}

static int unpack_field(char *to, const msgpack_object *object, const struct zcp_field *field)
{
	void *at = to + field->offset;
	uint64_t value;
	int r;

	switch (field->kind) {
	case ZCP_FIELD_BOOL:
		if (object->type != MSGPACK_OBJECT_BOOLEAN)
			return -EPROTO;
		*(bool *)at = object->via.boolean;
		return 0;
	case ZCP_FIELD_U32:
		r = unpack_u64(object, UINT32_MAX, &value);
		if (r == 0)
			*(uint32_t *)at = (uint32_t)value;
		return r;
	case ZCP_FIELD_U64:
		return unpack_u64(object, UINT64_MAX, at);
	case ZCP_FIELD_STRING:
		return unpack_string(to, object, field);
	case ZCP_FIELD_LIST:
		return unpack_list(to, object, field);
	case ZCP_FIELD_END:
		break;
	}
	return -EPROTO;
}

static int unpack_fields(char *to, const msgpack_object_map *map, const struct zcp_field *fields)
{
	for (const struct zcp_field *field = fields; field->kind != ZCP_FIELD_END; field++) {
		const msgpack_object *object = find(map, field->key);
		int r = object ? unpack_field(to, object, field) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static enum zcp_message_type type_of(const msgpack_object *name)
{
	for (int type = ZCP_MESSAGE_NONE + 1; type < ZCP_MESSAGE_N_TYPES; type++) {
		const char *known = zcp_message_table((enum zcp_message_type)type)->name;

		if (name->via.str.size == strlen(known) &&
		    memcmp(name->via.str.ptr, known, name->via.str.size) == 0)
			return (enum zcp_message_type)type;
	}
	return ZCP_MESSAGE_NONE;
}

static int unpack_message(struct zcp_message *message, const msgpack_object *object)
{
	const msgpack_object *v, *t, *id;
	uint64_t version;
	int r;

	if (object->type != MSGPACK_OBJECT_MAP)
		return -EPROTO;
	v = find(&object->via.map, "v");
	t = find(&object->via.map, "t");
	id = find(&object->via.map, "id");
	if (!v || unpack_u64(v, UINT32_MAX, &version) < 0 ||
	    (id && unpack_u64(id, UINT64_MAX, &message->id) < 0))
		return -EPROTO;
	message->version = (uint32_t)version;
	if (version != ZCP_PROTOCOL_VERSION)
		return -EPROTONOSUPPORT;
	if (!t || t->type != MSGPACK_OBJECT_STR)
		return -EPROTO;
	message->type = type_of(t);
	if (message->type == ZCP_MESSAGE_NONE)
		return -EOPNOTSUPP;
	r = unpack_fields((char *)&message->u, &object->via.map,
			  zcp_message_table(message->type)->fields);
	if (r < 0)
		zcp_message_deinit(message);
	return r;
}

/* What follows the bytes 0xc0 to 0xdf, in their order. */
static const struct {
	unsigned char n_length;                    /* bytes of a length */
	unsigned char n_fixed;                     /* bytes behind it */
	enum { SKIP, BYTES, OBJECTS, PAIRS } kind; /* what the length counts */
} tags[] = {
	{ 0, 0, SKIP },  { 0, 0, SKIP },  { 0, 0, SKIP },  { 0, 0, SKIP },    { 1, 0, BYTES },
	{ 2, 0, BYTES }, { 4, 0, BYTES }, { 1, 1, BYTES }, { 2, 1, BYTES },   { 4, 1, BYTES },
	{ 0, 4, SKIP },  { 0, 8, SKIP },  { 0, 1, SKIP },  { 0, 2, SKIP },    { 0, 4, SKIP },
	{ 0, 8, SKIP },  { 0, 1, SKIP },  { 0, 2, SKIP },  { 0, 4, SKIP },    { 0, 8, SKIP },
	{ 0, 2, SKIP },  { 0, 3, SKIP },  { 0, 5, SKIP },  { 0, 9, SKIP },    { 0, 17, SKIP },
	{ 1, 0, BYTES }, { 2, 0, BYTES }, { 4, 0, BYTES }, { 2, 0, OBJECTS }, { 4, 0, OBJECTS },
	{ 2, 0, PAIRS }, { 4, 0, PAIRS },
};

/*
 * Whether the packet can hold as much as its lists and maps say: an entry takes a byte at
 * least. msgpack-c allocates for all that is announced before it has seen any of it. And
 * whether they are nested no deeper than it can follow, which it would call out of memory.
 */
static bool holds_what_it_says(const unsigned char *bytes, size_t size)
{
	/* objects that are still to come: in all, and in each list and map that is open */
	uint64_t n_objects = 1, left[NESTED_MAX + 1] = { 1 };
	uint32_t depth = 0;
	size_t at = 0;

	for (; n_objects > 0; n_objects--) {
		uint64_t length = 0, skip = 0, n_inside = 0;
		unsigned char tag;

		if (n_objects > size - at)
			return false;
		while (left[depth] == 0)
			depth--;
		left[depth]--;
		tag = bytes[at++];
		if (tag < 0x80 || tag >= 0xe0)
			continue;
		if (tag < 0xa0) {
			n_inside = (tag & 0xf) * (tag < 0x90 ? 2u : 1u);
		} else if (tag < 0xc0) {
			skip = tag & 0x1f;
		} else {
			if (tags[tag - 0xc0].n_length > size - at)
				return false;
			for (int i = 0; i < tags[tag - 0xc0].n_length; i++)
				length = length << 8 | bytes[at++];
			skip = tags[tag - 0xc0].n_fixed;
			if (tags[tag - 0xc0].kind == BYTES)
				skip += length;
			else
				n_inside = tags[tag - 0xc0].kind == PAIRS ? 2 * length : length;
		}
		if (skip > size - at || (n_inside > 0 && depth == NESTED_MAX))
			return false;
		at += skip;
		n_objects += n_inside;
		if (n_inside > 0)
			left[++depth] = n_inside;
	}
	return true;
}

int zcp_codec_unpack(struct zcp_message *message, const char *buffer, size_t size)
{
	ZCP_CLEANUP(msgpack_unpacked_destroy) msgpack_unpacked packet;
	struct zcp_message unpacked;
	msgpack_unpack_return found;
	size_t offset = 0;
	int r;

	memset(&unpacked, 0, sizeof(unpacked));
	msgpack_unpacked_init(&packet);
	if (size > ZCP_PACKET_SIZE_MAX || !holds_what_it_says((const unsigned char *)buffer, size))
		return -EPROTO;
	found = msgpack_unpack_next(&packet, buffer, size, &offset);
	if (found == MSGPACK_UNPACK_NOMEM_ERROR)
		return -ENOMEM;
	if (found != MSGPACK_UNPACK_SUCCESS || offset != size)
		return -EPROTO;
	r = unpack_message(&unpacked, &packet.data);
	if (r == 0 || r == -EPROTONOSUPPORT || r == -EOPNOTSUPP)
		*message = unpacked;
	return r;
}
