/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference ring: what sharing a pool costs without anything else. A lane from each publisher
 * to each subscriber; a slot says where the payload lies, so that the subscriber fetches the slot
 * and then the payload, as anyone must who shares a pool. Nobody joins, dies or lies here.
 *
 * Beside it three that differ from it in one thing each. What a copy in and a copy out cost: the
 * least that a peer which copies can take. And two with which the harness is tested: one that
 * takes 1 us longer to send, and one that breaks a byte.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/clock.h"
#include "bench/pair.h"

#define SLOTS 256
#define LANES 64
/* Payloads of a link; only what is used is touched. */
#define PAYLOADS_SIZE ((size_t)512 << 20)
/* Payloads beyond the queue's depth that take turns; of large ones few do. */
#define SPARE_SMALL 8
#define SPARE_LARGE 1
#define SMALL 4096
#define LATE_NS 1000

struct slot {
	/* low 32 bits of the message's number, place of its payload */
	_Alignas(64) _Atomic uint64_t word;
};

struct lane {
	/* the next message to take; written by: the subscriber */
	_Alignas(128) _Atomic uint64_t tail;
	_Alignas(128) struct slot slots[SLOTS];
};

struct area {
	struct lane lanes[LANES];
	_Alignas(4096) char payloads[PAYLOADS_SIZE];
};

/* One publisher or one subscriber; a subscriber has a lane from each publisher. */
struct ring {
	struct lane *lanes[LANES];
	uint32_t n_lanes;
	/* the next message in each lane; a publisher's are the same */
	uint64_t next[LANES];
	/* a publisher's copies */
	uint64_t tails[LANES];
	uint32_t depth;
	/* where a subscriber looks next */
	uint32_t turn;
	char *payloads;
	size_t stride;
	/* in which the publisher uses the payloads: no processor guesses it, as in a pool */
	uint32_t n_places;
	uint32_t order[SLOTS + SPARE_SMALL];
	/* that of a copying ring's application */
	void *own;
	struct bench_clock clock;
};

static struct area *areas;

