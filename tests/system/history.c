/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Late join with history: no gap, no duplicate, no chunk lost, whatever the publishers do
 * meanwhile; what stays of a publisher that is gone; and what it costs in the sums.
 */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define TOPIC "map"
#define N_WORDS 64
#define N_PUBLISHERS 3
#define HISTORY 8
/* Joins; ZCP_STRESS_ROUNDS multiplies them. */
#define N_ROUNDS 250

#define KEEP "[topic.\"map\"]\nkeep_history = true\n"

struct message {
	uint64_t words[N_WORDS];
};

static struct zcp_publisher *open_publisher(struct zcp_node *node, uint32_t history)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_publisher *publisher;

	options.max_payload = sizeof(struct message);
	options.history = history;
	ZCP_OK(zcp_publisher_open(&publisher, node, TOPIC, &options), node);
	return publisher;
}

static struct zcp_subscriber *open_subscriber(struct zcp_node *node, uint32_t history,
					      uint32_t depth)
{
	struct zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_subscriber *subscriber;

	options.history = history;
	options.depth = depth;
	ZCP_OK(zcp_subscriber_open(&subscriber, node, TOPIC, &options), node);
	return subscriber;
}

static void publish(struct zcp_publisher *publisher)
{
	struct zcp_loan loan;
	uint64_t n = zcp_test_inside(publisher).writer->next_seq;

	ZCP_CHECK(zcp_publisher_loan(publisher, sizeof(struct message), &loan) == 0);
	for (int i = 0; i < N_WORDS; i++)
		((struct message *)loan.data)->words[i] = n;
	ZCP_CHECK(zcp_publisher_publish(publisher, &loan) == 0);
}

static void check_words(const struct zcp_sample *sample)
{
	const struct message *message = sample->data;

	ZCP_CHECK(sample->size == sizeof(*message));
	for (int i = 0; i < N_WORDS; i++)
		ZCP_CHECK(message->words[i] == sample->sequence);
}

/* The next message; its words are its number, also when it is given back. */
static bool take(struct zcp_subscriber *subscriber, struct zcp_sample *sample)
{
	struct zcp_sample held;
	int r = zcp_subscriber_take(subscriber, &held);

	if (r == -EAGAIN)
		return false;
	ZCP_CHECK(r == 0);
	check_words(&held);
	*sample = held;
	check_words(&held);
	ZCP_CHECK(zcp_sample_release(&held) == 0);
	return true;
}

static void expect(struct zcp_subscriber *subscriber, uint64_t first, uint64_t last)
{
	struct zcp_sample sample;

	for (uint64_t n = first; n <= last; n++) {
		if (!take(subscriber, &sample) || sample.sequence != n || sample.lost != 0) {
			(void)fprintf(stderr, "message %llu is not the next\n",
				      (unsigned long long)n);
			zcp_test_fail(__FILE__, __LINE__, "in order");
		}
	}
	ZCP_CHECK(!take(subscriber, &sample));
}

/* --- publishers in processes of their own --- */

struct job {
	uint32_t history;
	uint32_t n_messages;
};

static void publish_and_wait(struct zcp_test_child *self, void *arg)
{
	const struct job *job = arg;
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = open_publisher(node, job->history);

	for (uint32_t i = 0; i < job->n_messages; i++)
		publish(publisher);
	zcp_test_say_step(self, 0);
	zcp_test_wait_for_the_end(self);
}

static void publish_for_ever(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = open_publisher(node, HISTORY);

	(void)arg;
	zcp_test_say_step(self, 0);
	for (;;)
		publish(publisher);
}

static void late_joiners_get_what_an_idle_publisher_sent(void)
{
	struct job job = { 1, 1 };
	struct zcp_test_child child;
	struct zcp_node *node;

	zcp_test_fork(&child, publish_and_wait, &job);
	zcp_test_hear_step(&child, 0);
	node = zcp_test_node();
	for (int i = 0; i < 100; i++) {
		struct zcp_subscriber *subscriber = open_subscriber(node, 1 + (uint32_t)i % 3, 2);

		ZCP_OK(zcp_node_wait(node, 0), node);
		expect(subscriber, 1, 1);
		zcp_subscriber_close(subscriber);
	}
	zcp_test_kill(&child);
	zcp_node_close(node);
}

