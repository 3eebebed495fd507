/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading slots that may change hands, and comparing them with what is known.
 */
#include "pubsub/shm/members.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where a slot names its member. */
struct place {
	_Atomic uint64_t *id;
	_Atomic uint32_t *pid;
	_Atomic uint64_t *node;
};

static struct place place_of(const struct zcp_topic *topic, enum zcp_member_kind kind,
			     uint32_t slot)
{
	if (kind == ZCP_MEMBER_PUBLISHER) {
		struct zcp_publisher_slot_shm *publisher = &topic->publishers[slot];

		return (struct place){ &publisher->publisher_id, &publisher->pid, publisher->node };
	}
	return (struct place){ &topic->subscribers[slot].subscriber_id,
			       &topic->subscribers[slot].pid, topic->subscribers[slot].node };
}

static uint32_t n_slots(const struct zcp_topic *topic, enum zcp_member_kind kind)
{
	return kind == ZCP_MEMBER_PUBLISHER ? topic->geometry.max_publishers :
					      topic->geometry.max_subscribers;
}

void zcp_member_write(const struct zcp_topic *topic, enum zcp_member_kind kind, uint32_t slot,
		      const struct zcp_member *member)
{
	struct place place = place_of(topic, kind, slot);
	uint64_t words[ZCP_TOPIC_NODE_WORDS];

	memcpy(words, member->node, sizeof(words));
	/* MEMBER-R1 pairs with MEMBER-A1: it was announced before that the former one has left. */
	atomic_store_explicit(place.id, 0, memory_order_release);
	/*
	 * MEMBER-R2 pairs with MEMBER-A2, each of them: a reader of one of these sees the id
	 * that was cleared before.
	 */
	for (int i = 0; i < ZCP_TOPIC_NODE_WORDS; i++)
		atomic_store_explicit(&place.node[i], words[i], memory_order_release);
	atomic_store_explicit(place.pid, member->pid, memory_order_release);
	/* MEMBER-R1: all of it is there. */
	atomic_store_explicit(place.id, member->id, memory_order_release);
}

/* What another process has written as a name, made one. */
static void clean(char name[ZCP_MEMBER_NODE_SIZE])
{
	name[ZCP_MEMBER_NODE_SIZE - 1] = 0;
	for (unsigned char *c = (unsigned char *)name; *c; c++) {
		if (*c < 0x20 || *c == 0x7f)
			*c = '?';
		/* U+0080 to U+009F are control characters too. */
		if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
			c[0] = c[1] = '?';
	}
}

bool zcp_member_read(const struct zcp_topic *topic, enum zcp_member_kind kind, uint32_t slot,
		     struct zcp_member *member)
{
	struct place place = place_of(topic, kind, slot);
	uint64_t words[ZCP_TOPIC_NODE_WORDS];
	/* MEMBER-A1 pairs with MEMBER-R1: what this id stands for, or something later. */
	uint64_t id = atomic_load_explicit(place.id, memory_order_acquire);
	uint32_t pid;

	/* MEMBER-A2 pairs with MEMBER-R2, each of them: the second look comes after them. */
	for (int i = 0; i < ZCP_TOPIC_NODE_WORDS; i++)
		words[i] = atomic_load_explicit(&place.node[i], memory_order_acquire);
	pid = atomic_load_explicit(place.pid, memory_order_acquire);
	if (id == 0 || atomic_load_explicit(place.id, memory_order_relaxed) != id)
		return false;
	member->id = id;
	member->pid = pid;
	memcpy(member->node, words, sizeof(words));
	clean(member->node);
	return true;
}

bool zcp_member_find(const struct zcp_topic *topic, enum zcp_member_kind kind, uint64_t id,
		     struct zcp_member *member)
{
	for (uint32_t s = 0; s < n_slots(topic, kind); s++) {
		struct zcp_member found;

		/* Relaxed: zcp_member_read() looks again. */
		if (atomic_load_explicit(place_of(topic, kind, s).id, memory_order_relaxed) != id ||
		    !zcp_member_read(topic, kind, s, &found) || found.id != id)
			continue;
		*member = found;
		return true;
	}
	return false;
}

/* One word of the set of those that are there. */
static uint64_t present(const struct zcp_topic *topic, enum zcp_member_kind kind, uint32_t word)
{
	/* PUBLISHERS-A1 pairs with PUBLISHERS-R1 in the runtime: the slot is written. */
	if (kind == ZCP_MEMBER_PUBLISHER)
		return atomic_load_explicit(&topic->shm->publishers, memory_order_acquire);
	/*
	 * MEMBERS-A1 pairs with MEMBERS-R1 in the runtime: what is published after a subscriber
	 * was seen here is sent to it, or counted as lost. And its slot is written.
	 */
	return atomic_load_explicit(&topic->shm->announced[word], memory_order_acquire);
}

