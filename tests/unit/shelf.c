/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper's records: replaced in their place, dropped, and their descriptors closed.
 */
#include "runtime/failover/shelf.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/process.h"

static struct zcpd_shelf shelf;

static void setup(void)
{
	zcpd_shelf_init(&shelf);
}

static void teardown(void)
{
	zcpd_shelf_deinit(&shelf);
}

TestSuite(shelf, .init = setup, .fini = teardown);

static void keep(uint32_t kind, uint64_t id, const char *text, uint32_t n_fds)
{
	int fds[ZCPD_KEEP_FDS_MAX + 1];

	for (uint32_t i = 0; i < n_fds; i++) {
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		cr_assert(fds[i] >= 0);
	}
	cr_assert_eq(zcpd_shelf_keep(&shelf, kind, id, text, strlen(text), fds, n_fds),
		     n_fds > ZCPD_KEEP_FDS_MAX ? -ENOMEM : 0);
}

/* All texts in their order, one behind the other. */
static void check(const char *texts)
{
	const struct zcpd_shelf_record *record;

	TAILQ_FOREACH(record, &shelf.records, link) {
		cr_assert_eq(strncmp(texts, record->bytes, record->size), 0, "'%s'", texts);
		texts += record->size;
	}
	cr_assert_eq(*texts, 0, "'%s'", texts);
}

Test(shelf, record_is_replaced_where_it_is)
{
	keep(1, 1, "a", 0);
	keep(1, 2, "b", 0);
	/* The same place in the table, and other keys. */
	keep(2, 1, "c", 0);
	keep(1, 1 + ZCPD_SHELF_BUCKETS, "d", 0);
	check("abcd");
	keep(1, 1, "AA", 0);
	check("AAbcd");
	zcpd_shelf_drop(&shelf, 1, 2);
	zcpd_shelf_drop(&shelf, 1, 2);
	check("AAcd");
	keep(1, 2, "b", 0);
	check("AAcdb");
}

Test(shelf, descriptors_are_closed_with_what_they_belong_to)
{
	unsigned int n = zcp_test_n_fds(getpid());

	keep(1, 1, "a", 2);
	keep(1, 2, "b", ZCPD_KEEP_FDS_MAX);
	cr_assert_eq(zcp_test_n_fds(getpid()), n + 2 + ZCPD_KEEP_FDS_MAX);
	keep(1, 1, "a", 1);
	cr_assert_eq(zcp_test_n_fds(getpid()), n + 1 + ZCPD_KEEP_FDS_MAX);
	zcpd_shelf_drop(&shelf, 1, 2);
	cr_assert_eq(zcp_test_n_fds(getpid()), n + 1);
	/* What does not fit leaves what was there. */
	keep(1, 1, "too many", ZCPD_KEEP_FDS_MAX + 1);
	cr_assert_eq(zcp_test_n_fds(getpid()), n + 1);
	check("a");
	zcpd_shelf_deinit(&shelf);
	cr_assert_eq(zcp_test_n_fds(getpid()), n);
}
