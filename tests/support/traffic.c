/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops of checked publishers and subscribers.
 */
#include "tests/support/traffic.h"

#include <sched.h>

#include "tests/support/check.h"

/* What a subscriber knows while it runs. */
struct tally {
	struct zcp_reader *reader;
	/* number of the next message from each publisher slot */
	uint64_t expected[ZCP_TOPIC_PUBLISHERS_MAX];
	/* messages that were not given back yet, oldest first */
	struct zcp_reader_message held[ZCP_TRAFFIC_HELD_MAX];
	uint32_t n_held;
	uint64_t n_received;
	uint64_t n_lost;
};

uint32_t zcp_traffic_n_chunks(const struct zcp_traffic *traffic, uint32_t depth_log2,
			      uint32_t n_more_subscribers)
{
	uint32_t n_subscribers = traffic->n_subscribers + n_more_subscribers;
	/*
	 * Queues overlap: each has the newest messages. What a subscriber held of one publisher and
	 * holds of another one now is that of both, until the first one looks.
	 */
	uint32_t of_publisher = 1 + (UINT32_C(1) << depth_log2) +
				zcp_rotation(ZCP_TRAFFIC_PAYLOAD) +
				n_subscribers * ZCP_TRAFFIC_HELD_MAX;

	return traffic->n_publishers * of_publisher;
}

void zcp_traffic_publish(struct zcp_traffic *traffic, struct zcp_writer *writer, uint32_t seed)
{
	while (zcp_test_load(&traffic->n_ready) < traffic->n_subscribers)
		sched_yield();
	for (uint64_t i = 0; i < traffic->n_messages; i++) {
		uint64_t size = ZCP_TRAFFIC_PAYLOAD - i % 4 * 32;
		struct zcp_writer_loan loan;

		/* Within its limits no subscriber can starve a publisher. */
		ZCP_CHECK(zcp_writer_loan(writer, size, &loan) == 0);
		zcp_test_fill(loan.payload, size, writer->options.publisher_id, writer->next_seq);
		ZCP_CHECK(zcp_writer_publish(writer, &loan, size, -1) == 0);
		if (traffic->pause > 0 && zcp_test_random(&seed) % 8 == 0)
			zcp_test_pause(&seed, traffic->pause);
		/* Or else, on few processors, all is sent before anybody looks. */
		if (!traffic->blocks && zcp_test_random(&seed) % 8 == 0)
			sched_yield();
	}
	(void)atomic_fetch_add_explicit(&traffic->n_done, 1, memory_order_seq_cst);
	/* Not a message, so that no publish wakes for it. */
	for (uint32_t i = 0; i < writer->signals->n_signals; i++)
		zcp_signal_wake(&writer->signals->signals[i]);
}

static void tally_init(struct tally *tally, struct zcp_reader *reader)
{
	*tally = (struct tally){ .reader = reader };
	for (uint32_t p = 0; p < reader->topic->geometry.max_publishers; p++)
		tally->expected[p] = reader->lanes[p].next;
}

static void give_back(struct tally *tally)
{
	const struct zcp_reader_message *m = &tally->held[0];

	ZCP_CHECK(zcp_test_is_filled(m->payload, m->size, m->publisher_id, m->seq));
	(void)zcp_reader_release(tally->reader, m->place, m->held);
	tally->n_held--;
	for (uint32_t i = 0; i < tally->n_held; i++)
		tally->held[i] = tally->held[i + 1];
}

/* The lost ones were pushed out: the publisher has come to where it does that. */
static void check_loss(const struct tally *tally, const struct zcp_reader_message *m)
{
	const struct zcp_reader *reader = tally->reader;
	/* Acquire: at least as new as the slot that showed the loss. */
	uint64_t next_seq = atomic_load_explicit(&reader->topic->publishers[m->publisher].next_seq,
						 memory_order_acquire);

	ZCP_CHECK(next_seq >= m->seq - 1 + (UINT64_C(1) << reader->options.depth_log2));
	ZCP_CHECK(!reader->options.blocks);
}

