/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections: who is at the other end, what is sent, and the end.
 */
#include "runtime/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <zcp/version.h>

#include "pubsub/shm/region.h"
#include "pubsub/util.h"
#include "pubsub/wire/codec.h"
#include "runtime/log.h"
#include "runtime/request.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

/*
 * Messages that wait for a client that does not read; then it is disconnected. A node has
 * one request under way, and what grows comes to fewer events than a socket's buffer holds.
 */
#define PACKETS_MAX 16

static void watch_socket(struct zcpd_session *session);

static void free_packet(struct zcpd_packet *packet)
{
	zcp_fds_deinit(&packet->fds);
	free(packet->buffer);
	free(packet);
}

static void free_session(uv_handle_t *handle)
{
	struct zcpd_session *session = handle->data;

	if (--session->n_handles > 0)
		return;
	while (!STAILQ_EMPTY(&session->packets)) {
		struct zcpd_packet *packet = STAILQ_FIRST(&session->packets);

		STAILQ_REMOVE_HEAD(&session->packets, link);
		free_packet(packet);
	}
	zcp_close_fd(&session->socket);
	zcp_close_fd(&session->pidfd);
	free(session);
}

static void close_handles(struct zcpd_session *session)
{
	if (!uv_is_closing((uv_handle_t *)&session->socket_poll))
		uv_close((uv_handle_t *)&session->socket_poll, free_session);
	uv_close((uv_handle_t *)&session->pidfd_poll, free_session);
}

static void end_session(struct zcpd_session *session)
{
	if (session->ending)
		return;
	session->ending = true;
	if (session->greeted)
		zcpd_registry_give_signal(session->registry, session->signal);
	session->ended(session, session->user);
	close_handles(session);
}

/*
 * The process is gone. Closing one endpoint may finish the leave of another, which must not
 * find its way back here: each is taken off before it is closed.
 */
static void close_endpoints(struct zcpd_session *session)
{
	struct zcpd_endpoint *endpoint;

	LIST_FOREACH(endpoint, &session->endpoints, link)
		if (endpoint->state == ZCPD_ENDPOINT_LEAVING)
			endpoint->request_id = 0;
	while (!LIST_EMPTY(&session->endpoints)) {
		endpoint = LIST_FIRST(&session->endpoints);
		LIST_REMOVE(endpoint, link);
		endpoint->session = NULL;
		zcpd_registry_close(session->registry, endpoint, 0);
	}
}

static void on_process_end(uv_poll_t *poll, int status, int events)
{
	struct zcpd_session *session = poll->data;

	(void)status;
	(void)events;
	if (!LIST_EMPTY(&session->endpoints))
		zcpd_info("node '%s' (pid %u) has ended without closing: cleaning up",
			  session->node, session->pid);
	close_endpoints(session);
	end_session(session);
}

/* The connection is over. */
static void disconnect(struct zcpd_session *session)
{
	struct zcpd_endpoint *endpoint;

	if (LIST_EMPTY(&session->endpoints)) {
		zcpd_debug("node '%s' (pid %u) has left", session->node, session->pid);
		end_session(session);
		return;
	}
	/* The poll first: once the number is somebody else's it must not be touched again. */
	uv_close((uv_handle_t *)&session->socket_poll, free_session);
	zcp_close_fd(&session->socket);
	LIST_FOREACH(endpoint, &session->endpoints, link)
		zcpd_registry_deactivate(session->registry, endpoint);
}

/* What the peer sent is not what a node sends: it loses its connection and nothing else. */
void zcpd_session_refuse(struct zcpd_session *session, const char *why)
{
	zcpd_warning("node '%s' (pid %u): %s: disconnected", session->node, session->pid, why);
	disconnect(session);
}

