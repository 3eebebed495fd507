/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node in somebody else's loop: its descriptor is readable while something can be taken,
 * and no wake-up is lost.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zcp/uv.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define MS INT64_C(1000000)
#define DEPTH 4
#define N_HANDOVERS 100000
#define N_SUBSCRIPTIONS 16
#define N_DESCRIPTORS 2000
/* The watchdog on progress: nothing for so long is a stall. */
#define STALL_MS 20000

struct seen {
	uint64_t n;
	uint64_t next[N_SUBSCRIPTIONS];
};

static struct seen seen;

static void count(const struct zcp_sample *sample, void *user)
{
	uint64_t *next = user, number;

	memcpy(&number, sample->data, sizeof(number));
	ZCP_CHECK(sample->lost == 0 && number == ++*next);
	seen.n++;
}

static bool is_readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	int r = poll(&pollfd, 1, 0);

	ZCP_CHECK(r >= 0);
	return r == 1;
}

static void descriptor_is_readable_while_something_is_there(void)
{
	struct zcp_node *node = zcp_test_node(), *other = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", DEPTH, 2, 0);
	struct zcp_publisher *publisher = zcp_test_publisher(other, "t", 64, 2);
	int fd = zcp_node_fd(node);

	ZCP_CHECK(fd >= 0 && zcp_node_fd(node) == fd);
	/* Until the first call it is readable, so that nothing is overlooked. */
	ZCP_CHECK(is_readable(fd));
	ZCP_CHECK(zcp_node_wait(node, 0) == -ETIMEDOUT && !is_readable(fd));
	for (uint64_t i = 1; i <= 3; i++)
		zcp_test_send(publisher, i);
	ZCP_CHECK(is_readable(fd));
	for (uint64_t i = 1; i <= 3; i++) {
		/* Level-triggered: as long as one is left. */
		ZCP_CHECK(zcp_node_wait(node, 0) == 0 && is_readable(fd));
		zcp_test_expect(subscriber, i);
	}
	ZCP_CHECK(zcp_node_wait(node, 0) == -ETIMEDOUT && !is_readable(fd));
	/* Again, with callbacks: those without one do not count. */
	ZCP_CHECK(zcp_node_dispatch(node, 0) == -ETIMEDOUT);
	zcp_test_send(publisher, 4);
	ZCP_CHECK(is_readable(fd));
	ZCP_CHECK(zcp_node_dispatch(node, 0) == -ETIMEDOUT && !is_readable(fd));
	seen.next[0] = 3;
	zcp_subscriber_on_sample(subscriber, count, &seen.next[0]);
	ZCP_CHECK(zcp_node_dispatch(node, 0) == 0 && seen.next[0] == 4 && !is_readable(fd));
	zcp_node_close(other);
	zcp_node_close(node);
}

static void interrupt_makes_it_readable_once(void)
{
	struct zcp_node *node = zcp_test_node();
	int fd = zcp_node_fd(node);

	ZCP_CHECK(fd >= 0 && zcp_node_wait(node, 0) == -ETIMEDOUT && !is_readable(fd));
	zcp_node_interrupt(node);
	ZCP_CHECK(is_readable(fd));
	ZCP_CHECK(zcp_node_wait(node, 0) == -EINTR && !is_readable(fd));
	zcp_node_close(node);
}

/* Publishes to all topics in turn, with pauses of random lengths, as in "after k looks". */
static void publish(struct zcp_test_child *self, void *arg)
{
	const unsigned int *n_topics = arg;
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publishers[N_SUBSCRIPTIONS];
	uint64_t random = 1;

	(void)self;
	for (unsigned int t = 0; t < *n_topics; t++) {
		char name[2] = { (char)('a' + t), 0 };

		publishers[t] = zcp_test_publisher(node, name, 64, 2);
		ZCP_OK(zcp_publisher_wait_subscribers(publishers[t], 1, ZCP_FOREVER), node);
	}
	for (uint64_t i = 0; i < N_HANDOVERS; i++) {
		zcp_test_send(publishers[i % *n_topics], i / *n_topics + 1);
		random = random * UINT64_C(6364136223846793005) + 1;
		for (uint64_t k = random >> 53; k > 0; k--)
			__asm__ __volatile__("" : : : "memory");
	}
	zcp_node_close(node);
}

