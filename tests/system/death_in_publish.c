/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A publisher that is killed between any two steps of a publish: the runtime finishes the
 * publish or undoes it, every subscriber gets the message or none does, no chunk is lost,
 * the numbers go on, and who slept is woken.
 *
 * The publish is done by hand up to the step, as in zcp_writer_publish().
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define TOPIC "steps"
#define DEPTH 4
#define N_SUBSCRIBERS 2
/* zcp_loan.reserved: the ref */
#define LOAN_REF 1

/* What was done last. */
enum step {
	LOANED,
	ENTERED,
	DESCRIBED,
	NUMBERED,
	OLDEST_IS_OUT,
	PUSHED_TO_ONE,
	PUSHED_TO_ALL,
	COUNTED,
	UNLOANED,
	LEFT,
	N_STEPS,
};

struct death {
	enum step step;
	uint32_t n_before;
	uint32_t n_subscribers;
};

struct attempt {
	struct zcp_publisher *publisher;
	struct zcp_publisher_slot_shm *slot;
	struct zcp_chunk_shm *chunk;
	uint32_t ref;
	uint64_t n;
};

static struct zcp_lane make_room(const struct attempt *attempt, uint32_t s)
{
	const struct zcp_test_inside inside = zcp_test_inside(attempt->publisher);
	struct zcp_lane lane = zcp_topic_lane(
		inside.topic, inside.acks, inside.slot, s,
		(uint32_t)zcp_test_load(&inside.topic->subscribers[s].depth_log2));
	uint64_t tail = 0;

	zcp_lane_refresh_tail(&lane, attempt->n, &tail);
	if (zcp_lane_is_full(&lane, attempt->n, tail))
		ZCP_CHECK(zcp_lane_push_out(&lane, attempt->n, &tail));
	return lane;
}

static void push_to(const struct attempt *attempt, uint32_t s)
{
	const struct zcp_description description = {
		.size = sizeof(attempt->n),
		.publisher_id = zcp_test_inside(attempt->publisher).writer->options.publisher_id,
		.ref = attempt->ref,
		.next_ref = ZCP_REF_NONE,
	};
	struct zcp_lane lane = make_room(attempt, s);

	zcp_lane_put(&lane, attempt->n, &description);
}

static void take_step(const struct attempt *attempt, enum step step, uint32_t n_subscribers)
{
	struct zcp_chunk_shm *chunk = attempt->chunk;

	switch (step) {
	case ENTERED:
	case LEFT:
		zcp_test_store(&attempt->slot->op, zcp_test_load(&attempt->slot->op) + 1);
		break;
	case DESCRIBED:
		zcp_test_store(&chunk->size, sizeof(attempt->n));
		zcp_test_store(&chunk->publish_time_ns, 0);
		zcp_test_store(&chunk->publisher_id,
			       zcp_test_inside(attempt->publisher).writer->options.publisher_id);
		zcp_test_store(&chunk->user_header_size, 0);
		break;
	case NUMBERED:
		zcp_test_store(&chunk->seq, attempt->n);
		break;
	case OLDEST_IS_OUT:
		(void)make_room(attempt, 0);
		break;
	case PUSHED_TO_ONE:
		push_to(attempt, 0);
		break;
	case PUSHED_TO_ALL:
		for (uint32_t s = 1; s < n_subscribers; s++)
			push_to(attempt, s);
		break;
	case COUNTED:
		zcp_test_store(&attempt->slot->next_seq, attempt->n + 1);
		break;
	case UNLOANED:
		zcp_test_store(&chunk->state, zcp_test_load(&chunk->state) & ~ZCP_CHUNK_LOANED);
		break;
	default:
		break;
	}
}

static void publish_and_die(struct zcp_test_child *self, void *arg)
{
	const struct death *death = arg;
	struct zcp_node *node = zcp_test_node();
	struct attempt attempt = { .publisher = zcp_test_publisher(node, TOPIC, 64, 2) };
	struct zcp_loan loan;

	ZCP_OK(zcp_publisher_wait_subscribers(attempt.publisher, death->n_subscribers, ZCP_FOREVER),
	       node);
	zcp_test_hear_step(self, 0);
	for (uint64_t i = 1; i <= death->n_before; i++)
		zcp_test_send(attempt.publisher, i);
	ZCP_OK(zcp_publisher_loan(attempt.publisher, sizeof(attempt.n), &loan), node);
	attempt.slot = zcp_test_inside(attempt.publisher).writer->slot;
	attempt.n = zcp_test_load(&attempt.slot->next_seq);
	attempt.ref = (uint32_t)loan.reserved[LOAN_REF];
	attempt.chunk = zcp_pool_descriptor(zcp_test_inside(attempt.publisher).pool, attempt.ref);
	ZCP_CHECK(attempt.chunk);
	memcpy(loan.data, &attempt.n, sizeof(attempt.n));
	for (int step = LOANED; step <= (int)death->step; step++)
		take_step(&attempt, (enum step)step, death->n_subscribers);
	zcp_test_say_step(self, attempt.n);
	zcp_test_wait_for_the_end(self);
}

