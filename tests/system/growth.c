/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A topic's pool grows when a publisher comes with larger messages: subscribers that were
 * there before get them, whatever they do meanwhile, and without the runtime if need be.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "pubsub/client/publisher.h"
#include "pubsub/client/subscriber.h"
#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define DEPTH 4

static const size_t sizes[] = { 64, 65, 1000, 100000, 1 << 20, 5 << 20 };

#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static struct zcp_publisher *open_larger(struct zcp_node *node, size_t i)
{
	return zcp_test_publisher(node, "t", sizes[i], 1);
}

/* The whole of the largest message, so that it lies in the newest class. */
static void send_full(struct zcp_publisher *publisher, size_t size)
{
	struct zcp_loan loan;

	ZCP_CHECK(zcp_publisher_loan(publisher, size, &loan) == 0);
	ZCP_CHECK(loan.size == size && loan.capacity >= size);
	memset(loan.data, (int)(size % 251), size);
	ZCP_CHECK(zcp_publisher_publish(publisher, &loan) == 0);
}

static void expect_full(struct zcp_subscriber *subscriber, size_t size)
{
	struct zcp_sample sample;
	int r = zcp_subscriber_take(subscriber, &sample);

	if (r < 0)
		(void)fprintf(stderr, "%s\n", zcp_node_error(subscriber->endpoint.node));
	ZCP_CHECK(r == 0);
	ZCP_CHECK(sample.size == size && sample.lost == 0);
	for (size_t i = 0; i < size; i++)
		ZCP_CHECK(((const unsigned char *)sample.data)[i] == size % 251);
	ZCP_CHECK(zcp_sample_release(&sample) == 0);
}

/* Looks for messages all the time, and never asks the runtime for anything. */
static void poll_for_all(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", DEPTH, 1, 0);

	(void)arg;
	for (size_t i = 0; i < N_SIZES; i++) {
		zcp_test_say_step(self, i);
		while (zcp_node_wait(node, 0) == -ETIMEDOUT)
			;
		expect_full(subscriber, sizes[i]);
	}
	zcp_node_close(node);
}

static void sleep_for_all(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", DEPTH, 1, 0);

	(void)arg;
	for (size_t i = 0; i < N_SIZES; i++) {
		zcp_test_say_step(self, i);
		ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
		expect_full(subscriber, sizes[i]);
	}
	zcp_node_close(node);
}

static void subscribers_get_larger_messages_at_once(void)
{
	struct zcp_test_child sleeper, poller;
	struct zcp_publisher *publishers[N_SIZES];
	struct zcp_node *node;

	zcp_test_fork(&sleeper, sleep_for_all, NULL);
	zcp_test_fork(&poller, poll_for_all, NULL);
	node = zcp_test_node();
	for (size_t i = 0; i < N_SIZES; i++) {
		zcp_test_hear_step(&sleeper, i);
		zcp_test_hear_step(&poller, i);
		zcp_test_wait_until_asleep(sleeper.pid);
		publishers[i] = open_larger(node, i);
		ZCP_CHECK(zcp_publisher_n_subscribers(publishers[i]) == 2);
		send_full(publishers[i], sizes[i]);
	}
	zcp_test_join(&sleeper);
	zcp_test_join(&poller);
	/* Each is twice as large as the one before, at least. */
	ZCP_CHECK(publishers[N_SIZES - 1]->endpoint.pool.n_classes == N_SIZES);
	for (size_t i = 1; i < N_SIZES; i++)
		ZCP_CHECK(publishers[N_SIZES - 1]->endpoint.pool.classes[i].payload_size >=
			  2 * publishers[N_SIZES - 1]->endpoint.pool.classes[i - 1].payload_size);
	zcp_node_close(node);
}

/* It grew many times while the subscriber looked elsewhere. */
static void subscriber_catches_up(void)
{
	struct zcp_node *node = zcp_test_node(), *other = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(other, "t", DEPTH, 1, 0);
	struct zcp_publisher *publishers[N_SIZES];

	for (size_t i = 0; i < N_SIZES; i++)
		publishers[i] = open_larger(node, i);
	for (size_t i = 0; i < N_SIZES; i++) {
		send_full(publishers[i], sizes[i]);
		expect_full(subscriber, sizes[i]);
	}
	/* The first publisher is as small as it was, and all chunks are free. */
	ZCP_CHECK(zcp_publisher_max_payload(publishers[0]) == sizes[0]);
	ZCP_CHECK(zcp_test_n_busy(node) == 0);
	zcp_node_close(node);
	zcp_node_close(other);
}

static void subscriber_needs_no_runtime_for_it(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_node *node, *other;
	struct zcp_subscriber *subscriber;
	struct zcp_publisher *publishers[N_SIZES];

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	other = zcp_test_node();
	subscriber = zcp_test_subscriber(other, "t", DEPTH, 1, 0);
	for (size_t i = 0; i < N_SIZES; i++)
		publishers[i] = open_larger(node, i);
	zcp_test_runtime_kill_all(&runtime);
	for (size_t i = 0; i < N_SIZES; i++) {
		send_full(publishers[i], sizes[i]);
		expect_full(subscriber, sizes[i]);
	}
	zcp_node_close(node);
	zcp_node_close(other);
}

