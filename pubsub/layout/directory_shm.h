/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory: what the runtime has to know beside the topics' own regions, in a file of the
 * domain's directory. One object is one entry, of a fixed size for each kind; the runtime's
 * objects begin with the entry's contents, so that what is kept of them is written down once.
 * Only the runtime writes it.
 *
 *   0      header        4096
 *   4096   blocks       65536 each, as many as there are
 *
 * A block has a header of 64 bytes and entries of one kind. An entry has its id, a number of
 * writes, and its contents twice: that of the two which the number's lowest bit names counts, and
 * the next write goes to the other one.
 *
 * What a crash can leave: an entry with id 0 and anything in it (it is free); a copy that does not
 * count, half written; a block of kind 0 at the end, or half a block (the next runtime begins it
 * anew); a header whose state is 0 (the file has never counted).
 *
 * Names end with a zero. Numbers that name others (topic, pool, node) are ids.
 */
#ifndef ZCP_DIRECTORY_SHM_H
#define ZCP_DIRECTORY_SHM_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "pubsub/layout/class_shm.h"
#include "pubsub/layout/topic_shm.h"

enum zcp_entry_kind {
	ZCP_ENTRY_NONE = 0,
	ZCP_ENTRY_SERVER,
	ZCP_ENTRY_DOMAIN,
	ZCP_ENTRY_NODE,
	ZCP_ENTRY_POOL,
	ZCP_ENTRY_TOPIC,
	ZCP_ENTRY_ENDPOINT,
	ZCP_ENTRY_KINDS,
};

#define ZCP_DIRECTORY_MAGIC UINT64_C(0x3172696470637a2e)
#define ZCP_DIRECTORY_HEADER_SIZE 4096
#define ZCP_DIRECTORY_BLOCK_SIZE 65536
#define ZCP_DIRECTORY_READY 1

struct zcp_directory_shm {
	/* written by: the runtime that makes the file, before state */
	uint64_t magic;
	uint32_t version; /* ZCP_SHM_VERSION */
	_Atomic uint32_t state;
	uint64_t fingerprint; /* zcp_layout_fingerprint() */
	char boot[40];        /* of the machine that it was made under: a file may survive it */
};

struct zcp_directory_block_shm {
	/* enum zcp_entry_kind; stored last */
	_Atomic uint32_t kind;
	uint32_t reserved[15];
};

/* Its contents follow, twice. */
struct zcp_directory_entry_shm {
	/* 0: free; stored last when the entry is made, and first when it goes */
	_Atomic uint64_t id;
	_Atomic uint64_t n_writes;
};

/* Descriptors: the domain's lock file, the directory, the listening socket; as far as there are. */
struct zcp_server_entry {
	uint64_t
		waits_until_ns; /* CLOCK_MONOTONIC; for nodes of a runtime before; 0: it does not */
	/* which domain that was, as far as is known; and whether it had nodes */
	uint64_t former_domain_id;
	uint32_t had_nodes;
	uint32_t reserved;
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

/* Descriptors, kept by pool and index: its chunks' descriptors and its data, both for writing. */
struct zcp_class_entry {
	uint64_t payload_size;
	uint32_t n_chunks;
	uint32_t uid; /* of an automatic pool: the user whose request it was made for */
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
	uint32_t n_classes;
	uint32_t reserved;
	char name[256];
	struct zcp_class_entry classes[ZCP_CLASSES_MAX];
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

static_assert(sizeof(struct zcp_directory_shm) == 64, "layout");
static_assert(offsetof(struct zcp_directory_shm, state) == 12, "layout");
static_assert(sizeof(struct zcp_directory_block_shm) == 64, "layout");
static_assert(sizeof(struct zcp_directory_entry_shm) == 16, "layout");
static_assert(sizeof(struct zcp_server_entry) == 24, "layout");
static_assert(sizeof(struct zcp_domain_entry) == 24, "layout");
static_assert(sizeof(struct zcp_node_entry) == 104, "layout");
static_assert(offsetof(struct zcp_node_entry, node) == 40, "layout");
static_assert(sizeof(struct zcp_class_entry) == 16, "layout");
static_assert(sizeof(struct zcp_pool_entry) == 296 + 16 * ZCP_CLASSES_MAX, "layout");
static_assert(offsetof(struct zcp_pool_entry, name) == 40, "layout");
static_assert(sizeof(struct zcp_topic_entry) == 448 + 4 * ZCP_TOPIC_PUBLISHERS_MAX, "layout");
static_assert(offsetof(struct zcp_topic_entry, name) == 64, "layout");
static_assert(offsetof(struct zcp_topic_entry, owners) == 448, "layout");
static_assert(sizeof(struct zcp_endpoint_entry) == 344, "layout");
static_assert(offsetof(struct zcp_endpoint_entry, is_publisher) == 80, "layout");
static_assert(offsetof(struct zcp_endpoint_entry, node) == 152, "layout");

#endif
