/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes to what lies on the shelf, and to the directory.
 */
#include "tests/fuzz/support/records_lie.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pubsub/util.h"
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

/* Where its entries are, or in its header. */
void zcp_fuzz_records_change(const struct zcpd_directory *directory, struct zcp_fuzz_input *input)
{
	uint32_t n = (uint32_t)((directory->size - ZCP_DIRECTORY_HEADER_SIZE) /
				ZCP_DIRECTORY_BLOCK_SIZE);
	uint32_t block = zcp_fuzz_below(input, n + 1), value;
	off_t at = 4 * (off_t)zcp_fuzz_below(input, 1024);

	if (block > 0)
		at += ZCP_DIRECTORY_HEADER_SIZE + (off_t)(block - 1) * ZCP_DIRECTORY_BLOCK_SIZE;
	value = (uint32_t)zcp_fuzz_number(input);
	ZCP_CHECK(pwrite(directory->fd, &value, sizeof(value), at) == sizeof(value));
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
	ZCP_CHECK(zcpd_shelf_keep(shelf, record->kind, ~record->id, "", 0, fds, record->n_fds) ==
		  0);
}

void zcp_fuzz_records_spoil(struct zcpd_shelf *shelf, struct zcp_fuzz_input *input)
{
	struct zcpd_shelf_record *record = choose(shelf, input);
	uint32_t how = zcp_fuzz_below(input, 4);

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
	default:
		repeat(shelf, record);
	}
}
