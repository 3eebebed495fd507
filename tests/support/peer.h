/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket without libzcp: clients that say what a node never would, and
 * runtimes that answer what zcpd never would.
 */
#ifndef ZCP_TESTS_SUPPORT_PEER_H
#define ZCP_TESTS_SUPPORT_PEER_H

#include <stdbool.h>
#include <stddef.h>

#include "pubsub/wire/message.h"
#include "pubsub/wire/socket.h"

/* A connection to the runtime of the case's domain "default"; blocking. */
int zcp_test_connect(void);

/* Listens in the place of that runtime; its directory is made. */
int zcp_test_listen(void);

/* A hello as a node of this build sends it. */
struct zcp_message zcp_test_hello(void);

/* A connection that has introduced itself so, and is welcome. */
int zcp_test_greet(void);

/* Sends, and receives the answer, whose descriptors are closed; zcp_message_deinit() it. */
void zcp_test_request(int socket, const struct zcp_message *request, struct zcp_message *reply);

/* The same for an answer that is an error: its code, negative, and its sentence's words. */
int zcp_test_request_error(int socket, const struct zcp_message *request, const char *words);

/* Sends bytes as one packet; false where the other side has closed. */
bool zcp_test_send_bytes(int socket, const void *bytes, size_t size);

/* Reads whatever is still there until the other side closes, which it must. */
void zcp_test_expect_disconnect(int socket);

#endif
