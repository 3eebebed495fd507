/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has come back, by what subscribers say.
 */
#include "pubsub/flow/writer_find.h"

#include "pubsub/shm/prefetch.h"

/* Looks of which the most that was in use counts, and chunks that one loan gives back. */
#define LOOKS 8
#define FREE_MAX 64

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
		/* ACK-A5 pairs with ACK-R3 in reader_take.h: what was read of these is over. */
		uint64_t released = atomic_load_explicit(&lane->stake.lane.ack->released,
							 memory_order_acquire);

		/* Signed: a peer may say anything. */
		believe(&lane->given,
			(int64_t)(released - writer->next_seq) > 0 ? writer->next_seq : released);
	}
}

/*
 * What is set aside is looked at by itself: however many of those are held for long, there are
 * exceptions left for the others.
 */
static void look(struct zcp_writer *writer)
{
	for (uint32_t i = 0; i < writer->n_active; i++)
		zcp_stake_look(&writer->lanes[i].stake, writer->chunks.oldest_seq, writer->next_seq,
			       &writer->lanes[i].given);
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

/* Whether all below bound_of() have come back: there are no exceptions. */
static bool is_plain(const struct zcp_writer *writer)
{
	if (writer->n_lanes > writer->n_active)
		return false;
	for (uint32_t i = 0; i < writer->n_active; i++) {
		const struct zcp_stake_look *given = &writer->lanes[i].given;

		if (given->n_exceptions > 0 || given->promised < given->base)
			return false;
	}
	return true;
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

	if (is_plain(writer))
		return bound;
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
	bool plain = is_plain(writer);

	/* Each step passes over one that is used: no more than there are, whatever peers say. */
	for (uint32_t n_used = 0; seq < bound && n_used < chunks->published.n; n_used++) {
		uint64_t used = plain ? bound : first_used(writer, seq, bound);

		n += used - seq;
		seq = used + 1;
	}
	return n < chunks->published.n ? (uint32_t)n : chunks->published.n;
}

/* One that was set aside and has come back; looks at each once. */
static uint32_t from_aside(struct zcp_writer *writer)
{
	struct zcp_chunks *chunks = &writer->chunks;

	for (uint32_t n = chunks->aside.n; n > 0; n--) {
		uint32_t ref = zcp_chunk_list_pop(chunks, &chunks->aside);
		const struct zcp_chunk_shm *chunk = zcp_chunks_find(chunks, ref);

		if (!chunk)
			break;
		/* Relaxed: ours. */
		if (is_used(writer, atomic_load_explicit(&chunk->seq, memory_order_relaxed)))
			zcp_chunks_put_aside(chunks, ref);
		else if (zcp_chunks_is_own(chunks, ref))
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
	for (int i = 0;
	     i < FREE_MAX && chunks->published.n > writer->keep && chunks->oldest_seq < bound; i++)
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

		if (ref == ZCP_REF_NONE || zcp_chunks_is_own(chunks, ref))
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

		if (ref == ZCP_REF_NONE || zcp_chunks_is_own(chunks, ref))
			return ref;
		zcp_chunks_free(chunks, ref);
	}
	return ZCP_REF_NONE;
}

/* What the next loans will write is in the subscribers' caches: fetches it meanwhile. */
static void prefetch_payloads(const struct zcp_writer *writer)
{
	const struct zcp_chunks *chunks = &writer->chunks;
	uint64_t n = writer->reusable > chunks->oldest_seq ? writer->reusable - chunks->oldest_seq :
							     0;
	uint32_t ref = chunks->published.first;

	for (; n > 0 && zcp_chunks_is_own(chunks, ref); n--) {
		uint32_t index = zcp_ref_index(ref);

		zcp_prefetch_write(zcp_class_payload(writer->class, index));
		/* Relaxed: the owner's word. */
		ref = atomic_load_explicit(&chunks->own[index].next, memory_order_relaxed);
	}
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
 * Whether to look exactly, which costs each subscriber two more of its lines. Not where little is
 * in use and only the message is missing that was released last, which is said at the next take:
 * one chunk more settles that for good.
 */
static bool needs_look(const struct zcp_writer *writer, uint32_t n)
{
	return n < writer->rotation &&
	       (n + 1 < writer->rotation || writer->chunks.published.n > writer->rotation);
}

uint32_t zcp_writer_find(struct zcp_writer *writer)
{
	struct zcp_chunks *chunks = &writer->chunks;
	uint32_t ref = ZCP_REF_NONE, back;
	uint64_t bound;

	read_released(writer);
	bound = clear_head(writer);
	back = n_back(writer);
	/* Again where held ones were set aside, and there may be more of them. */
	while (needs_look(writer, back)) {
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
	prefetch_payloads(writer);
	return ref;
}
