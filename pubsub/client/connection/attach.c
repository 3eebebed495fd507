/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connecting, introducing, handing back.
 */
#include "pubsub/client/connection/attach.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <zcp/version.h>

#include "pubsub/client/connection/control.h"
#include "pubsub/client/connection/start.h"
#include "pubsub/client/endpoint.h"
#include "pubsub/client/inside.h"
#include "pubsub/client/publisher.h"
#include "pubsub/client/subscriber.h"
#include "pubsub/shm/fence.h"
#include "pubsub/shm/life.h"
#include "pubsub/util.h"
#include "pubsub/wire/name.h"

/* Between two tries to open a node that the runtime has hung up on. */
#define REOPEN_NS 20000000
/* Between two looks at the connection of a node that is awake, or without one at the door. */
#define LOOK_NS UINT64_C(50000000)
/* The same where it sleeps: the end of the runtime wakes it; a keeper that is stopped has none. */
#define LOOK_ASLEEP_NS UINT64_C(30000000000)
/* Waits and dispatches that find something at once, between two looks. */
#define UNATTENDED_MAX 256
/* Publishes into queues that were all full, between two looks. */
#define UNREAD_MAX 64
/*
 * How long a look may take, and how long none is taken after one that took so long: a runtime that is
 * slow waits for its nodes return_timeout, 1 s.
 */
#define BUDGET_NS UINT64_C(100000000)
#define REST_NS UINT64_C(300000000)
/* How long a runtime that has said welcome may take for all that is handed back. */
#define HAND_BACK_NS UINT64_C(1000000000)

/* Keeps the mapping: another thread may be about to wake us through it. */
static int retire_signals(struct zcp_node *node)
{
	struct zcp_signals *former = realloc(node->former_signals,
					     (node->n_former_signals + 1) * sizeof(former[0]));

	if (!former)
		return zcp_node_fail(node, -ENOMEM, "out of memory");
	node->former_signals = former;
	former[node->n_former_signals++] = node->signals;
	node->signals = (struct zcp_signals){ .n_signals = 0 };
	return 0;
}

static void set_new_stale(struct zcp_node *node, struct zcp_endpoint *endpoint)
{
	char text[ZCP_TEXT_SIZE];

	(void)snprintf(
		text, sizeof(text),
		"topic '%s': the runtime that has come to domain '%s' does not take node '%s' "
		"over, as it comes too late: close this handle and open it again",
		endpoint->name, node->domain, node->name);
	zcp_endpoint_set_stale(endpoint, text);
}

static void set_all_stale(struct zcp_node *node)
{
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;

	LIST_FOREACH(publisher, &node->publishers, link)
		if (zcp_process_is(publisher->endpoint.process))
			set_new_stale(node, &publisher->endpoint);
	LIST_FOREACH(subscriber, &node->subscribers, link)
		if (zcp_process_is(subscriber->endpoint.process))
			set_new_stale(node, &subscriber->endpoint);
}

/* It is a new one in this domain. */
static int settle(struct zcp_node *node, const struct zcp_welcome *welcome, struct zcp_fds *fds)
{
	struct zcp_signals signals = { .n_signals = 0 };
	const char *why = "the runtime sent no descriptor";
	int r = -EPROTO;

	if (fds->n_fds == 1)
		r = zcp_signals_attach(&signals, fds->fds[0], welcome->domain_id, &why);
	if (r < 0)
		return zcp_node_fail(node, r, "the signal region: %s", why);
	if (welcome->signal >= signals.n_signals) {
		zcp_signals_deinit(&signals);
		return zcp_node_fail(node, -EPROTO, "the runtime gave an impossible signal");
	}
	if (node->id != 0) {
		set_all_stale(node);
		zcp_node_free_wakers(node);
		r = retire_signals(node);
		if (r < 0) {
			zcp_signals_deinit(&signals);
			return r;
		}
	}
	zcp_close_fd(&node->signals_fd);
	node->signals_fd = zcp_steal_fd(&fds->fds[0]);
	node->domain_id = welcome->domain_id;
	node->symmetric = welcome->symmetric;
	node->id = welcome->node;
	node->signal_index = welcome->signal;
	node->signals = signals;
	node->signal = &node->signals.signals[welcome->signal];
	zcp_signal_reset(node->signal, welcome->node);
	/* Without it a runtime in another pid namespace may never learn of our end. */
	if (zcp_life_hold(&node->signals_fd, node->signal_index) == 0)
		atomic_store_explicit(&node->signal->holder, node->id, memory_order_relaxed);
	return 0;
}

