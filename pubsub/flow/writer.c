/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loan and publish, step by step.
 */
#include "pubsub/flow/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <zcp/subscriber.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/fence.h"
#include "pubsub/shm/memory.h"
#include "pubsub/util.h"

/* Looks at a full lane before sleeping: a reader that runs makes room within these. */
#define ROOM_SPINS 2000
/* Lanes whose next slot is fetched ahead; more would only push each other out. */
#define PREFETCH_LANES 8
/* Looks of which the most that was in use counts, and chunks that one loan gives back. */
#define LOOKS 8
#define FREE_MAX 64

int zcp_writer_init(struct zcp_writer *writer, const struct zcp_topic *topic,
		    const struct zcp_acks *acks, const struct zcp_pool *pool,
		    const struct zcp_signals *signals, const struct zcp_writer_options *options)
{
	struct zcp_publisher_slot_shm *slot = &topic->publishers[options->slot];
	const struct zcp_class *class = &pool->classes[options->class_index];
	int r;

	if (!class->chunks || class->header_room < options->user_header_size ||
	    class->payload_size < options->max_payload)
		return -EPROTO;
	*writer = (struct zcp_writer){
		.topic = topic,
		.acks = acks,
		.pool = pool,
		.signals = signals,
		.slot = slot,
		.options = *options,
		/* Relaxed: the runtime's answer came after it had settled the slot. */
		.op = atomic_load_explicit(&slot->op, memory_order_relaxed),
		.next_seq = atomic_load_explicit(&slot->next_seq, memory_order_relaxed),
		.version = UINT64_MAX,
		.n_words = (topic->geometry.max_subscribers + 63) / 64,
		.rotation = zcp_rotation(class->payload_size),
		.keep = UINT32_MAX,
	};
	/*
	 * A look costs each subscriber's line a trip, and the subscriber one more at its next take.
	 * Among large messages it is worth while for as many as rotate.
	 */
	writer->look_every = class->payload_size <= ZCP_ROTATION_SMALL_MAX ? 16 : writer->rotation;
	writer->op += writer->op & 1;
	writer->lanes = zcp_memory_calloc(topic->geometry.max_subscribers, sizeof(writer->lanes[0]),
					  topic->region.memory & ZCP_MEMORY_PREFAULT);
	if (!writer->lanes)
		return -ENOMEM;
	r = zcp_chunks_init(&writer->chunks, pool, options->class_index, options->owner);
	if (r < 0)
		zcp_writer_deinit(writer);
	return r;
}

void zcp_writer_deinit(struct zcp_writer *writer)
{
	zcp_chunks_deinit(&writer->chunks);
	free(writer->lanes);
	*writer = (struct zcp_writer){ .topic = NULL };
}

/* --- the membership --- */

static void add_member(struct zcp_writer *writer, uint32_t subscriber, bool is_active)
{
	const struct zcp_subscriber_slot_shm *slot = &writer->topic->subscribers[subscriber];
	/* Relaxed, all: written before `version`, which was acquired. */
	uint32_t signal = atomic_load_explicit(&slot->signal, memory_order_relaxed);
	struct zcp_writer_lane *lane = &writer->lanes[writer->n_lanes++];
	uint64_t base;

	*lane = (struct zcp_writer_lane){ .subscriber = subscriber, .signal_index = signal };
	zcp_stake_init(&lane->stake, writer->topic, writer->acks, writer->options.slot, subscriber);
	if (!is_active) {
		lane->end = zcp_lane_settle(&lane->stake.lane.shm->end, writer->next_seq);
		return;
	}
	/* From here on every message is sent to it. */
	base = zcp_lane_settle(&lane->stake.lane.shm->base, writer->next_seq);
	ZCP_CRASHPOINT("refresh.after_base");
	zcp_lane_begin(&lane->stake.lane, base);
	lane->tail = zcp_lane_bound_tail(&lane->stake.lane, base, writer->next_seq);
	zcp_lane_refresh_tail(&lane->stake.lane, writer->next_seq, &lane->tail);
	lane->blocks = atomic_load_explicit(&slot->on_full, memory_order_relaxed) ==
		       ZCP_ON_FULL_BLOCK;
	writer->n_blocking += lane->blocks;
	lane->is_own = writer->options.node != 0 &&
		       atomic_load_explicit(&slot->session, memory_order_relaxed) ==
			       writer->options.node;
	if (signal < writer->signals->n_signals)
		lane->signal = &writer->signals->signals[signal];
	writer->members[subscriber / 64] |= UINT64_C(1) << (subscriber % 64);
	writer->n_active++;
}

