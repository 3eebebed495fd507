/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals: when a waker wakes, when a sleeper sleeps, and what is refused at attach.
 */
#include "pubsub/shm/signal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <unistd.h>

#include "tests/support/check.h"

#define DOMAIN UINT64_C(42)

/* Whether it was woken since this was asked last. */
static bool was_woken(struct zcp_signal_shm *signal)
{
	return atomic_fetch_and(&signal->node_futex, ~ZCP_FUTEX_WOKEN) & ZCP_FUTEX_WOKEN;
}

Test(signal, attached_ones_are_as_many_as_were_constructed)
{
	struct zcp_signals signals;
	struct zcp_region region;
	const char *why;
	int fd = -1;

	cr_assert_eq(zcp_region_create(&region, &fd, "zcp-test", zcp_signals_size(100)), 0);
	zcp_signals_construct(&region, 100, DOMAIN);
	cr_assert_eq(zcp_signals_attach(&signals, fd, DOMAIN, &why), 0);
	cr_assert_eq(signals.n_signals, 100);
	cr_assert_leq((const char *)(signals.signals + 100),
		      (const char *)signals.region.base + signals.region.size);
	cr_assert_eq((uintptr_t)signals.signals % 64, 0);
	zcp_signals_deinit(&signals);
	cr_assert_eq(signals.n_signals, 0);
	zcp_signals_deinit(&signals);
	zcp_region_deinit(&region);
	close(fd);
}

Test(signal, number_that_lies_is_refused)
{
	static const uint32_t numbers[] = { 0, 31 + 1, ZCP_SIGNALS_MAX, ZCP_SIGNALS_MAX + 1,
					    UINT32_MAX };
	struct zcp_region region;
	int fd = -1;

	/* A page: the header and 31 of them. */
	cr_assert_eq(zcp_region_create(&region, &fd, "zcp-test", zcp_signals_size(31)), 0);
	zcp_signals_construct(&region, 31, DOMAIN);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct zcp_signals signals = { .signals = NULL };
		const char *why = "";

		((struct zcp_signals_shm *)region.base)->n_signals = numbers[i];
		cr_assert_eq(zcp_signals_attach(&signals, fd, DOMAIN, &why), -EPROTO);
		cr_assert_str_not_empty(why);
		cr_assert_null(signals.signals);
	}
	zcp_region_deinit(&region);
	close(fd);
}

Test(signal, epoch_is_odd_from_the_announcement_to_the_awakening)
{
	struct zcp_signal_shm signal = { .epoch = 0 };

	(void)zcp_signal_announce(&signal);
	cr_assert_eq(zcp_test_load(&signal.epoch), 1);
	zcp_signal_awake(&signal);
	cr_assert_eq(zcp_test_load(&signal.epoch), 2);
	zcp_signal_awake(&signal);
	cr_assert_eq(zcp_test_load(&signal.epoch), 2);
	(void)zcp_signal_announce(&signal);
	cr_assert_eq(zcp_test_load(&signal.epoch), 3);
}

Test(signal, second_announcement_is_another_sleep)
{
	struct zcp_signal_shm signal = { .epoch = 0 };

	(void)zcp_signal_announce(&signal);
	(void)zcp_signal_announce(&signal);
	cr_assert_eq(zcp_test_load(&signal.epoch), 3);
}

Test(signal, epoch_wraps)
{
	struct zcp_signal_shm signal = { .epoch = UINT64_MAX - 1 };
	uint64_t woken = 0;

	(void)zcp_signal_announce(&signal);
	cr_assert_eq(zcp_test_load(&signal.epoch), UINT64_MAX);
	zcp_signal_wake_sleeper(&signal, &woken);
	cr_assert(was_woken(&signal));
	zcp_signal_awake(&signal);
	cr_assert_eq(zcp_test_load(&signal.epoch), 0);
	(void)zcp_signal_announce(&signal);
	zcp_signal_wake_sleeper(&signal, &woken);
	cr_assert(was_woken(&signal));
}

Test(signal, reset_makes_one_ready_whose_node_died_asleep)
{
	struct zcp_signal_shm signal = { .epoch = 0 };
	uint64_t woken = 0;

	zcp_signal_use(&signal, ZCP_SIGNAL_FD);
	(void)zcp_signal_announce(&signal);
	zcp_signal_reset(&signal, 1);
	cr_assert_eq(zcp_test_load(&signal.epoch), 2);
	cr_assert_eq(zcp_test_load(&signal.mode), ZCP_SIGNAL_FUTEX);
	zcp_signal_wake_sleeper(&signal, &woken);
	cr_assert(!was_woken(&signal));
	/* And changes nothing about one that is awake. */
	zcp_signal_reset(&signal, 1);
	cr_assert_eq(zcp_test_load(&signal.epoch), 2);
}

Test(signal, only_a_sleeper_is_woken)
{
	struct zcp_signal_shm signal = { .epoch = 0 };
	uint64_t woken = 0;

	zcp_signal_wake_sleeper(&signal, &woken);
	cr_assert(!was_woken(&signal));
	(void)zcp_signal_announce(&signal);
	zcp_signal_wake_sleeper(&signal, &woken);
	cr_assert(was_woken(&signal));
	zcp_signal_awake(&signal);
	zcp_signal_wake_sleeper(&signal, &woken);
	cr_assert(!was_woken(&signal));
}

