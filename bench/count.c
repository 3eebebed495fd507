/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single steps, and what the instructions are: those that lock the bus, system calls, and entries
 * into the allocator.
 */
#include "bench/count.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/rows.h"

#if defined(__x86_64__)

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zcp/zcp.h>

#define BENCH_SMALL 64
/* Hand-overs before the first one that counts, and those that count. */
#define N_WARM 1000
#define N_ROUNDS 160

/* Where the child is; what it does from one mark to the next is counted for the former. */
enum mark {
	MARK_LOAN,
	MARK_PUBLISH,
	MARK_TAKE,
	MARK_RELEASE,
	MARK_NOTHING, /* what a mark itself costs */
	MARK_END,
	MARKS,
};

struct counts {
	double instructions[MARKS][N_ROUNDS];
	uint64_t locked[MARKS];
	uint64_t calls[MARKS];
	uint64_t allocations[MARKS];
	uint32_t n_rounds;
};

struct ends {
	struct zcp_node *node;
	struct zcp_publisher *out;
	struct zcp_subscriber *in;
};

/* One function, with its argument in a register: the parent sees the child come by. */
#ifdef __clang__
__attribute__((noinline))
#else
__attribute__((noipa))
#endif
static void
mark(enum mark mark)
{
	__asm__ __volatile__("" : : "r"(mark) : "memory");
}

static int open_ends(struct ends *ends, const char *topic, uint32_t on_full)
{
	struct zcp_publisher_options publisher = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_subscriber_options subscriber = ZCP_SUBSCRIBER_OPTIONS_INIT;
	int r = zcp_node_open(&ends->node, NULL);

	publisher.max_payload = BENCH_SMALL;
	subscriber.on_full = on_full;
	if (r == 0)
		r = zcp_publisher_open(&ends->out, ends->node, topic, &publisher);
	if (r == 0)
		r = zcp_subscriber_open(&ends->in, ends->node, topic, &subscriber);
	if (r < 0)
		(void)fprintf(stderr, "zcp-bench: cannot open an endpoint: %s\n",
			      zcp_node_error(ends->node));
	return r;
}

static int hand_over(struct ends *ends)
{
	struct zcp_sample sample;
	struct zcp_loan loan;
	int r;

	mark(MARK_LOAN);
	r = zcp_publisher_loan(ends->out, BENCH_SMALL, &loan);
	if (r < 0)
		return r;
	mark(MARK_PUBLISH);
	r = zcp_publisher_publish(ends->out, &loan);
	if (r < 0)
		return r;
	mark(MARK_TAKE);
	r = zcp_subscriber_take(ends->in, &sample);
	if (r < 0)
		return r;
	mark(MARK_RELEASE);
	r = zcp_sample_release(&sample);
	mark(MARK_NOTHING);
	mark(MARK_END);
	return r;
}

/* The child: stops once it is warm. */
static int be_counted(const char *topic, uint32_t on_full)
{
	struct ends ends = { NULL, NULL, NULL };
	int r = open_ends(&ends, topic, on_full);

	for (uint32_t i = 0; i < N_WARM && r == 0; i++)
		r = hand_over(&ends);
	if (r < 0)
		return r;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 || raise(SIGSTOP) != 0)
		return -errno;
	for (uint32_t i = 0; i < N_ROUNDS && r == 0; i++)
		r = hand_over(&ends);
	return r;
}

/* A lock prefix among the others, or an exchange with memory, which needs none. */
static bool is_locked(const uint8_t *at)
{
	for (; *at == 0x66 || *at == 0xf2 || *at == 0xf3 || *at == 0x2e || *at == 0x3e; at++)
		continue;
	if (*at == 0xf0)
		return true;
	if ((*at & 0xf0) == 0x40)
		at++;
	return (at[0] == 0x86 || at[0] == 0x87) && at[1] < 0xc0;
}

static bool is_call(const uint8_t *at)
{
	return at[0] == 0x0f && at[1] == 0x05;
}

