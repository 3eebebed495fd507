/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A topic and its endpoints as the runtime keeps them.
 */
#ifndef ZCPD_DOMAIN_TOPIC_H
#define ZCPD_DOMAIN_TOPIC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pubsub/layout/directory_shm.h"
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
	/* what is kept of it, and where */
	struct zcp_endpoint_entry_shm entry;
	uint32_t place;
	struct zcpd_topic *topic;
	/* NULL once the connection is gone */
	struct zcpd_session *session;
	/* while JOINING or LEAVING: the publishers that it waits for, and how long at most */
	struct zcpd_grace grace;
	uint64_t deadline_ns;
	TAILQ_ENTRY(zcpd_endpoint) pending;
	LIST_ENTRY(zcpd_endpoint) link; /* of its session */
};

struct zcpd_topic {
	/* what is kept of it, and where */
	struct zcp_topic_entry_shm entry;
	uint32_t place;
	struct zcpd_topic_config config;
	struct zcp_topic view;
	struct zcp_acks acks;
	/* the topic's region, the same for processes that only read, and the acks */
	int fd;
	int readonly_fd;
	int acks_fd;
	struct zcpd_pool *pool;
	struct zcpd_endpoint *publishers[ZCP_TOPIC_PUBLISHERS_MAX];
	struct zcpd_endpoint *subscribers[ZCP_TOPIC_SUBSCRIBERS_MAX];
	uint32_t n_publishers;
	uint32_t n_subscribers;
	/* messages in each slot that former publishers have left as history */
	uint32_t kept[ZCP_TOPIC_PUBLISHERS_MAX];
	/* publishers that are gone may have left chunks that subscribers still use */
	bool has_left;
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
							   const struct zcp_topic_entry_shm *entry,
							   int fd, int acks_fd);
struct zcpd_topic *zcpd_topic_free(struct zcpd_topic *topic);

/* What of a topic's messages is settled, and what the subscribers declare that it has now. */
struct zcpd_topic_shape {
	const char *type; /* the topic's or a subscriber's; "" and 0: not declared */
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

/* The number of the next message of a publisher slot. */
uint64_t zcpd_topic_next_seq(const struct zcpd_topic *topic, uint32_t publisher);

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
