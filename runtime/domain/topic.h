/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A topic and its endpoints as the runtime keeps them.
 */
#ifndef ZCPD_DOMAIN_TOPIC_H
#define ZCPD_DOMAIN_TOPIC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pubsub/shm/topic.h"
#include "pubsub/wire/message.h"
#include "runtime/config/config.h"
#include "runtime/domain/pool.h"

struct zcpd_session;
struct zcpd_topic;

enum zcpd_endpoint_state {
	ZCPD_ENDPOINT_JOINING, /* a subscriber, until the grace period is over */
	ZCPD_ENDPOINT_OPEN,
	ZCPD_ENDPOINT_INACTIVE, /* its socket is closed, its process lives */
	ZCPD_ENDPOINT_LEAVING,  /* a subscriber, until the grace period is over */
};

/* The publishers that were inside a publish when the membership had changed. */
struct zcpd_grace {
	uint64_t waiting;
	uint64_t ops[ZCP_TOPIC_PUBLISHERS_MAX];
};

struct zcpd_endpoint {
	uint64_t id;
	bool is_publisher;
	enum zcpd_endpoint_state state;
	struct zcpd_topic *topic;
	/* NULL once the connection is gone */
	struct zcpd_session *session;
	char node[ZCP_NAME_SIZE];
	/* the node's id, and when its process began: see zcpd_process_start() */
	uint64_t node_id;
	uint64_t process_start;
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
	uint64_t max_payload;
	uint64_t first_seq;
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
	/*
	 * what they declare, user_header_size too: it holds for others until they leave; "" and 0 where
	 * it never does
	 */
	char type[ZCP_TYPE_SIZE];
	uint64_t type_size;
	uint64_t type_alignment;
	/* while JOINING or LEAVING: whom it waits for, and the request that is to be answered */
	struct zcpd_grace grace;
	uint64_t request_id;
	uint64_t opened_by;
	uint64_t deadline_ns;
	/* its node, which lived under a runtime before us, has said that it has it still */
	bool returned;
	TAILQ_ENTRY(zcpd_endpoint) pending;
	LIST_ENTRY(zcpd_endpoint) link; /* of its session */
};

struct zcpd_topic {
	uint64_t id;
	/* the user whose request it was made for */
	uint32_t uid;
	struct zcpd_topic_config config;
	struct zcp_topic view;
	struct zcp_acks acks;
	/* the topic's region, the same for those who read, and the acks */
	int fd;
	int readonly_fd;
	int acks_fd;
	struct zcpd_pool *pool;
	struct zcpd_endpoint *publishers[ZCP_TOPIC_PUBLISHERS_MAX];
	struct zcpd_endpoint *subscribers[ZCP_TOPIC_SUBSCRIBERS_MAX];
	uint32_t n_publishers;
	uint32_t n_subscribers;
	/*
	 * Each publisher slot has an owner number in the pool, from its first publisher to the
	 * topic's end: what a publisher leaves is its slot's.
	 */
	uint32_t owners[ZCP_TOPIC_PUBLISHERS_MAX];
	/* messages in each slot that former publishers have left as history */
	uint32_t kept[ZCP_TOPIC_PUBLISHERS_MAX];
	/* publishers that are gone may have left chunks that subscribers still use */
	bool has_left;
	/* largest payload of publishers that are gone, bytes */
	uint64_t former_payload;
	char name[ZCP_TOPIC_SIZE];
	/* settled by the configuration or a publisher; "" and 0: nobody has said */
	char type[ZCP_TYPE_SIZE];
	uint64_t type_size;
	uint64_t type_alignment;
	/* settled by the configuration or the first publisher */
	uint32_t user_header_size;
	bool has_user_header_size;
	LIST_ENTRY(zcpd_topic) link;
};

/* Depth as a power of two that is at least `depth`. */
uint32_t zcpd_depth_log2(uint32_t depth);

/* Bytes of a topic's region: mostly its queues. */
size_t zcpd_topic_size(const struct zcpd_topic_config *config);

/*
 * Makes a topic on `pool`. Returns 0, -ENOMEM, -EMFILE, -ENFILE; or -EPERM where the pool's
 * memory is locked and so much may not be.
 */
__attribute__((warn_unused_result)) int zcpd_topic_new(struct zcpd_topic **topic, uint64_t id,
						       uint64_t domain_id, const char *name,
						       const struct zcpd_topic_config *config,
						       struct zcpd_pool *pool);
/* The same from a record and its two regions (consumed). Returns 0, or what mapping them gives. */
__attribute__((warn_unused_result)) int zcpd_topic_restore(struct zcpd_topic **topic,
							   const struct zcpd_topic_config *config,
							   struct zcpd_pool *pool,
							   const struct zcp_record_topic *record,
							   int fd, int acks_fd);
