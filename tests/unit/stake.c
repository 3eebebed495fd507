/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stakes: whatever a subscriber may have and does not give back, the publisher's other chunks come
 * back, and no loan fails where the pool has what the rule of sums wants.
 */
#include "pubsub/shm/stake.h"

#include <criterion/criterion.h>

#include "tests/support/check.h"
#include "tests/support/testbed.h"

#define PAYLOAD 64
#define DEPTH_LOG2 2
#define DEPTH (1U << DEPTH_LOG2)
/* More than one look tells apart. */
#define HELD (3 * ZCP_STAKE_EXCEPTIONS)
#define HISTORY 20
/* More than enough to use every chunk again. */
#define N_MESSAGES 1000

struct stake {
	struct zcp_testbed bed;
	struct zcp_writer writer;
	struct zcp_reader_options subscriber;
	struct zcp_reader reader;
	struct zcp_reader_message held[HELD];
};

/* A subscriber that may hold `held` is about to join. */
static void init(struct stake *s, uint32_t held, uint32_t history, uint32_t n_chunks)
{
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(1, 1, DEPTH_LOG2, PAYLOAD,
								       n_chunks);

	*s = (struct stake){ .subscriber = { .depth_log2 = DEPTH_LOG2, .max_held = held } };
	zcp_testbed_init(&s->bed, &options);
	s->subscriber.symmetric = s->bed.symmetric;
	zcp_testbed_writer(&s->bed, &s->bed.view, 0, 1, &s->writer);
	s->writer.options.history = history;
}

static void deinit(struct stake *s)
{
	zcp_reader_deinit(&s->reader);
	zcp_writer_deinit(&s->writer);
	zcp_testbed_deinit(&s->bed);
}

static void send(struct stake *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct zcp_writer_loan loan;

		cr_assert_eq(zcp_writer_loan(&s->writer, PAYLOAD, &loan), 0, "message %u of %u", i,
			     n);
		zcp_test_fill(loan.payload, PAYLOAD, 1, s->writer.next_seq);
		cr_assert_eq(zcp_writer_publish(&s->writer, &loan, PAYLOAD, 0), 0);
	}
}

static void check_whole(const struct zcp_reader_message *message)
{
	cr_assert(zcp_test_is_filled(message->payload, PAYLOAD, 1, message->seq));
}

/* Takes `n` messages, which are whole. */
static void take(struct stake *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		cr_assert_eq(zcp_reader_take(&s->reader, &s->held[i]), 0);
		check_whole(&s->held[i]);
	}
}

Test(stake, more_held_messages_than_a_look_tells_apart_keep_only_themselves)
{
	static struct stake s;

	init(&s, HELD, 0, 1 + DEPTH + HELD);
	zcp_testbed_join(&s.bed, &s.subscriber, 0);
	zcp_testbed_reader(&s.bed.view, &s.subscriber, &s.reader);
	for (uint32_t i = 0; i < HELD; i++) {
		send(&s, 1);
		cr_assert_eq(zcp_reader_take(&s.reader, &s.held[i]), 0);
	}
	send(&s, N_MESSAGES);
	/* The next publisher of the slot finds all of them at once. */
	zcp_writer_deinit(&s.writer);
	zcp_testbed_writer(&s.bed, &s.bed.view, 0, 1, &s.writer);
	send(&s, N_MESSAGES);
	for (uint32_t i = 0; i < HELD; i++) {
		check_whole(&s.held[i]);
		cr_assert_eq(zcp_reader_release(&s.reader, s.held[i].place, s.held[i].held), 0);
	}
	send(&s, N_MESSAGES);
	deinit(&s);
}

/*
 * The subscriber joins between a loan and its publish: some messages that have come back are then
 * older than what is promised, and some are newer.
 */
