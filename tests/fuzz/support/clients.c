/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connecting, sending, hearing, ending.
 */
#include "tests/fuzz/support/clients.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pubsub/shm/backlog.h"
#include "pubsub/util.h"
#include "pubsub/wire/codec.h"
#include "pubsub/wire/name.h"
#include "runtime/record.h"
#include "runtime/restore.h"
#include "tests/fuzz/support/mortal.h"
#include "tests/fuzz/support/records_check.h"
#include "tests/support/check.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

/* Accesses and crash points that a worker may live for, at the most. */
#define DEATH_MAX 100000

/* --- the runtime --- */

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

static void on_grown(struct zcpd_endpoint *endpoint, uint32_t first, void *user)
{
	(void)user;
	zcpd_session_grown(endpoint, first);
}

static const struct zcpd_registry_events registry_events = {
	.joined = on_joined,
	.refused = on_refused,
	.closed = on_closed,
	.wakes = on_wakes,
	.grown = on_grown,
};

/* As zcpd_server_init() does, without a directory. */
static void start_worker(void *user)
{
	struct zcp_fuzz_runtime *runtime = user;
	struct zcpd_server *server = &runtime->server;
	char text[ZCP_TEXT_SIZE] = "";
	int r;

	*server = (struct zcpd_server){
		.config = runtime->config,
		.lock = -1,
		.listener = -1,
		.spare = -1,
		.journal = { zcp_fuzz_keeper_begin(&runtime->keeper) },
	};
	LIST_INIT(&server->sessions);
	server->registry.signals_fd = -1;
	ZCP_CHECK(uv_loop_init(&server->loop) == 0);
	r = zcpd_restore(server, &registry_events, text, sizeof(text));
	if (r < 0) {
		ZCP_CHECK(runtime->records_lie && text[0]);
		runtime->is_refused = true;
		zcpd_registry_deinit(&server->registry);
		return;
	}
	if (server->registry.signals_fd >= 0)
		return;
	ZCP_CHECK(zcpd_registry_init(&server->registry, runtime->config, true, &registry_events) ==
		  0);
	server->registry.journal = &server->journal;
	zcpd_record_registry(&server->registry);
}

/* Marks those that are not the worker's. */
static void mark_others(const struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_descriptors *others)
{
	zcp_fuzz_keeper_descriptors(&runtime->keeper, others);
	for (uint32_t i = 0; i < runtime->fds.n_fds; i++)
		zcp_fuzz_descriptors_mark(others, runtime->fds.fds[i]);
	for (int i = 0; i < ZCP_FUZZ_CLIENTS; i++) {
		zcp_fuzz_descriptors_mark(others, runtime->clients[i].socket);
		zcp_fuzz_descriptors_mark(others, runtime->clients[i].death);
	}
}

static void bury_worker(struct zcp_fuzz_runtime *runtime)
{
	struct zcp_fuzz_descriptors others = { .has = { false } };

	zcp_fuzz_mortal_bury();
	zcp_fuzz_keeper_end(&runtime->keeper);
	mark_others(runtime, &others);
	zcp_fuzz_descriptors_close(&others);
}

static uint32_t next_death(struct zcp_fuzz_runtime *runtime)
{
	uint32_t after = ZCP_FUZZ_LIVES;

	if (runtime->n_deaths > 0) {
		after = runtime->deaths[0];
		runtime->n_deaths--;
		memmove(runtime->deaths, runtime->deaths + 1,
			runtime->n_deaths * sizeof(runtime->deaths[0]));
	}
	return after;
}

static void find_sessions(struct zcp_fuzz_runtime *runtime)
{
	struct zcpd_session *session;
	uint32_t n = 0, n_found = 0;

	LIST_FOREACH(session, &runtime->server.sessions, link)
		n++;
	for (int i = 0; i < ZCP_FUZZ_CLIENTS; i++) {
		struct zcp_fuzz_client *client = &runtime->clients[i];

		client->session = NULL;
		LIST_FOREACH(session, &runtime->server.sessions, link)
			if (session->pid == client->pid)
				client->session = session;
		n_found += client->session != NULL;
	}
	ZCP_CHECK(n_found == n || runtime->records_lie);
}

