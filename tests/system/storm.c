/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kill storm: publishers and subscribers on topics that share pools, one of which is killed
 * every 20 ms and comes back. Whoever lives checks every byte that it is given, when it takes
 * it and when it gives it back, and every number; none of them stands still; and in the end
 * the audit is clean and the domain as large as it was in the beginning.
 *
 * And the same with processes that are stopped wherever they are, and go on a while later.
 *
 * The kills last STORM_SECONDS, and the stops a quarter of it.
 */
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pubsub/util.h"
#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define N_PUBLISHERS 6
#define N_SUBSCRIBERS 10
#define N_ACTORS (N_PUBLISHERS + N_SUBSCRIBERS)
#define N_TOPICS 4
#define HELD 4
#define STREAMS_MAX 4096
/* ZCP_STRESS_ROUNDS multiplies it. */
#define STORM_SECONDS 60
#define KILL_PERIOD_NS 20000000
/* Messages of a publisher between two rests, and how long it rests. */
#define BURST 20
#define REST_NS 1000000
#define STOP_MAX_NS UINT64_C(2000000000)
/* Without progress for so long, an actor stands still. */
#define STALL_NS UINT64_C(20000000000)

static const char config[] = "[pool.small]\nclasses = [{ size = \"4KiB\", count = 2048 }]\n"
			     "[pool.large]\nclasses = [{ size = \"4KiB\", count = 1024 }, "
			     "{ size = \"64KiB\", count = 1024 }]\n"
			     "[topic.\"storm/0\"]\npool = \"small\"\nmax_payload = \"4KiB\"\n"
			     "[topic.\"storm/1\"]\npool = \"small\"\nmax_payload = \"4KiB\"\n"
			     "[topic.\"storm/2\"]\npool = \"large\"\nhistory = 3\n"
			     "[topic.\"storm/3\"]\npool = \"large\"\n";

/* What the actors tell, in memory that all of them share. */
struct progress {
	/* calls that came back: messages published, or taken */
	_Atomic uint64_t n[N_ACTORS];
};

struct actor {
	uint32_t number;
	uint32_t seed;
	struct progress *progress;
	/* subscribers: whether their publishers wait for some of them */
	bool some_block;
	struct zcp_test_child child;
	/* when it was stopped; 0: it runs */
	uint64_t stopped_ns;
	uint64_t seen;
	uint64_t seen_ns;
};

/* --- messages --- */

static uint64_t word_of(uint64_t publisher_id, uint64_t seq, size_t i)
{
	return (publisher_id * 0x9e3779b97f4a7c15 ^ seq) + i * 0x2545f4914f6cdd1d;
}

static void fill(void *data, size_t size, uint64_t publisher_id, uint64_t seq)
{
	uint64_t *words = data;

	for (size_t i = 0; i < size / sizeof(words[0]); i++)
		words[i] = word_of(publisher_id, seq, i);
}

static void check_bytes(const struct zcp_sample *sample)
{
	const uint64_t *words = sample->data;

	for (size_t i = 0; i < sample->size / sizeof(words[0]); i++)
		ZCP_CHECK(words[i] == word_of(sample->publisher_id, sample->sequence, i));
}

/* --- actors --- */

static void topic_of(const struct actor *actor, char *topic, size_t size)
{
	uint32_t n = actor->number < N_PUBLISHERS ? actor->number : actor->number - N_PUBLISHERS;

	(void)snprintf(topic, size, "storm/%u", n % N_TOPICS);
}

static void rest(void)
{
	const struct timespec ts = { .tv_nsec = REST_NS };

	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

static void publish_on(struct actor *actor, struct zcp_node *node, const char *topic)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_publisher *publisher;
	size_t most;

	options.loans = 3;
	ZCP_OK(zcp_publisher_open(&publisher, node, topic, &options), node);
	most = zcp_publisher_max_payload(publisher);
	for (uint64_t i = 1;; i++) {
		size_t size = zcp_test_random(&actor->seed) % (most / 8) * 8;
		struct zcp_loan loan, other;

		ZCP_OK(zcp_publisher_loan(publisher, size, &loan), node);
		ZCP_OK(zcp_publisher_loan(publisher, 8, &other), node);
		fill(loan.data, size, zcp_publisher_id(publisher),
		     zcp_test_inside(publisher).writer->next_seq);
		ZCP_OK(zcp_publisher_publish(publisher, &loan), node);
		ZCP_OK(zcp_publisher_discard(publisher, &other), node);
		zcp_test_store(&actor->progress->n[actor->number], i);
		if (i % BURST == 0)
			rest();
	}
}

/* The number that must come next from each publisher there ever was; 0: any. */
static uint64_t next_of[STREAMS_MAX];

