/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A publisher, a subscriber, or a filter that is both, is killed at the k-th passing of each
 * crash point, with each policy, with and without history. The others go on: nothing they
 * get is torn, no number is missing that is not counted as lost, the audit is clean, and the
 * slot serves the next one.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pubsub/shm/crashpoint.h"
#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define DEPTH 4
#define HELD 3
#define N_WORDS 32
#define PASSINGS 3
#define POINTS_MAX 128
#define NAME_SIZE 48
#define STREAMS_MAX 8
/* Between two looks at whether a victim that makes no room is over. */
#define ROOM_NS 1000000
/* Messages after which a victim has come by everything that it comes by. */
#define VICTIM_MESSAGES 400

enum victim {
	PUBLISHER,
	SUBSCRIBER,
	FILTER,
	N_VICTIMS,
};

static const char *const victim_names[] = { "publisher", "subscriber", "filter" };

/* What a victim is, and where it dies; point[0] is 0: nowhere, it counts what it comes by. */
struct plan {
	enum victim victim;
	bool blocks;
	uint32_t history;
	bool kept; /* the history outlives its publisher, and the topic with it */
	char point[NAME_SIZE];
	uint64_t k;
	char in[32];
	char out[32];
};

struct passings {
	char point[NAME_SIZE];
	uint64_t n;
};

struct message {
	uint64_t words[N_WORDS];
};

/* --- endpoints, for both sides --- */

static struct zcp_publisher *open_publisher(struct zcp_node *node, const struct plan *plan,
					    const char *topic)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_publisher *publisher;

	options.max_payload = sizeof(struct message);
	options.history = plan->history;
	ZCP_OK(zcp_publisher_open(&publisher, node, topic, &options), node);
	return publisher;
}

static struct zcp_subscriber *open_subscriber(struct zcp_node *node, const struct plan *plan,
					      const char *topic)
{
	struct zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_subscriber *subscriber;

	options.depth = DEPTH;
	options.held = HELD;
	options.history = plan->history;
	options.on_full = plan->blocks ? ZCP_ON_FULL_BLOCK : ZCP_ON_FULL_DROP_OLDEST;
	ZCP_OK(zcp_subscriber_open(&subscriber, node, topic, &options), node);
	return subscriber;
}

/* Each word is the number that the message will have. */
static void fill(struct zcp_publisher *publisher, struct zcp_loan *loan)
{
	ZCP_CHECK(zcp_publisher_loan(publisher, sizeof(struct message), loan) == 0);
	for (int i = 0; i < N_WORDS; i++)
		((struct message *)loan->data)->words[i] =
			zcp_test_inside(publisher).writer->next_seq;
}

static bool publish(struct zcp_publisher *publisher, int64_t timeout_ns)
{
	struct zcp_loan loan;
	int r;

	fill(publisher, &loan);
	r = zcp_publisher_publish_timed(publisher, &loan, timeout_ns);
	if (r == -EAGAIN)
		ZCP_CHECK(zcp_publisher_discard(publisher, &loan) == 0);
	else
		ZCP_CHECK(r == 0);
	return r == 0;
}

static void check_words(const struct zcp_sample *sample)
{
	const struct message *message = sample->data;

	ZCP_CHECK(sample->size == sizeof(*message));
	for (int i = 0; i < N_WORDS; i++)
		ZCP_CHECK(message->words[i] == sample->sequence);
}

/* --- the victim --- */

static bool is_waiting(const struct zcp_subscriber *subscriber)
{
	const struct zcp_topic *topic = zcp_test_inside(subscriber).topic;

	for (uint32_t p = 0; p < topic->geometry.max_publishers; p++)
		if (zcp_test_load(&topic->publishers[p].waiting))
			return true;
	return false;
}

static void victim_takes(struct zcp_node *node, struct zcp_subscriber *subscriber, bool lets_wait)
{
	struct zcp_sample held[2];
	int n = 0;

	while (lets_wait && !is_waiting(subscriber))
		(void)sched_yield();

	while (n < 2 && zcp_subscriber_take(subscriber, &held[n]) == 0)
		n++;
	for (int i = 0; i < n; i++) {
		check_words(&held[i]);
		ZCP_CHECK(zcp_sample_release(&held[i]) == 0);
	}
	if (n == 0)
		ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
}

static void tell_passings(struct zcp_test_child *self)
{
	const struct zcp_crashpoint *end = zcp_crashpoint_end();
	struct passings passings = { .n = 0 };

	for (const struct zcp_crashpoint *point = zcp_crashpoint_begin(); point < end; point++) {
		passings.n = zcp_test_load(&point->n_passed);
		(void)snprintf(passings.point, sizeof(passings.point), "%s", point->name);
		zcp_test_say(self, &passings, sizeof(passings));
	}
	memset(&passings, 0, sizeof(passings));
	zcp_test_say(self, &passings, sizeof(passings));
}

