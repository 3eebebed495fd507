/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loan and publish, step by step.
 */
#include "pubsub/shm/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <zcp/subscriber.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/fence.h"
#include "pubsub/shm/memory.h"
#include "pubsub/util.h"

/* So many in a row that nobody had room for: nobody waits for the next one either. */
#define UNREAD_MAX 64
/* Looks at a full lane before sleeping: a reader that runs makes room within these. */
#define ROOM_SPINS 2000
/*
 * Rounds over the pool, as long as others claim chunks meanwhile: each makes it less likely by
 * much that the free ones are missed again. Whoever only pretends to does not hold us for ever.
 */
#define ROUNDS_MAX 1000
/* Lanes whose next slot is fetched ahead; more would only push each other out. */
#define PREFETCH_LANES 8

int zcp_writer_init(struct zcp_writer *writer, const struct zcp_topic *topic,
		    const struct zcp_pool *pool, const struct zcp_signals *signals,
		    const struct zcp_writer_options *options)
{
	struct zcp_publisher_slot_shm *slot = &topic->publishers[options->slot];
	bool prefault = topic->region.memory & ZCP_MEMORY_PREFAULT;

	*writer = (struct zcp_writer){
		.topic = topic,
		.pool = pool,
		.signals = signals,
		.slot = slot,
		.options = *options,
		/* Relaxed: the runtime's answer came after it had settled the slot. */
		.op = atomic_load_explicit(&slot->op, memory_order_relaxed),
		.next_seq = atomic_load_explicit(&slot->next_seq, memory_order_relaxed),
		.version = UINT64_MAX,
	};
	writer->op += writer->op & 1;
	zcp_claim_init(&writer->claim, options->owner);
	writer->options.kept = NULL;
	writer->lanes = zcp_memory_calloc(topic->geometry.max_subscribers, sizeof(writer->lanes[0]),
					  prefault);
	if (options->history > 0)
		writer->retained = zcp_memory_calloc(options->history, sizeof(writer->retained[0]),
						     prefault);
	if (!writer->lanes || (options->history > 0 && !writer->retained)) {
		zcp_writer_deinit(writer);
		return -ENOMEM;
	}
	for (uint32_t i = 0; options->kept && i < options->kept->n_entries; i++)
		if (writer->n_retained < options->history)
			writer->retained[writer->n_retained++] = options->kept->entries[i].ref;
	for (uint32_t i = 0; i < pool->n_classes; i++) {
		int r = zcp_writer_add_class(writer, i);

		if (r < 0) {
			zcp_writer_deinit(writer);
			return r;
		}
	}
	return 0;
}

void zcp_writer_deinit(struct zcp_writer *writer)
{
	zcp_claim_deinit(&writer->claim);
	free(writer->lanes);
	free(writer->retained);
	*writer = (struct zcp_writer){ .topic = NULL };
}

int zcp_writer_add_class(struct zcp_writer *writer, uint32_t class_index)
{
	const struct zcp_class *classes = writer->pool->classes;
	uint32_t at = writer->n_classes;
	int r;

	if (!classes[class_index].chunks)
		return 0;
	for (uint32_t i = 0; i < writer->n_classes; i++)
		if (writer->by_size[i] == class_index)
			return 0;
	if (classes[class_index].header_room < writer->options.user_header_size)
		return -EPROTO;
	r = zcp_claim_add_class(&writer->claim, writer->pool, class_index);
	if (r < 0)
		return r;
	for (; at > 0 &&
	       classes[writer->by_size[at - 1]].payload_size > classes[class_index].payload_size;
	     at--)
		writer->by_size[at] = writer->by_size[at - 1];
	writer->by_size[at] = class_index;
	writer->n_classes++;
	return 0;
}

static int exhausted(struct zcp_writer *writer)
{
	/* Relaxed: a count, and ours alone. */
	atomic_store_explicit(
		&writer->slot->n_exhausted,
		atomic_load_explicit(&writer->slot->n_exhausted, memory_order_relaxed) + 1,
		memory_order_relaxed);
	return ZCP_WRITER_E_EXHAUSTED;
}