unsigned int zcp_member_count(const struct zcp_topic *topic, enum zcp_member_kind kind)
{
	unsigned int n = 0;

	for (uint32_t w = 0; w <= (n_slots(topic, kind) - 1) / 64; w++)
		n += (unsigned int)__builtin_popcountll(present(topic, kind, w));
	return n;
}

int zcp_members_init(struct zcp_members *members, const struct zcp_topic *topic,
		     enum zcp_member_kind kind)
{
	uint32_t n = n_slots(topic, kind);
	struct zcp_member *known = calloc(n, sizeof(known[0]));

	if (!known)
		return -ENOMEM;
	*members = (struct zcp_members){
		.topic = topic,
		.kind = kind,
		.n_slots = n,
		.known = known,
	};
	return 0;
}

void zcp_members_deinit(struct zcp_members *members)
{
	free(members->known);
	*members = (struct zcp_members){ .topic = NULL };
}

void zcp_members_reset(struct zcp_members *members)
{
	memset(members->known, 0, members->n_slots * sizeof(members->known[0]));
	members->n_known = 0;
	members->has_looked = false;
}

static bool is_present(const struct zcp_members *members, uint32_t slot)
{
	return present(members->topic, members->kind, slot / 64) >> (slot % 64) & 1;
}

static uint64_t id_in(const struct zcp_members *members, uint32_t slot)
{
	/* Relaxed: a caller that needs more of the slot reads it with zcp_member_read(). */
	return atomic_load_explicit(place_of(members->topic, members->kind, slot).id,
				    memory_order_relaxed);
}

/* Another has the slot, or is about to get it, only after this one has left. */
static bool has_left(const struct zcp_members *members, uint32_t slot)
{
	uint64_t id = members->known[slot].id;

	return id != 0 && (!is_present(members, slot) || id_in(members, slot) != id);
}

/* Perhaps: the slot may be changing hands. */
static bool may_have_come(const struct zcp_members *members, uint32_t slot)
{
	return members->known[slot].id == 0 && is_present(members, slot) &&
	       id_in(members, slot) != 0;
}

/*
 * The new member. A slot that is changing hands has none: `changes` has moved then, and
 * there is another look.
 */
static bool read_newcomer(const struct zcp_members *members, uint32_t slot,
			  struct zcp_member *member)
{
	if (!may_have_come(members, slot) ||
	    !zcp_member_read(members->topic, members->kind, slot, member))
		return false;
	/*
	 * The set again: that the one before has left was announced before the id was written
	 * that we have read, so it is this one that is there, and not one that is on its way.
	 */
	return is_present(members, slot);
}

static uint32_t changes(const struct zcp_members *members)
{
	/* CHANGES-A1 pairs with CHANGES-R1 in the runtime: the sets are no older. */
	return atomic_load_explicit(&members->topic->shm->changes, memory_order_acquire);
}

bool zcp_members_have_changed(struct zcp_members *members)
{
	uint32_t now = changes(members);

	if (members->has_looked && now == members->seen)
		return false;
	for (uint32_t s = 0; s < members->n_slots; s++)
		if (has_left(members, s) || may_have_come(members, s))
			return true;
	members->seen = now;
	members->has_looked = true;
	return false;
}

struct zcp_members_look zcp_members_look(const struct zcp_members *members)
{
	return (struct zcp_members_look){ .changes = changes(members) };
}

bool zcp_members_next(struct zcp_members *members, struct zcp_members_look *look,
		      struct zcp_member *member, bool *has_joined)
{
	struct zcp_member found;

	for (; look->at < members->n_slots; look->at++) {
		struct zcp_member *known = &members->known[look->at];

		if (!has_left(members, look->at))
			continue;
		*member = *known;
		*has_joined = false;
		known->id = 0;
		members->n_known--;
		look->at++;
		return true;
	}
	for (; look->at < 2 * members->n_slots; look->at++) {
		uint32_t slot = look->at - members->n_slots;

		if (!read_newcomer(members, slot, &found))
			continue;
		members->known[slot] = found;
		members->n_known++;
		*member = found;
		*has_joined = true;
		look->at++;
		return true;
	}
	members->seen = look->changes;
	members->has_looked = true;
	return false;
}
