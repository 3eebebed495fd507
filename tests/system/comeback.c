/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All of the runtime is killed at once, keeper and worker, and another one comes: what is open
 * goes on, its nodes come back to it with all that they have, who has died meanwhile is cleaned
 * up, and what cannot go on says so.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pubsub/util.h"
#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/load.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define DEPTH 4
#define HELD 2
#define PAYLOAD 64

static void exchange(struct zcp_node *node, struct zcp_publisher *publisher,
		     struct zcp_subscriber *subscriber, uint64_t *n, int times)
{
	for (int i = 0; i < times; i++) {
		zcp_test_send(publisher, ++*n);
		ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
		zcp_test_expect(subscriber, *n);
	}
}

static void check_info(struct zcp_node *node, const char *topic, uint32_t n_publishers,
		       uint32_t n_subscribers)
{
	struct zcp_message reply;

	zcp_test_info(node, topic, &reply);
	ZCP_CHECK(reply.u.topic_info.n_publishers == n_publishers);
	ZCP_CHECK(reply.u.topic_info.n_subscribers == n_subscribers);
	zcp_message_deinit(&reply);
}

static void a_node_comes_back_with_what_it_has(void)
{
	struct zcp_publisher *publisher, *other;
	struct zcp_subscriber *subscriber;
	struct zcp_test_runtime runtime;
	struct zcp_node *node, *new;
	uint64_t n = 0, domain;

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	domain = zcp_test_domain_id(node);
	publisher = zcp_test_publisher(node, "t", PAYLOAD, 2);
	subscriber = zcp_test_subscriber(node, "t", DEPTH, HELD, ZCP_ON_FULL_BLOCK);
	for (int round = 0; round < 5; round++) {
		uint64_t publisher_id = zcp_publisher_id(publisher);

		exchange(node, publisher, subscriber, &n, 100);
		zcp_test_send(publisher, ++n);
		zcp_test_runtime_kill_all(&runtime);
		zcp_test_expect(subscriber, n);
		exchange(node, publisher, subscriber, &n, 100);
		zcp_test_send(publisher, ++n);
		zcp_test_runtime_start(&runtime, NULL);
		/* By asking, it comes back. */
		check_info(node, "t", 1, 1);
		ZCP_CHECK(zcp_test_domain_id(node) == domain &&
			  zcp_publisher_id(publisher) == publisher_id);
		zcp_test_expect(subscriber, n);
		ZCP_CHECK(zcp_test_audit(node) == 0);
		exchange(node, publisher, subscriber, &n, 100);
		new = zcp_test_node();
		ZCP_CHECK(zcp_test_domain_id(new) == domain &&
			  zcp_test_node_id(new) != zcp_test_node_id(node));
		other = zcp_test_publisher(new, "t", PAYLOAD, 2);
		ZCP_CHECK(zcp_publisher_n_subscribers(other) == 1);
		zcp_test_send(other, 7);
		zcp_test_expect(subscriber, 7);
		zcp_node_close(new);
		zcp_test_wait_for_members(node, "t", 1, 1);
	}
	zcp_subscriber_close(subscriber);
	subscriber = zcp_test_subscriber(node, "t", DEPTH, HELD, ZCP_ON_FULL_BLOCK);
	ZCP_CHECK(zcp_test_inside(subscriber).slot == 0);
	exchange(node, publisher, subscriber, &n, 100);
	zcp_subscriber_close(subscriber);
	zcp_publisher_close(publisher);
	ZCP_CHECK(zcp_test_ask(node, "t") == -ENOENT);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

/* Nothing wakes it, and it asks for nothing: it comes back by publishing, or by looking. */
static void one_who_only_publishes_comes_back(void)
{
	for (int looks = 0; looks < 2; looks++) {
		struct zcp_test_runtime runtime;
		struct zcp_publisher *publisher;
		struct zcp_node *node, *other;
		uint64_t n = 0;

		zcp_test_runtime_start(&runtime, NULL);
		node = zcp_test_node();
		publisher = zcp_test_publisher(node, "t", PAYLOAD, 2);
		zcp_test_runtime_kill_all(&runtime);
		zcp_test_runtime_start(&runtime, NULL);
		while (zcp_test_runtime_count(&runtime, "has come back") < 1) {
			if (looks)
				ZCP_CHECK(zcp_node_wait(node, 0) == -ETIMEDOUT);
			else
				zcp_test_send(publisher, ++n);
		}
		other = zcp_test_node();
		(void)zcp_test_subscriber(other, "t", DEPTH, HELD, 0);
		ZCP_CHECK(zcp_publisher_n_subscribers(publisher) == 1);
		zcp_node_close(other);
		zcp_node_close(node);
		zcp_test_runtime_stop(&runtime);
		ZCP_CHECK(unlink(runtime.log) == 0);
	}
}

/* --- who sleeps, and who dies meanwhile --- */

enum way {
	SLEEP,
	POLL,
};

/* Takes numbers until it has one that is UINT64_MAX. */
static void receive(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", 64, HELD, 0);
	uint64_t number = 0, lost, sum = 0;
	struct pollfd pollfd = { .fd = -1, .events = POLLIN };

	if (*(enum way *)arg == POLL) {
		pollfd.fd = zcp_node_fd(node);
		ZCP_CHECK(pollfd.fd >= 0 && zcp_node_wait(node, 0) == -ETIMEDOUT);
	}
	zcp_test_say_step(self, 0);
	while (number != UINT64_MAX) {
		int r;

		if (pollfd.fd >= 0) {
			ZCP_CHECK(poll(&pollfd, 1, -1) == 1);
			while (zcp_test_take(subscriber, &number, &lost))
				sum += lost == 0;
			r = zcp_node_wait(node, 0);
			ZCP_CHECK(r == 0 || r == -ETIMEDOUT);
			continue;
		}
		ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
		while (zcp_test_take(subscriber, &number, &lost))
			sum += lost == 0;
	}
	zcp_test_say_step(self, sum);
	zcp_node_close(node);
}

static void publish_and_subscribe(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();

	(void)zcp_test_publisher(node, "t", PAYLOAD, 2);
	(void)zcp_test_subscriber(node, "t", DEPTH, HELD, 0);
	(void)arg;
	zcp_test_say_step(self, 0);
	zcp_test_wait_for_the_end(self);
}

/*
 * Sleepers are found by the runtime that comes, whether they sleep or poll; one who has died in
 * between is cleaned up.
 */
static void sleepers_come_back_by_themselves(void)
{
	enum way ways[] = { SLEEP, POLL, SLEEP, POLL };
	struct zcp_test_child receivers[4], dies;
	struct zcp_publisher *publisher;
	struct zcp_test_runtime runtime;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, "t", PAYLOAD, 2);
	for (int i = 0; i < 4; i++) {
		zcp_test_fork(&receivers[i], receive, &ways[i]);
		zcp_test_hear_step(&receivers[i], 0);
	}
	for (uint64_t round = 0; round < 3; round++) {
		zcp_test_fork(&dies, publish_and_subscribe, NULL);
		zcp_test_hear_step(&dies, 0);
		zcp_test_wait_for_members(node, "t", 2, 5);
		zcp_test_send(publisher, 2 * round);
		zcp_test_runtime_kill_all(&runtime);
		zcp_test_kill(&dies);
		zcp_test_send(publisher, 2 * round + 1);
		zcp_test_runtime_start(&runtime, NULL);
		zcp_test_wait_for_members(node, "t", 1, 4);
		/* Each has come by itself: the runtime says so. */
		while (zcp_test_runtime_count(&runtime, "has come back") < 5 * (round + 1))
			ZCP_CHECK(zcp_test_ask(node, "t") == 0);
		while (zcp_test_audit(node) != 0)
			;
	}
	zcp_test_send(publisher, UINT64_MAX);
	for (int i = 0; i < 4; i++) {
		zcp_test_hear_step(&receivers[i], 7);
		zcp_test_join(&receivers[i]);
	}
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static void publish_again(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "t", PAYLOAD, 2);

	(void)arg;
	zcp_test_say_step(self, 0);
	zcp_test_hear_step(self, 1);
	check_info(node, "t", 1, 0);
	zcp_test_send(publisher, 1);
	zcp_node_close(node);
	zcp_test_say_step(self, 2);
}

