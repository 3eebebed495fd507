/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choosing words, and writing them.
 */
#include "tests/fuzz/support/lies.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/support/guard.h"
#include "tests/support/check.h"

/* Whose it is: a subscriber slot of a topic, all of them, or somebody else. */
#define ALL UINT32_MAX

/* A word of somebody's, and what it will be. */
struct lie {
	_Atomic uint64_t *word;
	uint64_t value;
	/* where it is held, the counts of the block */
	struct zcp_ack_counts_shm *counts;
	bool is_subscribers;
	uint32_t topic;
	uint32_t subscriber;
};

static struct lie told_later[ZCP_FUZZ_MOMENTS];
static uint32_t next_later;
static uint64_t n_told;
static uint64_t n_others;
static bool is_lied_in[ZCP_FUZZ_TOPICS][ZCP_TOPIC_SUBSCRIBERS_MAX];

static struct {
	struct zcp_lane lane;
	uint64_t seq;
	bool pushes;
	bool is_new;
} runaway;

static struct {
	uint32_t index;
	struct zcp_backlog_entry_shm entry;
} entries[8];
static uint32_t n_entries;

static void note_others(void)
{
	n_told++;
	n_others++;
}

static void tell(void *user)
{
	const struct lie *lie = user;

	zcp_test_store(lie->word, lie->value);
	if (lie->counts)
		zcp_test_store(&lie->counts->n_held, UINT32_MAX);
	if (!lie->is_subscribers) {
		note_others();
		return;
	}
	n_told++;
	if (lie->subscriber != ALL)
		is_lied_in[lie->topic][lie->subscriber] = true;
}

static _Atomic uint64_t *word_of(void *object, size_t size, struct zcp_fuzz_input *input)
{
	return (_Atomic uint64_t *)object + zcp_fuzz_below(input, (uint32_t)(size / 8));
}

static const struct zcp_topic *choose_topic(const struct zcp_fuzz_bed *bed,
					    struct zcp_fuzz_input *input)
{
	return &bed->keeper.topics[zcp_fuzz_below(input, ZCP_FUZZ_TOPICS)];
}

/* Any ref: also of a class, and of a chunk, that there is not. */
static uint32_t choose_ref(const struct zcp_fuzz_bed *bed, struct zcp_fuzz_input *input)
{
	uint32_t class_index = zcp_fuzz_below(input, ZCP_CLASSES_MAX);
	uint32_t n = bed->keeper.pool.classes[class_index].n_chunks;

	return zcp_ref(class_index, zcp_fuzz_below(input, n + 2));
}

static struct zcp_chunk_shm *choose_chunk(const struct zcp_fuzz_bed *bed,
					  struct zcp_fuzz_input *input)
{
	const struct zcp_class *class =
		&bed->keeper.pool.classes[zcp_fuzz_below(input, ZCP_FUZZ_CLASSES)];

	return &class->chunks[zcp_fuzz_below(input, class->n_chunks)];
}

/* A lane, and the number of its next message. */
static struct zcp_lane choose_lane(const struct zcp_fuzz_bed *bed, struct zcp_fuzz_input *input,
				   uint64_t *next_seq)
{
	uint32_t i = zcp_fuzz_below(input, ZCP_FUZZ_TOPICS);
	const struct zcp_topic *topic = &bed->keeper.topics[i];
	uint32_t p = zcp_fuzz_below(input, topic->geometry.max_publishers);
	uint32_t s = zcp_fuzz_below(input, topic->geometry.max_subscribers);

	*next_seq = zcp_test_load(&topic->publishers[p].next_seq);
	return zcp_topic_lane(topic, &bed->keeper.acks[i], p, s,
			      zcp_test_load(&topic->subscribers[s].depth_log2));
}

static struct lie lie_slot(const struct zcp_fuzz_bed *bed, bool any_word,
			   struct zcp_fuzz_input *input)
{
	uint64_t next_seq, seq;
	struct zcp_lane lane = choose_lane(bed, input, &next_seq);
	struct zcp_lane_slot_shm *slot;
	_Atomic uint64_t *word;

	seq = next_seq + zcp_fuzz_number(input);
	slot = zcp_lane_slot(&lane, seq);
	if (!any_word)
		return (struct lie){ &slot->word, zcp_slot_word(seq, choose_ref(bed, input)),
				     .is_subscribers = false };
	word = word_of(slot, sizeof(*slot), input);
	return (struct lie){ word, zcp_fuzz_number(input), .is_subscribers = false };
}

