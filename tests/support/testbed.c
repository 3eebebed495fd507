/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making the regions, and the runtime's part of joining and leaving.
 */
#include "tests/support/testbed.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zcp/subscriber.h>

#include "pubsub/shm/fence.h"
#include "tests/support/check.h"

static int make_region(struct zcp_region *region, const char *name, size_t size)
{
	int fd = -1;

	ZCP_CHECK(zcp_region_create(region, &fd, name, size) == 0);
	return fd;
}

static void make_class(struct zcp_testbed *bed, uint32_t i)
{
	struct zcp_class_geometry geometry = bed->options.classes[i];
	struct zcp_region chunks, data;
	size_t chunks_size, data_size;

	geometry.class_index = i;
	ZCP_CHECK(zcp_class_sizes(&geometry, &chunks_size, &data_size) == 0);
	bed->chunks_fds[i] = make_region(&chunks, "zcp-test-chunks", chunks_size);
	bed->data_fds[i] = make_region(&data, "zcp-test-data", data_size);
	zcp_class_construct(&chunks, &data, &geometry, ZCP_TESTBED_DOMAIN, ZCP_TESTBED_POOL);
	zcp_region_deinit(&chunks);
	zcp_region_deinit(&data);
}

static void make_topic(struct zcp_testbed *bed)
{
	const struct zcp_topic_geometry *geometry = &bed->options.topic;
	struct zcp_region region;

	bed->topic_fd = make_region(&region, "zcp-test-topic", zcp_topic_size(geometry));
	zcp_topic_construct(&region, geometry, "test", ZCP_TESTBED_POOL, ZCP_TESTBED_DOMAIN, 1);
	zcp_region_deinit(&region);
}

static void make_acks(struct zcp_testbed *bed)
{
	const struct zcp_topic_geometry *geometry = &bed->options.topic;
	struct zcp_region region;

	bed->acks_fd = make_region(&region, "zcp-test-acks",
				   zcp_acks_size(geometry->max_publishers,
						 geometry->max_subscribers));
	zcp_acks_construct(&region, geometry->max_publishers, geometry->max_subscribers,
			   ZCP_TESTBED_DOMAIN, 1);
	zcp_region_deinit(&region);
}

static void make_signals(struct zcp_testbed *bed)
{
	uint32_t n = bed->options.n_signals;
	struct zcp_region region;

	bed->signals_fd = make_region(&region, "zcp-test-signals", zcp_signals_size(n));
	zcp_signals_construct(&region, n, ZCP_TESTBED_DOMAIN);
	zcp_region_deinit(&region);
}

void zcp_testbed_init(struct zcp_testbed *bed, const struct zcp_testbed_options *options)
{
	*bed = (struct zcp_testbed){ .options = *options };
	bed->symmetric = zcp_fence_register() < 0;
	for (uint32_t i = 0; i < ZCP_TESTBED_CLASSES; i++) {
		bed->chunks_fds[i] = bed->data_fds[i] = -1;
		if (options->classes[i].n_chunks > 0)
			make_class(bed, i);
	}
	make_topic(bed);
	make_acks(bed);
	make_signals(bed);
	zcp_testbed_attach(bed, &bed->view, true);
	for (uint32_t p = 0; p < options->topic.max_publishers && options->first_seq > 0; p++)
		zcp_test_store(&bed->view.topic.publishers[p].next_seq, options->first_seq);
}

void zcp_testbed_deinit(struct zcp_testbed *bed)
{
	zcp_testbed_detach(&bed->view);
	for (uint32_t i = 0; i < ZCP_TESTBED_CLASSES; i++) {
		if (bed->chunks_fds[i] < 0)
			continue;
		close(bed->chunks_fds[i]);
		close(bed->data_fds[i]);
	}
	close(bed->topic_fd);
	close(bed->acks_fd);
	close(bed->signals_fd);
}

static void attached(int r, const char *why)
{
	if (r < 0)
		(void)fprintf(stderr, "attach: %d, %s\n", r, why);
	ZCP_CHECK(r == 0);
}

/* A descriptor for one who may not write, or a copy for one who may. */
static int give(int fd, bool writable)
{
	int given = writable ? dup(fd) : zcp_region_open_readonly(fd);

	ZCP_CHECK(given >= 0);
	return given;
}

static void attach_class(const struct zcp_testbed *bed, struct zcp_testbed_view *view, uint32_t i,
			 bool writable)
{
	int chunks_fd = give(bed->chunks_fds[i], writable);
	int data_fd = give(bed->data_fds[i], writable);
	const char *why = "";

	attached(zcp_pool_attach(&view->pool, chunks_fd, data_fd, ZCP_TESTBED_DOMAIN, writable,
				 &why),
		 why);
	close(chunks_fd);
	close(data_fd);
}

