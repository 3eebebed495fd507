/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock file, the pid file, the socket and the directory.
 */
#include "runtime/serve/names.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "pubsub/shm/life.h"
#include "pubsub/util.h"
#include "runtime/serve/server.h"
#include "runtime/system/log.h"

#define LOCK_NAME "zcpd.lock"
#define PID_NAME "zcpd.pid"
/* The machine's own, PID_NS_INIT_INO of linux/nsfs.h. */
#define FIRST_PID_NAMESPACE UINT64_C(0xeffffffc)
#define BACKLOG 256
/* From a name's removal to a look at all of them; and between looks without inotify. */
#define PAUSE_MS 20
#define LOOK_MS 1000
/* As long as they cannot be put back. */
#define MISSING_NS UINT64_C(3000000000)

static int fail(int r, char *text, size_t text_size, const char *what, const char *path)
{
	bool is_full = r == -ENOSPC || r == -EDQUOT;

	(void)snprintf(text, text_size, "%s %.800s: %s%s", what, path, strerror(-r),
		       is_full ? ": make room there, or choose another directory (--runtime-dir, "
				 "ZCP_RUNTIME_DIR)" :
				 "");
	return r;
}

/* Whether the file is the one that has this name. */
static bool is_at(int fd, const char *path)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_dev == there.st_dev &&
	       ours.st_ino == there.st_ino;
}

/* The kernel drops the lock with us, however we end. */
int zcpd_names_lock(struct zcpd_server *server, char *text, size_t text_size)
{
	ZCP_CLEANUP(zcp_close_fd) int fd = -1;
	char path[PATH_MAX];
	int r;

	r = zcp_paths_file(&server->paths, LOCK_NAME, path, sizeof(path));
	if (r < 0)
		return fail(r, text, text_size, "lock file in", server->paths.domain);
	do {
		zcp_close_fd(&fd);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return fail(zcp_errno(), text, text_size, "cannot open the lock file",
				    path);
		if (flock(fd, LOCK_EX | LOCK_NB) < 0)
			return errno == EWOULDBLOCK ?
				       ZCPD_SERVER_E_TAKEN :
				       fail(zcp_errno(), text, text_size, "cannot lock", path);
		/* A file that was removed before we had locked it keeps no runtime out. */
	} while (!is_at(fd, path));
	zcp_close_fd(&server->lock);
	server->lock = zcp_steal_fd(&fd);
	return 0;
}

/*
 * The keeper's pid, which users and programs take for the runtime's. Outside of the pid namespace
 * of a container it is that of another process or of none, so a runtime in a container begins the
 * file with the namespace, and no program takes that for a number.
 */
static int format_pid(char *line, size_t size, pid_t keeper)
{
	uint64_t namespace = zcp_life_pid_namespace();

	if (namespace == 0 || namespace == FIRST_PID_NAMESPACE)
		return snprintf(line, size, "%d\n", (int)keeper);
	return snprintf(line, size, "pid:[%" PRIu64 "]/%d\n", namespace, (int)keeper);
}

/* A process that reads it finds the pid of one runtime or of the other. */
int zcpd_names_write_pid(struct zcpd_server *server, char *text, size_t text_size)
{
	ZCP_CLEANUP(zcp_close_fd) int fd = -1;
	char path[PATH_MAX], new_path[PATH_MAX], line[64];
	int n = format_pid(line, sizeof(line), server->journal.keeper);

	if (zcp_paths_file(&server->paths, PID_NAME, path, sizeof(path)) < 0 ||
	    zcp_paths_file(&server->paths, PID_NAME "_new", new_path, sizeof(new_path)) < 0)
		return -ENAMETOOLONG;
	fd = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, line, (size_t)n) != n || rename(new_path, path) < 0)
		return fail(zcp_errno(), text, text_size, "cannot write", path);
	return 0;
}

