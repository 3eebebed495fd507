/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a runtime: who starts it, who may not, when it ends, and what goes on without
 * it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pubsub/client/control.h"
#include "pubsub/client/node.h"
#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define N_STARTERS 16

static bool exists(const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", zcp_test_directory(), name);
	return access(path, F_OK) == 0;
}

/* A pidfd of the runtime that serves now, by its pid file. */
static int runtime_pidfd(void)
{
	int pidfd = zcp_test_pidfd(zcp_test_runtime_pid("default"));

	ZCP_CHECK(pidfd >= 0);
	return pidfd;
}

static void end_started_runtime(void)
{
	int pidfd = runtime_pidfd();

	ZCP_CHECK(zcp_test_pidfd_kill(pidfd, SIGTERM) == 0);
	ZCP_CHECK(zcp_test_ends(pidfd, -1));
	(void)close(pidfd);
}

static int open_without_starting(struct zcp_node **node)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;

	options.auto_start = ZCP_AUTO_START_OFF;
	return zcp_node_open(node, &options);
}

/* --- its start --- */

static void open_when_told(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node;

	(void)arg;
	zcp_test_say_step(self, 0);
	zcp_test_hear_step(self, 1);
	node = zcp_test_node();
	zcp_test_say(self, &node->domain_id, sizeof(node->domain_id));
	zcp_test_hear_step(self, 2);
	zcp_node_close(node);
}

static void start_at_once(int n)
{
	struct zcp_test_child children[N_STARTERS];
	uint64_t id, first = 0;

	for (int i = 0; i < n; i++)
		zcp_test_fork(&children[i], open_when_told, NULL);
	for (int i = 0; i < n; i++)
		zcp_test_hear_step(&children[i], 0);
	for (int i = 0; i < n; i++)
		zcp_test_say_step(&children[i], 1);
	for (int i = 0; i < n; i++) {
		zcp_test_hear(&children[i], &id, sizeof(id));
		ZCP_CHECK(id != 0 && (i == 0 || id == first));
		first = id;
	}
	for (int i = 0; i < n; i++)
		zcp_test_say_step(&children[i], 2);
	for (int i = 0; i < n; i++)
		zcp_test_join(&children[i]);
}

static void two_processes_start_one_runtime(void)
{
	for (int round = 0; round < 10; round++) {
		int pidfd;

		start_at_once(2);
		pidfd = runtime_pidfd();
		/* The next one meets it dead, or as it ends. */
		ZCP_CHECK(zcp_test_pidfd_kill(pidfd, round % 2 ? SIGKILL : SIGTERM) == 0);
		if (round % 4 < 2)
			ZCP_CHECK(zcp_test_ends(pidfd, -1));
		(void)close(pidfd);
	}
}

static void sixteen_processes_start_one_runtime(void)
{
	start_at_once(N_STARTERS);
}

static atomic_bool reaping;

static void *reap(void *arg)
{
	while (atomic_load_explicit(&reaping, memory_order_relaxed))
		(void)waitpid(-1, NULL, WNOHANG);
	return arg;
}

static void program_that_reaps_all_its_children_starts_one(void)
{
	pthread_t thread;
	struct zcp_node *node;

	atomic_store_explicit(&reaping, true, memory_order_relaxed);
	ZCP_CHECK(pthread_create(&thread, NULL, reap, NULL) == 0);
	node = zcp_test_node();
	atomic_store_explicit(&reaping, false, memory_order_relaxed);
	ZCP_CHECK(pthread_join(thread, NULL) == 0);
	zcp_node_close(node);
}

static void program_that_ignores_its_children_starts_one(void)
{
	ZCP_CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	zcp_node_close(zcp_test_node());
}

/* What a program has done to its signals is not its runtime's affair. */
static void runtime_has_its_own_signals(void)
{
	struct zcp_node *node;
	sigset_t all, old;

	ZCP_CHECK(sigfillset(&all) == 0 && sigprocmask(SIG_SETMASK, &all, &old) == 0);
	ZCP_CHECK(signal(SIGTERM, SIG_IGN) != SIG_ERR);
	node = zcp_test_node();
	ZCP_CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
	end_started_runtime();
	zcp_node_close(node);
}

static void in_the_background_it_returns_when_it_serves(void)
{
	static char out[4096], err[4096];
	struct zcp_node *node;

	for (int i = 0; i < 20; i++) {
		ZCP_CHECK(zcp_test_zcpd((const char *[]){ NULL }, out, err, sizeof(out)) == 0);
		ZCP_CHECK(out[0] == 0 && err[0] == 0);
		ZCP_OK(open_without_starting(&node), NULL);
		zcp_node_close(node);
		end_started_runtime();
	}
	ZCP_CHECK(exists("default/zcpd.log"));
	ZCP_CHECK(zcp_test_zcpd((const char *[]){ "--config", zcp_test_config("[runtime"), NULL },
				out, err, sizeof(out)) == 1);
	ZCP_CHECK(zcp_test_has(err, "zcpd: |zcp.toml:1:"));
	ZCP_CHECK(!exists("default/zcpd.sock"));
}

