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
#include <sys/socket.h>
#include <unistd.h>

#include "pubsub/shm/backlog.h"
#include "pubsub/util.h"
#include "pubsub/wire/codec.h"
#include "pubsub/wire/name.h"
#include "tests/support/check.h"

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

void zcp_fuzz_runtime_init(struct zcp_fuzz_runtime *runtime, const struct zcpd_config *config)
{
	const struct zcpd_registry_events events = {
		.joined = on_joined,
		.refused = on_refused,
		.closed = on_closed,
		.wakes = on_wakes,
		.grown = on_grown,
	};

	for (int i = 0; i < ZCP_FUZZ_CLIENTS; i++)
		runtime->clients[i] = (struct zcp_fuzz_client){ .socket = -1, .death = -1 };
	ZCP_CHECK(uv_loop_init(&runtime->loop) == 0);
	ZCP_CHECK(zcpd_registry_init(&runtime->registry, config, true, &events) == 0);
}

void zcp_fuzz_runtime_turn(struct zcp_fuzz_runtime *runtime)
{
	/* Once for what has come, and once for the handles that it has closed. */
	(void)uv_run(&runtime->loop, UV_RUN_NOWAIT);
	(void)uv_run(&runtime->loop, UV_RUN_NOWAIT);
}

static void end(struct zcp_fuzz_runtime *runtime)
{
	for (int i = 0; i < ZCP_FUZZ_CLIENTS; i++) {
		ZCP_CHECK(!runtime->clients[i].session);
		zcp_close_fd(&runtime->clients[i].socket);
		zcp_close_fd(&runtime->clients[i].death);
	}
	ZCP_CHECK(uv_loop_close(&runtime->loop) == 0);
	zcpd_registry_deinit(&runtime->registry);
}

void zcp_fuzz_runtime_deinit(struct zcp_fuzz_runtime *runtime)
{
	for (int i = 0; i < ZCP_FUZZ_CLIENTS; i++)
		zcp_fuzz_client_die(&runtime->clients[i]);
	zcp_fuzz_runtime_turn(runtime);
	/* Who has waited for a publisher waits no more. */
	ZCP_CHECK(!zcpd_registry_poll(&runtime->registry));
	zcp_fuzz_runtime_turn(runtime);
	end(runtime);
}

void zcp_fuzz_runtime_abandon(struct zcp_fuzz_runtime *runtime)
{
	for (int i = 0; i < ZCP_FUZZ_CLIENTS; i++)
		if (runtime->clients[i].session)
			zcpd_session_abandon(runtime->clients[i].session);
	zcp_fuzz_runtime_turn(runtime);
	end(runtime);
}

/* --- clients --- */

static void on_ended(struct zcpd_session *session, void *user)
{
	struct zcp_fuzz_client *client = user;

	ZCP_CHECK(client->session == session);
	client->session = NULL;
}

void zcp_fuzz_client_connect(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client,
			     bool cramped)
{
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
	ZCP_CHECK(zcpd_session_new(&client->session, &runtime->loop, &runtime->registry, sockets[1],
				   on_ended, client) == 0);
	/* Its process is ours, and is not to end: something else takes the place of its pidfd. */
	ZCP_CHECK(dup3(client->death, client->session->pidfd, O_CLOEXEC) >= 0);
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

void zcp_fuzz_client_send(struct zcp_fuzz_client *client, const char *packet, size_t size,
			  struct zcp_fds *fds)
{
	if (client->socket >= 0)
		ZCP_IGNORE(zcp_socket_send_packet(client->socket, packet, size, fds->fds,
						  fds->n_fds) < 0);
	zcp_fds_deinit(fds);
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
		ZCP_CHECK(zcp_pool_attach(&pool, fds[i], fds[i + 1], runtime->registry.domain_id,
					  is_publisher, &why) == 0);
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
	ZCP_CHECK(zcp_topic_attach(&topic, fds->fds[0], runtime->registry.domain_id, &why) == 0);
	if (opened->backlog)
		ZCP_CHECK(zcp_backlog_import(&backlog, fds->fds[1], runtime->registry.domain_id,
					     &why) == 0);
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
		ZCP_CHECK(message->u.welcome.signal < runtime->registry.signals.n_signals);
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

void zcp_fuzz_client_drain(const struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client)
{
	int r = 0;

	while (client->socket >= 0 && r == 0) {
		struct zcp_message message;
		struct zcp_fds fds;

		r = zcp_socket_receive(client->socket, &message, &fds);
		if (r == 0) {
			check_said(runtime, &message, &fds);
			zcp_fds_deinit(&fds);
			zcp_message_deinit(&message);
		}
	}
	ZCP_CHECK(r == 0 || r == -EAGAIN || r == -EPIPE || r == -ECONNRESET);
}
