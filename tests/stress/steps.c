/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every state that a kill can leave. A child goes through one operation instruction by
 * instruction; at each of them its parent looks at the shared memory and checks what the
 * runtime relies on when it recovers a dead process: which of the steps of a publish have
 * been made must follow from what is there.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pubsub/shm/lane.h"
#include "tests/support/check.h"
#include "tests/support/testbed.h"

#define PAYLOAD 64
#define N_CHUNKS 8
#define N_SUBSCRIBERS 3

/* A topic in which one operation is about to be made. */
struct scene {
	struct zcp_testbed bed;
	struct zcp_writer writer;
	struct zcp_reader readers[N_SUBSCRIBERS];
	struct zcp_reader_options subscribers[N_SUBSCRIBERS];
	/* the chunk that is loaned or taken, and its number */
	uint32_t ref;
	uint64_t seq;
	/* what the descriptor said before */
	uint64_t state;
	/* the chunk that the first lane will push out; it has no other holder */
	uint32_t old_ref;
	uint64_t n_steps;
	/* stages of the operation that were seen */
	uint32_t seen;
};

static struct zcp_chunk chunk_of(const struct scene *s, uint32_t ref)
{
	struct zcp_chunk chunk;

	ZCP_CHECK(zcp_pool_chunk(&s->bed.view.pool, ref, &chunk));
	return chunk;
}

static uint64_t slot_of(const struct scene *s, uint32_t subscriber, uint64_t seq)
{
	return zcp_test_load(&zcp_lane_slot(&s->readers[subscriber].lanes[0], seq)->word);
}

static uint32_t send(struct scene *s)
{
	uint32_t ref;

	ZCP_CHECK(zcp_writer_loan(&s->writer, PAYLOAD, &ref) == 0);
	ZCP_CHECK(zcp_writer_publish(&s->writer, ref, PAYLOAD, 0) == 0);
	return ref;
}

/*
 * Three subscribers: one whose lane of one slot is full, one with room, and one with a bit
 * in another word of `holders`.
 */
static void scene_init(struct scene *s, bool symmetric)
{
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(1, N_SUBSCRIBERS, 2, PAYLOAD,
								       N_CHUNKS);
	struct zcp_reader_message m;

	*s = (struct scene){ .seq = 2 };
	zcp_testbed_init(&s->bed, &options);
	s->bed.symmetric |= symmetric;
	for (uint32_t i = 0; i < N_SUBSCRIBERS; i++) {
		s->subscribers[i] = (struct zcp_reader_options){
			.slot = i,
			.holder = i * 100,
			.depth_log2 = i,
			.max_held = 2,
			.symmetric = s->bed.symmetric,
		};
		zcp_testbed_join(&s->bed, &s->subscribers[i]);
		zcp_testbed_reader(&s->bed.view, &s->subscribers[i], &s->readers[i]);
	}
	zcp_testbed_writer(&s->bed, &s->bed.view, 0, 1, &s->writer);
	s->old_ref = send(s);
	for (uint32_t i = 1; i < N_SUBSCRIBERS; i++) {
		ZCP_CHECK(zcp_reader_take(&s->readers[i], &m) == 0);
		(void)zcp_reader_release(&s->readers[i], m.place, m.ticket);
	}
}

static void scene_deinit(struct scene *s)
{
	for (uint32_t i = 0; i < N_SUBSCRIBERS; i++)
		zcp_reader_deinit(&s->readers[i]);
	zcp_writer_deinit(&s->writer);
	zcp_testbed_deinit(&s->bed);
}

static int step(pid_t pid)
{
	int status;

	ZCP_CHECK(ptrace(PTRACE_SINGLESTEP, pid, 0, 0) == 0);
	ZCP_CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

/* A child that is about to go through `body`, stopped. */
static pid_t start(struct scene *s, void (*body)(struct scene *))
{
	int status;
	pid_t pid = fork();

	ZCP_CHECK(pid >= 0);
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
			_exit(ZCP_TEST_SKIPPED);
		(void)raise(SIGSTOP);
		body(s);
		_exit(0);
	}
	ZCP_CHECK(waitpid(pid, &status, 0) == pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == ZCP_TEST_SKIPPED) {
		(void)fprintf(stderr, "skipped: no process can be traced here\n");
		_exit(ZCP_TEST_SKIPPED);
	}
	ZCP_CHECK(WIFSTOPPED(status));
	return pid;
}

/* Looks with `check` before each instruction of `body` and after the last. */
static void single_step(struct scene *s, void (*body)(struct scene *),
			void (*check)(struct scene *))
{
	pid_t pid = start(s, body);
	int status;

	do {
		check(s);
		s->n_steps++;
		status = step(pid);
	} while (WIFSTOPPED(status));
	ZCP_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	check(s);
}

/* The stages of a publish as they can be told from outside. */
enum {
	LOANED = 1 << 0,
	NUMBERED = 1 << 1,
	HELD = 1 << 2,
	PUSHED_SOME = 1 << 3,
	PUSHED_ALL = 1 << 4,
	COUNTED = 1 << 5,
	DONE = 1 << 6,
};