static void add_members(struct zcp_writer *writer, bool is_active)
{
	const struct zcp_topic_shm *shm = writer->topic->shm;

	for (uint32_t w = 0; w < ZCP_TOPIC_SUBSCRIBER_WORDS; w++) {
		/*
		 * MEM-A2 pairs with MEM-R2 in the runtime: the members' slots are complete. `present`
		 * first, which the runtime sets last: a subscriber that joins meanwhile is never
		 * taken for one that is no longer active.
		 */
		uint64_t present = atomic_load_explicit(&shm->present[w], memory_order_acquire);
		uint64_t active = atomic_load_explicit(&shm->active[w], memory_order_acquire);

		/* One that has just ceased to be active is there already: its lane ends at the next op. */
		for (uint64_t left = is_active ? active : present & ~active & ~writer->members[w];
		     left; left &= left - 1) {
			uint32_t s = w * 64 + (uint32_t)__builtin_ctzll(left);

			if (s < writer->topic->geometry.max_subscribers &&
			    writer->n_lanes < writer->topic->geometry.max_subscribers)
				add_member(writer, s, is_active);
		}
	}
}

/*
 * Reads the membership anew, and forgets all that was known of the members before. Inside op, so
 * that no slot read here is reused meanwhile.
 */
__attribute__((noinline)) static void refresh(struct zcp_writer *writer, uint64_t version)
{
	writer->n_lanes = writer->n_active = writer->n_blocking = 0;
	writer->reusable = 0;
	for (uint32_t w = 0; w < ZCP_TOPIC_SUBSCRIBER_WORDS; w++)
		writer->members[w] = 0;
	add_members(writer, true);
	add_members(writer, false);
	writer->version = version;
}

/* L1 and step 1. */
static inline void enter(struct zcp_writer *writer)
{
	uint64_t version;

	/*
	 * OP-R1 pairs with OP-A1 in the runtime's grace period, for the even value before. The light
	 * fence orders it before the load of the membership, against the runtime's heavy one.
	 */
	atomic_store_explicit(&writer->slot->op, ++writer->op, memory_order_release);
	zcp_fence_light(writer->options.symmetric);
	/* MEM-A1 pairs with MEM-R1 in the runtime: `active` and `present` are at least as new. */
	version = atomic_load_explicit(&writer->topic->shm->version, memory_order_acquire);
	if (__builtin_expect(version != writer->version, 0))
		refresh(writer, version);
}

/* L3 and step 7. */
static inline void leave(struct zcp_writer *writer)
{
	/* OP-R2 pairs with OP-A1 in the runtime's grace period: our pushes are over. */
	atomic_store_explicit(&writer->slot->op, ++writer->op, memory_order_release);
}

/* --- what has come back --- */

/* The number that the lane's messages end at: they are bounded by it. */
static inline uint64_t end_of(const struct zcp_writer *writer, uint32_t lane)
{
	return lane < writer->n_active ? writer->next_seq : writer->lanes[lane].end;
}

