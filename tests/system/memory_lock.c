/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools that are locked into memory: by whom, and who may not lock so much.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "tests/support/process.h"
#include "tests/system/memory_helpers.h"

static const char *const words_of_lock = "RLIMIT_MEMLOCK|ulimit -l|CAP_IPC_LOCK|lock = true";

/* From here on this process may lock `size` bytes, and what it executes too. */
static void limit_locking(rlim_t size)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	struct rlimit limit;

	/* Out of the bounding set as well, or root would get it back with execve(2). */
	(void)prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0);
	ZCP_CHECK(syscall(SYS_capget, &header, data) == 0);
	data[CAP_IPC_LOCK / 32].effective &= ~(UINT32_C(1) << CAP_IPC_LOCK % 32);
	data[CAP_IPC_LOCK / 32].permitted &= ~(UINT32_C(1) << CAP_IPC_LOCK % 32);
	ZCP_CHECK(syscall(SYS_capset, &header, data) == 0);
	ZCP_CHECK(getrlimit(RLIMIT_MEMLOCK, &limit) == 0);
	limit.rlim_cur = size;
	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		zcp_test_skip("RLIMIT_MEMLOCK is too low here for a limit to be set");
}

/* Bytes that a process has locked. */
static size_t n_locked(pid_t pid)
{
	char path[64], line[128];
	size_t kib = SIZE_MAX;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	ZCP_CHECK(file != NULL);
	while (fgets(line, sizeof(line), file) && sscanf(line, "VmLck: %zu", &kib) != 1)
		;
	(void)fclose(file);
	ZCP_CHECK(kib != SIZE_MAX);
	return kib * 1024;
}

static const char locked_pool[] =
	"[pool.p]\nclasses = [{size = 4096, count = 64}]\nlock = true\n"
	"[topic.\"*\"]\npool = \"p\"\nmax_publishers = 1\nmax_subscribers = 2\ndepth = 4\n"
	"max_depth = 4\n";

static void locked_pool_is_locked_by_whoever_maps_it(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_subscriber *subscriber;
	struct zcp_publisher *publisher;
	struct zcp_node *node;
	size_t before = n_locked(getpid()), once;

	zcp_test_runtime_start(&runtime, locked_pool);
	node = zcp_test_node();
	ZCP_CHECK(n_locked(getpid()) == before && n_locked(runtime.worker) == 0);
	publisher = zcp_test_publisher(node, "t", 4096, 1);
	once = n_locked(getpid());
	ZCP_CHECK(once - before > (size_t)64 * 4096);
	/* Descriptors and queues, not the chunks. */
	ZCP_CHECK(n_locked(runtime.worker) > (size_t)64 * 64);
	ZCP_CHECK(n_locked(runtime.worker) < (size_t)64 * 4096);
	expect_info(node, "t", false, true, "KiB pages");
	subscriber = zcp_test_subscriber(node, "t", 4, 1, 0);
	ZCP_CHECK(n_locked(getpid()) > once + (size_t)64 * 4096);
	zcp_test_send(publisher, 1);
	zcp_publisher_close(publisher);
	zcp_subscriber_close(subscriber);
	ZCP_CHECK(zcp_test_ask(node, "t") == -ENOENT);
	ZCP_CHECK(n_locked(runtime.worker) == 0);
	zcp_node_close(node);
	ZCP_CHECK(n_locked(getpid()) == before);
}

/* The limit that the node's last sentence asks for. */
static rlim_t wanted_limit(const struct zcp_node *node)
{
	const char *at = strstr(zcp_node_error(node), "ulimit -l ");
	unsigned long long kib;

	ZCP_CHECK(at != NULL && sscanf(at, "ulimit -l %llu", &kib) == 1);
	return (rlim_t)kib * 1024;
}

static void set_limit(rlim_t size)
{
	struct rlimit limit;

	ZCP_CHECK(getrlimit(RLIMIT_MEMLOCK, &limit) == 0);
	limit.rlim_cur = size;
	ZCP_CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
}

