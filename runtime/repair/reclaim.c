/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joining, leaving, the grace period, and recovery.
 *
 * Only the runtime changes `active`, `present`, `version`, `used` and `publishers`, from one
 * thread: a load and a store are enough.
 */
#include "runtime/repair/reclaim.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/fence.h"
#include "pubsub/shm/lane.h"
#include "pubsub/shm/members.h"
#include "pubsub/util.h"
#include "runtime/repair/history.h"
#include "runtime/system/log.h"

static void set_bit(_Atomic uint64_t *words, uint32_t slot, bool set)
{
	_Atomic uint64_t *word = &words[slot / 64];
	uint64_t bit = UINT64_C(1) << (slot % 64);
	uint64_t now = atomic_load_explicit(word, memory_order_relaxed);

	/* MEM-R2 pairs with MEM-A2 in add_members() of writer.c: a member's slot is complete. */
	atomic_store_explicit(word, set ? now | bit : now & ~bit, memory_order_release);
}

/*
 * `active` before `present` where a subscriber joins: publishers read them the other way round, and
 * never take it for one that is no longer active.
 */
static void set_member(struct zcpd_topic *topic, uint32_t slot, bool active, bool present)
{
	struct zcp_topic_shm *shm = topic->view.shm;

	set_bit(shm->active, slot, active);
	set_bit(shm->present, slot, present);
	/* MEM-R1 pairs with MEM-A1 in enter() of writer.c: both are at least as new as `version`. */
	atomic_store_explicit(&shm->version,
			      atomic_load_explicit(&shm->version, memory_order_relaxed) + 1,
			      memory_order_release);
}

static bool is_member(const struct zcpd_topic *topic, uint32_t slot)
{
	/* Relaxed: the runtime's word. */
	return atomic_load_explicit(&topic->view.shm->active[slot / 64], memory_order_relaxed) >>
		       (slot % 64) &
	       1;
}

/* A node that sleeps, or polls, looks again. */
static void wake_node(const struct zcp_signals *signals, const int *signal_fds, uint32_t signal)
{
	if (signal >= signals->n_signals)
		return;
	zcp_signal_wake(&signals->signals[signal]);
	if (signal_fds[signal] >= 0)
		/* One that is full is awake. */
		(void)eventfd_write(signal_fds[signal], 1);
}

/* Members have changed: wakes a node for what its endpoint's word of enum zcp_watches says. */
static void wake_watcher(const struct zcp_signals *signals, const int *signal_fds, uint32_t signal,
			 const _Atomic uint32_t *word)
{
	/* Relaxed: the fence of bump_changes() has ordered it. */
	uint32_t watches = atomic_load_explicit(word, memory_order_relaxed);

	if (watches & ZCP_WATCHES_MATCH)
		wake_node(signals, signal_fds, signal);
	if (watches & ZCP_WATCHES_WAIT && signal < signals->n_signals)
		zcp_signal_wake_beside(&signals->signals[signal]);
}

/* After a change of publishers or subscribers: nodes that wait for one look again. */
static void bump_changes(struct zcpd_topic *topic)
{
	_Atomic uint32_t *changes = &topic->view.shm->changes;

	/* CHANGES-R1 pairs with CHANGES-A1, of nodes that wait and nodes that watch. */
	(void)atomic_fetch_add_explicit(changes, 1, memory_order_release);
	zcp_futex_wake_all(changes);
	/* Full: the change before our look at `watches`, against a watcher's before its sleep. */
	zcp_fence_full();
}

void zcpd_members_announce(struct zcpd_topic *topic, const struct zcp_signals *signals,
			   const int *signal_fds)
{
	uint64_t words[ZCP_TOPIC_SUBSCRIBER_WORDS] = { 0 };

	for (uint32_t s = 0; s < topic->view.geometry.max_subscribers; s++)
		if (topic->subscribers[s] &&
		    topic->subscribers[s]->entry.state == ZCPD_ENDPOINT_OPEN)
			words[s / 64] |= UINT64_C(1) << (s % 64);
	for (int w = 0; w < ZCP_TOPIC_SUBSCRIBER_WORDS; w++)
		/*
		 * MEMBERS-R1 pairs with MEMBERS-A1 in members.c: next_seq was read before a
		 * publisher that waits can go on.
		 */
		atomic_store_explicit(&topic->view.shm->announced[w], words[w],
				      memory_order_release);
	bump_changes(topic);
	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++)
		if (topic->publishers[p])
			wake_watcher(signals, signal_fds, topic->publishers[p]->entry.signal,
				     &topic->view.publishers[p].watches);
}

