/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals: how sleeping nodes are woken. One region for the domain, one signal for each
 * node.
 *
 *   0    region header   64
 *   64   geometry        64   n_signals, incarnation
 *   128  signals        128 × n_signals
 *
 * A signal:
 *   0    epoch   8   odd: asleep or about to; the next number for each sleep
 *   8    mode    4   how to wake from this sleep: enum zcp_signal_mode
 *   12   pid     4   its node's process; see also process_start
 *   16   node    8   its node
 *   24   process_start 8
 *   64   events  4   grows with each wake; the futex word
 *
 * A waker never changes what the sleeper has set, so one that is killed or stopped on its
 * way swallows no wake-up. A sleeper that dies leaves `epoch` odd: publishers then make
 * one wake-up in vain each. The next node that gets the signal makes it even.
 */
#ifndef ZCP_SIGNAL_SHM_H
#define ZCP_SIGNAL_SHM_H

#include "pubsub/layout/region_shm.h"

#define ZCP_SIGNALS_MAX 65536

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
	 * Its process, and when that began
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
	uint64_t reserved[4];
	/* written by: wakers, with fetch_add; read by: the sleeper and the kernel */
	_Atomic uint32_t events;
	uint32_t reserved_events[15];
};

static_assert(sizeof(struct zcp_signal_shm) == 128, "two cache lines");
static_assert(offsetof(struct zcp_signal_shm, epoch) == 0, "layout");
static_assert(offsetof(struct zcp_signal_shm, mode) == 8, "layout");
static_assert(offsetof(struct zcp_signal_shm, pid) == 12, "layout");
static_assert(offsetof(struct zcp_signal_shm, node) == 16, "layout");
static_assert(offsetof(struct zcp_signal_shm, process_start) == 24, "layout");
static_assert(offsetof(struct zcp_signal_shm, events) == 64, "layout");

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
	uint64_t reserved[6];
	struct zcp_signal_shm signals[];
};

static_assert(sizeof(struct zcp_signals_shm) == 128, "layout");
static_assert(offsetof(struct zcp_signals_shm, n_signals) == 64, "layout");
static_assert(offsetof(struct zcp_signals_shm, incarnation) == 72, "layout");
static_assert(offsetof(struct zcp_signals_shm, signals) == 128, "layout");

#endif
