/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether what was opened has been closed.
 */
#ifndef ZCP_FUZZ_DESCRIPTORS_H
#define ZCP_FUZZ_DESCRIPTORS_H

/* Before an input: remembers which descriptors are open. */
void zcp_fuzz_descriptors_begin(void);

/* After it: ends with a failure where others are open now. */
void zcp_fuzz_descriptors_check(void);

#endif
