/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zcp-bench: what handing a message over costs, beside what the hardware charges for one cache
 * line, what a ring without anything else charges, and what the kernel charges for waking.
 *
 * Processors of a shared machine move near and far from each other every few seconds, and other
 * programs take their turns. So no figure stands alone: what is compared is played in the same
 * block, blocks of all kinds alternate in one run, each ratio is taken block by block, and
 * blocks are told apart by the bare line's time before and after them.
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/count.h"
#include "bench/domain.h"

#define ROUNDS_DEFAULT 200
/* No round begins later. */
#define LIMIT_NS UINT64_C(100000000000)
/* Round trips on the line before and after a block. */
#define N_PROBES 500
/* On one chip's cores that share a cache a line takes less, one way. */
#define FAR_NS 100
/* A line that takes so much longer after a block than before, or the other way round, has moved. */
#define MOVED_RATIO 1.5

static const struct bench_kind *const kinds[] = {
	&bench_ping_kind,   &bench_stream_kind, &bench_fan_kind,
	&bench_frames_kind, &bench_sleep_kind,
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const char usage[] =
	"usage: zcp-bench [--json] [--timestamps] [--blocks N] [--instructions]\n"
	"\n"
	"Measures on two processors, in blocks that alternate: a bare cache line, a reference\n"
	"ring (a slot says where the payload lies) and zcp messages of 64 bytes and 4 MiB going\n"
	"to and fro; streams of 64-byte messages that block and that drop the oldest, to 1, 2\n"
	"and 4 subscribers in one process, beside the same in reference rings; frames of 1080p,\n"
	"beside the same loops over as many private buffers; and a ball that goes to and fro\n"
	"once a millisecond between processes that sleep or spin until it comes, by a bare\n"
	"futex, eventfd and line, and by zcp. Times are one way: half a round trip. Figures are\n"
	"medians over blocks, for processors that are near (a line takes less than 100 ns) and\n"
	"far; blocks in which they move, or in which another program ran, are left out.\n"
	"\n"
	"  --json          one object instead of a table\n"
	"  --timestamps    leave publish times on, as topics have them unless told otherwise;\n"
	"                  they read the clock once a message\n"
	"  --blocks N      blocks of each kind (default 200, within 100 s)\n"
	"  --instructions  count the instructions of loan, publish, take and release instead\n";

/* The two processors that we may use. */
static int pin(enum bench_side side)
{
	cpu_set_t allowed, mine;
	int seen = 0;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return -errno;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET((size_t)cpu, &allowed) || seen++ != (int)side)
			continue;
		CPU_ZERO(&mine);
		CPU_SET((size_t)cpu, &mine);
		return sched_setaffinity(0, sizeof(mine), &mine) < 0 ? -errno : 0;
	}
	(void)fprintf(stderr, "zcp-bench: two processors are needed: allow both (taskset)\n");
	return -ENODEV;
}

static uint64_t n_preempted(void)
{
	struct rusage now;

	return getrusage(RUSAGE_SELF, &now) < 0 ? 0 : (uint64_t)now.ru_nivcsw;
}

static enum bench_place place_of(double before, double after)
{
	if (before > after * MOVED_RATIO || after > before * MOVED_RATIO ||
	    (before < FAR_NS) != (after < FAR_NS))
		return BENCH_MOVED;
	return after < FAR_NS ? BENCH_NEAR : BENCH_FAR;
}

/* Plays a block; *line is its time before and then after it. */
static int play_block(struct bench *bench, const struct bench_kind *kind, double *line)
{
	struct bench_table *table = bench->table;
	uint64_t preempted = n_preempted(), theirs;
	double before = *line, p99;
	int r = kind->play(bench);

	if (r < 0)
		return r;
	preempted = n_preempted() - preempted;
	if (bench->side == BENCH_RETURNER)
		atomic_store_explicit(&table->n_preempted, preempted, memory_order_relaxed);
	r = bench_line(bench, N_PROBES, line, &p99);
	if (r < 0 || bench->side == BENCH_RETURNER)
		return r;
	theirs = atomic_load_explicit(&table->n_preempted, memory_order_relaxed);
	bench_figures_settle(&bench->figures, !kind->is_busy      ? BENCH_ANYWHERE :
					      preempted || theirs ? BENCH_DISTURBED :
								    place_of(before, *line));
	return 0;
}