/* What a subscriber finds: the messages before, and the last one or not. */
static void check_messages(struct zcp_subscriber *subscriber, bool published, uint32_t n_before)
{
	uint64_t last = published ? n_before + 1 : n_before, number, lost;
	uint64_t first = last > DEPTH ? last - DEPTH + 1 : 1;

	for (uint64_t i = first; i <= last; i++) {
		ZCP_CHECK(zcp_test_take(subscriber, &number, &lost));
		ZCP_CHECK(number == i && lost == (i == first ? first - 1 : 0));
	}
	ZCP_CHECK(!zcp_test_take(subscriber, &number, &lost));
}

static void check_death(enum step step, uint32_t n_before)
{
	struct death death = { step, n_before, N_SUBSCRIBERS };
	struct zcp_subscriber *subscribers[N_SUBSCRIBERS];
	struct zcp_publisher *next;
	struct zcp_test_child child;
	struct zcp_node *node;
	bool published = step >= NUMBERED;
	uint64_t n;

	zcp_test_fork(&child, publish_and_die, &death);
	node = zcp_test_node();
	for (uint32_t s = 0; s < N_SUBSCRIBERS; s++)
		subscribers[s] = zcp_test_subscriber(node, TOPIC, DEPTH, 2, 0);
	zcp_test_say_step(&child, 0);
	zcp_test_hear_step(&child, n_before + 1);
	zcp_test_kill(&child);
	zcp_test_wait_for_members(node, TOPIC, 0, N_SUBSCRIBERS);
	for (uint32_t s = 0; s < N_SUBSCRIBERS; s++)
		check_messages(subscribers[s], published, n_before);
	ZCP_CHECK(zcp_test_load(&zcp_test_inside(subscribers[0]).topic->publishers[0].op) % 2 == 0);

	next = zcp_test_publisher(node, TOPIC, 64, 2);
	ZCP_CHECK(zcp_test_n_busy(node) == 0);
	n = zcp_test_inside(next).writer->next_seq;
	ZCP_CHECK(n == n_before + 1 + published);
	zcp_test_send(next, n);
	for (uint32_t s = 0; s < N_SUBSCRIBERS; s++)
		zcp_test_expect(subscribers[s], n);
	ZCP_CHECK(zcp_test_n_busy(node) == 0);
	zcp_node_close(node);
}

static void queues_have_room(void)
{
	for (int step = LOANED; step < N_STEPS; step++)
		check_death((enum step)step, 1);
}

static void queues_are_full(void)
{
	for (int step = LOANED; step < N_STEPS; step++)
		check_death((enum step)step, DEPTH);
}

static void queues_have_overflowed(void)
{
	for (int step = LOANED; step < N_STEPS; step++)
		check_death((enum step)step, 3 * DEPTH + 1);
}

static void sleep_until_message(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, DEPTH, 2, 0);

	(void)arg;
	zcp_test_say_step(self, 0);
	ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
	zcp_test_expect(subscriber, 1);
	zcp_node_close(node);
}

/* It has pushed the message, and dies before it has woken anybody. */
static void sleeper_is_woken_in_the_name_of_the_dead(void)
{
	for (int step = NUMBERED; step < N_STEPS; step++) {
		struct death death = { (enum step)step, 0, 1 };
		struct zcp_test_child sleeper, publisher;

		zcp_test_fork(&sleeper, sleep_until_message, NULL);
		zcp_test_fork(&publisher, publish_and_die, &death);
		zcp_test_hear_step(&sleeper, 0);
		zcp_test_wait_until_asleep(sleeper.pid);
		zcp_test_say_step(&publisher, 0);
		zcp_test_hear_step(&publisher, 1);
		zcp_test_kill(&publisher);
		zcp_test_join(&sleeper);
	}
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(queues_have_room),
	ZCP_TEST_CASE(queues_are_full),
	ZCP_TEST_CASE(queues_have_overflowed),
	ZCP_TEST_CASE(sleeper_is_woken_in_the_name_of_the_dead),
};

ZCP_TEST_MAIN(cases)