void zcp_testbed_attach(const struct zcp_testbed *bed, struct zcp_testbed_view *view, bool writable)
{
	const struct zcp_topic_geometry *geometry = &bed->options.topic;
	int topic_fd = give(bed->topic_fd, writable);
	const char *why = "";

	*view = (struct zcp_testbed_view){ .pool = { .n_classes = 0 } };
	for (uint32_t i = 0; i < ZCP_TESTBED_CLASSES; i++)
		if (bed->chunks_fds[i] >= 0)
			attach_class(bed, view, i, writable);
	attached(zcp_topic_attach(&view->topic, topic_fd, ZCP_TESTBED_DOMAIN, writable, &why), why);
	attached(zcp_acks_attach(&view->acks, bed->acks_fd, geometry->max_publishers,
				 geometry->max_subscribers, ZCP_TESTBED_DOMAIN, 1, &why),
		 why);
	attached(zcp_signals_attach(&view->signals, bed->signals_fd, ZCP_TESTBED_DOMAIN, &why),
		 why);
	close(topic_fd);
}

void zcp_testbed_detach(struct zcp_testbed_view *view)
{
	zcp_pool_deinit(&view->pool);
	zcp_topic_deinit(&view->topic);
	zcp_acks_deinit(&view->acks);
	zcp_signals_deinit(&view->signals);
}

void zcp_testbed_writer(const struct zcp_testbed *bed, const struct zcp_testbed_view *view,
			uint32_t slot, uint32_t max_loans, struct zcp_writer *writer)
{
	const struct zcp_writer_options options = {
		.slot = slot,
		.owner = slot + 1,
		.max_loans = max_loans,
		.max_payload = view->pool.classes[0].payload_size,
		.publisher_id = slot + 1,
		.symmetric = bed->symmetric,
		.timestamps = true,
	};

	/* Relaxed: a hint to readers, set before the first message. */
	(void)atomic_fetch_or_explicit(&view->topic.shm->used, UINT64_C(1) << slot,
				       memory_order_relaxed);
	ZCP_CHECK(zcp_writer_init(writer, &view->topic, &view->acks, &view->pool, &view->signals,
				  &options) == 0);
}

/* Until each publisher has left the publish it was in when the membership changed: after a fence. */
static void await_publishers(const struct zcp_testbed *bed)
{
	const struct zcp_topic *topic = &bed->view.topic;

	for (uint32_t p = 0; p < topic->geometry.max_publishers; p++) {
		/* OP-A1 pairs with OP-R1 in leave() of the writer. */
		_Atomic uint64_t *op = &topic->publishers[p].op;
		uint64_t first = atomic_load_explicit(op, memory_order_acquire);

		if (first % 2 == 0)
			continue;
		while (atomic_load_explicit(op, memory_order_acquire) == first)
			sched_yield();
	}
}

static void set_bit(_Atomic uint64_t *words, uint32_t subscriber, bool set)
{
	_Atomic uint64_t *word = &words[subscriber / 64];
	uint64_t bit = UINT64_C(1) << (subscriber % 64);
	uint64_t now = atomic_load_explicit(word, memory_order_relaxed);

	/* MEM-R2 pairs with MEM-A2 in refresh() of the writer: the slot is complete. */
	atomic_store_explicit(word, set ? now | bit : now & ~bit, memory_order_release);
}

/* One thread changes the membership: a load and a store are enough. */
static void set_member(const struct zcp_topic *topic, uint32_t subscriber, bool is_member)
{
	struct zcp_topic_shm *shm = topic->shm;

	set_bit(shm->active, subscriber, is_member);
	set_bit(shm->present, subscriber, is_member);
	/* MEM-R1 pairs with MEM-A1 in enter() of the writer. */
	atomic_store_explicit(&shm->version,
			      atomic_load_explicit(&shm->version, memory_order_relaxed) + 1,
			      memory_order_release);
}

/* Those who wait for members, and publishers that wait for room that no subscriber will make. */
static void announce_change(const struct zcp_testbed *bed)
{
	const struct zcp_topic *topic = &bed->view.topic;

	(void)atomic_fetch_add_explicit(&topic->shm->changes, 1, memory_order_release);
	zcp_futex_wake_all(&topic->shm->changes);
	for (uint32_t p = 0; p < topic->geometry.max_publishers; p++) {
		_Atomic uint32_t *room = &bed->view.acks.shm->rooms[p].room;

		(void)atomic_fetch_add_explicit(room, 1, memory_order_relaxed);
		zcp_futex_wake_all(room);
	}
}

