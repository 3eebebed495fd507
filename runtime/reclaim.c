/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joining, leaving, the grace period, and recovery.
 *
 * Only the runtime changes `active`, `version`, `used` and `publishers`, from one thread: a
 * load and a store are enough.
 */
#include "runtime/reclaim.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/fence.h"
#include "pubsub/shm/lane.h"
#include "pubsub/shm/members.h"
#include "runtime/history.h"
#include "runtime/log.h"

static void set_active(struct zcpd_topic *topic, uint32_t slot, bool active)
{
	struct zcp_topic_shm *shm = topic->view.shm;
	_Atomic uint64_t *word = &shm->active[slot / 64];
	uint64_t bit = UINT64_C(1) << (slot % 64);
	uint64_t now = atomic_load_explicit(word, memory_order_relaxed);

	/* TOPIC-R1 pairs with TOPIC-A1 in refresh(): a member's slot is complete. */
	atomic_store_explicit(word, active ? now | bit : now & ~bit, memory_order_release);
	/* TOPIC-R2 pairs with TOPIC-A2 in enter(): `active` is at least as new as `version`. */
	atomic_store_explicit(&shm->version,
			      atomic_load_explicit(&shm->version, memory_order_relaxed) + 1,
			      memory_order_release);
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

/* After a change of publishers or subscribers: those who wait for one look again. */
static void bump_changes(struct zcpd_topic *topic)
{
	_Atomic uint32_t *changes = &topic->view.shm->changes;

	/* CHANGES-R1 pairs with CHANGES-A1, of those who wait and those who watch. */
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
		if (topic->subscribers[s] && topic->subscribers[s]->state == ZCPD_ENDPOINT_OPEN)
			words[s / 64] |= UINT64_C(1) << (s % 64);
	for (int w = 0; w < ZCP_TOPIC_SUBSCRIBER_WORDS; w++)
		/*
		 * MEMBERS-R1 pairs with MEMBERS-A1 in members.c: next_seq was read before whoever
		 * waits can go on.
		 */
		atomic_store_explicit(&topic->view.shm->announced[w], words[w],
				      memory_order_release);
	bump_changes(topic);
	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++)
		/* Relaxed: the fence has ordered it. */
		if (topic->publishers[p] &&
		    atomic_load_explicit(&topic->view.publishers[p].watches, memory_order_relaxed))
			wake_node(signals, signal_fds, topic->publishers[p]->signal);
}

void zcpd_publishers_announce(struct zcpd_topic *topic, const struct zcp_signals *signals,
			      const int *signal_fds)
{
	bump_changes(topic);
	for (uint32_t s = 0; s < topic->view.geometry.max_subscribers; s++)
		/* Relaxed, as above. */
		if (topic->subscribers[s] &&
		    atomic_load_explicit(&topic->view.subscribers[s].watches, memory_order_relaxed))
			wake_node(signals, signal_fds, topic->subscribers[s]->signal);
}

static void settle_start(struct zcpd_grace *grace, const struct zcpd_topic *topic, uint32_t p)
{
	/* SEQ-A1: whatever has a lower number was pushed, or was not for us. */
	grace->starts[p] = atomic_load_explicit(&topic->view.publishers[p].next_seq,
						memory_order_acquire);
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
		settle_start(grace, topic, p);
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
		/* What it was publishing may not have been for us. */
		settle_start(grace, topic, p);
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
	switch (endpoint->state) {
	case ZCPD_ENDPOINT_JOINING:
		return ZCP_MEMBER_JOINING;
	case ZCPD_ENDPOINT_OPEN:
		return ZCP_MEMBER_OPEN;
	case ZCPD_ENDPOINT_INACTIVE:
		return ZCP_MEMBER_INACTIVE;
	default:
		/* One that joins once more has nothing yet that it could go on with. */
		return ZCP_MEMBER_LEAVING;
	}
}

void zcpd_member_set_state(const struct zcpd_endpoint *endpoint, bool gone)
{
	const struct zcp_topic *view = &endpoint->topic->view;
	uint32_t state = gone ? ZCP_MEMBER_NONE : state_of(endpoint);

	/* Relaxed, all of it: who reads it has the region from somebody who has it from us. */
	if (endpoint->is_publisher) {
		struct zcp_publisher_slot_shm *slot = &view->publishers[endpoint->slot];

		if (atomic_load_explicit(&slot->publisher_id, memory_order_relaxed) == endpoint->id)
			atomic_store_explicit(&slot->state, state, memory_order_relaxed);
	} else {
		struct zcp_subscriber_slot_shm *slot = &view->subscribers[endpoint->slot];

		if (atomic_load_explicit(&slot->subscriber_id, memory_order_relaxed) ==
		    endpoint->id)
			atomic_store_explicit(&slot->state, state, memory_order_relaxed);
	}
}

