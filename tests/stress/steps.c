/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every state that a kill can leave of a publisher. A child goes through one operation instruction
 * by instruction; at each of them its parent looks at the shared memory and checks what the runtime
 * relies on: which of the steps of a loan or a publish have been made must follow from what is
 * there.
 */
#include "tests/stress/steps_helpers.h"

/* --- publish --- */

/* The stages of a publish as they can be told from outside. */
enum {
	LOANED = 1 << 0,
	NUMBERED = 1 << 1,
	DROPPED = 1 << 2,
	PUSHED_SOME = 1 << 3,
	PUSHED_ALL = 1 << 4,
	COUNTED = 1 << 5,
	UNLOANED = 1 << 6,
	DONE = 1 << 7,
};

static struct zcp_description description_of(const struct scene *s, uint32_t subscriber,
					     uint64_t seq)
{
	const struct zcp_lane_slot_shm *slot = slot_of(s, subscriber, seq);
	struct zcp_description description;

	memset(&description, 0, sizeof(description));
	zcp_slot_describe(slot, zcp_test_load(&slot->word), &description);
	return description;
}

/* The message as the descriptor has it. */
static bool is_numbered(const struct scene *s)
{
	const struct zcp_chunk_shm *chunk = s->loan.chunk;
	uint64_t seq = zcp_test_load(&chunk->seq);

	ZCP_CHECK(seq == 0 || seq == s->seq);
	if (seq == 0)
		return false;
	ZCP_CHECK(zcp_test_load(&chunk->size) == PAYLOAD);
	ZCP_CHECK(zcp_test_load(&chunk->publish_time_ns) != 0);
	ZCP_CHECK(zcp_test_load(&chunk->publisher_id) == s->writer.options.publisher_id);
	ZCP_CHECK(zcp_test_load(&chunk->user_header_size) == 0);
	return true;
}

/* Whether the lane has the message; else its slot is as it was. */
static bool is_pushed(const struct scene *s, uint32_t subscriber)
{
	uint64_t word = zcp_test_load(&slot_of(s, subscriber, s->seq)->word);
	struct zcp_description description = description_of(s, subscriber, s->seq);

	if (!zcp_slot_is(word, s->seq)) {
		ZCP_CHECK(word == s->words[subscriber]);
		return false;
	}
	ZCP_CHECK(description.ref == s->loan.ref && description.size == PAYLOAD);
	ZCP_CHECK(description.publish_time_ns == zcp_test_load(&s->loan.chunk->publish_time_ns));
	ZCP_CHECK(description.publisher_id == s->writer.options.publisher_id);
	ZCP_CHECK(description.user_header_size == 0);
	return true;
}

/* The first lane's old message is whole as long as its subscriber may take it. */
static bool is_dropped(const struct scene *s)
{
	struct zcp_description description = description_of(s, 0, s->seq);
	uint64_t tail = zcp_test_load(&ack_of(s, 0)->tail);

	ZCP_CHECK(tail == s->seq - 1 || tail == s->seq);
	if (tail == s->seq)
		return true;
	ZCP_CHECK(memcmp(&description, &s->dropped, sizeof(description)) == 0);
	return false;
}

static void check_publish(struct scene *s)
{
	uint32_t state = zcp_test_load(&s->loan.chunk->state), n_pushed = 0;
	uint64_t next_seq = zcp_test_load(&publisher_of(s)->next_seq);
	bool loaned = state == zcp_chunk_state(OWNER, ZCP_CHUNK_LOANED);
	bool inside = is_inside(s), counted = next_seq == s->seq + 1;
	bool numbered = is_numbered(s), dropped = is_dropped(s);

	ZCP_CHECK(loaned || state == zcp_chunk_state(OWNER, 0));
	ZCP_CHECK(counted || next_seq == s->seq);
	for (uint32_t i = 0; i < N_SUBSCRIBERS; i++) {
		n_pushed += is_pushed(s, i);
		ZCP_CHECK(i == 0 || zcp_test_load(&ack_of(s, i)->tail) == s->seq);
	}
	/* Steps 3 to 6: each of them only after the one before. */
	if (dropped || n_pushed > 0)
		ZCP_CHECK(numbered);
	if (n_pushed > 0)
		ZCP_CHECK(dropped);
	if (counted)
		ZCP_CHECK(n_pushed == N_SUBSCRIBERS);
	if (!loaned)
		ZCP_CHECK(counted);
	/* Inside op is all that has to be finished: else it is a loan, which is freed. */
	if (!inside)
		ZCP_CHECK(numbered ? !loaned : !dropped);
	see(s, !loaned                   ? (inside ? UNLOANED : DONE) :
	       counted                   ? COUNTED :
	       n_pushed == N_SUBSCRIBERS ? PUSHED_ALL :
	       n_pushed > 0              ? PUSHED_SOME :
	       dropped                   ? DROPPED :
	       numbered                  ? NUMBERED :
					   LOANED);
}

