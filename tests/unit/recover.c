/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the runtime does for a publisher that is gone: the publish or loan that it died in, what it
 * leaves, and what is swept of that. A registry without a server; a publisher that is stopped where
 * the test says.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/open/open.h"
#include "runtime/repair/reclaim.h"
#include "runtime/repair/sweep.h"
#include "tests/unit/plane_helpers.h"

#define TOPIC "map"
#define DEPTH_LOG2 2
#define CAPACITY (1 << DEPTH_LOG2)
#define N_SUBSCRIBERS 2

static struct zcpd_topic *topic;
static struct zcpd_endpoint *publisher;
static struct zcpd_endpoint *subscribers[N_SUBSCRIBERS];
static struct zcp_writer writer;
static struct zcp_reader readers[N_SUBSCRIBERS];

static void open_all(const char *toml)
{
	begin(toml);
	cr_assert_eq(publish(TOPIC, 64, 4, &publisher), 0, "%s", text);
	topic = publisher->topic;
	open_writer(publisher, &writer);
	for (int s = 0; s < N_SUBSCRIBERS; s++) {
		cr_assert_eq(subscribe(TOPIC, CAPACITY, 8, &subscribers[s]), 0, "%s", text);
		open_reader(subscribers[s], &readers[s]);
	}
}

static void setup(void)
{
	open_all("");
}

static void teardown(void)
{
	zcp_writer_deinit(&writer);
	for (int s = 0; s < N_SUBSCRIBERS; s++)
		zcp_reader_deinit(&readers[s]);
	zcp_pool_deinit(&pool);
	end();
}

TestSuite(recover, .init = setup, .fini = teardown, .timeout = 60);

static struct zcp_publisher_slot_shm *slot(void)
{
	return &topic->view.publishers[0];
}

/* It died inside op. */
static void stop_inside(void)
{
	zcp_test_store(&slot()->op, zcp_test_load(&slot()->op) + 1);
	cr_assert_eq(zcp_test_load(&slot()->op) % 2, 1);
}

/* A loan that has come as far as step 3 of a publish. */
static struct zcp_writer_loan begin_to_publish(void)
{
	struct zcp_writer_loan loan;

	cr_assert_eq(zcp_writer_loan(&writer, 64, &loan), 0);
	zcp_test_fill(loan.payload, 64, 0, writer.next_seq);
	zcp_test_store(&loan.chunk->size, 64);
	zcp_test_store(&loan.chunk->publish_time_ns, 99);
	zcp_test_store(&loan.chunk->publisher_id, publisher->entry.id);
	zcp_test_store(&loan.chunk->user_header_size, 0);
	zcp_test_store(&loan.chunk->seq, writer.next_seq);
	stop_inside();
	return loan;
}

/* Step 4 for one subscriber. */
static void push_to(int s, const struct zcp_writer_loan *loan)
{
	const struct zcp_description description = { .size = 64,
						     .ref = loan->ref,
						     .publisher_id = publisher->entry.id,
						     .next_ref = ZCP_REF_NONE };
	struct zcp_lane lane = zcpd_topic_lane(topic, 0, subscribers[s]);
	uint64_t tail = zcp_test_load(&lane.ack->tail);

	if (zcp_lane_is_full(&lane, writer.next_seq, tail))
		cr_assert(zcp_lane_push_out(&lane, writer.next_seq, &tail));
	zcp_lane_put(&lane, writer.next_seq, &description);
}

static uint32_t state_of(const struct zcp_writer_loan *loan)
{
	return zcp_test_load(&loan->chunk->state);
}

static void assert_recovered(uint64_t next_seq)
{
	cr_assert_eq(zcp_test_load(&slot()->op) % 2, 0);
	cr_assert_eq(zcp_test_load(&slot()->next_seq), next_seq);
	cr_assert_eq(zcp_test_load(&topic->view.shm->publishers) & 1, 0);
}

/* --- a loan --- */

Test(recover, loan_that_has_no_number_is_free)
{
	struct zcp_writer_loan loans[4];

	for (int i = 0; i < 4; i++)
		cr_assert_eq(zcp_writer_loan(&writer, 64, &loans[i]), 0);
	/* Another one is spare. */
	zcp_writer_discard(&writer, &loans[3]);
	close_endpoint(publisher);
	assert_recovered(1);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(state_of(&loans[i]), ZCP_CHUNK_FREE);
	cr_assert_eq(n_owned(topic), 0);
}

