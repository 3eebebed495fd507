/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a whole runtime, and nodes that come back to the next one, as they should and as they
 * should not.
 */
#ifndef ZCP_FUZZ_COMEBACK_H
#define ZCP_FUZZ_COMEBACK_H

#include "tests/fuzz/support/clients.h"
#include "tests/fuzz/support/input.h"

/*
 *   K                      all of the runtime is killed, and another one comes, which waits
 *   E                      it has waited long enough
 *   B CLIENT               comes back, hands back all that it has, and says that this was all
 *   n CLIENT WRONG         connects again and says who it was; WRONG, bits: it does not connect,
 *                          another domain, node, signal, kind of fence, no descriptor, odd ones
 *   o CLIENT ENDPOINT WAY OTHER       hands one back: support/belongings.h
 *   N CLIENT               says that this was all
 *   A CLIENT ENDPOINT      closes one while there is no runtime
 *   W CLIENT ENDPOINT PLACE WORD VALUE   lies in what it has
 */
#define ZCP_FUZZ_COMEBACKS "KEBnoNAW"
void zcp_fuzz_come_back(struct zcp_fuzz_runtime *runtime, char command,
			struct zcp_fuzz_input *input);

#endif
