/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the service manager's store to a keeper's shelf.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pubsub/util.h"
#include "runtime/failover/store.h"
#include "runtime/system/log.h"
#include "runtime/system/notify.h"

/* Where descriptors that were passed begin. */
#define FDS_BEGIN 3
#define PREFIX "zcp-"
#define FD_PREFIX PREFIX "fd-"
#define LEDGER_PREFIX PREFIX "ledger-"

struct passed {
	int fd;
	/* what the name ends with */
	uint64_t number;
	bool is_ledger;
	const char *name;
	/* it is on the shelf now */
	bool is_used;
};

struct passed_list {
	struct passed *all;
	size_t n;
	/* the names are in here */
	char *names;
};

static void deinit_list(struct passed_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		zcp_close_fd(&list->all[i].fd);
	free(list->all);
	free(list->names);
}

static int compare(const void *left, const void *right)
{
	const struct passed *a = left, *b = right;

	if (a->is_ledger != b->is_ledger)
		return a->is_ledger ? 1 : -1;
	return a->number == b->number ? 0 : a->number < b->number ? -1 : 1;
}

static bool is_prefix(const char *prefix, const char *name)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* In the environment: descriptors with our names; others are not ours, and stay as they are. */
static int list_passed(struct passed_list *list)
{
	const char *pid = getenv("LISTEN_PID"), *n_text = getenv("LISTEN_FDS"),
		   *names = getenv("LISTEN_FDNAMES");
	char *at;
	long n;

	if (!pid || !n_text || !names || strtol(pid, NULL, 10) != (long)getpid())
		return 0;
	n = strtol(n_text, NULL, 10);
	if (n <= 0 || n > 1 << 20)
		return 0;
	list->names = strdup(names);
	list->all = calloc((size_t)n, sizeof(list->all[0]));
	if (!list->names || !list->all)
		return -ENOMEM;
	at = list->names;
	for (int fd = FDS_BEGIN; fd < FDS_BEGIN + n && at; fd++) {
		const char *name = strsep(&at, ":");
		bool is_ledger = is_prefix(LEDGER_PREFIX, name);

		if (!is_prefix(PREFIX, name) || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			continue;
		list->all[list->n++] = (struct passed){
			.fd = fd,
			.name = name,
			.is_ledger = is_ledger,
			.number = is_ledger || is_prefix(FD_PREFIX, name) ?
					  strtoull(strrchr(name, '-') + 1, NULL, 10) :
					  0,
		};
	}
	qsort(list->all, list->n, sizeof(list->all[0]), compare);
	return 0;
}

static const char *fault_of(enum zcpd_ledger_state state)
{
	switch (state) {
	case ZCPD_LEDGER_VALID:
		return NULL;
	case ZCPD_LEDGER_PREPARED:
		return "the runtime was killed before it was complete";
	case ZCPD_LEDGER_OFF:
		return "something could not be stored";
	case ZCPD_LEDGER_ENDED:
		return "the runtime before has ended by itself";
	case ZCPD_LEDGER_HANDED_ON:
		return "a runtime that was started otherwise has taken it over";
	}
	return "its list of records is broken";
}

/*
 * The latest that has counted. One that was still prepared has never; and one before the latest
 * may be there as well and say that it is valid, where a worker was killed between the two.
 */
static struct passed *choose_ledger(struct passed_list *list, struct zcpd_ledger *ledger,
				    const char **why)
{
	*why = "its list of records is missing";
	for (size_t i = list->n; i > 0 && list->all[i - 1].is_ledger; i--) {
		if (zcpd_ledger_open(ledger, dup(list->all[i - 1].fd), why) < 0)
			return NULL;
		if (zcpd_ledger_state(ledger) != ZCPD_LEDGER_PREPARED)
			return &list->all[i - 1];
		*why = fault_of(ZCPD_LEDGER_PREPARED);
		zcpd_ledger_deinit(ledger);
	}
	return NULL;
}

static struct passed *find(struct passed_list *list, uint64_t serial)
{
	const struct passed key = { .number = serial };
	struct passed *found = bsearch(&key, list->all, list->n, sizeof(key), compare);
	size_t i = found ? (size_t)(found - list->all) : 0;

	/* Where two have one name, it cannot be said which is meant. */
	if (!found || found->fd < 0 || !is_prefix(FD_PREFIX, found->name) ||
	    (i > 0 && compare(&list->all[i - 1], &key) == 0) ||
	    (i + 1 < list->n && compare(&list->all[i + 1], &key) == 0))
		return NULL;
	return found;
}

static int keep_entry(struct zcpd_shelf *shelf, struct passed_list *list,
		      const struct zcpd_ledger_entry *entry)
{
	int fds[ZCPD_KEEP_FDS_MAX];
	uint32_t n = 0;

	for (; n < entry->n_fds; n++) {
		struct passed *passed = find(list, entry->fds[n].serial);

		if (!passed)
			break;
		passed->is_used = true;
		fds[n] = zcp_steal_fd(&passed->fd);
	}
	if (n == entry->n_fds)
		return zcpd_shelf_keep(shelf, entry->kind, entry->id, "", 0, fds, n);
	while (n > 0)
		(void)close(fds[--n]);
	return -ENOENT;
}

/* Returns what is wrong, or NULL. */
static const char *fill(struct zcpd_shelf *shelf, struct passed_list *list,
			struct zcpd_ledger *ledger)
{
	const struct zcpd_shelf_record *record;
	int r = 0;

	TAILQ_FOREACH(record, &ledger->records.records, link) {
		r = keep_entry(shelf, list, zcpd_ledger_find(ledger, record->kind, record->id));
		if (r < 0)
			break;
	}
	if (r == -ENOENT)
		return "a descriptor is missing";
	return r < 0 ? strerror(-r) : NULL;
}

/*
 * The manager closes its copy when it comes to it. Until then another runtime must not find the
 * domain locked, and a node must not wait at a connection that no runtime serves.
 */
static void give_up(int fd)
{
	(void)flock(fd, LOCK_UN);
	(void)shutdown(fd, SHUT_RDWR);
}

/* All, or those that are of no use. */
static void remove_names(const struct passed_list *list, bool all)
{
	ZCP_CLEANUP(zcp_close_fd) int notify = zcpd_notify_connect();

	for (size_t i = 0; notify >= 0 && i < list->n; i++) {
		char text[320];

		if (!all && list->all[i].is_used)
			continue;
		(void)snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", list->all[i].name);
		if (send(notify, text, strlen(text), MSG_NOSIGNAL) < 0) {
			zcpd_warning("the service manager's store cannot be emptied: %s",
				     strerror(errno));
			return;
		}
	}
}

static void forget(struct zcpd_shelf *shelf, const struct passed_list *list, bool is_elsewhere)
{
	const struct zcpd_shelf_record *record;

	TAILQ_FOREACH(record, &shelf->records, link)
		for (uint32_t i = 0; i < record->n_fds && !is_elsewhere; i++)
			give_up(record->fds[i]);
	for (size_t i = 0; i < list->n && !is_elsewhere; i++)
		if (list->all[i].fd >= 0)
			give_up(list->all[i].fd);
	while (!TAILQ_EMPTY(&shelf->records))
		zcpd_shelf_drop(shelf, TAILQ_FIRST(&shelf->records)->kind,
				TAILQ_FIRST(&shelf->records)->id);
}

/* Whether the shelf has everything. */
static bool take(struct zcpd_shelf *shelf, struct passed_list *list)
{
	struct zcpd_ledger ledger = { .fd = -1 };
	const char *why;
	struct passed *chosen = choose_ledger(list, &ledger, &why);
	enum zcpd_ledger_state state = chosen ? zcpd_ledger_state(&ledger) : ZCPD_LEDGER_PREPARED;

	if (chosen)
		why = fault_of(state);
	if (!why)
		why = fill(shelf, list, &ledger);
	if (!why) {
		int fd = zcp_steal_fd(&chosen->fd);

		chosen->is_used = true;
		zcpd_ledger_make_ours(&ledger);
		if (zcpd_shelf_keep(shelf, ZCPD_KEEP_LEDGER, 0, "", 0, &fd, 1) < 0)
			why = strerror(ENOMEM);
	}
	zcpd_ledger_deinit(&ledger);
	if (!why)
		return true;
	zcpd_warning("the runtime does not go on from what the service manager has stored: %s: it "
		     "begins anew, and nodes come back to it",
		     why);
	forget(shelf, list, state == ZCPD_LEDGER_HANDED_ON);
	return false;
}

bool zcpd_store_take(struct zcpd_shelf *shelf)
{
	ZCP_CLEANUP(deinit_list) struct passed_list list = { .n = 0 };
	bool is_filled = false;
	int r = list_passed(&list);

	if (r < 0)
		zcpd_error("what the service manager has stored cannot be read: %s", strerror(-r));
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	if (r < 0 || list.n == 0)
		return false;
	is_filled = take(shelf, &list);
	remove_names(&list, !is_filled);
	return is_filled;
}

void zcpd_store_condemn(struct zcpd_shelf *shelf, enum zcpd_ledger_state state)
{
	const struct zcpd_shelf_record *record = zcpd_shelf_find(shelf, ZCPD_KEEP_LEDGER, 0);

	if (record && record->n_fds > 0)
		zcpd_ledger_set_state_of(record->fds[0], state);
}