static void come_new(struct zcp_test_child *self, void *arg)
{
	(void)arg;
	zcp_test_hear_step(self, 1);
	(void)zcp_test_publisher(zcp_test_node(), "t", PAYLOAD, 2);
	zcp_test_say_step(self, 2);
}

/*
 * The new runtime does not run for as long as it would wait for the nodes of the one before. A node
 * that is new is at its door first, and still waits for the one that comes back.
 */
static void time_in_which_the_runtime_does_not_run_is_not_counted(void)
{
	struct zcp_test_child former, new;
	struct zcp_test_runtime runtime;

	zcp_test_runtime_start(&runtime, NULL);
	zcp_test_fork(&former, publish_again, NULL);
	zcp_test_hear_step(&former, 0);
	zcp_test_fork(&new, come_new, NULL);
	zcp_test_runtime_kill_all(&runtime);
	zcp_test_runtime_start(&runtime, NULL);
	zcp_test_stop_process(runtime.worker);
	zcp_test_say_step(&new, 1);
	zcp_test_wait_until_asleep_in(new.pid, "poll");
	zcp_test_say_step(&former, 1);
	zcp_test_wait_until_asleep_in(former.pid, "poll");
	/* return_timeout, and more */
	(void)nanosleep(&(struct timespec){ .tv_sec = 1, .tv_nsec = 100000000 }, NULL);
	zcp_test_continue_process(runtime.worker);
	zcp_test_hear_step(&former, 2);
	zcp_test_hear_step(&new, 2);
	zcp_test_join(&former);
	zcp_test_join(&new);
	zcp_test_runtime_stop(&runtime);
}