/* The worker does something, and where it dies the next one begins, with this limit. */
static void act_limited(struct zcp_fuzz_runtime *runtime, void (*what)(void *user), void *user,
			const struct rlimit *limit)
{
	uint32_t after = next_death(runtime);

	if (!runtime->is_refused)
		ZCP_IGNORE(!zcp_fuzz_mortal_run(what, user, after));
	if (limit)
		ZCP_CHECK(setrlimit(RLIMIT_NOFILE, limit) == 0);
	while (after != ZCP_FUZZ_LIVES && !runtime->is_refused) {
		bury_worker(runtime);
		runtime->n_workers++;
		after = next_death(runtime);
		ZCP_IGNORE(!zcp_fuzz_mortal_run(start_worker, runtime, after));
	}
	if (!runtime->is_refused)
		find_sessions(runtime);
}

static void act(struct zcp_fuzz_runtime *runtime, void (*what)(void *user), void *user)
{
	act_limited(runtime, what, user, NULL);
}

void zcp_fuzz_runtime_init(struct zcp_fuzz_runtime *runtime, const struct zcpd_config *config)
{
	*runtime = (struct zcp_fuzz_runtime){ .config = config, .n_free = -1, .n_workers = 1 };
	for (int i = 0; i < ZCP_FUZZ_CLIENTS; i++)
		runtime->clients[i] = (struct zcp_fuzz_client){ .socket = -1, .death = -1 };
	zcp_fuzz_keeper_init(&runtime->keeper);
	act(runtime, start_worker, runtime);
}

void zcp_fuzz_runtime_kill(struct zcp_fuzz_runtime *runtime, uint32_t after)
{
	if (runtime->n_deaths < ZCP_FUZZ_DEATHS)
		runtime->deaths[runtime->n_deaths++] = after % DEATH_MAX;
}

static void turn(void *user)
{
	struct zcp_fuzz_runtime *runtime = user;

	/* Once for what has come, and once for the handles that it has closed. */
	(void)uv_run(&runtime->server.loop, UV_RUN_NOWAIT);
	(void)uv_run(&runtime->server.loop, UV_RUN_NOWAIT);
}

void zcp_fuzz_runtime_turn(struct zcp_fuzz_runtime *runtime)
{
	struct rlimit limit, less;
	int lowest;

	if (runtime->n_free < 0) {
		act(runtime, turn, runtime);
		return;
	}
	lowest = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	ZCP_CHECK(lowest >= 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0);
	less = limit;
	less.rlim_cur = (rlim_t)(lowest + runtime->n_free);
	zcp_close_fd(&lowest);
	runtime->n_free = -1;
	ZCP_CHECK(setrlimit(RLIMIT_NOFILE, &less) == 0);
	act_limited(runtime, turn, runtime, &limit);
}

static void poll_registry(void *user)
{
	struct zcp_fuzz_runtime *runtime = user;

	ZCP_IGNORE(zcpd_registry_poll(&runtime->server.registry));
}

void zcp_fuzz_runtime_poll(struct zcp_fuzz_runtime *runtime)
{
	act(runtime, poll_registry, runtime);
}

static void end_worker(void *user)
{
	struct zcp_fuzz_runtime *runtime = user;

	ZCP_CHECK(LIST_EMPTY(&runtime->server.sessions));
	ZCP_CHECK(uv_loop_close(&runtime->server.loop) == 0);
	zcpd_registry_deinit(&runtime->server.registry);
	zcp_close_fd(&runtime->server.journal.socket);
}

static void end_others(struct zcp_fuzz_runtime *runtime)
{
	for (int i = 0; i < ZCP_FUZZ_CLIENTS; i++) {
		zcp_close_fd(&runtime->clients[i].socket);
		zcp_close_fd(&runtime->clients[i].death);
	}
	zcp_fuzz_keeper_deinit(&runtime->keeper);
	zcp_fds_deinit(&runtime->fds);
}

