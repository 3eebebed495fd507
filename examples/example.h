/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every example needs and zcp has no part in: a clock, options, an error for a person, and
 * a clean end at SIGINT and SIGTERM. Before it is included, EXAMPLE is the program's name.
 */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <zcp/zcp.h>

#define EXAMPLE_CLEANUP(function) __attribute__((cleanup(function)))

enum { EXAMPLE_FAILED = 1, EXAMPLE_USAGE = 2 };

/* Read in the signal handler: both are lock-free. */
static _Atomic(struct zcp_node *) example_running;
static atomic_bool example_stop;

static inline uint64_t example_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * ZCP_SECOND + (uint64_t)ts.tv_nsec;
}

/* Sleeps until a moment of CLOCK_MONOTONIC, or until a signal handler has run. */
static inline void example_sleep_until(uint64_t time_ns)
{
	struct timespec ts = { .tv_sec = (time_t)(time_ns / ZCP_SECOND),
			       .tv_nsec = (long)(time_ns % ZCP_SECOND) };

	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static inline void example_on_signal(int signal)
{
	struct zcp_node *node = atomic_load(&example_running);
	int saved = errno;

	(void)signal;
	atomic_store(&example_stop, true);
	if (node)
		zcp_node_interrupt(node);
	errno = saved;
}

/*
 * From now on SIGINT and SIGTERM set example_stop and interrupt the node's wait, so that a
 * signal that comes between the look at example_stop and the wait is not missed.
 */
static inline void example_stop_on_signals(struct zcp_node *node)
{
	struct sigaction action;

	atomic_store(&example_running, node);
	memset(&action, 0, sizeof(action));
	action.sa_handler = example_on_signal;
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
}

/* For a local that owns a node; its publishers and subscribers go with it. */
static inline void example_close_node(struct zcp_node **node)
{
	atomic_store(&example_running, NULL);
	*node = zcp_node_close(*node);
}

/* Says what failed, on what, and what zcp says about it; `node` is NULL if it did not open. */
static inline int example_failed(const struct zcp_node *node, const char *what, const char *name,
				 int error)
{
	const char *sentence = zcp_node_error(node);

	fprintf(stderr, EXAMPLE ": cannot %s%s%s: %s\n", what, name[0] ? " " : "", name,
		sentence[0] ? sentence : zcp_strerror(error));
	return EXAMPLE_FAILED;
}

struct example_options {
	const char *topic;
	/* of a program that reads one topic and publishes another */
	const char *output;
	/* pixels */
	uint32_t width, height;
	double rate;
	uint64_t count;
	uint64_t every;
	uint64_t duration_ns;
	unsigned int wait_subscribers;
	/* one line for a program at the end, instead of one a second for a person */
	bool summary;
};

/* A number from the command line. One that is none, or out of bounds, ends the program. */
static inline double example_number(const char *option, const char *text, double min, double max)
{
	char *end;
	double number;

	errno = 0;
	number = strtod(text, &end);
	if (end == text || *end || errno || !isfinite(number) || number < min || number > max) {
		fprintf(stderr, EXAMPLE ": --%s '%s' is not a number from %.15g to %.15g\n", option,
			text, min, max);
		exit(EXAMPLE_USAGE);
	}
	return number;
}

/* "1920x1080" from the command line. What is none ends the program. */
static inline void example_size(const char *text, uint32_t *width, uint32_t *height)
{
	char *end;
	unsigned long columns = strtoul(text, &end, 10);
	unsigned long rows = *end == 'x' ? strtoul(end + 1, &end, 10) : 0;

	if (*end || columns < 1 || columns > 65535 || rows < 1 || rows > 65535) {
		fprintf(stderr, EXAMPLE ": --size '%s' is not WIDTHxHEIGHT, each 1 to 65535\n",
			text);
		exit(EXAMPLE_USAGE);
	}
	*width = (uint32_t)columns;
	*height = (uint32_t)rows;
}

/* Reads the options; what is wrong, and --help, end the program. Returns the other arguments. */
static inline char **example_parse(int argc, char **argv, struct example_options *options,
				   const char *usage)
{
	static const struct option known[] = {
		{ "topic", required_argument, NULL, 't' },
		{ "output", required_argument, NULL, 'o' },
		{ "size", required_argument, NULL, 'x' },
		{ "rate", required_argument, NULL, 'r' },
		{ "count", required_argument, NULL, 'c' },
		{ "every", required_argument, NULL, 'e' },
		{ "duration", required_argument, NULL, 'd' },
		{ "wait-subscribers", required_argument, NULL, 'w' },
		{ "summary", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	double number = 0;
	int c, at = 0;

	while ((c = getopt_long(argc, argv, "", known, &at)) != -1) {
		if (c == 'r')
			number = example_number(known[at].name, optarg, 0.001, 1e6);
		else if (c == 'c' || c == 'e')
			number = example_number(known[at].name, optarg, 1, 1e15);
		else if (c == 'd')
			number = example_number(known[at].name, optarg, 0.001, 1e9);
		else if (c == 'w')
			number = example_number(known[at].name, optarg, 0, 256);

		switch (c) {
		case 't':
			options->topic = optarg;
			break;
		case 'o':
			options->output = optarg;
			break;
		case 'x':
			example_size(optarg, &options->width, &options->height);
			break;
		case 'r':
			options->rate = number;
			break;
		case 'c':
			options->count = (uint64_t)number;
			break;
		case 'e':
			options->every = (uint64_t)number;
			break;
		case 'd':
			options->duration_ns = (uint64_t)(number * (double)ZCP_SECOND);
			break;
		case 'w':
			options->wait_subscribers = (unsigned int)number;
			break;
		case 's':
			options->summary = true;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			fputs(usage, stderr);
			exit(EXAMPLE_USAGE);
		}
	}
	return argv + optind;
}

/* Until as many have come as the options ask for, or somebody asks us to end. */
static inline int example_wait_subscribers(const struct zcp_node *node,
					   struct zcp_publisher *publisher,
					   const struct example_options *options)
{
	int r;

	do
		r = zcp_publisher_wait_subscribers(publisher, options->wait_subscribers,
						   100 * ZCP_MS);
	while ((r == -ETIMEDOUT || r == -EINTR) && !atomic_load(&example_stop));
	if (r < 0 && !atomic_load(&example_stop))
		return example_failed(node, "wait for subscribers of", options->topic, r);
	return 0;
}

#endif
