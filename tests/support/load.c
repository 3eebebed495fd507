/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three processes.
 */
#include "tests/support/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "pubsub/util.h"
#include "tests/support/cases.h"
#include "tests/support/runtime.h"

#define SECONDS 3
/* Between two deaths; the life of an endpoint. */
#define KILL_NS 500000000
#define OPEN_NS 50000000
#define PATIENCE_NS UINT64_C(20000000000)
#define BATCH 1000
#define PAYLOAD 64

static uint64_t seconds(void)
{
	const char *text = getenv("ZCP_RESTART_SECONDS");

	return text ? (uint64_t)atoi(text) : SECONDS;
}

static struct zcp_node *open_node(void)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;
	struct zcp_node *node;

	options.auto_start = ZCP_AUTO_START_OFF;
	options.wait_ns = PATIENCE_NS;
	options.timeout_ns = PATIENCE_NS;
	ZCP_OK(zcp_node_open(&node, &options), NULL);
	return node;
}

static void subscribe(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = open_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "load", 64, 2,
								ZCP_ON_FULL_BLOCK);
	uint64_t number = 0, lost, next = 0;

	(void)arg;
	zcp_test_say_step(self, 0);
	while (number != UINT64_MAX) {
		ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
		while (zcp_test_take(subscriber, &number, &lost)) {
			ZCP_CHECK(lost == 0);
			ZCP_CHECK(number == UINT64_MAX || number == next++);
		}
	}
	zcp_test_say(self, &next, sizeof(next));
	zcp_node_close(node);
}

static void publish(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = open_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "load", PAYLOAD, 2);
	uint64_t n = 0;

	(void)arg;
	ZCP_OK(zcp_publisher_wait_subscribers(publisher, 1, ZCP_FOREVER), node);
	zcp_test_say_step(self, 0);
	while (!zcp_test_has_said(self)) {
		for (int i = 0; i < BATCH; i++)
			zcp_test_send(publisher, n++);
		/* Where the subscriber never sleeps, nothing else lets it look for the runtime. */
		ZCP_CHECK(zcp_node_wait(node, 0) == -ETIMEDOUT);
	}
	zcp_test_send(publisher, UINT64_MAX);
	zcp_test_say(self, &n, sizeof(n));
	zcp_publisher_close(publisher);
	zcp_node_close(node);
}

static void come_and_go(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = open_node();
	uint64_t n = 0;

	(void)arg;
	zcp_test_say_step(self, 0);
	for (; !zcp_test_has_said(self); n++) {
		struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "load", 4, 2, 0);
		struct zcp_publisher *publisher = zcp_test_publisher(node, "other", PAYLOAD, 1);

		zcp_test_send(publisher, n);
		(void)nanosleep(&(struct timespec){ .tv_nsec = OPEN_NS }, NULL);
		ZCP_CHECK(zcp_publisher_close(publisher) == NULL);
		ZCP_CHECK(zcp_subscriber_close(subscriber) == NULL);
		if (n % 8 == 7) {
			zcp_node_close(node);
			node = open_node();
		}
	}
	zcp_test_say(self, &n, sizeof(n));
	zcp_node_close(node);
}

void zcp_test_load_begin(struct zcp_test_load *load)
{
	static void (*const lives[])(struct zcp_test_child *, void *) = { subscribe, publish,
									  come_and_go };

	(void)alarm((unsigned int)seconds() + 60);
	for (int i = 0; i < 3; i++) {
		zcp_test_fork(&load->children[i], lives[i], NULL);
		zcp_test_hear_step(&load->children[i], 0);
	}
	load->end_ns = zcp_now_ns() + seconds() * 1000000000;
}

bool zcp_test_load_goes_on(const struct zcp_test_load *load)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = KILL_NS }, NULL);
	return zcp_now_ns() < load->end_ns;
}

void zcp_test_load_end(struct zcp_test_load *load, const char *victims, uint64_t n_victims)
{
	uint64_t counts[3];

	/* The subscriber ends with the last message. */
	for (int i = 2; i >= 0; i--) {
		if (i > 0)
			zcp_test_say_step(&load->children[i], 1);
		zcp_test_hear(&load->children[i], &counts[i], sizeof(counts[i]));
	}
	ZCP_CHECK(counts[0] == counts[1]);
	for (int i = 0; i < 3; i++)
		zcp_test_join(&load->children[i]);
	(void)printf("%llu messages, %llu endpoints, %llu %s\n", (unsigned long long)counts[0],
		     (unsigned long long)counts[2] * 2, (unsigned long long)n_victims, victims);
}