static void publish(void *arg)
{
	struct scene *s = arg;

	ZCP_CHECK(zcp_writer_publish(&s->writer, &s->loan, PAYLOAD, 0) == 0);
}

static void publish_in_vain(void *arg)
{
	struct scene *s = arg;

	ZCP_CHECK(zcp_writer_publish(&s->writer, &s->loan, PAYLOAD, 0) == ZCP_WRITER_E_FULL);
}

static void loan_for_publish(struct scene *s)
{
	ZCP_CHECK(zcp_writer_loan(&s->writer, PAYLOAD, &s->loan) == 0);
	for (uint32_t i = 0; i < N_SUBSCRIBERS; i++)
		s->words[i] = zcp_test_load(&slot_of(s, i, s->seq)->word);
	s->dropped = description_of(s, 0, s->seq);
}

static void step_publish(bool symmetric)
{
	struct scene s;

	scene_init(&s, N_CHUNKS, symmetric, false);
	loan_for_publish(&s);
	single_step(&s, publish, check_publish);
	/* It did look, and the parent did see it on the way. */
	ZCP_CHECK(s.seen == (DONE << 1) - 1);
	(void)printf("publish: %llu steps\n", (unsigned long long)s.n_steps);
	scene_deinit(&s);
}

/* Where a blocking lane is full nothing is changed. */
static void step_publish_in_vain(void)
{
	struct scene s;

	scene_init(&s, N_CHUNKS, false, true);
	loan_for_publish(&s);
	single_step(&s, publish_in_vain, check_publish);
	ZCP_CHECK(s.seen == LOANED);
	scene_deinit(&s);
}

/*
 * A subscriber leaves after `n` instructions of a publish. Returns whether the publisher
 * was inside; if it was not, the runtime is through with it, and it must not push there.
 */
static bool leave_after(uint64_t n)
{
	struct zcp_topic_shm *shm;
	struct scene s;
	bool inside;
	pid_t pid;

	scene_init(&s, N_CHUNKS, false, false);
	shm = s.bed.view.topic.shm;
	loan_for_publish(&s);
	pid = zcp_tracee_start(publish, &s);
	for (uint64_t i = 0; i < n; i++)
		ZCP_CHECK(zcp_tracee_step(pid));
	zcp_test_store(&shm->active[0], 5);
	zcp_test_store(&shm->present[0], 5);
	zcp_test_store(&shm->version, zcp_test_load(&shm->version) + 1);
	inside = is_inside(&s);
	ZCP_CHECK(!zcp_tracee_continue(pid));
	ZCP_CHECK(is_pushed(&s, 0) && is_pushed(&s, 2));
	if (!inside)
		ZCP_CHECK(!is_pushed(&s, 1));
	scene_deinit(&s);
	return inside;
}

/* Up to the instruction that says "inside". */
static void step_leave(void)
{
	uint64_t n_before = 0;
	struct scene s;
	pid_t pid;

	scene_init(&s, N_CHUNKS, false, false);
	loan_for_publish(&s);
	pid = zcp_tracee_start(publish, &s);
	for (; !is_inside(&s); n_before++)
		ZCP_CHECK(zcp_tracee_step(pid));
	zcp_tracee_kill(pid);
	scene_deinit(&s);
	for (uint64_t n = n_before > 200 ? n_before - 200 : 0; n < n_before; n++)
		ZCP_CHECK(!leave_after(n));
	ZCP_CHECK(leave_after(n_before));
}

/* --- a chunk --- */

static void expect_chunk(struct scene *s, uint32_t ref)
{
	s->loan.ref = ref;
	s->loan.chunk = zcp_pool_descriptor(&s->bed.view.pool, ref);
	s->state = zcp_test_load(&s->loan.chunk->state);
	s->chunk_seq = zcp_test_load(&s->loan.chunk->seq);
	s->n_freed = zcp_test_load(&s->bed.view.pool.classes[0].shm->n_freed);
}

/* A chunk is as it was, or LOANED, and outside op that is a loan without a number. */
static void check_loan(struct scene *s)
{
	uint32_t state = zcp_test_load(&s->loan.chunk->state);
	uint64_t seq = zcp_test_load(&s->loan.chunk->seq);
	bool loaned = state == zcp_chunk_state(OWNER, ZCP_CHUNK_LOANED), inside = is_inside(s);

	ZCP_CHECK(loaned || state == s->state);
	ZCP_CHECK(seq == s->chunk_seq || (loaned && seq == 0));
	/* What is LOANED with the next number is a publish. */
	ZCP_CHECK(seq < zcp_test_load(&publisher_of(s)->next_seq));
	if (loaned && !inside)
		ZCP_CHECK(seq == 0);
	if (loaned)
		ZCP_CHECK(zcp_ref_index(s->loan.ref) < zcp_testbed_n_touched(&s->bed));
	see(s, !loaned ? LOANED : inside && s->chunk_seq != 0 && seq != 0 ? NUMBERED : DONE);
}