/* The server says whether there is time for another round. */
static int is_over(struct bench *bench, uint64_t start_ns)
{
	int r;

	if (bench->side == BENCH_SERVER && bench_ns() - start_ns > LIMIT_NS)
		atomic_store_explicit(&bench->table->is_over, 1, memory_order_relaxed);
	r = bench_meet(bench);
	return r < 0 ? r : atomic_load_explicit(&bench->table->is_over, memory_order_relaxed) != 0;
}

/* Returns how many rounds there were. The first block of each kind warms up. */
static int play_rounds(struct bench *bench, uint32_t n)
{
	uint64_t start_ns = bench_ns();
	double line, p99;
	int r = bench_line(bench, N_PROBES, &line, &p99);

	for (size_t k = 0; k < N_KINDS && r == 0; k++)
		r = play_block(bench, kinds[k], &line);
	if (r < 0)
		return r;
	bench_figures_reset(&bench->figures);
	for (uint32_t i = 0; i < n; i++) {
		r = is_over(bench, start_ns);
		for (size_t k = 0; k < N_KINDS && r == 0; k++)
			if (i % kinds[k]->every == 0)
				r = play_block(bench, kinds[k], &line);
		if (r != 0)
			return r < 0 ? r : (int)i;
	}
	return (int)n;
}

static int play(struct bench *bench, uint32_t n_rounds)
{
	int r = zcp_node_open(&bench->node, NULL);

	if (r < 0)
		r = bench_complain(bench, "cannot open a node", r);
	for (size_t k = 0; k < N_KINDS && r == 0; k++)
		if (kinds[k]->open)
			r = kinds[k]->open(bench);
	if (r == 0)
		r = pin(bench->side);
	if (r == 0)
		r = play_rounds(bench, n_rounds);
	if (r < 0)
		atomic_store_explicit(&bench->table->failed, 1, memory_order_relaxed);
	bench->node = zcp_node_close(bench->node);
	return r;
}

/* What both sides have from before the fork. */
static int prepare(struct bench *bench, uint32_t n_rounds)
{
	int r = bench_figures_init(&bench->figures, n_rounds + 1);

	bench_clock_init(&bench->clock);
	bench->table = mmap(NULL, sizeof(*bench->table), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (bench->table == MAP_FAILED)
		return -errno;
	for (size_t k = 0; k < N_KINDS && r == 0; k++)
		if (kinds[k]->prepare)
			r = kinds[k]->prepare();
	return r;
}

static int measure(struct bench *bench, struct bench_setting *setting, bool json)
{
	int status = 0, r = prepare(bench, setting->n_rounds);
	pid_t parent = getpid(), child;

	if (r < 0)
		return bench_complain(bench, "cannot prepare", r);
	child = fork();
	if (child < 0)
		return bench_complain(bench, "cannot fork", -errno);
	if (child == 0) {
		bench->side = BENCH_RETURNER;
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
			_exit(1);
		_exit(play(bench, setting->n_rounds) < 0 ? 1 : 0);
	}
	r = play(bench, setting->n_rounds);
	if (waitpid(child, &status, 0) < 0 || status != 0 || r < 0)
		return -1;
	setting->n_rounds = (uint32_t)r;
	if (json)
		bench_figures_print_json(&bench->figures, setting);
	else
		bench_figures_print(&bench->figures, setting);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "blocks", required_argument, NULL, 'b' },
		{ "timestamps", no_argument, NULL, 't' },
		{ "instructions", no_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static struct bench bench;
	struct bench_setting setting = { .n_rounds = ROUNDS_DEFAULT };
	bool json = false, counts = false;
	struct bench_domain domain;
	int option, r;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			json = true;
			break;
		case 'b':
			setting.n_rounds = (uint32_t)strtoul(optarg, NULL, 10);
			if (setting.n_rounds > 0 && setting.n_rounds <= 100000)
				break;
			(void)fprintf(stderr, "zcp-bench: --blocks takes 1 to 100000\n");
			return 2;
		case 't':
			setting.timestamps = true;
			break;
		case 'i':
			counts = true;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return 0;
		default:
			return 2;
		}
	}
	if (bench_domain_make(&domain, setting.timestamps) < 0)
		return 1;
	r = counts ? bench_count(json) : measure(&bench, &setting, json);
	bench_domain_remove(&domain);
	return r < 0 ? 1 : 0;
}
