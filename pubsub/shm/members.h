/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end of a topic: what is written about an endpoint in its slot, and what
 * one endpoint remembers of those that it was told of.
 *
 * A slot may be given to another endpoint while it is read. Its id is 0 while the name is
 * written, and no id comes twice: what was read between two looks that find the same id
 * belongs to it. A name stays in its slot after its endpoint has gone, until then.
 */
#ifndef ZCP_SHM_MEMBERS_H
#define ZCP_SHM_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "pubsub/shm/topic.h"

#define ZCP_MEMBER_NODE_SIZE (8 * ZCP_TOPIC_NODE_WORDS)

enum zcp_member_kind {
	ZCP_MEMBER_PUBLISHER,
	ZCP_MEMBER_SUBSCRIBER,
};

struct zcp_member {
	/* in the domain; 0: none */
	uint64_t id;
	uint32_t pid;
	/* ends with a zero and has no control characters, whatever the slot has */
	char node[ZCP_MEMBER_NODE_SIZE];
};

/* Runtime: which endpoint gets a slot, before any process is told of it. Wait-free. */
void zcp_member_write(const struct zcp_topic *topic, enum zcp_member_kind kind, uint32_t slot,
		      const struct zcp_member *member);

/*
 * The endpoint that has a slot, or had it last. False where there was none yet, or the slot is
 * being given at this moment; *member is as it was then. Wait-free.
 */
bool zcp_member_read(const struct zcp_topic *topic, enum zcp_member_kind kind, uint32_t slot,
		     struct zcp_member *member);

/* The same for the endpoint `id`, in the slot that it has or had. Wait-free over the slots. */
bool zcp_member_find(const struct zcp_topic *topic, enum zcp_member_kind kind, uint64_t id,
		     struct zcp_member *member);

/*
 * How many there are. What is published after a subscriber was seen here is sent to it, or
 * counted as lost by it. Wait-free.
 */
unsigned int zcp_member_count(const struct zcp_topic *topic, enum zcp_member_kind kind);

/* All of a kind as one endpoint knows them. One thread at a time. */
struct zcp_members {
	const struct zcp_topic *topic;
	enum zcp_member_kind kind;
	uint32_t n_slots;
	/* one for each slot */
	struct zcp_member *known;
	uint32_t n_known;
	/* the topic's `changes` before the last look that went through all slots; if one has */
	uint32_t seen;
	bool has_looked;
};

/* No member is known yet. The topic stays the caller's. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int zcp_members_init(struct zcp_members *members,
							 const struct zcp_topic *topic,
							 enum zcp_member_kind kind);
void zcp_members_deinit(struct zcp_members *members);

/* Forgets all of them. */
void zcp_members_reset(struct zcp_members *members);

/*
 * Whether zcp_members_next() would find something. One load where no member has come or gone
 * since the last look. For the second look before a sleep, after a full fence. Wait-free.
 */
bool zcp_members_have_changed(struct zcp_members *members);

/* How far one look is; begins with zcp_members_look(). */
struct zcp_members_look {
	uint32_t changes;
	uint32_t at;
};

struct zcp_members_look zcp_members_look(const struct zcp_members *members);

/*
 * The next difference between what is known and what is there, which is known from then on:
 * first those that have left, then those that have joined. False at the end of the look. A
 * member that was there only between two looks is not seen. Wait-free over the slots.
 */
__attribute__((warn_unused_result)) bool zcp_members_next(struct zcp_members *members,
							  struct zcp_members_look *look,
							  struct zcp_member *member,
							  bool *has_joined);

#endif
