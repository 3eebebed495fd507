/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regions: what is created, and what an attaching process refuses.
 */
#include "pubsub/shm/region.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pubsub/shm/memory.h"

#define DOMAIN UINT64_C(42)
#define SIZE 5000

static const struct zcp_region_expect expected = {
	.kind = ZCP_REGION_TOPIC,
	.domain_id = DOMAIN,
	.min_size = SIZE,
	.writable = true,
};

/* A published region; returns the descriptor. */
static int make(struct zcp_region *region)
{
	int fd = -1;

	cr_assert_eq(zcp_region_create(region, &fd, "zcp-test", SIZE), 0);
	zcp_region_publish(region, ZCP_REGION_TOPIC, DOMAIN, 7);
	return fd;
}

/* Attach refuses with `words` in its reason, and leaves the output as it was. */
static void assert_refused(int fd, const struct zcp_region_expect *expect, const char *words)
{
	struct zcp_region region = ZCP_REGION_NULL;
	const char *why = "";

	cr_assert_eq(zcp_region_attach(&region, fd, expect, &why), -EPROTO);
	cr_assert(strstr(why, words), "it says: %s", why);
	cr_assert_null(region.base);
	cr_assert_eq(region.size, 0);
}

Test(region, created_is_zero_and_whole_pages)
{
	struct zcp_region region;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int fd = -1;

	cr_assert_eq(zcp_region_create(&region, &fd, "zcp-test", SIZE), 0);
	cr_assert_eq(region.size, (SIZE + page - 1) / page * page);
	for (size_t i = 0; i < region.size; i++)
		cr_assert_eq(((const char *)region.base)[i], 0);
	cr_assert_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	zcp_region_deinit(&region);
	close(fd);
}

Test(region, created_can_neither_shrink_nor_grow)
{
	struct zcp_region region;
	int fd = make(&region);

	cr_assert_eq(ftruncate(fd, 4096), -1);
	cr_assert_eq(errno, EPERM);
	cr_assert_eq(ftruncate(fd, 1 << 20), -1);
	cr_assert_eq(errno, EPERM);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	zcp_region_deinit(&region);
	close(fd);
}

Test(region, impossible_size_is_refused)
{
	struct zcp_region region = ZCP_REGION_NULL;
	int fd = -1;

	cr_assert_lt(zcp_region_create(&region, &fd, "zcp-test", SIZE_MAX), 0);
	cr_assert_lt(zcp_region_create(&region, &fd, "zcp-test", (size_t)INT64_MAX), 0);
	cr_assert_eq(fd, -1);
	cr_assert_null(region.base);
}

Test(region, attached_sees_what_was_written)
{
	struct zcp_region region, attached;
	const char *why;
	int fd = make(&region);

	((char *)region.base)[SIZE - 1] = 'z';
	cr_assert_eq(zcp_region_attach(&attached, fd, &expected, &why), 0);
	cr_assert_neq(attached.base, region.base);
	cr_assert_eq(attached.size, region.size);
	cr_assert_eq(((const char *)attached.base)[SIZE - 1], 'z');
	cr_assert_eq(((const struct zcp_region_shm *)attached.base)->region_id, 7);
	zcp_region_deinit(&attached);
	zcp_region_deinit(&region);
	close(fd);
}

Test(region, bad_magic_is_refused)
{
	struct zcp_region region;
	int fd = make(&region);

	((struct zcp_region_shm *)region.base)->magic ^= 1;
	assert_refused(fd, &expected, "magic");
	zcp_region_deinit(&region);
	close(fd);
}

Test(region, other_version_is_refused)
{
	struct zcp_region region;
	int fd = make(&region);

	((struct zcp_region_shm *)region.base)->version++;
	assert_refused(fd, &expected, "another layout version");
	zcp_region_deinit(&region);
	close(fd);
}

Test(region, other_fingerprint_is_refused)
{
	struct zcp_region region;
	int fd = make(&region);

	((struct zcp_region_shm *)region.base)->fingerprint ^= UINT64_C(1) << 63;
	assert_refused(fd, &expected, "another layout:");
	zcp_region_deinit(&region);
	close(fd);
}

Test(region, other_kind_is_refused)
{
	struct zcp_region_expect expect = expected;
	struct zcp_region region;
	int fd = make(&region);

	expect.kind = ZCP_REGION_SIGNALS;
	assert_refused(fd, &expect, "another kind");
	zcp_region_deinit(&region);
	close(fd);
}

