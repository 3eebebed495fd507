/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling a service manager how we are: sd_notify(3)'s protocol, a datagram to
 * $NOTIFY_SOCKET.
 */
#ifndef ZCPD_SYSTEM_NOTIFY_H
#define ZCPD_SYSTEM_NOTIFY_H

/* Sends for example "READY=1"; nothing where no service manager asked for it. */
void zcpd_notify(const char *state);

/* A socket to it, for more; -1 where none asked, or (which is logged) it cannot be reached. */
int zcpd_notify_connect(void);

#endif
