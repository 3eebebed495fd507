/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No wake-up is lost. Two processes throw a ball to each other that is a message, and sleep
 * until it comes: there is never more than one, so nothing that comes later makes up for a
 * wake-up that was lost. Pauses of random lengths on both sides have a throw meet the other
 * side before, while and after it falls asleep; every other time both begin at the same moment,
 * or else whoever throws would mostly come late. In all forms of sleeping, with one topic in each
 * direction and with sixteen, of which any may have the ball.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define N_TOPICS_MAX 16
#define N_THROWS 20000
/* Nothing for so long is a stall. */
#define STALL_SECONDS 20

enum side {
	SERVER, /* throws the odd balls, and first */
	RETURNER,
};

/* Between the two processes: how far each is. */
struct meeting {
	_Alignas(64) _Atomic uint64_t ready[2];
};

struct game {
	struct meeting *meeting;
	unsigned int n_topics;
	/* sleeps in poll on the node's descriptor, and only at times in the node */
	bool polls;
};

struct player {
	const struct game *game;
	enum side side;
	struct zcp_node *node;
	struct zcp_publisher *publishers[N_TOPICS_MAX];
	struct zcp_subscriber *subscribers[N_TOPICS_MAX];
	uint32_t seed;
	/* the last that was thrown or caught; the watchdog looks at it */
	_Atomic uint64_t ball;
};

static void open_ends(struct player *player)
{
	static const char *const ways[] = { "there", "back" };

	player->node = zcp_test_node();
	/* Before or after the subscribers: that must not matter. */
	if (player->game->polls && player->side == SERVER)
		ZCP_CHECK(zcp_node_fd(player->node) >= 0);
	for (unsigned int t = 0; t < player->game->n_topics; t++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "%s/%u", ways[player->side], t);
		player->publishers[t] = zcp_test_publisher(player->node, name, 64, 1);
		(void)snprintf(name, sizeof(name), "%s/%u", ways[!player->side], t);
		player->subscribers[t] = zcp_test_subscriber(player->node, name, 1, 1, 0);
	}
	for (unsigned int t = 0; t < player->game->n_topics; t++)
		ZCP_OK(zcp_publisher_wait_subscribers(player->publishers[t], 1, ZCP_FOREVER),
		       player->node);
}

static void take_ball(struct player *player, const struct zcp_sample *sample)
{
	uint64_t ball;

	ZCP_CHECK(sample->size == sizeof(ball) && sample->lost == 0);
	memcpy(&ball, sample->data, sizeof(ball));
	ZCP_CHECK(ball == zcp_test_load(&player->ball) + 1);
	zcp_test_store(&player->ball, ball);
}

static void on_ball(const struct zcp_sample *sample, void *user)
{
	take_ball(user, sample);
}

/* Whether one of them has had the ball. */
static bool take_from_all(struct player *player)
{
	bool caught = false;

	for (unsigned int t = 0; t < player->game->n_topics; t++) {
		struct zcp_sample sample;
		int r = zcp_subscriber_take(player->subscribers[t], &sample);

		if (r == -EAGAIN)
			continue;
		ZCP_OK(r, player->node);
		take_ball(player, &sample);
		ZCP_CHECK(zcp_sample_release(&sample) == 0);
		caught = true;
	}
	return caught;
}

/* In the node's own sleep, in both of its forms. */
static void await_in_node(struct player *player)
{
	if (zcp_test_random(&player->seed) % 2) {
		ZCP_OK(zcp_node_dispatch(player->node, ZCP_FOREVER), player->node);
	} else {
		ZCP_OK(zcp_node_wait(player->node, ZCP_FOREVER), player->node);
		ZCP_CHECK(take_from_all(player));
	}
}

/* What makes the descriptor ready for a poll, in both of its forms. */
static void make_ready(struct player *player)
{
	int r;

	if (zcp_test_random(&player->seed) % 2) {
		r = zcp_node_dispatch(player->node, 0);
	} else {
		(void)take_from_all(player);
		r = zcp_node_wait(player->node, 0);
	}
	ZCP_CHECK(r == 0 || r == -ETIMEDOUT);
}

/*
 * In poll. Made ready once more at first, as a loop does that has had something else to do:
 * that is when the ball comes.
 */
static void await_in_poll(struct player *player, uint64_t ball)
{
	struct pollfd pollfd = { .fd = zcp_node_fd(player->node), .events = POLLIN };

	for (;;) {
		make_ready(player);
		if (zcp_test_load(&player->ball) == ball)
			break;
		ZCP_CHECK(poll(&pollfd, 1, -1) == 1);
	}
}

/* Before `ball` is thrown or awaited: up to what a wake-up takes. */
static void pause_a_while(struct player *player, uint64_t ball)
{
	static const uint32_t limits[] = { 2, 8, 32, 500 };
	uint32_t same = (uint32_t)ball * 2654435769u | 1;

	if (zcp_test_random(&same) % 2) {
		zcp_test_store(&player->game->meeting->ready[player->side], ball);
		zcp_test_await_round(&player->game->meeting->ready[!player->side], ball);
	}
	zcp_test_pause(&player->seed, limits[zcp_test_random(&player->seed) % 4]);
}

