/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages are given back in any order and by any thread. Each subscriber is two threads: one
 * takes, keeps what it takes for a random time, and passes a part of it on to the other,
 * which releases it at random. Together they hold up to as much as they may, and the one that
 * takes sleeps until the other has given something back. What a message says is checked when
 * it is taken and once more when it is released.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/support/check.h"
#include "tests/support/testbed.h"

#define N_PUBLISHERS 3
#define N_SUBSCRIBERS 2
#define DEPTH_LOG2 4
#define HELD 12
#define PAYLOAD 256
/* What a publisher can need: its loan, the longest queue, and all that can be held of it. */
#define N_CHUNKS (N_PUBLISHERS * (1 + (1 << DEPTH_LOG2) + N_SUBSCRIBERS * HELD))
/* Of all publishers. */
#define N_MESSAGES 250000
/* Nothing for so long is a stall. */
#define STALL_SECONDS 20

static _Atomic uint64_t progress;

struct bag {
	struct zcp_reader_message messages[HELD];
	uint32_t n;
};

/* On its way from the thread that takes to the one that releases. */
struct post {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct bag bag;
	bool done;
};

struct subscriber {
	struct zcp_testbed *bed;
	struct zcp_signal_shm *signal;
	struct zcp_reader_options options;
	struct zcp_reader reader;
	struct post post;
	uint64_t expected[N_PUBLISHERS];
	uint64_t n_starved;
	/* until no more can be held */
	bool keeps_all;
	/* one for each thread */
	uint32_t seed;
	uint32_t other_seed;
};

struct publisher {
	struct zcp_testbed *bed;
	uint32_t slot;
};

static uint64_t n_of_each(void)
{
	return zcp_test_rounds(N_MESSAGES) / N_PUBLISHERS;
}

static void *publish(void *arg)
{
	const struct publisher *p = arg;
	uint32_t seed = p->slot + 1;
	struct zcp_writer writer;

	zcp_testbed_writer(p->bed, &p->bed->view, p->slot, 1, &writer);
	for (uint64_t i = 1; i <= n_of_each(); i++) {
		uint64_t size = PAYLOAD - zcp_test_random(&seed) % 16 * 8;
		struct zcp_writer_loan loan;

		/* Within their limits no subscriber can starve a publisher. */
		ZCP_CHECK(zcp_writer_loan(&writer, size, &loan) == 0);
		zcp_test_fill(loan.payload, size, p->slot + 1, i);
		ZCP_CHECK(zcp_writer_publish(&writer, &loan, size, -1) == 0);
	}
	zcp_writer_deinit(&writer);
	return NULL;
}

static void put(struct bag *bag, const struct zcp_reader_message *message)
{
	ZCP_CHECK(bag->n < HELD);
	bag->messages[bag->n++] = *message;
}

static struct zcp_reader_message draw(struct bag *bag, uint32_t *seed)
{
	uint32_t i = zcp_test_random(seed) % bag->n;
	struct zcp_reader_message message = bag->messages[i];

	bag->messages[i] = bag->messages[--bag->n];
	return message;
}

static bool is_whole(const struct zcp_reader_message *m)
{
	return zcp_test_is_filled(m->payload, m->size, m->publisher_id, m->seq);
}

/* In either thread. */
static void release(struct subscriber *s, const struct zcp_reader_message *m)
{
	ZCP_CHECK(is_whole(m));
	ZCP_CHECK(zcp_reader_release(&s->reader, m->place, m->held) == 0);
	if (zcp_reader_is_starved(&s->reader))
		zcp_signal_wake(s->signal);
}

/* The thread that releases: keeps what it is passed until more comes, or for a while. */
static void *give_back(void *arg)
{
	struct subscriber *s = arg;
	struct post *post = &s->post;
	struct bag bag = { .n = 0 };
	bool done = false;

	while (!done || bag.n > 0) {
		ZCP_CHECK(pthread_mutex_lock(&post->mutex) == 0);
		while (post->bag.n == 0 && bag.n == 0 && !post->done)
			ZCP_CHECK(pthread_cond_wait(&post->changed, &post->mutex) == 0);
		while (post->bag.n > 0) {
			struct zcp_reader_message message = draw(&post->bag, &s->other_seed);

			put(&bag, &message);
		}
		done = post->done;
		ZCP_CHECK(pthread_mutex_unlock(&post->mutex) == 0);
		for (uint32_t n = bag.n > 0 ? 1 + zcp_test_random(&s->other_seed) % bag.n : 0;
		     n > 0; n--) {
			struct zcp_reader_message message = draw(&bag, &s->other_seed);

			release(s, &message);
		}
		zcp_test_pause(&s->other_seed, 100);
	}
	return NULL;
}

static void pass_on(struct subscriber *s, const struct zcp_reader_message *message, bool done)
{
	ZCP_CHECK(pthread_mutex_lock(&s->post.mutex) == 0);
	if (message)
		put(&s->post.bag, message);
	s->post.done = done;
	ZCP_CHECK(pthread_cond_signal(&s->post.changed) == 0);
	ZCP_CHECK(pthread_mutex_unlock(&s->post.mutex) == 0);
}

