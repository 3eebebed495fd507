/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread of a process that sleeps while another one may be in the node: a publisher that is
 * blocked, or a call that waits for members. It sleeps on the second word of the node's signal,
 * which the keeper holds too, so that the end of the runtime wakes it. One thread at a time can:
 * the word says that something has come, not to which of several sleepers. Any further one sleeps
 * on the word of what it waits for, and looks after the runtime every 50 ms.
 */
#ifndef ZCP_SHM_BESIDE_H
#define ZCP_SHM_BESIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "pubsub/shm/signal.h"

/* The same for all threads of a node. */
struct zcp_beside {
	/* NULL: there is no runtime to look after */
	struct zcp_signal_shm *signal;
	/* the node's: not 0 while a thread sleeps on the word */
	_Atomic uint32_t *taken;
};

/* One sleep. */
struct zcp_beside_sleep {
	_Atomic uint32_t *futex;
	uint32_t expected;
	/* it is the word of the signal */
	bool on_signal;
};

/*
 * Before the second look: on the signal's word where no other thread sleeps on it, else on `other`,
 * a futex word that grows with each wake. Say where, then a full fence, then look.
 */
void zcp_beside_begin(const struct zcp_beside *beside, _Atomic uint32_t *other,
		      struct zcp_beside_sleep *sleep);

/* Sleeps, for `timeout_ns` at most (< 0: without a limit). As zcp_futex_wait(). */
int zcp_beside_wait(const struct zcp_beside *beside, const struct zcp_beside_sleep *sleep,
		    int64_t timeout_ns);

/* After the sleep. Returns whether the runtime may be gone: then look after it. */
bool zcp_beside_end(const struct zcp_beside *beside, const struct zcp_beside_sleep *sleep);

#endif
