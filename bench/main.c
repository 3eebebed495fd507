/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zcp-bench: what handing a message over costs, beside everything else that does it on one
 * machine, and beside what the hardware and the kernel charge.
 *
 * Processors of a shared machine move near and far from each other every few seconds, and other
 * programs take their turns. So no figure stands alone: what is compared is played in the same
 * block, each ratio is taken block by block, and blocks are told apart by the bare line's time
 * before and after them.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/check.h"
#include "bench/clock.h"
#include "bench/control.h"
#include "bench/count.h"
#include "bench/domain.h"
#include "bench/plan.h"
#include "bench/rows.h"

#define N_DESCRIPTORS 262144

static const char usage[] =
	"usage: zcp-bench [--quick|--full] [--json FILE] [--games NAME,...] [--peers NAME,...]\n"
	"       zcp-bench --check\n"
	"       zcp-bench --list\n"
	"\n"
	"Measures on two processors: latency, streams, frames, fan-out, the control plane and\n"
	"steadiness of zcp, beside each peer that was installed when it was built, and beside a bare\n"
	"cache line, a ring without anything else, a bare futex and eventfd, and memcpy(). Each\n"
	"peer plays in two processes of its own. All peers of a game play in each of its blocks;\n"
	"ratios are medians of block-wise ratios. docs/performance.md says how, and what it means.\n"
	"\n"
	"  --quick        in less than three minutes (the default)\n"
	"  --full         more sizes, and longer\n"
	"  --json FILE    all rows with their spread, as JSON; -: standard output, without a table\n"
	"  --games NAMES  only these\n"
	"  --peers NAMES  only these\n"
	"  --check        tests the harness: a delay of 1 us, a copy and a wrong byte must show\n"
	"  --list         games and peers\n";

struct options {
	bool is_full;
	bool is_check;
	const char *json;
	const char *games;
	const char *peers;
};

/* Whether it is one of them; all are where NULL is given. */
static bool is_in(const char *names, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = names; at; at = strchr(at, ','), at += at != NULL)
		if (strncmp(at, name, length) == 0 && (at[length] == ',' || !at[length]))
			return true;
	return !names;
}

static void list(void)
{
	(void)printf("games:\n");
	for (const struct bench_plan *plan = bench_plans; plan->game.name; plan++)
		if (plan == bench_plans || strcmp(plan->game.name, plan[-1].game.name) != 0)
			(void)printf("  %s\n", plan->game.name);
	(void)printf("  control-plane\n  instructions\npeers:\n");
	for (size_t i = 0; bench_peers[i]; i++)
		(void)printf("  %-14s %s\n", bench_peers[i]->name, bench_peers[i]->settings);
}

static int play_plans(const struct options *options)
{
	for (const struct bench_plan *plan = bench_plans; plan->game.name; plan++) {
		double seconds = options->is_full ? plan->full : plan->quick;

		if (seconds <= 0 || !is_in(options->games, plan->game.name))
			continue;
		if (bench_game_play(&plan->game, seconds, options->peers) < 0)
			return -1;
	}
	return 0;
}

/* What is no game: it has no blocks. */
static int play(const struct options *options)
{
	int r = play_plans(options);

	if (r == 0 && is_in(options->games, "instructions"))
		r = bench_count();
	/* The last one: the runtime has much to take back after it. */
	if (r == 0 && is_in(options->games, "control-plane"))
		r = bench_control(options->is_full);
	return r;
}

static void print(void)
{
	static const char *const others[] = { "control-plane", "instructions",
					      "instructions-blocking" };

	for (const struct bench_plan *plan = bench_plans; plan->game.name; plan++) {
		if (plan > bench_plans && strcmp(plan->game.name, plan[-1].game.name) == 0)
			continue;
		(void)printf("\n%s\n", plan->game.name);
		bench_rows_print(plan->game.name);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		(void)printf("\n%s\n", others[i]);
		bench_rows_print(others[i]);
	}
}

static int write_json(const struct options *options, double seconds)
{
	bool is_stdout = strcmp(options->json, "-") == 0;
	FILE *file = is_stdout ? stdout : fopen(options->json, "we");
	int r = file ? bench_rows_write(file, options->is_full ? "full" : "quick", seconds) : -1;

	if (file && !is_stdout && fclose(file) != 0)
		r = -1;
	if (r < 0)
		(void)fprintf(stderr, "zcp-bench: %s cannot be written; give another FILE\n",
			      options->json);
	return r;
}

static int run(const struct options *options)
{
	uint64_t start = bench_ns();
	int r = play(options);

	if (!options->json || strcmp(options->json, "-") != 0)
		print();
	if (options->json && write_json(options, (double)(bench_ns() - start) / 1e9) < 0)
		r = -1;
	return r;
}

/* 10,000 topics take descriptors: as many as this process may have, and for root more. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_max < N_DESCRIPTORS) {
		const struct rlimit more = { N_DESCRIPTORS, N_DESCRIPTORS };

		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			return;
	}
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	static const struct option known[] = {
		{ "quick", no_argument, NULL, 'q' },
		{ "full", no_argument, NULL, 'f' },
		{ "json", required_argument, NULL, 'j' },
		{ "games", required_argument, NULL, 'g' },
		{ "peers", required_argument, NULL, 'p' },
		{ "check", no_argument, NULL, 'c' },
		{ "list", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct options options = { 0 };
	int option, r;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'q':
		case 'f':
			options.is_full = option == 'f';
			break;
		case 'j':
			options.json = optarg;
			break;
		case 'g':
			options.games = optarg;
			break;
		case 'p':
			options.peers = optarg;
			break;
		case 'c':
			options.is_check = true;
			break;
		case 'l':
			list();
			return 0;
		case 'h':
			(void)fputs(usage, stdout);
			return 0;
		default:
			return 2;
		}
	}
	raise_limit();
	if (bench_domain_make() < 0)
		return 1;
	r = options.is_check ? bench_check() : run(&options);
	bench_domain_remove();
	return r < 0 ? 1 : r;
}