/* One round over the classes from by_size[first] on; adds up the generations. */
static bool claim_any(struct zcp_writer *writer, uint32_t first, uint32_t *ref,
		      uint64_t *generations)
{
	for (uint32_t i = first; i < writer->n_classes; i++) {
		uint32_t class_index = writer->by_size[i], index;

		if (zcp_claim_take(&writer->claim, &writer->pool->classes[class_index], class_index,
				   &index, generations) == 0) {
			writer->n_loaned++;
			*ref = zcp_ref(class_index, index);
			return true;
		}
	}
	return false;
}

int zcp_writer_loan(struct zcp_writer *writer, uint64_t size, uint32_t *ref)
{
	uint64_t before = 0;
	uint32_t first = 0;

	if (writer->options.max_payload && size > writer->options.max_payload)
		return ZCP_WRITER_E_TOO_LARGE;
	while (first < writer->n_classes &&
	       writer->pool->classes[writer->by_size[first]].payload_size < size)
		first++;
	if (first == writer->n_classes)
		return ZCP_WRITER_E_TOO_LARGE;
	if (writer->n_loaned >= writer->options.max_loans)
		return ZCP_WRITER_E_LOANS;
	for (int round = 0; round < ROUNDS_MAX; round++) {
		uint64_t generations = 0;

		if (claim_any(writer, first, ref, &generations))
			return 0;
		/* The same as before: nothing was claimed, so nothing was free in between. */
		if (round > 0 && generations == before)
			break;
		before = generations;
	}
	return exhausted(writer);
}

bool zcp_writer_owns(const struct zcp_writer *writer, uint32_t ref)
{
	struct zcp_chunk chunk;
	uint64_t state;

	if (!zcp_pool_chunk(writer->pool, ref, &chunk))
		return false;
	/* Relaxed: if it is ours, we wrote it. */
	state = atomic_load_explicit(&chunk.descriptor->state, memory_order_relaxed);
	return (state & ZCP_CHUNK_LOANED) && zcp_state_owner(state) == writer->options.owner;
}

uint32_t zcp_writer_generation(const struct zcp_writer *writer, uint32_t ref)
{
	struct zcp_chunk chunk;

	if (!zcp_pool_chunk(writer->pool, ref, &chunk))
		return 0;
	/* Relaxed: if it is ours, we wrote it. */
	return zcp_state_generation(
		atomic_load_explicit(&chunk.descriptor->state, memory_order_relaxed));
}

/* Takes LOANED off; the release makes the chunk's content the next owner's past. */
static void unloan(struct zcp_writer *writer, struct zcp_chunk_shm *chunk, uint32_t generation,
		   uint64_t flags)
{
	/* CHUNK-R1 pairs with CHUNK-A1 in is_free(), and in the runtime's look at history. */
	atomic_store_explicit(&chunk->state, zcp_state(generation, writer->options.owner, flags),
			      memory_order_release);
	writer->n_loaned--;
}

/* Step 7': remembers the message that has just become history; the oldest is none any more. */
__attribute__((noinline)) static void retain(struct zcp_writer *writer, uint32_t ref)
{
	uint32_t history = writer->options.history;
	uint32_t *oldest = &writer->retained[writer->first_retained];
	struct zcp_chunk chunk;

	if (writer->n_retained < history) {
		writer->retained[(writer->first_retained + writer->n_retained++) % history] = ref;
		return;
	}
	if (zcp_pool_chunk(writer->pool, *oldest, &chunk))
		/*
		 * Release: the chunk is free for anybody's claim from here on (CHUNK-A1), unless
		 * it has holders. PINNED stays as the runtime has it.
		 */
		(void)atomic_fetch_and_explicit(&chunk.descriptor->state, ~ZCP_CHUNK_RETAINED,
						memory_order_release);
	ZCP_CRASHPOINT("publish.after_let_go");
	*oldest = ref;
	writer->first_retained = (writer->first_retained + 1) % history;
}

