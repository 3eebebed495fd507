/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight owners, a thread each, claim FREE chunks of one class and write them. They free them at
 * once, keep them as spare ones for a while, or hand them to one another by way of a few boxes,
 * and the thread that finds one in a box frees it, as the runtime does in an owner's name. No chunk
 * has two owners at a time, and no payload changes under its owner. Where there are as many chunks
 * as all of them can have a claim never fails, and in the end each owner can claim all. Meanwhile a
 * runtime asks to be told of chunks that become FREE: it is told once each time that it asks.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>

#include "pubsub/flow/chunks.h"
#include "tests/support/check.h"
#include "tests/support/testbed.h"

#define N_OWNERS 8
#define N_BOXES 4
/* Each owner has up to one on loan, and one spare. */
#define N_ENOUGH (2 * N_OWNERS + N_BOXES)
#define N_SCARCE (N_OWNERS + 1)
#define PAYLOAD 64

struct stress {
	struct zcp_testbed bed;
	uint64_t n_rounds;
	bool is_scarce;
	/* owner that writes the chunk; 0: nobody */
	_Atomic uint32_t writers[N_ENOUGH];
	/* a chunk on its way to the next thread that looks */
	_Atomic uint32_t boxes[N_BOXES];
	_Atomic uint64_t n_exhausted;
	/* times that somebody was to tell the runtime, and owners that are done */
	_Atomic uint64_t n_told;
	_Atomic uint32_t n_done;
};

struct worker {
	struct stress *stress;
	struct zcp_chunks chunks;
	pthread_t thread;
	uint32_t owner;
	uint32_t seed;
};

static uint64_t *payload_of(const struct stress *s, uint32_t ref)
{
	const struct zcp_class *class = zcp_pool_class(&s->bed.view.pool, ref);

	ZCP_CHECK(class);
	return (uint64_t *)(void *)zcp_class_payload(class, zcp_ref_index(ref));
}

static uint32_t state_of(const struct stress *s, uint32_t ref)
{
	return zcp_test_load(&zcp_pool_descriptor(&s->bed.view.pool, ref)->state);
}

static void count_told(struct stress *s, bool wanted)
{
	/* Relaxed: a count. */
	if (wanted)
		(void)atomic_fetch_add_explicit(&s->n_told, 1, memory_order_relaxed);
}

/* Checks what was handed over, and frees it in its owner's name. */
static void free_stranger(struct stress *s, uint32_t ref)
{
	const uint64_t *words = payload_of(s, ref);

	ZCP_CHECK(state_of(s, ref) == zcp_chunk_state((uint32_t)words[0], ZCP_CHUNK_LOANED));
	ZCP_CHECK(zcp_test_is_filled(words + 2, PAYLOAD - 16, words[0], words[1]));
	zcp_chunk_free(zcp_pool_descriptor(&s->bed.view.pool, ref));
	count_told(s, zcp_class_count_freed(&s->bed.view.pool.classes[0]));
}

static void hand_over(struct worker *w, uint32_t ref)
{
	_Atomic uint32_t *box = &w->stress->boxes[zcp_test_random(&w->seed) % N_BOXES];
	/* Acquire and release, as a grace period. */
	uint32_t other = atomic_exchange_explicit(box, ref, memory_order_acq_rel);

	if (other != ZCP_REF_NONE)
		free_stranger(w->stress, other);
}

static void write_chunk(struct worker *w, uint32_t ref, uint64_t round)
{
	/* Relaxed, so that this check orders nothing that the claim should have. */
	_Atomic uint32_t *writer = &w->stress->writers[zcp_ref_index(ref)];
	uint64_t *words = payload_of(w->stress, ref);

	ZCP_CHECK(atomic_exchange_explicit(writer, w->owner, memory_order_relaxed) == 0);
	words[0] = w->owner;
	words[1] = round;
	zcp_test_fill(words + 2, PAYLOAD - 16, w->owner, round);
	if (zcp_test_random(&w->seed) % 8 == 0)
		zcp_test_pause(&w->seed, 200);
	ZCP_CHECK(words[0] == w->owner && words[1] == round);
	/* FREE, or spare, implies 0. Relaxed: the owner's word. */
	ZCP_CHECK(atomic_exchange_explicit(&zcp_pool_descriptor(w->chunks.pool, ref)->seq,
					   round + 1, memory_order_relaxed) == 0);
	ZCP_CHECK(atomic_exchange_explicit(writer, 0, memory_order_relaxed) == w->owner);
}

/* From now on the chunk is spare, or FREE, or somebody else's to free. */
static void dispose(struct worker *w, uint32_t ref)
{
	struct stress *s = w->stress;

	switch (zcp_test_random(&w->seed) % 4) {
	case 0:
		if (w->chunks.spare.n == 0) {
			zcp_chunks_add_spare(&w->chunks, ref);
			ZCP_CHECK(state_of(s, ref) == zcp_chunk_state(w->owner, 0));
			break;
		}
		/* fall through */
	case 1:
		zcp_chunks_free(&w->chunks, ref);
		count_told(s, w->chunks.freed);
		w->chunks.freed = false;
		break;
	default:
		hand_over(w, ref);
	}
}

