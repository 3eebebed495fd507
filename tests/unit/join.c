/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joining while publishers go on, step by step: a registry without a server, and a publisher
 * that is held up in the middle of a publish.
 */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pubsub/flow/backlog.h"
#include "pubsub/shm/lane.h"
#include "pubsub/flow/reader.h"
#include "pubsub/flow/writer.h"
#include "tests/support/check.h"
#include "tests/unit/registry_helpers.h"

#define TOPIC "map"
#define HISTORY 3

static struct zcpd_endpoint *publishers[2];
static struct zcpd_topic *topic;
static struct zcp_writer writer;
/* The runtime itself does not map the chunks. */
static struct zcp_pool pool;

static void open_publisher(struct zcpd_endpoint **publisher)
{
	struct zcp_open_publisher request = {
		.topic = TOPIC, .max_payload = 64, .loans = 1, .history = HISTORY
	};

	cr_assert_eq(zcpd_registry_open_publisher(&registry, &client, &request, publisher, text,
						  sizeof(text)),
		     0);
}

/* Two publishers, the first with a data plane. */
static void setup(void)
{
	struct zcp_writer_options options = { .max_loans = 1, .history = HISTORY };

	const char *why;

	begin("");
	open_publisher(&publishers[0]);
	open_publisher(&publishers[1]);
	topic = publishers[0]->topic;
	options.owner = publishers[0]->owner;
	options.symmetric = true;
	for (uint32_t i = 0; i < topic->pool->view.n_classes; i++)
		cr_assert_eq(zcp_pool_attach(&pool, topic->pool->classes[i].chunks_fd,
					     topic->pool->classes[i].data_fd, registry.domain_id,
					     true, &why),
			     0);
	cr_assert_eq(zcp_writer_init(&writer, &topic->view, &pool, &registry.signals, &options), 0);
}

static void teardown(void)
{
	zcp_writer_deinit(&writer);
	zcp_pool_deinit(&pool);
	end();
}

TestSuite(join, .init = setup, .fini = teardown);

static void publish_one(void)
{
	uint32_t ref;

	cr_assert_eq(zcp_writer_loan(&writer, 64, &ref), 0);
	cr_assert_eq(zcp_writer_publish(&writer, ref, 64, 0), 0);
}

/* The second publisher is in the middle of a publish, or has left it. */
static void hold_up(bool inside)
{
	_Atomic uint64_t *op = &topic->view.publishers[publishers[1]->slot].op;

	zcp_test_store(op, zcp_test_load(op) + 1);
	cr_assert_eq(zcp_test_load(op) & 1, inside);
}

static struct zcpd_endpoint *open_subscriber(uint32_t history)
{
	struct zcp_open_subscriber request = {
		.topic = TOPIC, .depth = 1, .held = 4, .history = history
	};
	struct zcpd_endpoint *subscriber;

	joined = NULL;
	cr_assert_eq(zcpd_registry_open_subscriber(&registry, &client, &request, 1, &subscriber,
						   text, sizeof(text)),
		     0);
	return subscriber;
}

/* One that waits for the second publisher. */
static struct zcpd_endpoint *begin_to_join(uint32_t history)
{
	struct zcpd_endpoint *subscriber;

	hold_up(true);
	/* The runtime gives up after a while: again where this took us as long. */
	while (subscriber = open_subscriber(history), joined)
		close_endpoint(subscriber);
	subscriber->deadline_ns = UINT64_MAX;
	return subscriber;
}

static void finish_to_join(const struct zcpd_endpoint *subscriber)
{
	hold_up(false);
	(void)zcpd_registry_poll(&registry);
	cr_assert_eq(joined, subscriber);
}

static bool is_announced(const struct zcpd_endpoint *subscriber)
{
	return zcp_test_load(&topic->view.shm->announced[0]) >> subscriber->slot & 1;
}

static void open_reader(const struct zcpd_endpoint *subscriber, struct zcp_backlog *backlog,
			struct zcp_reader *reader)
{
	const struct zcp_reader_options options = {
		.slot = subscriber->slot,
		.holder = subscriber->holder,
		.depth_log2 = subscriber->depth_log2,
		.max_held = 4,
		.symmetric = true,
		.starts = subscriber->grace.starts,
		.n_starts = topic->view.geometry.max_publishers,
		.backlog = backlog,
	};

	cr_assert_eq(zcp_reader_init(reader, &topic->view, &pool, &options), 0);
}

static void expect(struct zcp_reader *reader, uint64_t seq, uint64_t n_lost)
{
	struct zcp_reader_message message;

	cr_assert_eq(zcp_reader_take(reader, &message), 0);
	cr_assert_eq(message.seq, seq);
	cr_assert_eq(message.n_lost, n_lost);
	cr_assert_eq(zcp_reader_release(reader, message.place, message.ticket), 0);
}

/*
 * Else a publisher that has just left the publish it was in sends to it before the runtime has
 * looked where it begins: what overflows is neither taken nor counted.
 */
Test(join, subscriber_is_announced_when_every_publisher_has_left_its_publish)
{
	struct zcpd_endpoint *subscriber;

	subscriber = begin_to_join(0);
	cr_assert(!is_announced(subscriber));
	/* Nor by what else happens. */
	close_endpoint(publishers[0]);
	cr_assert(!is_announced(subscriber));
	finish_to_join(subscriber);
	cr_assert(is_announced(subscriber));
	close_endpoint(subscriber);
	cr_assert_eq(zcp_test_load(&topic->view.shm->announced[0]), 0);
}

