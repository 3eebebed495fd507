/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control plane: what opening costs where there are 10 topics and where there are 10,000, and
 * what the runtime needs for them.
 */
#ifndef ZCP_BENCH_CONTROL_H
#define ZCP_BENCH_CONTROL_H

#include <stdbool.h>

/* Measures, and adds rows. 0, or -1 after a note. */
int bench_control(bool is_full);

#endif
