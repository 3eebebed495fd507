/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every state that a kill can leave of a subscriber: at each instruction of a take and a release the
 * parent checks what the publisher relies on, that the message is in use until it is released.
 */
#include "tests/stress/steps_helpers.h"

/* The stages of a message, from a subscriber's view. */
enum {
	WAITING = 1 << 0,
	CLAIMED = 1 << 1,
	HELD = 1 << 2,
	RELEASED = 1 << 3,
	SAID = 1 << 4,
};

enum how {
	IN_ORDER,
	BLOCKING,
	LATEST,
	HISTORY,
};

/* What the publisher finds, by the one look and by the other, and by what the subscriber says. */
static void check_use(struct scene *s)
{
	uint64_t next_seq = zcp_test_load(&publisher_of(s)->next_seq);
	bool said = zcp_test_load(&ack_of(s, s->subscriber)->released) > s->seq, given;
	struct zcp_stake stake;
	struct zcp_stake_look look;
	uint32_t use;

	zcp_stake_init(&stake, &s->bed.view.topic, &s->bed.view.acks, 0, s->subscriber);
	use = zcp_stake_use(&stake, next_seq, s->seq);
	zcp_stake_look(&stake, 1, next_seq, &look);
	given = look.below > s->seq && !(s->seq >= look.promised && s->seq < look.base);
	for (uint32_t i = 0; i < look.n_exceptions; i++)
		given &= look.exceptions[i] != s->seq;
	ZCP_CHECK(given == (use == ZCP_USE_NONE));
	ZCP_CHECK(!said || use == ZCP_USE_NONE);
	see(s, said                ? SAID :
	       use == ZCP_USE_NONE ? RELEASED :
	       use == ZCP_USE_HELD ? HELD :
	       use & ZCP_USE_HELD  ? CLAIMED :
				     WAITING);
}

/* And looks for more, which says what was released. */
static void take(void *arg)
{
	struct scene *s = arg;
	struct zcp_reader_message m;
	struct zcp_reader *reader = &s->readers[s->subscriber];

	ZCP_CHECK((s->latest ? zcp_reader_latest(reader, &s->message) :
			       zcp_reader_take(reader, &s->message)) == 0);
	ZCP_CHECK(s->message.seq == s->seq);
	ZCP_CHECK(zcp_reader_take(reader, &m) == ZCP_READER_E_EMPTY);
}

/* And looks for more, as above. */
static void give_back(void *arg)
{
	struct scene *s = arg;
	struct zcp_reader_message m;

	release(s, s->subscriber, &s->message);
	ZCP_CHECK(zcp_reader_take(&s->readers[s->subscriber], &m) == ZCP_READER_E_EMPTY);
}

/* A subscriber is about to take a message. */
static void prepare_take(struct scene *s, enum how how)
{
	struct zcp_backlog backlog;

	scene_init(s, N_CHUNKS, false, how == BLOCKING);
	s->seq = 1;
	s->latest = how == LATEST;
	if (how == LATEST) {
		/* The one before it is passed over. */
		send(s);
		send(s);
		s->seq = 3;
		s->subscriber = 2;
	}
	if (how == HISTORY) {
		zcp_testbed_leave(&s->bed, &s->subscribers[0]);
		zcp_reader_deinit(&s->readers[0]);
		zcp_testbed_join(&s->bed, &s->subscribers[0], 1);
		zcp_testbed_backlog(&s->bed, &s->subscribers[0], &backlog);
		ZCP_CHECK(backlog.n_entries == 1);
		s->subscribers[0].backlog = &backlog;
		zcp_testbed_reader(&s->bed.view, &s->subscribers[0], &s->readers[0]);
	}
}

/* A message is in use from before its take to its release. */
static void step_take(enum how how)
{
	struct scene s;

	prepare_take(&s, how);
	single_step(&s, take, check_use);
	ZCP_CHECK(s.seen == (WAITING | CLAIMED | HELD));
	(void)printf("take: %llu steps\n", (unsigned long long)s.n_steps);
	scene_deinit(&s);
	prepare_take(&s, how);
	take(&s);
	single_step(&s, give_back, check_use);
	ZCP_CHECK(s.seen == (HELD | RELEASED | SAID));
	scene_deinit(&s);
}

int main(void)
{
	zcp_test_watchdog(100);
#ifdef ZCP_TEST_TSAN
	(void)fprintf(stderr, "skipped: each step of ThreadSanitizer's own would be one too\n");
	return ZCP_TEST_SKIPPED;
#endif
	for (int how = IN_ORDER; how <= HISTORY; how++)
		step_take((enum how)how);
	return 0;
}
