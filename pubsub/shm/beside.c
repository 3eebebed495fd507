/* SPDX-License-Identifier: Apache-2.0 */
#include "pubsub/shm/beside.h"

void zcp_beside_begin(const struct zcp_beside *beside, _Atomic uint32_t *other,
		      struct zcp_beside_sleep *sleep)
{
	/* BESIDE-A1 pairs with BESIDE-R1: the next sleep settles the word after the one before. */
	sleep->on_signal = beside->signal &&
			   atomic_exchange_explicit(beside->taken, 1, memory_order_acquire) == 0;
	if (sleep->on_signal) {
		sleep->futex = &beside->signal->beside_futex;
		sleep->expected = zcp_signal_settle(sleep->futex);
	} else {
		sleep->futex = other;
		/* Acquire, so that it stays before the second look. */
		sleep->expected = atomic_load_explicit(other, memory_order_acquire);
	}
}

int zcp_beside_wait(const struct zcp_beside *beside, const struct zcp_beside_sleep *sleep,
		    int64_t timeout_ns)
{
	bool is_held = sleep->on_signal && zcp_signal_is_held(sleep->expected);

	if (beside->signal && !is_held && (timeout_ns < 0 || timeout_ns > ZCP_SIGNAL_LOOK_NS))
		timeout_ns = ZCP_SIGNAL_LOOK_NS;
	return zcp_futex_wait(sleep->futex, sleep->expected, timeout_ns);
}

bool zcp_beside_end(const struct zcp_beside *beside, const struct zcp_beside_sleep *sleep)
{
	uint32_t word;

	if (!sleep->on_signal)
		return beside->signal != NULL;
	/* Relaxed: a keeper that ends from now on ends the next sleep. */
	word = atomic_load_explicit(sleep->futex, memory_order_relaxed);
	/* BESIDE-R1 pairs with BESIDE-A1. */
	atomic_store_explicit(beside->taken, 0, memory_order_release);
	/* Another one may hold it by now, whose runtime has yet to be found. */
	return !zcp_signal_is_held(word) ||
	       (word & ZCP_FUTEX_HOLDER) != (sleep->expected & ZCP_FUTEX_HOLDER);
}
