/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process around each case: it prepares, waits, and clears up. It adopts what the case
 * leaves behind (PR_SET_CHILD_SUBREAPER), so that nothing can escape it.
 */
#include "tests/support/cases.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zcp/zcp.h>

#include "tests/support/process.h"

#define CASE_SECONDS 60
#define END_MS 20000
/* For a helper that is told of its parent's end by a signal. */
#define HELPER_END_MS 2000

static char directory[64];

const char *zcp_test_directory(void)
{
	return directory;
}

void zcp_test_skip(const char *why)
{
	(void)printf("skipped: %s\n", why);
	(void)fflush(stdout);
	_exit(ZCP_TEST_SKIPPED);
}

void zcp_test_ok(const char *file, int line, const char *call, int r, const struct zcp_node *node)
{
	char text[2048];

	if (r == 0)
		return;
	(void)snprintf(text, sizeof(text), "%s gives %d (%s), not 0: %s", call, r, zcp_strerror(r),
		       zcp_node_error(node));
	zcp_test_fail(file, line, text);
}

bool zcp_test_has(const char *text, const char *words)
{
	while (*words) {
		size_t n = strcspn(words, "|");
		char word[256];

		(void)snprintf(word, sizeof(word), "%.*s", (int)n, words);
		if (!strstr(text, word)) {
			(void)fprintf(stderr, "no '%s' in: %s\n", word, text);
			return false;
		}
		words += n + (words[n] == '|');
	}
	return true;
}

void zcp_test_refused(const char *file, int line, const char *call, int r,
		      const struct zcp_node *node, int error, const char *words)
{
	const char *sentence = zcp_node_error(node);
	char text[2048];

	if (r == error && (!words || zcp_test_has(sentence, words)))
		return;
	(void)snprintf(text, sizeof(text), "%s gives %d (%s), wanted %d with '%s', and says: %s",
		       call, r, zcp_strerror(r), error, words ? words : "", sentence);
	zcp_test_fail(file, line, text);
}

static void prepare(void)
{
	(void)strcpy(directory, "/tmp/zcp-test-XXXXXX");
	ZCP_CHECK(mkdtemp(directory) != NULL);
	ZCP_CHECK(setenv("ZCP_RUNTIME_DIR", directory, 1) == 0);
	ZCP_CHECK(setenv("ZCP_ZCPD", ZCP_BIN_DIR "/zcpd", 0) == 0);
	(void)unsetenv("ZCP_DOMAIN");
	(void)unsetenv("ZCP_AUTO_START");
	(void)unsetenv("ZCP_CONFIG");
	(void)unsetenv("NOTIFY_SOCKET");
}

/* Whether the process is a zcpd: its number may have gone to another one. */
static bool is_zcpd(pid_t pid)
{
	char path[64], name[16] = "";
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(name, sizeof(name), file))
		name[0] = 0;
	(void)fclose(file);
	return strcmp(name, "zcpd\n") == 0;
}

