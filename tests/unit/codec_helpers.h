/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the codec share: comparing messages by their tables, and unpacking from
 * memory of exactly that size, where a sanitizer sees what is read beyond the end.
 */
#ifndef ZCP_TESTS_CODEC_HELPERS_H
#define ZCP_TESTS_CODEC_HELPERS_H

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pubsub/wire/codec.h"

#define EACH_TYPE(type)                                                                            \
	enum zcp_message_type type = ZCP_MESSAGE_NONE + 1;                                         \
	type < ZCP_MESSAGE_N_TYPES;                                                                \
	type++

static inline bool same_fields(const char *a, const char *b, const struct zcp_field *fields);

static inline bool same_list(const char *a, const char *b, const struct zcp_field *field)
{
	const char *elements[2];
	uint32_t n[2];

	memcpy(&elements[0], a + field->offset, sizeof(elements[0]));
	memcpy(&elements[1], b + field->offset, sizeof(elements[1]));
	memcpy(&n[0], a + field->count_offset, sizeof(n[0]));
	memcpy(&n[1], b + field->count_offset, sizeof(n[1]));
	if (n[0] != n[1])
		return false;
	for (uint32_t i = 0; i < n[0]; i++)
		if (!same_fields(elements[0] + i * field->size, elements[1] + i * field->size,
				 field->fields))
			return false;
	return true;
}

static inline bool same_fields(const char *a, const char *b, const struct zcp_field *fields)
{
	for (; fields->kind != ZCP_FIELD_END; fields++) {
		size_t size = fields->kind == ZCP_FIELD_BOOL   ? sizeof(bool) :
			      fields->kind == ZCP_FIELD_U32    ? sizeof(uint32_t) :
			      fields->kind == ZCP_FIELD_STRING ? fields->size :
								 sizeof(uint64_t);

		if (fields->kind == ZCP_FIELD_LIST ?
			    !same_list(a, b, fields) :
			    memcmp(a + fields->offset, b + fields->offset, size) != 0) {
			fprintf(stderr, "field '%s' differs\n", fields->key);
			return false;
		}
	}
	return true;
}

/* Unpacks from memory of its own, where reading beyond the end is seen. */
static inline int unpack(struct zcp_message *message, const char *bytes, size_t size)
{
	char *copy = malloc(size ? size : 1);
	int r;

	cr_assert_not_null(copy);
	memcpy(copy, bytes, size);
	r = zcp_codec_unpack(message, copy, size);
	free(copy);
	return r;
}

#endif