void zcpd_publishers_announce(struct zcpd_topic *topic, const struct zcp_signals *signals,
			      const int *signal_fds)
{
	bump_changes(topic);
	for (uint32_t s = 0; s < topic->view.geometry.max_subscribers; s++)
		if (topic->subscribers[s])
			wake_watcher(signals, signal_fds, topic->subscribers[s]->entry.signal,
				     &zcp_acks_counts(&topic->acks, s)->watches);
}

void zcpd_grace_begin(struct zcpd_grace *grace, const struct zcpd_topic *topic, bool symmetric)
{
	int r = zcp_fence_heavy(symmetric);

	grace->waiting = 0;
	/* Cannot be: it worked when the runtime started, and a process cannot lose it. */
	if (r < 0)
		zcpd_error("membarrier has stopped working (%s): set fences = \"symmetric\"",
			   strerror(-r));
	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++) {
		/* OP-A1 pairs with OP-R1 in leave(): an even one has done all its pushes. */
		grace->ops[p] = atomic_load_explicit(&topic->view.publishers[p].op,
						     memory_order_acquire);
		if (topic->publishers[p] && (grace->ops[p] & 1))
			grace->waiting |= UINT64_C(1) << p;
	}
}

bool zcpd_grace_is_over(struct zcpd_grace *grace, const struct zcpd_topic *topic)
{
	for (uint64_t left = grace->waiting; left; left &= left - 1) {
		uint32_t p = (uint32_t)__builtin_ctzll(left);

		/* OP-A1, as above; another odd one began after the heavy fence. */
		if (topic->publishers[p] &&
		    atomic_load_explicit(&topic->view.publishers[p].op, memory_order_acquire) ==
			    grace->ops[p])
			continue;
		grace->waiting &= ~(UINT64_C(1) << p);
	}
	return grace->waiting == 0;
}

static void set_publisher(struct zcpd_topic *topic, uint32_t slot, bool present)
{
	struct zcp_topic_shm *shm = topic->view.shm;
	uint64_t bit = UINT64_C(1) << slot;
	uint64_t now = atomic_load_explicit(&shm->publishers, memory_order_relaxed);

	/* PUBLISHERS-R1 pairs with PUBLISHERS-A1 in members.c: the slot is written. */
	atomic_store_explicit(&shm->publishers, present ? now | bit : now & ~bit,
			      memory_order_release);
	if (present)
		atomic_store_explicit(&shm->used,
				      atomic_load_explicit(&shm->used, memory_order_relaxed) | bit,
				      memory_order_relaxed);
}

static uint32_t state_of(const struct zcpd_endpoint *endpoint)
{
	switch (endpoint->entry.state) {
	case ZCPD_ENDPOINT_JOINING:
		return ZCP_MEMBER_JOINING;
	case ZCPD_ENDPOINT_OPEN:
		return ZCP_MEMBER_OPEN;
	case ZCPD_ENDPOINT_INACTIVE:
		return ZCP_MEMBER_INACTIVE;
	default:
		return ZCP_MEMBER_LEAVING;
	}
}

void zcpd_member_set_state(const struct zcpd_endpoint *endpoint, bool gone)
{
	const struct zcp_topic *view = &endpoint->topic->view;
	uint32_t state = gone ? ZCP_MEMBER_NONE : state_of(endpoint);

	/* Relaxed, all of it: a reader got the region from us, or from a process that did. */
	if (endpoint->entry.is_publisher) {
		struct zcp_publisher_slot_shm *slot = &view->publishers[endpoint->entry.slot];

		if (atomic_load_explicit(&slot->publisher_id, memory_order_relaxed) ==
		    endpoint->entry.id)
			atomic_store_explicit(&slot->state, state, memory_order_relaxed);
	} else {
		struct zcp_subscriber_slot_shm *slot = &view->subscribers[endpoint->entry.slot];

		if (atomic_load_explicit(&slot->subscriber_id, memory_order_relaxed) ==
		    endpoint->entry.id)
			atomic_store_explicit(&slot->state, state, memory_order_relaxed);
	}
}