static int prepare(void)
{
	areas = mmap(NULL, sizeof(*areas) * BENCH_LINKS, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return areas == MAP_FAILED ? -errno : 0;
}

static void finish(void)
{
	(void)munmap(areas, sizeof(*areas) * BENCH_LINKS);
}

static void shuffle(struct ring *ring)
{
	uint32_t random = 1;

	for (uint32_t i = 0; i < ring->n_places; i++) {
		uint32_t at;

		random = random * 1664525 + 1013904223;
		at = (random >> 16) % (i + 1);
		ring->order[i] = ring->order[at];
		ring->order[at] = i;
	}
}

static int open_ring(struct bench_end *end)
{
	const struct bench_link *link = end->link;
	struct area *area = &areas[link->place];
	uint32_t spare = link->size > SMALL ? SPARE_LARGE : SPARE_SMALL;
	struct ring *ring;

	if (link->depth > SLOTS || link->n_out * link->n_in > LANES)
		return bench_peer_fail(-EINVAL, "the reference ring has no room for it");
	ring = calloc(1, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	bench_clock_init(&ring->clock);
	ring->depth = link->depth;
	ring->n_places = link->depth + spare;
	ring->stride = link->size;
	ring->n_lanes = end->is_out ? link->n_in : link->n_out;
	ring->payloads = area->payloads;
	if (end->is_out)
		ring->payloads += end->index * ring->n_places * ring->stride;
	for (uint32_t i = 0; i < ring->n_lanes; i++) {
		ring->lanes[i] = end->is_out ? &area->lanes[end->index * link->n_in + i] :
					       &area->lanes[i * link->n_in + end->index];
		ring->next[i] = ring->tails[i] = 1;
		if (!end->is_out)
			atomic_store_explicit(&ring->lanes[i]->tail, 1, memory_order_relaxed);
	}
	ring->own = malloc(link->size);
	shuffle(ring);
	end->of = ring;
	return ring->own ? 0 : -ENOMEM;
}

static void close_ring(struct bench_end *end)
{
	struct ring *ring = end->of;

	if (ring)
		free(ring->own);
	free(ring);
}

/* --- publisher --- */

static uint32_t place_of(const struct ring *ring)
{
	return ring->order[ring->next[0] % ring->n_places];
}

static int loan(struct bench_end *end, size_t size, void **data)
{
	struct ring *ring = end->of;

	(void)size;
	*data = ring->payloads + place_of(ring) * ring->stride;
	return 0;
}

static inline int is_full(struct ring *ring, uint32_t lane)
{
	if (ring->next[lane] - ring->tails[lane] < ring->depth)
		return 0;
	/* Acquire: what was read of the payloads below is over. */
	ring->tails[lane] = atomic_load_explicit(&ring->lanes[lane]->tail, memory_order_acquire);
	return ring->next[lane] - ring->tails[lane] >= ring->depth;
}

static int send_in_ring(struct bench_end *end, void *data, size_t size)
{
	struct ring *ring = end->of;
	uint64_t place = (uint64_t)((const char *)data - areas[end->link->place].payloads) / 64;

	(void)size;
	for (uint32_t i = 0; i < ring->n_lanes; i++) {
		struct bench_wait wait = { 0 };

		while (is_full(ring, i)) {
			int r = bench_wait(end->pair, &wait);

			if (r < 0)
				return r;
		}
	}
	for (uint32_t i = 0; i < ring->n_lanes; i++)
		/* Release: the payload is there first. */
		atomic_store_explicit(&ring->lanes[i]->slots[ring->next[i] % ring->depth].word,
				      ring->next[i] << 32 | place, memory_order_release);
	for (uint32_t i = 0; i < ring->n_lanes; i++)
		ring->next[i]++;
	/* that nobody subscribes to */
	ring->next[0] += ring->n_lanes == 0;
	return 0;
}

/* --- subscriber --- */

static int take(struct bench_end *end, struct bench_message *message)
{
	struct ring *ring = end->of;

	for (uint32_t i = 0; i < ring->n_lanes; i++) {
		uint32_t lane = ring->turn;
		uint64_t next = ring->next[lane], word;

		ring->turn = lane + 1 == ring->n_lanes ? 0 : lane + 1;
		word = atomic_load_explicit(&ring->lanes[lane]->slots[next % ring->depth].word,
					    memory_order_acquire);
		if (word >> 32 != (uint32_t)next)
			continue;
		message->data = ring->payloads + (size_t)(uint32_t)word * 64;
		message->size = end->link->size;
		message->of = (void *)(uintptr_t)lane;
		return 0;
	}
	return -EAGAIN;
}

static int release(struct bench_end *end, struct bench_message *message)
{
	struct ring *ring = end->of;
	uint32_t lane = (uint32_t)(uintptr_t)message->of;

	/* Release: it has been read. */
	atomic_store_explicit(&ring->lanes[lane]->tail, ++ring->next[lane], memory_order_release);
	return 0;
}

const struct bench_peer bench_ring_peer = {
	.name = "ring",
	.settings =
		"a slot on a cache line of its own says where the payload lies; a lane for each "
		"pair; nothing else",
	.prepare = prepare,
	.finish = finish,
	.open = open_ring,
	.loan = loan,
	.send = send_in_ring,
	.take = take,
	.release = release,
	.close = close_ring,
};

/* --- one that copies --- */

static int loan_own(struct bench_end *end, size_t size, void **data)
{
	struct ring *ring = end->of;

	(void)size;
	*data = ring->own;
	return 0;
}

static int send_copy(struct bench_end *end, void *data, size_t size)
{
	struct ring *ring = end->of;
	void *place = ring->payloads + place_of(ring) * ring->stride;

	memcpy(place, data, size);
	end->n_copied += size;
	return send_in_ring(end, place, size);
}

static int take_copy(struct bench_end *end, struct bench_message *message)
{
	struct ring *ring = end->of;
	int r = take(end, message);

	if (r < 0)
		return r;
	memcpy(ring->own, message->data, message->size);
	end->n_copied += message->size;
	message->data = ring->own;
	return 0;
}

const struct bench_peer bench_memcpy_peer = {
	.name = "memcpy",
	.settings =
		"the reference ring with a memcpy() into the payload and one out of it: the least "
		"that a peer which copies can take",
	.prepare = prepare,
	.finish = finish,
	.open = open_ring,
	.loan = loan_own,
	.send = send_copy,
	.take = take_copy,
	.release = release,
	.close = close_ring,
};

/* --- those with which the harness is tested --- */

/* Before it writes, so that nothing of the payload is on its way meanwhile. */
static int loan_late(struct bench_end *end, size_t size, void **data)
{
	const struct ring *ring = end->of;
	uint64_t start = bench_ticks();

	while ((double)(bench_ticks() - start) * ring->clock.ns_per_tick < LATE_NS)
		continue;
	return loan(end, size, data);
}

const struct bench_peer bench_late_peer = {
	.name = "late",
	.settings = "the reference ring, which waits for 1 us before each loan; tests the harness",
	.prepare = prepare,
	.finish = finish,
	.open = open_ring,
	.loan = loan_late,
	.send = send_in_ring,
	.take = take,
	.release = release,
	.close = close_ring,
};

static int send_wrong(struct bench_end *end, void *data, size_t size)
{
	const struct ring *ring = end->of;

	/* the last one of the first message after the first queueful */
	if (ring->next[0] == ring->depth + 1)
		((unsigned char *)data)[size - 1] ^= 1;
	return send_in_ring(end, data, size);
}

const struct bench_peer bench_wrong_peer = {
	.name = "wrong",
	.settings = "the reference ring, which breaks a byte; tests the harness",
	.prepare = prepare,
	.finish = finish,
	.open = open_ring,
	.loan = loan,
	.send = send_wrong,
	.take = take,
	.release = release,
	.close = close_ring,
};
