/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that has everything mapped writes random bits and words into it, while others
 * publish and subscribe. Nobody else crashes, hangs, or is handed memory that is not a
 * chunk's: what they notice is an error or a loss. That they read and write nothing else is
 * what AddressSanitizer, under which this runs too, would tell.
 *
 * Lasts AIM_SECONDS for each of the aims.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pubsub/client/publisher.h"
#include "pubsub/client/subscriber.h"
#include "pubsub/util.h"
#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define N_PUBLISHERS 4
#define N_SUBSCRIBERS 4
#define N_ACTORS (N_PUBLISHERS + N_SUBSCRIBERS)
#define TOPIC "t"
#define PAYLOAD 4096
#define HELD 4
/* ZCP_STRESS_ROUNDS multiplies it. */
#define AIM_SECONDS 3
#define WRITES_PER_LOOK 10000
#define PAUSE_NS 1000000
#define STALL_NS UINT64_C(20000000000)

enum aim {
	EVERYTHING,
	LANES,
	DESCRIPTORS,
	SIGNALS,
	MEMBERSHIP,
};

struct shared {
	_Atomic uint64_t n_turns[N_ACTORS];
	_Atomic uint64_t n_written;
};

struct actor {
	uint32_t number;
	uint32_t seed;
	struct shared *shared;
	struct zcp_test_child child;
	uint64_t seen;
	uint64_t seen_ns;
};

/* --- those who are lied to --- */

static struct zcp_publisher *open_publisher(struct zcp_node *node)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_publisher *publisher;

	options.max_payload = PAYLOAD;
	options.loans = 2;
	options.history = 3;
	ZCP_OK(zcp_publisher_open(&publisher, node, TOPIC, &options), node);
	return publisher;
}

/* Whatever it is told: it is one of the errors that the call may have. */
static void publish_for_ever(struct actor *actor)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = open_publisher(node);

	for (;;) {
		struct zcp_loan loan;
		int r = zcp_publisher_loan(publisher, PAYLOAD, &loan);

		/* -EMLINK: what was on loan is not ours any more, as far as its word says. */
		ZCP_CHECK(r == 0 || r == -ENOBUFS || r == -EMLINK);
		if (r == 0) {
			ZCP_CHECK(loan.capacity >= PAYLOAD);
			memset(loan.data, 1, PAYLOAD);
			r = zcp_publisher_publish_timed(publisher, &loan, PAUSE_NS);
			ZCP_CHECK(r == 0 || r == -EAGAIN || r == -EINVAL);
			if (r == -EAGAIN)
				r = zcp_publisher_discard(publisher, &loan);
			ZCP_CHECK(r == 0 || r == -EINVAL);
		}
		(void)atomic_fetch_add(&actor->shared->n_turns[actor->number], 1);
	}
}

static void read_all(const struct zcp_sample *sample)
{
	const volatile unsigned char *bytes = sample->data;

	ZCP_CHECK(sample->size <= PAYLOAD);
	for (size_t i = 0; i < sample->size; i++)
		(void)bytes[i];
}

static void subscribe_for_ever(struct actor *actor)
{
	struct zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_node *node = zcp_test_node();
	struct zcp_sample held[HELD];
	struct zcp_subscriber *subscriber;
	uint32_t n_held = 0;

	options.depth = 8;
	options.held = HELD;
	options.history = actor->number % 3;
	options.order = actor->number % 2 ? ZCP_ORDER_TIME : ZCP_ORDER_TURN;
	options.on_full = actor->number % 2 ? ZCP_ON_FULL_BLOCK : ZCP_ON_FULL_DROP_OLDEST;
	ZCP_OK(zcp_subscriber_open(&subscriber, node, TOPIC, &options), node);
	for (;;) {
		int r = actor->number == N_PUBLISHERS ?
				zcp_subscriber_latest(subscriber, &held[n_held]) :
				zcp_subscriber_take(subscriber, &held[n_held]);

		/* -EPROTO: a slot names memory that is not mapped, and whose header is wrong. */
		ZCP_CHECK(r == 0 || r == -EAGAIN || r == -EPROTO);
		if (r == 0)
			read_all(&held[n_held++]);
		while (n_held == HELD || (r < 0 && n_held > 0)) {
			read_all(&held[--n_held]);
			ZCP_OK(zcp_sample_release(&held[n_held]), node);
		}
		if (r < 0) {
			r = zcp_node_wait(node, PAUSE_NS);
			ZCP_CHECK(r == 0 || r == -ETIMEDOUT);
		}
		(void)atomic_fetch_add(&actor->shared->n_turns[actor->number], 1);
	}
}

static void act(struct zcp_test_child *self, void *arg)
{
	struct actor *actor = arg;

	(void)self;
	if (actor->number < N_PUBLISHERS)
		publish_for_ever(actor);
	else
		subscribe_for_ever(actor);
}

/* --- who lies --- */

struct vandal {
	enum aim aim;
	uint32_t seed;
	struct shared *shared;
	struct zcp_node *node;
	struct zcp_publisher *publisher;
};

struct target {
	char *base;
	size_t size;
};

/* Some bytes that this aim is about. */
static struct target aim_at(struct vandal *vandal)
{
	const struct zcp_topic *topic = &vandal->publisher->endpoint.topic;
	const struct zcp_pool *pool = &vandal->publisher->endpoint.pool;
	const struct zcp_class *class =
		&pool->classes[zcp_test_random(&vandal->seed) % pool->n_classes];
	enum aim aim = vandal->aim;