static void write_member(struct zcpd_topic *topic, const struct zcpd_endpoint *endpoint)
{
	struct zcp_member member = { .id = endpoint->entry.id, .pid = endpoint->entry.pid };

	(void)snprintf(member.node, sizeof(member.node), "%s", endpoint->entry.node);
	zcp_member_write(&topic->view,
			 endpoint->entry.is_publisher ? ZCP_MEMBER_PUBLISHER :
							ZCP_MEMBER_SUBSCRIBER,
			 endpoint->entry.slot, &member);
	zcpd_member_set_state(endpoint, false);
}

void zcpd_publisher_settle_start(const struct zcpd_topic *topic, struct zcpd_endpoint *publisher)
{
	/* Relaxed: no publisher is in the slot. */
	publisher->entry.first_seq = atomic_load_explicit(
		&topic->view.publishers[publisher->entry.slot].next_seq, memory_order_relaxed);
}

/*
 * While no publisher can be in the slot, or it has left the op that it was in: where lanes begin
 * whose subscribers it has not seen, and where those end to which it sends no more.
 */
static void settle_slot(struct zcpd_topic *topic, uint32_t publisher)
{
	uint64_t next_seq = zcpd_topic_next_seq(topic, publisher);

	for (uint32_t s = 0; s < topic->view.geometry.max_subscribers; s++) {
		const struct zcpd_endpoint *subscriber = topic->subscribers[s];
		struct zcp_lane lane;

		if (!subscriber || subscriber->entry.state == ZCPD_ENDPOINT_LEAVING)
			continue;
		lane = zcpd_topic_lane(topic, publisher, subscriber);
		if (zcpd_topic_is_active(subscriber) && !is_member(topic, s))
			continue;
		zcp_lane_begin(&lane, zcp_lane_settle(&lane.shm->base, next_seq));
		ZCP_CRASHPOINT("settle.after_base");
		if (!zcpd_topic_is_active(subscriber))
			(void)zcp_lane_settle(&lane.shm->end, next_seq);
	}
}

void zcpd_publisher_enter(struct zcpd_topic *topic, struct zcpd_endpoint *publisher,
			  const struct zcp_signals *signals, const int *signal_fds)
{
	struct zcp_publisher_slot_shm *slot = &topic->view.publishers[publisher->entry.slot];

	/* Relaxed, all of it: the publisher learns of its slot through the socket. */
	settle_slot(topic, publisher->entry.slot);
	atomic_store_explicit(&slot->loans, publisher->entry.loans, memory_order_relaxed);
	atomic_store_explicit(&slot->alignment, publisher->entry.alignment, memory_order_relaxed);
	atomic_store_explicit(&slot->session, publisher->entry.node_id, memory_order_relaxed);
	atomic_store_explicit(&slot->process_start, publisher->entry.process_start,
			      memory_order_relaxed);
	atomic_store_explicit(&slot->max_payload, publisher->entry.max_payload,
			      memory_order_relaxed);
	atomic_store_explicit(&slot->abandoned, 0, memory_order_relaxed);
	atomic_store_explicit(&slot->owner, publisher->entry.owner, memory_order_relaxed);
	atomic_store_explicit(&slot->signal, publisher->entry.signal, memory_order_relaxed);
	atomic_store_explicit(&slot->history, publisher->entry.history, memory_order_relaxed);
	atomic_store_explicit(&slot->waiting, 0, memory_order_relaxed);
	atomic_store_explicit(&slot->has_waited, 0, memory_order_relaxed);
	atomic_store_explicit(&slot->watches, 0, memory_order_relaxed);
	atomic_store_explicit(&slot->n_exhausted, 0, memory_order_relaxed);
	/* A process that finds it there finds all of it. */
	write_member(topic, publisher);
	set_publisher(topic, publisher->entry.slot, true);
	zcpd_publishers_announce(topic, signals, signal_fds);
}

/* Whether the publisher has pushed the message that it was publishing. */
static bool has(const struct zcp_lane *lane, uint64_t seq)
{
	/* Acquire: LANE-R1, in the publisher. */
	return zcp_slot_is(
		atomic_load_explicit(&zcp_lane_slot(lane, seq)->word, memory_order_acquire), seq);
}

