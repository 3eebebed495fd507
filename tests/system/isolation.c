/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Within its declared limits a publisher always gets a chunk, whatever subscribers do. Each
 * topic of a pool that has exactly the sum has a subscriber that takes and never gives back,
 * one that never takes, and one that does both at random. The publishers loan as many chunks
 * as they may, and are never refused. One endpoint more is, with the sum.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "pubsub/client/publisher.h"
#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

/* Topic t has t + 1 publishers with t + 1 loans each. */
#define N_TOPICS 3
#define N_PUBLISHERS 6
#define N_SUBSCRIBERS_MAX 3
#define LOANS_MAX N_TOPICS
#define DEPTH 4
#define HELD 3
/* Of each publisher; ten million in each case. */
#define N_LOANS 1667000
#define LOANS_PER_TICK 1000
/* Nothing for so long is a stall. */
#define STALL_SECONDS 30

struct crowd {
	/* what a topic's messages are at the most, in bytes; a multiple of 8 */
	size_t payloads[N_TOPICS];
	/* who subscribes to each topic */
	void (*subscribe[N_SUBSCRIBERS_MAX])(struct zcp_test_child *self, void *arg);
	unsigned int n_subscribers;
};

static const struct crowd *crowd;

/* Grows with the publishers' loans; in memory that they share. */
static _Atomic uint64_t *progress;

static const char *topic_name(unsigned int t)
{
	static const char *const names[] = { "shared/0", "shared/1", "shared/2" };

	return names[t];
}

/*
 * What the publishers of a topic may own, with so many loans each: queues overlap, and what is held
 * counts for each of them.
 */
static unsigned int demand(unsigned int n_subscribers, unsigned int n_publishers,
			   unsigned int n_loans)
{
	return n_publishers * (n_loans + (n_subscribers > 0 ? DEPTH : 0) + n_subscribers * HELD +
			       ZCP_ROTATION_SMALL);
}

/* --- subscribers --- */

static void open_subscribers(struct zcp_node *node, struct zcp_subscriber **subscribers)
{
	for (unsigned int t = 0; t < N_TOPICS; t++)
		subscribers[t] = zcp_test_subscriber(node, topic_name(t), DEPTH, HELD, 0);
}

static void write_words(void *data, size_t size, uint64_t first)
{
	uint64_t *words = data;

	for (size_t i = 0; i < size / sizeof(words[0]); i++)
		words[i] = first + i;
}

static bool has_words(const void *data, size_t size)
{
	const uint64_t *words = data;

	for (size_t i = 0; i < size / sizeof(words[0]); i++)
		if (words[i] != words[0] + i)
			return false;
	return size >= sizeof(words[0]);
}

/* Holds all it may, on each topic, and keeps it. */
static void hoard(struct zcp_test_child *self, void *arg)
{
	struct zcp_subscriber *subscribers[N_TOPICS];
	struct zcp_sample samples[N_TOPICS][HELD], more;
	struct zcp_node *node = zcp_test_node();

	(void)arg;
	open_subscribers(node, subscribers);
	zcp_test_say_step(self, 0);
	for (unsigned int t = 0; t < N_TOPICS; t++) {
		for (unsigned int i = 0; i < HELD; i++) {
			int r;

			while ((r = zcp_subscriber_take(subscribers[t], &samples[t][i])) == -EAGAIN)
				ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
			ZCP_OK(r, node);
		}
		ZCP_CHECK(zcp_subscriber_take(subscribers[t], &more) == -EMLINK);
	}
	zcp_test_say_step(self, 1);
	zcp_test_hear_step(self, 2);
	for (unsigned int t = 0; t < N_TOPICS; t++)
		for (unsigned int i = 0; i < HELD; i++)
			ZCP_CHECK(has_words(samples[t][i].data, samples[t][i].size));
	zcp_node_close(node);
}

static void never_take(struct zcp_test_child *self, void *arg)
{
	struct zcp_subscriber *subscribers[N_TOPICS];
	struct zcp_node *node = zcp_test_node();

	(void)arg;
	open_subscribers(node, subscribers);
	zcp_test_say_step(self, 0);
	zcp_test_wait_for_the_end(self);
}

