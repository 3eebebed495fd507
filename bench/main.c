/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zcp-bench: what handing a message over costs, beside what the hardware charges for one
 * cache line; and to somebody who sleeps, beside what the kernel charges for waking him.
 *
 * Processors of a shared machine move near and far from each other every few seconds, so
 * that no figure stands alone: blocks of raw ping-pong and blocks of zcp alternate in one
 * run, and the ratio is taken block by block. In a block of sleeping the ways take turns.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/clock.h"
#include "bench/figures.h"
#include "bench/game.h"
#include "bench/sleep.h"
#include "bench/stats.h"

#define CONFIG_NAME "bench.toml"
#define ROUNDS 2000
#define STREAM_MESSAGES 200000
/* Rounds of the first block, which warms up and is not counted. */
#define BLOCKS_DEFAULT 200
/* Blocks of the others for each one of sleeping, and the round trips of each way in that. */
#define BLOCKS_PER_SLEEP 10
#define SLEEPS 100

struct bench {
	struct bench_clock clock;
	struct bench_table *table;
	struct bench_ends ends;
	enum bench_side side;
	uint64_t number;
	uint64_t meeting;
	uint32_t n_blocks;
	bool json;
	bool timestamps;
	uint64_t ticks[ROUNDS];
	double ns[ROUNDS];
	struct bench_sleepers sleepers;
	uint64_t sleep_ticks[BENCH_WAYS][SLEEPS];
	struct bench_figures figures;
};

static const char usage[] =
	"usage: zcp-bench [--json] [--timestamps] [--blocks N]\n"
	"\n"
	"Measures on two processors, in blocks that alternate: a bare cache line going to and\n"
	"fro, zcp messages of 64 bytes and of 4 MiB doing the same, and a stream of 64-byte\n"
	"messages with nothing lost. Every tenth block is followed by one in which both sides\n"
	"sleep, and a ball goes to and fro once a millisecond: by a bare futex, a bare eventfd,\n"
	"and zcp over each of them, by turns. Times are one way: half a round trip.\n"
	"\n"
	"  --json       one object instead of a table\n"
	"  --timestamps leave publish times on, as topics have them unless told otherwise;\n"
	"               they read the clock once a message\n"
	"  --blocks N   blocks of each kind (default 200, about 15 s in all)\n";

static int meet(struct bench *bench)
{
	return bench_meet(bench->table, bench->side, ++bench->meeting);
}

/* One-way nanoseconds of n round trips, ROUNDS at most. */
static void evaluate_ticks(struct bench *bench, const uint64_t *round_trips, size_t n, double *p50,
			   double *p99)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t ticks = round_trips[i];

		ticks -= ticks < bench->clock.overhead ? ticks : bench->clock.overhead;
		bench->ns[i] = (double)ticks * bench->clock.ns_per_tick / 2;
	}
	*p99 = bench_percentile(bench->ns, n, 99);
	*p50 = bench->ns[n / 2];
}

/* Those in bench->ticks. */
static void evaluate(struct bench *bench, double *p50, double *p99)
{
	evaluate_ticks(bench, bench->ticks, ROUNDS, p50, p99);
}

