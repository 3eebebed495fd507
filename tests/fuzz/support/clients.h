/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime's worker without a listening socket, with a keeper, and its clients, all in this
 * process: each client a socket's end, and an event that stands for the end of its process. The
 * worker can die at any moment, and then the next one goes on.
 */
#ifndef ZCP_FUZZ_CLIENTS_H
#define ZCP_FUZZ_CLIENTS_H

#include <uv.h>

#include "runtime/serve/server.h"
#include "tests/fuzz/support/belongings.h"
#include "tests/fuzz/support/keeper.h"

#define ZCP_FUZZ_CLIENTS 4
#define ZCP_FUZZ_DEATHS 4
#define ZCP_FUZZ_REQUESTS_MAX 200

struct zcp_fuzz_client {
	/* -1: not connected */
	int socket;
	/* written to: its process has ended */
	int death;
	uint32_t pid;
	bool is_dead;
	/* NULL once it is over; the one that is connected where there are two */
	struct zcpd_session *session;
	struct zcp_fuzz_belongings has;
	/* the runtime has to take it for who it was, as far as it knows */
	bool must_come_back;
};

/* What was asked with a number, and what has come back for it. */
struct zcp_fuzz_request {
	/* who has asked; 0: nobody, or nobody waits for the answer */
	uint32_t pid;
	bool is_answered;
	uint64_t opened;
	/* an endpoint that is handed back, or 0; it must be taken, as far as its node knows */
	uint64_t hands_back;
	bool must_succeed;
};

struct zcp_fuzz_runtime {
	const struct zcpd_config *config;
	struct zcp_fuzz_keeper keeper;
	struct zcpd_server server;
	struct zcp_fuzz_client clients[ZCP_FUZZ_CLIENTS];
	uint32_t n_processes;
	struct zcp_fuzz_request requests[ZCP_FUZZ_REQUESTS_MAX + 1];
	uint64_t n_requests;
	/* what goes with the next packet */
	struct zcp_fds fds;
	/* descriptors that the worker can open in its next turn; -1: as many as it likes */
	int n_free;
	/*
	 * Workers that are to die, the next one first: at which access from the beginning of what it
	 * does next, and when it has done that at the latest.
	 */
	uint32_t deaths[ZCP_FUZZ_DEATHS];
	uint32_t n_deaths;
	/* workers there have been */
	uint32_t n_workers;
	/* of all of the runtime; and what the record of a server says: nodes are waited for */
	uint32_t n_ends;
	bool waits;
	/*
	 * nobody has written into shared memory who should not, nor handed back what is not
	 * its own; not even words that are looked at before all else
	 */
	bool is_honest;
	bool has_headers;
	/* since the last end, nothing was in the way of anybody who comes back */
	bool is_smooth;
	/* of the runtime that was killed last */
	uint64_t former_domain_id;
	/* the records are not what a worker has kept */
	bool records_lie;
	/* and the last worker has said so */
	bool is_refused;
};

void zcp_fuzz_runtime_init(struct zcp_fuzz_runtime *runtime, const struct zcpd_config *config);
/* All clients go, and what they leave goes with them. */
void zcp_fuzz_runtime_deinit(struct zcp_fuzz_runtime *runtime);
/* The runtime goes, and its clients are still there. */
void zcp_fuzz_runtime_abandon(struct zcp_fuzz_runtime *runtime);

/* Whatever is left of the worker is not looked at. */
void zcp_fuzz_runtime_drop(struct zcp_fuzz_runtime *runtime);

/* One more worker is to die. */
void zcp_fuzz_runtime_kill(struct zcp_fuzz_runtime *runtime, uint32_t after);

/* All of it is killed, keeper and workers; the next one waits for the nodes that there were. */
void zcp_fuzz_runtime_kill_all(struct zcp_fuzz_runtime *runtime);
/* It has waited long enough. */
void zcp_fuzz_runtime_end_wait(struct zcp_fuzz_runtime *runtime);

/* Lets the runtime do what there is to do; or look after those that join and leave. */
void zcp_fuzz_runtime_turn(struct zcp_fuzz_runtime *runtime);
void zcp_fuzz_runtime_poll(struct zcp_fuzz_runtime *runtime);

/* `cramped`: what is sent to it does not fit its socket for long. */
void zcp_fuzz_client_connect(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client,
			     bool cramped);
/* The same process once more, if it lives, with what it has. */
void zcp_fuzz_client_reconnect(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client);
/* The connection, and the process. */
void zcp_fuzz_client_hang_up(struct zcp_fuzz_client *client);
void zcp_fuzz_client_die(struct zcp_fuzz_client *client);

/* The descriptors are consumed. Returns whether it was sent: what does not fit the socket is not. */
bool zcp_fuzz_client_send(struct zcp_fuzz_client *client, const char *packet, size_t size,
			  struct zcp_fds *fds);

/* Reads all answers and events, and checks that each is what the runtime may say. */
void zcp_fuzz_client_drain(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client);

/* Reads all there is, and checks that whoever is still connected has all its answers. */
void zcp_fuzz_clients_check_answers(struct zcp_fuzz_runtime *runtime);

#endif
