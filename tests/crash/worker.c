/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime's first worker is killed at the k-th passing of each of its crash points, while
 * nodes come and go, open and close, join late, die, and grow a pool. The next worker goes on:
 * everything that is asked for succeeds, a link that was there loses nothing, the audit is clean,
 * slots serve the next ones, and no descriptor is left over.
 *
 * Then the same with its keeper, so that nothing is left of the runtime: the one that a node
 * starts next goes on with what nodes hand back. And that one is killed, as soon as it begins.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pubsub/client/node.h"
#include "pubsub/client/publisher.h"
#include "pubsub/client/subscriber.h"
#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define DEPTH 4
#define HELD 2
#define PAYLOAD 64
#define HISTORY 2
#define PAGE 4096
/* What one is publishing when it is killed. */
#define LAST_WORD 4711
/* zcp_loan.reserved: the ref */
#define LOAN_REF 1

/* As many passings of each, unless there are fewer. */
#define PASSINGS 3
#define PASSINGS_MANY 80
#define PASSINGS_SOME 20
/* Records of a runtime that serves nobody yet. */
#define KEEPS_AT_START 4

/* What the worker comes by; what it comes by at every turn it is killed at more often. */
static const struct point {
	const char *name;
	bool many;
} points[] = {
	{ "start.after_lock", false },        { "start.after_registry", false },
	{ "start.after_listen", false },      { "accept.before_record", false },
	{ "hello.before_record", false },     { "hello.after_record", false },
	{ "request.after_peek", true },       { "request.before_consume", true },
	{ "request.after_consume", true },    { "open.after_topic", false },
	{ "open.after_class", false },        { "open.before_record", false },
	{ "open.after_record", false },       { "open.after_enter", false },
	{ "open.after_answer", true },        { "join.before_record", false },
	{ "join.after_record", false },       { "join.after_lanes", false },
	{ "join.after_active", false },       { "join.after_base", false },
	{ "join.after_tail", false },         { "join.after_floor", false },
	{ "join.after_announce", false },     { "join.after_open", false },
	{ "leave.after_record", false },      { "leave.after_inactive", false },
	{ "leave.after_wake", false },        { "leave.after_grace", false },
	{ "leave.after_sweep", false },       { "leave.after_answer", false },
	{ "drop.after_sweep", false },        { "sweep.after_chunk", false },
	{ "close.after_recover", false },     { "close.after_answer", false },
	{ "recover.after_drop", false },      { "recover.after_push", false },
	{ "recover.after_next_seq", false },  { "recover.after_chunk", false },
	{ "recover.after_chunks", false },    { "recover.after_op", false },
	{ "recover.after_member", false },    { "settle.after_base", false },
	{ "deactivate.after_record", false }, { "deactivate.after_session", false },
	{ "journal.before_keep", true },      { "journal.after_keep", true },
	{ "journal.before_drop", true },      { "journal.after_drop", true },
	{ "trim.after_claim", false },        { "trim.after_punch", false },
};

/* What a runtime comes by that goes on with what nodes hand back. */
static const struct point adopt_points[] = {
	{ "start.after_lock", false },    { "start.after_registry", false },
	{ "start.after_listen", false },  { "accept.before_record", false },
	{ "request.after_peek", true },   { "request.before_consume", true },
	{ "adopt.after_drop", false },    { "adopt.after_session", false },
	{ "adopt.after_class", false },   { "adopt.after_topic", false },
	{ "adopt.after_endpoint", true }, { "adopt.after_returned", true },
	{ "adopt.after_close", false },   { "join.after_active", false },
	{ "leave.after_sweep", false },   { "recover.after_op", false },
	{ "journal.before_keep", true },  { "journal.after_keep", true },
};

/* Who is killed. */
enum victim {
	WORKER,
	BOTH,        /* with its keeper */
	NEXT_WORKER, /* of the runtime that comes after one that was killed */
	NEXT_BOTH,
};

