/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that nobody has kept so: the next worker refuses them, or makes of them what it can.
 */
#ifndef ZCP_FUZZ_RECORDS_LIE_H
#define ZCP_FUZZ_RECORDS_LIE_H

#include "runtime/failover/shelf.h"
#include "tests/fuzz/support/input.h"

/* RECORD FIELD VALUE, and before VALUE, where the field is a list, ELEMENT FIELD */
void zcp_fuzz_records_change(struct zcpd_shelf *shelf, struct zcp_fuzz_input *input);

/*
 * RECORD HOW: it is not there, has a descriptor less or one more, is cut short, or comes a second
 * time.
 */
void zcp_fuzz_records_spoil(struct zcpd_shelf *shelf, struct zcp_fuzz_input *input);

#endif
