/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients say, of topics, types and sizes as they should be and as they should not.
 */
#ifndef ZCP_FUZZ_REQUESTS_H
#define ZCP_FUZZ_REQUESTS_H

#include "tests/fuzz/support/clients.h"
#include "tests/fuzz/support/input.h"

/*
 *   h CLIENT WRONG                says hello; with another layout where WRONG is not 0
 *   p CLIENT TOPIC TYPE PAYLOAD LOANS HISTORY SHAPE             opens a publisher
 *   s CLIENT TOPIC TYPE DEPTH HELD ON_FULL HISTORY ORDER SHAPE  opens a subscriber
 *   x CLIENT ENDPOINT    y CLIENT REQUEST   closes one of its endpoints; what a request opened
 *   g CLIENT ENDPOINT             wants the pool's classes
 *   f CLIENT    w CLIENT SIGNAL   gives its eventfd; wants somebody's
 *   F CLIENT ENDPOINT             a chunk of its pool became FREE
 *   l CLIENT TOPIC   i CLIENT TOPIC   e CLIENT TOPIC FROM   a CLIENT    asks
 *   m CLIENT TYPE                 says a message of that type, without fields
 */
#define ZCP_FUZZ_REQUESTS "hpsxygfFwlieam"
void zcp_fuzz_request(struct zcp_message *message, char command,
		      const struct zcp_fuzz_client *client, struct zcp_fuzz_input *input);

#endif
