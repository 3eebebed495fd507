/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams to the service manager, and the ledger of what was in them.
 */
#include "runtime/failover/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/util.h"
#include "pubsub/wire/socket.h"
#include "runtime/system/log.h"
#include "runtime/system/notify.h"

/* That long a manager may take nothing. */
#define PATIENCE_NS UINT64_C(2000000000)
#define RETRY_NS 1000000
/* A ledger that is longer, and twice as long as what counts of it, is written anew. */
#define LEDGER_SIZE_MIN UINT64_C(262144)

static int tell(const struct zcpd_store *store, const char *text, int fd)
{
	uint64_t until_ns = zcp_now_ns() + PATIENCE_NS;
	int r;

	for (;;) {
		r = zcp_socket_send_packet(store->notify, text, strlen(text), &fd, fd >= 0);
		if ((r != -EAGAIN && r != -ETOOMANYREFS) || zcp_now_ns() >= until_ns)
			return r;
		(void)nanosleep(&(struct timespec){ .tv_nsec = RETRY_NS }, NULL);
	}
}

static int store_fd(const struct zcpd_store *store, const char *what, uint64_t number, int fd)
{
	char text[96];

	(void)snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=zcp-%s-%" PRIu64, what,
		       number);
	return tell(store, text, fd);
}

static int remove_fd(const struct zcpd_store *store, const char *what, uint64_t number)
{
	char text[96];

	(void)snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=zcp-%s-%" PRIu64, what, number);
	return tell(store, text, -1);
}

/* Everything that is known by name; up to the first that cannot be removed. */
static int remove_all(const struct zcpd_store *store, struct zcpd_ledger *ledger)
{
	const struct zcpd_shelf_record *record;
	int r = 0;

	TAILQ_FOREACH(record, &ledger->records.records, link) {
		const struct zcpd_ledger_entry *entry = zcpd_ledger_find(ledger, record->kind,
									 record->id);

		for (uint32_t i = 0; r == 0 && i < entry->n_fds; i++)
			r = remove_fd(store, "fd", entry->fds[i].serial);
	}
	/* What a worker that was killed then had stored or superseded last. */
	for (uint32_t i = 0; r == 0 && i < ledger->n_stale; i++)
		r = remove_fd(store, "fd", ledger->stale[i]);
	for (uint64_t i = 0; r == 0 && i < ZCPD_KEEP_FDS_MAX; i++)
		r = remove_fd(store, "fd", ledger->next_serial + i);
	return r;
}

/* The names stay known in the ledger, which stays where it is. */
static void call_off(struct zcpd_store *store, int r)
{
	const char *why = r == -EXFULL ? "its store is full (raise FileDescriptorStoreMax=)" :
					 strerror(-r);

	if (store->notify < 0)
		return;
	if (store->ledger)
		zcpd_ledger_set_state(store->ledger, ZCPD_LEDGER_OFF);
	zcpd_warning("the service manager does not keep what the runtime has: %s: should all of it "
		     "be killed now, nodes have to come back",
		     why);
	zcp_close_fd(&store->notify);
}

/* The other ledger: prepared, stored, and known to the keeper. */
static int begin_ledger(struct zcpd_store *store, uint64_t serial)
{
	struct zcpd_ledger *next = &store->ledgers[store->ledger == &store->ledgers[0]];
	int r = zcpd_ledger_new(next, serial);

	if (r < 0)
		return r;
	for (struct zcpd_shelf_record *record =
		     store->ledger ? TAILQ_FIRST(&store->ledger->records.records) : NULL;
	     record && r == 0; record = TAILQ_NEXT(record, link)) {
		struct zcpd_ledger_entry entry;

		memcpy(&entry, record->bytes, sizeof(entry));
		r = zcpd_ledger_append(next, &entry);
	}
	zcpd_ledger_settle(next);
	ZCP_CRASHPOINT("store.before_ledger");
	if (r == 0)
		r = store_fd(store, "ledger", zcpd_ledger_number(next), next->fd);
	if (r < 0) {
		zcpd_ledger_deinit(next);
		return r;
	}
	ZCP_CRASHPOINT("store.after_ledger");
	store->keep_ledger(store->user, next->fd);
	store->ledger = next;
	return 0;
}

/* Valid before the one before is not: at any moment there is one. */
static int rewrite_ledger(struct zcpd_store *store)
{
	struct zcpd_ledger *old = store->ledger;
	int r = begin_ledger(store, old->next_serial);

	if (r < 0)
		return r;
	zcpd_ledger_set_state(store->ledger, ZCPD_LEDGER_VALID);
	ZCP_CRASHPOINT("store.between_ledgers");
	zcpd_ledger_set_state(old, ZCPD_LEDGER_ENDED);
	r = remove_fd(store, "ledger", zcpd_ledger_number(old));
	zcpd_ledger_deinit(old);
	return r;
}