/* Pushes what a dead publisher was publishing to a lane that lacks it. */
static void push(const struct zcp_lane *lane, uint64_t seq, const struct zcp_chunk_shm *chunk,
		 uint32_t ref)
{
	/* Relaxed, all: written before `seq`, which was acquired. */
	const struct zcp_description description = {
		.size = atomic_load_explicit(&chunk->size, memory_order_relaxed),
		.publish_time_ns = atomic_load_explicit(&chunk->publish_time_ns,
							memory_order_relaxed),
		.publisher_id = atomic_load_explicit(&chunk->publisher_id, memory_order_relaxed),
		.user_header_size = atomic_load_explicit(&chunk->user_header_size,
							 memory_order_relaxed),
		.ref = ref,
		.next_ref = ZCP_REF_NONE,
	};
	uint64_t base = zcp_lane_settle(&lane->shm->base, seq), tail;

	zcp_lane_begin(lane, base);
	if (has(lane, seq) || base > seq)
		return;
	tail = zcp_lane_bound_tail(lane, 0, seq);
	zcp_lane_refresh_tail(lane, seq, &tail);
	if (zcp_lane_is_full(lane, seq, tail))
		(void)zcp_lane_push_out(lane, seq, &tail);
	ZCP_CRASHPOINT("recover.after_drop");
	zcp_lane_put(lane, seq, &description);
	ZCP_CRASHPOINT("recover.after_push");
}

/* Finishes the publish that the publisher died in, after step 3 of writer.h. */
static void finish_publish(struct zcpd_topic *topic, const struct zcpd_endpoint *publisher,
			   uint64_t seq, struct zcp_chunk_shm *chunk, uint32_t ref)
{
	struct zcp_publisher_slot_shm *slot = &topic->view.publishers[publisher->entry.slot];

	for (uint32_t s = 0; s < topic->view.geometry.max_subscribers; s++) {
		struct zcpd_endpoint *subscriber = topic->subscribers[s];
		struct zcp_lane lane;

		if (!subscriber || subscriber->entry.state == ZCPD_ENDPOINT_LEAVING)
			continue;
		lane = zcpd_topic_lane(topic, publisher->entry.slot, subscriber);
		/*
		 * Where it ended must be there before the number moves on: behind the message, where
		 * the lane has it already.
		 */
		if (subscriber->entry.state == ZCPD_ENDPOINT_INACTIVE)
			(void)zcp_lane_settle(&lane.shm->end, has(&lane, seq) ? seq + 1 : seq);
		else if (is_member(topic, s))
			push(&lane, seq, chunk, ref);
	}
	/* SEQ-R1, in the dead publisher's name. */
	atomic_store_explicit(&slot->next_seq, seq + 1, memory_order_release);
	ZCP_CRASHPOINT("recover.after_next_seq");
}

static void recover_chunk(struct zcpd_topic *topic, const struct zcpd_endpoint *publisher,
			  struct zcp_chunk_shm *chunk, uint32_t ref, uint32_t state, bool inside)
{
	/* Acquire: with its number comes what describes it. */
	uint64_t seq = atomic_load_explicit(&chunk->seq, memory_order_acquire);
	uint64_t next_seq = zcpd_topic_next_seq(topic, publisher->entry.slot);

	if ((state & ZCP_CHUNK_LOANED) && seq != 0 && seq == next_seq && inside) {
		finish_publish(topic, publisher, seq, chunk, ref);
		next_seq++;
	}
	if (seq == 0 || (int64_t)(seq - next_seq) >= 0)
		zcp_chunk_free(chunk);
	else if (state & ZCP_CHUNK_LOANED)
		/* Relaxed: the publisher is dead, and its slot's next one learns of it from us. */
		atomic_store_explicit(&chunk->state, zcp_chunk_state(publisher->entry.owner, 0),
				      memory_order_relaxed);
	ZCP_CRASHPOINT("recover.after_chunk");
}

static void recover_chunks(struct zcpd_topic *topic, const struct zcpd_endpoint *publisher,
			   bool inside)
{
	for (uint32_t c = 0; c < topic->pool->view.n_classes; c++) {
		const struct zcp_class *class = &topic->pool->view.classes[c];
		uint32_t n_touched = zcp_class_n_touched(class);

		for (uint32_t i = 0; i < n_touched; i++) {
			/* Relaxed: the death has ordered it. */
			uint32_t state = atomic_load_explicit(&class->chunks[i].state,
							      memory_order_relaxed);

			if (state != ZCP_CHUNK_FREE &&
			    zcp_chunk_owner(state) == publisher->entry.owner)
				recover_chunk(topic, publisher, &class->chunks[i], zcp_ref(c, i),
					      state, inside);
		}
		/* The publisher may have died before it counted one that it had freed. */
		ZCP_IGNORE(zcp_class_count_freed(class));
	}
}

