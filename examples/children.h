/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes that zcp-demo starts: each with a pipe for what it says and a pidfd for its
 * end. None outlives the demo, however that ends.
 */
#ifndef CHILDREN_H
#define CHILDREN_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN_MAX 8
#define CHILD_TEXT 4096

struct child {
	/* for people */
	const char *name;
	/* 0: never started */
	pid_t pid;
	/* -1: not running */
	int pidfd;
	/* what it prints, both ways; -1: closed */
	int output;
	/* it was sent SIGTERM */
	bool was_told;
	/* as of waitpid() */
	int status;
	/* the beginning of its output */
	char text[CHILD_TEXT];
	size_t n_text;
};

static inline int child_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static inline _Noreturn void child_exec(const char *path, const char *const *arguments, int output,
					pid_t parent)
{
	sigset_t none;

	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* the parent may have died before it could be watched */
	if (getppid() == parent && dup2(output, STDOUT_FILENO) >= 0 &&
	    dup2(output, STDERR_FILENO) >= 0) {
		(void)execv(path, (char *const *)arguments);
		dprintf(STDERR_FILENO, "cannot run %s: %s\n", path, strerror(errno));
	}
	_exit(127);
}

static inline void child_init(struct child *child)
{
	memset(child, 0, sizeof(*child));
	child->pidfd = child->output = -1;
}

/* Starts `path`; the arguments begin with its name and end with NULL. 0 or a negative errno. */
static inline int child_start(struct child *child, const char *name, const char *path,
			      const char *const *arguments)
{
	pid_t parent = getpid();
	int ends[2], r;

	child->name = name;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	child->pid = fork();
	if (child->pid == 0)
		child_exec(path, arguments, ends[1], parent);
	r = -errno;
	(void)close(ends[1]);
	if (child->pid < 0) {
		(void)close(ends[0]);
		return r;
	}
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	child->output = ends[0];
	child->pidfd = child_pidfd(child->pid);
	if (child->pidfd >= 0)
		return 0;

	r = -errno;
	(void)kill(child->pid, SIGKILL);
	(void)waitpid(child->pid, &child->status, 0);
	return r;
}

static inline bool child_runs(const struct child *child)
{
	return child->pidfd >= 0;
}

/* Ended, neither well nor by our SIGTERM. */
static inline bool child_failed(const struct child *child)
{
	if (child->pid <= 0 || child_runs(child) || child->status == 0)
		return false;
	return !child->was_told || !WIFSIGNALED(child->status) ||
	       WTERMSIG(child->status) != SIGTERM;
}

/* Ours and not yet waited for, so the number cannot be another's. */
static inline void child_signal(struct child *child, int signal)
{
	if (!child_runs(child))
		return;
	(void)kill(child->pid, signal);
	child->was_told |= signal == SIGTERM;
}

/* Reads what is there; what is too long is read and forgotten. */
static inline void child_read(struct child *child)
{
	char rest[512];
	size_t space;
	ssize_t n;

	while (child->output >= 0) {
		space = sizeof(child->text) - 1 - child->n_text;
		if (space > 0)
			n = read(child->output, child->text + child->n_text, space);
		else
			n = read(child->output, rest, sizeof(rest));
		if (n > 0 && space > 0)
			child->n_text += (size_t)n;
		if (n == 0) {
			(void)close(child->output);
			child->output = -1;
		}
		if (n < 0)
			break;
	}
}

/* It has ended: takes its last words and its status. */
static inline void child_reap(struct child *child)
{
	child_read(child);
	if (child->output >= 0)
		(void)close(child->output);
	child->output = -1;
	(void)waitpid(child->pid, &child->status, 0);
	(void)close(child->pidfd);
	child->pidfd = -1;
}

/* Waits until a child says something or ends, or `stop_fd` is readable: then true. */
static inline bool children_wait(struct child *children, int n, int stop_fd, int timeout_ms)
{
	struct pollfd fds[2 * CHILDREN_MAX + 1];
	nfds_t n_fds = 2 * (nfds_t)n + 1;
	int i;

	for (i = 0; i < n; i++) {
		fds[2 * i] = (struct pollfd){ .fd = children[i].output, .events = POLLIN };
		fds[2 * i + 1] = (struct pollfd){ .fd = children[i].pidfd, .events = POLLIN };
	}
	fds[2 * n] = (struct pollfd){ .fd = stop_fd, .events = POLLIN };
	if (poll(fds, n_fds, timeout_ms) <= 0)
		return false;

	for (i = 0; i < n; i++) {
		if (fds[2 * i].revents)
			child_read(&children[i]);
		if (fds[2 * i + 1].revents)
			child_reap(&children[i]);
	}
	return fds[2 * n].revents;
}

/* Says how a child failed, with the last line of its own words. */
static inline void child_complain(const struct child *child, FILE *out)
{
	const char *line = child->text, *end = child->text + child->n_text, *newline;

	while (end > line && end[-1] == '\n')
		end--;
	while ((newline = memchr(line, '\n', (size_t)(end - line))))
		line = newline + 1;
	if (WIFSIGNALED(child->status))
		fprintf(out, "%s (pid %d) was killed by signal %d", child->name, (int)child->pid,
			WTERMSIG(child->status));
	else
		fprintf(out, "%s (pid %d) failed with exit code %d", child->name, (int)child->pid,
			WEXITSTATUS(child->status));
	if (end > line)
		fprintf(out, ": %.*s", (int)(end - line), line);
	fputc('\n', out);
}

/* Copies the value of `key` in the line "summary key=value ..."; false if there is none. */
static inline bool child_summary(const struct child *child, const char *key, char *value,
				 size_t size)
{
	const char *at = strstr(child->text, "summary "), *end;
	size_t n = strlen(key);

	if (!at || (at > child->text && at[-1] != '\n'))
		return false;
	end = at + strcspn(at, "\n");
	for (at = memchr(at, ' ', (size_t)(end - at)); at;
	     at = memchr(at, ' ', (size_t)(end - at))) {
		at++;
		if (strncmp(at, key, n) != 0 || at[n] != '=')
			continue;
		(void)snprintf(value, size, "%.*s", (int)strcspn(at + n + 1, " \n"), at + n + 1);
		return true;
	}
	return false;
}

#endif
