/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's way to its keeper. A record is kept before another process can see what
 * it describes, and dropped after nothing is left of it; so whatever a worker that was killed has
 * begun, the next one finds a record of it, and each step may be done twice.
 *
 * What has been kept survives the worker from the moment the call returns. A keeper that cannot
 * be told ends the process: what it has not kept must not happen. But where the keeper itself
 * has died nothing is kept any more, and a worker that has all goes on: it makes another keeper
 * (runtime/failover/succession.h).
 */
#ifndef ZCPD_FAILOVER_JOURNAL_H
#define ZCPD_FAILOVER_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pubsub/layout/directory_shm.h"
#include "pubsub/wire/socket.h"

struct zcpd_store;

/* What it means where the other end cannot be told. */
enum zcpd_journal_loss {
	ZCPD_LOSS_ENDS_US,   /* we have not got all, or no node depends on us yet */
	ZCPD_LOSS_OF_KEEPER, /* its end is not ours; that it does not take what we say is */
	ZCPD_LOSS_OF_HEIR,   /* nothing is */
};

/* Socket -1: no keeper keeps anything, as in tests of parts of the runtime. */
struct zcpd_journal {
	int socket;
	enum zcpd_journal_loss loss;
	/* nothing is kept any more */
	bool lost;
	/* the keeper's pid, once all records are read */
	pid_t keeper;
	/* the socket of a runtime that is to replace us at the end of the loop's turn; or 0 */
	int successor;
	/* what those before us have stored is listed there; or 0 */
	int ledger;
	/* the service manager, as long as it stores what we keep; or NULL */
	struct zcpd_store *store;
};

#define ZCPD_JOURNAL_NULL                                                                          \
	{                                                                                          \
		.socket = -1                                                                       \
	}

/* Keeps the descriptors (borrowed) of an object. NULL: nothing is kept. */
void zcpd_journal_keep(struct zcpd_journal *journal, enum zcp_entry_kind kind, uint64_t id,
		       const int *fds, uint32_t n_fds);
void zcpd_journal_drop(struct zcpd_journal *journal, enum zcp_entry_kind kind, uint64_t id);

/*
 * Once all records are read: from now on what is kept is stored as well, with the service manager,
 * where it does that. The caller must then keep once more what there is, and complete that. `store`
 * is the caller's memory, and used until zcpd_store_end().
 */
void zcpd_journal_store(struct zcpd_journal *journal, struct zcpd_store *store);
void zcpd_journal_store_complete(struct zcpd_journal *journal);

/* The list of what is stored, for another keeper. */
void zcpd_journal_keep_ledger(struct zcpd_journal *journal, const struct zcpd_store *store);

/* Tells the service manager, and the process that has started the runtime. `log` may be -1. */
void zcpd_journal_ready(struct zcpd_journal *journal, int log);
void zcpd_journal_stopping(struct zcpd_journal *journal);

/*
 * The process at the other end of `socket` (consumed) is to be the next keeper: our keeper sees to
 * it, and ends us. Not before zcpd_journal_hand_on(), where nothing is half done.
 */
void zcpd_journal_set_successor(struct zcpd_journal *journal, int socket);
void zcpd_journal_hand_on(struct zcpd_journal *journal);

/* To a process that has got all records from us and is to be the next keeper. */
void zcpd_journal_end(struct zcpd_journal *journal);

/* Waits until a worker of that keeper has them. Returns 0, or a negative errno: none has. */
__attribute__((warn_unused_result)) int zcpd_journal_wait_got(struct zcpd_journal *journal);

/* Expected outcome: these were all. */
enum {
	ZCPD_JOURNAL_E_END = 1,
};

/* Descriptors that a worker before us has kept. */
struct zcpd_journal_record {
	uint32_t kind;
	uint64_t id;
	struct zcp_fds fds;
};

/*
 * The next record of those before us; before anything is kept. Returns 0 with *record, whose
 * descriptors are the caller's, ZCPD_JOURNAL_E_END, or a negative errno. At the end no other
 * process has them any more: one from which the keeper got them is waited for.
 */
__attribute__((warn_unused_result)) int zcpd_journal_next(struct zcpd_journal *journal,
							  struct zcpd_journal_record *record);

#endif