struct zcpd_topic *zcpd_topic_free(struct zcpd_topic *topic);

/* What of a topic's messages is settled, and what the subscribers declare that it has now. */
struct zcpd_topic_shape {
	const char *type; /* the topic's or a subscriber's; "" and 0: nobody has said */
	uint64_t type_size;
	uint64_t type_alignment;
	uint32_t user_header_size;
	bool has_user_header_size;
};

struct zcpd_topic_shape zcpd_topic_shape(const struct zcpd_topic *topic);

/* The first publisher with a type gives it to the topic; the same for its size and alignment. */
void zcpd_topic_set_type(struct zcpd_topic *topic, const char *type, uint64_t size,
			 uint64_t alignment);

/* Settles the size of the user header. */
void zcpd_topic_set_user_header(struct zcpd_topic *topic, uint32_t size);

/* The alignment of its payloads, bytes; 0: its first publisher settles it. */
uint32_t zcpd_topic_alignment(const struct zcpd_topic *topic);

/* A free slot, or -EUSERS. The lowest, so that lanes in use stay together. */
__attribute__((warn_unused_result)) int zcpd_topic_publisher_slot(const struct zcpd_topic *topic);
__attribute__((warn_unused_result)) int zcpd_topic_subscriber_slot(const struct zcpd_topic *topic);

/* Publisher slots that have a publisher or unread messages, with one more where not NULL. */
uint32_t zcpd_topic_n_lanes(const struct zcpd_topic *topic, const struct zcpd_endpoint *more);

/*
 * The chunks that a publisher slot may own at once. `publisher` may be one that is about
 * to open; `more` a subscriber that is, or NULL.
 *
 *   loans + the larger of its history and the deepest queue (queues overlap: each holds the newest
 *   messages) + for each subscriber the history it was promised and the samples it may hold + the
 *   queues of subscribers that are no longer active + the chunks that rotate
 */
uint64_t zcpd_topic_need(const struct zcpd_topic *topic, const struct zcpd_endpoint *publisher,
			 const struct zcpd_endpoint *more);

/* The sum over its publishers, with `more` among the endpoints where it is not NULL. */
uint64_t zcpd_topic_demand(const struct zcpd_topic *topic, const struct zcpd_endpoint *more);

/*
 * What the topic's configured limits allow its endpoints to use at once, if each publisher
 * keeps `history` messages of `payload` bytes.
 */
uint64_t zcpd_topic_limit_demand(const struct zcpd_topic_config *config, uint32_t history,
				 uint64_t payload);

/* Whether former publishers have left history: the topic goes on without endpoints. */
bool zcpd_topic_keeps_history(const struct zcpd_topic *topic);
/* What a subscriber gets that does not say: enum zcp_on_full. */
uint32_t zcpd_topic_on_full(const struct zcpd_topic_config *config);
/* The same: enum zcp_order. */
uint32_t zcpd_topic_order(const struct zcpd_topic_config *config);

/*
 * The largest payload that its publishers have declared, with `more`, and those before them
 * where they have left something.
 */
uint64_t zcpd_topic_max_payload(const struct zcpd_topic *topic, const struct zcpd_endpoint *more);

/* Messages that its publishers have published, those that have gone too. */
uint64_t zcpd_topic_n_messages(const struct zcpd_topic *topic);

/* Messages that wait for a subscriber, as of now. */
uint64_t zcpd_topic_n_queued(const struct zcpd_endpoint *subscriber);

/* Whether publishers send to it. */
bool zcpd_topic_is_active(const struct zcpd_endpoint *subscriber);

/* The messages that a publisher slot has left for joiners, with its publisher gone. */
uint32_t zcpd_topic_kept(const struct zcpd_topic *topic, uint32_t publisher);

/* The lane from a publisher's slot to a subscriber. */
struct zcp_lane zcpd_topic_lane(const struct zcpd_topic *topic, uint32_t publisher,
				const struct zcpd_endpoint *subscriber);

/* Messages that its subscribers have lost, those that have gone too. */
uint64_t zcpd_topic_n_lost(const struct zcpd_topic *topic);

/* What is told about one of its endpoints. */
void zcpd_topic_publisher_info(const struct zcpd_topic *topic,
			       const struct zcpd_endpoint *publisher,
			       struct zcp_publisher_info *info);
void zcpd_topic_subscriber_info(const struct zcpd_topic *topic,
				const struct zcpd_endpoint *subscriber,
				struct zcp_subscriber_info *info);

#endif
