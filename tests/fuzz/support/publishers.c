/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What publishers do.
 */
#include <string.h>

#include "pubsub/util.h"
#include "runtime/open/open.h"
#include "tests/fuzz/support/lies.h"
#include "tests/fuzz/support/players.h"
#include "tests/support/check.h"

/* Of what is sent; of what publishers declare, so that they use each of the size classes. */
#define PAYLOAD_MAX 300
static const uint64_t payloads[] = { 300, 64, 5000 };

static void wake_fd(uint32_t signal, void *user)
{
	(void)user;
	ZCP_CHECK(signal < ZCP_FUZZ_SIGNALS);
}

static void open_publisher(struct zcp_fuzz_players *players, uint32_t k,
			   struct zcp_fuzz_input *input)
{
	struct zcp_fuzz_publisher *publisher = &players->publishers[k];
	const struct zcpd_client client = { .node = "publisher", .pid = 1, .signal = k };
	const struct zcpd_topic *topic = players->bed.topics[zcp_fuzz_below(input, 2)];
	struct zcp_open_publisher request = { .loans = zcp_fuzz_below(input, ZCP_FUZZ_LOANS) };
	char text[ZCP_TEXT_SIZE];
	uint32_t i;

	request.history = zcp_fuzz_below(input, 6);
	request.max_payload = payloads[zcp_fuzz_below(input, 3)];
	(void)strcpy(request.topic, topic->entry.name);
	if (publisher->endpoint ||
	    zcpd_open_publisher(&players->bed.registry, &client, &request, &publisher->endpoint,
				text, sizeof(text)) < 0)
		return;
	i = zcp_fuzz_topic_of(players, publisher->endpoint);
	ZCP_CHECK(zcp_writer_init(
			  &publisher->writer, &players->bed.writable.topics[i],
			  &players->bed.writable.acks[i], &players->bed.writable.pool,
			  &players->bed.writable.signals,
			  &(struct zcp_writer_options){
				  .slot = publisher->endpoint->entry.slot,
				  .owner = publisher->endpoint->entry.owner,
				  .class_index = publisher->endpoint->entry.class_index,
				  .max_loans = publisher->endpoint->entry.loans,
				  .max_payload = publisher->endpoint->entry.max_payload,
				  .publisher_id = publisher->endpoint->entry.id,
				  .history = publisher->endpoint->entry.history,
				  .user_header_size = publisher->endpoint->entry.user_header_size,
				  .symmetric = true,
				  .timestamps = topic->config.timestamps,
				  .wake_fd = wake_fd,
			  }) == 0);
	publisher->n_loans = 0;
}

void zcp_fuzz_publisher_end(struct zcp_fuzz_players *players, struct zcp_fuzz_publisher *publisher)
{
	if (!publisher->endpoint)
		return;
	zcp_writer_deinit(&publisher->writer);
	zcpd_registry_close(&players->bed.registry, publisher->endpoint, 0);
}

static void fill(const struct zcp_fuzz_publisher *publisher, const struct zcp_writer_loan *loan,
		 uint64_t size)
{
	const struct zcp_writer *writer = &publisher->writer;
	uint8_t *payload = loan->payload;
	void *user_header = zcp_user_header(loan->payload, writer->options.user_header_size);

	for (uint64_t i = 0; i < size; i++)
		payload[i] = zcp_fuzz_pattern(writer->options.publisher_id, writer->next_seq, i);
	if (user_header)
		memset(user_header, ZCP_FUZZ_USER_HEADER, writer->options.user_header_size);
}

ZCP_FUZZ_UNSEEN static uint32_t n_owned(const struct zcp_writer *writer)
{
	const struct zcp_class *class = &writer->pool->classes[writer->options.class_index];
	uint32_t n = 0;

	for (uint32_t i = 0; i < class->n_chunks; i++)
		n += zcp_chunk_owner(zcp_test_load(&class->chunks[i].state)) ==
		     writer->options.owner;
	return n;
}

static bool loan(struct zcp_fuzz_publisher *publisher, uint64_t size)
{
	struct zcp_writer_loan *loan = &publisher->loans[publisher->n_loans];
	uint32_t before = n_owned(&publisher->writer), after;
	int r;

	if (publisher->n_loans == ZCP_FUZZ_LOANS)
		return false;
	r = zcp_writer_loan(&publisher->writer, size, loan);
	ZCP_CHECK(r >= 0 && r <= ZCP_WRITER_E_LOANS);
	/* What it can need is reserved for it, whatever subscribers say, and it takes no more. */
	ZCP_CHECK(r != ZCP_WRITER_E_EXHAUSTED || zcp_fuzz_n_others_lies() > 0);
	after = n_owned(&publisher->writer);
	ZCP_CHECK(after <= before || zcp_fuzz_n_others_lies() > 0 ||
		  after <= zcpd_topic_need(publisher->endpoint->topic, publisher->endpoint, NULL));
	if (r != 0)
		return false;
	ZCP_CHECK(loan->capacity >= size);
	publisher->n_loans++;
	return true;
}

