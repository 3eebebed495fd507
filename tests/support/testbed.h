/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A domain without a runtime: a pool, a topic and signals in memfds, and the changes of
 * membership made the way zcpd makes them. For tests of the data plane.
 *
 * What goes wrong here ends the process (ZCP_CHECK).
 */
#ifndef ZCP_TESTS_SUPPORT_TESTBED_H
#define ZCP_TESTS_SUPPORT_TESTBED_H

#include <stdbool.h>
#include <stdint.h>

#include "pubsub/flow/reader.h"
#include "pubsub/flow/writer.h"
#include "pubsub/shm/acks.h"
#include "pubsub/shm/pool.h"
#include "pubsub/shm/signal.h"
#include "pubsub/shm/topic.h"

#define ZCP_TESTBED_DOMAIN UINT64_C(0x7e57)
#define ZCP_TESTBED_POOL UINT64_C(3)
#define ZCP_TESTBED_CLASSES 3

struct zcp_testbed_options {
	/* n_chunks 0: no such class */
	struct zcp_class_geometry classes[ZCP_TESTBED_CLASSES];
	struct zcp_topic_geometry topic;
	uint32_t n_signals;
	/* number of each publisher's first message; 0: 1 */
	uint64_t first_seq;
};

/* One size class of `n` chunks, one topic, depth up to 1 << log2. */
#define ZCP_TESTBED_OPTIONS(n_publishers, n_subscribers, log2, payload, n)                         \
	(struct zcp_testbed_options)                                                               \
	{                                                                                          \
		.classes = { { .payload_size = (payload), .n_chunks = (n) } },                     \
		.topic = { .max_publishers = (n_publishers),                                       \
			   .max_subscribers = (n_subscribers),                                     \
			   .max_depth_log2 = (log2) },                                             \
		.n_signals = (n_subscribers),                                                      \
	}

/* What one process has mapped. */
struct zcp_testbed_view {
	struct zcp_pool pool;
	struct zcp_topic topic;
	struct zcp_acks acks;
	struct zcp_signals signals;
};

struct zcp_testbed {
	struct zcp_testbed_options options;
	int chunks_fds[ZCP_TESTBED_CLASSES];
	int data_fds[ZCP_TESTBED_CLASSES];
	int topic_fd;
	int acks_fd;
	int signals_fd;
	/* no membarrier here: every fence is a full one */
	bool symmetric;
	/* the runtime's, all of it for writing */
	struct zcp_testbed_view view;
};

void zcp_testbed_init(struct zcp_testbed *bed, const struct zcp_testbed_options *options);
void zcp_testbed_deinit(struct zcp_testbed *bed);

/* Maps everything anew; all but the acks and signals read-only unless `writable`. */
void zcp_testbed_attach(const struct zcp_testbed *bed, struct zcp_testbed_view *view,
			bool writable);
void zcp_testbed_detach(struct zcp_testbed_view *view);

/*
 * A publisher in slot `slot`, with `slot` + 1 as its number in the pool and as its id, whose chunks
 * are of the first size class.
 */
void zcp_testbed_writer(const struct zcp_testbed *bed, const struct zcp_testbed_view *view,
			uint32_t slot, uint32_t max_loans, struct zcp_writer *writer);

/*
 * Makes a subscriber active, waits until each publisher knows, and settles its lanes. Signal: its
 * slot. `history`: messages of each publisher that are promised to it.
 */
void zcp_testbed_join(const struct zcp_testbed *bed, const struct zcp_reader_options *subscriber,
		      uint32_t history);
/* The two halves of that: up to where it waits, and from there on. */
void zcp_testbed_begin_join(const struct zcp_testbed *bed,
			    const struct zcp_reader_options *subscriber, uint32_t history);
void zcp_testbed_end_join(const struct zcp_testbed *bed,
			  const struct zcp_reader_options *subscriber, uint32_t history);
/* Takes it away as a dead one is. */
void zcp_testbed_leave(const struct zcp_testbed *bed, const struct zcp_reader_options *subscriber);
/* After zcp_testbed_leave(): checks that nobody sends to it any more, however late. */
void zcp_testbed_check_gone(const struct zcp_testbed *bed,
			    const struct zcp_reader_options *subscriber);
/* The promised history of a subscriber that has joined, as the runtime finds it. */
void zcp_testbed_backlog(const struct zcp_testbed *bed, const struct zcp_reader_options *subscriber,
			 struct zcp_backlog *backlog);
/* The subscriber's own end, after zcp_testbed_join(). */
void zcp_testbed_reader(const struct zcp_testbed_view *view,
			const struct zcp_reader_options *subscriber, struct zcp_reader *reader);

/* Chunks that are LOANED, or whose message a present subscriber may still have. */
uint32_t zcp_testbed_n_busy(const struct zcp_testbed *bed);
/* Chunks that are not FREE. */
uint32_t zcp_testbed_n_owned(const struct zcp_testbed *bed);
/* One more than the highest index that was ever claimed, of the first size class. */
uint32_t zcp_testbed_n_touched(const struct zcp_testbed *bed);

#endif
