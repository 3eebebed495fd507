/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What publishers do.
 */
#include <string.h>

#include "pubsub/util.h"
#include "tests/fuzz/support/players.h"
#include "tests/support/check.h"

#define PAYLOAD_MAX 300

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
	ZCP_CLEANUP(zcp_backlog_deinit) struct zcp_backlog kept = { .n_entries = 0 };
	char text[ZCP_TEXT_SIZE];

	request.history = zcp_fuzz_below(input, 6);
	(void)strcpy(request.topic, topic->name);
	if (publisher->endpoint ||
	    zcpd_registry_open_publisher(&players->bed.registry, &client, &request,
					 &publisher->endpoint, text, sizeof(text)) < 0)
		return;
	zcp_fuzz_import(players, publisher->endpoint, 1, &kept);
	ZCP_CHECK(zcp_writer_init(
			  &publisher->writer,
			  &players->bed.writable.topics[zcp_fuzz_topic_of(players, publisher->endpoint)],
			  &players->bed.writable.pool, &players->bed.writable.signals,
			  &(struct zcp_writer_options){
				  .slot = publisher->endpoint->slot,
				  .owner = publisher->endpoint->owner,
				  .max_loans = publisher->endpoint->loans,
				  .max_payload = publisher->endpoint->max_payload,
				  .publisher_id = publisher->endpoint->id,
				  .history = publisher->endpoint->history,
				  .kept = &kept,
				  .user_header_size = publisher->endpoint->user_header_size,
				  .symmetric = true,
				  .timestamps = topic->config.timestamps,
				  .wake_fd = wake_fd,
			  }) == 0);
	publisher->n_refs = 0;
}

void zcp_fuzz_publisher_end(struct zcp_fuzz_players *players, struct zcp_fuzz_publisher *publisher)
{
	if (!publisher->endpoint)
		return;
	zcp_writer_deinit(&publisher->writer);
	zcpd_registry_close(&players->bed.registry, publisher->endpoint, 0);
}

static struct zcp_chunk chunk_of(const struct zcp_fuzz_publisher *publisher, uint32_t ref)
{
	struct zcp_chunk chunk = { .descriptor = NULL };

	ZCP_CHECK(zcp_pool_chunk(publisher->writer.pool, ref, &chunk));
	return chunk;
}

static void fill(const struct zcp_fuzz_publisher *publisher, uint32_t ref, uint64_t size)
{
	const struct zcp_writer *writer = &publisher->writer;
	struct zcp_chunk chunk = chunk_of(publisher, ref);
	uint8_t *payload = chunk.payload;
	void *user_header = zcp_chunk_user_header(&chunk, writer->options.user_header_size);

	for (uint64_t i = 0; i < size; i++)
		payload[i] = zcp_fuzz_pattern(writer->options.publisher_id, writer->next_seq, i);
	if (user_header)
		memset(user_header, ZCP_FUZZ_USER_HEADER, writer->options.user_header_size);
}

static bool loan(struct zcp_fuzz_publisher *publisher, uint64_t size)
{
	uint32_t ref = 0;
	int r;

	if (publisher->n_refs == ZCP_FUZZ_LOANS)
		return false;
	r = zcp_writer_loan(&publisher->writer, size, &ref);
	ZCP_CHECK(r >= 0 && r <= ZCP_WRITER_E_LOANS);
	if (r != 0)
		return false;
	ZCP_CHECK(chunk_of(publisher, ref).payload_size >= size);
	publisher->refs[publisher->n_refs++] = ref;
	return true;
}

static void publish(struct zcp_fuzz_publisher *publisher, uint32_t i, uint64_t size,
		    int64_t timeout_ns)
{
	uint32_t ref;
	int r;

	if (i >= publisher->n_refs)
		return;
	ref = publisher->refs[i];
	fill(publisher, ref, size);
	r = zcp_writer_publish(&publisher->writer, ref, size, timeout_ns);
	ZCP_CHECK(r == 0 || r == ZCP_WRITER_E_FULL);
	if (r == 0)
		publisher->refs[i] = publisher->refs[--publisher->n_refs];
}

static void discard(struct zcp_fuzz_publisher *publisher, uint32_t i)
{
	if (i >= publisher->n_refs)
		return;
	zcp_writer_discard(&publisher->writer, publisher->refs[i]);
	publisher->refs[i] = publisher->refs[--publisher->n_refs];
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
			publish(publisher, publisher->n_refs - 1, deed->n, 0);
		break;
	case 'p':
		if (deed->n < publisher->n_refs)
			publish(publisher, deed->n,
				chunk_of(publisher, publisher->refs[deed->n]).payload_size,
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
	if (deed.publisher->endpoint && !zcp_fuzz_survives(act, &deed))
		zcp_fuzz_publisher_end(players, deed.publisher);
}
