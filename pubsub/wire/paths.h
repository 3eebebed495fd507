/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a domain's socket and lock files lie, and whether they lie safely.
 */
#ifndef ZCP_WIRE_PATHS_H
#define ZCP_WIRE_PATHS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

/* Where a domain's files are. */
struct zcp_paths {
	char directory[4096]; /* the runtime directory */
	char domain[4096];    /* the domain's directory in it */
	struct sockaddr_un socket;
};

/*
 * Finds them: `directory` if not NULL, else $ZCP_RUNTIME_DIR, else $XDG_RUNTIME_DIR/zcp,
 * else /run/zcp for root, else /tmp/zcp-<uid>. Returns 0; -EINVAL: the domain's name is
 * malformed; -ENAMETOOLONG. A sentence goes into `text` (`text_size` bytes) on failure.
 */
__attribute__((warn_unused_result)) int zcp_paths_init(struct zcp_paths *paths,
						       const char *directory, const char *domain,
						       char *text, size_t text_size);

/*
 * Makes the two directories, where they are missing, and checks that they are directories,
 * ours, and closed to others (0700). With `create` false a missing one is -ENOENT.
 * Returns 0; -EPERM: not ours or open to others; what mkdir(2) gives; with a sentence.
 */
__attribute__((warn_unused_result)) int zcp_paths_check(const struct zcp_paths *paths, bool create,
							char *text, size_t text_size);

/* A path in the domain's directory; -ENAMETOOLONG. */
__attribute__((warn_unused_result)) int zcp_paths_file(const struct zcp_paths *paths,
						       const char *name, char *path, size_t size);

#endif
