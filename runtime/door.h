/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door: who may come in. A user who has as many connections as one may have is told so, and
 * hung up on, before anything is kept of him.
 */
#ifndef ZCPD_DOOR_H
#define ZCPD_DOOR_H

#include <stdbool.h>

struct zcpd_server;

/*
 * Whether the one who has connected through `socket` (borrowed) may have one more. If not he has
 * been told, and the socket is to be closed.
 */
bool zcpd_door_lets_in(const struct zcpd_server *server, int socket);

#endif
