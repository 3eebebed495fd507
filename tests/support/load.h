/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic that must not notice what becomes of the runtime: a publisher at full speed, whose
 * subscriber blocks it and counts, and somebody who opens and closes all the time.
 */
#ifndef ZCP_TESTS_SUPPORT_LOAD_H
#define ZCP_TESTS_SUPPORT_LOAD_H

#include <stdint.h>

#include "tests/support/process.h"

struct zcp_test_load {
	struct zcp_test_child children[3];
	uint64_t end_ns;
};

/* Topics "load" and "other"; nodes that start no runtime, and wait for the one that there is. */
void zcp_test_load_begin(struct zcp_test_load *load);

/* Whether it has lasted ZCP_RESTART_SECONDS, 3 unless the environment says more; lets 0.5 s pass. */
bool zcp_test_load_goes_on(const struct zcp_test_load *load);

/* Every message has come, in order, and every open has succeeded. Prints what that was. */
void zcp_test_load_end(struct zcp_test_load *load, const char *victims, uint64_t n_victims);

#endif
