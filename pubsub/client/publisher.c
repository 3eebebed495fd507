/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The publisher's API over the data plane.
 */
#include "pubsub/client/publisher.h"

#include <errno.h>
#include <string.h>

#include "pubsub/client/attach.h"
#include "pubsub/util.h"

/* Meaning of zcp_loan.reserved. */
enum {
	LOAN_PUBLISHER = 0,
	LOAN_REF = 1, /* and in the upper half the generation */
	LOAN_DESCRIPTOR = 2,
	LOAN_HEADER = 3,
	LOAN_CAPACITY = 4,
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
	int r = zcp_writer_init(&publisher->writer, &endpoint->topic, &endpoint->pool,
				&endpoint->node->signals, options);

	if (r == -EPROTO)
		return zcp_node_fail(endpoint->node, r,
				     "the runtime gave a pool without room for the user header");
	return r < 0 ? zcp_node_fail(endpoint->node, r, "out of memory") : 0;
}

int zcp_publisher_open(struct zcp_publisher **publisherp, struct zcp_node *node, const char *topic,
		       const struct zcp_publisher_options *options)
{
	ZCP_CLEANUP(free_publisher) struct zcp_publisher *publisher = NULL;
	struct zcp_message request = { .type = ZCP_MESSAGE_OPEN_PUBLISHER };
	struct zcp_writer_options writer_options;
	ZCP_CLEANUP(zcp_message_deinit) struct zcp_message reply = { .type = ZCP_MESSAGE_NONE };
	const struct zcp_opened *opened = &reply.u.opened;
	int r;

	if (!zcp_process_is(node->process))
		return -EOWNERDEAD;
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
		.max_loans = opened->loans,
		.max_payload = opened->max_payload,
		.publisher_id = opened->endpoint,
		.history = opened->history,
		.kept = &publisher->endpoint.backlog,
		.user_header_size = opened->user_header_size,
		.symmetric = node->symmetric,
		.timestamps = opened->timestamps,
		.wake_fd = zcp_node_wake_fd,
		.user = node,
	};
	if (opened->slot >= publisher->endpoint.topic.geometry.max_publishers ||
	    opened->owner == 0 || opened->owner > UINT16_MAX ||
	    opened->history > ZCP_TOPIC_HISTORY_MAX)
		r = zcp_node_fail(node, -EPROTO, "the runtime gave an impossible publisher slot");
	else
		r = init_writer(publisher, &writer_options);
	if (r < 0) {
		zcp_endpoint_deinit(&publisher->endpoint);
		return r;
	}
	zcp_backlog_deinit(&publisher->endpoint.backlog);
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

void zcp_publisher_add_classes(struct zcp_publisher *publisher, struct zcp_fds *fds)
{
	if (zcp_endpoint_map_classes(&publisher->endpoint, fds, 0) < 0)
		return;
	for (uint32_t i = 0; i < publisher->endpoint.pool.n_classes; i++)
		/* Without memory for it the publisher does without the class. */
		ZCP_IGNORE(zcp_writer_add_class(&publisher->writer, i));
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
			publisher->endpoint.node, -EMFILE,
			"%u chunks of topic '%s' are on loan, as many as this publisher "
			"declared: publish or discard one, or raise loans",
			publisher->writer.n_loaned, publisher->endpoint.name);
	default:
		return zcp_node_fail(
			publisher->endpoint.node, -ENOBUFS,
			"every chunk of topic '%s' that holds %zu bytes is in use: see "
			"`zcp info` for who has them",
			publisher->endpoint.name, size);
	}
}

int zcp_publisher_loan(struct zcp_publisher *publisher, size_t size, struct zcp_loan *loan)
{
	struct zcp_chunk chunk;
	uint32_t ref;
	int r;

	if (!zcp_process_is(publisher->endpoint.process))
		return zcp_endpoint_refuse(&publisher->endpoint);
	r = zcp_writer_loan(&publisher->writer, size, &ref);
	if (r != 0)
		return refused(publisher, size, r);
	if (!zcp_pool_chunk(&publisher->endpoint.pool, ref, &chunk))
		return -EINVAL;
	loan->data = chunk.payload;
	loan->size = size;
	loan->capacity = chunk.payload_size;
	loan->user_header_size = publisher->writer.options.user_header_size;
	loan->user_header = zcp_chunk_user_header(&chunk,
						  publisher->writer.options.user_header_size);
	loan->reserved[LOAN_PUBLISHER] = (uint64_t)(uintptr_t)publisher;
	loan->reserved[LOAN_CAPACITY] = chunk.payload_size;
	loan->reserved[LOAN_DESCRIPTOR] = (uint64_t)(uintptr_t)chunk.descriptor;
	loan->reserved[LOAN_HEADER] = (uint64_t)(uintptr_t)chunk.header;
	/* Relaxed: we wrote the state a moment ago. */
	loan->reserved[LOAN_REF] = (uint64_t)zcp_state_generation(atomic_load_explicit(
					   &chunk.descriptor->state, memory_order_relaxed))
					   << 32 |
				   ref;
	return 0;
}

