/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of a runtime are removed while it serves: by people, by what cleans up /tmp, at the
 * last logout. New nodes meet those that are there, and a domain has one runtime.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zcp/zcp.h>

#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

static const char *const all_names[] = { "zcpd.sock", "zcpd.pid", "zcpd.lock", "zcpd.directory" };

struct scene {
	struct zcp_test_runtime runtime;
	struct zcp_node *node;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
	uint64_t n;
};

static void begin(struct scene *scene)
{
	*scene = (struct scene){ .n = 0 };
	zcp_test_runtime_start(&scene->runtime, NULL);
	scene->node = zcp_test_node();
	scene->publisher = zcp_test_publisher(scene->node, "t", 64, 2);
	scene->subscriber = zcp_test_subscriber(scene->node, "t", 4, 2, 0);
}

static void exchange(struct scene *scene)
{
	zcp_test_send(scene->publisher, ++scene->n);
	zcp_test_expect(scene->subscriber, scene->n);
}

/* In the domain's directory; NULL: that itself. */
static const char *path_of(const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/default%s%s", zcp_test_directory(), name ? "/" : "",
		       name ? name : "");
	return path;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	/* Another one may come while the directory is emptied. */
	return remove(path) < 0 && errno != ENOENT && errno != ENOTEMPTY;
}

static void remove_all(const char *path)
{
	ZCP_CHECK(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

static void wait_for_names(void)
{
	for (size_t i = 0; i < sizeof(all_names) / sizeof(all_names[0]); i++)
		while (access(path_of(all_names[i]), F_OK) < 0)
			;
}

/* One that starts no runtime finds the one that there is, and those who are there. */
static void check_newcomer(const struct scene *scene)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;
	struct zcp_node *node;

	options.auto_start = ZCP_AUTO_START_OFF;
	ZCP_OK(zcp_node_open(&node, &options), NULL);
	zcp_test_wait_for_members(node, "t", 1, 1);
	zcp_node_close(node);
	ZCP_CHECK(zcp_test_runtime_pid("default") == scene->runtime.pid);
}

static void removed_names_come_back(void)
{
	struct scene scene;

	begin(&scene);
	/* The directory itself, then each name. */
	for (size_t i = 0; i <= sizeof(all_names) / sizeof(all_names[0]); i++) {
		if (i == 0)
			remove_all(path_of(NULL));
		else
			ZCP_CHECK(unlink(path_of(all_names[i - 1])) == 0);
		wait_for_names();
		check_newcomer(&scene);
		exchange(&scene);
	}
	/* What comes back is kept for the next worker as well. */
	(void)zcp_test_kill_worker(scene.runtime.pid);
	check_newcomer(&scene);
	ZCP_CHECK(unlink(path_of("zcpd.lock")) == 0);
	wait_for_names();
	check_newcomer(&scene);
	exchange(&scene);
	zcp_node_close(scene.node);
	zcp_test_runtime_stop(&scene.runtime);
	ZCP_CHECK(access(path_of("zcpd.sock"), F_OK) < 0);
	ZCP_CHECK(access(path_of("zcpd.pid"), F_OK) < 0);
}

static void directory_that_is_moved_is_made_anew(void)
{
	char moved[256];
	struct scene scene;

	begin(&scene);
	(void)snprintf(moved, sizeof(moved), "%s/moved", zcp_test_directory());
	for (int i = 0; i < 3; i++) {
		ZCP_CHECK(rename(path_of(NULL), moved) == 0);
		wait_for_names();
		check_newcomer(&scene);
		exchange(&scene);
		remove_all(moved);
	}
	zcp_node_close(scene.node);
	zcp_test_runtime_stop(&scene.runtime);
}

/* No worker is there to notice it; the next one does. */
static void names_that_are_removed_between_two_workers_come_back(void)
{
	struct scene scene;

	begin(&scene);
	zcp_test_stop_process(scene.runtime.worker);
	remove_all(path_of(NULL));
	ZCP_CHECK(kill(scene.runtime.worker, SIGKILL) == 0);
	wait_for_names();
	check_newcomer(&scene);
	exchange(&scene);
	zcp_node_close(scene.node);
	zcp_test_runtime_stop(&scene.runtime);
}

/* Two runtimes of one domain would be two worlds that know nothing of each other. */
static void runtime_that_is_late_leaves_the_domain_to_the_other_one(void)
{
	struct zcp_node *other;
	struct scene scene;
	pid_t started;

	begin(&scene);
	zcp_test_stop_process(scene.runtime.worker);
	remove_all(path_of(NULL));
	/* It finds nothing, and starts another one. */
	other = zcp_test_node();
	started = zcp_test_runtime_pid("default");
	ZCP_CHECK(started > 0 && started != scene.runtime.pid);
	zcp_test_continue_process(scene.runtime.worker);
	zcp_test_runtime_notifies(&scene.runtime, "STOPPING=1");
	ZCP_CHECK(zcp_test_ends(scene.runtime.pidfd, -1));
	ZCP_CHECK(zcp_test_runtime_said(&scene.runtime, "another runtime has them"));
	/* The names are those of the other one. */
	wait_for_names();
	ZCP_CHECK(zcp_test_runtime_pid("default") == started);
	/* Whether or not what they have goes on, the nodes of both are in one world. */
	zcp_node_close(scene.node);
	scene.node = zcp_test_node();
	scene.publisher = zcp_test_publisher(scene.node, "u", 64, 2);
	scene.subscriber = zcp_test_subscriber(other, "u", 4, 2, 0);
	exchange(&scene);
	zcp_node_close(scene.node);
	zcp_node_close(other);
	zcp_test_started_runtime_stop("default");
}

static void runtime_whose_directory_cannot_be_made_ends_in_order(void)
{
	struct scene scene;
	char moved[256];
	int fd;

	begin(&scene);
	(void)snprintf(moved, sizeof(moved), "%s/moved", zcp_test_directory());
	zcp_test_stop_process(scene.runtime.worker);
	ZCP_CHECK(rename(path_of(NULL), moved) == 0);
	fd = open(path_of(NULL), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ZCP_CHECK(fd >= 0 && close(fd) == 0);
	zcp_test_continue_process(scene.runtime.worker);
	zcp_test_runtime_notifies(&scene.runtime, "STOPPING=1");
	ZCP_CHECK(zcp_test_ends(scene.runtime.pidfd, -1));
	ZCP_CHECK(zcp_test_runtime_said(&scene.runtime, "cannot be put back"));
	/* What is open goes on. */
	exchange(&scene);
	zcp_node_close(scene.node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(removed_names_come_back),
	ZCP_TEST_CASE(directory_that_is_moved_is_made_anew),
	ZCP_TEST_CASE(names_that_are_removed_between_two_workers_come_back),
	ZCP_TEST_CASE(runtime_that_is_late_leaves_the_domain_to_the_other_one),
	ZCP_TEST_CASE(runtime_whose_directory_cannot_be_made_ends_in_order),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
