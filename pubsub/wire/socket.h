/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: one message a packet, descriptors beside it.
 */
#ifndef ZCP_WIRE_SOCKET_H
#define ZCP_WIRE_SOCKET_H

#include <stddef.h>
#include <stdint.h>

#include "pubsub/wire/message.h"

/* Descriptors that came with a packet; closed by zcp_fds_deinit() unless taken out. */
struct zcp_fds {
	int fds[ZCP_PACKET_FDS_MAX];
	uint32_t n_fds;
};

void zcp_fds_deinit(struct zcp_fds *fds);

/*
 * Sends one message; descriptors are borrowed. Never blocks on a non-blocking socket.
 * Returns 0, -EAGAIN (the peer's buffer is full), -EPIPE, -ECONNRESET, -EMSGSIZE, -ENOMEM,
 * -ETOOMANYREFS.
 */
__attribute__((warn_unused_result)) int
zcp_socket_send(int socket, const struct zcp_message *message, const int *fds, uint32_t n_fds);

/* The same for a message that is packed already. */
__attribute__((warn_unused_result)) int
zcp_socket_send_packet(int socket, const char *buffer, size_t size, const int *fds, uint32_t n_fds);

/*
 * Receives one packet with its descriptors; MSG_PEEK in `flags` leaves it where it is, and the
 * descriptors are duplicates. Returns 0 with *size and *fds, -EAGAIN, -EPIPE (the peer has
 * closed), -ECONNRESET, -EMSGSIZE (a packet that was cut off), -EMFILE (its descriptors were:
 * *size is there). *fds is empty on error.
 */
__attribute__((warn_unused_result)) int zcp_socket_receive_packet(int socket, int flags,
								  char *buffer, size_t buffer_size,
								  size_t *size,
								  struct zcp_fds *fds);

/*
 * Receives one message with its descriptors. Returns 0 with *message and *fds (deinit
 * both), -EAGAIN, -EPIPE (the peer has closed), -ECONNRESET, -EMSGSIZE (a packet that was cut
 * off), -EMFILE (its descriptors were: *message is there and to be deinited), and the errors
 * of zcp_codec_unpack(). *fds is empty on error.
 */
__attribute__((warn_unused_result)) int zcp_socket_receive(int socket, struct zcp_message *message,
							   struct zcp_fds *fds);

/* The same, and the message stays where it is until zcp_socket_consume(). */
__attribute__((warn_unused_result)) int zcp_socket_peek(int socket, struct zcp_message *message,
							struct zcp_fds *fds);
void zcp_socket_consume(int socket);

#endif