/* All below `released` are given back, those that were exceptions too. */
static void believe(struct zcp_stake_look *given, uint64_t released)
{
	uint32_t n = 0;

	if ((int64_t)(released - given->below) > 0)
		given->below = released;
	while (n < given->n_exceptions && given->exceptions[n] < released)
		n++;
	given->n_exceptions -= n;
	for (uint32_t e = 0; n > 0 && e < given->n_exceptions; e++)
		given->exceptions[e] = given->exceptions[e + n];
}

/* Takes the active subscribers' word for what they have released. */
static void read_released(struct zcp_writer *writer)
{
	for (uint32_t i = 0; i < writer->n_active; i++) {
		struct zcp_writer_lane *lane = &writer->lanes[i];
		/* ACK-A5 pairs with ACK-R3 in reader.c: what was read of these is over. */
		uint64_t released = atomic_load_explicit(&lane->stake.lane.ack->released,
							 memory_order_acquire);

		/* Signed: a peer may say anything. */
		believe(&lane->given, (int64_t)(released - writer->next_seq) > 0 ?
					      writer->next_seq :
					      released);
	}
}

/*
 * What is set aside is looked at by itself: however many of those are held for long, there are
 * exceptions left for the others.
 */
static void look(struct zcp_writer *writer)
{
	for (uint32_t i = 0; i < writer->n_active; i++)
		zcp_stake_look(&writer->lanes[i].stake, writer->chunks.oldest_seq,
			       writer->next_seq, &writer->lanes[i].given);
}

/* There may be more that have come back than can be told at once. */
static bool is_cut(const struct zcp_writer *writer)
{
	for (uint32_t i = 0; i < writer->n_active; i++)
		if (writer->lanes[i].given.n_exceptions == ZCP_STAKE_EXCEPTIONS)
			return true;
	return false;
}

/* The first message from `seq` on that is an exception. */
static uint64_t first_held(const struct zcp_writer *writer, uint64_t seq)
{
	uint64_t first = UINT64_MAX;

	for (uint32_t i = 0; i < writer->n_active; i++) {
		const struct zcp_stake_look *given = &writer->lanes[i].given;

		for (uint32_t e = 0; e < given->n_exceptions; e++)
			if (given->exceptions[e] >= seq && given->exceptions[e] < first)
				first = given->exceptions[e];
	}
	return first;
}

/*
 * The first message from `seq` on that was promised to a subscriber, or that one still has that is
 * no longer active: what lies behind it comes back all the same.
 */
static uint64_t first_left(const struct zcp_writer *writer, uint64_t seq)
{
	uint64_t first = UINT64_MAX;

	for (uint32_t i = 0; i < writer->n_lanes; i++) {
		const struct zcp_writer_lane *lane = &writer->lanes[i];
		uint64_t theirs = lane->given.promised > seq ? lane->given.promised : seq;

		if (i >= writer->n_active)
			theirs = zcp_stake_first(&lane->stake, lane->end, seq);
		else if (theirs >= lane->given.base)
			continue;
		if (theirs < first)
			first = theirs;
	}
	return first;
}

/* For the active ones: all published messages below have come back, but the exceptions. */
static uint64_t bound_of(const struct zcp_writer *writer)
{
	uint64_t history = writer->options.history;
	uint64_t bound = writer->next_seq > history ? writer->next_seq - history : 0;

	for (uint32_t i = 0; i < writer->n_active; i++)
		if ((int64_t)(bound - writer->lanes[i].given.below) > 0)
			bound = writer->lanes[i].given.below;
	return bound;
}

/* The first message from `seq` on that has not come back, at most `bound`. */
static uint64_t first_used(const struct zcp_writer *writer, uint64_t seq, uint64_t bound)
{
	uint64_t held = first_held(writer, seq), left = first_left(writer, seq);

	if (held < bound)
		bound = held;
	return left < bound ? left : bound;
}

/*
 * Sets those aside that are held while the ones behind them have come back. Returns the number
 * below which those at the head of the list have come back.
 */
