/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions of a hand-over, counted one by one: a child loans, publishes, takes and releases,
 * and its parent makes it stop after each instruction.
 */
#ifndef ZCP_BENCH_COUNT_H
#define ZCP_BENCH_COUNT_H

/* Counts, and adds rows. 0, or -1 after a note. */
int bench_count(void);

#endif