/* What the one before us has left half done. */
static int go_on(struct zcpd_store *store)
{
	struct zcpd_ledger *ledger = store->ledger;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < ledger->n_stale; i++)
		r = remove_fd(store, "fd", ledger->stale[i]);
	for (uint64_t i = 0; r == 0 && i < ZCPD_KEEP_FDS_MAX; i++)
		r = remove_fd(store, "fd", ledger->next_serial + i);
	zcpd_ledger_settle(ledger);
	return r;
}

/* One whose descriptors may be stored or not, or elsewhere. */
static int begin_anew(struct zcpd_store *store, bool is_ours)
{
	uint64_t serial = zcp_now_ns();
	int r = 0;

	if (store->ledger) {
		if (is_ours) {
			serial = store->ledger->next_serial + ZCPD_KEEP_FDS_MAX;
			r = remove_all(store, store->ledger);
			if (r == 0)
				r = remove_fd(store, "ledger", zcpd_ledger_number(store->ledger));
		}
		zcpd_ledger_deinit(store->ledger);
		store->ledger = NULL;
	}
	return r < 0 ? r : begin_ledger(store, serial);
}

static uint64_t n_max_of(const char *text)
{
	return text ? strtoull(text, NULL, 10) : 0;
}

int zcpd_store_init(struct zcpd_store *store, int ledger, void (*keep_ledger)(void *user, int fd),
		    void *user)
{
	const struct timeval limit = { .tv_sec = (time_t)(PATIENCE_NS / 1000000000) };
	const char *why;
	bool is_ours = false, goes_on = false;
	int r;

	*store = (struct zcpd_store){
		.notify = -1,
		.n_max = n_max_of(getenv("FDSTORE")),
		.is_completing = true,
		.keep_ledger = keep_ledger,
		.user = user,
	};
	if (store->n_max > 0)
		store->notify = zcpd_notify_connect();
	if (ledger >= 0 && zcpd_ledger_open(&store->ledgers[0], ledger, &why) == 0) {
		store->ledger = &store->ledgers[0];
		is_ours = store->notify >= 0 && zcpd_ledger_is_ours(store->ledger);
		goes_on = is_ours && zcpd_ledger_state(store->ledger) != ZCPD_LEDGER_OFF &&
			  zcpd_ledger_state(store->ledger) != ZCPD_LEDGER_ENDED;
		/* A runtime started from there must not take what is ours now for its own. */
		if (!is_ours)
			zcpd_ledger_set_state(store->ledger, ZCPD_LEDGER_HANDED_ON);
	}
	if (store->notify < 0) {
		zcpd_ledger_deinit(&store->ledgers[0]);
		return ZCPD_STORE_E_NONE;
	}
	(void)setsockopt(store->notify, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	r = goes_on ? go_on(store) : begin_anew(store, is_ours);
	if (r < 0)
		call_off(store, r);
	return 0;
}

void zcpd_store_complete(struct zcpd_store *store)
{
	struct zcpd_shelf_record *record, *next;

	if (store->notify < 0)
		return;
	for (record = TAILQ_FIRST(&store->ledger->records.records); record; record = next) {
		next = TAILQ_NEXT(record, link);
		if (!record->is_seen)
			zcpd_store_drop(store, record->kind, record->id);
		if (store->notify < 0)
			return;
	}
	store->is_completing = false;
	zcpd_ledger_set_state(store->ledger, ZCPD_LEDGER_VALID);
}

/* Kind of an inode that many share; 0: it is its own. */
static uint64_t type_of_anonymous(int fd)
{
	static const char prefix[] = "anon_inode:";
	uint64_t hash = 5381;
	char path[32], link[64];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, link, sizeof(link));
	if (n < (ssize_t)sizeof(prefix) - 1 || memcmp(link, prefix, sizeof(prefix) - 1) != 0)
		return 0;
	for (ssize_t i = 0; i < n; i++)
		hash = hash * 33 + (uint8_t)link[i];
	return hash;
}

/*
 * What tells a descriptor from the others of its record. A record has at most one of a kind whose
 * inodes are shared (pidfd, eventfd), and that is the same as long as the record is there; two
 * ways into one memfd differ in what they allow.
 */
static int identify(int fd, struct zcpd_ledger_fd *identity)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	if (flags < 0 || fstat(fd, &st) < 0)
		return zcp_errno();
	*identity = (struct zcpd_ledger_fd){
		.device = st.st_dev,
		.inode = st.st_ino,
		.type = type_of_anonymous(fd) << 2 | (uint64_t)(flags & O_ACCMODE),
	};
	return 0;
}

