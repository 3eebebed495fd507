/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which endpoints are let in: the sums over a pool, and that within them no sequence of loans,
 * takes and releases leaves a publisher without a chunk.
 */
#include "runtime/open/admission.h"
#include "runtime/open/open.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/plane_helpers.h"

static void expect_text(const char *wanted)
{
	cr_assert_str_eq(text, wanted);
}

#define ONE_CLASS "[pool.p]\nclasses = [{size = 64, count = 40}]\n[topic.\"*\"]\npool = \"p\"\n"

static uint64_t n_reserved(const struct zcpd_topic *topic, uint32_t class_index)
{
	struct zcpd_admission_sum sums[ZCP_CLASSES_MAX];

	cr_assert_eq(zcpd_admission_sums(&registry, topic->pool, NULL, sums), 0);
	cr_assert_eq(sums[class_index].n_chunks, topic->pool->view.classes[class_index].n_chunks);
	return sums[class_index].n_reserved;
}

Test(admission, sum_is_what_each_publisher_may_own_and_one_more)
{
	struct zcpd_endpoint *publishers[2], *subscribers[2], *more;

	begin(ONE_CLASS);
	/* 8 rotate; 3 + 8, 4 + 8, and one that is just being given back. */
	cr_assert_eq(publish("t", 64, 3, &publishers[0]), 0);
	cr_assert_eq(publish("t", 64, 4, &publishers[1]), 0);
	cr_assert_eq(n_reserved(publishers[0]->topic, 0), 11 + 12 + 1);
	/* The deepest queue, and what each may hold, of each publisher. */
	cr_assert_eq(subscribe("t", 4, 1, &subscribers[0]), 0);
	cr_assert_eq(n_reserved(publishers[0]->topic, 0), 11 + 12 + 1 + 2 * (4 + 1));
	cr_assert_eq(subscribe("t", 16, 1, &subscribers[1]), -ENOSPC);
	expect_text(
		"pool 'p' has 40 chunks of 64 bytes, 6 of them left; this subscriber (depth 16, 1 "
		"held) would need 26 with 2 publishers; raise the pool's count, or lower depth or "
		"held");
	/* Queues overlap. */
	cr_assert_eq(subscribe("t", 4, 3, &subscribers[1]), 0);
	cr_assert_eq(n_reserved(publishers[0]->topic, 0), 40);
	cr_assert_eq(subscribe("t", 1, 1, &more), -ENOSPC);
	/* With a publisher less there is all of its room. */
	close_endpoint(publishers[0]);
	cr_assert_eq(subscribe("t", 4, 18, &more), 0);
	cr_assert_eq(publish("t", 64, 1, &publishers[0]), -ENOSPC);
	expect_text(
		"pool 'p' has 40 chunks of 64 bytes, 1 of them left; this publisher (1 loan) would "
		"need 35 with 3 subscribers; raise the pool's count, or lower loans or the "
		"subscribers' depth");
	close_endpoint(more);
	cr_assert_eq(publish("t", 64, 3, &publishers[0]), 0);
	cr_assert_eq(publish("t", 64, 1, &more), -ENOSPC);
	end();
}

Test(admission, depth_counts_as_the_power_of_two_it_is_rounded_to)
{
	struct zcpd_endpoint *publisher, *subscriber;

	begin(ONE_CLASS);
	cr_assert_eq(publish("t", 64, 2, &publisher), 0);
	cr_assert_eq(subscribe("t", 9, 14, &subscriber), -ENOSPC);
	expect_text(
		"pool 'p' has 40 chunks of 64 bytes, 29 of them left; this subscriber (depth 16, 14 "
		"held) would need 30 with 1 publisher; raise the pool's count, or lower depth or "
		"held");
	cr_assert_eq(subscribe("t", 9, 13, &subscriber), 0);
	end();
}

