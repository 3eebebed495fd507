/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Store-then-load order, in the places that need it.
 *
 * Two sides each store a word and then load the other's; at least one must see the other's
 * store. Where one side acts often and the other rarely, the frequent side takes the light
 * fence (the compiler keeps the order, the processor need not) and the rare side the heavy
 * one: membarrier(2), which makes every running thread of the registered processes pass a
 * full barrier. Where both act often, both take the full fence.
 *
 *   light, heavy   a loan or a publish against a membership change (runtime); a publish against
 *                  a subscriber's first sleep; a take against a publisher's first wait for room;
 *                  a release against the sleep of a subscriber that holds all it may
 *   full, full     a publish against every further sleep; a take against every further wait
 *
 * Without membarrier (an old kernel, a sandbox) the domain is symmetric: light becomes full,
 * and heavy is full too. Race detectors see no membarrier and no bare fence: their builds
 * define ZCP_FENCES_SYMMETRIC, and the full fence is an exchange on a private word.
 */
#ifndef ZCP_SHM_FENCE_H
#define ZCP_SHM_FENCE_H

#include <stdatomic.h>
#include <stdbool.h>

/* Has the caller's earlier stores before its later loads. Wait-free. */
static inline void zcp_fence_full(void)
{
#ifdef ZCP_FENCES_SYMMETRIC
	static _Thread_local _Atomic unsigned int word;

	(void)atomic_exchange_explicit(&word, 1, memory_order_seq_cst);
#else
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

/* The frequent side. `symmetric` is what the runtime said at attach. Wait-free. */
static inline void zcp_fence_light(bool symmetric)
{
#ifdef ZCP_FENCES_SYMMETRIC
	(void)symmetric;
	zcp_fence_full();
#else
	if (__builtin_expect(symmetric, 0))
		zcp_fence_full();
	else
		atomic_signal_fence(memory_order_seq_cst);
#endif
}

/* In a loop that waits for another core. */
static inline void zcp_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("yield");
#endif
}

/*
 * The rare side: one system call, 1 to 20 µs. Returns 0, or what membarrier(2) gives: then
 * there was no fence, and nothing may be built on it.
 */
__attribute__((warn_unused_result)) int zcp_fence_heavy(bool symmetric);

/*
 * Registers this process for the heavy fences of others; once is enough, again is harmless.
 * Returns 0, or -ENOTSUP where the kernel or a sandbox does not have it.
 */
int zcp_fence_register(void);

#endif
