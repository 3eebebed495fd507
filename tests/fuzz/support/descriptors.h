/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether what was opened has been closed.
 */
#ifndef ZCP_FUZZ_DESCRIPTORS_H
#define ZCP_FUZZ_DESCRIPTORS_H

#include <stdbool.h>

#define ZCP_FUZZ_DESCRIPTORS_MAX 512

/* Some of them. */
struct zcp_fuzz_descriptors {
	bool has[ZCP_FUZZ_DESCRIPTORS_MAX];
};

/* -1 is none. */
void zcp_fuzz_descriptors_mark(struct zcp_fuzz_descriptors *descriptors, int fd);

/* Before an input: remembers which descriptors are open. */
void zcp_fuzz_descriptors_begin(void);

/* Closes all that have been opened since then but these. */
void zcp_fuzz_descriptors_close(const struct zcp_fuzz_descriptors *spared);

/* After it: ends with a failure where others are open now. */
void zcp_fuzz_descriptors_check(void);

#endif
