/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests, answers and events over the control socket.
 */
#include "pubsub/client/connection/control.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

#include "pubsub/client/connection/attach.h"
#include "pubsub/client/endpoint.h"
#include "pubsub/client/inside.h"
#include "pubsub/util.h"

static int gone(struct zcp_node *node)
{
	return zcp_node_fail(node, -ENOTCONN,
			     "the runtime of domain '%s' is gone: what is open goes on; start zcpd "
			     "for what is new",
			     node->domain);
}

static int failed(struct zcp_node *node, int r)
{
	switch (r) {
	case -EPIPE:
	case -ECONNRESET:
	case -ENOTCONN:
	case -EBADF:
		/* What it has said before its end counts. */
		zcp_control_drain(node);
		zcp_attach_close_socket(node);
		return gone(node);
	case -ENOMEM:
		return zcp_node_fail(node, r, "out of memory");
	case -ETIMEDOUT:
		return zcp_node_fail(node, r,
				     "the runtime of domain '%s' did not answer within %.1f s: is "
				     "it stopped, or the machine overloaded?",
				     node->domain, (double)node->timeout_ns / 1e9);
	case -EMFILE:
		/* Descriptors that the process has no room for are cut off by the kernel. */
		return zcp_node_fail(
			node, r,
			"descriptors from the runtime of domain '%s' were cut off: raise "
			"RLIMIT_NOFILE (ulimit -n)",
			node->domain);
	default:
		return zcp_node_fail(
			node, -EPROTO,
			"the runtime of domain '%s' does not speak our protocol: bring "
			"zcpd and libzcp to one version",
			node->domain);
	}
}

static int wait_socket(struct zcp_node *node, short events, uint64_t deadline)
{
	struct pollfd pollfd = { .fd = node->socket, .events = events };

	for (;;) {
		uint64_t now = zcp_now_ns();
		uint64_t left = now < deadline ? (deadline - now + 999999) / 1000000 : 0;
		int r = poll(&pollfd, 1, left > INT_MAX ? INT_MAX : (int)left);

		if (r > 0)
			return 0;
		if (r == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return zcp_errno();
	}
}

static int send_request(struct zcp_node *node, const struct zcp_message *request, const int *out,
			uint32_t n_out, uint64_t deadline)
{
	for (;;) {
		int r = zcp_socket_send(node->socket, request, out, n_out);

		if (r != -EAGAIN)
			return r;
		r = wait_socket(node, POLLOUT, deadline);
		if (r < 0)
			return r;
	}
}

/* An answer that nobody waits for, or that cannot be used: what it opened is closed again. */
static void refuse(struct zcp_node *node, const struct zcp_message *message)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_CLOSE };

	if (message->type != ZCP_MESSAGE_OPENED)
		return;
	/* A runtime that was restarted does not know that we have it. */
	if (message->id == node->opened_by)
		return;
	request.id = ++node->request_id;
	request.u.close.endpoint = message->u.opened.endpoint;
	/* If it cannot be sent, the node's end closes the endpoint. */
	ZCP_IGNORE(zcp_socket_send(node->socket, &request, NULL, 0));
}

static void act(struct zcp_node *node, struct zcp_message *message, struct zcp_fds *fds)
{
	if (message->type == ZCP_MESSAGE_POOL_CLASSES)
		zcp_endpoint_add_classes(node, message->u.pool_classes.endpoint, fds);
	else if (message->type == ZCP_MESSAGE_SIGNAL && fds->n_fds == 1)
		zcp_node_add_waker(node, message->u.signal.signal, message->u.signal.node,
				   zcp_steal_fd(&fds->fds[0]));
	else if (message->id != 0)
		refuse(node, message);
}

/* The runtime's last word to us, whatever we ask. */
static bool is_last_word(const struct zcp_message *message)
{
	return message->type == ZCP_MESSAGE_ERROR && message->id == 0;
}

/* The next message that is the answer to request `id`; anything else is acted on. */
static int receive_reply(struct zcp_node *node, uint64_t id, uint64_t deadline,
			 struct zcp_message *reply, struct zcp_fds *fds)
{
	for (;;) {
		int r = zcp_socket_receive(node->socket, reply, fds);

		if (r == -EAGAIN) {
			r = wait_socket(node, POLLIN, deadline);
			if (r < 0)
				return r;
			continue;
		}
		if (r == -EOPNOTSUPP)
			continue; /* an event of a newer runtime */
		if (r == -EMFILE) {
			bool is_reply = reply->id == id;

			refuse(node, reply);
			zcp_message_deinit(reply);
			if (is_reply)
				return r;
			continue;
		}
		if (r < 0 || reply->id == id || is_last_word(reply))
			return r;
		act(node, reply, fds);
		zcp_message_deinit(reply);
		zcp_fds_deinit(fds);
	}
}

