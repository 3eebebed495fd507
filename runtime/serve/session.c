/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections: the process at the other end, what is sent, and the end.
 */
#include "runtime/serve/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <zcp/version.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/region.h"
#include "pubsub/util.h"
#include "runtime/domain/former.h"
#include "runtime/failover/adopt.h"
#include "runtime/failover/record.h"
#include "runtime/serve/request.h"
#include "runtime/system/log.h"
#include "runtime/system/process.h"

static void watch_socket(struct zcpd_session *session);

static void free_session(uv_handle_t *handle)
{
	struct zcpd_session *session = handle->data;

	if (--session->n_handles > 0)
		return;
	zcpd_outbox_deinit(&session->outbox);
	zcp_close_fd(&session->socket);
	zcp_close_fd(&session->pidfd);
	free(session);
}

static void close_handles(struct zcpd_session *session)
{
	if (session->socket >= 0 && !uv_is_closing((uv_handle_t *)&session->socket_poll))
		uv_close((uv_handle_t *)&session->socket_poll, free_session);
	uv_close((uv_handle_t *)&session->hello_timer, free_session);
	uv_close((uv_handle_t *)&session->pidfd_poll, free_session);
}

static void end_session(struct zcpd_session *session)
{
	if (session->ending)
		return;
	session->ending = true;
	if (session->entry.greeted)
		zcpd_registry_give_signal(session->registry, session->entry.signal);
	session->ended(session, session->user);
	zcpd_record_drop_session(session);
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
		if (endpoint->entry.state == ZCPD_ENDPOINT_LEAVING)
			endpoint->entry.request_id = 0;
	while (!LIST_EMPTY(&session->endpoints)) {
		endpoint = LIST_FIRST(&session->endpoints);
		LIST_REMOVE(endpoint, link);
		endpoint->session = NULL;
		zcpd_registry_close(session->registry, endpoint, 0);
	}
}

void zcpd_session_end_dead(struct zcpd_session *session)
{
	if (!LIST_EMPTY(&session->endpoints))
		zcpd_info("node '%s' (pid %s) has ended without closing: cleaning up",
			  session->entry.node, session->pid_text);
	close_endpoints(session);
	end_session(session);
}

static void on_process_end(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	zcpd_session_end_dead(poll->data);
}

/* The connection is over. */
static void disconnect(struct zcpd_session *session)
{
	struct zcpd_endpoint *endpoint;

	if (LIST_EMPTY(&session->endpoints) && !session->entry.returning) {
		zcpd_debug("node '%s' (pid %s) has left", session->entry.node, session->pid_text);
		end_session(session);
		return;
	}
	/* The poll first: libuv must not touch the number once another open file may have it. */
	uv_close((uv_handle_t *)&session->socket_poll, free_session);
	zcp_close_fd(&session->socket);
	/* One that has not come back wholly tries again; its endpoints do without us until then. */
	if (!session->entry.returning)
		LIST_FOREACH(endpoint, &session->endpoints, link)
			zcpd_registry_deactivate(session->registry, endpoint);
	zcpd_record_session(session);
	ZCP_CRASHPOINT("deactivate.after_session");
}

/*
 * Whether the program that has opened the node is no longer what its process runs: a node maps the
 * signals from its welcome to its end. Neither a pidfd nor the start of a process tells of an
 * execve(2), which closes the connection only after it has unmapped everything.
 */
static bool is_of_former_program(const struct zcpd_session *session)
{
	return session->entry.greeted && !session->ending &&
	       !zcpd_process_may_map(session->entry.pid, session->registry->signals_fd);
}

bool zcpd_session_end_if_former(struct zcpd_session *session)
{
	/* One that has been let in just now, with nothing opened yet, may not have come to map. */
	if ((LIST_EMPTY(&session->endpoints) && !session->entry.returning) ||
	    !is_of_former_program(session))
		return false;
	zcpd_info("node '%s': process %s runs another program now: cleaning up",
		  session->entry.node, session->pid_text);
	close_endpoints(session);
	end_session(session);
	return true;
}

/* The peer has closed its end of the connection. */
static void on_hangup(struct zcpd_session *session)
{
	if (!zcpd_session_end_if_former(session))
		disconnect(session);
}

/* What the peer sent is not what a node sends: it loses its connection and nothing else. */
void zcpd_session_refuse(struct zcpd_session *session, const char *why)
{
	zcpd_warning("node '%s' (pid %s): %s: disconnected", session->entry.node, session->pid_text,
		     why);
	disconnect(session);
}

static int queue(struct zcpd_session *session, const struct zcp_message *message, const int *fds,
		 uint32_t n_fds)
{
	int r = zcpd_outbox_add(&session->outbox, message, fds, n_fds);

	if (r == 0)
		watch_socket(session);
	return r;
}