/* --- history, a pool that is shared, and one that has grown --- */

static const char config[] = "[pool.shared]\n"
			     "classes = [ { size = \"256\", count = 64 }, "
			     "{ size = \"4KiB\", count = 32 } ]\n"
			     "[topic.\"shared/*\"]\npool = \"shared\"\n"
			     "[topic.kept]\nhistory = 4\nkeep_history = true\n";

static void pools_and_history_come_back(void)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_subscriber_options late = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_publisher *a, *b, *large, *kept;
	struct zcp_subscriber *of_a, *of_b, *of_large, *of_kept;
	struct zcp_test_runtime runtime;
	struct zcp_node *node, *other;

	zcp_test_runtime_start(&runtime, config);
	node = zcp_test_node();
	other = zcp_test_node();
	a = zcp_test_publisher(node, "shared/a", 256, 2);
	b = zcp_test_publisher(other, "shared/b", 4096, 2);
	of_a = zcp_test_subscriber(other, "shared/a", DEPTH, HELD, 0);
	of_b = zcp_test_subscriber(node, "shared/b", DEPTH, HELD, 0);
	(void)zcp_test_publisher(node, "grows", 64, 2);
	of_large = zcp_test_subscriber(node, "grows", DEPTH, HELD, 0);
	large = zcp_test_publisher(other, "grows", 10000, 2);
	options.max_payload = PAYLOAD;
	ZCP_OK(zcp_publisher_open(&kept, node, "kept", &options), node);
	for (uint64_t i = 1; i <= 10; i++)
		zcp_test_send(kept, i);
	zcp_publisher_close(kept);
	of_kept = zcp_test_subscriber(node, "kept", 2, HELD, 0);
	zcp_test_send(a, 1);
	zcp_test_send(b, 2);
	zcp_test_send(large, 3);
	zcp_test_runtime_kill_all(&runtime);
	zcp_test_runtime_start(&runtime, config);
	/* One after another: each hands back what it knows of it. */
	check_info(node, "shared/a", 1, 1);
	check_info(other, "shared/b", 1, 1);
	check_info(other, "grows", 2, 1);
	zcp_test_expect(of_a, 1);
	zcp_test_expect(of_b, 2);
	zcp_test_expect(of_large, 3);
	zcp_test_send(a, 4);
	zcp_test_expect(of_a, 4);
	ZCP_CHECK(zcp_test_audit(node) == 0);
	late.history = 10;
	late.depth = 8;
	zcp_subscriber_close(of_kept);
	ZCP_CHECK(zcp_test_ask(node, "kept") == 0);
	ZCP_OK(zcp_subscriber_open(&of_kept, node, "kept", &late), node);
	for (uint64_t i = 7; i <= 10; i++)
		zcp_test_expect(of_kept, i);
	zcp_node_close(other);
	zcp_test_wait_for_members(node, "grows", 1, 1);
	ZCP_CHECK(zcp_test_audit(node) == 0);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

