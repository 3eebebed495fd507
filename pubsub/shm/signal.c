/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals over futexes that are shared between processes.
 */
#include "pubsub/shm/signal.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/fence.h"
#include "pubsub/shm/life.h"
#include "pubsub/util.h"

size_t zcp_signals_size(uint32_t n_signals)
{
	return sizeof(struct zcp_signals_shm) + (size_t)n_signals * sizeof(struct zcp_signal_shm);
}

void zcp_signals_construct(struct zcp_region *region, uint32_t n_signals, uint64_t domain_id)
{
	struct zcp_signals_shm *shm = region->base;

	shm->n_signals = n_signals;
	zcp_region_publish(region, ZCP_REGION_SIGNALS, domain_id, 0);
}

int zcp_signals_attach(struct zcp_signals *signals, int fd, uint64_t domain_id, const char **why)
{
	const struct zcp_region_expect expect = {
		.kind = ZCP_REGION_SIGNALS,
		.domain_id = domain_id,
		.min_size = sizeof(struct zcp_signals_shm),
		.writable = true,
	};
	struct zcp_region region = ZCP_REGION_NULL;
	struct zcp_signals_shm *shm;
	uint32_t n_signals;
	int r;

	r = zcp_region_attach(&region, fd, &expect, why);
	if (r < 0)
		return r;
	shm = region.base;
	n_signals = shm->n_signals;
	if (n_signals == 0 || n_signals > ZCP_SIGNALS_MAX ||
	    zcp_signals_size(n_signals) > region.size) {
		zcp_region_deinit(&region);
		*why = "the signal region has more signals than fit it";
		return -EPROTO;
	}
	*signals = (struct zcp_signals){
		.signals = shm->signals,
		.n_signals = n_signals,
		.region = region,
	};
	return 0;
}

int zcp_signals_map(struct zcp_signals *signals, int fd, uint32_t n_signals)
{
	struct zcp_region region = ZCP_REGION_NULL;
	int r = zcp_region_map(&region, fd, zcp_signals_size(n_signals), 0);

	if (r < 0)
		return r;
	*signals = (struct zcp_signals){
		.signals = ((struct zcp_signals_shm *)region.base)->signals,
		.n_signals = n_signals,
		.region = region,
	};
	return 0;
}

void zcp_signals_deinit(struct zcp_signals *signals)
{
	zcp_region_deinit(&signals->region);
	*signals = (struct zcp_signals){ .n_signals = 0 };
}

uint32_t zcp_signals_pid_here(const struct zcp_signals *signals, uint32_t pid)
{
	const struct zcp_signals_shm *shm = signals->region.base;

	/* Relaxed: one of a runtime that goes on from another pid namespace is late at most. */
	return zcp_life_is_pid_namespace(
		       atomic_load_explicit(&shm->pid_namespace, memory_order_relaxed)) ?
		       pid :
		       0;
}

int zcp_futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
	/*
	 * Always with a timeout: the kernel goes back to a wait without one after a handler
	 * that was installed with SA_RESTART, and the caller would not learn of the signal.
	 */
	int64_t ns = timeout_ns >= 0 ? timeout_ns : INT64_MAX;
	struct timespec timeout = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	if (syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, NULL, 0) < 0 &&
	    errno != EAGAIN)
		return zcp_errno();
	return 0;
}

void zcp_futex_wake_all(_Atomic uint32_t *word)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void zcp_signal_reset(struct zcp_signal_shm *signal, uint64_t node)
{
	/* Relaxed: only the sleeper writes the word; the one before us is gone. */
	uint64_t epoch = atomic_load_explicit(&signal->epoch, memory_order_relaxed);

	atomic_store_explicit(&signal->epoch, epoch + (epoch & 1), memory_order_relaxed);
	atomic_store_explicit(&signal->mode, ZCP_SIGNAL_FUTEX, memory_order_relaxed);
	atomic_store_explicit(&signal->node, node, memory_order_relaxed);
}

