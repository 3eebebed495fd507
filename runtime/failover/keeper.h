/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper: the process that users and nodes take for the runtime. It starts the worker, which
 * does all the work, and holds for it what must outlive it: every connection, every process's
 * pidfd and every region, each with a record. When the worker dies, the next one goes on with
 * these, and nodes notice nothing.
 *
 * It is as simple as can be, so that it has no reason to die itself.
 */
#ifndef ZCPD_FAILOVER_KEEPER_H
#define ZCPD_FAILOVER_KEEPER_H

#include <signal.h>
#include <stdbool.h>

struct zcpd_shelf;

/* The worker is this program again with this long option, the number of its socket, first. */
#define ZCPD_KEEPER_OPTION "worker"

/* And with this one it is a keeper that begins with the records of a predecessor. */
#define ZCPD_HEIR_OPTION "heir"

struct zcpd_keeper_options {
	/* its workers', without a program's name; NULL at the end */
	const char *const *arguments;
	/* what it begins with, and keeps; deinited by it */
	struct zcpd_shelf *shelf;
	/* the file that it logs to once the first worker serves; NULL: standard error, as it is */
	const char *log;
	/* written to and closed when the first worker serves; -1: no process waits for it */
	int ready;
	/* where all records come from first (see runtime/failover/keep.h); -1: there are none */
	int predecessor;
	/* that one lives, and goes on itself where we do not */
	bool replaces;
};

/*
 * Starts workers until one ends by itself. Consumes the descriptors. Returns the exit code.
 */
int zcpd_keeper_run(const struct zcpd_keeper_options *options);

/* The signals that a keeper waits for: blocked from its beginning, in its workers as well. */
void zcpd_keeper_signals(sigset_t *signals);

#endif
