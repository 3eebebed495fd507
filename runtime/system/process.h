/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that are known by their number only: a pid may be given again, a pid and the moment
 * at which its process began are not. And those of another pid namespace, which have no number here:
 * their pid is 0. And our own: how many descriptors it may have.
 */
#ifndef ZCPD_SYSTEM_PROCESS_H
#define ZCPD_SYSTEM_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * When a process began, in clock ticks after the machine did (field 22 of /proc/<pid>/stat, see
 * proc(5)); 0 where that cannot be read, and for pid 0.
 */
uint64_t zcpd_process_start(uint32_t pid);

/*
 * A descriptor of the process that began at `start` (0: whichever has the pid), and its user.
 * Returns the descriptor, the caller's; -ESRCH where that process is gone; what pidfd_open(2)
 * gives.
 */
__attribute__((warn_unused_result)) int zcpd_process_open(uint32_t pid, uint64_t start,
							  uint32_t *uid);

/*
 * A descriptor of the process that has connected to `socket` (borrowed) with this pid, as
 * SO_PEERCRED says it. Returns the descriptor, the caller's; -ESRCH where it has ended; -ENOPROTOOPT
 * where the kernel (before Linux 6.5) tells of processes by their pid alone, and that is 0.
 */
__attribute__((warn_unused_result)) int zcpd_process_of_peer(int socket, uint32_t pid);

/* In the place of the descriptor of a process that nothing is known of: it is never readable. */
__attribute__((warn_unused_result)) int zcpd_process_unknown(void);

/* The pid here of the process that `pidfd` (borrowed) is of; 0 where it has none. */
uint32_t zcpd_process_pid(int pidfd);

/* As the log has it: the number, or "-". */
#define ZCPD_PROCESS_TEXT_SIZE 12
const char *zcpd_process_text(uint32_t pid, char text[ZCPD_PROCESS_TEXT_SIZE]);

/* How many descriptors we may have (RLIMIT_NOFILE), and whether fewer than `n` of them are left. */
uint64_t zcpd_process_max_fds(void);
bool zcpd_process_lacks_fds(uint32_t n);

/*
 * Whether a process maps the file that `fd` (borrowed) has open, as its /proc/<pid>/maps says. Also
 * true where that cannot be read, or does not say: only false is certain.
 */
bool zcpd_process_may_map(uint32_t pid, int fd);

#endif
