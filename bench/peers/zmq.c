/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ZeroMQ over ipc: a pair of sockets between two ends, and publish and subscribe between more.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "bench/pair.h"

#define READY_MS 5000

struct end {
	void *socket;
	void *buffer;
	zmq_msg_t message;
};

static void *context;

static int complain(const char *what)
{
	return bench_peer_fail(-EIO, "%s: %s", what, zmq_strerror(zmq_errno()));
}

static int begin(enum bench_side side)
{
	(void)side;
	context = zmq_ctx_new();
	return context ? 0 : complain("zmq_ctx_new()");
}

static bool is_pair(const struct bench_link *link)
{
	return link->n_out == 1 && link->n_in == 1;
}

static int set(void *socket, int option, int value)
{
	return zmq_setsockopt(socket, option, &value, sizeof(value));
}

static void address(char *text, size_t size, const struct bench_link *link, uint32_t publisher)
{
	(void)snprintf(text, size, "ipc://%s/zmq-%s-%u", bench_directory(), link->name, publisher);
}

static int open_end(struct bench_end *bench)
{
	const struct bench_link *link = bench->link;
	struct end *end = calloc(1, sizeof(*end));
	char text[256];
	int type = is_pair(link) ? ZMQ_PAIR : bench->is_out ? ZMQ_XPUB : ZMQ_SUB, r = 0;

	if (!end)
		return -ENOMEM;
	bench->of = end;
	end->buffer = malloc(link->size);
	end->socket = zmq_socket(context, type);
	if (!end->buffer || !end->socket)
		return complain("zmq_socket()");
	(void)set(end->socket, ZMQ_SNDHWM, (int)link->depth);
	(void)set(end->socket, ZMQ_RCVHWM, (int)link->depth);
	(void)set(end->socket, ZMQ_LINGER, 0);
	if (type == ZMQ_XPUB)
		(void)set(end->socket, ZMQ_XPUB_NODROP, 1);
	if (type == ZMQ_SUB)
		(void)zmq_setsockopt(end->socket, ZMQ_SUBSCRIBE, "", 0);
	address(text, sizeof(text), link, bench->index);
	if (bench->is_out)
		return zmq_bind(end->socket, text) < 0 ? complain(text) : 0;
	for (uint32_t p = 0; p < link->n_out && r == 0; p++) {
		address(text, sizeof(text), link, p);
		r = zmq_connect(end->socket, text) < 0 ? complain(text) : 0;
	}
	return r;
}

/* Each subscription comes as a message. */
static int get_ready(struct bench_end *bench)
{
	struct end *end = bench->of;

	if (!bench->is_out || is_pair(bench->link))
		return 0;
	(void)set(end->socket, ZMQ_RCVTIMEO, READY_MS);
	(void)set(end->socket, ZMQ_XPUB_VERBOSE, 1);
	for (uint32_t i = 0; i < bench->link->n_in; i++)
		if (zmq_recv(end->socket, end->buffer, bench->link->size, 0) < 0)
			return complain("a subscription");
	return 0;
}

static void close_end(struct bench_end *bench)
{
	struct end *end = bench->of;

	if (end && end->socket)
		(void)zmq_close(end->socket);
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

static int send_message(struct bench_end *bench, void *data, size_t size)
{
	struct end *end = bench->of;
	struct bench_wait wait = { 0 };

	while (zmq_send(end->socket, data, size, bench->link->blocks ? 0 : ZMQ_DONTWAIT) < 0) {
		int r = zmq_errno() == EAGAIN ? bench_wait(bench->pair, &wait) :
						complain("zmq_send()");

		if (r < 0)
			return r;
	}
	/* into its own message, to the kernel, and out of it */
	bench->n_copied += 2 * size;
	return 0;
}

static int take(struct bench_end *bench, struct bench_message *message)
{
	struct end *end = bench->of;

	(void)zmq_msg_init(&end->message);
	if (zmq_msg_recv(&end->message, end->socket, bench->link->blocks ? 0 : ZMQ_DONTWAIT) < 0)
		return zmq_errno() == EAGAIN ? -EAGAIN : complain("zmq_msg_recv()");
	message->data = zmq_msg_data(&end->message);
	message->size = zmq_msg_size(&end->message);
	bench->n_copied += message->size;
	return 0;
}

static int release(struct bench_end *bench, struct bench_message *message)
{
	struct end *end = bench->of;

	(void)message;
	return zmq_msg_close(&end->message) < 0 ? complain("zmq_msg_close()") : 0;
}

const struct bench_peer bench_zmq_peer = {
	.name = "zmq",
	.settings =
		"ipc; ZMQ_PAIR between two ends, XPUB that does not drop and SUB between more; "
		"one I/O thread a process, on any processor; spins on ZMQ_DONTWAIT, or sleeps in "
		"zmq_msg_recv()",
	.begin = begin,
	.open = open_end,
	.ready = get_ready,
	.loan = loan,
	.send = send_message,
	.take = take,
	.release = release,
	.close = close_end,
};