/* Bits of the message's holders that are set, in the subscribers' order. */
static uint32_t holders_of(const struct scene *s, const struct zcp_chunk *chunk)
{
	uint32_t bits = 0;

	for (uint32_t i = 0; i < N_SUBSCRIBERS; i++)
		if (zcp_chunk_has_holder(chunk->descriptor, s->subscribers[i].holder))
			bits |= 1U << i;
	return bits;
}

/* A slot that was overwritten says so until the old chunk's bit is clear. */
static void check_dropped(const struct scene *s)
{
	struct zcp_chunk old = chunk_of(s, s->old_ref);
	uint64_t slot = slot_of(s, 0, s->seq);
	bool held = zcp_chunk_has_holder(old.descriptor, s->subscribers[0].holder);

	if (zcp_slot_seq(slot) != s->seq) {
		ZCP_CHECK(slot == zcp_slot(s->seq - 1, ZCP_SLOT_LIVE, s->old_ref));
		ZCP_CHECK(held);
	} else {
		ZCP_CHECK(slot & ZCP_SLOT_DROPPED);
	}
	for (uint32_t i = 1; i < N_SUBSCRIBERS; i++)
		ZCP_CHECK(!(slot_of(s, i, s->seq) & ZCP_SLOT_DROPPED));
}

static bool is_inside(const struct scene *s)
{
	return zcp_test_load(&s->bed.view.topic.publishers[0].op) % 2 == 1;
}

static void check_publish(struct scene *s)
{
	const struct zcp_publisher_slot_shm *publisher = &s->bed.view.topic.publishers[0];
	struct zcp_chunk chunk = chunk_of(s, s->ref);
	uint32_t holders = holders_of(s, &chunk), all = (1U << N_SUBSCRIBERS) - 1, n_pushed = 0;
	bool loaned = zcp_test_load(&chunk.descriptor->state) & ZCP_CHUNK_LOANED;
	bool inside = is_inside(s);
	bool counted = zcp_test_load(&publisher->next_seq) == s->seq + 1;
	bool numbered = zcp_test_load(&chunk.descriptor->seq) == s->seq &&
			zcp_test_load(&chunk.header->seq) == s->seq &&
			zcp_test_load(&chunk.header->payload_size) == PAYLOAD;

	ZCP_CHECK(counted || zcp_test_load(&publisher->next_seq) == s->seq);
	for (uint32_t i = 0; i < N_SUBSCRIBERS; i++) {
		if (zcp_slot_seq(slot_of(s, i, s->seq)) != s->seq)
			continue;
		n_pushed++;
		ZCP_CHECK(zcp_slot_ref(slot_of(s, i, s->seq)) == s->ref);
		ZCP_CHECK(slot_of(s, i, s->seq) & ZCP_SLOT_LIVE);
	}
	/* Steps 3, 4, 5, 6, 7: each of them only after the one before. */
	if (holders)
		ZCP_CHECK(numbered);
	if (n_pushed > 0)
		ZCP_CHECK(holders == all);
	if (counted)
		ZCP_CHECK(n_pushed == N_SUBSCRIBERS);
	if (!loaned)
		ZCP_CHECK(counted);
	/* Inside op is all that has to be finished. */
	if (!inside)
		ZCP_CHECK(holders ? !loaned : n_pushed == 0);
	check_dropped(s);
	s->seen |= (loaned && !numbered ? LOANED : 0) | (numbered && !holders ? NUMBERED : 0) |
		   (holders == all && n_pushed == 0 ? HELD : 0) |
		   (n_pushed > 0 && n_pushed < N_SUBSCRIBERS ? PUSHED_SOME : 0) |
		   (n_pushed == N_SUBSCRIBERS && !counted ? PUSHED_ALL : 0) |
		   (counted && loaned ? COUNTED : 0) | (!loaned && !inside ? DONE : 0);
}

static void publish(struct scene *s)
{
	ZCP_CHECK(zcp_writer_publish(&s->writer, s->ref, PAYLOAD, 0) == 0);
}

static void step_publish(bool symmetric)
{
	struct scene s;

	scene_init(&s, symmetric);
	ZCP_CHECK(zcp_writer_loan(&s.writer, PAYLOAD, &s.ref) == 0);
	single_step(&s, publish, check_publish);
	/* It did look, and the parent did see it on the way. */
	ZCP_CHECK(s.seen == (DONE << 1) - 1);
	ZCP_CHECK(!zcp_chunk_has_holders(chunk_of(&s, s.old_ref).descriptor));
	(void)printf("publish: %llu steps\n", (unsigned long long)s.n_steps);
	scene_deinit(&s);
}

/*
 * A subscriber leaves after `n` instructions of a publish. Returns whether the publisher
 * was inside; if it was not, the runtime is through with it, and it must not push there.
 */
