/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping rows, and writing them.
 */
#include "bench/rows.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "bench/peer.h"
#include "bench/stats.h"

struct note {
	char game[BENCH_NAME_MAX];
	char peer[BENCH_NAME_MAX];
	char text[200];
};

struct counts {
	char game[BENCH_NAME_MAX];
	struct bench_blocks blocks;
};

static struct {
	struct bench_row *rows;
	size_t n_rows;
	size_t capacity;
	struct note notes[256];
	size_t n_notes;
	struct counts counts[128];
	size_t n_counts;
} all;

static void copy_name(char *to, const char *from)
{
	(void)snprintf(to, BENCH_NAME_MAX, "%s", from);
}

void bench_rows_note(const char *game, const char *peer, const char *format, ...)
{
	struct note *note = &all.notes[all.n_notes];
	va_list arguments;

	if (all.n_notes == sizeof(all.notes) / sizeof(all.notes[0]))
		return;
	all.n_notes++;
	copy_name(note->game, game);
	copy_name(note->peer, peer);
	va_start(arguments, format);
	(void)vsnprintf(note->text, sizeof(note->text), format, arguments);
	va_end(arguments);
	(void)fprintf(stderr, "zcp-bench: %s: %s: %s\n", game, peer, note->text);
}

static void evaluate(double *values, uint32_t n, double *low, double *median, double *high)
{
	*low = *median = *high = NAN;
	if (n == 0)
		return;
	*low = bench_percentile(values, n, 25);
	*median = bench_percentile(values, n, 50);
	*high = bench_percentile(values, n, 75);
}

void bench_rows_add(const struct bench_row *row, double *values, uint32_t n, double *ratios,
		    uint32_t n_ratios)
{
	struct bench_row *added;

	if (n == 0)
		return;
	if (all.n_rows == all.capacity) {
		size_t capacity = all.capacity ? all.capacity * 2 : 256;
		struct bench_row *rows = realloc(all.rows, capacity * sizeof(*rows));

		if (!rows)
			abort();
		all.rows = rows;
		all.capacity = capacity;
	}
	added = &all.rows[all.n_rows++];
	*added = *row;
	added->n_samples = n;
	evaluate(values, n, &added->low, &added->median, &added->high);
	evaluate(ratios, n_ratios, &added->ratio_low, &added->ratio, &added->ratio_high);
	if (n_ratios == 0)
		added->ratio_to[0] = '\0';
}

void bench_rows_put(const char *game, const char *peer, const char *figure, const char *unit,
		    uint64_t n, double value)
{
	struct bench_row row = { .place = "all", .n = n };

	copy_name(row.game, game);
	copy_name(row.peer, peer);
	copy_name(row.figure, figure);
	(void)snprintf(row.unit, sizeof(row.unit), "%s", unit);
	bench_rows_add(&row, &value, 1, NULL, 0);
}

void bench_rows_count(const char *game, const struct bench_blocks *blocks)
{
	struct counts *counts = &all.counts[all.n_counts];

	if (all.n_counts == sizeof(all.counts) / sizeof(all.counts[0]))
		return;
	all.n_counts++;
	counts->blocks = *blocks;
	copy_name(counts->game, game);
}

const struct bench_row *bench_rows_find(const char *game, const char *peer, const char *figure,
					uint64_t size, const char *ratio_to)
{
	for (size_t i = 0; i < all.n_rows; i++) {
		const struct bench_row *row = &all.rows[i];

		if (strcmp(row->game, game) == 0 && strcmp(row->peer, peer) == 0 &&
		    strcmp(row->figure, figure) == 0 && (size == 0 || row->size == size) &&
		    strcmp(row->place, "all") == 0 &&
		    (!ratio_to || strcmp(row->ratio_to, ratio_to) == 0))
			return row;
	}
	return NULL;
}

/* --- for people --- */

static void print_number(double value)
{
	if (isnan(value))
		(void)printf(" %11s", "-");
	else if (fabs(value) >= 1e7)
		(void)printf(" %11.3e", value);
	else
		(void)printf(" %11.*f", fabs(value) >= 1000 ? 0 : fabs(value) >= 10 ? 1 : 3, value);
}

void bench_rows_print(const char *game)
{
	for (size_t i = 0; i < all.n_rows; i++) {
		const struct bench_row *row = &all.rows[i];

		if (strcmp(row->game, game) != 0 || strcmp(row->place, "all") != 0)
			continue;
		(void)printf("  %-13s", row->peer);
		if (row->size)
			(void)printf(" %8llu B", (unsigned long long)row->size);
		else
			(void)printf(" %10s", "");
		if (row->n)
			(void)printf(" %6llu", (unsigned long long)row->n);
		else
			(void)printf(" %6s", "");
		(void)printf(" %-22s", row->figure);
		print_number(row->median);
		(void)printf(" %-14s", row->unit);
		if (row->ratio_to[0])
			(void)printf(" %8.3f of %s", row->ratio, row->ratio_to);
		(void)printf("\n");
	}
}

/* --- for programs --- */

