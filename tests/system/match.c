/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is at the other end: match callbacks across processes, what they wake, the names of a
 * sample's publisher, and waiting for publishers.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pubsub/client/publisher.h"
#include "pubsub/client/subscriber.h"
#include "pubsub/util.h"
#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define TOPIC "match"
#define MS INT64_C(1000000)
#define N_ROUNDS 200
#define N_EVENTS 64

/* What the callbacks were told, as text: "+front(1)" has joined as the first. */
static struct {
	unsigned int n;
	char texts[N_EVENTS][80];
	struct zcp_match matches[N_EVENTS];
} told;

static void note(const struct zcp_match *match, void *user)
{
	char sign = match->change == ZCP_MATCH_JOINED ? '+' : '-';

	ZCP_CHECK(match->change == ZCP_MATCH_JOINED || match->change == ZCP_MATCH_LEFT);
	ZCP_CHECK(told.n < N_EVENTS);
	(void)snprintf(told.texts[told.n], sizeof(told.texts[0]), "%s%c%s(%u)",
		       user ? (const char *)user : "", sign, match->node, match->n);
	told.matches[told.n++] = *match;
}

/* Dispatches until the next callbacks say that, separated by blanks, and no others. */
static void expect(struct zcp_node *node, const char *texts)
{
	char text[N_EVENTS * 80] = "";

	told.n = 0;
	while (strlen(text) < strlen(texts)) {
		unsigned int before = told.n;

		ZCP_OK(zcp_node_dispatch(node, ZCP_FOREVER), node);
		for (unsigned int i = before; i < told.n; i++) {
			(void)strcat(text, *text ? " " : "");
			(void)strcat(text, told.texts[i]);
		}
	}
	if (strcmp(text, texts) != 0)
		(void)fprintf(stderr, "wanted %s, got %s\n", texts, text);
	ZCP_CHECK(strcmp(text, texts) == 0);
	ZCP_CHECK(zcp_node_dispatch(node, 0) == -ETIMEDOUT);
}

static struct zcp_node *open_node(const char *name)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;
	struct zcp_node *node = NULL;

	options.name = name;
	ZCP_OK(zcp_node_open(&node, &options), NULL);
	return node;
}

/* --- those of other processes --- */

static void subscribe_until_told(struct zcp_test_child *self, void *name)
{
	struct zcp_node *node = open_node(name);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 4, 2, 0);

	zcp_test_say_step(self, subscriber->endpoint.id);
	zcp_test_hear_step(self, 1);
	zcp_subscriber_close(subscriber);
	zcp_test_say_step(self, 2);
	zcp_test_wait_for_the_end(self);
}

static void publish_until_told(struct zcp_test_child *self, void *name)
{
	struct zcp_node *node = open_node(name);
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);

	zcp_test_say_step(self, zcp_publisher_id(publisher));
	zcp_test_hear_step(self, 1);
	zcp_publisher_close(publisher);
	zcp_test_say_step(self, 2);
	zcp_test_wait_for_the_end(self);
}

static uint64_t hear_id(struct zcp_test_child *child)
{
	uint64_t id;

	zcp_test_hear(child, &id, sizeof(id));
	return id;
}

/* Two others: one that closes, and one that is killed. */
static void see_two_come_and_go(struct zcp_node *node,
				void (*run)(struct zcp_test_child *self, void *name))
{
	struct zcp_test_child front, rear;
	uint64_t id;

	zcp_test_fork(&front, run, "front");
	id = hear_id(&front);
	expect(node, "+front(1)");
	ZCP_CHECK(told.matches[0].id == id && told.matches[0].pid == (uint32_t)front.pid);
	zcp_test_fork(&rear, run, "rear");
	expect(node, "+rear(2)");
	ZCP_CHECK(told.matches[0].id == hear_id(&rear));
	ZCP_CHECK(told.matches[0].pid == (uint32_t)rear.pid && told.matches[0].id != id);

	zcp_test_say_step(&front, 1);
	expect(node, "-front(1)");
	ZCP_CHECK(told.matches[0].id == id && told.matches[0].pid == (uint32_t)front.pid);
	zcp_test_hear_step(&front, 2);
	zcp_test_kill(&rear);
	expect(node, "-rear(0)");
	ZCP_CHECK(told.matches[0].pid == (uint32_t)rear.pid);
	zcp_test_kill(&front);
	ZCP_CHECK(zcp_node_dispatch(node, 0) == -ETIMEDOUT);
}

