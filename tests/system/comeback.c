/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All of the runtime is killed at once, keeper and worker, and another one comes: what is open
 * goes on, its nodes come back to it with all that they have, and who has died meanwhile is
 * cleaned up.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/load.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"
#include "tests/support/scene.h"

static void a_node_comes_back_with_what_it_has(void)
{
	struct zcp_publisher *other;
	struct zcp_test_scene scene;
	struct zcp_node *new;
	uint64_t domain;

	zcp_test_scene_begin(&scene, NULL);
	domain = zcp_test_domain_id(scene.node);
	for (int round = 0; round < 5; round++) {
		uint64_t publisher_id = zcp_publisher_id(scene.publisher);

		zcp_test_scene_exchange(&scene);
		zcp_test_send(scene.publisher, ++scene.n);
		zcp_test_runtime_kill_all(&scene.runtime);
		zcp_test_expect(scene.subscriber, scene.n);
		zcp_test_scene_exchange(&scene);
		zcp_test_send(scene.publisher, ++scene.n);
		zcp_test_runtime_start(&scene.runtime, NULL);
		/* By asking, it comes back. */
		zcp_test_check_members(scene.node, "t", 1, 1);
		ZCP_CHECK(zcp_test_domain_id(scene.node) == domain);
		ZCP_CHECK(zcp_publisher_id(scene.publisher) == publisher_id);
		zcp_test_expect(scene.subscriber, scene.n);
		ZCP_CHECK(zcp_test_audit(scene.node) == 0);
		zcp_test_scene_exchange(&scene);
		new = zcp_test_node();
		ZCP_CHECK(zcp_test_domain_id(new) == domain);
		ZCP_CHECK(zcp_test_node_id(new) != zcp_test_node_id(scene.node));
		other = zcp_test_publisher(new, "t", ZCP_SCENE_PAYLOAD, 2);
		ZCP_CHECK(zcp_publisher_n_subscribers(other) == 1);
		zcp_test_send(other, 7);
		zcp_test_expect(scene.subscriber, 7);
		zcp_node_close(new);
		zcp_test_wait_for_members(scene.node, "t", 1, 1);
	}
	zcp_subscriber_close(scene.subscriber);
	scene.subscriber = zcp_test_subscriber(scene.node, "t", ZCP_SCENE_DEPTH, ZCP_SCENE_HELD,
					       ZCP_ON_FULL_BLOCK);
	ZCP_CHECK(zcp_test_inside(scene.subscriber).slot == 0);
	zcp_test_scene_end(&scene);
}

/* Nothing wakes it, and it asks for nothing: it comes back by publishing, or by looking. */
static void one_who_only_publishes_comes_back(void)
{
	for (int looks = 0; looks < 2; looks++) {
		struct zcp_test_runtime runtime;
		struct zcp_publisher *publisher;
		struct zcp_node *node, *other;
		uint64_t n = 0;

		zcp_test_runtime_start(&runtime, NULL);
		node = zcp_test_node();
		publisher = zcp_test_publisher(node, "t", ZCP_SCENE_PAYLOAD, 2);
		zcp_test_runtime_kill_all(&runtime);
		zcp_test_runtime_start(&runtime, NULL);
		/* Not only its node: what is waited for is that it has handed all back. */
		while (!zcp_test_runtime_said(&runtime, "topic 't' has been handed back")) {
			if (looks)
				ZCP_CHECK(zcp_node_wait(node, 0) == -ETIMEDOUT);
			else
				zcp_test_send(publisher, ++n);
		}
		other = zcp_test_node();
		(void)zcp_test_subscriber(other, "t", ZCP_SCENE_DEPTH, ZCP_SCENE_HELD, 0);
		ZCP_CHECK(zcp_publisher_n_subscribers(publisher) == 1);
		zcp_node_close(other);
		zcp_node_close(node);
		zcp_test_runtime_stop(&runtime);
		ZCP_CHECK(unlink(runtime.log) == 0);
	}
}

/* --- who sleeps, and who dies meanwhile --- */

enum way {
	SLEEP,
	POLL,
};