static int queue(struct zcpd_session *session, const struct zcp_message *message, const int *fds,
		 uint32_t n_fds)
{
	struct zcpd_packet *packet;

	if (session->n_packets >= PACKETS_MAX)
		return -ENOBUFS;
	packet = calloc(1, sizeof(*packet));
	if (!packet)
		return -ENOMEM;
	packet->buffer = malloc(ZCP_PACKET_SIZE_MAX);
	if (!packet->buffer ||
	    zcp_codec_pack(message, packet->buffer, ZCP_PACKET_SIZE_MAX, &packet->size) < 0)
		goto fail;
	for (uint32_t i = 0; i < n_fds; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);

		if (fd < 0)
			goto fail;
		packet->fds.fds[packet->fds.n_fds++] = fd;
	}
	STAILQ_INSERT_TAIL(&session->packets, packet, link);
	session->n_packets++;
	watch_socket(session);
	return 0;
fail:
	free_packet(packet);
	return -ENOMEM;
}

/* Nothing that is sent can fail for the caller: a peer that cannot be told is shut off. */
void zcpd_session_send(struct zcpd_session *session, const struct zcp_message *message,
		       const int *fds, uint32_t n_fds)
{
	int r = -EAGAIN;

	if (session->socket < 0)
		return;
	if (STAILQ_EMPTY(&session->packets))
		r = zcp_socket_send(session->socket, message, fds, n_fds);
	if (r == -EAGAIN)
		r = queue(session, message, fds, n_fds);
	if (r < 0) {
		/* One that has left does not want its answer any more. */
		zcpd_log(r == -EPIPE || r == -ECONNRESET ? ZCPD_CONFIG_LOG_DEBUG :
							   ZCPD_CONFIG_LOG_WARNING,
			 "node '%s' (pid %u) cannot be answered: %s", session->node, session->pid,
			 strerror(-r));
		/* The poll finds the end and cleans up, outside of whoever called us. */
		(void)shutdown(session->socket, SHUT_RDWR);
	}
}

void zcpd_session_send_error(struct zcpd_session *session, uint64_t id, int code, const char *text)
{
	struct zcp_message reply = { .type = ZCP_MESSAGE_ERROR, .id = id };

	reply.u.error.code = (uint32_t)-code;
	(void)snprintf(reply.u.error.text, sizeof(reply.u.error.text), "%s", text);
	zcpd_debug("node '%s' (pid %u) is refused: %s", session->node, session->pid, text);
	zcpd_session_send(session, &reply, NULL, 0);
}

void zcpd_session_send_ok(struct zcpd_session *session, uint64_t id)
{
	struct zcp_message reply = { .type = ZCP_MESSAGE_OK, .id = id };

	zcpd_session_send(session, &reply, NULL, 0);
}

void zcpd_session_closed(struct zcpd_endpoint *endpoint)
{
	struct zcpd_session *session = endpoint->session;

	if (!session)
		return;
	LIST_REMOVE(endpoint, link);
	if (endpoint->request_id)
		zcpd_session_send_ok(session, endpoint->request_id);
	/* The last one of a node that did not wait for it. */
	if (session->socket < 0 && LIST_EMPTY(&session->endpoints))
		end_session(session);
}

static void flush_packets(struct zcpd_session *session)
{
	while (!STAILQ_EMPTY(&session->packets)) {
		struct zcpd_packet *packet = STAILQ_FIRST(&session->packets);
		int r = zcp_socket_send_packet(session->socket, packet->buffer, packet->size,
					       packet->fds.fds, packet->fds.n_fds);

		if (r == -EAGAIN)
			return;
		STAILQ_REMOVE_HEAD(&session->packets, link);
		session->n_packets--;
		free_packet(packet);
		if (r < 0)
			(void)shutdown(session->socket, SHUT_RDWR);
	}
	watch_socket(session);
}