/* What the runtime said at the door, checked. */
static int accept_welcome(struct zcp_node *node, const struct zcp_welcome *welcome,
			  struct zcp_fds *fds, bool membarrier)
{
	if (welcome->fingerprint != zcp_layout_fingerprint())
		return zcp_node_fail(
			node, -EPROTO,
			"the runtime of domain '%s' (version %s) has another memory layout "
			"than libzcp %s: bring both to one build",
			node->domain, welcome->version, zcp_version_string());
	if (!membarrier && !welcome->symmetric)
		return zcp_node_fail(
			node, -ENOTSUP,
			"membarrier is refused to this process, and the runtime of domain "
			"'%s' counts on it: set fences = \"symmetric\" in [runtime] of its "
			"configuration",
			node->domain);
	(void)strcpy(node->config, welcome->config);
	if (node->id != 0 && welcome->domain_id == node->domain_id && welcome->node == node->id &&
	    welcome->signal == node->signal_index)
		return 0;
	return settle(node, welcome, fds);
}

static int introduce(struct zcp_node *node)
{
	ZCP_CLEANUP(zcp_fds_deinit) struct zcp_fds fds = { .n_fds = 0 };
	struct zcp_message request = { .type = ZCP_MESSAGE_HELLO }, reply;
	bool membarrier = zcp_fence_register() == 0;
	int r;

	request.u.hello.fingerprint = zcp_layout_fingerprint();
	request.u.hello.membarrier = membarrier;
	request.u.hello.domain_id = node->domain_id;
	request.u.hello.node = node->id;
	request.u.hello.signal = node->signal_index;
	request.u.hello.symmetric = node->symmetric;
	(void)strcpy(request.u.hello.name, node->name);
	(void)snprintf(request.u.hello.program, sizeof(request.u.hello.program), "%.*s",
		       (int)zcp_name_cut(program_invocation_short_name,
					 sizeof(request.u.hello.program) - 1),
		       program_invocation_short_name);
	r = zcp_control_request_with(node, &request, &node->signals_fd, node->id != 0,
				     ZCP_MESSAGE_WELCOME, &reply, &fds);
	if (r < 0)
		return r;
	return accept_welcome(node, &reply.u.welcome, &fds, membarrier);
}

static bool is_stale(const struct zcp_endpoint *endpoint)
{
	return endpoint->process == ZCP_ENDPOINT_STALE;
}

/* Returns an error only where the connection is at fault. */
static int hand_back_one(struct zcp_node *node, struct zcp_endpoint *endpoint)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_HAND_BACK }, reply;
	int fds[ZCP_PACKET_FDS_MAX], r;

	if (is_stale(endpoint))
		return 0;
	request.u.hand_back = endpoint->declared;
	request.u.hand_back.endpoint = endpoint->id;
	r = zcp_control_request_with(node, &request, fds, zcp_endpoint_fds(endpoint, fds),
				     ZCP_MESSAGE_OK, &reply, NULL);
	if (r == 0) {
		zcp_message_deinit(&reply);
		return 0;
	}
	/* What is ours to blame is tried again. */
	if (r != -ESTALE && r != -EINVAL && r != -EOPNOTSUPP)
		return r;
	zcp_endpoint_set_stale(endpoint, node->error);
	return 0;
}

static int hand_back(struct zcp_node *node)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_HANDED_BACK }, reply;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
	int r = 0;

	LIST_FOREACH(publisher, &node->publishers, link) {
		r = hand_back_one(node, &publisher->endpoint);
		if (r < 0)
			return r;
	}
	LIST_FOREACH(subscriber, &node->subscribers, link) {
		r = hand_back_one(node, &subscriber->endpoint);
		if (r < 0)
			return r;
	}
	r = zcp_control_request(node, &request, ZCP_MESSAGE_OK, &reply, NULL);
	if (r == 0)
		zcp_message_deinit(&reply);
	return r;
}

