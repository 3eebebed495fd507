/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child that is traced, instruction by instruction. What goes wrong in it or with it ends the
 * process (ZCP_CHECK); where no process can be traced the test is skipped.
 */
#ifndef ZCP_TESTS_SUPPORT_TRACEE_H
#define ZCP_TESTS_SUPPORT_TRACEE_H

#include <stdbool.h>
#include <sys/types.h>

/* A child that is about to do `body` and to exit then; stopped. It is killed with its parent. */
pid_t zcp_tracee_start(void (*body)(void *arg), void *arg);

/* One instruction. False: it has exited, with 0. */
bool zcp_tracee_step(pid_t pid);

/* On, until it stops itself. False: it has exited, with 0. */
bool zcp_tracee_continue(pid_t pid);

/* Kills it where it stands. */
void zcp_tracee_kill(pid_t pid);

#endif
