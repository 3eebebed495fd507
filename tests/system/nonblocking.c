/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard input and output that are pipes with O_NONBLOCK, as other programs hand them on: the
 * command waits for them. And no descriptor of the library is below 3 in a program that has
 * closed these.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zcp/zcp.h>

#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/runtime.h"

#define N_FRAMES 64
#define FRAME_SIZE 8192

static void make_nonblocking(int fd)
{
	ZCP_CHECK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
}

/* Runs the command with these descriptors. */
static pid_t run(int in, int out, const char *const *arguments)
{
	pid_t pid = fork();

	ZCP_CHECK(pid >= 0);
	if (pid > 0)
		return pid;
	if (in >= 0)
		ZCP_CHECK(dup2(in, STDIN_FILENO) >= 0);
	if (out >= 0)
		ZCP_CHECK(dup2(out, STDOUT_FILENO) >= 0);
	(void)execv(ZCP_BIN_DIR "/zcp", (char *const *)arguments);
	_exit(127);
}

static void check_exit(pid_t pid)
{
	int status;

	ZCP_CHECK(waitpid(pid, &status, 0) == pid);
	ZCP_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Both at once: what one reads and the other writes is more than their pipes hold. */
static void check_pipes(void)
{
	static const char *const echo[] = { "zcp", "echo",      "frames", "--raw", "--count",
					    "64",  "--on-full", "block",  NULL };
	static const char *const pub[] = {
		"zcp", "pub", "frames", "--frame-size", "8192", "--wait-subscribers", "1", NULL
	};
	static char frame[FRAME_SIZE];
	int in[2], out[2];
	size_t n_read = 0;
	pid_t publisher, subscriber;

	ZCP_CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	make_nonblocking(in[0]);
	make_nonblocking(out[1]);
	subscriber = run(-1, out[1], echo);
	publisher = run(in[0], -1, pub);
	close(in[0]);
	close(out[1]);
	for (int i = 0; i < N_FRAMES; i++) {
		memset(frame, 'a' + i % 26, sizeof(frame));
		ZCP_CHECK(write(in[1], frame, sizeof(frame)) == (ssize_t)sizeof(frame));
		/* Nobody reads before half of it has come. */
		while (i >= N_FRAMES / 2 && n_read < (size_t)(i - N_FRAMES / 2) * FRAME_SIZE) {
			ssize_t n = read(out[0], frame, sizeof(frame));

			ZCP_CHECK(n > 0);
			n_read += (size_t)n;
		}
	}
	close(in[1]);
	for (ssize_t n; (n = read(out[0], frame, sizeof(frame))) > 0;)
		n_read += (size_t)n;
	ZCP_CHECK(n_read == (size_t)N_FRAMES * FRAME_SIZE);
	check_exit(publisher);
	check_exit(subscriber);
	close(out[0]);
}

/* In a child without standard descriptors; its exit code says what is wrong. */
static int open_all_without_standard(void)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
	struct zcp_node *node;

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		close(fd);
	options.max_payload = 64;
	if (zcp_node_open(&node, NULL) < 0 ||
	    zcp_publisher_open(&publisher, node, "standard", &options) < 0 ||
	    zcp_subscriber_open(&subscriber, node, "standard", NULL) < 0 || zcp_node_fd(node) < 0)
		return 2;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			return 3;
	zcp_node_close(node);
	return 0;
}

static void check_standard(void)
{
	pid_t pid = fork();

	ZCP_CHECK(pid >= 0);
	if (pid == 0)
		_exit(open_all_without_standard());
	check_exit(pid);
}

static void pipes(void)
{
	struct zcp_test_runtime runtime;

	zcp_test_runtime_start(&runtime, NULL);
	check_pipes();
	zcp_test_runtime_stop(&runtime);
}

static void standard_descriptors(void)
{
	struct zcp_test_runtime runtime;

	zcp_test_runtime_start(&runtime, NULL);
	check_standard();
	zcp_test_runtime_stop(&runtime);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(pipes),
	ZCP_TEST_CASE(standard_descriptors),
};

ZCP_TEST_MAIN(cases)
