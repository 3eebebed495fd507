/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doing jobs, and what they cost this process beside time.
 */
#include "bench/role.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The benchmark has gone: nothing to do for so long. */
#define IDLE_MS 600000

/* What was used until now. */
struct used {
	double cpu_ns;
	double thread_ns;
	double delay_ns;
	struct rusage usage;
};

static double clock_of(clockid_t id)
{
	struct timespec ts;

	return clock_gettime(id, &ts) < 0 ? 0 : (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* ns in which the playing thread was ready to run and did not; 0 where the kernel does not say. */
static double delay_ns(void)
{
	static int fd = -2;
	char text[96];
	unsigned long long run, delay;
	ssize_t n;

	if (fd == -2)
		fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	return sscanf(text, "%llu %llu", &run, &delay) == 2 ? (double)delay : 0;
}

static void read_used(struct used *used)
{
	used->cpu_ns = clock_of(CLOCK_PROCESS_CPUTIME_ID);
	used->thread_ns = clock_of(CLOCK_THREAD_CPUTIME_ID);
	used->delay_ns = delay_ns();
	(void)getrusage(RUSAGE_SELF, &used->usage);
}

static void put_used(struct bench_result *result, const struct used *before)
{
	struct used now;

	read_used(&now);
	result->cpu_ns = now.cpu_ns - before->cpu_ns;
	result->helper_ns = result->cpu_ns - (now.thread_ns - before->thread_ns);
	if (result->helper_ns < 0)
		result->helper_ns = 0;
	result->delay_ns = now.delay_ns - before->delay_ns;
	result->n_faults = (uint64_t)(now.usage.ru_minflt - before->usage.ru_minflt);
	result->n_major_faults = (uint64_t)(now.usage.ru_majflt - before->usage.ru_majflt);
	result->n_switches = (uint64_t)(now.usage.ru_nvcsw + now.usage.ru_nivcsw -
					before->usage.ru_nvcsw - before->usage.ru_nivcsw);
}

/*
 * Under a real-time policy (chrt) threads that a peer has made stand above the one that plays: it
 * spins, and they would never run.
 */
static void stand_below_helpers(void)
{
	struct sched_param param;
	int policy = sched_getscheduler(0);

	if ((policy != SCHED_FIFO && policy != SCHED_RR) || sched_getparam(0, &param) < 0)
		return;
	if (param.sched_priority <= sched_get_priority_min(policy))
		return;
	param.sched_priority--;
	(void)sched_setscheduler(0, policy, &param);
}

static int pin(uint32_t cpu)
{
	static uint32_t is_on = UINT32_MAX;
	cpu_set_t set;

	if (cpu == is_on)
		return 0;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		return bench_peer_fail(-errno, "cannot be pinned to processor %u", cpu);
	if (is_on == UINT32_MAX)
		stand_below_helpers();
	is_on = cpu;
	return 0;
}

static int open_end(struct bench_role *role, struct bench_end *end, const struct bench_link *link,
		    bool is_out, uint32_t index)
{
	*end = (struct bench_end){ .link = link,
				   .pair = role->pair,
				   .side = role->side,
				   .is_out = is_out,
				   .index = index };
	return role->peer->open(end);
}

static int get_ready(struct bench_role *role, struct bench_ends *ends)
{
	int r = bench_meet(role->pair, role->side);

	for (uint32_t i = 0; i < ends->n_out && r == 0 && role->peer->ready; i++)
		r = role->peer->ready(&ends->out[i]);
	for (uint32_t i = 0; i < ends->n_in && r == 0 && role->peer->ready; i++)
		r = role->peer->ready(&ends->in[i]);
	return r;
}

static int open_ends(struct bench_role *role, const struct bench_job *job)
{
	struct bench_ends *ends = &role->ends[job->place];
	bool serves = role->side == BENCH_SERVER;
	int r = 0;

	for (uint32_t way = 0; way < (job->is_both_ways ? 2U : 1U); way++) {
		struct bench_link *link = &ends->links[way];

		*link = job->there;
		link->place = job->place * 2 + way;
		if (way == 1)
			(void)memcpy(link->name, "back_", 5);
		if (serves == (way == 0))
			for (; ends->n_out < link->n_out && r == 0; ends->n_out++)
				r = open_end(role, &ends->out[ends->n_out], link, true,
					     ends->n_out);
		else
			for (; ends->n_in < link->n_in && r == 0; ends->n_in++)
				r = open_end(role, &ends->in[ends->n_in], link, false, ends->n_in);
	}
	return r == 0 ? get_ready(role, ends) : r;
}

static void close_all(struct bench_role *role)
{
	for (uint32_t p = 0; p < BENCH_LINKS / 2; p++) {
		struct bench_ends *ends = &role->ends[p];

		for (uint32_t i = 0; i < ends->n_out; i++)
			role->peer->close(&ends->out[i]);
		for (uint32_t i = 0; i < ends->n_in; i++)
			role->peer->close(&ends->in[i]);
	}
}

static uint64_t count_copied(const struct bench_ends *ends)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < ends->n_out; i++)
		n += ends->out[i].n_copied;
	for (uint32_t i = 0; i < ends->n_in; i++)
		n += ends->in[i].n_copied;
	return n;
}