/* It had just chosen the chunk of a message that came back, and had not taken its number off. */
Test(recover, loan_that_still_has_its_old_number_is_free_as_that_message_is)
{
	struct zcp_chunk_shm *chunk;

	publish_one(&writer);
	expect_and_release(&readers[0], 1, 0);
	expect_and_release(&readers[1], 1, 0);
	chunk = zcp_pool_descriptor(&pool, writer.chunks.published.first);
	zcp_test_store(&chunk->state, zcp_chunk_state(publisher->entry.owner, ZCP_CHUNK_LOANED));
	stop_inside();
	close_endpoint(publisher);
	assert_recovered(2);
	cr_assert_eq(zcp_test_load(&chunk->state), ZCP_CHUNK_FREE);
	cr_assert_eq(zcp_test_load(&chunk->seq), 0);
	expect_nothing(&readers[0]);
}

/* --- a publish --- */

Test(recover, publish_that_has_a_number_is_finished)
{
	struct zcp_writer_loan loan;
	struct zcp_reader_message m;

	publish_one(&writer);
	loan = begin_to_publish();
	close_endpoint(publisher);
	assert_recovered(3);
	cr_assert_eq(state_of(&loan), zcp_chunk_state(topic->entry.owners[0], 0));
	for (int s = 0; s < N_SUBSCRIBERS; s++) {
		expect_and_release(&readers[s], 1, 0);
		m = expect(&readers[s], 2, 0);
		cr_assert_eq(m.size, 64);
		cr_assert_eq(m.publish_time_ns, 99);
		cr_assert_eq(m.publisher_id, writer.options.publisher_id);
		cr_assert_eq(m.payload, loan.payload);
		cr_assert_eq(zcp_reader_release(&readers[s], m.place, m.held), 0);
		expect_nothing(&readers[s]);
	}
}

Test(recover, publish_is_pushed_to_those_alone_that_lack_it)
{
	struct zcp_writer_loan loan;

	publish_one(&writer);
	loan = begin_to_publish();
	push_to(0, &loan);
	expect_and_release(&readers[0], 1, 0);
	expect_and_release(&readers[0], 2, 0);
	close_endpoint(publisher);
	assert_recovered(3);
	expect_nothing(&readers[0]);
	expect_and_release(&readers[1], 1, 0);
	expect_and_release(&readers[1], 2, 0);
	expect_nothing(&readers[1]);
}

Test(recover, publish_pushes_out_the_oldest_where_a_queue_is_full)
{
	for (int i = 0; i < CAPACITY + 2; i++)
		publish_one(&writer);
	expect_and_release(&readers[1], 3, 2);
	(void)begin_to_publish();
	close_endpoint(publisher);
	assert_recovered(CAPACITY + 4);
	expect_and_release(&readers[0], 4, 3);
	expect_and_release(&readers[1], 4, 0);
	for (int s = 0; s < N_SUBSCRIBERS; s++) {
		for (uint64_t seq = 5; seq < CAPACITY + 4; seq++)
			expect_and_release(&readers[s], seq, 0);
		expect_nothing(&readers[s]);
	}
}

/* It had pushed one out for the message, and not put it there. */
Test(recover, publish_that_had_made_room_is_put_there)
{
	struct zcp_lane lane = zcpd_topic_lane(topic, 0, subscribers[0]);
	uint64_t tail;

	for (int i = 0; i < CAPACITY; i++)
		publish_one(&writer);
	(void)begin_to_publish();
	cr_assert(zcp_lane_push_out(&lane, writer.next_seq, &tail));
	close_endpoint(publisher);
	assert_recovered(CAPACITY + 2);
	expect_and_release(&readers[0], 2, 1);
	for (uint64_t seq = 3; seq < CAPACITY + 2; seq++)
		expect_and_release(&readers[0], seq, 0);
	expect_nothing(&readers[0]);
}

