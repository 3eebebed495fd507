/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One look at all numbers that an input can come to: poll(2) says which are open.
 */
#include "tests/fuzz/support/descriptors.h"

#include <poll.h>
#include <stdbool.h>

#include "tests/support/check.h"

#define N_NUMBERS 512

static bool open_before[N_NUMBERS];

static void look(bool *is_open)
{
	static struct pollfd numbers[N_NUMBERS];

	for (int i = 0; i < N_NUMBERS; i++)
		numbers[i] = (struct pollfd){ .fd = i };
	ZCP_CHECK(poll(numbers, N_NUMBERS, 0) >= 0);
	for (int i = 0; i < N_NUMBERS; i++)
		is_open[i] = !(numbers[i].revents & POLLNVAL);
}

void zcp_fuzz_descriptors_begin(void)
{
	look(open_before);
}

void zcp_fuzz_descriptors_check(void)
{
	bool now[N_NUMBERS];

	look(now);
	for (int i = 0; i < N_NUMBERS; i++)
		ZCP_CHECK(now[i] == open_before[i]);
}
