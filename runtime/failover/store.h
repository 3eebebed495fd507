/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the keeper has, once more with the service manager (sd_notify(3), FDSTORE=1): when keeper
 * and worker are killed at the same time, the next keeper begins with what is stored there, and
 * nodes notice nothing. Only where the manager says that it stores something: systemd 254 and
 * later do, in $FDSTORE.
 *
 * The worker stores a record right after it has told the keeper and before another process can see
 * what it has done: so the store has everything that a node knows of. A descriptor is stored once,
 * under a name that has never been used; the manager drops one that it has already, and does not
 * replace by name. The records' bytes are in the ledger (runtime/failover/ledger.h), a memfd that
 * is stored as well: it changes where it lies, without the manager. What a kill leaves:
 *
 *   keeper told, not stored      no node has seen the record: the next worker stores it, and
 *                                where the keeper dies too it has never been
 *   descriptors stored, the      names that the ledger does not have: the next worker, or the
 *   entry not written            next keeper, has them removed
 *   entry written, names that    the same
 *   it supersedes not removed
 *   ledger dropped a record,     the next worker drops it again, or no process knows of it
 *   the keeper did not
 *   another ledger stored,       it is not valid, the one before is; both have the same, and the
 *   which is to be shorter       later one counts once it has been valid
 *
 * A store in which something is missing is worse than none. Whether it is valid is said in the
 * ledger, not in a message: so it can be called off at any moment, whatever the manager does. That
 * happens where the manager takes nothing for some time, or all that it takes is used up; nodes
 * are not held up for longer. The next worker begins it anew.
 */
#ifndef ZCPD_FAILOVER_STORE_H
#define ZCPD_FAILOVER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/failover/ledger.h"
#include "runtime/failover/shelf.h"

struct zcpd_store {
	/* to the manager; -1: nothing is stored any more */
	int notify;
	/* descriptors that the manager takes */
	uint64_t n_max;
	/* the one in use, and one that is to take its place */
	struct zcpd_ledger ledgers[2];
	struct zcpd_ledger *ledger;
	/* what is kept is looked at, not written anew */
	bool is_completing;
	/* tells the keeper which ledger there is */
	void (*keep_ledger)(void *user, int fd);
	void *user;
};

/* Expected outcome: no service manager stores anything for us. */
enum {
	ZCPD_STORE_E_NONE = 1,
};

/*
 * Worker: begins to store, or goes on from the `ledger` (consumed; -1: none) of the one before.
 * All there is must be kept then, and zcpd_store_complete() be called. Returns 0 or
 * ZCPD_STORE_E_NONE; what goes wrong is logged, and nothing is stored.
 */
int zcpd_store_init(struct zcpd_store *store, int ledger, void (*keep_ledger)(void *user, int fd),
		    void *user);

/* All is kept: what has not been is dropped, and the next runtime may go on from the store. */
void zcpd_store_complete(struct zcpd_store *store);

/* Descriptors are borrowed. */
void zcpd_store_keep(struct zcpd_store *store, uint32_t kind, uint64_t id, const int *fds,
		     uint32_t n_fds);
void zcpd_store_drop(struct zcpd_store *store, uint32_t kind, uint64_t id);

/* The runtime ends: the store is emptied. */
void zcpd_store_end(struct zcpd_store *store);

/*
 * Keeper: fills an empty shelf with what the manager has given us ($LISTEN_FDS), and removes what
 * is no use. Returns whether there are records; what is wrong with them is logged.
 */
bool zcpd_store_take(struct zcpd_shelf *shelf);

/* Keeper: the next runtime must not go on from what is on the shelf. */
void zcpd_store_condemn(struct zcpd_shelf *shelf, enum zcpd_ledger_state state);

#endif
