/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples are given back in any order and by any thread, as programs do that keep some of
 * them. Two processes subscribe to what four publish; each takes in one thread and gives back
 * in two, holds up to as much as it may, and sleeps until the other thread has given something
 * back. What a sample says is checked when it is taken and once more when it is released.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "pubsub/client/publisher.h"
#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define N_PUBLISHERS 4
#define N_SUBSCRIBERS 2
#define DEPTH 32
#define HELD 24
#define PAYLOAD 512
/* Of each publisher; a million in all. */
#define N_MESSAGES 250000
/* Nothing for so long is a stall. */
#define STALL_SECONDS 20

struct bag {
	struct zcp_sample samples[HELD];
	unsigned int n;
};

static void put(struct bag *bag, const struct zcp_sample *sample)
{
	ZCP_CHECK(bag->n < HELD);
	bag->samples[bag->n++] = *sample;
}

static struct zcp_sample draw(struct bag *bag, uint32_t *seed)
{
	unsigned int i = zcp_test_random(seed) % bag->n;
	struct zcp_sample sample = bag->samples[i];

	bag->samples[i] = bag->samples[--bag->n];
	return sample;
}

/* A random one; both threads do it. */
static void release_one(struct bag *bag, uint32_t *seed)
{
	struct zcp_sample sample = draw(bag, seed);

	ZCP_CHECK(
		zcp_test_is_filled(sample.data, sample.size, sample.publisher_id, sample.sequence));
	ZCP_CHECK(zcp_sample_release(&sample) == 0);
}

/* --- the thread that only gives back --- */

struct releaser {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	/* on their way to it */
	struct bag post;
	bool done;
	uint32_t seed;
};

/* Keeps what it is passed, as long as more comes; releases some when it looks. */
static void *give_back(void *arg)
{
	struct releaser *r = arg;
	struct bag bag = { .n = 0 };

	for (bool done = false; !done || bag.n > 0;) {
		ZCP_CHECK(pthread_mutex_lock(&r->mutex) == 0);
		while (r->post.n == 0 && bag.n == 0 && !r->done)
			ZCP_CHECK(pthread_cond_wait(&r->changed, &r->mutex) == 0);
		while (r->post.n > 0)
			put(&bag, &r->post.samples[--r->post.n]);
		done = r->done;
		ZCP_CHECK(pthread_mutex_unlock(&r->mutex) == 0);
		for (uint32_t n = bag.n > 0 ? 1 + zcp_test_random(&r->seed) % bag.n : 0; n > 0; n--)
			release_one(&bag, &r->seed);
	}
	return NULL;
}

/* `bag`: a random one of it, or NULL: there will be no more. */
static void pass_on(struct releaser *r, struct bag *bag, uint32_t *seed)
{
	ZCP_CHECK(pthread_mutex_lock(&r->mutex) == 0);
	if (bag) {
		struct zcp_sample sample = draw(bag, seed);

		put(&r->post, &sample);
	} else {
		r->done = true;
	}
	ZCP_CHECK(pthread_cond_signal(&r->changed) == 0);
	ZCP_CHECK(pthread_mutex_unlock(&r->mutex) == 0);
}

/* --- the thread that takes --- */

struct taker {
	struct zcp_node *node;
	struct zcp_subscriber *subscriber;
	struct releaser releaser;
	/* what it keeps itself */
	struct bag bag;
	/* until no more can be held */
	bool keeps_all;
	uint64_t n_full;
	/* by publisher; ids in the order of their first messages */
	uint64_t ids[N_PUBLISHERS];
	uint64_t expected[N_PUBLISHERS];
	_Atomic uint64_t n_taken;
	uint32_t seed;
};

static uint64_t *expected_from(struct taker *t, uint64_t id)
{
	for (unsigned int p = 0; p < N_PUBLISHERS; p++) {
		if (t->ids[p] == 0) {
			t->ids[p] = id;
			t->expected[p] = 1;
		}
		if (t->ids[p] == id)
			return &t->expected[p];
	}
	/* A publisher too many. */
	zcp_test_fail(__FILE__, __LINE__, "nobody else publishes");
}

static void keep(struct taker *t, const struct zcp_sample *sample)
{
	ZCP_CHECK(sample->lost == 0);
	ZCP_CHECK(sample->sequence == (*expected_from(t, sample->publisher_id))++);
	ZCP_CHECK(zcp_test_is_filled(sample->data, sample->size, sample->publisher_id,
				     sample->sequence));
	put(&t->bag, sample);
	zcp_test_store(&t->n_taken, zcp_test_load(&t->n_taken) + 1);
}

/* Some of what is kept goes, to the other thread or back; now and then nothing for a while. */
static void dispose(struct taker *t)
{
	if (zcp_test_random(&t->seed) % 64 == 0)
		t->keeps_all = true;
	while (!t->keeps_all && t->bag.n > 0 && zcp_test_random(&t->seed) % 2) {
		if (zcp_test_random(&t->seed) % 2)
			release_one(&t->bag, &t->seed);
		else
			pass_on(&t->releaser, &t->bag, &t->seed);
	}
}