static void publisher_sees_subscribers_join_leave_and_die(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);

	ZCP_OK(zcp_publisher_on_match(publisher, note, NULL), node);
	see_two_come_and_go(node, subscribe_until_told);
	/* Other publishers are none of its own. */
	zcp_test_publisher(node, TOPIC, 64, 2);
	ZCP_CHECK(zcp_node_dispatch(node, 0) == -ETIMEDOUT);
	zcp_node_close(node);
}

static void subscriber_sees_publishers_join_leave_and_die(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 4, 2, 0);

	ZCP_OK(zcp_subscriber_on_match(subscriber, note, NULL), node);
	see_two_come_and_go(node, publish_until_told);
	zcp_test_subscriber(node, TOPIC, 4, 2, 0);
	ZCP_CHECK(zcp_node_dispatch(node, 0) == -ETIMEDOUT);
	zcp_node_close(node);
}

/* --- what is told, and what is not --- */

static void those_who_are_there_are_told_of_once(void)
{
	struct zcp_node *node = zcp_test_node(), *other = open_node("other");
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);
	struct zcp_subscriber *subscribers[2];

	for (int i = 0; i < 2; i++)
		subscribers[i] = zcp_test_subscriber(other, TOPIC, 4, 2, 0);
	ZCP_OK(zcp_publisher_on_match(publisher, note, NULL), node);
	ZCP_CHECK(told.n == 0);
	expect(node, "+other(1) +other(2)");
	ZCP_CHECK(told.matches[0].id == subscribers[0]->endpoint.id);
	ZCP_CHECK(told.matches[1].id == subscribers[1]->endpoint.id);
	/* Set anew, it begins anew. */
	ZCP_OK(zcp_publisher_on_match(publisher, note, "again"), node);
	expect(node, "again+other(1) again+other(2)");
	ZCP_OK(zcp_publisher_on_match(publisher, NULL, NULL), node);
	zcp_subscriber_close(subscribers[0]);
	ZCP_CHECK(zcp_node_dispatch(node, 0) == -ETIMEDOUT);
	ZCP_OK(zcp_publisher_on_match(publisher, note, NULL), node);
	expect(node, "+other(1)");
	zcp_node_close(other);
	zcp_node_close(node);
}

static void slot_that_is_used_again_is_another(void)
{
	struct zcp_node *node = zcp_test_node(), *front = open_node("front");
	struct zcp_node *rear = open_node("rear");
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(front, TOPIC, 4, 2, 0);

	ZCP_OK(zcp_publisher_on_match(publisher, note, NULL), node);
	expect(node, "+front(1)");
	zcp_subscriber_close(subscriber);
	subscriber = zcp_test_subscriber(rear, TOPIC, 4, 2, 0);
	ZCP_CHECK(subscriber->reader.options.slot == 0);
	expect(node, "-front(0) +rear(1)");
	/* The same node again is another as well. */
	zcp_subscriber_close(subscriber);
	(void)zcp_test_subscriber(rear, TOPIC, 4, 2, 0);
	expect(node, "-rear(0) +rear(1)");
	/* Who comes and goes between two looks is not seen, and ends no wait. */
	zcp_subscriber_close(zcp_test_subscriber(rear, TOPIC, 4, 2, 0));
	ZCP_CHECK(zcp_node_wait(node, 0) == -ETIMEDOUT);
	ZCP_CHECK(zcp_node_dispatch(node, 0) == -ETIMEDOUT);
	zcp_node_close(front);
	zcp_node_close(rear);
	zcp_node_close(node);
}

/* Its process lives, its connection does not: nothing more is sent to it. */
static void subscriber_that_hangs_up_has_left(void)
{
	struct zcp_node *node = zcp_test_node(), *other = open_node("other");
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);

	(void)zcp_test_subscriber(other, TOPIC, 4, 2, 0);
	ZCP_OK(zcp_publisher_on_match(publisher, note, NULL), node);
	expect(node, "+other(1)");
	zcp_close_fd(&other->socket);
	expect(node, "-other(0)");
	zcp_node_close(other);
	zcp_node_close(node);
}

