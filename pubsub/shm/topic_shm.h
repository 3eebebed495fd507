/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A topic: who publishes, who subscribes, and the lanes between them.
 *
 *   0      region header     64
 *   64     geometry          64   checked at attach, never read again
 *   128    membership       128   two lines
 *   256    identity         448   name, type, pool: for the runtime that comes after
 *   704    announced         64   the subscribers that publishers may count on
 *   768    pool's name      256
 *   1024   publisher slots  256 × max_publishers
 *   ...    subscriber slots 192 × max_subscribers
 *   ...    lanes            lane_stride × max_publishers × max_subscribers
 *
 * The lane from publisher p to subscriber s is number s × max_publishers + p: a subscriber
 * walks neighbouring lanes.
 *
 * What a crash can leave: an odd `op` (the runtime recovers the publisher), a membership
 * change of the runtime half done (it goes through with it when it is back; every step
 * may be repeated), a subscriber's slot with lanes not reset (it is not in `active` and is
 * not given away before they are), a slot with id 0 and half a name (nobody is in it).
 *
 * Where the runtime's processes are all killed, the next one finds here all that it has to know
 * of the topic and its endpoints, once one of these has handed the region back.
 */
#ifndef ZCP_TOPIC_SHM_H
#define ZCP_TOPIC_SHM_H

#include "pubsub/shm/chunk_shm.h"
#include "pubsub/shm/lane_shm.h"
#include "pubsub/shm/region_shm.h"

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

struct zcp_publisher_slot_shm {
	/* written by: the publisher; the runtime once it is dead. Read by: the runtime */
	/* odd: inside a publish */
	_Atomic uint64_t op;
	/* number of the next message; goes on when the slot gets a new publisher; from 1 */
	_Atomic uint64_t next_seq;
	/* loans that were refused because no chunk was free */
	_Atomic uint64_t n_exhausted;
	/*
	 * not 0: its node is to be woken when a subscriber comes or goes; cleared by: the
	 * runtime, before the slot is given
	 */
	_Atomic uint32_t watches;
	/*
	 * not 0: closed while no runtime was there to be told; cleared as above, and read by: a
	 * runtime that this region is handed back to
	 */
	_Atomic uint32_t abandoned;
	uint64_t reserved_op[4];
	/* `waiting` is written by: the publisher; read by: subscribers of blocking lanes */
	_Atomic uint32_t waiting;
	/* written by: those who make room, with fetch_add; the futex word of a blocked publish */
	_Atomic uint32_t room;
	uint32_t reserved_room[14];
	/*
	 * written by: the runtime when the slot is given; read by: the runtime, and those who
	 * ask who has the slot. The id is 0 while the others change: see members.h
	 */
	_Atomic uint64_t publisher_id;
	_Atomic uint32_t owner;
	_Atomic uint32_t pid;
	_Atomic uint32_t signal;
	/* messages that stay RETAINED for those who join later */
	_Atomic uint32_t history;
	/* the number of those who had the slot before, in descriptors; what it may have on loan */
	_Atomic uint32_t former;
	_Atomic uint32_t loans;
	/* enum zcp_member_state; and of its payloads, bytes */
	_Atomic uint32_t state;
	_Atomic uint32_t alignment;
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
static_assert(offsetof(struct zcp_publisher_slot_shm, room) == 68, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, publisher_id) == 128, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, owner) == 136, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, pid) == 140, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, signal) == 144, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, history) == 148, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, former) == 152, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, loans) == 156, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, state) == 160, "layout");
static_assert(offsetof(struct zcp_publisher_slot_shm, alignment) == 164, "layout");
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
	/* the bit in every descriptor's `holders`; the node's signal */
	_Atomic uint32_t holder;
	_Atomic uint32_t signal;
	_Atomic uint32_t pid;
	/* enum zcp_member_state */
	_Atomic uint32_t state;
	/* what the sums count for it, and what it asked for: for the runtime that comes after */
	_Atomic uint32_t held;
	_Atomic uint32_t backlog;
	_Atomic uint32_t history;
	_Atomic uint32_t order;
	/* the node's id; and when its process began, since a pid may come again */
	_Atomic uint64_t session;
	_Atomic uint64_t process_start;
	/* written by: the subscriber; read by: the runtime, for `zcp info` */
	_Atomic uint64_t n_taken;
	/* goes on from one subscriber of the slot to the next, as next_seq does */
	_Atomic uint64_t n_lost;
	/* not 0: its node is to be woken when a publisher comes or goes; cleared as above */
	_Atomic uint32_t watches;
	/* as that of a publisher's slot */
	_Atomic uint32_t abandoned;
	/* n_lost as it was when the slot was given; written as `watches` is cleared */
	_Atomic uint64_t first_lost;
	uint64_t reserved_counts[4];
	/* written as the id, and read by those who ask who has the slot: the node's name */
	_Atomic uint64_t node[ZCP_TOPIC_NODE_WORDS];
};

