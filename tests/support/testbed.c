/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making the regions, and the runtime's part of joining and leaving.
 */
#include "tests/support/testbed.h"

#include <sched.h>
#include <stdio.h>
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
	bed->readonly_fds[i] = zcp_region_open_readonly(bed->data_fds[i]);
	ZCP_CHECK(bed->readonly_fds[i] >= 0);
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
		bed->chunks_fds[i] = bed->data_fds[i] = bed->readonly_fds[i] = -1;
		if (options->classes[i].n_chunks > 0)
			make_class(bed, i);
	}
	make_topic(bed);
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
		close(bed->readonly_fds[i]);
	}
	close(bed->topic_fd);
	close(bed->signals_fd);
}

static void attached(int r, const char *why)
{
	if (r < 0)
		(void)fprintf(stderr, "attach: %d, %s\n", r, why);
	ZCP_CHECK(r == 0);
}

void zcp_testbed_attach(const struct zcp_testbed *bed, struct zcp_testbed_view *view, bool writable)
{
	const char *why = "";

	*view = (struct zcp_testbed_view){ .pool = { .n_classes = 0 } };
	for (uint32_t i = 0; i < ZCP_TESTBED_CLASSES; i++) {
		int data_fd = writable ? bed->data_fds[i] : bed->readonly_fds[i];

		if (bed->chunks_fds[i] >= 0)
			attached(zcp_pool_attach(&view->pool, bed->chunks_fds[i], data_fd,
						 ZCP_TESTBED_DOMAIN, writable, &why),
				 why);
	}
	attached(zcp_topic_attach(&view->topic, bed->topic_fd, ZCP_TESTBED_DOMAIN, &why), why);
	attached(zcp_signals_attach(&view->signals, bed->signals_fd, ZCP_TESTBED_DOMAIN, &why),
		 why);
}

void zcp_testbed_detach(struct zcp_testbed_view *view)
{
	zcp_pool_deinit(&view->pool);
	zcp_topic_deinit(&view->topic);
	zcp_signals_deinit(&view->signals);
}

void zcp_testbed_writer(const struct zcp_testbed *bed, const struct zcp_testbed_view *view,
			uint32_t slot, uint32_t max_loans, struct zcp_writer *writer)
{
	const struct zcp_writer_options options = {
		.slot = slot,
		.owner = slot + 1,
		.max_loans = max_loans,
		.publisher_id = slot + 1,
		.symmetric = bed->symmetric,
		.timestamps = true,
	};

	/* Relaxed: a hint to readers, set before the first message. */
	(void)atomic_fetch_or_explicit(&view->topic.shm->used, UINT64_C(1) << slot,
				       memory_order_relaxed);
	ZCP_CHECK(zcp_writer_init(writer, &view->topic, &view->pool, &view->signals, &options) ==
		  0);
}