static int register_fd(struct zcp_node *node)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_SIGNAL_FD }, reply;
	int r = zcp_control_request_with(node, &request, &node->event_fd, 1, ZCP_MESSAGE_OK, &reply,
					 NULL);

	if (r == 0)
		zcp_message_deinit(&reply);
	return r;
}

/* Has the caller's poll loop call us now and then until there is a runtime. */
static void start_timer(struct zcp_node *node)
{
	const struct timespec interval = { .tv_nsec = LOOK_NS };
	const struct itimerspec often = { interval, interval };

	if (node->timer_fd >= 0)
		(void)timerfd_settime(node->timer_fd, 0, &often, NULL);
}

/*
 * A child that was forked may have it open still, and would keep the runtime from learning of its
 * end. What has been sent is read all the same. In such a child it is the parent's.
 */
static void hang_up(struct zcp_node *node)
{
	if (node->socket >= 0 && zcp_process_is(node->process))
		(void)shutdown(node->socket, SHUT_RDWR);
	zcp_close_fd(&node->socket);
}

void zcp_attach_close_socket(struct zcp_node *node)
{
	if (node->socket < 0)
		return;
	/* A child that was forked would keep it in there for ever. */
	if (node->poll_fd >= 0)
		(void)epoll_ctl(node->poll_fd, EPOLL_CTL_DEL, node->socket, NULL);
	hang_up(node);
	start_timer(node);
}

/* The end of this connection wakes the caller's poll loop. */
static int watch_connection(struct zcp_node *node)
{
	/* No events: the end of a connection is always told. */
	struct epoll_event event = { .events = 0 };
	const struct itimerspec never = { { 0, 0 }, { 0, 0 } };

	if (node->poll_fd < 0)
		return 0;
	if (epoll_ctl(node->poll_fd, EPOLL_CTL_ADD, node->socket, &event) < 0 && errno != EEXIST)
		return zcp_node_fail(node, -ENOMEM, "epoll: %s", strerror(errno));
	(void)timerfd_settime(node->timer_fd, 0, &never, NULL);
	return 0;
}

/* Once: connects and introduces itself. */
static int attach_once(struct zcp_node *node, uint64_t deadline)
{
	int r;

	zcp_attach_close_socket(node);
	r = zcp_start_connect(&node->options, node->role == ZCP_NODE_LOOKS, deadline, &node->socket,
			      node->error, sizeof(node->error));
	if (r < 0)
		return r;
	r = introduce(node);
	/* A runtime that has answered has many to answer: begun anew it would take longer. */
	if (r == 0 && node->deadline_ns < zcp_now_ns() + HAND_BACK_NS)
		node->deadline_ns = zcp_now_ns() + HAND_BACK_NS;
	if (r == 0 && node->n_attached++ > 0)
		r = hand_back(node);
	if (r == 0 && node->event_fd >= 0)
		r = register_fd(node);
	return r < 0 ? r : watch_connection(node);
}

static int attach_until(struct zcp_node *node, uint64_t deadline)
{
	uint64_t before = node->deadline_ns;
	int r;

	node->is_attaching = true;
	node->deadline_ns = before > 0 && before < deadline ? before : deadline;
	for (;;) {
		r = attach_once(node, node->deadline_ns);
		/* A runtime that ends because it was idle may close the door before us. */
		if (r != -ENOTCONN || zcp_now_ns() >= node->deadline_ns)
			break;
		(void)nanosleep(&(struct timespec){ .tv_nsec = REOPEN_NS }, NULL);
	}
	if (r < 0)
		zcp_attach_close_socket(node);
	node->deadline_ns = before;
	node->is_attaching = false;
	return r;
}

int zcp_attach(struct zcp_node *node, uint64_t deadline)
{
	return attach_until(node, deadline);
}

