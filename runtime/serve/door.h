/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door: which nodes may connect. A node whose user has as many connections as one user may
 * have is told so, and its connection is closed before the runtime keeps anything of it. The same
 * goes for a node for which the runtime has no descriptors: it saves the last of those for the
 * nodes that are connected.
 */
#ifndef ZCPD_SERVE_DOOR_H
#define ZCPD_SERVE_DOOR_H

#include <stdbool.h>

struct zcpd_server;

/*
 * Whether the user of the node that has connected through `socket` (borrowed) may have one more
 * connection. If not, the node has been told so, and the caller is to close the socket.
 */
bool zcpd_door_lets_in(struct zcpd_server *server, int socket);

/* Out of descriptors (-EMFILE, -ENFILE): tells nodes that connect, and closes their sockets. */
void zcpd_door_turn_away(struct zcpd_server *server, int error);

/* Makes the descriptor for that, where there is none. */
void zcpd_door_spare(struct zcpd_server *server);

#endif
