/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holders are processes that keep nodes and topics open: a publisher and a subscriber of each
 * topic. Between two steps they open more, and a prober opens and closes what is timed.
 */
#include "bench/control.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zcp/zcp.h>

#include "bench/clock.h"
#include "bench/domain.h"
#include "bench/process.h"
#include "bench/rows.h"
#include "bench/stats.h"

#define GAME "control-plane"
#define PAYLOAD 64
/* Not above what a process may map: each endpoint takes some mappings. */
#define N_HOLDERS 20
#define N_NODES 200
#define PROBES 60
#define FIRST_MESSAGE_NS UINT64_C(5000000000)
#define NODE_TIMEOUT_NS UINT64_C(60000000000)

static const uint32_t steps[] = { 10, 30, 100, 300, 1000, 3000, 10000 };
#define N_STEPS (sizeof(steps) / sizeof(steps[0]))

struct holder {
	pid_t pid;
	int fd;
};

/* A runtime that has little of the processors is slow, and not gone. */
static int open_node(struct zcp_node **node)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;

	options.timeout_ns = NODE_TIMEOUT_NS;
	return zcp_node_open(node, &options);
}

/* --- a holder --- */

static int open_pair(struct zcp_node *node, const char *topic, struct zcp_publisher **out,
		     struct zcp_subscriber **in)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	int r;

	options.max_payload = PAYLOAD;
	r = zcp_publisher_open(out, node, topic, &options);
	return r == 0 ? zcp_subscriber_open(in, node, topic, NULL) : r;
}

/* Topics i, i + N_HOLDERS, ... up to what it is told; never returns. */
static void hold(uint32_t index, int fd)
{
	struct zcp_node *nodes[N_NODES / N_HOLDERS];
	struct zcp_publisher *out;
	struct zcp_subscriber *in;
	uint32_t n_topics, at = index, n_nodes = N_NODES / N_HOLDERS;
	char topic[64];
	int r = 0;

	for (uint32_t i = 0; i < n_nodes && r == 0; i++)
		r = open_node(&nodes[i]);
	while (read(fd, &n_topics, sizeof(n_topics)) == (ssize_t)sizeof(n_topics)) {
		for (; at < n_topics && r == 0; at += N_HOLDERS) {
			(void)snprintf(topic, sizeof(topic), "bench/held/%u", at);
			r = open_pair(nodes[at / N_HOLDERS % n_nodes], topic, &out, &in);
		}
		if (write(fd, &r, sizeof(r)) != (ssize_t)sizeof(r))
			break;
	}
	/* The runtime takes back what is open. */
	_exit(0);
}

static int start_holder(struct holder *holder, uint32_t index)
{
	pid_t parent = getpid();
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	holder->pid = fork();
	if (holder->pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
			_exit(1);
		(void)close(fds[0]);
		hold(index, fds[1]);
	}
	(void)close(fds[1]);
	holder->fd = fds[0];
	return holder->pid < 0 ? -errno : 0;
}

static int grow(struct holder *holders, uint32_t n_topics)
{
	int r = 0, theirs;

	for (uint32_t i = 0; i < N_HOLDERS; i++)
		if (write(holders[i].fd, &n_topics, sizeof(n_topics)) != (ssize_t)sizeof(n_topics))
			return -EPIPE;
	for (uint32_t i = 0; i < N_HOLDERS; i++) {
		if (read(holders[i].fd, &theirs, sizeof(theirs)) != (ssize_t)sizeof(theirs))
			return -EPIPE;
		r = theirs < 0 ? theirs : r;
	}
	return r;
}

/* --- the prober --- */

enum timed {
	NODE_OPEN,
	PUBLISHER_OPEN,  /* of a new topic */
	SUBSCRIBER_OPEN, /* of the same one */
	FIRST_MESSAGE,   /* from before both until it has been taken */
	TIMED,
};

static const char *const timed_names[TIMED] = { "node-open", "publisher-open", "subscriber-open",
						"first-message" };

static int take_first(struct zcp_subscriber *in)
{
	uint64_t start = bench_ns();
	struct zcp_sample sample;
	int r;

	while ((r = zcp_subscriber_take(in, &sample)) == -EAGAIN)
		if (bench_ns() - start > FIRST_MESSAGE_NS)
			return -ETIMEDOUT;
	return r < 0 ? r : zcp_sample_release(&sample);
}

