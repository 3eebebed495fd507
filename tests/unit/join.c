/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joining while publishers go on, step by step: a registry without a server, and a publisher
 * that is held up in the middle of a publish.
 */
#include "runtime/open/open.h"
#include "tests/unit/plane_helpers.h"

#define TOPIC "map"
#define HISTORY 3

static struct zcpd_endpoint *publishers[2];
static struct zcpd_topic *topic;
static struct zcp_writer writer;

static struct zcpd_endpoint *open_publisher(void)
{
	struct zcp_open_publisher request = {
		.topic = TOPIC, .max_payload = 64, .loans = 1, .history = HISTORY
	};
	struct zcpd_endpoint *publisher;

	cr_assert_eq(zcpd_open_publisher(&registry, &client, &request, &publisher, text,
					 sizeof(text)),
		     0);
	return publisher;
}

/* Two publishers, the first with a data plane. */
static void setup(void)
{
	begin("");
	publishers[0] = open_publisher();
	publishers[1] = open_publisher();
	topic = publishers[0]->topic;
	open_writer(publishers[0], &writer);
}

static void teardown(void)
{
	zcp_writer_deinit(&writer);
	zcp_pool_deinit(&pool);
	end();
}

TestSuite(join, .init = setup, .fini = teardown, .timeout = 20);

/* The second publisher is in the middle of a publish, or has left it. */
static void hold_up(bool inside)
{
	_Atomic uint64_t *op = &topic->view.publishers[publishers[1]->entry.slot].op;

	zcp_test_store(op, zcp_test_load(op) + 1);
	cr_assert_eq(zcp_test_load(op) & 1, inside);
}

static struct zcpd_endpoint *open_subscriber(uint32_t history)
{
	struct zcp_open_subscriber request = {
		.topic = TOPIC, .depth = 1, .held = 4, .history = history
	};
	struct zcpd_endpoint *subscriber;

	joined = NULL;
	cr_assert_eq(zcpd_open_subscriber(&registry, &client, &request, 1, &subscriber, text,
					  sizeof(text)),
		     0);
	return subscriber;
}

/* One that waits for the second publisher. */
static struct zcpd_endpoint *begin_to_join(uint32_t history)
{
	struct zcpd_endpoint *subscriber;

	hold_up(true);
	/* The runtime gives up after a while: again where this took us as long. */
	while (subscriber = open_subscriber(history), joined) {
		hold_up(false);
		close_endpoint(subscriber);
		hold_up(true);
	}
	subscriber->deadline_ns = UINT64_MAX;
	return subscriber;
}

static void finish_to_join(const struct zcpd_endpoint *subscriber)
{
	hold_up(false);
	(void)zcpd_registry_poll(&registry);
	cr_assert_eq(joined, subscriber);
}

static bool is_announced(const struct zcpd_endpoint *subscriber)
{
	return zcp_test_load(&topic->view.shm->announced[0]) >> subscriber->entry.slot & 1;
}

static struct zcp_lane lane_of(uint32_t publisher, const struct zcpd_endpoint *subscriber)
{
	return zcpd_topic_lane(topic, publisher, subscriber);
}

/* Else what it is asked for could come before it counts what it loses. */
Test(join, subscriber_is_announced_when_every_publisher_has_left_its_publish)
{
	struct zcpd_endpoint *subscriber;

	subscriber = begin_to_join(0);
	cr_assert(!is_announced(subscriber));
	/* Nor by what else happens. */
	close_endpoint(publishers[0]);
	cr_assert(!is_announced(subscriber));
	finish_to_join(subscriber);
	cr_assert(is_announced(subscriber));
	close_endpoint(subscriber);
	cr_assert_eq(zcp_test_load(&topic->view.shm->announced[0]), 0);
}

Test(join, another_that_comes_or_goes_does_not_announce_one_that_joins)
{
	struct zcpd_endpoint *first = open_subscriber(0), *second;

	cr_assert(is_announced(first));
	second = begin_to_join(0);
	close_endpoint(first);
	cr_assert(!is_announced(first));
	cr_assert(!is_announced(second));
	finish_to_join(second);
	cr_assert(is_announced(second));
}

Test(join, lane_begins_where_its_publisher_first_sees_the_subscriber)
{
	struct zcpd_endpoint *subscriber;
	struct zcp_reader reader;

	publish_one(&writer);
	publish_one(&writer);
	subscriber = begin_to_join(0);
	cr_assert_eq(zcp_test_load(&lane_of(0, subscriber).shm->base), 0);
	publish_one(&writer);
	cr_assert_eq(zcp_test_load(&lane_of(0, subscriber).shm->base), 3);
	publish_one(&writer);
	finish_to_join(subscriber);
	/* 3 was sent to it and pushed out by 4. */
	cr_assert_eq(zcp_test_load(&lane_of(0, subscriber).shm->base), 3);
	cr_assert_eq(zcp_test_load(&lane_of(0, subscriber).ack->floor), 3);
	open_reader(subscriber, &reader);
	expect_and_release(&reader, 4, 1);
	expect_nothing(&reader);
	zcp_reader_deinit(&reader);
}