static void callback_outlives_the_runtime(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_publisher *publisher;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, TOPIC, 64, 2);
	(void)zcp_test_subscriber(node, TOPIC, 4, 2, 0);
	zcp_test_runtime_kill(&runtime);
	ZCP_OK(zcp_publisher_on_match(publisher, note, NULL), node);
	ZCP_OK(zcp_node_dispatch(node, 0), node);
	ZCP_CHECK(told.n == 1);
	ZCP_CHECK(zcp_node_dispatch(node, MS) == -ETIMEDOUT);
	zcp_node_close(node);
}

static struct zcp_publisher *answering;

static void answer(const struct zcp_match *match, void *user)
{
	uint64_t *n = user;

	if (match->change == ZCP_MATCH_JOINED) {
		ZCP_CHECK(zcp_publisher_n_subscribers(answering) == 1);
		zcp_test_send(answering, ++*n);
	}
}

static void subscribe_for_one_message_each(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();

	(void)self;
	(void)arg;
	for (uint64_t i = 1; i <= N_ROUNDS; i++) {
		struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 4, 2, 0);

		ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
		zcp_test_expect(subscriber, i);
		zcp_subscriber_close(subscriber);
	}
	zcp_node_close(node);
}

/* With nothing but publishers, a dispatch sleeps until somebody comes. */
static void what_is_published_after_the_callback_is_received(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_test_child child;
	uint64_t n = 0;

	answering = zcp_test_publisher(node, TOPIC, 64, 2);
	ZCP_OK(zcp_publisher_on_match(answering, answer, &n), node);
	zcp_test_fork(&child, subscribe_for_one_message_each, NULL);
	while (n < N_ROUNDS)
		ZCP_OK(zcp_node_dispatch(node, ZCP_FOREVER), node);
	zcp_test_join(&child);
	zcp_node_close(node);
}

/* --- what wakes --- */

static void report_in_sleep(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);

	(void)arg;
	ZCP_OK(zcp_publisher_on_match(publisher, note, NULL), node);
	zcp_test_say_step(self, 0);
	for (uint64_t i = 1; i <= N_ROUNDS; i++) {
		told.n = 0;
		/* Both of them wait for it; one does it. */
		ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
		ZCP_CHECK(told.n == 0);
		ZCP_OK(zcp_node_dispatch(node, i % 2 ? ZCP_FOREVER : 0), node);
		ZCP_CHECK(told.n == 1);
		ZCP_CHECK(told.matches[0].change == (i % 2 ? ZCP_MATCH_JOINED : ZCP_MATCH_LEFT));
		zcp_test_say_step(self, i);
	}
	zcp_node_close(node);
}

static void node_with_publishers_only_is_woken(void)
{
	struct zcp_subscriber *subscriber = NULL;
	struct zcp_test_child child;
	struct zcp_node *node;

	zcp_test_fork(&child, report_in_sleep, NULL);
	node = zcp_test_node();
	zcp_test_hear_step(&child, 0);
	for (uint64_t i = 1; i <= N_ROUNDS; i++) {
		/* Asleep, or on its way there: half of the time each. */
		if (i % 4 < 2)
			zcp_test_wait_until_asleep(child.pid);
		if (subscriber)
			subscriber = zcp_subscriber_close(subscriber);
		else
			subscriber = zcp_test_subscriber(node, TOPIC, 4, 2, 0);
		zcp_test_hear_step(&child, i);
	}
	zcp_test_join(&child);
	zcp_node_close(node);
}

static void waiting_for_ever_needs_something_to_wait_for(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);

	ZCP_REFUSED(zcp_node_wait(node, ZCP_FOREVER), node, -EINVAL,
		    "no subscriber|nor a match callback");
	ZCP_REFUSED(zcp_node_dispatch(node, ZCP_FOREVER), node, -EINVAL,
		    "no subscriber with a callback, nor a match callback");
	ZCP_OK(zcp_publisher_on_match(publisher, note, NULL), node);
	ZCP_CHECK(zcp_node_dispatch(node, MS) == -ETIMEDOUT);
	zcp_node_interrupt(node);
	ZCP_CHECK(zcp_node_dispatch(node, ZCP_FOREVER) == -EINTR);
	/* What there is can be waited for, and stays until it is dispatched. */
	(void)zcp_test_subscriber(node, TOPIC, 4, 2, 0);
	ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
	ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
	ZCP_OK(zcp_node_dispatch(node, ZCP_FOREVER), node);
	ZCP_CHECK(zcp_node_wait(node, 0) == -ETIMEDOUT && told.n == 1);
	zcp_node_close(node);
}

