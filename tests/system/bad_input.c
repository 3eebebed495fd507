/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a user may get wrong with topics, types, options and limits: each with its errno and
 * a sentence that says what, on what, and what to do about it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zcp/zcp.h>

#include "pubsub/client/publisher.h"
#include "pubsub/client/subscriber.h"
#include "tests/support/cases.h"
#include "tests/support/runtime.h"

/* No slot of the topic has it. */
#define OTHER_OWNER 4711

static struct zcp_node *node;
static struct zcp_publisher *publisher;
static struct zcp_subscriber *subscriber;

/* With a payload of 64 bytes, so that nothing but the name can be wrong. */
static int publish_on(const char *topic)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;

	options.max_payload = 64;
	return zcp_publisher_open(&publisher, node, topic, &options);
}

static int publish_type(const char *topic, const char *type)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;

	options.max_payload = 64;
	options.type = type;
	return zcp_publisher_open(&publisher, node, topic, &options);
}

static int publish_size(const char *topic, size_t max_payload)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;

	options.max_payload = max_payload;
	return zcp_publisher_open(&publisher, node, topic, &options);
}

static int publish_loans(const char *topic, uint32_t loans)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;

	options.max_payload = 64;
	options.loans = loans;
	return zcp_publisher_open(&publisher, node, topic, &options);
}

static int subscribe_to(const char *topic)
{
	return zcp_subscriber_open(&subscriber, node, topic, NULL);
}

static int subscribe_type(const char *topic, const char *type)
{
	struct zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;

	options.type = type;
	return zcp_subscriber_open(&subscriber, node, topic, &options);
}

static int subscribe_with(const char *topic, uint32_t depth, uint32_t held, uint32_t on_full)
{
	struct zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;

	options.depth = depth;
	options.held = held;
	options.on_full = on_full;
	return zcp_subscriber_open(&subscriber, node, topic, &options);
}

static void check_name(const char *name, int error, const char *words)
{
	ZCP_REFUSED(publish_on(name), node, error, words);
	ZCP_REFUSED(subscribe_to(name), node, error, words);
}

static void topic_name_is_malformed(void)
{
	char name[ZCP_TOPIC_NAME_MAX + 2];

	node = zcp_test_node();
	check_name("", -EINVAL, "topic's name is empty");
	check_name(NULL, -EINVAL, "topic's name is empty");
	check_name("caf\xe9", -EINVAL, "not UTF-8");
	check_name("a\nb", -EINVAL, "control character (0x0a) at byte 2");
	check_name("\x7f", -EINVAL, "control character (0x7f) at byte 1");
	check_name("a\xc2\x9b"
		   "2J",
		   -EINVAL, "control character (0x9b) at byte 2");
	check_name("camera/*", -EINVAL, "'camera/*' has a '*'|wildcards are for the configuration");
	check_name("*", -EINVAL, "has a '*'");
	memset(name, 'n', sizeof(name));
	name[ZCP_TOPIC_NAME_MAX + 1] = 0;
	check_name(name, -ENAMETOOLONG, "longer than 255 bytes|shorten");

	/* What is allowed. */
	name[ZCP_TOPIC_NAME_MAX] = 0;
	ZCP_OK(publish_on(name), node);
	ZCP_OK(subscribe_to(name), node);
	ZCP_OK(publish_on("/kamera/gr\xc3\xb6\xc3\x9f"
			  "e \xe2\x82\xac \xf0\x9f\x93\xb7/"),
	       node);
	ZCP_OK(subscribe_to("/kamera/gr\xc3\xb6\xc3\x9f"
			    "e \xe2\x82\xac \xf0\x9f\x93\xb7/"),
	       node);
	zcp_node_close(node);
}

