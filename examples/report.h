/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the examples count and print: a line a second for a person, or a summary at the end for
 * a program, in the form "summary key=value key=value ...".
 */
#ifndef REPORT_H
#define REPORT_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <zcp/zcp.h>

#include "example.h"
#include "memory.h"
#include "meter.h"

/* Either side's count, and its place in time. */
struct report {
	const struct example_options *options;
	uint64_t n;
	uint64_t n_bytes;
	uint64_t begin_ns, first_ns, last_ns;
	/* when the last line was printed, and what `n` was then */
	uint64_t printed_ns, n_printed;
	struct memory memory;
};

/* What a subscriber counts in addition. */
struct received {
	struct report report;
	uint64_t n_lost, n_lost_printed;
	/* not what was sent */
	uint64_t n_damaged;
	/* not in memory that is shared with the publisher */
	uint64_t n_copied;
	struct meter latency, latency_printed;
};

static inline void report_begin(struct report *report, const struct example_options *options)
{
	report->options = options;
	report->begin_ns = report->printed_ns = example_now_ns();
}

/* Whether there are as many as --count asks for. */
static inline bool report_has_count(const struct report *report)
{
	return report->options->count && report->n >= report->options->count;
}

/* Whether that is so, or the time is over, or somebody asked us to end. */
static inline bool report_is_complete(const struct report *report)
{
	const struct example_options *options = report->options;

	if (atomic_load(&example_stop) || report_has_count(report))
		return true;
	return options->duration_ns && example_now_ns() - report->begin_ns >= options->duration_ns;
}

/* How long to wait for messages at most: until the next line is due, or the end. */
static inline int64_t report_timeout_ns(const struct report *report)
{
	uint64_t until_ns = report->printed_ns + ZCP_SECOND, now_ns = example_now_ns();
	uint64_t duration_ns = report->options->duration_ns;

	if (duration_ns && until_ns > report->begin_ns + duration_ns)
		until_ns = report->begin_ns + duration_ns;
	return until_ns > now_ns ? (int64_t)(until_ns - now_ns) : 0;
}

static inline void report_add(struct report *report, size_t size, uint64_t now_ns)
{
	if (report->n++ == 0)
		report->first_ns = now_ns;
	report->last_ns = now_ns;
	report->n_bytes += size;
}

static inline bool report_is_due(const struct report *report)
{
	return example_now_ns() - report->printed_ns >= ZCP_SECOND;
}

/* Messages a second since this was asked last. */
static inline double report_rate(struct report *report)
{
	uint64_t now_ns = example_now_ns();
	double seconds = (double)(now_ns - report->printed_ns) / 1e9;
	double rate = (double)(report->n - report->n_printed) / seconds;

	report->n_printed = report->n;
	report->printed_ns = now_ns;
	return rate;
}

/* `what` was done with the messages: sent, received. */
static inline void report_summary(const struct report *report, const char *what)
{
	double seconds = (double)(report->last_ns - report->first_ns) / 1e9;

	printf("summary topic=%s %s=%" PRIu64 " bytes=%" PRIu64 " rate=%.3f memory=",
	       report->options->topic, what, report->n, report->n_bytes,
	       report->n > 1 ? (double)(report->n - 1) / seconds : 0.0);
	memory_print(&report->memory, stdout);
}

/* A loan that is about to be written and published. */
static inline void sent_add(struct report *sent, const struct zcp_loan *loan)
{
	report_add(sent, loan->size, example_now_ns());
	(void)memory_inode(&sent->memory, loan->data);
}

static inline void sent_print(struct report *sent, unsigned int n_subscribers)
{
	if (sent->options->summary || !report_is_due(sent))
		return;
	printf("%s  %.1f Hz  %u subscriber%s\n", sent->options->topic, report_rate(sent),
	       n_subscribers, n_subscribers == 1 ? "" : "s");
	(void)fflush(stdout);
}

static inline void sent_summary(const struct report *sent, unsigned int n_subscribers)
{
	if (!sent->options->summary)
		return;
	report_summary(sent, "sent");
	printf(" subscribers=%u\n", n_subscribers);
}

/* A sample that has just come: the first thing to be done with it, for the latency. */
static inline void received_add(struct received *received, const struct zcp_sample *sample)
{
	uint64_t now_ns = example_now_ns(), latency_ns = now_ns - sample->publish_time_ns;

	/* no time where the configuration says timestamps = false */
	if (sample->publish_time_ns) {
		meter_add(&received->latency, latency_ns);
		meter_add(&received->latency_printed, latency_ns);
	}
	report_add(&received->report, sample->size, now_ns);
	received->n_lost += sample->lost;
	if (!memory_inode(&received->report.memory, sample->data))
		received->n_copied++;
}

static inline void received_damaged(struct received *received, const struct zcp_sample *sample)
{
	fprintf(stderr, EXAMPLE ": message %" PRIu64 " on %s is damaged\n", sample->sequence,
		received->report.options->topic);
	received->n_damaged++;
}

static inline void received_print(struct received *received)
{
	double rate;

	if (!report_is_due(&received->report))
		return;
	rate = report_rate(&received->report);
	if (!received->report.options->summary) {
		printf("%s  %.1f Hz  latency p50 %.1f us, p99 %.1f us  lost %" PRIu64 "\n",
		       received->report.options->topic, rate,
		       (double)meter_percentile(&received->latency_printed, 50) / 1e3,
		       (double)meter_percentile(&received->latency_printed, 99) / 1e3,
		       received->n_lost - received->n_lost_printed);
		(void)fflush(stdout);
	}
	received->n_lost_printed = received->n_lost;
	memset(&received->latency_printed, 0, sizeof(received->latency_printed));
}

static inline void received_summary(const struct received *received)
{
	if (!received->report.options->summary)
		return;
	report_summary(&received->report, "received");
	printf(" p50_ns=%" PRIu64 " p99_ns=%" PRIu64 " lost=%" PRIu64 " damaged=%" PRIu64
	       " copied=%" PRIu64 "\n",
	       meter_percentile(&received->latency, 50), meter_percentile(&received->latency, 99),
	       received->n_lost, received->n_damaged, received->n_copied);
}

#endif