/* The child is about to enter the allocator. */
static bool is_allocation(uint64_t rip)
{
	return rip == (uint64_t)(uintptr_t)malloc || rip == (uint64_t)(uintptr_t)calloc ||
	       rip == (uint64_t)(uintptr_t)realloc || rip == (uint64_t)(uintptr_t)aligned_alloc ||
	       rip == (uint64_t)(uintptr_t)free;
}

/* A mark is passed: *now was counted until here. */
static void pass(struct counts *counts, enum mark *now, enum mark next, uint32_t *n)
{
	if (*now < MARK_END && counts->n_rounds < N_ROUNDS)
		counts->instructions[*now][counts->n_rounds] = *n;
	if (next == MARK_END)
		counts->n_rounds++;
	*now = next;
	*n = 0;
}

/* The child has stopped. The code is where it is in this process: it is a fork of it. */
static int step(pid_t child, struct counts *counts)
{
	enum mark now = MARK_END;
	uint32_t n = 0;
	int status;

	for (;;) {
		struct user_regs_struct regs;

		if (ptrace(PTRACE_GETREGS, child, NULL, &regs) < 0)
			return -errno;
		if (regs.rip == (uint64_t)(uintptr_t)mark)
			pass(counts, &now, regs.rdi < MARKS ? (enum mark)regs.rdi : MARK_END, &n);
		n++;
		counts->locked[now] += is_locked((const uint8_t *)(uintptr_t)regs.rip);
		counts->calls[now] += is_call((const uint8_t *)(uintptr_t)regs.rip);
		counts->allocations[now] += is_allocation(regs.rip);
		if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) < 0 ||
		    waitpid(child, &status, 0) < 0)
			return -errno;
		if (!WIFSTOPPED(status))
			return WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
					       counts->n_rounds == N_ROUNDS ?
				       0 :
				       -ECHILD;
	}
}

static int count(struct counts *counts, const char *topic, uint32_t on_full)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(be_counted(topic, on_full) < 0 ? 1 : 0);
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return -errno;
	return WIFSTOPPED(status) ? step(child, counts) : -ECHILD;
}

/* Leaves out what marks cost. */
static double mean(const struct counts *counts, enum mark mark)
{
	double sum = 0;

	for (uint32_t i = 0; i < N_ROUNDS; i++)
		sum += counts->instructions[mark][i] - counts->instructions[MARK_NOTHING][i];
	return sum / N_ROUNDS;
}

static void report(const struct counts *counts, const char *game)
{
	static const char *const names[] = { "loan", "publish", "take", "release" };
	double all = 0, locked = 0, calls = 0, allocations = 0;

	for (int m = 0; m < MARK_NOTHING; m++) {
		double n = mean(counts, (enum mark)m);

		bench_rows_put(game, "zcp", names[m], "instructions", 0, n);
		all += n;
		locked += (double)counts->locked[m] / N_ROUNDS;
		calls += (double)counts->calls[m] / N_ROUNDS;
		allocations += (double)counts->allocations[m] / N_ROUNDS;
	}
	bench_rows_put(game, "zcp", "all", "instructions", 0, all);
	bench_rows_put(game, "zcp", "locked", "instructions", 0, locked);
	bench_rows_put(game, "zcp", "system-calls", "1/message", 0, calls);
	bench_rows_put(game, "zcp", "allocations", "1/message", 0, allocations);
}

int bench_count(void)
{
	static struct counts drop, block;
	int r = count(&drop, "bench/count/drop", ZCP_ON_FULL_DROP_OLDEST);

	if (r == 0)
		r = count(&block, "bench/count/block", ZCP_ON_FULL_BLOCK);
	if (r < 0) {
		bench_rows_note("instructions", "zcp", "cannot be counted: %s", zcp_strerror(r));
		return -1;
	}
	report(&drop, "instructions");
	report(&block, "instructions-blocking");
	return 0;
}

#else

int bench_count(void)
{
	bench_rows_note("instructions", "zcp", "are counted on x86-64 only");
	return 0;
}

#endif
