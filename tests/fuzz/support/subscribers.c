/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What subscribers do.
 */
#include <errno.h>
#include <string.h>
#include <zcp/subscriber.h>

#include "pubsub/util.h"
#include "runtime/open/open.h"
#include "tests/fuzz/support/guard.h"
#include "tests/fuzz/support/lies.h"
#include "tests/fuzz/support/players.h"
#include "tests/support/check.h"

static void make_reader(struct zcp_fuzz_players *players, struct zcp_fuzz_subscriber *subscriber)
{
	const struct zcpd_endpoint *endpoint = subscriber->endpoint;
	const struct zcp_fuzz_view *view = subscriber->is_partial ? &players->bed.partial :
								    &players->bed.readonly;
	uint32_t i = zcp_fuzz_topic_of(players, endpoint);
	struct zcp_backlog backlog = { .n_entries = 0 };

	zcp_fuzz_import(players, endpoint, &backlog);
	ZCP_CHECK(zcp_reader_init(&subscriber->reader, &view->topics[i], &view->acks[i],
				  &view->pool,
				  &(struct zcp_reader_options){
					  .slot = endpoint->entry.slot,
					  .depth_log2 = endpoint->entry.depth_log2,
					  .max_held = endpoint->entry.held,
					  .blocks = endpoint->entry.on_full == ZCP_ON_FULL_BLOCK,
					  .symmetric = true,
					  .by_time = endpoint->entry.order == ZCP_ORDER_TIME,
					  .backlog = &backlog,
				  }) == 0);
	subscriber->has_reader = true;
	subscriber->has_skipped = false;
	subscriber->n_held = 0;
	memset(subscriber->last_seq, 0, sizeof(subscriber->last_seq));
}

void zcp_fuzz_let_join(struct zcp_fuzz_players *players)
{
	for (int i = 0; i < ZCP_FUZZ_SUBSCRIBERS; i++) {
		struct zcp_fuzz_subscriber *subscriber = &players->subscribers[i];

		if (subscriber->endpoint && subscriber->is_joined && !subscriber->has_reader)
			make_reader(players, subscriber);
	}
}

static void open_subscriber(struct zcp_fuzz_players *players, uint32_t k,
			    struct zcp_fuzz_input *input)
{
	struct zcp_fuzz_subscriber *subscriber = &players->subscribers[k];
	const struct zcpd_client client = {
		.node = "subscriber", .pid = 1, .signal = k, .session = (void *)subscriber
	};
	struct zcp_open_subscriber request = { .depth = 0 };
	uint64_t n_lies = zcp_fuzz_n_lies();
	char text[ZCP_TEXT_SIZE];

	(void)strcpy(request.topic, players->bed.topics[zcp_fuzz_below(input, 2)]->entry.name);
	request.depth = zcp_fuzz_below(input, 9);
	request.held = zcp_fuzz_below(input, ZCP_FUZZ_HELD + 1);
	request.on_full = zcp_fuzz_below(input, 3);
	request.order = zcp_fuzz_below(input, 3);
	request.history = zcp_fuzz_below(input, 6);
	if (subscriber->endpoint)
		return;
	subscriber->is_partial = zcp_fuzz_below(input, 2);
	subscriber->is_joined = false;
	if (zcpd_open_subscriber(&players->bed.registry, &client, &request, 1,
				 &subscriber->endpoint, text, sizeof(text)) < 0)
		return;
	if (zcp_fuzz_n_lies() == n_lies)
		zcp_fuzz_forget_lies(zcp_fuzz_topic_of(players, subscriber->endpoint),
				     subscriber->endpoint->entry.slot);
	zcp_fuzz_let_join(players);
}

void zcp_fuzz_subscriber_end(struct zcp_fuzz_players *players,
			     struct zcp_fuzz_subscriber *subscriber)
{
	if (!subscriber->endpoint)
		return;
	if (subscriber->has_reader)
		zcp_reader_deinit(&subscriber->reader);
	subscriber->has_reader = false;
	subscriber->is_joined = false;
	zcpd_registry_close(&players->bed.registry, subscriber->endpoint, 0);
}

/* All that a message shows is there, and belongs to it. */
static void check_message(const struct zcp_fuzz_subscriber *subscriber,
			  const struct zcp_reader_message *message)
{
	const struct zcp_class *class = zcp_pool_class(subscriber->reader.pool, message->ref);
	const void *user_header = zcp_user_header(message->payload, message->user_header_size);

	ZCP_CHECK(class);
	ZCP_CHECK(message->payload == zcp_class_payload(class, zcp_ref_index(message->ref)));
	ZCP_CHECK(message->size <= class->payload_size);
	ZCP_CHECK(message->user_header_size <= class->header_room);
	ZCP_CHECK(message->place < subscriber->reader.options.max_held);
	ZCP_CHECK(message->publisher < subscriber->reader.topic->geometry.max_publishers);
	ZCP_CHECK(message->held == zcp_held(message->publisher, message->seq));
	ZCP_CHECK(zcp_fuzz_is_mapped(message->payload, message->size));
	zcp_fuzz_read(message->payload, message->size);
	zcp_fuzz_read(user_header, message->user_header_size);
}

static void check_content(const struct zcp_reader_message *message)
{
	const uint8_t *payload = message->payload;
	const uint8_t *user_header = zcp_user_header(message->payload, message->user_header_size);

	for (uint32_t i = 0; i < message->user_header_size; i++)
		ZCP_CHECK(user_header[i] == ZCP_FUZZ_USER_HEADER);
	for (uint64_t i = 0; i < message->size; i++)
		ZCP_CHECK(payload[i] == zcp_fuzz_pattern(message->publisher_id, message->seq, i));
}