Test(admission, history_counts_as_the_deeper_queue_and_once_for_each_it_is_promised_to)
{
	struct zcp_open_publisher publisher = {
		.topic = "t", .max_payload = 64, .loans = 1, .history = 10
	};
	struct zcp_open_subscriber subscriber = {
		.topic = "t", .depth = 4, .held = 1, .history = 7
	};
	struct zcpd_endpoint *endpoints[3];

	begin(ONE_CLASS);
	cr_assert_eq(zcpd_open_publisher(&registry, &client, &publisher, &endpoints[0], text,
					 sizeof(text)),
		     0);
	cr_assert_eq(n_reserved(endpoints[0]->topic, 0), 1 + 8 + 10 + 1);
	cr_assert_eq(zcpd_open_subscriber(&registry, &client, &subscriber, 1, &endpoints[1], text,
					  sizeof(text)),
		     0);
	cr_assert_eq(n_reserved(endpoints[0]->topic, 0), 1 + 8 + 10 + 1 + (1 + 7));
	/* No more than there is of it. */
	subscriber.history = 100;
	subscriber.held = 3;
	cr_assert_eq(zcpd_open_subscriber(&registry, &client, &subscriber, 1, &endpoints[2], text,
					  sizeof(text)),
		     -ENOSPC);
	expect_text(
		"pool 'p' has 40 chunks of 64 bytes, 12 of them left; this subscriber (depth 4, 3 "
		"held, history 100) would need 13 with 1 publisher; raise the pool's count, or "
		"lower depth or held");
	subscriber.held = 2;
	cr_assert_eq(zcpd_open_subscriber(&registry, &client, &subscriber, 1, &endpoints[2], text,
					  sizeof(text)),
		     0);
	end();
}

Test(admission, sum_is_over_all_topics_of_the_pool)
{
	struct zcpd_endpoint *publishers[2], *subscribers[2], *more;

	begin(ONE_CLASS);
	cr_assert_eq(publish("a", 64, 2, &publishers[0]), 0);
	cr_assert_eq(publish("b", 64, 2, &publishers[1]), 0);
	cr_assert_eq(subscribe("a", 8, 1, &subscribers[0]), 0);
	/* Subscribers of one topic have no lanes from the publishers of the other. */
	cr_assert_eq(subscribe("b", 4, 3, &subscribers[1]), 0);
	cr_assert_eq(n_reserved(publishers[0]->topic, 0), 19 + 17 + 1);
	cr_assert_eq(publish("c", 64, 1, &more), -ENOSPC);
	/* The topic that came into being for it is gone again. */
	cr_assert_null(zcpd_registry_topic(&registry, "c"));
	close_endpoint(subscribers[1]);
	cr_assert_eq(publish("c", 64, 2, &more), 0);
	end();
}

/* What a publisher that has gone left in the queues is in use until it is taken. */
Test(admission, what_a_publisher_that_has_gone_left_counts_until_it_can_be_swept)
{
	struct zcpd_endpoint *publisher, *subscriber, *more;
	struct zcp_reader reader;
	struct zcp_writer writer;

	begin(ONE_CLASS);
	cr_assert_eq(publish("t", 64, 1, &publisher), 0);
	cr_assert_eq(subscribe("t", 8, 1, &subscriber), 0);
	open_writer(publisher, &writer);
	open_reader(subscriber, &reader);
	for (int i = 0; i < 5; i++)
		publish_one(&writer);
	zcp_writer_deinit(&writer);
	close_endpoint(publisher);
	cr_assert_eq(n_reserved(subscriber->topic, 0), 5 + 1);
	cr_assert_eq(publish("u", 64, 27, &more), -ENOSPC);
	cr_assert_not_null(
		strstr(text, "34 of them left; this publisher (27 loans) would need 35"));
	/* Two are taken, one of them is held. */
	(void)expect(&reader, 1, 0);
	cr_assert_eq(zcp_reader_release(&reader, 0, zcp_held(0, 1)), 0);
	(void)expect(&reader, 2, 0);
	cr_assert_eq(publish("u", 64, 28, &more), -ENOSPC);
	cr_assert_eq(publish("u", 64, 27, &more), 0);
	cr_assert_eq(n_reserved(subscriber->topic, 0), 4 + 27 + 8 + 1);
	close_endpoint(more);
	/* The next publisher of the slot has the same chunks. */
	cr_assert_eq(publish("t", 64, 22, &more), 0);
	cr_assert_eq(n_reserved(subscriber->topic, 0), 22 + 8 + 8 + 1 + 1);
	zcp_reader_deinit(&reader);
	zcp_pool_deinit(&pool);
	end();
}

