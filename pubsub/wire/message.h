/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nodes and the runtime say to each other, as structs, and for each struct the table
 * from which the codec packs and unpacks it.
 *
 * Every message is one msgpack map in one SOCK_SEQPACKET packet. Keys that are not known
 * are passed over and keys that are missing are 0 or "", so that either side may be a
 * little older; what a message must have is checked by whoever acts on it. `v` is the
 * protocol's version and `t` the message's name; `id` ties an answer to its request (0: an
 * event that nobody asked for). Descriptors travel beside the packet, in the order that is
 * noted here.
 */
#ifndef ZCP_WIRE_MESSAGE_H
#define ZCP_WIRE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZCP_PROTOCOL_VERSION 1

/* Largest packet, bytes; lists that do not fit come in pages. */
#define ZCP_PACKET_SIZE_MAX 65536
/* Descriptors beside one packet: a topic, its acks, a backlog, two for each class; the kernel's
 * limit (SCM_MAX_FD) is 253. */
#define ZCP_PACKET_FDS_MAX 132

/* Entries of one page: with the longest names and the largest numbers they fit a packet. */
#define ZCP_TOPICS_PER_PAGE 100
#define ZCP_ENDPOINTS_PER_PAGE 64

#define ZCP_NAME_SIZE 64
#define ZCP_TOPIC_SIZE 256
#define ZCP_TYPE_SIZE 128
/* A sentence, which may name a topic and two types. */
#define ZCP_TEXT_SIZE 1024

enum zcp_message_type {
	ZCP_MESSAGE_NONE = 0,
	ZCP_MESSAGE_HELLO,
	ZCP_MESSAGE_WELCOME,
	ZCP_MESSAGE_OPEN_PUBLISHER,
	ZCP_MESSAGE_OPEN_SUBSCRIBER,
	ZCP_MESSAGE_OPENED,
	ZCP_MESSAGE_CLOSE,
	ZCP_MESSAGE_POOL_GET,
	ZCP_MESSAGE_POOL_CLASSES,
	ZCP_MESSAGE_FREED,
	ZCP_MESSAGE_SIGNAL_FD,
	ZCP_MESSAGE_SIGNAL_GET,
	ZCP_MESSAGE_SIGNAL,
	ZCP_MESSAGE_OK,
	ZCP_MESSAGE_ERROR,
	ZCP_MESSAGE_LIST,
	ZCP_MESSAGE_TOPICS,
	ZCP_MESSAGE_INFO,
	ZCP_MESSAGE_TOPIC_INFO,
	ZCP_MESSAGE_ENDPOINTS,
	ZCP_MESSAGE_ENDPOINT_PAGE,
	ZCP_MESSAGE_AUDIT,
	ZCP_MESSAGE_AUDIT_REPORT,
	ZCP_MESSAGE_HAND_BACK,
	ZCP_MESSAGE_HANDED_BACK,
	ZCP_MESSAGE_REPLACE,
	ZCP_MESSAGE_N_TYPES,
};

/*
 * Node: the first message of a connection. Answer: welcome. A node that has lived under a runtime
 * before says who it was there. Descriptors then: the signal region.
 */
struct zcp_hello {
	uint64_t fingerprint; /* zcp_layout_fingerprint() */
	char name[ZCP_NAME_SIZE];
	char program[ZCP_NAME_SIZE];
	bool membarrier;    /* the process is registered for it */
	uint64_t domain_id; /* 0: it is new, and so are the others */
	uint64_t node;
	uint32_t signal;
	bool symmetric;
};

/*
 * Runtime. Descriptors: the signal region. A node that is taken for who it was finds its domain,
 * its id and its signal again here; it hands its endpoints back then.
 */
struct zcp_welcome {
	uint64_t domain_id;
	uint64_t fingerprint;
	uint64_t node;   /* its id in the domain */
	uint32_t signal; /* the node's */
	bool symmetric;  /* fences */
	char version[ZCP_NAME_SIZE];
	char config[ZCP_TEXT_SIZE]; /* the file that it goes by, or that these are the defaults */
};

