/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a runtime ends, what it leaves, and what goes on without it.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

static void ends_when_it_was_idle_and_the_next_node_starts_another(void)
{
	const struct zcp_message list = { .type = ZCP_MESSAGE_LIST };
	struct zcp_node *node;
	uint64_t id;
	int pidfd;

	ZCP_CHECK(setenv("ZCP_CONFIG", zcp_test_config("[runtime]\nidle_timeout = \"50ms\"\n"),
			 1) == 0);
	for (int round = 0; round < 5; round++) {
		node = zcp_test_node();
		id = zcp_test_domain_id(node);
		pidfd = zcp_test_runtime_pidfd("default");
		/* As long as there is a node it is not idle. */
		for (int i = 0; i < 1000; i++) {
			struct zcp_message reply;

			ZCP_OK(zcp_test_node_request(node, &list, ZCP_MESSAGE_TOPICS, &reply),
			       node);
			zcp_message_deinit(&reply);
		}
		ZCP_CHECK(!zcp_test_ends(pidfd, 0));
		zcp_node_close(node);
		if (round % 2 == 0) {
			ZCP_CHECK(zcp_test_ends(pidfd, -1));
			ZCP_CHECK(!zcp_test_exists("default/zcpd.sock") &&
				  !zcp_test_exists("default/zcpd.pid"));
		}
		/* Else it is met alive, as it ends, or gone: a node is served in any case. */
		node = zcp_test_node();
		ZCP_CHECK(zcp_test_domain_id(node) != id || !zcp_test_ends(pidfd, 0));
		zcp_node_close(node);
		(void)close(pidfd);
	}
}

static void one_started_by_hand_stays(void)
{
	struct zcp_test_runtime runtime;

	zcp_test_runtime_start(&runtime, "[runtime]\nidle_timeout = \"1ms\"\n");
	for (int i = 0; i < 200; i++)
		zcp_node_close(zcp_test_node());
	ZCP_CHECK(!zcp_test_ends(runtime.pidfd, 0));
	zcp_test_runtime_stop(&runtime);
}

static void signals_end_it_and_it_leaves_no_names(void)
{
	static const int numbers[] = { SIGTERM, SIGINT };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct zcp_test_runtime runtime;
		struct zcp_node *node;
		int status;

		zcp_test_runtime_start(&runtime, NULL);
		node = zcp_test_node();
		ZCP_CHECK(zcp_test_exists("default/zcpd.sock") &&
			  zcp_test_exists("default/zcpd.pid"));
		ZCP_CHECK(zcp_test_runtime_pid("default") == runtime.pid);
		ZCP_CHECK(zcp_test_pidfd_kill(runtime.pidfd, numbers[i]) == 0);
		zcp_test_runtime_notifies(&runtime, "STOPPING=1");
		ZCP_CHECK(waitpid(runtime.pid, &status, 0) == runtime.pid);
		ZCP_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		ZCP_CHECK(!zcp_test_exists("default/zcpd.sock") &&
			  !zcp_test_exists("default/zcpd.pid"));
		ZCP_CHECK(
			zcp_test_runtime_said(&runtime, i == 0 ? "ends: SIGTERM" : "ends: SIGINT"));
		zcp_node_close(node);
	}
}

/* --- what goes on without it --- */

static void check_without_runtime(struct zcp_node *node, struct zcp_publisher *publisher,
				  struct zcp_subscriber *subscriber, uint64_t *n)
{
	for (int i = 0; i < 1000; i++) {
		zcp_test_send(publisher, ++*n);
		ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
		zcp_test_expect(subscriber, *n);
	}
}

static void check_cannot_open(struct zcp_node *node)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;

	options.max_payload = 64;
	/* The second time as well, when the end of the connection is known. */
	for (int i = 0; i < 2; i++) {
		ZCP_REFUSED(zcp_publisher_open(&publisher, node, "t", &options), node, -ENOTCONN,
			    "runtime of domain 'default' is gone|start zcpd");
		ZCP_REFUSED(zcp_subscriber_open(&subscriber, node, "t", NULL), node, -ENOTCONN,
			    "runtime of domain 'default' is gone|start zcpd");
	}
}

static void endpoints_go_on_when_it_is_gone(void)
{
	for (int kill = 0; kill < 2; kill++) {
		struct zcp_test_runtime runtime;
		struct zcp_publisher *publisher, *other;
		struct zcp_subscriber *subscriber;
		struct zcp_node *old, *new;
		struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;
		uint64_t n = 0;

		zcp_test_runtime_start(&runtime, NULL);
		options.auto_start = ZCP_AUTO_START_OFF;
		options.timeout_ns = 50000000;
		ZCP_OK(zcp_node_open(&old, &options), NULL);
		publisher = zcp_test_publisher(old, "t", 64, 2);
		subscriber = zcp_test_subscriber(old, "t", 4, 2, 0);
		check_without_runtime(old, publisher, subscriber, &n);
		if (kill)
			zcp_test_runtime_kill_all(&runtime);
		else
			zcp_test_runtime_stop(&runtime);
		ZCP_CHECK(zcp_test_exists("default/zcpd.sock") == (kill == 1));
		check_without_runtime(old, publisher, subscriber, &n);
		check_cannot_open(old);
		check_without_runtime(old, publisher, subscriber, &n);

		/* One that comes too late finds a new runtime, where the topic is another one. */
		new = zcp_test_node();
		ZCP_CHECK(zcp_test_domain_id(new) != zcp_test_domain_id(old));
		other = zcp_test_publisher(new, "t", 64, 2);
		ZCP_CHECK(zcp_publisher_n_subscribers(other) == 0);
		ZCP_REFUSED(zcp_node_wait(old, ZCP_FOREVER), old, -ESTALE, "open it again");
		zcp_subscriber_close(subscriber);
		zcp_publisher_close(publisher);
		zcp_node_close(old);
		zcp_node_close(new);
		ZCP_CHECK(zcp_test_runtime_pid("default") > 0);
		zcp_test_started_runtime_stop("default");
	}
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(ends_when_it_was_idle_and_the_next_node_starts_another),
	ZCP_TEST_CASE(one_started_by_hand_stays),
	ZCP_TEST_CASE(signals_end_it_and_it_leaves_no_names),
	ZCP_TEST_CASE(endpoints_go_on_when_it_is_gone),
};

ZCP_TEST_MAIN(cases)
