/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who starts a runtime, who may not, and who gets one while another is on its way to the end.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define N_STARTERS 16

static int open_without_starting(struct zcp_node **node)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;

	options.auto_start = ZCP_AUTO_START_OFF;
	return zcp_node_open(node, &options);
}

static void open_when_told(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node;
	uint64_t id;

	(void)arg;
	zcp_test_say_step(self, 0);
	zcp_test_hear_step(self, 1);
	node = zcp_test_node();
	id = zcp_test_domain_id(node);
	zcp_test_say(self, &id, sizeof(id));
	zcp_test_hear_step(self, 2);
	zcp_node_close(node);
}

/* All of them at the same time. Returns whether they found one runtime. */
static bool start_at_once(int n)
{
	struct zcp_test_child children[N_STARTERS];
	uint64_t id, first = 0;
	bool same = true;

	for (int i = 0; i < n; i++)
		zcp_test_fork(&children[i], open_when_told, NULL);
	for (int i = 0; i < n; i++)
		zcp_test_hear_step(&children[i], 0);
	for (int i = 0; i < n; i++)
		zcp_test_say_step(&children[i], 1);
	for (int i = 0; i < n; i++) {
		zcp_test_hear(&children[i], &id, sizeof(id));
		ZCP_CHECK(id != 0);
		same &= i == 0 || id == first;
		first = id;
	}
	for (int i = 0; i < n; i++)
		zcp_test_say_step(&children[i], 2);
	for (int i = 0; i < n; i++)
		zcp_test_join(&children[i]);
	return same;
}

static void two_processes_start_one_runtime(void)
{
	for (int round = 0; round < 10; round++) {
		int pidfd;

		ZCP_CHECK(start_at_once(2));
		pidfd = zcp_test_runtime_pidfd("default");
		if (round % 2)
			zcp_test_kill_both(zcp_test_runtime_pid("default"));
		else
			ZCP_CHECK(zcp_test_pidfd_kill(pidfd, SIGTERM) == 0);
		ZCP_CHECK(zcp_test_ends(pidfd, -1));
		(void)close(pidfd);
	}
}

/* While one is on its way to the end: that one may serve them still, or another one. */
static void processes_that_meet_an_ending_runtime_get_one(void)
{
	for (int round = 0; round < 20; round++) {
		int pidfd;

		(void)start_at_once(2);
		pidfd = zcp_test_pidfd(zcp_test_runtime_pid("default"));
		if (pidfd < 0)
			continue;
		(void)zcp_test_pidfd_kill(pidfd, round % 2 ? SIGKILL : SIGTERM);
		(void)close(pidfd);
	}
}

static void sixteen_processes_start_one_runtime(void)
{
	ZCP_CHECK(start_at_once(N_STARTERS));
}

/* --- a runtime that takes its time to end --- */

/* Which start of a runtime finds the domain free. */
#define LAST_START 6

static void hold_the_domain(struct zcp_test_child *self, void *arg)
{
	char path[256];
	int fd;

	(void)arg;
	(void)snprintf(path, sizeof(path), "%s/default", zcp_test_directory());
	ZCP_CHECK(mkdir(path, 0700) == 0);
	(void)strcat(path, "/zcpd.lock");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ZCP_CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0);
	zcp_test_say_step(self, 0);
	zcp_test_wait_for_the_end(self);
}

/* Started in zcpd's place: ends who has the domain, when it was time, and is zcpd then. */
static __attribute__((noreturn)) void main_start(char **argv)
{
	const char *holder = getenv("ZCP_TEST_HOLDER"), *zcpd = getenv("ZCP_TEST_ZCPD");
	int fd = open(getenv("ZCP_TEST_STARTS"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	struct stat st;

	ZCP_CHECK(holder && zcpd && fd >= 0 && write(fd, "s", 1) == 1 && fstat(fd, &st) == 0);
	if (st.st_size == LAST_START) {
		int pidfd = zcp_test_pidfd((pid_t)strtol(holder, NULL, 10));

		ZCP_CHECK(pidfd >= 0 && zcp_test_pidfd_kill(pidfd, SIGKILL) == 0);
		ZCP_CHECK(zcp_test_ends(pidfd, -1));
	}
	(void)execv(zcpd, argv);
	_exit(127);
}

static void domain_that_is_taken_for_a_while_is_waited_for(void)
{
	struct zcp_test_child holder;
	char pid[16], starts[256];
	struct stat st;

	zcp_test_fork(&holder, hold_the_domain, NULL);
	zcp_test_hear_step(&holder, 0);
	(void)snprintf(pid, sizeof(pid), "%d", (int)holder.pid);
	(void)snprintf(starts, sizeof(starts), "%s/starts", zcp_test_directory());
	ZCP_CHECK(setenv("ZCP_TEST_HOLDER", pid, 1) == 0);
	ZCP_CHECK(setenv("ZCP_TEST_STARTS", starts, 1) == 0);
	ZCP_CHECK(setenv("ZCP_TEST_ZCPD", getenv("ZCP_ZCPD"), 1) == 0);
	ZCP_CHECK(setenv("ZCP_ZCPD", "/proc/self/exe", 1) == 0);
	zcp_node_close(zcp_test_node());
	ZCP_CHECK(stat(starts, &st) == 0 && st.st_size == LAST_START);
	ZCP_CHECK(zcp_test_runtime_pid("default") > 0);
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
	ZCP_CHECK(zcp_test_runtime_pid("default") > 0);
	zcp_test_started_runtime_stop("default");
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
		ZCP_CHECK(zcp_test_runtime_pid("default") > 0);
		zcp_test_started_runtime_stop("default");
	}
	ZCP_CHECK(zcp_test_exists("default/zcpd.log"));
	ZCP_CHECK(zcp_test_zcpd((const char *[]){ "--config", zcp_test_config("[runtime"), NULL },
				out, err, sizeof(out)) == 1);
	ZCP_CHECK(zcp_test_has(err, "zcpd: |zcp.toml:1:"));
	ZCP_CHECK(!zcp_test_exists("default/zcpd.sock"));
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

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(two_processes_start_one_runtime),
	ZCP_TEST_CASE(processes_that_meet_an_ending_runtime_get_one),
	ZCP_TEST_CASE(sixteen_processes_start_one_runtime),
	ZCP_TEST_CASE(domain_that_is_taken_for_a_while_is_waited_for),
	ZCP_TEST_CASE(program_that_reaps_all_its_children_starts_one),
	ZCP_TEST_CASE(program_that_ignores_its_children_starts_one),
	ZCP_TEST_CASE(runtime_has_its_own_signals),
	ZCP_TEST_CASE(in_the_background_it_returns_when_it_serves),
	ZCP_TEST_CASE(second_runtime_of_a_domain_is_refused),
};

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--until-idle") == 0)
		main_start(argv);
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