/* They come back when they are put on a processor: that is what is waited for here. */
static const char config[] = "[runtime]\n"
			     "return_timeout = \"3s\"\n"
			     "[defaults]\n"
			     "trim_after = \"1ms\"\n"
			     "[topic.\"kept\"]\n"
			     "keep_history = true\n"
			     "history = 2\n";

struct scene {
	struct zcp_test_runtime runtime;
	enum victim victim;
	/* there when somebody was killed */
	char mark[128];
	/* keeps a topic that has history and nobody else */
	struct zcp_test_child holder;
	bool has_holder;
	struct zcp_node *node;
	/* the link that must not notice */
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
	uint64_t n;
	/* what has been sent and lost on "t", by those who have gone too */
	uint64_t n_sent;
	uint64_t n_lost;
};

struct count {
	/* descriptors */
	unsigned int keeper;
	unsigned int worker;
	/* chunks that wait in the queue of one who takes nothing */
	uint64_t held;
};

/* As many messages as fit, and all of them again. */
static void exchange(struct scene *scene)
{
	for (int i = 0; i < DEPTH; i++)
		zcp_test_send(scene->publisher, scene->n + (uint64_t)i + 1);
	scene->n_sent += DEPTH;
	for (int i = 0; i < DEPTH; i++)
		zcp_test_expect(scene->subscriber, ++scene->n);
}

static struct zcp_publisher *open_publisher(struct zcp_node *node, const char *topic, size_t size)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_publisher *publisher;

	options.max_payload = size;
	options.history = HISTORY;
	ZCP_OK(zcp_publisher_open(&publisher, node, topic, &options), node);
	return publisher;
}

static struct zcp_subscriber *open_subscriber(struct zcp_node *node, const char *topic)
{
	struct zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_subscriber *subscriber;

	options.depth = DEPTH;
	options.held = HELD;
	options.history = HISTORY;
	options.on_full = ZCP_ON_FULL_BLOCK;
	ZCP_OK(zcp_subscriber_open(&subscriber, node, topic, &options), node);
	return subscriber;
}

/* One who joins late is given the last messages, once each. */
static void join_late(struct scene *scene)
{
	struct zcp_subscriber *late = open_subscriber(scene->node, "t");

	for (uint64_t i = HISTORY; i > 0; i--)
		zcp_test_expect(late, scene->n - i + 1);
	ZCP_CHECK(late->reader.options.slot == 1);
	exchange(scene);
	for (uint64_t i = DEPTH; i > 0; i--)
		zcp_test_expect(late, scene->n - i + 1);
	exchange(scene);
	/* It leaves with messages in its queue. */
	zcp_subscriber_close(late);
}

static void leave_history(struct scene *scene)
{
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;

	for (uint64_t round = 0; round < 2; round++) {
		publisher = open_publisher(scene->node, "kept", PAYLOAD);
		ZCP_CHECK(publisher->writer.options.slot == 0);
		for (uint64_t i = 0; i < 3; i++)
			zcp_test_send(publisher, 10 * round + i);
		zcp_publisher_close(publisher);
		subscriber = open_subscriber(scene->node, "kept");
		for (uint64_t i = 1; i < 3; i++)
			zcp_test_expect(subscriber, 10 * round + i);
		zcp_subscriber_close(subscriber);
	}
}

/* What the large ones took is given back, but for the first page. */
static void wait_for_trim(struct scene *scene)
{
	bool is_trimmed = false;

	while (!is_trimmed) {
		struct zcp_message reply;

		zcp_test_info(scene->node, "t", &reply);
		is_trimmed = reply.u.topic_info.classes[1].n_bytes == PAGE;
		zcp_message_deinit(&reply);
	}
}

static void grow(struct scene *scene)
{
	struct zcp_publisher *large = open_publisher(scene->node, "t", 100 * PAYLOAD);
	static char bytes[100 * PAYLOAD];
	struct zcp_sample sample;

	ZCP_CHECK(large->writer.options.slot == 1);
	ZCP_CHECK(zcp_publisher_send(large, bytes, sizeof(bytes)) == 0);
	scene->n_sent++;
	ZCP_CHECK(zcp_subscriber_take(scene->subscriber, &sample) == 0);
	ZCP_CHECK(sample.size == sizeof(bytes) && sample.lost == 0);
	ZCP_CHECK(zcp_sample_release(&sample) == 0);
	exchange(scene);
	zcp_publisher_close(large);
	wait_for_trim(scene);
}

