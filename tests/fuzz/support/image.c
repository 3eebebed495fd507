/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From regions to images and back.
 */
#include "tests/fuzz/support/image.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pubsub/shm/region.h"
#include "pubsub/util.h"
#include "tests/support/check.h"

void zcp_fuzz_image_read(struct zcp_fuzz_image *image, int fd)
{
	struct stat st;

	ZCP_CHECK(fstat(fd, &st) == 0);
	memset(image->bytes, 0, sizeof(image->bytes));
	ZCP_CHECK(pread(fd, image->bytes, sizeof(image->bytes), 0) >= 0);
	image->size = (uint64_t)st.st_size;
	image->seals = fcntl(fd, F_GET_SEALS);
	image->descriptor = ZCP_FUZZ_MEMFD;
	zcp_close_fd(&fd);
}

void zcp_fuzz_image_edit(struct zcp_fuzz_image *image, uint64_t at, uint32_t width, uint64_t value)
{
	if (at <= sizeof(image->bytes) - width)
		memcpy(image->bytes + at, &value, width);
}

static int open_memfd(const struct zcp_fuzz_image *image)
{
	unsigned int huge = image->descriptor == ZCP_FUZZ_MEMFD_HUGE ? MFD_HUGETLB : 0;
	ZCP_CLEANUP(zcp_close_fd)
	int fd = memfd_create("zcp-fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING | huge);
	size_t n = image->size < sizeof(image->bytes) ? image->size : sizeof(image->bytes);

	if (fd < 0 || ftruncate(fd, (off_t)image->size) < 0)
		return -1;
	/* Files of huge pages cannot be written to. */
	if (!huge)
		ZCP_CHECK(pwrite(fd, image->bytes, n, 0) == (ssize_t)n);
	if (fcntl(fd, F_ADD_SEALS, image->seals) < 0)
		return -1;
	if (image->descriptor == ZCP_FUZZ_MEMFD_READONLY)
		return zcp_region_open_readonly(fd);
	return zcp_steal_fd(&fd);
}

/* One of two; the other one is closed. */
static int open_pair(enum zcp_fuzz_descriptor descriptor)
{
	int fds[2];

	if (descriptor == ZCP_FUZZ_PIPE)
		ZCP_CHECK(pipe2(fds, O_CLOEXEC) == 0);
	else
		ZCP_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	zcp_close_fd(&fds[1]);
	return fds[0];
}

int zcp_fuzz_image_open(const struct zcp_fuzz_image *image)
{
	switch (image->descriptor) {
	case ZCP_FUZZ_DEV_ZERO:
		return open("/dev/zero", O_RDWR | O_CLOEXEC);
	case ZCP_FUZZ_DIRECTORY:
		return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case ZCP_FUZZ_PIPE:
	case ZCP_FUZZ_SOCKET:
		return open_pair(image->descriptor);
	case ZCP_FUZZ_EVENTFD:
		return eventfd(0, EFD_CLOEXEC);
	case ZCP_FUZZ_WAKER:
		return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	case ZCP_FUZZ_NONE:
		return -1;
	default:
		return open_memfd(image);
	}
}
