/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A runtime, a node, and a link on topic "t" from one publisher to one blocking subscriber, which
 * must not notice what becomes of the runtime. What does not work ends the process (ZCP_CHECK).
 */
#ifndef ZCP_TESTS_SUPPORT_SCENE_H
#define ZCP_TESTS_SUPPORT_SCENE_H

#include <stdint.h>
#include <zcp/zcp.h>

#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define ZCP_SCENE_DEPTH 4
#define ZCP_SCENE_HELD 2
#define ZCP_SCENE_PAYLOAD 64

struct zcp_test_scene {
	struct zcp_test_runtime runtime;
	struct zcp_node *node;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
	/* messages that the link's endpoints promise to those that join late */
	uint32_t history;
	/* number of the link's last message */
	uint64_t n;
};

/* Starts a runtime (its configuration, or NULL) and attaches to it; everything else is 0. */
void zcp_test_scene_begin(struct zcp_test_scene *scene, const char *config);

/* The node and the link alone, under a runtime that there is. */
void zcp_test_scene_attach(struct zcp_test_scene *scene);

/* The link alone, whose numbers begin anew; and its end. */
void zcp_test_scene_open_link(struct zcp_test_scene *scene);
void zcp_test_scene_close_link(struct zcp_test_scene *scene);

/* A hundred messages, before each of which the node sleeps; as many as the queue holds, at once. */
void zcp_test_scene_exchange(struct zcp_test_scene *scene);
void zcp_test_scene_burst(struct zcp_test_scene *scene);

/* The runtime knows so many endpoints on "t", and each message that was sent there. */
void zcp_test_scene_check_members(const struct zcp_test_scene *scene, uint32_t n_publishers,
				  uint32_t n_subscribers);

/* An exchange, a subscriber that opens and closes, and the audit. */
void zcp_test_scene_check(struct zcp_test_scene *scene);

/* Exchanges; closes the link: nothing of it is left; closes the node. And ends the runtime. */
void zcp_test_scene_detach(struct zcp_test_scene *scene);
void zcp_test_scene_end(struct zcp_test_scene *scene);

/* A helper with a publisher on "p" and a subscriber on "s": says step 0, waits for the end. */
void zcp_test_publish_and_subscribe(struct zcp_test_child *self, void *arg);

/*
 * Five times such a helper is linked to the node in both directions, and `die` ends it and some of
 * the runtime: nothing of the helper may be left.
 */
void zcp_test_scene_lose_helpers(struct zcp_test_scene *scene,
				 void (*die)(struct zcp_test_child *helper, void *user),
				 void *user);

#endif
