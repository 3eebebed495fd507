/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backlogs on their way through a region, and regions that lie.
 */
#include "pubsub/flow/backlog.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define DOMAIN UINT64_C(42)

/* A region with room for as many entries, which says that it has `says`. */
static int make(uint64_t room, uint32_t says)
{
	struct zcp_region region;
	struct zcp_backlog_shm *shm;
	int fd = -1;

	cr_assert_eq(zcp_region_create(&region, &fd, "zcp-test",
				       sizeof(*shm) + room * sizeof(shm->entries[0])),
		     0);
	shm = region.base;
	shm->n_entries = says;
	zcp_region_publish(&region, ZCP_REGION_BACKLOG, DOMAIN, 0);
	zcp_region_deinit(&region);
	return fd;
}

static void assert_refused(int fd)
{
	struct zcp_backlog backlog = { .n_entries = 0 };
	const char *why = "";

	cr_assert_eq(zcp_backlog_import(&backlog, fd, DOMAIN, &why), -EPROTO);
	cr_assert(strstr(why, "more messages than fit"), "it says: %s", why);
	cr_assert_null(backlog.entries);
	cr_assert_eq(backlog.n_entries, 0);
	close(fd);
}

Test(backlog, comes_out_as_it_went_in)
{
	struct zcp_backlog_entry_shm entries[300];
	struct zcp_backlog in = { entries, 0 }, out;
	const char *why;

	for (uint32_t i = 0; i < 300; i++)
		entries[i] = (struct zcp_backlog_entry_shm){
			.seq = UINT64_C(1) << 40 | i,
			.size = UINT64_C(1) << 33 | i * 5,
			.publish_time_ns = UINT64_C(1) << 50 | i * 7,
			.publisher_id = UINT64_C(1) << 60 | i,
			.user_header_size = i * 2,
			.ref = i * 3,
			.publisher = i / 9,
		};
	for (uint32_t n = 0; n <= 300; n += 100) {
		int fd = -1;

		in.n_entries = n;
		cr_assert_eq(zcp_backlog_export(&in, DOMAIN, &fd), 0);
		cr_assert_eq(zcp_backlog_import(&out, fd, DOMAIN, &why), 0);
		cr_assert_eq(out.n_entries, n);
		cr_assert_eq(memcmp(out.entries, entries, n * sizeof(entries[0])), 0);
		zcp_backlog_deinit(&out);
		close(fd);
	}
}

Test(backlog, more_entries_than_fit_the_region_are_refused)
{
	/* A page, less what stands before the entries. */
	assert_refused(make(1, (4096 - 128) / 48 + 1));
	assert_refused(make(1, UINT32_MAX));
}

/* A memfd costs nothing until it is touched, so that a region has room for any number. */
Test(backlog, more_entries_than_there_can_be_are_refused)
{
	struct zcp_backlog backlog;
	const char *why;
	int fd;

	fd = make(UINT64_C(1) << 32, ZCP_BACKLOG_ENTRIES_MAX);
	cr_assert_eq(zcp_backlog_import(&backlog, fd, DOMAIN, &why), 0);
	cr_assert_eq(backlog.n_entries, ZCP_BACKLOG_ENTRIES_MAX);
	zcp_backlog_deinit(&backlog);
	close(fd);
	assert_refused(make(UINT64_C(1) << 32, ZCP_BACKLOG_ENTRIES_MAX + 1));
	assert_refused(make(UINT64_C(1) << 32, UINT32_MAX - 1));
	/* One more is 0 in 32 bits. */
	assert_refused(make(UINT64_C(1) << 32, UINT32_MAX));
}