/* Takes numbers until it has one that is UINT64_MAX. */
static void receive(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", 64, ZCP_SCENE_HELD, 0);
	uint64_t number = 0, lost, sum = 0;
	struct pollfd pollfd = { .fd = -1, .events = POLLIN };

	if (*(enum way *)arg == POLL) {
		pollfd.fd = zcp_node_fd(node);
		ZCP_CHECK(pollfd.fd >= 0 && zcp_node_wait(node, 0) == -ETIMEDOUT);
	}
	zcp_test_say_step(self, 0);
	while (number != UINT64_MAX) {
		int r;

		if (pollfd.fd >= 0) {
			ZCP_CHECK(poll(&pollfd, 1, -1) == 1);
			while (zcp_test_take(subscriber, &number, &lost))
				sum += lost == 0;
			r = zcp_node_wait(node, 0);
			ZCP_CHECK(r == 0 || r == -ETIMEDOUT);
			continue;
		}
		ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
		while (zcp_test_take(subscriber, &number, &lost))
			sum += lost == 0;
	}
	zcp_test_say_step(self, sum);
	zcp_node_close(node);
}

static void publish_and_subscribe(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();

	(void)zcp_test_publisher(node, "t", ZCP_SCENE_PAYLOAD, 2);
	(void)zcp_test_subscriber(node, "t", ZCP_SCENE_DEPTH, ZCP_SCENE_HELD, 0);
	(void)arg;
	zcp_test_say_step(self, 0);
	zcp_test_wait_for_the_end(self);
}

/*
 * Sleepers are found by the runtime that comes, whether they sleep or poll; one who has died in
 * between is cleaned up.
 */
static void sleepers_come_back_by_themselves(void)
{
	enum way ways[] = { SLEEP, POLL, SLEEP, POLL };
	struct zcp_test_child receivers[4], dies;
	struct zcp_publisher *publisher;
	struct zcp_test_runtime runtime;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, "t", ZCP_SCENE_PAYLOAD, 2);
	for (int i = 0; i < 4; i++) {
		zcp_test_fork(&receivers[i], receive, &ways[i]);
		zcp_test_hear_step(&receivers[i], 0);
	}
	for (uint64_t round = 0; round < 3; round++) {
		zcp_test_fork(&dies, publish_and_subscribe, NULL);
		zcp_test_hear_step(&dies, 0);
		zcp_test_wait_for_members(node, "t", 2, 5);
		zcp_test_send(publisher, 2 * round);
		zcp_test_runtime_kill_all(&runtime);
		zcp_test_kill(&dies);
		zcp_test_send(publisher, 2 * round + 1);
		zcp_test_runtime_start(&runtime, NULL);
		zcp_test_wait_for_members(node, "t", 1, 4);
		/* Each has come by itself: the runtime says so. */
		while (zcp_test_runtime_count(&runtime, "has come back") < 5 * (round + 1))
			ZCP_CHECK(zcp_test_ask(node, "t") == 0);
		while (zcp_test_audit(node) != 0)
			;
	}
	zcp_test_send(publisher, UINT64_MAX);
	for (int i = 0; i < 4; i++) {
		zcp_test_hear_step(&receivers[i], 7);
		zcp_test_join(&receivers[i]);
	}
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static void publish_again(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "t", ZCP_SCENE_PAYLOAD, 2);

	(void)arg;
	zcp_test_say_step(self, 0);
	zcp_test_hear_step(self, 1);
	/* Whether the other one has opened its publisher by now is all one. */
	ZCP_CHECK(zcp_test_ask(node, "t") == 0);
	zcp_test_send(publisher, 1);
	zcp_node_close(node);
	zcp_test_say_step(self, 2);
}

static void come_new(struct zcp_test_child *self, void *arg)
{
	(void)arg;
	zcp_test_hear_step(self, 1);
	(void)zcp_test_publisher(zcp_test_node(), "t", ZCP_SCENE_PAYLOAD, 2);
	zcp_test_say_step(self, 2);
}

/*
 * The new runtime does not run for as long as it would wait for the nodes of the one before. A node
 * that is new is at its door first, and still waits for the one that comes back.
 */
static void time_in_which_the_runtime_does_not_run_is_not_counted(void)
{
	struct zcp_test_child former, new;
	struct zcp_test_runtime runtime;

	zcp_test_runtime_start(&runtime, NULL);
	zcp_test_fork(&former, publish_again, NULL);
	zcp_test_hear_step(&former, 0);
	zcp_test_fork(&new, come_new, NULL);
	zcp_test_runtime_kill_all(&runtime);
	zcp_test_runtime_start(&runtime, NULL);
	zcp_test_stop_process(runtime.worker);
	zcp_test_say_step(&new, 1);
	zcp_test_wait_until_asleep_in(new.pid, "poll");
	zcp_test_say_step(&former, 1);
	zcp_test_wait_until_asleep_in(former.pid, "poll");
	/* return_timeout, and more */
	(void)nanosleep(&(struct timespec){ .tv_sec = 1, .tv_nsec = 100000000 }, NULL);
	zcp_test_continue_process(runtime.worker);
	zcp_test_hear_step(&former, 2);
	zcp_test_hear_step(&new, 2);
	zcp_test_join(&former);
	zcp_test_join(&new);
	zcp_test_runtime_stop(&runtime);
}

