/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a message to its answer, and what nodes are told without asking.
 */
#include "runtime/serve/request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <zcp/version.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/region.h"
#include "pubsub/util.h"
#include "pubsub/wire/name.h"
#include "runtime/failover/adopt.h"
#include "runtime/failover/journal.h"
#include "runtime/failover/record.h"
#include "runtime/open/open.h"
#include "runtime/repair/audit.h"
#include "runtime/repair/history.h"
#include "runtime/serve/info.h"
#include "runtime/system/log.h"

static void welcome(struct zcpd_session *session, uint64_t id)
{
	struct zcp_message reply = { .type = ZCP_MESSAGE_WELCOME, .id = id };

	reply.u.welcome.domain_id = session->registry->domain_id;
	reply.u.welcome.fingerprint = zcp_layout_fingerprint();
	reply.u.welcome.node = session->entry.id;
	reply.u.welcome.signal = session->entry.signal;
	reply.u.welcome.symmetric = session->registry->symmetric;
	(void)strcpy(reply.u.welcome.version, ZCP_VERSION_STRING);
	(void)strcpy(reply.u.welcome.config, session->registry->config->source);
	zcpd_session_send(session, &reply, &session->registry->signals_fd, 1);
}

/* It goes into the log and onto people's terminals. */
static void copy_name(char copy[ZCP_NAME_SIZE], const char *name)
{
	(void)snprintf(copy, ZCP_NAME_SIZE, "%s", name);
	zcp_name_hide_controls(copy);
}

static void hello(struct zcpd_session *session, const struct zcp_message *message,
		  const struct zcp_fds *fds)
{
	const struct zcp_hello *hello = &message->u.hello;
	char text[ZCP_TEXT_SIZE];
	int signal;

	if (session->entry.greeted && session->restored) {
		welcome(session, message->id);
		return;
	}
	if (session->entry.greeted) {
		zcpd_session_refuse(session, "introduces itself twice");
		return;
	}
	copy_name(session->entry.node, hello->name);
	if (hello->fingerprint != zcp_layout_fingerprint()) {
		zcpd_session_send_error(
			session, message->id, -EPROTO,
			"this node has another memory layout than the runtime (zcpd " ZCP_VERSION_STRING
			"): bring zcpd and libzcp to one build");
		return;
	}
	if (hello->domain_id != 0 && zcpd_adopt_node(session, hello, fds)) {
		welcome(session, message->id);
		return;
	}
	signal = zcpd_registry_take_signal(session->registry);
	if (signal < 0) {
		(void)snprintf(
			text, sizeof(text),
			"the runtime has %u nodes, as many as max_nodes in [runtime] allows: "
			"raise it",
			session->registry->signals.n_signals);
		zcpd_session_send_error(session, message->id, signal, text);
		return;
	}
	session->entry.signal = (uint32_t)signal;
	zcpd_registry_name_signal(session->registry, session->entry.signal, session->entry.id,
				  session->entry.pid, session->entry.process_start);
	session->entry.greeted = true;
	/* It would wake us once more. */
	(void)uv_timer_stop(&session->hello_timer);
	ZCP_CRASHPOINT("hello.before_record");
	zcpd_record_session(session);
	ZCP_CRASHPOINT("hello.after_record");
	zcpd_debug("node '%s' (pid %s, user %u) has come", session->entry.node, session->pid_text,
		   session->entry.uid);
	welcome(session, message->id);
}

static void send_signal(struct zcpd_session *session, uint64_t id, uint32_t signal);

static void send_opened(struct zcpd_endpoint *endpoint, struct zcp_message *reply, int backlog_fd)
{
	const struct zcpd_topic *topic = endpoint->topic;
	int fds[ZCP_PACKET_FDS_MAX];
	uint32_t n_fds = 2;

	fds[0] = endpoint->entry.is_publisher ? topic->fd : topic->readonly_fd;
	fds[1] = topic->acks_fd;
	reply->u.opened.backlog = backlog_fd >= 0;
	if (backlog_fd >= 0)
		fds[n_fds++] = backlog_fd;
	n_fds += zcpd_pool_fds(topic->pool, 0, endpoint->entry.is_publisher, fds + n_fds);
	reply->type = ZCP_MESSAGE_OPENED;
	reply->id = endpoint->entry.request_id;
	reply->u.opened.endpoint = endpoint->entry.id;
	reply->u.opened.slot = endpoint->entry.slot;
	reply->u.opened.timestamps = topic->config.timestamps;
	zcpd_session_opened(endpoint, reply, fds, n_fds);
}

