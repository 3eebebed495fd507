/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a topic's messages look like: the type with its size and alignment, where payloads
 * begin. Who settles it, who is refused, and with which sentence.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zcp/zcp.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
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
	ZCP_CHECK(zcp_test_inside(publisher).pool->classes[0].payload_size == sizeof(struct imu));
	ZCP_CHECK(zcp_test_inside(publisher).writer->options.max_loans == 3);
	zcp_test_info(node, "imu", &reply);
	ZCP_CHECK(strcmp(reply.u.topic_info.type, "struct imu") == 0);
	ZCP_CHECK(reply.u.topic_info.type_size == 48 && reply.u.topic_info.type_alignment == 8);
	zcp_message_deinit(&reply);
	zcp_node_close(node);
}

/* It ends up in other people's sentences. */
static void name_of_a_type_is_text(void)
{
	static const char *const control[] = { "two\nlines", "\x1b[2J", "\x7f" };
	static const char *const bytes[] = { "\xff", "\xc3", "a\xed\xa0\x80" };

	node = zcp_test_node();
	for (int i = 0; i < 3; i++) {
		ZCP_REFUSED(publish("imu", control[i], 64, 8), node, -EINVAL,
			    "the type's name has a control character: remove it");
		ZCP_REFUSED(subscribe("imu", control[i], 64, 8), node, -EINVAL,
			    "the type's name has a control character: remove it");
		ZCP_REFUSED(publish("imu", bytes[i], 64, 8), node, -EINVAL,
			    "the type's name is not UTF-8: encode it so");
		ZCP_REFUSED(subscribe("imu", bytes[i], 64, 8), node, -EINVAL,
			    "the type's name is not UTF-8: encode it so");
	}
	ZCP_OK(publish("imu", "Größe", 64, 8), node);
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

static int subscribe_header(const char *topic, const char *type, uint32_t user_header_size)
{
	const struct zcp_subscriber_options options = {
		.struct_size = sizeof(options),
		.type = type,
		.user_header_size = user_header_size,
	};

	return zcp_subscriber_open(&subscriber, node, topic, &options);
}

static void subscriber_settles_nothing_beyond_its_life(void)
{
	struct zcp_subscriber *wrong;

	node = zcp_test_node();
	/* Both topics go on with this one. */
	ZCP_OK(subscribe("idle", NULL, 0, 0), node);
	ZCP_OK(publish("busy", NULL, 0, 0), node);
	for (int i = 0; i < 2; i++) {
		const char *topic = i == 0 ? "idle" : "busy";

		ZCP_OK(subscribe(topic, "wrong", 40, 16), node);
		wrong = subscriber;
		ZCP_REFUSED(subscribe(topic, "right", 48, 8), node, -EPROTOTYPE,
			    "has type 'wrong' of 40 bytes aligned to 16, and this subscriber has");
		ZCP_REFUSED(publish(topic, "right", 48, 8), node, -EPROTOTYPE,
			    "has type 'wrong' of 40 bytes aligned to 16, and this publisher has");
		zcp_subscriber_close(wrong);
		ZCP_OK(subscribe(topic, "right", 48, 8), node);
		ZCP_OK(publish(topic, "right", 48, 8), node);
	}

	ZCP_OK(subscribe("header", NULL, 0, 0), node);
	ZCP_OK(subscribe_header("header", NULL, 16), node);
	ZCP_REFUSED(publish("header", NULL, 0, 0), node, -EPROTOTYPE,
		    "has a user header of 16 bytes, and this publisher has no user header");
	zcp_subscriber_close(subscriber);
	ZCP_OK(publish("header", NULL, 0, 0), node);
	zcp_node_close(node);
}

/* Whoever keeps the runtime's books meanwhile. */
static void what_a_subscriber_declares_holds_as_long_as_it_lives(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_message reply;

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	ZCP_OK(subscribe_header("t", "struct imu", 16), node);
	for (int i = 0; i < 3; i++) {
		if (i == 1)
			zcp_test_kill_worker(runtime.pid);
		if (i == 2) {
			zcp_test_runtime_kill_all(&runtime);
			zcp_test_runtime_start(&runtime, NULL);
		}
		ZCP_REFUSED(publish("t", "struct gps", 0, 0), node, -EPROTOTYPE,
			    "topic 't' has type 'struct imu', and this publisher has type "
			    "'struct gps'");
		ZCP_REFUSED(publish("t", "struct imu", 0, 0), node, -EPROTOTYPE,
			    "has a user header of 16 bytes, and this publisher has no");
		zcp_test_info(node, "t", &reply);
		ZCP_CHECK(strcmp(reply.u.topic_info.type, "struct imu") == 0);
		ZCP_CHECK(reply.u.topic_info.user_header_size == 16);
		zcp_message_deinit(&reply);
	}
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

/* --- where payloads begin --- */

#define LOANS 4

static int publish_aligned(const char *topic, size_t alignment, size_t type_alignment,
			   size_t max_payload)
{
	const struct zcp_publisher_options options = {
		.struct_size = sizeof(options),
		.type_alignment = type_alignment,
		.max_payload = max_payload,
		.loans = LOANS,
		.alignment = alignment,
	};

	return zcp_publisher_open(&publisher, node, topic, &options);
}

/* The last publisher's payloads are aligned to that, all of them; and the runtime says so. */
static void expect_alignment(const char *topic, size_t alignment)
{
	const struct zcp_class *class =
		&zcp_test_inside(publisher)
			 .pool->classes[zcp_test_inside(publisher).writer->options.class_index];
	struct zcp_loan loans[LOANS];
	struct zcp_message reply;
	bool further = false;

	for (int i = 0; i < LOANS; i++) {
		ZCP_OK(zcp_publisher_loan(publisher, zcp_publisher_max_payload(publisher),
					  &loans[i]),
		       node);
		ZCP_CHECK((uintptr_t)loans[i].data % alignment == 0);
		further |= (uintptr_t)loans[i].data % (2 * alignment) != 0;
	}
	/* Not by chance, where chunks do not lie further apart by themselves. */
	ZCP_CHECK(further || class->stride % (2 * alignment) == 0);
	for (int i = 0; i < LOANS; i++)
		ZCP_OK(zcp_publisher_discard(publisher, &loans[i]), node);
	zcp_test_info(node, topic, &reply);
	ZCP_CHECK(reply.u.topic_info.alignment == alignment);
	zcp_message_deinit(&reply);
}

static void first_publisher_settles_the_alignment(void)
{
	node = zcp_test_node();
	ZCP_OK(publish_aligned("t", 256, 8, 100), node);
	expect_alignment("t", 256);
	ZCP_REFUSED(publish_aligned("t", 512, 0, 100), node, -EINVAL,
		    "topic 't' has payloads aligned to 256 bytes, and this publisher needs 512: "
		    "set alignment = 512 in [topic.\"t\"] of the configuration");
	/* What others need less they get all the same, and in every class. */
	ZCP_OK(publish_aligned("t", 0, 0, 5000), node);
	ZCP_CHECK(zcp_test_inside(publisher).pool->n_classes == 2);
	expect_alignment("t", 256);
	ZCP_OK(publish_aligned("t", 64, 0, 20000), node);
	ZCP_CHECK(zcp_test_inside(publisher).pool->n_classes == 3);
	expect_alignment("t", 256);

	ZCP_OK(publish_aligned("default", 0, 0, 100), node);
	expect_alignment("default", 64);
	ZCP_OK(publish_aligned("less", 16, 8, 100), node);
	expect_alignment("less", 64);
	ZCP_OK(publish_aligned("page", 4096, 0, 100), node);
	expect_alignment("page", 4096);
	zcp_node_close(node);
}

static void alignment_of_the_type_counts(void)
{
	node = zcp_test_node();
	ZCP_OK(publish_aligned("t", 0, 128, 100), node);
	expect_alignment("t", 128);
	ZCP_OK(publish_aligned("both", 128, 256, 100), node);
	expect_alignment("both", 256);
	/* That of a subscriber too, before there is a publisher and after. */
	ZCP_OK(subscribe("before", NULL, 0, 512), node);
	ZCP_OK(publish_aligned("before", 0, 0, 100), node);
	expect_alignment("before", 512);
	ZCP_OK(publish_aligned("after", 0, 0, 100), node);
	ZCP_REFUSED(
		subscribe("after", NULL, 0, 128), node, -EINVAL,
		"topic 'after' has payloads aligned to 64 bytes, and this subscriber needs 128: "
		"set alignment = 128 in [topic.\"after\"] of the configuration");
	ZCP_OK(subscribe("after", NULL, 0, 64), node);
	zcp_node_close(node);
}

static void configuration_settles_the_alignment(void)
{
	struct zcp_test_runtime runtime;

	zcp_test_runtime_start(&runtime, "[pool.\"p\"]\nclasses = [{size = 100, count = 1000}, "
					 "{size = \"8KiB\", count = 1000}]\nalignment = \"1KiB\"\n"
					 "[pool.plain]\nclasses = [{size = 100, count = 1000}]\n"
					 "[topic.\"p/*\"]\npool = \"p\"\nalignment = 512\n"
					 "[topic.\"plain\"]\npool = \"plain\"\n"
					 "[topic.\"set\"]\nalignment = 128\n"
					 "[topic.\"little\"]\nalignment = 8\n");
	node = zcp_test_node();
	ZCP_REFUSED(publish_aligned("set", 256, 0, 100), node, -EINVAL,
		    "topic 'set' has payloads aligned to 128 bytes, and this publisher needs 256: "
		    "set alignment = 256 in [topic.\"set\"]");
	ZCP_REFUSED(subscribe("set", NULL, 0, 256), node, -EINVAL, "this subscriber needs 256");
	ZCP_OK(publish_aligned("set", 0, 0, 100), node);
	expect_alignment("set", 128);
	ZCP_OK(publish_aligned("little", 64, 0, 100), node);
	expect_alignment("little", 64);
	ZCP_REFUSED(
		publish_aligned("p/a", 2048, 0, 100), node, -EINVAL,
		"topic 'p/a' has payloads aligned to 1024 bytes, and this publisher needs 2048: "
		"set alignment = 2048 in [pool.\"p\"] of the configuration");
	ZCP_OK(publish_aligned("p/a", 1024, 0, 100), node);
	expect_alignment("p/a", 1024);
	ZCP_OK(publish_aligned("p/b", 0, 0, 8192), node);
	expect_alignment("p/b", 1024);
	ZCP_REFUSED(publish_aligned("plain", 0, 128, 100), node, -EINVAL,
		    "aligned to 64 bytes|128|plain");
	ZCP_OK(publish_aligned("plain", 0, 0, 100), node);
	expect_alignment("plain", 64);
	zcp_node_close(node);
}

static void alignment_that_is_none_is_refused(void)
{
	static const size_t wrong[] = { 3, 96, 4097, 8192, SIZE_MAX, SIZE_MAX / 2 + 1 };

	node = zcp_test_node();
	ZCP_OK(subscribe("t", NULL, 0, 0), node);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ZCP_REFUSED(publish_aligned("t", wrong[i], 0, 100), node, -EINVAL,
			    "alignment is|use a power of two, 4096 at most");
	/* Whoever is refused for something else has settled nothing. */
	ZCP_REFUSED(publish_aligned("t", 4096, 0, 0), node, -EINVAL, "no payload size is known");
	ZCP_OK(publish_aligned("t", 128, 0, 100), node);
	expect_alignment("t", 128);
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(type_says_all_about_itself),
	ZCP_TEST_CASE(name_of_a_type_is_text),
	ZCP_TEST_CASE(both_sides_of_a_mismatch_are_named),
	ZCP_TEST_CASE(each_part_is_settled_by_who_declares_it_first),
	ZCP_TEST_CASE(subscriber_settles_nothing_beyond_its_life),
	ZCP_TEST_CASE(what_a_subscriber_declares_holds_as_long_as_it_lives),
	ZCP_TEST_CASE(longest_names_leave_the_sentence_complete),
	ZCP_TEST_CASE(type_alignment_that_is_none_is_refused),
	ZCP_TEST_CASE(payload_is_as_large_as_its_type),
	ZCP_TEST_CASE(first_publisher_settles_the_alignment),
	ZCP_TEST_CASE(alignment_of_the_type_counts),
	ZCP_TEST_CASE(configuration_settles_the_alignment),
	ZCP_TEST_CASE(alignment_that_is_none_is_refused),
};

ZCP_TEST_MAIN(cases)
