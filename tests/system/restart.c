/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime's worker is killed: whoever publishes and subscribes notices nothing, nothing is
 * lost, and what nodes ask for is done by the next worker.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/load.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"
#include "tests/support/scene.h"

static void links_go_on(void)
{
	struct zcp_test_scene scene;

	zcp_test_scene_begin(&scene, NULL);
	for (int round = 0; round < 5; round++) {
		pid_t before;

		zcp_test_scene_exchange(&scene);
		/* One is queued while the worker changes. */
		zcp_test_send(scene.publisher, ++scene.n);
		before = zcp_test_kill_worker(scene.runtime.pid);
		zcp_test_scene_check_members(&scene, 1, 1);
		ZCP_CHECK(zcp_test_worker(scene.runtime.pid) != before);
		zcp_test_expect(scene.subscriber, scene.n);
		ZCP_CHECK(zcp_test_audit(scene.node) == 0);
	}
	ZCP_CHECK(zcp_publisher_n_subscribers(scene.publisher) == 1);
	zcp_subscriber_close(scene.subscriber);
	scene.subscriber = zcp_test_subscriber(scene.node, "t", ZCP_SCENE_DEPTH, ZCP_SCENE_HELD,
					       ZCP_ON_FULL_BLOCK);
	ZCP_CHECK(zcp_test_inside(scene.subscriber).slot == 0);
	zcp_test_scene_end(&scene);
}

/* --- who dies while there is no worker --- */

static void die_without_a_worker(struct zcp_test_child *helper, void *user)
{
	const struct zcp_test_runtime *runtime = user;

	ZCP_CHECK(kill(zcp_test_worker(runtime->pid), SIGSTOP) == 0);
	zcp_test_kill(helper);
	(void)zcp_test_kill_worker(runtime->pid);
}

static void who_dies_without_a_worker_is_cleaned_up(void)
{
	struct zcp_test_scene scene;

	zcp_test_scene_begin(&scene, NULL);
	zcp_test_scene_lose_helpers(&scene, die_without_a_worker, &scene.runtime);
	zcp_test_scene_end(&scene);
}

/* --- history, types, and a pool that is shared --- */

static const char config[] = "[pool.shared]\n"
			     "classes = [ { size = \"256\", count = 64 }, "
			     "{ size = \"4KiB\", count = 32 } ]\n"
			     "[topic.\"kept\"]\n"
			     "history = 3\n"
			     "keep_history = true\n"
			     "[topic.\"shared/*\"]\n"
			     "pool = \"shared\"\n";

static void history_outlives_both(void)
{
	struct zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_test_runtime runtime;
	struct zcp_subscriber *subscriber;
	struct zcp_publisher *publisher;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, config);
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, "kept", ZCP_SCENE_PAYLOAD, 2);
	for (uint64_t i = 1; i <= 5; i++)
		zcp_test_send(publisher, i);
	zcp_publisher_close(publisher);
	(void)zcp_test_kill_worker(runtime.pid);
	options.history = 3;
	for (int i = 0; i < 2; i++) {
		ZCP_OK(zcp_subscriber_open(&subscriber, node, "kept", &options), node);
		for (uint64_t n = 3; n <= 5; n++)
			zcp_test_expect(subscriber, n);
		zcp_subscriber_close(subscriber);
		(void)zcp_test_kill_worker(runtime.pid);
	}
	ZCP_CHECK(zcp_test_audit(node) == 0);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static void topics_still_share_their_pool(void)
{
	struct zcp_publisher *publishers[2], *other;
	struct zcp_test_runtime runtime;
	struct zcp_message reply;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, config);
	node = zcp_test_node();
	publishers[0] = zcp_test_publisher(node, "shared/a", 200, 2);
	publishers[1] = zcp_test_publisher(node, "shared/b", 200, 2);
	(void)zcp_test_kill_worker(runtime.pid);
	zcp_test_info(node, "shared/b", &reply);
	ZCP_CHECK(reply.u.topic_info.n_pool_topics == 2 && !reply.u.topic_info.own_pool);
	ZCP_CHECK(reply.u.topic_info.n_classes == 2);
	zcp_message_deinit(&reply);
	/* Its numbers in the pool are nobody else's. */
	other = zcp_test_publisher(node, "shared/c", 200, 2);
	for (int i = 0; i < 2; i++)
		ZCP_CHECK(zcp_test_inside(other).writer->options.owner !=
			  zcp_test_inside(publishers[i]).writer->options.owner);
	zcp_publisher_close(other);
	for (int i = 0; i < 2; i++)
		zcp_publisher_close(publishers[i]);
	(void)zcp_test_audit(node);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

/* --- a peer that has written where nobody should --- */