static void publish(struct zcp_fuzz_publisher *publisher, uint32_t i, uint64_t size,
		    int64_t timeout_ns)
{
	int r;

	if (i >= publisher->n_loans)
		return;
	fill(publisher, &publisher->loans[i], size);
	r = zcp_writer_publish(&publisher->writer, &publisher->loans[i], size, timeout_ns);
	ZCP_CHECK(r == 0 || r == ZCP_WRITER_E_FULL);
	if (r == 0)
		publisher->loans[i] = publisher->loans[--publisher->n_loans];
}

static void discard(struct zcp_fuzz_publisher *publisher, uint32_t i)
{
	if (i >= publisher->n_loans)
		return;
	zcp_writer_discard(&publisher->writer, &publisher->loans[i]);
	publisher->loans[i] = publisher->loans[--publisher->n_loans];
}

/* --- what it writes --- */

/* The one that does something. */
static const struct zcp_fuzz_publisher *acting;

ZCP_FUZZ_UNSEEN static bool is_own_chunk(const struct zcp_chunk_shm *chunk)
{
	/* What publishers of the pool write there can lead it astray. */
	return zcp_fuzz_n_others_lies() > 0 ||
	       zcp_chunk_owner(zcp_test_load(&chunk->state)) == acting->writer.options.owner;
}

/* What it owns, and what it says of the class. */
ZCP_FUZZ_UNSEEN static bool is_in_pool(const struct zcp_class *class, const void *at, uint64_t size)
{
	uint64_t i;

	if (zcp_fuzz_is_within(at, size, &class->shm->n_touched, 64))
		return true;
	if (zcp_fuzz_is_within(at, size, class->chunks,
			       class->n_chunks * sizeof(class->chunks[0]))) {
		i = (uint64_t)((const char *)at - (const char *)class->chunks) /
		    sizeof(class->chunks[0]);
		return is_own_chunk(&class->chunks[i]);
	}
	if (!zcp_fuzz_is_within(at, size, class->payloads - class->header_room,
				class->n_chunks * class->stride))
		return false;
	i = (uint64_t)((const char *)at - (class->payloads - class->header_room)) / class->stride;
	return is_own_chunk(&class->chunks[i]);
}

/* Its slot, its lanes, its chunks; and of the acks nothing: it moves `tail` in one step. */
ZCP_FUZZ_UNSEEN static void check_store(const void *at, uint64_t size)
{
	const struct zcp_writer *writer = &acting->writer;
	const struct zcp_topic *topic = writer->topic;
	bool is_own = zcp_fuzz_is_within(at, size, writer->slot,
					 offsetof(struct zcp_publisher_slot_shm, publisher_id));

	for (uint32_t s = 0; s < topic->geometry.max_subscribers; s++)
		is_own |= zcp_fuzz_is_within(
			at, size,
			zcp_topic_lane(topic, writer->acks, writer->options.slot, s, 0).shm,
			topic->lane_stride);
	for (uint32_t c = 0; c < writer->pool->n_classes; c++)
		is_own |= is_in_pool(&writer->pool->classes[c], at, size);
	ZCP_CHECK(is_own);
}

/* What one of them is about to do. */
struct deed {
	struct zcp_fuzz_publisher *publisher;
	char command;
	uint32_t n;
	int64_t timeout_ns;
};

static void act(void *user)
{
	const struct deed *deed = user;
	struct zcp_fuzz_publisher *publisher = deed->publisher;

	switch (deed->command) {
	case 'l':
		(void)loan(publisher, deed->n);
		break;
	case 's':
		if (loan(publisher, deed->n))
			publish(publisher, publisher->n_loans - 1, deed->n, 0);
		break;
	case 'p':
		if (deed->n < publisher->n_loans)
			publish(publisher, deed->n, publisher->loans[deed->n].capacity,
				deed->timeout_ns);
		break;
	case 'd':
		discard(publisher, deed->n);
		break;
	}
}

void zcp_fuzz_publish(struct zcp_fuzz_players *players, char command, struct zcp_fuzz_input *input)
{
	uint32_t k = zcp_fuzz_below(input, ZCP_FUZZ_PUBLISHERS);
	struct deed deed = { .publisher = &players->publishers[k], .command = command };

	switch (command) {
	case 'o':
		open_publisher(players, k, input);
		return;
	case 'c':
		zcp_fuzz_publisher_end(players, deed.publisher);
		return;
	case 'l':
	case 's':
		deed.n = zcp_fuzz_below(input, PAYLOAD_MAX + 10);
		break;
	default:
		deed.n = zcp_fuzz_below(input, ZCP_FUZZ_LOANS);
	}
	if (command == 'p')
		deed.timeout_ns = zcp_fuzz_below(input, 2);
	acting = deed.publisher;
	if (deed.publisher->endpoint && !zcp_fuzz_survives(act, &deed, check_store))
		zcp_fuzz_publisher_end(players, deed.publisher);
}