static int probe_once(uint32_t i, double times[TIMED])
{
	static const char payload[PAYLOAD];
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_node *node = NULL;
	struct zcp_publisher *out = NULL;
	struct zcp_subscriber *in = NULL;
	uint64_t at[5] = { bench_ns() };
	char topic[64];
	int r = open_node(&node);

	at[1] = bench_ns();
	options.max_payload = PAYLOAD;
	(void)snprintf(topic, sizeof(topic), "bench/probe/%u", i);
	if (r == 0)
		r = zcp_publisher_open(&out, node, topic, &options);
	at[2] = bench_ns();
	if (r == 0)
		r = zcp_subscriber_open(&in, node, topic, NULL);
	at[3] = bench_ns();
	if (r == 0)
		r = zcp_publisher_send(out, payload, sizeof(payload));
	if (r == 0)
		r = take_first(in);
	at[4] = bench_ns();
	times[NODE_OPEN] = (double)(at[1] - at[0]);
	times[PUBLISHER_OPEN] = (double)(at[2] - at[1]);
	times[SUBSCRIBER_OPEN] = (double)(at[3] - at[2]);
	times[FIRST_MESSAGE] = (double)(at[4] - at[1]);
	(void)zcp_subscriber_close(in);
	(void)zcp_publisher_close(out);
	(void)zcp_node_close(node);
	return r;
}

static void add_times(const char *name, uint32_t n_topics, double *times, double *median)
{
	struct bench_row row = { .place = "all", .n = n_topics };

	(void)snprintf(row.game, sizeof(row.game), GAME);
	(void)snprintf(row.peer, sizeof(row.peer), "zcp");
	(void)snprintf(row.figure, sizeof(row.figure), "%s", name);
	(void)snprintf(row.unit, sizeof(row.unit), "ns");
	bench_rows_add(&row, times, PROBES, NULL, 0);
	*median = bench_percentile(times, PROBES, 50);
}

static int probe(uint32_t n_topics, double medians[TIMED])
{
	static uint32_t n_probes;
	static double times[TIMED][PROBES];

	for (uint32_t i = 0; i < PROBES; i++) {
		double one[TIMED];
		int r = probe_once(n_probes++, one);

		if (r < 0)
			return r;
		for (int t = 0; t < TIMED; t++)
			times[t][i] = one[t];
	}
	for (int t = 0; t < TIMED; t++)
		add_times(timed_names[t], n_topics, times[t], &medians[t]);
	return 0;
}

/* --- the runtime --- */

static void sleep_ms(long ms)
{
	const struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	(void)nanosleep(&time, NULL);
}

/* While nothing happens, of all its processes. */
static void add_idle(pid_t runtime, uint32_t n_topics, bool is_full)
{
	struct bench_process before, after;
	long ms = is_full ? 5000 : 1000;

	/* what the last close has left to do */
	sleep_ms(500);
	bench_process_read(runtime, &before);
	sleep_ms(ms);
	bench_process_read(runtime, &after);
	bench_rows_put(GAME, "zcp", "runtime-idle-wake-ups", "1/s", n_topics,
		       (double)(after.n_switches - before.n_switches) * 1000 / (double)ms);
	bench_rows_put(GAME, "zcp", "runtime-idle-cpu", "ms/s", n_topics,
		       (after.cpu_ns - before.cpu_ns) / 1e6 * 1000 / (double)ms);
	bench_rows_put(GAME, "zcp", "runtime-resident", "MiB", n_topics,
		       (double)after.resident / 1048576);
	bench_rows_put(GAME, "zcp", "runtime-descriptors", "", n_topics, (double)after.n_fds);
	bench_rows_put(GAME, "zcp", "runtime-memfds", "MiB", n_topics,
		       (double)after.memfds / 1048576);
}

