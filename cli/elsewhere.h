/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runtimes of the same domain in other places: of the same user, of root or the system, and for root
 * of any user. Publishers there are not seen here, and nothing else would say so.
 */
#ifndef ZCP_CLI_ELSEWHERE_H
#define ZCP_CLI_ELSEWHERE_H

#include <zcp/node.h>

#include "cli/options.h"

/*
 * Says of each where it is, whose, and how both sides come together; and where $ZCP_CONFIG is not
 * what the runtime of `node` (NULL: there is none) goes by. Where this place was chosen by name, a
 * runtime in another place that can only have been chosen too is left for
 * cli_elsewhere_complain_chosen().
 */
void cli_elsewhere_complain(const struct cli_common *common, const struct zcp_node *node);

/* Says the same of the others, once; for a command that finds no endpoint at the other end. */
void cli_elsewhere_complain_chosen(const struct zcp_node *node);

/* All of them, and the last line whose domain it is in any case; for a command that shows it. */
void cli_elsewhere_complain_all(const struct cli_common *common, const struct zcp_node *node);

#endif