/* Node. Answer: opened. */
struct zcp_open_publisher {
	char topic[ZCP_TOPIC_SIZE];
	char type[ZCP_TYPE_SIZE];
	uint64_t type_size;
	uint64_t type_alignment;
	uint64_t max_payload;
	uint32_t loans;
	uint32_t history;
	uint64_t alignment; /* of payloads */
	uint64_t user_header_size;
};

/* Node. Answer: opened. */
struct zcp_open_subscriber {
	char topic[ZCP_TOPIC_SIZE];
	char type[ZCP_TYPE_SIZE];
	uint64_t type_size;
	uint64_t type_alignment;
	uint32_t depth;
	uint32_t held;
	uint32_t on_full; /* enum zcp_on_full */
	uint32_t history;
	uint32_t order; /* enum zcp_order */
	uint64_t user_header_size;
	bool observes; /* a command's: what it declares holds for itself, not for others */
};

/*
 * Runtime: an endpoint is open. Descriptors: the topic region, its acks, the backlog if there is
 * one, then for each of the pool's size classes its chunks' descriptors and its data. A publisher
 * may write to all of them, a subscriber to the acks alone: the others are read-only.
 */
struct zcp_opened {
	uint64_t endpoint; /* id in the domain */
	uint32_t slot;
	uint32_t owner; /* publishers: the slot's number in descriptors of chunks */
	uint32_t class; /* publishers: index of the size class that they take chunks from */
	uint32_t loans;
	uint32_t depth_log2;
	uint32_t held;
	uint32_t on_full;
	uint32_t history; /* publishers: messages that they keep */
	uint32_t order;
	bool backlog; /* see pubsub/layout/backlog_shm.h */
	bool timestamps;
	uint64_t max_payload;
	uint32_t user_header_size; /* publishers */
};

/* Node: closes an endpoint. Answer: ok, when the runtime has settled it. */
struct zcp_close {
	uint64_t endpoint;
	uint64_t opened_by; /* where endpoint is 0: the one that this request has opened */
};

/*
 * Node: it has this endpoint from a runtime before. Answer: ok, or why it cannot go on with it.
 * Descriptors: the topic region, its acks, then for each of the pool's size classes that it has
 * its chunks' descriptors and its data. A subscriber can give read-only ones for all but the
 * acks: the runtime opens its own for writing.
 */
struct zcp_hand_back {
	uint64_t endpoint;
	/* a subscriber: what it has declared, unless it observes */
	char type[ZCP_TYPE_SIZE];
	uint64_t type_size;
	uint64_t type_alignment;
	uint64_t user_header_size;
};

/*
 * Node: handed_back, without fields: these were all; what else it had is to be closed. Answer: ok.
 */

/*
 * Node: a ref names a size class that is not mapped; answer: pool_classes. The runtime also
 * sends pool_classes as an event to each endpoint of a pool that has grown. Descriptors:
 * for each class its chunks' descriptors and its data; as in opened, a subscriber may write to
 * none of them.
 */
struct zcp_pool_get {
	uint64_t endpoint;
};

struct zcp_pool_classes {
	uint64_t endpoint;
};

/*
 * Node, with id 0 and without an answer: a chunk of this publisher's pool became FREE, the first
 * one since the runtime asked in the class to be told (`wants_freed`): the runtime looks from then on
 * for what has been FREE for trim_after.
 */
struct zcp_freed {
	uint64_t endpoint;
};

/*
 * Node: signal_fd, without fields: it has an eventfd that is to be written to when it sleeps.
 * Descriptors: that, and it does not block. Answer: ok.
 */

/* Node: wants to wake the node that has `signal`. Answer: signal. */
struct zcp_signal_get {
	uint32_t signal;
};

/*
 * Runtime: how to wake a node, as an answer or, so that a publisher has it before it needs
 * it, as an event. Descriptors: the node's eventfd.
 */
