/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Too little of something, in the runtime or in a node's process: the call that needs it is
 * refused with its error and a sentence, everything else goes on, nothing is left behind, and
 * when there is enough again the same call succeeds.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define LARGE (UINT64_C(64) << 20)

static struct zcp_test_runtime runtime;
/* the runtime's process that does the work */
static pid_t worker;
static struct zcp_node *node;
static struct zcp_publisher *publisher;
static struct zcp_subscriber *subscriber;

struct count {
	unsigned int fds;
	unsigned int mappings;
};

static struct count count_of(pid_t pid)
{
	/* The runtime answers a close, and clears up in that turn. */
	(void)zcp_test_ask(node, "large");
	return (struct count){ zcp_test_n_fds(pid), zcp_test_n_mappings(pid) };
}

static void check_same(pid_t pid, const struct count *before)
{
	struct count now = count_of(pid);

	if (now.fds != before->fds || now.mappings != before->mappings)
		(void)fprintf(stderr, "%u descriptors were %u, %u mappings were %u\n", now.fds,
			      before->fds, now.mappings, before->mappings);
	ZCP_CHECK(now.fds == before->fds);
	ZCP_CHECK(now.mappings == before->mappings);
}

/* A runtime, and a link that works all the time. */
static void begin(void)
{
	zcp_test_runtime_start(&runtime, NULL);
	worker = zcp_test_worker(runtime.pid);
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, "link", 64, 1);
	subscriber = zcp_test_subscriber(node, "link", 4, 1, 0);
}

static void check_link(void)
{
	zcp_test_send(publisher, 42);
	zcp_test_expect(subscriber, 42);
}

static void end(void)
{
	check_link();
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static void limit_runtime(__rlimit_resource_t resource, rlim_t n)
{
	struct rlimit limit;

	ZCP_CHECK(prlimit(worker, resource, NULL, &limit) == 0);
	limit.rlim_cur = n;
	ZCP_CHECK(prlimit(worker, resource, &limit, NULL) == 0);
}

static int open_large(struct zcp_publisher **large)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;

	options.max_payload = LARGE;
	return zcp_publisher_open(large, node, "large", &options);
}

/* AddressSanitizer has an address space of its own, larger than any limit. */
static void need_limits_of_address_space(void)
{
#ifdef ZCP_TEST_ASAN
	zcp_test_skip("no limit of the address space under AddressSanitizer");
#endif
}

/* What is refused while there is too little, succeeds when there is enough. */
static void check_refusal(__rlimit_resource_t resource, rlim_t too_little, int error,
			  const char *words)
{
	struct count before;
	struct rlimit enough;
	struct zcp_publisher *large;

	begin();
	ZCP_CHECK(prlimit(worker, resource, NULL, &enough) == 0);
	/* Once, so that what is made the first time is there. */
	ZCP_OK(open_large(&large), node);
	zcp_publisher_close(large);
	before = count_of(worker);
	limit_runtime(resource, too_little);
	for (int i = 0; i < 50; i++) {
		ZCP_REFUSED(open_large(&large), node, error, words);
		check_link();
	}
	check_same(worker, &before);
	limit_runtime(resource, enough.rlim_cur);
	ZCP_OK(open_large(&large), node);
	zcp_publisher_close(large);
	check_same(worker, &before);
	(void)zcp_test_audit(node);
	end();
}

static void runtime_without_descriptors(void)
{
	/* Those it has, and none more. */
	check_refusal(RLIMIT_NOFILE, 3, -EMFILE, "large|Too many open files|ulimit");
}

static void runtime_without_address_space(void)
{
	need_limits_of_address_space();
	check_refusal(RLIMIT_AS, 1, -ENOMEM, "large|Cannot allocate memory|RLIMIT_AS");
}

static int audit(struct zcp_message *reply)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_AUDIT };

	return zcp_test_node_request(node, &request, ZCP_MESSAGE_AUDIT_REPORT, reply);
}

/* An audit needs more of it than anything else. */
static void runtime_without_memory(void)
{
	struct zcp_message reply;
	struct rlimit enough;
	struct count before;

	need_limits_of_address_space();
	begin();
	before = count_of(worker);
	ZCP_CHECK(prlimit(worker, RLIMIT_DATA, NULL, &enough) == 0);
	limit_runtime(RLIMIT_DATA, 1);
	for (int i = 0; i < 50; i++) {
		ZCP_REFUSED(audit(&reply), node, -ENOMEM, "the runtime is out of memory");
		check_link();
	}
	check_same(worker, &before);
	limit_runtime(RLIMIT_DATA, enough.rlim_cur);
	ZCP_OK(audit(&reply), node);
	zcp_message_deinit(&reply);
	ZCP_CHECK(zcp_test_worker(runtime.pid) == worker);
	end();
}

static void runtime_whose_files_must_be_small(void)
{
	check_refusal(RLIMIT_FSIZE, 1 << 20, -EFBIG, "large|File too large|RLIMIT_FSIZE");
}

/* --- the node's process --- */

static void node_without_address_space(void)
{
	struct rlimit enough, little;
	struct count before, runtime_before;
	struct zcp_publisher *large;

	need_limits_of_address_space();
	begin();
	ZCP_OK(open_large(&large), node);
	zcp_publisher_close(large);
	before = count_of(getpid());
	runtime_before = count_of(worker);
	ZCP_CHECK(getrlimit(RLIMIT_AS, &enough) == 0);
	little = enough;
	little.rlim_cur = LARGE;
	ZCP_CHECK(setrlimit(RLIMIT_AS, &little) == 0);
	for (int i = 0; i < 50; i++) {
		ZCP_REFUSED(open_large(&large), node, -ENOMEM, "could not be mapped");
		check_link();
	}
	ZCP_CHECK(setrlimit(RLIMIT_AS, &enough) == 0);
	check_same(getpid(), &before);
	check_same(worker, &runtime_before);
	ZCP_OK(open_large(&large), node);
	(void)zcp_test_audit(node);
	end();
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(runtime_without_descriptors),
	ZCP_TEST_CASE(runtime_without_address_space),
	ZCP_TEST_CASE(runtime_without_memory),
	ZCP_TEST_CASE(runtime_whose_files_must_be_small),
	ZCP_TEST_CASE(node_without_address_space),
};

ZCP_TEST_MAIN(cases)
