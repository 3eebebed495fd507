/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime's keeper is killed at the k-th passing of each of its crash points, and so are the
 * next keeper, and the worker that makes it, while nodes open and close. Whoever still has
 * everything goes on: nothing is lost, the audit is clean, no descriptor is left over. Where
 * nobody has, all end: no process is left, and the domain is free.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"
#include "tests/support/scene.h"

#define PASSINGS_MAX 60
/* Records that are kept before the runtime serves. */
#define N_AT_START 4

static const struct point {
	const char *name;
	unsigned int first;
	unsigned int last;
	/* passed when the keeper has died in another way */
	bool in_succession;
} points[] = {
	{ "keeper.before_keep", N_AT_START + 1, PASSINGS_MAX, false },
	{ "keeper.after_keep", N_AT_START + 1, PASSINGS_MAX, false },
	{ "keeper.after_drop", 1, PASSINGS_MAX, false },
	{ "heir.after_record", 1, PASSINGS_MAX, true },
	{ "heir.after_fork", 1, 1, true },
	{ "heir.after_hand_out", 1, PASSINGS_MAX, true },
	{ "succession.after_end", 1, 1, true },
};

static const struct point points_at_start[] = {
	{ "keeper.after_fork", 1, 1, false },
	{ "keeper.after_hand_out", 1, 1, false },
	{ "keeper.before_keep", 1, N_AT_START, false },
	{ "keeper.after_keep", 1, N_AT_START, false },
};

/* Nobody has everything. */
static const char *const fatal_points[] = { "succession.after_spawn", "succession.after_records" };

static const char config[] = "[topic.\"kept\"]\n"
			     "keep_history = true\n"
			     "history = 2\n";

struct count {
	unsigned int keeper;
	unsigned int worker;
};

static void come_and_go(struct zcp_test_scene *scene)
{
	struct zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_subscriber *subscriber;
	struct zcp_publisher *publisher;
	struct zcp_node *other;

	publisher = zcp_test_publisher(scene->node, "kept", ZCP_SCENE_PAYLOAD, 2);
	for (uint64_t i = 0; i < 3; i++)
		zcp_test_send(publisher, i);
	zcp_publisher_close(publisher);
	options.history = 2;
	other = zcp_test_node();
	ZCP_OK(zcp_subscriber_open(&subscriber, other, "kept", &options), other);
	for (uint64_t i = 1; i < 3; i++)
		zcp_test_expect(subscriber, i);
	zcp_test_scene_burst(scene);
	zcp_subscriber_close(subscriber);
	zcp_node_close(other);
	/* One that ends: nothing of it is kept any more. */
	zcp_publisher_close(zcp_test_publisher(scene->node, "ends", ZCP_SCENE_PAYLOAD, 1));
}

/* Whoever serves at the moment: the file names it. */
static pid_t current_keeper(const struct zcp_test_scene *scene)
{
	ZCP_CHECK(zcp_test_ask(scene->node, "none") == -ENOENT);
	return zcp_test_runtime_pid("default");
}

static struct count count(const struct zcp_test_scene *scene)
{
	pid_t keeper, worker;
	char path[64];

	/* One that has died with its last word to a worker is named until that one acts on it. */
	do {
		keeper = current_keeper(scene);
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)keeper,
			       (int)keeper);
		worker = zcp_test_read_pid(path);
	} while (worker <= 0);
	return (struct count){
		.keeper = zcp_test_n_fds(keeper),
		.worker = zcp_test_n_fds(worker),
	};
}

static void begin(struct zcp_test_scene *scene, const char *point, unsigned int k)
{
	char text[64];

	ZCP_CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	(void)snprintf(text, sizeof(text), "%s:%u", point ? point : "", k);
	ZCP_CHECK(setenv("ZCP_CRASHPOINT", text, 1) == 0);
	*scene = (struct zcp_test_scene){ .n = 0 };
	zcp_test_runtime_start(&scene->runtime, config);
	ZCP_CHECK(unsetenv("ZCP_CRASHPOINT") == 0);
	zcp_test_scene_attach(scene);
	zcp_test_scene_burst(scene);
}