static bool take(struct tally *tally)
{
	struct zcp_reader_message *m = &tally->held[tally->n_held];
	int r = zcp_reader_take(tally->reader, m);

	if (r == ZCP_READER_E_EMPTY)
		return false;
	ZCP_CHECK(r == 0);
	ZCP_CHECK(m->publisher_id == m->publisher + 1);
	ZCP_CHECK(m->seq == tally->expected[m->publisher] + m->n_lost);
	ZCP_CHECK(zcp_test_is_filled(m->payload, m->size, m->publisher_id, m->seq));
	if (m->n_lost > 0)
		check_loss(tally, m);
	tally->expected[m->publisher] = m->seq + 1;
	tally->n_lost += m->n_lost;
	tally->n_received++;
	tally->n_held++;
	return true;
}

static void wait_for_more(const struct zcp_traffic *traffic, struct zcp_reader *reader,
			  struct zcp_signal_shm *signal)
{
	uint32_t announced;

	if (!traffic->sleeps) {
		sched_yield();
		return;
	}
	ZCP_CHECK(zcp_reader_arm(reader) == 0);
	announced = zcp_signal_announce(signal);
	if (!zcp_reader_is_ready(reader) && zcp_test_load(&traffic->n_done) < traffic->n_publishers)
		(void)zcp_signal_sleep(signal, announced, -1);
	zcp_signal_awake(signal);
}

/* Where messages can be lost, some are: nothing is taken before each lane has overflowed. */
static void wait_for_overflow(const struct zcp_traffic *traffic, const struct zcp_reader *reader)
{
	uint64_t n = UINT64_C(3) << reader->options.depth_log2;

	for (uint32_t p = 0; p < traffic->n_publishers; p++)
		while (zcp_test_load(&reader->topic->publishers[p].next_seq) <
		       traffic->first_seq + (n < traffic->n_messages ? n : traffic->n_messages))
			sched_yield();
}

void zcp_traffic_subscribe(struct zcp_traffic *traffic, struct zcp_reader *reader,
			   struct zcp_signal_shm *signal, uint32_t seed)
{
	struct tally tally;

	tally_init(&tally, reader);
	(void)atomic_fetch_add_explicit(&traffic->n_ready, 1, memory_order_seq_cst);
	if (!traffic->blocks && !traffic->sleeps)
		wait_for_overflow(traffic, reader);
	for (;;) {
		bool done = zcp_test_load(&traffic->n_done) == traffic->n_publishers;

		if (take(&tally)) {
			if (tally.n_held == ZCP_TRAFFIC_HELD_MAX || zcp_test_random(&seed) % 2 == 0)
				give_back(&tally);
			if (traffic->pause > 0 && zcp_test_random(&seed) % 8 == 0)
				zcp_test_pause(&seed, traffic->pause);
		} else if (!zcp_reader_is_ready(reader)) {
			if (done)
				break;
			wait_for_more(traffic, reader, signal);
		}
	}
	while (tally.n_held > 0)
		give_back(&tally);
	for (uint32_t p = 0; p < traffic->n_publishers; p++)
		ZCP_CHECK(tally.expected[p] == traffic->first_seq + traffic->n_messages);
	(void)atomic_fetch_add_explicit(&traffic->n_received, tally.n_received,
					memory_order_seq_cst);
	(void)atomic_fetch_add_explicit(&traffic->n_lost, tally.n_lost, memory_order_seq_cst);
}

void zcp_traffic_visit(struct zcp_traffic *traffic, struct zcp_reader *reader, uint64_t n_messages)
{
	struct tally tally;

	tally_init(&tally, reader);
	while (tally.n_received < n_messages &&
	       zcp_test_load(&traffic->n_done) < traffic->n_publishers) {
		if (!take(&tally))
			sched_yield();
		else if (tally.n_held == ZCP_TRAFFIC_HELD_MAX)
			give_back(&tally);
	}
}

void zcp_traffic_check(const struct zcp_traffic *traffic)
{
	uint64_t n_received = zcp_test_load(&traffic->n_received);
	uint64_t n_lost = zcp_test_load(&traffic->n_lost);

	ZCP_CHECK(n_received + n_lost ==
		  traffic->n_messages * traffic->n_publishers * traffic->n_subscribers);
	if (traffic->blocks)
		ZCP_CHECK(n_lost == 0);
	else if (!traffic->sleeps)
		ZCP_CHECK(n_lost > 0);
}