/* Should the runtime come to it after all, nothing stays open that nobody knows of. */
static void cancel(struct zcp_node *node, const struct zcp_message *request)
{
	struct zcp_message message = { .type = ZCP_MESSAGE_CLOSE };

	if (request->type != ZCP_MESSAGE_OPEN_PUBLISHER &&
	    request->type != ZCP_MESSAGE_OPEN_SUBSCRIBER)
		return;
	message.id = ++node->request_id;
	message.u.close.opened_by = request->id;
	/* If it cannot be sent, the node's end closes the endpoint. */
	ZCP_IGNORE(zcp_socket_send(node->socket, &message, NULL, 0));
}

/* Sends a request and waits for its answer. */
static int exchange(struct zcp_node *node, const struct zcp_message *request, const int *out,
		    uint32_t n_out, uint64_t deadline, struct zcp_message *answer,
		    struct zcp_fds *received)
{
	struct zcp_message message = *request;
	int r;

	message.id = ++node->request_id;
	r = send_request(node, &message, out, n_out, deadline);
	/* Where it hangs up it may have said why. */
	if (r == 0 || r == -EPIPE)
		r = receive_reply(node, message.id, deadline, answer, received);
	if (r == -ETIMEDOUT)
		cancel(node, &message);
	return r < 0 ? failed(node, r) : 0;
}

/* Where the runtime is gone: how hard another one is looked for. Returns false: not at all. */
static bool looks_for_another(const struct zcp_node *node, const struct zcp_message *request,
			      enum zcp_attach_effort *effort)
{
	*effort = ZCP_ATTACH_WAIT;
	/* What a new runtime makes stale is for the thread that is inside to find. */
	if (node->is_attaching || zcp_node_is_busy(node))
		return false;
	switch (request->type) {
	case ZCP_MESSAGE_SIGNAL_GET: /* in the middle of a publish */
		return false;
	case ZCP_MESSAGE_CLOSE:
	case ZCP_MESSAGE_POOL_GET: /* in the middle of a take */
		*effort = ZCP_ATTACH_LOOK;
		return true;
	default:
		return true;
	}
}

int zcp_control_request_with(struct zcp_node *node, const struct zcp_message *request,
			     const int *out, uint32_t n_out, enum zcp_message_type expected,
			     struct zcp_message *reply, struct zcp_fds *fds)
{
	ZCP_CLEANUP(zcp_node_end_talk) struct zcp_node *talk = zcp_node_begin_talk(node);
	ZCP_CLEANUP(zcp_fds_deinit) struct zcp_fds received = { .n_fds = 0 };
	uint64_t deadline = zcp_now_ns() + node->timeout_ns;
	enum zcp_attach_effort effort;
	struct zcp_message answer;
	int r;

	if (node->deadline_ns > 0 && node->deadline_ns < deadline)
		deadline = node->deadline_ns;
	r = exchange(talk, request, out, n_out, deadline, &answer, &received);
	/* What it had half done for us it has undone, or its heir does, when we are back. */
	while (r == -ENOTCONN && looks_for_another(node, request, &effort)) {
		r = zcp_reattach(node, effort, deadline);
		if (r < 0)
			return r;
		r = exchange(node, request, out, n_out, deadline, &answer, &received);
		if (effort == ZCP_ATTACH_LOOK || zcp_now_ns() >= deadline)
			break;
	}
	if (r < 0)
		return r;
	if (answer.type == ZCP_MESSAGE_ERROR) {
		uint32_t code = answer.u.error.code;

		r = code > 0 && code < 4096 ? -(int)code : -EPROTO;
		return zcp_node_fail(node, r, "%s", answer.u.error.text);
	}
	if (answer.type != expected) {
		zcp_message_deinit(&answer);
		return failed(node, -EPROTO);
	}
	if (expected == ZCP_MESSAGE_OPENED)
		node->opened_by = node->request_id;
	*reply = answer;
	if (fds) {
		*fds = received;
		received.n_fds = 0;
	}
	return 0;
}

int zcp_control_request(struct zcp_node *node, const struct zcp_message *request,
			enum zcp_message_type expected, struct zcp_message *reply,
			struct zcp_fds *fds)
{
	return zcp_control_request_with(node, request, NULL, 0, expected, reply, fds);
}

void zcp_control_drain(struct zcp_node *node)
{
	ZCP_CLEANUP(zcp_node_end_talk) struct zcp_node *talk = zcp_node_begin_talk(node);

	for (;;) {
		ZCP_CLEANUP(zcp_fds_deinit) struct zcp_fds fds = { .n_fds = 0 };
		struct zcp_message message;
		int r = zcp_socket_receive(talk->socket, &message, &fds);

		if (r == -EOPNOTSUPP)
			continue;
		if (r < 0 && r != -EMFILE)
			return;
		if (r == -EMFILE)
			refuse(node, &message);
		else
			act(node, &message, &fds);
		zcp_message_deinit(&message);
	}
}