/* All have it; the next number says so, or does not yet. */
Test(recover, publish_that_was_pushed_to_all_is_pushed_to_nobody_again)
{
	struct zcp_writer_loan loan = begin_to_publish();

	for (int s = 0; s < N_SUBSCRIBERS; s++)
		push_to(s, &loan);
	zcp_test_store(&slot()->next_seq, 2);
	/* Where it was pushed again, one that has taken it would find it once more. */
	expect_and_release(&readers[0], 1, 0);
	close_endpoint(publisher);
	assert_recovered(2);
	cr_assert_eq(state_of(&loan), zcp_chunk_state(topic->entry.owners[0], 0));
	expect_nothing(&readers[0]);
	expect_and_release(&readers[1], 1, 0);
	expect_nothing(&readers[1]);
}

Test(recover, number_that_no_publish_can_have_is_free)
{
	struct zcp_writer_loan loans[3];

	publish_one(&writer);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(zcp_writer_loan(&writer, 64, &loans[i]), 0);
	/* Outside op none is being published; and two numbers are not there yet. */
	zcp_test_store(&loans[0].chunk->seq, 2);
	zcp_test_store(&loans[1].chunk->seq, 3);
	zcp_test_store(&loans[2].chunk->seq, UINT64_C(1) << 62);
	close_endpoint(publisher);
	assert_recovered(2);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(state_of(&loans[i]), ZCP_CHUNK_FREE);
	expect_and_release(&readers[0], 1, 0);
	expect_nothing(&readers[0]);
}

Test(recover, publish_is_not_pushed_to_one_that_is_no_longer_active)
{
	struct zcp_lane lane = zcpd_topic_lane(topic, 0, subscribers[0]);

	publish_one(&writer);
	(void)begin_to_publish();
	zcpd_registry_deactivate(&registry, subscribers[0]);
	cr_assert_eq(zcp_test_load(&lane.shm->end), 0);
	close_endpoint(publisher);
	assert_recovered(3);
	/* It ended before the message that it did not get. */
	cr_assert_eq(zcp_test_load(&lane.shm->end), 2);
	expect_and_release(&readers[0], 1, 0);
	expect_nothing(&readers[0]);
	expect_and_release(&readers[1], 1, 0);
	expect_and_release(&readers[1], 2, 0);
}

/* It joins meanwhile, and the dead one has not seen it. */
Test(recover, publish_is_the_first_one_of_a_subscriber_that_was_not_seen_yet)
{
	struct zcpd_endpoint *late;
	struct zcp_reader reader;

	publish_one(&writer);
	(void)begin_to_publish();
	{
		struct zcp_open_subscriber request = { .topic = TOPIC, .depth = 4, .held = 4 };

		cr_assert_eq(zcpd_open_subscriber(&registry, &client, &request, 1, &late, text,
						  sizeof(text)),
			     0);
	}
	close_endpoint(publisher);
	assert_recovered(3);
	(void)zcpd_registry_poll(&registry);
	cr_assert_eq(late->entry.state, ZCPD_ENDPOINT_OPEN);
	open_reader(late, &reader);
	expect_and_release(&reader, 2, 0);
	expect_nothing(&reader);
	zcp_reader_deinit(&reader);
}

Test(recover, next_publisher_goes_on_behind_it)
{
	struct zcpd_endpoint *next;
	uint32_t owner = publisher->entry.owner;

	publish_one(&writer);
	(void)begin_to_publish();
	zcp_writer_deinit(&writer);
	close_endpoint(publisher);
	cr_assert_eq(publish(TOPIC, 64, 4, &next), 0);
	cr_assert_eq(next->entry.slot, 0);
	cr_assert_eq(next->entry.owner, owner);
	open_writer(next, &writer);
	publish_one(&writer);
	for (uint64_t seq = 1; seq <= 3; seq++)
		expect_and_release(&readers[0], seq, 0);
	/* All of them are its chunks. */
	cr_assert_eq(zcp_chunks_n(&writer.chunks), 3);
}

/* --- a worker that dies in between --- */

#define PAGE 4096

/* What the runtime changes, and what it was. */
struct part {
	char *base;
	size_t size;
	char *before;
};

static struct part parts[3];

