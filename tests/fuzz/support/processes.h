/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clients' processes, as the kernel would tell the runtime of them: all of them are ours, and
 * something else has to stand for each. The linker hands us what is asked about processes.
 */
#ifndef ZCP_FUZZ_PROCESSES_H
#define ZCP_FUZZ_PROCESSES_H

#include "tests/fuzz/support/clients.h"

/* Whose clients are asked about; NULL: real processes are. */
void zcp_fuzz_processes_set(const struct zcp_fuzz_runtime *runtime);

/* Who is at the other end of the next connection; NULL: nobody of those. */
void zcp_fuzz_processes_connect(const struct zcp_fuzz_client *client);

#endif
