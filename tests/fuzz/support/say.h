/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients say, and whether they have been answered.
 */
#ifndef ZCP_FUZZ_SAY_H
#define ZCP_FUZZ_SAY_H

#include "tests/fuzz/support/clients.h"
#include "tests/fuzz/support/input.h"

/* Says it with the descriptors of `fds`, which are consumed. Returns its number, or 0: not sent. */
uint64_t zcp_fuzz_say_with(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client,
			   struct zcp_message *message, struct zcp_fds *fds);

/* The same with those that have been collected. */
void zcp_fuzz_say(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client,
		  struct zcp_message *message);

/* What stands there to the end of the line: support/packet.h */
void zcp_fuzz_say_text(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client,
		       struct zcp_fuzz_input *input);

/* Who closes what it has not got yet does not wait for that any more. */
void zcp_fuzz_wait_no_more(struct zcp_fuzz_runtime *runtime, const struct zcp_fuzz_client *client);

#endif
