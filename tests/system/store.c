/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service manager that stores descriptors: all of the runtime is killed at once, keeper and
 * worker, it is started again with what is stored, and whoever is attached notices nothing.
 */
#include <stdio.h>

#include "tests/support/load.h"
#include "tests/system/store_helpers.h"

#define ROUNDS 10

static void links_go_on(void)
{
	unsigned int keeper, worker;
	struct service service;
	uint32_t n;

	begin(&service, "1024");
	zcp_test_scene_check(&service.link);
	n = n_stored(&service);
	restart(&service);
	zcp_test_scene_check(&service.link);
	zcp_test_wait_until_asleep_in(service.link.runtime.pid, "poll");
	keeper = zcp_test_n_fds(service.link.runtime.pid);
	worker = zcp_test_n_fds(service.link.runtime.worker);
	for (int round = 0; round < ROUNDS; round++) {
		/* One is queued meanwhile, and links work. */
		zcp_test_send(service.link.publisher, ++service.link.n);
		zcp_test_runtime_kill_all(&service.link.runtime);
		zcp_test_expect(service.link.subscriber, service.link.n);
		zcp_test_scene_exchange(&service.link);
		zcp_test_send(service.link.publisher, ++service.link.n);
		start_service(&service);
		ZCP_CHECK(zcp_test_runtime_pid("default") == service.link.runtime.pid);
		zcp_test_expect(service.link.subscriber, service.link.n);
		zcp_test_scene_check(&service.link);
		check_unnoticed(&service);
		ZCP_CHECK(n_stored(&service) == n);
		zcp_test_wait_n_fds(service.link.runtime.pid, keeper);
		zcp_test_wait_n_fds(service.link.runtime.worker, worker);
	}
	end(&service);
}

/* Whoever of the two dies first, alone. */
static void the_store_outlives_keepers_and_workers(void)
{
	struct service service;
	uint32_t n;

	begin(&service, "1024");
	n = n_stored(&service);
	for (int round = 0; round < 5; round++) {
		(void)zcp_test_kill_worker(service.link.runtime.pid);
		zcp_test_scene_check(&service.link);
		ZCP_CHECK(n_stored(&service) == n);
		zcp_test_runtime_kill_keeper(&service.link.runtime);
		zcp_test_scene_check(&service.link);
		ZCP_CHECK(n_stored(&service) == n);
		restart(&service);
		zcp_test_scene_check(&service.link);
		check_unnoticed(&service);
		ZCP_CHECK(n_stored(&service) == n);
	}
	end(&service);
}

/* --- who comes, goes and dies --- */

static void die_with_the_runtime(struct zcp_test_child *helper, void *user)
{
	struct service *service = user;

	zcp_test_runtime_kill_all(&service->link.runtime);
	zcp_test_kill(helper);
	start_service(service);
}

static void who_dies_meanwhile_is_cleaned_up(void)
{
	struct service service;
	uint32_t n;

	begin(&service, "1024");
	n = n_stored(&service);
	zcp_test_scene_lose_helpers(&service.link, die_with_the_runtime, &service);
	/* The last helper's connection may be about to go. */
	while (n_stored(&service) != n)
		;
	check_unnoticed(&service);
	end(&service);
}

static void as_much_is_stored_as_there_is(void)
{
	struct service service;
	uint32_t n = 0;

	begin(&service, "1024");
	/* Often enough for the list of records to be written anew. */
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 20; i++) {
			struct zcp_node *node = zcp_test_node();

			(void)zcp_test_publisher(node, "t", ZCP_SCENE_PAYLOAD, 2);
			(void)zcp_test_subscriber(node, "other", ZCP_SCENE_DEPTH, ZCP_SCENE_HELD,
						  0);
			zcp_node_close(node);
		}
		zcp_test_wait_until_gone(service.link.node, "other");
		zcp_test_wait_for_members(service.link.node, "t", 1, 1);
		ZCP_CHECK(zcp_test_audit(service.link.node) == 0);
		if (round == 0)
			n = n_stored(&service);
		/* The last node's connection may be about to go. */
		while (n_stored(&service) != n)
			;
	}
	restart(&service);
	zcp_test_scene_check(&service.link);
	check_unnoticed(&service);
	ZCP_CHECK(n_stored(&service) == n);
	end(&service);
}

static void open_one_after_the_other(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	const char *topic = arg;
	uint64_t n = 0;

	zcp_test_say_step(self, 0);
	for (; !zcp_test_has_said(self); n++) {
		struct zcp_subscriber *subscriber = zcp_test_subscriber(
			node, topic, ZCP_SCENE_DEPTH, ZCP_SCENE_HELD, 0);
		struct zcp_publisher *publisher = zcp_test_publisher(node, "other",
								     ZCP_SCENE_PAYLOAD, 1);

		zcp_test_send(publisher, n);
		ZCP_CHECK(zcp_publisher_close(publisher) == NULL);
		ZCP_CHECK(zcp_subscriber_close(subscriber) == NULL);
		if (n % 8 == 7) {
			zcp_node_close(node);
			node = zcp_test_node();
		}
	}
	zcp_test_say(self, &n, sizeof(n));
	zcp_node_close(node);
}

static void nothing_is_lost_under_load(void)
{
	struct zcp_test_load load;
	struct service service;
	uint64_t killed = 0;

	begin(&service, "1024");
	zcp_test_load_begin(&load);
	while (zcp_test_load_goes_on(&load) || killed < ROUNDS) {
		zcp_test_scene_exchange(&service.link);
		restart(&service);
		killed++;
		zcp_test_scene_exchange(&service.link);
		ZCP_CHECK(zcp_test_ask(service.link.node, "t") == 0);
	}
	zcp_test_load_end(&load, "runtimes", killed);
	while (zcp_test_ask(service.link.node, "load") == 0 ||
	       zcp_test_ask(service.link.node, "other") == 0)
		;
	check_unnoticed(&service);
	end(&service);
}

/* Killed in the middle of what was asked, again and again. */
static void what_is_asked_meanwhile_is_done(void)
{
	static char *const topics[] = { "a", "other" };
	uint64_t rounds = zcp_test_rounds(3 * ROUNDS), n;
	struct zcp_test_child children[2];
	struct service service;

	begin(&service, "1024");
	for (int i = 0; i < 2; i++) {
		zcp_test_fork(&children[i], open_one_after_the_other, topics[i]);
		zcp_test_hear_step(&children[i], 0);
	}
	for (uint64_t round = 0; round < rounds; round++) {
		/* Whoever has asked before us has been answered by then. */
		for (uint64_t i = 0; i <= round % 8; i++)
			ZCP_CHECK(zcp_test_ask(service.link.node, "t") == 0);
		restart(&service);
	}
	for (int i = 0; i < 2; i++) {
		zcp_test_say_step(&children[i], 1);
		zcp_test_hear(&children[i], &n, sizeof(n));
		zcp_test_join(&children[i]);
		(void)printf("%llu endpoints\n", (unsigned long long)n * 2);
	}
	while (zcp_test_ask(service.link.node, "a") == 0 ||
	       zcp_test_ask(service.link.node, "other") == 0)
		;
	check_unnoticed(&service);
	end(&service);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(links_go_on),
	ZCP_TEST_CASE(the_store_outlives_keepers_and_workers),
	ZCP_TEST_CASE(who_dies_meanwhile_is_cleaned_up),
	ZCP_TEST_CASE(as_much_is_stored_as_there_is),
	ZCP_TEST_CASE(nothing_is_lost_under_load),
	ZCP_TEST_CASE(what_is_asked_meanwhile_is_done),
};

ZCP_TEST_MAIN(cases)
