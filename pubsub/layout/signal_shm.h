/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals: how sleeping nodes are woken. One region for the domain, one signal for each
 * node.
 *
 *   0    region header   64
 *   64   geometry        64   n_signals, incarnation, pid_namespace
 *   128  signals        128 × n_signals
 *
 * A signal:
 *   0    epoch   8   odd: asleep or about to; the next number for each sleep
 *   8    mode    4   how to wake from this sleep: enum zcp_signal_mode
 *   12   pid     4   whose process; see also process_start
 *   16   node    8   whose it is
 *   24   process_start 8
 *   32   holder  8   the node that holds the lock of this signal: see life.h
 *   64   node_futex   4   what the thread in the node sleeps on
 *   72   beside_futex 4   what another thread of the process sleeps on meanwhile
 *
 * A futex word:
 *   bits 0-29   the keeper's thread id: it holds the word as a robust futex (set_robust_list(2));
 *               0: no keeper does
 *   bit 30      WOKEN: set by each wake, cleared by the sleeper before it looks again
 *   bit 31      FUTEX_WAITERS, always set with the id: the kernel is to wake
 *
 * When the keeper ends, however it ends, the kernel replaces the id by FUTEX_OWNER_DIED, which is
 * the bit of WOKEN, and wakes the sleeper. It needs no process for that, and the sleeper waits for
 * one word alone. futex_waitv(2), for two words, is not ended by a signal handler that was
 * installed with SA_RESTART.
 *
 * A waker never changes what the sleeper has set, so one that is killed or stopped on its
 * way swallows nobody's wake-up. A sleeper that dies leaves `epoch` odd: publishers then
 * wake nobody once each. The next node that gets the signal makes it even.
 */
#ifndef ZCP_SIGNAL_SHM_H
#define ZCP_SIGNAL_SHM_H

#include "pubsub/layout/region_shm.h"

#define ZCP_SIGNALS_MAX 65536
/* Those whose words the keeper holds: the kernel looks at 2048 robust futexes of a thread. */
#define ZCP_SIGNALS_HELD_MAX 1024

#define ZCP_FUTEX_HOLDER UINT32_C(0x3fffffff)
#define ZCP_FUTEX_WOKEN UINT32_C(0x40000000)
#define ZCP_FUTEX_WAITERS UINT32_C(0x80000000)

enum zcp_signal_mode {
	ZCP_SIGNAL_FUTEX = 0, /* the futex word */
	ZCP_SIGNAL_FD = 1,    /* the node's eventfd, which the runtime hands out */
};

struct zcp_signal_shm {
	/* written by: the sleeper; read by: wakers */
	_Atomic uint64_t epoch;
	_Atomic uint32_t mode;
	/*
	 * written by: the runtime, when the node has come; read by: the one that comes after it.
	 * Its process, and when that began; 0 and 0: not known in `pid_namespace`
	 */
	_Atomic uint32_t pid;
	/*
	 * the node's id in the domain: an eventfd that is known by it is still the right one;
	 * written by: the runtime and the node, the same number, when the node has come; made 0 by
	 * the node when it is closed (by compare-and-swap: the signal may be another's by then), and
	 * by the runtime when it is gone
	 */
	_Atomic uint64_t node;
	/* as the pid */
	_Atomic uint64_t process_start;
	/*
	 * written by: the node, when it holds the lock, its id; read by: a runtime that comes later. A
	 * node that has its signal and this word, and no lock, has ended
	 */
	_Atomic uint64_t holder;
	uint64_t reserved[3];
	/*
	 * both written by: wakers, the sleeper, the keeper and the kernel, each its own bits by one
	 * atomic operation; read by: the sleeper and the kernel. 8 bytes apart: see
	 * runtime/failover/hold.c
	 */
	_Atomic uint32_t node_futex;
	uint32_t reserved_node_futex;
	_Atomic uint32_t beside_futex;
	uint32_t reserved_beside_futex[13];
};

static_assert(sizeof(struct zcp_signal_shm) == 128, "two cache lines");
static_assert(offsetof(struct zcp_signal_shm, epoch) == 0, "layout");
static_assert(offsetof(struct zcp_signal_shm, mode) == 8, "layout");
static_assert(offsetof(struct zcp_signal_shm, pid) == 12, "layout");
static_assert(offsetof(struct zcp_signal_shm, node) == 16, "layout");
static_assert(offsetof(struct zcp_signal_shm, process_start) == 24, "layout");
static_assert(offsetof(struct zcp_signal_shm, holder) == 32, "layout");
static_assert(offsetof(struct zcp_signal_shm, node_futex) == 64, "layout");
static_assert(offsetof(struct zcp_signal_shm, beside_futex) == 72, "layout");

struct zcp_signals_shm {
	struct zcp_region_shm region;
	/* written by: the creator; read by: everyone, once, at attach */
	uint32_t n_signals;
	uint32_t reserved_n;
	/*
	 * written by: the runtime, when it begins with this region; read by: the one that comes
	 * after it. The upper half of every id that it gives
	 */
	_Atomic uint64_t incarnation;
	/*
	 * written by: the runtime, as above; read by: everyone. The number of the pid namespace in
	 * which pids of this domain mean something; 0: unknown
	 */
	_Atomic uint64_t pid_namespace;
	uint64_t reserved[5];
	struct zcp_signal_shm signals[];
};

static_assert(sizeof(struct zcp_signals_shm) == 128, "layout");
static_assert(offsetof(struct zcp_signals_shm, n_signals) == 64, "layout");
static_assert(offsetof(struct zcp_signals_shm, incarnation) == 72, "layout");
static_assert(offsetof(struct zcp_signals_shm, pid_namespace) == 80, "layout");
static_assert(offsetof(struct zcp_signals_shm, signals) == 128, "layout");

#endif
