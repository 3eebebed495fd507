/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks, and what is kept of them.
 */
#include "bench/game.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/clock.h"
#include "bench/figures.h"
#include "bench/rows.h"
#include "bench/team.h"

#define N_PROBES 400
/* On one chip's cores that share a cache a line takes less, one way. */
#define FAR_NS 100
/* A line that takes so much longer after a block than before, or the other way round, has moved. */
#define MOVED_RATIO 1.5
/* Messages by which it is seen how long they take, and those of a play. */
#define N_FIRST 16
#define N_LEAST 16
/* Blocks that warm up. */
#define N_WARM 2
/* Blocks that are played also where opening has taken all of the time. */
#define N_BLOCKS_LEAST 10
/* Of a play's time; others had more of the processors: it is disturbed. */
#define OTHERS_BUSY 0.01
#define OTHERS_ASLEEP 0.05
#define OTHERS_NS 20000

struct table {
	const struct bench_game *game;
	struct bench_team teams[BENCH_PLAYERS_MAX];
	uint32_t n_teams;
	struct bench_team probe;
	struct bench_job probe_job;
	struct bench_entry entries[BENCH_PLAYERS_MAX];
	struct bench_team *team_of[BENCH_PLAYERS_MAX];
	struct bench_job jobs[BENCH_PLAYERS_MAX];
	uint32_t n_entries;
	uint32_t cpus[2];
	/* different buffers that zcp had in the last play */
	uint32_t n_buffers;
	struct bench_blocks blocks;
};

static bool is_named(const char *only, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = only; at; at = strchr(at, ','), at += at != NULL)
		if (strncmp(at, name, length) == 0 && (at[length] == ',' || !at[length]))
			return true;
	return !only;
}

static bool is_zcp(const struct bench_peer *peer)
{
	return strncmp(peer->name, "zcp", 3) == 0;
}

/* A player leaves the game; the run fails where it was zcp, or a payload was wrong. */
static int leave(struct table *table, uint32_t i, int r)
{
	struct bench_entry *entry = &table->entries[i];

	bench_rows_note(table->game->name, entry->peer->name, "%s", bench_peer_error());
	for (uint32_t k = 0; k < table->n_entries; k++)
		if (table->team_of[k] == table->team_of[i])
			table->entries[k].has_left = true;
	return is_zcp(entry->peer) || r == -EBADMSG ? -1 : 0;
}

/* --- before the first block --- */

static struct bench_team *team_for(struct table *table, const struct bench_peer *peer)
{
	struct bench_team *team;

	for (uint32_t i = 0; i < table->n_teams; i++)
		if (table->teams[i].peer == peer)
			return &table->teams[i];
	team = &table->teams[table->n_teams++];
	if (bench_team_start(team, peer) == 0)
		return team;
	return NULL;
}

static struct bench_job job_of(const struct table *table, const struct bench_peer *peer,
			       const struct bench_player *player, uint32_t place)
{
	static uint32_t n_links;
	const struct bench_game *game = table->game;
	struct bench_job job = {
		.place = place,
		.is_both_ways = game->task == BENCH_LATENCY,
		.size = peer->size_only ? peer->size_only : player->size,
		.is_whole = game->is_whole,
		.cpu = { table->cpus[0], table->cpus[game->is_on_one ? 0 : 1] },
		.period_ns = game->period_ns,
	};

	job.there = (struct bench_link){
		.n_out = player->n_out || game->is_fan ? player->n_out : 1,
		.n_in = player->n_out || game->is_fan ? player->n_in : 1,
		.size = player->size,
		.depth = game->depth,
		.blocks = game->blocks,
		.drops = game->drops && peer->can_drop,
	};
	if (game->is_fan)
		job.there.n_out = 1;
	(void)snprintf(job.there.name, sizeof(job.there.name), "there%u", n_links++);
	return job;
}

