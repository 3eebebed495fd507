/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a burst has left is given back to the machine after trim_after, and nothing is lost by it:
 * where its publisher goes on, where it closes, and where it is gone before its messages are taken.
 */
#include <sys/stat.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"
#include "tests/support/scene.h"

#define DEPTH 256
#define MIB ((size_t)1 << 20)
/* What stays: a publisher's chunk in use and three that rotate, and the region's first page. */
#define STAYS (4 * MIB + 4096)

static const char config[] = "[defaults]\ntrim_after = \"20ms\"\n";

/* Bytes that are really there. */
static uint64_t n_bytes(int chunks_fd)
{
	struct stat st;

	ZCP_CHECK(fstat(chunks_fd, &st) == 0);
	return (uint64_t)st.st_blocks * 512;
}

static void publish(struct zcp_publisher *publisher, uint64_t number)
{
	struct zcp_loan loan;

	ZCP_CHECK(zcp_publisher_loan(publisher, MIB, &loan) == 0);
	for (size_t i = 0; i < MIB / sizeof(number); i += 512)
		((uint64_t *)loan.data)[i] = number;
	ZCP_CHECK(zcp_publisher_publish(publisher, &loan) == 0);
}

static void expect(struct zcp_subscriber *subscriber, uint64_t number)
{
	struct zcp_sample sample;

	ZCP_CHECK(zcp_subscriber_take(subscriber, &sample) == 0);
	ZCP_CHECK(sample.size == MIB && sample.lost == 0);
	for (size_t i = 0; i < MIB / sizeof(number); i += 512)
		ZCP_CHECK(((const uint64_t *)sample.data)[i] == number);
	ZCP_CHECK(zcp_sample_release(&sample) == 0);
}

static void burst(struct zcp_publisher *publisher)
{
	for (uint64_t i = 1; i <= DEPTH; i++)
		publish(publisher, i);
	ZCP_CHECK(n_bytes(zcp_test_inside(publisher).class_fds[0][1]) > DEPTH * MIB);
}

static void drain(struct zcp_subscriber *subscriber)
{
	for (uint64_t i = 1; i <= DEPTH; i++)
		expect(subscriber, i);
}

/* The subscriber has room for a burst. */
static void begin(struct zcp_test_scene *scene)
{
	zcp_test_runtime_start(&scene->runtime, config);
	scene->node = zcp_test_node();
	scene->publisher = zcp_test_publisher(scene->node, "t", MIB, 1);
	scene->subscriber = zcp_test_subscriber(scene->node, "t", DEPTH, 1, 0);
}

static void end(struct zcp_test_scene *scene)
{
	ZCP_CHECK(zcp_test_audit(scene->node) == 0);
	zcp_node_close(scene->node);
	zcp_test_runtime_stop(&scene->runtime);
}

/* Its publisher is gone, and all of the burst is queued still. */
static void drain_and_end(struct zcp_test_scene *scene)
{
	int chunks_fd = zcp_test_inside(scene->subscriber).class_fds[0][1];

	ZCP_CHECK(zcp_test_audit(scene->node) == DEPTH);
	drain(scene->subscriber);
	while (n_bytes(chunks_fd) > STAYS)
		ZCP_CHECK(zcp_test_ask(scene->node, "t") == 0);
	end(scene);
}

static void publisher_goes_on(void)
{
	struct zcp_test_scene scene;
	uint64_t n = DEPTH;

	begin(&scene);
	burst(scene.publisher);
	drain(scene.subscriber);
	/* It gives back what it does not need any more, message by message. */
	while (n_bytes(zcp_test_inside(scene.publisher).class_fds[0][1]) > STAYS) {
		publish(scene.publisher, ++n);
		expect(scene.subscriber, n);
	}
	/* And once more: what was given back is there again. */
	for (uint64_t i = 1; i <= DEPTH; i++)
		publish(scene.publisher, n + i);
	for (uint64_t i = 1; i <= DEPTH; i++)
		expect(scene.subscriber, n + i);
	end(&scene);
}

static void publisher_closes(void)
{
	struct zcp_test_scene scene;

	begin(&scene);
	burst(scene.publisher);
	zcp_publisher_close(scene.publisher);
	drain_and_end(&scene);
}

static void burst_and_be_killed(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "t", MIB, 1);

	(void)arg;
	zcp_test_say_step(self, 1);
	zcp_test_hear_step(self, 2);
	burst(publisher);
	zcp_test_say_step(self, 3);
	zcp_test_wait_for_the_end(self);
}

/* Killed with its runtime's worker, so that another one has to know of it. */
static void publisher_is_killed(void)
{
	struct zcp_test_child child;
	struct zcp_test_scene scene;

	zcp_test_runtime_start(&scene.runtime, config);
	zcp_test_fork(&child, burst_and_be_killed, NULL);
	zcp_test_hear_step(&child, 1);
	scene.node = zcp_test_node();
	scene.subscriber = zcp_test_subscriber(scene.node, "t", DEPTH, 1, 0);
	zcp_test_say_step(&child, 2);
	zcp_test_hear_step(&child, 3);
	zcp_test_kill(&child);
	zcp_test_wait_for_members(scene.node, "t", 0, 1);
	(void)zcp_test_kill_worker(scene.runtime.pid);
	drain_and_end(&scene);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(publisher_goes_on),
	ZCP_TEST_CASE(publisher_closes),
	ZCP_TEST_CASE(publisher_is_killed),
};

ZCP_TEST_MAIN(cases)
