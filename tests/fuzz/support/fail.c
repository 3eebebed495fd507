/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A check that fails is a crash to the fuzzer, which then keeps the input.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/check.h"

void zcp_test_fail(const char *file, int line, const char *condition)
{
	(void)fprintf(stderr, "%s:%d: failed: %s\n", file, line, condition);
	abort();
}