/* --- what cannot go on --- */

static void what_cannot_go_on_says_so(void)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_node_options patient = ZCP_NODE_OPTIONS_INIT;
	struct zcp_test_runtime runtime;
	struct zcp_subscriber *subscriber;
	struct zcp_publisher *publisher;
	struct zcp_node *node, *new;
	struct zcp_sample sample;
	struct zcp_loan loan;
	uint64_t n = 0;

	zcp_test_runtime_start(&runtime, NULL);
	patient.auto_start = ZCP_AUTO_START_OFF;
	patient.timeout_ns = 50000000;
	ZCP_OK(zcp_node_open(&node, &patient), NULL);
	publisher = zcp_test_publisher(node, "t", PAYLOAD, 2);
	subscriber = zcp_test_subscriber(node, "t", DEPTH, HELD, 0);
	zcp_test_send(publisher, 1);
	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	zcp_test_runtime_kill_all(&runtime);
	options.max_payload = PAYLOAD;
	/* The second time as well, when the end of the connection is known. */
	for (int i = 0; i < 2; i++) {
		struct zcp_publisher *none;

		ZCP_REFUSED(zcp_publisher_open(&none, node, "t", &options), node, -ENOTCONN,
			    "runtime of domain 'default' is gone|start zcpd");
	}
	/* Another one comes, and somebody new, before this node looks for it. */
	zcp_test_runtime_start(&runtime, NULL);
	new = zcp_test_node();
	ZCP_CHECK(zcp_test_domain_id(new) != zcp_test_domain_id(node));
	(void)zcp_test_publisher(new, "t", PAYLOAD, 2);
	ZCP_REFUSED(zcp_node_wait(node, ZCP_FOREVER), node, -ESTALE, "open it again");
	ZCP_REFUSED(zcp_publisher_loan(publisher, 8, &loan), node, -ESTALE,
		    "topic 't'|open it again");
	ZCP_CHECK(zcp_sample_release(&sample) == 0);
	ZCP_REFUSED(zcp_subscriber_take(subscriber, &sample), node, -ESTALE,
		    "topic 't'|open it again");
	zcp_publisher_close(publisher);
	zcp_subscriber_close(subscriber);
	ZCP_CHECK(zcp_test_domain_id(new) == zcp_test_domain_id(node));
	publisher = zcp_test_publisher(node, "t", PAYLOAD, 2);
	subscriber = zcp_test_subscriber(node, "t", DEPTH, HELD, 0);
	exchange(node, publisher, subscriber, &n, 10);
	check_info(new, "t", 2, 1);
	zcp_node_close(node);
	zcp_test_wait_for_members(new, "t", 1, 0);
	zcp_node_close(new);
	zcp_test_runtime_stop(&runtime);
}

/* One that is closed while nobody is there is not waited for, though its process lives. */
static void what_is_closed_meanwhile_is_gone(void)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;
	struct zcp_subscriber *subscriber;
	struct zcp_test_runtime runtime;
	struct zcp_publisher *publisher;
	struct zcp_node *node, *other;

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	options.auto_start = ZCP_AUTO_START_OFF;
	ZCP_OK(zcp_node_open(&other, &options), NULL);
	publisher = zcp_test_publisher(node, "t", PAYLOAD, 2);
	(void)zcp_test_subscriber(other, "t", DEPTH, HELD, ZCP_ON_FULL_BLOCK);
	(void)zcp_test_publisher(other, "t", PAYLOAD, 2);
	subscriber = zcp_test_subscriber(node, "t", DEPTH, HELD, 0);
	zcp_test_send(publisher, 1);
	zcp_test_runtime_kill_all(&runtime);
	zcp_subscriber_close(subscriber);
	zcp_node_close(other);
	zcp_test_runtime_start(&runtime, NULL);
	zcp_test_wait_for_members(node, "t", 1, 0);
	ZCP_CHECK(zcp_test_audit(node) == 0);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