/* Holds all it may, and exchanges one of them at random for the next, until it is ended. */
static void take_and_release(struct zcp_test_child *self, void *arg)
{
	struct zcp_subscriber *subscribers[N_TOPICS];
	struct zcp_sample samples[N_TOPICS][HELD];
	struct zcp_node *node = zcp_test_node();
	uint32_t seed = 99;

	(void)arg;
	memset(samples, 0, sizeof(samples));
	open_subscribers(node, subscribers);
	zcp_test_say_step(self, 0);
	for (;;) {
		unsigned int t = zcp_test_random(&seed) % N_TOPICS;
		struct zcp_sample *sample = &samples[t][zcp_test_random(&seed) % HELD];
		int r;

		if (sample->data) {
			ZCP_CHECK(has_words(sample->data, sample->size));
			ZCP_CHECK(zcp_sample_release(sample) == 0);
		}
		r = zcp_subscriber_take(subscribers[t], sample);
		ZCP_CHECK(r == 0 || r == -EAGAIN);
	}
}

/* --- publishers --- */

struct publishing {
	unsigned int topic;
	uint64_t n_loans;
	uint32_t seed;
};

static void loan_one(const struct publishing *p, struct zcp_publisher *publisher, uint64_t n,
		     uint32_t *seed, struct zcp_loan *loan)
{
	size_t size = 8 + zcp_test_random(seed) % crowd->payloads[p->topic] / 8 * 8;
	int r = zcp_publisher_loan(publisher, size, loan);

	if (r < 0)
		(void)fprintf(stderr, "loan %llu of topic %u: %s\n", (unsigned long long)n,
			      p->topic, zcp_strerror(r));
	ZCP_CHECK(r == 0);
	write_words(loan->data, size, (uint64_t)p->seed << 32 | n);
	if (n % LOANS_PER_TICK == 0)
		(void)atomic_fetch_add_explicit(progress, LOANS_PER_TICK, memory_order_relaxed);
}

/* All of its loans are out but for the moment in which it publishes one and takes the next. */
static void publish(struct zcp_test_child *self, void *arg)
{
	const struct publishing *p = arg;
	unsigned int n_out = p->topic + 1;
	struct zcp_node *node = zcp_test_node();
	struct zcp_loan loans[LOANS_MAX];
	struct zcp_publisher *publisher;
	uint32_t seed = p->seed;
	uint64_t n = 0;

	publisher = zcp_test_publisher(node, topic_name(p->topic), crowd->payloads[p->topic],
				       n_out);
	zcp_test_say_step(self, 0);
	zcp_test_hear_step(self, 1);
	for (unsigned int i = 0; i < n_out; i++)
		loan_one(p, publisher, ++n, &seed, &loans[i]);
	while (n < p->n_loans) {
		struct zcp_loan *loan = &loans[zcp_test_random(&seed) % n_out];

		ZCP_CHECK(has_words(loan->data, loan->size));
		if (zcp_test_random(&seed) % 8 == 0)
			ZCP_OK(zcp_publisher_discard(publisher, loan), node);
		else
			ZCP_OK(zcp_publisher_publish(publisher, loan), node);
		loan_one(p, publisher, ++n, &seed, loan);
	}
	zcp_test_say_step(self, 3);
	zcp_test_hear_step(self, 2);
	zcp_node_close(node);
}

static void start_publishers(struct zcp_test_child *publishers)
{
	static struct publishing publishings[N_PUBLISHERS];
	unsigned int n = 0;

	for (unsigned int t = 0; t < N_TOPICS; t++) {
		for (unsigned int i = 0; i <= t; i++, n++) {
			publishings[n] = (struct publishing){
				.topic = t,
				.n_loans = zcp_test_rounds(N_LOANS),
				.seed = (n + 1) * 0x9e3779b9u,
			};
			zcp_test_fork(&publishers[n], publish, &publishings[n]);
		}
	}
	for (n = 0; n < N_PUBLISHERS; n++)
		zcp_test_hear_step(&publishers[n], 0);
}

