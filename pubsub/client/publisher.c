/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The publisher's API over the data plane.
 */
#include "pubsub/client/publisher.h"

#include <errno.h>
#include <string.h>

#include "pubsub/client/connection/attach.h"
#include "pubsub/client/connection/control.h"
#include "pubsub/client/inside.h"
#include "pubsub/util.h"

/* Meaning of zcp_loan.reserved. */
enum {
	LOAN_PUBLISHER = 0,
	LOAN_REF = 1, /* and in the upper half the ticket */
	LOAN_DESCRIPTOR = 2,
	LOAN_CAPACITY = 3,
};

static void free_publisher(struct zcp_publisher **publisher)
{
	free(*publisher);
}

static int fill_request(struct zcp_node *node, struct zcp_message *request, const char *topic,
			const struct zcp_publisher_options *theirs)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	int r;

	r = theirs ? zcp_options_copy(&options, sizeof(options), theirs) : 0;
	if (r < 0)
		return zcp_node_fail(node, r,
				     "publisher options: initialise them with "
				     "ZCP_PUBLISHER_OPTIONS_INIT of this libzcp's headers");
	r = zcp_node_check_topic(node, topic);
	if (r == 0)
		r = zcp_node_copy_type(node, request->u.open_publisher.type, options.type);
	if (r < 0)
		return r;
	(void)strcpy(request->u.open_publisher.topic, topic);
	request->u.open_publisher.type_size = options.type_size;
	request->u.open_publisher.type_alignment = options.type_alignment;
	request->u.open_publisher.max_payload = options.max_payload;
	request->u.open_publisher.loans = options.loans;
	request->u.open_publisher.history = options.history;
	request->u.open_publisher.alignment = options.alignment;
	request->u.open_publisher.user_header_size = options.user_header_size;
	return 0;
}

static int init_writer(struct zcp_publisher *publisher, const struct zcp_writer_options *options)
{
	struct zcp_endpoint *endpoint = &publisher->endpoint;
	int r;

	publisher->signals = endpoint->node->signals;
	r = zcp_writer_init(&publisher->writer, &endpoint->topic, &endpoint->acks, &endpoint->pool,
			    &publisher->signals, options);
	if (r == -EPROTO)
		return zcp_node_fail(endpoint->node, r,
				     "the runtime gave a pool without room for our messages");
	return r < 0 ? zcp_node_fail(endpoint->node, r, "out of memory") : 0;
}

int zcp_publisher_open(struct zcp_publisher **publisherp, struct zcp_node *node, const char *topic,
		       const struct zcp_publisher_options *options)
{
	ZCP_CLEANUP(free_publisher) struct zcp_publisher *publisher = NULL;
	struct zcp_message request = { .type = ZCP_MESSAGE_OPEN_PUBLISHER };
	struct zcp_writer_options writer_options;
	ZCP_CLEANUP(zcp_message_deinit) struct zcp_message reply = { .type = ZCP_MESSAGE_NONE };
	ZCP_CLEANUP(zcp_node_leave) struct zcp_node *inside = NULL;
	const struct zcp_opened *opened = &reply.u.opened;
	int r;

	if (!zcp_process_is(node->process))
		return -EOWNERDEAD;
	r = zcp_node_enter(node);
	if (r < 0)
		return r;
	inside = node;
	r = fill_request(node, &request, topic, options);
	if (r < 0)
		return r;
	publisher = calloc(1, sizeof(*publisher));
	if (!publisher)
		return zcp_node_fail(node, -ENOMEM, "out of memory");
	r = zcp_endpoint_init(&publisher->endpoint, node, topic, &request, &reply);
	if (r < 0)
		return r;
	writer_options = (struct zcp_writer_options){
		.slot = opened->slot,
		.owner = opened->owner,
		.class_index = opened->class,
		.max_loans = opened->loans,
		.max_payload = opened->max_payload,
		.publisher_id = opened->endpoint,
		.node = node->id,
		.history = opened->history,
		.user_header_size = opened->user_header_size,
		.symmetric = node->symmetric,
		.timestamps = opened->timestamps,
		.beside = { .signal = node->signal, .taken = &node->beside_taken },
		.wake_fd = zcp_node_wake_fd,
		.user = node,
	};
	if (opened->slot >= publisher->endpoint.topic.geometry.max_publishers ||
	    opened->owner == 0 || opened->owner >= ZCP_OWNER_RUNTIME ||
	    opened->class >= ZCP_CLASSES_MAX || opened->history > ZCP_TOPIC_HISTORY_MAX)
		r = zcp_node_fail(node, -EPROTO, "the runtime gave an impossible publisher slot");
	else
		r = init_writer(publisher, &writer_options);
	if (r < 0) {
		zcp_endpoint_deinit(&publisher->endpoint);
		return r;
	}
	LIST_INSERT_HEAD(&node->publishers, publisher, link);
	*publisherp = publisher;
	publisher = NULL;
	return 0;
}

