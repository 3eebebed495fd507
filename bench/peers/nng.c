/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nng over ipc: a pair of sockets from each publisher to each subscriber, since its publish
 * socket drops what a subscriber has no room for.
 */
#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/pair.h"

#define LANES 16
/* More than any message; and the deepest queue that nng takes. */
#define RECEIVE_MAX ((size_t)64 << 20)
#define DEPTH_MAX 8192
#define DIAL_MS 5000

struct end {
	nng_socket sockets[LANES];
	uint32_t n_sockets;
	uint32_t turn;
	nng_msg *out;
};

static int complain(const char *what, int r)
{
	return bench_peer_fail(-EIO, "%s: %s", what, nng_strerror(r));
}

static void address(char *text, size_t size, const struct bench_link *link, uint32_t publisher,
		    uint32_t subscriber)
{
	(void)snprintf(text, size, "ipc://%s/nng-%s-%u-%u", bench_directory(), link->name,
		       publisher, subscriber);
}

static int open_socket(const struct bench_end *bench, struct end *end, uint32_t i)
{
	int depth = bench->link->depth < DEPTH_MAX ? (int)bench->link->depth : DEPTH_MAX;
	char text[256];
	int r = nng_pair0_open(&end->sockets[i]);

	if (r != 0)
		return complain("nng_pair0_open()", r);
	end->n_sockets++;
	(void)nng_socket_set_int(end->sockets[i], NNG_OPT_SENDBUF, depth);
	(void)nng_socket_set_int(end->sockets[i], NNG_OPT_RECVBUF, depth);
	(void)nng_socket_set_size(end->sockets[i], NNG_OPT_RECVMAXSZ, RECEIVE_MAX);
	if (!bench->is_out)
		return 0;
	address(text, sizeof(text), bench->link, bench->index, i);
	r = nng_listen(end->sockets[i], text, NULL, 0);
	return r == 0 ? 0 : complain(text, r);
}

static int open_end(struct bench_end *bench)
{
	const struct bench_link *link = bench->link;
	struct end *end = calloc(1, sizeof(*end));
	int r = 0;

	if (!end)
		return -ENOMEM;
	bench->of = end;
	if (link->n_out > LANES || link->n_in > LANES)
		return bench_peer_fail(-EINVAL, "too many sockets");
	for (uint32_t i = 0; i < (bench->is_out ? link->n_in : link->n_out) && r == 0; i++)
		r = open_socket(bench, end, i);
	return r;
}

static int get_ready(struct bench_end *bench)
{
	struct end *end = bench->of;

	for (uint32_t i = 0; !bench->is_out && i < end->n_sockets; i++) {
		char text[256];
		int r;

		address(text, sizeof(text), bench->link, i, bench->index);
		r = nng_dial(end->sockets[i], text, NULL, 0);
		if (r != 0)
			return complain(text, r);
	}
	return 0;
}

static void close_end(struct bench_end *bench)
{
	struct end *end = bench->of;

	for (uint32_t i = 0; end && i < end->n_sockets; i++)
		(void)nng_close(end->sockets[i]);
	free(end);
}

static int loan(struct bench_end *bench, size_t size, void **data)
{
	struct end *end = bench->of;
	int r = nng_msg_alloc(&end->out, size);

	if (r != 0)
		return complain("nng_msg_alloc()", r);
	*data = nng_msg_body(end->out);
	return 0;
}

static int send_to(const struct bench_end *bench, nng_socket socket, nng_msg *message)
{
	struct bench_wait wait = { 0 };
	int sent;

	while ((sent = nng_sendmsg(socket, message, bench->link->blocks ? 0 : NNG_FLAG_NONBLOCK)) ==
	       NNG_EAGAIN) {
		int r = bench_wait(bench->pair, &wait);

		if (r < 0)
			return r;
	}
	return sent == 0 ? 0 : complain("nng_sendmsg()", sent);
}

/* The message goes with the last one. */
static int send_message(struct bench_end *bench, void *data, size_t size)
{
	struct end *end = bench->of;
	int r = 0;

	(void)data;
	for (uint32_t i = 0; i < end->n_sockets && r == 0; i++) {
		nng_msg *message = end->out;

		if (i + 1 < end->n_sockets) {
			r = nng_msg_dup(&message, end->out);
			if (r != 0)
				return complain("nng_msg_dup()", r);
			bench->n_copied += size;
		}
		r = send_to(bench, end->sockets[i], message);
		/* into the kernel, and out of it */
		bench->n_copied += 2 * size;
	}
	return r;
}

static int take(struct bench_end *bench, struct bench_message *message)
{
	struct end *end = bench->of;

	for (uint32_t i = 0; i < end->n_sockets; i++) {
		nng_msg *in;
		int r = nng_recvmsg(end->sockets[end->turn], &in,
				    bench->link->blocks ? 0 : NNG_FLAG_NONBLOCK);

		end->turn = end->turn + 1 == end->n_sockets ? 0 : end->turn + 1;
		if (r == NNG_EAGAIN)
			continue;
		if (r != 0)
			return complain("nng_recvmsg()", r);
		message->data = nng_msg_body(in);
		message->size = nng_msg_len(in);
		message->of = in;
		return 0;
	}
	return -EAGAIN;
}

static int release(struct bench_end *bench, struct bench_message *message)
{
	(void)bench;
	nng_msg_free(message->of);
	return 0;
}

const struct bench_peer bench_nng_peer = {
	.name = "nng",
	.settings =
		"ipc; a pair0 of sockets for each pair; messages written in place; threads on any "
		"processor; spins on NNG_FLAG_NONBLOCK, or sleeps in nng_recvmsg()",
	.open = open_end,
	.ready = get_ready,
	.loan = loan,
	.send = send_message,
	.take = take,
	.release = release,
	.close = close_end,
};
