/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Core dumps: the chunks of a pool, which are mostly not there, are left out; what tells how the
 * domain stood is not.
 */
#include <stdio.h>
#include <string.h>

#include "tests/support/cases.h"
#include "tests/support/runtime.h"

/* Mappings of regions of that name that are in a dump, or are left out. */
static int count_mappings(const char *name, bool left_out)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	bool is_one = false;
	char line[512];
	int n = 0;

	ZCP_CHECK(file);
	while (fgets(line, sizeof(line), file)) {
		if (strstr(line, "memfd:"))
			is_one = strstr(line, name) != NULL;
		else if (is_one && strncmp(line, "VmFlags:", 8) == 0) {
			n += (strstr(line, " dd") != NULL) == left_out;
			is_one = false;
		}
	}
	(void)fclose(file);
	return n;
}

static void data_is_left_out(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	(void)zcp_test_publisher(node, "t", 64, 1);
	(void)zcp_test_subscriber(node, "t", 4, 2, 0);
	ZCP_CHECK(count_mappings("zcp-data", true) == 2);
	ZCP_CHECK(count_mappings("zcp-data", false) == 0);
	ZCP_CHECK(count_mappings("zcp-topic", false) == 2);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(data_is_left_out),
};

ZCP_TEST_MAIN(cases)
