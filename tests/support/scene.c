/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link, and those that come and go beside it.
 */
#include "tests/support/scene.h"

#include <errno.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"

#define N_MESSAGES 100
#define N_HELPERS 5

void zcp_test_scene_open_link(struct zcp_test_scene *scene)
{
	struct zcp_subscriber_options subscriber = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_publisher_options publisher = ZCP_PUBLISHER_OPTIONS_INIT;

	publisher.max_payload = ZCP_SCENE_PAYLOAD;
	publisher.loans = 2;
	publisher.history = scene->history;
	subscriber.depth = ZCP_SCENE_DEPTH;
	subscriber.held = ZCP_SCENE_HELD;
	subscriber.history = scene->history;
	subscriber.on_full = ZCP_ON_FULL_BLOCK;
	ZCP_OK(zcp_publisher_open(&scene->publisher, scene->node, "t", &publisher), scene->node);
	ZCP_OK(zcp_subscriber_open(&scene->subscriber, scene->node, "t", &subscriber), scene->node);
	scene->n = 0;
}

void zcp_test_scene_close_link(struct zcp_test_scene *scene)
{
	scene->subscriber = zcp_subscriber_close(scene->subscriber);
	scene->publisher = zcp_publisher_close(scene->publisher);
}

void zcp_test_scene_attach(struct zcp_test_scene *scene)
{
	scene->node = zcp_test_node();
	zcp_test_scene_open_link(scene);
}

void zcp_test_scene_begin(struct zcp_test_scene *scene, const char *config)
{
	*scene = (struct zcp_test_scene){ .n = 0 };
	zcp_test_runtime_start(&scene->runtime, config);
	zcp_test_scene_attach(scene);
}

void zcp_test_scene_exchange(struct zcp_test_scene *scene)
{
	for (int i = 0; i < N_MESSAGES; i++) {
		zcp_test_send(scene->publisher, ++scene->n);
		ZCP_OK(zcp_node_wait(scene->node, ZCP_FOREVER), scene->node);
		zcp_test_expect(scene->subscriber, scene->n);
	}
}

void zcp_test_scene_burst(struct zcp_test_scene *scene)
{
	for (uint64_t i = 1; i <= ZCP_SCENE_DEPTH; i++)
		zcp_test_send(scene->publisher, scene->n + i);
	for (int i = 0; i < ZCP_SCENE_DEPTH; i++)
		zcp_test_expect(scene->subscriber, ++scene->n);
}

void zcp_test_scene_check_members(const struct zcp_test_scene *scene, uint32_t n_publishers,
				  uint32_t n_subscribers)
{
	const struct zcp_topic_info *info;
	struct zcp_message reply;

	zcp_test_info(scene->node, "t", &reply);
	info = &reply.u.topic_info;
	ZCP_CHECK(info->n_publishers == n_publishers && info->n_subscribers == n_subscribers);
	ZCP_CHECK(info->n_messages == scene->n);
	zcp_message_deinit(&reply);
}

void zcp_test_scene_check(struct zcp_test_scene *scene)
{
	struct zcp_subscriber *other;

	zcp_test_scene_exchange(scene);
	other = zcp_test_subscriber(scene->node, "t", ZCP_SCENE_DEPTH, ZCP_SCENE_HELD, 0);
	ZCP_CHECK(zcp_test_inside(other).slot == 1);
	zcp_test_scene_check_members(scene, 1, 2);
	zcp_subscriber_close(other);
	ZCP_CHECK(zcp_test_audit(scene->node) == 0);
}

void zcp_test_scene_detach(struct zcp_test_scene *scene)
{
	zcp_test_scene_exchange(scene);
	zcp_test_scene_close_link(scene);
	ZCP_CHECK(zcp_test_ask(scene->node, "t") == -ENOENT);
	ZCP_CHECK(zcp_test_audit(scene->node) == 0);
	scene->node = zcp_node_close(scene->node);
}

void zcp_test_scene_end(struct zcp_test_scene *scene)
{
	zcp_test_scene_detach(scene);
	zcp_test_runtime_stop(&scene->runtime);
	ZCP_CHECK(zcp_test_runtime_pid("default") == 0);
}

void zcp_test_publish_and_subscribe(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();

	(void)arg;
	(void)zcp_test_publisher(node, "p", ZCP_SCENE_PAYLOAD, 2);
	(void)zcp_test_subscriber(node, "s", ZCP_SCENE_DEPTH, ZCP_SCENE_HELD, 0);
	zcp_test_say_step(self, 0);
	zcp_test_wait_for_the_end(self);
}

void zcp_test_scene_lose_helpers(struct zcp_test_scene *scene,
				 void (*die)(struct zcp_test_child *helper, void *user), void *user)
{
	struct zcp_subscriber *subscriber = zcp_test_subscriber(scene->node, "p", ZCP_SCENE_DEPTH,
								ZCP_SCENE_HELD, 0);
	struct zcp_publisher *publisher = zcp_test_publisher(scene->node, "s", ZCP_SCENE_PAYLOAD,
							     2);

	for (int i = 0; i < N_HELPERS; i++) {
		struct zcp_test_child helper;

		zcp_test_fork(&helper, zcp_test_publish_and_subscribe, NULL);
		zcp_test_hear_step(&helper, 0);
		zcp_test_wait_for_members(scene->node, "p", 1, 1);
		zcp_test_wait_for_members(scene->node, "s", 1, 1);
		for (uint64_t n = 0; n < 2 * ZCP_SCENE_DEPTH; n++)
			zcp_test_send(publisher, n);
		die(&helper, user);
		zcp_test_wait_for_members(scene->node, "p", 0, 1);
		zcp_test_wait_for_members(scene->node, "s", 1, 0);
		ZCP_CHECK(zcp_test_audit(scene->node) == 0);
	}
	zcp_publisher_close(publisher);
	zcp_subscriber_close(subscriber);
}