static int one_more_publisher(struct zcp_node *node, unsigned int t)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_publisher *publisher;

	options.max_payload = crowd->payloads[t];
	options.loans = 1;
	return zcp_publisher_open(&publisher, node, topic_name(t), &options);
}

static int one_more_subscriber(struct zcp_node *node, unsigned int t)
{
	struct zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_subscriber *subscriber;

	options.depth = 1;
	options.held = 1;
	return zcp_subscriber_open(&subscriber, node, topic_name(t), &options);
}

/* Nobody has seen an empty pool, nor has the runtime. */
static void check_topic(struct zcp_node *node, unsigned int t)
{
	struct zcp_message reply;

	zcp_test_info(node, topic_name(t), &reply);
	ZCP_CHECK(reply.u.topic_info.n_publishers == t + 1);
	ZCP_CHECK(reply.u.topic_info.n_subscribers == crowd->n_subscribers);
	zcp_message_deinit(&reply);
	zcp_test_endpoints(node, topic_name(t), &reply);
	for (unsigned int p = 0; p <= t; p++)
		ZCP_CHECK(reply.u.endpoint_page.publishers[p].n_exhausted == 0 &&
			  reply.u.endpoint_page.publishers[p].n_messages > 0);
	zcp_message_deinit(&reply);
}

static void end_subscriber(struct zcp_test_child *subscriber, unsigned int i)
{
	if (crowd->subscribe[i] != hoard) {
		zcp_test_kill(subscriber);
		return;
	}
	zcp_test_hear_step(subscriber, 1);
	zcp_test_say_step(subscriber, 2);
	zcp_test_join(subscriber);
}

static const char *config_of(const unsigned int *counts)
{
	static char config[256];
	char larger[64] = "";

	if (counts[1] > 0)
		(void)snprintf(larger, sizeof(larger), ", {size = 1024, count = %u}", counts[1]);
	(void)snprintf(config, sizeof(config),
		       "[pool.frames]\nclasses = [{size = 64, count = %u}%s]\n"
		       "[topic.\"shared/*\"]\npool = \"frames\"\n",
		       counts[0], larger);
	return config;
}

/* What one more subscriber and one more publisher are told of the pool, by the size they need. */
static void nobody_is_refused(const struct crowd *who, const unsigned int *counts,
			      const char *small, const char *large)
{
	struct zcp_test_child subscribers[N_SUBSCRIBERS_MAX], publishers[N_PUBLISHERS];
	struct zcp_test_runtime runtime;
	struct zcp_node *node;
	char words[128];

	crowd = who;
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	ZCP_CHECK(progress != MAP_FAILED);
	zcp_test_runtime_start(&runtime, config_of(counts));
	for (unsigned int i = 0; i < crowd->n_subscribers; i++) {
		zcp_test_fork(&subscribers[i], crowd->subscribe[i], NULL);
		zcp_test_hear_step(&subscribers[i], 0);
	}
	start_publishers(publishers);
	zcp_test_watch_progress(progress, STALL_SECONDS);
	node = zcp_test_node();
	for (unsigned int t = 0; t < N_TOPICS; t++) {
		const char *pool = crowd->payloads[t] > crowd->payloads[0] ? large : small;

		(void)snprintf(words, sizeof(words), "%s|(depth 1, 1 held)|would need", pool);
		ZCP_REFUSED(one_more_subscriber(node, t), node, -ENOSPC, words);
		(void)snprintf(words, sizeof(words), "%s|(1 loan|would need", pool);
		ZCP_REFUSED(one_more_publisher(node, t), node, -ENOSPC, words);
	}
	for (unsigned int i = 0; i < N_PUBLISHERS; i++)
		zcp_test_say_step(&publishers[i], 1);
	for (unsigned int i = 0; i < N_PUBLISHERS; i++)
		zcp_test_hear_step(&publishers[i], 3);
	for (unsigned int t = 0; t < N_TOPICS; t++)
		check_topic(node, t);
	for (unsigned int i = 0; i < N_PUBLISHERS; i++) {
		zcp_test_say_step(&publishers[i], 2);
		zcp_test_join(&publishers[i]);
	}
	for (unsigned int i = 0; i < crowd->n_subscribers; i++)
		end_subscriber(&subscribers[i], i);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
	(void)printf("%u subscribers to each topic: %llu loans\n", crowd->n_subscribers,
		     (unsigned long long)zcp_test_load(progress));
}

