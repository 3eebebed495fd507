/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscriber whose connection is lost while its process lives: what was sent to it stays, and
 * nothing else does. A registry without a server.
 */
#include "runtime/repair/reclaim.h"
#include "runtime/repair/sweep.h"
#include "tests/unit/plane_helpers.h"

#define TOPIC "map"
#define CAPACITY 4

static struct zcpd_endpoint *publisher, *subscriber;
static struct zcp_writer writer;
static struct zcp_reader reader;

static void setup(void)
{
	begin("");
	cr_assert_eq(publish(TOPIC, 64, 2, &publisher), 0, "%s", text);
	open_writer(publisher, &writer);
	cr_assert_eq(subscribe(TOPIC, CAPACITY, 2, &subscriber), 0, "%s", text);
	open_reader(subscriber, &reader);
}

static void teardown(void)
{
	zcp_writer_deinit(&writer);
	zcp_reader_deinit(&reader);
	zcp_pool_deinit(&pool);
	end();
}

TestSuite(inactive, .init = setup, .fini = teardown, .timeout = 60);

/* A publish that has come as far as step 3, and 4 where it is `pushed`; then its process dies. */
static void die_in_publish(bool pushed)
{
	struct zcp_lane lane = zcpd_topic_lane(subscriber->topic, publisher->entry.slot,
					       subscriber);
	_Atomic uint64_t *op = &publisher->topic->view.publishers[publisher->entry.slot].op;
	struct zcp_description description = { .size = 64, .next_ref = ZCP_REF_NONE };
	struct zcp_writer_loan loan;

	cr_assert_eq(zcp_writer_loan(&writer, 64, &loan), 0);
	zcp_test_fill(loan.payload, 64, writer.options.slot, writer.next_seq);
	zcp_test_store(op, zcp_test_load(op) + 1);
	zcp_test_store(&loan.chunk->size, 64);
	zcp_test_store(&loan.chunk->seq, writer.next_seq);
	description.ref = loan.ref;
	if (pushed)
		zcp_lane_put(&lane, writer.next_seq, &description);
	zcpd_registry_deactivate(&registry, subscriber);
	close_endpoint(publisher);
}

Test(inactive, message_that_a_dead_publisher_has_pushed_stays)
{
	struct zcpd_topic *topic = subscriber->topic;

	publish_one(&writer);
	die_in_publish(true);
	(void)zcpd_topic_sweep(topic, false);
	cr_assert_eq(n_owned(topic), 2);
	expect_and_release(&reader, 1, 0);
	expect_and_release(&reader, 2, 0);
	expect_nothing(&reader);
	(void)zcpd_topic_sweep(topic, false);
	cr_assert_eq(n_owned(topic), 0);
}

Test(inactive, message_that_a_dead_publisher_has_not_pushed_goes)
{
	struct zcpd_topic *topic = subscriber->topic;

	publish_one(&writer);
	die_in_publish(false);
	(void)zcpd_topic_sweep(topic, false);
	cr_assert_eq(n_owned(topic), 1);
	expect_and_release(&reader, 1, 0);
	expect_nothing(&reader);
	(void)zcpd_topic_sweep(topic, false);
	cr_assert_eq(n_owned(topic), 0);
}
