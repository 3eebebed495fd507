/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory: what the runtime has to know beside the topics' own regions. One object is one
 * entry, of a fixed size for each kind; the runtime's objects begin with the entry itself, so
 * that what is kept of them is written down once. Only the runtime writes it.
 *
 * Names end with a zero. Numbers that name others (topic, pool, node) are ids.
 */
#ifndef ZCP_DIRECTORY_SHM_H
#define ZCP_DIRECTORY_SHM_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "pubsub/layout/topic_shm.h"

enum zcp_entry_kind {
	ZCP_ENTRY_NONE = 0,
	ZCP_ENTRY_SERVER,
	ZCP_ENTRY_DOMAIN,
	ZCP_ENTRY_NODE,
	ZCP_ENTRY_POOL,
	ZCP_ENTRY_CLASS,
	ZCP_ENTRY_TOPIC,
	ZCP_ENTRY_ENDPOINT,
	ZCP_ENTRY_KINDS,
};

/* Descriptors: the domain's lock file, and the listening socket once there is one. */
struct zcp_server_entry {
	uint64_t waits_until_ns; /* CLOCK_MONOTONIC; for nodes of a runtime before */
};

/* Descriptors: the signal region. */
struct zcp_domain_entry {
	uint64_t domain_id;
	uint64_t last_id; /* no higher one has been given to anything */
	uint32_t n_signals;
	uint32_t symmetric; /* fences, without membarrier(2) */
};

/* Descriptors: the process, then the socket if it is connected, then its eventfd if it has one. */
struct zcp_node_entry {
	uint64_t id;
	uint64_t process_start; /* see zcpd_process_start() */
	uint32_t pid;
	uint32_t uid;
	uint32_t signal; /* once it is greeted */
	uint32_t greeted;
	/*
	 * the node has lived under a runtime before, and has not handed back all of its endpoints
	 * yet: until then its connection is nothing that they hang on
	 */
	uint32_t returning;
	uint32_t reserved;
	char node[64]; /* its name */
};

struct zcp_pool_entry {
	uint64_t id;
	/* of all payloads, and of what stands before them; of an automatic pool once it has a class */
	uint32_t alignment;
	uint32_t user_header_size;
	/* ZCP_MEMORY_*: what new size classes are made with, and what those there are got */
	uint32_t memory;
	uint32_t got;
	/* grows as its topic needs it */
	uint32_t automatic;
	/*
	 * taken over, and shared: nodes that have not come back may have numbers and chunks of it,
	 * so that no endpoint gets any before all of them are here, or dead
	 */
	uint32_t is_adopted;
	char name[256];
};

/* Descriptors: the class's chunks' descriptors and its data, both for writing. */
struct zcp_class_entry {
	uint64_t pool;
	uint64_t payload_size;
	uint32_t index;
	uint32_t n_chunks;
	uint32_t uid; /* of an automatic pool: the user whose request it was made for */
	uint32_t reserved;
};

/* Descriptors: the topic region and its acks. */
struct zcp_topic_entry {
	uint64_t id;
	uint64_t pool;
	/* settled by the configuration or a publisher; "" and 0: neither has said */
	uint64_t type_size;
	uint64_t type_alignment;
	/* largest payload of publishers that are gone, bytes */
	uint64_t former_payload;
	/* settled by the configuration or the first publisher */
	uint32_t user_header_size;
	uint32_t has_user_header_size;
	/* the user whose request it was made for */
	uint32_t uid;
	uint32_t max_publishers;
	uint32_t max_subscribers;
	uint32_t max_depth_log2;
	char name[256];
	char type[128];
	/*
	 * Each publisher slot has an owner number in the pool, from its first publisher to the
	 * topic's end: what a publisher leaves is its slot's.
	 */
	uint32_t owners[ZCP_TOPIC_PUBLISHERS_MAX];
};

struct zcp_endpoint_entry {
	uint64_t id;
	uint64_t topic;
	/* 0: its connection and its process are gone */
	uint64_t node_id;
	uint64_t process_start;
	uint64_t max_payload;
	uint64_t first_seq;
	/* the request that is to be answered, or 0; and that by which it was opened */
	uint64_t request_id;
	uint64_t opened_by;
	/*
	 * what a subscriber declares, user_header_size too: it holds for others until it leaves; ""
	 * and 0 where it never does
	 */
	uint64_t type_size;
	uint64_t type_alignment;
	uint32_t is_publisher;
	uint32_t state; /* enum zcpd_endpoint_state */
	uint32_t pid;
	uint32_t uid;
	uint32_t signal;
	uint32_t slot;
	/* publishers: the slot's number in descriptors, and the size class that they claim in */
	uint32_t owner;
	uint32_t class_index;
	uint32_t loans;
	uint32_t alignment;
	uint32_t user_header_size;
	/*
	 * publishers: messages that they keep for those who join later; subscribers: how many of
	 * each publisher they are given when they join
	 */
	uint32_t history;
	/* subscribers */
	uint32_t order;
	uint32_t depth_log2;
	uint32_t held;
	uint32_t on_full;
	/* its node, which lived under a runtime before, has said that it has it still */
	uint32_t returned;
	uint32_t reserved;
	char node[64];
	char type[128];
};

static_assert(sizeof(struct zcp_server_entry) == 8, "layout");
static_assert(sizeof(struct zcp_domain_entry) == 24, "layout");
static_assert(sizeof(struct zcp_node_entry) == 104, "layout");
static_assert(offsetof(struct zcp_node_entry, node) == 40, "layout");
static_assert(sizeof(struct zcp_pool_entry) == 288, "layout");
static_assert(offsetof(struct zcp_pool_entry, name) == 32, "layout");
static_assert(sizeof(struct zcp_class_entry) == 32, "layout");
static_assert(sizeof(struct zcp_topic_entry) == 448 + 4 * ZCP_TOPIC_PUBLISHERS_MAX, "layout");
static_assert(offsetof(struct zcp_topic_entry, name) == 64, "layout");
static_assert(offsetof(struct zcp_topic_entry, owners) == 448, "layout");
static_assert(sizeof(struct zcp_endpoint_entry) == 344, "layout");
static_assert(offsetof(struct zcp_endpoint_entry, is_publisher) == 80, "layout");
static_assert(offsetof(struct zcp_endpoint_entry, node) == 152, "layout");

#endif
