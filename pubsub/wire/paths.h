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
 * The runtime directory: `directory` if not NULL, else $ZCP_RUNTIME_DIR, else
 * $XDG_RUNTIME_DIR/zcp, else /run/zcp for root, else /tmp/zcp-<uid>. An absolute path, so that a
 * later chdir(2) changes nothing. Returns 0; -ENAMETOOLONG.
 */
__attribute__((warn_unused_result)) int zcp_paths_find(const char *directory, char *path,
						       size_t size);

/*
 * Finds them; `directory` as in zcp_paths_find(). Returns 0; -EINVAL: the domain's name is
 * malformed; -ENAMETOOLONG. A sentence goes into `text` (`text_size` bytes) on failure.
 */
__attribute__((warn_unused_result)) int zcp_paths_init(struct zcp_paths *paths,
						       const char *directory, const char *domain,
						       char *text, size_t text_size);

/*
 * Makes the two directories, where they are missing, and checks them. The runtime directory is ours
 * or root's, of any mode: a volume. The domain's directory is ours and closed to others (0700).
 * Either may be a symbolic link of ours or root's. Where others may write to the runtime directory,
 * they can take the domain's away and put another there: a node looks whose runtime it has reached.
 *
 * With `create` false a missing one is -ENOENT. Returns 0; -EPERM: not ours or open to others; what
 * mkdir(2) gives; with a sentence.
 */
__attribute__((warn_unused_result)) int zcp_paths_check(const struct zcp_paths *paths, bool create,
							char *text, size_t text_size);

/* A path in the domain's directory; -ENAMETOOLONG. */
__attribute__((warn_unused_result)) int zcp_paths_file(const struct zcp_paths *paths,
						       const char *name, char *path, size_t size);

#endif
