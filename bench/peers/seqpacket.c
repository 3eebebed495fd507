/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Unix socket of type SOCK_SEQPACKET from each publisher to each subscriber, made before the
 * roles are: the kernel copies in and out.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/pair.h"

/* Sockets of a link: each publisher's to each subscriber. */
#define LANES 16
#define BUFFER_SIZE (8 << 20)

struct end {
	int fds[LANES];
	uint32_t n_fds;
	/* where a subscriber looks next */
	uint32_t turn;
	void *buffer;
};

static int sockets[BENCH_LINKS][LANES][2];

static int prepare(void)
{
	int size = BUFFER_SIZE;

	for (int l = 0; l < BENCH_LINKS; l++) {
		for (int i = 0; i < LANES; i++) {
			if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets[l][i]) <
			    0)
				return -errno;
			/* Above the administrator's limit for root alone; a message must fit. */
			if (setsockopt(sockets[l][i][0], SOL_SOCKET, SO_SNDBUFFORCE, &size,
				       sizeof(size)) < 0)
				(void)setsockopt(sockets[l][i][0], SOL_SOCKET, SO_SNDBUF, &size,
						 sizeof(size));
		}
	}
	return 0;
}

static void finish(void)
{
	for (int l = 0; l < BENCH_LINKS; l++)
		for (int i = 0; i < LANES; i++)
			for (int s = 0; s < 2; s++)
				(void)close(sockets[l][i][s]);
}

static int open_end(struct bench_end *bench)
{
	const struct bench_link *link = bench->link;
	struct end *end;

	if (link->n_out * link->n_in > LANES)
		return bench_peer_fail(-EINVAL, "too many sockets");
	end = calloc(1, sizeof(*end));
	if (!end)
		return -ENOMEM;
	bench->of = end;
	end->n_fds = bench->is_out ? link->n_in : link->n_out;
	for (uint32_t i = 0; i < end->n_fds; i++)
		end->fds[i] = bench->is_out ?
				      sockets[link->place][bench->index * link->n_in + i][0] :
				      sockets[link->place][i * link->n_in + bench->index][1];
	end->buffer = malloc(link->size);
	return end->buffer ? 0 : -ENOMEM;
}

static void close_end(struct bench_end *bench)
{
	struct end *end = bench->of;

	if (end)
		free(end->buffer);
	free(end);
}

static int loan(struct bench_end *bench, size_t size, void **data)
{
	struct end *end = bench->of;

	(void)size;
	*data = end->buffer;
	return 0;
}

static int send_packet(struct bench_end *bench, void *data, size_t size)
{
	struct end *end = bench->of;
	int flags = MSG_NOSIGNAL | (bench->link->blocks ? 0 : MSG_DONTWAIT);

	for (uint32_t i = 0; i < end->n_fds; i++) {
		struct bench_wait wait = { 0 };

		while (send(end->fds[i], data, size, flags) < 0) {
			int r = errno == EAGAIN ? bench_wait(bench->pair, &wait) : -errno;

			if (r < 0)
				return r;
		}
		bench->n_copied += size;
	}
	return 0;
}

static int take(struct bench_end *bench, struct bench_message *message)
{
	struct end *end = bench->of;

	for (uint32_t i = 0; i < end->n_fds; i++) {
		int fd = end->fds[end->turn];
		ssize_t n = recv(fd, end->buffer, bench->link->size,
				 bench->link->blocks ? 0 : MSG_DONTWAIT);

		end->turn = end->turn + 1 == end->n_fds ? 0 : end->turn + 1;
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n < 0)
			return -errno;
		message->data = end->buffer;
		message->size = (size_t)n;
		bench->n_copied += (uint64_t)n;
		return 0;
	}
	return -EAGAIN;
}

static int release(struct bench_end *bench, struct bench_message *message)
{
	(void)bench;
	(void)message;
	return 0;
}

const struct bench_peer bench_seqpacket_peer = {
	.name = "seqpacket",
	.settings =
		"a socketpair() of SOCK_SEQPACKET for each pair, send buffers of 8 MiB where the "
		"kernel grants them; spins on recv(MSG_DONTWAIT) or sleeps in recv()",
	/* the largest that the default limits let through */
	.size_max = 65536,
	.prepare = prepare,
	.finish = finish,
	.open = open_end,
	.loan = loan,
	.send = send_packet,
	.take = take,
	.release = release,
	.close = close_end,
};
