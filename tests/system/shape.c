/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a topic's messages look like: the type with its size and alignment. Who declares it
 * first, who is refused, and with which sentence.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zcp/zcp.h>

#include "pubsub/client/publisher.h"
#include "tests/support/cases.h"
#include "tests/support/runtime.h"

struct imu {
	double acceleration[3];
	double rotation[3];
};

/* The next version of it. */
struct imu_64 {
	double acceleration[3];
	double rotation[3];
	double temperature[2];
};

static struct zcp_node *node;
static struct zcp_publisher *publisher;
static struct zcp_subscriber *subscriber;

static int publish(const char *topic, const char *type, size_t size, size_t alignment)
{
	const struct zcp_publisher_options options = {
		.struct_size = sizeof(options),
		.type = type,
		.type_size = size,
		.type_alignment = alignment,
		.max_payload = 64,
	};

	return zcp_publisher_open(&publisher, node, topic, &options);
}

static int subscribe(const char *topic, const char *type, size_t size, size_t alignment)
{
	const struct zcp_subscriber_options options = {
		.struct_size = sizeof(options),
		.type = type,
		.type_size = size,
		.type_alignment = alignment,
	};

	return zcp_subscriber_open(&subscriber, node, topic, &options);
}

static void type_says_all_about_itself(void)
{
	const struct zcp_publisher_options po = {
		.struct_size = sizeof(po),
		ZCP_TYPE(struct imu),
		.loans = 3,
	};
	const struct zcp_subscriber_options so = { .struct_size = sizeof(so),
						   ZCP_TYPE(struct imu) };
	struct zcp_message reply;

	ZCP_CHECK(strcmp(po.type, "struct imu") == 0 && strcmp(so.type, po.type) == 0);
	ZCP_CHECK(po.type_size == 48 && so.type_size == 48);
	ZCP_CHECK(po.type_alignment == 8 && so.type_alignment == 8);
	node = zcp_test_node();
	ZCP_OK(zcp_publisher_open(&publisher, node, "imu", &po), node);
	ZCP_OK(zcp_subscriber_open(&subscriber, node, "imu", &so), node);
	/* The size of a message is that of its type. */
	ZCP_CHECK(zcp_publisher_max_payload(publisher) == sizeof(struct imu));
	ZCP_CHECK(publisher->endpoint.pool.classes[0].payload_size == sizeof(struct imu));
	ZCP_CHECK(publisher->writer.options.max_loans == 3);
	zcp_test_info(node, "imu", &reply);
	ZCP_CHECK(strcmp(reply.u.topic_info.type, "struct imu") == 0);
	ZCP_CHECK(reply.u.topic_info.type_size == 48 && reply.u.topic_info.type_alignment == 8);
	zcp_message_deinit(&reply);
	zcp_node_close(node);
}

static void both_sides_of_a_mismatch_are_named(void)
{
	node = zcp_test_node();
	ZCP_OK(publish("imu", "struct imu", sizeof(struct imu), 8), node);
	ZCP_REFUSED(subscribe("imu", "struct imu", sizeof(struct imu_64), 8), node, -EPROTOTYPE,
		    "topic 'imu' has type 'struct imu' of 48 bytes aligned to 8, and this "
		    "subscriber has type 'struct imu' of 64 bytes aligned to 8: use one type, or "
		    "another topic");
	ZCP_REFUSED(subscribe("imu", "struct imu", 48, 16), node, -EPROTOTYPE,
		    "'struct imu' of 48 bytes aligned to 8, and this subscriber has type "
		    "'struct imu' of 48 bytes aligned to 16: use one type");
	ZCP_REFUSED(subscribe("imu", "struct gps", 48, 8), node, -EPROTOTYPE,
		    "'struct imu' of 48 bytes aligned to 8, and this subscriber has type "
		    "'struct gps' of 48 bytes aligned to 8: use one type");
	ZCP_REFUSED(publish("imu", "struct imu", 64, 0), node, -EPROTOTYPE,
		    "aligned to 8, and this publisher has type 'struct imu' of 64 bytes: use");
	ZCP_REFUSED(publish("imu", NULL, 64, 4), node, -EPROTOTYPE,
		    "and this publisher has a type of 64 bytes aligned to 4: use");
	/* Who says nothing, or a part of it, takes what there is. */
	ZCP_OK(subscribe("imu", NULL, 0, 0), node);
	ZCP_OK(subscribe("imu", "struct imu", 0, 0), node);
	ZCP_OK(subscribe("imu", NULL, 48, 0), node);
	ZCP_OK(publish("imu", NULL, 0, 8), node);

	/* The other way round. */
	ZCP_OK(subscribe("other", "struct imu", 48, 8), node);
	ZCP_REFUSED(publish("other", "struct imu", 64, 8), node, -EPROTOTYPE,
		    "topic 'other' has type 'struct imu' of 48 bytes aligned to 8, and this "
		    "publisher has type 'struct imu' of 64 bytes aligned to 8: use one type, or "
		    "another topic");
	ZCP_OK(publish("other", "struct imu", 48, 8), node);
	zcp_node_close(node);
}

