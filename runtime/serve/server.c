/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking a domain, serving it, leaving it.
 */
#include "runtime/serve/server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <zcp/version.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/fence.h"
#include "pubsub/util.h"
#include "runtime/domain/former.h"
#include "runtime/failover/begin.h"
#include "runtime/failover/record.h"
#include "runtime/failover/restore.h"
#include "runtime/serve/door.h"
#include "runtime/serve/names.h"
#include "runtime/serve/strangers.h"
#include "runtime/system/log.h"

/* Between two looks whether such a one still has to wait for these nodes. */
#define WAIT_LOOK_MS 20
#define WAIT_LOOK_NS (WAIT_LOOK_MS * UINT64_C(1000000))
#define GRACE_MS_MIN 1
#define GRACE_MS_MAX 20
/* Connections that are taken before those that there are have their turn. */
#define ACCEPTS_PER_TURN 64
/* Until connections are looked at again after one could not be accepted. */
#define ACCEPT_PAUSE_MS 100

void zcpd_server_stop(struct zcpd_server *server, const char *why)
{
	if (server->is_ending)
		return;
	zcpd_info("domain '%s' ends: %s", strrchr(server->paths.domain, '/') + 1, why);
	server->is_ending = true;
	zcpd_journal_stopping(&server->journal);
	uv_stop(&server->loop);
}

static void on_signal(uv_signal_t *handle, int number)
{
	zcpd_server_stop(handle->data, number == SIGTERM ? "SIGTERM" : "SIGINT");
}

static void on_idle(uv_timer_t *timer)
{
	zcpd_server_stop(timer->data, "no node is left");
}

static void watch_idleness(struct zcpd_server *server)
{
	uint64_t ms = server->config->runtime.idle_timeout_ns / 1000000;

	/* A topic without endpoints has history that is to be kept. */
	if (server->until_idle && LIST_EMPTY(&server->sessions) &&
	    LIST_EMPTY(&server->registry.topics))
		(void)uv_timer_start(&server->idle_timer, on_idle, ms, 0);
	else
		(void)uv_timer_stop(&server->idle_timer);
}

static void on_grace(uv_timer_t *timer);

/* As long as a join or a leave waits for a publisher: soon, then less often. */
static void watch_grace(struct zcpd_server *server)
{
	if (TAILQ_EMPTY(&server->registry.pending) ||
	    uv_is_active((const uv_handle_t *)&server->grace_timer))
		return;
	(void)uv_timer_start(&server->grace_timer, on_grace, server->grace_ms, 0);
}

static void on_grace(uv_timer_t *timer)
{
	struct zcpd_server *server = timer->data;

	if (zcpd_registry_poll(&server->registry))
		server->grace_ms = server->grace_ms * 2 < GRACE_MS_MAX ? server->grace_ms * 2 :
									 GRACE_MS_MAX;
	else
		server->grace_ms = GRACE_MS_MIN;
	watch_grace(server);
}

static void on_session_ended(struct zcpd_session *session, void *user)
{
	struct zcpd_server *server = user;

	LIST_REMOVE(session, link);
	watch_idleness(server);
}

static void on_log(uv_timer_t *timer)
{
	(void)timer;
	zcpd_log_tell(false);
}

/* As long as lines were only counted. */
static void watch_log(struct zcpd_server *server)
{
	uint64_t due_ns;

	if (uv_is_active((const uv_handle_t *)&server->log_timer))
		return;
	due_ns = zcpd_log_due_ns();
	if (due_ns > 0)
		(void)uv_timer_start(&server->log_timer, on_log, due_ns / 1000000 + 1, 0);
}

/* Once in each turn of the loop, after everything that may have begun a grace period. */
static void on_turn(uv_check_t *check)
{
	struct zcpd_server *server = check->data;

	watch_grace(server);
	watch_log(server);
	zcpd_strangers_watch(server);
	if (server->journal.successor > 0)
		zcpd_trim_stop(&server->trim);
	if (!server->is_ending)
		zcpd_journal_hand_on(&server->journal);
	zcpd_succession_turn(server);
}

