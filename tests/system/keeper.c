/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime's keeper is killed: its worker makes another one, and whoever publishes,
 * subscribes, comes or goes notices nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/load.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"
#include "tests/support/scene.h"

#define ROUNDS 20

/* What the keeper leaves behind falls to us: we see how it ends. */
static void begin(struct zcp_test_scene *scene, const char *config)
{
	ZCP_CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	zcp_test_scene_begin(scene, config);
}

static void links_go_on(void)
{
	struct zcp_test_scene scene;

	begin(&scene, NULL);
	for (int round = 0; round < 5; round++) {
		pid_t before = scene.runtime.pid;

		zcp_test_scene_exchange(&scene);
		/* One is queued while the keeper changes. */
		zcp_test_send(scene.publisher, ++scene.n);
		zcp_test_runtime_kill_keeper(&scene.runtime);
		ZCP_CHECK(scene.runtime.pid != before);
		ZCP_CHECK(zcp_test_runtime_pid("default") == scene.runtime.pid);
		zcp_test_scene_check_members(&scene, 1, 1);
		zcp_test_expect(scene.subscriber, scene.n);
		zcp_test_scene_check(&scene);
	}
	ZCP_CHECK(zcp_test_runtime_said(&scene.runtime, "the keeper has died"));
	zcp_test_scene_end(&scene);
}

static void the_next_keeper_is_as_good(void)
{
	struct zcp_test_scene scene;

	begin(&scene, NULL);
	for (int round = 0; round < 5; round++) {
		pid_t worker;

		zcp_test_runtime_kill_keeper(&scene.runtime);
		worker = zcp_test_kill_worker(scene.runtime.pid);
		zcp_test_scene_exchange(&scene);
		zcp_test_scene_check_members(&scene, 1, 1);
		ZCP_CHECK(zcp_test_worker(scene.runtime.pid) != worker);
		ZCP_CHECK(zcp_test_audit(scene.node) == 0);
	}
	zcp_test_scene_end(&scene);
}

/* --- who waits, and who dies, while there is no keeper --- */

static void die_without_a_keeper(struct zcp_test_child *helper, void *user)
{
	struct zcp_test_runtime *runtime = user;

	ZCP_CHECK(kill(runtime->worker, SIGSTOP) == 0);
	ZCP_CHECK(zcp_test_pidfd_kill(runtime->pidfd, SIGKILL) == 0);
	zcp_test_kill(helper);
	ZCP_CHECK(kill(runtime->worker, SIGCONT) == 0);
	zcp_test_runtime_next_keeper(runtime);
}

static void who_dies_without_a_keeper_is_cleaned_up(void)
{
	struct zcp_test_scene scene;

	begin(&scene, NULL);
	zcp_test_scene_lose_helpers(&scene, die_without_a_keeper, &scene.runtime);
	zcp_test_scene_end(&scene);
}

static void requests_meanwhile_are_answered(void)
{
	struct zcp_test_child child;
	struct zcp_test_scene scene;

	begin(&scene, NULL);
	for (int round = 0; round < 10; round++) {
		ZCP_CHECK(kill(scene.runtime.worker, SIGSTOP) == 0);
		ZCP_CHECK(zcp_test_pidfd_kill(scene.runtime.pidfd, SIGKILL) == 0);
		zcp_test_fork(&child, zcp_test_publish_and_subscribe, NULL);
		ZCP_CHECK(kill(scene.runtime.worker, SIGCONT) == 0);
		zcp_test_hear_step(&child, 0);
		zcp_test_runtime_next_keeper(&scene.runtime);
		zcp_test_wait_for_members(scene.node, "p", 1, 0);
		zcp_test_kill(&child);
		while (zcp_test_ask(scene.node, "p") != -ENOENT ||
		       zcp_test_ask(scene.node, "s") != -ENOENT)
			;
		ZCP_CHECK(zcp_test_audit(scene.node) == 0);
	}
	zcp_test_scene_end(&scene);
}

static void subscribe_late(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", ZCP_SCENE_DEPTH,
								ZCP_SCENE_HELD, 0);

	(void)arg;
	zcp_test_say_step(self, 0);
	zcp_test_hear_step(self, 1);
	zcp_test_expect(subscriber, UINT64_MAX);
	zcp_test_say_step(self, 2);
	zcp_test_wait_for_the_end(self);
}

/*
 * A publisher that is in the middle of a publish for ever: who joins is let in all the same; but
 * a worker that finds one joining has it leave first, which waits.
 */
