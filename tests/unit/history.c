/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Promised history, from the runtime's decision to the subscriber's last sample: what a joiner is
 * promised, what keeps that in place, and what publishers leave for joiners when they go.
 */
#include <errno.h>

#include "runtime/open/open.h"
#include "runtime/repair/reclaim.h"
#include "runtime/repair/sweep.h"
#include "tests/unit/plane_helpers.h"

#define TOPIC "map"
#define HISTORY 3

static struct zcpd_topic *topic;
static struct zcpd_endpoint *publisher;
static struct zcp_writer writer;

static struct zcpd_endpoint *open_publisher(uint32_t history)
{
	struct zcp_open_publisher request = {
		.topic = TOPIC, .max_payload = 64, .loans = 2, .history = history
	};
	struct zcpd_endpoint *opened;

	cr_assert_eq(zcpd_open_publisher(&registry, &client, &request, &opened, text, sizeof(text)),
		     0, "%s", text);
	return opened;
}

static void open_all(const char *toml, uint32_t history)
{
	begin(toml);
	publisher = open_publisher(history);
	topic = publisher->topic;
	open_writer(publisher, &writer);
}

static void setup(void)
{
	open_all("", HISTORY);
}

static void setup_kept(void)
{
	open_all("[defaults]\nkeep_history = true\n", HISTORY);
}

static void teardown(void)
{
	zcp_writer_deinit(&writer);
	zcp_pool_deinit(&pool);
	end();
}

TestSuite(history, .init = setup, .fini = teardown, .timeout = 20);
TestSuite(history_kept, .init = setup_kept, .fini = teardown, .timeout = 20);

static void publish_many(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		publish_one(&writer);
}

static struct zcpd_endpoint *open_subscriber(uint32_t depth, uint32_t history)
{
	struct zcp_open_subscriber request = {
		.topic = TOPIC, .depth = depth, .held = 4, .history = history
	};
	struct zcpd_endpoint *subscriber;

	joined = NULL;
	cr_assert_eq(zcpd_open_subscriber(&registry, &client, &request, 1, &subscriber, text,
					  sizeof(text)),
		     0, "%s", text);
	cr_assert_eq(joined, subscriber);
	return subscriber;
}

/* Goes, and another one comes into its slot. */
static void replace_publisher(uint32_t history)
{
	zcp_writer_deinit(&writer);
	close_endpoint(publisher);
	publisher = open_publisher(history);
	cr_assert_eq(publisher->entry.slot, 0);
	open_writer(publisher, &writer);
}

static struct zcp_lane lane_of(const struct zcpd_endpoint *subscriber)
{
	return zcpd_topic_lane(topic, 0, subscriber);
}

/* The answer to a subscriber: [from, to), described as they were published. */
static void assert_backlog(const struct zcpd_endpoint *subscriber, uint64_t from, uint64_t to)
{
	struct zcp_backlog backlog;

	cr_assert_eq(zcpd_history_backlog(topic, subscriber, &backlog), 0);
	cr_assert_eq(backlog.n_entries, to - from);
	for (uint32_t i = 0; i < backlog.n_entries; i++) {
		const struct zcp_backlog_entry_shm *entry = &backlog.entries[i];
		const struct zcp_chunk_shm *chunk = zcp_pool_descriptor(&pool, entry->ref);

		cr_assert_eq(entry->seq, from + i);
		cr_assert_eq(entry->size, 64);
		cr_assert_eq(entry->publisher, 0);
		cr_assert_neq(entry->publisher_id, 0);
		cr_assert_neq(entry->publish_time_ns, 0);
		cr_assert_not_null(chunk);
		cr_assert_eq(zcp_test_load(&chunk->seq), entry->seq);
	}
	zcp_backlog_deinit(&backlog);
}

/* Takes and gives back [from, to), and then there is nothing. */
static void expect_all(struct zcp_reader *reader, uint64_t from, uint64_t to)
{
	for (uint64_t seq = from; seq < to; seq++)
		expect_and_release(reader, seq, 0);
	expect_nothing(reader);
}

Test(history, joiner_is_promised_what_it_asks_for)
{
	publish_many(7);
	for (uint32_t asked = 0; asked <= HISTORY; asked++) {
		struct zcpd_endpoint *subscriber = open_subscriber(4, asked);
		struct zcp_lane lane = lane_of(subscriber);
		struct zcp_reader reader;

		cr_assert_eq(zcp_test_load(&lane.shm->base), 8);
		cr_assert_eq(zcp_test_load(&lane.shm->history), asked);
		cr_assert_eq(zcp_test_load(&lane.ack->floor), 8 - asked);
		cr_assert_leq(zcp_test_load(&lane.ack->released), 8 - asked);
		assert_backlog(subscriber, 8 - asked, 8);
		open_reader(subscriber, &reader);
		expect_all(&reader, 8 - asked, 8);
		assert_backlog(subscriber, 8, 8);
		zcp_reader_deinit(&reader);
	}
}

