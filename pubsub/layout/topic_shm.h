/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A topic: who publishes, who subscribes, and the lanes between them. Publishers map it for
 * writing, subscribers read-only.
 *
 *   0      region header     64
 *   64     geometry          64   checked at attach, never read again
 *   128    membership       128   two lines
 *   256    identity         448   name, type, pool: for the runtime that comes after
 *   704    announced         64   the members that the other side may count on
 *   768    pool's name      256
 *   1024   publisher slots  256 × max_publishers
 *   ...    subscriber slots 128 × max_subscribers
 *   ...    lanes            lane_stride × max_publishers × max_subscribers
 *
 * The lane from publisher p to subscriber s is number s × max_publishers + p: a subscriber
 * walks neighbouring lanes.
 *
 * What a crash can leave: an odd `op` (the runtime recovers the publisher), a membership
 * change of the runtime half done (the next one goes through with it; every step may be
 * repeated), a subscriber's slot with lanes not reset (it is not in `active` and is not given
 * away before they are), a slot with id 0 and half a name (no endpoint is in it).
 *
 * Where the runtime's processes are all killed, the next one finds here all that it has to know
 * of the topic and its endpoints, once one of these has handed the region back.
 */
#ifndef ZCP_TOPIC_SHM_H
#define ZCP_TOPIC_SHM_H

#include "pubsub/layout/lane_shm.h"
#include "pubsub/layout/region_shm.h"

#define ZCP_TOPIC_PUBLISHERS_MAX 64
#define ZCP_TOPIC_SUBSCRIBERS_MAX 256
#define ZCP_TOPIC_SUBSCRIBER_WORDS 4
/* Messages that a publisher keeps at most, and that a subscriber is given of each. */
#define ZCP_TOPIC_HISTORY_MAX 1024
/* A node's name in its endpoints' slots: 63 bytes and a zero. */
#define ZCP_TOPIC_NODE_WORDS 8

/* How far an endpoint is: for a runtime that the region is handed back to. */
enum zcp_member_state {
	ZCP_MEMBER_NONE = 0, /* nobody has the slot; nothing is left of who had it */
	ZCP_MEMBER_JOINING,
	ZCP_MEMBER_OPEN,
	ZCP_MEMBER_INACTIVE, /* its connection is over, its process lives */
	ZCP_MEMBER_LEAVING,
};

/* Flags: what an endpoint's node is to be woken for when members change. */
enum zcp_watches {
	ZCP_WATCHES_MATCH = 1, /* a match callback */
	ZCP_WATCHES_WAIT = 2,  /* a call that waits for members, beside the node */
};

/* What a publisher that waits for room is woken through. */
enum zcp_woken_through {
	ZCP_WAITING_NOT = 0,
	ZCP_WAITING_ROOM = 1,   /* `room` of its slot, in the acks region */
	ZCP_WAITING_BESIDE = 2, /* `beside_futex` of its node's signal */
};

