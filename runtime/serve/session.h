/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection: a node, what it asks, and what it owns.
 *
 * A process is dead when its pidfd says so. A connection that closes under a living process
 * makes its endpoints inactive; they are cleaned up when the process is gone, or has replaced its
 * program by another one, which has none of our regions.
 */
#ifndef ZCPD_SERVE_SESSION_H
#define ZCPD_SERVE_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "pubsub/wire/message.h"
#include "pubsub/wire/socket.h"
#include "runtime/domain/registry.h"
#include "runtime/serve/outbox.h"
#include "runtime/system/process.h"

struct zcpd_session {
	struct zcpd_registry *registry;
	int socket; /* -1 once it is closed */
	int pidfd;
	/* what is kept of the node, and where */
	struct zcp_node_entry_shm entry;
	uint32_t place;
	/* of entry.pid; 0: the process is of another pid namespace, see life.h */
	char pid_text[ZCPD_PROCESS_TEXT_SIZE];
	/* what it asked waits in its socket, see zcpd_server_waits() */
	bool postponed;
	/* its handles are being closed */
	bool ending;
	/* a worker before us may have answered its next request already */
	bool restored;
	/* the request that was handled waits in the socket until its answer is gone */
	bool unconsumed;
	LIST_HEAD(, zcpd_endpoint) endpoints;
	struct zcpd_outbox outbox;
	uv_poll_t socket_poll;
	uv_poll_t pidfd_poll;
	/* until the node has introduced itself */
	uv_timer_t hello_timer;
	uint32_t n_handles;
	/* told when the session is over, before it is freed */
	void (*ended)(struct zcpd_session *session, void *user);
	void *user;
	LIST_ENTRY(zcpd_session) link;
};

/*
 * Takes over a connected, non-blocking socket (consumed). Returns 0 or a negative errno: the
 * peer's process could not be found out.
 */
__attribute__((warn_unused_result)) int
zcpd_session_new(struct zcpd_session **session, uv_loop_t *loop, struct zcpd_registry *registry,
		 int socket, void (*ended)(struct zcpd_session *session, void *user), void *user);

/*
 * The same with what a worker before us has left; both descriptors are consumed, and the socket
 * is -1 where the connection is over.
 */
__attribute__((warn_unused_result)) int
zcpd_session_restore(struct zcpd_session **session, uv_loop_t *loop, struct zcpd_registry *registry,
		     const struct zcp_node_entry_shm *entry, int pidfd, int socket,
		     void (*ended)(struct zcpd_session *session, void *user), void *user);

/*
 * The node was `id` under a runtime before us, with `signal`, which is kept for it. What is left
 * of it (NULL: nothing) becomes this session's, and `former` ends.
 */
void zcpd_session_become(struct zcpd_session *session, uint64_t id, uint32_t signal,
			 struct zcpd_session *former);

/*
 * Ends a session, as the end of its process would, whose process has replaced its program since;
 * false where that is not so, or not known. A child of the program before may keep its connection
 * open.
 */
bool zcpd_session_end_if_former(struct zcpd_session *session);

/* Its process has ended: so has all that it had. */
void zcpd_session_end_dead(struct zcpd_session *session);

/* What was postponed is read again. */
void zcpd_session_go_on(struct zcpd_session *session);

/* Once its endpoints are there: answers again what may not have been answered. */
void zcpd_session_resume(struct zcpd_session *session);

/* The runtime ends: the connection is closed, what it owns is left as it is. */
void zcpd_session_abandon(struct zcpd_session *session);

/*
 * Sends, or keeps until the client reads; descriptors are borrowed. Nothing that is sent can
 * fail for the caller: a client that cannot be told is shut off.
 */
void zcpd_session_send(struct zcpd_session *session, const struct zcp_message *message,
		       const int *fds, uint32_t n_fds);
void zcpd_session_send_error(struct zcpd_session *session, uint64_t id, int code, const char *text);
void zcpd_session_send_ok(struct zcpd_session *session, uint64_t id);

/* What the client sent is not what a node sends: it loses its connection. */
void zcpd_session_refuse(struct zcpd_session *session, const char *why);

/* Sends the answer by which an endpoint is opened; until it is gone it may be sent again. */
void zcpd_session_opened(struct zcpd_endpoint *endpoint, const struct zcp_message *reply,
			 const int *fds, uint32_t n_fds);

/* What the registry tells: see struct zcpd_registry_events. */
void zcpd_session_has(struct zcpd_endpoint *endpoint);
void zcpd_session_joined(struct zcpd_endpoint *subscriber);
void zcpd_session_refused(struct zcpd_endpoint *subscriber, int error);
void zcpd_session_held_up(struct zcpd_endpoint *subscriber);
void zcpd_session_closed(struct zcpd_endpoint *endpoint);
void zcpd_session_wakes(struct zcpd_endpoint *publisher, const struct zcpd_endpoint *subscriber);
void zcpd_session_grown(struct zcpd_endpoint *endpoint, uint32_t first);

#endif
