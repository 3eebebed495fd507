/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishers and subscribers as libzcp makes them of what the runtime answers, all in this
 * process. Whatever shared memory says, they see and write nothing but what is theirs. Whatever
 * subscribers say, publishers can do all that was reserved for them; and whoever is lied to by no
 * publisher, and in whose block of the acks nobody else has written, sees what was sent, once and
 * in order.
 */
#ifndef ZCP_FUZZ_PLAYERS_H
#define ZCP_FUZZ_PLAYERS_H

#include "pubsub/flow/reader.h"
#include "pubsub/flow/writer.h"
#include "tests/fuzz/support/bed.h"
#include "tests/fuzz/support/guard.h"
#include "tests/fuzz/support/input.h"

#define ZCP_FUZZ_PUBLISHERS 4
#define ZCP_FUZZ_SUBSCRIBERS 4
#define ZCP_FUZZ_LOANS 4
#define ZCP_FUZZ_HELD 20

struct zcp_fuzz_publisher {
	struct zcpd_endpoint *endpoint;
	struct zcp_writer writer;
	struct zcp_writer_loan loans[ZCP_FUZZ_LOANS];
	uint32_t n_loans;
};

struct zcp_fuzz_subscriber {
	struct zcpd_endpoint *endpoint;
	/* the runtime says that it has joined; then it gets its end */
	bool is_joined;
	bool has_reader;
	bool is_partial;
	/* it has passed over messages, which are no loss */
	bool has_skipped;
	struct zcp_reader reader;
	struct zcp_reader_message held[ZCP_FUZZ_HELD];
	uint32_t n_held;
	/* of each publisher slot the number of the last message */
	uint64_t last_seq[ZCP_TOPIC_PUBLISHERS_MAX];
};

struct zcp_fuzz_players {
	struct zcp_fuzz_bed bed;
	struct zcp_fuzz_publisher publishers[ZCP_FUZZ_PUBLISHERS];
	struct zcp_fuzz_subscriber subscribers[ZCP_FUZZ_SUBSCRIBERS];
};

/* Once. */
void zcp_fuzz_players_init(struct zcp_fuzz_players *players);
/* Before each command. */
void zcp_fuzz_players_begin(void);
/* Whoever is there and is not lied to has what it is sent or holds, and nothing else. */
void zcp_fuzz_players_check(const struct zcp_fuzz_players *players);
/* After an input: everybody goes, and all is put back. */
void zcp_fuzz_players_reset(struct zcp_fuzz_players *players);

/*
 * o PUBLISHER TOPIC LOANS HISTORY PAYLOAD            opens it; PAYLOAD: 0 to 2, which class
 * l PUBLISHER SIZE       p PUBLISHER LOAN TIMEOUT    loans, publishes
 * s PUBLISHER SIZE                                   sends: loans, fills and publishes
 * d PUBLISHER LOAN       c PUBLISHER                 discards; ends
 * j SUBSCRIBER TOPIC DEPTH HELD ON_FULL ORDER HISTORY PARTIAL   opens it
 * t SUBSCRIBER           n SUBSCRIBER                takes the next, the newest
 * r SUBSCRIBER MESSAGE   q SUBSCRIBER                releases; ends
 * h SUBSCRIBER                                       its connection ends, its process goes on
 * e SUBSCRIBER           z SUBSCRIBER                is it ready; goes to sleep, or wakes up
 */
#define ZCP_FUZZ_PUBLISHING "olpsdc"
#define ZCP_FUZZ_SUBSCRIBING "jtnrqhez"
void zcp_fuzz_publish(struct zcp_fuzz_players *players, char command, struct zcp_fuzz_input *input);
void zcp_fuzz_subscribe(struct zcp_fuzz_players *players, char command,
			struct zcp_fuzz_input *input);

/* The next command that is about one of them ends its process before the `after`-th access. */
void zcp_fuzz_die(uint32_t after);

/* Those that have joined meanwhile get their ends. */
void zcp_fuzz_let_join(struct zcp_fuzz_players *players);

/* --- what the two kinds share --- */

/* Its process ends, or it says that it does: the runtime does the same. Again is harmless. */
void zcp_fuzz_publisher_end(struct zcp_fuzz_players *players, struct zcp_fuzz_publisher *publisher);
void zcp_fuzz_subscriber_end(struct zcp_fuzz_players *players,
			     struct zcp_fuzz_subscriber *subscriber);

/*
 * Does it; false where its process has ended meanwhile. Each store to shared memory is shown to
 * `look`.
 */
bool zcp_fuzz_survives(void (*act)(void *user), void *user,
		       void (*look)(const void *at, uint64_t size));

/* Whether a store lies within a piece of memory. */
ZCP_FUZZ_UNSEEN static inline bool zcp_fuzz_is_within(const void *at, uint64_t size,
						      const void *from, uint64_t room)
{
	uintptr_t offset = (uintptr_t)at - (uintptr_t)from;

	return offset <= room && size <= room - offset;
}

bool zcp_fuzz_is_subscriber_lied_to(const struct zcp_fuzz_players *players,
				    const struct zcp_fuzz_subscriber *subscriber);

uint32_t zcp_fuzz_topic_of(const struct zcp_fuzz_players *players,
			   const struct zcpd_endpoint *endpoint);

/* The promised history that comes with the answer, as libzcp takes it. */
void zcp_fuzz_import(const struct zcp_fuzz_players *players, const struct zcpd_endpoint *subscriber,
		     struct zcp_backlog *backlog);

/* The bytes of one message, and of its user header. */
static inline uint8_t zcp_fuzz_pattern(uint64_t publisher_id, uint64_t seq, uint64_t i)
{
	return (uint8_t)(publisher_id * 31 + seq * 7 + i);
}

#define ZCP_FUZZ_USER_HEADER 0x5a

#endif
