/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes as tests use them: forked helpers that are told what to do through a pipe and
 * answer through another, and what /proc says about anybody. Whatever goes wrong here ends
 * the process (ZCP_CHECK).
 */
#ifndef ZCP_TESTS_SUPPORT_PROCESS_H
#define ZCP_TESTS_SUPPORT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A helper, seen from its parent; in the helper itself: the way back. */
struct zcp_test_child {
	pid_t pid;
	int pidfd;
	int in;
	int out;
};

/* Forks; `run` runs in the child, which ends with 0 when it returns. */
void zcp_test_fork(struct zcp_test_child *child,
		   void (*run)(struct zcp_test_child *self, void *arg), void *arg);

/* From one side to the other: whole structs; hearing blocks. The other's end is a failure. */
void zcp_test_say(struct zcp_test_child *other, const void *data, size_t size);
void zcp_test_hear(struct zcp_test_child *other, void *data, size_t size);

/* Whether there is something to hear. */
bool zcp_test_has_said(struct zcp_test_child *other);

/* The same for a number, which says how far somebody is. */
void zcp_test_say_step(struct zcp_test_child *other, uint64_t step);
void zcp_test_hear_step(struct zcp_test_child *other, uint64_t step);

/* In a helper: until its parent ends it or closes the pipe. */
__attribute__((noreturn)) void zcp_test_wait_for_the_end(struct zcp_test_child *self);

/* Waits until it has ended with 0. */
void zcp_test_join(struct zcp_test_child *child);

/* Ends it with SIGKILL and waits. */
void zcp_test_kill(struct zcp_test_child *child);

/* SIGSTOP, and waits until it has stopped; SIGCONT. */
void zcp_test_stop(struct zcp_test_child *child);
void zcp_test_continue(struct zcp_test_child *child);

/* The same for a process that is not our child. */
void zcp_test_stop_process(pid_t pid);
void zcp_test_continue_process(pid_t pid);

/* Until the process sleeps in a futex, or in something of that name. Looks, and yields. */
void zcp_test_wait_until_asleep(pid_t pid);
void zcp_test_wait_until_asleep_in(pid_t pid, const char *where);

/* Until a process that is not our child has stopped, which SIGSTOP only asks for. */
void zcp_test_wait_until_stopped(pid_t pid);

/* How often its threads have been put on a processor, as far as they have been put off it. */
uint64_t zcp_test_n_switches(pid_t pid);

/* The pid in a file; 0 if there is none. */
pid_t zcp_test_read_pid(const char *path);

/* A pidfd, or -1 where the process is gone. */
int zcp_test_pidfd(pid_t pid);
int zcp_test_pidfd_kill(int pidfd, int number);

/* Whether the process has ended, or does so within `timeout_ms` (-1: waits for it). */
bool zcp_test_ends(int pidfd, int timeout_ms);

/* The parent of a process; 0 where that has ended. */
pid_t zcp_test_parent(pid_t pid);

/* A process whose parent we are, zombies too; 0 if there is none. */
pid_t zcp_test_any_child(void);

/* Descriptors that a process has open; our own count has one more, for the counting. */
unsigned int zcp_test_n_fds(pid_t pid);
/* Mappings of regions; what an allocator maps besides does not count. */
unsigned int zcp_test_n_mappings(pid_t pid);

/* Until a process has so many descriptors open. Looks, and yields. */
void zcp_test_wait_n_fds(pid_t pid, unsigned int n);

#endif
