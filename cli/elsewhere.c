/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel lists the sockets of the network namespace in /proc/net/unix (proc(5)), with the path
 * that each was bound to. zcpd binds "<runtime directory>/<domain>/zcpd.new_" and renames that to
 * zcpd.sock.
 */
#include "cli/elsewhere.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/complain.h"
#include "pubsub/client/node.h"
#include "pubsub/util.h"
#include "pubsub/wire/paths.h"

/* More are counted only. */
#define PLACES_MAX 4
/* Below it users are the system's (SYS_UID_MAX in login.defs(5)). */
#define USER_MIN 1000
/* In a line's flags: it listens. */
#define FLAG_ACCEPTS 0x10000
#define BOUND_NAME "/zcpd.new_"
/* The list is read page by page: where sockets are closed meanwhile, one of the others is left out. */
#define LOOKS 3

struct place {
	char directory[PATH_MAX];
	uid_t uid;
};

struct search {
	struct zcp_paths here;
	char domain[ZCP_NAME_SIZE];
	struct place places[PLACES_MAX];
	uint32_t n_places;
	uint32_t n_more;
};

enum which {
	TELLS_PLAIN,  /* all but those that only a choice leads to, from a chosen place */
	TELLS_CHOSEN, /* those */
	TELLS_ALL,
};

static bool is_chosen_here(const struct cli_common *common)
{
	const char *environment = getenv("ZCP_RUNTIME_DIR");

	return common->runtime_dir || (environment && environment[0]);
}

/* Whether nodes find it without $ZCP_RUNTIME_DIR: .../zcp and .../zcp-<uid> are such. */
static bool is_found_by_default(const char *directory)
{
	const char *name = strrchr(directory, '/');

	if (!name || strncmp(name, "/zcp", 4) != 0)
		return false;
	name += 4;
	return *name == '\0' ||
	       (*name == '-' && name[1] && !name[1 + strspn(name + 1, "0123456789")]);
}

/* Whose socket it is, or the nearest directory above it that we may see. */
static bool find_owner(const struct zcp_paths *paths, uid_t *uid)
{
	const char *nearest[] = { paths->socket.sun_path, paths->domain, paths->directory };
	struct stat st;

	for (size_t i = 0; i < 3; i++) {
		if (stat(nearest[i], &st) == 0) {
			*uid = st.st_uid;
			return true;
		}
		/* In another mount namespace, or gone. */
		if (errno != EACCES)
			return false;
	}
	return false;
}

