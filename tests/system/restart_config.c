/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration that a runtime began with holds until it ends, whatever becomes of the file,
 * and whichever worker goes on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zcp/zcp.h>

#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define N_DEATHS 3

static const char two_topics[] = "[runtime]\nmax_topics = 2\n"
				 "[topic.\"t\"]\nmax_payload = 64\n";

static int try_to_subscribe(struct zcp_node *node, const char *topic)
{
	struct zcp_subscriber *subscriber;

	return zcp_subscriber_open(&subscriber, node, topic, NULL);
}

/* Two topics, one of them with a size that only the configuration says. */
static void check_two_topics(struct zcp_node *node, struct zcp_publisher *publisher,
			     struct zcp_subscriber *subscriber, uint64_t n)
{
	ZCP_CHECK(zcp_publisher_max_payload(publisher) == 64);
	zcp_test_send(publisher, n);
	zcp_test_expect(subscriber, n);
	ZCP_REFUSED(try_to_subscribe(node, "c"), node, -EUSERS, "2 topics|max_topics");
	(void)zcp_test_audit(node);
}

static void check_deaths(struct zcp_test_runtime *runtime, void (*change)(const char *path))
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", 4, 1, 0);
	struct zcp_publisher *publisher;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/zcp.toml", zcp_test_directory());
	ZCP_OK(zcp_publisher_open(&publisher, node, "t", NULL), node);
	ZCP_OK(try_to_subscribe(node, "b"), node);
	check_two_topics(node, publisher, subscriber, 1);
	change(path);
	for (uint64_t i = 0; i < N_DEATHS; i++) {
		(void)zcp_test_kill_worker(runtime->pid);
		check_two_topics(node, publisher, subscriber, i + 2);
		/* One that comes to a topic which is there, and to one that begins anew. */
		zcp_publisher_close(publisher);
		zcp_subscriber_close(subscriber);
		subscriber = zcp_test_subscriber(node, "t", 4, 1, 0);
		ZCP_OK(zcp_publisher_open(&publisher, node, "t", NULL), node);
	}
	ZCP_CHECK(!zcp_test_ends(runtime->pidfd, 0));
	zcp_node_close(node);
	zcp_test_runtime_stop(runtime);
	ZCP_CHECK(!zcp_test_runtime_said(runtime, "exit code"));
}

static void check_change(void (*change)(const char *path))
{
	struct zcp_test_runtime runtime;

	zcp_test_runtime_start(&runtime, two_topics);
	check_deaths(&runtime, change);
}

static void remove_file(const char *path)
{
	ZCP_CHECK(unlink(path) == 0);
}

static void file_that_is_removed(void)
{
	check_change(remove_file);
}

static void spoil(const char *path)
{
	(void)path;
	(void)zcp_test_config("[runtime\nmax_topics = many\n");
}

static void file_that_is_wrong_by_now(void)
{
	check_change(spoil);
}

static void edit(const char *path)
{
	(void)path;
	(void)zcp_test_config("[runtime]\nmax_topics = 1\n[topic.\"t\"]\nmax_payload = 8\n");
}

static void file_that_says_something_else_by_now(void)
{
	check_change(edit);
}

/* A directory cannot be read by anybody. */
static void make_unreadable(const char *path)
{
	ZCP_CHECK(unlink(path) == 0 && mkdir(path, 0) == 0);
}

static void file_that_cannot_be_read_any_more(void)
{
	check_change(make_unreadable);
}

static void leave_it(const char *path)
{
	(void)path;
}

/* From a pipe, whose contents can be read only once. */
static void pipe_in_place_of_a_file(void)
{
	struct zcp_test_runtime runtime;
	char path[32];
	int fds[2];

	ZCP_CHECK(pipe(fds) == 0);
	ZCP_CHECK(write(fds[1], two_topics, strlen(two_topics)) == (ssize_t)strlen(two_topics));
	(void)close(fds[1]);
	(void)snprintf(path, sizeof(path), "/dev/fd/%d", fds[0]);
	ZCP_CHECK(setenv("ZCP_CONFIG", path, 1) == 0);
	zcp_test_runtime_start(&runtime, NULL);
	ZCP_CHECK(unsetenv("ZCP_CONFIG") == 0);
	(void)close(fds[0]);
	check_deaths(&runtime, leave_it);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(file_that_is_removed),
	ZCP_TEST_CASE(file_that_is_wrong_by_now),
	ZCP_TEST_CASE(file_that_says_something_else_by_now),
	ZCP_TEST_CASE(file_that_cannot_be_read_any_more),
	ZCP_TEST_CASE(pipe_in_place_of_a_file),
};

ZCP_TEST_MAIN(cases)