static void end(struct zcp_fuzz_runtime *runtime)
{
	act(runtime, end_worker, runtime);
	zcp_fuzz_mortal_end();
	end_others(runtime);
}

void zcp_fuzz_runtime_drop(struct zcp_fuzz_runtime *runtime)
{
	bury_worker(runtime);
	end_others(runtime);
}

void zcp_fuzz_runtime_deinit(struct zcp_fuzz_runtime *runtime)
{
	for (int i = 0; i < ZCP_FUZZ_CLIENTS; i++)
		zcp_fuzz_client_die(&runtime->clients[i]);
	do {
		zcp_fuzz_runtime_turn(runtime);
	} while (runtime->n_deaths > 0);
	zcp_fuzz_runtime_turn(runtime);
	/* Who has waited for a publisher waits no more. */
	zcp_fuzz_runtime_poll(runtime);
	ZCP_CHECK(TAILQ_EMPTY(&runtime->server.registry.pending));
	zcp_fuzz_runtime_turn(runtime);
	zcp_fuzz_records_check_last(&runtime->keeper, &runtime->server);
	end(runtime);
}

static void abandon_all(void *user)
{
	struct zcp_fuzz_runtime *runtime = user;

	while (!LIST_EMPTY(&runtime->server.sessions))
		zcpd_session_abandon(LIST_FIRST(&runtime->server.sessions));
	turn(runtime);
}

void zcp_fuzz_runtime_abandon(struct zcp_fuzz_runtime *runtime)
{
	runtime->n_deaths = 0;
	act(runtime, abandon_all, runtime);
	end(runtime);
}

/* --- clients --- */

/* The one that connects: its process is ours, and something else has to stand for it. */
static const struct zcp_fuzz_client *connecting;

/* The linker's names. NOLINTBEGIN(bugprone-reserved-identifier) */
int __real_getsockopt(int socket, int level, int name, void *value, socklen_t *size);
int __wrap_getsockopt(int socket, int level, int name, void *value, socklen_t *size);

int __wrap_getsockopt(int socket, int level, int name, void *value, socklen_t *size)
{
	int r = 0;

	if (name != SO_PEERPIDFD)
		r = __real_getsockopt(socket, level, name, value, size);
	if (!connecting || r < 0)
		return r;
	if (name == SO_PEERCRED)
		((struct ucred *)value)->pid = (pid_t)connecting->pid;
	if (name == SO_PEERPIDFD) {
		int fd = fcntl(connecting->death, F_DUPFD_CLOEXEC, 0);

		memcpy(value, &fd, sizeof(fd));
	}
	return 0;
}
/* NOLINTEND(bugprone-reserved-identifier) */

static void on_ended(struct zcpd_session *session, void *user)
{
	(void)user;
	LIST_REMOVE(session, link);
}

struct connection {
	struct zcpd_server *server;
	int socket;
};

/* As accept_one() of the server does. */
static void accept_client(void *user)
{
	const struct connection *connection = user;
	struct zcpd_session *session;

	ZCP_CHECK(zcpd_session_new(&session, &connection->server->loop,
				   &connection->server->registry, connection->socket, on_ended,
				   NULL) == 0);
	LIST_INSERT_HEAD(&connection->server->sessions, session, link);
}

void zcp_fuzz_client_connect(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client,
			     bool cramped)
{
	struct connection connection = { .server = &runtime->server };
	int sockets[2], least = 0;

	if (client->session)
		return;
	zcp_fuzz_client_hang_up(client);
	zcp_close_fd(&client->death);
	ZCP_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets) ==
		  0);
	if (cramped)
		ZCP_CHECK(setsockopt(sockets[1], SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)) ==
			  0);
	client->socket = sockets[0];
	client->death = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ZCP_CHECK(client->death >= 0);
	client->pid = ++runtime->n_processes;
	connecting = client;
	connection.socket = sockets[1];
	act(runtime, accept_client, &connection);
	connecting = NULL;
}

