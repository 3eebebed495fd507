/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A publisher never owns more chunks than the runtime has reserved for it, in whatever order its
 * subscribers hold and give back; else it would take what was reserved for another one.
 */
#include <stdio.h>
#include <string.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/runtime.h"

#define N_SETTINGS 100
#define N_STEPS 10000
/* From one mixture of publishing, taking and holding to the next. */
#define STEPS_PER_MIXTURE 500
#define N_SUBSCRIBERS 2
#define HELD_MAX 200

struct actors {
	struct zcp_node *node;
	struct zcp_publisher *publisher;
	struct zcp_loan loans[2];
	uint32_t n_loans;
	uint32_t n_loaned;
	struct zcp_subscriber *subscribers[N_SUBSCRIBERS];
	struct zcp_sample samples[N_SUBSCRIBERS][HELD_MAX];
	uint32_t n_held[N_SUBSCRIBERS];
	uint32_t n_subscribers;
	uint32_t held;
	/* as the runtime adds it up: see docs/limits.md */
	uint32_t reserved;
};

static void open_all(struct actors *actors, const char *topic, size_t size, uint32_t depth)
{
	actors->publisher = zcp_test_publisher(actors->node, topic, size, actors->n_loans);
	for (uint32_t s = 0; s < actors->n_subscribers; s++)
		actors->subscribers[s] = zcp_test_subscriber(actors->node, topic, depth,
							     actors->held, 0);
	actors->reserved = actors->n_loans + depth + actors->n_subscribers * actors->held +
			   zcp_rotation(size);
}

/* The lowest chunk is claimed first, so that many were owned at once. */
static void check_and_close(struct actors *actors)
{
	const struct zcp_writer *writer = zcp_test_inside(actors->publisher).writer;
	uint32_t n = zcp_class_n_touched(&writer->pool->classes[writer->options.class_index]);

	if (n > actors->reserved)
		(void)fprintf(stderr, "%u chunks of %u\n", n, actors->reserved);
	ZCP_CHECK(n <= actors->reserved);
	for (uint32_t s = 0; s < actors->n_subscribers; s++)
		zcp_subscriber_close(actors->subscribers[s]);
	zcp_publisher_close(actors->publisher);
}

static void publish(struct actors *actors, uint32_t n_loans)
{
	while (actors->n_loaned < n_loans)
		ZCP_OK(zcp_publisher_loan(actors->publisher, 8, &actors->loans[actors->n_loaned++]),
		       actors->node);
	ZCP_OK(zcp_publisher_publish(actors->publisher, &actors->loans[--actors->n_loaned]),
	       actors->node);
}

static void give_back(struct actors *actors, uint32_t s, uint32_t which)
{
	struct zcp_sample *samples = actors->samples[s];
	uint32_t n_behind = --actors->n_held[s] - which;

	ZCP_OK(zcp_sample_release(&samples[which]), actors->node);
	memmove(&samples[which], &samples[which + 1], n_behind * sizeof(samples[0]));
}

/* Takes one message if there is one; returns whether there was. */
static bool take(struct actors *actors, uint32_t s, bool keeps)
{
	struct zcp_sample *sample = &actors->samples[s][actors->n_held[s]];

	if (zcp_subscriber_take(actors->subscribers[s], sample) < 0)
		return false;
	actors->n_held[s]++;
	if (!keeps)
		give_back(actors, s, actors->n_held[s] - 1);
	return true;
}

static void do_anything(struct actors *actors, uint32_t *seed)
{
	uint32_t publishes = 0, keeps = 0;

	for (int i = 0; i < N_STEPS; i++) {
		uint32_t s = zcp_test_random(seed) % actors->n_subscribers;
		uint32_t n_held = actors->n_held[s], oldest = zcp_test_random(seed) % 2;

		if (i % STEPS_PER_MIXTURE == 0) {
			publishes = 10 + zcp_test_random(seed) % 80;
			keeps = zcp_test_random(seed) % 50;
		}
		if (zcp_test_random(seed) % 100 < publishes)
			publish(actors, 1 + zcp_test_random(seed) % actors->n_loans);
		else if (n_held == actors->held ||
			 (n_held > 0 && zcp_test_random(seed) % 100 >= 2 * keeps))
			give_back(actors, s, oldest ? 0 : zcp_test_random(seed) % n_held);
		else
			(void)take(actors, s, zcp_test_random(seed) % 100 < keeps);
	}
}

static void no_more_than_reserved_is_owned(void)
{
	struct zcp_test_runtime runtime;
	uint32_t seed = 1;

	zcp_test_runtime_start(&runtime, NULL);
	for (int i = 0; i < N_SETTINGS; i++) {
		struct actors actors = { .node = zcp_test_node() };
		char topic[32];

		(void)snprintf(topic, sizeof(topic), "reserve/%d", i);
		actors.n_loans = 1 + zcp_test_random(&seed) % 2;
		actors.n_subscribers = 1 + zcp_test_random(&seed) % N_SUBSCRIBERS;
		actors.held = 1 + zcp_test_random(&seed) % 24;
		open_all(&actors, topic, zcp_test_random(&seed) % 2 ? 64 : 8192,
			 1u << zcp_test_random(&seed) % 5);
		do_anything(&actors, &seed);
		check_and_close(&actors);
		zcp_node_close(actors.node);
	}
	zcp_test_runtime_stop(&runtime);
}

/* More are held for long than one exact look can name. */
static void many_that_are_held_for_long_keep_nothing_behind_them(void)
{
	struct actors actors = { .n_loans = 1, .n_subscribers = 1, .held = HELD_MAX };
	struct zcp_test_runtime runtime;

	zcp_test_runtime_start(&runtime, NULL);
	actors.node = zcp_test_node();
	open_all(&actors, "held", 64, 16);
	for (uint32_t i = 0; i < 4 * N_STEPS; i++) {
		publish(&actors, 1);
		ZCP_CHECK(take(&actors, 0, i % 3 == 0 && actors.n_held[0] + 1 < HELD_MAX));
	}
	ZCP_CHECK(actors.n_held[0] == HELD_MAX - 1);
	check_and_close(&actors);
	zcp_node_close(actors.node);
	zcp_test_runtime_stop(&runtime);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(no_more_than_reserved_is_owned),
	ZCP_TEST_CASE(many_that_are_held_for_long_keep_nothing_behind_them),
};

ZCP_TEST_MAIN(cases)
