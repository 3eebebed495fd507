/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Medians over the blocks.
 */
#include "bench/figures.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/stats.h"

int bench_figures_init(struct bench_figures *figures, uint32_t n_blocks, bool timestamps)
{
	double **lists[] = { &figures->raw_p50,   &figures->raw_p99,   &figures->zcp_p50,
			     &figures->zcp_p99,   &figures->large_p50, &figures->rate,
			     &figures->ratio_p50, &figures->ratio_p99, &figures->ratio_large };

	figures->n_blocks = n_blocks;
	figures->timestamps = timestamps;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		*lists[i] = calloc(n_blocks, sizeof(double));
		if (!*lists[i])
			return -ENOMEM;
	}
	return 0;
}

static double median(const struct bench_figures *figures, double *values)
{
	return bench_percentile(values, figures->n_blocks, 50);
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
		     "\"timestamps\": %s}\n",
		     median(figures, figures->raw_p50), median(figures, figures->raw_p99),
		     median(figures, figures->zcp_p50), median(figures, figures->zcp_p99),
		     median(figures, figures->ratio_p50), median(figures, figures->ratio_p99),
		     median(figures, figures->ratio_large), median(figures, figures->rate),
		     near_rate(figures), figures->n_blocks, figures->timestamps ? "true" : "false");
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
}