static void as_many_as_both_sides_want(void)
{
	static const uint32_t kept[] = { 1, 2, 7, 1024 }, wanted[] = { 0, 1, 5, 1024 };

	for (size_t i = 0; i < 4; i++) {
		struct job job = { kept[i], 1500 };
		struct zcp_test_child child;
		struct zcp_node *node;

		zcp_test_fork(&child, publish_and_wait, &job);
		zcp_test_hear_step(&child, 0);
		node = zcp_test_node();
		for (size_t j = 0; j < 4; j++) {
			uint32_t n = kept[i] < wanted[j] ? kept[i] : wanted[j];

			expect(open_subscriber(node, wanted[j], 1), 1500 - n + 1, 1500);
		}
		zcp_test_kill(&child);
		zcp_node_close(node);
	}
}

/* What one publisher has sent, as a joiner sees it. */
struct stream {
	uint64_t id;
	uint64_t before; /* its next number before we joined, and after */
	uint64_t after;
	uint64_t next; /* the number that must come, without what is lost; 0: any */
	uint64_t n;
	bool is_satisfied; /* one that came after the join has been taken */
};

static uint64_t next_seq(const struct zcp_subscriber *subscriber, uint32_t publisher)
{
	return zcp_test_load(&zcp_test_inside(subscriber).topic->publishers[publisher].next_seq);
}

/*
 * It keeps HISTORY messages. A publisher that was held up in the middle of a publish for so long that
 * the join did not wait for it sends us what comes after that one.
 */
static void check_first(const struct stream *stream, const struct zcp_sample *sample)
{
	uint64_t first = sample->sequence - sample->lost;

	ZCP_CHECK(first + HISTORY >= stream->before);
	ZCP_CHECK(first <= stream->after + 1);
}

static void check_next(const struct stream *stream, const struct zcp_sample *sample)
{
	if (sample->sequence == stream->next + sample->lost)
		return;
	(void)fprintf(stderr,
		      "message %llu with %llu lost is not the one after %llu (number %llu of this "
		      "publisher, which was between %llu and %llu when we joined)\n",
		      (unsigned long long)sample->sequence, (unsigned long long)sample->lost,
		      (unsigned long long)stream->next - 1, (unsigned long long)stream->n,
		      (unsigned long long)stream->before, (unsigned long long)stream->after);
	zcp_test_fail(__FILE__, __LINE__, "in order");
}

/* Reads until each publisher has sent some that came after the join. */
static void follow(struct zcp_subscriber *subscriber, struct stream *streams)
{
	uint32_t n_satisfied = 0;

	while (n_satisfied < N_PUBLISHERS) {
		struct stream *stream = streams;
		struct zcp_sample sample;

		if (!take(subscriber, &sample)) {
			(void)sched_yield();
			continue;
		}
		while (stream->id != sample.publisher_id)
			ZCP_CHECK(++stream < streams + N_PUBLISHERS);
		if (stream->n++ == 0)
			check_first(stream, &sample);
		else
			check_next(stream, &sample);
		if (sample.sequence >= stream->after && !stream->is_satisfied) {
			stream->is_satisfied = true;
			n_satisfied++;
		}
		stream->next = sample.sequence + 1;
	}
}

/* At a random moment: somewhere in the time that a handful of messages take. */
static void wait_a_moment(const struct zcp_subscriber *witness, unsigned int *seed)
{
	uint64_t target = next_seq(witness, 0) + (uint64_t)rand_r(seed) % 64;

	while (next_seq(witness, 0) < target)
		(void)sched_yield();
}

static void check_join(struct zcp_node *node, const struct zcp_subscriber *witness, uint32_t depth)
{
	struct stream streams[N_PUBLISHERS] = { { .n = 0 } };
	struct zcp_subscriber *subscriber;

	for (uint32_t p = 0; p < N_PUBLISHERS; p++) {
		streams[p].id = zcp_test_load(
			&zcp_test_inside(witness).topic->publishers[p].publisher_id);
		streams[p].before = next_seq(witness, p);
	}
	subscriber = open_subscriber(node, HISTORY, depth);
	for (uint32_t p = 0; p < N_PUBLISHERS; p++)
		streams[p].after = next_seq(witness, p);
	follow(subscriber, streams);
	zcp_subscriber_close(subscriber);
}