static void type_does_not_match(void)
{
	static const char *const both = "topic 'image'|'sensor/Image'|'sensor/Imu'|use one type";
	struct zcp_test_runtime runtime;
	char type[ZCP_TYPE_NAME_MAX + 2];

	zcp_test_runtime_start(&runtime, "[topic.\"set/*\"]\ntype = \"as/Configured\"\n");
	node = zcp_test_node();
	ZCP_OK(publish_type("image", "sensor/Image"), node);
	ZCP_REFUSED(publish_type("image", "sensor/Imu"), node, -EPROTOTYPE, both);
	ZCP_REFUSED(subscribe_type("image", "sensor/Imu"), node, -EPROTOTYPE, both);
	ZCP_CHECK(zcp_test_has(zcp_node_error(node), "this subscriber"));
	ZCP_OK(subscribe_type("image", "sensor/Image"), node);
	/* Who names none takes any. */
	ZCP_OK(subscribe_type("image", NULL), node);
	ZCP_OK(publish_type("image", ""), node);
	/* And the first that names one settles it. */
	ZCP_OK(subscribe_type("later", NULL), node);
	ZCP_OK(subscribe_type("later", "b"), node);
	ZCP_REFUSED(publish_type("later", "a"), node, -EPROTOTYPE, "topic 'later'|'b'|'a'");
	ZCP_REFUSED(publish_type("set/here", "a"), node, -EPROTOTYPE, "'as/Configured'|'a'");
	ZCP_OK(publish_type("set/here", "as/Configured"), node);

	memset(type, 't', sizeof(type));
	type[ZCP_TYPE_NAME_MAX + 1] = 0;
	ZCP_REFUSED(publish_type("long", type), node, -ENAMETOOLONG,
		    "type's name|127 bytes|shorten");
	ZCP_REFUSED(subscribe_type("long", type), node, -ENAMETOOLONG, "type's name|127 bytes");
	type[ZCP_TYPE_NAME_MAX] = 0;
	ZCP_OK(publish_type("long", type), node);
	zcp_node_close(node);
}

/* --- option structs of other versions --- */

/* One with fields that this library does not know behind those it does. */
struct newer {
	union {
		size_t struct_size;
		struct zcp_node_options node;
		struct zcp_publisher_options publisher;
		struct zcp_subscriber_options subscriber;
	} u;
	uint64_t more[4];
};

static struct zcp_node *second;

static int open_node(const struct newer *options)
{
	return zcp_node_open(&second, &options->u.node);
}

static int open_publisher(const struct newer *options)
{
	return zcp_publisher_open(&publisher, node, "options", &options->u.publisher);
}

static int open_subscriber(const struct newer *options)
{
	return zcp_subscriber_open(&subscriber, node, "options", &options->u.subscriber);
}

/* Option structs without a reserved field. */
#define NO_RESERVED SIZE_MAX

/* `reserved` is the offset of the field of that name, `whose` the node with the sentence. */
static void check_options(int (*open)(const struct newer *options), size_t size, size_t reserved,
			  const char *name, struct zcp_node **whose)
{
	struct newer options;
	const struct zcp_node *sentence = whose ? *whose : NULL;

	memset(&options, 0, sizeof(options));
	ZCP_REFUSED(open(&options), sentence, -EINVAL, name);
	options.u.struct_size = sizeof(size_t) - 1;
	ZCP_REFUSED(open(&options), sentence, -EINVAL, name);
	options.u.struct_size = SIZE_MAX;
	ZCP_REFUSED(open(&options), sentence, -EINVAL, name);

	options.u.struct_size = size + 8;
	((char *)&options)[size] = 1;
	ZCP_REFUSED(open(&options), sentence, -E2BIG, name);
	options.u.struct_size = size + 1;
	ZCP_REFUSED(open(&options), sentence, -E2BIG, name);
	((char *)&options)[size] = 0;
	options.u.struct_size = size;
	if (reserved == NO_RESERVED)
		return;
	((char *)&options)[reserved] = 1;
	ZCP_REFUSED(open(&options), sentence, -EINVAL, name);
}

