/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Medians over the blocks.
 */
#include "bench/figures.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/stats.h"

/* What a figure is called in JSON and, with what goes before it, for people. */
static const struct {
	const char *key;
	const char *label;
	int decimals;
	/* of people's unit */
	double unit;
	const char *heading;
} shown[BENCH_FIGURES] = {
	[BENCH_RAW_P50] = { "raw_p50_ns", "bare cache line", 1, 1, "one way, ns: median, p99" },
	[BENCH_RAW_P99] = { "raw_p99_ns", "", 1, 1, NULL },
	[BENCH_REF_P50] = { "ref_p50_ns", "reference ring, 64 bytes", 1, 1, NULL },
	[BENCH_REF_P99] = { "ref_p99_ns", "", 1, 1, NULL },
	[BENCH_ZCP_P50] = { "zcp_p50_ns", "zcp, 64 bytes", 1, 1, NULL },
	[BENCH_ZCP_P99] = { "zcp_p99_ns", "", 1, 1, NULL },
	[BENCH_RATIO_P50] = { "ratio_p50", "zcp to line", 3, 1, NULL },
	[BENCH_RATIO_P99] = { "ratio_p99", "", 3, 1, NULL },
	[BENCH_RATIO_REF_P50] = { "ratio_ref_p50", "zcp to reference ring", 3, 1, NULL },
	[BENCH_RATIO_REF_P99] = { "ratio_ref_p99", "", 3, 1, NULL },
	[BENCH_RATIO_LARGE] = { "ratio_4mib_to_64b", "zcp, 4 MiB to 64 bytes", 3, 1, NULL },
	[BENCH_STREAM_REF] = { "stream_ref_msgs_per_s", "reference ring", 0, 1e6,
			       "streams of 64 bytes, million messages a second" },
	[BENCH_STREAM_BLOCK] = { "stream_msgs_per_s", "zcp, blocking", 0, 1e6, NULL },
	[BENCH_STREAM_DROP] = { "stream_drop_msgs_per_s", "zcp, drop-oldest", 0, 1e6, NULL },
	[BENCH_STREAM_RATIO_BLOCK] = { "stream_ratio_block", "blocking to reference", 3, 1, NULL },
	[BENCH_STREAM_RATIO_DROP] = { "stream_ratio_drop", "drop-oldest to reference", 3, 1, NULL },
	[BENCH_STREAM_LOST] = { "stream_drop_lost_percent", "lost by drop-oldest, %", 2, 1, NULL },
	[BENCH_STREAM_2_REF] = { "stream_2_ref_msgs_per_s", "1 to 2: reference rings", 0, 1e6,
				 NULL },
	[BENCH_STREAM_2] = { "stream_2_msgs_per_s", "1 to 2: zcp, blocking", 0, 1e6, NULL },
	[BENCH_STREAM_2_RATIO] = { "stream_2_ratio", "1 to 2: zcp to reference", 3, 1, NULL },
	[BENCH_STREAM_4_REF] = { "stream_4_ref_msgs_per_s", "1 to 4: reference rings", 0, 1e6,
				 NULL },
	[BENCH_STREAM_4] = { "stream_4_msgs_per_s", "1 to 4: zcp, blocking", 0, 1e6, NULL },
	[BENCH_STREAM_4_RATIO] = { "stream_4_ratio", "1 to 4: zcp to reference", 3, 1, NULL },
	[BENCH_FRAMES_PRIVATE] = { "frames_private_per_s", "private buffers", 0, 1,
				   "frames of 1080p filled and summed, a second" },
	[BENCH_FRAMES] = { "frames_per_s", "zcp", 0, 1, NULL },
	[BENCH_FRAMES_RATIO] = { "frames_ratio", "zcp to private buffers", 3, 1, NULL },
	[BENCH_FRAMES_IN_USE] = { "frames_in_use", "buffers of each", 0, 1, NULL },
	[BENCH_SLEEP] = { "sleep_futex_p50_ns", "futex, bare", 0, 1,
			  "to one that waits, 1000 a second, one way, ns: median, p99" },
	{ "sleep_futex_p99_ns", "", 0, 1, NULL },
	{ "sleep_zcp_futex_p50_ns", "zcp_node_dispatch()", 0, 1, NULL },
	{ "sleep_zcp_futex_p99_ns", "", 0, 1, NULL },
	{ "sleep_eventfd_p50_ns", "eventfd and poll, bare", 0, 1, NULL },
	{ "sleep_eventfd_p99_ns", "", 0, 1, NULL },
	{ "sleep_zcp_fd_p50_ns", "zcp_node_fd() and poll", 0, 1, NULL },
	{ "sleep_zcp_fd_p99_ns", "", 0, 1, NULL },
	{ "spin_raw_p50_ns", "spinning, bare", 0, 1, NULL },
	{ "spin_raw_p99_ns", "", 0, 1, NULL },
	{ "spin_zcp_p50_ns", "zcp_node_dispatch(), spinning", 0, 1, NULL },
	{ "spin_zcp_p99_ns", "", 0, 1, NULL },
	[BENCH_RATIO_FUTEX_P50] = { "ratio_futex_p50", "zcp to futex", 3, 1, NULL },
	[BENCH_RATIO_FUTEX_P99] = { "ratio_futex_p99", "", 3, 1, NULL },
	[BENCH_RATIO_FD_P50] = { "ratio_fd_p50", "zcp to eventfd", 3, 1, NULL },
	[BENCH_RATIO_FD_P99] = { "ratio_fd_p99", "", 3, 1, NULL },
	[BENCH_RATIO_SPIN_P50] = { "ratio_spin_p50", "zcp to spinning", 3, 1, NULL },
	[BENCH_RATIO_SPIN_P99] = { "ratio_spin_p99", "", 3, 1, NULL },
};

