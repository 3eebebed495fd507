/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper: the process that everybody takes for the runtime. It starts the worker, which
 * does all the work, and holds for it what must outlive it: every connection, every process's
 * pidfd and every region, each with a record. When the worker dies, the next one goes on with
 * these, and nodes notice nothing.
 *
 * It is as simple as can be, so that it has no reason to die itself.
 */
#ifndef ZCPD_KEEPER_H
#define ZCPD_KEEPER_H

/* The worker is this program again with this long option, the number of its socket, first. */
#define ZCPD_KEEPER_OPTION "worker"

/*
 * Starts workers with `arguments` (without a program's name; NULL at the end) until one ends by
 * itself. `ready` (consumed) is written to and closed when the first one serves; -1: nobody
 * waits for it. Returns the exit code.
 */
int zcpd_keeper_run(const char *const *arguments, int ready);

#endif
