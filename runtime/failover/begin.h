/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A runtime that has no keeper's descriptors to go on from, and what another one may have left.
 */
#ifndef ZCPD_FAILOVER_BEGIN_H
#define ZCPD_FAILOVER_BEGIN_H

#include "runtime/serve/server.h"

/*
 * Makes the server's directory, under its name in the place of the one before: that one says whether
 * nodes are to be waited for, and of which domain. Returns 0, or a negative errno with a sentence.
 */
__attribute__((warn_unused_result)) int zcpd_begin_directory(struct zcpd_server *server, char *text,
							     size_t text_size);

#endif
