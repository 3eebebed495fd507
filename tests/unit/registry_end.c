/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a registry leaves in the directory: nothing of what was closed, and all of what is open when
 * the process ends, as one does that cannot go on.
 */
#include <sys/mman.h>

#include "tests/unit/registry_helpers.h"

static struct zcpd_directory directory;

static void begin_kept(void)
{
	begin("");
	cr_assert_eq(zcpd_directory_make(&directory, memfd_create("directory", MFD_CLOEXEC)), 0);
	registry.directory = &directory;
}

static void end_kept(void)
{
	end();
	zcpd_directory_deinit(&directory);
}

TestSuite(registry_end, .init = begin_kept);

static uint32_t count(enum zcp_entry_kind kind)
{
	static _Alignas(8) char contents[4096];
	uint32_t place = 0, n = 0;
	uint64_t id;

	while (zcpd_directory_next(&directory, kind, &place, &id, contents))
		n++;
	return n;
}

static void expect(uint32_t n_topics, uint32_t n_pools, uint32_t n_endpoints)
{
	cr_expect_eq(count(ZCP_ENTRY_TOPIC), n_topics);
	cr_expect_eq(count(ZCP_ENTRY_POOL), n_pools);
	cr_expect_eq(count(ZCP_ENTRY_ENDPOINT), n_endpoints);
}

Test(registry_end, nothing_is_left_of_what_was_closed)
{
	struct zcpd_endpoint *publisher, *subscriber;

	cr_assert_eq(publish("t", 64, 2, &publisher), 0);
	cr_assert_eq(subscribe("t", 2, 1, &subscriber), 0);
	expect(1, 1, 2);
	close_endpoint(publisher);
	close_endpoint(subscriber);
	expect(0, 0, 0);
	end_kept();
}

Test(registry_end, what_is_open_stays_for_the_next_worker)
{
	struct zcpd_endpoint *publisher, *subscriber;

	cr_assert_eq(publish("t", 64, 2, &publisher), 0);
	cr_assert_eq(subscribe("t", 2, 1, &subscriber), 0);
	end();
	expect(1, 1, 2);
	zcpd_directory_deinit(&directory);
}
