/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server: the loop, the listening socket, the connections, and the end.
 */
#ifndef ZCPD_SERVE_SERVER_H
#define ZCPD_SERVE_SERVER_H

#include <stdbool.h>
#include <sys/queue.h>
#include <uv.h>

#include "pubsub/wire/paths.h"
#include "runtime/domain/registry.h"
#include "runtime/failover/journal.h"
#include "runtime/failover/store.h"
#include "runtime/failover/succession.h"
#include "runtime/repair/trim.h"
#include "runtime/serve/names.h"
#include "runtime/serve/session.h"

struct zcpd_server {
	uv_loop_t loop;
	uv_poll_t listen_poll;
	uv_signal_t terminate;
	uv_signal_t interrupt;
	uv_check_t turn;
	uv_timer_t grace_timer;
	uv_timer_t idle_timer;
	uv_timer_t accept_timer;
	uv_timer_t log_timer;
	struct zcp_paths paths;
	const struct zcpd_config *config;
	bool until_idle;
	struct zcpd_names names;
	/* held while we live, so that there is one runtime to a domain */
	int lock;
	int listener;
	/* given up for a moment when descriptors run out */
	int spare;
	/* and then new nodes are refused */
	bool is_full;
	uint64_t grace_ms;
	/* what is kept of the server, and where */
	struct zcp_server_entry entry;
	uint32_t place;
	struct zcpd_directory directory;
	uv_timer_t wait_timer;
	/* the loop has been told to stop */
	bool is_ending;
	struct zcpd_journal journal;
	struct zcpd_store store;
	struct zcpd_succession succession;
	struct zcpd_trim trim;
	struct zcpd_registry registry;
	LIST_HEAD(, zcpd_session) sessions;
};

struct zcpd_server_options {
	const char *directory; /* NULL: as zcp_paths_init() */
	const char *domain;
	/* ends when it had no node for [runtime] idle_timeout */
	bool until_idle;
	/* to the keeper, and what the next one is started with; see struct zcpd_succession */
	struct zcpd_journal journal;
	const char *const *arguments;
};

/* Expected outcome: another runtime has the domain. */
enum {
	ZCPD_SERVER_E_TAKEN = 1,
};

/*
 * Takes the domain: directory, lock file, regions, listening socket; as much of it as a worker
 * before us has left is there already. `config` is borrowed.
 * Returns 0, ZCPD_SERVER_E_TAKEN, or a negative errno with a sentence in `text`.
 */
__attribute__((warn_unused_result)) int zcpd_server_init(struct zcpd_server *server,
							 const struct zcpd_config *config,
							 const struct zcpd_server_options *options,
							 char *text, size_t text_size);

/*
 * Serves until SIGTERM, SIGINT, or idleness. The keeper is told that it does, and where the log
 * goes from then on (-1: where it went before). Returns 0 or a negative errno.
 */
__attribute__((warn_unused_result)) int zcpd_server_run(struct zcpd_server *server, int log);

/* A session that a worker before us has left. Consumes the descriptors. */
__attribute__((warn_unused_result)) int zcpd_server_add_session(struct zcpd_server *server,
								const struct zcp_node_entry *entry,
								int pidfd, int socket,
								struct zcpd_session **session);

/* Keeps what the domain is taken with; or only its descriptors, for another keeper. */
void zcpd_server_record(struct zcpd_server *server);
void zcpd_server_record_fds(struct zcpd_server *server);

/* Makes the socket that nodes connect to again; those that have connected before are served. */
__attribute__((warn_unused_result)) int zcpd_server_listen_anew(struct zcpd_server *server,
								char *text, size_t text_size);

/* Ends the loop; `why` goes into the log. */
void zcpd_server_stop(struct zcpd_server *server, const char *why);

void zcpd_server_deinit(struct zcpd_server *server);

#endif