static void option_structs_of_other_versions(void)
{
	struct newer options;

	node = zcp_test_node();
	check_options(open_node, sizeof(struct zcp_node_options),
		      offsetof(struct zcp_node_options, reserved), "ZCP_NODE_OPTIONS_INIT", NULL);
	check_options(open_publisher, sizeof(struct zcp_publisher_options), NO_RESERVED,
		      "ZCP_PUBLISHER_OPTIONS_INIT", &node);
	check_options(open_subscriber, sizeof(struct zcp_subscriber_options),
		      offsetof(struct zcp_subscriber_options, reserved),
		      "ZCP_SUBSCRIBER_OPTIONS_INIT", &node);

	/* A newer program that uses nothing new, and an older one. */
	memset(&options, 0, sizeof(options));
	options.u.publisher.max_payload = 64;
	options.u.struct_size = sizeof(struct zcp_publisher_options) + 24;
	ZCP_OK(open_publisher(&options), node);
	options.u.struct_size = offsetof(struct zcp_publisher_options, loans);
	/* It had no such field. */
	options.u.publisher.loans = 4000000000;
	ZCP_OK(open_publisher(&options), node);
	options.u.struct_size = sizeof(size_t);
	ZCP_OK(open_subscriber(&options), node);
	zcp_node_close(node);
}

static void option_is_out_of_range(void)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;
	struct zcp_test_runtime runtime;

	zcp_test_runtime_start(&runtime, "[topic.\"shallow\"]\nmax_depth = 8\ndepth = 4\n");
	node = zcp_test_node();
	options.auto_start = 3;
	ZCP_REFUSED(zcp_node_open(&second, &options), NULL, -EINVAL, "ZCP_NODE_OPTIONS_INIT");
	ZCP_REFUSED(subscribe_with("t", 0, 0, 3), node, -EINVAL,
		    "on_full is 3|ZCP_ON_FULL_DROP_OLDEST|ZCP_ON_FULL_BLOCK");
	ZCP_REFUSED(publish_loans("t", 1025), node, -EINVAL, "loans is 1025|1024 at most|lower it");
	ZCP_OK(publish_loans("loans", 1024), node);
	ZCP_REFUSED(subscribe_with("t", 0, 4097, 0), node, -ERANGE, "held is 4097|4096 at most");
	ZCP_REFUSED(subscribe_with("shallow", 9, 0, 0), node, -ERANGE,
		    "depth 9|max_depth 8|topic 'shallow'|raise max_depth");
	ZCP_REFUSED(subscribe_with("t", 257, 0, 0), node, -ERANGE, "depth 257|max_depth 256");
	ZCP_REFUSED(subscribe_with("t", UINT32_MAX, 0, 0), node, -ERANGE, "depth 4294967295");
	ZCP_OK(subscribe_with("shallow", 8, 1, 0), node);
	ZCP_CHECK(zcp_test_has(zcp_strerror(-ERANGE), "topic's limit"));
	zcp_node_close(node);
}

/* --- payloads and loans --- */