static uint64_t clear_head(struct zcp_writer *writer)
{
	struct zcp_chunks *chunks = &writer->chunks;
	uint64_t bound = bound_of(writer), used;

	while (chunks->oldest_seq < bound) {
		used = first_used(writer, chunks->oldest_seq, bound);
		if (used != chunks->oldest_seq)
			return used;
		zcp_chunks_set_aside(chunks);
	}
	return bound;
}

static bool is_used(const struct zcp_writer *writer, uint64_t seq)
{
	if (seq + writer->options.history >= writer->next_seq)
		return true;
	for (uint32_t i = 0; i < writer->n_lanes; i++)
		if (zcp_stake_use(&writer->lanes[i].stake, end_of(writer, i), seq))
			return true;
	return false;
}

/*
 * The published chunks that have come back, those behind a held one too. As long as there are as many
 * as rotate the publisher claims no other: that would be one that was reserved for another publisher.
 */
static uint32_t n_back(const struct zcp_writer *writer)
{
	const struct zcp_chunks *chunks = &writer->chunks;
	uint64_t bound = bound_of(writer), seq = chunks->oldest_seq, n = 0;

	/* Each step passes over one that is used: no more than there are, whatever peers say. */
	for (uint32_t n_used = 0; seq < bound && n_used < chunks->published.n; n_used++) {
		uint64_t used = first_used(writer, seq, bound);

		n += used - seq;
		seq = used + 1;
	}
	return n < chunks->published.n ? (uint32_t)n : chunks->published.n;
}

/* A former publisher of the slot may have used another size class. */
static bool is_own_class(const struct zcp_writer *writer, uint32_t ref)
{
	return zcp_ref_class(ref) == writer->options.class_index;
}

/* One that was set aside and has come back; looks at each once. */
static uint32_t from_aside(struct zcp_writer *writer)
{
	struct zcp_chunks *chunks = &writer->chunks;

	for (uint32_t n = chunks->aside.n; n > 0; n--) {
		uint32_t ref = zcp_chunk_list_pop(chunks, &chunks->aside);
		const struct zcp_chunk_shm *chunk = zcp_pool_descriptor(chunks->pool, ref);

		if (!chunk)
			break;
		/* Relaxed: ours. */
		if (is_used(writer, atomic_load_explicit(&chunk->seq, memory_order_relaxed)))
			zcp_chunks_put_aside(chunks, ref);
		else if (is_own_class(writer, ref))
			return ref;
		else
			zcp_chunks_free(chunks, ref);
	}
	return ZCP_REF_NONE;
}

/* What exceeds the most that was in use lately, and what rotates, goes back to the pool. */
static void give_back(struct zcp_writer *writer, uint64_t bound, uint32_t back)
{
	struct zcp_chunks *chunks = &writer->chunks;
	uint32_t in_use = chunks->published.n - back;

	if (in_use > writer->most_in_use)
		writer->most_in_use = in_use;
	if (++writer->n_looks >= LOOKS) {
		uint32_t ref = chunks->aside.n > 0 ? from_aside(writer) : ZCP_REF_NONE;

		if (ref != ZCP_REF_NONE)
			zcp_chunks_free(chunks, ref);
		writer->keep = writer->most_in_use + writer->rotation;
		writer->most_in_use = in_use;
		writer->n_looks = 0;
	}
	for (int i = 0; i < FREE_MAX && chunks->published.n > writer->keep &&
			chunks->oldest_seq < bound;
	     i++)
		zcp_chunks_free(chunks, zcp_chunks_pop_oldest(chunks));
}

/*
 * The oldest one that has come back; those of a size class that a former publisher of the slot
 * used are given back on the way.
 */
static uint32_t from_published(struct zcp_writer *writer, uint64_t bound)
{
	struct zcp_chunks *chunks = &writer->chunks;

	while (chunks->published.n > 0 && chunks->oldest_seq < bound) {
		uint32_t ref = zcp_chunks_pop_oldest(chunks);

		if (ref == ZCP_REF_NONE || is_own_class(writer, ref))
			return ref;
		zcp_chunks_free(chunks, ref);
	}
	return ZCP_REF_NONE;
}