static bool is_readable(int fd, int timeout_ms)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	int r = poll(&pollfd, 1, timeout_ms);

	ZCP_CHECK(r >= 0);
	return r == 1;
}

static void come_and_go(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();

	(void)arg;
	for (uint64_t i = 1; i <= N_ROUNDS; i++) {
		struct zcp_subscriber *subscriber;

		zcp_test_hear_step(self, 2 * i);
		subscriber = zcp_test_subscriber(node, TOPIC, 4, 2, 0);
		zcp_test_hear_step(self, 2 * i + 1);
		zcp_subscriber_close(subscriber);
	}
	zcp_node_close(node);
}

static void descriptor_is_readable_while_somebody_is_to_be_told_of(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);
	struct zcp_test_child child;
	int fd = zcp_node_fd(node);

	ZCP_CHECK(fd >= 0 && zcp_node_dispatch(node, 0) == -ETIMEDOUT);
	ZCP_CHECK(!is_readable(fd, 0));
	/* In a loop nobody dispatches before it is readable. */
	ZCP_OK(zcp_publisher_on_match(publisher, note, NULL), node);
	ZCP_CHECK(is_readable(fd, 0) && zcp_node_dispatch(node, 0) == -ETIMEDOUT);
	ZCP_CHECK(!is_readable(fd, 0));
	zcp_test_fork(&child, come_and_go, NULL);
	for (uint64_t i = 2; i <= 2 * N_ROUNDS + 1; i++) {
		told.n = 0;
		zcp_test_say_step(&child, i);
		ZCP_CHECK(is_readable(fd, -1));
		/* Level-triggered, until it was told. */
		ZCP_CHECK(i % 8 || (zcp_node_wait(node, 0) == 0 && is_readable(fd, 0)));
		while (told.n == 0) {
			int r;

			ZCP_CHECK(is_readable(fd, -1));
			r = zcp_node_dispatch(node, 0);
			ZCP_CHECK(r == (told.n ? 0 : -ETIMEDOUT));
		}
		ZCP_CHECK(told.matches[0].change == (i % 2 ? ZCP_MATCH_LEFT : ZCP_MATCH_JOINED));
	}
	zcp_test_join(&child);
	zcp_node_close(node);
}

/* --- what a callback may do --- */

static struct {
	struct zcp_node *node;
	struct zcp_publisher *publishers[3];
	unsigned int n_calls;
	/* bit i: publisher i is closed by the first call */
	unsigned int close;
} group;

static void close_some(const struct zcp_match *match, void *user)
{
	struct zcp_publisher **own = user;

	ZCP_CHECK(*own);
	group.n_calls++;
	for (unsigned int i = 0; i < 3; i++)
		if (group.close >> i & 1 && group.publishers[i])
			group.publishers[i] = zcp_publisher_close(group.publishers[i]);
	/* What it was told is still there. */
	ZCP_CHECK(strcmp(match->node, "other") == 0 && match->n >= 1);
}

static void callback_may_close_any_its_own_too(void)
{
	struct zcp_node *other = open_node("other");

	(void)zcp_test_subscriber(other, TOPIC, 4, 2, 0);
	(void)zcp_test_subscriber(other, TOPIC, 4, 2, 0);
	for (unsigned int close = 0; close < 8; close++) {
		unsigned int n_left = 0;

		group.node = zcp_test_node();
		group.n_calls = 0;
		group.close = close;
		for (int i = 0; i < 3; i++) {
			struct zcp_publisher **publisher = &group.publishers[i];

			*publisher = zcp_test_publisher(group.node, TOPIC, 64, 1);
			ZCP_OK(zcp_publisher_on_match(*publisher, close_some, publisher),
			       group.node);
		}
		ZCP_OK(zcp_node_dispatch(group.node, 0), group.node);
		for (int i = 0; i < 3; i++)
			n_left += group.publishers[i] != NULL;
		/* Two calls for each that was not closed, one for the one that closed them. */
		ZCP_CHECK(n_left == 3u - (unsigned int)__builtin_popcount(close));
		ZCP_CHECK(group.n_calls == 2 * n_left || group.n_calls == 2 * n_left + 1);
		ZCP_CHECK(zcp_node_dispatch(group.node, 0) == -ETIMEDOUT);
		zcp_node_close(group.node);
	}
	zcp_node_close(other);
}

