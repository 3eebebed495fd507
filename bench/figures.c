/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From plays to rows.
 */
#include "bench/figures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/rows.h"
#include "bench/stats.h"

/* Blocks in one place, fewer of which say nothing about it. */
#define N_PLACE_LEAST 5
/* Points through which a line is laid. */
#define N_POINTS_LEAST 5

static const struct {
	const char *name;
	const char *unit;
	/* compared with everything, and told apart by place; compared with the first; not compared */
	enum { MAIN, PLAIN, ALONE } kind;
} shown[BENCH_FIGURES] = {
	[BENCH_P50] = { "p50", "ns", MAIN },
	[BENCH_P99] = { "p99", "ns", PLAIN },
	[BENCH_RATE] = { "rate", "messages/s", MAIN },
	[BENCH_CPU] = { "cpu", "s/million", PLAIN },
	[BENCH_LOST] = { "lost", "%", ALONE },
	[BENCH_COPIED] = { "copied", "B/message", ALONE },
	[BENCH_FAULTS] = { "faults", "1/message", ALONE },
	[BENCH_SWITCHES] = { "switches", "1/message", ALONE },
	[BENCH_BUFFERS] = { "buffers", "", ALONE },
};

double bench_median_of_pair(struct bench_pair *pair, uint32_t n)
{
	return bench_percentile(pair->ns, n, 50);
}

void bench_entry_put(struct bench_entry *entry, const struct bench_job *job,
		     struct bench_pair *pair, bool is_disturbed)
{
	const struct bench_result *results = pair->results;
	uint32_t n_times = results[BENCH_SERVER].n_times;
	double n_sent = (double)job->n * job->there.n_out * (job->is_both_ways ? 2 : 1);
	double n_given = n_sent * job->there.n_in;
	double n_lost = (double)results[BENCH_RETURNER].n_lost;
	double *of = entry->now.of;

	for (int f = 0; f < BENCH_FIGURES; f++)
		of[f] = NAN;
	for (uint32_t i = 0; i < n_times; i++)
		entry->now_times[i] = (float)pair->ns[i];
	entry->n_now = n_times;
	if (n_times > 0) {
		of[BENCH_P50] = bench_middle(pair->ns, n_times);
		of[BENCH_P99] = bench_percentile(pair->ns, n_times, 99);
	} else {
		of[BENCH_RATE] = (n_given - n_lost) * 1e9 / results[BENCH_SERVER].ns;
		of[BENCH_LOST] = n_given > 0 ? n_lost * 100 / n_given : 0;
	}
	of[BENCH_CPU] = (results[0].cpu_ns + results[1].cpu_ns) / n_sent / 1e3;
	of[BENCH_COPIED] = (double)(results[0].n_copied + results[1].n_copied) / n_sent;
	of[BENCH_FAULTS] = (double)(results[0].n_faults + results[1].n_faults) / n_sent;
	of[BENCH_SWITCHES] = (double)(results[0].n_switches + results[1].n_switches) / n_sent;
	if (job->is_whole)
		of[BENCH_BUFFERS] = results[BENCH_SERVER].n_buffers;
	entry->is_disturbed = is_disturbed;
	entry->has_now = true;
}

static void keep_times(struct bench_entry *entry)
{
	if (entry->n_times + entry->n_now > entry->capacity) {
		size_t capacity = (entry->capacity + BENCH_TIMES) * 2;
		float *times = realloc(entry->times, capacity * sizeof(*times));

		if (!times)
			return;
		entry->times = times;
		entry->capacity = capacity;
	}
	memcpy(entry->times + entry->n_times, entry->now_times, entry->n_now * sizeof(float));
	entry->n_times += entry->n_now;
}

