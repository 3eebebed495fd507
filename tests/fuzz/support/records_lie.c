/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes to what lies on the shelf.
 */
#include "tests/fuzz/support/records_lie.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "pubsub/util.h"
#include "pubsub/wire/codec.h"
#include "tests/support/check.h"

static struct zcpd_shelf_record *choose(struct zcpd_shelf *shelf, struct zcp_fuzz_input *input)
{
	struct zcpd_shelf_record *record;
	uint32_t n = 0;

	TAILQ_FOREACH(record, &shelf->records, link)
		n++;
	n = n > 0 ? zcp_fuzz_below(input, n) : 0;
	TAILQ_FOREACH(record, &shelf->records, link)
		if (n-- == 0)
			break;
	return record;
}

static const struct zcp_field *choose_field(const struct zcp_field *fields,
					    struct zcp_fuzz_input *input)
{
	uint32_t n = 0;

	while (fields[n].kind != ZCP_FIELD_END)
		n++;
	return &fields[zcp_fuzz_below(input, n)];
}

static void change_field(void *object, const struct zcp_field *fields, struct zcp_fuzz_input *input)
{
	const struct zcp_field *field = choose_field(fields, input);
	char *at = (char *)object + field->offset;
	uint32_t count;
	uint64_t value;

	if (field->kind == ZCP_FIELD_LIST) {
		memcpy(&count, (char *)object + field->count_offset, sizeof(count));
		if (count > 0)
			change_field(*(char **)(void *)at +
					     zcp_fuzz_below(input, count) * field->size,
				     field->fields, input);
		return;
	}
	value = zcp_fuzz_number(input);
	switch (field->kind) {
	case ZCP_FIELD_BOOL:
		*(bool *)at = value & 1;
		break;
	case ZCP_FIELD_U32:
		memcpy(at, &(uint32_t){ (uint32_t)value }, sizeof(uint32_t));
		break;
	case ZCP_FIELD_U64:
		memcpy(at, &value, sizeof(value));
		break;
	default:
		*at = (char)value;
	}
}

static void set_bytes(struct zcpd_shelf_record *record, const char *bytes, size_t size)
{
	char *copy = malloc(size + 1);

	ZCP_CHECK(copy);
	memcpy(copy, bytes, size);
	free(record->bytes);
	record->bytes = copy;
	record->size = size;
}

void zcp_fuzz_records_change(struct zcpd_shelf *shelf, struct zcp_fuzz_input *input)
{
	static char bytes[ZCPD_KEEP_SIZE_MAX];
	struct zcpd_shelf_record *record = choose(shelf, input);
	struct zcp_message message;
	size_t size;

	if (!record || zcp_codec_unpack(&message, record->bytes, record->size) < 0)
		return;
	change_field(&message.u, zcp_message_table(message.type)->fields, input);
	if (zcp_codec_pack(&message, bytes, sizeof(bytes), &size) == 0)
		set_bytes(record, bytes, size);
	zcp_message_deinit(&message);
}

static void add_descriptor(struct zcpd_shelf_record *record)
{
	if (record->n_fds == ZCPD_KEEP_FDS_MAX)
		return;
	record->fds[record->n_fds] = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	ZCP_CHECK(record->fds[record->n_fds++] >= 0);
}

/* Behind all others, under a key of its own. */
static void repeat(struct zcpd_shelf *shelf, const struct zcpd_shelf_record *record)
{
	int fds[ZCPD_KEEP_FDS_MAX];

	for (uint32_t i = 0; i < record->n_fds; i++) {
		fds[i] = fcntl(record->fds[i], F_DUPFD_CLOEXEC, 0);
		ZCP_CHECK(fds[i] >= 0);
	}
	ZCP_CHECK(zcpd_shelf_keep(shelf, record->kind, ~record->id, record->bytes, record->size,
				  fds, record->n_fds) == 0);
}

void zcp_fuzz_records_spoil(struct zcpd_shelf *shelf, struct zcp_fuzz_input *input)
{
	struct zcpd_shelf_record *record = choose(shelf, input);
	uint32_t how = zcp_fuzz_below(input, 5);

	if (!record)
		return;
	switch (how) {
	case 0:
		zcpd_shelf_drop(shelf, record->kind, record->id);
		break;
	case 1:
		if (record->n_fds > 0)
			zcp_close_fd(&record->fds[--record->n_fds]);
		break;
	case 2:
		add_descriptor(record);
		break;
	case 3:
		record->size -= record->size > 0;
		break;
	default:
		repeat(shelf, record);
	}
}
