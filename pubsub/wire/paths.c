/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for the runtime directory, and the checks on it.
 */
#include "pubsub/wire/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "pubsub/util.h"
#include "pubsub/wire/message.h"

#define SOCKET_NAME "zcpd.sock"

static bool is_name(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n >= ZCP_NAME_SIZE || name[0] == '.')
		return 0;
	return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
	       n;
}

int zcp_paths_find(const char *directory, char *path, size_t size)
{
	const char *runtime = getenv("ZCP_RUNTIME_DIR"), *xdg = getenv("XDG_RUNTIME_DIR");
	char here[PATH_MAX];
	int n;

	if (!directory && runtime && runtime[0])
		directory = runtime;
	if (directory && directory[0] != '/' && getcwd(here, sizeof(here)))
		n = snprintf(path, size, "%s/%s", here, directory);
	else if (directory)
		n = snprintf(path, size, "%s", directory);
	else if (xdg && xdg[0] == '/')
		n = snprintf(path, size, "%s/zcp", xdg);
	else if (geteuid() == 0)
		n = snprintf(path, size, "/run/zcp");
	else
		n = snprintf(path, size, "/tmp/zcp-%u", (unsigned int)geteuid());
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int zcp_paths_init(struct zcp_paths *paths, const char *directory, const char *domain, char *text,
		   size_t text_size)
{
	size_t size = sizeof(paths->socket.sun_path);
	int n;

	if (!is_name(domain)) {
		(void)snprintf(text, text_size,
			       "domain name '%.80s' is malformed: use 1 to 63 letters, digits, "
			       "'.', '_' or '-', and no '.' in front",
			       domain);
		return -EINVAL;
	}
	memset(paths, 0, sizeof(*paths));
	paths->socket.sun_family = AF_UNIX;
	if (zcp_paths_find(directory, paths->directory, sizeof(paths->directory)) < 0)
		goto too_long;
	n = snprintf(paths->domain, sizeof(paths->domain), "%s/%s", paths->directory, domain);
	if (n < 0 || (size_t)n >= sizeof(paths->domain))
		goto too_long;
	n = snprintf(paths->socket.sun_path, size, "%s/" SOCKET_NAME, paths->domain);
	if (n < 0 || (size_t)n >= size)
		goto too_long;
	return 0;
too_long:
	(void)snprintf(text, text_size,
		       "the socket's path %.200s/%s/" SOCKET_NAME
		       " is longer than the %zu bytes a Unix socket may have: set ZCP_RUNTIME_DIR "
		       "to a shorter directory",
		       paths->directory, domain, size - 1);
	return -ENAMETOOLONG;
}

/* Makes the directory where it is missing and that is wanted, and looks at what there is. */
static int look_at(const char *path, bool create, struct stat *st, char *text, size_t text_size)
{
	int r;

	if (create && mkdir(path, 0700) < 0 && errno != EEXIST) {
		r = zcp_errno();
		(void)snprintf(text, text_size,
			       "cannot make the runtime directory %s: %s: make it, or set "
			       "ZCP_RUNTIME_DIR to one that you can write to",
			       path, strerror(-r));
		return r;
	}
	if (lstat(path, st) == 0 && S_ISLNK(st->st_mode) && st->st_uid != geteuid() &&
	    st->st_uid != 0) {
		(void)snprintf(text, text_size,
			       "runtime directory %s is a symbolic link of user %u and we are user "
			       "%u: remove it, or set ZCP_RUNTIME_DIR to another",
			       path, (unsigned int)st->st_uid, (unsigned int)geteuid());
		return -EPERM;
	}
	if (stat(path, st) < 0) {
		r = zcp_errno();
		(void)snprintf(
			text, text_size,
			"runtime directory %s: %s: make it, or set ZCP_RUNTIME_DIR to another",
			path, strerror(-r));
		return r;
	}
	if (!S_ISDIR(st->st_mode)) {
		(void)snprintf(text, text_size,
			       "runtime directory %s is not a directory: remove it, or set "
			       "ZCP_RUNTIME_DIR to another",
			       path);
		return -EPERM;
	}
	return 0;
}

static int refuse_owner(const char *path, const struct stat *st, char *text, size_t text_size)
{
	(void)snprintf(text, text_size,
		       "runtime directory %s belongs to user %u and we are user %u: set "
		       "ZCP_RUNTIME_DIR to a directory of our own",
		       path, (unsigned int)st->st_uid, (unsigned int)geteuid());
	return -EPERM;
}

int zcp_paths_check(const struct zcp_paths *paths, bool create, char *text, size_t text_size)
{
	struct stat st;
	int r = look_at(paths->directory, create, &st, text, text_size);

	if (r < 0)
		return r;
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return refuse_owner(paths->directory, &st, text, text_size);
	r = look_at(paths->domain, create, &st, text, text_size);
	if (r < 0)
		return r;
	if (st.st_uid != geteuid())
		return refuse_owner(paths->domain, &st, text, text_size);
	if (st.st_mode & 077) {
		(void)snprintf(text, text_size,
			       "runtime directory %s is open to others (mode %04o): chmod 0700 it",
			       paths->domain, (unsigned int)(st.st_mode & 07777));
		return -EPERM;
	}
	return 0;
}

int zcp_paths_file(const struct zcp_paths *paths, const char *name, char *path, size_t size)
{
	int n = snprintf(path, size, "%s/%s", paths->domain, name);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}