/* Nothing that is sent can fail for the caller: a peer that cannot be told is shut off. */
void zcpd_session_send(struct zcpd_session *session, const struct zcp_message *message,
		       const int *fds, uint32_t n_fds)
{
	int r = -EAGAIN;

	if (session->socket < 0)
		return;
	if (zcpd_outbox_is_empty(&session->outbox))
		r = zcp_socket_send(session->socket, message, fds, n_fds);
	if (r == -EAGAIN)
		r = queue(session, message, fds, n_fds);
	if (r < 0) {
		/* One that has left does not want its answer any more. */
		zcpd_log(r == -EPIPE || r == -ECONNRESET ? ZCPD_CONFIG_LOG_DEBUG :
							   ZCPD_CONFIG_LOG_WARNING,
			 "node '%s' (pid %s) cannot be answered: %s", session->entry.node,
			 session->pid_text, strerror(-r));
		/* The poll finds the end and cleans up, once our caller has returned. */
		(void)shutdown(session->socket, SHUT_RDWR);
	}
}

void zcpd_session_send_error(struct zcpd_session *session, uint64_t id, int code, const char *text)
{
	struct zcp_message reply = { .type = ZCP_MESSAGE_ERROR, .id = id };

	reply.u.error.code = (uint32_t)-code;
	(void)snprintf(reply.u.error.text, sizeof(reply.u.error.text), "%s", text);
	zcpd_debug("node '%s' (pid %s) is refused: %s", session->entry.node, session->pid_text,
		   text);
	zcpd_session_send(session, &reply, NULL, 0);
}

void zcpd_session_send_ok(struct zcpd_session *session, uint64_t id)
{
	struct zcp_message reply = { .type = ZCP_MESSAGE_OK, .id = id };

	zcpd_session_send(session, &reply, NULL, 0);
}

void zcpd_session_has(struct zcpd_endpoint *endpoint)
{
	LIST_INSERT_HEAD(&endpoint->session->endpoints, endpoint, link);
}

void zcpd_session_held_up(struct zcpd_endpoint *subscriber)
{
	if (subscriber->session)
		zcpd_session_send_ok(subscriber->session, subscriber->entry.request_id);
}

void zcpd_session_closed(struct zcpd_endpoint *endpoint)
{
	struct zcpd_session *session = endpoint->session;

	if (!session)
		return;
	LIST_REMOVE(endpoint, link);
	if (endpoint->entry.request_id)
		zcpd_session_send_ok(session, endpoint->entry.request_id);
	/* The last one of a node that did not wait for it. */
	if (session->socket < 0 && LIST_EMPTY(&session->endpoints) && !session->entry.returning)
		end_session(session);
}

/* It has its answer, or need not have it. */
static void settle_opened(struct zcpd_endpoint *endpoint)
{
	ZCP_CRASHPOINT("open.after_answer");
	endpoint->entry.request_id = 0;
	zcpd_record_endpoint(endpoint->session->registry, endpoint);
}

void zcpd_session_opened(struct zcpd_endpoint *endpoint, const struct zcp_message *reply,
			 const int *fds, uint32_t n_fds)
{
	struct zcpd_session *session = endpoint->session;

	zcpd_session_send(session, reply, fds, n_fds);
	if (zcpd_outbox_is_empty(&session->outbox))
		settle_opened(endpoint);
}

/* The answer is gone: what was asked need not be kept. */
static void consume(struct zcpd_session *session)
{
	if (session->socket < 0 || session->ending)
		return;
	session->unconsumed = !zcpd_outbox_is_empty(&session->outbox);
	if (session->unconsumed)
		return;
	ZCP_CRASHPOINT("request.before_consume");
	zcp_socket_consume(session->socket);
	ZCP_CRASHPOINT("request.after_consume");
	session->restored = false;
}

static void after_flush(struct zcpd_session *session)
{
	struct zcpd_endpoint *endpoint;

	LIST_FOREACH(endpoint, &session->endpoints, link)
		if (endpoint->entry.state == ZCPD_ENDPOINT_OPEN && endpoint->entry.request_id)
			settle_opened(endpoint);
	if (session->unconsumed)
		consume(session);
}

static void flush_packets(struct zcpd_session *session)
{
	if (!zcpd_outbox_flush(&session->outbox, session->socket))
		return;
	after_flush(session);
	watch_socket(session);
}

/*
 * Nodes of a runtime before us come first: which nodes they are, and what their topics are. Until
 * they are here, no node opens anything, nor is told what there is.
 */
