/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one side does between any two instructions of the other one. A child goes through its
 * operation instruction by instruction up to the n-th, for each n; there its parent does what may
 * come between, and the child goes on. What was taken stays whole until it is released, what is
 * published is taken or lost once, and what was promised stays. The pool has as many chunks as the
 * rule of sums wants without any that rotate: no loan may fail, and a chunk that comes back too
 * early is used again at once.
 */
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "pubsub/shm/fence.h"
#include "tests/support/check.h"
#include "tests/support/testbed.h"
#include "tests/support/tracee.h"

#define PAYLOAD 64
/* Instructions before which something comes between; evenly apart, others in each run. */
#define N_PLACES 50
/* Messages that a publisher sends in an operation. */
#define N_MESSAGES 4

struct scene {
	struct zcp_testbed bed;
	struct zcp_writer writer;
	struct zcp_reader_options subscriber;
	struct zcp_reader reader;
	bool has_reader;
	/* takes the newest message, not the next one */
	bool latest;
	/* messages that the publisher keeps, and that a subscriber is promised */
	uint32_t history;
	/* number of the first message for the subscriber, and of the next one */
	uint64_t first;
	uint64_t expected;
	/* what it holds */
	struct zcp_reader_message message;
	bool holds;
	/* at which the operation that matters is over; 0: at the end of the child */
	uint64_t last_op;
};

struct encounter {
	const char *name;
	void (*prepare)(struct scene *s);
	/* the child's */
	void (*body)(void *scene);
	/* the parent's, which may let the child go on */
	void (*between)(struct scene *s, pid_t pid);
	/* the parent's, when the child has ended */
	void (*check)(struct scene *s);
};

static uint64_t op_of(const struct scene *s)
{
	return zcp_test_load(&s->bed.view.topic.publishers[0].op);
}

static struct zcp_lane lane_of(const struct scene *s)
{
	return zcp_topic_lane(&s->bed.view.topic, &s->bed.view.acks, 0, 0,
			      s->subscriber.depth_log2);
}

static void send(struct scene *s)
{
	struct zcp_writer_loan loan;

	ZCP_CHECK(zcp_writer_loan(&s->writer, PAYLOAD, &loan) == 0);
	zcp_test_fill(loan.payload, PAYLOAD, 1, s->writer.next_seq);
	ZCP_CHECK(zcp_writer_publish(&s->writer, &loan, PAYLOAD, 0) == 0);
}

static void send_some(struct scene *s)
{
	for (int i = 0; i < N_MESSAGES; i++)
		send(s);
}

static bool is_whole(const struct zcp_reader_message *m)
{
	return m->size == PAYLOAD && zcp_test_is_filled(m->payload, m->size, 1, m->seq);
}

static bool take(struct scene *s)
{
	struct zcp_reader_message *m = &s->message;
	int r = s->latest ? zcp_reader_latest(&s->reader, m) : zcp_reader_take(&s->reader, m);

	if (r == ZCP_READER_E_EMPTY)
		return false;
	ZCP_CHECK(r == 0);
	ZCP_CHECK(s->latest ? m->seq >= s->expected + m->n_lost :
			      m->seq == s->expected + m->n_lost);
	ZCP_CHECK(is_whole(m));
	s->expected = m->seq + 1;
	s->holds = true;
	return true;
}

static void release(struct scene *s)
{
	ZCP_CHECK(is_whole(&s->message));
	ZCP_CHECK(zcp_reader_release(&s->reader, s->message.place, s->message.held) == 0);
	s->holds = false;
}

/* To the end; each number before it was taken or lost. */
static void take_up_to(struct scene *s, uint64_t end)
{
	if (s->holds)
		release(s);
	while (take(s))
		release(s);
	ZCP_CHECK(s->expected == end);
	ZCP_CHECK(s->reader.n_taken + s->reader.n_lost == end - s->first);
}

static void take_the_rest(struct scene *s)
{
	take_up_to(s, zcp_test_load(&s->bed.view.topic.publishers[0].next_seq));
}

/* The subscriber's end, after its join. */
static void open_reader(struct scene *s)
{
	struct zcp_backlog backlog;

	zcp_testbed_backlog(&s->bed, &s->subscriber, &backlog);
	ZCP_CHECK(backlog.n_entries <= s->history);
	s->first = backlog.n_entries > 0 ? backlog.entries[0].seq :
					   zcp_test_load(&lane_of(s).shm->base);
	s->expected = s->first;
	s->subscriber.backlog = &backlog;
	zcp_testbed_reader(&s->bed.view, &s->subscriber, &s->reader);
	s->has_reader = true;
}