/* A process that connects again may have replaced its program since it did before. */
static void end_former_programs(struct zcpd_server *server, const struct zcpd_session *newest)
{
	struct zcpd_session *session, *next;

	for (session = LIST_FIRST(&server->sessions); session; session = next) {
		next = LIST_NEXT(session, link);
		if (session->entry.pid == newest->entry.pid)
			ZCP_IGNORE(zcpd_session_end_if_former(session));
	}
}

static int accept_one(struct zcpd_server *server)
{
	struct zcpd_session *session;
	int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), r;

	if (fd < 0)
		return zcp_errno();
	if (!zcpd_door_lets_in(server, fd)) {
		zcp_close_fd(&fd);
		return 0;
	}
	r = zcpd_session_new(&session, &server->loop, &server->registry, fd, on_session_ended,
			     server);
	if (r < 0) {
		zcpd_warning("a connection was refused: %s", strerror(-r));
		return 0;
	}
	end_former_programs(server, session);
	LIST_INSERT_HEAD(&server->sessions, session, link);
	watch_idleness(server);
	return 0;
}

static void on_accept_again(uv_timer_t *timer);

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct zcpd_server *server = poll->data;
	int r = 0;

	(void)status;
	(void)events;
	/* However fast nodes connect, those that are connected have their turn as well. */
	for (int i = 0; i < ACCEPTS_PER_TURN && (r == 0 || r == -ECONNABORTED || r == -EINTR); i++)
		r = accept_one(server);
	if (r == 0 || r == -EAGAIN || r == -ECONNABORTED || r == -EINTR)
		return;
	if (r == -EMFILE || r == -ENFILE)
		zcpd_door_turn_away(server, r);
	else
		zcpd_warning("accept: %s", strerror(-r));
	/* Nodes that try again at once must fill neither the processor nor the log. */
	(void)uv_poll_stop(&server->listen_poll);
	(void)uv_timer_start(&server->accept_timer, on_accept_again, ACCEPT_PAUSE_MS, 0);
}

static void on_accept_again(uv_timer_t *timer)
{
	struct zcpd_server *server = timer->data;

	zcpd_door_spare(server);
	(void)uv_poll_start(&server->listen_poll, UV_READABLE, on_connection);
}

int zcpd_server_listen_anew(struct zcpd_server *server, char *text, size_t text_size)
{
	int r;

	/* Those that have come by the name before it was removed. */
	on_connection(&server->listen_poll, 0, UV_READABLE);
	(void)uv_poll_stop(&server->listen_poll);
	r = zcpd_names_listen(server, text, text_size);
	(void)uv_poll_start(&server->listen_poll, UV_READABLE, on_connection);
	return r;
}

static void on_opened(struct zcpd_endpoint *endpoint, void *user)
{
	(void)user;
	zcpd_session_has(endpoint);
}

static void on_joined(struct zcpd_endpoint *subscriber, void *user)
{
	(void)user;
	zcpd_session_joined(subscriber);
}

static void on_refused(struct zcpd_endpoint *subscriber, int error, void *user)
{
	(void)user;
	zcpd_session_refused(subscriber, error);
}

static void on_held_up(struct zcpd_endpoint *subscriber, void *user)
{
	(void)user;
	zcpd_session_held_up(subscriber);
}

static void on_closed(struct zcpd_endpoint *endpoint, void *user)
{
	(void)user;
	zcpd_session_closed(endpoint);
}

static void on_wakes(struct zcpd_endpoint *publisher, const struct zcpd_endpoint *subscriber,
		     void *user)
{
	(void)user;
	zcpd_session_wakes(publisher, subscriber);
}