static void write_member(struct zcpd_topic *topic, const struct zcpd_endpoint *endpoint)
{
	struct zcp_member member = { .id = endpoint->id, .pid = endpoint->pid };

	(void)snprintf(member.node, sizeof(member.node), "%s", endpoint->node);
	zcp_member_write(&topic->view,
			 endpoint->is_publisher ? ZCP_MEMBER_PUBLISHER : ZCP_MEMBER_SUBSCRIBER,
			 endpoint->slot, &member);
	zcpd_member_set_state(endpoint, false);
}

void zcpd_publisher_settle_start(const struct zcpd_topic *topic, struct zcpd_endpoint *publisher)
{
	/* Relaxed: nobody is in the slot. */
	publisher->first_seq = atomic_load_explicit(
		&topic->view.publishers[publisher->slot].next_seq, memory_order_relaxed);
}

void zcpd_publisher_enter(struct zcpd_topic *topic, struct zcpd_endpoint *publisher,
			  const struct zcp_signals *signals, const int *signal_fds)
{
	struct zcp_publisher_slot_shm *slot = &topic->view.publishers[publisher->slot];

	/* Relaxed, all of it: the publisher learns of its slot through the socket. */
	atomic_store_explicit(&slot->former, publisher->former, memory_order_relaxed);
	atomic_store_explicit(&slot->loans, publisher->loans, memory_order_relaxed);
	atomic_store_explicit(&slot->alignment, publisher->alignment, memory_order_relaxed);
	atomic_store_explicit(&slot->session, publisher->node_id, memory_order_relaxed);
	atomic_store_explicit(&slot->process_start, publisher->process_start, memory_order_relaxed);
	atomic_store_explicit(&slot->max_payload, publisher->max_payload, memory_order_relaxed);
	atomic_store_explicit(&slot->abandoned, 0, memory_order_relaxed);
	atomic_store_explicit(&slot->owner, publisher->owner, memory_order_relaxed);
	atomic_store_explicit(&slot->signal, publisher->signal, memory_order_relaxed);
	atomic_store_explicit(&slot->history, publisher->history, memory_order_relaxed);
	atomic_store_explicit(&slot->waiting, 0, memory_order_relaxed);
	atomic_store_explicit(&slot->watches, 0, memory_order_relaxed);
	atomic_store_explicit(&slot->n_exhausted, 0, memory_order_relaxed);
	/* Who finds it there finds all of it. */
	write_member(topic, publisher);
	set_publisher(topic, publisher->slot, true);
	zcpd_publishers_announce(topic, signals, signal_fds);
}

static void clear_dropped(struct zcpd_topic *topic, uint32_t ref, uint32_t holder)
{
	struct zcp_chunk_shm *chunk = zcpd_pool_descriptor(topic->pool, ref);

	if (chunk)
		zcp_chunk_release(chunk, holder);
}

/*
 * What the dead publisher may have left undone between this chunk and one subscriber.
 * Returns whether the chunk was published, as far as this lane tells.
 */
static bool recover_lane(struct zcpd_topic *topic, const struct zcpd_endpoint *publisher,
			 const struct zcpd_endpoint *subscriber, struct zcp_chunk_shm *chunk,
			 uint32_t ref, uint64_t state, bool publishing)
{
	struct zcp_lane lane = zcpd_topic_lane(topic, publisher->slot, subscriber);
	/* Acquire, both: they stay before the second look at `state`. */
	uint64_t seq = atomic_load_explicit(&chunk->seq, memory_order_acquire);
	/* LANE-A1: the publisher's death has ordered it already; do not rely on it. */
	uint64_t word = atomic_load_explicit(&zcp_lane_slot(&lane, seq)->word,
					     memory_order_acquire);
	int32_t ahead = zcp_slot_ahead(word, seq);
	bool has = atomic_load_explicit(&chunk->holders[subscriber->holder / 64],
					memory_order_acquire) >>
			   (subscriber->holder % 64) &
		   1;
	uint32_t dropped;

	/*
	 * A chunk that was free when we read `state` may be somebody else's by now. One that
	 * has a holder's bit is nobody's to claim: if the state is the same, bit and seq are of
	 * the generation that we came for.
	 */
	if (atomic_load_explicit(&chunk->state, memory_order_relaxed) != state)
		return false;
	if (publishing && ahead == 0)
		return true;
	if (publishing && has && ahead < 0 &&
	    (subscriber->state == ZCPD_ENDPOINT_OPEN ||
	     subscriber->state == ZCPD_ENDPOINT_JOINING)) {
		if (zcp_lane_push(&lane, seq, ref, &dropped))
			clear_dropped(topic, dropped, subscriber->holder);
		return true;
	}
	/* Not sent, and nothing new is to be sent there. */
	if (publishing && has && ahead < 0)
		zcp_chunk_release(chunk, subscriber->holder);
	/* Pushed out by the message a lap later, and the bit not cleared yet. */
	if (has && ahead == (int32_t)lane.mask + 1 && (word & ZCP_SLOT_DROPPED))
		zcp_chunk_release(chunk, subscriber->holder);
	return false;
}