static int block(struct bench *bench, uint32_t b)
{
	struct bench_figures *figures = &bench->figures;
	double unused;
	uint64_t ns;
	int r;

	r = meet(bench);
	if (r == 0)
		r = bench_raw(bench->table, bench->side, &bench->number, ROUNDS, bench->ticks);
	if (r < 0)
		return r;
	if (bench->side == BENCH_SERVER)
		evaluate(bench, &figures->raw_p50[b], &figures->raw_p99[b]);
	r = meet(bench);
	if (r == 0)
		r = bench_ping(bench->table, &bench->ends, bench->side, BENCH_SMALL, ROUNDS,
			       bench->ticks);
	if (r < 0)
		return r;
	if (bench->side == BENCH_SERVER)
		evaluate(bench, &figures->zcp_p50[b], &figures->zcp_p99[b]);
	r = meet(bench);
	if (r == 0)
		r = bench_ping(bench->table, &bench->ends, bench->side, BENCH_LARGE, ROUNDS,
			       bench->ticks);
	if (r < 0)
		return r;
	if (bench->side == BENCH_SERVER)
		evaluate(bench, &figures->large_p50[b], &unused);
	r = meet(bench);
	if (r == 0)
		r = bench_stream(bench->table, &bench->ends, bench->side, STREAM_MESSAGES, &ns);
	if (r < 0)
		return r;
	figures->rate[b] = (double)STREAM_MESSAGES * 1e9 / (double)ns;
	figures->ratio_p50[b] = figures->zcp_p50[b] / figures->raw_p50[b];
	figures->ratio_p99[b] = figures->zcp_p99[b] / figures->raw_p99[b];
	figures->ratio_large[b] = figures->large_p50[b] / figures->zcp_p50[b];
	return 0;
}

static void rate_sleeps(struct bench *bench, uint32_t b)
{
	struct bench_figures *figures = &bench->figures;
	double **p50 = figures->sleep_p50, **p99 = figures->sleep_p99;

	for (int way = 0; way < BENCH_WAYS; way++)
		evaluate_ticks(bench, bench->sleep_ticks[way], SLEEPS, &p50[way][b], &p99[way][b]);
	figures->ratio_futex_p50[b] = p50[BENCH_ZCP_FUTEX][b] / p50[BENCH_FUTEX][b];
	figures->ratio_futex_p99[b] = p99[BENCH_ZCP_FUTEX][b] / p99[BENCH_FUTEX][b];
	figures->ratio_fd_p50[b] = p50[BENCH_ZCP_FD][b] / p50[BENCH_EVENTFD][b];
	figures->ratio_fd_p99[b] = p99[BENCH_ZCP_FD][b] / p99[BENCH_EVENTFD][b];
}

static int sleep_block(struct bench *bench, uint32_t b)
{
	uint64_t *ticks[BENCH_WAYS];
	int r = meet(bench);

	for (int way = 0; way < BENCH_WAYS; way++)
		ticks[way] = bench->sleep_ticks[way];
	if (r == 0)
		r = bench_sleep(&bench->sleepers, bench->side, SLEEPS, ticks);
	if (r == 0 && bench->side == BENCH_SERVER)
		rate_sleeps(bench, b);
	return r;
}

static uint32_t n_sleep_blocks(const struct bench *bench)
{
	return bench->n_blocks < BLOCKS_PER_SLEEP ? 1 : bench->n_blocks / BLOCKS_PER_SLEEP;
}

/* The two processors that we may use. */
static int pin(enum bench_side side)
{
	cpu_set_t allowed, mine;
	int seen = 0;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return -1;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET((size_t)cpu, &allowed) || seen++ != (int)side)
			continue;
		CPU_ZERO(&mine);
		CPU_SET((size_t)cpu, &mine);
		return sched_setaffinity(0, sizeof(mine), &mine);
	}
	(void)fprintf(stderr, "zcp-bench: two processors are needed: allow both (taskset)\n");
	return -1;
}

static int play(struct bench *bench)
{
	/* Opened before we are pinned: what helps us to open needs a processor as well. */
	int r = bench_ends_open(&bench->ends, bench->side);

	if (r == 0)
		r = bench_sleepers_open(&bench->sleepers, bench->side);
	if (r == 0)
		r = pin(bench->side);
	/* The first block of each kind warms up and is overwritten. */
	for (uint32_t b = 0; r == 0 && b <= bench->n_blocks; b++) {
		r = block(bench, b == 0 ? 0 : b - 1);
		if (r == 0 && b % BLOCKS_PER_SLEEP == 0)
			r = sleep_block(bench, b == 0 ? 0 : b / BLOCKS_PER_SLEEP - 1);
	}
	if (r < 0)
		atomic_store_explicit(&bench->table->failed, 1, memory_order_relaxed);
	bench_sleepers_close(&bench->sleepers);
	bench_ends_close(&bench->ends);
	return r;
}

