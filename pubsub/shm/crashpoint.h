/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crash points: the places between two steps at which a process can be killed to see what the
 * others make of it. Each has the name of the step that was done last, as the models have it.
 * They are there only in a build with -DZCP_CRASHPOINTS=ON; else they are nothing at all.
 *
 * A process arms one for itself, or has it armed by ZCP_CRASHPOINT=NAME:K in its environment:
 * the K-th time that the process comes by, it kills itself with SIGKILL. With
 * ZCP_CRASHPOINT_WITH_PARENT=1 it kills its parent first. With ZCP_CRASHPOINT_ONCE=PATH only the
 * first process does so that can make that file: those that are started after it go on.
 */
#ifndef ZCP_SHM_CRASHPOINT_H
#define ZCP_SHM_CRASHPOINT_H

#ifdef ZCP_CRASHPOINTS

#include <stdatomic.h>
#include <stdint.h>

/* One place in the code; several may have the same name. */
struct zcp_crashpoint {
	const char *name;
	/* how often this process has come by since one was armed */
	_Atomic uint64_t n_passed;
} __attribute__((aligned(16)));

void zcp_crashpoint_pass(struct zcp_crashpoint *point);

/* The process kills itself at the k-th passing of `name` from now on; 0: not any more. */
void zcp_crashpoint_arm(const char *name, uint64_t k);

/* All places, in no order; the end is behind the last one. */
const struct zcp_crashpoint *zcp_crashpoint_begin(void);
const struct zcp_crashpoint *zcp_crashpoint_end(void);

#define ZCP_CRASHPOINT(point_name)                                                                 \
	do {                                                                                       \
		static struct zcp_crashpoint crashpoint                                            \
			__attribute__((section("zcp_crashpoints"), used)) = { point_name, 0 };     \
		zcp_crashpoint_pass(&crashpoint);                                                  \
	} while (0)

#else

#define ZCP_CRASHPOINT(point_name) ((void)0)

#endif

#endif
