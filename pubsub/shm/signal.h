/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleeping and waking. The sleeper says that it is about to sleep, looks again, and
 * sleeps; a waker that has published looks whether somebody sleeps. With a full fence
 * between the two steps on each side, one of them sees the other.
 *
 * A waker never clears what the sleeper set, and each waker wakes a sleep once.
 */
#ifndef ZCP_SHM_SIGNAL_H
#define ZCP_SHM_SIGNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pubsub/layout/signal_shm.h"
#include "pubsub/shm/region.h"

/* The domain's signals as one process sees them. */
struct zcp_signals {
	struct zcp_signal_shm *signals;
	uint32_t n_signals;
	struct zcp_region region;
};

size_t zcp_signals_size(uint32_t n_signals);
void zcp_signals_construct(struct zcp_region *region, uint32_t n_signals, uint64_t domain_id);

/* Maps the domain's signals from `fd` (borrowed). Errors as zcp_region_attach(). */
__attribute__((warn_unused_result)) int zcp_signals_attach(struct zcp_signals *signals, int fd,
							   uint64_t domain_id, const char **why);
/* For whoever knows how many there are: see zcp_region_map(). */
__attribute__((warn_unused_result)) int zcp_signals_map(struct zcp_signals *signals, int fd,
							uint32_t n_signals);

void zcp_signals_deinit(struct zcp_signals *signals);

/* What the runtime calls `pid`, where it sees the pids that we see; else 0. */
uint32_t zcp_signals_pid_here(const struct zcp_signals *signals, uint32_t pid);

/* Sleeper: makes a signal ready for its new node; the last one may have died asleep. */
void zcp_signal_reset(struct zcp_signal_shm *signal, uint64_t node);

/* Sleeper: where it will sleep, before it announces that. */
void zcp_signal_use(struct zcp_signal_shm *signal, enum zcp_signal_mode mode);

/*
 * Sleeper: what to sleep with on a word of its signal, unless it is woken from now on. Look again
 * at all that may have come; for what a waker looks at first, a full fence comes between the two.
 */
uint32_t zcp_signal_settle(_Atomic uint32_t *futex);

/*
 * Whether a keeper holds the word that the sleeper sleeps with: its end ends the sleep. Where none
 * does, the sleeper looks by itself whether the runtime is there, after this long at the latest.
 */
#define ZCP_SIGNAL_LOOK_NS INT64_C(50000000)

static inline bool zcp_signal_is_held(uint32_t word)
{
	return (word & ZCP_FUTEX_HOLDER) != 0;
}

/*
 * Sleeper: announces the sleep. Look again at all that may have come, then call
 * zcp_signal_sleep() with what this returned, or only zcp_signal_awake(). Full fence
 * included. Wait-free.
 */
uint32_t zcp_signal_announce(struct zcp_signal_shm *signal);

/*
 * Sleeper: sleeps until somebody wakes, unless somebody has since zcp_signal_announce().
 * timeout_ns < 0: without a limit. May wake for no reason.
 * Returns 0, -ETIMEDOUT, or -EINTR where a signal handler ran.
 */
int zcp_signal_sleep(struct zcp_signal_shm *signal, uint32_t announced, int64_t timeout_ns);

/* Sleeper: no longer asleep. Wait-free. */
void zcp_signal_awake(struct zcp_signal_shm *signal);

/*
 * Waker: wakes the sleeper if it is asleep, and was not woken from this sleep by us;
 * *woken is the waker's private memory of that, 0 at first. After a full fence.
 * At most one system call; async-signal-safe. True where the caller is to do it, by a write
 * to the sleeper's eventfd.
 */
bool zcp_signal_wake_sleeper(struct zcp_signal_shm *signal, uint64_t *woken);

/* Waker: wakes, whether or not anybody is asleep: the thread in the node; the one beside it. */
void zcp_signal_wake(struct zcp_signal_shm *signal);
void zcp_signal_wake_beside(struct zcp_signal_shm *signal);

/* Keeper: the word is held by this thread of its, which has it in its list of robust futexes. */
void zcp_signal_hold(_Atomic uint32_t *futex, uint32_t thread);

/* A futex word in shared memory. As futex(2); timeout_ns < 0: without a limit. */
int zcp_futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns);
void zcp_futex_wake_all(_Atomic uint32_t *word);

#endif