void zcp_signal_use(struct zcp_signal_shm *signal, enum zcp_signal_mode mode)
{
	/* Relaxed: SIGNAL-R1 has it seen with the sleep that is announced next. */
	atomic_store_explicit(&signal->mode, mode, memory_order_relaxed);
}

uint32_t zcp_signal_settle(_Atomic uint32_t *futex)
{
	/*
	 * WOKEN-A1 pairs with WOKEN-R1: what was published before a wake that is cleared here is
	 * seen by the look that follows; a wake that comes later makes the futex refuse to sleep.
	 * Acquire also keeps it before the store of the epoch.
	 */
	return atomic_fetch_and_explicit(futex, ~ZCP_FUTEX_WOKEN, memory_order_acquire) &
	       ~ZCP_FUTEX_WOKEN;
}

uint32_t zcp_signal_announce(struct zcp_signal_shm *signal)
{
	uint32_t announced = zcp_signal_settle(&signal->node_futex);
	/* Relaxed: it is our own word. */
	uint64_t epoch = atomic_load_explicit(&signal->epoch, memory_order_relaxed);

	/* SIGNAL-R1 pairs with SIGNAL-A1; the fence orders it before the second look. */
	atomic_store_explicit(&signal->epoch, epoch + 1 + (epoch & 1), memory_order_release);
	zcp_fence_full();
	ZCP_CRASHPOINT("sleep.after_epoch");
	return announced;
}

int zcp_signal_sleep(struct zcp_signal_shm *signal, uint32_t announced, int64_t timeout_ns)
{
	return zcp_futex_wait(&signal->node_futex, announced, timeout_ns);
}

void zcp_signal_awake(struct zcp_signal_shm *signal)
{
	/* Relaxed: a waker that still sees us asleep wakes once too often. */
	uint64_t epoch = atomic_load_explicit(&signal->epoch, memory_order_relaxed);

	atomic_store_explicit(&signal->epoch, epoch + (epoch & 1), memory_order_relaxed);
}

static void wake(_Atomic uint32_t *futex)
{
	/*
	 * WOKEN-R1 pairs with WOKEN-A1. The keeper's and the kernel's changes in between are atomic
	 * operations too, and go on with the release sequence. Whoever finds the bit set wakes all
	 * the same: the one that has set it may be dead.
	 */
	(void)atomic_fetch_or_explicit(futex, ZCP_FUTEX_WOKEN, memory_order_release);
	ZCP_CRASHPOINT("wake.after_woken");
	zcp_futex_wake_all(futex);
}

void zcp_signal_wake(struct zcp_signal_shm *signal)
{
	wake(&signal->node_futex);
}

void zcp_signal_wake_beside(struct zcp_signal_shm *signal)
{
	wake(&signal->beside_futex);
}

void zcp_signal_hold(_Atomic uint32_t *futex, uint32_t thread)
{
	/* Relaxed, both: it orders nothing, and leaves WOKEN as it is. */
	uint32_t word = atomic_load_explicit(futex, memory_order_relaxed);

	while (!atomic_compare_exchange_weak_explicit(
		futex, &word, (word & ZCP_FUTEX_WOKEN) | ZCP_FUTEX_WAITERS | thread,
		memory_order_relaxed, memory_order_relaxed))
		;
}

bool zcp_signal_wake_sleeper(struct zcp_signal_shm *signal, uint64_t *woken)
{
	/*
	 * SIGNAL-A1 pairs with SIGNAL-R1 in zcp_signal_announce(): how to wake is known with
	 * the sleep. The caller's fence has ordered the load after the publish.
	 */
	uint64_t epoch = atomic_load_explicit(&signal->epoch, memory_order_acquire);

	if (!(epoch & 1) || epoch == *woken)
		return false;
	*woken = epoch;
	/*
	 * Relaxed: that of this sleep, or of a later one; then the sleeper has looked again
	 * since, after a fence, and has seen what was published.
	 */
	if (atomic_load_explicit(&signal->mode, memory_order_relaxed) == ZCP_SIGNAL_FD)
		return true;
	zcp_signal_wake(signal);
	return false;
}