int bench_figures_init(struct bench_figures *figures, uint32_t n_max)
{
	*figures = (struct bench_figures){ .n_max = n_max };
	for (int f = 0; f < BENCH_FIGURES; f++) {
		figures->of[f].values = calloc(n_max, sizeof(double));
		figures->of[f].places = calloc(n_max, sizeof(uint8_t));
		if (!figures->of[f].values || !figures->of[f].places)
			return -ENOMEM;
	}
	return 0;
}

void bench_figures_put(struct bench_figures *figures, enum bench_figure figure, double value)
{
	struct bench_values *of = &figures->of[figure];

	if (of->n < figures->n_max)
		of->values[of->n++] = value;
}

void bench_figures_settle(struct bench_figures *figures, enum bench_place place)
{
	figures->n_blocks[place]++;
	for (int f = 0; f < BENCH_FIGURES; f++) {
		struct bench_values *of = &figures->of[f];

		while (of->n_settled < of->n)
			of->places[of->n_settled++] = (uint8_t)place;
	}
}

void bench_figures_reset(struct bench_figures *figures)
{
	for (int f = 0; f < BENCH_FIGURES; f++)
		figures->of[f].n = figures->of[f].n_settled = 0;
	for (int place = 0; place < BENCH_PLACES; place++)
		figures->n_blocks[place] = 0;
}

/* Of the blocks there, or of all that were kept; NAN where there is none. */
static double median(const struct bench_figures *figures, int figure, enum bench_place place)
{
	const struct bench_values *of = &figures->of[figure];
	double *chosen = calloc(figures->n_max, sizeof(double)), value = NAN;
	uint32_t n = 0;

	for (uint32_t i = 0; chosen && i < of->n; i++)
		if (of->places[i] == place || (place == BENCH_ANYWHERE && of->places[i] < place))
			chosen[n++] = of->values[i];
	if (n > 0)
		value = bench_percentile(chosen, n, 50);
	free(chosen);
	return value;
}

/* --- for programs --- */

static void print_member(const char *key, const char *suffix, int decimals, double value)
{
	if (isnan(value))
		(void)printf(", \"%s%s\": null", key, suffix);
	else
		(void)printf(", \"%s%s\": %.*f", key, suffix, decimals, value);
}

void bench_figures_print_json(struct bench_figures *figures, const struct bench_setting *setting)
{
	(void)printf("{\"blocks\": %u, \"sleep_blocks\": %u, \"blocks_near\": %u, "
		     "\"blocks_far\": %u, \"blocks_moved\": %u, \"blocks_disturbed\": %u, "
		     "\"timestamps\": %s",
		     setting->n_rounds, figures->n_blocks[BENCH_ANYWHERE],
		     figures->n_blocks[BENCH_NEAR], figures->n_blocks[BENCH_FAR],
		     figures->n_blocks[BENCH_MOVED], figures->n_blocks[BENCH_DISTURBED],
		     setting->timestamps ? "true" : "false");
	for (int f = 0; f < BENCH_FIGURES; f++) {
		print_member(shown[f].key, "", shown[f].decimals,
			     median(figures, f, BENCH_ANYWHERE));
		if (f >= BENCH_SLEEP)
			continue;
		print_member(shown[f].key, "_near", shown[f].decimals,
			     median(figures, f, BENCH_NEAR));
		print_member(shown[f].key, "_far", shown[f].decimals,
			     median(figures, f, BENCH_FAR));
	}
	(void)printf("}\n");
}

/* --- for people --- */

static void print_value(double value, int figure)
{
	if (isnan(value))
		(void)printf(" %8s", "-");
	else if (shown[figure].unit > 1)
		(void)printf(" %8.2f", value / shown[figure].unit);
	else
		(void)printf(" %8.*f", shown[figure].decimals > 2 ? 2 : shown[figure].decimals,
			     value);
}

/* A figure with the next one beside it, where that has no label of its own. */
static void print_place(const struct bench_figures *figures, int figure, enum bench_place place)
{
	print_value(median(figures, figure, place), figure);
	if (figure + 1 < BENCH_FIGURES && shown[figure + 1].label[0] == '\0')
		print_value(median(figures, figure + 1, place), figure + 1);
	else
		(void)printf(" %8s", "");
}

void bench_figures_print(struct bench_figures *figures, const struct bench_setting *setting)
{
	(void)setting;
	for (int f = 0; f < BENCH_FIGURES; f++) {
		if (shown[f].heading)
			(void)printf("%s%s\n", f > 0 ? "\n" : "", shown[f].heading);
		if (shown[f].heading && f < BENCH_SLEEP)
			(void)printf("  %-30s %8s %17s %8s\n", "", "near", "", "far");
		if (shown[f].label[0] == '\0')
			continue;
		(void)printf("  %-30s", shown[f].label);
		print_place(figures, f, f < BENCH_SLEEP ? BENCH_NEAR : BENCH_ANYWHERE);
		if (f < BENCH_SLEEP) {
			(void)printf("  ");
			print_place(figures, f, BENCH_FAR);
		}
		(void)printf("\n");
	}
	(void)printf("\nmedians of blocks: %u near, %u far, %u not told apart; left out: %u that "
		     "moved, %u disturbed\n",
		     figures->n_blocks[BENCH_NEAR], figures->n_blocks[BENCH_FAR],
		     figures->n_blocks[BENCH_ANYWHERE], figures->n_blocks[BENCH_MOVED],
		     figures->n_blocks[BENCH_DISTURBED]);
}
