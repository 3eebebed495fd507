/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscriber that writes garbage into all that it can write: the acks of its topic. No publisher
 * fails, waits or goes beyond what was reserved for it; another topic that takes from the same pool,
 * which has a chunk for what was reserved and none more, loses nothing. Where it writes its own block
 * alone, nor does any other subscriber of its topic.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pubsub/client/publisher.h"
#include "pubsub/client/subscriber.h"
#include "pubsub/util.h"
#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define ATTACKED "shared/a"
#define OTHER "shared/b"
#define DEPTH 8
#define HELD 2
#define N_WORDS 8
/* For each publisher: a loan, a queue, what rotates; what is held of it; and one more. */
#define COUNT ((1 + DEPTH + 8 + 2 * HELD) + (1 + DEPTH + 8 + HELD) + 1)
/* ZCP_STRESS_ROUNDS multiplies it. */
#define SECONDS 3
#define WRITES_PER_LOOK 1000
/* Nothing for so long is a stall. */
#define STALL_SECONDS 20

struct shared {
	_Atomic uint64_t n_sent[2];
	_Atomic uint64_t n_taken[2];
	_Atomic uint64_t n_written;
	_Atomic uint64_t is_over;
};

struct job {
	struct shared *shared;
	/* its own block, and no other word */
	bool own_only;
	/* 0: the topic that is lied to; 1: the other one */
	uint32_t topic;
};

static const char *const topics[] = { ATTACKED, OTHER };

/* --- the liar --- */

static void write_somewhere(char *base, size_t size, uint64_t next_seq, uint32_t *seed)
{
	uint64_t value = zcp_test_random(seed), more = zcp_test_random(seed);
	_Atomic uint64_t *word = (_Atomic uint64_t *)(void *)base + more % (size / 8);

	switch (zcp_test_random(seed) % 4) {
	case 0:
		zcp_test_store(word, value << 32 | more);
		break;
	case 1:
		zcp_test_store(word, value % 2 ? UINT64_MAX : 0);
		break;
	case 2:
		/* A message that there is, or was. */
		zcp_test_store(word, zcp_held(0, next_seq - value % 64));
		break;
	default:
		(void)atomic_fetch_xor(word, UINT64_C(1) << (value % 64));
	}
}

static void lie(struct zcp_test_child *self, void *arg)
{
	const struct job *job = arg;
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, ATTACKED, DEPTH, HELD, 0);
	const struct zcp_acks *acks = &subscriber->endpoint.acks;
	uint32_t seed = 1, slot = subscriber->endpoint.slot;

	zcp_test_say_step(self, 0);
	for (;;) {
		for (int i = 0; i < WRITES_PER_LOOK; i++) {
			uint64_t next = zcp_test_load(
				&subscriber->endpoint.topic.publishers[0].next_seq);

			/* Mostly where it counts: the counts, the first ack lines and held entries. */
			if (job->own_only)
				write_somewhere(zcp_acks_block(acks, slot),
						i % 4 ? 1024 : acks->block_stride, next, &seed);
			else if (i % 2)
				write_somewhere((char *)acks->shm->sleepers,
						acks->region.size -
							offsetof(struct zcp_acks_shm, sleepers),
						next, &seed);
			else
				write_somewhere(zcp_acks_block(acks, (uint32_t)i / 2 % 2), 1024,
						next, &seed);
		}
		(void)atomic_fetch_add(&job->shared->n_written, WRITES_PER_LOOK);
	}
}

/* --- the honest ones --- */

static void publish(struct zcp_test_child *self, void *arg)
{
	const struct job *job = arg;
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, topics[job->topic], 64, 1);

	ZCP_OK(zcp_publisher_wait_subscribers(publisher, 1, ZCP_FOREVER), node);
	zcp_test_say_step(self, 0);
	for (uint64_t n = publisher->writer.next_seq; !zcp_test_load(&job->shared->is_over); n++) {
		struct zcp_loan loan;

		ZCP_OK(zcp_publisher_loan(publisher, 64, &loan), node);
		for (int i = 0; i < N_WORDS; i++)
			((uint64_t *)loan.data)[i] = n;
		/* On the topic that is lied to nobody blocks: it may not wait. */
		ZCP_OK(zcp_publisher_publish_timed(publisher, &loan,
						   job->topic == 0 ? 0 : ZCP_FOREVER),
		       node);
		(void)atomic_fetch_add(&job->shared->n_sent[job->topic], 1);
	}
	zcp_test_say_step(self, 1);
	zcp_test_wait_for_the_end(self);
}

static void check(const struct zcp_sample *sample, uint64_t next)
{
	ZCP_CHECK(next == 0 || sample->sequence == next + sample->lost);
	for (int i = 0; i < N_WORDS; i++)
		ZCP_CHECK(((const uint64_t *)sample->data)[i] == sample->sequence);
}

static void subscribe(struct zcp_test_child *self, void *arg)
{
	const struct job *job = arg;
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(
		node, topics[job->topic], DEPTH, HELD,
		job->topic == 0 ? ZCP_ON_FULL_DROP_OLDEST : ZCP_ON_FULL_BLOCK);
	/* What lies about its words spoils its messages. */
	bool is_spoilt = job->topic == 0 && !job->own_only;
	struct zcp_sample sample;
	uint64_t next = 0;

	zcp_test_say_step(self, 0);
	for (;;) {
		int r = zcp_subscriber_take(subscriber, &sample);

		ZCP_CHECK(r == 0 || r == -EAGAIN || (is_spoilt && r == -EMLINK));
		if (r == 0) {
			if (!is_spoilt)
				check(&sample, next);
			next = sample.sequence + 1;
			ZCP_CHECK(zcp_sample_release(&sample) == 0 || is_spoilt);
			(void)atomic_fetch_add(&job->shared->n_taken[job->topic], 1);
		} else if (!is_spoilt) {
			r = zcp_node_wait(node, ZCP_FOREVER);
			ZCP_CHECK(r == 0);
		}
	}
}

