/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bringing cache lines in before they are needed. A line that will be written is asked for
 * with the right to write it: a hand-over is counted in trips between two cores, and a line
 * that comes shared first costs one trip more.
 */
#ifndef ZCP_SHM_PREFETCH_H
#define ZCP_SHM_PREFETCH_H

static inline void zcp_prefetch_read(const void *line)
{
	__builtin_prefetch(line);
}

static inline void zcp_prefetch_write(const void *line)
{
#if defined(__x86_64__)
	/*
	 * Compilers emit a read prefetch unless told that the processor has this one; all
	 * 64-bit ones accept it, and those that do not have it take it for a no-op.
	 */
	__asm__ __volatile__("prefetchw %0" : : "m"(*(const char *)line));
#else
	__builtin_prefetch(line, 1);
#endif
}

#endif