/* Meanwhile our node comes back, if it has to. */
static void hear(struct scene *scene, struct zcp_test_child *child, uint64_t step)
{
	while (!zcp_test_has_said(child))
		ZCP_CHECK(zcp_node_wait(scene->node, 1000000) == -ETIMEDOUT);
	zcp_test_hear_step(child, step);
}

static void on_sample(const struct zcp_sample *sample, void *user)
{
	(void)sample;
	(void)user;
}

/* Takes nothing, and sleeps until it is killed. */
static void hold(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();

	(void)arg;
	(void)zcp_test_subscriber(node, "kept", DEPTH, HELD, 0);
	zcp_subscriber_on_sample(zcp_test_subscriber(node, "quiet", 1, 1, 0), on_sample, NULL);
	zcp_test_say_step(self, 0);
	ZCP_OK(zcp_node_dispatch(node, ZCP_FOREVER), node);
}

/* One who goes has lost some, and so has the next one. */
static void lose(struct scene *scene)
{
	for (int i = 0; i < 2; i++) {
		struct zcp_subscriber *slow = zcp_test_subscriber(scene->node, "t", 1, 1,
								  ZCP_ON_FULL_DROP_OLDEST);
		uint64_t number, lost;

		exchange(scene);
		ZCP_CHECK(zcp_test_take(slow, &number, &lost));
		ZCP_CHECK(number == scene->n && lost == DEPTH - 1);
		scene->n_lost += lost;
		zcp_subscriber_close(slow);
	}
}

/* Whoever has gone, and whichever worker has noted it: each message counts once. */
static void check_counts(struct scene *scene)
{
	struct zcp_message reply;

	zcp_test_info(scene->node, "t", &reply);
	if (reply.u.topic_info.n_messages != scene->n_sent ||
	    reply.u.topic_info.n_lost != scene->n_lost)
		(void)fprintf(stderr, "%llu messages and not %llu, %llu lost and not %llu\n",
			      (unsigned long long)reply.u.topic_info.n_messages,
			      (unsigned long long)scene->n_sent,
			      (unsigned long long)reply.u.topic_info.n_lost,
			      (unsigned long long)scene->n_lost);
	ZCP_CHECK(reply.u.topic_info.n_messages == scene->n_sent);
	ZCP_CHECK(reply.u.topic_info.n_lost == scene->n_lost);
	zcp_message_deinit(&reply);
}

/* Up to the step after which the runtime finishes it. */
static void publish_half(struct zcp_publisher *publisher, const struct zcp_loan *loan)
{
	struct zcp_publisher_slot_shm *slot = publisher->writer.slot;
	struct zcp_chunk_shm *chunk = zcp_pool_descriptor(&publisher->endpoint.pool,
							  (uint32_t)loan->reserved[LOAN_REF]);

	*(uint64_t *)loan->data = LAST_WORD;
	zcp_test_store(&slot->op, zcp_test_load(&slot->op) + 1);
	zcp_test_store(&chunk->size, sizeof(uint64_t));
	zcp_test_store(&chunk->publisher_id, publisher->writer.options.publisher_id);
	zcp_test_store(&chunk->seq, zcp_test_load(&slot->next_seq));
}

static void live_and_die(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = open_publisher(node, "t", PAYLOAD);
	struct zcp_subscriber *subscriber = open_subscriber(node, "t");
	struct zcp_loan loans[2];
	struct zcp_sample sample;

	(void)arg;
	ZCP_CHECK(zcp_node_fd(node) >= 0);
	for (int i = 0; i < 2; i++)
		ZCP_CHECK(zcp_publisher_loan(publisher, PAYLOAD, &loans[i]) == 0);
	ZCP_CHECK(zcp_subscriber_take(subscriber, &sample) == 0);
	zcp_test_say_step(self, 0);
	zcp_test_hear_step(self, 1);
	publish_half(publisher, &loans[1]);
	/* Its connection is over before it is. */
	(void)shutdown(node->socket, SHUT_RDWR);
	zcp_test_say_step(self, 2);
	zcp_test_wait_for_the_end(self);
}