/* What happens to lie in chunks that rotate is nobody's history. */
Test(history, joiner_gets_no_more_than_the_publisher_keeps)
{
	struct zcpd_endpoint *subscriber;

	publish_many(7);
	cr_assert_gt(n_owned(topic), HISTORY);
	subscriber = open_subscriber(4, 100);
	cr_assert_eq(zcp_test_load(&lane_of(subscriber).shm->history), HISTORY);
	assert_backlog(subscriber, 8 - HISTORY, 8);
}

Test(history, joiner_gets_what_there_is_where_that_is_less)
{
	assert_backlog(open_subscriber(4, HISTORY), 1, 1);
	publish_many(2);
	assert_backlog(open_subscriber(4, HISTORY), 1, 3);
}

/* It has not seen the joiner, and sends nothing for long. */
Test(history, publisher_that_was_idle_keeps_what_was_promised)
{
	struct zcpd_endpoint *subscriber;
	struct zcp_reader reader;

	publish_many(20);
	subscriber = open_subscriber(2, HISTORY);
	open_reader(subscriber, &reader);
	publish_many(200);
	assert_backlog(subscriber, 18, 21);
	for (uint64_t seq = 18; seq < 21; seq++)
		expect_and_release(&reader, seq, 0);
	expect_and_release(&reader, 219, 198);
	expect_and_release(&reader, 220, 0);
	expect_nothing(&reader);
	zcp_reader_deinit(&reader);
}

Test(history, history_is_longer_than_the_queue_and_than_the_pool_would_rotate)
{
	struct zcpd_endpoint *subscriber;
	struct zcp_reader reader;

	/* The topic does not end meanwhile. */
	(void)open_subscriber(1, 0);
	replace_publisher(40);
	publish_many(100);
	subscriber = open_subscriber(1, 40);
	assert_backlog(subscriber, 61, 101);
	open_reader(subscriber, &reader);
	publish_many(1);
	expect_all(&reader, 61, 102);
	zcp_reader_deinit(&reader);
}

/* As for a client whose connection was lost before the answer came. */
Test(history, answer_that_is_repeated_is_the_same_until_something_is_taken)
{
	struct zcpd_endpoint *subscriber;
	struct zcp_reader reader;

	publish_many(5);
	subscriber = open_subscriber(2, HISTORY);
	assert_backlog(subscriber, 3, 6);
	publish_many(50);
	assert_backlog(subscriber, 3, 6);
	open_reader(subscriber, &reader);
	expect_and_release(&reader, 3, 0);
	assert_backlog(subscriber, 4, 6);
	zcp_reader_deinit(&reader);
}

Test(history, floor_that_lies_gets_no_more_than_was_promised)
{
	static const uint64_t floors[] = { 0, 1, 3, UINT64_MAX, UINT64_C(1) << 63 };
	struct zcpd_endpoint *subscriber;

	publish_many(5);
	subscriber = open_subscriber(2, HISTORY);
	for (size_t i = 0; i < sizeof(floors) / sizeof(floors[0]); i++) {
		zcp_test_store(&lane_of(subscriber).ack->floor, floors[i]);
		if (floors[i] <= 3)
			assert_backlog(subscriber, 3, 6);
		else
			assert_backlog(subscriber, 6, 6);
	}
}

/* Another publisher of the pool has spoiled a descriptor. */
Test(history, first_gap_ends_it)
{
	struct zcpd_endpoint *subscriber;
	uint32_t ref;

	publish_many(5);
	cr_assert_not_null(zcpd_history_find(topic, 0, 4, &ref));
	zcp_test_store(&zcp_pool_descriptor(&pool, ref)->seq, 77);
	cr_assert_null(zcpd_history_find(topic, 0, 4, NULL));
	subscriber = open_subscriber(2, HISTORY);
	cr_assert_eq(zcp_test_load(&lane_of(subscriber).ack->floor), 5);
	assert_backlog(subscriber, 5, 6);
}

Test(history, message_on_loan_is_none)
{
	struct zcp_writer_loan loan;

	publish_many(1);
	cr_assert_eq(zcp_writer_loan(&writer, 64, &loan), 0);
	zcp_test_store(&loan.chunk->seq, 2);
	cr_assert_null(zcpd_history_find(topic, 0, 2, NULL));
	cr_assert_not_null(zcpd_history_find(topic, 0, 1, NULL));
	cr_assert_null(zcpd_history_find(topic, 1, 1, NULL));
	zcp_test_store(&loan.chunk->seq, 0);
}

/* --- a publisher that goes --- */