static uint32_t from_spare(struct zcp_writer *writer)
{
	struct zcp_chunks *chunks = &writer->chunks;

	while (chunks->spare.n > 0) {
		uint32_t ref = zcp_chunk_list_pop(chunks, &chunks->spare);

		if (ref == ZCP_REF_NONE || is_own_class(writer, ref))
			return ref;
		zcp_chunks_free(chunks, ref);
	}
	return ZCP_REF_NONE;
}

/* What is known to have come back may be taken without a look, up to look_every. */
static void set_reusable(struct zcp_writer *writer, uint64_t bound)
{
	uint64_t oldest = writer->chunks.oldest_seq;

	writer->reusable = bound > oldest && bound - oldest >= writer->look_every ?
				   oldest + writer->look_every - 1 :
				   bound;
}

/*
 * The usual way has found nothing: what has come back by the subscribers' word, then exactly, if
 * that leaves as many as rotate; one that was set aside, a spare one, a FREE one; and last what
 * else has come back, whose lines are perhaps still being read.
 */
__attribute__((noinline)) static uint32_t find(struct zcp_writer *writer)
{
	struct zcp_chunks *chunks = &writer->chunks;
	uint32_t ref = ZCP_REF_NONE, back;
	uint64_t bound;

	read_released(writer);
	bound = clear_head(writer);
	back = n_back(writer);
	/* Again where held ones were set aside, and there may be more of them. */
	while (back < writer->rotation) {
		uint64_t oldest = chunks->oldest_seq;

		look(writer);
		bound = clear_head(writer);
		back = n_back(writer);
		if (chunks->oldest_seq == oldest || !is_cut(writer))
			break;
	}
	give_back(writer, bound, back);
	if (back >= writer->rotation || is_cut(writer))
		ref = from_published(writer, bound);
	if (ref == ZCP_REF_NONE && chunks->aside.n > 0)
		ref = from_aside(writer);
	if (ref == ZCP_REF_NONE)
		ref = from_spare(writer);
	if (ref == ZCP_REF_NONE)
		ref = zcp_chunks_claim(chunks);
	if (ref == ZCP_REF_NONE)
		ref = from_published(writer, bound);
	set_reusable(writer, bound);
	return ref;
}

static int exhausted(struct zcp_writer *writer)
{
	leave(writer);
	/* Relaxed: a count, and ours alone. */
	atomic_store_explicit(
		&writer->slot->n_exhausted,
		atomic_load_explicit(&writer->slot->n_exhausted, memory_order_relaxed) + 1,
		memory_order_relaxed);
	return ZCP_WRITER_E_EXHAUSTED;
}

int zcp_writer_loan(struct zcp_writer *writer, uint64_t size, struct zcp_writer_loan *loan)
{
	const struct zcp_class *class = &writer->pool->classes[writer->options.class_index];
	struct zcp_chunk_shm *chunk;
	uint32_t ref;

	if (size > writer->options.max_payload)
		return ZCP_WRITER_E_TOO_LARGE;
	if (writer->n_loaned >= writer->options.max_loans)
		return ZCP_WRITER_E_LOANS;
	enter(writer);
	ZCP_CRASHPOINT("loan.after_op");
	if (__builtin_expect(writer->chunks.oldest_seq < writer->reusable &&
				     is_own_class(writer, writer->chunks.published.first),
			     1))
		ref = zcp_chunks_pop_oldest(&writer->chunks);
	else
		ref = find(writer);
	if (__builtin_expect(ref == ZCP_REF_NONE, 0))
		return exhausted(writer);
	chunk = &class->chunks[zcp_ref_index(ref)];
	/* Relaxed, all: the owner's words; `op` orders them for the runtime. */
	atomic_store_explicit(&chunk->state, zcp_chunk_state(writer->options.owner, ZCP_CHUNK_LOANED),
			      memory_order_relaxed);
	ZCP_CRASHPOINT("loan.after_claim");
	/* No number yet: whoever recovers us tells the loan that is being published by it. */
	atomic_store_explicit(&chunk->seq, 0, memory_order_relaxed);
	ZCP_CRASHPOINT("loan.after_seq");
	atomic_store_explicit(&chunk->next, ++writer->ticket, memory_order_relaxed);
	leave(writer);
	writer->n_loaned++;
	loan->chunk = chunk;
	loan->payload = zcp_class_payload(class, zcp_ref_index(ref));
	loan->capacity = class->payload_size;
	loan->ref = ref;
	loan->ticket = writer->ticket;
	return 0;
}

