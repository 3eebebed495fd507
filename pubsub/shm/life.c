/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks on bytes that need not be there, and the namespace of pids.
 */
#include "pubsub/shm/life.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pubsub/util.h"

uint64_t zcp_life_pid_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}

bool zcp_life_is_pid_namespace(uint64_t number)
{
	uint64_t ours = zcp_life_pid_namespace();

	return number == ours || number == 0 || ours == 0;
}

static struct flock lock_of(uint32_t signal)
{
	return (struct flock){
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)signal,
		.l_len = 1,
	};
}

int zcp_life_hold(int *fd, uint32_t signal)
{
	struct flock lock = lock_of(signal);
	ZCP_CLEANUP(zcp_close_fd) int own = -1;
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", *fd);
	own = zcp_raise_fd(open(path, O_RDWR | O_CLOEXEC));
	if (own < 0 || fcntl(own, F_OFD_SETLK, &lock) < 0)
		return zcp_errno();
	zcp_close_fd(fd);
	*fd = zcp_steal_fd(&own);
	return 0;
}

bool zcp_life_is_unheld(int fd, uint32_t signal)
{
	struct flock lock = lock_of(signal);

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
}