static struct zcpd_client client_of(struct zcpd_session *session, uint64_t request_id)
{
	return (struct zcpd_client){
		.node = session->entry.node,
		.node_id = session->entry.id,
		.process_start = session->entry.process_start,
		.pid = session->entry.pid,
		.uid = session->entry.uid,
		.signal = session->entry.signal,
		.session = session,
		.request_id = request_id,
	};
}

/* An endpoint that a request has opened, whether or not its node has got the answer. */
static struct zcpd_endpoint *find_opened_by(struct zcpd_session *session, uint64_t request_id)
{
	struct zcpd_endpoint *endpoint;

	LIST_FOREACH(endpoint, &session->endpoints, link)
		if (endpoint->entry.opened_by == request_id)
			return endpoint;
	return NULL;
}

/*
 * A request that a worker before us has read as well. Where that had opened the endpoint, the
 * answer is sent, or was sent again when we began, or comes when it has joined.
 */
static bool is_opened(struct zcpd_session *session, uint64_t request_id)
{
	return session->restored && find_opened_by(session, request_id);
}

static void answer_publisher(struct zcpd_endpoint *publisher)
{
	struct zcp_message reply = { .type = ZCP_MESSAGE_OPENED };
	struct zcpd_session *session = publisher->session;

	reply.u.opened.owner = publisher->entry.owner;
	reply.u.opened.class = publisher->entry.class_index;
	reply.u.opened.loans = publisher->entry.loans;
	reply.u.opened.history = publisher->entry.history;
	reply.u.opened.max_payload = publisher->entry.max_payload;
	reply.u.opened.user_header_size = publisher->entry.user_header_size;
	send_opened(publisher, &reply, -1);
	for (uint32_t s = 0; s < ZCP_TOPIC_SUBSCRIBERS_MAX; s++) {
		const struct zcpd_endpoint *subscriber = publisher->topic->subscribers[s];

		if (subscriber && session->registry->signal_fds[subscriber->entry.signal] >= 0)
			send_signal(session, 0, subscriber->entry.signal);
	}
}

void zcpd_request_answer(struct zcpd_endpoint *endpoint)
{
	if (endpoint->entry.is_publisher)
		answer_publisher(endpoint);
	else
		zcpd_session_joined(endpoint);
}

static void open_publisher(struct zcpd_session *session, const struct zcp_message *message)
{
	struct zcpd_client client = client_of(session, message->id);
	struct zcpd_endpoint *publisher;
	char text[ZCP_TEXT_SIZE];
	int r;

	if (is_opened(session, message->id))
		return;
	r = zcpd_open_publisher(session->registry, &client, &message->u.open_publisher, &publisher,
				text, sizeof(text));
	if (r < 0) {
		zcpd_session_send_error(session, message->id, r, text);
		return;
	}
	answer_publisher(publisher);
}

static void open_subscriber(struct zcpd_session *session, const struct zcp_message *message)
{
	struct zcpd_client client = client_of(session, message->id);
	struct zcpd_endpoint *subscriber;
	char text[ZCP_TEXT_SIZE];
	int r;

	if (is_opened(session, message->id))
		return;
	r = zcpd_open_subscriber(session->registry, &client, &message->u.open_subscriber,
				 message->id, &subscriber, text, sizeof(text));
	if (r < 0)
		zcpd_session_send_error(session, message->id, r, text);
}

/* What was promised to a subscriber, in a region: *fd, -1 where it is nothing. */
static int export_backlog(const struct zcpd_endpoint *subscriber, int *fd)
{
	ZCP_CLEANUP(zcp_backlog_deinit) struct zcp_backlog backlog = { .n_entries = 0 };
	int r;

	*fd = -1;
	if (subscriber->entry.history == 0)
		return 0;
	r = zcpd_history_backlog(subscriber->topic, subscriber, &backlog);
	if (r < 0 || backlog.n_entries == 0)
		return r;
	return zcp_backlog_export(&backlog, subscriber->session->registry->domain_id, fd);
}

void zcpd_session_joined(struct zcpd_endpoint *subscriber)
{
	struct zcp_message reply = { .type = ZCP_MESSAGE_OPENED };
	ZCP_CLEANUP(zcp_close_fd) int backlog_fd = -1;
	int r;

	if (!subscriber->session)
		return;
	r = export_backlog(subscriber, &backlog_fd);
	if (r < 0) {
		zcpd_session_refused(subscriber, r);
		zcpd_registry_close(subscriber->session->registry, subscriber, 0);
		return;
	}
	reply.u.opened.depth_log2 = subscriber->entry.depth_log2;
	reply.u.opened.held = subscriber->entry.held;
	reply.u.opened.on_full = subscriber->entry.on_full;
	reply.u.opened.history = subscriber->entry.history;
	reply.u.opened.order = subscriber->entry.order;
	send_opened(subscriber, &reply, backlog_fd);
}