/* --- history, a pool that is shared, and one that has grown --- */

static const char config[] = "[pool.shared]\n"
			     "classes = [ { size = \"256\", count = 64 }, "
			     "{ size = \"4KiB\", count = 32 } ]\n"
			     "[topic.\"shared/*\"]\npool = \"shared\"\n"
			     "[topic.kept]\nhistory = 4\nkeep_history = true\n";

static void pools_and_history_come_back(void)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_subscriber_options late = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_publisher *a, *b, *large, *kept;
	struct zcp_subscriber *of_a, *of_b, *of_large, *of_kept;
	struct zcp_test_runtime runtime;
	struct zcp_node *node, *other;

	zcp_test_runtime_start(&runtime, config);
	node = zcp_test_node();
	other = zcp_test_node();
	a = zcp_test_publisher(node, "shared/a", 256, 2);
	b = zcp_test_publisher(other, "shared/b", 4096, 2);
	of_a = zcp_test_subscriber(other, "shared/a", ZCP_SCENE_DEPTH, ZCP_SCENE_HELD, 0);
	of_b = zcp_test_subscriber(node, "shared/b", ZCP_SCENE_DEPTH, ZCP_SCENE_HELD, 0);
	(void)zcp_test_publisher(node, "grows", 64, 2);
	of_large = zcp_test_subscriber(node, "grows", ZCP_SCENE_DEPTH, ZCP_SCENE_HELD, 0);
	large = zcp_test_publisher(other, "grows", 10000, 2);
	options.max_payload = ZCP_SCENE_PAYLOAD;
	ZCP_OK(zcp_publisher_open(&kept, node, "kept", &options), node);
	for (uint64_t i = 1; i <= 10; i++)
		zcp_test_send(kept, i);
	zcp_publisher_close(kept);
	of_kept = zcp_test_subscriber(node, "kept", 2, ZCP_SCENE_HELD, 0);
	zcp_test_send(a, 1);
	zcp_test_send(b, 2);
	zcp_test_send(large, 3);
	zcp_test_runtime_kill_all(&runtime);
	zcp_test_runtime_start(&runtime, config);
	/* One after another: each hands back what it knows of it. */
	zcp_test_check_members(node, "shared/a", 1, 1);
	zcp_test_check_members(other, "shared/b", 1, 1);
	zcp_test_check_members(other, "grows", 2, 1);
	zcp_test_expect(of_a, 1);
	zcp_test_expect(of_b, 2);
	zcp_test_expect(of_large, 3);
	zcp_test_send(a, 4);
	zcp_test_expect(of_a, 4);
	ZCP_CHECK(zcp_test_audit(node) == 0);
	late.history = 10;
	late.depth = 8;
	zcp_subscriber_close(of_kept);
	ZCP_CHECK(zcp_test_ask(node, "kept") == 0);
	ZCP_OK(zcp_subscriber_open(&of_kept, node, "kept", &late), node);
	for (uint64_t i = 7; i <= 10; i++)
		zcp_test_expect(of_kept, i);
	zcp_node_close(other);
	zcp_test_wait_for_members(node, "grows", 1, 1);
	ZCP_CHECK(zcp_test_audit(node) == 0);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

/* --- under load --- */

static void nothing_is_lost_under_load(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_test_load load;
	struct zcp_node *node;
	uint64_t n = 0;

	zcp_test_runtime_start(&runtime, NULL);
	zcp_test_load_begin(&load);
	for (; zcp_test_load_goes_on(&load); n++) {
		zcp_test_runtime_kill_all(&runtime);
		zcp_test_runtime_start(&runtime, NULL);
	}
	node = zcp_test_node();
	zcp_test_load_end(&load, "runtimes", n);
	while (zcp_test_ask(node, "load") == 0 || zcp_test_ask(node, "other") == 0)
		;
	ZCP_CHECK(zcp_test_audit(node) == 0);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(a_node_comes_back_with_what_it_has),
	ZCP_TEST_CASE(one_who_only_publishes_comes_back),
	ZCP_TEST_CASE(sleepers_come_back_by_themselves),
	ZCP_TEST_CASE(time_in_which_the_runtime_does_not_run_is_not_counted),
	ZCP_TEST_CASE(pools_and_history_come_back),
	ZCP_TEST_CASE(nothing_is_lost_under_load),
};

ZCP_TEST_MAIN(cases)
