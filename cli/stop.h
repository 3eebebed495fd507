/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user wants an end: SIGINT and SIGTERM.
 *
 * A signal that comes just before a call that blocks would be noticed only after that call.
 * So a first one is followed by a SIGALRM each second, which interrupts whatever blocks
 * then.
 */
#ifndef ZCP_CLI_STOP_H
#define ZCP_CLI_STOP_H

#include <stdbool.h>

#include <zcp/node.h>

/*
 * From here on the signals end zcp_node_wait() of this node, interrupt system calls, and
 * are otherwise left to the functions below. A SIGINT that is ignored, as in a shell's
 * background, stays so.
 */
void cli_stop_on_signals(struct zcp_node *node);

/* Before the node is closed. The signals are still noted. */
void cli_stop_forget_node(void);

/* Whether an end is wanted. */
bool cli_stop_asked(void);

/* Ends the process as the signal that asked first would have done. Does not return. */
__attribute__((noreturn)) void cli_stop_die(void);

/* Whether it has been for a second, or has been asked for again. */
bool cli_stop_insisted(void);

#endif
