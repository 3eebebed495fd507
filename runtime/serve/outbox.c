/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of packets.
 */
#include "runtime/serve/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "pubsub/wire/codec.h"
#include "pubsub/wire/socket.h"

/*
 * Messages that wait for a client that does not read; then it is disconnected. A node has
 * one request under way, and what grows comes to fewer events than a socket's buffer holds.
 */
#define PACKETS_MAX 16

struct zcpd_packet {
	char *buffer;
	size_t size;
	struct zcp_fds fds;
	STAILQ_ENTRY(zcpd_packet) link;
};

void zcpd_outbox_init(struct zcpd_outbox *outbox)
{
	STAILQ_INIT(&outbox->packets);
	outbox->n_packets = 0;
}

static void free_packet(struct zcpd_packet *packet)
{
	zcp_fds_deinit(&packet->fds);
	free(packet->buffer);
	free(packet);
}

static void drop_first(struct zcpd_outbox *outbox)
{
	struct zcpd_packet *packet = STAILQ_FIRST(&outbox->packets);

	STAILQ_REMOVE_HEAD(&outbox->packets, link);
	outbox->n_packets--;
	free_packet(packet);
}

void zcpd_outbox_deinit(struct zcpd_outbox *outbox)
{
	while (!STAILQ_EMPTY(&outbox->packets))
		drop_first(outbox);
}

bool zcpd_outbox_is_empty(const struct zcpd_outbox *outbox)
{
	return STAILQ_EMPTY(&outbox->packets);
}

int zcpd_outbox_add(struct zcpd_outbox *outbox, const struct zcp_message *message, const int *fds,
		    uint32_t n_fds)
{
	struct zcpd_packet *packet;

	if (outbox->n_packets >= PACKETS_MAX)
		return -ENOBUFS;
	packet = calloc(1, sizeof(*packet));
	if (!packet)
		return -ENOMEM;
	packet->buffer = malloc(ZCP_PACKET_SIZE_MAX);
	if (!packet->buffer ||
	    zcp_codec_pack(message, packet->buffer, ZCP_PACKET_SIZE_MAX, &packet->size) < 0)
		goto fail;
	for (uint32_t i = 0; i < n_fds; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);

		if (fd < 0)
			goto fail;
		packet->fds.fds[packet->fds.n_fds++] = fd;
	}
	STAILQ_INSERT_TAIL(&outbox->packets, packet, link);
	outbox->n_packets++;
	return 0;
fail:
	free_packet(packet);
	return -ENOMEM;
}

bool zcpd_outbox_flush(struct zcpd_outbox *outbox, int socket)
{
	while (!STAILQ_EMPTY(&outbox->packets)) {
		struct zcpd_packet *packet = STAILQ_FIRST(&outbox->packets);
		int r = zcp_socket_send_packet(socket, packet->buffer, packet->size,
					       packet->fds.fds, packet->fds.n_fds);

		if (r == -EAGAIN)
			return false;
		drop_first(outbox);
		if (r < 0)
			(void)shutdown(socket, SHUT_RDWR);
	}
	return true;
}