Test(signal, each_waker_wakes_each_sleep_once)
{
	struct zcp_signal_shm signal = { .epoch = 0 };
	uint64_t a = 0, b = 0;

	for (uint32_t sleep = 0; sleep < 3; sleep++) {
		(void)zcp_signal_announce(&signal);
		for (int i = 0; i < 3; i++) {
			zcp_signal_wake_sleeper(&signal, &a);
			cr_assert_eq(was_woken(&signal), i == 0);
		}
		/* The other one may not rely on the first: it may have died before the wake. */
		for (int i = 0; i < 3; i++) {
			zcp_signal_wake_sleeper(&signal, &b);
			cr_assert_eq(was_woken(&signal), i == 0);
		}
		/* And a waker changes nothing that is the sleeper's. */
		cr_assert_eq(zcp_test_load(&signal.epoch), 2 * sleep + 1);
		zcp_signal_awake(&signal);
	}
}

Test(signal, sleeper_in_a_poll_is_woken_by_the_caller)
{
	struct zcp_signal_shm signal = { .epoch = 0 };
	uint64_t woken = 0;

	zcp_signal_use(&signal, ZCP_SIGNAL_FD);
	cr_assert(!zcp_signal_wake_sleeper(&signal, &woken));
	(void)zcp_signal_announce(&signal);
	cr_assert(zcp_signal_wake_sleeper(&signal, &woken));
	cr_assert(!zcp_signal_wake_sleeper(&signal, &woken));
	/* Nobody sleeps on the futex. */
	cr_assert(!was_woken(&signal));
	zcp_signal_awake(&signal);
	/* The next sleep may be another one. */
	zcp_signal_use(&signal, ZCP_SIGNAL_FUTEX);
	(void)zcp_signal_announce(&signal);
	cr_assert(!zcp_signal_wake_sleeper(&signal, &woken));
	cr_assert(was_woken(&signal));
}

Test(signal, sleep_ends_at_once_after_a_wake_since_the_announcement, .timeout = 10)
{
	struct zcp_signal_shm signal = { .node_futex = UINT32_MAX };
	uint32_t announced = zcp_signal_announce(&signal);
	uint64_t woken = 0;

	cr_assert_eq(announced, UINT32_MAX & ~ZCP_FUTEX_WOKEN);
	zcp_signal_wake_sleeper(&signal, &woken);
	cr_assert_eq(zcp_test_load(&signal.node_futex), UINT32_MAX);
	cr_assert_eq(zcp_signal_sleep(&signal, announced, -1), 0);
}

Test(signal, sleep_ends_at_once_when_a_keeper_holds_the_word_since_the_announcement, .timeout = 10)
{
	struct zcp_signal_shm signal = { .epoch = 0 };
	uint32_t announced = zcp_signal_announce(&signal);

	cr_assert(!zcp_signal_is_held(announced));
	zcp_signal_hold(&signal.node_futex, 7);
	cr_assert_eq(zcp_signal_sleep(&signal, announced, -1), 0);
	announced = zcp_signal_announce(&signal);
	cr_assert(zcp_signal_is_held(announced));
	cr_assert_eq(zcp_signal_sleep(&signal, announced, 1000), -ETIMEDOUT);
}

Test(signal, keeper_that_takes_a_word_over_takes_no_wake_away)
{
	struct zcp_signal_shm signal = { .epoch = 0 };

	zcp_signal_wake(&signal);
	zcp_signal_wake_beside(&signal);
	for (uint32_t keeper = 7; keeper < 9; keeper++) {
		zcp_signal_hold(&signal.node_futex, keeper);
		zcp_signal_hold(&signal.beside_futex, keeper);
		cr_assert_eq(zcp_test_load(&signal.node_futex),
			     ZCP_FUTEX_WAITERS | ZCP_FUTEX_WOKEN | keeper);
		cr_assert_eq(zcp_test_load(&signal.beside_futex),
			     ZCP_FUTEX_WAITERS | ZCP_FUTEX_WOKEN | keeper);
	}
	/* And a wake takes no keeper away. */
	(void)zcp_signal_announce(&signal);
	cr_assert_eq(zcp_test_load(&signal.node_futex), ZCP_FUTEX_WAITERS | 8);
}

Test(signal, sleep_without_a_wake_times_out, .timeout = 10)
{
	struct zcp_signal_shm signal = { .epoch = 0 };
	uint32_t announced = zcp_signal_announce(&signal);

	cr_assert_eq(zcp_signal_sleep(&signal, announced, 0), -ETIMEDOUT);
	cr_assert_eq(zcp_signal_sleep(&signal, announced, 1), -ETIMEDOUT);
	cr_assert_eq(zcp_signal_sleep(&signal, announced, 1000), -ETIMEDOUT);
}

Test(signal, wake_before_the_announcement_is_no_wake_of_this_sleep, .timeout = 10)
{
	struct zcp_signal_shm signal = { .epoch = 0 };
	uint32_t announced;

	zcp_signal_wake(&signal);
	announced = zcp_signal_announce(&signal);
	cr_assert_eq(zcp_signal_sleep(&signal, announced, 1000), -ETIMEDOUT);
}
