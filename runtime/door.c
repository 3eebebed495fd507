/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting connections.
 */
#include "runtime/door.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "pubsub/util.h"
#include "pubsub/wire/socket.h"
#include "runtime/log.h"
#include "runtime/quota.h"
#include "runtime/server.h"

static uint32_t count_sessions(const struct zcpd_server *server, uint32_t uid)
{
	const struct zcpd_session *session;
	uint32_t n = 0;

	LIST_FOREACH(session, &server->sessions, link)
		/* What a runtime before us has left of a node that has yet to come back is no more. */
		n += session->uid == uid && !(session->returning && session->socket < 0);
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
	/* One who has gone already need not be told. */
	ZCP_IGNORE(zcp_socket_send(socket, &message, NULL, 0));
}

bool zcpd_door_lets_in(const struct zcpd_server *server, int socket)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	char text[ZCP_TEXT_SIZE];
	int r;

	/* Who cannot be told apart is refused where the session is made. */
	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return true;
	r = zcpd_quota_check_connection(server->config, peer.uid, count_sessions(server, peer.uid),
					text, sizeof(text));
	if (r == 0)
		return true;
	zcpd_warning("pid %d is refused: %s", (int)peer.pid, text);
	tell(socket, r, text);
	return false;
}