void zcp_writer_discard(struct zcp_writer *writer, uint32_t ref)
{
	struct zcp_chunk chunk;

	if (!zcp_pool_chunk(writer->pool, ref, &chunk))
		return;
	unloan(writer, chunk.descriptor, zcp_writer_generation(writer, ref), 0);
	ZCP_CRASHPOINT("discard.after_unloan");
	zcp_claim_dropped(&writer->claim, zcp_ref_class(ref), zcp_ref_index(ref));
}

static void add_member(struct zcp_writer *writer, uint32_t subscriber)
{
	const struct zcp_subscriber_slot_shm *slot = &writer->topic->subscribers[subscriber];
	/* Relaxed: written before `active`, which was acquired. */
	uint32_t holder = atomic_load_explicit(&slot->holder, memory_order_relaxed);
	uint32_t signal = atomic_load_explicit(&slot->signal, memory_order_relaxed);
	struct zcp_writer_lane *lane = &writer->lanes[writer->n_lanes];

	if (holder >= ZCP_HOLDERS_MAX)
		return;
	*lane = (struct zcp_writer_lane){
		.lane = zcp_topic_lane(writer->topic, writer->options.slot, subscriber,
				       atomic_load_explicit(&slot->depth_log2,
							    memory_order_relaxed)),
		.subscriber = subscriber,
		.holder = holder,
		.blocks = atomic_load_explicit(&slot->on_full, memory_order_relaxed) ==
			  ZCP_ON_FULL_BLOCK,
	};
	if (signal < writer->signals->n_signals)
		lane->signal = &writer->signals->signals[signal];
	lane->signal_index = signal;
	if (lane->blocks)
		writer->n_blocking++;
	writer->members[subscriber / 64] |= UINT64_C(1) << (subscriber % 64);
	writer->holders[holder / 64] |= UINT64_C(1) << (holder % 64);
	writer->n_lanes++;
}

/* Reads the membership anew. Inside op, so that no slot read here is reused meanwhile. */
__attribute__((noinline)) static void refresh(struct zcp_writer *writer, uint64_t version)
{
	struct zcp_topic_shm *shm = writer->topic->shm;

	writer->n_lanes = 0;
	writer->n_blocking = 0;
	for (int i = 0; i < ZCP_HOLDER_WORDS; i++)
		writer->holders[i] = 0;
	for (uint32_t w = 0; w < ZCP_TOPIC_SUBSCRIBER_WORDS; w++) {
		/* TOPIC-A1 pairs with TOPIC-R1 in set_active(): its slot is complete. */
		uint64_t active = atomic_load_explicit(&shm->active[w], memory_order_acquire);

		writer->members[w] = 0;
		for (; active; active &= active - 1) {
			uint32_t s = w * 64 + (uint32_t)__builtin_ctzll(active);

			if (s < writer->topic->geometry.max_subscribers)
				add_member(writer, s);
		}
	}
	writer->version = version;
}

static void enter(struct zcp_writer *writer)
{
	uint64_t version;

	/*
	 * Relaxed, and ordered before the load of the membership by the light fence against
	 * the runtime's heavy one.
	 */
	atomic_store_explicit(&writer->slot->op, ++writer->op, memory_order_relaxed);
	ZCP_CRASHPOINT("publish.after_op");
	zcp_fence_light(writer->options.symmetric);
	/* TOPIC-A2 pairs with TOPIC-R2 in the runtime: `active` is at least as new. */
	version = atomic_load_explicit(&writer->topic->shm->version, memory_order_acquire);
	if (__builtin_expect(version != writer->version, 0))
		refresh(writer, version);
}

static void leave(struct zcp_writer *writer)
{
	/* OP-R1 pairs with OP-A1 in the runtime's grace period: our pushes are over. */
	atomic_store_explicit(&writer->slot->op, ++writer->op, memory_order_release);
}

static bool has_room(const struct zcp_writer *writer)
{
	for (uint32_t i = 0; i < writer->n_lanes; i++)
		if (writer->lanes[i].blocks &&
		    !zcp_lane_has_room(&writer->lanes[i].lane, writer->next_seq))
			return false;
	return true;
}