static void join(struct scene *s)
{
	zcp_testbed_join(&s->bed, &s->subscriber, s->history);
	open_reader(s);
}

static void scene_init(struct scene *s, uint32_t depth_log2, uint32_t history, uint32_t n_more)
{
	/* A loan, the queue, what is held, and what is promised. */
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(
		1, 1, depth_log2, PAYLOAD, 1 + (1U << depth_log2) + 1 + history + n_more);

	*s = (struct scene){ .history = history };
	zcp_testbed_init(&s->bed, &options);
	s->subscriber = (struct zcp_reader_options){
		.depth_log2 = depth_log2,
		.max_held = 1,
		.symmetric = s->bed.symmetric,
	};
	zcp_testbed_writer(&s->bed, &s->bed.view, 0, 1, &s->writer);
	s->writer.options.history = history;
}

static void scene_deinit(struct scene *s)
{
	if (s->has_reader)
		zcp_reader_deinit(&s->reader);
	zcp_writer_deinit(&s->writer);
	zcp_testbed_deinit(&s->bed);
}

/* --- a subscriber takes, and the publisher comes between --- */

static void prepare_take(struct scene *s)
{
	scene_init(s, 0, 0, 0);
	join(s);
	send(s);
}

static void prepare_take_of_two(struct scene *s)
{
	scene_init(s, 1, 0, 0);
	join(s);
	send(s);
	send(s);
}

static void prepare_latest(struct scene *s)
{
	prepare_take_of_two(s);
	s->latest = true;
}

static void prepare_history(struct scene *s)
{
	scene_init(s, 0, 1, 0);
	send(s);
	send(s);
	join(s);
	ZCP_CHECK(s->expected == 2);
}

static void take_and_release(void *scene)
{
	ZCP_CHECK(take(scene));
	release(scene);
}

static void send_between(struct scene *s, pid_t pid)
{
	(void)pid;
	send_some(s);
}

/* --- a publisher loans and publishes, and the subscriber comes between --- */

/* Of what the child sends, the first message is what matters; the others use the chunks again. */
static void send_stepwise(void *scene)
{
	send_some(scene);
}

static void prepare_send(struct scene *s)
{
	scene_init(s, 0, 0, 0);
	join(s);
	send(s);
	send(s);
	s->last_op = op_of(s) + 4;
}

static void prepare_send_to_latest(struct scene *s)
{
	scene_init(s, 1, 0, 0);
	s->latest = true;
	join(s);
	send(s);
	send(s);
	send(s);
	s->last_op = op_of(s) + 4;
}

static void prepare_send_to_holder(struct scene *s)
{
	scene_init(s, 0, 0, 0);
	join(s);
	send(s);
	ZCP_CHECK(take(s));
	send(s);
	s->last_op = op_of(s) + 4;
}

static void prepare_send_with_history(struct scene *s)
{
	scene_init(s, 0, 1, 0);
	send(s);
	send(s);
	join(s);
	send(s);
	s->last_op = op_of(s) + 4;
}

static void prepare_send_to_nobody(struct scene *s)
{
	scene_init(s, 0, 1, 0);
	send(s);
	send(s);
	s->last_op = op_of(s) + 4;
}

/* And holds it while the publisher goes on. */
static void take_between(struct scene *s, pid_t pid)
{
	(void)pid;
	(void)take(s);
}

static void release_and_take_between(struct scene *s, pid_t pid)
{
	(void)pid;
	release(s);
	(void)take(s);
}

static void join_between(struct scene *s, pid_t pid)
{
	uint64_t op = op_of(s);

	zcp_testbed_begin_join(&s->bed, &s->subscriber, s->history);
	while (op % 2 == 1 && op_of(s) == op)
		ZCP_CHECK(zcp_tracee_step(pid));
	zcp_testbed_end_join(&s->bed, &s->subscriber, s->history);
	open_reader(s);
}

/* The runtime waits no longer for a publisher that is stopped inside op. */
static void join_without_a_wait(struct scene *s, pid_t pid)
{
	(void)pid;
	zcp_testbed_begin_join(&s->bed, &s->subscriber, s->history);
	if (op_of(s) % 2 == 0)
		zcp_testbed_end_join(&s->bed, &s->subscriber, s->history);
	zcp_testbed_reader(&s->bed.view, &s->subscriber, &s->reader);
	s->has_reader = true;
	ZCP_CHECK(op_of(s) % 2 == 0 || !take(s));
}