Test(region, other_domain_is_refused)
{
	struct zcp_region_expect expect = expected;
	struct zcp_region region;
	int fd = make(&region);

	expect.domain_id++;
	assert_refused(fd, &expect, "another domain");
	zcp_region_deinit(&region);
	close(fd);
}

Test(region, size_that_is_not_the_file_s_is_refused)
{
	struct zcp_region region;
	int fd = make(&region);

	((struct zcp_region_shm *)region.base)->size += 4096;
	assert_refused(fd, &expected, "size");
	zcp_region_deinit(&region);
	close(fd);
}

Test(region, one_that_is_not_complete_is_refused)
{
	struct zcp_region region;
	int fd = -1;

	cr_assert_eq(zcp_region_create(&region, &fd, "zcp-test", SIZE), 0);
	assert_refused(fd, &expected, "not complete");
	zcp_region_publish(&region, ZCP_REGION_TOPIC, DOMAIN, 7);
	atomic_store_explicit(&((struct zcp_region_shm *)region.base)->state, 2,
			      memory_order_relaxed);
	assert_refused(fd, &expected, "not complete");
	zcp_region_deinit(&region);
	close(fd);
}

Test(region, short_one_is_refused)
{
	struct zcp_region_expect expect = expected;
	struct zcp_region region;
	int fd = make(&region);

	expect.min_size = region.size + 1;
	assert_refused(fd, &expect, "too short");
	zcp_region_deinit(&region);
	close(fd);
}

/* A memfd of `size` bytes with `seals`. */
static int make_memfd(off_t size, int seals)
{
	int fd = memfd_create("zcp-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, size), 0);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

Test(region, one_without_room_for_its_header_is_refused)
{
	struct zcp_region_expect expect = expected;
	off_t sizes[] = { 0, 1, sizeof(struct zcp_region_shm) - 1 };

	expect.min_size = 0;
	for (int i = 0; i < 3; i++) {
		int fd = make_memfd(sizes[i], F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW);

		assert_refused(fd, &expect, "too short");
		close(fd);
	}
}

Test(region, one_that_could_shrink_is_refused)
{
	int seals[] = { 0, F_SEAL_SHRINK, F_SEAL_SHRINK | F_SEAL_GROW, F_SEAL_SEAL | F_SEAL_GROW };

	for (int i = 0; i < 4; i++) {
		int fd = make_memfd(SIZE, seals[i]);

		assert_refused(fd, &expected, "not sealed");
		close(fd);
	}
}

Test(region, descriptor_that_is_no_memfd_is_refused)
{
	int fds[2];

	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	assert_refused(fds[0], &expected, "not a memfd");
	close(fds[0]);
	close(fds[1]);
	assert_refused(fds[0], &expected, "not a memfd");
	assert_refused(-1, &expected, "not a memfd");
}

/* More than there are: a touch would be the end of the process. */
Test(region, one_of_huge_pages_that_are_not_there_is_refused)
{
	struct zcp_region_expect expect = expected;
	struct zcp_region attached = ZCP_REGION_NULL;
	int fd = memfd_create("zcp-test", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
	const char *why = "";

	if (fd < 0)
		cr_skip_test("the kernel has no huge pages");
	cr_assert_eq(ftruncate(fd, (off_t)1 << 40), 0);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW), 0);
	for (int writable = 0; writable < 2; writable++) {
		expect.writable = writable;
		cr_assert_eq(zcp_region_attach(&attached, fd, &expect, &why), -ENOMEM);
		cr_assert_str_not_empty(why);
		cr_assert_null(attached.base);
	}
	close(fd);
}

Test(region, read_only_description_cannot_be_mapped_for_writing)
{
	struct zcp_region region, attached = ZCP_REGION_NULL;
	struct zcp_region_expect expect = expected;
	const char *why = "";
	int fd = make(&region), readonly = zcp_region_open_readonly(fd);

	cr_assert_geq(readonly, 0);
	cr_assert_eq(zcp_region_attach(&attached, readonly, &expect, &why), -EACCES);
	cr_assert_str_not_empty(why);
	cr_assert_null(attached.base);
	expect.writable = false;
	cr_assert_eq(zcp_region_attach(&attached, readonly, &expect, &why), 0);
	cr_assert_eq(mprotect(attached.base, attached.size, PROT_READ | PROT_WRITE), -1);
	cr_assert_eq(errno, EACCES);
	zcp_region_deinit(&attached);
	zcp_region_deinit(&region);
	close(readonly);
	close(fd);
}

Test(region, write_through_read_only_mapping_kills_the_writer_alone)
{
	struct zcp_region_expect expect = expected;
	struct zcp_region region, attached;
	int fd = make(&region), readonly = zcp_region_open_readonly(fd), status;
	const char *why;
	pid_t pid;

	expect.writable = false;
	cr_assert_eq(zcp_region_attach(&attached, readonly, &expect, &why), 0);
	pid = fork();
	if (pid == 0) {
		(void)signal(SIGSEGV, SIG_DFL);
		*(_Atomic char *)((char *)attached.base + SIZE - 1) = 1;
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status));
	cr_assert_eq(WTERMSIG(status), SIGSEGV);
	cr_assert_eq(((const char *)region.base)[SIZE - 1], 0);
	zcp_region_deinit(&attached);
	zcp_region_deinit(&region);
	close(readonly);
	close(fd);
}