void zcpd_server_record_fds(struct zcpd_server *server)
{
	const int fds[] = { server->lock, server->directory.fd, server->listener };
	uint32_t n = 1;

	/* Each of them is there after the one before. */
	while (n < sizeof(fds) / sizeof(fds[0]) && fds[n] >= 0)
		n++;
	zcpd_journal_keep(&server->journal, ZCP_ENTRY_SERVER, 1, fds, n);
}

void zcpd_server_record(struct zcpd_server *server)
{
	zcpd_server_record_fds(server);
	zcpd_directory_put(&server->directory, ZCP_ENTRY_SERVER, &server->place, 1, &server->entry);
}

/* Nodes that have asked for something new in the meantime are answered now. */
static void end_wait(struct zcpd_server *server)
{
	struct zcpd_session *session;

	if (!server->registry.waits)
		return;
	server->registry.waits = false;
	server->entry.waits_until_ns = 0;
	server->entry.had_nodes = false;
	(void)uv_timer_stop(&server->wait_timer);
	zcpd_server_record(server);
	LIST_FOREACH(session, &server->sessions, link)
		zcpd_session_go_on(session);
}

static uint32_t missing(void *user)
{
	const struct zcpd_server *server = user;
	const struct zcpd_session *session;

	/* A node that one topic names may have others. */
	LIST_FOREACH(session, &server->sessions, link)
		if (session->entry.returning)
			return session->entry.pid ? session->entry.pid : ZCPD_REGISTRY_PID_UNKNOWN;
	return zcpd_registry_missing(&server->registry);
}

static void on_returned(void *user)
{
	struct zcpd_server *server = user;

	if (server->registry.waits && missing(server) == 0)
		end_wait(server);
}

/* A node that is handing back may finish, within ten times return_timeout. */
static bool is_handing_back(const struct zcpd_server *server)
{
	uint64_t most = 10 * server->config->runtime.return_timeout_ns;
	const struct zcpd_session *session;

	if (zcp_now_ns() >= server->entry.waits_until_ns + most)
		return false;
	LIST_FOREACH(session, &server->sessions, link)
		if (session->entry.returning && session->socket >= 0)
			return true;
	return false;
}

/*
 * While the runtime itself did not run it let no node in, and that time is given to the nodes.
 * A node that it waited for may have died as well.
 */
static void on_wait(uv_timer_t *timer)
{
	struct zcpd_server *server = timer->data;
	uint64_t now = zcp_now_ns(), passed_ns = now - server->looked_ns;

	zcpd_strangers_end(server);
	if (passed_ns > 2 * WAIT_LOOK_NS)
		server->entry.waits_until_ns += passed_ns - WAIT_LOOK_NS;
	server->looked_ns = now;
	if (now >= server->entry.waits_until_ns && !is_handing_back(server))
		end_wait(server);
	else
		on_returned(server);
}

static void on_grown(struct zcpd_endpoint *endpoint, uint32_t first, void *user)
{
	(void)user;
	zcpd_session_grown(endpoint, first);
}

static void on_freed(struct zcpd_pool *pool, void *user)
{
	struct zcpd_server *server = user;

	zcpd_trim_freed(&server->trim, pool);
}

int zcpd_server_add_session(struct zcpd_server *server, const struct zcp_node_entry_shm *entry,
			    int pidfd, int socket, struct zcpd_session **sessionp)
{
	struct zcpd_session *session;
	int r = zcpd_session_restore(&session, &server->loop, &server->registry, entry, pidfd,
				     socket, on_session_ended, server);

	if (r < 0)
		return r;
	LIST_INSERT_HEAD(&server->sessions, session, link);
	server->has_strangers |= session->entry.pid == 0 && socket < 0;
	*sessionp = session;
	return 0;
}

