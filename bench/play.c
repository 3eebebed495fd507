/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is played between two roles. Each payload is written and read, and its number is checked:
 * a wrong byte fails the run, and a peer that loses or repeats a message where it must not leaves
 * the game.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "bench/role.h"

/* Above the number of a message: which publisher has sent it. */
#define PUBLISHER_SHIFT 48

static void see_buffer(struct bench_role *role, const void *data)
{
	for (uint32_t i = 0; i < role->n_buffers; i++)
		if (role->buffers[i] == data)
			return;
	if (role->n_buffers < sizeof(role->buffers) / sizeof(role->buffers[0]))
		role->buffers[role->n_buffers++] = data;
}

static int send_one(struct bench_role *role, const struct bench_job *job, struct bench_end *end,
		    uint64_t value)
{
	void *data;
	int r = role->peer->loan(end, job->size, &data);

	if (r < 0)
		return r;
	bench_fill(data, job->size, job->is_whole, value);
	if (job->is_whole)
		see_buffer(role, data);
	return role->peer->send(end, data, job->size);
}

/* Waits for a message, reads it, and says what stood in it. */
static int take_one(struct bench_role *role, const struct bench_job *job, struct bench_end *end,
		    uint64_t *value)
{
	struct bench_wait wait = { 0 };
	struct bench_message message;
	int r, verified;

	while ((r = role->peer->take(end, &message)) == -EAGAIN) {
		r = bench_wait(role->pair, &wait);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (message.size != job->size)
		return bench_peer_fail(-EBADMSG, "a message of %zu bytes has come with %zu",
				       job->size, message.size);
	verified = bench_verify(message.data, message.size, job->is_whole, value);
	r = role->peer->release(end, &message);
	if (verified < 0)
		return bench_peer_fail(verified, "a payload has come with a wrong byte");
	return r;
}

static int expect(uint64_t value, uint64_t expected)
{
	return value == expected ?
		       0 :
		       bench_peer_fail(-EPROTO, "message %#llx has come instead of %#llx",
				       (unsigned long long)value, (unsigned long long)expected);
}

/* --- to and fro --- */

/* The next multiple of the period, or now where it is over. */
static void await_period(uint64_t *next_ns, uint64_t period_ns)
{
	uint64_t now = bench_ns(), at_ns = *next_ns + period_ns;
	struct timespec at;

	*next_ns = at_ns = at_ns < now ? now : at_ns;
	at = (struct timespec){ .tv_sec = (time_t)(at_ns / 1000000000),
				.tv_nsec = (long)(at_ns % 1000000000) };

	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static int throw_ball(struct bench_role *role, const struct bench_job *job, struct bench_ends *ends)
{
	return send_one(role, job, &ends->out[0], ++role->n_sent);
}

static int catch_ball(struct bench_role *role, const struct bench_job *job, struct bench_ends *ends)
{
	uint64_t value;
	int r = take_one(role, job, &ends->in[0], &value);

	return r < 0 ? r : expect(value, ++role->n_seen);
}

static int play_latency(struct bench_role *role, const struct bench_job *job,
			struct bench_result *result)
{
	struct bench_ends *ends = &role->ends[job->place];
	bool serves = role->side == BENCH_SERVER;
	uint64_t next_ns = bench_ns();
	int r = 0;

	for (uint32_t i = 0; i < job->n && r == 0; i++) {
		uint64_t start;

		if (serves && job->period_ns)
			await_period(&next_ns, job->period_ns);
		start = bench_ticks();
		r = serves ? throw_ball(role, job, ends) : catch_ball(role, job, ends);
		if (r == 0)
			r = serves ? catch_ball(role, job, ends) : throw_ball(role, job, ends);
		role->ticks[i] = bench_ticks() - start;
	}
	for (uint32_t i = 0; serves && i < job->n; i++)
		role->pair->ns[i] = bench_clock_ns(&role->clock, role->ticks[i]) / 2;
	result->n_times = job->n;
	return r;
}

/* --- one way --- */

static uint64_t value_of(uint32_t publisher, uint64_t number)
{
	return (uint64_t)(publisher + 1) << PUBLISHER_SHIFT | number;
}

static int send_all(struct bench_role *role, const struct bench_job *job, struct bench_ends *ends)
{
	for (uint32_t i = 0; i < job->n; i++) {
		role->n_sent++;
		for (uint32_t p = 0; p < ends->n_out; p++) {
			int r = send_one(role, job, &ends->out[p], value_of(p, role->n_sent));

			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* What one subscriber has seen of each publisher. */
struct seen {
	uint64_t last[BENCH_OUT_MAX];
	uint32_t n_over;
};

/* Of a message: its publisher's next one, or a later one where some were lost. */
static int note(struct bench_role *role, const struct bench_job *job, struct seen *seen,
		uint64_t value, uint64_t last)
{
	uint64_t publisher = (value >> PUBLISHER_SHIFT) - 1, number;

	if (publisher >= job->there.n_out)
		return bench_peer_fail(-EPROTO, "message %#llx is nobody's",
				       (unsigned long long)value);
	number = value - ((publisher + 1) << PUBLISHER_SHIFT);
	if (number <= seen->last[publisher] || number > last ||
	    (!job->there.drops && number != seen->last[publisher] + 1))
		return expect(value, value_of((uint32_t)publisher, seen->last[publisher] + 1));
	role->n_lost += number - seen->last[publisher] - 1;
	seen->last[publisher] = number;
	seen->n_over += number == last;
	return 0;
}

/* Each subscriber takes one message in turn, until it has each publisher's last one. */
static int take_all(struct bench_role *role, const struct bench_job *job, struct bench_ends *ends)
{
	struct seen seen[BENCH_IN_MAX];
	uint64_t last = role->n_seen + job->n;
	uint32_t n_over = 0;
	int r = 0;

	memset(seen, 0, sizeof(seen));
	for (uint32_t s = 0; s < ends->n_in; s++)
		for (uint32_t p = 0; p < job->there.n_out; p++)
			seen[s].last[p] = role->n_seen;
	while (n_over < ends->n_in && r == 0) {
		for (uint32_t s = 0; s < ends->n_in && r == 0; s++) {
			uint64_t value = 0;

			if (seen[s].n_over == job->there.n_out)
				continue;
			r = take_one(role, job, &ends->in[s], &value);
			if (r == 0)
				r = note(role, job, &seen[s], value, last);
			n_over += seen[s].n_over == job->there.n_out;
		}
	}
	role->n_seen = last;
	return r;
}

/* A private peer's: what is taken is this process' own, and has no number. */
static int take_own(struct bench_role *role, const struct bench_job *job, struct bench_ends *ends)
{
	uint64_t value;
	int r = 0;

	for (uint32_t i = 0; i < job->n && r == 0; i++)
		r = take_one(role, job, &ends->in[0], &value);
	return r;
}

static int play_stream(struct bench_role *role, const struct bench_job *job)
{
	struct bench_ends *ends = &role->ends[job->place];

	if (role->side == BENCH_SERVER)
		return send_all(role, job, ends);
	return role->peer->is_private ? take_own(role, job, ends) : take_all(role, job, ends);
}

/* --- the cost of a publish --- */

static int play_fan(struct bench_role *role, const struct bench_job *job,
		    struct bench_result *result)
{
	struct bench_ends *ends = &role->ends[job->place];
	uint32_t burst = job->there.depth / 2;
	int r = 0;

	for (uint32_t i = 0; i < job->n && r == 0; i++) {
		uint64_t start = bench_ticks();

		if (role->side == BENCH_SERVER)
			r = send_one(role, job, &ends->out[0], value_of(0, ++role->n_sent));
		role->ticks[i] = bench_ticks() - start;
		role->n_seen += role->side == BENCH_RETURNER;
		for (uint32_t s = 0; s < ends->n_in && r == 0; s++) {
			uint64_t value;

			r = take_one(role, job, &ends->in[s], &value);
			if (r == 0)
				r = expect(value, value_of(0, role->n_seen));
		}
		if (r == 0 && (i + 1) % burst == 0)
			r = bench_meet(role->pair, role->side);
	}
	for (uint32_t i = 0; role->side == BENCH_SERVER && i < job->n; i++)
		role->pair->ns[i] = bench_clock_ns(&role->clock, role->ticks[i]);
	result->n_times = job->n;
	return r;
}

int bench_play(struct bench_role *role, const struct bench_job *job, struct bench_result *result)
{
	switch (job->task) {
	case BENCH_LATENCY:
		return play_latency(role, job, result);
	case BENCH_STREAM:
		return play_stream(role, job);
	case BENCH_FAN:
		return play_fan(role, job, result);
	default:
		return -EINVAL;
	}
}