static struct lie lie_lane(const struct zcp_fuzz_bed *bed, struct zcp_fuzz_input *input)
{
	uint64_t next_seq;
	struct zcp_lane lane = choose_lane(bed, input, &next_seq);
	_Atomic uint64_t *word = word_of(lane.shm, sizeof(*lane.shm), input);

	return (struct lie){ word, zcp_fuzz_number(input), .is_subscribers = false };
}

static struct lie lie_state(const struct zcp_fuzz_bed *bed, struct zcp_fuzz_input *input)
{
	struct zcp_chunk_shm *chunk = choose_chunk(bed, input);
	uint32_t owner = zcp_fuzz_below(input, ZCP_OWNERS);
	uint64_t next = zcp_test_load(&chunk->next);
	uint32_t state = zcp_chunk_state(owner, zcp_fuzz_below(input, ZCP_CHUNK_FLAGS + 1));

	/* The two are one word: the second half stays. */
	return (struct lie){ (_Atomic uint64_t *)(void *)&chunk->state, next << 32 | state,
			     .is_subscribers = false };
}

static void lie_states(const struct zcp_fuzz_bed *bed, struct zcp_fuzz_input *input)
{
	uint32_t c = zcp_fuzz_below(input, ZCP_FUZZ_CLASSES);
	uint32_t owner = zcp_fuzz_below(input, ZCP_OWNERS);
	uint32_t flags = zcp_fuzz_below(input, ZCP_CHUNK_FLAGS + 1);
	const struct zcp_class *class = &bed->keeper.pool.classes[c];

	for (uint32_t i = 0; i < class->n_chunks; i++)
		zcp_test_store(&class->chunks[i].state, zcp_chunk_state(owner, flags));
	note_others();
}

static void lie_entry(const struct zcp_fuzz_bed *bed, struct zcp_fuzz_input *input)
{
	uint32_t i = n_entries < sizeof(entries) / sizeof(entries[0]) ? n_entries++ : 0;

	entries[i].index = zcp_fuzz_below(input, 200);
	entries[i].entry.seq = zcp_fuzz_number(input);
	entries[i].entry.ref = choose_ref(bed, input);
	entries[i].entry.publisher = (uint32_t)zcp_fuzz_number(input);
}

void zcp_fuzz_lie_in_backlog(struct zcp_backlog *backlog)
{
	for (uint32_t i = 0; i < n_entries; i++) {
		uint32_t n = entries[i].index + 1;

		if (n > backlog->n_entries) {
			backlog->entries = realloc(backlog->entries, n * sizeof(entries[i].entry));
			ZCP_CHECK(backlog->entries);
			memset(backlog->entries + backlog->n_entries, 0,
			       (n - backlog->n_entries) * sizeof(entries[i].entry));
			backlog->n_entries = n;
		}
		backlog->entries[n - 1] = entries[i].entry;
		note_others();
	}
	n_entries = 0;
}

/* As a publisher would that sends far more than the lane holds between any two looks at it. */
static void run_away(void *user)
{
	(void)user;
	runaway.seq += 1000;
	for (uint64_t i = 0; i <= runaway.lane.mask; i++)
		zcp_test_store(&zcp_lane_slot(&runaway.lane, runaway.seq + i)->word,
			       zcp_slot_word(runaway.seq + i, 0));
	if (runaway.pushes)
		zcp_test_store(&runaway.lane.ack->tail, runaway.seq);
	note_others();
	zcp_fuzz_at_access(0, run_away, NULL);
}

static void lie_runaway(const struct zcp_fuzz_bed *bed, struct zcp_fuzz_input *input)
{
	runaway.lane = choose_lane(bed, input, &runaway.seq);
	runaway.pushes = zcp_fuzz_below(input, 2);
	runaway.is_new = true;
	note_others();
	zcp_fuzz_forget_accesses(run_away);
	zcp_fuzz_at_access(0, run_away, NULL);
}

void zcp_fuzz_stop_running(void)
{
	if (!runaway.is_new)
		zcp_fuzz_forget_accesses(run_away);
	runaway.is_new = false;
}

/* --- a subscriber's --- */

/* Its topic and slot; what of its block is written comes then. */
static struct lie choose_subscriber(const struct zcp_fuzz_bed *bed, struct zcp_fuzz_input *input)
{
	struct lie lie = { .is_subscribers = true };

