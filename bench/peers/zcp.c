/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zcp: taken by hand, by callback in a dispatch, and after a poll of the node's descriptor.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <zcp/zcp.h>

#include "bench/pair.h"

#define SLEEP_MS 10000
#define SLEEP_NS INT64_C(10000000000)
/* Longer than any wait of a dispatch that spins. */
#define SPIN_NS UINT64_C(10000000000)
#define READY_NS INT64_C(5000000000)

struct end {
	struct zcp_node *node;
	struct zcp_publisher *out;
	struct zcp_subscriber *in;
	struct zcp_loan loan;
	struct zcp_sample sample;
	/* a callback has put a message into `sample` */
	bool has_come;
};

static int complain(const struct end *end, int r)
{
	return bench_peer_fail(r, "%s", zcp_node_error(end->node));
}

/* An endpoint on a node of its own, so that it sleeps for itself. */
static int open_end(struct bench_end *bench, const struct zcp_node_options *node)
{
	struct zcp_publisher_options publisher = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_subscriber_options subscriber = ZCP_SUBSCRIBER_OPTIONS_INIT;
	const struct bench_link *link = bench->link;
	struct end *end = calloc(1, sizeof(*end));
	int r;

	if (!end)
		return -ENOMEM;
	bench->of = end;
	publisher.max_payload = link->size;
	publisher.loans = 1;
	subscriber.depth = link->depth;
	subscriber.held = 1;
	subscriber.on_full = link->drops ? ZCP_ON_FULL_DROP_OLDEST : ZCP_ON_FULL_BLOCK;
	r = zcp_node_open(&end->node, node);
	if (r == 0 && bench->is_out)
		r = zcp_publisher_open(&end->out, end->node, link->name, &publisher);
	else if (r == 0)
		r = zcp_subscriber_open(&end->in, end->node, link->name, &subscriber);
	return r < 0 ? complain(end, r) : 0;
}

static int open_spinning(struct bench_end *bench)
{
	return open_end(bench, NULL);
}

static int get_ready(struct bench_end *bench)
{
	struct end *end = bench->of;
	int r = end->out ? zcp_publisher_wait_subscribers(end->out, bench->link->n_in, READY_NS) :
			   zcp_subscriber_wait_publishers(end->in, bench->link->n_out, READY_NS);

	return r < 0 ? complain(end, r) : 0;
}

static void close_end(struct bench_end *bench)
{
	struct end *end = bench->of;

	if (!end)
		return;
	end->out = zcp_publisher_close(end->out);
	end->in = zcp_subscriber_close(end->in);
	end->node = zcp_node_close(end->node);
	free(end);
}

static int loan(struct bench_end *bench, size_t size, void **data)
{
	struct end *end = bench->of;
	int r = zcp_publisher_loan(end->out, size, &end->loan);

	*data = end->loan.data;
	return r < 0 ? complain(end, r) : 0;
}

static int send_loan(struct bench_end *bench, void *data, size_t size)
{
	struct end *end = bench->of;
	int r = zcp_publisher_publish(end->out, &end->loan);

	(void)data;
	(void)size;
	return r < 0 ? complain(end, r) : 0;
}

static int take(struct bench_end *bench, struct bench_message *message)
{
	struct end *end = bench->of;
	int r;

	while ((r = zcp_subscriber_take(end->in, &end->sample)) == -EAGAIN) {
		if (!bench->link->blocks)
			return r;
		r = zcp_node_wait(end->node, SLEEP_NS);
		if (r < 0)
			return complain(end, r);
	}
	message->data = end->sample.data;
	message->size = end->sample.size;
	return r < 0 ? complain(end, r) : 0;
}

static int release(struct bench_end *bench, struct bench_message *message)
{
	struct end *end = bench->of;

	(void)message;
	return zcp_sample_release(&end->sample);
}

const struct bench_peer bench_zcp_peer = {
	.name = "zcp",
	.settings = "loan, publish, take, release; sleeps in zcp_node_wait(); no publish times",
	.can_drop = true,
	.open = open_spinning,
	.ready = get_ready,
	.loan = loan,
	.send = send_loan,
	.take = take,
	.release = release,
	.close = close_end,
};

/* --- by callback --- */

static void on_sample(const struct zcp_sample *sample, void *user)
{
	struct end *end = user;

	end->sample = *sample;
	end->has_come = zcp_sample_keep(sample) == 0;
}

static int open_dispatching(struct bench_end *bench)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;
	struct end *end;
	int r;

	options.spin_ns = bench->link->blocks ? 0 : SPIN_NS;
	r = open_end(bench, &options);
	end = bench->of;
	if (r == 0 && end->in)
		zcp_subscriber_on_sample(end->in, on_sample, end);
	return r;
}

static int take_dispatched(struct bench_end *bench, struct bench_message *message)
{
	struct end *end = bench->of;

	end->has_come = false;
	while (!end->has_come) {
		int r = zcp_node_dispatch(end->node, SLEEP_NS);

		if (r < 0)
			return complain(end, r);
	}
	message->data = end->sample.data;
	message->size = end->sample.size;
	return 0;
}

const struct bench_peer bench_zcp_dispatch_peer = {
	.name = "zcp-dispatch",
	.settings = "the same, by callback in zcp_node_dispatch(), which spins or sleeps",
	.can_drop = true,
	.open = open_dispatching,
	.ready = get_ready,
	.loan = loan,
	.send = send_loan,
	.take = take_dispatched,
	.release = release,
	.close = close_end,
};

/* --- after a poll --- */

static int open_polling(struct bench_end *bench)
{
	struct end *end;
	int r = open_dispatching(bench);

	end = bench->of;
	if (r < 0 || !end->in)
		return r;
	r = zcp_node_fd(end->node);
	if (r < 0)
		return complain(end, r);
	r = zcp_node_dispatch(end->node, 0);
	return r == -ETIMEDOUT ? 0 : complain(end, r);
}

static int take_polled(struct bench_end *bench, struct bench_message *message)
{
	struct end *end = bench->of;

	end->has_come = false;
	while (!end->has_come) {
		struct pollfd pollfd = { .fd = zcp_node_fd(end->node), .events = POLLIN };
		int r = poll(&pollfd, 1, SLEEP_MS);

		if (r <= 0)
			return r < 0 ? -errno : -ETIMEDOUT;
		r = zcp_node_dispatch(end->node, 0);
		if (r < 0 && r != -ETIMEDOUT)
			return complain(end, r);
	}
	message->data = end->sample.data;
	message->size = end->sample.size;
	return 0;
}

const struct bench_peer bench_zcp_fd_peer = {
	.name = "zcp-fd",
	.settings = "the same, after poll() of zcp_node_fd()",
	.open = open_polling,
	.ready = get_ready,
	.loan = loan,
	.send = send_loan,
	.take = take_polled,
	.release = release,
	.close = close_end,
};