/* From where the lane begins, which the publisher has settled. */
static void take_from_base(struct scene *s)
{
	s->first = s->expected = zcp_test_load(&lane_of(s).shm->base);
	ZCP_CHECK(s->first != 0);
	take_the_rest(s);
}

static void prepare_send_to_lost(struct scene *s)
{
	/* And the queue of one that is not sent to any more. */
	scene_init(s, 1, 0, 2);
	join(s);
	send(s);
	ZCP_CHECK(take(s));
	send(s);
	send(s);
	s->last_op = op_of(s) + 4;
}

/* Its connection is over, and its process lives. */
static void lose_connection(struct scene *s, pid_t pid)
{
	struct zcp_topic_shm *shm = s->bed.view.topic.shm;

	(void)pid;
	zcp_test_store(&shm->active[0], 0);
	zcp_test_store(&shm->version, zcp_test_load(&shm->version) + 1);
	ZCP_CHECK(zcp_fence_heavy(s->bed.symmetric) == 0);
}

/* All that was sent to it is still there. */
static void take_up_to_end(struct scene *s)
{
	uint64_t end = zcp_test_load(&lane_of(s).shm->end);

	ZCP_CHECK(end != 0 && end < zcp_test_load(&s->bed.view.topic.publishers[0].next_seq));
	take_up_to(s, end);
	ZCP_CHECK(s->reader.n_lost <= 1);
}

static const struct encounter encounters[] = {
	{ "take", prepare_take, take_and_release, send_between, send_some },
	{ "take of two", prepare_take_of_two, take_and_release, send_between, send_some },
	{ "latest", prepare_latest, take_and_release, send_between, send_some },
	{ "history", prepare_history, take_and_release, send_between, send_some },
	{ "send, take", prepare_send, send_stepwise, take_between, take_the_rest },
	{ "send, latest", prepare_send_to_latest, send_stepwise, take_between, take_the_rest },
	{ "send, release", prepare_send_to_holder, send_stepwise, release_and_take_between,
	  take_the_rest },
	{ "send, history", prepare_send_with_history, send_stepwise, take_between, take_the_rest },
	{ "send, join", prepare_send_to_nobody, send_stepwise, join_between, take_the_rest },
	{ "send, join without a wait", prepare_send_to_nobody, send_stepwise, join_without_a_wait,
	  take_from_base },
	{ "send, connection lost", prepare_send_to_lost, send_stepwise, lose_connection,
	  take_up_to_end },
};

static bool is_over(const struct scene *s)
{
	return s->last_op != 0 && op_of(s) == s->last_op;
}

/* How many instructions the child's operation has. */
static uint64_t count(const struct encounter *e)
{
	uint64_t n = 0;
	struct scene s;
	pid_t pid;

	e->prepare(&s);
	pid = zcp_tracee_start(e->body, &s);
	for (; !is_over(&s); n++)
		if (!zcp_tracee_step(pid))
			break;
	if (is_over(&s))
		zcp_tracee_kill(pid);
	scene_deinit(&s);
	return n;
}

/* Something comes between after `n` instructions; these are some more or fewer each time. */
static void meet(const struct encounter *e, uint64_t n)
{
	struct scene s;
	pid_t pid;

	e->prepare(&s);
	pid = zcp_tracee_start(e->body, &s);
	for (uint64_t i = 0; i < n && !is_over(&s); i++)
		ZCP_CHECK(zcp_tracee_step(pid));
	e->between(&s, pid);
	ZCP_CHECK(!zcp_tracee_continue(pid));
	e->check(&s);
	scene_deinit(&s);
}

static void meet_at_places(const struct encounter *e, uint32_t *seed)
{
	uint64_t n = count(e), apart = n / zcp_test_rounds(N_PLACES) + 1;
	uint64_t first = zcp_test_random(seed) % apart;

	(void)printf("%s: %llu instructions, from %llu on each %llu\n", e->name,
		     (unsigned long long)n, (unsigned long long)first, (unsigned long long)apart);
	(void)fflush(stdout);
	for (uint64_t place = first; place < n; place += apart)
		meet(e, place);
}

int main(void)
{
	uint32_t seed = (uint32_t)getpid();

	zcp_test_watchdog(100);
#ifdef ZCP_TEST_TSAN
	(void)fprintf(stderr, "skipped: each step of ThreadSanitizer's own would be one too\n");
	return ZCP_TEST_SKIPPED;
#endif
	for (size_t i = 0; i < sizeof(encounters) / sizeof(encounters[0]); i++)
		meet_at_places(&encounters[i], &seed);
	return 0;
}