static void live_and_die(struct zcp_test_child *self, void *arg)
{
	const struct plan *plan = arg;
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = NULL;
	struct zcp_publisher *publisher = NULL;
	struct zcp_loan loan;

	if (plan->victim != PUBLISHER)
		subscriber = open_subscriber(node, plan, plan->in);
	if (plan->victim != SUBSCRIBER)
		publisher = open_publisher(node, plan,
					   plan->victim == FILTER ? plan->out : plan->in);
	zcp_test_say_step(self, 0);
	zcp_test_hear_step(self, 1);
	zcp_crashpoint_arm(plan->point, plan->point[0] ? plan->k : 0);
	for (int i = 0; i < VICTIM_MESSAGES || plan->point[0]; i++) {
		if (subscriber)
			victim_takes(node, subscriber,
				     plan->victim == SUBSCRIBER && plan->blocks && i % 8 == 7);
		if (publisher) {
			(void)publish(publisher, ZCP_FOREVER);
			fill(publisher, &loan);
			ZCP_CHECK(zcp_publisher_discard(publisher, &loan) == 0);
		}
	}
	tell_passings(self);
	zcp_test_wait_for_the_end(self);
}

/* --- those who survive --- */

struct stream {
	uint64_t publisher_id;
	uint64_t next;
};

struct survivor {
	struct zcp_subscriber *subscriber;
	struct stream streams[STREAMS_MAX];
	uint32_t n_streams;
	struct zcp_sample held[HELD];
	uint32_t n_held;
};

static void check_order(struct survivor *survivor, const struct zcp_sample *sample, bool blocks)
{
	struct stream *stream = survivor->streams;

	while (stream < survivor->streams + survivor->n_streams &&
	       stream->publisher_id != sample->publisher_id)
		stream++;
	if (stream == survivor->streams + survivor->n_streams) {
		ZCP_CHECK(survivor->n_streams++ < STREAMS_MAX);
		stream->publisher_id = sample->publisher_id;
	} else {
		ZCP_CHECK(sample->sequence == stream->next + sample->lost);
	}
	ZCP_CHECK(!blocks || sample->lost == 0);
	stream->next = sample->sequence + 1;
}

static void release_oldest(struct survivor *survivor)
{
	check_words(&survivor->held[0]);
	ZCP_CHECK(zcp_sample_release(&survivor->held[0]) == 0);
	survivor->n_held--;
	memmove(&survivor->held[0], &survivor->held[1],
		survivor->n_held * sizeof(survivor->held[0]));
}

/* Takes at most `n`; keeps some of them for a while. Returns how many. */
static uint32_t take(struct survivor *survivor, const struct plan *plan, uint32_t n)
{
	uint32_t taken = 0;

	for (; taken < n; taken++) {
		struct zcp_sample *sample;

		if (survivor->n_held == HELD)
			release_oldest(survivor);
		sample = &survivor->held[survivor->n_held];
		if (zcp_subscriber_take(survivor->subscriber, sample) != 0)
			break;
		survivor->n_held++;
		check_words(sample);
		check_order(survivor, sample, plan->blocks);
	}
	return taken;
}

static void take_all(struct survivor *survivor, const struct plan *plan)
{
	while (take(survivor, plan, 64) > 0)
		;
	while (survivor->n_held > 0)
		release_oldest(survivor);
}

struct scene {
	const struct plan *plan;
	struct zcp_node *node;
	struct zcp_publisher *publisher; /* to where the victim subscribes, if it does */
	struct survivor survivors[2];    /* of `in`, and for a filter of `out` */
	uint32_t n_survivors;
	struct zcp_test_child victim;
};

/* As if another thread of our node slept on the node's second word: a publish waits elsewhere. */
static void sleep_beside(const struct scene *scene, uint32_t is_asleep)
{
	const struct plan *plan = scene->plan;

	if (plan->victim == SUBSCRIBER && plan->blocks && plan->kept)
		atomic_store(zcp_test_inside(scene->publisher).writer->options.beside.taken,
			     is_asleep);
}

static void open_scene(struct scene *scene, const struct plan *plan, struct zcp_node *node)
{
	*scene = (struct scene){ .plan = plan, .node = node };
	scene->publisher = open_publisher(node, plan, plan->in);
	/* Somebody has left something before, which late joiners are given. */
	for (int i = 0; i < 3; i++)
		ZCP_CHECK(publish(scene->publisher, 0));
	scene->survivors[scene->n_survivors++].subscriber = open_subscriber(node, plan, plan->in);
	if (plan->victim == FILTER)
		scene->survivors[scene->n_survivors++].subscriber = open_subscriber(node, plan,
										    plan->out);
	zcp_test_fork(&scene->victim, live_and_die, (void *)plan);
	zcp_test_hear_step(&scene->victim, 0);
	sleep_beside(scene, 1);
}