static struct zcp_lane lane_of(const struct zcp_testbed *bed, uint32_t publisher,
			       const struct zcp_reader_options *subscriber)
{
	return zcp_topic_lane(&bed->view.topic, &bed->view.acks, publisher, subscriber->slot,
			      subscriber->depth_log2);
}

/* The chunk that holds a message of a publisher; NULL where it is gone. */
static struct zcp_chunk_shm *find_message(const struct zcp_testbed *bed, uint32_t publisher,
					  uint64_t seq, uint32_t *ref)
{
	const struct zcp_pool *pool = &bed->view.pool;

	for (uint32_t c = 0; c < pool->n_classes; c++)
		for (uint32_t i = 0; i < pool->classes[c].n_chunks; i++) {
			struct zcp_chunk_shm *chunk = &pool->classes[c].chunks[i];

			*ref = zcp_ref(c, i);
			if (zcp_test_load(&chunk->state) == zcp_chunk_state(publisher + 1, 0) &&
			    zcp_test_load(&chunk->seq) == seq)
				return chunk;
		}
	return NULL;
}

/* After the grace period: where each lane begins, and what there is before it. */
static void settle(const struct zcp_testbed *bed, const struct zcp_reader_options *subscriber,
		   uint32_t history)
{
	const struct zcp_topic *topic = &bed->view.topic;

	for (uint32_t p = 0; p < topic->geometry.max_publishers; p++) {
		struct zcp_lane lane = lane_of(bed, p, subscriber);
		/* SEQ-A1 pairs with SEQ-R1 in zcp_writer_publish(). */
		uint64_t next_seq = atomic_load_explicit(&topic->publishers[p].next_seq,
							 memory_order_acquire);
		uint64_t base = zcp_lane_settle(&lane.shm->base, next_seq), floor = base;
		uint32_t ref;

		zcp_lane_begin(&lane, base);
		while (floor > 1 && base - floor < history && find_message(bed, p, floor - 1, &ref))
			floor--;
		atomic_store_explicit(&lane.ack->floor, floor, memory_order_release);
	}
}

void zcp_testbed_begin_join(const struct zcp_testbed *bed,
			    const struct zcp_reader_options *subscriber, uint32_t history)
{
	const struct zcp_topic *topic = &bed->view.topic;
	struct zcp_subscriber_slot_shm *slot = &topic->subscribers[subscriber->slot];

	zcp_acks_reset(&bed->view.acks, subscriber->slot);
	for (uint32_t p = 0; p < topic->geometry.max_publishers; p++) {
		struct zcp_lane lane = lane_of(bed, p, subscriber);

		zcp_lane_reset(&lane,
			       atomic_load_explicit(&topic->publishers[p].next_seq,
						    memory_order_relaxed),
			       history, true);
	}
	atomic_store_explicit(&slot->subscriber_id, subscriber->slot + 1, memory_order_relaxed);
	atomic_store_explicit(&slot->depth_log2, subscriber->depth_log2, memory_order_relaxed);
	atomic_store_explicit(&slot->held, subscriber->max_held, memory_order_relaxed);
	atomic_store_explicit(&slot->history, history, memory_order_relaxed);
	atomic_store_explicit(&slot->on_full,
			      subscriber->blocks ? ZCP_ON_FULL_BLOCK : ZCP_ON_FULL_DROP_OLDEST,
			      memory_order_relaxed);
	atomic_store_explicit(&slot->signal, subscriber->slot, memory_order_relaxed);
	set_member(topic, subscriber->slot, true);
	ZCP_CHECK(zcp_fence_heavy(bed->symmetric) == 0);
}

void zcp_testbed_end_join(const struct zcp_testbed *bed,
			  const struct zcp_reader_options *subscriber, uint32_t history)
{
	await_publishers(bed);
	settle(bed, subscriber, history);
	announce_change(bed);
}

void zcp_testbed_join(const struct zcp_testbed *bed, const struct zcp_reader_options *subscriber,
		      uint32_t history)
{
	zcp_testbed_begin_join(bed, subscriber, history);
	zcp_testbed_end_join(bed, subscriber, history);
}

void zcp_testbed_leave(const struct zcp_testbed *bed, const struct zcp_reader_options *subscriber)
{
	set_member(&bed->view.topic, subscriber->slot, false);
	ZCP_CHECK(zcp_fence_heavy(bed->symmetric) == 0);
	await_publishers(bed);
	announce_change(bed);
	(void)atomic_fetch_and_explicit(&bed->view.acks.shm->sleepers[subscriber->slot / 64],
					~(UINT64_C(1) << (subscriber->slot % 64)),
					memory_order_relaxed);
}

