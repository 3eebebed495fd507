/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system call under the heavy fence.
 */
#include "pubsub/shm/fence.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pubsub/util.h"

int zcp_fence_register(void)
{
	long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	if (commands < 0 || !(commands & MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) ||
	    !(commands & MEMBARRIER_CMD_GLOBAL_EXPEDITED))
		return -ENOTSUP;
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) < 0)
		return -ENOTSUP;
	return 0;
}

int zcp_fence_heavy(bool symmetric)
{
	zcp_fence_full();
#ifdef ZCP_FENCES_SYMMETRIC
	(void)symmetric;
#else
	/*
	 * GLOBAL is the same by waiting until every processor has been through the scheduler:
	 * milliseconds, but it needs neither memory nor a registration.
	 */
	if (!symmetric && syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) < 0 &&
	    syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
		return zcp_errno();
#endif
	return 0;
}
