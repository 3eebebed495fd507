/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the messages of a topic look like. Each part is settled by the configuration, or by the
 * publisher that declares it first. What a subscriber declares holds until it leaves. An endpoint
 * that declares something else is refused.
 */
#ifndef ZCPD_OPEN_SHAPE_H
#define ZCPD_OPEN_SHAPE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/domain/topic.h"

/* What an endpoint declares; "" and 0: nothing, but for a publisher's user header. */
struct zcpd_shape {
	bool is_publisher;
	const char *type;
	uint64_t type_size;
	uint64_t type_alignment;
	uint64_t alignment; /* of payloads */
	uint64_t user_header_size;
};

struct zcpd_shape zcpd_shape_of_publisher(const struct zcp_open_publisher *request,
					  const struct zcpd_topic_config *config);
struct zcpd_shape zcpd_shape_of_subscriber(const struct zcp_open_subscriber *request);

/*
 * Whether the shape is the topic's. Returns 0; -EINVAL: no topic can have it, or it needs more than
 * the topic has; -EPROTOTYPE: the topic has another one; with a sentence in `text`.
 */
__attribute__((warn_unused_result)) int zcpd_shape_check(const struct zcpd_topic *topic,
							 const struct zcpd_shape *shape, char *text,
							 size_t text_size);

/* The alignment of the topic's payloads; where it has none yet, with this for its publisher's. */
uint32_t zcpd_shape_alignment(const struct zcpd_topic *topic, const struct zcpd_shape *shape);

/* Makes what a publisher declares the topic's, where that has nothing yet. */
void zcpd_shape_settle(struct zcpd_topic *topic, const struct zcpd_shape *shape);

/* Makes what a subscriber declares hold for others, until it leaves. */
void zcpd_shape_declare(struct zcpd_endpoint *subscriber, const struct zcpd_shape *shape);

/*
 * The same for one that another runtime has let in. False, and nothing is changed, where no
 * subscriber can declare that.
 */
__attribute__((warn_unused_result)) bool zcpd_shape_hand_back(struct zcpd_endpoint *subscriber,
							      const struct zcp_hand_back *declared);

#endif
