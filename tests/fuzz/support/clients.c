/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connecting, sending, ending.
 */
#include "tests/fuzz/support/clients.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "pubsub/util.h"
#include "runtime/domain/former.h"
#include "runtime/failover/record.h"
#include "runtime/failover/restore.h"
#include "tests/fuzz/support/mortal.h"
#include "tests/fuzz/support/processes.h"
#include "tests/fuzz/support/records_check.h"
#include "tests/fuzz/support/say.h"
#include "tests/support/check.h"

/* Accesses and crash points that a worker may live for, at the most. */
#define DEATH_MAX 100000

/* --- the runtime --- */

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

static void on_closed(struct zcpd_endpoint *endpoint, void *user)
{
	(void)user;
	zcpd_session_closed(endpoint);
}

static void on_held_up(struct zcpd_endpoint *subscriber, void *user)
{
	(void)user;
	zcpd_session_held_up(subscriber);
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

/* Ours, as the one that the server makes of a record. */
static struct zcp_fuzz_runtime *runtime_of(struct zcpd_server *server)
{
	return (struct zcp_fuzz_runtime *)((char *)server -
					   offsetof(struct zcp_fuzz_runtime, server));
}

static void end_wait(void *user)
{
	struct zcpd_server *server = user;
	struct zcpd_session *session;

	if (!server->registry.waits)
		return;
	server->registry.waits = false;
	runtime_of(server)->waits = false;
	LIST_FOREACH(session, &server->sessions, link)
		zcpd_session_go_on(session);
}

/* As those of the server. */
static uint32_t missing(void *user)
{
	struct zcpd_server *server = user;
	struct zcpd_session *session;

	LIST_FOREACH(session, &server->sessions, link)
		if (session->entry.returning)
			return session->entry.pid;
	return zcpd_registry_missing(&server->registry);
}

static void on_returned(void *user)
{
	struct zcpd_server *server = user;

	if (server->registry.waits && missing(server) == 0)
		end_wait(server);
}

static const struct zcpd_registry_events registry_events = {
	.opened = on_opened,
	.joined = on_joined,
	.refused = on_refused,
	.held_up = on_held_up,
	.closed = on_closed,
	.wakes = on_wakes,
	.grown = on_grown,
	.missing = missing,
	.returned = on_returned,
};

/* As zcpd_server_init() begins to wait. */
static void begin_wait(struct zcp_fuzz_runtime *runtime)
{
	runtime->server.registry.waits = runtime->waits;
	if (runtime->waits)
		zcpd_registry_wake_all(&runtime->server.registry);
}

/* As zcpd_server_init() does, without a directory. */
static void start_worker(void *user)
{
	struct zcp_fuzz_runtime *runtime = user;
	struct zcpd_registry_events events = registry_events;
	struct zcpd_server *server = &runtime->server;
	char text[ZCP_TEXT_SIZE] = "";
	int r;

	events.user = server;
	*server = (struct zcpd_server){
		.config = runtime->config,
		.lock = -1,
		.listener = -1,
		.spare = -1,
		.directory = ZCPD_DIRECTORY_NULL,
		.journal = { .socket = zcp_fuzz_keeper_begin(&runtime->keeper) },
	};
	LIST_INIT(&server->sessions);
	server->registry.signals_fd = -1;
	ZCP_CHECK(uv_loop_init(&server->loop) == 0);
	r = zcpd_restore(server, &events, text, sizeof(text));
	if (r < 0) {
		ZCP_CHECK(runtime->records_lie && text[0]);
		runtime->is_refused = true;
		zcpd_registry_deinit(&server->registry);
		zcpd_directory_deinit(&server->directory);
		zcp_close_fd(&server->lock);
		return;
	}
	if (server->registry.signals_fd >= 0) {
		begin_wait(runtime);
		return;
	}
	if (server->lock < 0)
		server->lock = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (server->directory.fd < 0)
		ZCP_CHECK(zcpd_directory_make(&server->directory,
					      memfd_create("directory", MFD_CLOEXEC)) == 0);
	zcpd_server_record(server);
	ZCP_CHECK(zcpd_registry_init(&server->registry, runtime->config, true, &events) == 0);
	server->registry.journal = &server->journal;
	server->registry.directory = &server->directory;
	if (runtime->n_ends > 0)
		server->registry.last_id = zcpd_former_first_id(server->registry.domain_id);
	zcpd_record_registry(&server->registry);
	begin_wait(runtime);
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
		zcp_fuzz_belongings_descriptors(&runtime->clients[i].has, others);
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

	for (int i = 0; i < ZCP_FUZZ_CLIENTS; i++)
		runtime->clients[i].session = NULL;
	LIST_FOREACH(session, &runtime->server.sessions, link) {
		bool is_found = false;

		for (int i = 0; i < ZCP_FUZZ_CLIENTS; i++) {
			struct zcp_fuzz_client *client = &runtime->clients[i];

			if (session->entry.pid != client->pid)
				continue;
			is_found = true;
			if (!client->session || session->socket >= 0)
				client->session = session;
		}
		ZCP_CHECK(is_found || runtime->records_lie);
	}
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
	runtime->is_honest = runtime->has_headers = true;
	for (int i = 0; i < ZCP_FUZZ_CLIENTS; i++) {
		runtime->clients[i] = (struct zcp_fuzz_client){ .socket = -1, .death = -1 };
		zcp_fuzz_belongings_init(&runtime->clients[i].has);
	}
	zcp_fuzz_processes_set(runtime);
	zcp_fuzz_keeper_init(&runtime->keeper);
	act(runtime, start_worker, runtime);
}

void zcp_fuzz_runtime_kill(struct zcp_fuzz_runtime *runtime, uint32_t after)
{
	if (runtime->n_deaths < ZCP_FUZZ_DEATHS)
		runtime->deaths[runtime->n_deaths++] = after % DEATH_MAX;
}

void zcp_fuzz_runtime_kill_all(struct zcp_fuzz_runtime *runtime)
{
	runtime->former_domain_id = runtime->server.registry.domain_id;
	bury_worker(runtime);
	zcpd_shelf_deinit(&runtime->keeper.shelf);
	zcpd_shelf_init(&runtime->keeper.shelf);
	runtime->n_ends++;
	runtime->n_workers++;
	runtime->waits = true;
	/* The next one can be short of descriptors from the beginning. */
	runtime->is_smooth = runtime->n_free < 0;
	for (int i = 0; i < ZCP_FUZZ_CLIENTS; i++) {
		zcp_fuzz_wait_no_more(runtime, &runtime->clients[i]);
		zcp_fuzz_belongings_orphan(&runtime->clients[i].has);
	}
	act(runtime, start_worker, runtime);
}

void zcp_fuzz_runtime_end_wait(struct zcp_fuzz_runtime *runtime)
{
	if (runtime->waits)
		runtime->is_smooth = false;
	act(runtime, end_wait, &runtime->server);
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
	zcpd_directory_deinit(&runtime->server.directory);
	zcp_close_fd(&runtime->server.lock);
	zcp_close_fd(&runtime->server.journal.socket);
}

static void end_others(struct zcp_fuzz_runtime *runtime)
{
	for (int i = 0; i < ZCP_FUZZ_CLIENTS; i++) {
		zcp_close_fd(&runtime->clients[i].socket);
		zcp_close_fd(&runtime->clients[i].death);
		zcp_fuzz_belongings_deinit(&runtime->clients[i].has);
	}
	zcp_fuzz_processes_set(NULL);
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
				   connection->server) == 0);
	LIST_INSERT_HEAD(&connection->server->sessions, session, link);
}

