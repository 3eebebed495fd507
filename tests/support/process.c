/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helpers, pipes, pidfds, /proc.
 */
#include "tests/support/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/check.h"

void zcp_test_fork(struct zcp_test_child *child,
		   void (*run)(struct zcp_test_child *self, void *arg), void *arg)
{
	pid_t parent = getpid();
	int down[2], up[2];

	ZCP_CHECK(pipe2(down, O_CLOEXEC) == 0 && pipe2(up, O_CLOEXEC) == 0);
	(void)fflush(NULL);
	*child = (struct zcp_test_child){ .pid = fork(), .pidfd = -1 };
	ZCP_CHECK(child->pid >= 0);
	if (child->pid == 0) {
		struct zcp_test_child self = {
			.pid = getpid(),
			.pidfd = -1,
			.in = down[0],
			.out = up[1],
		};

		/*
		 * A parent that fails leaves nobody behind. The first process of a pid namespace does
		 * not see it.
		 */
		ZCP_CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
			  (getppid() == parent || getpid() == 1));
		(void)close(down[1]);
		(void)close(up[0]);
		run(&self, arg);
		_exit(0);
	}
	(void)close(down[0]);
	(void)close(up[1]);
	child->in = up[0];
	child->out = down[1];
	child->pidfd = zcp_test_pidfd(child->pid);
	ZCP_CHECK(child->pidfd >= 0);
}

void zcp_test_say(struct zcp_test_child *other, const void *data, size_t size)
{
	/* Less than PIPE_BUF: all or nothing. */
	ZCP_CHECK(write(other->out, data, size) == (ssize_t)size);
}

void zcp_test_hear(struct zcp_test_child *other, void *data, size_t size)
{
	ssize_t n;

	do {
		n = read(other->in, data, size);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		(void)dprintf(STDERR_FILENO, "process %d has ended\n", (int)other->pid);
	ZCP_CHECK(n == (ssize_t)size);
}

bool zcp_test_has_said(struct zcp_test_child *other)
{
	struct pollfd pollfd = { .fd = other->in, .events = POLLIN };

	return poll(&pollfd, 1, 0) > 0;
}

void zcp_test_say_step(struct zcp_test_child *other, uint64_t step)
{
	zcp_test_say(other, &step, sizeof(step));
}

void zcp_test_hear_step(struct zcp_test_child *other, uint64_t step)
{
	uint64_t heard;

	zcp_test_hear(other, &heard, sizeof(heard));
	ZCP_CHECK(heard == step);
}

void zcp_test_wait_for_the_end(struct zcp_test_child *self)
{
	char byte;

	while (read(self->in, &byte, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

static void close_ends(struct zcp_test_child *child)
{
	(void)close(child->in);
	(void)close(child->out);
	(void)close(child->pidfd);
}

void zcp_test_join(struct zcp_test_child *child)
{
	int status;

	ZCP_CHECK(waitpid(child->pid, &status, 0) == child->pid);
	close_ends(child);
	if (WIFSIGNALED(status))
		(void)dprintf(STDERR_FILENO, "process %d was ended by signal %d\n", (int)child->pid,
			      WTERMSIG(status));
	ZCP_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void zcp_test_kill(struct zcp_test_child *child)
{
	int status;

	ZCP_CHECK(zcp_test_pidfd_kill(child->pidfd, SIGKILL) == 0);
	ZCP_CHECK(waitpid(child->pid, &status, 0) == child->pid);
	/* Not one that had failed before. */
	ZCP_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close_ends(child);
}

void zcp_test_stop(struct zcp_test_child *child)
{
	int status;

	ZCP_CHECK(zcp_test_pidfd_kill(child->pidfd, SIGSTOP) == 0);
	ZCP_CHECK(waitpid(child->pid, &status, WUNTRACED) == child->pid && WIFSTOPPED(status));
}

void zcp_test_continue(struct zcp_test_child *child)
{
	ZCP_CHECK(zcp_test_pidfd_kill(child->pidfd, SIGCONT) == 0);
}

/* A file in /proc, as far as it fits; "" if it cannot be read. */
static void read_proc(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t n = 0;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, size - 1);
		(void)close(fd);
	}
	text[n > 0 ? n : 0] = 0;
}

/* 'S', 'T', ...; 0 where it is gone. */
static char state_of(pid_t pid)
{
	char stat[512];
	const char *state;

	read_proc(pid, "stat", stat, sizeof(stat));
	state = strrchr(stat, ')');
	return state && state[1] == ' ' ? state[2] : 0;
}

void zcp_test_stop_process(pid_t pid)
{
	ZCP_CHECK(kill(pid, SIGSTOP) == 0);
	while (state_of(pid) != 'T')
		(void)sched_yield();
}

void zcp_test_continue_process(pid_t pid)
{
	ZCP_CHECK(kill(pid, SIGCONT) == 0);
}

static bool is_asleep(pid_t pid, const char *name)
{
	char where[64];

	if (state_of(pid) != 'S')
		return false;
	read_proc(pid, "wchan", where, sizeof(where));
	/* Where the kernel does not tell, any sleep will do. */
	return where[0] == 0 || strcmp(where, "0") == 0 || strstr(where, name) != NULL;
}

void zcp_test_wait_until_asleep_in(pid_t pid, const char *where)
{
	while (!is_asleep(pid, where))
		(void)sched_yield();
}

void zcp_test_wait_until_asleep(pid_t pid)
{
	zcp_test_wait_until_asleep_in(pid, "futex");
}

void zcp_test_wait_until_stopped(pid_t pid)
{
	char text[4096];
	const char *state;

	do {
		read_proc(pid, "status", text, sizeof(text));
		state = strstr(text, "\nState:\t");
		ZCP_CHECK(state != NULL);
	} while (state[8] != 'T');
}

static uint64_t n_switches_of_thread(pid_t pid, const char *thread)
{
	static const char *const names[] = { "voluntary_ctxt_switches:",
					     "nonvoluntary_ctxt_switches:" };
	char name[64], text[4096];
	uint64_t sum = 0;

	(void)snprintf(name, sizeof(name), "task/%.20s/status", thread);
	read_proc(pid, name, text, sizeof(text));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *line = text;

		/* At the begin of a line: one name is the end of the other. */
		while (line && strncmp(line, names[i], strlen(names[i])) != 0) {
			line = strchr(line, '\n');
			line += line != NULL;
		}
		ZCP_CHECK(line != NULL);
		sum += strtoull(line + strlen(names[i]), NULL, 10);
	}
	return sum;
}

uint64_t zcp_test_n_switches(pid_t pid)
{
	struct dirent *entry;
	uint64_t sum = 0;
	char path[64];
	DIR *threads;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	threads = opendir(path);
	ZCP_CHECK(threads != NULL);
	while ((entry = readdir(threads)))
		if (entry->d_name[0] != '.')
			sum += n_switches_of_thread(pid, entry->d_name);
	(void)closedir(threads);
	return sum;
}

pid_t zcp_test_read_pid(const char *path)
{
	FILE *file = fopen(path, "re");
	int pid = 0;

	if (!file)
		return 0;
	/* In a container its pid namespace comes first. */
	if (fscanf(file, "pid:[%*u]/%d", &pid) != 1 &&
	    (fseek(file, 0, SEEK_SET) != 0 || fscanf(file, "%d", &pid) != 1))
		pid = 0;
	(void)fclose(file);
	return pid;
}

int zcp_test_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

int zcp_test_pidfd_kill(int pidfd, int number)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0);
}