static void round_trip(struct worker *w, uint64_t round)
{
	struct stress *s = w->stress;
	bool from_spare = zcp_test_random(&w->seed) % 2 && w->chunks.spare.n > 0;
	uint32_t ref = from_spare ? zcp_chunk_list_pop(&w->chunks, &w->chunks.spare) :
				    zcp_chunks_claim(&w->chunks);

	if (ref == ZCP_REF_NONE) {
		ZCP_CHECK(s->is_scarce);
		/* Relaxed: a count. */
		(void)atomic_fetch_add_explicit(&s->n_exhausted, 1, memory_order_relaxed);
		sched_yield();
		return;
	}
	ZCP_CHECK(zcp_ref_index(ref) < zcp_testbed_n_touched(&s->bed));
	ZCP_CHECK(state_of(s, ref) == zcp_chunk_state(w->owner, from_spare ? 0 : ZCP_CHUNK_LOANED));
	if (from_spare)
		/* Relaxed: ours, as in zcp_writer_loan(). */
		atomic_store_explicit(&zcp_pool_descriptor(w->chunks.pool, ref)->state,
				      zcp_chunk_state(w->owner, ZCP_CHUNK_LOANED),
				      memory_order_relaxed);
	write_chunk(w, ref, round);
	dispose(w, ref);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (uint64_t i = 0; i < w->stress->n_rounds; i++)
		round_trip(w, i);
	if (w->chunks.spare.n > 0)
		zcp_chunks_free(&w->chunks, zcp_chunk_list_pop(&w->chunks, &w->chunks.spare));
	count_told(w->stress, w->chunks.freed);
	w->chunks.freed = false;
	(void)atomic_fetch_add_explicit(&w->stress->n_done, 1, memory_order_seq_cst);
	return NULL;
}

/* Asks again and again, until the owners are done. Returns how often that was taken. */
static uint64_t ask(struct stress *s)
{
	_Atomic uint32_t *wants = &s->bed.view.pool.classes[0].shm->wants_freed;
	uint64_t n_asked = 0;

	while (zcp_test_load(&s->n_done) < N_OWNERS) {
		if (zcp_test_load(wants) == 0) {
			zcp_test_store(wants, 1);
			n_asked++;
		}
		sched_yield();
	}
	return n_asked - zcp_test_load(wants);
}

/* Nobody else claims or frees any more: there is no FREE chunk that an owner does not find. */
static void claim_all(struct worker *w, uint32_t n_chunks)
{
	uint32_t refs[N_ENOUGH];

	for (uint32_t i = 0; i < n_chunks; i++) {
		refs[i] = zcp_chunks_claim(&w->chunks);
		/* The lowest one first. */
		ZCP_CHECK(refs[i] == zcp_ref(0, i));
	}
	ZCP_CHECK(zcp_chunks_claim(&w->chunks) == ZCP_REF_NONE);
	for (uint32_t i = 0; i < n_chunks; i++)
		zcp_chunks_free(&w->chunks, refs[i]);
}

static void run(uint32_t n_chunks)
{
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(1, 1, 0, PAYLOAD, n_chunks);
	static struct stress s;
	static struct worker workers[N_OWNERS];
	uint64_t n_asked;

	s = (struct stress){
		.n_rounds = zcp_test_rounds(100000),
		.is_scarce = n_chunks < N_ENOUGH,
	};
	zcp_testbed_init(&s.bed, &options);
	for (int i = 0; i < N_BOXES; i++)
		zcp_test_store(&s.boxes[i], ZCP_REF_NONE);
	for (uint32_t i = 0; i < N_OWNERS; i++) {
		workers[i] = (struct worker){ .stress = &s, .owner = i + 1, .seed = i + 1 };
		ZCP_CHECK(zcp_chunks_init(&workers[i].chunks, &s.bed.view.pool, 0, i + 1) == 0);
		ZCP_CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
	}
	n_asked = ask(&s);
	for (uint32_t i = 0; i < N_OWNERS; i++)
		ZCP_CHECK(pthread_join(workers[i].thread, NULL) == 0);
	ZCP_CHECK(n_asked > 0 && zcp_test_load(&s.n_told) == n_asked);
	for (int i = 0; i < N_BOXES; i++)
		if (zcp_test_load(&s.boxes[i]) != ZCP_REF_NONE)
			free_stranger(&s, zcp_test_load(&s.boxes[i]));
	ZCP_CHECK(zcp_testbed_n_owned(&s.bed) == 0);
	for (uint32_t i = 0; i < N_OWNERS; i++) {
		claim_all(&workers[i], n_chunks);
		zcp_chunks_deinit(&workers[i].chunks);
	}
	(void)printf("%u owners, %u chunks: %llu rounds each, %llu times none was FREE, "
		     "%llu times the runtime was told\n",
		     N_OWNERS, n_chunks, (unsigned long long)s.n_rounds,
		     (unsigned long long)zcp_test_load(&s.n_exhausted),
		     (unsigned long long)n_asked);
	ZCP_CHECK(zcp_test_load(&s.n_exhausted) > 0 || !s.is_scarce);
	zcp_testbed_deinit(&s.bed);
}

int main(void)
{
	zcp_test_watchdog(100);
	run(N_SCARCE);
	run(N_ENOUGH);
	return 0;
}