struct zcp_publisher *zcp_publisher_close(struct zcp_publisher *publisher)
{
	if (!publisher)
		return NULL;
	LIST_REMOVE(publisher, link);
	/* The runtime discards the loans: the same as after a death, and tested as often. */
	zcp_endpoint_deinit(&publisher->endpoint);
	zcp_writer_deinit(&publisher->writer);
	free(publisher);
	return NULL;
}

/* Says why there is no chunk. */
static int refused(struct zcp_publisher *publisher, size_t size, int why)
{
	switch (why) {
	case ZCP_WRITER_E_TOO_LARGE:
		return zcp_node_fail(publisher->endpoint.node, -EMSGSIZE,
				     "a message of %zu bytes is larger than this publisher of "
				     "topic '%s' may send, %zu bytes: raise max_payload",
				     size, publisher->endpoint.name,
				     zcp_publisher_max_payload(publisher));
	case ZCP_WRITER_E_LOANS:
		return zcp_node_fail(
			publisher->endpoint.node, -EMLINK,
			"%u chunks of topic '%s' are on loan, as many as this publisher "
			"declared: publish or discard one, or raise loans",
			publisher->writer.n_loaned, publisher->endpoint.name);
	default:
		return zcp_node_fail(
			publisher->endpoint.node, -ENOBUFS,
			"every chunk of topic '%s' that this publisher may use is in use: see "
			"`zcp info` for who has them",
			publisher->endpoint.name);
	}
}

/*
 * The runtime has asked to be told when a chunk is free again, so that it can give back the memory
 * of those that stay free. Where it cannot be told now it is told of the next one.
 */
__attribute__((noinline)) static void tell_freed(struct zcp_publisher *publisher)
{
	const struct zcp_endpoint *endpoint = &publisher->endpoint;
	ZCP_CLEANUP(zcp_node_end_talk) struct zcp_node *node = zcp_node_begin_talk(endpoint->node);
	struct zcp_message message = { .type = ZCP_MESSAGE_FREED };

	message.u.freed.endpoint = endpoint->id;
	if (zcp_socket_send(node->socket, &message, NULL, 0) < 0)
		zcp_writer_want_freed(&publisher->writer);
}

int zcp_publisher_loan(struct zcp_publisher *publisher, size_t size, struct zcp_loan *loan)
{
	struct zcp_writer *writer = &publisher->writer;
	struct zcp_writer_loan lent;
	int r;

	if (!zcp_process_is(publisher->endpoint.process))
		return zcp_endpoint_refuse(&publisher->endpoint);
	r = zcp_writer_loan(writer, size, &lent);
	if (__builtin_expect(zcp_writer_has_freed(writer), 0))
		tell_freed(publisher);
	if (r != 0)
		return refused(publisher, size, r);
	loan->data = lent.payload;
	loan->size = size;
	loan->capacity = lent.capacity;
	loan->user_header_size = writer->options.user_header_size;
	loan->user_header = zcp_user_header(lent.payload, writer->options.user_header_size);
	loan->reserved[LOAN_PUBLISHER] = (uint64_t)(uintptr_t)publisher;
	loan->reserved[LOAN_REF] = (uint64_t)lent.ticket << 32 | lent.ref;
	loan->reserved[LOAN_DESCRIPTOR] = (uint64_t)(uintptr_t)lent.chunk;
	loan->reserved[LOAN_CAPACITY] = lent.capacity;
	return 0;
}