/* A domain of our own, so that nobody else's is measured or disturbed. */
static int make_domain(char *directory, size_t size)
{
	const char *tmp = getenv("TMPDIR");
	int n = snprintf(directory, size, "%s/zcp-bench-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");

	if (n < 0 || (size_t)n >= size || !mkdtemp(directory)) {
		perror("zcp-bench: cannot make a runtime directory");
		return -1;
	}
	return setenv("ZCP_RUNTIME_DIR", directory, 1);
}

/* A message is handed over, the time is not read, unless it is asked for. */
static int configure(const char *directory, bool timestamps)
{
	char path[PATH_MAX];
	FILE *file;
	bool written;

	(void)snprintf(path, sizeof(path), "%s/" CONFIG_NAME, directory);
	file = fopen(path, "we");
	written = file &&
		  fprintf(file, "[defaults]\ntimestamps = %s\n", timestamps ? "true" : "false") > 0;
	if (file && fclose(file) != 0)
		written = false;
	if (!written) {
		perror("zcp-bench: cannot write its configuration");
		return -1;
	}
	return setenv("ZCP_CONFIG", path, 1);
}

static void remove_domain(const char *directory)
{
	static const char *const names[] = { "zcpd.pid",  "zcpd.sock",  "zcpd.log",
					     "zcpd.lock", "start.lock", "" };
	char path[PATH_MAX];
	FILE *file;
	int pid;

	(void)snprintf(path, sizeof(path), "%s/default/zcpd.pid", directory);
	file = fopen(path, "re");
	if (file) {
		if (fscanf(file, "%d", &pid) == 1 && pid > 1)
			(void)kill(pid, SIGTERM);
		(void)fclose(file);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/default/%s", directory, names[i]);
		(void)remove(path);
	}
	(void)snprintf(path, sizeof(path), "%s/" CONFIG_NAME, directory);
	(void)remove(path);
	(void)rmdir(directory);
}

static bool allocate(struct bench *bench)
{
	if (bench_figures_init(&bench->figures, bench->n_blocks, n_sleep_blocks(bench),
			       bench->timestamps) < 0)
		return false;
	bench->table = mmap(NULL, sizeof(*bench->table), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return bench->table != MAP_FAILED &&
	       bench_sleepers_init(&bench->sleepers, bench->table) == 0;
}

static int run(struct bench *bench)
{
	int status = 0, r;
	pid_t child = fork();

	if (child < 0) {
		perror("zcp-bench: fork");
		return 1;
	}
	bench->side = child == 0 ? BENCH_RETURNER : BENCH_SERVER;
	r = play(bench);
	if (child == 0)
		_exit(r < 0 ? 1 : 0);
	if (waitpid(child, &status, 0) < 0 || status != 0 || r < 0)
		return 1;
	if (bench->json)
		bench_figures_print_json(&bench->figures);
	else
		bench_figures_print(&bench->figures);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "blocks", required_argument, NULL, 'b' },
		{ "timestamps", no_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static struct bench bench = { .n_blocks = BLOCKS_DEFAULT };
	char directory[PATH_MAX - 32];
	int option, r;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			bench.json = true;
			break;
		case 'b':
			bench.n_blocks = (uint32_t)strtoul(optarg, NULL, 10);
			if (bench.n_blocks > 0 && bench.n_blocks <= 100000)
				break;
			(void)fprintf(stderr, "zcp-bench: --blocks takes 1 to 100000\n");
			return 2;
		case 't':
			bench.timestamps = true;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return 0;
		default:
			return 2;
		}
	}
	if (!allocate(&bench)) {
		(void)fprintf(stderr, "zcp-bench: out of memory, or of descriptors\n");
		return 1;
	}
	bench_clock_init(&bench.clock);
	if (make_domain(directory, sizeof(directory)) < 0)
		return 1;
	r = configure(directory, bench.timestamps) < 0 ? 1 : run(&bench);
	remove_domain(directory);
	return r;
}
