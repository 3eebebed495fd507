/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting connections and descriptors.
 */
#include "runtime/serve/door.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "pubsub/util.h"
#include "pubsub/wire/socket.h"
#include "runtime/open/quota.h"
#include "runtime/serve/server.h"
#include "runtime/system/log.h"
#include "runtime/system/process.h"

/* Descriptors that are left to the nodes that are there: a topic takes seven. */
#define RESERVE 16
/* Connections that are turned away before those that there are have their turn. */
#define TURNED_AWAY_MAX 64

static uint32_t count_sessions(const struct zcpd_server *server, uint32_t uid)
{
	const struct zcpd_session *session;
	uint32_t n = 0;

	LIST_FOREACH(session, &server->sessions, link)
		/* What a runtime before us has left of a node that has yet to come back is no more. */
		n += session->entry.uid == uid &&
		     !(session->entry.returning && session->socket < 0);
	return n;
}

/* The last word: no answer to any request, since none has been read. */
static void tell(int socket, int error, const char *text)
{
	struct zcp_message message = { .type = ZCP_MESSAGE_ERROR };

	message.u.error.code = (uint32_t)-error;
	(void)snprintf(message.u.error.text, sizeof(message.u.error.text), "%s", text);
	/*
	 * What is left unread when we close would reach the other end before the message does, as
	 * an error.
	 */
	(void)shutdown(socket, SHUT_RD);
	for (char byte; recv(socket, &byte, 1, MSG_DONTWAIT) > 0;)
		;
	/* A node that has gone already need not be told. */
	ZCP_IGNORE(zcp_socket_send(socket, &message, NULL, 0));
}

static void refuse_for_want(struct zcpd_server *server, int socket, int error)
{
	char text[ZCP_TEXT_SIZE];

	(void)snprintf(
		text, sizeof(text),
		"the runtime is out of descriptors (%s): close nodes or topics, or raise its "
		"RLIMIT_NOFILE, which is %" PRIu64 " (ulimit -n; LimitNOFILE= of a unit)",
		strerror(-error), zcpd_process_max_fds());
	if (!server->is_full)
		zcpd_warning("new nodes are refused until there is room: %s", text);
	server->is_full = true;
	tell(socket, error, text);
}

void zcpd_door_spare(struct zcpd_server *server)
{
	if (server->spare < 0)
		server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void zcpd_door_turn_away(struct zcpd_server *server, int error)
{
	int fd = 0;

	for (int i = 0; i < TURNED_AWAY_MAX && fd >= 0; i++) {
		zcp_close_fd(&server->spare);
		fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			refuse_for_want(server, fd, error);
			(void)close(fd);
		}
		zcpd_door_spare(server);
	}
}

/* The kernel does not tell us of the end of a process that has no pid here. */
static void refuse_stranger(int socket)
{
	static const char text[] =
		"this process is in a pid namespace (a container) whose pids the runtime does not "
		"see, and the runtime's kernel would not tell it when the process ends (it lacks "
		"SO_PEERPIDFD, Linux 6.5): run both in one pid namespace (docker run --pid)";

	zcpd_warning("a process of another pid namespace is refused: %s", text);
	tell(socket, -ENOTSUP, text);
}

bool zcpd_door_lets_in(struct zcpd_server *server, int socket)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	char text[ZCP_TEXT_SIZE], pid[ZCPD_PROCESS_TEXT_SIZE];
	int r;

	/* It is the lowest that is free. */
	if ((uint64_t)socket + RESERVE >= zcpd_process_max_fds()) {
		refuse_for_want(server, socket, -EMFILE);
		return false;
	}
	/* A node whose user cannot be found out is refused where the session is made. */
	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return true;
	if (peer.pid == 0) {
		ZCP_CLEANUP(zcp_close_fd) int pidfd = zcpd_process_of_peer(socket, 0);

		if (pidfd == -ENOPROTOOPT) {
			refuse_stranger(socket);
			return false;
		}
	}
	r = zcpd_quota_check_connection(server->config, peer.uid, count_sessions(server, peer.uid),
					text, sizeof(text));
	if (r < 0) {
		zcpd_warning("pid %s is refused: %s", zcpd_process_text((uint32_t)peer.pid, pid),
			     text);
		tell(socket, r, text);
		return false;
	}
	if (server->is_full)
		zcpd_info("there is room for new nodes again");
	server->is_full = false;
	return true;
}