static void meet_one_who_dies(struct scene *scene)
{
	struct zcp_test_child child;

	zcp_test_fork(&child, live_and_die, NULL);
	hear(scene, &child, 0);
	exchange(scene);
	zcp_test_say_step(&child, 1);
	hear(scene, &child, 2);
	/* Who knows nothing of the end of its connection goes by its process. */
	if (scene->victim == WORKER)
		exchange(scene);
	zcp_test_kill(&child);
	zcp_test_wait_for_members(scene->node, "t", 1, 1);
	zcp_test_expect(scene->subscriber, LAST_WORD);
	scene->n_sent++;
}

static struct count count(const struct scene *scene, uint64_t held)
{
	struct count now = { .held = held };

	ZCP_CHECK(zcp_test_ask(scene->node, "none") == -ENOENT);
	/* What it was told by then, the keeper has read when it sleeps. */
	zcp_test_wait_until_asleep_in(scene->runtime.pid, "poll");
	now.keeper = zcp_test_n_fds(scene->runtime.pid);
	now.worker = zcp_test_n_fds(zcp_test_worker(scene->runtime.pid));
	return now;
}

/* Until both have done what they were told. */
static void check_count(const struct scene *scene, const struct count *wanted)
{
	struct count now;

	do {
		now = count(scene, 0);
	} while (now.keeper != wanted->keeper || now.worker != wanted->worker);
}

static void arm(const struct scene *scene, const char *point, unsigned int k)
{
	bool both = scene->victim == BOTH || scene->victim == NEXT_BOTH;
	char text[64];

	(void)snprintf(text, sizeof(text), "%s:%u", point ? point : "", k);
	ZCP_CHECK(setenv("ZCP_CRASHPOINT", text, 1) == 0);
	ZCP_CHECK(setenv("ZCP_CRASHPOINT_ONCE", scene->mark, 1) == 0);
	if (both)
		ZCP_CHECK(setenv("ZCP_CRASHPOINT_WITH_PARENT", "1", 1) == 0);
}

static void disarm(void)
{
	ZCP_CHECK(unsetenv("ZCP_CRASHPOINT") == 0);
	ZCP_CHECK(unsetenv("ZCP_CRASHPOINT_ONCE") == 0);
	ZCP_CHECK(unsetenv("ZCP_CRASHPOINT_WITH_PARENT") == 0);
}

static bool is_next(const struct scene *scene)
{
	return scene->victim == NEXT_WORKER || scene->victim == NEXT_BOTH;
}

static void begin(struct scene *scene, const char *point, unsigned int k)
{
	(void)snprintf(scene->mark, sizeof(scene->mark), "%s/killed", zcp_test_directory());
	/* Whoever is started by a node reads the same. */
	ZCP_CHECK(setenv("ZCP_CONFIG", zcp_test_config(config), 1) == 0);
	if (!is_next(scene))
		arm(scene, point, k);
	zcp_test_runtime_start(&scene->runtime, config);
	disarm();
	scene->node = zcp_test_node();
	scene->publisher = open_publisher(scene->node, "t", PAYLOAD);
	scene->subscriber = open_subscriber(scene->node, "t");
	if (scene->victim != WORKER) {
		scene->has_holder = true;
		zcp_test_fork(&scene->holder, hold, NULL);
		hear(scene, &scene->holder, 0);
	}
	exchange(scene);
	if (is_next(scene)) {
		zcp_test_runtime_kill_all(&scene->runtime);
		arm(scene, point, k);
	}
}

