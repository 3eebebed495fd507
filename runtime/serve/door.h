/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door: who may come in. A user who has as many connections as one may have is told so, and
 * hung up on, before anything is kept of him. So is a node for which the runtime has no descriptors;
 * the last of them are for the nodes that are there.
 */
#ifndef ZCPD_SERVE_DOOR_H
#define ZCPD_SERVE_DOOR_H

#include <stdbool.h>

struct zcpd_server;

/*
 * Whether the one who has connected through `socket` (borrowed) may have one more. If not he has
 * been told, and the socket is to be closed.
 */
bool zcpd_door_lets_in(struct zcpd_server *server, int socket);

/* Out of descriptors (-EMFILE, -ENFILE): those that have connected are told so, and hung up on. */
void zcpd_door_turn_away(struct zcpd_server *server, int error);

/* Makes the descriptor for that, where there is none. */
void zcpd_door_spare(struct zcpd_server *server);

#endif