Test(history, publisher_that_goes_leaves_nothing_to_joiners)
{
	struct zcpd_endpoint *before, *after;

	publish_many(5);
	before = open_subscriber(2, HISTORY);
	close_endpoint(publisher);
	cr_assert_eq(zcp_test_load(&topic->view.publishers[0].history), 0);
	cr_assert_not(zcpd_topic_keeps_history(topic));
	/* What was promised stays, and nothing else. */
	(void)zcpd_topic_sweep(topic, false);
	cr_assert_eq(n_owned(topic), HISTORY);
	assert_backlog(before, 3, 6);
	after = open_subscriber(2, HISTORY);
	cr_assert_eq(zcp_test_load(&lane_of(after).shm->history), 0);
	assert_backlog(after, 6, 6);
	close_endpoint(before);
	cr_assert_eq(n_owned(topic), 0);
}

/* Nothing of what is promised depends on what the slot's next publishers keep. */
Test(history, promise_outlives_its_publisher_and_the_next_one)
{
	struct zcpd_endpoint *subscriber;
	struct zcp_reader_message held;
	struct zcp_reader reader;

	publish_many(5);
	subscriber = open_subscriber(2, HISTORY);
	open_reader(subscriber, &reader);
	replace_publisher(1);
	publish_many(100);
	assert_backlog(subscriber, 3, 6);
	held = expect(&reader, 3, 0);
	replace_publisher(0);
	publish_many(100);
	assert_backlog(subscriber, 4, 6);
	expect_and_release(&reader, 4, 0);
	expect_and_release(&reader, 5, 0);
	cr_assert(zcp_test_is_filled(held.payload, 64, 0, 3));
	expect_and_release(&reader, 204, 198);
	expect_and_release(&reader, 205, 0);
	cr_assert_eq(zcp_reader_release(&reader, held.place, held.held), 0);
	publish_many(500);
	cr_assert_leq(n_owned(topic), 2 + 2 + 2 * ZCP_ROTATION_SMALL);
	zcp_reader_deinit(&reader);
}

Test(history_kept, publisher_that_goes_leaves_its_history)
{
	struct zcpd_endpoint *subscriber;
	struct zcp_reader reader;

	publish_many(10);
	close_endpoint(publisher);
	/* The topic goes on without anybody. */
	cr_assert_eq(zcpd_registry_topic(&registry, TOPIC), topic);
	cr_assert(zcpd_topic_keeps_history(topic));
	cr_assert_eq(topic->kept[0], HISTORY);
	cr_assert_eq(zcp_test_load(&topic->view.publishers[0].history), HISTORY);
	(void)zcpd_topic_sweep(topic, false);
	cr_assert_eq(n_owned(topic), HISTORY);
	for (int i = 0; i < 2; i++) {
		subscriber = open_subscriber(2, 2);
		assert_backlog(subscriber, 9, 11);
		open_reader(subscriber, &reader);
		expect_all(&reader, 9, 11);
		zcp_reader_deinit(&reader);
		close_endpoint(subscriber);
		cr_assert_eq(n_owned(topic), HISTORY);
	}
}

Test(history_kept, publisher_that_sent_little_leaves_that)
{
	publish_many(2);
	close_endpoint(publisher);
	cr_assert_eq(topic->kept[0], 2);
	assert_backlog(open_subscriber(2, HISTORY), 1, 3);
}

Test(history_kept, publisher_that_sent_nothing_leaves_no_topic)
{
	close_endpoint(publisher);
	cr_assert_null(zcpd_registry_topic(&registry, TOPIC));
}

Test(history_kept, next_publisher_goes_on_with_what_was_left)
{
	struct zcpd_endpoint *subscriber;
	struct zcp_reader reader;

	publish_many(10);
	replace_publisher(HISTORY + 2);
	subscriber = open_subscriber(4, 100);
	/* That is kept, and what the former one would have given back and did not come to. */
	cr_assert_leq(zcp_test_load(&lane_of(subscriber).ack->floor), 11 - HISTORY);
	open_reader(subscriber, &reader);
	publish_many(2);
	expect_all(&reader, zcp_test_load(&lane_of(subscriber).ack->floor), 13);
	zcp_reader_deinit(&reader);
	publish_many(100);
	assert_backlog(open_subscriber(4, 100), 113 - HISTORY - 2, 113);
}

Test(history_kept, next_publisher_that_keeps_less_gives_the_rest_back)
{
	publish_many(10);
	replace_publisher(1);
	cr_assert_eq(topic->kept[0], 0);
	publish_many(500);
	assert_backlog(open_subscriber(2, HISTORY), 510, 511);
	cr_assert_leq(n_owned(topic), 1 + 2 + 2 * ZCP_ROTATION_SMALL);
	close_endpoint(publisher);
	cr_assert_eq(topic->kept[0], 1);
}