static void payload_is_too_large(void)
{
	static const size_t giants[] = { SIZE_MAX,        SIZE_MAX - 63, SIZE_MAX - 64,
					 SIZE_MAX - 4200, SIZE_MAX / 2,  ((size_t)1 << 46) + 1 };
	struct zcp_test_runtime runtime;
	struct zcp_loan loan;

	zcp_test_runtime_start(&runtime, "[pool.small]\nclasses = [{size = 256, count = 100}]\n"
					 "[topic.\"pooled\"]\npool = \"small\"\n"
					 "[topic.\"limited\"]\nmax_payload = \"1KiB\"\n");
	node = zcp_test_node();
	ZCP_OK(publish_size("t", 64), node);
	ZCP_REFUSED(zcp_publisher_loan(publisher, 65, &loan), node, -EMSGSIZE,
		    "65 bytes|topic 't'|64 bytes|raise max_payload");
	ZCP_REFUSED(zcp_publisher_loan(publisher, SIZE_MAX, &loan), node, -EMSGSIZE, "max_payload");
	ZCP_CHECK(zcp_publisher_send(publisher, "", 65) == -EMSGSIZE);
	ZCP_OK(zcp_publisher_loan(publisher, 32, &loan), node);
	ZCP_CHECK(loan.size == 32 && loan.capacity >= 64);
	loan.size = loan.capacity + 1;
	ZCP_REFUSED(zcp_publisher_publish(publisher, &loan), node, -EMSGSIZE,
		    "loan->size is|loan a larger one");
	/* It stays ours. */
	loan.size = loan.capacity;
	ZCP_OK(zcp_publisher_publish(publisher, &loan), node);
	ZCP_OK(zcp_publisher_loan(publisher, 0, &loan), node);
	ZCP_OK(zcp_publisher_publish(publisher, &loan), node);

	ZCP_REFUSED(publish_size("pooled", 257), node, -EMSGSIZE,
		    "257 bytes|topic 'pooled' holds (256 bytes|a size of the pool");
	ZCP_REFUSED(publish_size("limited", 1025), node, -EMSGSIZE,
		    "1025 bytes|'limited' holds (1 KiB|max_payload of the topic");
	ZCP_REFUSED(publish_size("unknown", 0), node, -EINVAL,
		    "no payload size is known for topic 'unknown'|max_payload");
	for (size_t i = 0; i < sizeof(giants) / sizeof(giants[0]); i++)
		ZCP_REFUSED(publish_size("giant", giants[i]), node, -EMSGSIZE,
			    "more than topic 'giant' can have|lower max_payload");
	/* Those that know it from elsewhere. */
	ZCP_OK(publish_size("pooled", 0), node);
	ZCP_CHECK(zcp_publisher_max_payload(publisher) == 256);
	ZCP_OK(publish_size("limited", 0), node);
	ZCP_CHECK(zcp_publisher_max_payload(publisher) == 1024);
	ZCP_OK(publish_size("t", 0), node);
	ZCP_CHECK(zcp_publisher_max_payload(publisher) == 64);
	zcp_node_close(node);
}

static void more_loans_than_declared(void)
{
	struct zcp_loan loans[2], one_more = ZCP_LOAN_INIT;

	node = zcp_test_node();
	ZCP_OK(publish_loans("t", 2), node);
	for (int i = 0; i < 2; i++)
		ZCP_OK(zcp_publisher_loan(publisher, 1, &loans[i]), node);
	ZCP_REFUSED(zcp_publisher_loan(publisher, 1, &one_more), node, -EMLINK,
		    "2 chunks of topic 't' are on loan|publish or discard|raise loans");
	ZCP_CHECK(!one_more.data);
	ZCP_CHECK(zcp_publisher_send(publisher, "x", 1) == -EMLINK);
	ZCP_OK(zcp_publisher_discard(publisher, &loans[0]), node);
	ZCP_OK(zcp_publisher_loan(publisher, 1, &one_more), node);
	zcp_node_close(node);
}

static void loan_is_none_of_ours(void)
{
	static const char *const words = "not a loan of this publisher|topic 't'";
	struct zcp_publisher *first;
	struct zcp_loan loan, other, copy, none = ZCP_LOAN_INIT;

	node = zcp_test_node();
	ZCP_OK(publish_loans("t", 1), node);
	first = publisher;
	ZCP_OK(publish_loans("t", 1), node);
	ZCP_OK(zcp_publisher_loan(publisher, 1, &other), node);
	ZCP_OK(zcp_publisher_loan(first, 1, &loan), node);
	copy = loan;
	ZCP_REFUSED(zcp_publisher_publish(publisher, &loan), node, -EINVAL, words);
	ZCP_REFUSED(zcp_publisher_discard(publisher, &loan), node, -EINVAL, words);
	ZCP_REFUSED(zcp_publisher_publish(first, &none), node, -EINVAL, words);
	ZCP_REFUSED(zcp_publisher_discard(first, &none), node, -EINVAL, words);
	ZCP_OK(zcp_publisher_publish(first, &loan), node);
	ZCP_REFUSED(zcp_publisher_publish(first, &loan), node, -EINVAL, words);
	ZCP_REFUSED(zcp_publisher_publish(first, &copy), node, -EINVAL, words);
	ZCP_REFUSED(zcp_publisher_discard(first, &copy), node, -EINVAL, words);
	/* The same chunk, loaned again: not that loan. */
	ZCP_OK(zcp_publisher_loan(first, 1, &loan), node);
	while (loan.data != copy.data) {
		ZCP_OK(zcp_publisher_publish(first, &loan), node);
		ZCP_OK(zcp_publisher_loan(first, 1, &loan), node);
	}
	ZCP_REFUSED(zcp_publisher_publish(first, &copy), node, -EINVAL, words);
	ZCP_REFUSED(zcp_publisher_discard(first, &copy), node, -EINVAL, words);
	ZCP_OK(zcp_publisher_discard(first, &loan), node);
	memset(&none, 0xff, sizeof(none));
	ZCP_REFUSED(zcp_publisher_publish(first, &none), node, -EINVAL, words);
	ZCP_OK(zcp_publisher_publish(publisher, &other), node);
	zcp_node_close(node);
}