/* Messages of one size: the sum is for all topics. */
static void one_size(const struct crowd *who, const char *pool)
{
	unsigned int n = who->n_subscribers;
	const unsigned int counts[] = { demand(n, 1, 1) + demand(n, 2, 2) + demand(n, 3, 3) + 1,
					0 };

	nobody_is_refused(who, counts, pool, pool);
}

static void with_subscribers_of_all_kinds(void)
{
	const struct crowd everybody = {
		.payloads = { 64, 64, 64 },
		.subscribe = { hoard, never_take, take_and_release },
		.n_subscribers = 3,
	};

	one_size(&everybody, "pool 'frames' has 141 chunks of 64 bytes");
}

/* Its queue is full of others than it holds: all that the sum has is in use. */
static void with_a_hoarder(void)
{
	const struct crowd hoarder = {
		.payloads = { 64, 64, 64 },
		.subscribe = { hoard },
		.n_subscribers = 1,
	};

	one_size(&hoarder, "pool 'frames' has 105 chunks of 64 bytes");
}

/* Chunks become free behind whoever looks for one. */
static void with_one_that_releases(void)
{
	const struct crowd releasing = {
		.payloads = { 64, 64, 64 },
		.subscribe = { take_and_release },
		.n_subscribers = 1,
	};

	one_size(&releasing, "pool 'frames' has 105 chunks of 64 bytes");
}

/* What is published is free at once: all are after the same chunks all the time. */
static void with_nobody(void)
{
	const struct crowd nobody = { .payloads = { 64, 64, 64 } };

	one_size(&nobody, "pool 'frames' has 63 chunks of 64 bytes");
}

/* Each topic's publishers take from the size class that fits them, and from no other. */
static void with_messages_of_two_sizes(void)
{
	const struct crowd everybody = {
		.payloads = { 64, 64, 1024 },
		.subscribe = { hoard, never_take, take_and_release },
		.n_subscribers = 3,
	};
	const unsigned int counts[] = { demand(3, 1, 1) + demand(3, 2, 2) + 1,
					demand(3, 3, 3) + 1 };

	nobody_is_refused(&everybody, counts, "pool 'frames' has 69 chunks of 64 bytes",
			  "pool 'frames' has 73 chunks of 1 KiB");
}

/* The oldest sample is held for ever, and a million others come and go. */
static void one_that_is_held_keeps_one_chunk(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "t", 64, 1);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", DEPTH, 2, 0);
	const struct zcp_writer *writer = &publisher->writer;
	struct zcp_sample oldest;

	zcp_test_send(publisher, 0);
	ZCP_OK(zcp_subscriber_take(subscriber, &oldest), node);
	for (uint64_t i = 1; i <= zcp_test_rounds(1000000); i++) {
		zcp_test_send(publisher, i);
		zcp_test_expect(subscriber, i);
	}
	ZCP_CHECK(*(const uint64_t *)oldest.data == 0);
	ZCP_CHECK(zcp_test_n_busy(node) == 1);
	/* It, the one on loan, and those that rotate. */
	ZCP_CHECK(zcp_class_n_touched(&writer->pool->classes[0]) <= 2 + ZCP_ROTATION_SMALL);
	ZCP_OK(zcp_sample_release(&oldest), node);
	ZCP_CHECK(zcp_test_n_busy(node) == 0);
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(with_subscribers_of_all_kinds),
	ZCP_TEST_CASE(with_a_hoarder),
	ZCP_TEST_CASE(with_one_that_releases),
	ZCP_TEST_CASE(with_nobody),
	ZCP_TEST_CASE(with_messages_of_two_sizes),
	ZCP_TEST_CASE(one_that_is_held_keeps_one_chunk),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