/* Every runtime whose pid file is somewhere below the directory. */
static int end_runtime(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	pid_t pid;
	int pidfd;

	(void)st;
	if (type != FTW_F || strcmp(path + ftw->base, "zcpd.pid") != 0)
		return 0;
	pid = zcp_test_read_pid(path);
	if (pid <= 0 || !is_zcpd(pid))
		return 0;
	pidfd = zcp_test_pidfd(pid);
	if (pidfd < 0)
		return 0;
	(void)zcp_test_pidfd_kill(pidfd, SIGTERM);
	(void)close(pidfd);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* A log of a runtime, where something has failed. */
static int show_log(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	const char *name = path + ftw->base;
	char line[1024];
	FILE *file;

	(void)st;
	if (type != FTW_F || strlen(name) < 4 || strcmp(name + strlen(name) - 4, ".log") != 0)
		return 0;
	file = fopen(path, "re");
	if (!file)
		return 0;
	(void)fprintf(stderr, "== %s\n", path);
	while (fgets(line, sizeof(line), file))
		(void)fputs(line, stderr);
	(void)fclose(file);
	return 0;
}

/* What the case has left behind: runtimes may be on their way to the end, others may not be. */
static bool end_leftovers(void)
{
	bool clean = true;
	pid_t pid;

	while ((pid = zcp_test_any_child()) > 0) {
		int pidfd = zcp_test_pidfd(pid);

		/* Where a keeper was killed the next one may have come after we looked. */
		if (is_zcpd(pid))
			(void)zcp_test_pidfd_kill(pidfd, SIGTERM);
		if (!is_zcpd(pid) && !zcp_test_ends(pidfd, HELPER_END_MS)) {
			(void)fprintf(stderr, "process %d was left behind\n", (int)pid);
			clean = false;
			(void)zcp_test_pidfd_kill(pidfd, SIGKILL);
		}
		if (!zcp_test_ends(pidfd, END_MS)) {
			(void)fprintf(stderr, "zcpd (pid %d) does not end\n", (int)pid);
			clean = false;
			(void)zcp_test_pidfd_kill(pidfd, SIGKILL);
		}
		(void)close(pidfd);
		(void)waitpid(pid, NULL, 0);
	}
	return clean;
}

/* The case that runs now, for whoever wants us to end. */
static volatile pid_t running;
static volatile sig_atomic_t stopped;

static void on_stop(int number)
{
	(void)number;
	stopped = 1;
	if (running > 0)
		(void)kill(running, SIGKILL);
}

static void handle_stops(void)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
	const struct sigaction action = { .sa_handler = on_stop };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		ZCP_CHECK(sigaction(numbers[i], &action, NULL) == 0);
}

static void be_the_case(const struct zcp_test_case *test)
{
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGHUP, SIG_DFL);
	ZCP_CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
	(void)alarm(zcp_test_seconds(CASE_SECONDS));
	test->run();
	exit(0);
}

static int run_child(const struct zcp_test_case *test)
{
	pid_t pid = fork(), ended;
	int status = 0;

	ZCP_CHECK(pid >= 0);
	if (pid == 0)
		be_the_case(test);
	running = pid;
	if (stopped)
		(void)kill(pid, SIGKILL);
	do {
		ended = waitpid(-1, &status, 0);
	} while (ended != pid && (ended > 0 || errno == EINTR));
	running = 0;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	(void)fprintf(stderr, "ended by signal %d (%s)\n", WTERMSIG(status),
		      WTERMSIG(status) == SIGALRM ? "still running when the watchdog came" :
						    strsignal(WTERMSIG(status)));
	return 1;
}

static int run_case(const struct zcp_test_case *test)
{
	int r;

	prepare();
	(void)fflush(NULL);
	r = run_child(test);
	(void)nftw(directory, end_runtime, 8, FTW_PHYS);
	if (!end_leftovers() && r == 0)
		r = 1;
	if (r != 0 && r != ZCP_TEST_SKIPPED) {
		(void)nftw(directory, show_log, 8, FTW_PHYS);
		(void)fprintf(stderr, "FAILED: %s\n", test->name);
	}
	if (nftw(directory, remove_one, 8, FTW_PHYS | FTW_DEPTH) != 0)
		(void)fprintf(stderr, "cannot remove %s\n", directory);
	return r;
}

int zcp_test_cases(int argc, char **argv, const struct zcp_test_case *cases, size_t n_cases)
{
	size_t n_run = 0, n_failed = 0, n_skipped = 0;

	ZCP_CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	(void)signal(SIGPIPE, SIG_IGN);
	handle_stops();
	for (size_t i = 0; i < n_cases && !stopped; i++) {
		int r;

		if (argc > 1 && strcmp(argv[1], cases[i].name) != 0)
			continue;
		r = run_case(&cases[i]);
		n_run++;
		n_failed += r != 0 && r != ZCP_TEST_SKIPPED;
		n_skipped += r == ZCP_TEST_SKIPPED;
	}
	if (n_run == 0) {
		(void)fprintf(stderr, "no case '%s'\n", argc > 1 ? argv[1] : "");
		return 1;
	}
	(void)printf("%zu cases, %zu failed, %zu skipped\n", n_run, n_failed, n_skipped);
	if (n_failed > 0 || stopped)
		return 1;
	return n_skipped == n_run ? ZCP_TEST_SKIPPED : 0;
}
