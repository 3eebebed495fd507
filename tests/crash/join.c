/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime's worker dies at each step of a join that has promised history.
 */
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define HISTORY 2

/* Comes when the worker is about to die over it, and is let in by the next one. */
static void be_late(struct zcp_test_child *self, void *arg)
{
	struct zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber;
	uint64_t number, lost;

	(void)arg;
	options.depth = 1;
	options.held = 1;
	options.history = HISTORY;
	zcp_test_say_step(self, 0);
	zcp_test_hear_step(self, 1);
	ZCP_OK(zcp_subscriber_open(&subscriber, node, "t", &options), node);
	for (uint64_t i = 1; i <= HISTORY; i++)
		zcp_test_expect(subscriber, i);
	ZCP_CHECK(zcp_test_take(subscriber, &number, &lost));
	ZCP_CHECK(number == 10 && lost == 10 - HISTORY - 1);
	zcp_test_say_step(self, 2);
	zcp_test_wait_for_the_end(self);
}

/*
 * The worker dies while one joins: what that was promised stays until the next worker has answered
 * it, whatever the publisher sends meanwhile.
 */
static void die_at_a_join(const char *point)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_test_runtime runtime;
	struct zcp_publisher *publisher;
	struct zcp_test_child child;
	struct zcp_node *node;
	int worker;

	ZCP_CHECK(setenv("ZCP_CRASHPOINT", point, 1) == 0);
	zcp_test_runtime_start(&runtime, NULL);
	ZCP_CHECK(unsetenv("ZCP_CRASHPOINT") == 0);
	worker = zcp_test_pidfd(runtime.worker);
	node = zcp_test_node();
	options.max_payload = sizeof(uint64_t);
	options.history = HISTORY;
	ZCP_OK(zcp_publisher_open(&publisher, node, "t", &options), node);
	for (uint64_t i = 1; i <= HISTORY; i++)
		zcp_test_send(publisher, i);
	zcp_test_fork(&child, be_late, NULL);
	zcp_test_hear_step(&child, 0);
	/* Without its keeper awake it has no successor. */
	zcp_test_stop_process(runtime.pid);
	zcp_test_say_step(&child, 1);
	ZCP_CHECK(zcp_test_ends(worker, -1));
	for (uint64_t i = HISTORY + 1; i <= 10; i++)
		zcp_test_send(publisher, i);
	zcp_test_continue_process(runtime.pid);
	zcp_test_hear_step(&child, 2);
	ZCP_CHECK(zcp_test_runtime_said(&runtime, "the worker has died (signal 9)"));
	ZCP_CHECK(zcp_test_audit(node) == 0);
	zcp_test_kill(&child);
	zcp_test_wait_for_members(node, "t", 1, 0);
	(void)close(worker);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static void what_was_promised_outlives_the_worker(void)
{
	die_at_a_join("join.after_active:1");
	die_at_a_join("join.after_base:1");
	die_at_a_join("join.after_tail:1");
	die_at_a_join("join.after_floor:1");
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(what_was_promised_outlives_the_worker),
};

ZCP_TEST_MAIN(cases)