/* Its name, where the record before has it; or 0. */
static uint64_t name_of(const struct zcpd_ledger_entry *old, const struct zcpd_ledger_fd *identity)
{
	for (uint32_t i = 0; old && i < old->n_fds; i++)
		if (old->fds[i].device == identity->device &&
		    old->fds[i].inode == identity->inode && old->fds[i].type == identity->type)
			return old->fds[i].serial;
	return 0;
}

static int store_new(struct zcpd_store *store, const struct zcpd_ledger_entry *old,
		     struct zcpd_ledger_entry *entry, const int *fds)
{
	uint64_t serial = store->ledger->next_serial;
	int r = 0;

	for (uint32_t i = 0; i < entry->n_fds && r == 0; i++) {
		r = identify(fds[i], &entry->fds[i]);
		if (r < 0)
			break;
		entry->fds[i].serial = name_of(old, &entry->fds[i]);
		if (entry->fds[i].serial)
			continue;
		/* The ledger is one as well, and so is the one that takes its place. */
		if (store->ledger->n_names + serial - store->ledger->next_serial + 3 > store->n_max)
			return -EXFULL;
		entry->fds[i].serial = serial++;
		r = store_fd(store, "fd", entry->fds[i].serial, fds[i]);
		ZCP_CRASHPOINT("store.after_fd");
	}
	return r;
}

/* The entry counts, and the names that it supersedes are removed. */
static int commit(struct zcpd_store *store, struct zcpd_ledger_entry *entry)
{
	struct zcpd_ledger *ledger = store->ledger;
	int r = zcpd_ledger_append(ledger, entry);

	ZCP_CRASHPOINT("store.after_entry");
	for (uint32_t i = 0; r == 0 && i < ledger->n_stale; i++)
		r = remove_fd(store, "fd", ledger->stale[i]);
	ZCP_CRASHPOINT("store.after_remove");
	if (r < 0)
		return r;
	zcpd_ledger_settle(ledger);
	/* Not while it is being completed: what was seen of it would be forgotten. */
	if (!store->is_completing &&
	    zcpd_ledger_size(ledger) > LEDGER_SIZE_MIN + 2 * ledger->live_size)
		r = rewrite_ledger(store);
	return r;
}

static bool is_same(const struct zcpd_ledger_entry *old, const struct zcpd_ledger_entry *entry)
{
	return old && old->n_fds == entry->n_fds &&
	       memcmp(old->fds, entry->fds, sizeof(old->fds)) == 0;
}

void zcpd_store_keep(struct zcpd_store *store, uint32_t kind, uint64_t id, const int *fds,
		     uint32_t n_fds)
{
	struct zcpd_ledger_entry entry = {
		.kind = kind,
		.id = id,
		.n_fds = n_fds,
	};
	const struct zcpd_ledger_entry *old;
	struct zcpd_shelf_record *record;
	int r;

	if (store->notify < 0)
		return;
	old = zcpd_ledger_find(store->ledger, kind, id);
	r = store_new(store, old, &entry, fds);
	if (r == 0 && !is_same(old, &entry))
		r = commit(store, &entry);
	if (r < 0) {
		call_off(store, r);
		return;
	}
	record = zcpd_shelf_find(&store->ledger->records, kind, id);
	if (record)
		record->is_seen = true;
}

void zcpd_store_drop(struct zcpd_store *store, uint32_t kind, uint64_t id)
{
	struct zcpd_ledger_entry entry = { .kind = kind, .id = id, .dropped = 1 };
	int r;

	if (store->notify < 0 || !zcpd_ledger_find(store->ledger, kind, id))
		return;
	r = commit(store, &entry);
	if (r < 0)
		call_off(store, r);
}

void zcpd_store_end(struct zcpd_store *store)
{
	int r;

	if (!store->ledger)
		return;
	zcpd_ledger_set_state(store->ledger, ZCPD_LEDGER_ENDED);
	ZCP_CRASHPOINT("store.after_end");
	if (store->notify < 0)
		store->notify = zcpd_notify_connect();
	if (store->notify >= 0) {
		r = remove_all(store, store->ledger);
		if (r == 0)
			r = remove_fd(store, "ledger", zcpd_ledger_number(store->ledger));
		if (r < 0)
			zcpd_warning("the service manager's store cannot be emptied: %s",
				     strerror(-r));
	}
	zcp_close_fd(&store->notify);
	zcpd_ledger_deinit(store->ledger);
	store->ledger = NULL;
}