static void who_joins_still_joins(void)
{
	struct zcp_test_child child;
	struct zcp_test_scene scene;
	_Atomic uint64_t *op;
	uint64_t number, lost;

	begin(&scene, NULL);
	op = &zcp_test_inside(scene.publisher).topic->publishers[0].op;
	zcp_test_scene_exchange(&scene);
	(void)atomic_fetch_add(op, 1);
	zcp_test_fork(&child, subscribe_late, NULL);
	zcp_test_wait_for_members(scene.node, "t", 1, 2);
	(void)zcp_test_kill_worker(scene.runtime.pid);
	/* Whoever answers has begun. */
	zcp_test_scene_check_members(&scene, 1, 2);
	zcp_test_runtime_kill_keeper(&scene.runtime);
	zcp_test_scene_check_members(&scene, 1, 2);
	(void)atomic_fetch_add(op, 1);
	zcp_test_hear_step(&child, 0);
	zcp_test_send(scene.publisher, UINT64_MAX);
	zcp_test_say_step(&child, 1);
	zcp_test_hear_step(&child, 2);
	zcp_test_kill(&child);
	ZCP_CHECK(zcp_test_take(scene.subscriber, &number, &lost) && number == UINT64_MAX);
	zcp_test_wait_for_members(scene.node, "t", 1, 1);
	zcp_test_scene_end(&scene);
}

/* --- nothing is left over, and nothing is missing --- */

static const char pool_config[] = "[pool.taken]\n"
				  "classes = [ { size = \"4KiB\", count = 16 } ]\n"
				  "prefault = true\n"
				  "[topic.\"taken\"]\n"
				  "pool = \"taken\"\n"
				  "max_publishers = 1\n"
				  "max_subscribers = 1\n"
				  "depth = 2\n"
				  "max_depth = 2\n"
				  "held = 1\n";

static void descriptors_stay_as_many(void)
{
	unsigned int keeper, worker;
	struct zcp_test_scene scene;

	begin(&scene, pool_config);
	/* A pool that is taken beforehand stays when its topic is gone. */
	zcp_publisher_close(zcp_test_publisher(scene.node, "taken", ZCP_SCENE_PAYLOAD, 1));
	ZCP_CHECK(zcp_test_audit(scene.node) == 0);
	zcp_test_wait_until_asleep_in(scene.runtime.pid, "poll");
	keeper = zcp_test_n_fds(scene.runtime.pid);
	worker = zcp_test_n_fds(scene.runtime.worker);
	for (int round = 0; round < ROUNDS; round++) {
		zcp_test_runtime_kill_keeper(&scene.runtime);
		zcp_test_scene_exchange(&scene);
		ZCP_CHECK(zcp_test_audit(scene.node) == 0);
		zcp_test_wait_n_fds(scene.runtime.pid, keeper);
		zcp_test_wait_n_fds(scene.runtime.worker, worker);
	}
	zcp_test_scene_end(&scene);
}

/* --- when no other keeper can be had --- */

static void limit_descriptors(pid_t pid, rlim_t n, rlim_t *before)
{
	struct rlimit limit;

	ZCP_CHECK(prlimit(pid, RLIMIT_NOFILE, NULL, &limit) == 0);
	*before = limit.rlim_cur;
	limit.rlim_cur = n;
	ZCP_CHECK(prlimit(pid, RLIMIT_NOFILE, &limit, NULL) == 0);
}

static void worker_without_a_keeper_serves_and_tries_again(void)
{
	static const char complaint[] = "another one cannot be started";
	struct zcp_test_scene scene;
	rlim_t limit;
	int status;

	begin(&scene, NULL);
	for (int i = 0; i < 2; i++) {
		pid_t keeper = scene.runtime.pid;

		ZCP_CHECK(truncate(scene.runtime.log, 0) == 0);
		limit_descriptors(scene.runtime.worker, 3, &limit);
		ZCP_CHECK(kill(keeper, SIGKILL) == 0);
		ZCP_CHECK(waitpid(keeper, &status, 0) == keeper);
		while (!zcp_test_runtime_said(&scene.runtime, complaint))
			;
		zcp_test_scene_exchange(&scene);
		zcp_test_scene_check_members(&scene, 1, 1);
		limit_descriptors(scene.runtime.worker, limit, &limit);
		zcp_test_runtime_follow(&scene.runtime);
		zcp_test_scene_exchange(&scene);
		zcp_test_scene_check_members(&scene, 1, 1);
		ZCP_CHECK(zcp_test_audit(scene.node) == 0);
	}
	zcp_test_scene_end(&scene);
}

