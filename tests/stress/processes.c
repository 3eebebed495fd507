/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that were forked before anything was mapped: each attaches the regions itself,
 * at addresses of its own.
 *
 * First, eight claim and free chunks of one pool: no chunk is ever owned twice, all are FREE
 * at the end. Then 1 to 8, 8 to 1 and 4 to 4 exchange checksummed messages: where
 * publishers wait for room nothing is lost, and where they do not what is received and what
 * is lost add up to what was published.
 */
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pubsub/shm/fence.h"
#include "tests/support/check.h"
#include "tests/support/testbed.h"
#include "tests/support/traffic.h"

#define N_MAX 9
#define N_CLAIMERS 8
/* Fewer than they would like, so that they are after the same ones. */
#define N_CHUNKS 6
#define PAYLOAD 64

/* Between the processes, besides the regions. */
struct control {
	struct zcp_traffic traffic;
	/* the parent has made the subscribers active */
	_Atomic uint32_t n_joined;
	/* where each child has the first chunk's payload */
	_Atomic uint64_t addresses[N_MAX];
	/* who has the chunk for writing; 0: nobody */
	_Atomic uint32_t owners[N_CHUNKS];
	_Atomic uint64_t n_exhausted;
};

struct run {
	struct zcp_testbed bed;
	struct control *control;
	uint32_t n_publishers;
	uint32_t depth_log2;
};

static struct control *control_new(void)
{
	void *base = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ZCP_CHECK(base != MAP_FAILED);
	return base;
}

/* In a child: maps the regions, at other addresses than the other children. */
static void attach(const struct run *run, uint32_t child, bool writable,
		   struct zcp_testbed_view *view)
{
	/* Those that stay mapped take the places that the children before had. */
	for (uint32_t i = 0; i < child; i++)
		zcp_testbed_attach(&run->bed, view, writable);
	(void)zcp_fence_register();
	zcp_testbed_attach(&run->bed, view, writable);
	zcp_test_store(&run->control->addresses[child],
		       (uint64_t)(uintptr_t)view->pool.classes[0].payloads);
}

static void claimer(const struct run *run, uint32_t child)
{
	struct control *control = run->control;
	uint64_t n_rounds = zcp_test_rounds(2000000) / N_CLAIMERS;
	uint32_t id = child + 1, seed = id;
	struct zcp_testbed_view view;
	struct zcp_chunks chunks;

	attach(run, child, true, &view);
	ZCP_CHECK(zcp_chunks_init(&chunks, &view.pool, 0, id) == 0);
	for (uint64_t i = 0; i < n_rounds; i++) {
		_Atomic uint32_t *owner;
		uint32_t ref, *owner_seen;

		while ((ref = zcp_chunks_claim(&chunks)) == ZCP_REF_NONE) {
			(void)atomic_fetch_add_explicit(&control->n_exhausted, 1,
							memory_order_relaxed);
			sched_yield();
		}
		/* Relaxed: it must not order what the claim has not. */
		owner = &control->owners[zcp_ref_index(ref)];
		ZCP_CHECK(atomic_exchange_explicit(owner, id, memory_order_relaxed) == 0);
		owner_seen = (uint32_t *)(void *)zcp_class_payload(&view.pool.classes[0],
								   zcp_ref_index(ref));
		*owner_seen = id;
		zcp_test_fill(owner_seen + 2, PAYLOAD - 8, id, i);
		if (zcp_test_random(&seed) % 16 == 0)
			zcp_test_pause(&seed, 100);
		ZCP_CHECK(*owner_seen == id);
		ZCP_CHECK(zcp_test_is_filled(owner_seen + 2, PAYLOAD - 8, id, i));
		ZCP_CHECK(atomic_exchange_explicit(owner, 0, memory_order_relaxed) == id);
		zcp_chunks_free(&chunks, ref);
	}
	zcp_chunks_deinit(&chunks);
	zcp_testbed_detach(&view);
}

static struct zcp_reader_options subscriber_in(const struct run *run, uint32_t slot)
{
	return (struct zcp_reader_options){
		.slot = slot,
		.depth_log2 = run->depth_log2,
		.max_held = ZCP_TRAFFIC_HELD_MAX,
		.blocks = run->control->traffic.blocks,
		.symmetric = run->bed.symmetric,
	};
}

static void subscriber(const struct run *run, uint32_t child)
{
	uint32_t slot = child - run->n_publishers;
	struct zcp_reader_options options = subscriber_in(run, slot);
	struct zcp_testbed_view view;
	struct zcp_reader reader;

	attach(run, child, false, &view);
	while (zcp_test_load(&run->control->n_joined) == 0)
		sched_yield();
	zcp_testbed_reader(&view, &options, &reader);
	zcp_traffic_subscribe(&run->control->traffic, &reader, &view.signals.signals[slot],
			      child + 1);
	zcp_reader_deinit(&reader);
	zcp_testbed_detach(&view);
}