Test(join, another_that_comes_or_goes_does_not_announce_one_that_joins)
{
	struct zcpd_endpoint *first = open_subscriber(0), *second;

	cr_assert(is_announced(first));
	second = begin_to_join(0);
	close_endpoint(first);
	cr_assert(!is_announced(first));
	cr_assert(!is_announced(second));
	finish_to_join(second);
	cr_assert(is_announced(second));
}

/* The bit of such a message is cleared again when its publisher goes. */
Test(join, what_has_just_been_pushed_out_of_the_lane_is_not_given_as_history)
{
	struct zcpd_endpoint *subscriber;
	struct zcp_reader reader;

	subscriber = begin_to_join(HISTORY);
	publish_one();
	publish_one();
	finish_to_join(subscriber);
	cr_assert_lt(subscriber->backlog_fd, 0);
	close_endpoint(publishers[0]);
	open_reader(subscriber, NULL, &reader);
	expect(&reader, 2, 1);
	zcp_reader_deinit(&reader);
}

Test(join, what_is_held_from_history_stays_held_when_the_publisher_goes)
{
	struct zcp_backlog backlog = { .n_entries = 0 };
	struct zcp_reader_message messages[HISTORY];
	struct zcpd_endpoint *subscriber;
	struct zcp_reader reader;
	const char *why;
	int n = 0;

	/* Of those that are retained at the end 3 and 4 were pushed out, and 5 is in the lane. */
	publish_one();
	publish_one();
	subscriber = begin_to_join(HISTORY);
	for (int i = 0; i < 3; i++)
		publish_one();
	finish_to_join(subscriber);
	cr_assert_eq(zcp_backlog_import(&backlog, subscriber->backlog_fd, registry.domain_id, &why),
		     0);
	open_reader(subscriber, &backlog, &reader);
	while (n < HISTORY && zcp_reader_take(&reader, &messages[n]) == 0)
		n++;
	cr_assert_eq(messages[0].seq, 3);
	cr_assert_eq(messages[n - 1].seq, 5);
	close_endpoint(publishers[0]);
	for (int i = 0; i < n; i++)
		cr_assert(zcp_chunk_has_holder(messages[i].chunk.descriptor, subscriber->holder));
	zcp_reader_deinit(&reader);
}

static bool is_retained(const struct zcp_chunk_shm *chunk)
{
	return zcp_test_load(&chunk->state) & ZCP_CHUNK_RETAINED;
}

static uintptr_t page_of(const struct zcp_chunk_shm *chunk)
{
	uintptr_t size = (uintptr_t)sysconf(_SC_PAGESIZE);

	return (uintptr_t)chunk / size * size;
}

/* As a worker that dies at the first change of that chunk. */
static void close_but_die_at(struct zcpd_endpoint *publisher, const struct zcp_chunk_shm *chunk)
{
	int status;
	pid_t pid = fork();

	cr_assert(pid >= 0);
	if (pid == 0) {
		(void)signal(SIGSEGV, SIG_DFL);
		if (mprotect((void *)page_of(chunk), 1, PROT_READ) == 0)
			close_endpoint(publisher);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(!WIFEXITED(status) || WEXITSTATUS(status) != 0, "it has come to its end");
}

/* The newest message is in the first page of the table, the one before in the last. */
Test(join, worker_that_dies_while_it_forgets_does_not_leave_older_messages_than_it_takes)
{
	enum { LOANS = 80 };
	struct zcp_open_publisher request = {
		.topic = "pages", .max_payload = 64, .loans = LOANS, .history = 2
	};
	struct zcp_writer_options options = { .max_loans = LOANS, .history = 2, .symmetric = true };
	struct zcp_pool chunks = { .n_classes = 0 };
	const struct zcp_chunk_shm *newest, *before;
	struct zcpd_endpoint *publisher;
	struct zcp_chunk_shm *table;
	struct zcp_writer many;
	uint32_t refs[LOANS];
	const char *why;

	cr_assert_eq(zcpd_registry_open_publisher(&registry, &client, &request, &publisher, text,
						  sizeof(text)),
		     0);
	options.owner = publisher->owner;
	cr_assert_eq(zcp_pool_attach(&chunks, publisher->topic->pool->classes[0].chunks_fd,
				     publisher->topic->pool->classes[0].data_fd, registry.domain_id,
				     true, &why),
		     0);
	cr_assert_eq(zcp_writer_init(&many, &publisher->topic->view, &chunks, &registry.signals,
				     &options),
		     0);
	for (int i = 0; i < LOANS; i++)
		cr_assert_eq(zcp_writer_loan(&many, 64, &refs[i]), 0);
	/* As the runtime has it mapped. */
	table = publisher->topic->pool->view.classes[0].chunks;
	before = &table[zcp_ref_index(refs[LOANS - 1])];
	newest = &table[zcp_ref_index(refs[0])];
	cr_assert(page_of(newest) < page_of(before));
	cr_assert_eq(zcp_writer_publish(&many, refs[LOANS - 1], 64, 0), 0);
	cr_assert_eq(zcp_writer_publish(&many, refs[0], 64, 0), 0);
	cr_assert(is_retained(before) && is_retained(newest));

	close_but_die_at(publisher, before);
	cr_assert(is_retained(newest));
	zcp_writer_deinit(&many);
	zcp_pool_deinit(&chunks);
	close_endpoint(publisher);
}
