/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests the harness with peers whose faults are known.
 */
#ifndef ZCP_BENCH_CHECK_H
#define ZCP_BENCH_CHECK_H

/* Says what shows. 0, or -1: something does not. */
int bench_check(void);

#endif
