/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests the harness with peers whose faults are known.
 */
#ifndef ZCP_BENCH_CHECK_H
#define ZCP_BENCH_CHECK_H

#define BENCH_CHECK_SKIPPED 77

/* Says what shows. 0; -1: something does not; BENCH_CHECK_SKIPPED: the machine is too busy. */
int bench_check(void);

#endif