void zcpd_session_refused(struct zcpd_endpoint *subscriber, int error)
{
	char text[ZCP_TEXT_SIZE];

	if (!subscriber->session)
		return;
	(void)snprintf(text, sizeof(text),
		       "cannot hand out the history of topic '%s': %s: raise the runtime's limits "
		       "(ulimit), or ask for no history",
		       subscriber->topic->entry.name, strerror(-error));
	zcpd_session_send_error(subscriber->session, subscriber->entry.request_id, error, text);
}

static void hand_back(struct zcpd_session *session, const struct zcp_message *message,
		      const struct zcp_fds *fds)
{
	char text[ZCP_TEXT_SIZE];
	int r = zcpd_adopt_endpoint(session, &message->u.hand_back, fds, text, sizeof(text));

	if (r == 0) {
		zcpd_session_send_ok(session, message->id);
		return;
	}
	zcpd_warning("node '%s' (pid %s) cannot come back with all: %s", session->entry.node,
		     session->pid_text, text);
	zcpd_session_send_error(session, message->id, r, text);
}

static struct zcpd_endpoint *find_endpoint(struct zcpd_session *session, uint64_t id)
{
	struct zcpd_endpoint *endpoint;

	LIST_FOREACH(endpoint, &session->endpoints, link)
		if (endpoint->entry.id == id)
			return endpoint;
	return NULL;
}

static void close_endpoint(struct zcpd_session *session, const struct zcp_message *message)
{
	const struct zcp_close *close = &message->u.close;
	struct zcpd_endpoint *endpoint = close->endpoint ?
						 find_endpoint(session, close->endpoint) :
						 find_opened_by(session, close->opened_by);

	/* Read by a worker before us as well: it is answered when it has left. */
	if (endpoint && session->restored && endpoint->entry.state == ZCPD_ENDPOINT_LEAVING &&
	    endpoint->entry.request_id == message->id)
		return;
	if (!endpoint || endpoint->entry.state == ZCPD_ENDPOINT_LEAVING)
		zcpd_session_send_ok(session, message->id);
	else
		zcpd_registry_close(session->registry, endpoint, message->id);
}

static void send_classes(struct zcpd_endpoint *endpoint, uint64_t id, uint32_t first)
{
	struct zcp_message message = { .type = ZCP_MESSAGE_POOL_CLASSES, .id = id };
	int fds[ZCP_PACKET_FDS_MAX];

	message.u.pool_classes.endpoint = endpoint->entry.id;
	zcpd_session_send(endpoint->session, &message, fds,
			  zcpd_pool_fds(endpoint->topic->pool, first, endpoint->entry.is_publisher,
					fds));
}

void zcpd_session_grown(struct zcpd_endpoint *endpoint, uint32_t first)
{
	if (endpoint->session && endpoint->entry.state != ZCPD_ENDPOINT_JOINING)
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
	zcpd_session_send(session, &message, &registry->signal_fds[signal], 1);
}

void zcpd_session_wakes(struct zcpd_endpoint *publisher, const struct zcpd_endpoint *subscriber)
{
	if (publisher->session)
		send_signal(publisher->session, 0, subscriber->entry.signal);
}

/*
 * The runtime writes to it, and so do publishers to that node: a write must neither block nor,
 * as with a pipe whose reader is gone, raise a signal.
 */
static bool is_waker(int fd)
{
	static const char eventfd[] = "anon_inode:[eventfd]";
	char path[64], target[sizeof(eventfd)];
	int flags = fcntl(fd, F_GETFL);

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, target, sizeof(target)) == sizeof(eventfd) - 1 &&
	       memcmp(target, eventfd, sizeof(eventfd) - 1) == 0 && flags >= 0 &&
	       (flags & O_NONBLOCK);
}

static void signal_fd(struct zcpd_session *session, const struct zcp_message *message,
		      struct zcp_fds *fds)
{
	if (fds->n_fds != 1 || !is_waker(fds->fds[0])) {
		zcpd_session_refuse(session,
				    "sent no non-blocking eventfd where there should be one");
		return;
	}
	zcpd_registry_set_signal_fd(session->registry, session->entry.signal,
				    zcp_steal_fd(&fds->fds[0]));
	zcpd_record_session(session);
	zcpd_session_send_ok(session, message->id);
}

static void signal_get(struct zcpd_session *session, const struct zcp_message *message)
{
	uint32_t signal = message->u.signal_get.signal;

	if (signal < session->registry->signals.n_signals &&
	    session->registry->signal_fds[signal] >= 0)
		send_signal(session, message->id, signal);
	else
		zcpd_session_send_error(session, message->id, -ENOENT,
					"no node has an eventfd there");
}