static int start_registry(struct zcpd_server *server, const struct zcpd_registry_events *events,
			  char *text, size_t text_size)
{
	bool symmetric = server->config->runtime.fences == ZCPD_CONFIG_FENCES_SYMMETRIC;
	int r;

	if (!symmetric && zcp_fence_register() < 0) {
		zcpd_info("membarrier is not available: fences are symmetric");
		symmetric = true;
	}
	r = zcpd_registry_init(&server->registry, server->config, symmetric, events);
	if (r < 0) {
		(void)snprintf(text, text_size, "cannot make the domain's regions: %s",
			       strerror(-r));
		return r;
	}
	server->registry.journal = &server->journal;
	server->registry.directory = &server->directory;
	if (server->entry.had_nodes)
		server->registry.last_id = zcpd_former_first_id(server->registry.domain_id);
	zcpd_record_registry(&server->registry);
	return 0;
}

static int take_domain(struct zcpd_server *server, const struct zcpd_server_options *options,
		       char *text, size_t text_size)
{
	const struct zcpd_registry_events events = {
		.opened = on_opened,
		.joined = on_joined,
		.refused = on_refused,
		.held_up = on_held_up,
		.closed = on_closed,
		.grown = on_grown,
		.wakes = on_wakes,
		.freed = on_freed,
		.missing = missing,
		.returned = on_returned,
		.user = server,
	};
	int r;

	zcpd_trim_init(&server->trim, &server->registry, &server->loop);
	r = zcp_paths_init(&server->paths, options->directory, options->domain, text, text_size);
	if (r == 0)
		r = zcp_paths_check(&server->paths, true, text, text_size);
	if (r == 0)
		r = zcpd_restore(server, &events, text, text_size);
	if (r == 0 && server->lock < 0) {
		r = zcpd_names_lock(server, text, text_size);
		if (r == 0)
			zcpd_server_record(server);
	}
	ZCP_CRASHPOINT("start.after_lock");
	if (r == 0 && server->directory.fd < 0)
		r = zcpd_begin_directory(server, text, text_size);
	if (r == 0 && server->registry.signals_fd < 0)
		r = start_registry(server, &events, text, text_size);
	ZCP_CRASHPOINT("start.after_registry");
	if (r == 0 && server->listener < 0) {
		if (server->entry.had_nodes)
			server->entry.waits_until_ns = zcp_now_ns() +
						       server->config->runtime.return_timeout_ns;
		r = zcpd_names_write_pid(server, text, text_size);
		if (r == 0)
			r = zcpd_names_listen(server, text, text_size);
		ZCP_CRASHPOINT("start.after_listen");
		if (r == 0)
			zcpd_server_record(server);
	} else if (r == 0 && zcpd_names_write_pid(server, text, text_size) < 0) {
		zcpd_warning("%s", text);
	}
	server->looked_ns = zcp_now_ns();
	server->registry.waits = r == 0 && server->entry.waits_until_ns > server->looked_ns;
	server->registry.former_domain_id = server->entry.former_domain_id;
	/* A worker before us may not have come to it. */
	if (server->registry.waits)
		zcpd_registry_wake_all(&server->registry);
	return r;
}

int zcpd_server_init(struct zcpd_server *server, const struct zcpd_config *config,
		     const struct zcpd_server_options *options, char *text, size_t text_size)
{
	int r;

	*server = (struct zcpd_server){
		.config = config,
		.until_idle = options->until_idle,
		.journal = options->journal,
		.succession.arguments = options->arguments,
		.lock = -1,
		.listener = -1,
		.spare = -1,
		.names.inotify = -1,
		.directory = ZCPD_DIRECTORY_NULL,
		.grace_ms = GRACE_MS_MIN,
	};
	LIST_INIT(&server->sessions);
	server->registry.signals_fd = -1;
	r = uv_loop_init(&server->loop);
	if (r < 0) {
		(void)snprintf(text, text_size, "the loop could not be started: %s", strerror(-r));
		return r;
	}
	r = take_domain(server, options, text, text_size);
	if (r != 0) {
		zcpd_store_end(&server->store);
		zcpd_registry_deinit(&server->registry);
		(void)uv_loop_close(&server->loop);
		zcpd_directory_deinit(&server->directory);
		zcp_close_fd(&server->listener);
		zcp_close_fd(&server->lock);
		return r;
	}
	zcpd_door_spare(server);
	return 0;
}