static void second_runtime_of_a_domain_is_refused(void)
{
	static const char *const words = "domain 'default' has a runtime already|zcpd.pid|--domain";
	struct zcp_test_runtime runtime;
	static char out[4096], err[4096];
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, NULL);
	ZCP_CHECK(zcp_test_zcpd((const char *[]){ "--foreground", NULL }, out, err, sizeof(out)) ==
		  1);
	ZCP_CHECK(zcp_test_has(err, words));
	ZCP_CHECK(zcp_test_zcpd((const char *[]){ NULL }, out, err, sizeof(out)) == 1);
	ZCP_CHECK(zcp_test_has(err, words));
	/* A node that was late with it: the other one serves it too. */
	ZCP_CHECK(zcp_test_zcpd((const char *[]){ "--until-idle", NULL }, out, err, sizeof(out)) ==
		  0);
	ZCP_CHECK(zcp_test_runtime_pid("default") == runtime.pid);
	ZCP_OK(open_without_starting(&node), NULL);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

/* --- its end --- */

static void ends_when_it_was_idle_and_the_next_node_starts_another(void)
{
	const struct zcp_message list = { .type = ZCP_MESSAGE_LIST };
	struct zcp_node *node;
	uint64_t id;
	int pidfd;

	ZCP_CHECK(setenv("ZCP_CONFIG", zcp_test_config("[runtime]\nidle_timeout = \"2ms\"\n"), 1) ==
		  0);
	for (int round = 0; round < 5; round++) {
		node = zcp_test_node();
		id = node->domain_id;
		pidfd = runtime_pidfd();
		/* As long as there is a node it is not idle. */
		for (int i = 0; i < 1000; i++) {
			struct zcp_message reply;

			ZCP_OK(zcp_control_request(node, &list, ZCP_MESSAGE_TOPICS, &reply, NULL),
			       node);
			zcp_message_deinit(&reply);
		}
		ZCP_CHECK(!zcp_test_ends(pidfd, 0));
		zcp_node_close(node);
		if (round % 2 == 0) {
			ZCP_CHECK(zcp_test_ends(pidfd, -1));
			ZCP_CHECK(!exists("default/zcpd.sock") && !exists("default/zcpd.pid"));
		}
		/* Else it is met alive, as it ends, or gone: a node is served in any case. */
		node = zcp_test_node();
		ZCP_CHECK(node->domain_id != id || !zcp_test_ends(pidfd, 0));
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
		ZCP_CHECK(exists("default/zcpd.sock") && exists("default/zcpd.pid"));
		ZCP_CHECK(zcp_test_runtime_pid("default") == runtime.pid);
		ZCP_CHECK(zcp_test_pidfd_kill(runtime.pidfd, numbers[i]) == 0);
		zcp_test_runtime_notifies(&runtime, "STOPPING=1");
		ZCP_CHECK(waitpid(runtime.pid, &status, 0) == runtime.pid);
		ZCP_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		ZCP_CHECK(!exists("default/zcpd.sock") && !exists("default/zcpd.pid"));
		ZCP_CHECK(zcp_test_runtime_said(&runtime, i == 0 ? "ends: SIGTERM" : "ends: SIGINT"));
		zcp_node_close(node);
	}
}

/* --- and what goes on without it --- */

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
			    "runtime of domain 'default' is gone|open a new node");
		ZCP_REFUSED(zcp_subscriber_open(&subscriber, node, "t", NULL), node, -ENOTCONN,
			    "runtime of domain 'default' is gone|open a new node");
	}
}

static void endpoints_go_on_when_it_is_gone(void)
{
	for (int kill = 0; kill < 2; kill++) {
		struct zcp_test_runtime runtime;
		struct zcp_publisher *publisher, *other;
		struct zcp_subscriber *subscriber;
		struct zcp_node *old, *new;
		uint64_t n = 0;

		zcp_test_runtime_start(&runtime, NULL);
		old = zcp_test_node();
		publisher = zcp_test_publisher(old, "t", 64, 2);
		subscriber = zcp_test_subscriber(old, "t", 4, 2, 0);
		check_without_runtime(old, publisher, subscriber, &n);
		if (kill)
			zcp_test_runtime_kill(&runtime);
		else
			zcp_test_runtime_stop(&runtime);
		ZCP_CHECK(exists("default/zcpd.sock") == (kill == 1));
		check_without_runtime(old, publisher, subscriber, &n);
		check_cannot_open(old);
		check_without_runtime(old, publisher, subscriber, &n);

		/* A new node has a new runtime, and the same topic is another one there. */
		new = zcp_test_node();
		ZCP_CHECK(new->domain_id != old->domain_id);
		other = zcp_test_publisher(new, "t", 64, 2);
		ZCP_CHECK(zcp_publisher_n_subscribers(other) == 0);
		check_without_runtime(old, publisher, subscriber, &n);
		check_cannot_open(old);
		zcp_subscriber_close(subscriber);
		zcp_publisher_close(publisher);
		zcp_node_close(old);
		zcp_node_close(new);
		end_started_runtime();
	}
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(two_processes_start_one_runtime),
	ZCP_TEST_CASE(sixteen_processes_start_one_runtime),
	ZCP_TEST_CASE(program_that_reaps_all_its_children_starts_one),
	ZCP_TEST_CASE(program_that_ignores_its_children_starts_one),
	ZCP_TEST_CASE(runtime_has_its_own_signals),
	ZCP_TEST_CASE(in_the_background_it_returns_when_it_serves),
	ZCP_TEST_CASE(second_runtime_of_a_domain_is_refused),
	ZCP_TEST_CASE(ends_when_it_was_idle_and_the_next_node_starts_another),
	ZCP_TEST_CASE(one_started_by_hand_stays),
	ZCP_TEST_CASE(signals_end_it_and_it_leaves_no_names),
	ZCP_TEST_CASE(endpoints_go_on_when_it_is_gone),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