static int play(struct bench_role *role, const struct bench_job *job, struct bench_result *result)
{
	const struct bench_ends *ends = &role->ends[job->place];
	uint64_t n_copied = count_copied(ends), start;
	struct used before;
	int r = pin(job->cpu[role->side]);

	role->n_buffers = 0;
	role->n_lost = 0;
	if (r == 0)
		r = bench_meet(role->pair, role->side);
	read_used(&before);
	start = bench_ns();
	if (r == 0)
		r = bench_play(role, job, result);
	if (r == 0 && job->task != BENCH_LATENCY)
		r = bench_meet(role->pair, role->side);
	result->ns = (double)(bench_ns() - start);
	put_used(result, &before);
	result->n_copied = count_copied(ends) - n_copied;
	result->n_lost = role->n_lost;
	result->n_buffers = role->n_buffers;
	return r;
}

static void do_job(struct bench_role *role, const struct bench_job *job)
{
	struct bench_result result = { 0 };
	int r = job->task == BENCH_OPEN ? open_ends(role, job) : play(role, job, &result);

	if (r < 0) {
		atomic_store_explicit(&role->pair->failed, 1, memory_order_relaxed);
		(void)snprintf(result.error, sizeof(result.error), "%s", bench_peer_error());
	}
	result.r = r;
	role->pair->results[role->side] = result;
	/* Release: the result. */
	(void)atomic_fetch_add_explicit(&role->pair->n_done, 1, memory_order_release);
	bench_futex_wake(&role->pair->n_done);
}

int bench_role_run(struct bench_role *role)
{
	struct bench_pair *pair = role->pair;
	int begun = role->peer->begin ? role->peer->begin(role->side) : 0;

	for (uint32_t seen = 0;;) {
		/* Acquire: the job. */
		uint32_t now = atomic_load_explicit(&pair->job_number, memory_order_acquire);
		struct bench_job job;

		if (now == seen) {
			if (bench_futex_wait(&pair->job_number, seen, IDLE_MS) < 0)
				return 1;
			continue;
		}
		seen = now;
		job = pair->job;
		if (job.task == BENCH_END)
			break;
		if (begun < 0) {
			struct bench_result result = { .r = begun };

			(void)snprintf(result.error, sizeof(result.error), "%s",
				       bench_peer_error());
			atomic_store_explicit(&pair->failed, 1, memory_order_relaxed);
			pair->results[role->side] = result;
			(void)atomic_fetch_add_explicit(&pair->n_done, 1, memory_order_release);
			bench_futex_wake(&pair->n_done);
			continue;
		}
		do_job(role, &job);
	}
	close_all(role);
	return 0;
}