/* The name appears only when it can be connected to; a stale one is replaced. */
int zcpd_names_listen(struct zcpd_server *server, char *text, size_t text_size)
{
	ZCP_CLEANUP(zcp_close_fd) int fd = -1;
	const char *path = server->paths.socket.sun_path;
	struct sockaddr_un new_name = server->paths.socket;
	size_t n = strlen(path);

	/* "zcpd.sock" becomes "zcpd.new_": no longer than the name that was checked. */
	(void)strcpy(new_name.sun_path + n - 4, "new_");
	(void)unlink(new_name.sun_path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&new_name, sizeof(new_name)) < 0 ||
	    chmod(new_name.sun_path, 0600) < 0 || listen(fd, BACKLOG) < 0 ||
	    rename(new_name.sun_path, path) < 0)
		return fail(zcp_errno(), text, text_size, "cannot listen at", path);
	/* Under the number of the one before: that is what the loop watches. */
	if (server->listener >= 0 && dup3(fd, server->listener, O_CLOEXEC) < 0)
		return fail(zcp_errno(), text, text_size, "cannot listen at", path);
	if (server->listener < 0)
		server->listener = zcp_steal_fd(&fd);
	return 0;
}

int zcpd_names_open_directory(const struct zcpd_server *server)
{
	char path[PATH_MAX];
	int fd, r = zcp_paths_file(&server->paths, ZCPD_NAMES_DIRECTORY, path, sizeof(path));

	if (r < 0)
		return r;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? zcp_errno() : fd;
}

int zcpd_names_new_directory(const struct zcpd_server *server, char *text, size_t text_size)
{
	char path[PATH_MAX];
	int fd, r = zcp_paths_file(&server->paths, ZCPD_NAMES_DIRECTORY "_new", path, sizeof(path));

	if (r < 0)
		return fail(r, text, text_size, ZCPD_NAMES_DIRECTORY " in", server->paths.domain);
	/* One that was left half made may be mapped still. */
	(void)unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? fail(zcp_errno(), text, text_size, "cannot make", path) : fd;
}

int zcpd_names_put_directory(const struct zcpd_server *server, char *text, size_t text_size)
{
	char path[PATH_MAX], new_path[PATH_MAX];

	if (zcp_paths_file(&server->paths, ZCPD_NAMES_DIRECTORY, path, sizeof(path)) < 0 ||
	    zcp_paths_file(&server->paths, ZCPD_NAMES_DIRECTORY "_new", new_path,
			   sizeof(new_path)) < 0)
		return -ENAMETOOLONG;
	if (rename(new_path, path) < 0)
		return fail(zcp_errno(), text, text_size, "cannot make", path);
	return 0;
}

static bool exists(const struct zcpd_server *server, const char *name)
{
	char path[PATH_MAX];

	return zcp_paths_file(&server->paths, name, path, sizeof(path)) == 0 &&
	       access(path, F_OK) == 0;
}

static bool is_locked(const struct zcpd_server *server)
{
	char path[PATH_MAX];

	return zcp_paths_file(&server->paths, LOCK_NAME, path, sizeof(path)) == 0 &&
	       is_at(server->lock, path);
}

static bool has_directory(const struct zcpd_server *server)
{
	char path[PATH_MAX];

	return zcp_paths_file(&server->paths, ZCPD_NAMES_DIRECTORY, path, sizeof(path)) == 0 &&
	       is_at(server->directory.fd, path);
}

static bool are_there(const struct zcpd_server *server)
{
	return is_locked(server) && exists(server, PID_NAME) &&
	       access(server->paths.socket.sun_path, F_OK) == 0 && has_directory(server);
}

static int put_directory_back(struct zcpd_server *server, char *text, size_t text_size)
{
	int fd = zcpd_names_new_directory(server, text, text_size), r;

	if (fd < 0)
		return fd;
	r = zcpd_directory_move(&server->directory, fd);
	if (r < 0)
		return fail(r, text, text_size, "cannot fill " ZCPD_NAMES_DIRECTORY " in",
			    server->paths.domain);
	return zcpd_names_put_directory(server, text, text_size);
}