static bool must_wait(const struct zcpd_session *session, const struct zcp_message *message)
{
	if (!session->registry->waits)
		return false;
	switch (message->type) {
	case ZCP_MESSAGE_HELLO:
		return !zcpd_adopt_may_be(session->registry, &message->u.hello);
	case ZCP_MESSAGE_OPEN_PUBLISHER:
	case ZCP_MESSAGE_OPEN_SUBSCRIBER:
	case ZCP_MESSAGE_LIST:
	case ZCP_MESSAGE_INFO:
	case ZCP_MESSAGE_ENDPOINTS:
	case ZCP_MESSAGE_AUDIT:
		return true;
	default:
		return false;
	}
}

void zcpd_session_go_on(struct zcpd_session *session)
{
	if (!session->postponed)
		return;
	session->postponed = false;
	if (session->socket >= 0)
		watch_socket(session);
}

static void receive(struct zcpd_session *session)
{
	ZCP_CLEANUP(zcp_fds_deinit) struct zcp_fds fds = { .n_fds = 0 };
	struct zcp_message message = { .type = ZCP_MESSAGE_NONE };
	char text[ZCP_TEXT_SIZE];
	int r;

	if (session->unconsumed)
		return;
	r = zcp_socket_peek(session->socket, &message, &fds);
	ZCP_CRASHPOINT("request.after_peek");
	switch (r) {
	case 0:
		session->postponed = must_wait(session, &message);
		if (session->postponed)
			(void)uv_poll_stop(&session->socket_poll);
		else
			zcpd_request_handle(session, &message, &fds);
		break;
	case -EAGAIN:
		break;
	case -EPIPE:
	case -ECONNRESET:
		on_hangup(session);
		break;
	case -EPROTONOSUPPORT:
		(void)snprintf(text, sizeof(text),
			       "the runtime (zcpd " ZCP_VERSION_STRING
			       ") speaks protocol version %d and this "
			       "node version %u: bring zcpd and libzcp to one version",
			       ZCP_PROTOCOL_VERSION, message.version);
		zcpd_session_send_error(session, message.id, -EPROTO, text);
		break;
	case -EMFILE:
		if (!zcpd_process_lacks_fds(ZCP_PACKET_FDS_MAX)) {
			zcpd_session_refuse(session, "sent too many descriptors");
			break;
		}
		(void)snprintf(
			text, sizeof(text),
			"the runtime has no room for the descriptors of a request: raise its "
			"RLIMIT_NOFILE (ulimit -n), which is %" PRIu64,
			zcpd_process_max_fds());
		zcpd_session_send_error(session, message.id, r, text);
		break;
	case -EOPNOTSUPP:
		zcpd_session_send_error(session, message.id, r,
					"the runtime does not know this message");
		break;
	default:
		zcpd_session_refuse(session, "sent a malformed message");
	}
	zcp_message_deinit(&message);
	if (r != -EAGAIN && !session->postponed)
		consume(session);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
	struct zcpd_session *session = poll->data;

	if (status < 0) {
		on_hangup(session);
		return;
	}
	if (events & UV_WRITABLE)
		flush_packets(session);
	if (events & UV_READABLE)
		receive(session);
}

static void watch_socket(struct zcpd_session *session)
{
	/* Nothing more is read from a node that does not take its answers. */
	int events = zcpd_outbox_is_empty(&session->outbox) ? UV_READABLE : UV_WRITABLE;

	(void)uv_poll_start(&session->socket_poll, events, on_socket);
}

static void on_hello_timeout(uv_timer_t *timer)
{
	struct zcpd_session *session = timer->data;

	/* What has come while we were busy came in time, and what we have put off. */
	receive(session);
	if (!session->entry.greeted && !session->ending && !session->postponed)
		zcpd_session_refuse(session,
				    "has not introduced itself within hello_timeout of [runtime]");
}

/* A descriptor of the process that connected, and its user and pid. */
static int identify(struct zcpd_session *session)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(session->socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return zcp_errno();
	session->entry.pid = (uint32_t)peer.pid;
	session->entry.uid = peer.uid;
	session->entry.process_start = zcpd_process_start(session->entry.pid);
	(void)zcpd_process_text(session->entry.pid, session->pid_text);
	session->pidfd = zcpd_process_of_peer(session->socket, session->entry.pid);
	return session->pidfd < 0 ? session->pidfd : 0;
}

static struct zcpd_session *new_session(struct zcpd_registry *registry,
					void (*ended)(struct zcpd_session *session, void *user),
					void *user)
{
	struct zcpd_session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->registry = registry;
	session->socket = -1;
	session->pidfd = -1;
	session->ended = ended;
	session->user = user;
	LIST_INIT(&session->endpoints);
	zcpd_outbox_init(&session->outbox);
	(void)strcpy(session->entry.node, "?");
	(void)strcpy(session->pid_text, "-");
	return session;
}

static int fail_session(struct zcpd_session *session, int r)
{
	zcp_close_fd(&session->socket);
	zcp_close_fd(&session->pidfd);
	free(session);
	return r;
}

