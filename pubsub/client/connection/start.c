/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first node of a domain starts its runtime. A lock file keeps two of them from doing
 * so at once; the kernel drops it with its holder, so nothing stale stays behind.
 */
#include "pubsub/client/connection/start.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "pubsub/util.h"
#include "pubsub/wire/paths.h"

#define LOCK_NAME "start.lock"
/* Between two looks at a lock that another starter holds, and at a socket's full backlog. */
#define RETRY_NS 1000000
/* Between two looks for a runtime that another process starts. */
#define AWAIT_NS 10000000
/* Runtimes that end without a word, one after another: they are killed, or are no runtimes. */
#define SILENT_MAX 5
/* Between two starts, at the most. */
#define START_AGAIN_NS 50000000

struct start {
	const struct zcp_node_options *options;
	/* root asks; whose the runtime is does not matter */
	bool is_onlooker;
	struct zcp_paths paths;
	uint64_t deadline;
	char *text;
	size_t text_size;
};

extern char **environ;

static void pause_for(long ns)
{
	struct timespec ts = { .tv_nsec = ns };

	(void)nanosleep(&ts, NULL);
}

/* Others may have put another directory in the place of ours: see zcp_paths_check(). */
static int check_peer(const struct start *start, int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
		r = zcp_errno();
		(void)snprintf(start->text, start->text_size,
			       "cannot see whose runtime answers at %s: %s",
			       start->paths.socket.sun_path, strerror(-r));
		return r;
	}
	if (peer.uid == geteuid() || start->is_onlooker)
		return 0;
	(void)snprintf(start->text, start->text_size,
		       "the runtime at %s belongs to user %u and we are user %u: set "
		       "ZCP_RUNTIME_DIR to a directory that others cannot write to",
		       start->paths.socket.sun_path, (unsigned int)peer.uid,
		       (unsigned int)geteuid());
	return -EPERM;
}

/* Returns 0, -ECONNREFUSED where no runtime answers, or an error with a sentence. */
static int try_connect(struct start *start, int *socketp)
{
	ZCP_CLEANUP(zcp_close_fd) int fd = -1;
	int r;

	fd = zcp_raise_fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (fd < 0) {
		r = zcp_errno();
		(void)snprintf(start->text, start->text_size, "socket: %s", strerror(-r));
		return r;
	}
	while (connect(fd, (const struct sockaddr *)&start->paths.socket,
		       sizeof(start->paths.socket)) < 0) {
		r = zcp_errno();
		if (r == -ENOENT || r == -ECONNREFUSED)
			return -ECONNREFUSED;
		if ((r == -EAGAIN || r == -EINTR) && zcp_now_ns() < start->deadline) {
			pause_for(RETRY_NS);
			continue;
		}
		if (r == -EAGAIN)
			r = -ETIMEDOUT;
		(void)snprintf(start->text, start->text_size,
			       "cannot connect to the runtime at %s: %s",
			       start->paths.socket.sun_path, strerror(-r));
		return r;
	}
	r = check_peer(start, fd);
	if (r < 0)
		return r;
	*socketp = zcp_steal_fd(&fd);
	return 0;
}

static int lock(struct start *start, int *lockp)
{
	ZCP_CLEANUP(zcp_close_fd) int fd = -1;
	char path[PATH_MAX];
	int r;

	r = zcp_paths_file(&start->paths, LOCK_NAME, path, sizeof(path));
	if (r == 0) {
		fd = zcp_raise_fd(open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
		r = fd < 0 ? zcp_errno() : 0;
	}
	if (r < 0) {
		(void)snprintf(start->text, start->text_size, "cannot open the lock file %s: %s",
			       path, strerror(-r));
		return r;
	}
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (zcp_now_ns() >= start->deadline) {
			(void)snprintf(
				start->text, start->text_size,
				"another process holds %s and has not started the runtime in "
				"time: see what it does, or start zcpd by hand",
				path);
			return -ETIMEDOUT;
		}
		pause_for(RETRY_NS);
	}
	*lockp = zcp_steal_fd(&fd);
	return 0;
}

/* `name` in the directory of the file `path`, in its place. Whether there is such a program. */
static bool find_beside(char *path, size_t size, const char *name)
{
	char *slash = strrchr(path, '/');

	if (!slash || (size_t)(slash - path) + 1 + strlen(name) + 1 > size)
		return false;
	(void)strcpy(slash + 1, name);
	return access(path, X_OK) == 0;
}

/* zcpd beside the program that we are in. */
static bool find_beside_program(char *path, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", path, size - 1);

	path[n < 0 ? 0 : n] = 0;
	return find_beside(path, size, "zcpd");
}

/* zcpd of the tree that the library is in: lib/libzcp.so, bin/zcpd. */
static bool find_beside_library(char *path, size_t size)
{
	static const char here;
	Dl_info info;

	if (!dladdr(&here, &info) || !info.dli_fname || !strchr(info.dli_fname, '/') ||
	    strlen(info.dli_fname) >= size)
		return false;
	(void)strcpy(path, info.dli_fname);
	if (find_beside(path, size, "../bin/zcpd"))
		return true;
	(void)strcpy(path, info.dli_fname);
	/* lib/x86_64-linux-gnu */
	return find_beside(path, size, "../../bin/zcpd");
}