/* The victim is dead, or has done all that it was to do. */
static bool is_over(struct scene *scene)
{
	return zcp_test_has_said(&scene->victim) || zcp_test_ends(scene->victim.pidfd, 0);
}

/*
 * One round of everybody else's life. Now and then they leave the victim waiting for room, or
 * take only when it sleeps; where it is to wait for us, what ends it is an event.
 */
static void live_on(struct scene *scene, uint32_t round)
{
	const struct plan *plan = scene->plan;

	if (plan->victim != SUBSCRIBER && plan->blocks && round % 4 == 0) {
		struct survivor *last = &scene->survivors[scene->n_survivors - 1];

		/* A filter has nothing to publish if we leave it without messages. */
		while (!is_waiting(last->subscriber) && !is_over(scene)) {
			if (plan->victim == FILTER) {
				take_all(&scene->survivors[0], plan);
				(void)publish(scene->publisher, 0);
			}
			(void)sched_yield();
		}
	}
	for (uint32_t i = 0; i < scene->n_survivors; i++)
		(void)take(&scene->survivors[i], plan, 1 + round % 7);
	if (round % 5 == 0) {
		/* A victim that publishes finds us asleep. */
		for (uint32_t i = 0; i < scene->n_survivors; i++)
			take_all(&scene->survivors[i], plan);
		(void)publish(scene->publisher, 0);
		take_all(&scene->survivors[0], plan);
		while (plan->victim != SUBSCRIBER && !is_over(scene) &&
		       zcp_node_wait(scene->node, ROOM_NS) != 0)
			;
	}
	if (plan->victim != PUBLISHER || round % 2 == 0) {
		take_all(&scene->survivors[0], plan);
		/* Nobody but a victim that subscribes can be full: it makes room, or dies. */
		while (!publish(scene->publisher, plan->victim == SUBSCRIBER ? ROOM_NS : 0) &&
		       plan->victim == SUBSCRIBER && !is_over(scene))
			;
	}
	(void)sched_yield();
}

/* The next one in the victim's slots, and all it has to do. */
static void check_slots(struct scene *scene)
{
	const struct plan *plan = scene->plan;
	struct survivor *last = &scene->survivors[scene->n_survivors - 1];
	const char *topic = plan->victim == FILTER ? plan->out : plan->in;

	if (plan->victim != SUBSCRIBER) {
		struct zcp_publisher *next = open_publisher(scene->node, plan, topic);

		ZCP_CHECK(zcp_test_inside(next).slot == (plan->victim == FILTER ? 0 : 1));
		for (int i = 0; i < 2 * DEPTH; i++) {
			take_all(last, plan);
			ZCP_CHECK(publish(next, 0));
		}
		take_all(last, plan);
		zcp_publisher_close(next);
	}
	if (plan->victim != PUBLISHER) {
		struct survivor next = { .subscriber = open_subscriber(scene->node, plan,
								       plan->in) };

		ZCP_CHECK(zcp_test_inside(next.subscriber).slot == 1);
		for (int i = 0; i < 2 * DEPTH; i++) {
			take_all(&next, plan);
			take_all(&scene->survivors[0], plan);
			ZCP_CHECK(publish(scene->publisher, 0));
		}
		take_all(&next, plan);
		ZCP_CHECK(next.n_streams == 1 || plan->kept);
		zcp_subscriber_close(next.subscriber);
	}
}

/* The audit is content, and where everybody has given everything back, nothing is held. */
static void check_clean(struct scene *scene)
{
	(void)zcp_test_audit(scene->node);
	for (uint32_t i = 0; i < scene->n_survivors; i++)
		take_all(&scene->survivors[i], scene->plan);
	ZCP_CHECK(zcp_test_audit(scene->node) == 0);
}

static void close_scene(struct scene *scene)
{
	sleep_beside(scene, 0);
	for (uint32_t i = 0; i < scene->n_survivors; i++) {
		take_all(&scene->survivors[i], scene->plan);
		zcp_subscriber_close(scene->survivors[i].subscriber);
	}
	zcp_publisher_close(scene->publisher);
	ZCP_CHECK(zcp_test_ask(scene->node, scene->plan->in) == (scene->plan->kept ? 0 : -ENOENT));
	ZCP_CHECK(zcp_test_audit(scene->node) == 0);
}

