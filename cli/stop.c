/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signal handler and what it may touch.
 */
#include "cli/stop.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"

/*
 * Relaxed everywhere: only this thread's handler writes n_stops and only this thread reads
 * it, and a thread sees its own handler's writes in order.
 */
static atomic_uint n_stops;
static atomic_int first_number;
static _Atomic(struct zcp_node *) interrupted;

static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_POINTER_LOCK_FREE == 2,
	      "a signal handler must not take a lock");

static void on_signal(int number)
{
	struct zcp_node *node = atomic_load_explicit(&interrupted, memory_order_relaxed);
	int saved = errno;

	if (atomic_load_explicit(&first_number, memory_order_relaxed) == 0)
		atomic_store_explicit(&first_number, number, memory_order_relaxed);
	(void)atomic_fetch_add_explicit(&n_stops, 1, memory_order_relaxed);
	if (node)
		zcp_node_interrupt(node);
	(void)alarm(1);
	errno = saved;
}

static void handle(int number)
{
	struct sigaction action, before;

	memset(&action, 0, sizeof(action));
	action.sa_handler = on_signal;
	/* No SA_RESTART: calls that block are to return. */
	(void)sigemptyset(&action.sa_mask);
	if (number == SIGINT && sigaction(number, NULL, &before) == 0 &&
	    before.sa_handler == SIG_IGN)
		return;
	(void)sigaction(number, &action, NULL);
}

void cli_stop_on_signals(struct zcp_node *node)
{
	atomic_store_explicit(&interrupted, node, memory_order_relaxed);
	handle(SIGALRM);
	handle(SIGTERM);
	handle(SIGINT);
}

void cli_stop_forget_node(void)
{
	atomic_store_explicit(&interrupted, NULL, memory_order_relaxed);
}

bool cli_stop_asked(void)
{
	return atomic_load_explicit(&n_stops, memory_order_relaxed) > 0;
}

void cli_stop_die(void)
{
	int number = atomic_load_explicit(&first_number, memory_order_relaxed);

	/* A shell's loop looks whether the command died of SIGINT, not at its exit code. */
	(void)signal(number, SIG_DFL);
	(void)raise(number);
	/* It is blocked. */
	_exit(CLI_EXIT_STOPPED);
}

bool cli_stop_insisted(void)
{
	return atomic_load_explicit(&n_stops, memory_order_relaxed) > 1;
}
