/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that nobody has kept so: the next worker refuses them, or makes of them what it can.
 */
#ifndef ZCP_FUZZ_RECORDS_LIE_H
#define ZCP_FUZZ_RECORDS_LIE_H

#include "runtime/domain/directory.h"
#include "runtime/failover/shelf.h"
#include "tests/fuzz/support/input.h"

/* BLOCK (0: the header) WORD VALUE */
void zcp_fuzz_records_change(const struct zcpd_directory *directory, struct zcp_fuzz_input *input);

/*
 * RECORD HOW: it is not there, has a descriptor less or one more, or comes a second
 * time.
 */
void zcp_fuzz_records_spoil(struct zcpd_shelf *shelf, struct zcp_fuzz_input *input);

#endif
