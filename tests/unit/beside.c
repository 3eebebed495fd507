/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleeping beside the node: on which word, for how long, and when the runtime may be gone.
 */
#include "pubsub/shm/beside.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "tests/support/check.h"

static struct zcp_signal_shm sleeper;
static _Atomic uint32_t taken, other;
static const struct zcp_beside beside = { .signal = &sleeper, .taken = &taken };

static void reset(void)
{
	zcp_test_store(&sleeper.beside_futex, 0);
	zcp_test_store(&other, 0);
}

TestSuite(beside, .init = reset, .timeout = 10);

Test(beside, one_thread_sleeps_on_the_signal_and_further_ones_elsewhere)
{
	struct zcp_beside_sleep first, second;

	zcp_beside_begin(&beside, &other, &first);
	zcp_beside_begin(&beside, &other, &second);
	cr_assert(first.on_signal);
	cr_assert_eq(first.futex, &sleeper.beside_futex);
	cr_assert(!second.on_signal);
	cr_assert_eq(second.futex, &other);
	(void)zcp_beside_end(&beside, &second);
	cr_assert(zcp_test_load(&taken));
	(void)zcp_beside_end(&beside, &first);
	zcp_beside_begin(&beside, &other, &second);
	cr_assert(second.on_signal);
	(void)zcp_beside_end(&beside, &second);
}

Test(beside, wake_since_the_beginning_ends_the_sleep_at_once)
{
	struct zcp_beside_sleep sleep;

	zcp_signal_hold(&sleeper.beside_futex, 7);
	/* One before it does not. */
	zcp_signal_wake_beside(&sleeper);
	zcp_beside_begin(&beside, &other, &sleep);
	cr_assert_eq(zcp_beside_wait(&beside, &sleep, 1000), -ETIMEDOUT);
	zcp_signal_wake_beside(&sleeper);
	cr_assert_eq(zcp_beside_wait(&beside, &sleep, -1), 0);
	cr_assert(!zcp_beside_end(&beside, &sleep));
}

Test(beside, sleep_that_no_keeper_would_end_is_short)
{
	struct zcp_beside_sleep first, second;

	zcp_beside_begin(&beside, &other, &first);
	cr_assert_eq(zcp_beside_wait(&beside, &first, -1), -ETIMEDOUT);
	zcp_signal_hold(&sleeper.beside_futex, 7);
	zcp_beside_begin(&beside, &other, &second);
	cr_assert_eq(zcp_beside_wait(&beside, &second, -1), -ETIMEDOUT);
	cr_assert(zcp_beside_end(&beside, &second));
	(void)zcp_beside_end(&beside, &first);
}

Test(beside, runtime_may_be_gone_where_its_keeper_is_or_is_another_one)
{
	struct zcp_beside_sleep sleep;

	zcp_signal_hold(&sleeper.beside_futex, 7);
	zcp_beside_begin(&beside, &other, &sleep);
	cr_assert(!zcp_beside_end(&beside, &sleep));
	zcp_beside_begin(&beside, &other, &sleep);
	zcp_signal_hold(&sleeper.beside_futex, 8);
	cr_assert_eq(zcp_beside_wait(&beside, &sleep, -1), 0);
	cr_assert(zcp_beside_end(&beside, &sleep));
	zcp_beside_begin(&beside, &other, &sleep);
	/* As the kernel does it. */
	zcp_test_store(&sleeper.beside_futex, ZCP_FUTEX_WAITERS | ZCP_FUTEX_WOKEN);
	cr_assert_eq(zcp_beside_wait(&beside, &sleep, -1), 0);
	cr_assert(zcp_beside_end(&beside, &sleep));
}

Test(beside, without_a_signal_it_sleeps_elsewhere_as_long_as_it_is_told)
{
	const struct zcp_beside none = { .signal = NULL };
	struct zcp_beside_sleep sleep;

	zcp_beside_begin(&none, &other, &sleep);
	cr_assert_eq(sleep.futex, &other);
	(void)atomic_fetch_add(&other, 1);
	cr_assert_eq(zcp_beside_wait(&none, &sleep, -1), 0);
	cr_assert(!zcp_beside_end(&none, &sleep));
}