/* Either of the two opens: refused, nothing is left of it, and what is said is what helps. */
static void check_limit(struct zcp_node *node, int (*try)(struct zcp_node *, const char *))
{
	static const char *const words = "topic 't'|this process may lock 64 KiB|has locked 0";
	unsigned int n_fds = zcp_test_n_fds(getpid()), n_mappings;
	rlim_t wanted;

	set_limit(64 * 1024);
	ZCP_REFUSED(try(node, "t"), node, -EPERM, words);
	ZCP_REFUSED(try(node, "t"), node, -EPERM, words_of_lock);
	wanted = wanted_limit(node);
	n_mappings = zcp_test_n_mappings(getpid());
	/* As far as the last of it; what was locked before that does not count. */
	set_limit(wanted - 4096);
	ZCP_REFUSED(try(node, "t"), node, -EPERM, words_of_lock);
	ZCP_CHECK(wanted_limit(node) == wanted);
	ZCP_CHECK(zcp_test_n_fds(getpid()) == n_fds);
	ZCP_CHECK(zcp_test_n_mappings(getpid()) == n_mappings && n_locked(getpid()) == 0);
	/* Nobody has it open, so it is gone. */
	ZCP_CHECK(zcp_test_ask(node, "t") == -ENOENT);
	set_limit(wanted);
	ZCP_OK(try(node, "t"), node);
}

static void be_limited(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node;

	(void)self;
	(void)arg;
	limit_locking(64 * 1024);
	/* A node each: what one has locked of its signals stays locked. */
	node = zcp_test_node();
	check_limit(node, try_to_publish);
	zcp_node_close(node);
	node = zcp_test_node();
	check_limit(node, try_to_subscribe);
	zcp_node_close(node);
}

static void who_may_not_lock_so_much_is_refused(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_test_child limited;

	if (has_lock_capability() && prctl(PR_CAPBSET_READ, CAP_SETPCAP, 0, 0, 0) != 1)
		zcp_test_skip("CAP_IPC_LOCK cannot be given up here");
	zcp_test_runtime_start(&runtime, locked_pool);
	zcp_test_fork(&limited, be_limited, NULL);
	zcp_test_join(&limited);
}

static void runtime_that_may_not_lock_so_much_refuses(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_node *node;
	unsigned int n_fds;

	limit_locking(0);
	zcp_test_runtime_start(&runtime, locked_pool);
	node = zcp_test_node();
	n_fds = zcp_test_n_fds(runtime.worker);
	ZCP_REFUSED(try_to_publish(node, "t"), node, -EPERM, "pool 'p'|the runtime may lock 0 KiB");
	ZCP_REFUSED(try_to_subscribe(node, "t"), node, -EPERM, words_of_lock);
	ZCP_CHECK(zcp_test_n_fds(runtime.worker) == n_fds);
	zcp_node_close(node);
}

/* KiB, in our own /proc/self/status. */
static size_t status_kib(const char *key)
{
	FILE *file = fopen("/proc/self/status", "re");
	size_t n = strlen(key), kib = SIZE_MAX;
	char line[128];

	ZCP_CHECK(file != NULL);
	while (kib == SIZE_MAX && fgets(line, sizeof(line), file))
		if (strncmp(line, key, n) == 0)
			ZCP_CHECK(sscanf(line + n, ": %zu", &kib) == 1);
	(void)fclose(file);
	ZCP_CHECK(kib != SIZE_MAX);
	return kib;
}

/* How many of our mappings of regions there are, and how many of them are locked. */
static void count_mappings(unsigned int *n, unsigned int *n_locked_ones)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	bool is_region = false;
	char line[512];

	ZCP_CHECK(file != NULL);
	*n = *n_locked_ones = 0;
	while (fgets(line, sizeof(line), file)) {
		if (strstr(line, "/memfd:"))
			is_region = true;
		if (strncmp(line, "VmFlags:", 8) != 0)
			continue;
		*n += is_region;
		*n_locked_ones += is_region && strstr(line, " lo ");
		is_region = false;
	}
	(void)fclose(file);
}

/* Whose regions fit into what an ordinary process may lock. */
static const char small_pool[] =
	"[pool.p]\nclasses = [{size = \"64KiB\", count = 32}]\n"
	"[topic.\"*\"]\npool = \"p\"\nmax_publishers = 1\nmax_subscribers = 2\ndepth = 4\n"
	"max_depth = 4\n";

#define LARGE ((size_t)64 << 10)
#define N_LARGE 8

