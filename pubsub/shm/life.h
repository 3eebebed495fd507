/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tells a runtime of a node's process where pids do not.
 *
 * A pid means something in one pid namespace (pid_namespaces(7)). A process of another one has the
 * pid 0, and is known by a pidfd as long as there is a runtime that has it. When all of that was
 * killed, the next one has only the regions. So each node holds a lock on the byte of the signal
 * region whose offset is its signal's number, through an open file description of its own
 * (F_OFD_SETLK in fcntl(2)). The kernel drops the lock when the last descriptor of that description
 * is closed: when the process ends, or replaces its program, and the children that it has forked.
 */
#ifndef ZCP_SHM_LIFE_H
#define ZCP_SHM_LIFE_H

#include <stdbool.h>
#include <stdint.h>

/* The number of our pid namespace; 0 where /proc is not there to say it. */
uint64_t zcp_life_pid_namespace(void);

/* Whether pids of that namespace are pids of ours; also where one of the two is not known. */
bool zcp_life_is_pid_namespace(uint64_t number);

/*
 * Opens the region anew, closes *fd, and leaves the new descriptor there, with the lock for
 * `signal`. Returns 0, or a negative errno: then *fd is as it was, and there is no lock.
 */
__attribute__((warn_unused_result)) int zcp_life_hold(int *fd, uint32_t signal);

/* Whether no other process holds the lock. False where the kernel does not say. */
bool zcp_life_is_unheld(int fd, uint32_t signal);

#endif