static void take_all(struct taker *t)
{
	uint64_t n_messages = N_PUBLISHERS * zcp_test_rounds(N_MESSAGES);

	while (zcp_test_load(&t->n_taken) < n_messages) {
		struct zcp_sample sample;
		int r = zcp_subscriber_take(t->subscriber, &sample);

		if (r == 0) {
			keep(t, &sample);
			dispose(t);
			continue;
		}
		ZCP_CHECK(r == -EAGAIN || r == -EMLINK);
		if (r == -EMLINK) {
			t->n_full++;
			t->keeps_all = false;
			while (t->bag.n > 0)
				pass_on(&t->releaser, &t->bag, &t->seed);
		}
		/* Ends when there is a message and room for it, whoever makes that. */
		ZCP_OK(zcp_node_wait(t->node, ZCP_FOREVER), t->node);
	}
	while (t->bag.n > 0)
		release_one(&t->bag, &t->seed);
}

static void subscribe(struct zcp_test_child *self, void *arg)
{
	static struct taker t = {
		.releaser = { .mutex = PTHREAD_MUTEX_INITIALIZER,
			      .changed = PTHREAD_COND_INITIALIZER },
	};
	const uint32_t *seed = arg;

	t.seed = *seed;
	t.releaser.seed = ~*seed;
	t.node = zcp_test_node();
	t.subscriber = zcp_test_subscriber(t.node, "t", DEPTH, HELD, ZCP_ON_FULL_BLOCK);
	zcp_test_say_step(self, 0);
	zcp_test_watch_progress(&t.n_taken, STALL_SECONDS);
	ZCP_CHECK(pthread_create(&t.releaser.thread, NULL, give_back, &t.releaser) == 0);
	take_all(&t);
	pass_on(&t.releaser, NULL, NULL);
	ZCP_CHECK(pthread_join(t.releaser.thread, NULL) == 0);
	zcp_test_say(self, &t.n_full, sizeof(t.n_full));
	zcp_test_hear_step(self, 1);
	zcp_node_close(t.node);
}

/* --- publishers --- */

static void publish(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "t", PAYLOAD, 1);
	uint64_t n_messages = zcp_test_rounds(N_MESSAGES);
	uint32_t seed = *(const uint32_t *)arg;

	ZCP_OK(zcp_publisher_wait_subscribers(publisher, N_SUBSCRIBERS, ZCP_FOREVER), node);
	for (uint64_t i = 1; i <= n_messages; i++) {
		size_t size = PAYLOAD - zcp_test_random(&seed) % 32 * 8;
		struct zcp_loan loan;

		ZCP_OK(zcp_publisher_loan(publisher, size, &loan), node);
		zcp_test_fill(loan.data, size, zcp_publisher_id(publisher), i);
		ZCP_OK(zcp_publisher_publish(publisher, &loan), node);
	}
	zcp_test_say_step(self, 0);
	zcp_test_hear_step(self, 1);
	zcp_node_close(node);
}

static void any_order_and_any_thread(void)
{
	struct zcp_test_child subscribers[N_SUBSCRIBERS], publishers[N_PUBLISHERS];
	uint32_t seeds[N_SUBSCRIBERS + N_PUBLISHERS];
	struct zcp_node *node;

	for (uint32_t i = 0; i < N_SUBSCRIBERS + N_PUBLISHERS; i++)
		seeds[i] = 0x9e3779b9u * (i + 1);
	for (int i = 0; i < N_SUBSCRIBERS; i++) {
		zcp_test_fork(&subscribers[i], subscribe, &seeds[i]);
		zcp_test_hear_step(&subscribers[i], 0);
	}
	for (int i = 0; i < N_PUBLISHERS; i++)
		zcp_test_fork(&publishers[i], publish, &seeds[N_SUBSCRIBERS + i]);
	for (int i = 0; i < N_PUBLISHERS; i++)
		zcp_test_hear_step(&publishers[i], 0);
	for (int i = 0; i < N_SUBSCRIBERS; i++) {
		uint64_t n_full;

		zcp_test_hear(&subscribers[i], &n_full, sizeof(n_full));
		(void)printf("subscriber %d: %llu messages, %llu times it held all it may\n", i,
			     N_PUBLISHERS * (unsigned long long)zcp_test_rounds(N_MESSAGES),
			     (unsigned long long)n_full);
		ZCP_CHECK(n_full > 0);
	}
	/* All is given back while all are still there. */
	node = zcp_test_node();
	ZCP_CHECK(zcp_test_n_busy(node) == 0);
	for (int i = 0; i < N_PUBLISHERS; i++) {
		zcp_test_say_step(&publishers[i], 1);
		zcp_test_join(&publishers[i]);
	}
	for (int i = 0; i < N_SUBSCRIBERS; i++) {
		zcp_test_say_step(&subscribers[i], 1);
		zcp_test_join(&subscribers[i]);
	}
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(any_order_and_any_thread),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