/* The runtime lives, and has taken the connection for over: what hung on it is opened again. */
static void a_connection_that_breaks_is_told(void)
{
	struct zcp_subscriber *subscriber;
	struct zcp_test_runtime runtime;
	struct zcp_publisher *publisher;
	struct zcp_node *node, *other;
	uint64_t n = 0, id;

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	other = zcp_test_node();
	publisher = zcp_test_publisher(node, "t", PAYLOAD, 2);
	subscriber = zcp_test_subscriber(node, "t", DEPTH, HELD, 0);
	id = zcp_test_node_id(node);
	ZCP_CHECK(shutdown(zcp_test_socket(node), SHUT_RDWR) == 0);
	ZCP_REFUSED(zcp_node_wait(node, ZCP_FOREVER), node, -ESTALE,
		    "topic 't'|taken the connection for lost|open it again");
	ZCP_CHECK(zcp_test_node_id(node) == id);
	zcp_publisher_close(publisher);
	zcp_subscriber_close(subscriber);
	ZCP_CHECK(zcp_test_ask(other, "t") == -ENOENT);
	publisher = zcp_test_publisher(node, "t", PAYLOAD, 2);
	subscriber = zcp_test_subscriber(node, "t", DEPTH, HELD, 0);
	exchange(node, publisher, subscriber, &n, 10);
	ZCP_CHECK(zcp_test_audit(node) == 0);
	zcp_node_close(other);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

/* --- regions that somebody has written to --- */

#define ROUNDS 40

static void scribble(void *base, size_t from, size_t size, unsigned int *seed)
{
	uint32_t *words = base;

	for (int i = 0; i < 200; i++)
		words[(from + (size_t)rand_r(seed) % size) / 4] =
			rand_r(seed) % 2 ? (uint32_t)rand_r(seed) : (uint32_t)rand_r(seed) % 300;
}

/*
 * Geometry and identity, members, descriptors, signals: the runtime takes the topic or refuses
 * it, and serves others either way.
 */
static void scribble_somewhere(struct zcp_publisher *publisher, int round, unsigned int *seed)
{
	struct zcp_topic *topic = zcp_test_inside(publisher).topic;
	struct zcp_signals *signals = zcp_test_signals(zcp_test_inside(publisher).node);
	size_t header = sizeof(struct zcp_region_shm);

	switch (round % 5) {
	case 0:
		scribble(topic->shm, header, sizeof(struct zcp_topic_shm) - header, seed);
		break;
	case 1:
		scribble(topic->publishers, 0,
			 topic->geometry.max_publishers * sizeof(topic->publishers[0]), seed);
		break;
	case 2:
		scribble(topic->subscribers, 0,
			 topic->geometry.max_subscribers * sizeof(topic->subscribers[0]), seed);
		break;
	case 3:
		scribble(zcp_test_inside(publisher).pool->classes[0].chunks_region.base, header,
			 4096, seed);
		break;
	default:
		scribble(signals->region.base, header, 8192, seed);
		break;
	}
}

static void what_is_handed_back_is_not_believed(void)
{
	unsigned int seed = 1;
	int n_back = 0;

	for (int round = 0; round < ROUNDS; round++) {
		struct zcp_test_runtime runtime;
		struct zcp_publisher *publisher, *new;
		struct zcp_subscriber *subscriber, *of_new;
		struct zcp_node *node, *other;
		struct zcp_loan loan;
		uint64_t n = 0;

		zcp_test_runtime_start(&runtime, NULL);
		node = zcp_test_node();
		publisher = zcp_test_publisher(node, "t", PAYLOAD, 2);
		subscriber = zcp_test_subscriber(node, "t", DEPTH, HELD, 0);
		exchange(node, publisher, subscriber, &n, 10);
		zcp_test_runtime_kill_all(&runtime);
		scribble_somewhere(publisher, round, &seed);
		zcp_test_runtime_start(&runtime, NULL);
		ZCP_CHECK(zcp_test_ask(node, "other") == -ENOENT);
		n_back += zcp_publisher_loan(publisher, 1, &loan) != -ESTALE;
		other = zcp_test_node();
		new = zcp_test_publisher(other, "other", PAYLOAD, 2);
		of_new = zcp_test_subscriber(node, "other", DEPTH, HELD, 0);
		zcp_test_send(new, 7);
		zcp_test_expect(of_new, 7);
		zcp_node_close(other);
		zcp_node_close(node);
		zcp_test_runtime_stop(&runtime);
		ZCP_CHECK(!zcp_test_runtime_said(&runtime, "the worker has died"));
		ZCP_CHECK(unlink(runtime.log) == 0);
	}
	/* Some could go on, and some could not. */
	ZCP_CHECK(n_back > 0 && n_back < ROUNDS);
}

/* --- what may not come back --- */

#define NOBODY 65534

/* It has opened everything, and gives up its user, as servers do. */
static void become_nobody(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node(), *other = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "alone", PAYLOAD, 2);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(other, "none", DEPTH, HELD, 0);
	struct zcp_publisher *met = zcp_test_publisher(node, "t", PAYLOAD, 2);
	struct zcp_subscriber *taker = zcp_test_subscriber(other, "t", DEPTH, HELD, 0);
	struct zcp_loan loan;
	struct zcp_sample sample;
	int r;

	(void)arg;
	ZCP_CHECK(setresuid(NOBODY, NOBODY, NOBODY) == 0);
	zcp_test_say_step(self, 1);
	zcp_test_hear_step(self, 2);
	do {
		r = zcp_publisher_loan(publisher, PAYLOAD, &loan);
		if (r == 0)
			ZCP_OK(zcp_publisher_publish(publisher, &loan), node);
	} while (r == 0);
	ZCP_CHECK(r == -ESTALE && zcp_test_has(zcp_node_error(node), "may not look for another|"
								     "Permission denied"));
	do {
		r = zcp_node_wait(other, 0);
	} while (r == -ETIMEDOUT);
	ZCP_CHECK(r == -ESTALE && zcp_test_has(zcp_node_error(other), "may not look for another"));
	ZCP_CHECK(zcp_subscriber_take(subscriber, &sample) == -ESTALE);
	/* Those that have one another go on. */
	zcp_test_send(met, 1);
	zcp_test_expect(taker, 1);
	zcp_node_close(node);
	zcp_node_close(other);
}

