/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes of a runtime that was killed whose processes are of another pid namespace: until they come
 * back they are known by the slots of a topic alone. They have no pid here, and so no pidfd that
 * would tell of their end; what tells is the lock of their signal (pubsub/shm/life.h).
 */
#ifndef ZCPD_SERVE_STRANGERS_H
#define ZCPD_SERVE_STRANGERS_H

#include "runtime/serve/server.h"

/* Looks at all of them, and cleans up after those whose processes have ended. */
void zcpd_strangers_end(struct zcpd_server *server);

/* In each turn of the loop: has that done again and again as long as there are some. */
void zcpd_strangers_watch(struct zcpd_server *server);

#endif