/*
 * Ends the runtime that there is now, and waits until no process of it is left. Who is told may
 * be killed at that, where it has a point of its own to come by: then the next one is.
 */
static void end(const struct zcp_test_scene *scene)
{
	int status;
	pid_t pid;

	zcp_node_close(scene->node);
	do {
		pid = zcp_test_runtime_pid("default");
		if (pid > 0)
			(void)kill(pid, SIGTERM);
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			ZCP_CHECK(WIFEXITED(status) || WTERMSIG(status) == SIGKILL);
	} while (pid == 0);
	ZCP_CHECK(zcp_test_runtime_pid("default") == 0);
	(void)close(scene->runtime.pidfd);
	(void)close(scene->runtime.notify);
	ZCP_CHECK(unlink(scene->runtime.log) == 0);
}

/* How often a keeper has taken over. */
static unsigned int n_keepers(const struct zcp_test_scene *scene)
{
	char said[64];
	unsigned int n = 0;

	while (recv(scene->runtime.notify, said, sizeof(said), MSG_DONTWAIT) > 0)
		n += strncmp(said, "MAINPID=", 8) == 0;
	return n;
}

/* Whether somebody has died at the point; if it was in a succession there was another one. */
static bool was_killed(const struct zcp_test_scene *scene, const struct point *point)
{
	unsigned int n = n_keepers(scene);

	if (!point->in_succession)
		return n > 0;
	return n > 1 || zcp_test_runtime_said(&scene->runtime, "cannot be started") ||
	       strncmp(point->name, "succession.", 11) == 0;
}

static bool play(const struct point *point, unsigned int k, struct count *wanted)
{
	struct zcp_test_scene scene;
	struct count now;
	bool killed;

	begin(&scene, point ? point->name : NULL, k);
	come_and_go(&scene);
	if (point && point->in_succession) {
		ZCP_CHECK(zcp_test_pidfd_kill(scene.runtime.pidfd, SIGKILL) == 0);
		while (current_keeper(&scene) == scene.runtime.pid)
			;
	}
	come_and_go(&scene);
	zcp_test_scene_burst(&scene);
	ZCP_CHECK(zcp_test_audit(scene.node) == 0);
	/* What the worker has told it is there. */
	if (!point)
		zcp_test_wait_until_asleep_in(scene.runtime.pid, "poll");
	do {
		now = count(&scene);
	} while (point && (now.keeper != wanted->keeper || now.worker != wanted->worker));
	*wanted = now;
	killed = point && was_killed(&scene, point);
	zcp_test_scene_close_link(&scene);
	ZCP_CHECK(zcp_test_ask(scene.node, "t") == -ENOENT);
	ZCP_CHECK(zcp_test_audit(scene.node) == 0);
	end(&scene);
	return killed;
}

static void somebody_goes_on(void)
{
	struct count whole;
	unsigned int n = 0;

	(void)alarm(100);
	(void)play(NULL, 0, &whole);
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		unsigned int k = points[i].first;

		while (k <= points[i].last && play(&points[i], k, &whole))
			k++;
		if (getenv("ZCP_TEST_VERBOSE") || k == points[i].first)
			(void)fprintf(stderr, "%s: killed at %u to %u\n", points[i].name,
				      points[i].first, k - 1);
		ZCP_CHECK(k > points[i].first);
		n += k - points[i].first;
	}
	(void)printf("killed %u times\n", n);
}

static void wait_until_none_is_left(void)
{
	int status;

	while (waitpid(-1, &status, 0) > 0)
		;
	ZCP_CHECK(errno == ECHILD);
}

static void all_end_where_nobody_has_everything(void)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/default/zcpd.lock", zcp_test_directory());
	for (size_t i = 0; i < sizeof(fatal_points) / sizeof(fatal_points[0]); i++) {
		struct zcp_test_scene scene;
		int lock;

		begin(&scene, fatal_points[i], 1);
		ZCP_CHECK(zcp_test_pidfd_kill(scene.runtime.pidfd, SIGKILL) == 0);
		wait_until_none_is_left();
		lock = open(path, O_RDWR | O_CLOEXEC);
		ZCP_CHECK(lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0);
		(void)close(lock);
		zcp_test_scene_burst(&scene);
		zcp_test_scene_close_link(&scene);
		zcp_node_close(scene.node);
		(void)close(scene.runtime.pidfd);
		(void)close(scene.runtime.notify);
		ZCP_CHECK(unlink(scene.runtime.log) == 0);
	}
}

