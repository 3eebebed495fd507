/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the keeper has what the next worker needs: everything that there is, as it is, and
 * nothing else.
 */
#ifndef ZCP_FUZZ_RECORDS_CHECK_H
#define ZCP_FUZZ_RECORDS_CHECK_H

#include "runtime/serve/server.h"
#include "tests/fuzz/support/keeper.h"

/* Has the worker keep all of it once more, and compares. */
void zcp_fuzz_records_check(struct zcp_fuzz_keeper *keeper, struct zcpd_server *server);

/* When all nodes have gone: nothing is left of them. */
void zcp_fuzz_records_check_last(struct zcp_fuzz_keeper *keeper, struct zcpd_server *server);

#endif