/* A worker that kills its keeper and then itself has the domain until it is gone. */
static void wait_for_domain(void)
{
	char path[160];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/default/zcpd.lock", zcp_test_directory());
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	ZCP_CHECK(flock(fd, LOCK_EX) == 0);
	(void)close(fd);
}

/* Returns whether somebody was killed. */
static bool end(struct scene *scene)
{
	char path[160];
	bool killed;
	int status;

	if (scene->has_holder)
		zcp_test_kill(&scene->holder);
	zcp_node_close(scene->node);
	disarm();
	if (scene->victim == BOTH) {
		(void)zcp_test_pidfd_kill(scene->runtime.pidfd, SIGTERM);
		ZCP_CHECK(waitpid(scene->runtime.pid, &status, 0) == scene->runtime.pid);
		(void)close(scene->runtime.pidfd);
		(void)close(scene->runtime.notify);
		killed = access(scene->mark, F_OK) == 0;
		ZCP_CHECK(killed ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL :
				   WIFEXITED(status) && WEXITSTATUS(status) == 0);
		zcp_test_started_runtime_stop("default");
	} else if (is_next(scene)) {
		zcp_test_started_runtime_stop("default");
		killed = access(scene->mark, F_OK) == 0;
	} else {
		zcp_test_runtime_stop(&scene->runtime);
		killed = access(scene->mark, F_OK) == 0;
	}
	wait_for_domain();
	ZCP_CHECK(unlink(scene->runtime.log) == 0);
	(void)unlink(scene->mark);
	/* One that was ended before it saw the last node leave: nobody is left to wait for. */
	(void)snprintf(path, sizeof(path), "%s/default/zcpd.directory", zcp_test_directory());
	(void)unlink(path);
	return killed;
}

/* Returns whether the victim has come by. */
static bool play(enum victim victim, const char *point, unsigned int k, struct count *wanted)
{
	struct scene scene = { .victim = victim };
	uint64_t held, after;

	begin(&scene, point, k);
	join_late(&scene);
	leave_history(&scene);
	grow(&scene);
	lose(&scene);
	check_counts(&scene);
	meet_one_who_dies(&scene);
	exchange(&scene);
	check_counts(&scene);
	held = zcp_test_audit(scene.node);
	join_late(&scene);
	zcp_subscriber_close(scene.subscriber);
	zcp_publisher_close(scene.publisher);
	ZCP_CHECK(zcp_test_ask(scene.node, "t") == -ENOENT);
	after = zcp_test_audit(scene.node);
	if (after != held || (point && held != wanted->held))
		(void)fprintf(stderr, "%s:%u: chunks held: %llu, then %llu; wanted %llu\n", point,
			      k, (unsigned long long)held, (unsigned long long)after,
			      (unsigned long long)wanted->held);
	ZCP_CHECK(after == held);
	ZCP_CHECK(point ? held == wanted->held : scene.has_holder || held == 0);
	if (!point)
		wanted->held = held;
	if (victim == WORKER && point)
		check_count(&scene, wanted);
	else if (victim == WORKER)
		*wanted = count(&scene, held);
	return end(&scene);
}

static void play_all(enum victim victim, const struct point *list, size_t n_points,
		     unsigned int many)
{
	const char *only = getenv("ZCP_TEST_POINT");
	struct count whole;
	unsigned int n = 0;

	(void)alarm(200);
	ZCP_CHECK(!play(victim, NULL, 0, &whole));
	for (size_t i = 0; i < n_points; i++) {
		unsigned int most = list[i].many ? many : PASSINGS, first = 1, k;

		if (only && strcmp(only, list[i].name) != 0)
			continue;
		/* With all of it dead before it serves, nobody is there to go on. */
		if (victim == BOTH && strstr(list[i].name, "_keep"))
			first += KEEPS_AT_START;
		for (k = first; k < first + most && play(victim, list[i].name, k, &whole); k++)
			;
		if (getenv("ZCP_TEST_VERBOSE") || k == first)
			(void)fprintf(stderr, "%s: passed %u times\n", list[i].name, k - first);
		ZCP_CHECK(k > first);
		n += k - first;
	}
	(void)printf("killed %u times\n", n);
}