Test(region, read_only_description_of_nothing_is_an_error)
{
	cr_assert_eq(zcp_region_open_readonly(-1), -ENOENT);
}

Test(region, deinit_of_null_or_twice_is_harmless)
{
	struct zcp_region null = ZCP_REGION_NULL, region;
	int fd = make(&region);

	zcp_region_deinit(&null);
	zcp_region_deinit(&region);
	cr_assert_null(region.base);
	zcp_region_deinit(&region);
	close(fd);
}

#define LARGE (300 * 4096)

/* How many of a mapping's pages are in the page table of this process. */
static size_t n_mapped(const struct zcp_region *region)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	cr_assert_geq(fd, 0);
	for (size_t i = 0; i < region->size / page; i++) {
		uint64_t entry;

		cr_assert_eq(pread(fd, &entry, sizeof(entry),
				   (off_t)(((uintptr_t)region->base / page + i) * sizeof(entry))),
			     (ssize_t)sizeof(entry));
		n += entry >> 63;
	}
	close(fd);
	return n;
}

/* Bytes that a memfd has taken. */
static size_t n_taken(int fd)
{
	struct stat st;

	cr_assert_eq(fstat(fd, &st), 0);
	return (size_t)st.st_blocks * 512;
}

static int make_with(struct zcp_region *region, uint32_t memory)
{
	int fd = -1;

	cr_assert_eq(zcp_region_create_with(region, &fd, "zcp-test", LARGE, memory), 0);
	zcp_region_publish(region, ZCP_REGION_TOPIC, DOMAIN, 7);
	return fd;
}

Test(region, sparse_one_takes_memory_only_where_it_is_touched)
{
	struct zcp_region region, attached;
	const char *why = "";
	int fd = make_with(&region, 0);

	cr_expect_lt(n_taken(fd), LARGE / 2);
	cr_assert_eq(zcp_region_attach(&attached, fd, &expected, &why), 0);
	cr_expect_eq(attached.memory, 0);
	cr_assert_eq(zcp_region_settle(&attached, true, &why), 0);
	cr_expect_lt(n_mapped(&attached), LARGE / 4096 / 2);
	cr_expect_lt(n_taken(fd), LARGE / 2);
	zcp_region_deinit(&attached);
	zcp_region_deinit(&region);
	close(fd);
}

Test(region, prefaulted_one_is_taken_when_made_and_mapped_when_settled)
{
	struct zcp_region region, attached;
	struct zcp_region_expect expect = expected;
	const char *why = "";
	int fd = make_with(&region, ZCP_MEMORY_PREFAULT), readonly = zcp_region_open_readonly(fd);
	size_t n_pages = region.size / (size_t)sysconf(_SC_PAGESIZE);

	cr_expect_eq(n_taken(fd), region.size);
	for (int writable = 0; writable < 2; writable++) {
		expect.writable = writable;
		cr_assert_eq(zcp_region_attach(&attached, writable ? fd : readonly, &expect, &why),
			     0);
		cr_expect_eq(attached.memory, ZCP_MEMORY_PREFAULT);
		cr_expect_lt(n_mapped(&attached), n_pages);
		cr_assert_eq(zcp_region_settle(&attached, writable, &why), 0);
		cr_expect_eq(n_mapped(&attached), n_pages);
		zcp_region_deinit(&attached);
	}
	for (size_t i = sizeof(struct zcp_region_shm); i < region.size; i++)
		cr_assert_eq(((const char *)region.base)[i], 0);
	zcp_region_deinit(&region);
	close(readonly);
	close(fd);
}

