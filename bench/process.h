/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process and its children use, as /proc says.
 */
#ifndef ZCP_BENCH_PROCESS_H
#define ZCP_BENCH_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

struct bench_process {
	/* bytes: resident and private or of files; of the process alone: mapped */
	uint64_t resident;
	uint64_t address_space;
	/* bytes that the memfds take which it has open */
	uint64_t memfds;
	/* descriptors, of the process that has most */
	uint64_t n_fds;
	/* of all threads */
	uint64_t n_switches;
	double cpu_ns;
};

/* What cannot be read is 0. */
void bench_process_read(pid_t pid, struct bench_process *process);

#endif
