/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program of somebody who has installed zcp: linked, loaded, and of one version with its
 * headers. The node makes the linker fetch all of the archive.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <zcp/zcp.h>

int main(int argc, char **argv)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;
	struct zcp_node *node = NULL;
	int r;

	if (zcp_version() != ZCP_VERSION) {
		fprintf(stderr, "header %#x, library %#x\n", (unsigned int)ZCP_VERSION,
			zcp_version());
		return 1;
	}
	if (argc > 1 && strcmp(argv[1], zcp_version_string()) != 0) {
		fprintf(stderr, "expected %s, library %s\n", argv[1], zcp_version_string());
		return 1;
	}

	/* Refused before anything is looked for. */
	options.domain = "no/such domain";
	options.auto_start = ZCP_AUTO_START_OFF;
	r = zcp_node_open(&node, &options);
	if (r != -EINVAL || node) {
		fprintf(stderr, "zcp_node_open: %d (%s)\n", r, zcp_strerror(r));
		return 1;
	}
	return 0;
}