static void remember(void)
{
	const struct zcp_region *regions[] = { &topic->view.region, &topic->acks.region,
					       &topic->pool->view.classes[0].chunks_region };

	for (int i = 0; i < 3; i++) {
		parts[i] = (struct part){ regions[i]->base, regions[i]->size,
					  malloc(regions[i]->size) };
		cr_assert_not_null(parts[i].before);
		memcpy(parts[i].before, parts[i].base, parts[i].size);
	}
}

static void restore(void)
{
	for (int i = 0; i < 3; i++)
		memcpy(parts[i].base, parts[i].before, parts[i].size);
}

/* Runs in a process of its own; returns how it ended. */
static int in_child(void (*run)(void *), void *arg)
{
	int status;
	pid_t pid = fork();

	ZCP_CHECK(pid >= 0);
	if (pid == 0) {
		(void)signal(SIGSEGV, SIG_DFL);
		run(arg);
		_exit(0);
	}
	ZCP_CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static void recover(void *page)
{
	if (page)
		ZCP_CHECK(mprotect(page, PAGE, PROT_READ) == 0);
	zcpd_publisher_recover(topic, publisher, &registry.signals, registry.signal_fds);
}

static void check_next(struct zcp_reader *reader, uint64_t seq, uint64_t n_lost)
{
	struct zcp_reader_message m;

	ZCP_CHECK(zcp_reader_take(reader, &m) == 0);
	ZCP_CHECK(m.seq == seq && m.n_lost == n_lost);
	ZCP_CHECK(zcp_test_is_filled(m.payload, 64, 0, seq));
	ZCP_CHECK(zcp_reader_release(reader, m.place, m.held) == 0);
}

/* A worker dies at its first change of the page, and the next one comes to the end. */
static void recover_twice(void *page)
{
	struct zcp_reader_message m;
	uint32_t n = 0;

	ZCP_CHECK(WIFSIGNALED(in_child(recover, page)));
	recover(NULL);
	ZCP_CHECK(zcp_test_load(&slot()->op) % 2 == 0);
	ZCP_CHECK(zcp_test_load(&slot()->next_seq) == CAPACITY + 2);
	for (uint32_t i = 0; i < topic->pool->view.classes[0].n_chunks; i++) {
		const struct zcp_chunk_shm *chunk = &topic->pool->view.classes[0].chunks[i];
		uint32_t state = zcp_test_load(&chunk->state);

		ZCP_CHECK(!(state & ZCP_CHUNK_FLAGS));
		ZCP_CHECK((state == ZCP_CHUNK_FREE) == (zcp_test_load(&chunk->seq) == 0));
		n += state != ZCP_CHUNK_FREE;
	}
	ZCP_CHECK(n == CAPACITY + 1);
	check_next(&readers[0], 2, 0);
	check_next(&readers[1], 2, 1);
	for (int s = 0; s < N_SUBSCRIBERS; s++) {
		for (uint64_t seq = 3; seq < CAPACITY + 2; seq++)
			check_next(&readers[s], seq, 0);
		ZCP_CHECK(zcp_reader_take(&readers[s], &m) == ZCP_READER_E_EMPTY);
	}
}

Test(recover, worker_that_dies_at_any_page_is_followed_by_one_that_comes_to_the_end)
{
	struct zcp_writer_loan loans[2];
	static char *changed[1024];
	int n_changed = 0;

	for (int i = 0; i < CAPACITY; i++)
		publish_one(&writer);
	expect_and_release(&readers[0], 1, 0);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(zcp_writer_loan(&writer, 64, &loans[i]), 0);
	zcp_writer_discard(&writer, &loans[0]);
	(void)begin_to_publish();
	remember();
	cr_assert_eq(in_child(recover, NULL), 0);
	for (int i = 0; i < 3; i++)
		for (size_t at = 0; at < parts[i].size && n_changed < 1024; at += PAGE)
			if (memcmp(parts[i].base + at, parts[i].before + at, PAGE) != 0)
				changed[n_changed++] = parts[i].base + at;
	/* The slot, the second subscriber's ack, the chunks; lanes share pages with other things. */
	cr_assert_geq(n_changed, 4);
	for (int i = 0; i < n_changed; i++) {
		restore();
		cr_assert_eq(in_child(recover_twice, changed[i]), 0, "page %d", i);
	}
	for (int i = 0; i < 3; i++)
		free(parts[i].before);
}

/* --- what is swept --- */

Test(recover, what_a_publisher_left_is_swept_as_far_as_nobody_has_it)
{
	struct zcp_reader_message held;

	for (int i = 0; i < 3; i++)
		publish_one(&writer);
	held = expect(&readers[0], 1, 0);
	expect_and_release(&readers[0], 2, 0);
	expect_and_release(&readers[1], 1, 0);
	expect_and_release(&readers[1], 2, 0);
	/* Never what is a living one's. */
	cr_assert_eq(zcpd_topic_sweep(topic, true), 0);
	/* 1 is held, 3 is in both queues. */
	close_endpoint(publisher);
	cr_assert_eq(n_owned(topic), 2);
	cr_assert_eq(zcpd_topic_sweep(topic, false), 0);
	cr_assert(topic->has_left);
	cr_assert(zcp_test_is_filled(held.payload, 64, 0, 1));
	cr_assert_eq(zcp_reader_release(&readers[0], held.place, held.held), 0);
	cr_assert_eq(zcpd_topic_sweep(topic, false), 1);
	expect_and_release(&readers[0], 3, 0);
	cr_assert_eq(zcpd_topic_sweep(topic, false), 0);
	/* Who leaves has nothing any more. */
	close_endpoint(subscribers[1]);
	cr_assert_eq(n_owned(topic), 0);
	cr_assert_not(topic->has_left);
}

Test(recover, one_that_is_no_longer_active_keeps_what_was_sent_to_it)
{
	publish_one(&writer);
	zcpd_registry_deactivate(&registry, subscribers[0]);
	publish_one(&writer);
	expect_and_release(&readers[1], 1, 0);
	expect_and_release(&readers[1], 2, 0);
	close_endpoint(publisher);
	cr_assert_eq(n_owned(topic), 1);
	cr_assert_eq(zcpd_topic_sweep(topic, false), 0);
	expect_and_release(&readers[0], 1, 0);
	cr_assert_eq(zcpd_topic_sweep(topic, false), 1);
}

Test(recover_shared, all_that_is_left_is_free_where_the_topic_ends)
{
	struct zcpd_endpoint *other;
	struct zcpd_pool *shared;

	open_all("[pool.p]\nclasses = [{size = 64, count = 200}]\n[topic.\"*\"]\npool = \"p\"\n");
	shared = topic->pool;
	cr_assert_eq(publish("other", 64, 1, &other), 0);
	for (int s = 0; s < N_SUBSCRIBERS; s++) {
		zcp_reader_deinit(&readers[s]);
		close_endpoint(subscribers[s]);
	}
	for (int i = 0; i < 3; i++)
		publish_one(&writer);
	cr_assert_gt(n_owned(topic), 0);
	close_endpoint(publisher);
	/* The pool goes on. */
	cr_assert_null(zcpd_registry_topic(&registry, TOPIC));
	cr_assert_eq(other->topic->pool, shared);
	cr_assert_eq(n_owned(other->topic), 0);
	teardown();
}

Test(recover, chunks_of_owners_that_nobody_is_are_free)
{
	const struct zcp_class *class = &topic->pool->view.classes[0];

	publish_one(&writer);
	zcp_class_touch(class, 4);
	zcp_test_store(&class->chunks[2].state, zcp_chunk_state(publisher->entry.owner + 1, 0));
	zcp_test_store(&class->chunks[2].seq, 7);
	zcp_test_store(&class->chunks[3].state,
		       zcp_chunk_state(publisher->entry.owner + 1, ZCP_CHUNK_LOANED));
	/* A runtime died while it gave its memory back. */
	zcp_test_store(&class->chunks[4].state,
		       zcp_chunk_state(ZCP_OWNER_RUNTIME, ZCP_CHUNK_LOANED));
	cr_assert_eq(zcpd_pool_free_strangers(topic->pool), 3);
	cr_assert_eq(n_owned(topic), 1);
	cr_assert_eq(zcp_test_load(&class->chunks[2].seq), 0);
	expect_and_release(&readers[0], 1, 0);
}