/* Whether what it has published stays for those who join after its end. */
static bool leaves_history(const struct zcpd_topic *topic, const struct zcpd_endpoint *publisher)
{
	return topic->config.keep_history && publisher->history > 0;
}

static void recover_chunk(struct zcpd_topic *topic, const struct zcpd_endpoint *publisher,
			  uint32_t ref, uint64_t state, bool inside)
{
	struct zcp_publisher_slot_shm *slot = &topic->view.publishers[publisher->slot];
	struct zcp_chunk_shm *chunk = zcpd_pool_descriptor(topic->pool, ref);
	bool loaned = state & ZCP_CHUNK_LOANED, pushed = false, published;
	uint64_t seq, next_seq, kept = 0;

	for (uint32_t s = 0; s < topic->view.geometry.max_subscribers; s++)
		if (topic->subscribers[s])
			pushed |= recover_lane(topic, publisher, topic->subscribers[s], chunk, ref,
					       state, loaned && inside);
	seq = atomic_load_explicit(&chunk->seq, memory_order_relaxed);
	next_seq = atomic_load_explicit(&slot->next_seq, memory_order_relaxed);
	if (pushed && (int64_t)(next_seq - seq) <= 0) {
		next_seq = seq + 1;
		/* SEQ-R1, in the dead publisher's name. */
		atomic_store_explicit(&slot->next_seq, next_seq, memory_order_release);
	}
	/* Of the loans only the one that was being published has a number. */
	published = loaned && inside && seq != 0 && seq == next_seq - 1;
	if (leaves_history(topic, publisher) && (published || (state & ZCP_CHUNK_RETAINED)))
		kept = ZCP_CHUNK_RETAINED;
	ZCP_CRASHPOINT("recover.before_chunk");
	/*
	 * CHUNK-R1, in its name. Fails only where somebody claims the chunk, which is his then;
	 * nobody claims one that is LOANED.
	 */
	(void)atomic_compare_exchange_strong_explicit(&chunk->state, &state,
						      zcp_state(zcp_state_generation(state),
								publisher->former, kept),
						      memory_order_release, memory_order_relaxed);
}

static void wake_subscribers(const struct zcpd_topic *topic, const struct zcp_signals *signals,
			     const int *signal_fds)
{
	for (uint32_t s = 0; s < topic->view.geometry.max_subscribers; s++)
		if (topic->subscribers[s])
			wake_node(signals, signal_fds, topic->subscribers[s]->signal);
}

void zcpd_publisher_recover(struct zcpd_topic *topic, struct zcpd_endpoint *publisher,
			    const struct zcp_signals *signals, const int *signal_fds)
{
	struct zcp_publisher_slot_shm *slot = &topic->view.publishers[publisher->slot];
	/* OP-A1: the death has ordered it already; do not rely on it. */
	uint64_t op = atomic_load_explicit(&slot->op, memory_order_acquire);

	if (!leaves_history(topic, publisher))
		zcpd_history_forget(topic, publisher->slot);
	for (uint32_t c = 0; c < topic->pool->view.n_classes; c++) {
		const struct zcp_class *class = &topic->pool->view.classes[c];
		uint32_t n_touched = zcpd_pool_n_touched(topic->pool, c);

		for (uint32_t i = 0; i < n_touched; i++) {
			/* CHUNK-A1. */
			uint64_t state = atomic_load_explicit(&class->chunks[i].state,
							      memory_order_acquire);

			if (zcp_state_owner(state) == publisher->owner ||
			    zcp_state_owner(state) == publisher->former)
				recover_chunk(topic, publisher, zcp_ref(c, i), state, op & 1);
		}
	}
	ZCP_CRASHPOINT("recover.after_chunks");
	topic->kept[publisher->slot] = zcpd_history_trim(topic, publisher->slot,
							 publisher->history);
	ZCP_CRASHPOINT("recover.after_trim");
	/* OP-R1, in its name. */
	atomic_store_explicit(&slot->op, op + (op & 1), memory_order_release);
	ZCP_CRASHPOINT("recover.after_op");
	set_publisher(topic, publisher->slot, false);
	ZCP_CRASHPOINT("recover.after_member");
	wake_subscribers(topic, signals, signal_fds);
	zcpd_publishers_announce(topic, signals, signal_fds);
}