struct zcp_signal_of {
	uint32_t signal;
	uint64_t node;
};

/*
 * Runtime: why a request was refused. With id 0 the connection itself is, whatever was asked: it
 * is closed after this.
 */
struct zcp_error {
	uint32_t code; /* an errno, positive */
	char text[ZCP_TEXT_SIZE];
};

/* Anybody: the names of all topics, in order, after `after`. Answer: topics. */
struct zcp_list {
	char after[ZCP_TOPIC_SIZE];
};

struct zcp_topic_line {
	char name[ZCP_TOPIC_SIZE];
	char type[ZCP_TYPE_SIZE];
	uint32_t n_publishers;
	uint32_t n_subscribers;
	uint64_t n_messages;
};

struct zcp_topics {
	struct zcp_topic_line *topics;
	uint32_t n_topics;
	bool more; /* ask again after the last name */
};

/* Anybody: all about one topic but its endpoints. Answer: topic_info. */
struct zcp_info {
	char topic[ZCP_TOPIC_SIZE];
};

struct zcp_class_info {
	uint64_t payload_size;
	uint32_t n_chunks;
	/* Each chunk is counted in one of these; what fits several in the first of loaned, held,
	 * queued, history. */
	uint32_t n_free;
	uint32_t n_spare; /* a publisher's, which has no use for them at the moment */
	uint32_t n_loaned;
	uint32_t n_queued;
	uint32_t n_held;
	uint32_t n_history;  /* kept by their publisher, or promised to a subscriber */
	uint32_t n_used;     /* highest use: chunks that were ever in use */
	uint64_t n_bytes;    /* of memory that is really there */
	uint64_t n_reserved; /* chunks that endpoints may use at once */
};

struct zcp_topic_info {
	char name[ZCP_TOPIC_SIZE];
	char type[ZCP_TYPE_SIZE];
	uint64_t type_size; /* 0: nobody has said */
	uint64_t type_alignment;
	uint32_t alignment; /* of payloads; 0: not settled yet */
	uint32_t user_header_size;
	char pool[ZCP_TOPIC_SIZE];
	uint32_t max_publishers;
	uint32_t max_subscribers;
	uint32_t n_publishers;
	uint32_t n_subscribers;
	/* what endpoints get that do not say; max_depth and max_payload they cannot exceed */
	uint32_t depth;
	uint32_t max_depth;
	uint32_t held;
	uint32_t on_full;
	uint32_t loans;
	uint32_t history;
	bool keep_history;
	uint32_t order;
	uint64_t max_payload; /* 0: what the publishers declare */
	bool timestamps;
	uint64_t n_messages;
	uint64_t n_lost;
	bool own_pool; /* made for this topic, as large as its limits ask for */
	/* the pool's memory, and what it lies in: "4 KiB pages" */
	bool prefaulted;
	bool locked;
	char pages[ZCP_NAME_SIZE];
	uint32_t n_pool_topics;
	/* chunks that the topic's, and all of the pool's, endpoints may use at once */
	uint64_t n_reserved;
	uint64_t n_pool_reserved;
	struct zcp_class_info *classes;
	uint32_t n_classes;
};

/*
 * Anybody: who publishes and who subscribes, from place `from` on. The places are the
 * publishers' slots and behind them the subscribers'. An endpoint keeps its place, so that
 * whoever comes or goes between two pages, none is told twice. Answer: endpoint_page.
 */
struct zcp_endpoints {
	char topic[ZCP_TOPIC_SIZE];
	uint32_t from;
};

struct zcp_publisher_info {
	uint64_t id;
	char node[ZCP_NAME_SIZE];
	uint32_t pid;
	uint32_t slot;
	uint32_t n_subscribers; /* whom it publishes to */
	uint32_t loans;
	uint32_t history;
	uint64_t max_payload;
	uint64_t n_messages;
	uint64_t n_exhausted;
};