static void connect_client(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client,
			   bool cramped)
{
	struct connection connection = { .server = &runtime->server };
	int sockets[2], least = 0;

	ZCP_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets) ==
		  0);
	if (cramped)
		ZCP_CHECK(setsockopt(sockets[1], SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)) ==
			  0);
	client->socket = sockets[0];
	connection.socket = sockets[1];
	zcp_fuzz_processes_connect(client);
	act(runtime, accept_client, &connection);
	zcp_fuzz_processes_connect(NULL);
}

void zcp_fuzz_client_connect(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client,
			     bool cramped)
{
	if (client->session)
		return;
	zcp_fuzz_client_hang_up(client);
	zcp_fuzz_belongings_deinit(&client->has);
	zcp_close_fd(&client->death);
	client->death = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ZCP_CHECK(client->death >= 0);
	client->pid = ++runtime->n_processes;
	client->is_dead = false;
	connect_client(runtime, client, cramped);
}

void zcp_fuzz_client_reconnect(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client)
{
	if (client->death < 0 || client->is_dead)
		return;
	zcp_fuzz_client_hang_up(client);
	zcp_fuzz_wait_no_more(runtime, client);
	zcp_fuzz_belongings_reconnect(&client->has);
	connect_client(runtime, client, false);
}

void zcp_fuzz_client_hang_up(struct zcp_fuzz_client *client)
{
	zcp_close_fd(&client->socket);
}

void zcp_fuzz_client_die(struct zcp_fuzz_client *client)
{
	if (client->death >= 0)
		ZCP_CHECK(eventfd_write(client->death, 1) == 0);
	client->is_dead = true;
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