void bench_entry_settle(struct bench_entry *entry, enum bench_place place, bool is_warm_up)
{
	bool has_played = entry->has_now;

	entry->has_now = false;
	if (is_warm_up)
		return;
	if (!entry->blocks)
		entry->blocks = calloc(BENCH_BLOCKS_MAX, sizeof(*entry->blocks));
	if (!entry->blocks || entry->n_blocks == BENCH_BLOCKS_MAX)
		return;
	entry->now.place = (uint8_t)place;
	entry->now.is_kept = has_played && !entry->is_disturbed && place != BENCH_MOVED;
	entry->blocks[entry->n_blocks++] = entry->now;
	if (entry->now.is_kept)
		keep_times(entry);
}

void bench_entry_free(struct bench_entry *entry)
{
	free(entry->blocks);
	free(entry->times);
}

/* --- rows --- */

struct choice {
	enum bench_figure figure;
	/* BENCH_MOVED: all that were kept */
	enum bench_place place;
};

static bool is_chosen(const struct bench_values *values, const struct choice *choice)
{
	return values->is_kept && !isnan(values->of[choice->figure]) &&
	       (choice->place == BENCH_MOVED || values->place == choice->place);
}

static struct bench_row row_of(const struct bench_game *game, const struct bench_entry *entry,
			       const char *figure, const char *unit, enum bench_place place)
{
	static const char *const places[] = { "near", "far", "all" };
	struct bench_row row = { .size = entry->size, .n = entry->n, .place = places[place] };

	(void)snprintf(row.game, sizeof(row.game), "%s", game->name);
	(void)snprintf(row.peer, sizeof(row.peer), "%s", entry->peer->name);
	(void)snprintf(row.figure, sizeof(row.figure), "%s", figure);
	(void)snprintf(row.unit, sizeof(row.unit), "%s", unit);
	return row;
}

/* What `entry` is compared with: the peer's name, and what it has that `entry` has not. */
static void name_base(char *name, const struct bench_entry *entry, const struct bench_entry *base)
{
	if (base->n != entry->n)
		(void)snprintf(name, BENCH_NAME_MAX, "%s/%llu", base->peer->name,
			       (unsigned long long)base->n);
	else if (base->size != entry->size)
		(void)snprintf(name, BENCH_NAME_MAX, "%s/%zu", base->peer->name, base->size);
	else
		(void)snprintf(name, BENCH_NAME_MAX, "%s", base->peer->name);
}

static void add_row(const struct bench_game *game, const struct bench_entry *entry,
		    const struct bench_entry *base, const struct choice *choice)
{
	struct bench_row row = row_of(game, entry, shown[choice->figure].name,
				      shown[choice->figure].unit, choice->place);
	double *values = calloc(BENCH_BLOCKS_MAX, 2 * sizeof(double));
	double *ratios = values ? values + BENCH_BLOCKS_MAX : NULL;
	uint32_t n = 0, n_ratios = 0;

	for (uint32_t i = 0; values && i < entry->n_blocks; i++) {
		if (!is_chosen(&entry->blocks[i], choice))
			continue;
		values[n++] = entry->blocks[i].of[choice->figure];
		if (base && i < base->n_blocks && is_chosen(&base->blocks[i], choice))
			ratios[n_ratios++] = entry->blocks[i].of[choice->figure] /
					     base->blocks[i].of[choice->figure];
	}
	if (base)
		name_base(row.ratio_to, entry, base);
	if (choice->place == BENCH_MOVED ? !base || n_ratios > 0 : n >= N_PLACE_LEAST)
		bench_rows_add(&row, values, n, ratios, n_ratios);
	free(values);
}

