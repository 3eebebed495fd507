/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory and a domain of the benchmark's own, so that nobody else's is measured or
 * disturbed. bench_directory() of bench/peer.h says where it is.
 */
#ifndef ZCP_BENCH_DOMAIN_H
#define ZCP_BENCH_DOMAIN_H

/* Nodes that this process and its children open find it. 0, or -1 after a line on standard error. */
int bench_domain_make(void);

/* The runtime's process, or 0: there is none. */
int bench_domain_runtime(void);

/* Ends its runtime, and removes all that is in the directory. */
void bench_domain_remove(void);

#endif