static bool leave_after(uint64_t n)
{
	struct scene s;
	uint64_t slot;
	bool inside;
	int status;
	pid_t pid;

	scene_init(&s, false);
	ZCP_CHECK(zcp_writer_loan(&s.writer, PAYLOAD, &s.ref) == 0);
	pid = start(&s, publish);
	for (uint64_t i = 0; i < n; i++)
		ZCP_CHECK(WIFSTOPPED(step(pid)));
	zcp_test_store(&s.bed.view.topic.shm->active[0], 5);
	zcp_test_store(&s.bed.view.topic.shm->version,
		       zcp_test_load(&s.bed.view.topic.shm->version) + 1);
	inside = is_inside(&s);
	slot = slot_of(&s, 1, s.seq);
	ZCP_CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
	ZCP_CHECK(waitpid(pid, &status, 0) == pid);
	ZCP_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	if (!inside) {
		struct zcp_chunk chunk = chunk_of(&s, s.ref);

		ZCP_CHECK(slot_of(&s, 1, s.seq) == slot);
		ZCP_CHECK(holders_of(&s, &chunk) == 5);
	}
	scene_deinit(&s);
	return inside;
}

/* Up to the instruction that says "inside". */
static void step_leave(void)
{
	uint64_t n_before = 0;
	struct scene s;
	pid_t pid;

	scene_init(&s, false);
	ZCP_CHECK(zcp_writer_loan(&s.writer, PAYLOAD, &s.ref) == 0);
	pid = start(&s, publish);
	for (; !is_inside(&s); n_before++)
		ZCP_CHECK(WIFSTOPPED(step(pid)));
	(void)kill(pid, SIGKILL);
	ZCP_CHECK(waitpid(pid, NULL, 0) == pid);
	scene_deinit(&s);
	for (uint64_t n = n_before > 200 ? n_before - 200 : 0; n < n_before; n++)
		ZCP_CHECK(!leave_after(n));
	ZCP_CHECK(leave_after(n_before));
}

/* A chunk is free, or it is loaned and says to whom. */
static void check_loan(struct scene *s)
{
	struct zcp_chunk chunk = chunk_of(s, s->ref);
	uint64_t state = zcp_test_load(&chunk.descriptor->state);
	uint64_t claimed = zcp_state(zcp_state_generation(s->state) + 1, 1, ZCP_CHUNK_LOANED);

	ZCP_CHECK(state == s->state || state == claimed);
	ZCP_CHECK(!zcp_chunk_has_holders(chunk.descriptor));
	s->seen |= state == claimed ? DONE : LOANED;
}

static void loan(struct scene *s)
{
	uint32_t ref;

	ZCP_CHECK(zcp_writer_loan(&s->writer, PAYLOAD, &ref) == 0 && ref == s->ref);
}

static void step_loan(void)
{
	struct scene s;

	scene_init(&s, false);
	/* The one that was discarded last is claimed next. */
	ZCP_CHECK(zcp_writer_loan(&s.writer, PAYLOAD, &s.ref) == 0);
	zcp_writer_discard(&s.writer, s.ref);
	s.state = zcp_test_load(&chunk_of(&s, s.ref).descriptor->state);
	single_step(&s, loan, check_loan);
	ZCP_CHECK(s.seen == (LOANED | DONE));
	scene_deinit(&s);
}

/* Whoever has not released has its bit; nobody else's bit moves. */
static void check_take(struct scene *s)
{
	struct zcp_chunk chunk = chunk_of(s, s->ref);
	uint32_t holders = holders_of(s, &chunk);
	bool live = slot_of(s, 1, s->seq) & ZCP_SLOT_LIVE;

	ZCP_CHECK((slot_of(s, 1, s->seq) | ZCP_SLOT_LIVE) ==
		  zcp_slot(s->seq, ZCP_SLOT_LIVE, s->ref));
	ZCP_CHECK((holders | 2) == 7);
	if (live)
		ZCP_CHECK(holders & 2);
	s->seen |= live ? PUSHED_ALL : holders & 2 ? HELD : DONE;
}

static void take(struct scene *s)
{
	struct zcp_reader_message m;

	ZCP_CHECK(zcp_reader_take(&s->readers[1], &m) == 0 && m.seq == s->seq);
	(void)zcp_reader_release(&s->readers[1], m.place, m.ticket);
}

static void step_take(void)
{
	struct scene s;

	scene_init(&s, false);
	s.ref = send(&s);
	single_step(&s, take, check_take);
	ZCP_CHECK(s.seen == (PUSHED_ALL | HELD | DONE));
	scene_deinit(&s);
}

int main(void)
{
	zcp_test_watchdog(100);
#ifdef ZCP_TEST_TSAN
	(void)fprintf(stderr, "skipped: each step of ThreadSanitizer's own would be one too\n");
	return ZCP_TEST_SKIPPED;
#endif
	step_publish(false);
	step_publish(true);
	step_leave();
	step_loan();
	step_take();
	return 0;
}
