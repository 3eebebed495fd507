/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a packet to an answer.
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
#include "runtime/info.h"
#include "runtime/log.h"

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
static void refuse(struct zcpd_session *session, const char *why)
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
static void send_message(struct zcpd_session *session, const struct zcp_message *message,
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

static void send_error(struct zcpd_session *session, uint64_t id, int code, const char *text)
{
	struct zcp_message reply = { .type = ZCP_MESSAGE_ERROR, .id = id };

	reply.u.error.code = (uint32_t)-code;
	(void)snprintf(reply.u.error.text, sizeof(reply.u.error.text), "%s", text);
	zcpd_debug("node '%s' (pid %u) is refused: %s", session->node, session->pid, text);
	send_message(session, &reply, NULL, 0);
}

static void send_ok(struct zcpd_session *session, uint64_t id)
{
	struct zcp_message reply = { .type = ZCP_MESSAGE_OK, .id = id };

	send_message(session, &reply, NULL, 0);
}

static void hello(struct zcpd_session *session, const struct zcp_message *message)
{
	const struct zcp_hello *hello = &message->u.hello;
	struct zcp_message reply = { .type = ZCP_MESSAGE_WELCOME, .id = message->id };
	char text[ZCP_TEXT_SIZE];
	int signal;

	(void)snprintf(session->node, sizeof(session->node), "%s", hello->name);
	/* It goes into the log and onto people's terminals. */
	for (char *c = session->node; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	if (session->greeted) {
		refuse(session, "introduces itself twice");
		return;
	}
	if (hello->fingerprint != zcp_layout_fingerprint()) {
		send_error(
			session, message->id, -EPROTO,
			"this node has another memory layout than the runtime (zcpd " ZCP_VERSION_STRING
			"): bring zcpd and libzcp to one build");
		return;
	}
	signal = zcpd_registry_take_signal(session->registry);
	if (signal < 0) {
		(void)snprintf(
			text, sizeof(text),
			"the runtime has %u nodes, as many as max_nodes in [runtime] allows: "
			"raise it",
			session->registry->signals.n_signals);
		send_error(session, message->id, signal, text);
		return;
	}
	session->signal = (uint32_t)signal;
	session->greeted = true;
	session->id = ++session->registry->last_id;
	reply.u.welcome.domain_id = session->registry->domain_id;
	reply.u.welcome.fingerprint = zcp_layout_fingerprint();
	reply.u.welcome.node = session->id;
	reply.u.welcome.signal = session->signal;
	reply.u.welcome.symmetric = session->registry->symmetric;
	(void)strcpy(reply.u.welcome.version, ZCP_VERSION_STRING);
	zcpd_debug("node '%s' (pid %u, user %u) has come", session->node, session->pid,
		   session->uid);
	send_message(session, &reply, &session->registry->signals_fd, 1);
}

static void send_signal(struct zcpd_session *session, uint64_t id, uint32_t signal);

static void send_opened(struct zcpd_endpoint *endpoint, struct zcp_message *reply)
{
	const struct zcpd_topic *topic = endpoint->topic;
	int fds[ZCP_PACKET_FDS_MAX];
	uint32_t n_fds = 1;

	fds[0] = topic->fd;
	n_fds += zcpd_pool_fds(topic->pool, 0, endpoint->is_publisher, fds + 1);
	reply->type = ZCP_MESSAGE_OPENED;
	reply->id = endpoint->request_id;
	reply->u.opened.endpoint = endpoint->id;
	reply->u.opened.slot = endpoint->slot;
	reply->u.opened.timestamps = topic->config.timestamps;
	send_message(endpoint->session, reply, fds, n_fds);
}

static struct zcpd_client client_of(struct zcpd_session *session)
{
	return (struct zcpd_client){
		.node = session->node,
		.pid = session->pid,
		.signal = session->signal,
		.session = session,
	};
}

static void remember(struct zcpd_session *session, struct zcpd_endpoint *endpoint,
		     uint64_t request_id)
{
	endpoint->opened_by = request_id;
	LIST_INSERT_HEAD(&session->endpoints, endpoint, link);
}

static void open_publisher(struct zcpd_session *session, const struct zcp_message *message)
{
	struct zcpd_client client = client_of(session);
	struct zcp_message reply = { .type = ZCP_MESSAGE_OPENED };
	struct zcpd_endpoint *publisher;
	char text[ZCP_TEXT_SIZE];
	int r;

	r = zcpd_registry_open_publisher(session->registry, &client, &message->u.open_publisher,
					 &publisher, text, sizeof(text));
	if (r < 0) {
		send_error(session, message->id, r, text);
		return;
	}
	remember(session, publisher, message->id);
	publisher->request_id = message->id;
	reply.u.opened.owner = publisher->owner;
	reply.u.opened.loans = publisher->loans;
	reply.u.opened.max_payload = publisher->max_payload;
	send_opened(publisher, &reply);
	for (uint32_t s = 0; s < ZCP_TOPIC_SUBSCRIBERS_MAX; s++) {
		const struct zcpd_endpoint *subscriber = publisher->topic->subscribers[s];

		if (subscriber && session->registry->signal_fds[subscriber->signal] >= 0)
			send_signal(session, 0, subscriber->signal);
	}
}

static void open_subscriber(struct zcpd_session *session, const struct zcp_message *message)
{
	struct zcpd_client client = client_of(session);
	struct zcpd_endpoint *subscriber;
	char text[ZCP_TEXT_SIZE];
	int r;

	r = zcpd_registry_open_subscriber(session->registry, &client, &message->u.open_subscriber,
					  message->id, &subscriber, text, sizeof(text));
	if (r < 0)
		send_error(session, message->id, r, text);
	else
		remember(session, subscriber, message->id);
}

void zcpd_session_joined(struct zcpd_endpoint *subscriber)
{
	const struct zcpd_topic *topic = subscriber->topic;
	struct zcp_message reply = { .type = ZCP_MESSAGE_OPENED };
	struct zcp_start starts[ZCP_TOPIC_PUBLISHERS_MAX];

	if (!subscriber->session)
		return;
	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++)
		/* SEQ-A1: after the grace period, so that this one is sent to it for certain. */
		starts[p].seq = atomic_load_explicit(&topic->view.publishers[p].next_seq,
						     memory_order_acquire);
	reply.u.opened.holder = subscriber->holder;
	reply.u.opened.depth_log2 = subscriber->depth_log2;
	reply.u.opened.held = subscriber->held;
	reply.u.opened.on_full = subscriber->on_full;
	reply.u.opened.unsure = subscriber->unsure;
	reply.u.opened.starts = starts;
	reply.u.opened.n_starts = topic->view.geometry.max_publishers;
	send_opened(subscriber, &reply);
}

void zcpd_session_closed(struct zcpd_endpoint *endpoint)
{
	struct zcpd_session *session = endpoint->session;

	if (!session)
		return;
	LIST_REMOVE(endpoint, link);
	if (endpoint->request_id)
		send_ok(session, endpoint->request_id);
	/* The last one of a node that did not wait for it. */
	if (session->socket < 0 && LIST_EMPTY(&session->endpoints))
		end_session(session);
}

/* An endpoint that was opened by a request whose answer the node has given up. */
static struct zcpd_endpoint *find_opened_by(struct zcpd_session *session, uint64_t request_id)
{
	struct zcpd_endpoint *endpoint;

	LIST_FOREACH(endpoint, &session->endpoints, link)
		if (endpoint->opened_by == request_id)
			return endpoint;
	return NULL;
}

static struct zcpd_endpoint *find_endpoint(struct zcpd_session *session, uint64_t id)
{
	struct zcpd_endpoint *endpoint;

	LIST_FOREACH(endpoint, &session->endpoints, link)
		if (endpoint->id == id)
			return endpoint;
	return NULL;
}

static void close_endpoint(struct zcpd_session *session, const struct zcp_message *message)
{
	const struct zcp_close *close = &message->u.close;
	struct zcpd_endpoint *endpoint = close->endpoint ?
						 find_endpoint(session, close->endpoint) :
						 find_opened_by(session, close->opened_by);

	if (!endpoint || endpoint->state == ZCPD_ENDPOINT_LEAVING)
		send_ok(session, message->id);
	else
		zcpd_registry_close(session->registry, endpoint, message->id);
}

static void send_classes(struct zcpd_endpoint *endpoint, uint64_t id, uint32_t first)
{
	struct zcp_message message = { .type = ZCP_MESSAGE_POOL_CLASSES, .id = id };
	int fds[ZCP_PACKET_FDS_MAX];

	message.u.pool_classes.endpoint = endpoint->id;
	send_message(endpoint->session, &message, fds,
		     zcpd_pool_fds(endpoint->topic->pool, first, endpoint->is_publisher, fds));
}

void zcpd_session_grown(struct zcpd_endpoint *endpoint, uint32_t first)
{
	if (endpoint->session && endpoint->state != ZCPD_ENDPOINT_JOINING)
		send_classes(endpoint, 0, first);
}

static void send_signal(struct zcpd_session *session, uint64_t id, uint32_t signal)
{
	const struct zcpd_registry *registry = session->registry;
	struct zcp_message message = { .type = ZCP_MESSAGE_SIGNAL, .id = id };

	message.u.signal.signal = signal;
	/* Relaxed: the node wrote it before it sent us its eventfd. */
	message.u.signal.node = atomic_load_explicit(&registry->signals.signals[signal].node,
						     memory_order_relaxed);
	send_message(session, &message, &registry->signal_fds[signal], 1);
}

void zcpd_session_wakes(struct zcpd_endpoint *publisher, const struct zcpd_endpoint *subscriber)
{
	if (publisher->session)
		send_signal(publisher->session, 0, subscriber->signal);
}

static void signal_fd(struct zcpd_session *session, const struct zcp_message *message,
		      struct zcp_fds *fds)
{
	if (fds->n_fds != 1) {
		refuse(session, "sent no eventfd where there should be one");
		return;
	}
	zcpd_registry_set_signal_fd(session->registry, session->signal, zcp_steal_fd(&fds->fds[0]));
	send_ok(session, message->id);
}

static void signal_get(struct zcpd_session *session, const struct zcp_message *message)
{
	uint32_t signal = message->u.signal_get.signal;

	if (signal < session->registry->signals.n_signals &&
	    session->registry->signal_fds[signal] >= 0)
		send_signal(session, message->id, signal);
	else
		send_error(session, message->id, -ENOENT, "no node has an eventfd there");
}

static void pool_get(struct zcpd_session *session, const struct zcp_message *message)
{
	struct zcpd_endpoint *endpoint = find_endpoint(session, message->u.pool_get.endpoint);

	if (endpoint)
		send_classes(endpoint, message->id, 0);
	else
		send_error(session, message->id, -EINVAL, "no such endpoint");
}

static void answer(struct zcpd_session *session, const struct zcp_message *message)
{
	struct zcp_message reply = { .type = ZCP_MESSAGE_NONE };
	char text[ZCP_TEXT_SIZE];
	int r;

	if (message->type == ZCP_MESSAGE_LIST)
		r = zcpd_info_list(session->registry, &message->u.list, &reply, text, sizeof(text));
	else
		r = zcpd_info_topic(session->registry, &message->u.info, &reply, text,
				    sizeof(text));
	if (r < 0) {
		send_error(session, message->id, r, text);
		return;
	}
	reply.id = message->id;
	send_message(session, &reply, NULL, 0);
	zcp_message_deinit(&reply);
}

static void handle(struct zcpd_session *session, const struct zcp_message *message,
		   struct zcp_fds *fds)
{
	if (!session->greeted && message->type != ZCP_MESSAGE_HELLO) {
		refuse(session, "asks before it has introduced itself");
		return;
	}
	switch (message->type) {
	case ZCP_MESSAGE_HELLO:
		hello(session, message);
		break;
	case ZCP_MESSAGE_OPEN_PUBLISHER:
		open_publisher(session, message);
		break;
	case ZCP_MESSAGE_OPEN_SUBSCRIBER:
		open_subscriber(session, message);
		break;
	case ZCP_MESSAGE_CLOSE:
		close_endpoint(session, message);
		break;
	case ZCP_MESSAGE_POOL_GET:
		pool_get(session, message);
		break;
	case ZCP_MESSAGE_SIGNAL_FD:
		signal_fd(session, message, fds);
		break;
	case ZCP_MESSAGE_SIGNAL_GET:
		signal_get(session, message);
		break;
	case ZCP_MESSAGE_LIST:
	case ZCP_MESSAGE_INFO:
		answer(session, message);
		break;
	default:
		send_error(session, message->id, -EOPNOTSUPP,
			   "the runtime does not take this message");
	}
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
		handle(session, &message, &fds);
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
		send_error(session, message.id, -EPROTO, text);
		break;
	case -EOPNOTSUPP:
		send_error(session, message.id, r, "the runtime does not know this message");
		break;
	default:
		refuse(session, "sent a malformed message");
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