Test(region, transparent_huge_pages_are_a_wish)
{
	struct zcp_region region, small;
	const char *why = "";
	int fd = -1, small_fd = -1;
	size_t size = 2 * ZCP_HUGE_PAGE_SIZE;

	cr_assert_eq(zcp_region_create_with(&region, &fd, "zcp-test", size - 1,
					    ZCP_MEMORY_TRANSPARENT | ZCP_MEMORY_PREFAULT),
		     0);
	/* Said of the region only where it has them. */
	cr_expect_eq(region.memory & ~ZCP_MEMORY_TRANSPARENT, ZCP_MEMORY_PREFAULT);
	cr_expect_eq(region.size, size);
	cr_expect_eq(n_taken(fd), size);
	cr_expect_eq(zcp_region_settle(&region, true, &why), 0);
	/* None where not even one would be full. */
	cr_assert_eq(zcp_region_create_with(&small, &small_fd, "zcp-test", SIZE,
					    ZCP_MEMORY_TRANSPARENT),
		     0);
	cr_expect_eq(small.memory, 0);
	cr_expect_lt(small.size, ZCP_HUGE_PAGE_SIZE);
	zcp_region_deinit(&small);
	zcp_region_deinit(&region);
	close(small_fd);
	close(fd);
}

Test(region, huge_pages_are_taken_when_made_or_there_is_no_region)
{
	struct zcp_region region = ZCP_REGION_NULL, attached = ZCP_REGION_NULL;
	struct zcp_region_expect expect = expected;
	const char *why = "";
	int fd = -1, readonly;
	int r = zcp_region_create_with(&region, &fd, "zcp-test", SIZE,
				       ZCP_MEMORY_HUGE | ZCP_MEMORY_LOCK);

	if (r < 0) {
		cr_expect(r == -ENOMEM || r == -EINVAL || r == -ENODEV, "%d", r);
		cr_expect_null(region.base);
		cr_expect_eq(fd, -1);
		cr_skip_test("no huge page is free");
	}
	zcp_region_publish(&region, ZCP_REGION_TOPIC, DOMAIN, 7);
	cr_expect_eq(region.size, ZCP_HUGE_PAGE_SIZE);
	cr_assert_eq(ftruncate(fd, 0), -1);
	readonly = zcp_region_open_readonly(fd);
	cr_assert_geq(readonly, 0);
	cr_assert_eq(zcp_region_attach(&attached, readonly, &expect, &why), -EACCES);
	expect.writable = false;
	cr_assert_eq(zcp_region_attach(&attached, readonly, &expect, &why), 0);
	cr_expect_eq(attached.size, ZCP_HUGE_PAGE_SIZE);
	cr_expect_eq(zcp_region_settle(&attached, false, &why), 0);
	zcp_region_deinit(&attached);
	zcp_region_deinit(&region);
	close(readonly);
	close(fd);
}

Test(region, memory_of_a_kind_that_nobody_knows_is_refused)
{
	struct zcp_region region;
	int fd = make(&region);

	((struct zcp_region_shm *)region.base)->memory = ZCP_MEMORY_FLAGS + 1;
	assert_refused(fd, &expected, "unknown kind");
	zcp_region_deinit(&region);
	close(fd);
}

/* A publisher that lies would have a subscriber take all that a sparse pool spans. */
Test(region, sparse_one_that_says_it_is_prefaulted_is_refused)
{
	static const uint32_t lies[] = { ZCP_MEMORY_PREFAULT, ZCP_MEMORY_HUGE };
	struct zcp_region region;
	int fd = make_with(&region, 0);

	for (int i = 0; i < 2; i++) {
		((struct zcp_region_shm *)region.base)->memory = lies[i];
		assert_refused(fd, &expected, "not all the memory");
	}
	zcp_region_deinit(&region);
	close(fd);
}