/* Outside op: sleeps until a subscriber has made room, left, or joined. */
static int wait_room(struct zcp_writer *writer, int64_t timeout_ns)
{
	struct zcp_publisher_slot_shm *slot = writer->slot;
	/* Acquire, so that it stays before the second look. */
	uint32_t room = atomic_load_explicit(&slot->room, memory_order_acquire);
	int r = 0;

	/* Relaxed: the full fence orders it against the taker's look at `waiting`. */
	atomic_store_explicit(&slot->waiting, 1, memory_order_relaxed);
	zcp_fence_full();
	ZCP_CRASHPOINT("block.after_waiting");
	if (!has_room(writer) && atomic_load_explicit(&writer->topic->shm->version,
						      memory_order_relaxed) == writer->version)
		r = zcp_futex_wait(&slot->room, room, timeout_ns);
	ZCP_CRASHPOINT("block.after_wait");
	atomic_store_explicit(&slot->waiting, 0, memory_order_relaxed);
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
			if (r == -EINTR)
				return r;
		} else {
			zcp_cpu_relax();
		}
		enter(writer);
	}
	return 0;
}

/* Step 5: the lanes, and what falls out of them. */
static void push(struct zcp_writer *writer, uint32_t ref)
{
	uint32_t n_full = 0;

	for (uint32_t i = 0; i < writer->n_lanes; i++) {
		struct zcp_writer_lane *lane = &writer->lanes[i];
		struct zcp_chunk old;
		uint32_t dropped;

		if (!zcp_lane_push(&lane->lane, writer->next_seq, ref, &dropped)) {
			ZCP_CRASHPOINT("publish.after_push");
			continue;
		}
		ZCP_CRASHPOINT("publish.after_replace");
		n_full++;
		if (!zcp_pool_chunk(writer->pool, dropped, &old))
			continue;
		zcp_chunk_release(old.descriptor, lane->holder);
		ZCP_CRASHPOINT("publish.after_drop");
		zcp_claim_dropped(&writer->claim, zcp_ref_class(dropped), zcp_ref_index(dropped));
	}
	writer->n_unread = n_full == writer->n_lanes ? writer->n_unread + 1 : 0;
	if (__builtin_expect(writer->n_unread >= UNREAD_MAX, 0)) {
		writer->n_unread = 0;
		writer->has_time = true;
	}
}

__attribute__((noinline)) static void wake_sleepers(struct zcp_writer *writer)
{
	const struct zcp_topic_shm *shm = writer->topic->shm;

	zcp_fence_full();
	for (uint32_t i = 0; i < writer->n_lanes; i++) {
		struct zcp_writer_lane *lane = &writer->lanes[i];
		uint64_t word = atomic_load_explicit(&shm->sleepers[lane->subscriber / 64],
						     memory_order_relaxed);
		uint64_t before = lane->woken;

		if (lane->signal && (word >> (lane->subscriber % 64) & 1) &&
		    zcp_signal_wake_sleeper(lane->signal, &lane->woken) && writer->options.wake_fd)
			writer->options.wake_fd(lane->signal_index, writer->options.user);
		writer->has_time = writer->has_time || lane->woken != before;
	}
}

/* Step 8, after op is even: those that sleep. */
static void wake(struct zcp_writer *writer)
{
	const struct zcp_topic_shm *shm = writer->topic->shm;
	uint64_t any = 0;

	/* Relaxed: the light fence against the sleeper's first, heavy one. */
	for (int w = 0; w < ZCP_TOPIC_SUBSCRIBER_WORDS; w++)
		any |= atomic_load_explicit(&shm->sleepers[w], memory_order_relaxed) &
		       writer->members[w];
	if (__builtin_expect(any != 0, 0))
		wake_sleepers(writer);
}