static void never_called(const struct zcp_sample *sample, void *user)
{
	(void)sample;
	(void)user;
	ZCP_CHECK(false);
}

/* The message stays in the queue; a dispatch says why, and does not look for it for ever. */
static void subscriber_without_descriptors_says_so(void)
{
	struct zcp_node *node = zcp_test_node(), *other = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(other, "t", DEPTH, 1, 0);
	struct rlimit limit, none;
	struct zcp_sample sample;
	int lowest_free;

	send_full(open_larger(node, 0), sizes[0]);
	expect_full(subscriber, sizes[0]);
	send_full(open_larger(node, 2), sizes[2]);
	ZCP_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	lowest_free = dup(0);
	ZCP_CHECK(lowest_free > 0 && close(lowest_free) == 0);
	none = (struct rlimit){ .rlim_cur = (rlim_t)lowest_free, .rlim_max = limit.rlim_max };
	ZCP_CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	ZCP_REFUSED(zcp_subscriber_take(subscriber, &sample), other, -EMFILE, "RLIMIT_NOFILE");
	zcp_subscriber_on_sample(subscriber, never_called, NULL);
	ZCP_REFUSED(zcp_node_dispatch(other, ZCP_FOREVER), other, -EMFILE, "RLIMIT_NOFILE");
	ZCP_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	expect_full(subscriber, sizes[2]);
	ZCP_CHECK(zcp_test_has(zcp_strerror(-EMFILE), "descriptors|RLIMIT_NOFILE"));
	ZCP_CHECK(zcp_test_has(zcp_strerror(-EMLINK), "declared"));
	zcp_node_close(node);
	zcp_node_close(other);
}

static void second_publisher_that_fits_adds_nothing(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *first = zcp_test_publisher(node, "t", 1000, 1);
	struct zcp_publisher *second = zcp_test_publisher(node, "t", 1000, 1);
	struct zcp_publisher *small = zcp_test_publisher(node, "t", 10, 1);

	ZCP_CHECK(second->endpoint.pool.n_classes == 1);
	ZCP_CHECK(small->endpoint.pool.n_classes == 1);
	ZCP_CHECK(first->endpoint.pool.classes[0].payload_size == 1000);
	ZCP_CHECK(zcp_publisher_max_payload(small) == 10);
	zcp_node_close(node);
}

/* --- refs into classes that there are not --- */

/* As a publisher that lies: message `seq` is said to lie in size class 9. */
static void push_nonsense(const struct zcp_publisher *publisher, uint64_t seq, uint32_t ref)
{
	struct zcp_lane lane = zcp_topic_lane(&publisher->endpoint.topic, &publisher->endpoint.acks,
					      publisher->writer.options.slot, 0, 2);

	zcp_test_store(&zcp_lane_slot(&lane, seq)->word, zcp_slot_word(seq, ref));
}

static void class_that_does_not_exist_is_a_loss(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_node *node, *other;
	struct zcp_subscriber *subscriber;
	struct zcp_publisher *publisher;
	struct zcp_sample sample;
	uint64_t taken, lost;

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	other = zcp_test_node();
	publisher = open_larger(node, 0);
	subscriber = zcp_test_subscriber(other, "t", DEPTH, 1, 0);
	zcp_test_send(publisher, 1);
	zcp_test_expect(subscriber, 1);
	/* Asked, the runtime has no such class; and one that there is has not so many chunks. */
	push_nonsense(publisher, 2, zcp_ref(9, 0));
	ZCP_CHECK(zcp_subscriber_take(subscriber, &sample) == -EAGAIN);
	push_nonsense(publisher, 3, zcp_ref(0, ZCP_REF_INDEX_MASK));
	ZCP_CHECK(zcp_subscriber_take(subscriber, &sample) == -EAGAIN);
	/* Where nobody can be asked it stays in the queue, until it is pushed out. */
	push_nonsense(publisher, 4, zcp_ref(63, ZCP_REF_INDEX_MASK));
	zcp_test_runtime_kill_all(&runtime);
	for (int i = 0; i < 3; i++)
		ZCP_REFUSED(zcp_subscriber_take(subscriber, &sample), other, -ENOTCONN, "is gone");

	/* The publisher comes to itself. */
	publisher->writer.next_seq = 5;
	for (uint64_t i = 5; i <= 4 + DEPTH; i++)
		zcp_test_send(publisher, i);
	for (uint64_t i = 5; i <= 4 + DEPTH; i++) {
		ZCP_OK(zcp_subscriber_take(subscriber, &sample), other);
		ZCP_CHECK(sample.sequence == i && sample.lost == (i == 5 ? 3 : 0));
		ZCP_CHECK(zcp_sample_release(&sample) == 0);
	}
	zcp_subscriber_counts(subscriber, &taken, &lost);
	ZCP_CHECK(taken == 1 + DEPTH && lost == 3);
	zcp_node_close(node);
	zcp_node_close(other);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(subscribers_get_larger_messages_at_once),
	ZCP_TEST_CASE(subscriber_catches_up),
	ZCP_TEST_CASE(subscriber_needs_no_runtime_for_it),
	ZCP_TEST_CASE(subscriber_without_descriptors_says_so),
	ZCP_TEST_CASE(second_publisher_that_fits_adds_nothing),
	ZCP_TEST_CASE(class_that_does_not_exist_is_a_loss),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