struct zcp_publisher_slot_shm {
	/*
	 * written by: the publisher, or the runtime once it is dead. Read by: the runtime; by no
	 * subscriber, which the line would have to travel to
	 */
	/* odd: inside a loan or a publish */
	_Atomic uint64_t op;
	/* number of the next message; goes on when the slot gets a new publisher; from 1 */
	_Atomic uint64_t next_seq;
	/* loans that were refused because no chunk was free */
	_Atomic uint64_t n_exhausted;
	/*
	 * enum zcp_watches: its node is to be woken when a subscriber comes or goes; cleared by: the
	 * runtime, before the slot is given
	 */
	_Atomic uint32_t watches;
	/*
	 * not 0: closed while no runtime was there to be told; cleared as above, and read by: a
	 * runtime that this region is handed back to
	 */
	_Atomic uint32_t abandoned;
	uint64_t reserved_op[4];
	/*
	 * written by: the publisher; both cleared by: the runtime, before the slot is given. Read by:
	 * subscribers of its blocking lanes, at each take
	 */
	/* enum zcp_woken_through: it sleeps until there is room, or is about to */
	_Atomic uint32_t waiting;
	/* it has waited once, and made the heavy fence: takes look at `waiting` from then on */
	_Atomic uint32_t has_waited;
	uint64_t reserved_waiting[7];
	/*
	 * written by: the runtime when the slot is given; read by: the runtime, and those who
	 * ask who has the slot. The id is 0 while the others change: see members.h
	 */
	_Atomic uint64_t publisher_id;
	/* the slot's owner number in the pool, from its first publisher to the topic's end */
	_Atomic uint32_t owner;
	_Atomic uint32_t pid;
	_Atomic uint32_t signal;
	/*
	 * messages that stay for those who join later; of a publisher that is gone: that it has left
	 * for them
	 */
	_Atomic uint32_t history;
	/* chunks that it may have on loan */
	_Atomic uint32_t loans;
	/* enum zcp_member_state; and of its payloads, bytes */
	_Atomic uint32_t state;
	_Atomic uint32_t alignment;
	uint32_t reserved_alignment;
	/* the node's id; and when its process began, since a pid may come again */
	_Atomic uint64_t session;
	_Atomic uint64_t process_start;
	_Atomic uint64_t max_payload;
	/* written and read as the id; the node's name: the data path never looks here */
	_Atomic uint64_t node[ZCP_TOPIC_NODE_WORDS];
};

static_assert(sizeof(struct zcp_publisher_slot_shm) == 256, "four cache lines");
static_assert(offsetof(struct zcp_publisher_slot_shm, op) == 0, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, next_seq) == 8, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, n_exhausted) == 16, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, watches) == 24, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, abandoned) == 28, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, waiting) == 64, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, has_waited) == 68, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, publisher_id) == 128, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, owner) == 136, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, pid) == 140, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, signal) == 144, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, history) == 148, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, loans) == 152, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, state) == 156, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, alignment) == 160, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, session) == 168, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, process_start) == 176, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, max_payload) == 184, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, node) == 192, "layout");

struct zcp_subscriber_slot_shm {
	/*
	 * written by: the runtime, before the slot becomes active; read by: publishers when
	 * the membership has changed. The id is 0 while the others change: see members.h
	 */
	_Atomic uint64_t subscriber_id;
	/* lane capacity as a power of two */
	_Atomic uint32_t depth_log2;
	/* enum zcp_on_full */
	_Atomic uint32_t on_full;
	/* the node's signal */
	_Atomic uint32_t signal;
	_Atomic uint32_t pid;
	/* enum zcp_member_state */
	_Atomic uint32_t state;
	/* samples that it may hold; messages of each publisher's history that it asked for */
	_Atomic uint32_t held;
	_Atomic uint32_t history;
	_Atomic uint32_t order;
	/* the node's id; and when its process began, since a pid may come again */
	_Atomic uint64_t session;
	_Atomic uint64_t process_start;
	/* the acks' n_lost as it was when the slot was given */
	_Atomic uint64_t first_lost;
	/* written and read as the id; the node's name: the data path never looks here */
	_Atomic uint64_t node[ZCP_TOPIC_NODE_WORDS];
};

static_assert(sizeof(struct zcp_subscriber_slot_shm) == 128, "two cache lines");
static_assert(offsetof(struct zcp_subscriber_slot_shm, subscriber_id) == 0, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, depth_log2) == 8, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, on_full) == 12, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, signal) == 16, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, pid) == 20, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, state) == 24, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, held) == 28, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, history) == 32, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, order) == 36, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, session) == 40, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, process_start) == 48, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, first_lost) == 56, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, node) == 64, "layout");