/* What the next publish will touch is in the subscribers' caches: fetch it meanwhile. */
static void prefetch(struct zcp_writer *writer, uint32_t ref, uint64_t size)
{
	uint32_t n = writer->n_lanes < PREFETCH_LANES ? writer->n_lanes : PREFETCH_LANES;

	for (uint32_t i = 0; i < n; i++)
		zcp_prefetch_write(zcp_lane_slot(&writer->lanes[i].lane, writer->next_seq));
	zcp_claim_prefetch(&writer->claim, &writer->pool->classes[zcp_ref_class(ref)],
			   zcp_ref_class(ref), size);
}

/* Steps 3 and 4. */
static void prepare(struct zcp_writer *writer, const struct zcp_chunk *chunk, uint64_t size)
{
	uint64_t n = writer->next_seq, time_ns = writer->options.timestamps ? zcp_now_ns() : 0;

	/* Relaxed, all of it: LANE-R1 publishes it to each subscriber. */
	atomic_store_explicit(&chunk->header->seq, n, memory_order_relaxed);
	atomic_store_explicit(&chunk->header->publish_time_ns, time_ns, memory_order_relaxed);
	atomic_store_explicit(&chunk->header->payload_size, size, memory_order_relaxed);
	atomic_store_explicit(&chunk->header->publisher_id, writer->options.publisher_id,
			      memory_order_relaxed);
	atomic_store_explicit(&chunk->header->user_header_size, writer->options.user_header_size,
			      memory_order_relaxed);
	ZCP_CRASHPOINT("publish.after_header");
	atomic_store_explicit(&chunk->descriptor->seq, n, memory_order_relaxed);
	ZCP_CRASHPOINT("publish.after_seq");
	/*
	 * HOLDERS-R1 pairs with HOLDERS-A1 in the runtime's recovery: a bit says that seq is
	 * this message's. For the subscribers LANE-R1 orders it. All words were 0 at the claim.
	 */
	for (int i = 0; i < ZCP_HOLDER_WORDS; i++)
		if (writer->holders[i])
			atomic_store_explicit(&chunk->descriptor->holders[i], writer->holders[i],
					      memory_order_release);
}

int zcp_writer_publish_chunk(struct zcp_writer *writer, uint32_t ref, const struct zcp_chunk *chunk,
			     uint32_t generation, uint64_t size, int64_t timeout_ns)
{
	enter(writer);
	if (__builtin_expect(writer->n_blocking > 0, 0)) {
		int r = block(writer, timeout_ns);

		if (r != 0)
			return r;
	}
	prepare(writer, chunk, size);
	ZCP_CRASHPOINT("publish.after_holders");
	push(writer, ref);
	writer->next_seq++;
	/* SEQ-R1 pairs with SEQ-A1 in zcp_reader: n was pushed to all that get it. */
	atomic_store_explicit(&writer->slot->next_seq, writer->next_seq, memory_order_release);
	ZCP_CRASHPOINT("publish.after_next_seq");
	if (__builtin_expect(writer->options.history == 0, 1)) {
		unloan(writer, chunk->descriptor, generation, 0);
	} else {
		unloan(writer, chunk->descriptor, generation, ZCP_CHUNK_RETAINED);
		ZCP_CRASHPOINT("publish.after_retained");
		retain(writer, ref);
	}
	ZCP_CRASHPOINT("publish.after_unloan");
	leave(writer);
	ZCP_CRASHPOINT("publish.after_leave");
	zcp_fence_light(writer->options.symmetric);
	wake(writer);
	ZCP_CRASHPOINT("publish.after_wake");
	zcp_claim_published(&writer->claim, zcp_ref_class(ref), zcp_ref_index(ref), generation);
	prefetch(writer, ref, size);
	return 0;
}

int zcp_writer_publish(struct zcp_writer *writer, uint32_t ref, uint64_t size, int64_t timeout_ns)
{
	struct zcp_chunk chunk;

	if (!zcp_pool_chunk(writer->pool, ref, &chunk))
		return -EINVAL;
	return zcp_writer_publish_chunk(writer, ref, &chunk, zcp_writer_generation(writer, ref),
					size, timeout_ns);
}