struct zcp_subscriber_info {
	uint64_t id;
	char node[ZCP_NAME_SIZE];
	uint32_t pid;
	uint32_t slot;
	uint32_t n_publishers; /* who publishes to it */
	uint32_t depth;
	uint32_t held;
	uint32_t on_full;
	uint32_t history;
	uint32_t order;
	uint64_t n_taken;
	uint64_t n_lost;
	uint64_t n_queued;
};

struct zcp_endpoint_page {
	struct zcp_publisher_info *publishers;
	uint32_t n_publishers;
	struct zcp_subscriber_info *subscribers;
	uint32_t n_subscribers;
	bool more;     /* ask again from place `next` */
	uint32_t next; /* behind what this page has looked at */
};

/*
 * Anybody: audit, without fields: whether every chunk, lane and member of the domain is as it
 * must be. Answer: audit_report.
 */
#define ZCP_FINDINGS_MAX 128

struct zcp_finding {
	char text[ZCP_TOPIC_SIZE];
};

struct zcp_audit_report {
	uint64_t n_topics;
	uint64_t n_pools;
	uint64_t n_chunks;
	/* as in struct zcp_class_info; those that leaked are counted in none of them */
	uint64_t n_free;
	uint64_t n_spare;
	uint64_t n_loaned;
	uint64_t n_queued;
	uint64_t n_held;
	uint64_t n_history;
	uint64_t n_leaked;
	uint64_t n_wrong;             /* findings, the ones that are not told too */
	struct zcp_finding *findings; /* the first of them */
	uint32_t n_findings;
};

/*
 * Another zcpd, as the first message of its connection: it wants to take the domain over.
 * Descriptors: a SOCK_SEQPACKET socket, through which it is given everything
 * (runtime/failover/keep.h).
 * Answer: ok, before anything is given.
 */
struct zcp_replace {
	uint64_t fingerprint; /* zcp_layout_fingerprint() */
	char version[ZCP_NAME_SIZE];
};

struct zcp_message {
	uint32_t version;
	enum zcp_message_type type;
	uint64_t id;
	union {
		struct zcp_hello hello;
		struct zcp_welcome welcome;
		struct zcp_open_publisher open_publisher;
		struct zcp_open_subscriber open_subscriber;
		struct zcp_opened opened;
		struct zcp_close close;
		struct zcp_pool_get pool_get;
		struct zcp_pool_classes pool_classes;
		struct zcp_freed freed;
		struct zcp_signal_get signal_get;
		struct zcp_signal_of signal;
		struct zcp_error error;
		struct zcp_list list;
		struct zcp_topics topics;
		struct zcp_info info;
		struct zcp_topic_info topic_info;
		struct zcp_endpoints endpoints;
		struct zcp_endpoint_page endpoint_page;
		struct zcp_audit_report audit_report;
		struct zcp_hand_back hand_back;
		struct zcp_replace replace;
	} u;
};

/* Frees the lists of a message that was unpacked, or whose lists were allocated. */
void zcp_message_deinit(struct zcp_message *message);

/* --- tables for the codec --- */

enum zcp_field_kind {
	ZCP_FIELD_END = 0,
	ZCP_FIELD_BOOL,
	ZCP_FIELD_U32,
	ZCP_FIELD_U64,
	ZCP_FIELD_STRING, /* char[size] */
	ZCP_FIELD_LIST,   /* pointer to structs of `size` bytes; the count is at count_offset */
};

struct zcp_field {
	enum zcp_field_kind kind;
	const char *key;
	size_t offset;
	size_t size;
	size_t count_offset;
	uint32_t max_count;
	const struct zcp_field *fields; /* of a list's structs */
};

struct zcp_message_table {
	const char *name;
	const struct zcp_field *fields;
};

/* The table of a type below ZCP_MESSAGE_N_TYPES and not NONE. */
const struct zcp_message_table *zcp_message_table(enum zcp_message_type type);

#endif