	if (aim == EVERYTHING && zcp_test_random(&vandal->seed) % 4 == 0)
		return (struct target){ class->data_region.base, class->data_region.size };
	if (aim == EVERYTHING)
		aim = (enum aim)(LANES + zcp_test_random(&vandal->seed) % 4);
	switch (aim) {
	case LANES:
		return (struct target){ topic->lanes,
					topic->region.size - (size_t)(topic->lanes -
								      (char *)topic->region.base) };
	case DESCRIPTORS:
		/* Where there are any in use. */
		return (struct target){ class->chunks_region.base,
					class->chunks_region.size < 16384 ?
						class->chunks_region.size :
						16384 };
	case SIGNALS:
		return (struct target){ vandal->node->signals.region.base, 128 * 32 };
	default:
		return (struct target){ topic->region.base,
					(size_t)(topic->lanes - (char *)topic->region.base) };
	}
}

static void write_once(struct vandal *vandal)
{
	struct target target = aim_at(vandal);
	_Atomic uint64_t *word;
	size_t n_words = target.size / sizeof(*word);
	uint64_t value = zcp_test_random(&vandal->seed);
	size_t at = (value << 20 ^ zcp_test_random(&vandal->seed)) % n_words;

	word = (_Atomic uint64_t *)(void *)target.base + at;
	switch (zcp_test_random(&vandal->seed) % 4) {
	case 0:
		zcp_test_store(word, value << 32 | zcp_test_random(&vandal->seed));
		break;
	case 1:
		zcp_test_store(word, value % 2 ? UINT64_MAX : 0);
		break;
	default:
		(void)atomic_fetch_xor(word, UINT64_C(1) << (value % 64));
	}
}

static void lie(struct zcp_test_child *self, void *arg)
{
	struct vandal *vandal = arg;

	vandal->node = zcp_test_node();
	vandal->publisher = open_publisher(vandal->node);
	zcp_test_say_step(self, 0);
	for (;;) {
		for (int i = 0; i < WRITES_PER_LOOK; i++)
			write_once(vandal);
		(void)atomic_fetch_add(&vandal->shared->n_written, WRITES_PER_LOOK);
	}
}

/* --- and what becomes of it --- */

static uint64_t seconds(void)
{
	return zcp_test_rounds(AIM_SECONDS);
}

/* Nobody has ended, and everybody's calls come back. */
static void watch(struct actor *actors, struct zcp_test_runtime *runtime)
{
	ZCP_CHECK(!zcp_test_ends(runtime->pidfd, 0));
	for (int i = 0; i < N_ACTORS; i++) {
		struct actor *actor = &actors[i];
		uint64_t n = zcp_test_load(&actor->shared->n_turns[i]), now = zcp_now_ns();

		if (zcp_test_ends(actor->child.pidfd, 0))
			(void)fprintf(stderr, "actor %d has ended\n", i);
		ZCP_CHECK(!zcp_test_ends(actor->child.pidfd, 0));
		if (n != actor->seen) {
			actor->seen = n;
			actor->seen_ns = now;
		}
		if (now - actor->seen_ns > STALL_NS)
			(void)fprintf(stderr, "actor %d stands still\n", i);
		ZCP_CHECK(now - actor->seen_ns <= STALL_NS);
	}
}

static void check_aim(enum aim aim)
{
	struct zcp_test_runtime runtime;
	struct zcp_test_child liar;
	struct actor actors[N_ACTORS];
	struct vandal vandal = { .aim = aim, .seed = 99 };
	struct zcp_node *node;
	uint64_t end;

	(void)alarm((unsigned int)seconds() + 90);
	vandal.shared = mmap(NULL, sizeof(*vandal.shared), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ZCP_CHECK(vandal.shared != MAP_FAILED);
	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	for (uint32_t i = 0; i < N_ACTORS; i++) {
		actors[i] = (struct actor){
			.number = i, .seed = i + 1, .shared = vandal.shared, .seen_ns = zcp_now_ns()
		};
		zcp_test_fork(&actors[i].child, act, &actors[i]);
	}
	/* Who comes later finds headers that are not zcp's, and is refused. */
	for (int i = 0; i < N_ACTORS; i++)
		while (zcp_test_load(&vandal.shared->n_turns[i]) == 0)
			watch(actors, &runtime);
	zcp_test_fork(&liar, lie, &vandal);
	zcp_test_hear_step(&liar, 0);
	end = zcp_now_ns() + seconds() * 1000000000;
	while (zcp_now_ns() < end) {
		struct zcp_message reply;

		watch(actors, &runtime);
		/* It also still answers. */
		zcp_test_info(node, TOPIC, &reply);
		zcp_message_deinit(&reply);
	}
	zcp_test_kill(&liar);
	(void)printf("%llu words were written\n",
		     (unsigned long long)zcp_test_load(&vandal.shared->n_written));
	for (int i = 0; i < N_ACTORS; i++)
		zcp_test_kill(&actors[i].child);
	zcp_node_close(node);
	/* Another domain of the runtime's is a new one; this one ends as it should. */
	zcp_test_runtime_stop(&runtime);
}

static void everything_is_written_to(void)
{
	check_aim(EVERYTHING);
}

static void lanes_are_written_to(void)
{
	check_aim(LANES);
}

static void descriptors_are_written_to(void)
{
	check_aim(DESCRIPTORS);
}

static void signals_are_written_to(void)
{
	check_aim(SIGNALS);
}

static void membership_is_written_to(void)
{
	check_aim(MEMBERSHIP);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(everything_is_written_to),   ZCP_TEST_CASE(lanes_are_written_to),
	ZCP_TEST_CASE(descriptors_are_written_to), ZCP_TEST_CASE(signals_are_written_to),
	ZCP_TEST_CASE(membership_is_written_to),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