	lie.topic = zcp_fuzz_below(input, ZCP_FUZZ_TOPICS);
	lie.subscriber = zcp_fuzz_below(input,
					bed->keeper.topics[lie.topic].geometry.max_subscribers);
	return lie;
}

static struct lie lie_block(const struct zcp_fuzz_bed *bed, struct zcp_fuzz_input *input)
{
	struct lie lie = choose_subscriber(bed, input);
	const struct zcp_acks *acks = &bed->keeper.acks[lie.topic];
	char *block = zcp_acks_block(acks, lie.subscriber);
	char *end = (char *)(zcp_acks_held(acks, lie.subscriber) + ZCP_FUZZ_PLACES);

	lie.word = word_of(block, (size_t)(end - block), input);
	lie.value = zcp_fuzz_number(input);
	return lie;
}

static struct lie lie_ack(const struct zcp_fuzz_bed *bed, struct zcp_fuzz_input *input)
{
	struct lie lie = { .is_subscribers = true };
	const struct zcp_topic *topic;
	struct zcp_ack_shm *ack;
	uint32_t p;

	lie.topic = zcp_fuzz_below(input, ZCP_FUZZ_TOPICS);
	topic = &bed->keeper.topics[lie.topic];
	p = zcp_fuzz_below(input, topic->geometry.max_publishers);
	lie.subscriber = zcp_fuzz_below(input, topic->geometry.max_subscribers);
	ack = zcp_acks_ack(&bed->keeper.acks[lie.topic], p, lie.subscriber);
	lie.word = &ack->tail + zcp_fuzz_below(input, 3);
	lie.value = zcp_test_load(&topic->publishers[p].next_seq) + zcp_fuzz_number(input);
	return lie;
}

static uint64_t choose_held(const struct zcp_fuzz_bed *bed, const struct lie *lie,
			    struct zcp_fuzz_input *input)
{
	const struct zcp_topic *topic = &bed->keeper.topics[lie->topic];
	uint32_t p = zcp_fuzz_below(input, topic->geometry.max_publishers + 1);
	uint64_t seq = zcp_fuzz_number(input);

	if (p < topic->geometry.max_publishers)
		seq += zcp_test_load(&topic->publishers[p].next_seq);
	return zcp_held(p, seq);
}

static struct lie lie_held(const struct zcp_fuzz_bed *bed, struct zcp_fuzz_input *input)
{
	struct lie lie = choose_subscriber(bed, input);
	const struct zcp_acks *acks = &bed->keeper.acks[lie.topic];

	lie.word = zcp_acks_held(acks, lie.subscriber) + zcp_fuzz_below(input, ZCP_FUZZ_PLACES);
	lie.value = choose_held(bed, &lie, input);
	lie.counts = zcp_acks_counts(acks, lie.subscriber);
	return lie;
}

static void lie_all_held(const struct zcp_fuzz_bed *bed, struct zcp_fuzz_input *input)
{
	struct lie lie = choose_subscriber(bed, input);
	const struct zcp_acks *acks = &bed->keeper.acks[lie.topic];
	uint32_t n;
	uint64_t step;

	lie.value = choose_held(bed, &lie, input);
	lie.counts = zcp_acks_counts(acks, lie.subscriber);
	n = zcp_fuzz_below(input, ZCP_FUZZ_PLACES + 1);
	step = zcp_fuzz_number(input);
	for (uint32_t i = 0; i < n; i++) {
		lie.word = zcp_acks_held(acks, lie.subscriber) + i;
		tell(&lie);
		lie.value = (lie.value & ~ZCP_HELD_SEQ_MASK) |
			    ((lie.value + step) & ZCP_HELD_SEQ_MASK);
	}
}

static struct lie lie_shared(const struct zcp_fuzz_bed *bed, struct zcp_fuzz_input *input)
{
	struct lie lie = { .is_subscribers = true, .subscriber = ALL };
	const struct zcp_acks *acks;

	lie.topic = zcp_fuzz_below(input, ZCP_FUZZ_TOPICS);
	acks = &bed->keeper.acks[lie.topic];
	lie.word = word_of(acks->shm->sleepers,
			   64 + acks->max_publishers * sizeof(struct zcp_room_shm), input);
	lie.value = zcp_fuzz_number(input);
	return lie;
}