/* The lock first: the runtime that has it may replace the other files. */
static int put_back(struct zcpd_server *server, char *text, size_t text_size)
{
	int r = zcp_paths_check(&server->paths, true, text, text_size);

	if (r == 0 && !is_locked(server))
		r = zcpd_names_lock(server, text, text_size);
	if (r == 0)
		r = zcpd_names_write_pid(server, text, text_size);
	if (r == 0)
		r = zcpd_server_listen_anew(server, text, text_size);
	if (r == 0 && !has_directory(server))
		r = put_directory_back(server, text, text_size);
	if (r != 0)
		return r;
	zcpd_server_record(server);
	return 0;
}

/* Of the directories that have these names now; of one that is watched already it changes nothing. */
static void watch_directories(const struct zcpd_server *server)
{
	int fd = server->names.inotify;

	if (fd < 0)
		return;
	(void)inotify_add_watch(fd, server->paths.domain,
				IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF |
					IN_ONLYDIR);
	(void)inotify_add_watch(fd, server->paths.directory,
				IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR);
}

static void on_look(uv_timer_t *timer);

static void look_again_in(struct zcpd_server *server, uint64_t ms)
{
	(void)uv_timer_start(&server->names.timer, on_look, ms, 0);
}

static void look(struct zcpd_server *server)
{
	struct zcpd_names *names = &server->names;
	char text[1024];
	int r;

	watch_directories(server);
	if (are_there(server)) {
		names->missing_since_ns = 0;
		if (names->inotify < 0)
			look_again_in(server, LOOK_MS);
		return;
	}
	r = put_back(server, text, sizeof(text));
	if (r == ZCPD_SERVER_E_TAKEN) {
		names->are_lost = true;
		zcpd_server_stop(server, "its names were removed, and another runtime has them");
		return;
	}
	if (r == 0) {
		zcpd_warning("names of the runtime were removed from %s: they are there again",
			     server->paths.domain);
		names->missing_since_ns = 0;
	} else if (names->missing_since_ns == 0) {
		zcpd_error("names of the runtime were removed and cannot be put back: %s", text);
		names->missing_since_ns = zcp_now_ns();
	} else if (zcp_now_ns() - names->missing_since_ns >= MISSING_NS) {
		zcpd_server_stop(server, "its names cannot be put back");
		return;
	}
	/* What removes them may not have done yet, and the directory may be another one. */
	look_again_in(server, PAUSE_MS);
}

static void on_look(uv_timer_t *timer)
{
	look(timer->data);
}

/* Which it was does not matter. */
static void on_events(uv_poll_t *poll, int status, int events)
{
	struct zcpd_server *server = poll->data;
	char buffer[4096];

	(void)status;
	(void)events;
	while (read(server->names.inotify, buffer, sizeof(buffer)) > 0)
		;
	/* A process that removes one of the files is likely to remove the others. */
	if (!uv_is_active((const uv_handle_t *)&server->names.timer))
		look_again_in(server, PAUSE_MS);
}

void zcpd_names_watch(struct zcpd_server *server)
{
	struct zcpd_names *names = &server->names;

	(void)uv_timer_init(&server->loop, &names->timer);
	names->timer.data = server;
	names->poll.data = server;
	names->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (names->inotify >= 0 && uv_poll_init(&server->loop, &names->poll, names->inotify) < 0)
		zcp_close_fd(&names->inotify);
	if (names->inotify >= 0)
		(void)uv_poll_start(&names->poll, UV_READABLE, on_events);
	look(server);
}

void zcpd_names_remove(struct zcpd_server *server)
{
	char path[PATH_MAX];

	/* They may be another runtime's since we have looked. */
	if (!is_locked(server))
		server->names.are_lost = true;
	if (server->names.are_lost)
		return;
	/* The name goes first: no node connects that would not be served. */
	(void)unlink(server->paths.socket.sun_path);
	if (zcp_paths_file(&server->paths, PID_NAME, path, sizeof(path)) == 0)
		(void)unlink(path);
	/* The next runtime waits for nodes that go on without one. */
	if (server->registry.n_nodes == 0 && !server->registry.waits &&
	    zcp_paths_file(&server->paths, ZCPD_NAMES_DIRECTORY, path, sizeof(path)) == 0)
		(void)unlink(path);
}

void zcpd_names_deinit(struct zcpd_names *names)
{
	zcp_close_fd(&names->inotify);
}
