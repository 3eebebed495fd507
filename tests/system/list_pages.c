/* SPDX-License-Identifier: Apache-2.0 */
/*
 * More topics than one packet of the runtime holds: `zcp list` shows them all, once and in
 * order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zcp/zcp.h>

#include "pubsub/util.h"
#include "tests/support/check.h"

#define N_TOPICS 300
#define TOPIC_FORMAT "topic/%0249d"

static char directory[] = "/tmp/zcp-list-XXXXXX";

/* Asks the runtime to end, and waits until it has closed the door. */
static void stop_runtime(void)
{
	char command[256];

	(void)snprintf(command, sizeof(command),
		       "pid=$(cat %s/default/zcpd.pid) && pid=${pid##*/} && kill $pid && "
		       "timeout 20 tail --pid=$pid -f /dev/null && rm -rf %s",
		       directory, directory);
	/* NOLINTNEXTLINE(cert-env33-c): nothing of the command comes from outside */
	ZCP_CHECK(system(command) == 0);
}

/* The names as `zcp list` prints them are those of our topics, one after the other. */
static void check_list(void)
{
	char name[ZCP_TOPIC_NAME_MAX + 1], line[1024];
	FILE *list;

	/* NOLINTNEXTLINE(cert-env33-c) */
	list = popen(ZCP_BIN_DIR "/zcp list", "r");
	ZCP_CHECK(list);
	ZCP_CHECK(fgets(line, sizeof(line), list) && strncmp(line, "TOPIC ", 6) == 0);
	for (int i = 0; i < N_TOPICS; i++) {
		(void)snprintf(name, sizeof(name), TOPIC_FORMAT, i);
		ZCP_CHECK(fgets(line, sizeof(line), list));
		ZCP_CHECK(strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ' ');
	}
	ZCP_CHECK(!fgets(line, sizeof(line), list));
	ZCP_CHECK(pclose(list) == 0);
}

int main(void)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	char name[ZCP_TOPIC_NAME_MAX + 1];
	struct zcp_publisher *publisher;
	struct zcp_node *node;

	zcp_test_watchdog(100);
	ZCP_CHECK(mkdtemp(directory));
	ZCP_CHECK(setenv("ZCP_RUNTIME_DIR", directory, 1) == 0);
	ZCP_CHECK(setenv("ZCP_ZCPD", ZCP_BIN_DIR "/zcpd", 1) == 0);
	ZCP_CHECK(zcp_node_open(&node, NULL) == 0);
	options.max_payload = 64;
	/* Backwards, so that the order is the runtime's. */
	for (int i = N_TOPICS; i-- > 0;) {
		(void)snprintf(name, sizeof(name), TOPIC_FORMAT, i);
		ZCP_CHECK(zcp_publisher_open(&publisher, node, name, &options) == 0);
	}
	check_list();
	node = zcp_node_close(node);
	stop_runtime();
	return 0;
}
