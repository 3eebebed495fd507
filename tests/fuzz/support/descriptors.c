/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One look at all numbers that an input can come to: poll(2) says which are open.
 */
#include "tests/fuzz/support/descriptors.h"

#include <poll.h>
#include <unistd.h>

#include "tests/support/check.h"

static struct zcp_fuzz_descriptors open_before;

static void look(struct zcp_fuzz_descriptors *open_now)
{
	static struct pollfd numbers[ZCP_FUZZ_DESCRIPTORS_MAX];

	for (int i = 0; i < ZCP_FUZZ_DESCRIPTORS_MAX; i++)
		numbers[i] = (struct pollfd){ .fd = i };
	ZCP_CHECK(poll(numbers, ZCP_FUZZ_DESCRIPTORS_MAX, 0) >= 0);
	for (int i = 0; i < ZCP_FUZZ_DESCRIPTORS_MAX; i++)
		open_now->has[i] = !(numbers[i].revents & POLLNVAL);
}

void zcp_fuzz_descriptors_mark(struct zcp_fuzz_descriptors *descriptors, int fd)
{
	ZCP_CHECK(fd < ZCP_FUZZ_DESCRIPTORS_MAX);
	if (fd >= 0)
		descriptors->has[fd] = true;
}

void zcp_fuzz_descriptors_begin(void)
{
	look(&open_before);
}

void zcp_fuzz_descriptors_close(const struct zcp_fuzz_descriptors *spared)
{
	struct zcp_fuzz_descriptors now;

	look(&now);
	for (int i = 0; i < ZCP_FUZZ_DESCRIPTORS_MAX; i++)
		if (now.has[i] && !open_before.has[i] && !spared->has[i])
			ZCP_CHECK(close(i) == 0);
}

void zcp_fuzz_descriptors_check(void)
{
	struct zcp_fuzz_descriptors now;

	look(&now);
	for (int i = 0; i < ZCP_FUZZ_DESCRIPTORS_MAX; i++)
		ZCP_CHECK(now.has[i] == open_before.has[i]);
}
