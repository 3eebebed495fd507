/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rule, for one message and for all.
 */
#include "pubsub/shm/stake.h"

void zcp_stake_init(struct zcp_stake *stake, const struct zcp_topic *topic,
		    const struct zcp_acks *acks, uint32_t publisher, uint32_t subscriber)
{
	const struct zcp_subscriber_slot_shm *theirs = &topic->subscribers[subscriber];
	/* Relaxed, all: written before `version`, or by the caller. */
	uint32_t held = atomic_load_explicit(&theirs->held, memory_order_relaxed);

	*stake = (struct zcp_stake){
		.lane = zcp_topic_lane(topic, acks, publisher, subscriber,
				       atomic_load_explicit(&theirs->depth_log2,
							    memory_order_relaxed)),
		.held = zcp_acks_held(acks, subscriber),
		.counts = zcp_acks_counts(acks, subscriber),
		.publisher = publisher,
		.max_held = held < ZCP_HELD_MAX ? held : ZCP_HELD_MAX,
	};
	stake->history = atomic_load_explicit(&stake->lane.shm->history, memory_order_relaxed);
}

/* ACK-A1 pairs with ACK-R1 in a take: what is held is said before `tail` passes it. */
static uint64_t look_tail(const struct zcp_stake *stake, uint64_t end)
{
	return zcp_lane_bound_tail(
		&stake->lane, atomic_load_explicit(&stake->lane.ack->tail, memory_order_acquire),
		end);
}

/* The promised history that is not taken yet: [from, base). */
static uint64_t look_promised(const struct zcp_stake *stake, uint64_t *base)
{
	/* ACK-A6 pairs with ACK-R4 in reader.c: held is said before `floor` passes it. */
	uint64_t floor = atomic_load_explicit(&stake->lane.ack->floor, memory_order_acquire);
	uint64_t from;

	/* Relaxed: too old a value, 0, is only ever read where nothing is promised yet. */
	*base = atomic_load_explicit(&stake->lane.shm->base, memory_order_relaxed);
	from = *base > stake->history ? *base - stake->history : 0;
	return (int64_t)(floor - from) > 0 ? floor : from;
}

static uint32_t n_places(const struct zcp_stake *stake)
{
	/* Relaxed: stored before the place is used, and ACK-A1 or ACK-A6 has ordered that. */
	uint32_t n = atomic_load_explicit(&stake->counts->n_held, memory_order_relaxed);

	return n < stake->max_held ? n : stake->max_held;
}

/* HELD-A1 pairs with HELD-R1, R2 and R3 in reader.c: what was read of the message is over. */
static uint64_t look_held(const struct zcp_stake *stake, uint32_t place)
{
	return atomic_load_explicit(&stake->held[place], memory_order_acquire);
}

uint32_t zcp_stake_use(const struct zcp_stake *stake, uint64_t end, uint64_t seq)
{
	uint64_t tail = look_tail(stake, end), base, from = look_promised(stake, &base);
	uint64_t word = zcp_held(stake->publisher, seq);
	uint32_t use = ZCP_USE_NONE, n = n_places(stake);

	if ((int64_t)(seq - tail) >= 0 && (int64_t)(seq - base) >= 0 && (int64_t)(end - seq) > 0)
		use |= ZCP_USE_QUEUED;
	if ((int64_t)(seq - from) >= 0 && (int64_t)(base - seq) > 0)
		use |= ZCP_USE_PROMISED;
	for (uint32_t i = 0; i < n; i++)
		if (look_held(stake, i) == word)
			use |= ZCP_USE_HELD;
	return use;
}

uint64_t zcp_stake_first(const struct zcp_stake *stake, uint64_t end, uint64_t seq)
{
	uint64_t tail = look_tail(stake, end), base, from = look_promised(stake, &base);
	uint64_t queued = tail > base ? tail : base, first = UINT64_MAX;
	uint32_t n = n_places(stake);

	if (queued < seq)
		queued = seq;
	if (queued < end)
		first = queued;
	if (from < seq)
		from = seq;
	if (from < base && from < first)
		first = from;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t word = look_held(stake, i), held = word & ZCP_HELD_SEQ_MASK;

		if (word != 0 && word >> ZCP_HELD_SLOT_SHIFT == stake->publisher && held >= seq &&
		    held < first)
			first = held;
	}
	return first;
}

/* Keeps the smallest ones; what does not fit is not below. */
static void add_exception(struct zcp_stake_look *look, uint64_t seq)
{
	uint32_t at = look->n_exceptions;

	/* A peer may say one number in many places. */
	for (uint32_t e = 0; e < look->n_exceptions; e++)
		if (look->exceptions[e] == seq)
			return;
	if (at == ZCP_STAKE_EXCEPTIONS) {
		if (seq > look->exceptions[at - 1]) {
			look->below = seq;
			return;
		}
		look->below = look->exceptions[--at];
	}
	for (; at > 0 && look->exceptions[at - 1] > seq; at--)
		look->exceptions[at] = look->exceptions[at - 1];
	look->exceptions[at] = seq;
	if (look->n_exceptions < ZCP_STAKE_EXCEPTIONS)
		look->n_exceptions++;
}

void zcp_stake_look(const struct zcp_stake *stake, uint64_t from, uint64_t end,
		    struct zcp_stake_look *look)
{
	uint64_t tail = look_tail(stake, end);
	uint32_t n;

	look->promised = look_promised(stake, &look->base);
	look->below = (int64_t)(look->base - tail) > 0 ? look->base : tail;
	look->n_exceptions = 0;
	n = n_places(stake);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t word = look_held(stake, i);

		if (word == 0 || word >> ZCP_HELD_SLOT_SHIFT != stake->publisher)
			continue;
		word &= ZCP_HELD_SEQ_MASK;
		if (word >= from && word < look->below)
			add_exception(look, word);
	}
}
