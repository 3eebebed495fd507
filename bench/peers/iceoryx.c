/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iceoryx, through its C binding, with a RouDi of the benchmark's own and pools large enough.
 */
#include <errno.h>
#include <iceoryx_binding_c/api.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bench/clock.h"
#include "bench/pair.h"
#include "bench/peers/roudi.h"

#define READY_NS UINT64_C(5000000000)
/* RouDi looks for new endpoints ten times a second. */
#define DISCOVERY_NS 250000000
#define SLEEP_SECONDS 10

struct end {
	iox_pub_storage_t out_storage;
	iox_sub_storage_t in_storage;
	iox_ws_storage_t wait_set_storage;
	iox_pub_t out;
	iox_sub_t in;
	iox_ws_t wait_set;
};

static int begin(enum bench_side side)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "zcp-bench-%d-%d", (int)side, (int)getpid());
	iox_set_loglevel(Iceoryx_LogLevel_Error);
	iox_runtime_init(name);
	return 0;
}

static void open_out(struct end *end, const struct bench_link *link)
{
	iox_pub_options_t options;

	iox_pub_options_init(&options);
	options.historyCapacity = 0;
	options.offerOnCreate = true;
	options.subscriberTooSlowPolicy = link->drops ? ConsumerTooSlowPolicy_DISCARD_OLDEST_DATA :
							ConsumerTooSlowPolicy_WAIT_FOR_CONSUMER;
	end->out = iox_pub_init(&end->out_storage, "zcp-bench", link->name, "payload", &options);
}

static int open_in(struct end *end, const struct bench_link *link)
{
	iox_sub_options_t options;

	iox_sub_options_init(&options);
	options.queueCapacity = link->depth;
	options.historyRequest = 0;
	options.subscribeOnCreate = true;
	options.queueFullPolicy = link->drops ? QueueFullPolicy_DISCARD_OLDEST_DATA :
						QueueFullPolicy_BLOCK_PRODUCER;
	end->in = iox_sub_init(&end->in_storage, "zcp-bench", link->name, "payload", &options);
	if (!link->blocks)
		return 0;
	end->wait_set = iox_ws_init(&end->wait_set_storage);
	if (iox_ws_attach_subscriber_state(end->wait_set, end->in, SubscriberState_HAS_DATA, 1,
					   NULL) != WaitSetResult_SUCCESS)
		return bench_peer_fail(-EIO, "the wait set does not take the subscriber");
	return 0;
}

static int open_end(struct bench_end *bench)
{
	struct end *end = aligned_alloc(64, (sizeof(*end) + 63) / 64 * 64);

	if (!end)
		return -ENOMEM;
	*end = (struct end){ .out = NULL };
	bench->of = end;
	if (!bench->is_out)
		return open_in(end, bench->link);
	open_out(end, bench->link);
	return 0;
}

static int get_ready(struct bench_end *bench)
{
	const struct timespec discovery = { .tv_nsec = DISCOVERY_NS };
	const struct timespec pause = { .tv_nsec = 1000000 };
	const struct end *end = bench->of;
	uint64_t start = bench_ns();

	while (end->out ? bench->link->n_in > 0 && !iox_pub_has_subscribers(end->out) :
			  iox_sub_get_subscription_state(end->in) != SubscribeState_SUBSCRIBED) {
		if (bench_ns() - start > READY_NS)
			return bench_peer_fail(-ETIMEDOUT, "RouDi does not connect the endpoints");
		(void)nanosleep(&pause, NULL);
	}
	/* It does not say when the last one of several has been connected. */
	if (bench->index == 0 && (bench->link->n_in > 1 || bench->link->n_out > 1))
		(void)nanosleep(&discovery, NULL);
	return 0;
}

static void close_end(struct bench_end *bench)
{
	struct end *end = bench->of;

	if (end && end->wait_set) {
		iox_ws_detach_subscriber_state(end->wait_set, end->in, SubscriberState_HAS_DATA);
		iox_ws_deinit(end->wait_set);
	}
	if (end && end->in)
		iox_sub_deinit(end->in);
	if (end && end->out)
		iox_pub_deinit(end->out);
	free(end);
}

static int loan(struct bench_end *bench, size_t size, void **data)
{
	const struct end *end = bench->of;
	enum iox_AllocationResult r = iox_pub_loan_aligned_chunk(end->out, data, (uint32_t)size,
								 64);

	return r == AllocationResult_SUCCESS ?
		       0 :
		       bench_peer_fail(-ENOBUFS, "iox_pub_loan_aligned_chunk(): result %d", (int)r);
}

static int publish(struct bench_end *bench, void *data, size_t size)
{
	const struct end *end = bench->of;

	(void)size;
	iox_pub_publish_chunk(end->out, data);
	return 0;
}

static int await(const struct end *end)
{
	const struct timespec limit = { .tv_sec = SLEEP_SECONDS };
	iox_notification_info_t infos[1];
	uint64_t n_missed;

	return iox_ws_timed_wait(end->wait_set, limit, infos, 1, &n_missed) == 1 ? 0 : -ETIMEDOUT;
}

static int take(struct bench_end *bench, struct bench_message *message)
{
	const struct end *end = bench->of;
	enum iox_ChunkReceiveResult r;

	while ((r = iox_sub_take_chunk(end->in, &message->data)) ==
	       ChunkReceiveResult_NO_CHUNK_AVAILABLE) {
		int waited = bench->link->blocks ? await(end) : -EAGAIN;

		if (waited < 0)
			return waited;
	}
	if (r != ChunkReceiveResult_SUCCESS)
		return bench_peer_fail(-EIO, "iox_sub_take_chunk(): result %d", (int)r);
	/* the binding does not say how much of the chunk is payload */
	message->size = bench->link->size;
	return 0;
}

static int release(struct bench_end *bench, struct bench_message *message)
{
	const struct end *end = bench->of;

	iox_sub_release_chunk(end->in, message->data);
	return 0;
}

const struct bench_peer bench_iceoryx_peer = {
	.name = "iceoryx",
	.settings =
		"the C binding; pools of each size; no history; blocks where nothing may be lost; "
		"spins on iox_sub_take_chunk(), or sleeps in iox_ws_timed_wait()",
	.can_drop = true,
	.prepare = bench_roudi_start,
	.begin = begin,
	.open = open_end,
	.ready = get_ready,
	.loan = loan,
	.send = publish,
	.take = take,
	.release = release,
	.close = close_end,
};