void zcp_fuzz_client_hang_up(struct zcp_fuzz_client *client)
{
	zcp_close_fd(&client->socket);
}

void zcp_fuzz_client_die(struct zcp_fuzz_client *client)
{
	if (client->death >= 0)
		ZCP_CHECK(eventfd_write(client->death, 1) == 0);
	zcp_fuzz_client_hang_up(client);
}

bool zcp_fuzz_client_send(struct zcp_fuzz_client *client, const char *packet, size_t size,
			  struct zcp_fds *fds)
{
	bool is_sent = client->socket >= 0 && zcp_socket_send_packet(client->socket, packet, size,
								     fds->fds, fds->n_fds) == 0;

	zcp_fds_deinit(fds);
	return is_sent;
}

/* --- what the runtime says --- */

/* It goes into logs and onto terminals. */
static void check_text(const char *text)
{
	ZCP_CHECK(zcp_name_is_utf8(text));
	for (const char *c = text; *c; c++)
		ZCP_CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static void check_classes(const struct zcp_fuzz_runtime *runtime, bool is_publisher, const int *fds,
			  uint32_t n_fds)
{
	struct zcp_pool pool = { .n_classes = 0 };
	const char *why = "";

	ZCP_CHECK(n_fds % 2 == 0);
	for (uint32_t i = 0; i < n_fds; i += 2) {
		ZCP_CHECK(zcp_pool_attach(&pool, fds[i], fds[i + 1],
					  runtime->server.registry.domain_id, is_publisher,
					  &why) == 0);
		/* What subscribers are given they cannot write to. */
		ZCP_CHECK(is_publisher || (fcntl(fds[i + 1], F_GETFL) & O_ACCMODE) == O_RDONLY);
	}
	zcp_pool_deinit(&pool);
}

static void check_opened(const struct zcp_fuzz_runtime *runtime, const struct zcp_opened *opened,
			 const struct zcp_fds *fds)
{
	struct zcp_backlog backlog = { .n_entries = 0 };
	struct zcp_topic topic = { .shm = NULL };
	bool is_publisher = opened->owner != 0;
	uint32_t n = opened->backlog ? 2 : 1;
	const char *why = "";

	ZCP_CHECK(fds->n_fds >= n);
	ZCP_CHECK(zcp_topic_attach(&topic, fds->fds[0], runtime->server.registry.domain_id, &why) ==
		  0);
	if (opened->backlog)
		ZCP_CHECK(zcp_backlog_import(&backlog, fds->fds[1],
					     runtime->server.registry.domain_id, &why) == 0);
	check_classes(runtime, is_publisher, fds->fds + n, fds->n_fds - n);
	if (is_publisher) {
		ZCP_CHECK(opened->slot < topic.geometry.max_publishers);
		ZCP_CHECK(opened->owner <= UINT16_MAX && opened->loans > 0);
		ZCP_CHECK(opened->history <= ZCP_TOPIC_HISTORY_MAX);
		ZCP_CHECK(backlog.n_entries <= opened->history);
	} else {
		ZCP_CHECK(opened->slot < topic.geometry.max_subscribers);
		ZCP_CHECK(opened->holder < ZCP_HOLDERS_MAX && opened->held > 0);
		ZCP_CHECK(opened->depth_log2 <= topic.geometry.max_depth_log2);
		ZCP_CHECK(opened->n_starts == topic.geometry.max_publishers);
	}
	zcp_backlog_deinit(&backlog);
	zcp_topic_deinit(&topic);
}

/* A publisher writes to it without looking. */
static void check_waker(const struct zcp_fds *fds)
{
	static const char eventfd_name[] = "anon_inode:[eventfd]";
	char path[64], target[64] = "";

	ZCP_CHECK(fds->n_fds == 1);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fds->fds[0]);
	ZCP_CHECK(readlink(path, target, sizeof(target) - 1) > 0);
	ZCP_CHECK(strcmp(target, eventfd_name) == 0);
	ZCP_CHECK(fcntl(fds->fds[0], F_GETFL) & O_NONBLOCK);
}

