/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to and from msgpack. The one file that knows msgpack-c.
 */
#ifndef ZCP_WIRE_CODEC_H
#define ZCP_WIRE_CODEC_H

#include <stddef.h>

#include "pubsub/wire/message.h"

/*
 * Packs a message into `buffer`. Returns 0 with *size (bytes), -EMSGSIZE where it does not
 * fit ZCP_PACKET_SIZE_MAX, -ENOMEM. The version is always this build's.
 */
__attribute__((warn_unused_result)) int
zcp_codec_pack(const struct zcp_message *message, char *buffer, size_t buffer_size, size_t *size);

/*
 * Unpacks a packet that a peer sent. Returns 0 and *message (deinit it), or
 *   -EPROTO            not a map, a value of another kind or out of range, a string that
 *                      is too long or holds a zero, a list that is too long, bytes behind
 *   -EPROTONOSUPPORT   a message of another protocol version; *message has its version
 *   -EOPNOTSUPP        a message with a name that is not known; *message has its id
 *   -ENOMEM
 */
__attribute__((warn_unused_result)) int zcp_codec_unpack(struct zcp_message *message,
							 const char *buffer, size_t size);

#endif