/* --- and what becomes of it --- */

static void lie_and_look(bool own_only)
{
	struct job jobs[2] = { { NULL, own_only, 0 }, { NULL, own_only, 1 } };
	struct zcp_test_child liar, publishers[2], subscribers[2];
	struct zcp_test_runtime runtime;
	struct zcp_publisher *one_more;
	struct shared *shared;
	struct zcp_node *node;
	char config[128];
	uint64_t end;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	ZCP_CHECK(shared != MAP_FAILED);
	(void)snprintf(config, sizeof(config),
		       "[pool.p]\nclasses = [{size = 64, count = %d}]\n"
		       "[topic.\"shared/*\"]\npool = \"p\"\n",
		       COUNT);
	zcp_test_runtime_start(&runtime, config);
	jobs[0].shared = jobs[1].shared = shared;
	zcp_test_fork(&liar, lie, &jobs[0]);
	zcp_test_hear_step(&liar, 0);
	for (int i = 0; i < 2; i++) {
		zcp_test_fork(&subscribers[i], subscribe, &jobs[i]);
		zcp_test_hear_step(&subscribers[i], 0);
		zcp_test_fork(&publishers[i], publish, &jobs[i]);
		zcp_test_hear_step(&publishers[i], 0);
	}
	node = zcp_test_node();
	/* There is a chunk for each of them and no other. */
	ZCP_CHECK(zcp_publisher_open(&one_more, node, OTHER, NULL) == -ENOSPC);
	/* That the other one goes on its end tells. */
	zcp_test_watch_progress(&shared->n_sent[0], STALL_SECONDS);
	end = zcp_now_ns() + zcp_test_rounds(SECONDS) * 1000000000;
	while (zcp_now_ns() < end || zcp_test_load(&shared->n_taken[1]) == 0) {
		struct zcp_message reply;

		zcp_test_info(node, ATTACKED, &reply);
		zcp_message_deinit(&reply);
		for (int i = 0; i < 2; i++)
			ZCP_CHECK(!zcp_test_ends(publishers[i].pidfd, 0) &&
				  !zcp_test_ends(subscribers[i].pidfd, 0));
	}
	(void)printf("%llu words written, %llu and %llu messages sent\n",
		     (unsigned long long)zcp_test_load(&shared->n_written),
		     (unsigned long long)zcp_test_load(&shared->n_sent[0]),
		     (unsigned long long)zcp_test_load(&shared->n_sent[1]));
	zcp_test_store(&shared->is_over, 1);
	for (int i = 0; i < 2; i++)
		zcp_test_hear_step(&publishers[i], 1);
	zcp_test_kill(&liar);
	zcp_test_wait_for_members(node, ATTACKED, 1, 1);
	/* Where others' words are spoilt it is they who are found, until they leave. */
	if (own_only)
		(void)zcp_test_audit(node);
	for (int i = 0; i < 2; i++)
		zcp_test_kill(&subscribers[i]);
	zcp_test_wait_for_members(node, ATTACKED, 1, 0);
	zcp_test_wait_for_members(node, OTHER, 1, 0);
	ZCP_CHECK(zcp_test_audit(node) == 0);
	for (int i = 0; i < 2; i++)
		zcp_test_kill(&publishers[i]);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static void own_block_is_garbage(void)
{
	lie_and_look(true);
}

static void all_acks_of_the_topic_are_garbage(void)
{
	lie_and_look(false);
}

/* --- what it cannot write --- */

static void write_to(struct zcp_test_child *self, void *arg)
{
	const uint32_t *which = arg;
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", DEPTH, HELD, 0);
	const struct zcp_endpoint *endpoint = &subscriber->endpoint;
	const struct zcp_region *regions[] = { &endpoint->topic.region,
					       &endpoint->pool.classes[0].chunks_region,
					       &endpoint->pool.classes[0].data_region };

	/* A sanitizer's handler would make a report of it. */
	(void)signal(SIGSEGV, SIG_DFL);
	zcp_test_say_step(self, 0);
	/* Nor by asking for it: the descriptor is for reading. */
	if (mprotect(regions[*which]->base, 4096, PROT_READ | PROT_WRITE) == 0)
		_exit(2);
	*(volatile char *)regions[*which]->base = 1;
	_exit(3);
}

static void topic_descriptors_and_data_are_for_reading(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "t", 64, 1);

	for (uint32_t which = 0; which < 3; which++) {
		struct zcp_test_child child;
		int status;

		zcp_test_fork(&child, write_to, &which);
		zcp_test_hear_step(&child, 0);
		ZCP_CHECK(waitpid(child.pid, &status, 0) == child.pid);
		ZCP_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	}
	zcp_test_send(publisher, 1);
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(own_block_is_garbage),
	ZCP_TEST_CASE(all_acks_of_the_topic_are_garbage),
	ZCP_TEST_CASE(topic_descriptors_and_data_are_for_reading),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