void zcp_writer_discard(struct zcp_writer *writer, const struct zcp_writer_loan *loan)
{
	enter(writer);
	writer->n_loaned--;
	if (writer->chunks.spare.n < writer->rotation)
		zcp_chunks_add_spare(&writer->chunks, loan->ref);
	else
		zcp_chunks_free(&writer->chunks, loan->ref);
	ZCP_CRASHPOINT("discard.after_unloan");
	leave(writer);
}

void zcp_writer_want_freed(const struct zcp_writer *writer)
{
	/* Relaxed: as if the runtime had said so a moment later. */
	atomic_store_explicit(
		&writer->pool->classes[writer->options.class_index].shm->wants_freed, 1,
		memory_order_relaxed);
}

/* --- blocking lanes --- */

/* Whether it has no room, and is to be waited for. */
static bool is_in_the_way(const struct zcp_writer *writer, struct zcp_writer_lane *lane)
{
	const struct zcp_lane *shared = &lane->stake.lane;

	if (!lane->blocks || !zcp_lane_is_full(shared, writer->next_seq, lane->tail))
		return false;
	zcp_lane_refresh_tail(shared, writer->next_seq, &lane->tail);
	return zcp_lane_is_full(shared, writer->next_seq, lane->tail);
}

static bool has_room(struct zcp_writer *writer)
{
	for (uint32_t i = 0; i < writer->n_active; i++)
		if (is_in_the_way(writer, &writer->lanes[i]))
			return false;
	return true;
}

bool zcp_writer_waits_for_itself(struct zcp_writer *writer)
{
	for (uint32_t i = 0; i < writer->n_active; i++)
		if (writer->lanes[i].is_own && is_in_the_way(writer, &writer->lanes[i]))
			return true;
	return false;
}

/*
 * Says that it is about to sleep. The first time one heavy fence makes those that take look at
 * `waiting`, behind their store of `tail`; from then on both sides make a full fence.
 */
static int announce_wait(struct zcp_writer *writer)
{
	struct zcp_publisher_slot_shm *slot = writer->slot;

	/* Relaxed, both: the fences order them against the taker's look. */
	atomic_store_explicit(&slot->waiting, 1, memory_order_relaxed);
	if (!atomic_load_explicit(&slot->has_waited, memory_order_relaxed)) {
		atomic_store_explicit(&slot->has_waited, 1, memory_order_relaxed);
		ZCP_CRASHPOINT("block.after_has_waited");
		return zcp_fence_heavy(writer->options.symmetric);
	}
	zcp_fence_full();
	return 0;
}

