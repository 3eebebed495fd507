/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backlog: the messages that one endpoint is given when it is opened. A subscriber gets
 * what the topic's publishers have retained, and takes it before what comes through its
 * lanes; a publisher gets what former ones of its slot have left retained, and lets go of it
 * as it goes on. Made by the runtime for that endpoint alone, never changed afterwards.
 *
 *   0    region header   64
 *   64   geometry        64   n_entries
 *   128  entries         16 × n_entries, by publisher slot, the oldest message first
 *
 * No endpoint is given more than ZCP_BACKLOG_ENTRIES_MAX.
 *
 * What a crash can leave: nothing here. The entries' holder bits are like any other of the
 * subscriber's.
 */
#ifndef ZCP_BACKLOG_SHM_H
#define ZCP_BACKLOG_SHM_H

#include "pubsub/shm/region_shm.h"
#include "pubsub/shm/topic_shm.h"

#define ZCP_BACKLOG_ENTRIES_MAX (ZCP_TOPIC_PUBLISHERS_MAX * ZCP_TOPIC_HISTORY_MAX)

struct zcp_backlog_entry_shm {
	/* the publisher's number of the message */
	uint64_t seq;
	uint32_t ref;
	/* slot */
	uint32_t publisher;
};

static_assert(sizeof(struct zcp_backlog_entry_shm) == 16, "four to a cache line");
static_assert(offsetof(struct zcp_backlog_entry_shm, seq) == 0, "layout");
static_assert(offsetof(struct zcp_backlog_entry_shm, ref) == 8, "layout");
static_assert(offsetof(struct zcp_backlog_entry_shm, publisher) == 12, "layout");

struct zcp_backlog_shm {
	struct zcp_region_shm region;
	/* written by: the creator; read by: the endpoint, once, at attach */
	uint32_t n_entries;
	uint32_t reserved[15];
	struct zcp_backlog_entry_shm entries[];
};

static_assert(sizeof(struct zcp_backlog_shm) == 128, "layout");
static_assert(offsetof(struct zcp_backlog_shm, n_entries) == 64, "layout");
static_assert(offsetof(struct zcp_backlog_shm, entries) == 128, "layout");

#endif