static void check_number(const struct zcp_sample *sample, bool blocks)
{
	uint64_t *next = &next_of[sample->publisher_id % STREAMS_MAX];

	ZCP_CHECK(*next == 0 || sample->sequence == *next + sample->lost);
	ZCP_CHECK(!blocks || sample->lost == 0);
	*next = sample->sequence + 1;
}

static void subscribe_to(struct actor *actor, struct zcp_node *node, const char *topic)
{
	struct zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_sample held[HELD];
	struct zcp_subscriber *subscriber;
	uint64_t n = 0;
	uint32_t n_held = 0;
	bool blocks = actor->some_block && actor->number % 3 == 0;

	options.depth = 8;
	options.held = HELD;
	options.history = actor->number % 2 ? 3 : 0;
	options.on_full = blocks ? ZCP_ON_FULL_BLOCK : ZCP_ON_FULL_DROP_OLDEST;
	ZCP_OK(zcp_subscriber_open(&subscriber, node, topic, &options), node);
	for (;;) {
		uint32_t i;

		if (n_held == HELD || (n_held > 0 && zcp_test_random(&actor->seed) % 2)) {
			i = zcp_test_random(&actor->seed) % n_held;
			check_bytes(&held[i]);
			ZCP_OK(zcp_sample_release(&held[i]), node);
			held[i] = held[--n_held];
			continue;
		}
		if (zcp_subscriber_take(subscriber, &held[n_held]) < 0) {
			ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
			continue;
		}
		check_bytes(&held[n_held]);
		check_number(&held[n_held++], blocks);
		zcp_test_store(&actor->progress->n[actor->number], ++n);
	}
}

static void act(struct zcp_test_child *self, void *arg)
{
	struct actor *actor = arg;
	struct zcp_node *node = zcp_test_node();
	char topic[16];

	(void)self;
	topic_of(actor, topic, sizeof(topic));
	if (actor->number < N_PUBLISHERS)
		publish_on(actor, node, topic);
	else
		subscribe_to(actor, node, topic);
}

/* --- the storm --- */

static void begin(struct actor *actor)
{
	zcp_test_store(&actor->progress->n[actor->number], 0);
	actor->seen = 0;
	actor->seen_ns = zcp_now_ns();
	zcp_test_fork(&actor->child, act, actor);
}

/* Each gets on, or ends the test: who has failed a check has ended by itself. */
static void watch(struct actor *actors)
{
	for (int i = 0; i < N_ACTORS; i++) {
		struct actor *actor = &actors[i];
		uint64_t n = zcp_test_load(&actor->progress->n[i]), now = zcp_now_ns();

		if (actor->stopped_ns)
			continue;
		ZCP_CHECK(!zcp_test_ends(actor->child.pidfd, 0));
		if (n != actor->seen) {
			actor->seen = n;
			actor->seen_ns = now;
		}
		if (now - actor->seen_ns > STALL_NS)
			(void)fprintf(stderr, "actor %d stands still after %llu messages\n", i,
				      (unsigned long long)n);
		ZCP_CHECK(now - actor->seen_ns <= STALL_NS);
	}
}

/* Memory of the regions that a process has open, bytes. */
static uint64_t memory_of(pid_t pid)
{
	char path[64], name[400], target[64];
	struct dirent *entry;
	uint64_t bytes = 0;
	DIR *directory;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	directory = opendir(path);
	ZCP_CHECK(directory != NULL);
	while ((entry = readdir(directory))) {
		struct stat st;
		ssize_t n;

		(void)snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		n = readlink(name, target, sizeof(target) - 1);
		if (n < 0 || stat(name, &st) < 0)
			continue;
		target[n] = 0;
		/* Those that are open twice, for reading only as well, count twice. */
		if (strncmp(target, "/memfd:zcp-", 11) == 0)
			bytes += (uint64_t)st.st_blocks * 512;
	}
	(void)closedir(directory);
	return bytes;
}

static uint64_t seconds(void)
{
	return zcp_test_rounds(STORM_SECONDS);
}