static_assert(sizeof(struct zcp_subscriber_slot_shm) == 192, "three cache lines");
static_assert(offsetof(struct zcp_subscriber_slot_shm, subscriber_id) == 0, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, depth_log2) == 8, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, on_full) == 12, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, holder) == 16, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, signal) == 20, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, pid) == 24, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, state) == 28, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, held) == 32, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, backlog) == 36, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, history) == 40, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, order) == 44, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, session) == 48, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, process_start) == 56, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, n_taken) == 64, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, n_lost) == 72, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, watches) == 80, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, abandoned) == 84, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, first_lost) == 88, "layout");
static_assert(offsetof(struct zcp_subscriber_slot_shm, node) == 128, "layout");

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
	 * Read by publishers at every publish, and by subscribers at every take.
	 * `version` is written by the runtime: grows with each change of `active`;
	 * `used` is written by the runtime: publisher slots that were ever given away;
	 * `changes` is written by the runtime: a futex word for those who wait for members;
	 * `sleepers` is written by subscribers: each sets its own bit once, before its first
	 * sleep, with fetch_or; the runtime clears it when the slot is free again.
	 */
	_Atomic uint64_t version;
	_Atomic uint64_t used;
	_Atomic uint64_t sleepers[ZCP_TOPIC_SUBSCRIBER_WORDS];
	_Atomic uint32_t changes;
	uint32_t reserved_version[3];
	/* written by: the runtime; read by: publishers when `version` has changed */
	_Atomic uint64_t active[ZCP_TOPIC_SUBSCRIBER_WORDS];
	/* publisher slots that have a publisher; read by: subscribers that ask for them */
	_Atomic uint64_t publishers;
	uint64_t reserved_active[3];
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
	 * `active` whose first number is settled: what is published from now on is sent to them
	 */
	_Atomic uint64_t announced[ZCP_TOPIC_SUBSCRIBER_WORDS];
	uint64_t reserved_announced[4];
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
static_assert(offsetof(struct zcp_topic_shm, sleepers) == 144, "layout");
static_assert(offsetof(struct zcp_topic_shm, changes) == 176, "layout");
static_assert(offsetof(struct zcp_topic_shm, active) == 192, "layout");
static_assert(offsetof(struct zcp_topic_shm, publishers) == 224, "layout");
static_assert(offsetof(struct zcp_topic_shm, name) == 256, "layout");
static_assert(offsetof(struct zcp_topic_shm, type) == 512, "layout");
static_assert(offsetof(struct zcp_topic_shm, pool_id) == 640, "layout");
static_assert(offsetof(struct zcp_topic_shm, type_size) == 648, "layout");
static_assert(offsetof(struct zcp_topic_shm, type_alignment) == 656, "layout");
static_assert(offsetof(struct zcp_topic_shm, user_header_size) == 664, "layout");
static_assert(offsetof(struct zcp_topic_shm, has_user_header_size) == 672, "layout");
static_assert(offsetof(struct zcp_topic_shm, pool_is_automatic) == 676, "layout");
static_assert(offsetof(struct zcp_topic_shm, announced) == 704, "layout");
static_assert(offsetof(struct zcp_topic_shm, pool_name) == 768, "layout");

#endif