static void subscribe_all(struct zcp_node *node, unsigned int n_topics)
{
	for (unsigned int t = 0; t < n_topics; t++) {
		char name[2] = { (char)('a' + t), 0 };

		zcp_subscriber_on_sample(zcp_test_subscriber(node, name, DEPTH, 2,
							     ZCP_ON_FULL_BLOCK),
					 count, &seen.next[t]);
	}
}

static void hand_over(unsigned int n_topics)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_test_child child;
	struct epoll_event event = { .events = EPOLLIN };
	int fd = zcp_node_fd(node), epoll = epoll_create1(EPOLL_CLOEXEC);

	ZCP_CHECK(fd >= 0 && epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
	subscribe_all(node, n_topics);
	zcp_test_fork(&child, publish, &n_topics);
	while (seen.n < N_HANDOVERS) {
		int r;

		ZCP_CHECK(epoll_wait(epoll, &event, 1, STALL_MS) == 1);
		r = zcp_node_dispatch(node, 0);
		ZCP_CHECK(r == 0 || r == -ETIMEDOUT);
	}
	zcp_test_join(&child);
	zcp_node_close(node);
	(void)close(epoll);
}

static void no_wake_up_is_lost_with_one_subscription(void)
{
	hand_over(1);
}

static void no_wake_up_is_lost_with_sixteen_subscriptions(void)
{
	hand_over(N_SUBSCRIPTIONS);
}

static void no_wake_up_is_lost_with_symmetric_fences(void)
{
	struct zcp_test_runtime runtime;

	zcp_test_runtime_start(&runtime, "[runtime]\nfences = \"symmetric\"\n");
	hand_over(1);
	zcp_test_runtime_stop(&runtime);
}

/* The publisher knows how to wake before it has to: the runtime may be gone by then. */
static void publisher_wakes_without_the_runtime(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_node *node, *other;
	struct zcp_publisher *before, *after;
	struct zcp_subscriber *subscriber;
	int fd;

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	other = zcp_test_node();
	before = zcp_test_publisher(other, "t", 64, 2);
	subscriber = zcp_test_subscriber(node, "t", DEPTH, 2, 0);
	fd = zcp_node_fd(node);
	after = zcp_test_publisher(other, "t", 64, 2);
	ZCP_CHECK(fd >= 0 && zcp_node_wait(node, 0) == -ETIMEDOUT && !is_readable(fd));
	zcp_test_runtime_kill_all(&runtime);
	zcp_test_send(before, 1);
	ZCP_CHECK(is_readable(fd));
	/* The sleep that it has ended is over; a new one, ended by the other one. */
	ZCP_CHECK(zcp_node_wait(node, 0) == 0 && is_readable(fd));
	zcp_test_expect(subscriber, 1);
	ZCP_CHECK(zcp_node_wait(node, 0) == -ETIMEDOUT && !is_readable(fd));
	zcp_test_send(after, 1);
	ZCP_CHECK(is_readable(fd));
	zcp_node_close(other);
	zcp_node_close(node);
}

/* A node that comes to a signal after another: its publishers do not wake the former one. */
static void signal_that_has_changed_hands_wakes_its_new_node(void)
{
	struct zcp_node *publishing = zcp_test_node(), *node;
	struct zcp_publisher *publisher = zcp_test_publisher(publishing, "t", 64, 2);

	for (uint64_t i = 1; i <= 3; i++) {
		int fd;

		node = zcp_test_node();
		(void)zcp_test_subscriber(node, "t", DEPTH, 2, 0);
		fd = zcp_node_fd(node);
		ZCP_CHECK(fd >= 0 && zcp_node_wait(node, 0) == -ETIMEDOUT && !is_readable(fd));
		zcp_test_send(publisher, i);
		ZCP_CHECK(is_readable(fd));
		zcp_node_close(node);
		/* The runtime has noticed when the next question is answered. */
		zcp_test_wait_for_members(publishing, "t", 1, 0);
	}
	zcp_node_close(publishing);
}

/* A program with so many descriptors of its own in its epoll. */
static int watch_many(void)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	ZCP_CHECK(epoll >= 0);
	for (int i = 0; i < N_DESCRIPTORS; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.fd = -1 };
		int fd = eventfd(0, EFD_CLOEXEC);

		ZCP_CHECK(fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
	}
	return epoll;
}

