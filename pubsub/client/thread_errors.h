/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sentences that are one thread's alone. They are too large for the thread-local memory of a library
 * that a program loads later (dlopen(3)), where all libraries share some 1.5 KiB; so they lie on the
 * heap, from the first one on to the thread's end.
 */
#ifndef ZCP_CLIENT_THREAD_ERRORS_H
#define ZCP_CLIENT_THREAD_ERRORS_H

#include "pubsub/client/node.h"

struct zcp_thread_errors {
	/* what zcp_node_open() said last in this thread, when there was no node to say it */
	char open[sizeof(((struct zcp_node *)NULL)->error)];
	/* what that node said last to this thread, while another one was inside; NULL: none */
	const struct zcp_node *node;
	char own[sizeof(((struct zcp_node *)NULL)->error)];
};

/* NULL where there are none yet. */
struct zcp_thread_errors *zcp_thread_errors(void);

/* Makes them; NULL where there is no memory. */
struct zcp_thread_errors *zcp_thread_errors_make(void);

#endif