static void reset_lanes(struct zcpd_topic *topic, const struct zcpd_endpoint *subscriber)
{
	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++) {
		struct zcp_lane lane = zcpd_topic_lane(topic, p, subscriber);

		/* Relaxed: any number that was next a while ago will do. */
		zcp_lane_reset(&lane, atomic_load_explicit(&topic->view.publishers[p].next_seq,
							   memory_order_relaxed));
	}
}

static void clear_sleeper(struct zcpd_topic *topic, uint32_t slot)
{
	/* Relaxed: nobody is in the slot. */
	(void)atomic_fetch_and_explicit(&topic->view.shm->sleepers[slot / 64],
					~(UINT64_C(1) << (slot % 64)), memory_order_relaxed);
}

void zcpd_subscriber_join(struct zcpd_topic *topic, struct zcpd_endpoint *subscriber)
{
	struct zcp_subscriber_slot_shm *slot = &topic->view.subscribers[subscriber->slot];

	ZCP_CRASHPOINT("join.after_record");
	/* Numbers may have gone on since the last one left: reset them against today's. */
	reset_lanes(topic, subscriber);
	clear_sleeper(topic, subscriber->slot);
	/* Relaxed, all of it: TOPIC-R1 publishes it. */
	atomic_store_explicit(&slot->held, subscriber->held, memory_order_relaxed);
	atomic_store_explicit(&slot->backlog, subscriber->backlog, memory_order_relaxed);
	atomic_store_explicit(&slot->history, subscriber->history, memory_order_relaxed);
	atomic_store_explicit(&slot->order, subscriber->order, memory_order_relaxed);
	atomic_store_explicit(&slot->session, subscriber->node_id, memory_order_relaxed);
	atomic_store_explicit(&slot->process_start, subscriber->process_start,
			      memory_order_relaxed);
	atomic_store_explicit(&slot->abandoned, 0, memory_order_relaxed);
	ZCP_CRASHPOINT("join.after_lanes");
	atomic_store_explicit(&slot->depth_log2, subscriber->depth_log2, memory_order_relaxed);
	atomic_store_explicit(&slot->on_full, subscriber->on_full, memory_order_relaxed);
	atomic_store_explicit(&slot->holder, subscriber->holder, memory_order_relaxed);
	atomic_store_explicit(&slot->signal, subscriber->signal, memory_order_relaxed);
	atomic_store_explicit(&slot->watches, 0, memory_order_relaxed);
	atomic_store_explicit(&slot->n_taken, 0, memory_order_relaxed);
	atomic_store_explicit(&slot->first_lost,
			      atomic_load_explicit(&slot->n_lost, memory_order_relaxed),
			      memory_order_relaxed);
	/* Who finds it there finds all of it. */
	write_member(topic, subscriber);
	set_active(topic, subscriber->slot, true);
}

/* Publishers that wait for room look again, and find the subscriber gone. */
static void wake_blocked(struct zcpd_topic *topic)
{
	for (uint32_t p = 0; p < topic->view.geometry.max_publishers; p++) {
		struct zcp_publisher_slot_shm *slot = &topic->view.publishers[p];

		if (!topic->publishers[p])
			continue;
		/* Relaxed: the fence before has ordered it after the change of `version`. */
		(void)atomic_fetch_add_explicit(&slot->room, 1, memory_order_relaxed);
		zcp_futex_wake_all(&slot->room);
	}
}

void zcpd_subscriber_leave(struct zcpd_topic *topic, struct zcpd_endpoint *subscriber,
			   const struct zcp_signals *signals, const int *signal_fds)
{
	set_active(topic, subscriber->slot, false);
	ZCP_CRASHPOINT("leave.after_inactive");
	zcpd_members_announce(topic, signals, signal_fds);
	zcp_fence_full();
	wake_blocked(topic);
	ZCP_CRASHPOINT("leave.after_wake");
}

static void release_in_sweep(struct zcp_chunk_shm *chunk, uint32_t holder)
{
	ZCP_CRASHPOINT("sweep.before_bit");
	zcp_chunk_release(chunk, holder);
}

void zcpd_subscriber_sweep(struct zcpd_topic *topic, struct zcpd_endpoint *subscriber)
{
	for (uint32_t c = 0; c < topic->pool->view.n_classes; c++) {
		const struct zcp_class *class = &topic->pool->view.classes[c];
		uint32_t n_touched = zcpd_pool_n_touched(topic->pool, c);

		for (uint32_t i = 0; i < n_touched; i++)
			if (zcp_chunk_has_holder(&class->chunks[i], subscriber->holder))
				release_in_sweep(&class->chunks[i], subscriber->holder);
	}
	ZCP_CRASHPOINT("sweep.after_bits");
	reset_lanes(topic, subscriber);
	ZCP_CRASHPOINT("sweep.after_lanes");
}