void zcp_testbed_check_gone(const struct zcp_testbed *bed,
			    const struct zcp_reader_options *subscriber)
{
	const struct zcp_topic *topic = &bed->view.topic;

	/* A publisher that has not heard of the change is in a publish that began before it. */
	for (uint32_t p = 0; p < topic->geometry.max_publishers; p++) {
		_Atomic uint64_t *op = &topic->publishers[p].op;
		uint64_t first = zcp_test_load(op), last;
		struct zcp_lane lane = lane_of(bed, p, subscriber);

		while (first % 2 == 1 && zcp_test_load(op) == first)
			sched_yield();
		/* What is published from here on is not in its lane. */
		last = zcp_test_load(&topic->publishers[p].next_seq);
		for (uint32_t i = 0; i <= lane.mask; i++) {
			uint64_t word = zcp_test_load(&lane.shm->slots[i].word);

			ZCP_CHECK((int32_t)((uint32_t)(word >> ZCP_SLOT_SEQ_SHIFT) -
					    (uint32_t)last) < 0);
		}
	}
}

void zcp_testbed_backlog(const struct zcp_testbed *bed, const struct zcp_reader_options *subscriber,
			 struct zcp_backlog *backlog)
{
	const struct zcp_topic *topic = &bed->view.topic;

	*backlog = (struct zcp_backlog){
		.entries = calloc(ZCP_BACKLOG_ENTRIES_MAX, sizeof(backlog->entries[0])),
	};
	ZCP_CHECK(backlog->entries);
	for (uint32_t p = 0; p < topic->geometry.max_publishers; p++) {
		struct zcp_lane lane = lane_of(bed, p, subscriber);
		uint64_t base = zcp_test_load(&lane.shm->base);

		for (uint64_t seq = zcp_test_load(&lane.ack->floor); seq < base; seq++) {
			uint32_t ref;
			const struct zcp_chunk_shm *chunk = find_message(bed, p, seq, &ref);

			ZCP_CHECK(chunk);
			backlog->entries[backlog->n_entries++] = (struct zcp_backlog_entry_shm){
				.seq = seq,
				.size = zcp_test_load(&chunk->size),
				.publish_time_ns = zcp_test_load(&chunk->publish_time_ns),
				.publisher_id = zcp_test_load(&chunk->publisher_id),
				.user_header_size = zcp_test_load(&chunk->user_header_size),
				.ref = ref,
				.publisher = p,
			};
		}
	}
}

void zcp_testbed_reader(const struct zcp_testbed_view *view,
			const struct zcp_reader_options *subscriber, struct zcp_reader *reader)
{
	ZCP_CHECK(zcp_reader_init(reader, &view->topic, &view->acks, &view->pool, subscriber) == 0);
}

static bool is_present(const struct zcp_topic *topic, uint32_t subscriber)
{
	return zcp_test_load(&topic->shm->present[subscriber / 64]) >> (subscriber % 64) & 1;
}

static bool is_busy(const struct zcp_testbed *bed, const struct zcp_chunk_shm *chunk)
{
	const struct zcp_topic *topic = &bed->view.topic;
	uint32_t state = zcp_test_load(&chunk->state), publisher;

	if (state & ZCP_CHUNK_FLAGS)
		return true;
	publisher = zcp_chunk_owner(state) - 1;
	if (state == ZCP_CHUNK_FREE || publisher >= topic->geometry.max_publishers)
		return false;
	for (uint32_t s = 0; s < topic->geometry.max_subscribers; s++) {
		struct zcp_stake stake;

		if (!is_present(topic, s))
			continue;
		zcp_stake_init(&stake, topic, &bed->view.acks, publisher, s);
		if (zcp_test_load(&chunk->seq) &&
		    zcp_stake_use(&stake, zcp_test_load(&topic->publishers[publisher].next_seq),
				  zcp_test_load(&chunk->seq)))
			return true;
	}
	return false;
}

static uint32_t count(const struct zcp_testbed *bed, bool busy)
{
	const struct zcp_pool *pool = &bed->view.pool;
	uint32_t n = 0;

	for (uint32_t c = 0; c < pool->n_classes; c++)
		for (uint32_t i = 0; i < pool->classes[c].n_chunks; i++) {
			const struct zcp_chunk_shm *chunk = &pool->classes[c].chunks[i];

			n += busy ? is_busy(bed, chunk) :
				    zcp_test_load(&chunk->state) != ZCP_CHUNK_FREE;
		}
	return n;
}

uint32_t zcp_testbed_n_busy(const struct zcp_testbed *bed)
{
	return count(bed, true);
}

uint32_t zcp_testbed_n_owned(const struct zcp_testbed *bed)
{
	return count(bed, false);
}

uint32_t zcp_testbed_n_touched(const struct zcp_testbed *bed)
{
	return zcp_class_n_touched(&bed->view.pool.classes[0]);
}
