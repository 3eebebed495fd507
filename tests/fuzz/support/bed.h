/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A domain in one process: the runtime's registry with two topics that share a pool, and the
 * regions as each side has them mapped. It is made once; between two inputs all memory is put
 * back to what it was.
 *
 * Topic 0 forgets the history of a publisher that goes, topic 1 keeps it. Each has a
 * publisher in slot 0 that never publishes, so that there is always a topic.
 */
#ifndef ZCP_FUZZ_BED_H
#define ZCP_FUZZ_BED_H

#include "pubsub/shm/acks.h"
#include "pubsub/shm/pool.h"
#include "pubsub/shm/signal.h"
#include "pubsub/shm/topic.h"
#include "runtime/domain/registry.h"

#define ZCP_FUZZ_TOPICS 2
#define ZCP_FUZZ_CLASSES 3
#define ZCP_FUZZ_SIGNALS 4
/* Places of `held` that are of interest: the most that a subscriber declares here. */
#define ZCP_FUZZ_PLACES 24

/* What one process has mapped. */
struct zcp_fuzz_view {
	struct zcp_pool pool;
	struct zcp_topic topics[ZCP_FUZZ_TOPICS];
	struct zcp_acks acks[ZCP_FUZZ_TOPICS];
	struct zcp_signals signals;
};

struct zcp_fuzz_bed {
	struct zcpd_config *config;
	struct zcpd_registry registry;
	struct zcpd_topic *topics[ZCP_FUZZ_TOPICS];
	struct zcpd_pool *pool;
	/*
	 * a publisher's; a subscriber's, which can write to acks and signals alone; and that of one
	 * that has the first class only
	 */
	struct zcp_fuzz_view writable;
	struct zcp_fuzz_view readonly;
	struct zcp_fuzz_view partial;
	/* nobody's: for lies, and to put all back; the only one that may touch everything */
	struct zcp_fuzz_view keeper;
};

/* Ends with a failure where it cannot be made. */
void zcp_fuzz_bed_init(struct zcp_fuzz_bed *bed, const struct zcpd_registry_events *events);

/* After all endpoints have been closed: checks that nothing is left, and puts all back. */
void zcp_fuzz_bed_reset(struct zcp_fuzz_bed *bed);

#endif
