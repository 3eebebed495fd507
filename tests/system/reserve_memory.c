/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reserve = true: what endpoints may need is there when they are open, and stays.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "pubsub/client/publisher.h"
#include "pubsub/client/subscriber.h"
#include "tests/support/cases.h"
#include "tests/support/runtime.h"

#define MIB ((uint64_t)1 << 20)
#define DEPTH 4
#define GIB16 ((size_t)16 << 30)

static const char own_pools[] = "[defaults]\ntrim_after = \"20ms\"\n"
				"[topic.kept]\nreserve = true\n";
static const char named_pool[] = "[pool.p]\nclasses = [{size = \"1MiB\", count = 100}]\n"
				 "reserve = true\ntrim_after = \"20ms\"\n"
				 "[topic.kept]\npool = \"p\"\n"
				 "[topic.given]\ntrim_after = \"20ms\"\n";

/* Bytes of a file that are really there. */
static uint64_t n_taken(int fd, uint64_t *size)
{
	struct stat st;

	ZCP_CHECK(fstat(fd, &st) == 0);
	*size = (uint64_t)st.st_size;
	return (uint64_t)st.st_blocks * 512;
}

/* Of the only size class. */
static uint64_t n_bytes(const struct zcp_endpoint *endpoint)
{
	uint64_t size;

	return n_taken(endpoint->class_fds[0][1], &size);
}

static uint64_t n_reserved(struct zcp_node *node, const char *topic)
{
	struct zcp_message reply;
	uint64_t n;

	zcp_test_info(node, topic, &reply);
	ZCP_CHECK(reply.u.topic_info.n_classes == 1);
	n = reply.u.topic_info.classes[0].n_reserved;
	zcp_message_deinit(&reply);
	return n;
}

static void burst(struct zcp_publisher *publisher)
{
	struct zcp_loan loan;

	for (int i = 0; i < DEPTH; i++) {
		ZCP_CHECK(zcp_publisher_loan(publisher, MIB, &loan) == 0);
		memset(loan.data, i, MIB);
		ZCP_CHECK(zcp_publisher_publish(publisher, &loan) == 0);
	}
}

static void drain(struct zcp_subscriber *subscriber)
{
	struct zcp_sample sample;

	while (zcp_subscriber_take(subscriber, &sample) == 0)
		ZCP_CHECK(zcp_sample_release(&sample) == 0);
}

static void check_kept(const char *config)
{
	struct zcp_subscriber *subscribers[2];
	struct zcp_publisher *kept, *given;
	struct zcp_test_runtime runtime;
	uint64_t alone, both, size;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, config);
	node = zcp_test_node();
	kept = zcp_test_publisher(node, "kept", MIB, 1);
	alone = n_bytes(&kept->endpoint);
	ZCP_CHECK(alone >= n_reserved(node, "kept") * MIB);
	/* Not what the limits would allow. */
	ZCP_CHECK(alone < 2 * n_reserved(node, "kept") * MIB);
	subscribers[0] = zcp_test_subscriber(node, "kept", DEPTH, 1, 0);
	both = n_bytes(&kept->endpoint);
	ZCP_CHECK(both > alone && both >= n_reserved(node, "kept") * MIB);
	ZCP_CHECK(n_taken(kept->endpoint.topic_fd, &size) >= size);
	ZCP_CHECK(n_taken(kept->endpoint.acks_fd, &size) >= size);
	given = zcp_test_publisher(node, "given", MIB, 1);
	subscribers[1] = zcp_test_subscriber(node, "given", DEPTH, 1, 0);
	ZCP_CHECK(n_bytes(&given->endpoint) < MIB);
	burst(kept);
	burst(given);
	/* Nothing was to be taken any more. */
	ZCP_CHECK(n_bytes(&kept->endpoint) == both);
	drain(subscribers[0]);
	drain(subscribers[1]);
	/* All of it is FREE. That the one gives it back says that the other has had the time. */
	zcp_publisher_close(kept);
	zcp_publisher_close(given);
	while (n_bytes(&subscribers[1]->endpoint) > MIB)
		ZCP_CHECK(zcp_test_ask(node, "given") == 0);
	ZCP_CHECK(n_bytes(&subscribers[0]->endpoint) == both);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static void memory_is_there_from_the_open_on_and_stays(void)
{
	check_kept(own_pools);
}

static void the_same_in_a_pool_of_the_configuration(void)
{
	check_kept(named_pool);
}

static void open_without_enough_memory_is_refused(void)
{
	const struct zcp_publisher_options options = {
		.struct_size = sizeof(options),
		.max_payload = GIB16,
		.loans = 60,
	};
	struct zcp_publisher *publisher = NULL;
	struct zcp_test_runtime runtime;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, own_pools);
	node = zcp_test_node();
	ZCP_REFUSED(
		zcp_publisher_open(&publisher, node, "kept", &options), node, -ENOMEM,
		"topic 'kept'|reserve = true|MiB more|MiB are available|lower depth|memory.max");
	ZCP_CHECK(zcp_test_ask(node, "kept") == -ENOENT);
	ZCP_OK(zcp_publisher_open(&publisher, node, "given", &options), node);
	(void)zcp_test_publisher(node, "kept", MIB, 1);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(memory_is_there_from_the_open_on_and_stays),
	ZCP_TEST_CASE(the_same_in_a_pool_of_the_configuration),
	ZCP_TEST_CASE(open_without_enough_memory_is_refused),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