static void throw_ball(struct player *player, uint64_t ball)
{
	zcp_test_store(&player->ball, ball);
	zcp_test_send(player->publishers[zcp_test_random(&player->seed) % player->game->n_topics],
		      ball);
}

/* On a processor of our own, if there are two: whoever is woken often comes to the waker's. */
static void settle(enum side side, const cpu_set_t *allowed)
{
	unsigned int n = 0;

	for (unsigned int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		cpu_set_t mine;

		if (!CPU_ISSET(cpu, allowed) || n++ != side)
			continue;
		CPU_ZERO(&mine);
		CPU_SET(cpu, &mine);
		ZCP_CHECK(sched_setaffinity(0, sizeof(mine), &mine) == 0);
	}
}

static void play(struct player *player)
{
	uint64_t n_balls = zcp_test_rounds(N_THROWS);
	cpu_set_t allowed;

	ZCP_CHECK(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
	settle(player->side, &allowed);
	for (unsigned int t = 0; t < player->game->n_topics; t++)
		zcp_subscriber_on_sample(player->subscribers[t], on_ball, player);
	for (uint64_t ball = 1; ball <= n_balls; ball++) {
		if (ball == n_balls / 4 * 3)
			ZCP_CHECK(sched_setaffinity(0, sizeof(allowed), &allowed) == 0);
		pause_a_while(player, ball);
		if (ball % 2 == (player->side == SERVER))
			throw_ball(player, ball);
		else if (player->game->polls && zcp_test_random(&player->seed) % 4)
			await_in_poll(player, ball);
		else
			await_in_node(player);
	}
}

static uint64_t n_sleeps(void)
{
	struct rusage usage;

	ZCP_CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
	return (uint64_t)usage.ru_nvcsw;
}

static void return_balls(struct zcp_test_child *self, void *arg)
{
	struct player player = { .game = arg, .side = RETURNER, .seed = 0x85ebca6b };

	open_ends(&player);
	play(&player);
	zcp_test_say_step(self, n_sleeps());
	/* What was thrown last may still be on its way. */
	zcp_test_hear_step(self, 0);
	zcp_node_close(player.node);
}

static void hand_over(unsigned int n_topics, bool polls)
{
	static struct player player;
	struct game game = { .n_topics = n_topics, .polls = polls };
	struct zcp_test_child child;
	uint64_t slept;

	game.meeting = mmap(NULL, sizeof(*game.meeting), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ZCP_CHECK(game.meeting != MAP_FAILED);
	player = (struct player){ .game = &game, .side = SERVER, .seed = 0x9e3779b9 };
	zcp_test_fork(&child, return_balls, &game);
	zcp_test_watch_progress(&player.ball, STALL_SECONDS);
	open_ends(&player);
	play(&player);
	zcp_test_hear(&child, &slept, sizeof(slept));
	zcp_test_say_step(&child, 0);
	zcp_test_join(&child);
	zcp_node_close(player.node);
	slept += n_sleeps();
	(void)printf("%s, %u topics: %llu hand-overs, slept %llu times\n", polls ? "poll" : "futex",
		     n_topics, (unsigned long long)zcp_test_load(&player.ball),
		     (unsigned long long)slept);
	ZCP_CHECK(slept > 0);
}

static void between_nodes_with_one_subscription(void)
{
	hand_over(1, false);
}

static void between_nodes_with_sixteen_subscriptions(void)
{
	hand_over(N_TOPICS_MAX, false);
}

static void between_descriptors_with_one_subscription(void)
{
	hand_over(1, true);
}

static void between_descriptors_with_sixteen_subscriptions(void)
{
	hand_over(N_TOPICS_MAX, true);
}

/* The same four in a domain whose fences are all full ones. */
static void with_symmetric_fences(void (*run)(void))
{
	struct zcp_test_runtime runtime;

	zcp_test_runtime_start(&runtime, "[runtime]\nfences = \"symmetric\"\n");
	run();
	zcp_test_runtime_stop(&runtime);
}

static void symmetric_between_nodes_with_one_subscription(void)
{
	with_symmetric_fences(between_nodes_with_one_subscription);
}

static void symmetric_between_nodes_with_sixteen_subscriptions(void)
{
	with_symmetric_fences(between_nodes_with_sixteen_subscriptions);
}

static void symmetric_between_descriptors_with_one_subscription(void)
{
	with_symmetric_fences(between_descriptors_with_one_subscription);
}

static void symmetric_between_descriptors_with_sixteen_subscriptions(void)
{
	with_symmetric_fences(between_descriptors_with_sixteen_subscriptions);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(between_nodes_with_one_subscription),
	ZCP_TEST_CASE(between_nodes_with_sixteen_subscriptions),
	ZCP_TEST_CASE(between_descriptors_with_one_subscription),
	ZCP_TEST_CASE(between_descriptors_with_sixteen_subscriptions),
	ZCP_TEST_CASE(symmetric_between_nodes_with_one_subscription),
	ZCP_TEST_CASE(symmetric_between_nodes_with_sixteen_subscriptions),
	ZCP_TEST_CASE(symmetric_between_descriptors_with_one_subscription),
	ZCP_TEST_CASE(symmetric_between_descriptors_with_sixteen_subscriptions),
};

ZCP_TEST_MAIN(cases)
