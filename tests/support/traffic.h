/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishers and subscribers that check each other, for threads and for processes: every
 * payload is recognised when it is taken and once more when it is released, and every
 * number is either received or accounted for as lost. What does not hold ends the process.
 */
#ifndef ZCP_TESTS_SUPPORT_TRAFFIC_H
#define ZCP_TESTS_SUPPORT_TRAFFIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/support/testbed.h"

#define ZCP_TRAFFIC_HELD_MAX 4
#define ZCP_TRAFFIC_PAYLOAD 128

/* Shared by all who take part; no address in it, so that processes can. */
struct zcp_traffic {
	uint32_t n_publishers;
	uint32_t n_subscribers;
	/* of each publisher */
	uint64_t n_messages;
	uint64_t first_seq;
	/* subscribers sleep on their signals where there is nothing; else they look again */
	bool sleeps;
	/* publishers wait for room: nothing may be lost */
	bool blocks;
	/* random pauses of up to so many spins; 0: none */
	uint32_t pause;
	/* subscribers that have had their first look */
	_Atomic uint32_t n_ready;
	/* publishers that have sent all */
	_Atomic uint32_t n_done;
	/* over all subscribers */
	_Atomic uint64_t n_received;
	_Atomic uint64_t n_lost;
};

/* The pool that its publishers and subscribers need if each keeps within its limits. */
uint32_t zcp_traffic_n_chunks(const struct zcp_traffic *traffic, uint32_t depth_log2,
			      uint32_t n_more_subscribers);

/* Sends all messages, once n_subscribers are ready. */
void zcp_traffic_publish(struct zcp_traffic *traffic, struct zcp_writer *writer, uint32_t seed);

/* Takes all messages, until the publishers are done and nothing is left. */
void zcp_traffic_subscribe(struct zcp_traffic *traffic, struct zcp_reader *reader,
			   struct zcp_signal_shm *signal, uint32_t seed);

/* Takes up to `n_messages` and goes away without giving back the last ones. */
void zcp_traffic_visit(struct zcp_traffic *traffic, struct zcp_reader *reader, uint64_t n_messages);

/* After the end: every subscriber's messages were received or lost; none lost if it blocks. */
void zcp_traffic_check(const struct zcp_traffic *traffic);

#endif
