/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime's first worker is killed at the k-th passing of each of its crash points, while
 * nodes come and go, open and close, join late, die, and grow a pool. The next worker goes on:
 * everything that is asked for succeeds, a link that was there loses nothing, the audit is clean,
 * slots serve the next ones, and no descriptor is left over.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pubsub/client/node.h"
#include "pubsub/client/publisher.h"
#include "pubsub/client/subscriber.h"
#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define DEPTH 4
#define HELD 2
#define PAYLOAD 64
#define HISTORY 2

/* As many passings of each, unless there are fewer. */
#define PASSINGS 3
#define PASSINGS_MANY 80

/* What the worker comes by; what it comes by at every turn it is killed at more often. */
static const struct point {
	const char *name;
	bool many;
} points[] = {
	{ "start.after_lock", false },         { "start.after_registry", false },
	{ "start.after_listen", false },       { "accept.before_record", false },
	{ "hello.before_record", false },      { "hello.after_record", false },
	{ "request.after_peek", true },        { "request.before_consume", true },
	{ "request.after_consume", true },     { "open.after_topic", false },
	{ "open.after_class", false },         { "open.before_record", false },
	{ "open.after_record", false },        { "open.after_enter", false },
	{ "open.after_answer", true },         { "join.before_record", false },
	{ "join.after_record", false },        { "join.after_lanes", false },
	{ "join.after_active", false },        { "join.after_announce", false },
	{ "join.after_history", false },       { "join.after_open", false },
	{ "history.after_pin", false },        { "history.after_bit", false },
	{ "history.after_unpin", false },      { "hand_on.after_chunk", false },
	{ "leave.after_record", false },       { "leave.after_inactive", false },
	{ "leave.after_wake", false },         { "leave.after_sweep", false },
	{ "leave.after_answer", false },       { "sweep.before_bit", false },
	{ "sweep.after_bits", false },         { "sweep.after_lanes", false },
	{ "close.after_recover", false },      { "close.after_answer", false },
	{ "recover.before_chunk", false },     { "recover.after_chunks", false },
	{ "recover.after_trim", false },       { "recover.after_op", false },
	{ "recover.after_member", false },     { "deactivate.after_record", false },
	{ "deactivate.after_session", false }, { "journal.before_keep", true },
	{ "journal.after_keep", true },        { "journal.before_drop", true },
	{ "journal.after_drop", true },
};

static const char config[] = "[topic.\"kept\"]\n"
			     "keep_history = true\n"
			     "history = 2\n";

struct scene {
	struct zcp_test_runtime runtime;
	struct zcp_node *node;
	/* the link that must not notice */
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
	uint64_t n;
};

struct count {
	unsigned int keeper;
	unsigned int worker;
};

/* As many messages as fit, and all of them again. */
static void exchange(struct scene *scene)
{
	for (int i = 0; i < DEPTH; i++)
		zcp_test_send(scene->publisher, scene->n + (uint64_t)i + 1);
	for (int i = 0; i < DEPTH; i++)
		zcp_test_expect(scene->subscriber, ++scene->n);
}

static struct zcp_publisher *open_publisher(struct zcp_node *node, const char *topic, size_t size)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_publisher *publisher;

	options.max_payload = size;
	options.history = HISTORY;
	ZCP_OK(zcp_publisher_open(&publisher, node, topic, &options), node);
	return publisher;
}

static struct zcp_subscriber *open_subscriber(struct zcp_node *node, const char *topic)
{
	struct zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_subscriber *subscriber;

	options.depth = DEPTH;
	options.held = HELD;
	options.history = HISTORY;
	options.on_full = ZCP_ON_FULL_BLOCK;
	ZCP_OK(zcp_subscriber_open(&subscriber, node, topic, &options), node);
	return subscriber;
}

/* One who joins late is given the last messages, once each. */
static void join_late(struct scene *scene)
{
	struct zcp_subscriber *late = open_subscriber(scene->node, "t");

	for (uint64_t i = HISTORY; i > 0; i--)
		zcp_test_expect(late, scene->n - i + 1);
	ZCP_CHECK(late->reader.options.slot == 1);
	exchange(scene);
	for (uint64_t i = DEPTH; i > 0; i--)
		zcp_test_expect(late, scene->n - i + 1);
	exchange(scene);
	/* It leaves with messages in its queue. */
	zcp_subscriber_close(late);
}

static void leave_history(struct scene *scene)
{
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;

	for (uint64_t round = 0; round < 2; round++) {
		publisher = open_publisher(scene->node, "kept", PAYLOAD);
		ZCP_CHECK(publisher->writer.options.slot == 0);
		for (uint64_t i = 0; i < 3; i++)
			zcp_test_send(publisher, 10 * round + i);
		zcp_publisher_close(publisher);
		subscriber = open_subscriber(scene->node, "kept");
		for (uint64_t i = 1; i < 3; i++)
			zcp_test_expect(subscriber, 10 * round + i);
		zcp_subscriber_close(subscriber);
	}
}

