/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that end without a word, or stop: what they had is given back, their slots are
 * used again, and the others do not notice.
 */
#include <signal.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define TOPIC "death"
#define DEPTH 4

static void publish_two_and_loan_two(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);
	struct zcp_loan loans[2];

	(void)arg;
	ZCP_OK(zcp_publisher_wait_subscribers(publisher, 1, ZCP_FOREVER), node);
	zcp_test_send(publisher, 1);
	zcp_test_send(publisher, 2);
	for (int i = 0; i < 2; i++)
		ZCP_OK(zcp_publisher_loan(publisher, 64, &loans[i]), node);
	zcp_test_say_step(self, zcp_test_inside(publisher).slot);
	zcp_test_wait_for_the_end(self);
}

static void killed_publisher_gives_back_its_loans_and_not_what_it_published(void)
{
	struct zcp_test_child child;
	struct zcp_subscriber *subscriber;
	struct zcp_publisher *next;
	struct zcp_node *node;

	zcp_test_fork(&child, publish_two_and_loan_two, NULL);
	node = zcp_test_node();
	subscriber = zcp_test_subscriber(node, TOPIC, DEPTH, 2, 0);
	zcp_test_hear_step(&child, 0);
	ZCP_CHECK(zcp_subscriber_n_publishers(subscriber) == 1);
	ZCP_CHECK(zcp_test_n_busy(node) == 4);
	zcp_test_kill(&child);
	zcp_test_wait_for_members(node, TOPIC, 0, 1);
	ZCP_CHECK(zcp_subscriber_n_publishers(subscriber) == 0);
	ZCP_CHECK(zcp_test_n_busy(node) == 2);

	/* The newcomer has the slot; its numbers follow. */
	next = zcp_test_publisher(node, TOPIC, 64, 2);
	ZCP_CHECK(zcp_test_inside(next).slot == 0);
	zcp_test_send(next, 3);
	for (uint64_t i = 1; i <= 3; i++) {
		struct zcp_sample sample;

		ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
		ZCP_CHECK(sample.sequence == i && *(const uint64_t *)sample.data == i);
		ZCP_CHECK(sample.lost == 0);
		ZCP_CHECK((sample.publisher_id == zcp_publisher_id(next)) == (i == 3));
		ZCP_CHECK(zcp_sample_release(&sample) == 0);
	}
	ZCP_CHECK(zcp_test_n_busy(node) == 0);
	zcp_node_close(node);
}

static void hold_two_and_queue_the_rest(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, DEPTH, 2, 0);
	struct zcp_sample samples[2];

	(void)arg;
	zcp_test_say_step(self, zcp_test_inside(subscriber).slot);
	zcp_test_hear_step(self, 1);
	for (int i = 0; i < 2; i++)
		ZCP_OK(zcp_subscriber_take(subscriber, &samples[i]), node);
	zcp_test_say_step(self, 2);
	zcp_test_wait_for_the_end(self);
}

static void killed_subscriber_gives_back_what_it_held_and_what_was_queued(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);
	struct zcp_subscriber *next;
	struct zcp_test_child child;
	uint64_t number, lost;

	zcp_test_fork(&child, hold_two_and_queue_the_rest, NULL);
	zcp_test_hear_step(&child, 0);
	for (uint64_t i = 1; i <= 2; i++)
		zcp_test_send(publisher, i);
	zcp_test_say_step(&child, 1);
	zcp_test_hear_step(&child, 2);
	for (uint64_t i = 3; i <= 20; i++)
		zcp_test_send(publisher, i);
	ZCP_CHECK(zcp_test_n_busy(node) == 2 + DEPTH);
	zcp_test_kill(&child);
	zcp_test_wait_for_members(node, TOPIC, 1, 0);
	ZCP_CHECK(zcp_publisher_n_subscribers(publisher) == 0);
	ZCP_CHECK(zcp_test_n_busy(node) == 0);

	next = zcp_test_subscriber(node, TOPIC, DEPTH, 2, 0);
	ZCP_CHECK(zcp_test_inside(next).slot == 0);
	ZCP_CHECK(!zcp_test_take(next, &number, &lost));
	zcp_test_send(publisher, 21);
	zcp_test_expect(next, 21);
	zcp_subscriber_counts(next, &number, &lost);
	ZCP_CHECK(number == 1 && lost == 0);
	ZCP_CHECK(zcp_test_n_busy(node) == 0);
	zcp_node_close(node);
}

static void end_politely_but_without_closing(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, DEPTH, 2, 0);
	struct zcp_loan loan;

	(void)arg;
	(void)subscriber;
	for (uint64_t i = 1; i <= 8; i++)
		zcp_test_send(publisher, i);
	ZCP_OK(zcp_publisher_loan(publisher, 64, &loan), node);
	zcp_test_say_step(self, 0);
}

static void process_that_ends_without_closing_leaves_nothing(void)
{
	struct zcp_test_child child;
	struct zcp_node *node = zcp_test_node();

	(void)zcp_test_publisher(node, TOPIC, 64, 2);
	zcp_test_fork(&child, end_politely_but_without_closing, NULL);
	zcp_test_hear_step(&child, 0);
	zcp_test_join(&child);
	zcp_test_wait_for_members(node, TOPIC, 1, 0);
	ZCP_CHECK(zcp_test_n_busy(node) == 0);
	zcp_node_close(node);
}