/* Which program to start: a path, or a name for $PATH. */
static const char *find_program(const struct start *start, char *beside, size_t size)
{
	const char *environment = secure_getenv("ZCP_ZCPD");

	if (start->options->zcpd)
		return start->options->zcpd;
	if (environment && environment[0])
		return environment;
	if (find_beside_program(beside, size) || find_beside_library(beside, size))
		return beside;
	if (access(ZCP_BINDIR "/zcpd", X_OK) == 0)
		return ZCP_BINDIR "/zcpd";
	return "zcpd";
}

/* Descriptors of the program are none of the runtime's. */
static int close_others(posix_spawn_file_actions_t *actions)
{
#ifdef __GLIBC__
	return posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
#else
	/* musl cannot close all of them: it closes those that are open now. */
	DIR *all = opendir("/proc/self/fd");
	struct dirent *entry;
	int r = all ? 0 : errno;

	while (r == 0 && (entry = readdir(all))) {
		int fd = (int)strtol(entry->d_name, NULL, 10);

		if (fd > STDERR_FILENO && fd != dirfd(all))
			r = posix_spawn_file_actions_addclose(actions, fd);
	}
	if (all)
		(void)closedir(all);
	return r;
#endif
}

/* The child has no signal blocked or handled, no descriptor of ours, a session of its own. */
static int spawn(const struct start *start, const char *program, int output, pid_t *pid)
{
	char *arguments[] = {
		(char *)program,
		(char *)"--until-idle",
		(char *)"--domain",
		(char *)start->options->domain,
		(char *)"--runtime-dir",
		(char *)start->paths.directory,
		NULL,
	};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	struct sched_param parameters = { .sched_priority = 0 };
	short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID;
	int policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
	sigset_t none, all;
	int r;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	r = posix_spawnattr_init(&attributes);
	if (r != 0)
		return -r;
	r = posix_spawn_file_actions_init(&actions);
	if (r != 0) {
		(void)posix_spawnattr_destroy(&attributes);
		return -r;
	}
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	(void)posix_spawnattr_setsigdefault(&attributes, &all);
	/* A real-time program's runtime is not one itself. */
	if (policy == SCHED_FIFO || policy == SCHED_RR) {
		(void)posix_spawnattr_setschedpolicy(&attributes, SCHED_OTHER);
		(void)posix_spawnattr_setschedparam(&attributes, &parameters);
		flags |= POSIX_SPAWN_SETSCHEDULER | POSIX_SPAWN_SETSCHEDPARAM;
	}
	(void)posix_spawnattr_setflags(&attributes, flags);
	r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY,
						     0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
	if (r == 0)
		r = close_others(&actions);
	if (r == 0)
		r = posix_spawnp(pid, program, &actions, &attributes, arguments, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)posix_spawnattr_destroy(&attributes);
	return -r;
}

/* Reads what the runtime says until it is ready, or has given up, and closes its end. */
static int read_output(const struct start *start, int fd, char *said, size_t said_size)
{
	size_t size = 0;

	for (;;) {
		struct pollfd pollfd = { .fd = fd, .events = POLLIN };
		uint64_t now = zcp_now_ns();
		uint64_t ms = now < start->deadline ? (start->deadline - now) / 1000000 + 1 : 0;
		int left = ms < INT_MAX ? (int)ms : INT_MAX;
		char rest[256];
		ssize_t n;
		int r = poll(&pollfd, 1, left);

		if (r == 0)
			return -ETIMEDOUT;
		if (r < 0 && errno != EINTR)
			return zcp_errno();
		if (r < 0)
			continue;
		n = size + 1 < said_size ? read(fd, said + size, said_size - 1 - size) :
					   read(fd, rest, sizeof(rest));
		if (n < 0 && errno != EINTR)
			return zcp_errno();
		if (n == 0)
			break;
		if (n > 0 && size + 1 < said_size)
			size += (size_t)n;
	}
	while (size > 0 && said[size - 1] == '\n')
		size--;
	said[size] = 0;
	return 0;
}

/* Expected outcome: it was killed before it could serve, or say why not. */
enum {
	RUN_E_SILENT = 1,
};