static void sleep_once(struct subscriber *s)
{
	uint32_t announced;

	ZCP_CHECK(zcp_reader_arm(&s->reader) == 0);
	announced = zcp_signal_announce(s->signal);
	if (!zcp_reader_is_ready(&s->reader))
		(void)zcp_signal_sleep(s->signal, announced, -1);
	zcp_signal_awake(s->signal);
	zcp_reader_disarm(&s->reader);
}

static void check_taken(struct subscriber *s, const struct zcp_reader_message *m)
{
	ZCP_CHECK(is_whole(m) && m->n_lost == 0 && m->seq == s->expected[m->publisher]);
	s->expected[m->publisher]++;
	(void)atomic_fetch_add_explicit(&progress, 1, memory_order_relaxed);
}

/* Some of what is kept goes, to the other thread or back; now and then nothing for a while. */
static void dispose(struct subscriber *s, struct bag *bag)
{
	if (zcp_test_random(&s->seed) % 64 == 0)
		s->keeps_all = true;
	if (s->keeps_all)
		return;
	while (bag->n > 0 && zcp_test_random(&s->seed) % 2) {
		struct zcp_reader_message message = draw(bag, &s->seed);

		if (zcp_test_random(&s->seed) % 2)
			release(s, &message);
		else
			pass_on(s, &message, false);
	}
}

static void *subscribe(void *arg)
{
	struct subscriber *s = arg;
	uint64_t n_left = n_of_each() * N_PUBLISHERS;
	struct bag bag = { .n = 0 };
	pthread_t thread;

	ZCP_CHECK(pthread_create(&thread, NULL, give_back, s) == 0);
	while (n_left > 0) {
		struct zcp_reader_message message;
		int r = zcp_reader_take(&s->reader, &message);

		if (r == 0) {
			check_taken(s, &message);
			put(&bag, &message);
			n_left--;
			dispose(s, &bag);
			continue;
		}
		if (r == ZCP_READER_E_HELD) {
			s->n_starved++;
			s->keeps_all = false;
			while (bag.n > 0) {
				message = draw(&bag, &s->seed);
				pass_on(s, &message, false);
			}
		}
		sleep_once(s);
	}
	while (bag.n > 0) {
		struct zcp_reader_message message = draw(&bag, &s->seed);

		release(s, &message);
	}
	pass_on(s, NULL, true);
	ZCP_CHECK(pthread_join(thread, NULL) == 0);
	return NULL;
}

static void join(struct zcp_testbed *bed, struct subscriber *s, uint32_t slot)
{
	*s = (struct subscriber){
		.bed = bed,
		.signal = &bed->view.signals.signals[slot],
		.options = {
			.slot = slot,
			.depth_log2 = DEPTH_LOG2,
			.max_held = HELD,
			.blocks = true,
			.symmetric = bed->symmetric,
		},
		.post = { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER },
		.seed = 0x9e3779b9u * (slot + 1),
		.other_seed = 0x85ebca6bu * (slot + 1),
	};
	for (uint32_t p = 0; p < N_PUBLISHERS; p++)
		s->expected[p] = 1;
	zcp_testbed_join(bed, &s->options, 0);
	zcp_testbed_reader(&bed->view, &s->options, &s->reader);
}

int main(void)
{
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(
		N_PUBLISHERS, N_SUBSCRIBERS, DEPTH_LOG2, PAYLOAD, N_CHUNKS);
	pthread_t threads[N_PUBLISHERS + N_SUBSCRIBERS];
	static struct subscriber subscribers[N_SUBSCRIBERS];
	static struct publisher publishers[N_PUBLISHERS];
	static struct zcp_testbed bed;

	zcp_test_watch_progress(&progress, STALL_SECONDS);
	zcp_testbed_init(&bed, &options);
	for (uint32_t i = 0; i < N_SUBSCRIBERS; i++) {
		join(&bed, &subscribers[i], i);
		ZCP_CHECK(pthread_create(&threads[i], NULL, subscribe, &subscribers[i]) == 0);
	}
	for (uint32_t i = 0; i < N_PUBLISHERS; i++) {
		publishers[i] = (struct publisher){ .bed = &bed, .slot = i };
		ZCP_CHECK(pthread_create(&threads[N_SUBSCRIBERS + i], NULL, publish,
					 &publishers[i]) == 0);
	}
	for (uint32_t i = 0; i < N_PUBLISHERS + N_SUBSCRIBERS; i++)
		ZCP_CHECK(pthread_join(threads[i], NULL) == 0);
	ZCP_CHECK(zcp_testbed_n_busy(&bed) == 0);
	for (uint32_t i = 0; i < N_SUBSCRIBERS; i++) {
		(void)printf(
			"subscriber %u: %llu messages, %llu times as many were held as may be\n", i,
			(unsigned long long)(n_of_each() * N_PUBLISHERS),
			(unsigned long long)subscribers[i].n_starved);
		ZCP_CHECK(subscribers[i].n_starved > 0);
		zcp_reader_deinit(&subscribers[i].reader);
	}
	zcp_testbed_deinit(&bed);
	return 0;
}