static void next_worker_goes_on(void)
{
	play_all(WORKER, points, sizeof(points) / sizeof(points[0]), PASSINGS_MANY);
}

static void next_runtime_goes_on(void)
{
	/* Not before it serves: then nobody is there to go on. */
	play_all(BOTH, points + 3, sizeof(points) / sizeof(points[0]) - 3, PASSINGS_SOME);
}

static void next_runtime_s_worker_is_killed(void)
{
	play_all(NEXT_WORKER, adopt_points, sizeof(adopt_points) / sizeof(adopt_points[0]),
		 PASSINGS_SOME);
}

static void next_runtime_is_killed(void)
{
	play_all(NEXT_BOTH, adopt_points, sizeof(adopt_points) / sizeof(adopt_points[0]),
		 PASSINGS_SOME);
}

/* --- what only the next worker can clear --- */

/* Comes when the worker is about to die over it, and is let in by the next one. */
static void be_late(struct zcp_test_child *self, void *arg)
{
	struct zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber;
	uint64_t number, lost;

	(void)arg;
	options.depth = 1;
	options.held = 1;
	options.history = HISTORY;
	zcp_test_say_step(self, 0);
	zcp_test_hear_step(self, 1);
	ZCP_OK(zcp_subscriber_open(&subscriber, node, "t", &options), node);
	for (uint64_t i = 1; i <= HISTORY; i++)
		zcp_test_expect(subscriber, i);
	ZCP_CHECK(zcp_test_take(subscriber, &number, &lost));
	ZCP_CHECK(number == 10 && lost == 10 - HISTORY - 1);
	zcp_test_say_step(self, 2);
	zcp_test_wait_for_the_end(self);
}

/*
 * The worker dies while one joins: what that was promised stays until the next worker has answered
 * it, whatever the publisher sends meanwhile.
 */
static void die_at_a_join(const char *point)
{
	struct zcp_test_runtime runtime;
	struct zcp_publisher *publisher;
	struct zcp_test_child child;
	struct zcp_node *node;
	int worker;

	ZCP_CHECK(setenv("ZCP_CRASHPOINT", point, 1) == 0);
	zcp_test_runtime_start(&runtime, NULL);
	ZCP_CHECK(unsetenv("ZCP_CRASHPOINT") == 0);
	worker = zcp_test_pidfd(runtime.worker);
	node = zcp_test_node();
	publisher = open_publisher(node, "t", PAYLOAD);
	for (uint64_t i = 1; i <= HISTORY; i++)
		zcp_test_send(publisher, i);
	zcp_test_fork(&child, be_late, NULL);
	zcp_test_hear_step(&child, 0);
	/* Without its keeper awake it has no successor. */
	zcp_test_stop_process(runtime.pid);
	zcp_test_say_step(&child, 1);
	ZCP_CHECK(zcp_test_ends(worker, -1));
	for (uint64_t i = HISTORY + 1; i <= 10; i++)
		zcp_test_send(publisher, i);
	zcp_test_continue_process(runtime.pid);
	zcp_test_hear_step(&child, 2);
	ZCP_CHECK(zcp_test_runtime_said(&runtime, "the worker has died (signal 9)"));
	ZCP_CHECK(zcp_test_audit(node) == 0);
	zcp_test_kill(&child);
	zcp_test_wait_for_members(node, "t", 1, 0);
	(void)close(worker);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static void what_was_promised_outlives_the_worker(void)
{
	die_at_a_join("join.after_active:1");
	die_at_a_join("join.after_base:1");
	die_at_a_join("join.after_tail:1");
	die_at_a_join("join.after_floor:1");
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(what_was_promised_outlives_the_worker),
	ZCP_TEST_CASE(next_worker_goes_on),
	ZCP_TEST_CASE(next_runtime_goes_on),
	ZCP_TEST_CASE(next_runtime_s_worker_is_killed),
	ZCP_TEST_CASE(next_runtime_is_killed),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