struct zcp_topic_shm {
	struct zcp_region_shm region;
	/* written by: the creator; read by: everyone, once, at attach */
	uint32_t max_publishers;
	uint32_t max_subscribers;
	/* largest lane capacity as a power of two */
	uint32_t max_depth_log2;
	uint32_t reserved_geometry;
	uint64_t publishers_offset;
	uint64_t subscribers_offset;
	uint64_t lanes_offset;
	uint64_t lane_stride;
	uint64_t reserved_stride[2];
	/*
	 * written by: the runtime. Read by publishers at every loan and publish, and by subscribers
	 * at every take.
	 * `version` grows with each change of `active` and `present`;
	 * `used`: publisher slots that were ever given away;
	 * `changes`: a futex word for those who wait for members
	 */
	_Atomic uint64_t version;
	_Atomic uint64_t used;
	_Atomic uint32_t changes;
	uint32_t reserved_version[11];
	/*
	 * written by: the runtime, before `version`; read by: publishers when `version` has changed.
	 * `active`: publishers send to these; `present`: publishers look at what these say of
	 * their messages. A subscriber whose connection is lost while its process lives is present
	 * and not active
	 */
	_Atomic uint64_t active[ZCP_TOPIC_SUBSCRIBER_WORDS];
	_Atomic uint64_t present[ZCP_TOPIC_SUBSCRIBER_WORDS];
	/* written by: the runtime; read by: a runtime that this region is handed back to */
	char name[256];
	char type[128];
	uint64_t pool_id;
	uint64_t type_size;
	uint64_t type_alignment;
	uint64_t user_header_size;
	/* whether that is settled; and whether the pool was made for this topic alone */
	uint32_t has_user_header_size;
	uint32_t pool_is_automatic;
	uint64_t reserved_identity[3];
	/*
	 * written by: the runtime; read by: publishers that ask for their subscribers. Those of
	 * `active` whose lanes begin at a settled number: what is published from now on is sent to
	 * them
	 */
	_Atomic uint64_t announced[ZCP_TOPIC_SUBSCRIBER_WORDS];
	/* publisher slots that have a publisher; read by: subscribers that ask for them */
	_Atomic uint64_t publishers;
	uint64_t reserved_announced[3];
	/* written and read as the name */
	char pool_name[256];
};

static_assert(sizeof(struct zcp_topic_shm) == 1024, "sixteen cache lines");
static_assert(offsetof(struct zcp_topic_shm, max_publishers) == 64, "layout");
static_assert(offsetof(struct zcp_topic_shm, max_subscribers) == 68, "layout");
static_assert(offsetof(struct zcp_topic_shm, max_depth_log2) == 72, "layout");
static_assert(offsetof(struct zcp_topic_shm, publishers_offset) == 80, "layout");
static_assert(offsetof(struct zcp_topic_shm, subscribers_offset) == 88, "layout");
static_assert(offsetof(struct zcp_topic_shm, lanes_offset) == 96, "layout");
static_assert(offsetof(struct zcp_topic_shm, lane_stride) == 104, "layout");
static_assert(offsetof(struct zcp_topic_shm, version) == 128, "layout");
static_assert(offsetof(struct zcp_topic_shm, used) == 136, "layout");
static_assert(offsetof(struct zcp_topic_shm, changes) == 144, "layout");
static_assert(offsetof(struct zcp_topic_shm, active) == 192, "layout");
static_assert(offsetof(struct zcp_topic_shm, present) == 224, "layout");
static_assert(offsetof(struct zcp_topic_shm, name) == 256, "layout");
static_assert(offsetof(struct zcp_topic_shm, type) == 512, "layout");
static_assert(offsetof(struct zcp_topic_shm, pool_id) == 640, "layout");
static_assert(offsetof(struct zcp_topic_shm, type_size) == 648, "layout");
static_assert(offsetof(struct zcp_topic_shm, type_alignment) == 656, "layout");
static_assert(offsetof(struct zcp_topic_shm, user_header_size) == 664, "layout");
static_assert(offsetof(struct zcp_topic_shm, has_user_header_size) == 672, "layout");
static_assert(offsetof(struct zcp_topic_shm, pool_is_automatic) == 676, "layout");
static_assert(offsetof(struct zcp_topic_shm, announced) == 704, "layout");
static_assert(offsetof(struct zcp_topic_shm, publishers) == 736, "layout");
static_assert(offsetof(struct zcp_topic_shm, pool_name) == 768, "layout");

#endif
