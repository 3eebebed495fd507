/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting and moving a traced child.
 */
#include "tests/support/tracee.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/check.h"

pid_t zcp_tracee_start(void (*body)(void *arg), void *arg)
{
	int status;
	pid_t pid = fork();

	ZCP_CHECK(pid >= 0);
	if (pid == 0) {
		ZCP_CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
			_exit(ZCP_TEST_SKIPPED);
		(void)raise(SIGSTOP);
		body(arg);
		_exit(0);
	}
	ZCP_CHECK(waitpid(pid, &status, 0) == pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == ZCP_TEST_SKIPPED) {
		(void)fprintf(stderr, "skipped: no process can be traced here\n");
		_exit(ZCP_TEST_SKIPPED);
	}
	ZCP_CHECK(WIFSTOPPED(status));
	return pid;
}

static bool go_on(pid_t pid, enum __ptrace_request how, int signal)
{
	int status;

	ZCP_CHECK(ptrace(how, pid, 0, 0) == 0);
	ZCP_CHECK(waitpid(pid, &status, 0) == pid);
	if (WIFSTOPPED(status) && WSTOPSIG(status) == signal)
		return true;
	ZCP_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return false;
}

bool zcp_tracee_step(pid_t pid)
{
	return go_on(pid, PTRACE_SINGLESTEP, SIGTRAP);
}

bool zcp_tracee_continue(pid_t pid)
{
	return go_on(pid, PTRACE_CONT, SIGSTOP);
}

void zcp_tracee_kill(pid_t pid)
{
	ZCP_CHECK(kill(pid, SIGKILL) == 0);
	ZCP_CHECK(waitpid(pid, NULL, 0) == pid);
}