static int run(struct start *start)
{
	ZCP_CLEANUP(zcp_close_fd) int output = -1;
	ZCP_CLEANUP(zcp_close_fd) int input = -1;
	char beside[PATH_MAX], said[400] = "";
	const char *program = find_program(start, beside, sizeof(beside));
	int pipes[2], status = 0, r;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0) {
		r = zcp_errno();
		(void)snprintf(start->text, start->text_size, "pipe: %s", strerror(-r));
		return r;
	}
	input = zcp_raise_fd(pipes[0]);
	output = zcp_raise_fd(pipes[1]);
	if (input < 0 || output < 0) {
		r = zcp_errno();
		(void)snprintf(start->text, start->text_size, "pipe: %s", strerror(-r));
		return r;
	}
	r = spawn(start, program, output, &pid);
	if (r < 0) {
		(void)snprintf(start->text, start->text_size,
			       "cannot start the runtime '%s': %s: install zcpd, or name it in "
			       "ZCP_ZCPD",
			       program, strerror(-r));
		return r;
	}
	zcp_close_fd(&output);
	r = read_output(start, input, said, sizeof(said));
	if (r == -ETIMEDOUT) {
		(void)snprintf(start->text, start->text_size,
			       "the runtime '%s' did not become ready in time: %s", program,
			       said[0] ? said : "it said nothing");
		return r;
	}
	/* A program that reaps all its children may have reaped ours: what it said tells. */
	while (waitpid(pid, &status, 0) < 0) {
		if (errno == EINTR)
			continue;
		status = said[0] ? -1 : 0;
		break;
	}
	if (status != 0) {
		(void)snprintf(start->text, start->text_size, "the runtime '%s' did not start: %s",
			       program, said[0] ? said : "it said nothing");
		return said[0] ? -EIO : RUN_E_SILENT;
	}
	return 0;
}

/* For a runtime that another process starts. Returns as try_connect(). */
static int wait_for_one(struct start *start, int *socketp)
{
	uint64_t now = zcp_now_ns(), until = now + start->options->wait_ns;
	int r = -ECONNREFUSED;

	while (r == -ECONNREFUSED && now < until && now < start->deadline) {
		pause_for(AWAIT_NS);
		r = try_connect(start, socketp);
		now = zcp_now_ns();
	}
	return r;
}

static int connect_or_start(struct start *start, int *socketp)
{
	ZCP_CLEANUP(zcp_close_fd) int lock_fd = -1;
	unsigned int n_silent = 0;
	int r = try_connect(start, socketp);

	if (r != -ECONNREFUSED)
		return r;
	if (start->options->auto_start != ZCP_AUTO_START_ON)
		r = wait_for_one(start, socketp);
	if (r == 0)
		return 0;
	if (start->options->auto_start != ZCP_AUTO_START_ON) {
		(void)snprintf(
			start->text, start->text_size,
			"no runtime answers in domain '%s' at %s: start zcpd, or allow it to "
			"be started (auto_start, ZCP_AUTO_START)",
			start->options->domain, start->paths.socket.sun_path);
		return r;
	}
	r = lock(start, &lock_fd);
	if (r < 0)
		return r;
	/* The process that had the lock before us may have started it. */
	r = try_connect(start, socketp);
	for (long pause_ns = RETRY_NS; r == -ECONNREFUSED; pause_ns *= 2) {
		r = run(start);
		/* The time that is left may be too short for one more. */
		if (r < 0 && !(r == -ETIMEDOUT && pause_ns > RETRY_NS))
			return r;
		if (r == RUN_E_SILENT && ++n_silent >= SILENT_MAX)
			return -EIO;
		if (r >= 0)
			r = try_connect(start, socketp);
		if (r == -ETIMEDOUT || (r == -ECONNREFUSED && zcp_now_ns() >= start->deadline)) {
			(void)snprintf(start->text, start->text_size,
				       "the runtime of domain '%s' was started and does not answer "
				       "at %s",
				       start->options->domain, start->paths.socket.sun_path);
			return -ETIMEDOUT;
		}
		/* One that is about to end has the domain still, or ended before we came. */
		if (r == -ECONNREFUSED)
			pause_for(pause_ns < START_AGAIN_NS ? pause_ns : START_AGAIN_NS);
	}
	return r;
}

int zcp_start_connect(const struct zcp_node_options *options, bool looks, uint64_t deadline,
		      int *socketp, char *text, size_t text_size)
{
	struct start start = {
		.options = options,
		.is_onlooker = looks && geteuid() == 0,
		.deadline = deadline,
		.text = text,
		.text_size = text_size,
	};
	bool create = options->auto_start == ZCP_AUTO_START_ON;
	uint64_t until = zcp_now_ns() + options->wait_ns;
	int r;

	r = zcp_paths_init(&start.paths, options->runtime_dir, options->domain, text, text_size);
	if (r < 0)
		return r;
	if (start.is_onlooker && !create)
		return connect_or_start(&start, socketp);
	r = zcp_paths_check(&start.paths, create, text, text_size);
	/* The process that starts it makes the directory as well. */
	while (r == -ENOENT && !create && zcp_now_ns() < until && zcp_now_ns() < deadline) {
		pause_for(AWAIT_NS);
		r = zcp_paths_check(&start.paths, create, text, text_size);
	}
	if (r == -ENOENT && !create) {
		(void)snprintf(text, text_size,
			       "no runtime answers in domain '%s': there is no %s: start zcpd, or "
			       "allow it to be started (auto_start, ZCP_AUTO_START)",
			       options->domain, start.paths.domain);
		return -ECONNREFUSED;
	}
	if (r < 0)
		return r;
	return connect_or_start(&start, socketp);
}
