/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A runtime without descriptors refuses new nodes with a sentence that names the limit, says so
 * once in its log, serves the nodes that are there, and takes new ones when there is room.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zcp/zcp.h>

#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define N_TRIES 50

static struct zcp_test_runtime runtime;
static struct zcp_publisher *publisher;
static struct zcp_subscriber *subscriber;
static struct zcp_node *node;
static uint64_t n_sent;

static void begin(void)
{
	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, "link", 64, 1);
	subscriber = zcp_test_subscriber(node, "link", 4, 1, 0);
}

static void check_link(void)
{
	ZCP_OK(zcp_test_ask(node, "link"), node);
	zcp_test_send(publisher, ++n_sent);
	zcp_test_expect(subscriber, n_sent);
}

/* The number that the worker's next descriptor has. */
static rlim_t lowest_free(void)
{
	char path[64], target[64];

	for (rlim_t fd = 0;; fd++) {
		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)runtime.worker, (int)fd);
		if (readlink(path, target, sizeof(target)) < 0)
			return fd;
	}
}

static rlim_t limit_worker(rlim_t n)
{
	struct rlimit limit;
	rlim_t before;

	ZCP_CHECK(prlimit(runtime.worker, RLIMIT_NOFILE, NULL, &limit) == 0);
	before = limit.rlim_cur;
	limit.rlim_cur = n;
	ZCP_CHECK(prlimit(runtime.worker, RLIMIT_NOFILE, &limit, NULL) == 0);
	return before;
}

static struct zcp_node *open_when_there_is_room(void)
{
	struct zcp_node *other = NULL;

	while (zcp_node_open(&other, NULL) < 0)
		ZCP_CHECK(zcp_test_has(zcp_node_error(NULL), "RLIMIT_NOFILE"));
	return other;
}

/* `n_left`: how many descriptors the runtime can still have. */
static void check_refusal(unsigned int n_left)
{
	struct zcp_node *other;
	char words[64];
	rlim_t limit, before;

	begin();
	limit = lowest_free() + n_left;
	before = limit_worker(limit);
	(void)snprintf(words, sizeof(words),
		       "the runtime is out of descriptors|which is %llu|ulimit",
		       (unsigned long long)limit);
	for (int i = 0; i < N_TRIES; i++) {
		ZCP_REFUSED(zcp_node_open(&other, NULL), NULL, -EMFILE, words);
		check_link();
	}
	ZCP_CHECK(zcp_test_runtime_count(&runtime, "out of descriptors") == 1);
	(void)limit_worker(before);
	other = open_when_there_is_room();
	ZCP_CHECK(zcp_test_runtime_count(&runtime, "there is room for new nodes again") == 1);
	zcp_node_close(other);
	(void)zcp_test_audit(node);
	zcp_node_close(node);
	ZCP_CHECK(zcp_test_worker(runtime.pid) == runtime.worker);
	zcp_test_runtime_stop(&runtime);
}

static void the_last_descriptors_are_for_those_who_are_there(void)
{
	check_refusal(8);
}

static void without_any_it_says_so_as_well(void)
{
	check_refusal(0);
}

/* A request brings one. */
static void node_whose_request_finds_no_room_stays(void)
{
	rlim_t before;

	begin();
	before = limit_worker(lowest_free());
	ZCP_CHECK(zcp_node_fd(node) == -EMFILE);
	ZCP_CHECK(zcp_test_has(zcp_node_error(node), "the runtime has no room|RLIMIT_NOFILE"));
	check_link();
	(void)limit_worker(before);
	ZCP_CHECK(zcp_node_fd(node) >= 0);
	check_link();
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

/* Each of these takes two: the limit is met while nodes come. */
static void room_of_one_that_leaves_is_for_the_next(void)
{
	struct zcp_node *others[64], *last;
	int n = 0;

	begin();
	(void)limit_worker(lowest_free() + 30);
	while (n < 64 && zcp_node_open(&others[n], NULL) == 0)
		n++;
	ZCP_CHECK(n > 0 && n < 64);
	ZCP_CHECK(zcp_test_has(zcp_node_error(NULL), "RLIMIT_NOFILE"));
	ZCP_OK(zcp_subscriber_open(&subscriber, others[0], "another", NULL), others[0]);
	for (int i = 1; i < n; i++)
		zcp_node_close(others[i]);
	last = open_when_there_is_room();
	zcp_node_close(last);
	zcp_node_close(others[0]);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(the_last_descriptors_are_for_those_who_are_there),
	ZCP_TEST_CASE(without_any_it_says_so_as_well),
	ZCP_TEST_CASE(node_whose_request_finds_no_room_stays),
	ZCP_TEST_CASE(room_of_one_that_leaves_is_for_the_next),
};

ZCP_TEST_MAIN(cases)