static void note_then_end(const struct zcp_match *match, void *user)
{
	struct zcp_publisher *publisher = user;

	note(match, NULL);
	ZCP_CHECK(zcp_publisher_on_match(publisher, NULL, NULL) == 0);
}

static void note_then_begin_anew(const struct zcp_match *match, void *user)
{
	struct zcp_publisher *publisher = user;

	note(match, "once");
	ZCP_CHECK(zcp_publisher_on_match(publisher, note, NULL) == 0);
}

static void callback_may_set_itself_anew(void)
{
	struct zcp_node *node = zcp_test_node(), *other = open_node("other");
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, 64, 2);

	(void)zcp_test_subscriber(other, TOPIC, 4, 2, 0);
	(void)zcp_test_subscriber(other, TOPIC, 4, 2, 0);
	ZCP_OK(zcp_publisher_on_match(publisher, note_then_end, publisher), node);
	expect(node, "+other(1)");
	ZCP_OK(zcp_publisher_on_match(publisher, note_then_begin_anew, publisher), node);
	expect(node, "once+other(1) +other(1) +other(2)");
	zcp_node_close(other);
	zcp_node_close(node);
}

/* --- the name of a sample's publisher --- */

static char sample_name[ZCP_NODE_NAME_MAX + 1];

static void note_name(const struct zcp_sample *sample, void *user)
{
	(void)user;
	ZCP_CHECK(zcp_sample_publisher_name(sample, sample_name, sizeof(sample_name)) == 0);
}

static void sample_says_whose_it_is(void)
{
	char name[ZCP_NODE_NAME_MAX + 1], longest[ZCP_NODE_NAME_MAX + 1] = "";
	struct zcp_node *node = zcp_test_node(), *front = open_node("front"), *rear;
	struct zcp_publisher *publisher = zcp_test_publisher(front, TOPIC, 64, 1);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 8, 4, 0);
	struct zcp_sample sample, other, copy;

	memset(longest, 'n', sizeof(longest) - 1);
	rear = open_node(longest);
	zcp_test_send(publisher, 1);
	zcp_test_send(publisher, 2);
	zcp_test_send(zcp_test_publisher(rear, TOPIC, 64, 1), 1);

	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	ZCP_OK(zcp_subscriber_take(subscriber, &other), node);
	ZCP_OK(zcp_sample_publisher_name(&sample, name, sizeof(name)), node);
	ZCP_CHECK(strcmp(name, "front") == 0);
	ZCP_OK(zcp_sample_publisher_name(&other, name, sizeof(name)), node);
	ZCP_CHECK(strcmp(name, longest) == 0);
	/* It fits, or it is not there. */
	(void)strcpy(name, "as it was");
	ZCP_CHECK(zcp_sample_publisher_name(&sample, name, 5) == -ENAMETOOLONG);
	ZCP_CHECK(zcp_sample_publisher_name(&sample, name, 0) == -ENAMETOOLONG);
	ZCP_CHECK(strcmp(name, "as it was") == 0);
	ZCP_OK(zcp_sample_publisher_name(&sample, name, 6), node);
	copy = other;
	ZCP_CHECK(zcp_sample_release(&other) == 0);
	ZCP_CHECK(zcp_sample_publisher_name(&other, name, sizeof(name)) == -EINVAL);
	ZCP_CHECK(zcp_sample_release(&copy) == -EINVAL);

	/* Its publisher goes; the name stays until another has the slot. */
	zcp_publisher_close(publisher);
	ZCP_OK(zcp_sample_publisher_name(&sample, name, sizeof(name)), node);
	ZCP_CHECK(strcmp(name, "front") == 0);
	zcp_subscriber_on_sample(subscriber, note_name, NULL);
	ZCP_OK(zcp_node_dispatch(node, 0), node);
	ZCP_CHECK(strcmp(sample_name, "front") == 0);
	publisher = zcp_test_publisher(rear, TOPIC, 64, 1);
	ZCP_CHECK(publisher->writer.options.slot == 0);
	(void)strcpy(name, "as it was");
	ZCP_CHECK(zcp_sample_publisher_name(&sample, name, sizeof(name)) == -ENOENT);
	ZCP_CHECK(strcmp(name, "as it was") == 0);
	ZCP_CHECK(zcp_sample_release(&sample) == 0);
	zcp_node_close(front);
	zcp_node_close(rear);
	zcp_node_close(node);
}