static void write_string(FILE *file, const char *text)
{
	(void)fputc('"', file);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			(void)fputc('\\', file);
		(void)fputc((unsigned char)*text < ' ' ? ' ' : *text, file);
	}
	(void)fputc('"', file);
}

static void write_number(FILE *file, const char *key, double value)
{
	if (isfinite(value))
		(void)fprintf(file, ", \"%s\": %.6g", key, value);
	else
		(void)fprintf(file, ", \"%s\": null", key);
}

static void write_row(FILE *file, const struct bench_row *row)
{
	(void)fprintf(file, "  {\"name\": \"%s/%s", row->game, row->peer);
	if (row->size)
		(void)fprintf(file, "/%llu", (unsigned long long)row->size);
	if (row->n)
		(void)fprintf(file, "/%llu", (unsigned long long)row->n);
	(void)fprintf(file,
		      "/%s\", \"game\": \"%s\", \"peer\": \"%s\", \"figure\": \"%s\", "
		      "\"size\": %llu, \"n\": %llu, \"unit\": \"%s\", \"place\": \"%s\", "
		      "\"samples\": %u",
		      row->figure, row->game, row->peer, row->figure, (unsigned long long)row->size,
		      (unsigned long long)row->n, row->unit, row->place, row->n_samples);
	write_number(file, "median", row->median);
	(void)fprintf(file, ", \"spread\": [%.6g, %.6g]", row->low, row->high);
	write_number(file, "ratio", row->ratio_to[0] ? row->ratio : NAN);
	if (row->ratio_to[0])
		(void)fprintf(file, ", \"ratio_spread\": [%.6g, %.6g], \"ratio_to\": \"%s\"}",
			      row->ratio_low, row->ratio_high, row->ratio_to);
	else
		(void)fprintf(file, ", \"ratio_spread\": null, \"ratio_to\": null}");
}

/* The processor's name, or "". */
static void write_processor(FILE *file)
{
	FILE *info = fopen("/proc/cpuinfo", "re");
	char line[256], *name = NULL;

	while (info && !name && fgets(line, sizeof(line), info))
		if (strncmp(line, "model name", 10) == 0)
			name = strchr(line, ':');
	if (name) {
		name[strcspn(name, "\n")] = '\0';
		name += 2;
	}
	write_string(file, name ? name : "");
	if (info)
		(void)fclose(info);
}

static void write_setting(FILE *file, const char *mode, double seconds)
{
	struct utsname system;
	time_t now = time(NULL);
	struct tm at;
	char date[32] = "";

	if (gmtime_r(&now, &at))
		(void)strftime(date, sizeof(date), "%Y-%m-%d", &at);
	(void)fprintf(file, "\"mode\": \"%s\", \"date\": \"%s\", \"seconds\": %.0f, ", mode, date,
		      seconds);
	if (uname(&system) == 0)
		(void)fprintf(file, "\"kernel\": \"%s %s\", \"machine\": \"%s\", ", system.sysname,
			      system.release, system.machine);
	(void)fprintf(file, "\"processors\": %ld, \"processor\": ", sysconf(_SC_NPROCESSORS_ONLN));
	write_processor(file);
	(void)fprintf(file, ",\n\"peers\": [");
	for (size_t i = 0; bench_peers[i]; i++) {
		(void)fprintf(file, "%s\n  {\"name\": \"%s\", \"settings\": ", i ? "," : "",
			      bench_peers[i]->name);
		write_string(file, bench_peers[i]->settings);
		(void)fputc('}', file);
	}
	(void)fprintf(file, "],\n");
}

int bench_rows_write(FILE *file, const char *mode, double seconds)
{
	(void)fprintf(file, "{");
	write_setting(file, mode, seconds);
	(void)fprintf(file, "\"notes\": [");
	for (size_t i = 0; i < all.n_notes; i++) {
		(void)fprintf(file,
			      "%s\n  {\"game\": \"%s\", \"peer\": \"%s\", \"text\": ", i ? "," : "",
			      all.notes[i].game, all.notes[i].peer);
		write_string(file, all.notes[i].text);
		(void)fputc('}', file);
	}
	(void)fprintf(file, "],\n\"games\": [");
	for (size_t i = 0; i < all.n_counts; i++) {
		const struct bench_blocks *blocks = &all.counts[i].blocks;

		(void)fprintf(file,
			      "%s\n  {\"game\": \"%s\", \"blocks\": %u, \"moved\": %u, "
			      "\"plays\": %u, \"disturbed\": %u, \"seconds\": %.1f}",
			      i ? "," : "", all.counts[i].game, blocks->n_blocks, blocks->n_moved,
			      blocks->n_plays, blocks->n_disturbed, blocks->seconds);
	}
	(void)fprintf(file, "],\n\"rows\": [");
	for (size_t i = 0; i < all.n_rows; i++) {
		(void)fprintf(file, "%s\n", i ? "," : "");
		write_row(file, &all.rows[i]);
	}
	(void)fprintf(file, "]}\n");
	return fflush(file) == 0 && !ferror(file) ? 0 : -1;
}