/*
 * The keeper has them blocked for us, so that none is lost before we can act on it; and once the
 * loop has ended a further one must not end us in the middle of our own end.
 */
static void mask_signals(int how)
{
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigprocmask(how, &signals, NULL);
}

int zcpd_server_run(struct zcpd_server *server, int log)
{
	int r;

	(void)uv_signal_init(&server->loop, &server->terminate);
	(void)uv_signal_init(&server->loop, &server->interrupt);
	(void)uv_timer_init(&server->loop, &server->grace_timer);
	(void)uv_timer_init(&server->loop, &server->idle_timer);
	(void)uv_timer_init(&server->loop, &server->accept_timer);
	(void)uv_timer_init(&server->loop, &server->log_timer);
	(void)uv_timer_init(&server->loop, &server->wait_timer);
	(void)uv_timer_init(&server->loop, &server->strangers_timer);
	(void)uv_check_init(&server->loop, &server->turn);
	server->terminate.data = server;
	server->interrupt.data = server;
	server->grace_timer.data = server;
	server->idle_timer.data = server;
	server->accept_timer.data = server;
	server->wait_timer.data = server;
	server->strangers_timer.data = server;
	server->listen_poll.data = server;
	server->turn.data = server;
	r = uv_poll_init(&server->loop, &server->listen_poll, server->listener);
	if (r == 0)
		r = uv_poll_start(&server->listen_poll, UV_READABLE, on_connection);
	if (r == 0)
		r = uv_signal_start(&server->terminate, on_signal, SIGTERM);
	if (r == 0)
		r = uv_signal_start(&server->interrupt, on_signal, SIGINT);
	if (r == 0)
		r = uv_check_start(&server->turn, on_turn);
	if (r == 0)
		r = zcpd_succession_start(server);
	if (r < 0)
		return r;
	zcpd_trim_start_all(&server->trim);
	if (server->registry.waits)
		(void)uv_timer_start(&server->wait_timer, on_wait, WAIT_LOOK_MS, WAIT_LOOK_MS);
	zcpd_names_watch(server);
	watch_idleness(server);
	zcpd_info("zcpd " ZCP_VERSION_STRING " serves domain '%s' at %s, fences %s",
		  strrchr(server->paths.domain, '/') + 1, server->paths.socket.sun_path,
		  server->registry.symmetric ? "symmetric" : "by membarrier");
	zcpd_journal_ready(&server->journal, log);
	mask_signals(SIG_UNBLOCK);
	(void)uv_run(&server->loop, UV_RUN_DEFAULT);
	mask_signals(SIG_BLOCK);
	return 0;
}

static void close_handle(uv_handle_t *handle, void *user)
{
	(void)user;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

void zcpd_server_deinit(struct zcpd_server *server)
{
	/* No later runtime is to go on from here. */
	server->journal.store = NULL;
	zcpd_store_end(&server->store);
	zcpd_names_remove(server);
	while (!LIST_EMPTY(&server->sessions))
		zcpd_session_abandon(LIST_FIRST(&server->sessions));
	zcpd_trim_deinit(&server->trim);
	uv_walk(&server->loop, close_handle, NULL);
	(void)uv_run(&server->loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&server->loop);
	zcpd_registry_deinit(&server->registry);
	zcpd_names_deinit(&server->names);
	zcpd_directory_deinit(&server->directory);
	zcp_close_fd(&server->listener);
	zcp_close_fd(&server->spare);
	zcp_close_fd(&server->lock);
	zcpd_log_tell(true);
}