/*
 * Whether the loan is this publisher's and still out; with its chunk. What the loan says
 * of it we wrote ourselves, into the caller's memory.
 */
static inline bool find(const struct zcp_publisher *publisher, const struct zcp_loan *loan,
			struct zcp_writer_loan *lent)
{
	if (!loan->data || loan->reserved[LOAN_PUBLISHER] != (uint64_t)(uintptr_t)publisher)
		return false;
	lent->chunk = (struct zcp_chunk_shm *)(uintptr_t)loan->reserved[LOAN_DESCRIPTOR];
	lent->ref = (uint32_t)loan->reserved[LOAN_REF];
	lent->ticket = (uint32_t)(loan->reserved[LOAN_REF] >> 32);
	return zcp_writer_owns(&publisher->writer, lent);
}

static void clear(struct zcp_loan *loan)
{
	loan->data = NULL;
	loan->size = 0;
	loan->capacity = 0;
	loan->user_header = NULL;
	loan->user_header_size = 0;
}

static int not_ours(struct zcp_publisher *publisher)
{
	return zcp_node_fail(
		publisher->endpoint.node, -EINVAL,
		"not a loan of this publisher of topic '%s', or published or discarded "
		"before",
		publisher->endpoint.name);
}

/*
 * A publish has to wait for a subscriber. That may have been killed while no runtime was there,
 * and the runtime that has come must be told of the topic. `*start_ns` is when it began to wait, 0
 * the first time. Returns 0 with how long the next try may wait in *slice_ns, ZCP_WRITER_E_FULL
 * where no time is left, or what zcp_endpoint_refuse() gives.
 */
__attribute__((noinline)) static int wait_longer(struct zcp_publisher *publisher,
						 int64_t timeout_ns, uint64_t *start_ns,
						 int64_t *slice_ns)
{
	struct zcp_node *node = publisher->endpoint.node;
	int64_t left_ns = timeout_ns, most;
	uint64_t now;

	/* Where another thread works in the node, that one may take. */
	if (timeout_ns < 0 && *start_ns == 0 && zcp_node_is_ours(node) &&
	    zcp_writer_waits_for_itself(&publisher->writer))
		return zcp_node_fail(
			node, -EDEADLK,
			"topic '%s': the queue of a subscriber of this node is full, and it makes "
			"publishers wait: take from it first, or set its on_full to drop-oldest",
			publisher->endpoint.name);
	if (timeout_ns == 0)
		return ZCP_WRITER_E_FULL;
	now = zcp_now_ns();
	if (*start_ns == 0)
		*start_ns = now;
	else
		zcp_attend_now(node);
	if (timeout_ns > 0 && now - *start_ns >= (uint64_t)timeout_ns)
		return ZCP_WRITER_E_FULL;
	if (!zcp_process_is(publisher->endpoint.process))
		return zcp_endpoint_refuse(&publisher->endpoint);
	if (timeout_ns > 0)
		left_ns = timeout_ns - (int64_t)(now - *start_ns);
	most = (int64_t)zcp_attend_interval(node);
	*slice_ns = left_ns < 0 || left_ns > most ? most : left_ns;
	return 0;
}

