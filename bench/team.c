/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting, jobs, ending.
 */
#include "bench/team.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/role.h"

/* A job that takes longer hangs; and so does a side long after the other one has failed. */
#define JOB_MS 20000
#define FAILED_MS 3000
#define LOOK_MS 250
/* Ending closes what is open. */
#define END_MS 10000

int bench_team_processors(uint32_t cpus[2])
{
	cpu_set_t allowed;
	uint32_t n = 0;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return -errno;
	for (uint32_t cpu = 0; cpu < CPU_SETSIZE && n < 2; cpu++)
		if (CPU_ISSET((size_t)cpu, &allowed))
			cpus[n++] = cpu;
	return n == 2 ? 0 : -ENODEV;
}

static void be_role(const struct bench_team *team, enum bench_side side, pid_t parent)
{
	struct bench_role *role = calloc(1, sizeof(*role));

	if (!role || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(1);
	role->peer = team->peer;
	role->pair = team->pair;
	role->side = side;
	bench_clock_init(&role->clock);
	_exit(bench_role_run(role));
}

int bench_team_start(struct bench_team *team, const struct bench_peer *peer)
{
	pid_t parent = getpid();
	int r = peer->prepare ? peer->prepare() : 0;

	*team = (struct bench_team){ .peer = peer, .pids = { -1, -1 } };
	if (r < 0)
		return r;
	team->pair = mmap(NULL, sizeof(*team->pair), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (team->pair == MAP_FAILED) {
		team->pair = NULL;
		return -errno;
	}
	for (int side = 0; side < 2 && r == 0; side++) {
		team->pids[side] = fork();
		if (team->pids[side] == 0)
			be_role(team, (enum bench_side)side, parent);
		r = team->pids[side] < 0 ? -errno : 0;
	}
	/* The processes have it now. */
	if (peer->finish)
		peer->finish();
	return r;
}

static void post(struct bench_team *team, const struct bench_job *job)
{
	team->pair->job = *job;
	atomic_store_explicit(&team->pair->n_done, 0, memory_order_relaxed);
	/* Release: the job. */
	(void)atomic_fetch_add_explicit(&team->pair->job_number, 1, memory_order_release);
	bench_futex_wake(&team->pair->job_number);
}

static bool has_ended(struct bench_team *team, int side)
{
	if (team->pids[side] <= 0)
		return true;
	if (waitpid(team->pids[side], NULL, WNOHANG) != team->pids[side])
		return false;
	team->pids[side] = -1;
	return true;
}

/* Both are done, or one has failed and the other one does not come back. */
static int await(struct bench_team *team)
{
	uint32_t limit = JOB_MS, n_done;

	for (uint32_t waited = 0; waited < limit;) {
		/* Acquire: the results. */
		n_done = atomic_load_explicit(&team->pair->n_done, memory_order_acquire);
		if (n_done == 2)
			return 0;
		if (bench_futex_wait(&team->pair->n_done, n_done, LOOK_MS) != -ETIMEDOUT)
			continue;
		waited += LOOK_MS;
		if (has_ended(team, 0) || has_ended(team, 1))
			return bench_peer_fail(-ECHILD, "one of its processes has ended");
		if (atomic_load_explicit(&team->pair->failed, memory_order_relaxed) &&
		    limit == JOB_MS)
			limit = waited + FAILED_MS;
	}
	return n_done > 0 ? 0 : bench_peer_fail(-ETIMEDOUT, "it hangs");
}

int bench_team_do(struct bench_team *team, const struct bench_job *job)
{
	int r;

	for (int side = 0; side < 2; side++)
		team->pair->results[side] = (struct bench_result){ .r = -ECANCELED };
	post(team, job);
	r = await(team);
	/* The one that was stopped by the other one's failure says less. */
	for (int pass = 0; pass < 2 && r == 0; pass++)
		for (int side = 0; side < 2 && r == 0; side++) {
			const struct bench_result *result = &team->pair->results[side];

			if (result->r == 0 || (pass == 0 && result->r == -ECANCELED))
				continue;
			r = bench_peer_fail(result->r, "%s%s%s", strerror(-result->r),
					    result->error[0] ? ": " : "", result->error);
		}
	return r;
}

void bench_team_stop(struct bench_team *team)
{
	const struct bench_job end = { .task = BENCH_END };
	const struct timespec pause = { .tv_nsec = 2000000 };

	if (!team->pair)
		return;
	post(team, &end);
	for (int i = 0; i < END_MS / 2; i++) {
		bool both = has_ended(team, 0);

		if (has_ended(team, 1) && both)
			break;
		(void)nanosleep(&pause, NULL);
	}
	for (int side = 0; side < 2; side++) {
		if (team->pids[side] <= 0)
			continue;
		(void)kill(team->pids[side], SIGKILL);
		(void)waitpid(team->pids[side], NULL, 0);
	}
	(void)munmap(team->pair, sizeof(*team->pair));
	team->pair = NULL;
}
