/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples that are used when they are not held any more: after their callback, or after their
 * subscriber was closed.
 */
#include <errno.h>
#include <string.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/runtime.h"

#define TOPIC "sample"

static uint64_t number_in(const struct zcp_sample *sample)
{
	uint64_t number;

	ZCP_CHECK(sample->size == sizeof(number));
	memcpy(&number, sample->data, sizeof(number));
	return number;
}

/* It is not held: nothing is given back, and *sample stays as it is. */
static void check_dead(struct zcp_sample *sample)
{
	const struct zcp_sample before = *sample;
	char name[ZCP_NODE_NAME_MAX + 1];

	ZCP_CHECK(zcp_sample_release(sample) == -EINVAL);
	ZCP_CHECK(zcp_sample_publisher_name(sample, name, sizeof(name)) == -EINVAL);
	ZCP_CHECK(memcmp(sample, &before, sizeof(before)) == 0);
}

static void sample_of_a_closed_subscriber_is_refused(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 1);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 4, 2, 0), *next;
	struct zcp_sample held, copy, released;

	zcp_test_send(publisher, 1);
	zcp_test_send(publisher, 2);
	ZCP_OK(zcp_subscriber_take(subscriber, &held), node);
	ZCP_OK(zcp_subscriber_take(subscriber, &released), node);
	copy = released;
	ZCP_CHECK(zcp_sample_release(&released) == 0);
	zcp_subscriber_close(subscriber);
	check_dead(&held);
	check_dead(&copy);
	/* The next one holds the same messages' successors at the same places. */
	next = zcp_test_subscriber(node, TOPIC, 4, 2, 0);
	check_dead(&held);
	check_dead(&copy);
	zcp_test_send(publisher, 3);
	ZCP_OK(zcp_subscriber_take(next, &copy), node);
	check_dead(&held);
	ZCP_CHECK(zcp_reader_n_held(zcp_test_inside(next).reader) == 1);
	ZCP_CHECK(zcp_sample_release(&copy) == 0);
	zcp_node_close(node);
}

static void sample_of_a_closed_node_is_refused(void)
{
	struct zcp_node *node = zcp_test_node(), *other = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(other, TOPIC, 64, 1);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 4, 2, 0);
	struct zcp_sample sample;

	zcp_test_send(publisher, 1);
	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	zcp_node_close(node);
	check_dead(&sample);
	ZCP_CHECK(zcp_test_audit(other) == 0);
	zcp_node_close(other);
}

/* --- out of a callback --- */

static struct zcp_sample taken_out;

static void copy_first(const struct zcp_sample *sample, void *user)
{
	(void)user;
	if (number_in(sample) == 1)
		taken_out = *sample;
}

static void copy_of_a_callbacks_sample_is_refused(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 1);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 4, 1, 0);

	zcp_subscriber_on_sample(subscriber, copy_first, NULL);
	for (uint64_t i = 1; i <= 20; i++) {
		zcp_test_send(publisher, i);
		ZCP_OK(zcp_node_dispatch(node, 0), node);
		check_dead(&taken_out);
	}
	zcp_node_close(node);
	check_dead(&taken_out);
}

#define N_KEPT 3

struct kept {
	struct zcp_sample samples[N_KEPT];
	unsigned int n_kept, n_calls;
};

/* By itself, or by its copy. */
static void keep_first(const struct zcp_sample *sample, void *user)
{
	struct kept *kept = user;
	struct zcp_sample *copy = &kept->samples[kept->n_kept];

	kept->n_calls++;
	if (kept->n_kept == N_KEPT)
		return;
	*copy = *sample;
	ZCP_CHECK(zcp_sample_keep(kept->n_kept++ % 2 ? copy : sample) == 0);
	/* Twice is once. */
	ZCP_CHECK(zcp_sample_keep(copy) == 0);
}

static void kept_sample_stays_until_it_is_released(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 1);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 4, N_KEPT + 1, 0);
	struct kept kept = { .n_kept = 0 };

	zcp_subscriber_on_sample(subscriber, keep_first, &kept);
	for (uint64_t i = 1; i <= 100; i++) {
		zcp_test_send(publisher, i);
		ZCP_OK(zcp_node_dispatch(node, 0), node);
		for (uint64_t k = 0; k < kept.n_kept; k++)
			ZCP_CHECK(number_in(&kept.samples[k]) == k + 1);
	}
	ZCP_CHECK(kept.n_calls == 100);
	ZCP_CHECK(zcp_reader_n_held(zcp_test_inside(subscriber).reader) == N_KEPT);
	for (uint64_t k = 0; k < N_KEPT; k++) {
		struct zcp_sample copy = kept.samples[k];

		ZCP_CHECK(zcp_sample_release(&kept.samples[k]) == 0);
		ZCP_CHECK(zcp_sample_keep(&copy) == -EINVAL);
		check_dead(&copy);
	}
	ZCP_CHECK(zcp_reader_n_held(zcp_test_inside(subscriber).reader) == 0);
	zcp_node_close(node);
}

static void kept_samples_count_as_held(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 1);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 4, N_KEPT, 0);
	struct kept kept = { .n_kept = 0 };

	zcp_subscriber_on_sample(subscriber, keep_first, &kept);
	for (uint64_t i = 1; i <= N_KEPT + 1; i++)
		zcp_test_send(publisher, i);
	ZCP_OK(zcp_node_dispatch(node, 0), node);
	ZCP_CHECK(kept.n_calls == N_KEPT && zcp_node_dispatch(node, 0) == -ETIMEDOUT);
	ZCP_CHECK(zcp_sample_release(&kept.samples[0]) == 0);
	ZCP_OK(zcp_node_dispatch(node, 0), node);
	ZCP_CHECK(kept.n_calls == N_KEPT + 1);
	zcp_subscriber_close(subscriber);
	ZCP_CHECK(zcp_sample_keep(&kept.samples[1]) == -EINVAL);
	check_dead(&kept.samples[1]);
	zcp_node_close(node);
}

static void sample_that_was_taken_is_kept_already(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 1);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 4, 1, 0);
	struct zcp_sample sample = ZCP_SAMPLE_INIT;

	ZCP_CHECK(zcp_sample_keep(&sample) == -EINVAL);
	zcp_test_send(publisher, 1);
	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	ZCP_CHECK(zcp_sample_keep(&sample) == 0);
	ZCP_CHECK(zcp_sample_release(&sample) == 0);
	ZCP_CHECK(zcp_sample_keep(&sample) == -EINVAL);
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(sample_of_a_closed_subscriber_is_refused),
	ZCP_TEST_CASE(sample_of_a_closed_node_is_refused),
	ZCP_TEST_CASE(copy_of_a_callbacks_sample_is_refused),
	ZCP_TEST_CASE(kept_sample_stays_until_it_is_released),
	ZCP_TEST_CASE(kept_samples_count_as_held),
	ZCP_TEST_CASE(sample_that_was_taken_is_kept_already),
};

ZCP_TEST_MAIN(cases)
