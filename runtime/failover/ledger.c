/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A header and a log.
 */
#include "runtime/failover/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pubsub/shm/region.h"
#include "pubsub/util.h"
#include "pubsub/wire/message.h"

#define MAGIC UINT64_C(0x7a63702d6c656467)
/* The log begins behind a page, which is mapped. */
#define LOG_BEGIN 4096
#define INVOCATION_SIZE 64

/* written by: the worker, its keeper when there is no worker any more; read by: the next runtime */
struct zcpd_ledger_header {
	uint64_t magic;
	uint64_t fingerprint;
	uint64_t number;
	uint64_t first_serial;
	/* where the log ends */
	_Atomic uint64_t size;
	/* up to where the names of what was superseded are stored no more */
	_Atomic uint64_t settled;
	_Atomic uint32_t state;
	uint32_t version;
	char invocation[INVOCATION_SIZE];
};

/* FNV-1a: finds an entry that is broken, not one that is forged. */
static uint64_t checksum_of(const struct zcpd_ledger_entry *entry)
{
	const uint8_t *bytes = (const uint8_t *)entry;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = sizeof(entry->checksum); i < sizeof(*entry); i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static int map(struct zcpd_ledger *ledger)
{
	void *header = mmap(NULL, LOG_BEGIN, PROT_READ | PROT_WRITE, MAP_SHARED, ledger->fd, 0);

	if (header == MAP_FAILED)
		return zcp_errno();
	ledger->header = header;
	return 0;
}

int zcpd_ledger_new(struct zcpd_ledger *ledger, uint64_t serial)
{
	int r;

	*ledger = (struct zcpd_ledger){ .next_serial = serial };
	zcpd_shelf_init(&ledger->records);
	ledger->fd = memfd_create("zcp-ledger", MFD_CLOEXEC);
	r = ledger->fd < 0 || ftruncate(ledger->fd, LOG_BEGIN) < 0 ? zcp_errno() : map(ledger);
	if (r < 0) {
		zcpd_ledger_deinit(ledger);
		return r;
	}
	ledger->header->magic = MAGIC;
	ledger->header->version = ZCP_SHM_VERSION;
	ledger->header->fingerprint = zcp_layout_fingerprint();
	ledger->header->number = zcp_now_ns();
	ledger->header->first_serial = serial;
	atomic_store(&ledger->header->size, LOG_BEGIN);
	atomic_store(&ledger->header->settled, LOG_BEGIN);
	zcpd_ledger_set_state(ledger, ZCPD_LEDGER_PREPARED);
	zcpd_ledger_make_ours(ledger);
	return 0;
}

static bool has_name(const struct zcpd_ledger_entry *entry, uint64_t serial)
{
	for (uint32_t i = 0; i < entry->n_fds; i++)
		if (entry->fds[i].serial == serial)
			return true;
	return false;
}

static void note_stale(struct zcpd_ledger *ledger, const struct zcpd_ledger_entry *old,
		       const struct zcpd_ledger_entry *new)
{
	ledger->n_stale = 0;
	for (uint32_t i = 0; old && i < old->n_fds; i++)
		if (!has_name(new, old->fds[i].serial))
			ledger->stale[ledger->n_stale++] = old->fds[i].serial;
}

/* What is known of the entry's key now. */
static int apply(struct zcpd_ledger *ledger, const struct zcpd_ledger_entry *entry)
{
	const struct zcpd_ledger_entry *old = zcpd_ledger_find(ledger, entry->kind, entry->id);

	note_stale(ledger, old, entry);
	if (old) {
		ledger->live_size -= sizeof(*old);
		ledger->n_names -= old->n_fds;
	}
	for (uint32_t i = 0; i < entry->n_fds; i++)
		if (entry->fds[i].serial >= ledger->next_serial)
			ledger->next_serial = entry->fds[i].serial + 1;
	if (entry->dropped) {
		zcpd_shelf_drop(&ledger->records, entry->kind, entry->id);
		return 0;
	}
	ledger->live_size += sizeof(*entry);
	ledger->n_names += entry->n_fds;
	return zcpd_shelf_keep(&ledger->records, entry->kind, entry->id, (const char *)entry,
			       sizeof(*entry), NULL, 0);
}

/* Returns 0 or a negative errno. */
static int read_entry(const struct zcpd_ledger *ledger, uint64_t at, uint64_t end,
		      struct zcpd_ledger_entry *entry)
{
	ssize_t n = end - at < sizeof(*entry) ? 0 :
						pread(ledger->fd, entry, sizeof(*entry), (off_t)at);

	if (n < 0)
		return zcp_errno();
	if (n != (ssize_t)sizeof(*entry) || entry->n_fds > ZCPD_KEEP_FDS_MAX ||
	    entry->checksum != checksum_of(entry))
		return -EPROTO;
	return 0;
}

static int replay(struct zcpd_ledger *ledger)
{
	uint64_t end = atomic_load(&ledger->header->size), at = LOG_BEGIN;
	uint64_t settled = atomic_load(&ledger->header->settled);

	while (at < end) {
		struct zcpd_ledger_entry entry;
		int r = read_entry(ledger, at, end, &entry);

		if (r == 0)
			r = apply(ledger, &entry);
		if (r < 0)
			return r;
		at += sizeof(entry);
	}
	if (at != end)
		return -EPROTO;
	if (settled == end)
		ledger->n_stale = 0;
	return 0;
}

static const char *fault_of(const struct zcpd_ledger *ledger)
{
	if (ledger->header->magic != MAGIC)
		return "its list of records is none";
	if (ledger->header->version != ZCP_SHM_VERSION ||
	    ledger->header->fingerprint != zcp_layout_fingerprint())
		return "it is of another version";
	return NULL;
}

int zcpd_ledger_open(struct zcpd_ledger *ledger, int fd, const char **why)
{
	struct stat st;
	int r;

	*ledger = (struct zcpd_ledger){ .fd = fd };
	zcpd_shelf_init(&ledger->records);
	*why = "its list of records is cut off";
	r = fstat(fd, &st) < 0 ? zcp_errno() : 0;
	if (r == 0 && st.st_size < LOG_BEGIN)
		r = -EPROTO;
	if (r == 0)
		r = map(ledger);
	if (r == 0) {
		*why = fault_of(ledger);
		r = *why ? -EPROTO : 0;
	}
	if (r == 0) {
		*why = "its list of records is broken";
		ledger->next_serial = ledger->header->first_serial;
		r = replay(ledger);
	}
	if (r < 0)
		zcpd_ledger_deinit(ledger);
	return r;
}

void zcpd_ledger_deinit(struct zcpd_ledger *ledger)
{
	if (ledger->header)
		(void)munmap(ledger->header, LOG_BEGIN);
	if (ledger->fd > 0)
		(void)close(ledger->fd);
	if (ledger->records.records.tqh_last)
		zcpd_shelf_deinit(&ledger->records);
	*ledger = (struct zcpd_ledger){ .fd = -1 };
}

const struct zcpd_ledger_entry *zcpd_ledger_find(struct zcpd_ledger *ledger, uint32_t kind,
						 uint64_t id)
{
	const struct zcpd_shelf_record *record = zcpd_shelf_find(&ledger->records, kind, id);

	return record ? (const struct zcpd_ledger_entry *)(const void *)record->bytes : NULL;
}

int zcpd_ledger_append(struct zcpd_ledger *ledger, struct zcpd_ledger_entry *entry)
{
	uint64_t at = zcpd_ledger_size(ledger);
	ssize_t n;
	int r;

	entry->checksum = checksum_of(entry);
	n = pwrite(ledger->fd, entry, sizeof(*entry), (off_t)at);
	if (n != (ssize_t)sizeof(*entry))
		return n < 0 ? zcp_errno() : -ENOSPC;
	r = apply(ledger, entry);
	if (r == 0)
		atomic_store(&ledger->header->size, at + sizeof(*entry));
	return r;
}

void zcpd_ledger_settle(struct zcpd_ledger *ledger)
{
	ledger->n_stale = 0;
	atomic_store(&ledger->header->settled, zcpd_ledger_size(ledger));
}

uint64_t zcpd_ledger_size(const struct zcpd_ledger *ledger)
{
	return atomic_load(&ledger->header->size);
}

uint64_t zcpd_ledger_number(const struct zcpd_ledger *ledger)
{
	return ledger->header->number;
}

enum zcpd_ledger_state zcpd_ledger_state(const struct zcpd_ledger *ledger)
{
	return (enum zcpd_ledger_state)atomic_load(&ledger->header->state);
}

void zcpd_ledger_set_state(struct zcpd_ledger *ledger, enum zcpd_ledger_state state)
{
	atomic_store(&ledger->header->state, (uint32_t)state);
}

void zcpd_ledger_set_state_of(int fd, enum zcpd_ledger_state state)
{
	struct zcpd_ledger ledger = { .fd = fd };
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_size < LOG_BEGIN || map(&ledger) < 0)
		return;
	zcpd_ledger_set_state(&ledger, state);
	(void)munmap(ledger.header, LOG_BEGIN);
}

static const char *invocation(void)
{
	const char *text = getenv("INVOCATION_ID");

	return text ? text : "";
}

bool zcpd_ledger_is_ours(const struct zcpd_ledger *ledger)
{
	return strncmp(ledger->header->invocation, invocation(), INVOCATION_SIZE - 1) == 0;
}

void zcpd_ledger_make_ours(struct zcpd_ledger *ledger)
{
	(void)strncpy(ledger->header->invocation, invocation(), INVOCATION_SIZE - 1);
}