static struct lie lie_signal(const struct zcp_fuzz_bed *bed, struct zcp_fuzz_input *input)
{
	uint32_t i = zcp_fuzz_below(input, bed->keeper.signals.n_signals);
	struct lie lie = { .is_subscribers = true, .subscriber = ALL };

	lie.word = word_of(&bed->keeper.signals.signals[i], sizeof(struct zcp_signal_shm), input);
	lie.value = zcp_fuzz_number(input);
	return lie;
}

/* --- all of them --- */

/* Somebody else's, all but the value. */
static _Atomic uint64_t *choose_word(const struct zcp_fuzz_bed *bed, char kind,
				     struct zcp_fuzz_input *input)
{
	const struct zcp_topic *topic;
	uint32_t i;

	switch (kind) {
	case 'D':
		return word_of(choose_chunk(bed, input), sizeof(struct zcp_chunk_shm), input);
	case 'N':
		i = zcp_fuzz_below(input, ZCP_FUZZ_CLASSES);
		return word_of(&bed->keeper.pool.classes[i].shm->n_touched, 16, input);
	case 'P':
		topic = choose_topic(bed, input);
		i = zcp_fuzz_below(input, topic->geometry.max_publishers);
		return word_of(&topic->publishers[i], sizeof(topic->publishers[i]), input);
	case 'U':
		topic = choose_topic(bed, input);
		i = zcp_fuzz_below(input, topic->geometry.max_subscribers);
		return word_of(&topic->subscribers[i], sizeof(topic->subscribers[i]), input);
	default:
		topic = choose_topic(bed, input);
		return word_of(&topic->shm->version, 128, input);
	}
}

static struct lie read_lie(const struct zcp_fuzz_bed *bed, char kind, struct zcp_fuzz_input *input)
{
	struct lie lie = { .is_subscribers = false };

	switch (kind) {
	case 'S':
	case 'W':
		return lie_slot(bed, kind == 'W', input);
	case 'L':
		return lie_lane(bed, input);
	case 'F':
		return lie_state(bed, input);
	case 'K':
		return lie_block(bed, input);
	case 'T':
		return lie_ack(bed, input);
	case 'H':
		return lie_held(bed, input);
	case 'E':
		return lie_shared(bed, input);
	case 'G':
		return lie_signal(bed, input);
	}
	lie.word = choose_word(bed, kind, input);
	lie.value = zcp_fuzz_number(input);
	return lie;
}

void zcp_fuzz_lie(const struct zcp_fuzz_bed *bed, char kind, struct zcp_fuzz_input *input,
		  int64_t after)
{
	struct lie lie;

	switch (kind) {
	case 'A':
		lie_states(bed, input);
		return;
	case 'R':
		lie_runaway(bed, input);
		return;
	case 'B':
		lie_entry(bed, input);
		return;
	case 'Y':
		lie_all_held(bed, input);
		return;
	}
	lie = read_lie(bed, kind, input);
	if (after < 0) {
		tell(&lie);
		return;
	}
	told_later[next_later] = lie;
	zcp_fuzz_at_access((uint32_t)after, tell, &told_later[next_later]);
	next_later = (next_later + 1) % ZCP_FUZZ_MOMENTS;
}

uint64_t zcp_fuzz_n_lies(void)
{
	return n_told;
}

uint64_t zcp_fuzz_n_others_lies(void)
{
	return n_others;
}

bool zcp_fuzz_is_lied_to(uint32_t topic, uint32_t subscriber)
{
	return n_others > 0 || is_lied_in[topic][subscriber];
}

void zcp_fuzz_forget_lies(uint32_t topic, uint32_t subscriber)
{
	is_lied_in[topic][subscriber] = false;
}

void zcp_fuzz_lies_reset(void)
{
	n_told = n_others = 0;
	n_entries = 0;
	runaway.is_new = false;
	memset(is_lied_in, 0, sizeof(is_lied_in));
}

void zcp_fuzz_begin_at(const struct zcp_fuzz_bed *bed, uint64_t next_seq)
{
	next_seq = next_seq % (UINT64_C(1) << 62) + 1;
	for (int i = 0; i < ZCP_FUZZ_TOPICS; i++)
		for (uint32_t p = 0; p < bed->keeper.topics[i].geometry.max_publishers; p++)
			zcp_test_store(&bed->keeper.topics[i].publishers[p].next_seq, next_seq);
}