Test(stake, history_that_is_not_taken_keeps_only_itself)
{
	struct zcp_writer_loan loan;
	static struct stake s;
	struct zcp_backlog backlog;

	init(&s, HISTORY, HISTORY, 1 + HISTORY + HISTORY + HISTORY);
	send(&s, N_MESSAGES);
	cr_assert_eq(zcp_writer_loan(&s.writer, PAYLOAD, &loan), 0);
	zcp_testbed_join(&s.bed, &s.subscriber, HISTORY);
	zcp_testbed_backlog(&s.bed, &s.subscriber, &backlog);
	cr_assert_eq(backlog.n_entries, HISTORY);
	s.subscriber.backlog = &backlog;
	zcp_testbed_reader(&s.bed.view, &s.subscriber, &s.reader);
	cr_assert_eq(zcp_writer_publish(&s.writer, &loan, PAYLOAD, 0), 0);
	send(&s, N_MESSAGES);
	take(&s, HISTORY);
	cr_assert_eq(s.held[0].seq, N_MESSAGES - HISTORY + 1);
	cr_assert_eq(s.held[HISTORY - 1].seq, N_MESSAGES);
	send(&s, N_MESSAGES);
	for (uint32_t i = 0; i < HISTORY; i++)
		check_whole(&s.held[i]);
	deinit(&s);
}

/* The connection is over between a loan and its publish, as above, and the process lives. */
Test(stake, queue_of_a_subscriber_that_is_no_longer_active_keeps_only_itself)
{
	struct zcp_writer_loan loan;
	static struct stake s;
	struct zcp_topic_shm *shm;

	init(&s, DEPTH, 0, 1 + DEPTH + DEPTH + DEPTH);
	zcp_testbed_join(&s.bed, &s.subscriber, 0);
	zcp_testbed_reader(&s.bed.view, &s.subscriber, &s.reader);
	send(&s, N_MESSAGES);
	cr_assert_eq(zcp_writer_loan(&s.writer, PAYLOAD, &loan), 0);
	shm = s.bed.view.topic.shm;
	zcp_test_store(&shm->active[0], 0);
	zcp_test_store(&shm->version, zcp_test_load(&shm->version) + 1);
	cr_assert_eq(zcp_writer_publish(&s.writer, &loan, PAYLOAD, 0), 0);
	send(&s, N_MESSAGES);
	take(&s, DEPTH);
	cr_assert_eq(s.held[0].seq, N_MESSAGES - DEPTH + 1);
	send(&s, N_MESSAGES);
	for (uint32_t i = 0; i < DEPTH; i++)
		check_whole(&s.held[i]);
	deinit(&s);
}

/* The look at one message and the look at all agree. */
Test(stake, both_looks_agree)
{
	static struct stake s;
	struct zcp_backlog backlog;
	struct zcp_stake stake;

	init(&s, DEPTH, DEPTH, 64);
	send(&s, DEPTH);
	zcp_testbed_join(&s.bed, &s.subscriber, DEPTH);
	zcp_testbed_backlog(&s.bed, &s.subscriber, &backlog);
	s.subscriber.backlog = &backlog;
	zcp_testbed_reader(&s.bed.view, &s.subscriber, &s.reader);
	send(&s, DEPTH);
	/* 1 and 2 are held, 3 and 4 promised, and 5 to 8 queued, whatever is sent to others. */
	take(&s, 2);
	zcp_stake_init(&stake, &s.bed.view.topic, &s.bed.view.acks, 0, 0);
	for (uint64_t next_seq = 2 * DEPTH + 1; next_seq < 4 * DEPTH; next_seq++) {
		struct zcp_stake_look look;

		zcp_stake_look(&stake, 1, 2 * DEPTH + 1, next_seq, &look);
		cr_assert_eq(look.promised.from, 3);
		cr_assert_eq(look.promised.to, 5);
		cr_assert_eq(look.n_exceptions, 2);
		for (uint64_t seq = 1; seq < next_seq; seq++) {
			bool queued = seq >= look.below ||
				      (seq >= look.queued.from && seq < look.queued.to);
			uint32_t use = zcp_stake_use(&stake, 2 * DEPTH + 1, seq);

			cr_assert_eq(use, seq <= 2 ? ZCP_USE_HELD :
					  seq <= 4 ? ZCP_USE_PROMISED :
					  seq <= 8 ? ZCP_USE_QUEUED :
						     ZCP_USE_NONE);
			cr_assert_eq(queued, use == ZCP_USE_QUEUED);
		}
	}
	deinit(&s);
}
