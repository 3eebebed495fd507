/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every test program needs: a check that ends the process, a watchdog, random numbers
 * and a payload that can be recognised. No test waits for time to pass: pauses spin, waits
 * yield until something has happened.
 */
#ifndef ZCP_TESTS_SUPPORT_CHECK_H
#define ZCP_TESTS_SUPPORT_CHECK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZCP_TEST_SKIPPED 77

/* A shared word, where the order is not what is tested. */
#define zcp_test_load(word) atomic_load_explicit(word, memory_order_seq_cst)
#define zcp_test_store(word, value) atomic_store_explicit(word, value, memory_order_seq_cst)

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ZCP_TEST_TSAN 1
#endif
#if __has_feature(address_sanitizer)
#define ZCP_TEST_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) && !defined(ZCP_TEST_TSAN)
#define ZCP_TEST_TSAN 1
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(ZCP_TEST_ASAN)
#define ZCP_TEST_ASAN 1
#endif

/* Ends the process with 1 where the condition does not hold; in any thread or child. */
#define ZCP_CHECK(condition)                                                                       \
	do {                                                                                       \
		if (!(condition))                                                                  \
			zcp_test_fail(__FILE__, __LINE__, #condition);                             \
	} while (0)

__attribute__((noreturn)) void zcp_test_fail(const char *file, int line, const char *condition);

/* `n`, times the number in ZCP_STRESS_ROUNDS ("10", "0.1") where that is set; at least 1. */
uint64_t zcp_test_rounds(uint64_t n);

/* `n` seconds, times ZCP_STRESS_ROUNDS where that is above 1. */
unsigned int zcp_test_seconds(unsigned int n);

/* Ends the process with 1 after so many seconds, times ZCP_STRESS_ROUNDS where that is above 1. */
void zcp_test_watchdog(unsigned int seconds);

/*
 * Ends the process with 1 once *progress has not moved for so many seconds. A thread of its own
 * looks: a signal would end the very sleep that nobody has woken. After the last fork.
 */
void zcp_test_watch_progress(const _Atomic uint64_t *progress, unsigned int seconds);

/* The next of a sequence of random numbers; *state is not 0. */
uint32_t zcp_test_random(uint32_t *state);

/* Keeps the processor busy for a random time, mostly short. */
void zcp_test_pause(uint32_t *state, uint32_t limit);

/*
 * Waits until *word is at least `round`: for two threads that are to begin something at the
 * same moment. Spins, but works on one processor too.
 */
void zcp_test_await_round(const _Atomic uint64_t *word, uint64_t round);

/* A payload that says whose it is and which; `size` is a multiple of 8. */
void zcp_test_fill(void *payload, size_t size, uint64_t publisher, uint64_t seq);
bool zcp_test_is_filled(const void *payload, size_t size, uint64_t publisher, uint64_t seq);

#endif
