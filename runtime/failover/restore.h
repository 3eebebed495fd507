/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker before us has left: from records back to objects. Then whatever was under way is
 * done again, from its beginning.
 */
#ifndef ZCPD_FAILOVER_RESTORE_H
#define ZCPD_FAILOVER_RESTORE_H

#include "runtime/serve/server.h"

/*
 * Reads all records that the keeper has. The server's lock, listener and registry are there
 * after it if they were kept (-1, and a registry without signals, if not). Returns 0 or a
 * negative errno with a sentence in `text`.
 */
__attribute__((warn_unused_result)) int zcpd_restore(struct zcpd_server *server,
						     const struct zcpd_registry_events *events,
						     char *text, size_t text_size);

/*
 * A topic goes on whose endpoints are all there again: what was under way is done, and those
 * without a session are closed; where nothing keeps it then, it ends.
 */
void zcpd_restore_topic(struct zcpd_registry *registry, struct zcpd_topic *topic);

#endif