/* The messages of the slot that stay for joiners: without a gap from the newest one on. */
static uint32_t count_kept(const struct zcpd_topic *topic, const struct zcpd_endpoint *publisher)
{
	uint64_t next_seq = zcpd_topic_next_seq(topic, publisher->entry.slot);
	uint32_t n = 0;

	if (!topic->config.keep_history)
		return 0;
	while (n < publisher->entry.history && next_seq > n + 1 &&
	       zcpd_history_find(topic, publisher->entry.slot, next_seq - n - 1, NULL))
		n++;
	return n;
}

static void wake_subscribers(const struct zcpd_topic *topic, const struct zcp_signals *signals,
			     const int *signal_fds)
{
	for (uint32_t s = 0; s < topic->view.geometry.max_subscribers; s++)
		if (topic->subscribers[s])
			wake_node(signals, signal_fds, topic->subscribers[s]->entry.signal);
}

void zcpd_publisher_recover(struct zcpd_topic *topic, struct zcpd_endpoint *publisher,
			    const struct zcp_signals *signals, const int *signal_fds)
{
	struct zcp_publisher_slot_shm *slot = &topic->view.publishers[publisher->entry.slot];
	/* OP-A1: the death has ordered it already; do not rely on it. */
	uint64_t op = atomic_load_explicit(&slot->op, memory_order_acquire);

	recover_chunks(topic, publisher, op & 1);
	ZCP_CRASHPOINT("recover.after_chunks");
	topic->kept[publisher->entry.slot] = count_kept(topic, publisher);
	/* Relaxed: read by joins and by the next runtime, which come after. */
	atomic_store_explicit(&slot->history, topic->kept[publisher->entry.slot],
			      memory_order_relaxed);
	settle_slot(topic, publisher->entry.slot);
	/* OP-R2, in its name. */
	atomic_store_explicit(&slot->op, op + (op & 1), memory_order_release);
	ZCP_CRASHPOINT("recover.after_op");
	set_publisher(topic, publisher->entry.slot, false);
	ZCP_CRASHPOINT("recover.after_member");
	wake_subscribers(topic, signals, signal_fds);
	zcpd_publishers_announce(topic, signals, signal_fds);
}

static void reset_lanes(struct zcpd_topic *topic, const struct zcpd_endpoint *subscriber)
{
	uint64_t used = atomic_load_explicit(&topic->view.shm->used, memory_order_relaxed);

	zcp_acks_reset(&topic->acks, subscriber->entry.slot);
	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++) {
		struct zcp_lane lane = zcpd_topic_lane(topic, p, subscriber);
		uint32_t kept = zcpd_topic_kept(topic, p);

		/* Any number that was next a while ago will do. */
		zcp_lane_reset(&lane, zcpd_topic_next_seq(topic, p),
			       subscriber->entry.history < kept ? subscriber->entry.history : kept,
			       used >> p & 1);
	}
}

static void clear_sleeper(struct zcpd_topic *topic, uint32_t slot)
{
	/* Relaxed: no process is in the slot. */
	(void)atomic_fetch_and_explicit(&topic->acks.shm->sleepers[slot / 64],
					~(UINT64_C(1) << (slot % 64)), memory_order_relaxed);
}

static void write_subscriber(struct zcpd_topic *topic, const struct zcpd_endpoint *subscriber)
{
	struct zcp_subscriber_slot_shm *slot = &topic->view.subscribers[subscriber->entry.slot];
	struct zcp_ack_counts_shm *counts = zcp_acks_counts(&topic->acks, subscriber->entry.slot);

	/* Relaxed, all of it: MEM-R2 publishes it. */
	atomic_store_explicit(&slot->held, subscriber->entry.held, memory_order_relaxed);
	atomic_store_explicit(&slot->history, subscriber->entry.history, memory_order_relaxed);
	atomic_store_explicit(&slot->order, subscriber->entry.order, memory_order_relaxed);
	atomic_store_explicit(&slot->session, subscriber->entry.node_id, memory_order_relaxed);
	atomic_store_explicit(&slot->process_start, subscriber->entry.process_start,
			      memory_order_relaxed);
	atomic_store_explicit(&slot->depth_log2, subscriber->entry.depth_log2,
			      memory_order_relaxed);
	atomic_store_explicit(&slot->on_full, subscriber->entry.on_full, memory_order_relaxed);
	atomic_store_explicit(&slot->signal, subscriber->entry.signal, memory_order_relaxed);
	atomic_store_explicit(&counts->n_taken, 0, memory_order_relaxed);
	atomic_store_explicit(&slot->first_lost,
			      atomic_load_explicit(&counts->n_lost, memory_order_relaxed),
			      memory_order_relaxed);
	/* A reader that finds it there finds all of it. */
	write_member(topic, subscriber);
}