static void sleep_until(uint64_t ns)
{
	const struct timespec ts = { .tv_sec = (time_t)(ns / 1000000000),
				     .tv_nsec = (long)(ns % 1000000000) };

	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static void storm(struct actor *actors, pid_t worker, struct zcp_node *node)
{
	uint64_t start = zcp_now_ns(), end = start + seconds() * 1000000000, next = start;
	uint64_t memory = 0, n_killed = 0, n_messages = 0;
	uint32_t seed = 4711;

	while (zcp_now_ns() < end) {
		struct actor *victim = &actors[zcp_test_random(&seed) % N_ACTORS];

		next += KILL_PERIOD_NS;
		sleep_until(next);
		watch(actors);
		zcp_test_kill(&victim->child);
		n_messages += zcp_test_load(&victim->progress->n[victim->number]);
		begin(victim);
		n_killed++;
		if (n_killed % 50 == 0)
			(void)zcp_test_audit(node);
		if (memory == 0 && zcp_now_ns() - start > (end - start) / 2)
			memory = memory_of(worker);
	}
	(void)printf("%llu killed, after %llu messages sent or taken; %.1f MiB after half "
		     "the time, %.1f in the end\n",
		     (unsigned long long)n_killed, (unsigned long long)n_messages,
		     (double)memory / (1 << 20), (double)memory_of(worker) / (1 << 20));
	/* Which chunks are used at once is a matter of chance; what leaks is lost each time. */
	if (seconds() >= STORM_SECONDS)
		ZCP_CHECK(memory_of(worker) <= memory + memory / 4);
}

/* For up to two seconds each; several at a time. */
static void stop_and_go(struct actor *actors, pid_t worker, struct zcp_node *node)
{
	uint64_t start = zcp_now_ns(), end = start + seconds() * 1000000000 / 4, next = start;
	uint64_t n_stopped = 0;
	uint32_t seed = 815;

	(void)worker;
	while (zcp_now_ns() < end) {
		struct actor *actor = &actors[zcp_test_random(&seed) % N_ACTORS];

		next += KILL_PERIOD_NS;
		sleep_until(next);
		for (int i = 0; i < N_ACTORS; i++) {
			if (actors[i].stopped_ns == 0 ||
			    (&actors[i] != actor &&
			     zcp_now_ns() - actors[i].stopped_ns < STOP_MAX_NS))
				continue;
			zcp_test_continue(&actors[i].child);
			actors[i].stopped_ns = 0;
			actors[i].seen_ns = zcp_now_ns();
		}
		watch(actors);
		if (zcp_test_random(&seed) % 2) {
			zcp_test_stop(&actor->child);
			actor->stopped_ns = zcp_now_ns();
			n_stopped++;
		}
		/* Who joins on a topic with a publisher that is stopped gets in all the same. */
		if (n_stopped % 10 == 0)
			zcp_subscriber_close(zcp_test_subscriber(node, "storm/2", 4, 1, 0));
	}
	for (int i = 0; i < N_ACTORS; i++)
		if (actors[i].stopped_ns)
			zcp_test_continue(&actors[i].child);
	(void)printf("%llu stopped\n", (unsigned long long)n_stopped);
}

static void weather(bool some_block,
		    void (*run)(struct actor *actors, pid_t worker, struct zcp_node *node))
{
	struct zcp_test_runtime runtime;
	struct actor actors[N_ACTORS];
	struct progress *progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct zcp_node *node;
	unsigned int n_fds, n_worker_fds;

	ZCP_CHECK(progress != MAP_FAILED);
	/* Instead of the time that a case has. */
	(void)alarm((unsigned int)seconds() + 60);
	zcp_test_runtime_start(&runtime, config);
	node = zcp_test_node();
	/* What the worker has told the one that keeps its descriptors has arrived there. */
	zcp_test_wait_until_asleep_in(zcp_test_worker(runtime.pid), "poll");
	zcp_test_wait_until_asleep_in(runtime.pid, "poll");
	n_fds = zcp_test_n_fds(runtime.pid);
	n_worker_fds = zcp_test_n_fds(zcp_test_worker(runtime.pid));
	for (uint32_t i = 0; i < N_ACTORS; i++) {
		actors[i] = (struct actor){
			.number = i, .seed = i + 1, .progress = progress, .some_block = some_block
		};
		begin(&actors[i]);
	}
	run(actors, zcp_test_worker(runtime.pid), node);
	(void)zcp_test_audit(node);
	for (int i = 0; i < N_ACTORS; i++)
		zcp_test_kill(&actors[i].child);
	for (int i = 0; i < N_TOPICS; i++) {
		char topic[32];

		(void)snprintf(topic, sizeof(topic), "storm/%d", i);
		while (zcp_test_ask(node, topic) == 0)
			(void)sched_yield();
	}
	ZCP_CHECK(zcp_test_audit(node) == 0);
	zcp_test_wait_n_fds(runtime.pid, n_fds);
	ZCP_CHECK(zcp_test_n_fds(zcp_test_worker(runtime.pid)) == n_worker_fds);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static void killed_at_random(void)
{
	weather(true, storm);
}

/* Whoever is stopped would hold up those who wait for it: nobody does. */
static void stopped_at_random(void)
{
	weather(false, stop_and_go);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(killed_at_random),
	ZCP_TEST_CASE(stopped_at_random),
};

ZCP_TEST_MAIN(cases)