static void descriptors_above_1024_work(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct zcp_test_child child;
	unsigned int n_topics = 1;
	struct rlimit limit;
	struct zcp_node *node;
	int epoll;

	ZCP_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	if (limit.rlim_max < N_DESCRIPTORS + 100)
		zcp_test_skip("not so many descriptors are allowed here");
	zcp_test_fork(&child, publish, &n_topics);
	limit.rlim_cur = limit.rlim_max;
	ZCP_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	epoll = watch_many();
	/* Its socket and its descriptor are beyond what select() could take. */
	node = zcp_test_node();
	event.data.fd = zcp_node_fd(node);
	ZCP_CHECK(event.data.fd > N_DESCRIPTORS && zcp_test_socket(node) > N_DESCRIPTORS);
	ZCP_CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event) == 0);
	subscribe_all(node, n_topics);
	while (seen.n < N_HANDOVERS) {
		int r;

		ZCP_CHECK(epoll_wait(epoll, &event, 1, STALL_MS) == 1);
		ZCP_CHECK(event.data.fd == zcp_node_fd(node));
		r = zcp_node_dispatch(node, 0);
		ZCP_CHECK(r == 0 || r == -ETIMEDOUT);
	}
	ZCP_CHECK(!is_readable(event.data.fd));
	zcp_test_join(&child);
	zcp_node_close(node);
}

/* --- libuv --- */

static struct zcp_uv watch;

static void count_and_interrupt(const struct zcp_sample *sample, void *user)
{
	count(sample, user);
	if (seen.n == N_HANDOVERS)
		zcp_node_interrupt(watch.node);
}

static void tick(uv_timer_t *timer)
{
	++*(uint64_t *)timer->data;
}

static void libuv_loop_runs_callbacks_beside_timers(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_test_child child;
	unsigned int n_topics = 1;
	uint64_t n_ticks = 0;
	uv_timer_t timer;
	uv_loop_t loop;

	zcp_subscriber_on_sample(zcp_test_subscriber(node, "a", DEPTH, 2, ZCP_ON_FULL_BLOCK),
				 count_and_interrupt, &seen.next[0]);
	ZCP_CHECK(uv_loop_init(&loop) == 0 && uv_timer_init(&loop, &timer) == 0);
	timer.data = &n_ticks;
	ZCP_CHECK(uv_timer_start(&timer, tick, 0, 1) == 0);
	ZCP_OK(zcp_uv_start(&watch, &loop, node), node);
	zcp_test_fork(&child, publish, &n_topics);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	ZCP_CHECK(watch.error == -EINTR && seen.n == N_HANDOVERS && n_ticks > 1);
	zcp_test_join(&child);
	zcp_uv_stop(&watch, NULL);
	uv_close((uv_handle_t *)&timer, NULL);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	ZCP_CHECK(uv_loop_close(&loop) == 0);
	zcp_node_close(node);
}

static void spinning_finds_messages_without_sleeping(void)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;
	struct zcp_node *node, *other = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(other, "t", 64, 2);
	struct zcp_subscriber *subscriber;

	options.spin_ns = 50 * MS;
	ZCP_OK(zcp_node_open(&node, &options), NULL);
	subscriber = zcp_test_subscriber(node, "t", DEPTH, 2, 0);
	ZCP_CHECK(zcp_node_wait(node, MS) == -ETIMEDOUT);
	zcp_test_send(publisher, 1);
	ZCP_CHECK(zcp_node_wait(node, MS) == 0);
	zcp_test_expect(subscriber, 1);
	zcp_node_interrupt(node);
	ZCP_CHECK(zcp_node_wait(node, MS) == -EINTR);
	zcp_node_close(other);
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(descriptor_is_readable_while_something_is_there),
	ZCP_TEST_CASE(interrupt_makes_it_readable_once),
	ZCP_TEST_CASE(no_wake_up_is_lost_with_one_subscription),
	ZCP_TEST_CASE(no_wake_up_is_lost_with_sixteen_subscriptions),
	ZCP_TEST_CASE(no_wake_up_is_lost_with_symmetric_fences),
	ZCP_TEST_CASE(publisher_wakes_without_the_runtime),
	ZCP_TEST_CASE(signal_that_has_changed_hands_wakes_its_new_node),
	ZCP_TEST_CASE(descriptors_above_1024_work),
	ZCP_TEST_CASE(libuv_loop_runs_callbacks_beside_timers),
	ZCP_TEST_CASE(spinning_finds_messages_without_sleeping),
};

ZCP_TEST_MAIN(cases)