int zcp_reattach(struct zcp_node *node, enum zcp_attach_effort effort, uint64_t deadline)
{
	struct zcp_node_options before = node->options;
	uint64_t now = zcp_now_ns();
	int r;

	/* What the one before has said to its end counts. */
	zcp_control_drain(node);
	if (effort == ZCP_ATTACH_LOOK) {
		node->options.auto_start = ZCP_AUTO_START_OFF;
		node->options.wait_ns = 0;
	} else {
		node->options.wait_ns = deadline > now ? deadline - now : 0;
	}
	r = attach_until(node, deadline);
	node->options = before;
	node->attended_ns = zcp_now_ns();
	if (r == 0)
		return 0;
	return r == -ECONNREFUSED ?
		       zcp_node_fail(
			       node, -ENOTCONN,
			       "the runtime of domain '%s' is gone: what is open goes on; start "
			       "zcpd for what is new",
			       node->domain) :
		       r;
}

/* Whether it is over; what the runtime has told unasked must not pile up, or it takes us for dead. */
static bool is_connected(struct zcp_node *node)
{
	struct pollfd pollfd = { .fd = node->socket, .events = POLLIN };

	if (node->socket < 0)
		return false;
	if (poll(&pollfd, 1, 0) <= 0)
		return true;
	if (pollfd.revents & ~POLLIN)
		return false;
	zcp_control_drain(node);
	return true;
}

static bool is_unsaid(struct zcp_endpoint *endpoint, struct zcp_endpoint **found)
{
	if (endpoint->is_stale_unsaid)
		*found = endpoint;
	return endpoint->is_stale_unsaid;
}

/* One after another, each once. */
static int say_stale(struct zcp_node *node)
{
	struct zcp_endpoint *found = NULL;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;

	if (!node->is_stale_unsaid)
		return 0;
	LIST_FOREACH(publisher, &node->publishers, link)
		if (is_unsaid(&publisher->endpoint, &found))
			break;
	LIST_FOREACH(subscriber, &node->subscribers, link)
		if (found || is_unsaid(&subscriber->endpoint, &found))
			break;
	node->is_stale_unsaid = found != NULL;
	if (!found)
		return 0;
	found->is_stale_unsaid = false;
	return zcp_endpoint_refuse(found);
}

/*
 * There is no runtime that this process may connect to, as where it has changed its user: an
 * endpoint without another end would never get one. The others go on.
 */
static void give_up_lonely(struct zcp_node *node)
{
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
	char text[2 * sizeof(node->error)];

	(void)snprintf(text, sizeof(text),
		       "the runtime of domain '%s' is gone, and node '%s' may not look for another "
		       "one: close this handle, and open it again as a user who may (%s)",
		       node->domain, node->name, node->error);
	LIST_FOREACH(publisher, &node->publishers, link)
		if (!is_stale(&publisher->endpoint) &&
		    zcp_endpoint_n_others(&publisher->endpoint) == 0)
			zcp_endpoint_set_stale(&publisher->endpoint, text);
	LIST_FOREACH(subscriber, &node->subscribers, link)
		if (!is_stale(&subscriber->endpoint) &&
		    zcp_endpoint_n_others(&subscriber->endpoint) == 0)
			zcp_endpoint_set_stale(&subscriber->endpoint, text);
}

static void look_after(struct zcp_node *node)
{
	uint64_t now = zcp_now_ns();
	char error[sizeof(node->error)];
	int r;

	node->n_unattended = 0;
	/* A poll loop calls us again at once as long as the end of a connection is there. */
	if (now < node->attend_again_ns ||
	    (now - node->attended_ns < LOOK_NS && !(node->poll_fd >= 0 && node->socket >= 0)))
		return;
	node->attended_ns = now;
	memcpy(error, node->error, sizeof(error));
	/* That no runtime is found now is no error. */
	r = is_connected(node) ? 0 : zcp_reattach(node, ZCP_ATTACH_LOOK, now + BUDGET_NS);
	if (r < 0 && zcp_now_ns() - now >= BUDGET_NS)
		node->attend_again_ns = zcp_now_ns() + REST_NS;
	if (r == -EPERM || r == -EACCES)
		give_up_lonely(node);
	memcpy(node->error, error, sizeof(error));
}