static void more_samples_than_declared(void)
{
	struct zcp_sample samples[3], copy;

	node = zcp_test_node();
	ZCP_OK(publish_on("t"), node);
	ZCP_OK(subscribe_with("t", 4, 2, 0), node);
	for (uint64_t i = 1; i <= 3; i++)
		zcp_test_send(publisher, i);
	for (int i = 0; i < 2; i++)
		ZCP_OK(zcp_subscriber_take(subscriber, &samples[i]), node);
	ZCP_REFUSED(zcp_subscriber_take(subscriber, &samples[2]), node, -EMLINK,
		    "2 samples of topic 't' are held|release one, or raise held");
	copy = samples[0];
	ZCP_CHECK(zcp_sample_release(&samples[0]) == 0);
	/* Twice is once. */
	ZCP_CHECK(zcp_sample_release(&samples[0]) == -EINVAL);
	ZCP_CHECK(zcp_sample_release(&copy) == -EINVAL);
	ZCP_OK(zcp_subscriber_take(subscriber, &samples[2]), node);
	ZCP_CHECK(*(const uint64_t *)samples[2].data == 3);
	ZCP_REFUSED(zcp_subscriber_take(subscriber, &samples[0]), node, -EMLINK, "2 samples");
	zcp_node_close(node);
}

/* Within the rules it does not happen: another owner has claimed what is not its. */
static void every_chunk_is_in_use(void)
{
	struct zcp_class *class;
	struct zcp_message reply;
	struct zcp_loan loan;

	node = zcp_test_node();
	ZCP_OK(publish_on("t"), node);
	class = &publisher->endpoint.pool.classes[0];
	zcp_class_touch(class, class->n_chunks - 1);
	for (uint32_t i = 0; i < class->n_chunks; i++)
		zcp_test_store(&class->chunks[i].state,
			       zcp_chunk_state(OTHER_OWNER, ZCP_CHUNK_LOANED));
	ZCP_REFUSED(zcp_publisher_loan(publisher, 10, &loan), node, -ENOBUFS,
		    "every chunk of topic 't' that this publisher may use is in use|zcp info");
	ZCP_CHECK(zcp_publisher_send(publisher, "x", 1) == -ENOBUFS);
	zcp_test_info(node, "t", &reply);
	ZCP_CHECK(reply.u.topic_info.classes[0].n_free == 0);
	zcp_message_deinit(&reply);
	zcp_test_endpoints(node, "t", &reply);
	ZCP_CHECK(reply.u.endpoint_page.n_publishers == 1);
	ZCP_CHECK(reply.u.endpoint_page.publishers[0].n_exhausted == 2);
	zcp_message_deinit(&reply);
	zcp_chunk_free(&class->chunks[class->n_chunks - 1]);
	(void)zcp_class_count_freed(class);
	ZCP_OK(zcp_publisher_loan(publisher, 10, &loan), node);
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(topic_name_is_malformed),
	ZCP_TEST_CASE(type_does_not_match),
	ZCP_TEST_CASE(option_structs_of_other_versions),
	ZCP_TEST_CASE(option_is_out_of_range),
	ZCP_TEST_CASE(payload_is_too_large),
	ZCP_TEST_CASE(more_loans_than_declared),
	ZCP_TEST_CASE(loan_is_none_of_ours),
	ZCP_TEST_CASE(more_samples_than_declared),
	ZCP_TEST_CASE(every_chunk_is_in_use),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
