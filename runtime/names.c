/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock file, the pid file and the socket.
 */
#include "runtime/names.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "pubsub/util.h"
#include "runtime/server.h"

#define LOCK_NAME "zcpd.lock"
#define PID_NAME "zcpd.pid"
#define BACKLOG 256

static int fail(int r, char *text, size_t text_size, const char *what, const char *path)
{
	(void)snprintf(text, text_size, "%s %s: %s", what, path, strerror(-r));
	return r;
}

/* The kernel drops the lock with us, however we end. */
int zcpd_names_lock(struct zcpd_server *server, char *text, size_t text_size)
{
	char path[PATH_MAX];
	int r;

	r = zcp_paths_file(&server->paths, LOCK_NAME, path, sizeof(path));
	if (r < 0)
		return fail(r, text, text_size, "lock file in", server->paths.domain);
	server->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (server->lock < 0)
		return fail(zcp_errno(), text, text_size, "cannot open the lock file", path);
	if (flock(server->lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ?
			       ZCPD_SERVER_E_TAKEN :
			       fail(zcp_errno(), text, text_size, "cannot lock", path);
	return 0;
}

/* The keeper's: everybody takes it for the runtime. Whoever reads it finds one or the other. */
int zcpd_names_write_pid(struct zcpd_server *server, char *text, size_t text_size)
{
	ZCP_CLEANUP(zcp_close_fd) int fd = -1;
	char path[PATH_MAX], new_path[PATH_MAX], line[32];
	int n = snprintf(line, sizeof(line), "%d\n", (int)server->journal.keeper);

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
	const char *path = server->paths.socket.sun_path;
	struct sockaddr_un new_name = server->paths.socket;
	size_t n = strlen(path);

	/* "zcpd.sock" becomes "zcpd.new_": no longer than the name that was checked. */
	(void)strcpy(new_name.sun_path + n - 4, "new_");
	(void)unlink(new_name.sun_path);
	server->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->listener < 0 ||
	    bind(server->listener, (const struct sockaddr *)&new_name, sizeof(new_name)) < 0 ||
	    chmod(new_name.sun_path, 0600) < 0 || listen(server->listener, BACKLOG) < 0 ||
	    rename(new_name.sun_path, path) < 0)
		return fail(zcp_errno(), text, text_size, "cannot listen at", path);
	return 0;
}

void zcpd_names_remove(const struct zcpd_server *server)
{
	char path[PATH_MAX];

	/* The name goes first: nobody connects to us who would not be served. */
	(void)unlink(server->paths.socket.sun_path);
	if (zcp_paths_file(&server->paths, PID_NAME, path, sizeof(path)) == 0)
		(void)unlink(path);
}