static int enter(struct table *table, const struct bench_player *player)
{
	const struct bench_peer *peer = bench_peer_find(player->peer);
	uint32_t i = table->n_entries;
	struct bench_job *job = &table->jobs[i];
	struct bench_team *team;
	int r;

	if (!peer || (peer->size_max && player->size > peer->size_max))
		return 0;
	table->entries[i] = (struct bench_entry){ .peer = peer, .size = player->size };
	table->n_entries++;
	team = table->team_of[i] = team_for(table, peer);
	if (!team)
		return leave(table, i, -ECHILD);
	*job = job_of(table, peer, player, team->n_places++);
	table->entries[i].n = table->game->is_fan ? job->there.n_in : 0;
	table->entries[i].n_in = job->there.n_in;
	table->entries[i].n_out = job->there.n_out;
	job->task = BENCH_OPEN;
	r = bench_team_do(team, job);
	job->task = table->game->task;
	return r < 0 ? leave(table, i, r) : 0;
}

static int start_probe(struct table *table)
{
	static const struct bench_player line = { "line", sizeof(uint64_t), 0, 0 };
	static const struct bench_game game = { .name = "probe",
						.task = BENCH_LATENCY,
						.depth = 1 };
	struct table probe = { .game = &game, .cpus = { table->cpus[0], table->cpus[1] } };
	const struct bench_peer *peer = bench_peer_find("line");
	int r = bench_team_start(&table->probe, peer);

	table->probe_job = job_of(&probe, peer, &line, 0);
	table->probe_job.task = BENCH_OPEN;
	if (r == 0)
		r = bench_team_do(&table->probe, &table->probe_job);
	table->probe_job.task = BENCH_LATENCY;
	table->probe_job.n = N_PROBES;
	return r;
}

/* --- a play --- */

/* How much of the processors others had, ns. */
static double others_ns(const struct bench_job *job, const struct bench_result results[2])
{
	double ns = 0, delay = 0;

	for (int side = 0; side < 2; side++) {
		ns = results[side].ns > ns ? results[side].ns : ns;
		delay += results[side].delay_ns - results[side].helper_ns;
	}
	if (job->cpu[0] == job->cpu[1] && !job->period_ns)
		return ns - results[0].cpu_ns - results[1].cpu_ns;
	if (job->cpu[0] == job->cpu[1])
		return delay - results[0].cpu_ns - results[1].cpu_ns;
	return delay;
}

static int play(struct table *table, uint32_t i)
{
	struct bench_job *job = &table->jobs[i];
	struct bench_team *team = table->team_of[i];
	const struct bench_result *results = team->pair->results;
	double limit = table->game->blocks ? OTHERS_ASLEEP : OTHERS_BUSY;
	int r;

	job->n_buffers = table->n_buffers ? table->n_buffers : 4;
	r = bench_team_do(team, job);
	if (r < 0)
		return leave(table, i, r);
	if (is_zcp(team->peer))
		table->n_buffers = results[BENCH_SERVER].n_buffers;
	bench_entry_put(&table->entries[i], job, team->pair,
			!table->game->is_steady &&
				others_ns(job, results) > results[0].ns * limit + OTHERS_NS);
	return 0;
}

static uint32_t n_most(const struct bench_game *game)
{
	return game->task == BENCH_STREAM ? 200000 : BENCH_TIMES;
}

/* So many messages that a play takes as long as it should. */
static int calibrate(struct table *table, uint32_t i)
{
	struct bench_job *job = &table->jobs[i];
	uint32_t most = n_most(table->game);

	job->n = N_FIRST;
	for (int pass = 0; pass < 3 && !table->entries[i].has_left; pass++) {
		int r = bench_team_do(table->team_of[i], job);
		double each, n;

		if (r < 0)
			return leave(table, i, r);
		each = table->team_of[i]->pair->results[BENCH_SERVER].ns / job->n;
		n = table->game->play_ms * 1e6 / (each > 1 ? each : 1);
		n = n > 20.0 * job->n ? 20.0 * job->n : n;
		job->n = n > most ? most : n < N_LEAST ? N_LEAST : (uint32_t)n;
	}
	return 0;
}

