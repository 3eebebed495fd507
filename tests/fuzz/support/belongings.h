/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node has of a runtime, and still has when that was killed: who it is in the domain, and
 * its endpoints' regions. It can hand them to the next runtime, rightly or not, and write into
 * them before.
 */
#ifndef ZCP_FUZZ_BELONGINGS_H
#define ZCP_FUZZ_BELONGINGS_H

#include "pubsub/layout/class_shm.h"
#include "pubsub/wire/message.h"
#include "pubsub/wire/socket.h"
#include "tests/fuzz/support/descriptors.h"
#include "tests/fuzz/support/input.h"

/* What comes after as many is not kept: as if its answer had not been read. */
#define ZCP_FUZZ_BELONGINGS 4

struct zcp_fuzz_belonging {
	uint64_t id;
	uint64_t opened_by;
	bool is_publisher;
	uint32_t slot;
	int topic_fd;
	int acks_fd;
	int class_fds[ZCP_CLASSES_MAX][2];
	uint32_t n_classes;
	/* the runtime that there is now has it as well; so had the one before it */
	bool is_known;
	bool was_known;
	/* it has been handed back, or that has been tried, since its node connected */
	bool is_said;
};

struct zcp_fuzz_belongings {
	/* 0: it was never greeted */
	uint64_t node;
	uint64_t domain_id;
	uint32_t signal;
	bool symmetric;
	int signals_fd;
	/* the runtime has taken it for who it was */
	bool is_back;
	/* runtimes that were killed since it connected: what it still reads is of one before */
	uint32_t n_killed;
	struct zcp_fuzz_belonging endpoints[ZCP_FUZZ_BELONGINGS];
	uint32_t n_endpoints;
};

void zcp_fuzz_belongings_init(struct zcp_fuzz_belongings *belongings);
void zcp_fuzz_belongings_deinit(struct zcp_fuzz_belongings *belongings);
/* Marks its descriptors. */
void zcp_fuzz_belongings_descriptors(const struct zcp_fuzz_belongings *belongings,
				     struct zcp_fuzz_descriptors *descriptors);

/* The runtime has said this; descriptors that are kept are taken out of `fds`. */
void zcp_fuzz_belongings_hear(struct zcp_fuzz_belongings *belongings,
			      const struct zcp_message *message, struct zcp_fds *fds);
/* The node has said this: what it closes it has no more. */
void zcp_fuzz_belongings_say(struct zcp_fuzz_belongings *belongings,
			     const struct zcp_message *message);
/* Its node connects again. */
void zcp_fuzz_belongings_reconnect(struct zcp_fuzz_belongings *belongings);
/* The runtime was killed. */
void zcp_fuzz_belongings_orphan(struct zcp_fuzz_belongings *belongings);

struct zcp_fuzz_belonging *zcp_fuzz_belongings_find(struct zcp_fuzz_belongings *belongings,
						    uint64_t id);
/* The runtime has been told that what was handed back is all. */
void zcp_fuzz_belongings_forget_rest(struct zcp_fuzz_belongings *belongings);

void zcp_fuzz_belongings_drop(struct zcp_fuzz_belongings *belongings,
			      struct zcp_fuzz_belonging *endpoint);

/* Whether its slot says that it is open. */
bool zcp_fuzz_belonging_is_open(const struct zcp_fuzz_belongings *belongings,
				const struct zcp_fuzz_belonging *endpoint);
/* Closed while there is no runtime: its slot says so, and it is dropped. */
void zcp_fuzz_belongings_abandon(struct zcp_fuzz_belongings *belongings,
				 struct zcp_fuzz_belonging *endpoint);

/*
 * PLACE WORD VALUE: a publisher in the topic's region, in its header, in its own slot, in another
 * slot, in the first class's descriptors, in the acks, in the signals; a subscriber, which can
 * write nothing else, in the acks, in their header, in its own block, in another block, in what it
 * holds, in a word that it shares with others, in the signals.
 */
void zcp_fuzz_belongings_lie(const struct zcp_fuzz_belongings *belongings,
			     const struct zcp_fuzz_belonging *endpoint,
			     struct zcp_fuzz_input *input);

/*
 * What goes with a HAND_BACK of `endpoint`, duplicated; `odd` goes with some in place of what it
 * should be, and is consumed. Returns the id that is said.
 */
enum zcp_fuzz_way {
	ZCP_FUZZ_RIGHT,
	ZCP_FUZZ_NOTHING,
	ZCP_FUZZ_TOPIC_OF_ANOTHER,
	ZCP_FUZZ_CLASSES_OF_ANOTHER,
	ZCP_FUZZ_ACKS_OF_ANOTHER,
	ZCP_FUZZ_ID_OF_ANOTHER,
	ZCP_FUZZ_TOPIC_ALONE,
	ZCP_FUZZ_TWICE,
	ZCP_FUZZ_ODD_TOPIC,
	ZCP_FUZZ_ODD_ACKS,
	ZCP_FUZZ_ODD_CLASS,
	ZCP_FUZZ_SWAPPED,
	ZCP_FUZZ_COPIED_TOPIC,
	ZCP_FUZZ_COPIED_ACKS,
	ZCP_FUZZ_COPIED_CLASS,
	ZCP_FUZZ_UNSEALED,
	ZCP_FUZZ_UNSEALED_ACKS,
	ZCP_FUZZ_SHORT,
	ZCP_FUZZ_SHORT_ACKS,
	ZCP_FUZZ_N_WAYS,
};
uint64_t zcp_fuzz_belonging_fds(const struct zcp_fuzz_belonging *endpoint,
				const struct zcp_fuzz_belonging *another, enum zcp_fuzz_way way,
				struct zcp_fds *odd, struct zcp_fds *fds);

#endif