void zcpd_subscriber_join(struct zcpd_topic *topic, struct zcpd_endpoint *subscriber)
{
	ZCP_CRASHPOINT("join.after_record");
	if (!is_member(topic, subscriber->entry.slot)) {
		reset_lanes(topic, subscriber);
		clear_sleeper(topic, subscriber->entry.slot);
		write_subscriber(topic, subscriber);
		ZCP_CRASHPOINT("join.after_lanes");
	}
	set_member(topic, subscriber->entry.slot, true, true);
}

/* One lane: from where on all is sent through it, and what is promised before that. */
static void settle_lane(struct zcpd_topic *topic, const struct zcpd_endpoint *subscriber,
			uint32_t publisher)
{
	struct zcp_lane lane = zcpd_topic_lane(topic, publisher, subscriber);
	uint64_t base = zcp_lane_settle(&lane.shm->base, zcpd_topic_next_seq(topic, publisher));
	uint32_t history = atomic_load_explicit(&lane.shm->history, memory_order_relaxed);
	uint64_t floor = base;

	ZCP_CRASHPOINT("join.after_base");
	zcp_lane_begin(&lane, base);
	ZCP_CRASHPOINT("join.after_tail");
	/* The first gap ends it; at most what was asked for, whatever the lane says. */
	while (floor > 1 && base - floor < history && base - floor < subscriber->entry.history &&
	       zcpd_history_find(topic, publisher, floor - 1, NULL))
		floor--;
	/* ACK-R4: what is below is not promised any more. */
	atomic_store_explicit(&lane.ack->floor, floor, memory_order_release);
	ZCP_CRASHPOINT("join.after_floor");
}

void zcpd_subscriber_settle(struct zcpd_topic *topic, const struct zcpd_endpoint *subscriber,
			    const struct zcpd_grace *grace)
{
	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++)
		if (!(grace->waiting >> p & 1))
			settle_lane(topic, subscriber, p);
}

/* Publishers that wait for room look again, and find the subscriber gone. */
static void wake_blocked(struct zcpd_topic *topic, const struct zcp_signals *signals)
{
	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++) {
		_Atomic uint32_t *room = &topic->acks.shm->rooms[p].room;
		uint32_t signal;

		if (!topic->publishers[p])
			continue;
		/* Relaxed: the fence before has ordered it after the change of `version`. */
		(void)atomic_fetch_add_explicit(room, 1, memory_order_relaxed);
		zcp_futex_wake_all(room);
		signal = topic->publishers[p]->entry.signal;
		if (atomic_load_explicit(&topic->view.publishers[p].waiting,
					 memory_order_relaxed) == ZCP_WAITING_BESIDE &&
		    signal < signals->n_signals)
			zcp_signal_wake_beside(&signals->signals[signal]);
	}
}

static void lose_member(struct zcpd_topic *topic, uint32_t slot, bool stays_present,
			const struct zcp_signals *signals, const int *signal_fds)
{
	set_member(topic, slot, false, stays_present);
	ZCP_CRASHPOINT("leave.after_inactive");
	zcpd_members_announce(topic, signals, signal_fds);
	zcp_fence_full();
	wake_blocked(topic, signals);
	ZCP_CRASHPOINT("leave.after_wake");
}

void zcpd_subscriber_leave(struct zcpd_topic *topic, struct zcpd_endpoint *subscriber,
			   const struct zcp_signals *signals, const int *signal_fds)
{
	lose_member(topic, subscriber->entry.slot, false, signals, signal_fds);
}

void zcpd_subscriber_deactivate(struct zcpd_topic *topic, struct zcpd_endpoint *subscriber,
				const struct zcp_signals *signals, const int *signal_fds)
{
	lose_member(topic, subscriber->entry.slot, true, signals, signal_fds);
	/* A publisher that is there sees to its lane itself, at its next op. */
	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++)
		if (!topic->publishers[p])
			settle_slot(topic, p);
}