static void each_part_is_settled_by_who_declares_it_first(void)
{
	struct zcp_test_runtime runtime;

	zcp_test_runtime_start(&runtime, "[topic.\"set\"]\ntype = \"struct imu\"\n");
	node = zcp_test_node();
	ZCP_OK(subscribe("t", NULL, 0, 0), node);
	ZCP_OK(publish("t", NULL, 48, 0), node);
	ZCP_REFUSED(publish("t", "a", 40, 0), node, -EPROTOTYPE,
		    "has a type of 48 bytes, and this publisher has type 'a' of 40 bytes: use");
	/* Whoever was refused has settled nothing. */
	ZCP_OK(subscribe("t", "b", 0, 0), node);
	ZCP_REFUSED(subscribe("t", "a", 0, 0), node, -EPROTOTYPE,
		    "has type 'b' of 48 bytes, and this subscriber has type 'a': use");
	ZCP_OK(publish("t", "b", 48, 16), node);
	ZCP_REFUSED(subscribe("t", NULL, 0, 8), node, -EPROTOTYPE,
		    "has type 'b' of 48 bytes aligned to 16, and this subscriber has a type "
		    "aligned to 8: use");
	/* The configuration knows the name only. */
	ZCP_OK(publish("set", "struct imu", 48, 8), node);
	ZCP_REFUSED(subscribe("set", "struct imu", 64, 8), node, -EPROTOTYPE,
		    "'struct imu' of 48 bytes aligned to 8|64 bytes");
	zcp_node_close(node);
}

static void longest_names_leave_the_sentence_complete(void)
{
	char topic[ZCP_TOPIC_NAME_MAX + 1], ours[ZCP_TYPE_NAME_MAX + 1],
		theirs[ZCP_TYPE_NAME_MAX + 1], sentence[1024];

	memset(topic, 'n', sizeof(topic) - 1);
	memset(ours, 'o', sizeof(ours) - 1);
	memset(theirs, 't', sizeof(theirs) - 1);
	topic[sizeof(topic) - 1] = ours[sizeof(ours) - 1] = theirs[sizeof(theirs) - 1] = 0;
	node = zcp_test_node();
	ZCP_OK(subscribe(topic, ours, SIZE_MAX, 4096), node);
	(void)snprintf(sentence, sizeof(sentence),
		       "topic '%s' has type '%s' of %zu bytes aligned to 4096, and this publisher "
		       "has type '%s' of %zu bytes aligned to 1: use one type, or another topic",
		       topic, ours, SIZE_MAX, theirs, SIZE_MAX - 1);
	ZCP_REFUSED(publish(topic, theirs, SIZE_MAX - 1, 1), node, -EPROTOTYPE, sentence);
	zcp_node_close(node);
}

static void type_alignment_that_is_none_is_refused(void)
{
	static const size_t wrong[] = { 3, 48, 4097, 8192, SIZE_MAX };

	node = zcp_test_node();
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ZCP_REFUSED(publish("t", "t", 48, wrong[i]), node, -EINVAL,
			    "type_alignment is|use a power of two, 4096 at most");
		ZCP_REFUSED(subscribe("t", "t", 48, wrong[i]), node, -EINVAL,
			    "type_alignment is|use a power of two, 4096 at most");
	}
	ZCP_CHECK(zcp_test_ask(node, "t") == -ENOENT);
	zcp_node_close(node);
}

static int publish_any(const char *topic, size_t type_size, size_t max_payload)
{
	const struct zcp_publisher_options options = {
		.struct_size = sizeof(options),
		.type_size = type_size,
		.max_payload = max_payload,
	};

	return zcp_publisher_open(&publisher, node, topic, &options);
}

static void payload_is_as_large_as_its_type(void)
{
	struct zcp_test_runtime runtime;

	zcp_test_runtime_start(&runtime, "[pool.p]\nclasses = [{size = 256, count = 1000}]\n"
					 "[topic.\"pooled\"]\npool = \"p\"\n"
					 "[topic.\"limited\"]\nmax_payload = \"1KiB\"\n");
	node = zcp_test_node();
	/* What is said counts more: an array of them. */
	ZCP_OK(publish_any("said", 48, 480), node);
	ZCP_CHECK(zcp_publisher_max_payload(publisher) == 480);
	ZCP_OK(publish_any("said", 48, 0), node);
	ZCP_CHECK(zcp_publisher_max_payload(publisher) == 48);
	ZCP_OK(publish_any("pooled", 200, 0), node);
	ZCP_CHECK(zcp_publisher_max_payload(publisher) == 200);
	ZCP_OK(publish_any("limited", 1000, 0), node);
	ZCP_CHECK(zcp_publisher_max_payload(publisher) == 1000);
	/* Known from a subscriber. */
	ZCP_OK(subscribe("known", "t", 56, 8), node);
	ZCP_OK(publish_any("known", 0, 0), node);
	ZCP_CHECK(zcp_publisher_max_payload(publisher) == 56);

	zcp_node_close(node);
	node = zcp_test_node();
	ZCP_REFUSED(publish_any("pooled", 257, 0), node, -EMSGSIZE,
		    "type_size of 257 bytes is more than topic 'pooled' holds (256 bytes|a size "
		    "of the pool");
	ZCP_REFUSED(publish_any("limited", 1025, 0), node, -EMSGSIZE,
		    "type_size of 1025 bytes|'limited' holds (1 KiB|max_payload of the topic");
	ZCP_REFUSED(publish_any("unknown", 0, 0), node, -EINVAL,
		    "no payload size is known for topic 'unknown'|set max_payload or type_size");
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(type_says_all_about_itself),
	ZCP_TEST_CASE(both_sides_of_a_mismatch_are_named),
	ZCP_TEST_CASE(each_part_is_settled_by_who_declares_it_first),
	ZCP_TEST_CASE(longest_names_leave_the_sentence_complete),
	ZCP_TEST_CASE(type_alignment_that_is_none_is_refused),
	ZCP_TEST_CASE(payload_is_as_large_as_its_type),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