/* From here on the loop owns it. Consumes the session on failure. */
static int watch_session(struct zcpd_session *session, uv_loop_t *loop)
{
	uint64_t timeout_ms = session->registry->config->runtime.hello_timeout_ns / 1000000;
	int r;

	session->hello_timer.data = session;
	session->socket_poll.data = session;
	session->pidfd_poll.data = session;
	r = uv_poll_init(loop, &session->pidfd_poll, session->pidfd);
	if (r < 0)
		return fail_session(session, r);
	session->n_handles++;
	if (session->socket >= 0) {
		r = uv_poll_init(loop, &session->socket_poll, session->socket);
		if (r < 0) {
			uv_close((uv_handle_t *)&session->pidfd_poll, free_session);
			return r;
		}
		session->n_handles++;
		watch_socket(session);
	}
	(void)uv_timer_init(loop, &session->hello_timer);
	session->n_handles++;
	if (!session->entry.greeted)
		(void)uv_timer_start(&session->hello_timer, on_hello_timeout, timeout_ms, 0);
	(void)uv_poll_start(&session->pidfd_poll, UV_READABLE, on_process_end);
	return 0;
}

int zcpd_session_new(struct zcpd_session **sessionp, uv_loop_t *loop,
		     struct zcpd_registry *registry, int socket,
		     void (*ended)(struct zcpd_session *session, void *user), void *user)
{
	struct zcpd_session *session = new_session(registry, ended, user);
	int r;

	if (!session) {
		zcp_close_fd(&socket);
		return -ENOMEM;
	}
	session->socket = socket;
	r = identify(session);
	if (r == 0 && registry->directory)
		r = zcpd_directory_reserve(registry->directory, ZCP_ENTRY_NODE);
	if (r < 0)
		return fail_session(session, r);
	r = watch_session(session, loop);
	if (r < 0)
		return r;
	session->entry.id = zcpd_record_next_id(registry);
	ZCP_CRASHPOINT("accept.before_record");
	zcpd_record_session(session);
	*sessionp = session;
	return 0;
}

int zcpd_session_restore(struct zcpd_session **sessionp, uv_loop_t *loop,
			 struct zcpd_registry *registry, const struct zcp_node_entry_shm *entry,
			 int pidfd, int socket,
			 void (*ended)(struct zcpd_session *session, void *user), void *user)
{
	struct zcpd_session *session = new_session(registry, ended, user);
	int r;

	if (!session) {
		zcp_close_fd(&pidfd);
		zcp_close_fd(&socket);
		return -ENOMEM;
	}
	session->socket = socket;
	session->pidfd = pidfd;
	session->entry = *entry;
	if (registry->has_foreign_pids)
		session->entry.pid = zcpd_process_pid(pidfd);
	if (session->entry.pid == 0)
		session->entry.process_start = 0;
	(void)zcpd_process_text(session->entry.pid, session->pid_text);
	session->restored = true;
	r = watch_session(session, loop);
	if (r == 0)
		*sessionp = session;
	return r;
}

void zcpd_session_resume(struct zcpd_session *session)
{
	struct zcpd_endpoint *endpoint;

	LIST_FOREACH(endpoint, &session->endpoints, link)
		if (endpoint->entry.state == ZCPD_ENDPOINT_OPEN && endpoint->entry.request_id &&
		    session->socket >= 0)
			zcpd_request_answer(endpoint);
	/* Its connection was over, and nothing was left but to forget it. */
	if (session->socket < 0 && LIST_EMPTY(&session->endpoints) && !session->entry.returning)
		end_session(session);
}

void zcpd_session_become(struct zcpd_session *session, uint64_t id, uint32_t signal,
			 struct zcpd_session *former)
{
	struct zcpd_endpoint *endpoint;

	/* Should we die between the two, the node finds its connection closed and tries again. */
	zcpd_record_drop_session(session);
	ZCP_CRASHPOINT("adopt.after_drop");
	session->entry.id = id;
	session->entry.signal = signal;
	session->entry.greeted = true;
	session->entry.returning = true;
	(void)uv_timer_stop(&session->hello_timer);
	if (former) {
		/* One node, one entry. */
		session->place = former->place;
		former->place = 0;
		while (!LIST_EMPTY(&former->endpoints)) {
			endpoint = LIST_FIRST(&former->endpoints);
			LIST_REMOVE(endpoint, link);
			LIST_INSERT_HEAD(&session->endpoints, endpoint, link);
			endpoint->session = session;
			zcpd_former_set_process(endpoint, session->entry.pid,
						session->entry.process_start);
			/* It may have come back before, to a worker before us or to us. */
			endpoint->entry.returned = false;
			zcpd_record_endpoint(session->registry, endpoint);
		}
		former->ending = true;
		former->ended(former, former->user);
		close_handles(former);
	}
	zcpd_record_session(session);
	ZCP_CRASHPOINT("adopt.after_session");
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