/* One that was deep has left, and its publisher has not given back what was in its queue. */
Test(admission, publisher_that_owns_more_than_it_needs_counts_as_what_it_owns)
{
	struct zcpd_endpoint *publisher, *subscriber;
	struct zcp_writer writer;

	begin(ONE_CLASS);
	cr_assert_eq(publish("t", 64, 1, &publisher), 0);
	cr_assert_eq(subscribe("t", 16, 1, &subscriber), 0);
	open_writer(publisher, &writer);
	for (int i = 0; i < 20; i++)
		publish_one(&writer);
	close_endpoint(subscriber);
	cr_assert_gt(n_owned(publisher->topic), 9);
	cr_assert_eq(n_reserved(publisher->topic, 0), n_owned(publisher->topic) + 1);
	for (int i = 0; i < 1000; i++)
		publish_one(&writer);
	cr_assert_leq(n_owned(publisher->topic), 9 + 8);
	zcp_writer_deinit(&writer);
	zcp_pool_deinit(&pool);
	end();
}

/* Its queue is no longer the newest messages, as the others' are. */
Test(admission, subscriber_that_is_no_longer_active_counts_with_a_queue_of_its_own)
{
	struct zcpd_endpoint *publisher, *subscribers[2];

	begin(ONE_CLASS);
	cr_assert_eq(publish("t", 64, 1, &publisher), 0);
	cr_assert_eq(subscribe("t", 4, 1, &subscribers[0]), 0);
	cr_assert_eq(subscribe("t", 2, 1, &subscribers[1]), 0);
	cr_assert_eq(n_reserved(publisher->topic, 0), 1 + 8 + 4 + 2 + 1);
	zcpd_registry_deactivate(&registry, subscribers[0]);
	cr_assert_eq(n_reserved(publisher->topic, 0), 1 + 8 + 2 + 4 + 2 + 1);
	close_endpoint(subscribers[0]);
	cr_assert_eq(n_reserved(publisher->topic, 0), 1 + 8 + 2 + 1 + 1);
	end();
}

/* Without a named pool the limits make the sum, whatever the first endpoints ask for. */
Test(admission, pool_of_a_topics_own_holds_what_its_limits_allow)
{
	struct zcpd_endpoint *publishers[3], *subscribers[4], *more;

	begin("[defaults]\nmax_publishers = 3\nmax_subscribers = 4\ndepth = 2\nmax_depth = 4\n"
	      "loans = 2\nheld = 1\n");
	for (int s = 0; s < 4; s++)
		cr_assert_eq(subscribe("t", 4, 0, &subscribers[s]), 0);
	for (int p = 0; p < 3; p++)
		cr_assert_eq(publish("t", 100, 0, &publishers[p]), 0, "%s", text);
	cr_assert_eq(subscribers[0]->topic->pool->view.classes[0].n_chunks,
		     3 * (2 + 8 + 4 + 4) + 1);
	close_endpoint(subscribers[0]);
	cr_assert_eq(subscribe("t", 4, 2, &more), -ENOSPC);
	cr_assert_not_null(strstr(text, "pool 't' has 55 chunks of 100 bytes"));
	cr_assert_not_null(strstr(text, "raise the topic's limits or give it a pool, or "
					"lower depth or held"));
	cr_assert_eq(subscribe("t", 4, 1, &more), 0);
	end();
}