static bool is_here(const struct search *search, const struct zcp_paths *paths)
{
	struct stat ours, theirs;

	return strcmp(search->here.directory, paths->directory) == 0 ||
	       (stat(search->here.socket.sun_path, &ours) == 0 &&
		stat(paths->socket.sun_path, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
		ours.st_ino == theirs.st_ino);
}

static bool is_known(const struct search *search, const char *directory)
{
	for (uint32_t i = 0; i < search->n_places; i++)
		if (strcmp(search->places[i].directory, directory) == 0)
			return true;
	return false;
}

static void look_at(struct search *search, const char *directory, bool is_chosen, enum which which)
{
	bool only_by_choice = is_chosen && !is_found_by_default(directory);
	struct zcp_paths paths;
	struct place *place;
	char text[256];
	uid_t uid;

	if ((which == TELLS_PLAIN && only_by_choice) || (which == TELLS_CHOSEN && !only_by_choice))
		return;
	if (zcp_paths_init(&paths, directory, search->domain, text, sizeof(text)) < 0 ||
	    is_here(search, &paths) || is_known(search, directory) || !find_owner(&paths, &uid))
		return;
	if (geteuid() != 0 && uid != geteuid() && uid >= USER_MIN)
		return;
	if (search->n_places >= PLACES_MAX) {
		search->n_more++;
		return;
	}
	place = &search->places[search->n_places++];
	(void)snprintf(place->directory, sizeof(place->directory), "%s", directory);
	place->uid = uid;
}

/* Cuts a line of /proc/net/unix down to the runtime directory; NULL: it is none of the domain's. */
static char *directory_in(char *line, const char *domain)
{
	char *path = strchr(line, '/'), *slash;
	unsigned int flags;
	size_t n;

	line[strcspn(line, "\n")] = '\0';
	if (!path || sscanf(line, "%*s %*x %*x %x", &flags) != 1 || !(flags & FLAG_ACCEPTS))
		return NULL;
	n = strlen(path);
	if (n < strlen(BOUND_NAME) || strcmp(path + n - strlen(BOUND_NAME), BOUND_NAME) != 0)
		return NULL;
	path[n - strlen(BOUND_NAME)] = '\0';
	slash = strrchr(path, '/');
	if (!slash || slash == path || strcmp(slash + 1, domain) != 0)
		return NULL;
	*slash = '\0';
	return path;
}

static const char *describe_user(uid_t uid, char text[32])
{
	if (uid == geteuid())
		return "yours";
	if (uid == 0)
		return "root's";
	(void)snprintf(text, 32, "user %u's", (unsigned int)uid);
	return text;
}

static void complain_place(const struct search *search, const struct place *place)
{
	char whose[32], how[PATH_MAX + 128];

	if (place->uid == geteuid())
		(void)snprintf(how, sizeof(how),
			       "set ZCP_RUNTIME_DIR to one of them for both sides, or use "
			       "--runtime-dir %s",
			       place->directory);
	else if (geteuid() == 0)
		(void)snprintf(how, sizeof(how),
			       "run both sides as one user; zcp list --runtime-dir %s shows it",
			       place->directory);
	else
		(void)snprintf(how, sizeof(how),
			       "run both sides as one user, with sudo both or none");
	cli_complain(
		"domain '%s' has another runtime at %s, %s; this one is at %s, and they share no "
		"topics: %s",
		search->domain, place->directory, describe_user(place->uid, whose),
		search->here.directory, how);
}

/* Returns how many there are. */
static uint32_t complain_places(const char *directory, const char *domain, bool is_chosen,
				enum which which)
{
	ZCP_CLEANUP(zcp_free_memory) struct search *search = calloc(1, sizeof(*search));
	ZCP_CLEANUP(zcp_free_memory) char *line = NULL;
	FILE *sockets = fopen("/proc/net/unix", "re");
	size_t size = 0;
	char text[256];

	if (search && sockets && strlen(domain) < sizeof(search->domain) &&
	    zcp_paths_init(&search->here, directory, domain, text, sizeof(text)) == 0) {
		(void)strcpy(search->domain, domain);
		for (int i = 0; i < LOOKS; i++) {
			search->n_more = 0;
			rewind(sockets);
			while (getline(&line, &size, sockets) > 0) {
				const char *found = directory_in(line, domain);

				if (found)
					look_at(search, found, is_chosen, which);
			}
		}
	}
	if (sockets)
		(void)fclose(sockets);
	if (!search)
		return 0;
	for (uint32_t i = 0; i < search->n_places; i++)
		complain_place(search, &search->places[i]);
	if (search->n_more > 0)
		cli_complain("and %" PRIu32 " more runtimes of domain '%s'", search->n_more,
			     domain);
	return search->n_places;
}

static const char *domain_of(const struct cli_common *common)
{
	const char *environment = getenv("ZCP_DOMAIN");

	if (common->domain)
		return common->domain;
	return environment && environment[0] ? environment : "default";
}

static void complain_config(const struct zcp_node *node)
{
	const char *ours = getenv("ZCP_CONFIG");
	char path[PATH_MAX];

	/* A runtime of another version does not say. */
	if (!node || !ours || !ours[0] || !node->config[0])
		return;
	if (!realpath(ours, path))
		(void)snprintf(path, sizeof(path), "%s", ours);
	if (strcmp(path, node->config) == 0)
		return;
	cli_complain(
		"ZCP_CONFIG is %s, and the runtime of domain '%s' goes by %s, with which it was "
		"started: end it, so that it is started anew, or use another domain",
		path, node->domain, node->config);
}

static bool is_chosen;

void cli_elsewhere_complain(const struct cli_common *common, const struct zcp_node *node)
{
	is_chosen = is_chosen_here(common);
	complain_config(node);
	(void)complain_places(common->runtime_dir, domain_of(common), is_chosen, TELLS_PLAIN);
}

void cli_elsewhere_complain_chosen(const struct zcp_node *node)
{
	static bool is_said;

	if (!is_said)
		(void)complain_places(node->options.runtime_dir, node->domain, is_chosen,
				      TELLS_CHOSEN);
	is_said = true;
}

void cli_elsewhere_complain_all(const struct cli_common *common, const struct zcp_node *node)
{
	const char *domain = domain_of(common);
	char directory[PATH_MAX];

	complain_config(node);
	if (complain_places(common->runtime_dir, domain, false, TELLS_ALL) == 0 &&
	    zcp_paths_find(common->runtime_dir, directory, sizeof(directory)) == 0)
		cli_complain("this is domain '%s' at %s; no other runtime of that name is known",
			     domain, directory);
}
