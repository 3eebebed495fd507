/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All of the runtime is killed, and another one comes: what cannot go on under it says so, and what
 * it must not believe harms nobody else.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"
#include "tests/support/scene.h"

#define ROUNDS 40
#define NOBODY 65534

static void what_cannot_go_on_says_so(void)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_node_options patient = ZCP_NODE_OPTIONS_INIT;
	struct zcp_test_scene scene = { .n = 0 };
	struct zcp_sample sample;
	struct zcp_loan loan;
	struct zcp_node *node, *new;

	zcp_test_runtime_start(&scene.runtime, NULL);
	patient.auto_start = ZCP_AUTO_START_OFF;
	patient.timeout_ns = 50000000;
	ZCP_OK(zcp_node_open(&scene.node, &patient), NULL);
	node = scene.node;
	zcp_test_scene_open_link(&scene);
	zcp_test_send(scene.publisher, 1);
	ZCP_OK(zcp_subscriber_take(scene.subscriber, &sample), node);
	zcp_test_runtime_kill_all(&scene.runtime);
	options.max_payload = ZCP_SCENE_PAYLOAD;
	/* The second time as well, when the end of the connection is known. */
	for (int i = 0; i < 2; i++) {
		struct zcp_publisher *none;

		ZCP_REFUSED(zcp_publisher_open(&none, node, "t", &options), node, -ENOTCONN,
			    "runtime of domain 'default' is gone|start zcpd");
	}
	/* Another one comes, and somebody new, before this node looks for it. */
	zcp_test_runtime_start(&scene.runtime, NULL);
	new = zcp_test_node();
	ZCP_CHECK(zcp_test_domain_id(new) != zcp_test_domain_id(node));
	(void)zcp_test_publisher(new, "t", ZCP_SCENE_PAYLOAD, 2);
	ZCP_REFUSED(zcp_node_wait(node, ZCP_FOREVER), node, -ESTALE, "open it again");
	ZCP_REFUSED(zcp_publisher_loan(scene.publisher, 8, &loan), node, -ESTALE,
		    "topic 't'|open it again");
	ZCP_CHECK(zcp_sample_release(&sample) == 0);
	ZCP_REFUSED(zcp_subscriber_take(scene.subscriber, &sample), node, -ESTALE,
		    "topic 't'|open it again");
	zcp_test_scene_close_link(&scene);
	ZCP_CHECK(zcp_test_domain_id(new) == zcp_test_domain_id(node));
	zcp_test_scene_open_link(&scene);
	zcp_test_scene_exchange(&scene);
	zcp_test_check_members(new, "t", 2, 1);
	zcp_node_close(node);
	zcp_test_wait_for_members(new, "t", 1, 0);
	zcp_node_close(new);
	zcp_test_runtime_stop(&scene.runtime);
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
	publisher = zcp_test_publisher(node, "t", ZCP_SCENE_PAYLOAD, 2);
	(void)zcp_test_subscriber(other, "t", ZCP_SCENE_DEPTH, ZCP_SCENE_HELD, ZCP_ON_FULL_BLOCK);
	(void)zcp_test_publisher(other, "t", ZCP_SCENE_PAYLOAD, 2);
	subscriber = zcp_test_subscriber(node, "t", ZCP_SCENE_DEPTH, ZCP_SCENE_HELD, 0);
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
	struct zcp_test_scene scene;
	struct zcp_node *other;
	uint64_t id;

	zcp_test_scene_begin(&scene, NULL);
	other = zcp_test_node();
	id = zcp_test_node_id(scene.node);
	ZCP_CHECK(shutdown(zcp_test_socket(scene.node), SHUT_RDWR) == 0);
	ZCP_REFUSED(zcp_node_wait(scene.node, ZCP_FOREVER), scene.node, -ESTALE,
		    "topic 't'|taken the connection for lost|open it again");
	ZCP_CHECK(zcp_test_node_id(scene.node) == id);
	zcp_test_scene_close_link(&scene);
	ZCP_CHECK(zcp_test_ask(other, "t") == -ENOENT);
	zcp_test_scene_open_link(&scene);
	zcp_test_scene_exchange(&scene);
	ZCP_CHECK(zcp_test_audit(scene.node) == 0);
	zcp_node_close(other);
	zcp_test_scene_end(&scene);
}

/* --- regions that somebody has written to --- */

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
		struct zcp_subscriber *of_new;
		struct zcp_publisher *new;
		struct zcp_test_scene scene;
		struct zcp_node *other;
		struct zcp_loan loan;

		zcp_test_scene_begin(&scene, NULL);
		zcp_test_scene_exchange(&scene);
		zcp_test_runtime_kill_all(&scene.runtime);
		scribble_somewhere(scene.publisher, round, &seed);
		zcp_test_runtime_start(&scene.runtime, NULL);
		ZCP_CHECK(zcp_test_ask(scene.node, "other") == -ENOENT);
		n_back += zcp_publisher_loan(scene.publisher, 1, &loan) != -ESTALE;
		other = zcp_test_node();
		new = zcp_test_publisher(other, "other", ZCP_SCENE_PAYLOAD, 2);
		of_new = zcp_test_subscriber(scene.node, "other", ZCP_SCENE_DEPTH, ZCP_SCENE_HELD,
					     0);
		zcp_test_send(new, 7);
		zcp_test_expect(of_new, 7);
		zcp_node_close(other);
		zcp_node_close(scene.node);
		zcp_test_runtime_stop(&scene.runtime);
		ZCP_CHECK(!zcp_test_runtime_said(&scene.runtime, "the worker has died"));
		ZCP_CHECK(unlink(scene.runtime.log) == 0);
	}
	/* Some could go on, and some could not. */
	ZCP_CHECK(n_back > 0 && n_back < ROUNDS);
}

/* --- what may not come back --- */

/* It has opened everything, and gives up its user, as servers do. */
static void become_nobody(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node(), *other = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "alone", ZCP_SCENE_PAYLOAD, 2);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(other, "none", ZCP_SCENE_DEPTH,
								ZCP_SCENE_HELD, 0);
	struct zcp_publisher *met = zcp_test_publisher(node, "t", ZCP_SCENE_PAYLOAD, 2);
	struct zcp_subscriber *taker = zcp_test_subscriber(other, "t", ZCP_SCENE_DEPTH,
							   ZCP_SCENE_HELD, 0);
	struct zcp_loan loan;
	struct zcp_sample sample;
	int r;

	(void)arg;
	ZCP_CHECK(setresuid(NOBODY, NOBODY, NOBODY) == 0);
	zcp_test_say_step(self, 1);
	zcp_test_hear_step(self, 2);
	do {
		r = zcp_publisher_loan(publisher, ZCP_SCENE_PAYLOAD, &loan);
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

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(what_cannot_go_on_says_so),
	ZCP_TEST_CASE(what_is_closed_meanwhile_is_gone),
	ZCP_TEST_CASE(a_connection_that_breaks_is_told),
	ZCP_TEST_CASE(what_is_handed_back_is_not_believed),
	ZCP_TEST_CASE(node_whose_process_has_given_up_its_user_is_told),
};

ZCP_TEST_MAIN(cases)
