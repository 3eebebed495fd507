/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where they go, and when.
 */
#include "tests/fuzz/support/lies.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/support/guard.h"
#include "tests/support/check.h"

/* A word of somebody's, and what it will be. */
struct lie {
	_Atomic uint64_t *word;
	uint64_t value;
};

static struct lie told_later[ZCP_FUZZ_MOMENTS];
static uint32_t next_later;
static uint64_t n_told;

static struct {
	struct zcp_lane lane;
	uint64_t seq;
	uint64_t flags;
	bool is_new;
} runaway;

static struct {
	uint32_t index;
	struct zcp_backlog_entry_shm entry;
} entries[8];
static uint32_t n_entries;

static void tell(void *user)
{
	const struct lie *lie = user;

	zcp_test_store(lie->word, lie->value);
	n_told++;
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

static struct zcp_chunk choose_chunk(const struct zcp_fuzz_bed *bed, struct zcp_fuzz_input *input)
{
	uint32_t class_index = zcp_fuzz_below(input, ZCP_FUZZ_CLASSES);
	uint32_t n = bed->keeper.pool.classes[class_index].n_chunks;
	struct zcp_chunk chunk;

	ZCP_CHECK(zcp_pool_chunk(&bed->keeper.pool, zcp_ref(class_index, zcp_fuzz_below(input, n)),
				 &chunk));
	return chunk;
}

static struct lie lie_slot(const struct zcp_fuzz_bed *bed, struct zcp_fuzz_input *input)
{
	const struct zcp_topic *topic = choose_topic(bed, input);
	uint32_t p = zcp_fuzz_below(input, topic->geometry.max_publishers);
	uint32_t s = zcp_fuzz_below(input, topic->geometry.max_subscribers);
	struct zcp_lane lane = zcp_topic_lane(topic, p, s,
					      zcp_test_load(&topic->subscribers[s].depth_log2));
	uint64_t seq = zcp_test_load(&topic->publishers[p].next_seq) + zcp_fuzz_number(input);
	uint64_t flags = (uint64_t)zcp_fuzz_below(input, 4) << 30;

	return (struct lie){ &zcp_lane_slot(&lane, seq)->word,
			     zcp_slot(seq, flags, choose_ref(bed, input)) };
}

static struct lie lie_state(const struct zcp_fuzz_bed *bed, struct zcp_fuzz_input *input)
{
	_Atomic uint64_t *state = &choose_chunk(bed, input).descriptor->state;
	uint32_t owner = zcp_fuzz_below(input, 65536);

	return (struct lie){ state, zcp_state(zcp_state_generation(zcp_test_load(state)), owner,
					      zcp_fuzz_below(input, 65536)) };
}

static void lie_states(const struct zcp_fuzz_bed *bed, struct zcp_fuzz_input *input)
{
	uint32_t c = zcp_fuzz_below(input, ZCP_FUZZ_CLASSES);
	uint32_t owner = zcp_fuzz_below(input, 65536), flags = zcp_fuzz_below(input, 65536);
	const struct zcp_class *class = &bed->keeper.pool.classes[c];

	for (uint32_t i = 0; i < class->n_chunks; i++)
		zcp_test_store(&class->chunks[i].state, zcp_state(1, owner, flags));
	n_told++;
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
		n_told++;
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
			       zcp_slot(runaway.seq + i, runaway.flags, 0));
	n_told++;
	zcp_fuzz_at_access(0, run_away, NULL);
}

static void lie_runaway(const struct zcp_fuzz_bed *bed, struct zcp_fuzz_input *input)
{
	const struct zcp_topic *topic = choose_topic(bed, input);
	uint32_t p = zcp_fuzz_below(input, topic->geometry.max_publishers);
	uint32_t s = zcp_fuzz_below(input, topic->geometry.max_subscribers);

	runaway.lane = zcp_topic_lane(topic, p, s,
				      zcp_test_load(&topic->subscribers[s].depth_log2));
	runaway.seq = zcp_test_load(&topic->publishers[p].next_seq);
	runaway.flags = (uint64_t)zcp_fuzz_below(input, 4) << 30;
	runaway.is_new = true;
	n_told++;
	zcp_fuzz_forget_accesses(run_away);
	zcp_fuzz_at_access(0, run_away, NULL);
}

void zcp_fuzz_stop_running(void)
{
	if (!runaway.is_new)
		zcp_fuzz_forget_accesses(run_away);
	runaway.is_new = false;
}

/* All but the value. */
static _Atomic uint64_t *choose_word(const struct zcp_fuzz_bed *bed, char kind,
				     struct zcp_fuzz_input *input)
{
	const struct zcp_topic *topic;
	struct zcp_chunk chunk;
	uint32_t i;

	switch (kind) {
	case 'D':
		chunk = choose_chunk(bed, input);
		return word_of(chunk.descriptor, sizeof(*chunk.descriptor), input);
	case 'H':
		chunk = choose_chunk(bed, input);
		return word_of(chunk.header, sizeof(*chunk.header), input);
	case 'P':
		topic = choose_topic(bed, input);
		i = zcp_fuzz_below(input, topic->geometry.max_publishers);
		return word_of(&topic->publishers[i], sizeof(topic->publishers[i]), input);
	case 'U':
		topic = choose_topic(bed, input);
		i = zcp_fuzz_below(input, topic->geometry.max_subscribers);
		return word_of(&topic->subscribers[i], sizeof(topic->subscribers[i]), input);
	case 'M':
		topic = choose_topic(bed, input);
		return word_of(&topic->shm->version, 128, input);
	default:
		i = zcp_fuzz_below(input, bed->keeper.signals.n_signals);
		return word_of(&bed->keeper.signals.signals[i], sizeof(struct zcp_signal_shm),
			       input);
	}
}

static struct lie read_lie(const struct zcp_fuzz_bed *bed, char kind, struct zcp_fuzz_input *input)
{
	struct lie lie;

	if (kind == 'S')
		return lie_slot(bed, input);
	if (kind == 'F')
		return lie_state(bed, input);
	lie.word = choose_word(bed, kind, input);
	lie.value = zcp_fuzz_number(input);
	return lie;
}

void zcp_fuzz_lie(const struct zcp_fuzz_bed *bed, char kind, struct zcp_fuzz_input *input,
		  int64_t after)
{
	struct lie lie;

	if (kind == 'A') {
		lie_states(bed, input);
		return;
	}
	if (kind == 'R') {
		lie_runaway(bed, input);
		return;
	}
	if (kind == 'B') {
		lie_entry(bed, input);
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

void zcp_fuzz_lies_reset(void)
{
	n_told = 0;
	n_entries = 0;
	runaway.is_new = false;
}

void zcp_fuzz_begin_at(const struct zcp_fuzz_bed *bed, uint64_t next_seq)
{
	next_seq = next_seq % (UINT64_C(1) << 62) + 1;
	for (int i = 0; i < ZCP_FUZZ_TOPICS; i++)
		for (uint32_t p = 0; p < bed->keeper.topics[i].geometry.max_publishers; p++)
			zcp_test_store(&bed->keeper.topics[i].publishers[p].next_seq, next_seq);
}
