/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data plane of endpoints that a registry without a server has opened: their two ends, in the
 * test's own process.
 */
#ifndef ZCP_TESTS_PLANE_HELPERS_H
#define ZCP_TESTS_PLANE_HELPERS_H

#include "pubsub/flow/reader.h"
#include "pubsub/flow/writer.h"
#include "runtime/repair/history.h"
#include "tests/support/check.h"
#include "tests/unit/registry_helpers.h"

/* The runtime itself does not map the chunks. */
static struct zcp_pool pool;

static inline void attach_pool(const struct zcpd_pool *from)
{
	const char *why = "";

	for (uint32_t i = 0; i < from->view.n_classes; i++)
		cr_assert_eq(zcp_pool_attach(&pool, from->classes[i].chunks_fd,
					     from->classes[i].data_fd, registry.domain_id, true,
					     &why),
			     0, "%s", why);
}

static inline void open_writer(const struct zcpd_endpoint *publisher, struct zcp_writer *writer)
{
	const struct zcp_writer_options options = {
		.slot = publisher->entry.slot,
		.owner = publisher->entry.owner,
		.class_index = publisher->entry.class_index,
		.max_loans = publisher->entry.loans,
		.max_payload = publisher->entry.max_payload,
		.publisher_id = publisher->entry.id,
		.history = publisher->entry.history,
		.symmetric = true,
		.timestamps = true,
	};

	attach_pool(publisher->topic->pool);
	cr_assert_eq(zcp_writer_init(writer, &publisher->topic->view, &publisher->topic->acks,
				     &pool, &registry.signals, &options),
		     0);
}

/* With the history that the runtime answers. */
static inline void open_reader(const struct zcpd_endpoint *subscriber, struct zcp_reader *reader)
{
	struct zcp_backlog backlog;
	const struct zcp_reader_options options = {
		.slot = subscriber->entry.slot,
		.depth_log2 = subscriber->entry.depth_log2,
		.max_held = subscriber->entry.held,
		.symmetric = true,
		.backlog = &backlog,
	};

	cr_assert_eq(zcpd_history_backlog(subscriber->topic, subscriber, &backlog), 0);
	cr_assert_eq(zcp_reader_init(reader, &subscriber->topic->view, &subscriber->topic->acks,
				     &pool, &options),
		     0);
}

/* Each payload says whose it is and which. */
static inline void publish_one(struct zcp_writer *writer)
{
	struct zcp_writer_loan loan;

	cr_assert_eq(zcp_writer_loan(writer, 64, &loan), 0);
	zcp_test_fill(loan.payload, 64, writer->options.slot, writer->next_seq);
	cr_assert_eq(zcp_writer_publish(writer, &loan, 64, 0), 0);
}

static inline struct zcp_reader_message expect(struct zcp_reader *reader, uint64_t seq,
					       uint64_t n_lost)
{
	struct zcp_reader_message m = { .seq = 0 };

	cr_assert_eq(zcp_reader_take(reader, &m), 0);
	cr_assert_eq(m.seq, seq);
	cr_assert_eq(m.n_lost, n_lost);
	cr_assert(zcp_test_is_filled(m.payload, 64, m.publisher, seq));
	return m;
}

static inline void expect_and_release(struct zcp_reader *reader, uint64_t seq, uint64_t n_lost)
{
	struct zcp_reader_message m = expect(reader, seq, n_lost);

	cr_assert_eq(zcp_reader_release(reader, m.place, m.held), 0);
}

static inline void expect_nothing(struct zcp_reader *reader)
{
	struct zcp_reader_message m;

	cr_assert_eq(zcp_reader_take(reader, &m), ZCP_READER_E_EMPTY);
}

/* Chunks that are not FREE. */
static inline uint32_t n_owned(const struct zcpd_topic *topic)
{
	uint32_t n = 0;

	for (uint32_t c = 0; c < topic->pool->view.n_classes; c++) {
		const struct zcp_class *class = &topic->pool->view.classes[c];

		for (uint32_t i = 0; i < class->n_chunks; i++)
			n += zcp_test_load(&class->chunks[i].state) != ZCP_CHUNK_FREE;
	}
	return n;
}

#endif
