/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zcpd --replace: asking the runtime that a domain has for all it has.
 */
#ifndef ZCPD_FAILOVER_REPLACE_H
#define ZCPD_FAILOVER_REPLACE_H

#include <stddef.h>

/* Expected outcome: the domain has no runtime. */
enum {
	ZCPD_REPLACE_E_NONE = 1,
};

/*
 * Asks the runtime of a domain (`directory` as for zcp_paths_init()) to hand over. Returns 0 with
 * *socket, through which all records come, ZCPD_REPLACE_E_NONE, or a negative errno with a
 * sentence in `text`. Blocks until it has answered, for some seconds at the most.
 */
__attribute__((warn_unused_result)) int zcpd_replace_ask(const char *directory, const char *domain,
							 int *socket, char *text, size_t text_size);

#endif