/* Of the line, one way. */
static int look_where(struct table *table, double *line)
{
	int r = bench_team_do(&table->probe, &table->probe_job);

	if (r < 0) {
		bench_rows_note(table->game->name, "line", "%s", bench_peer_error());
		return -1;
	}
	*line = bench_median_of_pair(table->probe.pair, N_PROBES);
	return 0;
}

static enum bench_place place_of(double before, double after)
{
	if (before > after * MOVED_RATIO || after > before * MOVED_RATIO ||
	    (before < FAR_NS) != (after < FAR_NS))
		return BENCH_MOVED;
	return after < FAR_NS ? BENCH_NEAR : BENCH_FAR;
}

/* Who begins changes from block to block. */
static int play_block(struct table *table, uint32_t block, double *line)
{
	double before = *line;
	enum bench_place place;
	int r = 0;

	for (uint32_t k = 0; k < table->n_entries && r == 0; k++) {
		uint32_t i = (k + block) % table->n_entries;

		if (!table->entries[i].has_left)
			r = play(table, i);
	}
	if (r == 0)
		r = look_where(table, line);
	if (r < 0)
		return r;
	place = place_of(before, *line);
	if (table->game->is_steady && place == BENCH_MOVED)
		place = *line < FAR_NS ? BENCH_NEAR : BENCH_FAR;
	table->blocks.n_blocks += block >= N_WARM;
	table->blocks.n_moved += block >= N_WARM && place == BENCH_MOVED;
	for (uint32_t i = 0; i < table->n_entries; i++) {
		struct bench_entry *entry = &table->entries[i];

		if (block >= N_WARM && !entry->has_left) {
			table->blocks.n_plays++;
			table->blocks.n_disturbed += entry->is_disturbed;
		}
		bench_entry_settle(entry, place, block < N_WARM);
	}
	return 0;
}

static uint32_t n_there(const struct table *table)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < table->n_entries; i++)
		n += !table->entries[i].has_left;
	return n;
}

static int play_all(struct table *table, double seconds, const char *only)
{
	const struct bench_player *player = table->game->players;
	uint64_t start = bench_ns();
	double line;
	int r = start_probe(table);

	for (; r == 0 && player->peer; player++)
		if (is_named(only, player->peer))
			r = enter(table, player);
	for (uint32_t i = 0; i < table->n_entries && r == 0; i++)
		r = calibrate(table, i);
	if (r == 0)
		r = look_where(table, &line);
	for (uint32_t block = 0; r == 0 && n_there(table) > 0 && block < BENCH_BLOCKS_MAX + N_WARM;
	     block++) {
		if (block >= N_WARM + N_BLOCKS_LEAST &&
		    (double)(bench_ns() - start) > seconds * 1e9)
			break;
		r = play_block(table, block, &line);
	}
	return r;
}

/* A process that has work all the time. */
static pid_t start_busy(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid != 0)
		return pid;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(1);
	/* An ordinary one, also where the benchmark runs under a real-time policy. */
	(void)sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){ 0 });
	for (;;)
		bench_relax();
}

int bench_game_play(const struct bench_game *game, double seconds, const char *only)
{
	struct table *table = calloc(1, sizeof(*table));
	uint64_t start = bench_ns();
	pid_t busy = game->is_steady ? start_busy() : 0;
	int r;

	if (!table)
		return -1;
	table->game = game;
	r = bench_team_processors(table->cpus);
	if (r < 0)
		(void)fprintf(stderr,
			      "zcp-bench: two processors are needed: allow both (taskset)\n");
	else
		r = play_all(table, seconds, only);
	for (uint32_t i = 0; i < table->n_teams; i++)
		bench_team_stop(&table->teams[i]);
	bench_team_stop(&table->probe);
	if (busy > 0) {
		(void)kill(busy, SIGKILL);
		(void)waitpid(busy, NULL, 0);
	}
	table->blocks.seconds = (double)(bench_ns() - start) / 1e9;
	if (r == 0) {
		bench_rows_count(game->name, &table->blocks);
		bench_figures_report(game, table->entries, table->n_entries);
	}
	for (uint32_t i = 0; i < table->n_entries; i++)
		bench_entry_free(&table->entries[i]);
	free(table);
	return r < 0 ? -1 : 0;
}
