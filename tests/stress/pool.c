/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight threads claim chunks of one pool and write them. Some they give back at once, the
 * others they hand to one another, and whoever is handed one releases it. No chunk has two
 * owners, no payload changes under its holder, and in the end all are free.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/support/check.h"
#include "tests/support/testbed.h"

#define N_THREADS 8
/* Fewer than the threads and the boxes can have. */
#define N_CHUNKS 9
#define N_BOXES 4
#define PAYLOAD 64
#define NO_REF UINT32_MAX

struct stress {
	struct zcp_testbed bed;
	uint64_t n_rounds;
	/* who has the chunk for writing; 0: nobody */
	_Atomic uint32_t owners[N_CHUNKS];
	/* a chunk on its way to whoever looks next: ref, and the holder it was given to */
	_Atomic uint64_t boxes[N_BOXES];
	_Atomic uint64_t n_exhausted;
};

struct worker {
	struct stress *stress;
	pthread_t thread;
	uint32_t id;
};

/* Reads what was handed over, and gives it back. */
static void release(const struct stress *s, uint64_t box)
{
	uint32_t holder = (uint32_t)(box >> 32);
	struct zcp_chunk chunk;
	uint64_t *words;

	ZCP_CHECK(zcp_pool_chunk(&s->bed.view.pool, (uint32_t)box, &chunk));
	words = chunk.payload;
	ZCP_CHECK(zcp_chunk_has_holder(chunk.descriptor, holder));
	ZCP_CHECK(zcp_test_is_filled(words + 2, PAYLOAD - 16, words[0], words[1]));
	zcp_chunk_release(chunk.descriptor, holder);
}

/* The loan goes off to some holder, by way of a box; what was in the box is released. */
static void hand_over(struct stress *s, struct zcp_writer *writer, uint32_t ref, uint32_t *seed)
{
	_Atomic uint64_t *box = &s->boxes[zcp_test_random(seed) % N_BOXES];
	uint32_t holder = zcp_test_random(seed) % ZCP_HOLDERS_MAX;
	struct zcp_chunk chunk;
	uint64_t other;

	ZCP_CHECK(zcp_pool_chunk(&s->bed.view.pool, ref, &chunk));
	/* HOLDERS-R1, as in zcp_writer_publish(). */
	atomic_store_explicit(&chunk.descriptor->holders[holder / 64], UINT64_C(1) << (holder % 64),
			      memory_order_release);
	/* LOANED goes off; with a holder left that does not free the chunk. */
	zcp_writer_discard(writer, ref);
	/* Acquire and release, as a lane's slot. */
	other = atomic_exchange_explicit(box, (uint64_t)holder << 32 | ref, memory_order_acq_rel);
	if (other != NO_REF)
		release(s, other);
}

static void round_trip(struct worker *w, struct zcp_writer *writer, uint64_t round, uint32_t *seed)
{
	struct stress *s = w->stress;
	_Atomic uint32_t *owner;
	struct zcp_chunk chunk;
	uint64_t *words;
	uint32_t ref;

	if (zcp_writer_loan(writer, PAYLOAD, &ref) != 0) {
		/* Relaxed: a count. */
		(void)atomic_fetch_add_explicit(&s->n_exhausted, 1, memory_order_relaxed);
		sched_yield();
		return;
	}
	/* Relaxed, so that this check orders nothing that the claim should have. */
	owner = &s->owners[zcp_ref_index(ref)];
	ZCP_CHECK(atomic_exchange_explicit(owner, w->id, memory_order_relaxed) == 0);
	ZCP_CHECK(zcp_pool_chunk(&s->bed.view.pool, ref, &chunk));
	words = chunk.payload;
	words[0] = w->id;
	words[1] = round;
	zcp_test_fill(words + 2, PAYLOAD - 16, w->id, round);
	if (zcp_test_random(seed) % 8 == 0)
		zcp_test_pause(seed, 200);
	ZCP_CHECK(words[0] == w->id && words[1] == round);
	ZCP_CHECK(atomic_exchange_explicit(owner, 0, memory_order_relaxed) == w->id);
	switch (zcp_test_random(seed) % 4) {
	case 0:
		zcp_writer_discard(writer, ref);
		break;
	case 1:
		/* Nobody subscribes. */
		ZCP_CHECK(zcp_writer_publish(writer, ref, PAYLOAD, 0) == 0);
		break;
	default:
		hand_over(s, writer, ref, seed);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct zcp_writer writer;
	uint32_t seed = w->id;

	zcp_testbed_writer(&w->stress->bed, &w->stress->bed.view, w->id - 1, 1, &writer);
	for (uint64_t i = 0; i < w->stress->n_rounds; i++)
		round_trip(w, &writer, i, &seed);
	zcp_writer_deinit(&writer);
	return NULL;
}

int main(void)
{
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(N_THREADS, 1, 0, PAYLOAD,
								       N_CHUNKS);
	static struct stress s;
	struct worker workers[N_THREADS];

	zcp_test_watchdog(100);
	zcp_testbed_init(&s.bed, &options);
	s.n_rounds = zcp_test_rounds(100000);
	for (int i = 0; i < N_BOXES; i++)
		zcp_test_store(&s.boxes[i], NO_REF);
	for (uint32_t i = 0; i < N_THREADS; i++) {
		workers[i] = (struct worker){ .stress = &s, .id = i + 1 };
		ZCP_CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
	}
	for (uint32_t i = 0; i < N_THREADS; i++)
		ZCP_CHECK(pthread_join(workers[i].thread, NULL) == 0);
	for (int i = 0; i < N_BOXES; i++)
		if (zcp_test_load(&s.boxes[i]) != NO_REF)
			release(&s, zcp_test_load(&s.boxes[i]));
	ZCP_CHECK(zcp_testbed_n_busy(&s.bed) == 0);
	(void)printf("%u threads, %llu rounds each, %llu times no chunk was free\n", N_THREADS,
		     (unsigned long long)s.n_rounds,
		     (unsigned long long)zcp_test_load(&s.n_exhausted));
	zcp_testbed_deinit(&s.bed);
	return 0;
}