/* Until each publisher has left the publish it was in when the membership changed. */
static void grace_period(const struct zcp_testbed *bed)
{
	const struct zcp_topic *topic = &bed->view.topic;

	ZCP_CHECK(zcp_fence_heavy(bed->symmetric) == 0);
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

/* One thread changes the membership: a load and a store are enough. */
static void set_active(const struct zcp_topic *topic, uint32_t subscriber, bool active)
{
	struct zcp_topic_shm *shm = topic->shm;
	_Atomic uint64_t *word = &shm->active[subscriber / 64];
	uint64_t bit = UINT64_C(1) << (subscriber % 64);
	uint64_t now = atomic_load_explicit(word, memory_order_relaxed);

	/* TOPIC-R1 pairs with TOPIC-A1 in refresh() of the writer: the slot is complete. */
	atomic_store_explicit(word, active ? now | bit : now & ~bit, memory_order_release);
	/* TOPIC-R2 pairs with TOPIC-A2 in enter() of the writer. */
	atomic_store_explicit(&shm->version,
			      atomic_load_explicit(&shm->version, memory_order_relaxed) + 1,
			      memory_order_release);
}

/* Those who wait for members, and publishers that wait for room that nobody will make. */
static void announce_change(const struct zcp_topic *topic)
{
	(void)atomic_fetch_add_explicit(&topic->shm->changes, 1, memory_order_release);
	zcp_futex_wake_all(&topic->shm->changes);
	for (uint32_t p = 0; p < topic->geometry.max_publishers; p++) {
		(void)atomic_fetch_add_explicit(&topic->publishers[p].room, 1,
						memory_order_relaxed);
		zcp_futex_wake_all(&topic->publishers[p].room);
	}
}

static void reset_lanes(const struct zcp_topic *topic, uint32_t subscriber)
{
	for (uint32_t p = 0; p < topic->geometry.max_publishers; p++) {
		struct zcp_lane lane = zcp_topic_lane(topic, p, subscriber,
						      topic->geometry.max_depth_log2);
		uint64_t next_seq = atomic_load_explicit(&topic->publishers[p].next_seq,
							 memory_order_relaxed);

		zcp_lane_reset(&lane, next_seq);
	}
}

void zcp_testbed_join(const struct zcp_testbed *bed, const struct zcp_reader_options *subscriber)
{
	const struct zcp_topic *topic = &bed->view.topic;
	struct zcp_subscriber_slot_shm *slot = &topic->subscribers[subscriber->slot];

	reset_lanes(topic, subscriber->slot);
	atomic_store_explicit(&slot->subscriber_id, subscriber->slot + 1, memory_order_relaxed);
	atomic_store_explicit(&slot->depth_log2, subscriber->depth_log2, memory_order_relaxed);
	atomic_store_explicit(&slot->on_full,
			      subscriber->blocks ? ZCP_ON_FULL_BLOCK : ZCP_ON_FULL_DROP_OLDEST,
			      memory_order_relaxed);
	atomic_store_explicit(&slot->holder, subscriber->holder, memory_order_relaxed);
	atomic_store_explicit(&slot->signal, subscriber->slot, memory_order_relaxed);
	atomic_store_explicit(&slot->n_taken, 0, memory_order_relaxed);
	set_active(topic, subscriber->slot, true);
	grace_period(bed);
	announce_change(topic);
}

void zcp_testbed_leave(const struct zcp_testbed *bed, const struct zcp_reader_options *subscriber)
{
	const struct zcp_topic *topic = &bed->view.topic;
	const struct zcp_pool *pool = &bed->view.pool;

	set_active(topic, subscriber->slot, false);
	grace_period(bed);
	announce_change(topic);
	for (uint32_t c = 0; c < pool->n_classes; c++)
		for (uint32_t i = 0; i < pool->classes[c].n_chunks; i++)
			zcp_chunk_release(&pool->classes[c].chunks[i], subscriber->holder);
	reset_lanes(topic, subscriber->slot);
	(void)atomic_fetch_and_explicit(&topic->shm->sleepers[subscriber->slot / 64],
					~(UINT64_C(1) << (subscriber->slot % 64)),
					memory_order_relaxed);
}

void zcp_testbed_check_gone(const struct zcp_testbed *bed,
			    const struct zcp_reader_options *subscriber)
{
	const struct zcp_topic *topic = &bed->view.topic;
	const struct zcp_pool *pool = &bed->view.pool;

	/* A publisher that has not heard of the change is in a publish that began before it. */
	for (uint32_t p = 0; p < topic->geometry.max_publishers; p++) {
		_Atomic uint64_t *op = &topic->publishers[p].op;
		uint64_t first = zcp_test_load(op);

		while (first % 2 == 1 && zcp_test_load(op) == first)
			sched_yield();
	}
	for (uint32_t p = 0; p < topic->geometry.max_publishers; p++) {
		struct zcp_lane lane = zcp_topic_lane(topic, p, subscriber->slot,
						      topic->geometry.max_depth_log2);

		for (uint32_t i = 0; i <= lane.mask; i++)
			ZCP_CHECK(!(zcp_test_load(&lane.slots[i].word) & ZCP_SLOT_LIVE));
	}
	for (uint32_t c = 0; c < pool->n_classes; c++)
		for (uint32_t i = 0; i < pool->classes[c].n_chunks; i++)
			ZCP_CHECK(!zcp_chunk_has_holder(&pool->classes[c].chunks[i],
							subscriber->holder));
}

void zcp_testbed_reader(const struct zcp_testbed_view *view,
			const struct zcp_reader_options *subscriber, struct zcp_reader *reader)
{
	ZCP_CHECK(zcp_reader_init(reader, &view->topic, &view->pool, subscriber) == 0);
}

uint32_t zcp_testbed_n_busy(const struct zcp_testbed *bed)
{
	const struct zcp_pool *pool = &bed->view.pool;
	uint32_t n = 0;

	for (uint32_t c = 0; c < pool->n_classes; c++)
		for (uint32_t i = 0; i < pool->classes[c].n_chunks; i++) {
			const struct zcp_chunk_shm *chunk = &pool->classes[c].chunks[i];

			if (zcp_test_load(&chunk->state) & ZCP_CHUNK_FLAGS ||
			    zcp_chunk_has_holders(chunk))
				n++;
		}
	return n;
}