/* One that has more subscribers than its limits foresaw when its first publisher comes. */
Test(admission, pool_of_a_topics_own_holds_what_was_let_in_before_it_was_made)
{
	struct zcpd_endpoint *publisher, *subscribers[2];

	begin("[defaults]\nmax_publishers = 1\nmax_subscribers = 2\ndepth = 1\nmax_depth = 64\n");
	for (int s = 0; s < 2; s++)
		cr_assert_eq(subscribe("t", 64, 100, &subscribers[s]), 0);
	cr_assert_eq(publish("t", 100, 3, &publisher), 0, "%s", text);
	end();
}

/* --- size classes --- */

#define TWO_CLASSES                                                                                \
	"[pool.p]\nclasses = [{size = 64, count = 20}, {size = \"1KiB\", count = 30}]\n"           \
	"[topic.\"*\"]\npool = \"p\"\n"

Test(admission, publisher_takes_from_the_smallest_class_that_fits_and_from_no_other)
{
	struct zcpd_endpoint *small, *large, *other;

	begin(TWO_CLASSES);
	cr_assert_eq(publish("small", 64, 12, &small), -ENOSPC);
	expect_text(
		"pool 'p' has 20 chunks of 64 bytes, 20 of them left; this publisher (12 loans) "
		"would need 21; raise the pool's count, or lower loans or the subscribers' depth");
	cr_assert_eq(publish("small", 64, 11, &small), 0);
	cr_assert_eq(publish("large", 65, 22, &large), -ENOSPC);
	cr_assert_not_null(strstr(text, "has 30 chunks of 1 KiB, 30 of them left;"));
	cr_assert_eq(publish("large", 65, 21, &large), 0);
	cr_assert_eq(n_reserved(small->topic, 0), 20);
	cr_assert_eq(n_reserved(small->topic, 1), 30);
	cr_assert_eq(publish("small", 64, 1, &other), -ENOSPC);
	cr_assert_eq(publish("large", 1024, 1, &other), -ENOSPC);
	end();
}

/* A subscriber counts in the class of each of its publishers. */
Test(admission, subscriber_counts_in_every_class_that_its_topic_has_publishers_in)
{
	struct zcpd_endpoint *publishers[2], *subscriber;

	begin(TWO_CLASSES);
	cr_assert_eq(publish("t", 64, 1, &publishers[0]), 0);
	cr_assert_eq(publish("t", 1024, 1, &publishers[1]), 0);
	cr_assert_eq(subscribe("t", 4, 4, &subscriber), 0);
	cr_assert_eq(n_reserved(publishers[0]->topic, 0), 1 + 8 + 4 + 4 + 1);
	cr_assert_eq(n_reserved(publishers[0]->topic, 1), 1 + 8 + 4 + 4 + 1);
	/* The smaller class is short, whatever the larger one has. */
	cr_assert_eq(subscribe("t", 4, 3, &subscriber), -ENOSPC);
	expect_text(
		"pool 'p' has 20 chunks of 64 bytes, 2 of them left; this subscriber (depth 4, "
		"3 held) would need 3 with 2 publishers; raise the pool's count, or lower depth "
		"or held");
	end();
}

Test(admission, sizes_are_for_people)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} sizes[] = {
		{ 0, "0 bytes" },
		{ 1, "1 bytes" },
		{ 1023, "1023 bytes" },
		{ 1024, "1 KiB" },
		{ 1025, "1025 bytes" },
		{ 921600, "900 KiB" },
		{ UINT64_C(8) << 20, "8 MiB" },
		{ UINT64_C(3) << 30, "3 GiB" },
		{ UINT64_C(5) << 40, "5 TiB" },
		{ UINT64_C(1) << 50, "1024 TiB" },
	};
	char formatted[64];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		zcpd_format_size(sizes[i].bytes, formatted, sizeof(formatted));
		cr_assert_str_eq(formatted, sizes[i].text);
	}
}
