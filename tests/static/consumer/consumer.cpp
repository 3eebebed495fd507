// SPDX-License-Identifier: Apache-2.0
//
// consumer.c once more, for a C++ compiler.
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <zcp/zcp.h>

int main(int argc, char **argv)
{
	if (zcp_version() != ZCP_VERSION)
		return 1;
	if (argc > 1 && std::strcmp(argv[1], zcp_version_string()) != 0)
		return 1;

	zcp_node_options options = ZCP_NODE_OPTIONS_INIT;
	options.domain = "no/such domain";
	options.auto_start = ZCP_AUTO_START_OFF;

	zcp_node *node = nullptr;
	const int r = zcp_node_open(&node, &options);
	if (r != -EINVAL || node) {
		std::fprintf(stderr, "zcp_node_open: %d (%s)\n", r, zcp_strerror(r));
		return 1;
	}
	return 0;
}
