/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks, watchdog, random numbers, payloads.
 */
#include "tests/support/check.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "pubsub/shm/fence.h"

void zcp_test_fail(const char *file, int line, const char *condition)
{
	(void)dprintf(STDERR_FILENO, "%s:%d: failed in process %d: %s\n", file, line, (int)getpid(),
		      condition);
	_exit(1);
}

static double factor(void)
{
	const char *text = getenv("ZCP_STRESS_ROUNDS");
	double f = text ? strtod(text, NULL) : 1;

	return f > 0 ? f : 1;
}

uint64_t zcp_test_rounds(uint64_t n)
{
	double scaled = (double)n * factor();

	return scaled < 1 ? 1 : (uint64_t)scaled;
}

static void on_alarm(int number)
{
	static const char message[] = "failed: still running when the watchdog came\n";

	(void)number;
	(void)!write(STDERR_FILENO, message, sizeof(message) - 1);
	_exit(1);
}

unsigned int zcp_test_seconds(unsigned int n)
{
	double f = factor();

	return f > 1 ? (unsigned int)(n * f) : n;
}

void zcp_test_watchdog(unsigned int seconds)
{
	ZCP_CHECK(signal(SIGALRM, on_alarm) != SIG_ERR);
	(void)alarm(zcp_test_seconds(seconds));
}

struct watch {
	const _Atomic uint64_t *progress;
	unsigned int seconds;
};

static void *watch(void *arg)
{
	static const char message[] = "failed: nothing moves on, a wake-up was lost\n";
	const struct watch *w = arg;
	uint64_t last = UINT64_MAX;

	for (;;) {
		struct timespec left = { .tv_sec = w->seconds };
		/* Relaxed: a count. */
		uint64_t now = atomic_load_explicit(w->progress, memory_order_relaxed);

		if (now == last) {
			(void)!write(STDERR_FILENO, message, sizeof(message) - 1);
			_exit(1);
		}
		last = now;
		while (nanosleep(&left, &left) < 0 && errno == EINTR)
			continue;
	}
	return NULL;
}

void zcp_test_watch_progress(const _Atomic uint64_t *progress, unsigned int seconds)
{
	static struct watch watched;
	sigset_t all, before;
	pthread_t thread;

	watched = (struct watch){ .progress = progress, .seconds = seconds };
	/* Signals are for the others: it must not take an interrupt that a test sends itself. */
	ZCP_CHECK(sigfillset(&all) == 0);
	ZCP_CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	ZCP_CHECK(pthread_create(&thread, NULL, watch, &watched) == 0);
	ZCP_CHECK(pthread_detach(thread) == 0);
	ZCP_CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

uint32_t zcp_test_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

void zcp_test_pause(uint32_t *state, uint32_t limit)
{
	/* Of two random numbers the smaller: short pauses are where races are. */
	uint32_t a = zcp_test_random(state) % limit, b = zcp_test_random(state) % limit;

	for (uint32_t n = a < b ? a : b; n > 0; n--)
		zcp_cpu_relax();
}

void zcp_test_await_round(const _Atomic uint64_t *word, uint64_t round)
{
	/* No pause instruction: a virtual machine leaves a loop of them, and comes late. */
	for (uint32_t n = 0; zcp_test_load(word) < round; n++)
		if (n % 16384 == 16383)
			sched_yield();
}

static uint64_t pattern(uint64_t publisher, uint64_t seq, size_t i)
{
	return (seq * UINT64_C(0x9e3779b97f4a7c15) ^ publisher << 56) + i;
}

void zcp_test_fill(void *payload, size_t size, uint64_t publisher, uint64_t seq)
{
	uint64_t *words = payload;

	for (size_t i = 0; i < size / sizeof(words[0]); i++)
		words[i] = pattern(publisher, seq, i);
}

bool zcp_test_is_filled(const void *payload, size_t size, uint64_t publisher, uint64_t seq)
{
	const uint64_t *words = payload;

	for (size_t i = 0; i < size / sizeof(words[0]); i++)
		if (words[i] != pattern(publisher, seq, i))
			return false;
	return true;
}