static void attend(struct zcp_node *node, bool at_once)
{
	ZCP_CLEANUP(zcp_node_leave_briefly) struct zcp_node *inside = NULL;

	if (!zcp_node_enter_briefly(node))
		return;
	inside = node;
	if (at_once && inside->socket >= 0)
		zcp_attend_soon(inside);
	look_after(inside);
}

void zcp_attend_quietly(struct zcp_node *node)
{
	attend(node, false);
}

void zcp_attend_now(struct zcp_node *node)
{
	attend(node, true);
}

int zcp_attend(struct zcp_node *node)
{
	zcp_attend_quietly(node);
	return say_stale(node);
}

void zcp_attend_published(struct zcp_node *node, uint32_t met)
{
	/* Full queues are nothing special; that no subscriber takes anything for long is. */
	if (met == ZCP_MET_FULL && ++node->n_unread % UNREAD_MAX != 0)
		return;
	zcp_attend_quietly(node);
}

void zcp_attend_soon(struct zcp_node *node)
{
	node->attended_ns = 0;
}

int zcp_attend_seldom(struct zcp_node *node)
{
	return ++node->n_unattended < UNATTENDED_MAX ? say_stale(node) : zcp_attend(node);
}

uint64_t zcp_attend_interval(const struct zcp_node *node)
{
	return node->socket >= 0 ? LOOK_ASLEEP_NS : LOOK_NS;
}

static int make_poll_fd(struct zcp_node *node)
{
	struct epoll_event event = { .events = EPOLLIN };

	/* Readable at first: the call that follows puts it right. */
	node->event_fd = zcp_raise_fd(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
	node->timer_fd = zcp_raise_fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
	node->poll_fd = zcp_raise_fd(epoll_create1(EPOLL_CLOEXEC));
	if (node->event_fd < 0 || node->timer_fd < 0 || node->poll_fd < 0 ||
	    epoll_ctl(node->poll_fd, EPOLL_CTL_ADD, node->event_fd, &event) < 0 ||
	    epoll_ctl(node->poll_fd, EPOLL_CTL_ADD, node->timer_fd, &event) < 0)
		return zcp_errno();
	return 0;
}

static void close_poll_fds(struct zcp_node *node)
{
	zcp_close_fd(&node->poll_fd);
	zcp_close_fd(&node->event_fd);
	zcp_close_fd(&node->timer_fd);
}

int zcp_attach_make_poll_fd(struct zcp_node *node)
{
	int r = make_poll_fd(node);

	if (r < 0) {
		close_poll_fds(node);
		return zcp_node_fail(node, r, "cannot make an eventfd: %s: raise RLIMIT_NOFILE",
				     strerror(-r));
	}
	/* A connection that is made anew on the way has it registered already. */
	if (node->socket >= 0)
		r = register_fd(node);
	else
		r = zcp_reattach(node, ZCP_ATTACH_WAIT, zcp_now_ns() + node->timeout_ns);
	if (r == 0 && node->socket >= 0)
		r = watch_connection(node);
	if (r < 0)
		close_poll_fds(node);
	return r;
}

/*
 * Before the connection is closed: a runtime that comes after one that was killed does not wait
 * for this node. Where the signal is another node's by now it stays as it is.
 */
static void give_up_signal(struct zcp_node *node)
{
	struct zcp_signal_shm *signal = node->signal;
	uint64_t id = node->id;

	if (!signal || !zcp_process_is(node->process))
		return;
	/* Relaxed: read by the next runtime, when we are gone. */
	(void)atomic_compare_exchange_strong_explicit(&signal->node, &id, 0, memory_order_relaxed,
						      memory_order_relaxed);
}

void zcp_detach(struct zcp_node *node)
{
	give_up_signal(node);
	hang_up(node);
	zcp_close_fd(&node->signals_fd);
	close_poll_fds(node);
	zcp_signals_deinit(&node->signals);
	for (uint32_t i = 0; i < node->n_former_signals; i++)
		zcp_signals_deinit(&node->former_signals[i]);
	free(node->former_signals);
	node->former_signals = NULL;
	node->n_former_signals = 0;
}
