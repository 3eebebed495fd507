/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Meeting, and the bare line.
 */
#include "bench/bench.h"

#include <stdio.h>

#include "bench/stats.h"

int bench_complain(const struct bench *bench, const char *what, int r)
{
	(void)fprintf(stderr, "zcp-bench: %s: %s: %s\n", what, zcp_strerror(r),
		      zcp_node_error(bench->node));
	return r;
}

int bench_meet(struct bench *bench)
{
	struct bench_table *table = bench->table;

	bench->n_meetings++;
	/* Release: what this side has written before. */
	atomic_store_explicit(&table->met[bench->side][0], bench->n_meetings, memory_order_release);
	return bench_wait_word(table, &table->met[!bench->side][0], bench->n_meetings);
}

void bench_evaluate(struct bench *bench, uint32_t n, double *p50, double *p99)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t ticks = bench->ticks[i];

		ticks -= ticks < bench->clock.overhead ? ticks : bench->clock.overhead;
		bench->ns[i] = (double)ticks * bench->clock.ns_per_tick / 2;
	}
	*p99 = bench_percentile(bench->ns, n, 99);
	*p50 = bench_percentile(bench->ns, n, 50);
}

int bench_line(struct bench *bench, uint32_t n, double *p50, double *p99)
{
	struct bench_table *table = bench->table;
	bool serves = bench->side == BENCH_SERVER;
	_Atomic uint64_t *out = serves ? &table->line : &table->back;
	_Atomic uint64_t *in = serves ? &table->back : &table->line;
	int r = bench_meet(bench);

	for (uint32_t i = 0; i < n && r == 0; i++) {
		uint64_t start = bench_ticks();

		bench->ball++;
		if (serves)
			atomic_store_explicit(out, bench->ball, memory_order_release);
		r = bench_wait_word(table, in, bench->ball);
		if (!serves)
			atomic_store_explicit(out, bench->ball, memory_order_release);
		bench->ticks[i] = bench_ticks() - start;
	}
	if (r == 0)
		bench_evaluate(bench, n, p50, p99);
	return r;
}