/* Outside op: sleeps until a subscriber has made room, left, or joined. */
static int wait_room(struct zcp_writer *writer, int64_t timeout_ns)
{
	_Atomic uint32_t *word = &writer->acks->shm->rooms[writer->options.slot].room;
	/* Acquire, so that it stays before the second look. */
	uint32_t room = atomic_load_explicit(word, memory_order_acquire);
	int r = announce_wait(writer);

	ZCP_CRASHPOINT("block.after_waiting");
	if (r == 0 && !has_room(writer) &&
	    atomic_load_explicit(&writer->topic->shm->version, memory_order_relaxed) ==
		    writer->version)
		r = zcp_futex_wait(word, room, timeout_ns);
	ZCP_CRASHPOINT("block.after_wait");
	atomic_store_explicit(&writer->slot->waiting, 0, memory_order_relaxed);
	return r;
}

/* Step 2. On return 0 we are inside op and every blocking lane has room. */
__attribute__((noinline)) static int block(struct zcp_writer *writer, int64_t timeout_ns)
{
	uint64_t deadline = timeout_ns > 0 ? zcp_now_ns() + (uint64_t)timeout_ns : 0;

	for (uint32_t spins = 0; !has_room(writer); spins++) {
		int64_t left = timeout_ns;
		int r;

		leave(writer);
		ZCP_CRASHPOINT("publish.after_full");
		if (timeout_ns == 0)
			return ZCP_WRITER_E_FULL;
		if (spins >= ROOM_SPINS) {
			if (timeout_ns > 0) {
				uint64_t now = zcp_now_ns();

				if (now >= deadline)
					return ZCP_WRITER_E_FULL;
				left = (int64_t)(deadline - now);
			}
			r = wait_room(writer, left);
			if (r < 0 && r != -ETIMEDOUT)
				return r;
		} else {
			zcp_cpu_relax();
		}
		enter(writer);
	}
	return 0;
}

/* --- publish --- */

/* The lane is full by our copy of `tail`: reads it again, and makes room where it is so. */
static bool make_room(struct zcp_writer *writer, struct zcp_writer_lane *lane)
{
	const struct zcp_lane *shared = &lane->stake.lane;
	uint64_t n = writer->next_seq, oldest;

	zcp_lane_refresh_tail(shared, n, &lane->tail);
	if (!zcp_lane_is_full(shared, n, lane->tail))
		return false;
	oldest = lane->tail;
	/* On a blocking lane there was room, whatever it says now. */
	if (!zcp_lane_push_out(shared, n, &lane->tail))
		return false;
	/* Nobody has it, and nobody will: we need not look. */
	if (lane->given.below == oldest)
		lane->given.below = oldest + 1;
	ZCP_CRASHPOINT("publish.after_drop");
	return true;
}

/* Step 4. */
static inline void push(struct zcp_writer *writer, const struct zcp_description *description)
{
	uint32_t n_full = 0;

	for (uint32_t i = 0; i < writer->n_active; i++) {
		struct zcp_writer_lane *lane = &writer->lanes[i];

		if (__builtin_expect(zcp_lane_is_full(&lane->stake.lane, writer->next_seq,
						      lane->tail),
				     0))
			n_full += make_room(writer, lane);
		zcp_lane_put(&lane->stake.lane, writer->next_seq, description);
		ZCP_CRASHPOINT("publish.after_push");
	}
	writer->met = n_full < writer->n_active ? 0 : n_full ? ZCP_MET_FULL : ZCP_MET_NOBODY;
}

__attribute__((noinline)) static void wake_sleepers(struct zcp_writer *writer)
{
	const struct zcp_acks_shm *shm = writer->acks->shm;

	zcp_fence_full();
	for (uint32_t i = 0; i < writer->n_active; i++) {
		struct zcp_writer_lane *lane = &writer->lanes[i];
		uint64_t word = atomic_load_explicit(&shm->sleepers[lane->subscriber / 64],
						     memory_order_relaxed);
		uint64_t before = lane->woken;

		if (lane->signal && (word >> (lane->subscriber % 64) & 1) &&
		    zcp_signal_wake_sleeper(lane->signal, &lane->woken) && writer->options.wake_fd)
			writer->options.wake_fd(lane->signal_index, writer->options.user);
		if (lane->woken != before)
			writer->met |= ZCP_MET_ASLEEP;
	}
}