/* y as a power of the number of topics: 0 where it does not grow, 1 where it grows along with it. */
static void add_growth(const char *name, const double *y, size_t n)
{
	double x[N_STEPS], log_y[N_STEPS];
	char figure[BENCH_NAME_MAX];

	if (n < 2)
		return;
	for (size_t i = 0; i < n; i++) {
		x[i] = log(steps[i]);
		log_y[i] = log(y[i]);
	}
	(void)snprintf(figure, sizeof(figure), "%s-growth", name);
	bench_rows_put(GAME, "zcp", figure, "exponent", 0, bench_slope(x, log_y, n));
	(void)snprintf(figure, sizeof(figure), "%s-most-to-least", name);
	bench_rows_put(GAME, "zcp", figure, "ratio", 0, y[n - 1] / y[0]);
}

/* What an unused topic with default limits takes. */
static int add_topic(struct zcp_node *node, pid_t runtime)
{
	struct bench_process before, after, us_before, us_after;
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_publisher *out;
	int r;

	options.max_payload = PAYLOAD;
	bench_process_read(runtime, &before);
	bench_process_read(getpid(), &us_before);
	r = zcp_publisher_open(&out, node, "bench/unused", &options);
	if (r < 0)
		return r;
	bench_process_read(runtime, &after);
	bench_process_read(getpid(), &us_after);
	bench_rows_put(GAME, "zcp", "unused-topic-memfds", "KiB", 0,
		       (double)(after.memfds - before.memfds) / 1024);
	bench_rows_put(GAME, "zcp", "publisher-address-space", "MiB", 0,
		       (double)(us_after.address_space - us_before.address_space) / 1048576);
	(void)zcp_publisher_close(out);
	return 0;
}

struct results {
	double medians[TIMED][N_STEPS];
	double cpu[N_STEPS];
	size_t n_steps;
};

static int take_step(struct holder *holders, pid_t runtime, bool is_full, struct results *results)
{
	size_t s = results->n_steps;
	uint32_t n_new = 2 * (steps[s] - (s ? steps[s - 1] : 1));
	struct bench_process before, after;
	double now[TIMED];
	int r;

	bench_process_read(runtime, &before);
	r = grow(holders, steps[s]);
	if (r < 0)
		return r;
	bench_process_read(runtime, &after);
	r = probe(steps[s], now);
	if (r < 0)
		return r;
	for (int t = 0; t < TIMED; t++)
		results->medians[t][s] = now[t];
	results->cpu[s] = (after.cpu_ns - before.cpu_ns) / n_new;
	bench_rows_put(GAME, "zcp", "runtime-cpu-per-open", "ns", steps[s], results->cpu[s]);
	add_idle(runtime, steps[s], is_full);
	results->n_steps++;
	return 0;
}

/* Where a limit of the machine stops it, what was reached before is reported. */
static int measure(struct holder *holders, bool is_full)
{
	static struct results results;
	struct zcp_node *node = NULL;
	int r = open_node(&node);
	pid_t runtime = bench_domain_runtime();

	for (uint32_t i = 0; i < N_HOLDERS && r == 0; i++)
		r = start_holder(&holders[i], i);
	if (r == 0)
		r = grow(holders, 1);
	if (r == 0)
		r = add_topic(node, runtime);
	while (r == 0 && results.n_steps < N_STEPS)
		r = take_step(holders, runtime, is_full, &results);
	if (r < 0)
		bench_rows_note(GAME, "zcp", "stopped after %zu of %zu steps: %s (%s)",
				results.n_steps, N_STEPS, zcp_strerror(r), strerror(-r));
	for (int t = 0; t < TIMED; t++)
		add_growth(timed_names[t], results.medians[t], results.n_steps);
	add_growth("runtime-cpu-per-open", results.cpu, results.n_steps);
	(void)zcp_node_close(node);
	return results.n_steps > 0 ? 0 : r;
}

int bench_control(bool is_full)
{
	struct holder holders[N_HOLDERS] = { { .pid = 0 } };
	int r = measure(holders, is_full);

	for (uint32_t i = 0; i < N_HOLDERS; i++) {
		if (holders[i].pid <= 0)
			continue;
		(void)kill(holders[i].pid, SIGKILL);
		(void)waitpid(holders[i].pid, NULL, 0);
		(void)close(holders[i].fd);
	}
	return r < 0 ? -1 : 0;
}