static void publisher(const struct run *run, uint32_t child)
{
	struct zcp_testbed_view view;
	struct zcp_writer writer;

	attach(run, child, true, &view);
	while (zcp_test_load(&run->control->n_joined) == 0)
		sched_yield();
	zcp_testbed_writer(&run->bed, &view, child, 1, &writer);
	zcp_traffic_publish(&run->control->traffic, &writer, child + 1);
	zcp_writer_deinit(&writer);
	zcp_testbed_detach(&view);
}

static void member(const struct run *run, uint32_t child)
{
	if (child < run->n_publishers)
		publisher(run, child);
	else
		subscriber(run, child);
}

/* Children get the descriptors and nothing else of the regions. */
static void start(struct run *run, pid_t *children, uint32_t n,
		  void (*body)(const struct run *, uint32_t))
{
	pid_t parent = getpid();

	zcp_testbed_detach(&run->bed.view);
	(void)fflush(stdout);
	for (uint32_t i = 0; i < n; i++) {
		children[i] = fork();
		ZCP_CHECK(children[i] >= 0);
		if (children[i] == 0) {
			ZCP_CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent);
			body(run, i);
			_exit(0);
		}
	}
	zcp_testbed_attach(&run->bed, &run->bed.view, true);
}

static void await(const struct run *run, const pid_t *children, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		int status;

		/* Whichever ends first: one that has failed leaves the others waiting. */
		ZCP_CHECK(wait(&status) > 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			continue;
		(void)fprintf(stderr, "a child ended with status %#x\n", (unsigned int)status);
		for (uint32_t j = 0; j < n; j++)
			(void)kill(children[j], SIGKILL);
		_exit(1);
	}
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < i; j++)
			ZCP_CHECK(zcp_test_load(&run->control->addresses[i]) !=
				  zcp_test_load(&run->control->addresses[j]));
	ZCP_CHECK(zcp_testbed_n_busy(&run->bed) == 0);
}

static void claim_and_release(void)
{
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(N_CLAIMERS, 1, 0, PAYLOAD,
								       N_CHUNKS);
	struct run run = { .control = control_new() };
	pid_t children[N_CLAIMERS];

	zcp_testbed_init(&run.bed, &options);
	start(&run, children, N_CLAIMERS, claimer);
	await(&run, children, N_CLAIMERS);
	ZCP_CHECK(zcp_testbed_n_owned(&run.bed) == 0);
	for (uint32_t i = 0; i < N_CHUNKS; i++)
		ZCP_CHECK(zcp_test_load(&run.control->owners[i]) == 0);
	(void)printf("%u claimers, %llu rounds in all, %llu times no chunk was free\n", N_CLAIMERS,
		     (unsigned long long)zcp_test_rounds(2000000),
		     (unsigned long long)zcp_test_load(&run.control->n_exhausted));
	zcp_testbed_deinit(&run.bed);
	(void)munmap(run.control, sizeof(*run.control));
}

static void exchange(uint32_t n_publishers, uint32_t n_subscribers, bool blocks)
{
	struct run run = {
		.control = control_new(),
		.n_publishers = n_publishers,
		/* Deep where publishers wait, or the processes would mostly change places. */
		.depth_log2 = blocks ? 6 : 4,
	};
	struct zcp_traffic *traffic = &run.control->traffic;
	struct zcp_testbed_options options;
	pid_t children[N_MAX];

	*traffic = (struct zcp_traffic){
		.n_publishers = n_publishers,
		.n_subscribers = n_subscribers,
		.n_messages = zcp_test_rounds(200000),
		.first_seq = (UINT64_C(1) << 32) - 1000,
		.blocks = blocks,
	};
	options = ZCP_TESTBED_OPTIONS(n_publishers, n_subscribers, run.depth_log2,
				      ZCP_TRAFFIC_PAYLOAD,
				      zcp_traffic_n_chunks(traffic, run.depth_log2, 0));
	options.first_seq = traffic->first_seq;
	zcp_testbed_init(&run.bed, &options);
	start(&run, children, n_publishers + n_subscribers, member);
	for (uint32_t i = 0; i < n_subscribers; i++) {
		struct zcp_reader_options s = subscriber_in(&run, i);

		zcp_testbed_join(&run.bed, &s, 0);
	}
	zcp_test_store(&run.control->n_joined, 1);
	await(&run, children, n_publishers + n_subscribers);
	zcp_traffic_check(traffic);
	(void)printf("%u to %u, %s: %llu published, %llu received, %llu lost\n", n_publishers,
		     n_subscribers, blocks ? "blocking" : "dropping",
		     (unsigned long long)traffic->n_messages * n_publishers,
		     (unsigned long long)zcp_test_load(&traffic->n_received),
		     (unsigned long long)zcp_test_load(&traffic->n_lost));
	zcp_testbed_deinit(&run.bed);
	(void)munmap(run.control, sizeof(*run.control));
}

int main(void)
{
	zcp_test_watchdog(110);
#ifdef ZCP_TEST_TSAN
	(void)fprintf(stderr, "skipped: what processes do to each other no thread detector sees\n");
	return ZCP_TEST_SKIPPED;
#endif
	claim_and_release();
	for (int blocks = 0; blocks < 2; blocks++) {
		exchange(1, 8, blocks);
		exchange(8, 1, blocks);
		exchange(4, 4, blocks);
	}
	return 0;
}