int zcp_publisher_publish_timed(struct zcp_publisher *publisher, struct zcp_loan *loan,
				int64_t timeout_ns)
{
	struct zcp_writer *writer = &publisher->writer;
	uint64_t start_ns = 0;
	int64_t slice_ns = 0;
	struct zcp_writer_loan lent;
	int r;

	if (!zcp_process_is(publisher->endpoint.process))
		return zcp_endpoint_refuse(&publisher->endpoint);
	if (!find(publisher, loan, &lent))
		return not_ours(publisher);
	if (loan->size > loan->reserved[LOAN_CAPACITY])
		return zcp_node_fail(
			publisher->endpoint.node, -EMSGSIZE,
			"loan->size is %zu and the chunk holds %zu bytes: loan a larger "
			"one",
			loan->size, (size_t)loan->reserved[LOAN_CAPACITY]);
	/* The first try does not wait. */
	while (__builtin_expect((r = zcp_writer_publish(writer, &lent, loan->size, slice_ns)) ==
					ZCP_WRITER_E_FULL,
				0)) {
		r = wait_longer(publisher, timeout_ns, &start_ns, &slice_ns);
		if (r != 0)
			return r == ZCP_WRITER_E_FULL ? -EAGAIN : r;
	}
	if (__builtin_expect(r < 0, 0))
		return r == -ESTALE || r == -EINTR || r == -EOWNERDEAD ?
			       r :
			       zcp_node_fail(publisher->endpoint.node, -ENOTSUP,
					     "membarrier has stopped working in this process: set "
					     "fences = \"symmetric\" in [runtime] of the runtime's "
					     "configuration");
	clear(loan);
	if (__builtin_expect(writer->met != 0, 0))
		zcp_attend_published(publisher->endpoint.node, writer->met);
	return 0;
}

int zcp_publisher_publish(struct zcp_publisher *publisher, struct zcp_loan *loan)
{
	return zcp_publisher_publish_timed(publisher, loan, ZCP_FOREVER);
}

int zcp_publisher_discard(struct zcp_publisher *publisher, struct zcp_loan *loan)
{
	struct zcp_writer_loan lent;

	if (!zcp_process_is(publisher->endpoint.process))
		return zcp_endpoint_refuse(&publisher->endpoint);
	if (!find(publisher, loan, &lent))
		return not_ours(publisher);
	zcp_writer_discard(&publisher->writer, &lent);
	if (__builtin_expect(zcp_writer_has_freed(&publisher->writer), 0))
		tell_freed(publisher);
	clear(loan);
	return 0;
}

int zcp_publisher_send(struct zcp_publisher *publisher, const void *data, size_t size)
{
	struct zcp_loan loan;
	int r;

	r = zcp_publisher_loan(publisher, size, &loan);
	if (r < 0)
		return r;
	if (size > 0)
		memcpy(loan.data, data, size);
	if (loan.user_header)
		memset(loan.user_header, 0, loan.user_header_size);
	r = zcp_publisher_publish(publisher, &loan);
	if (r < 0)
		ZCP_IGNORE(zcp_publisher_discard(publisher, &loan));
	return r;
}

unsigned int zcp_publisher_n_subscribers(const struct zcp_publisher *publisher)
{
	return zcp_endpoint_n_others(&publisher->endpoint);
}

int zcp_publisher_wait_subscribers(struct zcp_publisher *publisher, unsigned int n,
				   int64_t timeout_ns)
{
	return zcp_endpoint_wait_others(&publisher->endpoint, &publisher->writer.slot->watches, n,
					timeout_ns);
}

int zcp_publisher_on_match(struct zcp_publisher *publisher, zcp_on_match_fn on_match, void *user)
{
	ZCP_CLEANUP(zcp_node_leave) struct zcp_node *inside = NULL;
	int r;

	if (!zcp_process_is(publisher->endpoint.process))
		return zcp_endpoint_refuse(&publisher->endpoint);
	r = zcp_node_enter(publisher->endpoint.node);
	if (r < 0)
		return r;
	inside = publisher->endpoint.node;
	return zcp_watch_set(&publisher->endpoint, &publisher->writer.slot->watches, on_match,
			     user);
}

uint64_t zcp_publisher_id(const struct zcp_publisher *publisher)
{
	return publisher->endpoint.id;
}

size_t zcp_publisher_max_payload(const struct zcp_publisher *publisher)
{
	return publisher->writer.options.max_payload;
}