static void node_whose_process_has_given_up_its_user_is_told(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_test_child child;

	if (geteuid() != 0)
		zcp_test_skip("only root can become another user");
	zcp_test_runtime_start(&runtime, NULL);
	zcp_test_fork(&child, become_nobody, NULL);
	zcp_test_hear_step(&child, 1);
	zcp_test_runtime_kill_all(&runtime);
	zcp_test_runtime_start(&runtime, NULL);
	zcp_test_say_step(&child, 2);
	zcp_test_join(&child);
	zcp_test_runtime_stop(&runtime);
}

/* --- under load --- */

static void nothing_is_lost_under_load(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_test_load load;
	struct zcp_node *node;
	uint64_t n = 0;

	zcp_test_runtime_start(&runtime, NULL);
	zcp_test_load_begin(&load);
	for (; zcp_test_load_goes_on(&load); n++) {
		zcp_test_runtime_kill_all(&runtime);
		zcp_test_runtime_start(&runtime, NULL);
	}
	node = zcp_test_node();
	zcp_test_load_end(&load, "runtimes", n);
	while (zcp_test_ask(node, "load") == 0 || zcp_test_ask(node, "other") == 0)
		;
	ZCP_CHECK(zcp_test_audit(node) == 0);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(a_node_comes_back_with_what_it_has),
	ZCP_TEST_CASE(one_who_only_publishes_comes_back),
	ZCP_TEST_CASE(sleepers_come_back_by_themselves),
	ZCP_TEST_CASE(time_in_which_the_runtime_does_not_run_is_not_counted),
	ZCP_TEST_CASE(pools_and_history_come_back),
	ZCP_TEST_CASE(what_cannot_go_on_says_so),
	ZCP_TEST_CASE(what_is_closed_meanwhile_is_gone),
	ZCP_TEST_CASE(a_connection_that_breaks_is_told),
	ZCP_TEST_CASE(what_is_handed_back_is_not_believed),
	ZCP_TEST_CASE(node_whose_process_has_given_up_its_user_is_told),
	ZCP_TEST_CASE(nothing_is_lost_under_load),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
