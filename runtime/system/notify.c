/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A socket, and a datagram.
 */
#include "runtime/system/notify.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "pubsub/util.h"
#include "runtime/system/log.h"

int zcpd_notify_connect(void)
{
	ZCP_CLEANUP(zcp_close_fd) int fd = -1;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;

	if (n == 0)
		return -1;
	if ((path[0] != '/' && path[0] != '@') || n >= sizeof(address.sun_path)) {
		zcpd_warning("NOTIFY_SOCKET '%s' is neither a path nor an abstract name", path);
		return -1;
	}
	memcpy(address.sun_path, path, n);
	if (path[0] == '@')
		address.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0) {
		zcpd_warning("cannot notify %s: %s", path, strerror(errno));
		return -1;
	}
	return zcp_steal_fd(&fd);
}

void zcpd_notify(const char *state)
{
	static const struct timeval patience = { .tv_sec = 1 };
	ZCP_CLEANUP(zcp_close_fd) int fd = zcpd_notify_connect();

	/* No node is served while we wait for a manager that does not listen. */
	if (fd >= 0)
		ZCP_IGNORE(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) <
			   0);
	if (fd >= 0 && send(fd, state, strlen(state), MSG_NOSIGNAL) < 0)
		zcpd_warning("cannot notify %s: %s", getenv("NOTIFY_SOCKET"), strerror(errno));
}