static int compare_floats(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

/* Of single messages, which blocks are too short for. */
static void add_tail(const struct bench_game *game, const struct bench_entry *entry)
{
	static const struct {
		const char *name;
		double part;
	} tails[] = { { "p99.9", 0.999 }, { "p99.99", 0.9999 }, { "max", 1 } };

	if (entry->n_times == 0)
		return;
	qsort(entry->times, entry->n_times, sizeof(float), compare_floats);
	for (size_t t = 0; t < sizeof(tails) / sizeof(tails[0]); t++) {
		struct bench_row row = row_of(game, entry, tails[t].name, "ns", BENCH_MOVED);
		double value = entry->times[(size_t)((double)(entry->n_times - 1) * tails[t].part)];

		bench_rows_add(&row, &value, 1, NULL, 0);
	}
}

/* One of another size is there to be compared with; its own game shows it. */
static bool is_shown(const struct bench_game *game, const struct bench_entry *entry)
{
	return entry->size == game->players[0].size;
}

/* In a fan: the same with another peer, and the same peer's first. */
static bool is_base(const struct bench_game *game, const struct bench_entry *entry,
		    const struct bench_entry *base)
{
	return !game->is_fan || base->n_in == entry->n_in ||
	       (base->peer == entry->peer && base->n_in == 0);
}

/* zcp is compared with all, the others with the first. */
static void add_rows(const struct bench_game *game, const struct bench_entry *entries, uint32_t n,
		     const struct bench_entry *entry, const struct choice *choice)
{
	bool is_zcp = strncmp(entry->peer->name, "zcp", 3) == 0;

	if (shown[choice->figure].kind == ALONE || (n == 1 && entry == entries)) {
		add_row(game, entry, NULL, choice);
		return;
	}
	if (!is_zcp || shown[choice->figure].kind == PLAIN) {
		add_row(game, entry, &entries[0], choice);
		return;
	}
	for (uint32_t b = 0; b < n; b++)
		if (&entries[b] != entry && !entries[b].has_left &&
		    is_base(game, entry, &entries[b]))
			add_row(game, entry, &entries[b], choice);
}

/* Of a fan: what each further subscriber adds to a publish, block by block. */
static void add_slope(const struct bench_game *game, const struct bench_entry *entries, uint32_t n,
		      const struct bench_peer *peer, enum bench_place place)
{
	static double slopes[BENCH_BLOCKS_MAX], x[BENCH_PLAYERS_MAX], y[BENCH_PLAYERS_MAX];
	const struct choice choice = { BENCH_P50, place };
	const struct bench_entry *first = NULL;
	uint32_t n_slopes = 0;
	struct bench_row row;

	for (uint32_t block = 0; block < BENCH_BLOCKS_MAX; block++) {
		uint32_t n_points = 0;

		for (uint32_t i = 0; i < n; i++) {
			if (entries[i].peer != peer || block >= entries[i].n_blocks ||
			    entries[i].n_in == 0 || !is_chosen(&entries[i].blocks[block], &choice))
				continue;
			first = first ? first : &entries[i];
			x[n_points] = entries[i].n_in;
			y[n_points++] = entries[i].blocks[block].of[BENCH_P50];
		}
		if (n_points >= N_POINTS_LEAST)
			slopes[n_slopes++] = bench_slope(x, y, n_points);
	}
	if (!first)
		return;
	row = row_of(game, first, "further-subscriber", "ns", place);
	row.n = 0;
	bench_rows_add(&row, slopes, n_slopes, NULL, 0);
}

static void add_slopes(const struct bench_game *game, const struct bench_entry *entries, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		for (int place = BENCH_MOVED; place >= BENCH_NEAR; place--)
			if (i == 0 || entries[i].peer != entries[i - 1].peer)
				add_slope(game, entries, n, entries[i].peer,
					  (enum bench_place)place);
}

void bench_figures_report(const struct bench_game *game, const struct bench_entry *entries,
			  uint32_t n)
{
	if (game->is_fan)
		add_slopes(game, entries, n);
	for (int f = 0; f < BENCH_FIGURES; f++)
		for (uint32_t i = 0; i < n; i++)
			for (int place = BENCH_MOVED;
			     place >= BENCH_NEAR && is_shown(game, &entries[i]); place--) {
				struct choice choice = { (enum bench_figure)f,
							 (enum bench_place)place };

				if (place == BENCH_MOVED || shown[f].kind == MAIN)
					add_rows(game, entries, n, &entries[i], &choice);
			}
	for (uint32_t i = 0; i < n; i++)
		if (is_shown(game, &entries[i]))
			add_tail(game, &entries[i]);
}