/* Step 7, after op is even: those that sleep. */
static inline void wake(struct zcp_writer *writer)
{
	const struct zcp_acks_shm *shm = writer->acks->shm;
	uint64_t any = 0;

	/* Relaxed: the light fence against the sleeper's first, heavy one. */
	for (uint32_t w = 0; w < writer->n_words; w++)
		any |= atomic_load_explicit(&shm->sleepers[w], memory_order_relaxed) &
		       writer->members[w];
	if (__builtin_expect(any != 0, 0))
		wake_sleepers(writer);
}

/* The chunk that the next loan most likely takes. */
static inline uint32_t next_ref(const struct zcp_writer *writer)
{
	return writer->chunks.oldest_seq < writer->reusable ? writer->chunks.published.first :
							      writer->chunks.spare.first;
}

/* What the next publish will write is in the subscribers' caches: fetch it meanwhile. */
static inline void prefetch(const struct zcp_writer *writer)
{
	uint32_t n = writer->n_active < PREFETCH_LANES ? writer->n_active : PREFETCH_LANES;

	for (uint32_t i = 0; i < n; i++)
		zcp_prefetch_write(zcp_lane_slot(&writer->lanes[i].stake.lane, writer->next_seq));
}

int zcp_writer_publish(struct zcp_writer *writer, const struct zcp_writer_loan *loan, uint64_t size,
		       int64_t timeout_ns)
{
	struct zcp_chunk_shm *chunk = loan->chunk;
	struct zcp_description description = {
		.size = size,
		.publisher_id = writer->options.publisher_id,
		.user_header_size = writer->options.user_header_size,
		.ref = loan->ref,
	};
	uint64_t n;

	enter(writer);
	ZCP_CRASHPOINT("publish.after_op");
	if (__builtin_expect(writer->n_blocking > 0, 0)) {
		int r = block(writer, timeout_ns);

		if (r != 0)
			return r;
	}
	n = writer->next_seq;
	description.publish_time_ns = writer->options.timestamps ? zcp_now_ns() : 0;
	description.next_ref = next_ref(writer);
	/* Relaxed, all: `op` orders them for the runtime, and nobody else looks. */
	atomic_store_explicit(&chunk->size, size, memory_order_relaxed);
	atomic_store_explicit(&chunk->publish_time_ns, description.publish_time_ns,
			      memory_order_relaxed);
	atomic_store_explicit(&chunk->publisher_id, description.publisher_id, memory_order_relaxed);
	atomic_store_explicit(&chunk->user_header_size, description.user_header_size,
			      memory_order_relaxed);
	ZCP_CRASHPOINT("publish.after_descriptor");
	/*
	 * Release, for a runtime that finds the number of a publisher that died here: the description
	 * is there. On the way to subscribers LANE-R1 orders it.
	 */
	atomic_store_explicit(&chunk->seq, n, memory_order_release);
	ZCP_CRASHPOINT("publish.after_seq");
	push(writer, &description);
	writer->next_seq = n + 1;
	/* SEQ-R1 pairs with SEQ-A1 in the runtime: n was pushed to all that get it. */
	atomic_store_explicit(&writer->slot->next_seq, n + 1, memory_order_release);
	ZCP_CRASHPOINT("publish.after_next_seq");
	atomic_store_explicit(&chunk->state, zcp_chunk_state(writer->options.owner, 0),
			      memory_order_release);
	ZCP_CRASHPOINT("publish.after_unloan");
	zcp_chunks_add_published(&writer->chunks, loan->ref, chunk, n);
	writer->n_loaned--;
	leave(writer);
	ZCP_CRASHPOINT("publish.after_leave");
	zcp_fence_light(writer->options.symmetric);
	wake(writer);
	ZCP_CRASHPOINT("publish.after_wake");
	prefetch(writer);
	return 0;
}
