/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory follows use: however long a publisher is faster than its subscribers, the chunks that were
 * ever used are no more than were in use at once, and three that rotate. Blocking and dropping, one
 * subscriber and three, of which one holds a sample all the time and one takes at random.
 *
 * What is in use is computed from what the subscribers say, after each publish.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define DEPTH 4
#define HELD 2
#define PAGE 4096
/* Of messages in each setting; ZCP_STRESS_ROUNDS multiplies it. */
#define BYTES (UINT64_C(2) << 30)
#define N_MESSAGES_MAX 20000
#define N_SUBSCRIBERS_MAX 3
/* The last message's first word. */
#define LAST UINT64_MAX

struct setting {
	size_t size;
	uint32_t n_subscribers;
	bool blocks;
};

/* --- subscribers --- */

enum kind {
	QUICK,
	HOLDS_ONE,
	SLOW,
};

struct job {
	const struct setting *setting;
	enum kind kind;
};

static bool take(struct zcp_subscriber *subscriber, struct zcp_sample *sample)
{
	int r = zcp_subscriber_take(subscriber, sample);

	ZCP_CHECK(r == 0 || r == -EAGAIN);
	return r == 0;
}

static void subscribe(struct zcp_test_child *self, void *arg)
{
	const struct job *job = arg;
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(
		node, "t", DEPTH, HELD,
		job->setting->blocks ? ZCP_ON_FULL_BLOCK : ZCP_ON_FULL_DROP_OLDEST);
	struct zcp_sample sample = ZCP_SAMPLE_INIT, held = ZCP_SAMPLE_INIT;
	unsigned int seed = 1;
	uint64_t first = 0, number = 0;

	zcp_test_say_step(self, 0);
	while (number != LAST) {
		/* Now and then for a whole turn of the publisher's, at random. */
		for (int n = job->kind == SLOW ? rand_r(&seed) % 16 : 0; n > 0; n--)
			(void)sched_yield();
		if (!take(subscriber, &sample)) {
			ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
			continue;
		}
		number = *(const uint64_t *)sample.data;
		if (job->kind == HOLDS_ONE && !held.data) {
			held = sample;
			first = number;
			continue;
		}
		ZCP_CHECK(zcp_sample_release(&sample) == 0);
	}
	ZCP_CHECK(!held.data || *(const uint64_t *)held.data == first);
	zcp_test_say_step(self, 1);
	zcp_test_wait_for_the_end(self);
}

/* --- the publisher --- */

/* Of the slot's messages, by what the subscribers say at the moment. */
static uint32_t n_in_use(const struct zcp_publisher *publisher, uint32_t n_subscribers)
{
	const struct zcp_acks *acks = zcp_test_inside(publisher).acks;
	uint64_t next = zcp_test_inside(publisher).writer->next_seq, tail = next;
	uint32_t n = 0;

	for (uint32_t s = 0; s < n_subscribers; s++) {
		uint64_t its = zcp_test_load(&zcp_acks_ack(acks, 0, s)->tail);

		if (its < tail)
			tail = its;
	}
	for (uint32_t s = 0; s < n_subscribers; s++)
		for (uint32_t i = 0; i < HELD; i++) {
			uint64_t word = zcp_test_load(&zcp_acks_held(acks, s)[i]);

			n += word != 0 && (word & ZCP_HELD_SEQ_MASK) < tail;
		}
	return n + (uint32_t)(next - tail);
}

static void publish(struct zcp_publisher *publisher, size_t size, uint64_t number)
{
	struct zcp_loan loan;

	ZCP_CHECK(zcp_publisher_loan(publisher, size, &loan) == 0);
	for (size_t at = 0; at < size; at += PAGE)
		*(uint64_t *)(void *)((char *)loan.data + at) = number;
	ZCP_CHECK(zcp_publisher_publish(publisher, &loan) == 0);
}

static void check(const struct setting *setting, const struct zcp_publisher *publisher,
		  uint32_t most_in_use)
{
	const struct zcp_writer *writer = zcp_test_inside(publisher).writer;
	const struct zcp_class *class = &writer->pool->classes[writer->options.class_index];
	uint32_t n_used = zcp_class_n_touched(class);
	struct stat st;

	ZCP_CHECK(fstat(zcp_test_inside(publisher).class_fds[writer->options.class_index][1],
			&st) == 0);
	(void)printf("%zu bytes, %u subscribers, %s: %u in use at once, highest use %u, %llu KiB\n",
		     setting->size, setting->n_subscribers,
		     setting->blocks ? "block" : "drop-oldest", most_in_use, n_used,
		     (unsigned long long)st.st_blocks / 2);
	ZCP_CHECK(n_used <= most_in_use + ZCP_ROTATION_LARGE);
	ZCP_CHECK((uint64_t)st.st_blocks * 512 <= n_used * class->stride + PAGE);
}

static void run(const struct setting *setting)
{
	static const enum kind kinds[N_SUBSCRIBERS_MAX] = { QUICK, HOLDS_ONE, SLOW };
	uint64_t n = BYTES / setting->size < N_MESSAGES_MAX ? BYTES / setting->size :
							      N_MESSAGES_MAX;
	struct zcp_test_child children[N_SUBSCRIBERS_MAX];
	struct job jobs[N_SUBSCRIBERS_MAX];
	struct zcp_publisher *publisher;
	struct zcp_test_runtime runtime;
	struct zcp_node *node;
	uint32_t most = 0;

	zcp_test_runtime_start(&runtime, NULL);
	for (uint32_t s = 0; s < setting->n_subscribers; s++) {
		/* One alone is the one that is slow. */
		jobs[s] = (struct job){ setting, kinds[setting->n_subscribers == 1 ? SLOW : s] };
		zcp_test_fork(&children[s], subscribe, &jobs[s]);
		zcp_test_hear_step(&children[s], 0);
	}
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, "t", setting->size, 1);
	for (uint64_t i = 1; i <= zcp_test_rounds(n); i++) {
		uint32_t now;

		publish(publisher, setting->size, i < zcp_test_rounds(n) ? i : LAST);
		now = n_in_use(publisher, setting->n_subscribers);
		if (now > most)
			most = now;
	}
	/* And the one on loan. */
	check(setting, publisher, most + 1);
	for (uint32_t s = 0; s < setting->n_subscribers; s++) {
		zcp_test_hear_step(&children[s], 1);
		zcp_test_kill(&children[s]);
	}
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static void run_each(size_t size)
{
	(void)alarm(60 * (unsigned int)zcp_test_rounds(1));
	for (uint32_t i = 0; i < 4; i++) {
		const struct setting setting = { size, i & 1 ? 3 : 1, i & 2 };

		run(&setting);
	}
}

static void frames_of_64_KiB(void)
{
	run_each((size_t)64 << 10);
}

static void frames_of_1_MiB(void)
{
	run_each((size_t)1 << 20);
}

static void frames_of_6_MB(void)
{
	run_each(6000000);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(frames_of_64_KiB),
	ZCP_TEST_CASE(frames_of_1_MiB),
	ZCP_TEST_CASE(frames_of_6_MB),
};

ZCP_TEST_MAIN(cases)