/* At each passing, until it succeeds; then `said` is what it has said. Returns how often. */
static unsigned int replace_at(const char *point, bool in_old, unsigned int last, char said[1024])
{
	const char *const arguments[] = { "--replace", "--config", zcp_test_config(config), NULL };
	unsigned int k = 1;
	bool replaced = false;

	for (; k <= last && !replaced; k++) {
		char out[1024], text[64];
		struct zcp_test_scene scene;
		pid_t pid;

		begin(&scene, in_old ? point : NULL, k);
		come_and_go(&scene);
		(void)snprintf(text, sizeof(text), "%s:%u", in_old ? "" : point, k);
		ZCP_CHECK(setenv("ZCP_CRASHPOINT", text, 1) == 0);
		replaced = zcp_test_zcpd(arguments, out, said, sizeof(out)) == 0;
		ZCP_CHECK(unsetenv("ZCP_CRASHPOINT") == 0);
		zcp_test_scene_burst(&scene);
		come_and_go(&scene);
		pid = current_keeper(&scene);
		ZCP_CHECK(!replaced || pid != scene.runtime.pid);
		zcp_test_scene_close_link(&scene);
		ZCP_CHECK(zcp_test_ask(scene.node, "t") == -ENOENT);
		ZCP_CHECK(zcp_test_audit(scene.node) == 0);
		end(&scene);
	}
	return k - 1;
}

/* The other zcpd dies: the old one goes on, or the other's worker, where that has all. */
static void replacement_that_dies_is_made_good(void)
{
	static const char *const names[] = { "heir.after_record", "heir.after_fork",
					     "heir.after_hand_out" };
	unsigned int n = 0;
	char said[1024];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		unsigned int k = replace_at(names[i], false, PASSINGS_MAX, said);

		ZCP_CHECK(k > 1);
		n += k - 1;
	}
	/* Its worker, when the old one believes that it goes on. */
	(void)replace_at("succession.after_got", false, 1, said);
	ZCP_CHECK(strstr(said, "the worker has died (signal 9)") != NULL);
	/* The old one's worker, when it has promised. */
	ZCP_CHECK(replace_at("replace.before_hand_on", true, 2, said) == 2);
	(void)printf("killed %u times\n", n + 2);
}

/* The worker ends, or serves: then it has said so, and the keeper was killed before it heard. */
static void keeper_that_dies_at_its_start_leaves_all_or_nothing(void)
{
	static const char *const arguments[] = { "--until-idle", NULL };
	char out[64], err[1024], text[64];

	ZCP_CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	for (size_t i = 0; i < sizeof(points_at_start) / sizeof(points_at_start[0]); i++) {
		for (unsigned int k = 1; k <= points_at_start[i].last; k++) {
			struct zcp_node *node;

			(void)snprintf(text, sizeof(text), "%s:%u", points_at_start[i].name, k);
			ZCP_CHECK(setenv("ZCP_CRASHPOINT", text, 1) == 0);
			ZCP_CHECK(zcp_test_zcpd(arguments, out, err, sizeof(out)) != 0);
			ZCP_CHECK(unsetenv("ZCP_CRASHPOINT") == 0);
			/* It finds one, or starts one. */
			node = zcp_test_node();
			ZCP_CHECK(zcp_test_audit(node) == 0);
			ZCP_CHECK(kill(zcp_test_runtime_pid("default"), SIGTERM) == 0);
			wait_until_none_is_left();
			zcp_node_close(node);
		}
	}
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(somebody_goes_on),
	ZCP_TEST_CASE(all_end_where_nobody_has_everything),
	ZCP_TEST_CASE(replacement_that_dies_is_made_good),
	ZCP_TEST_CASE(keeper_that_dies_at_its_start_leaves_all_or_nothing),
};

ZCP_TEST_MAIN(cases)