/*
 * Whether the loan is this publisher's and still out; with its chunk. What the loan says
 * of it we wrote ourselves, into the caller's memory.
 */
static bool find(const struct zcp_publisher *publisher, const struct zcp_loan *loan,
		 struct zcp_chunk *chunk)
{
	if (!loan->data || loan->reserved[LOAN_PUBLISHER] != (uint64_t)(uintptr_t)publisher)
		return false;
	chunk->descriptor = (struct zcp_chunk_shm *)(uintptr_t)loan->reserved[LOAN_DESCRIPTOR];
	chunk->header = (struct zcp_chunk_header_shm *)(uintptr_t)loan->reserved[LOAN_HEADER];
	chunk->payload = chunk->header + 1;
	chunk->payload_size = loan->reserved[LOAN_CAPACITY];
	/* Relaxed: if it is ours, we wrote it. */
	return atomic_load_explicit(&chunk->descriptor->state, memory_order_relaxed) ==
	       zcp_state((uint32_t)(loan->reserved[LOAN_REF] >> 32),
			 publisher->writer.options.owner, ZCP_CHUNK_LOANED);
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
 * Where it has to wait for a subscriber: who that is may have been killed while no runtime was
 * there, and the one that has come must be told of the topic.
 */
static int publish(struct zcp_publisher *publisher, const struct zcp_loan *loan,
		   const struct zcp_chunk *chunk, int64_t timeout_ns)
{
	struct zcp_node *node = publisher->endpoint.node;
	int64_t left = timeout_ns;

	for (;;) {
		int64_t most = (int64_t)zcp_attend_interval(node);
		int64_t slice = left < 0 || left > most ? most : left;
		int r = zcp_writer_publish_chunk(&publisher->writer,
						 (uint32_t)loan->reserved[LOAN_REF], chunk,
						 (uint32_t)(loan->reserved[LOAN_REF] >> 32),
						 loan->size, slice);

		if (r != ZCP_WRITER_E_FULL || slice == left)
			return r;
		if (left > 0)
			left -= slice;
		zcp_attend_quietly(node);
		if (!zcp_process_is(publisher->endpoint.process))
			return zcp_endpoint_refuse(&publisher->endpoint);
	}
}

int zcp_publisher_publish_timed(struct zcp_publisher *publisher, struct zcp_loan *loan,
				int64_t timeout_ns)
{
	struct zcp_chunk chunk;
	int r;

	if (!zcp_process_is(publisher->endpoint.process))
		return zcp_endpoint_refuse(&publisher->endpoint);
	if (!find(publisher, loan, &chunk))
		return not_ours(publisher);
	if (loan->size > chunk.payload_size)
		return zcp_node_fail(
			publisher->endpoint.node, -EMSGSIZE,
			"loan->size is %zu and the chunk holds %zu bytes: loan a larger "
			"one",
			loan->size, (size_t)chunk.payload_size);
	r = publish(publisher, loan, &chunk, timeout_ns);
	if (r == ZCP_WRITER_E_FULL)
		return -EAGAIN;
	if (r < 0)
		return r;
	clear(loan);
	/* Where nobody gets anything, or a system call was made anyhow. */
	if (__builtin_expect(publisher->writer.n_lanes == 0 || publisher->writer.has_time, 0)) {
		publisher->writer.has_time = false;
		zcp_attend_quietly(publisher->endpoint.node);
	}
	return 0;
}

int zcp_publisher_publish(struct zcp_publisher *publisher, struct zcp_loan *loan)
{
	return zcp_publisher_publish_timed(publisher, loan, ZCP_FOREVER);
}

int zcp_publisher_discard(struct zcp_publisher *publisher, struct zcp_loan *loan)
{
	struct zcp_chunk chunk;

	if (!zcp_process_is(publisher->endpoint.process))
		return zcp_endpoint_refuse(&publisher->endpoint);
	if (!find(publisher, loan, &chunk))
		return not_ours(publisher);
	zcp_writer_discard(&publisher->writer, (uint32_t)loan->reserved[LOAN_REF]);
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
	return zcp_endpoint_wait_others(&publisher->endpoint, n, timeout_ns);
}

int zcp_publisher_on_match(struct zcp_publisher *publisher, zcp_on_match_fn on_match, void *user)
{
	if (!zcp_process_is(publisher->endpoint.process))
		return zcp_endpoint_refuse(&publisher->endpoint);
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