static void closing_gives_back_loans_held_and_queued_at_once(void)
{
	struct zcp_node *node = zcp_test_node(), *other = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, DEPTH, 2, 0);
	struct zcp_sample sample;
	struct zcp_loan loan;

	(void)zcp_test_publisher(other, TOPIC, 64, 2);
	for (uint64_t i = 1; i <= 10; i++)
		zcp_test_send(publisher, i);
	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	ZCP_OK(zcp_publisher_loan(publisher, 64, &loan), node);
	ZCP_CHECK(zcp_test_n_busy(other) == DEPTH + 1);
	zcp_subscriber_close(subscriber);
	ZCP_CHECK(zcp_publisher_n_subscribers(publisher) == 0);
	ZCP_CHECK(zcp_test_n_busy(other) == 1);
	zcp_publisher_close(publisher);
	ZCP_CHECK(zcp_test_n_busy(other) == 0);

	/* The same with the node as a whole. */
	publisher = zcp_test_publisher(node, TOPIC, 64, 2);
	subscriber = zcp_test_subscriber(node, TOPIC, DEPTH, 2, 0);
	for (uint64_t i = 1; i <= 10; i++)
		zcp_test_send(publisher, i);
	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	ZCP_OK(zcp_publisher_loan(publisher, 64, &loan), node);
	zcp_node_close(node);
	ZCP_CHECK(zcp_test_n_busy(other) == 0);
	zcp_test_wait_for_members(other, TOPIC, 1, 0);
	zcp_node_close(other);
}

static void take_until_100(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, DEPTH, 2, 0);
	uint64_t number = 0, lost = 0, n_lost = 0, n = 0;

	(void)arg;
	zcp_test_say_step(self, 0);
	while (number < 100) {
		ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
		while (zcp_test_take(subscriber, &number, &lost)) {
			n++;
			n_lost += lost;
		}
	}
	ZCP_CHECK(n + n_lost == 100);
	zcp_test_say_step(self, n);
	zcp_node_close(node);
}

static void stopped_subscriber_does_not_disturb_the_others(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);
	struct zcp_test_child child;
	struct zcp_subscriber *other, *late;

	zcp_test_fork(&child, take_until_100, NULL);
	zcp_test_hear_step(&child, 0);
	other = zcp_test_subscriber(node, TOPIC, DEPTH, 2, 0);
	zcp_test_wait_until_asleep(child.pid);
	zcp_test_stop(&child);
	for (uint64_t i = 1; i <= 98; i++) {
		zcp_test_send(publisher, i);
		zcp_test_expect(other, i);
	}
	/* Nor those that come and go. */
	late = zcp_test_subscriber(node, TOPIC, DEPTH, 2, 0);
	zcp_test_send(publisher, 99);
	zcp_test_expect(late, 99);
	zcp_subscriber_close(late);
	zcp_test_send(publisher, 100);
	zcp_test_continue(&child);
	/* Of a hundred it has the newest ones, as many as its queue is long. */
	zcp_test_hear_step(&child, DEPTH);
	zcp_test_join(&child);
	zcp_test_expect(other, 99);
	zcp_test_expect(other, 100);
	ZCP_CHECK(zcp_test_n_busy(node) == 0);
	zcp_node_close(node);
}

/* As if the publisher had stopped right behind its first step. */
static void set_inside(struct zcp_publisher *publisher, bool inside)
{
	zcp_test_store(&zcp_test_inside(publisher).writer->slot->op,
		       zcp_test_inside(publisher).writer->op + inside);
}

static void publisher_stopped_in_a_publish_delays_only_a_slot(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);
	struct zcp_subscriber *stays, *next;
	struct zcp_test_child child;

	zcp_test_fork(&child, hold_two_and_queue_the_rest, NULL);
	zcp_test_hear_step(&child, 0);
	stays = zcp_test_subscriber(node, TOPIC, DEPTH, 2, 0);
	for (uint64_t i = 1; i <= 2; i++)
		zcp_test_send(publisher, i);
	set_inside(publisher, true);
	zcp_test_kill(&child);
	/* Gone for the publishers, and not yet for the runtime. */
	ZCP_OK(zcp_publisher_wait_subscribers(publisher, 1, ZCP_FOREVER), node);
	while (zcp_publisher_n_subscribers(publisher) != 1)
		zcp_test_wait_for_members(node, TOPIC, 1, 2);
	ZCP_CHECK(zcp_test_n_busy(node) == 2);
	zcp_test_expect(stays, 1);
	zcp_test_expect(stays, 2);
	/* What the dead one had queued counts no longer. */
	ZCP_CHECK(zcp_test_n_busy(node) == 0);
	next = zcp_test_subscriber(node, TOPIC, DEPTH, 2, 0);
	ZCP_CHECK(zcp_test_inside(next).slot == 2);

	set_inside(publisher, false);
	zcp_test_wait_for_members(node, TOPIC, 1, 2);
	ZCP_CHECK(zcp_test_n_busy(node) == 0);
	zcp_subscriber_close(next);
	next = zcp_test_subscriber(node, TOPIC, DEPTH, 2, 0);
	ZCP_CHECK(zcp_test_inside(next).slot == 0);
	zcp_test_send(publisher, 3);
	zcp_test_expect(stays, 3);
	zcp_test_expect(next, 3);
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(killed_publisher_gives_back_its_loans_and_not_what_it_published),
	ZCP_TEST_CASE(killed_subscriber_gives_back_what_it_held_and_what_was_queued),
	ZCP_TEST_CASE(process_that_ends_without_closing_leaves_nothing),
	ZCP_TEST_CASE(closing_gives_back_loans_held_and_queued_at_once),
	ZCP_TEST_CASE(stopped_subscriber_does_not_disturb_the_others),
	ZCP_TEST_CASE(publisher_stopped_in_a_publish_delays_only_a_slot),
};

ZCP_TEST_MAIN(cases)
