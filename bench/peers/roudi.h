/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RouDi, the daemon of iceoryx, for all that needs it.
 */
#ifndef ZCP_BENCH_PEERS_ROUDI_H
#define ZCP_BENCH_PEERS_ROUDI_H

/* Starts it, once; it ends with the benchmark. 0, or a negative errno that is explained. */
int bench_roudi_start(void);

#endif
