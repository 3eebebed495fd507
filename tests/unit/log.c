/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime's log: what is repeated is counted, and its file does not grow for ever.
 */
#include "runtime/system/log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[] = "/tmp/zcp-log-XXXXXX";
static char path[64], former[80];

static void setup(void)
{
	cr_assert_not_null(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/zcpd.log", directory);
	(void)snprintf(former, sizeof(former), "%s.1", path);
	zcpd_log_to_file(path);
}

static void teardown(void)
{
	(void)unlink(path);
	(void)unlink(former);
	cr_assert_eq(rmdir(directory), 0, "there is a third file");
}

TestSuite(log, .init = setup, .fini = teardown);

static long size_of(const char *name)
{
	struct stat st;

	return stat(name, &st) == 0 ? (long)st.st_size : -1;
}

/* Lines of a file that have `text`; each must be whole. */
static unsigned int count(const char *name, const char *text)
{
	char line[1100];
	FILE *stream = fopen(name, "re");
	unsigned int n = 0;

	if (!stream)
		return 0;
	while (fgets(line, sizeof(line), stream)) {
		cr_assert_eq(line[strlen(line) - 1], '\n');
		cr_assert_eq(strncmp(line, "20", 2), 0, "'%s'", line);
		n += strstr(line, text) != NULL;
	}
	(void)fclose(stream);
	return n;
}

Test(log, repeated_lines_are_counted)
{
	cr_assert_eq(zcpd_log_due_ns(), 0);
	for (int i = 1; i <= 200; i++)
		zcpd_info("node %d has gone", i);
	zcpd_warning("something else");
	cr_assert_eq(count(path, "has gone"), ZCPD_LOG_SAME_MAX);
	cr_assert_eq(count(path, "info: node 10 has gone"), 1);
	cr_assert_eq(count(path, "warning: something else"), 1);
	cr_assert(zcpd_log_due_ns() > 0 && zcpd_log_due_ns() <= ZCPD_LOG_PERIOD_NS);
	zcpd_log_tell(false);
	cr_assert_eq(count(path, "more of these"), 0, "the period is not over");
	zcpd_log_tell(true);
	cr_assert_eq(count(path, "info: 190 more of these, the last one: node 200 has gone"), 1);
	cr_assert_eq(zcpd_log_due_ns(), 0);
	/* The next period. */
	zcpd_info("node %d has gone", 201);
	zcpd_log_tell(true);
	cr_assert_eq(count(path, "more of these"), 1);
}

Test(log, debug_lines_are_all_written)
{
	zcpd_log_set_level(ZCPD_CONFIG_LOG_DEBUG);
	for (int i = 0; i < 200; i++)
		zcpd_debug("step %d", i);
	cr_assert_eq(count(path, "step"), 200);
}

static void fill(unsigned int n)
{
	char text[1000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	zcpd_log_set_level(ZCPD_CONFIG_LOG_DEBUG);
	for (unsigned int i = 0; i < n; i++)
		zcpd_debug("%s", text);
}

Test(log, file_that_is_full_is_put_aside_and_there_are_two_at_the_most)
{
	fill(900);
	cr_assert_eq(size_of(former), -1);
	fill(2600);
	cr_assert(size_of(former) >= ZCPD_LOG_FILE_MAX);
	cr_assert(size_of(former) < ZCPD_LOG_FILE_MAX + 1024);
	cr_assert(size_of(path) > 0 && size_of(path) < ZCPD_LOG_FILE_MAX);
	cr_assert_eq(count(path, "debug: xx") + count(former, "debug: xx") > 1024, 1);
}

/* The keeper and the worker: neither puts aside what the other has just begun. */
Test(log, two_processes_have_one_file)
{
	const unsigned int n = 700; /* of each: one and a half files */
	pid_t pid;
	int status;

	zcpd_info("the first line");
	pid = fork();
	cr_assert(pid >= 0);
	fill(n);
	if (pid == 0)
		_exit(0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	cr_assert_eq(count(former, "the first line"), 1);
	cr_assert_eq(count(path, "debug: xx") + count(former, "debug: xx"), 2 * n);
}

Test(log, file_that_is_removed_or_renamed_is_made_anew)
{
	zcpd_info("before");
	cr_assert_eq(unlink(path), 0);
	zcpd_info("after");
	cr_assert_eq(count(path, "after"), 1);
	cr_assert_eq(rename(path, former), 0);
	zcpd_info("later");
	cr_assert_eq(count(path, "later"), 1);
	cr_assert_eq(count(former, "later"), 0);
}