/* One that sends nothing does not see it for long. */
Test(join, lane_of_an_idle_publisher_begins_at_its_next_message)
{
	struct zcpd_endpoint *subscriber;
	struct zcp_reader reader;

	publish_one(&writer);
	subscriber = open_subscriber(0);
	cr_assert_eq(joined, subscriber);
	cr_assert_eq(zcp_test_load(&lane_of(0, subscriber).shm->base), 2);
	cr_assert_eq(zcp_test_load(&lane_of(1, subscriber).shm->base), 1);
	cr_assert_eq(zcp_test_load(&lane_of(0, subscriber).ack->tail), 2);
	open_reader(subscriber, &reader);
	expect_nothing(&reader);
	publish_one(&writer);
	expect_and_release(&reader, 2, 0);
	zcp_reader_deinit(&reader);
}

Test(join, publisher_that_stays_inside_a_publish_keeps_nobody_out)
{
	struct zcpd_endpoint *subscriber;
	struct zcp_reader reader;

	publish_one(&writer);
	subscriber = begin_to_join(HISTORY);
	subscriber->deadline_ns = 0;
	(void)zcpd_registry_poll(&registry);
	cr_assert_eq(joined, subscriber);
	cr_assert(is_announced(subscriber));
	/* Its lane is left to itself. */
	cr_assert_eq(zcp_test_load(&lane_of(1, subscriber).shm->base), 0);
	open_reader(subscriber, &reader);
	expect_and_release(&reader, 1, 0);
	publish_one(&writer);
	expect_and_release(&reader, 2, 0);
	expect_nothing(&reader);
	/* Where it dies instead, the runtime settles that. */
	close_endpoint(publishers[1]);
	cr_assert_eq(zcp_test_load(&lane_of(1, subscriber).shm->base), 1);
	cr_assert_eq(zcp_test_load(&topic->view.publishers[1].op) % 2, 0);
	expect_nothing(&reader);
	cr_assert_eq(zcp_test_load(&lane_of(1, subscriber).ack->floor), 1);
	zcp_reader_deinit(&reader);
}

/* A worker that dies during the grace period: the next one begins it again, and resets nothing. */
Test(join, join_that_is_resumed_keeps_what_was_sent_meanwhile)
{
	struct zcpd_endpoint *subscriber = begin_to_join(HISTORY);
	uint64_t version = zcp_test_load(&topic->view.shm->version);
	struct zcp_reader reader;

	publish_one(&writer);
	TAILQ_REMOVE(&registry.pending, subscriber, pending);
	zcpd_registry_resume(&registry, subscriber);
	cr_assert_neq(zcp_test_load(&topic->view.shm->version), version);
	subscriber->deadline_ns = UINT64_MAX;
	finish_to_join(subscriber);
	open_reader(subscriber, &reader);
	expect_and_release(&reader, 1, 0);
	expect_nothing(&reader);
	zcp_reader_deinit(&reader);
}

Test(join, slot_of_one_that_has_left_has_nothing_left_of_it)
{
	struct zcpd_endpoint *subscriber = open_subscriber(0);
	struct zcp_reader_message m;
	struct zcp_reader reader;
	uint32_t slot = subscriber->entry.slot;

	open_reader(subscriber, &reader);
	publish_one(&writer);
	m = expect(&reader, 1, 0);
	publish_one(&writer);
	publish_one(&writer);
	cr_assert_eq(zcp_reader_arm(&reader), 0);
	/* It dies with one held, two lost or waiting, and asleep. */
	close_endpoint(subscriber);
	zcp_reader_deinit(&reader);
	cr_assert_eq(m.seq, 1);
	subscriber = open_subscriber(0);
	cr_assert_eq(subscriber->entry.slot, slot);
	cr_assert_eq(zcp_test_load(&zcp_acks_counts(&topic->acks, slot)->n_held), 0);
	cr_assert_eq(zcp_test_load(&zcp_acks_held(&topic->acks, slot)[0]), 0);
	cr_assert_eq(zcp_test_load(&topic->acks.shm->sleepers[0]), 0);
	open_reader(subscriber, &reader);
	expect_nothing(&reader);
	publish_one(&writer);
	expect_and_release(&reader, 4, 0);
	zcp_reader_deinit(&reader);
}

/* Its connection is over, its process lives: it gets no more, and keeps what it has. */
Test(join, one_that_is_no_longer_active_ends_where_its_publishers_see_that)
{
	struct zcpd_endpoint *subscriber = open_subscriber(0);
	struct zcp_reader reader;

	open_reader(subscriber, &reader);
	publish_one(&writer);
	close_endpoint(publishers[1]);
	zcpd_registry_deactivate(&registry, subscriber);
	/* Of a slot without a publisher at once. */
	cr_assert_eq(zcp_test_load(&lane_of(1, subscriber).shm->end), 1);
	cr_assert_eq(zcp_test_load(&lane_of(0, subscriber).shm->end), 0);
	for (int i = 0; i < 100; i++)
		publish_one(&writer);
	cr_assert_eq(zcp_test_load(&lane_of(0, subscriber).shm->end), 2);
	expect_and_release(&reader, 1, 0);
	expect_nothing(&reader);
	cr_assert_eq(zcpd_topic_n_queued(subscriber), 0);
	zcp_reader_deinit(&reader);
}