bool zcp_test_ends(int pidfd, int timeout_ms)
{
	struct pollfd pollfd = { .fd = pidfd, .events = POLLIN };
	int r;

	do {
		r = poll(&pollfd, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	return r == 1;
}

pid_t zcp_test_parent(pid_t pid)
{
	char stat[512];
	const char *end;
	int parent = 0;

	read_proc(pid, "stat", stat, sizeof(stat));
	end = strrchr(stat, ')');
	return end && sscanf(end, ") %*c %d", &parent) == 1 ? parent : 0;
}

pid_t zcp_test_any_child(void)
{
	DIR *proc = opendir("/proc");
	pid_t found = 0;
	struct dirent *entry;

	ZCP_CHECK(proc != NULL);
	while (!found && (entry = readdir(proc))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid > 0 && zcp_test_parent(pid) == getpid())
			found = pid;
	}
	(void)closedir(proc);
	return found;
}

unsigned int zcp_test_n_fds(pid_t pid)
{
	unsigned int n = 0;
	char path[64];
	DIR *fds;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	fds = opendir(path);
	ZCP_CHECK(fds != NULL);
	while (readdir(fds))
		n++;
	(void)closedir(fds);
	return n - 2; /* "." and ".." */
}

void zcp_test_wait_n_fds(pid_t pid, unsigned int n)
{
	while (zcp_test_n_fds(pid) != n)
		(void)sched_yield();
}

unsigned int zcp_test_n_mappings(pid_t pid)
{
	char path[64], line[512];
	unsigned int n = 0;
	FILE *maps;

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	ZCP_CHECK(maps != NULL);
	while (fgets(line, sizeof(line), maps))
		n += strstr(line, "/memfd:zcp-") != NULL;
	(void)fclose(maps);
	return n;
}
