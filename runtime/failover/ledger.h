/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the service manager's store of descriptors (runtime/failover/store.h) has, in a memfd that lies in
 * that store itself: a log of records that were kept and dropped, with the names under which
 * their descriptors are stored.
 *
 * A process that is killed while it appends leaves the log as it was before: what counts is the
 * size in the header, which is written when all before it is there.
 */
#ifndef ZCPD_FAILOVER_LEDGER_H
#define ZCPD_FAILOVER_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/failover/keep.h"
#include "runtime/failover/shelf.h"

/* Whether another runtime may go on from it. */
enum zcpd_ledger_state {
	ZCPD_LEDGER_PREPARED = 1, /* not all is in it yet */
	ZCPD_LEDGER_VALID,
	ZCPD_LEDGER_OFF,       /* something could not be stored */
	ZCPD_LEDGER_ENDED,     /* its runtime has ended by itself */
	ZCPD_LEDGER_HANDED_ON, /* a runtime elsewhere has all of it */
};

/* A descriptor: its name, and what tells it from the others of its record. */
struct zcpd_ledger_fd {
	uint64_t serial;
	uint64_t device;
	uint64_t inode;
	uint64_t type;
};

/* In the file and in memory. */
struct zcpd_ledger_entry {
	/* of all that follows */
	uint64_t checksum;
	uint64_t id;
	uint32_t kind;
	uint32_t dropped;
	uint32_t n_fds;
	uint32_t reserved;
	struct zcpd_ledger_fd fds[ZCPD_KEEP_FDS_MAX];
};

struct zcpd_ledger {
	int fd;
	struct zcpd_ledger_header *header;
	/* what is in it, in the order of first keeping: entries */
	struct zcpd_shelf records;
	uint64_t next_serial;
	/* bytes of what is not superseded */
	uint64_t live_size;
	uint32_t n_names;
	/* names of the last entry's predecessor that may still be stored */
	uint64_t stale[ZCPD_KEEP_FDS_MAX];
	uint32_t n_stale;
};

/* Begins one, which is prepared. `serial`: the first name. Returns 0 or a negative errno. */
__attribute__((warn_unused_result)) int zcpd_ledger_new(struct zcpd_ledger *ledger,
							uint64_t serial);

/*
 * Reads one. Consumes the descriptor. Returns 0, or a negative errno with what is wrong in *why;
 * the state is not looked at.
 */
__attribute__((warn_unused_result)) int zcpd_ledger_open(struct zcpd_ledger *ledger, int fd,
							 const char **why);

/* Of one that is zeroed too. */
void zcpd_ledger_deinit(struct zcpd_ledger *ledger);

/* NULL: there is none. */
const struct zcpd_ledger_entry *zcpd_ledger_find(struct zcpd_ledger *ledger, uint32_t kind,
						 uint64_t id);

/* The entry's checksum is computed. Returns 0, or a negative errno: it is as before. */
__attribute__((warn_unused_result)) int zcpd_ledger_append(struct zcpd_ledger *ledger,
							   struct zcpd_ledger_entry *entry);

/* Names that the last entry has superseded are stored no more. */
void zcpd_ledger_settle(struct zcpd_ledger *ledger);

uint64_t zcpd_ledger_size(const struct zcpd_ledger *ledger);
uint64_t zcpd_ledger_number(const struct zcpd_ledger *ledger);
enum zcpd_ledger_state zcpd_ledger_state(const struct zcpd_ledger *ledger);
void zcpd_ledger_set_state(struct zcpd_ledger *ledger, enum zcpd_ledger_state state);

/* The same for one of which there is only the descriptor (borrowed). */
void zcpd_ledger_set_state_of(int fd, enum zcpd_ledger_state state);

/* Whether its store is that of the service whose process we are ($INVOCATION_ID). */
bool zcpd_ledger_is_ours(const struct zcpd_ledger *ledger);
void zcpd_ledger_make_ours(struct zcpd_ledger *ledger);

#endif