static void joins_at_random_moments_have_no_gap(void)
{
	struct zcp_test_child children[N_PUBLISHERS];
	struct zcp_subscriber *witness;
	struct zcp_node *node;
	uint32_t n_rounds = (uint32_t)zcp_test_rounds(N_ROUNDS);
	unsigned int seed = 7;

	/* Instead of the time that a case has: each join takes some turns of busy processes. */
	(void)alarm(60 + n_rounds / 4);

	for (int i = 0; i < N_PUBLISHERS; i++)
		zcp_test_fork(&children[i], publish_for_ever, NULL);
	for (int i = 0; i < N_PUBLISHERS; i++)
		zcp_test_hear_step(&children[i], 0);
	node = zcp_test_node();
	/* It never takes: it only shows where the publishers are. */
	witness = open_subscriber(node, 0, 1);
	for (uint32_t i = 0; i < n_rounds; i++) {
		/* Sometimes the queue overflows before the first take. */
		static const uint32_t depths[] = { 1, 4, 64, 256 };

		wait_a_moment(witness, &seed);
		check_join(node, witness, depths[i % 4]);
		if (i % 32 == 0)
			(void)zcp_test_audit(node);
	}
	for (int i = 0; i < N_PUBLISHERS; i++)
		zcp_test_kill(&children[i]);
	zcp_test_wait_for_members(node, TOPIC, 0, 1);
	zcp_subscriber_close(witness);
	ZCP_CHECK(zcp_test_ask(node, TOPIC) == -ENOENT);
	zcp_node_close(node);
}

static void chunks_go_back_when_nobody_keeps_them(void)
{
	struct job job = { HISTORY, 100 };
	struct zcp_test_child child;
	struct zcp_subscriber *subscriber;
	struct zcp_node *node;

	zcp_test_fork(&child, publish_and_wait, &job);
	zcp_test_hear_step(&child, 0);
	node = zcp_test_node();
	subscriber = open_subscriber(node, HISTORY, 2);
	ZCP_CHECK(zcp_test_n_busy(node) == HISTORY);
	zcp_test_kill(&child);
	zcp_test_wait_for_members(node, TOPIC, 0, 1);
	/* What it was given is its own, and nobody else gets it any more. */
	ZCP_CHECK(zcp_test_n_busy(node) == HISTORY);
	expect(open_subscriber(node, HISTORY, 2), 1, 0);
	expect(subscriber, 100 - HISTORY + 1, 100);
	ZCP_CHECK(zcp_test_n_busy(node) == 0);
	zcp_node_close(node);
}

/* A subscriber that leaves, or dies, without having taken it. */
static void history_that_is_not_taken_goes_back(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = open_publisher(node, HISTORY);

	for (int i = 0; i < 20; i++)
		publish(publisher);
	zcp_subscriber_close(open_subscriber(node, HISTORY, 4));
	ZCP_CHECK(zcp_test_n_busy(node) == HISTORY);
	for (int i = 0; i < 20; i++)
		publish(publisher);
	ZCP_CHECK(zcp_test_n_busy(node) == HISTORY);
	zcp_node_close(node);
}

/* Kills a publisher that has sent, waits until the runtime knows. */
static void die_after(uint32_t history, uint32_t n_messages, struct zcp_node *node)
{
	struct job job = { history, n_messages };
	struct zcp_test_child child;

	zcp_test_fork(&child, publish_and_wait, &job);
	zcp_test_hear_step(&child, 0);
	zcp_test_kill(&child);
	zcp_test_wait_for_members(node, TOPIC, 0, 0);
}

