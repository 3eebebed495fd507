/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zcp-bench: what handing a message over costs, beside what the hardware charges for one
 * cache line.
 *
 * Processors of a shared machine move near and far from each other every few seconds, so
 * that no figure stands alone: blocks of raw ping-pong and blocks of zcp alternate in one
 * run, and the ratio is taken block by block.
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
#include "bench/game.h"
#include "bench/stats.h"

#define CONFIG_NAME "bench.toml"
#define ROUNDS 2000
#define STREAM_MESSAGES 200000
/* Rounds of the first block, which warms up and is not counted. */
#define BLOCKS_DEFAULT 200

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
	/* a figure for each block */
	double *raw_p50, *raw_p99, *zcp_p50, *zcp_p99, *large_p50, *rate;
	double *ratio_p50, *ratio_p99, *ratio_large;
};

static const char usage[] =
	"usage: zcp-bench [--json] [--timestamps] [--blocks N]\n"
	"\n"
	"Measures on two processors, in blocks that alternate: a bare cache line going to and\n"
	"fro, zcp messages of 64 bytes and of 4 MiB doing the same, and a stream of 64-byte\n"
	"messages with nothing lost. Times are one way: half a round trip.\n"
	"\n"
	"  --json       one object instead of a table\n"
	"  --timestamps leave publish times on, as topics have them unless told otherwise;\n"
	"               they read the clock once a message\n"
	"  --blocks N   blocks of each kind (default 200, about 5 s)\n";

static int meet(struct bench *bench)
{
	return bench_meet(bench->table, bench->side, ++bench->meeting);
}

/* One-way nanoseconds of the rounds in bench->ticks. */
static void evaluate(struct bench *bench, double *p50, double *p99)
{
	for (size_t i = 0; i < ROUNDS; i++) {
		uint64_t ticks = bench->ticks[i];

		ticks -= ticks < bench->clock.overhead ? ticks : bench->clock.overhead;
		bench->ns[i] = (double)ticks * bench->clock.ns_per_tick / 2;
	}
	*p99 = bench_percentile(bench->ns, ROUNDS, 99);
	*p50 = bench->ns[ROUNDS / 2];
}

static int block(struct bench *bench, uint32_t b)
{
	double unused;
	uint64_t ns;
	int r;

	r = meet(bench);
	if (r == 0)
		r = bench_raw(bench->table, bench->side, &bench->number, ROUNDS, bench->ticks);
	if (r < 0)
		return r;
	if (bench->side == BENCH_SERVER)
		evaluate(bench, &bench->raw_p50[b], &bench->raw_p99[b]);
	r = meet(bench);
	if (r == 0)
		r = bench_ping(bench->table, &bench->ends, bench->side, BENCH_SMALL, ROUNDS,
			       bench->ticks);
	if (r < 0)
		return r;
	if (bench->side == BENCH_SERVER)
		evaluate(bench, &bench->zcp_p50[b], &bench->zcp_p99[b]);
	r = meet(bench);
	if (r == 0)
		r = bench_ping(bench->table, &bench->ends, bench->side, BENCH_LARGE, ROUNDS,
			       bench->ticks);
	if (r < 0)
		return r;
	if (bench->side == BENCH_SERVER)
		evaluate(bench, &bench->large_p50[b], &unused);
	r = meet(bench);
	if (r == 0)
		r = bench_stream(bench->table, &bench->ends, bench->side, STREAM_MESSAGES, &ns);
	if (r < 0)
		return r;
	bench->rate[b] = (double)STREAM_MESSAGES * 1e9 / (double)ns;
	bench->ratio_p50[b] = bench->zcp_p50[b] / bench->raw_p50[b];
	bench->ratio_p99[b] = bench->zcp_p99[b] / bench->raw_p99[b];
	bench->ratio_large[b] = bench->large_p50[b] / bench->zcp_p50[b];
	return 0;
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
		r = pin(bench->side);
	/* The first block warms up and is overwritten. */
	for (uint32_t b = 0; r == 0 && b <= bench->n_blocks; b++)
		r = block(bench, b == 0 ? 0 : b - 1);
	if (r < 0)
		atomic_store_explicit(&bench->table->failed, 1, memory_order_relaxed);
	bench_ends_close(&bench->ends);
	return r;
}

static double median(const struct bench *bench, double *values)
{
	return bench_percentile(values, bench->n_blocks, 50);
}

/* The best quarter: what a stream does while the processors are near. */
static double near_rate(const struct bench *bench)
{
	return bench_percentile(bench->rate, bench->n_blocks, 75);
}

static void report(struct bench *bench)
{
	if (bench->json) {
		(void)printf("{\"raw_p50_ns\": %.1f, \"raw_p99_ns\": %.1f, \"zcp_p50_ns\": %.1f, "
			     "\"zcp_p99_ns\": %.1f, \"ratio_p50\": %.3f, \"ratio_p99\": %.3f, "
			     "\"ratio_4mib_to_64b\": %.3f, \"stream_msgs_per_s\": %.0f, "
			     "\"stream_msgs_per_s_near\": %.0f, \"blocks\": %u, "
			     "\"timestamps\": %s}\n",
			     median(bench, bench->raw_p50), median(bench, bench->raw_p99),
			     median(bench, bench->zcp_p50), median(bench, bench->zcp_p99),
			     median(bench, bench->ratio_p50), median(bench, bench->ratio_p99),
			     median(bench, bench->ratio_large), median(bench, bench->rate),
			     near_rate(bench), bench->n_blocks,
			     bench->timestamps ? "true" : "false");
		return;
	}
	(void)printf("one way, ns                     p50      p99\n"
		     "cache line, raw            %8.1f %8.1f\n"
		     "zcp, 64 bytes              %8.1f %8.1f\n"
		     "ratio zcp to raw           %8.2f %8.2f   block by block, median of %u\n"
		     "ratio 4 MiB to 64 bytes    %8.2f\n"
		     "stream of 64 bytes, 1 to 1 %8.1f million messages a second, none lost\n"
		     "  with the processors near %8.1f (upper quartile of the blocks)\n",
		     median(bench, bench->raw_p50), median(bench, bench->raw_p99),
		     median(bench, bench->zcp_p50), median(bench, bench->zcp_p99),
		     median(bench, bench->ratio_p50), median(bench, bench->ratio_p99),
		     bench->n_blocks, median(bench, bench->ratio_large),
		     median(bench, bench->rate) / 1e6, near_rate(bench) / 1e6);
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
	double **lists[] = { &bench->raw_p50,   &bench->raw_p99,   &bench->zcp_p50,
			     &bench->zcp_p99,   &bench->large_p50, &bench->rate,
			     &bench->ratio_p50, &bench->ratio_p99, &bench->ratio_large };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		*lists[i] = calloc(bench->n_blocks, sizeof(double));
		if (!*lists[i])
			return false;
	}
	bench->table = mmap(NULL, sizeof(*bench->table), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return bench->table != MAP_FAILED;
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
	report(bench);
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
		(void)fprintf(stderr, "zcp-bench: out of memory\n");
		return 1;
	}
	bench_clock_init(&bench.clock);
	if (make_domain(directory, sizeof(directory)) < 0)
		return 1;
	r = configure(directory, bench.timestamps) < 0 ? 1 : run(&bench);
	remove_domain(directory);
	return r;
}
