/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a worker to the next keeper.
 */
#include "runtime/failover/succession.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/util.h"
#include "runtime/failover/keeper.h"
#include "runtime/failover/record.h"
#include "runtime/serve/server.h"
#include "runtime/system/log.h"

#define ARGUMENTS_MAX 20
#define PAUSE_MS_MIN 50
#define PAUSE_MS_MAX 1000

static int spawn(const char *const *arguments, int socket, pid_t *pid)
{
	const char *all[ARGUMENTS_MAX] = { "zcpd" };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t signals, blocked;
	char option[32];
	int r;

#ifdef ZCP_CRASHPOINTS
	/* What is not the heir's own is meant for those before it. */
	if (getenv("ZCP_CRASHPOINT") && strncmp(getenv("ZCP_CRASHPOINT"), "heir.", 5) != 0)
		(void)unsetenv("ZCP_CRASHPOINT");
#endif
	(void)snprintf(option, sizeof(option), "--" ZCPD_HEIR_OPTION "=%d", socket);
	all[1] = option;
	for (int i = 0; i + 3 < ARGUMENTS_MAX && arguments[i]; i++)
		all[i + 2] = arguments[i];
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawnattr_init(&attributes);
	/* A keeper waits for these, and none is to end it before. */
	zcpd_keeper_signals(&signals);
	(void)sigprocmask(SIG_BLOCK, NULL, &blocked);
	(void)sigorset(&blocked, &blocked, &signals);
	r = posix_spawnattr_setsigmask(&attributes, &blocked);
	if (r == 0)
		r = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	/* Itself: to be left open. */
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, socket, socket);
	if (r == 0)
		r = posix_spawn(pid, "/proc/self/exe", &actions, &attributes, (char *const *)all,
				environ);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
#ifdef ZCP_CRASHPOINTS
	/* Meant for the first one. */
	(void)unsetenv("ZCP_CRASHPOINT");
#endif
	return -r;
}

static void record_pool(const struct zcpd_registry *registry, const struct zcpd_pool *pool)
{
	for (uint32_t i = 0; i < pool->view.n_classes; i++)
		zcpd_record_class_fds(registry, pool, i);
}

void zcpd_succession_record_all(struct zcpd_server *server)
{
	struct zcpd_registry *registry = &server->registry;
	struct zcpd_session *session;
	struct zcpd_topic *topic;
	struct zcpd_pool *pool;

	zcpd_server_record_fds(server);
	zcpd_record_signals(registry);
	LIST_FOREACH(session, &server->sessions, link)
		zcpd_record_session_fds(session);
	LIST_FOREACH(pool, &registry->pools, link)
		record_pool(registry, pool);
	LIST_FOREACH(topic, &registry->topics, link) {
		if (topic->pool->entry.automatic)
			record_pool(registry, topic->pool);
		zcpd_record_topic_fds(registry, topic);
	}
}

/* Does not return where the heir has got all. */
static int hand_on(struct zcpd_server *server)
{
	struct zcpd_store *store = server->journal.store;
	int sockets[2], status, r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return zcp_errno();
	r = spawn(server->succession.arguments, sockets[1], &pid);
	(void)close(sockets[1]);
	if (r < 0) {
		(void)close(sockets[0]);
		return r;
	}
	ZCP_CRASHPOINT("succession.after_spawn");
	server->journal = (struct zcpd_journal){
		.socket = sockets[0],
		.loss = ZCPD_LOSS_OF_HEIR,
	};
	zcpd_journal_keep_ledger(&server->journal, store);
	zcpd_succession_record_all(server);
	ZCP_CRASHPOINT("succession.after_records");
	zcpd_journal_end(&server->journal);
	ZCP_CRASHPOINT("succession.after_end");
	r = zcpd_journal_wait_got(&server->journal);
	if (r == 0)
		_exit(0);
	zcp_close_fd(&server->journal.socket);
	server->journal.lost = true;
	server->journal.store = store;
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return r;
}

/* Not now, but at the end of the turn: what has come meanwhile, a signal above all, goes first. */
static void on_again(uv_timer_t *timer)
{
	struct zcpd_server *server = timer->data;

	server->succession.is_due = true;
}

static void try_again_in(struct zcpd_succession *succession, uint64_t ms)
{
	succession->is_due = false;
	/* It goes on ticking, so that the turn in which it is due has an end. */
	(void)uv_timer_start(&succession->timer, on_again, ms, 1);
}

static void stop_watching(struct zcpd_server *server)
{
	if (!server->succession.is_watching)
		return;
	server->succession.is_watching = false;
	/* The poll first: libuv must not touch the number once another open file may have it. */
	uv_close((uv_handle_t *)&server->succession.keeper_poll, NULL);
	zcp_close_fd(&server->journal.socket);
}

void zcpd_succession_turn(struct zcpd_server *server)
{
	struct zcpd_succession *succession = &server->succession;
	int r;

	if (!server->journal.lost || server->is_ending)
		return;
	if (succession->is_watching) {
		stop_watching(server);
		try_again_in(succession, 1);
	}
	if (uv_is_active((const uv_handle_t *)&succession->timer) && !succession->is_due)
		return;
	(void)uv_timer_stop(&succession->timer);
	r = hand_on(server);
	if (succession->pause_ms == 0)
		zcpd_error("the keeper has died and another one cannot be started: %s: trying "
			   "again; should the worker be killed now, nodes lose their connection",
			   strerror(-r));
	succession->pause_ms = succession->pause_ms ? 2 * succession->pause_ms : PAUSE_MS_MIN;
	if (succession->pause_ms > PAUSE_MS_MAX)
		succession->pause_ms = PAUSE_MS_MAX;
	try_again_in(succession, succession->pause_ms);
}

/* It says nothing more, until its end. */
static void on_keeper(uv_poll_t *poll, int status, int events)
{
	struct zcpd_server *server = poll->data;
	char byte;
	ssize_t n = recv(server->journal.socket, &byte, 1, MSG_DONTWAIT);

	(void)status;
	(void)events;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		server->journal.lost = true;
}

int zcpd_succession_start(struct zcpd_server *server)
{
	struct zcpd_succession *succession = &server->succession;
	int flags, r;

	(void)uv_timer_init(&server->loop, &succession->timer);
	succession->timer.data = server;
	if (server->journal.socket < 0)
		return 0;
	flags = fcntl(server->journal.socket, F_GETFL);
	r = uv_poll_init(&server->loop, &succession->keeper_poll, server->journal.socket);
	if (r < 0)
		return r;
	/* libuv has taken that away; a keeper that is behind is waited for. */
	(void)fcntl(server->journal.socket, F_SETFL, flags);
	succession->keeper_poll.data = server;
	succession->is_watching = true;
	return uv_poll_start(&succession->keeper_poll, UV_READABLE, on_keeper);
}
