/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper, as the worker sees it: its records come through a socket and go back through it.
 * It has its turn whenever the worker sends to it or receives from it: the linker hands the
 * worker's zcp_socket_send_packet() and zcp_socket_receive_packet() to us.
 */
#ifndef ZCP_FUZZ_KEEPER_H
#define ZCP_FUZZ_KEEPER_H

#include "pubsub/wire/message.h"
#include "runtime/failover/shelf.h"
#include "tests/fuzz/support/descriptors.h"

struct zcp_fuzz_keeper {
	struct zcpd_shelf shelf;
	/* where records go instead; NULL: onto the shelf */
	struct zcpd_shelf *other;
	/* to a worker, and its end of it */
	int socket;
	int worker;
	/* what a worker that begins has not got yet; NULL: the end is next */
	const struct zcpd_shelf_record *next;
};

/* There is one at a time. */
void zcp_fuzz_keeper_init(struct zcp_fuzz_keeper *keeper);
void zcp_fuzz_keeper_deinit(struct zcp_fuzz_keeper *keeper);

/* A worker begins, which gets all records. Returns its socket, which is the worker's. */
int zcp_fuzz_keeper_begin(struct zcp_fuzz_keeper *keeper);

/* The worker has ended. */
void zcp_fuzz_keeper_end(struct zcp_fuzz_keeper *keeper);

/* Marks its descriptors. */
void zcp_fuzz_keeper_descriptors(const struct zcp_fuzz_keeper *keeper,
				 struct zcp_fuzz_descriptors *descriptors);

#endif
