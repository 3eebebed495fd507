/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's way to its keeper. A record is kept before what it describes can be seen by
 * anybody, and dropped after nothing is left of it; so whatever a worker that was killed has
 * begun, the next one finds a record of it, and each step may be done twice.
 *
 * What has been kept survives the worker from the moment the call returns. A keeper that cannot
 * be told ends the process: what it has not kept must not happen.
 */
#ifndef ZCPD_JOURNAL_H
#define ZCPD_JOURNAL_H

#include <stdint.h>

#include "pubsub/wire/message.h"
#include "pubsub/wire/socket.h"

/* Socket -1: nobody keeps anything, as in tests of parts of the runtime. */
struct zcpd_journal {
	int socket;
};

#define ZCPD_JOURNAL_NULL                                                                          \
	{                                                                                          \
		-1                                                                                 \
	}

/* Keeps a record with its descriptors (borrowed); its kind is the message's type. NULL: none. */
void zcpd_journal_keep(struct zcpd_journal *journal, uint64_t id, const struct zcp_message *record,
		       const int *fds, uint32_t n_fds);
void zcpd_journal_drop(struct zcpd_journal *journal, enum zcp_message_type kind, uint64_t id);

/* What the service manager and whoever has started the runtime are told. `log` may be -1. */
void zcpd_journal_ready(struct zcpd_journal *journal, int log);
void zcpd_journal_stopping(struct zcpd_journal *journal);

/* Expected outcome: these were all. */
enum {
	ZCPD_JOURNAL_E_END = 1,
};

/*
 * The next record of those before us; before anything is kept. Returns 0 with *record and *fds
 * (deinit both), ZCPD_JOURNAL_E_END, or a negative errno.
 */
__attribute__((warn_unused_result)) int
zcpd_journal_next(struct zcpd_journal *journal, struct zcp_message *record, struct zcp_fds *fds);

#endif
