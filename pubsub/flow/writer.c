/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loan and publish, step by step.
 */
#include "pubsub/flow/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <zcp/subscriber.h>

#include "pubsub/flow/writer_find.h"
#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/fence.h"
#include "pubsub/shm/memory.h"
#include "pubsub/util.h"

/* Looks at a full lane before sleeping: a reader that runs makes room within these. */
#define ROOM_SPINS 2000
/* Slots between the one that is written and the one that is fetched. */
#define SLOTS_AHEAD 4

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
	writer->class = class;
	writer->state = zcp_chunk_state(options->owner, 0);
	writer->shared_version = &topic->shm->version;
	writer->sleepers = acks->shm->sleepers;
	writer->lanes = zcp_memory_calloc(topic->geometry.max_subscribers, sizeof(writer->lanes[0]),
					  topic->region.memory & ZCP_MEMORY_PREFAULT);
	writer->ways = zcp_memory_calloc(topic->geometry.max_subscribers, sizeof(writer->ways[0]),
					 topic->region.memory & ZCP_MEMORY_PREFAULT);
	r = writer->lanes && writer->ways ?
		    zcp_chunks_init(&writer->chunks, pool, options->class_index, options->owner) :
		    -ENOMEM;
	if (r < 0)
		zcp_writer_deinit(writer);
	return r;
}

void zcp_writer_deinit(struct zcp_writer *writer)
{
	zcp_chunks_deinit(&writer->chunks);
	free(writer->lanes);
	free(writer->ways);
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
	writer->ways[writer->n_active++] = (struct zcp_writer_way){
		.slots = lane->stake.lane.shm->slots,
		.mask = lane->stake.lane.mask,
	};
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
	writer->reusable = writer->room = 0;
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
	version = atomic_load_explicit(writer->shared_version, memory_order_acquire);
	if (__builtin_expect(version != writer->version, 0))
		refresh(writer, version);
}

/* L3 and step 7. */
static inline void leave(struct zcp_writer *writer)
{
	/* OP-R2 pairs with OP-A1 in the runtime's grace period: our pushes are over. */
	atomic_store_explicit(&writer->slot->op, ++writer->op, memory_order_release);
}

/* --- loan --- */

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

/* The usual way: one that is known to have come back. */
static inline struct zcp_chunk_shm *choose(struct zcp_writer *writer, uint32_t *ref)
{
	struct zcp_chunks *chunks = &writer->chunks;
	struct zcp_chunk_shm *chunk = NULL;

	if (__builtin_expect(chunks->oldest_seq < writer->reusable, 1))
		chunk = zcp_chunks_pop_own(chunks, ref);
	if (__builtin_expect(chunk != NULL, 1))
		return chunk;
	*ref = zcp_writer_find(writer);
	return *ref == ZCP_REF_NONE ? NULL : &writer->class->chunks[zcp_ref_index(*ref)];
}