/* With regions of at least `span` KiB. */
static void use_all_locked(size_t span)
{
	struct zcp_subscriber *subscriber;
	struct zcp_publisher *publisher;
	unsigned int n, n_locked_ones;
	struct zcp_node *node;
	struct zcp_loan loan;
	size_t before, opened;

	ZCP_CHECK(mlockall(MCL_FUTURE) == 0);
	before = status_kib("RssShmem");
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, "t", LARGE, N_LARGE);
	subscriber = zcp_test_subscriber(node, "t", 4, 4, 0);
	opened = status_kib("RssShmem");
	ZCP_CHECK(opened - before < 512);
	ZCP_CHECK(status_kib("VmLck") > span);
	for (int i = 0; i < N_LARGE; i++) {
		ZCP_OK(zcp_publisher_loan(publisher, LARGE, &loan), node);
		memset(loan.data, 1, LARGE);
	}
	ZCP_CHECK(status_kib("RssShmem") - opened >= N_LARGE * LARGE / 1024);
	ZCP_CHECK(status_kib("RssShmem") - opened < 2 * N_LARGE * LARGE / 1024);
	count_mappings(&n, &n_locked_ones);
	ZCP_CHECK(n > 6 && n == n_locked_ones);
	zcp_subscriber_close(subscriber);
	zcp_node_close(node);
	ZCP_CHECK(munlockall() == 0);
}

static void use_with_capability(struct zcp_test_child *self, void *arg)
{
	(void)self;
	(void)arg;
	/* A topic with the defaults. */
	use_all_locked((size_t)200 << 10);
}

static void use_within_limit(struct zcp_test_child *self, void *arg)
{
	(void)self;
	(void)arg;
	limit_locking((rlim_t)8 << 20);
	use_all_locked((size_t)4 << 10);
}

/* Sanitizers make mlockall(2) do nothing. */
static void need_mlockall(void)
{
#ifdef ZCP_TEST_ASAN
	zcp_test_skip("AddressSanitizer makes mlockall() do nothing");
#endif
}

static void check_all_locked(void (*use)(struct zcp_test_child *self, void *arg),
			     const char *config)
{
	struct zcp_test_runtime runtime;
	struct zcp_test_child child;

	need_mlockall();
	zcp_test_runtime_start(&runtime, config);
	zcp_test_fork(&child, use, NULL);
	zcp_test_join(&child);
	zcp_test_runtime_stop(&runtime);
}

static void program_that_locks_all_costs_what_it_uses(void)
{
	if (!has_lock_capability())
		zcp_test_skip("no CAP_IPC_LOCK");
	check_all_locked(use_with_capability, NULL);
}

static void the_same_within_a_limit(void)
{
	check_all_locked(use_within_limit, small_pool);
}

static void be_limited_with_all_locked(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = NULL;
	rlim_t wanted;

	(void)self;
	(void)arg;
	limit_locking(0);
	ZCP_CHECK(mlockall(MCL_FUTURE) == 0 || errno == EPERM);
	set_limit(8192);
	ZCP_CHECK(mlockall(MCL_FUTURE) == 0);
	ZCP_REFUSED(zcp_node_open(&node, NULL), NULL, -EPERM,
		    "signal region|mlockall|RLIMIT_MEMLOCK|ulimit -l|CAP_IPC_LOCK");
	set_limit((rlim_t)1 << 20);
	node = zcp_test_node();
	ZCP_REFUSED(try_to_publish(node, "t"), node, -EPERM,
		    "topic 't'|mlockall(MCL_FUTURE)|RLIMIT_MEMLOCK|ulimit -l|CAP_IPC_LOCK");
	wanted = wanted_limit(node);
	ZCP_CHECK(zcp_test_ask(node, "t") == -ENOENT);
	set_limit(wanted);
	ZCP_OK(try_to_publish(node, "t"), node);
	zcp_node_close(node);
}

static void program_that_may_not_lock_all_is_told(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_test_child child;

	need_mlockall();
	if (has_lock_capability() && prctl(PR_CAPBSET_READ, CAP_SETPCAP, 0, 0, 0) != 1)
		zcp_test_skip("CAP_IPC_LOCK cannot be given up here");
	zcp_test_runtime_start(&runtime, small_pool);
	zcp_test_fork(&child, be_limited_with_all_locked, NULL);
	zcp_test_join(&child);
	zcp_test_runtime_stop(&runtime);
}

int main(int argc, char **argv)
{
	static const struct zcp_test_case cases[] = {
		ZCP_TEST_CASE(locked_pool_is_locked_by_whoever_maps_it),
		ZCP_TEST_CASE(who_may_not_lock_so_much_is_refused),
		ZCP_TEST_CASE(runtime_that_may_not_lock_so_much_refuses),
		ZCP_TEST_CASE(program_that_locks_all_costs_what_it_uses),
		ZCP_TEST_CASE(the_same_within_a_limit),
		ZCP_TEST_CASE(program_that_may_not_lock_all_is_told),
	};

	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