static void worker_without_a_keeper_ends_in_order(void)
{
	struct zcp_test_scene scene;
	int status, lock;
	char path[128];

	begin(&scene, NULL);
	/* It learns of both at the same time. */
	ZCP_CHECK(kill(scene.runtime.worker, SIGSTOP) == 0);
	zcp_test_wait_until_stopped(scene.runtime.worker);
	ZCP_CHECK(zcp_test_pidfd_kill(scene.runtime.pidfd, SIGKILL) == 0);
	ZCP_CHECK(waitpid(scene.runtime.pid, &status, 0) == scene.runtime.pid);
	ZCP_CHECK(kill(scene.runtime.worker, SIGTERM) == 0);
	ZCP_CHECK(kill(scene.runtime.worker, SIGCONT) == 0);
	ZCP_CHECK(waitpid(scene.runtime.worker, &status, 0) == scene.runtime.worker);
	ZCP_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ZCP_CHECK(zcp_test_runtime_pid("default") == 0);
	(void)snprintf(path, sizeof(path), "%s/default/zcpd.lock", zcp_test_directory());
	lock = open(path, O_RDWR | O_CLOEXEC);
	ZCP_CHECK(lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0);
	(void)close(lock);
	zcp_test_scene_close_link(&scene);
	zcp_node_close(scene.node);
	(void)close(scene.runtime.pidfd);
	(void)close(scene.runtime.notify);
}

/* --- one that a node has started --- */

static void log_of_a_runtime_in_the_background_goes_on(void)
{
	struct zcp_node *node = zcp_test_node();
	pid_t keeper = zcp_test_runtime_pid("default"), next = keeper;
	struct zcp_test_runtime runtime;

	ZCP_CHECK(keeper > 0);
	(void)snprintf(runtime.log, sizeof(runtime.log), "%s/default/zcpd.log",
		       zcp_test_directory());
	for (int round = 0; round < 3; round++) {
		ZCP_CHECK(truncate(runtime.log, 0) == 0);
		ZCP_CHECK(kill(keeper, SIGKILL) == 0);
		while (next == keeper) {
			ZCP_CHECK(zcp_test_ask(node, "t") == -ENOENT);
			next = zcp_test_runtime_pid("default");
			/* Whoever reads it never finds it empty. */
			ZCP_CHECK(next > 0);
		}
		while (!zcp_test_runtime_said(&runtime, "the keeper has died"))
			;
		keeper = next;
	}
	zcp_node_close(node);
	ZCP_CHECK(kill(keeper, SIGTERM) == 0);
	while (zcp_test_runtime_pid("default") != 0)
		;
}

/* --- under load --- */

/* Its worker too, every fourth time. */
static void nothing_is_lost_under_load(void)
{
	struct zcp_test_load load;
	struct zcp_test_scene scene;
	uint64_t n = 0;

	begin(&scene, NULL);
	zcp_test_load_begin(&load);
	while (zcp_test_load_goes_on(&load)) {
		if (++n % 4 == 0)
			(void)zcp_test_kill_worker(scene.runtime.pid);
		zcp_test_scene_check_members(&scene, 1, 1);
		zcp_test_runtime_kill_keeper(&scene.runtime);
		zcp_test_scene_exchange(&scene);
	}
	zcp_test_load_end(&load, "keepers", n);
	while (zcp_test_ask(scene.node, "load") == 0 || zcp_test_ask(scene.node, "other") == 0)
		;
	zcp_test_scene_end(&scene);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(links_go_on),
	ZCP_TEST_CASE(the_next_keeper_is_as_good),
	ZCP_TEST_CASE(who_dies_without_a_keeper_is_cleaned_up),
	ZCP_TEST_CASE(requests_meanwhile_are_answered),
	ZCP_TEST_CASE(who_joins_still_joins),
	ZCP_TEST_CASE(descriptors_stay_as_many),
	ZCP_TEST_CASE(worker_without_a_keeper_serves_and_tries_again),
	ZCP_TEST_CASE(worker_without_a_keeper_ends_in_order),
	ZCP_TEST_CASE(log_of_a_runtime_in_the_background_goes_on),
	ZCP_TEST_CASE(nothing_is_lost_under_load),
};

ZCP_TEST_MAIN(cases)