/* Each once, in its publisher's order, and what is missing is said to be lost. */
static void check_order(struct zcp_fuzz_subscriber *subscriber,
			const struct zcp_reader_message *message)
{
	uint64_t *last = &subscriber->last_seq[message->publisher];

	if (*last > 0) {
		ZCP_CHECK(message->seq > *last);
		ZCP_CHECK(subscriber->has_skipped || message->seq - *last - 1 == message->n_lost);
	}
	*last = message->seq;
}

/* The one that does something, and whether somebody has lied to it. */
static const struct zcp_fuzz_players *all;
static const struct zcp_fuzz_subscriber *acting;

static bool is_lied_to(void)
{
	return zcp_fuzz_is_subscriber_lied_to(all, acting);
}

static void take(struct zcp_fuzz_subscriber *subscriber, bool newest)
{
	struct zcp_reader *reader = &subscriber->reader;
	struct zcp_reader_message *message = &subscriber->held[subscriber->n_held];
	int r;

	if (subscriber->n_held == ZCP_FUZZ_HELD)
		return;
	subscriber->has_skipped = subscriber->has_skipped || newest;
	r = newest ? zcp_reader_latest(reader, message) : zcp_reader_take(reader, message);
	switch (r) {
	case 0:
		subscriber->n_held++;
		check_message(subscriber, message);
		if (!is_lied_to()) {
			check_content(message);
			check_order(subscriber, message);
		}
		break;
	case ZCP_READER_E_EMPTY:
		break;
	case ZCP_READER_E_HELD:
		ZCP_CHECK(is_lied_to() || subscriber->n_held == reader->options.max_held);
		break;
	case ZCP_READER_E_UNMAPPED:
		ZCP_CHECK(!zcp_pool_has_class(reader->pool, message->ref));
		ZCP_CHECK(is_lied_to() || subscriber->is_partial);
		zcp_reader_lose(reader, message);
		break;
	default:
		ZCP_CHECK(false);
	}
	ZCP_CHECK(is_lied_to() || zcp_reader_n_held(reader) == subscriber->n_held);
}

static void release(struct zcp_fuzz_subscriber *subscriber, uint32_t i)
{
	struct zcp_reader_message *message = &subscriber->held[i];
	int r;

	if (i >= subscriber->n_held)
		return;
	if (!is_lied_to())
		check_content(message);
	r = zcp_reader_release(&subscriber->reader, message->place, message->held);
	ZCP_CHECK(r == 0 || (r == -EINVAL && is_lied_to()));
	/* Once more is none of its. */
	r = zcp_reader_release(&subscriber->reader, message->place, message->held);
	ZCP_CHECK(r == -EINVAL || is_lied_to());
	*message = subscriber->held[--subscriber->n_held];
}

/* Goes to sleep as far as others can tell; wakes up the next time. */
static void sleep_or_wake(struct zcp_reader *reader, struct zcp_signal_shm *signal)
{
	if (zcp_test_load(&signal->epoch) % 2 == 0) {
		ZCP_CHECK(zcp_reader_arm(reader) == 0);
		(void)zcp_signal_announce(signal);
		ZCP_IGNORE(zcp_reader_is_ready(reader));
	} else {
		zcp_signal_awake(signal);
		zcp_reader_disarm(reader);
	}
}

/* What one of them is about to do. */
struct deed {
	struct zcp_fuzz_subscriber *subscriber;
	struct zcp_signal_shm *signal;
	char command;
	uint32_t n;
};

static void act(void *user)
{
	const struct deed *deed = user;
	struct zcp_fuzz_subscriber *subscriber = deed->subscriber;

	switch (deed->command) {
	case 't':
	case 'n':
		take(subscriber, deed->command == 'n');
		break;
	case 'r':
		release(subscriber, deed->n);
		break;
	case 'e':
		ZCP_IGNORE(zcp_reader_is_ready(&subscriber->reader));
		ZCP_IGNORE(zcp_reader_is_starved(&subscriber->reader));
		break;
	case 'z':
		sleep_or_wake(&subscriber->reader, deed->signal);
		break;
	}
}

/* Its own block of the acks, and its signal; the bit by which it sleeps is set in one step. */
ZCP_FUZZ_UNSEEN static void check_store(const void *at, uint64_t size)
{
	const struct zcp_reader *reader = &acting->reader;
	const struct zcp_signals *signals = &all->bed.writable.signals;

	ZCP_CHECK(zcp_fuzz_is_within(at, size, zcp_acks_block(reader->acks, reader->options.slot),
				     reader->acks->block_stride) ||
		  zcp_fuzz_is_within(at, size, &signals->signals[acting - all->subscribers],
				     sizeof(struct zcp_signal_shm)));
}

void zcp_fuzz_subscribe(struct zcp_fuzz_players *players, char command,
			struct zcp_fuzz_input *input)
{
	uint32_t k = zcp_fuzz_below(input, ZCP_FUZZ_SUBSCRIBERS);
	struct deed deed = {
		.subscriber = &players->subscribers[k],
		.signal = &players->bed.writable.signals.signals[k],
		.command = command,
	};

	switch (command) {
	case 'j':
		open_subscriber(players, k, input);
		return;
	case 'q':
		zcp_fuzz_subscriber_end(players, deed.subscriber);
		return;
	case 'h':
		if (deed.subscriber->endpoint)
			zcpd_registry_deactivate(&players->bed.registry, deed.subscriber->endpoint);
		return;
	case 'r':
		deed.n = zcp_fuzz_below(input, ZCP_FUZZ_HELD);
		break;
	}
	all = players;
	acting = deed.subscriber;
	if (deed.subscriber->has_reader && !zcp_fuzz_survives(act, &deed, check_store))
		zcp_fuzz_subscriber_end(players, deed.subscriber);
}