static void kill_at(const struct plan *plan, struct zcp_node *node)
{
	struct scene scene;
	uint32_t round = 0;

	open_scene(&scene, plan, node);
	zcp_test_say_step(&scene.victim, 1);
	while (!zcp_test_ends(scene.victim.pidfd, 0))
		live_on(&scene, round++);
	zcp_test_kill(&scene.victim);
	zcp_test_wait_for_members(node, plan->in, 1, 1);
	if (plan->victim == FILTER)
		zcp_test_wait_for_members(node, plan->out, 0, 1);
	check_clean(&scene);
	check_slots(&scene);
	check_clean(&scene);
	close_scene(&scene);
}

/* --- which there are --- */

static struct passings known[POINTS_MAX];
static uint32_t n_known;

static struct passings *find_known(const char *point)
{
	for (uint32_t i = 0; i < n_known; i++)
		if (strcmp(known[i].point, point) == 0)
			return &known[i];
	ZCP_CHECK(n_known < POINTS_MAX);
	(void)strcpy(known[n_known].point, point);
	return &known[n_known++];
}

/* How often a victim comes by each point in a whole life. Returns how many points there are. */
static uint32_t count_passings(const struct plan *plan, struct zcp_node *node,
			       struct passings *counted)
{
	struct passings passings;
	struct scene scene;
	uint32_t round = 0, n = 0;

	open_scene(&scene, plan, node);
	zcp_test_say_step(&scene.victim, 1);
	/* Until it tells. */
	while (!is_over(&scene))
		live_on(&scene, round++);
	for (;;) {
		uint32_t i = 0;

		zcp_test_hear(&scene.victim, &passings, sizeof(passings));
		if (!passings.point[0])
			break;
		while (i < n && strcmp(counted[i].point, passings.point) != 0)
			i++;
		ZCP_CHECK(i < POINTS_MAX);
		if (i == n)
			counted[n++] = (struct passings){ .n = 0 };
		(void)strcpy(counted[i].point, passings.point);
		counted[i].n += passings.n;
		find_known(passings.point)->n += passings.n;
	}
	zcp_test_kill(&scene.victim);
	zcp_test_wait_for_members(node, plan->in, 1, 1);
	close_scene(&scene);
	return n;
}

static uint32_t kill_at_each(struct plan *plan, struct zcp_node *node)
{
	struct passings counted[POINTS_MAX] = { { .n = 0 } };
	uint32_t n = count_passings(plan, node, counted), n_cases = 0;

	for (uint32_t i = 0; i < n; i++) {
		(void)strcpy(plan->point, counted[i].point);
		for (plan->k = 1; plan->k <= PASSINGS && plan->k <= counted[i].n; plan->k++) {
			if (getenv("ZCP_TEST_VERBOSE"))
				(void)fprintf(stderr, "%s, %s, history %u%s: %s, %llu\n",
					      victim_names[plan->victim],
					      plan->blocks ? "block" : "drop-oldest", plan->history,
					      plan->kept ? " kept" : "", plan->point,
					      (unsigned long long)plan->k);
			kill_at(plan, node);
			n_cases++;
		}
	}
	return n_cases;
}

static uint32_t kill_a(enum victim victim, struct zcp_node *node)
{
	uint32_t n_cases = 0;

	for (int i = 0; i < 6; i++) {
		struct plan plan = {
			.victim = victim,
			.blocks = i & 1,
			.history = i < 2 ? 0 : 2,
			.kept = i >= 4,
		};

		(void)strcpy(plan.in, plan.kept ? "kept/in" : "in");
		(void)strcpy(plan.out, plan.kept ? "kept/out" : "out");

		n_cases += kill_at_each(&plan, node);
	}
	(void)printf("%s: killed %u times\n", victim_names[victim], n_cases);
	return n_cases;
}

static void each_is_killed_at_each_point(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_node *node;
	uint32_t n_cases = 0;

	zcp_test_runtime_start(&runtime, "[topic.\"kept/*\"]\nkeep_history = true\n");
	node = zcp_test_node();
	for (int victim = 0; victim < N_VICTIMS; victim++)
		n_cases += kill_a((enum victim)victim, node);
	(void)printf("%u points, %u cases\n", n_known, n_cases);
	/* A point that nobody came by was not tried. */
	for (uint32_t i = 0; i < n_known; i++) {
		if (known[i].n < PASSINGS)
			(void)fprintf(stderr, "nobody was killed at %s\n", known[i].point);
		ZCP_CHECK(known[i].n >= PASSINGS);
	}
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(each_is_killed_at_each_point),
};

ZCP_TEST_MAIN(cases)