static void receive(struct zcpd_session *session)
{
	ZCP_CLEANUP(zcp_fds_deinit) struct zcp_fds fds = { .n_fds = 0 };
	struct zcp_message message = { .type = ZCP_MESSAGE_NONE };
	char text[ZCP_TEXT_SIZE];
	int r = zcp_socket_receive(session->socket, &message, &fds);

	switch (r) {
	case 0:
		zcpd_request_handle(session, &message, &fds);
		break;
	case -EAGAIN:
		break;
	case -EPIPE:
	case -ECONNRESET:
		disconnect(session);
		break;
	case -EPROTONOSUPPORT:
		(void)snprintf(text, sizeof(text),
			       "the runtime (zcpd " ZCP_VERSION_STRING
			       ") speaks protocol version %d and this "
			       "node version %u: bring zcpd and libzcp to one version",
			       ZCP_PROTOCOL_VERSION, message.version);
		zcpd_session_send_error(session, message.id, -EPROTO, text);
		break;
	case -EOPNOTSUPP:
		zcpd_session_send_error(session, message.id, r,
					"the runtime does not know this message");
		break;
	default:
		zcpd_session_refuse(session, "sent a malformed message");
	}
	zcp_message_deinit(&message);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
	struct zcpd_session *session = poll->data;

	if (status < 0) {
		disconnect(session);
		return;
	}
	if (events & UV_WRITABLE)
		flush_packets(session);
	if (events & UV_READABLE)
		receive(session);
}

static void watch_socket(struct zcpd_session *session)
{
	int events = UV_READABLE;

	if (!STAILQ_EMPTY(&session->packets))
		events |= UV_WRITABLE;
	(void)uv_poll_start(&session->socket_poll, events, on_socket);
}

/* A descriptor of the process that connected, and who it is. */
static int identify(struct zcpd_session *session)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(session->socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return zcp_errno();
	session->pid = (uint32_t)peer.pid;
	session->uid = peer.uid;
	size = sizeof(session->pidfd);
	if (getsockopt(session->socket, SOL_SOCKET, SO_PEERPIDFD, &session->pidfd, &size) == 0)
		return 0;
	if (errno != ENOPROTOOPT)
		return zcp_errno();
	/* Before Linux 6.5 there is a moment in which the pid may have been reused. */
	session->pidfd = (int)syscall(SYS_pidfd_open, peer.pid, 0);
	return session->pidfd < 0 ? zcp_errno() : 0;
}

int zcpd_session_new(struct zcpd_session **sessionp, uv_loop_t *loop,
		     struct zcpd_registry *registry, int socket,
		     void (*ended)(struct zcpd_session *session, void *user), void *user)
{
	struct zcpd_session *session = calloc(1, sizeof(*session));
	int r;

	if (!session) {
		zcp_close_fd(&socket);
		return -ENOMEM;
	}
	session->registry = registry;
	session->socket = socket;
	session->pidfd = -1;
	session->ended = ended;
	session->user = user;
	LIST_INIT(&session->endpoints);
	STAILQ_INIT(&session->packets);
	(void)strcpy(session->node, "?");
	r = identify(session);
	if (r < 0)
		goto fail;
	r = uv_poll_init(loop, &session->socket_poll, session->socket);
	if (r < 0)
		goto fail;
	session->n_handles++;
	session->socket_poll.data = session;
	session->pidfd_poll.data = session;
	r = uv_poll_init(loop, &session->pidfd_poll, session->pidfd);
	if (r < 0) {
		uv_close((uv_handle_t *)&session->socket_poll, free_session);
		return r;
	}
	session->n_handles++;
	watch_socket(session);
	(void)uv_poll_start(&session->pidfd_poll, UV_READABLE, on_process_end);
	*sessionp = session;
	return 0;
fail:
	zcp_close_fd(&session->socket);
	zcp_close_fd(&session->pidfd);
	free(session);
	return r;
}

void zcpd_session_abandon(struct zcpd_session *session)
{
	struct zcpd_endpoint *endpoint;

	LIST_FOREACH(endpoint, &session->endpoints, link)
		endpoint->session = NULL;
	LIST_INIT(&session->endpoints);
	session->ended(session, session->user);
	close_handles(session);
}