static void check_said(const struct zcp_fuzz_runtime *runtime, const struct zcp_message *message,
		       const struct zcp_fds *fds)
{
	switch (message->type) {
	case ZCP_MESSAGE_WELCOME:
		ZCP_CHECK(fds->n_fds == 1);
		ZCP_CHECK(message->u.welcome.signal < runtime->server.registry.signals.n_signals);
		return;
	case ZCP_MESSAGE_OPENED:
		check_opened(runtime, &message->u.opened, fds);
		return;
	case ZCP_MESSAGE_POOL_CLASSES:
		ZCP_CHECK(fds->n_fds % 2 == 0);
		return;
	case ZCP_MESSAGE_SIGNAL:
		check_waker(fds);
		return;
	case ZCP_MESSAGE_ERROR:
		ZCP_CHECK(message->u.error.code > 0 && message->u.error.text[0]);
		check_text(message->u.error.text);
		break;
	case ZCP_MESSAGE_TOPICS:
		for (uint32_t i = 0; i < message->u.topics.n_topics; i++)
			check_text(message->u.topics.topics[i].name);
		break;
	case ZCP_MESSAGE_OK:
	case ZCP_MESSAGE_TOPIC_INFO:
	case ZCP_MESSAGE_ENDPOINT_PAGE:
	case ZCP_MESSAGE_AUDIT_REPORT:
		break;
	default:
		/* What nodes say. */
		ZCP_CHECK(false);
	}
	ZCP_CHECK(fds->n_fds == 0);
}

/* It may come again after a worker's death, but never as another one. */
static void note_answer(struct zcp_fuzz_runtime *runtime, const struct zcp_message *message)
{
	struct zcp_fuzz_request *request = &runtime->requests[message->id];

	if (message->id == 0 || message->id > runtime->n_requests)
		return;
	request->is_answered = true;
	if (message->type != ZCP_MESSAGE_OPENED)
		return;
	ZCP_CHECK(request->opened == 0 || request->opened == message->u.opened.endpoint);
	request->opened = message->u.opened.endpoint;
}

void zcp_fuzz_client_drain(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client)
{
	int r = 0;

	while (client->socket >= 0 && r == 0) {
		struct zcp_message message;
		struct zcp_fds fds;

		r = zcp_socket_receive(client->socket, &message, &fds);
		if (r == 0) {
			if (!runtime->records_lie) {
				check_said(runtime, &message, &fds);
				note_answer(runtime, &message);
			}
			zcp_fds_deinit(&fds);
			zcp_message_deinit(&message);
		}
	}
	ZCP_CHECK(r == 0 || r == -EAGAIN || r == -EPIPE || r == -ECONNRESET);
}

/* Whether somebody who is connected waits for one. */
static bool has_unanswered(const struct zcp_fuzz_runtime *runtime)
{
	for (int i = 0; i < ZCP_FUZZ_CLIENTS; i++) {
		const struct zcp_fuzz_client *client = &runtime->clients[i];

		if (client->socket < 0 || !client->session || client->session->socket < 0)
			continue;
		for (uint64_t k = 1; k <= runtime->n_requests; k++)
			if (runtime->requests[k].pid == client->pid &&
			    !runtime->requests[k].is_answered)
				return true;
	}
	return false;
}

void zcp_fuzz_clients_check_answers(struct zcp_fuzz_runtime *runtime)
{
	/* One may wait for the one before it, and that for somebody to read. */
	uint64_t n_turns = 2 * runtime->n_requests + 2;

	while (runtime->n_deaths > 0)
		zcp_fuzz_runtime_turn(runtime);
	for (uint64_t i = 0; i < n_turns && has_unanswered(runtime); i++) {
		zcp_fuzz_runtime_turn(runtime);
		for (int c = 0; c < ZCP_FUZZ_CLIENTS; c++)
			zcp_fuzz_client_drain(runtime, &runtime->clients[c]);
	}
	ZCP_CHECK(!has_unanswered(runtime));
}
