/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the machine has left, read from files that look like the kernel's.
 */
#include "runtime/open/available.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char root[64];

static void setup(void)
{
	(void)strcpy(root, "/tmp/zcp-available-XXXXXX");
	cr_assert_not_null(mkdtemp(root));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void teardown(void)
{
	cr_assert_eq(nftw(root, remove_one, 8, FTW_PHYS | FTW_DEPTH), 0);
}

TestSuite(available, .init = setup, .fini = teardown);

/* With all directories that lead to it. */
static void file(const char *path, const char *text)
{
	char full[256];
	FILE *f;

	(void)snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = 0;
		(void)mkdir(full, 0700);
	}
	f = fopen(full, "we");
	cr_assert_not_null(f, "%s", full);
	cr_assert_geq(fputs(text, f), 0);
	cr_assert_eq(fclose(f), 0);
}

static void meminfo(void)
{
	file("/proc/meminfo", "MemTotal:       24683644 kB\nMemFree:        10000000 kB\n"
			      "MemAvailable:   20000000 kB\nBuffers: 7 kB\n");
}

Test(available, nobody_says_is_no_limit)
{
	cr_expect_eq(zcpd_available_memory(root), UINT64_MAX);
}

Test(available, machine_says_what_it_has)
{
	meminfo();
	cr_expect_eq(zcpd_available_memory(root), UINT64_C(20000000) * 1024);
	/* Version 1 only. */
	file("/proc/self/cgroup", "4:memory:/a\n0::/\n");
	cr_expect_eq(zcpd_available_memory(root), UINT64_C(20000000) * 1024);
}

Test(available, tightest_cgroup_on_the_way_up_counts)
{
	meminfo();
	file("/proc/self/cgroup", "1:name=systemd:/x\n0::/system.slice/zcpd.service\n");
	file("/sys/fs/cgroup/system.slice/zcpd.service/memory.max", "max\n");
	file("/sys/fs/cgroup/system.slice/zcpd.service/memory.current", "100\n");
	cr_expect_eq(zcpd_available_memory(root), UINT64_C(20000000) * 1024);
	file("/sys/fs/cgroup/system.slice/memory.max", "1000000\n");
	file("/sys/fs/cgroup/system.slice/memory.current", "400000\n");
	cr_expect_eq(zcpd_available_memory(root), 600000);
	file("/sys/fs/cgroup/system.slice/zcpd.service/memory.max", "500\n");
	cr_expect_eq(zcpd_available_memory(root), 400);
}

Test(available, files_that_a_cgroup_has_cached_are_available)
{
	meminfo();
	file("/proc/self/cgroup", "0::/a\n");
	file("/sys/fs/cgroup/a/memory.max", "1000\n");
	file("/sys/fs/cgroup/a/memory.current", "900\n");
	file("/sys/fs/cgroup/a/memory.stat", "anon 1\nfile 500\ninactive_anon 9\n"
					     "inactive_file 300\nactive_file 200\n");
	cr_expect_eq(zcpd_available_memory(root), 600);
	/* Over its limit for the moment. */
	file("/sys/fs/cgroup/a/memory.current", "2000\n");
	cr_expect_eq(zcpd_available_memory(root), 0);
	/* Never more than the limit. */
	file("/sys/fs/cgroup/a/memory.current", "400\n");
	cr_expect_eq(zcpd_available_memory(root), 1000);
}

Test(available, reserved_huge_pages_are_not_free)
{
	struct zcpd_huge_pages pages;

	zcpd_available_huge_pages(root, &pages);
	cr_expect(pages.n_total == 0 && pages.n_free == 0);
	file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "40\n");
	file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "30\n");
	file("/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", "8\n");
	zcpd_available_huge_pages(root, &pages);
	cr_expect(pages.n_total == 40 && pages.n_free == 22);
}