static void loan(void *arg)
{
	struct scene *s = arg;
	struct zcp_writer_loan now;

	ZCP_CHECK(zcp_writer_loan(&s->writer, PAYLOAD, &now) == 0);
	ZCP_CHECK(now.ref == s->loan.ref);
}

static void step_loan_of_free(void)
{
	struct scene s;

	scene_init(&s, N_CHUNKS, false, false);
	expect_chunk(&s, zcp_ref(0, 1));
	ZCP_CHECK(s.state == ZCP_CHUNK_FREE);
	single_step(&s, loan, check_loan);
	ZCP_CHECK(s.seen == (LOANED | DONE));
	scene_deinit(&s);
}

static void step_loan_of_spare(void)
{
	struct scene s;

	scene_init(&s, N_CHUNKS, false, false);
	ZCP_CHECK(zcp_writer_loan(&s.writer, PAYLOAD, &s.loan) == 0);
	zcp_writer_discard(&s.writer, &s.loan);
	expect_chunk(&s, s.loan.ref);
	ZCP_CHECK(s.state == zcp_chunk_state(OWNER, 0) && s.chunk_seq == 0);
	single_step(&s, loan, check_loan);
	ZCP_CHECK(s.seen == (LOANED | DONE));
	scene_deinit(&s);
}

/* There is no other one. */
static void step_loan_of_published(void)
{
	struct scene s;

	scene_init(&s, 2, false, false);
	send(&s);
	expect_chunk(&s, zcp_ref(0, 0));
	ZCP_CHECK(s.state == zcp_chunk_state(OWNER, 0) && s.chunk_seq == 1);
	single_step(&s, loan, check_loan);
	ZCP_CHECK(s.seen == (LOANED | NUMBERED | DONE));
	scene_deinit(&s);
}

/* FREE implies that it has no number, and is counted after it. */
static void check_free(struct scene *s)
{
	uint32_t state = zcp_test_load(&s->loan.chunk->state);
	uint64_t seq = zcp_test_load(&s->loan.chunk->seq);
	uint32_t n_freed = zcp_test_load(&s->bed.view.pool.classes[0].shm->n_freed) - s->n_freed;

	ZCP_CHECK(state == s->state || state == ZCP_CHUNK_FREE ||
		  state == zcp_chunk_state(OWNER, 0));
	ZCP_CHECK(seq == 0 || (seq == s->chunk_seq && state != ZCP_CHUNK_FREE));
	ZCP_CHECK(n_freed <= (state == ZCP_CHUNK_FREE));
	see(s, n_freed > 0 ? DONE : state != s->state ? COUNTED : LOANED);
}

static void discard(void *arg)
{
	struct scene *s = arg;

	zcp_writer_discard(&s->writer, &s->loan);
}

static void free_published(void *arg)
{
	struct scene *s = arg;

	zcp_chunks_free(&s->writer.chunks, zcp_chunks_pop_oldest(&s->writer.chunks));
}

/* To the spare ones; and where there are as many as rotate, to the pool. */
static void step_discard(uint32_t n_spare)
{
	struct zcp_writer_loan loans[ZCP_ROTATION_SMALL];
	struct scene s;

	scene_init(&s, N_CHUNKS, false, false);
	for (uint32_t i = 0; i < n_spare; i++)
		ZCP_CHECK(zcp_writer_loan(&s.writer, PAYLOAD, &loans[i]) == 0);
	ZCP_CHECK(zcp_writer_loan(&s.writer, PAYLOAD, &s.loan) == 0);
	for (uint32_t i = 0; i < n_spare; i++)
		zcp_writer_discard(&s.writer, &loans[i]);
	expect_chunk(&s, s.loan.ref);
	single_step(&s, discard, check_free);
	ZCP_CHECK(s.seen == (LOANED | COUNTED | (n_spare < ZCP_ROTATION_SMALL ? 0 : DONE)));
	scene_deinit(&s);
}

static void step_free(void)
{
	struct scene s;

	scene_init(&s, N_CHUNKS, false, false);
	expect_chunk(&s, zcp_ref(0, 0));
	ZCP_CHECK(s.chunk_seq == 1);
	single_step(&s, free_published, check_free);
	ZCP_CHECK(s.seen == (LOANED | COUNTED | DONE));
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
	step_publish_in_vain();
	step_leave();
	step_loan_of_free();
	step_loan_of_spare();
	step_loan_of_published();
	step_discard(0);
	step_discard(ZCP_ROTATION_SMALL);
	step_free();
	return 0;
}
