/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few things that every part of zcp needs: cleanup attributes, errno, time.
 */
#ifndef ZCP_UTIL_H
#define ZCP_UTIL_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define ZCP_CLEANUP(function) __attribute__((cleanup(function)))
/* For the rare call whose failure changes nothing; the place says why. */
#define ZCP_IGNORE(call)                                                                           \
	do {                                                                                       \
		if (call) {                                                                        \
		}                                                                                  \
	} while (0)

/* For a local that owns a descriptor; -1: nothing. */
static inline void zcp_close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/*
 * A new descriptor (consumed) out of the way of standard input, output and error: in a program that
 * has closed one of these it would be the next to be given out, and what is printed would land in
 * it. Returns the descriptor, or -1 with errno, as what has made it.
 */
static inline int zcp_raise_fd(int fd)
{
	int raised, error;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	raised = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	error = errno;
	(void)close(fd);
	errno = error;
	return raised;
}

/* For a local that owns memory. */
static inline void zcp_free_memory(void *pointer)
{
	free(*(void **)pointer);
}

/* Hands a descriptor over: the local owns nothing any more. */
static inline int zcp_steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

/* After a call that failed: -errno, and negative for certain. */
static inline int zcp_errno(void)
{
	return errno > 0 ? -errno : -EIO;
}

/* CLOCK_MONOTONIC, which cannot fail. */
static inline uint64_t zcp_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

#endif