/* --- waiting for publishers --- */

static void do_nothing(int number)
{
	(void)number;
}

static void wait_for_two(struct zcp_test_child *self, void *arg)
{
	const struct sigaction action = { .sa_handler = do_nothing, .sa_flags = SA_RESTART };
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 4, 2, 0);

	(void)arg;
	ZCP_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	zcp_test_say_step(self, 1);
	ZCP_CHECK(zcp_subscriber_wait_publishers(subscriber, 2, ZCP_FOREVER) == -EINTR);
	zcp_test_say_step(self, 2);
	ZCP_OK(zcp_subscriber_wait_publishers(subscriber, 2, ZCP_FOREVER), node);
	ZCP_CHECK(zcp_subscriber_n_publishers(subscriber) == 2);
	zcp_test_say_step(self, 3);
	zcp_node_close(node);
}

static void waiting_for_publishers(void)
{
	struct zcp_test_child child;
	struct zcp_subscriber *subscriber;
	struct zcp_node *node;
	uint64_t start;

	zcp_test_fork(&child, wait_for_two, NULL);
	node = zcp_test_node();
	subscriber = zcp_test_subscriber(node, TOPIC, 4, 2, 0);
	ZCP_OK(zcp_subscriber_wait_publishers(subscriber, 0, 0), node);
	ZCP_CHECK(zcp_subscriber_wait_publishers(subscriber, 1, 0) == -ETIMEDOUT);
	start = zcp_now_ns();
	ZCP_CHECK(zcp_subscriber_wait_publishers(subscriber, 1, 5 * MS) == -ETIMEDOUT);
	ZCP_CHECK(zcp_now_ns() - start >= 5 * MS);

	zcp_test_hear_step(&child, 1);
	zcp_test_wait_until_asleep(child.pid);
	ZCP_CHECK(kill(child.pid, SIGUSR1) == 0);
	zcp_test_hear_step(&child, 2);
	zcp_test_publisher(node, TOPIC, 64, 2);
	ZCP_OK(zcp_subscriber_wait_publishers(subscriber, 1, 0), node);
	zcp_test_wait_until_asleep(child.pid);
	zcp_test_publisher(node, TOPIC, 64, 2);
	zcp_test_hear_step(&child, 3);
	zcp_test_join(&child);
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(publisher_sees_subscribers_join_leave_and_die),
	ZCP_TEST_CASE(subscriber_sees_publishers_join_leave_and_die),
	ZCP_TEST_CASE(those_who_are_there_are_told_of_once),
	ZCP_TEST_CASE(slot_that_is_used_again_is_another),
	ZCP_TEST_CASE(subscriber_that_hangs_up_has_left),
	ZCP_TEST_CASE(callback_outlives_the_runtime),
	ZCP_TEST_CASE(what_is_published_after_the_callback_is_received),
	ZCP_TEST_CASE(node_with_publishers_only_is_woken),
	ZCP_TEST_CASE(waiting_for_ever_needs_something_to_wait_for),
	ZCP_TEST_CASE(descriptor_is_readable_while_somebody_is_to_be_told_of),
	ZCP_TEST_CASE(callback_may_close_any_its_own_too),
	ZCP_TEST_CASE(callback_may_set_itself_anew),
	ZCP_TEST_CASE(sample_says_whose_it_is),
	ZCP_TEST_CASE(waiting_for_publishers),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