static void pool_get(struct zcpd_session *session, const struct zcp_message *message)
{
	struct zcpd_endpoint *endpoint = find_endpoint(session, message->u.pool_get.endpoint);

	if (endpoint)
		send_classes(endpoint, message->id, 0);
	else
		zcpd_session_send_error(session, message->id, -EINVAL, "no such endpoint");
}

static void freed(struct zcpd_session *session, const struct zcp_message *message)
{
	struct zcpd_endpoint *endpoint = find_endpoint(session, message->u.freed.endpoint);

	/* One that has just been closed has been looked after. */
	if (endpoint)
		zcpd_registry_freed(session->registry, endpoint->topic->pool);
}

static void answer(struct zcpd_session *session, const struct zcp_message *message)
{
	struct zcp_message reply = { .type = ZCP_MESSAGE_NONE };
	char text[ZCP_TEXT_SIZE];
	int r;

	switch (message->type) {
	case ZCP_MESSAGE_LIST:
		r = zcpd_info_list(session->registry, &message->u.list, &reply, text, sizeof(text));
		break;
	case ZCP_MESSAGE_INFO:
		r = zcpd_info_topic(session->registry, &message->u.info, &reply, text,
				    sizeof(text));
		break;
	case ZCP_MESSAGE_ENDPOINTS:
		r = zcpd_info_endpoints(session->registry, &message->u.endpoints, &reply, text,
					sizeof(text));
		break;
	default:
		r = zcpd_audit(session->registry, &reply, text, sizeof(text));
	}
	if (r < 0) {
		zcpd_session_send_error(session, message->id, r, text);
		return;
	}
	reply.id = message->id;
	zcpd_session_send(session, &reply, NULL, 0);
	zcp_message_deinit(&reply);
}

static bool is_packet_socket(int fd)
{
	int domain = 0, type = 0;
	socklen_t size = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

/* Another zcpd wants to be the domain's runtime. */
static void replace(struct zcpd_session *session, const struct zcp_message *message,
		    struct zcp_fds *fds)
{
	const struct zcp_replace *replace = &message->u.replace;
	struct zcpd_journal *journal = session->registry->journal;
	char version[ZCP_NAME_SIZE], text[ZCP_TEXT_SIZE];

	if (fds->n_fds != 1 || !is_packet_socket(fds->fds[0])) {
		zcpd_session_refuse(session, "sent no socket where there should be one");
		return;
	}
	copy_name(version, replace->version);
	if (replace->fingerprint != zcp_layout_fingerprint()) {
		(void)snprintf(
			text, sizeof(text),
			"zcpd %s has another memory layout than the one that runs (zcpd " ZCP_VERSION_STRING
			"), and cannot go on from what that leaves: stop that one first",
			version);
		zcpd_session_send_error(session, message->id, -EPROTO, text);
		return;
	}
	if (!journal || journal->lost) {
		zcpd_session_send_error(session, message->id, -EAGAIN,
					"the runtime has lost its keeper: try again");
		return;
	}
	zcpd_info("zcpd %s (pid %s) takes the domain over", version, session->pid_text);
	zcpd_session_send_ok(session, message->id);
	zcpd_journal_set_successor(journal, zcp_steal_fd(&fds->fds[0]));
}

void zcpd_request_handle(struct zcpd_session *session, const struct zcp_message *message,
			 struct zcp_fds *fds)
{
	if (!session->entry.greeted && message->type != ZCP_MESSAGE_HELLO &&
	    message->type != ZCP_MESSAGE_REPLACE) {
		zcpd_session_refuse(session, "asks before it has introduced itself");
		return;
	}
	switch (message->type) {
	case ZCP_MESSAGE_HELLO:
		hello(session, message, fds);
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
	case ZCP_MESSAGE_FREED:
		freed(session, message);
		break;
	case ZCP_MESSAGE_SIGNAL_FD:
		signal_fd(session, message, fds);
		break;
	case ZCP_MESSAGE_SIGNAL_GET:
		signal_get(session, message);
		break;
	case ZCP_MESSAGE_HAND_BACK:
		hand_back(session, message, fds);
		break;
	case ZCP_MESSAGE_HANDED_BACK:
		zcpd_adopt_end(session);
		zcpd_session_send_ok(session, message->id);
		break;
	case ZCP_MESSAGE_REPLACE:
		replace(session, message, fds);
		break;
	case ZCP_MESSAGE_LIST:
	case ZCP_MESSAGE_INFO:
	case ZCP_MESSAGE_ENDPOINTS:
	case ZCP_MESSAGE_AUDIT:
		answer(session, message);
		break;
	default:
		zcpd_session_send_error(session, message->id, -EOPNOTSUPP,
					"the runtime does not take this message");
	}
}
