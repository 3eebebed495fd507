/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets over a SOCK_SEQPACKET socket with SCM_RIGHTS.
 */
#include "pubsub/wire/socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "pubsub/util.h"
#include "pubsub/wire/codec.h"

void zcp_fds_deinit(struct zcp_fds *fds)
{
	for (uint32_t i = 0; i < fds->n_fds; i++)
		zcp_close_fd(&fds->fds[i]);
	fds->n_fds = 0;
}

union control {
	char buffer[CMSG_SPACE(sizeof(int) * ZCP_PACKET_FDS_MAX)];
	struct cmsghdr align;
};

int zcp_socket_send_packet(int socket, const char *buffer, size_t size, const int *fds,
			   uint32_t n_fds)
{
	struct iovec iov = { .iov_base = (char *)buffer, .iov_len = size };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control;
	ssize_t n;

	if (n_fds > ZCP_PACKET_FDS_MAX)
		return -EMSGSIZE;
	if (n_fds > 0) {
		struct cmsghdr *rights;

		memset(&control, 0, sizeof(control));
		header.msg_control = control.buffer;
		header.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(rights), fds, sizeof(int) * n_fds);
	}
	do {
		n = sendmsg(socket, &header, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ENOBUFS ? -EAGAIN : zcp_errno();
	return 0;
}

int zcp_socket_send(int socket, const struct zcp_message *message, const int *fds, uint32_t n_fds)
{
	ZCP_CLEANUP(zcp_free_memory) char *buffer = malloc(ZCP_PACKET_SIZE_MAX);
	size_t size;
	int r;

	if (!buffer)
		return -ENOMEM;
	r = zcp_codec_pack(message, buffer, ZCP_PACKET_SIZE_MAX, &size);
	if (r < 0)
		return r;
	return zcp_socket_send_packet(socket, buffer, size, fds, n_fds);
}

/*
 * Everything the kernel has put into our table, also where we then refuse the packet. False where
 * one is missing that the process had no room for.
 */
static bool collect(struct msghdr *header, struct zcp_fds *fds)
{
	bool complete = true;
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			fd = zcp_raise_fd(fd);
			complete = complete && fd >= 0;
			if (fds->n_fds < ZCP_PACKET_FDS_MAX)
				fds->fds[fds->n_fds++] = fd;
			else
				zcp_close_fd(&fd);
		}
	}
	return complete;
}

int zcp_socket_receive_packet(int socket, int flags, char *buffer, size_t buffer_size, size_t *size,
			      struct zcp_fds *fds)
{
	ZCP_CLEANUP(zcp_fds_deinit) struct zcp_fds received = { .n_fds = 0 };
	struct iovec iov = { .iov_base = buffer, .iov_len = buffer_size };
	union control control;
	struct msghdr header = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buffer,
		.msg_controllen = sizeof(control.buffer),
	};
	bool complete;
	ssize_t n;

	fds->n_fds = 0;
	do {
		n = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | flags);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return zcp_errno();
	complete = collect(&header, &received);
	if (header.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	if (n == 0)
		return -EPIPE;
	*size = (size_t)n;
	if ((header.msg_flags & MSG_CTRUNC) || !complete)
		return -EMFILE;
	*fds = received;
	received.n_fds = 0;
	return 0;
}

static int receive(int socket, int flags, struct zcp_message *message, struct zcp_fds *fds)
{
	ZCP_CLEANUP(zcp_free_memory) char *buffer = malloc(ZCP_PACKET_SIZE_MAX);
	size_t size;
	int r, unpacked;

	fds->n_fds = 0;
	if (!buffer)
		return -ENOMEM;
	r = zcp_socket_receive_packet(socket, flags, buffer, ZCP_PACKET_SIZE_MAX, &size, fds);
	if (r < 0 && r != -EMFILE)
		return r;
	unpacked = zcp_codec_unpack(message, buffer, size);
	if (unpacked < 0) {
		zcp_fds_deinit(fds);
		return unpacked;
	}
	return r;
}

int zcp_socket_receive(int socket, struct zcp_message *message, struct zcp_fds *fds)
{
	return receive(socket, 0, message, fds);
}

int zcp_socket_peek(int socket, struct zcp_message *message, struct zcp_fds *fds)
{
	return receive(socket, MSG_PEEK, message, fds);
}

void zcp_socket_consume(int socket)
{
	char byte;

	/* The rest of the packet, and its descriptors, are dropped by the kernel. */
	ZCP_IGNORE(recv(socket, &byte, 1, MSG_DONTWAIT) < 0);
}