int zcp_writer_loan(struct zcp_writer *writer, uint64_t size, struct zcp_writer_loan *loan)
{
	struct zcp_chunk_shm *chunk;
	uint32_t ref, ticket;

	if (size > writer->options.max_payload)
		return ZCP_WRITER_E_TOO_LARGE;
	if (writer->n_loaned >= writer->options.max_loans)
		return ZCP_WRITER_E_LOANS;
	enter(writer);
	ZCP_CRASHPOINT("loan.after_op");
	chunk = choose(writer, &ref);
	if (__builtin_expect(!chunk, 0))
		return exhausted(writer);
	ticket = ++writer->ticket;
	/* Relaxed, all: the owner's words; `op` orders them for the runtime. */
	atomic_store_explicit(&chunk->state, writer->state | ZCP_CHUNK_LOANED,
			      memory_order_relaxed);
	ZCP_CRASHPOINT("loan.after_claim");
	/* No number yet: whoever recovers us tells the loan that is being published by it. */
	atomic_store_explicit(&chunk->seq, 0, memory_order_relaxed);
	ZCP_CRASHPOINT("loan.after_seq");
	atomic_store_explicit(&chunk->next, ticket, memory_order_relaxed);
	leave(writer);
	writer->n_loaned++;
	loan->chunk = chunk;
	loan->payload = zcp_class_payload(writer->class, zcp_ref_index(ref));
	loan->capacity = writer->class->payload_size;
	loan->ref = ref;
	loan->ticket = ticket;
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
	atomic_store_explicit(&writer->pool->classes[writer->options.class_index].shm->wants_freed,
			      1, memory_order_relaxed);
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
static int announce_wait(struct zcp_writer *writer, enum zcp_woken_through how)
{
	struct zcp_publisher_slot_shm *slot = writer->slot;

	/* Relaxed, both: the fences order them against the taker's look. */
	atomic_store_explicit(&slot->waiting, how, memory_order_relaxed);
	if (!atomic_load_explicit(&slot->has_waited, memory_order_relaxed)) {
		atomic_store_explicit(&slot->has_waited, 1, memory_order_relaxed);
		ZCP_CRASHPOINT("block.after_has_waited");
		return zcp_fence_heavy(writer->options.symmetric);
	}
	zcp_fence_full();
	return 0;
}

/*
 * Outside op: sleeps until a subscriber has made room, left, or joined. Returns as
 * zcp_futex_wait(), or ZCP_WRITER_E_FULL: the runtime may be gone.
 */
static int wait_room(struct zcp_writer *writer, int64_t timeout_ns)
{
	const struct zcp_beside *beside = &writer->options.beside;
	struct zcp_beside_sleep sleep;
	int r;

	zcp_beside_begin(beside, &writer->acks->shm->rooms[writer->options.slot].room, &sleep);
	r = announce_wait(writer, sleep.on_signal ? ZCP_WAITING_BESIDE : ZCP_WAITING_ROOM);
	ZCP_CRASHPOINT("block.after_waiting");
	if (r == 0 && !has_room(writer) &&
	    atomic_load_explicit(writer->shared_version, memory_order_relaxed) == writer->version)
		r = zcp_beside_wait(beside, &sleep, timeout_ns);
	ZCP_CRASHPOINT("block.after_wait");
	atomic_store_explicit(&writer->slot->waiting, 0, memory_order_relaxed);
	if (zcp_beside_end(beside, &sleep) && (r == 0 || r == -ETIMEDOUT))
		return ZCP_WRITER_E_FULL;
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
			if (r != 0 && r != -ETIMEDOUT)
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

/* Step 4, where a lane may be full by our copy of its `tail`, or there is none. */
__attribute__((noinline)) static void push_out(struct zcp_writer *writer,
					       const struct zcp_description *description)
{
	uint64_t room = writer->n_active > 0 ? UINT64_MAX : 0;
	uint32_t n_full = 0;

	for (uint32_t i = 0; i < writer->n_active; i++) {
		struct zcp_writer_lane *lane = &writer->lanes[i];

		if (zcp_lane_is_full(&lane->stake.lane, writer->next_seq, lane->tail))
			n_full += make_room(writer, lane);
		zcp_lane_put(&lane->stake.lane, writer->next_seq, description);
		ZCP_CRASHPOINT("publish.after_push");
		zcp_prefetch_write(zcp_lane_slot(&lane->stake.lane, writer->next_seq + 1));
		if (lane->tail + lane->stake.lane.mask + 1 < room)
			room = lane->tail + lane->stake.lane.mask + 1;
	}
	writer->room = room;
	writer->met = writer->n_active == 0      ? ZCP_MET_NOBODY :
		      n_full == writer->n_active ? ZCP_MET_FULL :
						   0;
}

/*
 * Step 4. What a later publish will write is in the subscribers' caches: fetches it meanwhile, so
 * early that it is there in time, but no slot that a subscriber still has to read.
 */
static inline void push(struct zcp_writer *writer, const struct zcp_description *description)
{
	const struct zcp_writer_way *way = writer->ways, *end = way + writer->n_active;
	uint64_t n = writer->next_seq, ahead = n + SLOTS_AHEAD < writer->room ? n + SLOTS_AHEAD : n;

	do {
		zcp_slot_put(&way->slots[n & way->mask], n, description);
		ZCP_CRASHPOINT("publish.after_push");
		zcp_prefetch_write(&way->slots[ahead & way->mask]);
	} while (++way < end);
	writer->met = 0;
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
	/* Relaxed, all: the light fence against the sleeper's first, heavy one. */
	uint64_t any = atomic_load_explicit(&writer->sleepers[0], memory_order_relaxed) &
		       writer->members[0];

	for (uint32_t w = 1; w < writer->n_words; w++)
		any |= atomic_load_explicit(&writer->sleepers[w], memory_order_relaxed) &
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
	bool is_tight;
	uint64_t n;

	enter(writer);
	ZCP_CRASHPOINT("publish.after_op");
	is_tight = writer->next_seq >= writer->room;
	if (__builtin_expect(is_tight, 0) && writer->n_blocking > 0) {
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
	if (__builtin_expect(is_tight, 0)) {
		/* Another one, so that its members stay in registers on the usual way. */
		const struct zcp_description copy = description;

		push_out(writer, &copy);
	} else {
		push(writer, &description);
	}
	writer->next_seq = n + 1;
	/* SEQ-R1 pairs with SEQ-A1 in the runtime: n was pushed to all that get it. */
	atomic_store_explicit(&writer->slot->next_seq, n + 1, memory_order_release);
	ZCP_CRASHPOINT("publish.after_next_seq");
	atomic_store_explicit(&chunk->state, writer->state, memory_order_release);
	ZCP_CRASHPOINT("publish.after_unloan");
	zcp_chunks_add_published(&writer->chunks, loan->ref, chunk, n);
	writer->n_loaned--;
	leave(writer);
	ZCP_CRASHPOINT("publish.after_leave");
	zcp_fence_light(writer->options.symmetric);
	wake(writer);
	ZCP_CRASHPOINT("publish.after_wake");
	return 0;
}
