/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime without a server around it, and its clients, all in this process: each a
 * socket's end, and an event that stands for the end of the client's process.
 */
#ifndef ZCP_FUZZ_CLIENTS_H
#define ZCP_FUZZ_CLIENTS_H

#include <uv.h>

#include "runtime/registry.h"
#include "runtime/session.h"

#define ZCP_FUZZ_CLIENTS 4

struct zcp_fuzz_client {
	/* -1: not connected */
	int socket;
	/* written to: its process has ended */
	int death;
	/* NULL once it is over */
	struct zcpd_session *session;
};

struct zcp_fuzz_runtime {
	uv_loop_t loop;
	struct zcpd_registry registry;
	struct zcp_fuzz_client clients[ZCP_FUZZ_CLIENTS];
};

void zcp_fuzz_runtime_init(struct zcp_fuzz_runtime *runtime, const struct zcpd_config *config);
/* All clients go, and what they leave goes with them. */
void zcp_fuzz_runtime_deinit(struct zcp_fuzz_runtime *runtime);
/* The runtime goes, and its clients are still there. */
void zcp_fuzz_runtime_abandon(struct zcp_fuzz_runtime *runtime);

/* Lets the runtime do what there is to do. */
void zcp_fuzz_runtime_turn(struct zcp_fuzz_runtime *runtime);

/* `cramped`: what is sent to it does not fit its socket for long. */
void zcp_fuzz_client_connect(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client,
			     bool cramped);
/* The connection, and the process. */
void zcp_fuzz_client_hang_up(struct zcp_fuzz_client *client);
void zcp_fuzz_client_die(struct zcp_fuzz_client *client);

/* The descriptors are consumed. What does not fit the socket is not sent. */
void zcp_fuzz_client_send(struct zcp_fuzz_client *client, const char *packet, size_t size,
			  struct zcp_fds *fds);

/* Reads all answers and events, and checks that each is what the runtime may say. */
void zcp_fuzz_client_drain(const struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client);

#endif
