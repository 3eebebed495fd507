/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of a runtime in the background is bounded, whatever its clients do.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define N_DEATHS 30

static const char *log_path(void)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/default/zcpd.log", zcp_test_directory());
	return path;
}

static unsigned int count(const char *text)
{
	FILE *stream = fopen(log_path(), "re");
	char line[1100];
	unsigned int n = 0;

	ZCP_CHECK(stream != NULL);
	while (fgets(line, sizeof(line), stream))
		n += strstr(line, text) != NULL;
	(void)fclose(stream);
	return n;
}

static void subscribe(struct zcp_test_child *self, void *arg)
{
	(void)arg;
	(void)zcp_test_subscriber(zcp_test_node(), "t", 4, 2, 0);
	zcp_test_say_step(self, 0);
	zcp_test_wait_for_the_end(self);
}

/* A program that is started again and again, and killed, does not fill the memory that /run is. */
static void deaths_are_counted(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "t", 64, 2);
	struct zcp_test_child child;

	for (int i = 0; i < N_DEATHS; i++) {
		zcp_test_fork(&child, subscribe, NULL);
		zcp_test_hear_step(&child, 0);
		zcp_test_kill(&child);
		zcp_test_wait_for_members(node, "t", 1, 0);
	}
	ZCP_CHECK(count("has ended without closing") == 10);
	zcp_publisher_close(publisher);
	zcp_node_close(node);
	zcp_test_started_runtime_stop("default");
	ZCP_CHECK(count("20 more of these, the last one: node") == 1);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(deaths_are_counted),
};

ZCP_TEST_MAIN(cases)