static void grow(struct scene *scene)
{
	struct zcp_publisher *large = open_publisher(scene->node, "t", 100 * PAYLOAD);
	static char bytes[100 * PAYLOAD];
	struct zcp_sample sample;

	ZCP_CHECK(large->writer.options.slot == 1);
	ZCP_CHECK(zcp_publisher_send(large, bytes, sizeof(bytes)) == 0);
	ZCP_CHECK(zcp_subscriber_take(scene->subscriber, &sample) == 0);
	ZCP_CHECK(sample.size == sizeof(bytes) && sample.lost == 0);
	ZCP_CHECK(zcp_sample_release(&sample) == 0);
	exchange(scene);
	zcp_publisher_close(large);
}

static void live_and_die(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = open_publisher(node, "t", PAYLOAD);
	struct zcp_subscriber *subscriber = open_subscriber(node, "t");
	struct zcp_loan loan;
	struct zcp_sample sample;

	(void)arg;
	ZCP_CHECK(zcp_node_fd(node) >= 0);
	ZCP_CHECK(zcp_publisher_loan(publisher, PAYLOAD, &loan) == 0);
	ZCP_CHECK(zcp_subscriber_take(subscriber, &sample) == 0);
	zcp_test_say_step(self, 0);
	zcp_test_hear_step(self, 1);
	/* Its connection is over before it is. */
	(void)shutdown(node->socket, SHUT_RDWR);
	zcp_test_say_step(self, 2);
	zcp_test_wait_for_the_end(self);
}

static void meet_one_who_dies(struct scene *scene)
{
	struct zcp_test_child child;

	zcp_test_fork(&child, live_and_die, NULL);
	zcp_test_hear_step(&child, 0);
	exchange(scene);
	zcp_test_say_step(&child, 1);
	zcp_test_hear_step(&child, 2);
	exchange(scene);
	zcp_test_kill(&child);
	zcp_test_wait_for_members(scene->node, "t", 1, 1);
}

static struct count count(const struct scene *scene)
{
	struct count now;

	ZCP_CHECK(zcp_test_ask(scene->node, "none") == -ENOENT);
	now.keeper = zcp_test_n_fds(scene->runtime.pid);
	now.worker = zcp_test_n_fds(zcp_test_worker(scene->runtime.pid));
	return now;
}

/* Until both have done what they were told. */
static void check_count(const struct scene *scene, const struct count *wanted)
{
	struct count now;

	do {
		now = count(scene);
	} while (now.keeper != wanted->keeper || now.worker != wanted->worker);
}

/* Returns whether the worker has come by. */
static bool play(const char *point, unsigned int k, struct count *wanted)
{
	struct scene scene = { .n = 0 };
	char text[64];
	bool killed;

	(void)snprintf(text, sizeof(text), "%s:%u", point ? point : "", k);
	ZCP_CHECK(setenv("ZCP_CRASHPOINT", text, 1) == 0);
	zcp_test_runtime_start(&scene.runtime, config);
	ZCP_CHECK(unsetenv("ZCP_CRASHPOINT") == 0);
	scene.node = zcp_test_node();
	scene.publisher = open_publisher(scene.node, "t", PAYLOAD);
	scene.subscriber = open_subscriber(scene.node, "t");
	exchange(&scene);
	join_late(&scene);
	leave_history(&scene);
	grow(&scene);
	meet_one_who_dies(&scene);
	exchange(&scene);
	ZCP_CHECK(zcp_test_audit(scene.node) == 0);
	join_late(&scene);
	zcp_subscriber_close(scene.subscriber);
	zcp_publisher_close(scene.publisher);
	ZCP_CHECK(zcp_test_ask(scene.node, "t") == -ENOENT);
	ZCP_CHECK(zcp_test_audit(scene.node) == 0);
	if (point)
		check_count(&scene, wanted);
	else
		*wanted = count(&scene);
	zcp_node_close(scene.node);
	zcp_test_runtime_stop(&scene.runtime);
	killed = zcp_test_runtime_said(&scene.runtime, "the worker has died (signal 9)");
	ZCP_CHECK(unlink(scene.runtime.log) == 0);
	return killed;
}

static void next_worker_goes_on(void)
{
	struct count whole;
	unsigned int n = 0;

	(void)alarm(100);
	ZCP_CHECK(!play(NULL, 0, &whole));
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		unsigned int most = points[i].many ? PASSINGS_MANY : PASSINGS, k = 1;

		while (k <= most && play(points[i].name, k, &whole))
			k++;
		if (getenv("ZCP_TEST_VERBOSE") || k == 1)
			(void)fprintf(stderr, "%s: passed %u times\n", points[i].name, k - 1);
		ZCP_CHECK(k > 1);
		n += k - 1;
	}
	(void)printf("killed %u times\n", n);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(next_worker_goes_on),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