static void kept_history_outlives_its_publisher(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_publisher *publisher;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, KEEP);
	node = zcp_test_node();
	die_after(3, 10, node);
	for (int i = 0; i < 2; i++)
		zcp_subscriber_close(open_subscriber(node, 2, 1));
	expect(open_subscriber(node, 1024, 1), 8, 10);

	/* The next one in the slot goes on with its numbers, and lets go of the old ones. */
	publisher = open_publisher(node, 2);
	ZCP_CHECK(zcp_test_n_busy(node) == 2);
	publish(publisher);
	expect(open_subscriber(node, 1024, 1), 10, 11);
	publish(publisher);
	expect(open_subscriber(node, 1024, 1), 11, 12);
	ZCP_CHECK(zcp_test_n_busy(node) == 2);
	zcp_publisher_close(publisher);
	expect(open_subscriber(node, 1024, 1), 11, 12);

	/* One without history of its own ends it. */
	publisher = open_publisher(node, 0);
	expect(open_subscriber(node, 1024, 1), 1, 0);
	(void)zcp_test_audit(node);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static void kept_history_keeps_the_topic_and_its_sum(void)
{
	static const char config[] = "[pool.p]\nclasses = [{ size = 512, count = 24 }]\n"
				     "[topic.\"map\"]\npool = \"p\"\nkeep_history = true\n";
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_test_runtime runtime;
	struct zcp_publisher *publisher;
	struct zcp_message reply;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, config);
	node = zcp_test_node();
	die_after(10, 30, node);
	zcp_test_info(node, TOPIC, &reply);
	ZCP_CHECK(reply.u.topic_info.classes[0].n_history == 10);
	ZCP_CHECK(reply.u.topic_info.keep_history);
	zcp_message_deinit(&reply);
	/* 10 kept, 5 loans, 8 that rotate and one that is just given back fit; 6 loans do not. */
	options.loans = 6;
	options.history = 10;
	ZCP_REFUSED(zcp_publisher_open(&publisher, node, TOPIC, &options), node, -ENOSPC,
		    "'p'|24 chunks|13 of them left|6 loans, history 10|need 14|lower");
	options.loans = 5;
	ZCP_OK(zcp_publisher_open(&publisher, node, TOPIC, &options), node);
	(void)zcp_test_audit(node);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

/* As many as the sum allows, held by those who joined, and the publisher always has a loan. */
static void sum_counts_history(void)
{
	struct zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_test_runtime runtime;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber, *other;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, "[pool.p]\nclasses = [{ size = 512, count = 27 }]\n"
					 "[topic.\"map\"]\npool = \"p\"\nhistory = 8\n"
					 "loans = 1\nheld = 1\ndepth = 2\n");
	node = zcp_test_node();
	publisher = open_publisher(node, 0);
	for (int i = 0; i < 20; i++)
		publish(publisher);
	/* 1 loan, 8 kept, 8 that rotate, 1 just given back; 1 held, 8 given: 27. */
	subscriber = open_subscriber(node, 8, 0);
	options.history = 1;
	ZCP_REFUSED(zcp_subscriber_open(&other, node, TOPIC, &options), node, -ENOSPC,
		    "'p'|27 chunks|0 of them left|history 1|need 2");
	for (int i = 0; i < 100; i++)
		publish(publisher);
	ZCP_CHECK(zcp_test_n_busy(node) == 8 + 8);
	zcp_subscriber_close(subscriber);
	(void)zcp_test_audit(node);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static void too_much_is_refused(void)
{
	struct zcp_publisher_options publisher_options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_subscriber_options subscriber_options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;

	publisher_options.max_payload = 8;
	publisher_options.history = 1025;
	ZCP_REFUSED(zcp_publisher_open(&publisher, node, TOPIC, &publisher_options), node, -EINVAL,
		    "history|1025|1024|lower");
	subscriber_options.history = 1025;
	ZCP_REFUSED(zcp_subscriber_open(&subscriber, node, TOPIC, &subscriber_options), node,
		    -ERANGE, "history|1025|1024|lower");
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(late_joiners_get_what_an_idle_publisher_sent),
	ZCP_TEST_CASE(as_many_as_both_sides_want),
	ZCP_TEST_CASE(joins_at_random_moments_have_no_gap),
	ZCP_TEST_CASE(chunks_go_back_when_nobody_keeps_them),
	ZCP_TEST_CASE(history_that_is_not_taken_goes_back),
	ZCP_TEST_CASE(kept_history_outlives_its_publisher),
	ZCP_TEST_CASE(kept_history_keeps_the_topic_and_its_sum),
	ZCP_TEST_CASE(sum_counts_history),
	ZCP_TEST_CASE(too_much_is_refused),
};

ZCP_TEST_MAIN(cases)
