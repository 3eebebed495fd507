/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backlog: the promised history that a subscriber is given when it is opened, with the whole
 * description of each message. It takes these before what comes through its lanes. Made by the
 * runtime for that subscriber alone, never changed afterwards.
 *
 *   0    region header   64
 *   64   geometry        64   n_entries
 *   128  entries         48 × n_entries, by publisher slot, the oldest message first
 *
 * No subscriber is given more than ZCP_BACKLOG_ENTRIES_MAX.
 *
 * What a crash can leave: nothing here. Each lane's `floor` and `base` protect the messages.
 */
#ifndef ZCP_BACKLOG_SHM_H
#define ZCP_BACKLOG_SHM_H

#include "pubsub/layout/region_shm.h"
#include "pubsub/layout/topic_shm.h"

#define ZCP_BACKLOG_ENTRIES_MAX (ZCP_TOPIC_PUBLISHERS_MAX * ZCP_TOPIC_HISTORY_MAX)

struct zcp_backlog_entry_shm {
	/* the publisher's number of the message */
	uint64_t seq;
	uint64_t size;
	uint64_t publish_time_ns;
	uint64_t publisher_id;
	uint32_t user_header_size;
	uint32_t ref;
	/* slot */
	uint32_t publisher;
	uint32_t reserved;
};

static_assert(sizeof(struct zcp_backlog_entry_shm) == 48, "layout");
static_assert(offsetof(struct zcp_backlog_entry_shm, seq) == 0, "layout");
static_assert(offsetof(struct zcp_backlog_entry_shm, size) == 8, "layout");
static_assert(offsetof(struct zcp_backlog_entry_shm, publish_time_ns) == 16, "layout");
static_assert(offsetof(struct zcp_backlog_entry_shm, publisher_id) == 24, "layout");
static_assert(offsetof(struct zcp_backlog_entry_shm, user_header_size) == 32, "layout");
static_assert(offsetof(struct zcp_backlog_entry_shm, ref) == 36, "layout");
static_assert(offsetof(struct zcp_backlog_entry_shm, publisher) == 40, "layout");

struct zcp_backlog_shm {
	struct zcp_region_shm region;
	/* written by: the creator; read by: the subscriber, once, at attach */
	uint32_t n_entries;
	uint32_t reserved[15];
	struct zcp_backlog_entry_shm entries[];
};

static_assert(sizeof(struct zcp_backlog_shm) == 128, "layout");
static_assert(offsetof(struct zcp_backlog_shm, n_entries) == 64, "layout");
static_assert(offsetof(struct zcp_backlog_shm, entries) == 128, "layout");

#endif
