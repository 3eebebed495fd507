/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking the newest message, and passing over all the others.
 *
 * Each lane's newest is found by its slots; the publisher's own number is not looked at. Of the
 * one that was published last the reader says that it holds it, and moves `tail` behind it by one
 * CAS; what lies before is taken with it. The other lanes are only passed over.
 */
#include "pubsub/flow/reader_take.h"
#include "pubsub/shm/crashpoint.h"

/* Again where publishers push out what was found; each time they have gone on by a lap. */
#define TRIES 64

struct newest {
	struct zcp_reader_lane *lane;
	uint64_t seq;
	struct zcp_description description;
	/* it is history, and the lane has nothing */
	const struct zcp_backlog_entry_shm *entry;
};

static bool is_there(const struct zcp_reader_lane *lane, uint64_t seq, uint64_t *word)
{
	/* LANE-A1 pairs with LANE-R1 in zcp_slot_put(). */
	*word = atomic_load_explicit(&zcp_lane_slot(&lane->lane, seq)->word, memory_order_acquire);
	return zcp_slot_is(*word, seq);
}

/* The newest message in a lane. Messages stand there without a gap. */
static bool find_in_lane(struct zcp_reader_lane *lane, struct newest *newest)
{
	for (int tries = 0; tries < TRIES; tries++) {
		uint64_t from, step, word;

		if (!zcp_reader_peek(lane, &newest->description))
			return false;
		from = lane->next;
		for (step = (uint64_t)lane->lane.mask + 1; step > 0; step /= 2)
			while (from - lane->next + step <= lane->lane.mask &&
			       is_there(lane, from + step, &word))
				from += step;
		/* Else it was pushed out meanwhile, and there are newer ones. */
		if (is_there(lane, from, &word)) {
			newest->lane = lane;
			newest->seq = from;
			newest->entry = NULL;
			zcp_slot_describe(zcp_lane_slot(&lane->lane, from), word,
					  &newest->description);
			return true;
		}
	}
	return false;
}

static bool find_in_history(struct zcp_reader *reader, uint32_t publisher, struct newest *newest)
{
	for (uint32_t i = reader->backlog.n_entries; i > reader->next_backlog; i--) {
		const struct zcp_backlog_entry_shm *entry = &reader->backlog.entries[i - 1];

		if (entry->publisher != publisher)
			continue;
		*newest = (struct newest){
			.lane = &reader->lanes[publisher],
			.seq = entry->seq,
			.description = {
				.size = entry->size,
				.publish_time_ns = entry->publish_time_ns,
				.publisher_id = entry->publisher_id,
				.user_header_size = entry->user_header_size,
				.ref = entry->ref,
				.next_ref = ZCP_REF_NONE,
			},
			.entry = entry,
		};
		return true;
	}
	return false;
}

/* The message that was published last. */
static bool find_newest(struct zcp_reader *reader, uint32_t n, struct newest *newest)
{
	bool found = false;

	for (uint32_t p = 0; p < n; p++) {
		struct newest candidate;

		if (!find_in_lane(&reader->lanes[p], &candidate) &&
		    !find_in_history(reader, p, &candidate))
			continue;
		if (!found ||
		    candidate.description.publish_time_ns >= newest->description.publish_time_ns)
			*newest = candidate;
		found = true;
	}
	return found;
}

/* Moves `tail` behind a message that may be held meanwhile. Returns whether that was in time. */
static bool pass(struct zcp_reader *reader, struct zcp_reader_lane *lane, uint64_t seq,
		 uint64_t *n_passed)
{
	uint64_t tail = lane->next;

	while ((int64_t)(tail - seq) <= 0) {
		if (!zcp_reader_pass(reader, lane, &tail, seq + 1))
			continue;
		lane->n_lost += tail - lane->next;
		*n_passed += seq - tail;
		lane->next = seq + 1;
		return true;
	}
	(void)zcp_reader_resync(lane);
	return false;
}

static void pass_others(struct zcp_reader *reader, uint32_t n, const struct zcp_reader_lane *but,
			uint64_t *n_passed)
{
	for (; reader->next_backlog < reader->backlog.n_entries; reader->next_backlog++)
		++*n_passed;
	for (uint32_t p = 0; p < n; p++) {
		struct zcp_reader_lane *lane = &reader->lanes[p];
		struct newest newest;

		zcp_reader_move_floor(lane, lane->history_end);
		/* Where it was pushed out meanwhile there is a newer one, for the next call. */
		if (lane != but && find_in_lane(lane, &newest) &&
		    pass(reader, lane, newest.seq, n_passed))
			++*n_passed;
	}
}

static bool take(struct zcp_reader *reader, const struct newest *newest, uint64_t *n_passed,
		 struct zcp_reader_message *message)
{
	struct zcp_reader_lane *lane = newest->lane;
	uint32_t publisher = (uint32_t)(lane - reader->lanes);
	uint32_t place = zcp_reader_hold(reader, publisher, newest->seq, message);

	ZCP_CRASHPOINT("take.after_held");
	if (newest->entry) {
		zcp_reader_move_floor(lane, newest->seq + 1);
		/* It is passed over as part of the backlog. */
		--*n_passed;
	} else if (!pass(reader, lane, newest->seq, n_passed)) {
		zcp_reader_unhold(reader, place);
		return false;
	}
	ZCP_CRASHPOINT("take.after_tail");
	zcp_reader_keep(reader, lane, place);
	message->size = newest->description.size;
	message->user_header_size = newest->description.user_header_size;
	message->seq = newest->seq;
	message->publish_time_ns = newest->description.publish_time_ns;
	message->publisher_id = newest->description.publisher_id;
	message->publisher = publisher;
	message->ref = newest->description.ref;
	message->n_lost = lane->n_lost;
	lane->n_lost = 0;
	lane->next_ref = newest->description.next_ref;
	return true;
}

int zcp_reader_latest(struct zcp_reader *reader, struct zcp_reader_message *message)
{
	uint32_t n = zcp_reader_n_lanes(reader);

	if (!zcp_reader_has_place(reader))
		return ZCP_READER_E_HELD;
	for (uint32_t p = 0; p < n; p++)
		if (reader->lanes[p].next != 0)
			zcp_reader_say_released(reader, &reader->lanes[p]);
	for (int tries = 0; tries < TRIES; tries++) {
		struct newest newest = { .lane = NULL };
		uint64_t n_passed = 0;

		if (!find_newest(reader, n, &newest))
			return ZCP_READER_E_EMPTY;
		if (!zcp_reader_find(reader, &newest.description, message)) {
			message->publisher = (uint32_t)(newest.lane - reader->lanes);
			message->ref = newest.description.ref;
			message->seq = newest.seq;
			if (!zcp_pool_has_class(reader->pool, newest.description.ref))
				return ZCP_READER_E_UNMAPPED;
			/* What cannot be is lost, and all before it is passed over. */
			if (!newest.entry && pass(reader, newest.lane, newest.seq, &n_passed))
				newest.lane->n_lost++;
			continue;
		}
		if (!take(reader, &newest, &n_passed, message))
			continue;
		pass_others(reader, n, newest.lane, &n_passed);
		zcp_reader_count(reader, n_passed + 1, message->n_lost);
		return 0;
	}
	return ZCP_READER_E_EMPTY;
}
