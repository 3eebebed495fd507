/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Medians over the blocks.
 */
#include "bench/figures.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/stats.h"

static const char *const json_names[BENCH_WAYS] = { "futex", "zcp_futex", "eventfd", "zcp_fd" };
static const char *const names[BENCH_WAYS] = {
	"futex, bare",
	"zcp_node_dispatch()",
	"eventfd and poll, bare",
	"zcp_node_fd() and poll",
};

static int allocate(double **lists[], size_t n_lists, uint32_t n)
{
	for (size_t i = 0; i < n_lists; i++) {
		*lists[i] = calloc(n, sizeof(double));
		if (!*lists[i])
			return -ENOMEM;
	}
	return 0;
}

int bench_figures_init(struct bench_figures *figures, uint32_t n_blocks, uint32_t n_sleep_blocks,
		       bool timestamps)
{
	double **lists[] = { &figures->raw_p50,   &figures->raw_p99,   &figures->zcp_p50,
			     &figures->zcp_p99,   &figures->large_p50, &figures->rate,
			     &figures->ratio_p50, &figures->ratio_p99, &figures->ratio_large };
	double **sleep_lists[2 * BENCH_WAYS + 4] = { &figures->ratio_futex_p50,
						     &figures->ratio_futex_p99,
						     &figures->ratio_fd_p50,
						     &figures->ratio_fd_p99 };
	int r;

	figures->n_blocks = n_blocks;
	figures->n_sleep_blocks = n_sleep_blocks;
	figures->timestamps = timestamps;
	for (int way = 0; way < BENCH_WAYS; way++) {
		sleep_lists[4 + 2 * way] = &figures->sleep_p50[way];
		sleep_lists[5 + 2 * way] = &figures->sleep_p99[way];
	}
	r = allocate(lists, sizeof(lists) / sizeof(lists[0]), n_blocks);
	if (r == 0)
		r = allocate(sleep_lists, sizeof(sleep_lists) / sizeof(sleep_lists[0]),
			     n_sleep_blocks);
	return r;
}

static double median(const struct bench_figures *figures, double *values)
{
	return bench_percentile(values, figures->n_blocks, 50);
}

static double sleep_median(const struct bench_figures *figures, double *values)
{
	return bench_percentile(values, figures->n_sleep_blocks, 50);
}

/* The best quarter: what a stream does while the processors are near. */
static double near_rate(const struct bench_figures *figures)
{
	return bench_percentile(figures->rate, figures->n_blocks, 75);
}

void bench_figures_print_json(const struct bench_figures *figures)
{
	(void)printf("{\"raw_p50_ns\": %.1f, \"raw_p99_ns\": %.1f, \"zcp_p50_ns\": %.1f, "
		     "\"zcp_p99_ns\": %.1f, \"ratio_p50\": %.3f, \"ratio_p99\": %.3f, "
		     "\"ratio_4mib_to_64b\": %.3f, \"stream_msgs_per_s\": %.0f, "
		     "\"stream_msgs_per_s_near\": %.0f, \"blocks\": %u, "
		     "\"timestamps\": %s",
		     median(figures, figures->raw_p50), median(figures, figures->raw_p99),
		     median(figures, figures->zcp_p50), median(figures, figures->zcp_p99),
		     median(figures, figures->ratio_p50), median(figures, figures->ratio_p99),
		     median(figures, figures->ratio_large), median(figures, figures->rate),
		     near_rate(figures), figures->n_blocks, figures->timestamps ? "true" : "false");
	for (int way = 0; way < BENCH_WAYS; way++)
		(void)printf(", \"sleep_%s_p50_ns\": %.0f, \"sleep_%s_p99_ns\": %.0f",
			     json_names[way], sleep_median(figures, figures->sleep_p50[way]),
			     json_names[way], sleep_median(figures, figures->sleep_p99[way]));
	(void)printf(", \"ratio_futex_p50\": %.3f, \"ratio_futex_p99\": %.3f, "
		     "\"ratio_fd_p50\": %.3f, \"ratio_fd_p99\": %.3f, \"sleep_blocks\": %u}\n",
		     sleep_median(figures, figures->ratio_futex_p50),
		     sleep_median(figures, figures->ratio_futex_p99),
		     sleep_median(figures, figures->ratio_fd_p50),
		     sleep_median(figures, figures->ratio_fd_p99), figures->n_sleep_blocks);
}

static void print_sleep(const struct bench_figures *figures)
{
	(void)printf("to a sleeper, 1000 a second\n");
	for (int way = 0; way < BENCH_WAYS; way++)
		(void)printf("%-26s %8.0f %8.0f\n", names[way],
			     sleep_median(figures, figures->sleep_p50[way]),
			     sleep_median(figures, figures->sleep_p99[way]));
	(void)printf("ratio zcp to futex         %8.2f %8.2f   block by block, median of %u\n"
		     "ratio zcp to eventfd       %8.2f %8.2f\n",
		     sleep_median(figures, figures->ratio_futex_p50),
		     sleep_median(figures, figures->ratio_futex_p99), figures->n_sleep_blocks,
		     sleep_median(figures, figures->ratio_fd_p50),
		     sleep_median(figures, figures->ratio_fd_p99));
}

void bench_figures_print(const struct bench_figures *figures)
{
	(void)printf("one way, ns                     p50      p99\n"
		     "cache line, raw            %8.1f %8.1f\n"
		     "zcp, 64 bytes              %8.1f %8.1f\n"
		     "ratio zcp to raw           %8.2f %8.2f   block by block, median of %u\n"
		     "ratio 4 MiB to 64 bytes    %8.2f\n"
		     "stream of 64 bytes, 1 to 1 %8.1f million messages a second, none lost\n"
		     "  with the processors near %8.1f (upper quartile of the blocks)\n",
		     median(figures, figures->raw_p50), median(figures, figures->raw_p99),
		     median(figures, figures->zcp_p50), median(figures, figures->zcp_p99),
		     median(figures, figures->ratio_p50), median(figures, figures->ratio_p99),
		     figures->n_blocks, median(figures, figures->ratio_large),
		     median(figures, figures->rate) / 1e6, near_rate(figures) / 1e6);
	print_sleep(figures);
}