static void what_peers_write_is_not_believed(void)
{
	struct zcp_test_inside inside;
	struct zcp_publisher *other;
	struct zcp_test_scene scene;

	zcp_test_scene_begin(&scene, NULL);
	zcp_test_scene_exchange(&scene);
	inside = zcp_test_inside(scene.publisher);
	/* The headers of three regions, and with them what else says how large they are. */
	memset(inside.topic->region.base, 0xee, 64);
	inside.topic->shm->max_publishers = 0;
	inside.topic->shm->lanes_offset = UINT64_MAX;
	memset(inside.pool->classes[0].chunks_region.base, 0xee, 128);
	memset(zcp_test_signals(scene.node)->region.base, 0xee, 64);
	(void)zcp_test_kill_worker(scene.runtime.pid);
	zcp_test_scene_exchange(&scene);
	zcp_test_scene_check_members(&scene, 1, 1);
	/* Of those that nobody has written to there are as many as ever. */
	other = zcp_test_publisher(scene.node, "other", ZCP_SCENE_PAYLOAD, 2);
	zcp_test_send(other, 1);
	zcp_publisher_close(other);
	zcp_test_scene_close_link(&scene);
	ZCP_CHECK(zcp_test_ask(scene.node, "t") == -ENOENT);
	zcp_node_close(scene.node);
	zcp_test_runtime_stop(&scene.runtime);
}

/* --- a request that the worker that is killed may have read --- */

static void requests_under_way_are_answered(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_test_child child;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	for (int round = 0; round < 10; round++) {
		pid_t worker = zcp_test_worker(runtime.pid);

		ZCP_CHECK(kill(worker, SIGSTOP) == 0);
		/* It has connected, or asks to, before there is another worker. */
		zcp_test_fork(&child, zcp_test_publish_and_subscribe, NULL);
		(void)zcp_test_kill_worker(runtime.pid);
		zcp_test_hear_step(&child, 0);
		zcp_test_wait_for_members(node, "p", 1, 0);
		zcp_test_kill(&child);
		while (zcp_test_ask(node, "p") != -ENOENT || zcp_test_ask(node, "s") != -ENOENT)
			;
		ZCP_CHECK(zcp_test_audit(node) == 0);
	}
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

/* --- when no worker can be had --- */

static void runtime_that_cannot_go_on_ends_and_says_so(void)
{
	const struct rlimit none = { 1, 1 };
	struct zcp_test_scene scene;
	pid_t pid;
	int status;

#ifdef ZCP_TEST_ASAN
	zcp_test_skip("no limit of the address space under AddressSanitizer");
#endif
	zcp_test_scene_begin(&scene, config);
	pid = scene.runtime.pid;
	/* No program can be started in so little. */
	ZCP_CHECK(prlimit(pid, RLIMIT_AS, &none, NULL) == 0);
	(void)zcp_test_kill_worker(pid);
	ZCP_CHECK(waitpid(pid, &status, 0) == pid);
	ZCP_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	ZCP_CHECK(zcp_test_runtime_said(&scene.runtime, "the worker has died (signal 9)"));
	ZCP_CHECK(zcp_test_runtime_said(&scene.runtime, "10 workers have died one after another"));
	/* Without it, as ever. */
	zcp_test_scene_exchange(&scene);
	zcp_test_scene_close_link(&scene);
	zcp_node_close(scene.node);
}

static void worker_that_ends_ends_the_runtime(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_node *node;
	int status;

	zcp_test_runtime_start(&runtime, NULL);
	(void)zcp_test_kill_worker(runtime.pid);
	/* Whoever answers is the next one. */
	node = zcp_test_node();
	ZCP_CHECK(kill(zcp_test_worker(runtime.pid), SIGTERM) == 0);
	zcp_test_runtime_notifies(&runtime, "STOPPING=1");
	ZCP_CHECK(waitpid(runtime.pid, &status, 0) == runtime.pid);
	ZCP_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ZCP_CHECK(zcp_test_runtime_pid("default") == 0);
	zcp_node_close(node);
}

/* --- under load --- */

static void nothing_is_lost_under_load(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_test_load load;
	struct zcp_node *node;
	uint64_t n = 0;

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	zcp_test_load_begin(&load);
	for (; zcp_test_load_goes_on(&load); n++)
		(void)zcp_test_kill_worker(runtime.pid);
	zcp_test_load_end(&load, "workers", n);
	while (zcp_test_ask(node, "load") == 0 || zcp_test_ask(node, "other") == 0)
		;
	ZCP_CHECK(zcp_test_audit(node) == 0);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(links_go_on),
	ZCP_TEST_CASE(who_dies_without_a_worker_is_cleaned_up),
	ZCP_TEST_CASE(history_outlives_both),
	ZCP_TEST_CASE(topics_still_share_their_pool),
	ZCP_TEST_CASE(what_peers_write_is_not_believed),
	ZCP_TEST_CASE(requests_under_way_are_answered),
	ZCP_TEST_CASE(runtime_that_cannot_go_on_ends_and_says_so),
	ZCP_TEST_CASE(worker_that_ends_ends_the_runtime),
	ZCP_TEST_CASE(nothing_is_lost_under_load),
};

ZCP_TEST_MAIN(cases)
