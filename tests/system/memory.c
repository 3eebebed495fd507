/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a pool's memory comes from: taken and mapped beforehand, in huge pages; what is refused
 * where it is not to be had, and that nothing is left of it then.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "pubsub/flow/writer.h"
#include "tests/support/process.h"
#include "tests/system/memory_helpers.h"

#define MIB ((size_t)1 << 20)
#define PAGE 4096
#define DEPTH 16
#define HELD 4
/* A publisher's loans, a subscriber's queue, what it holds, what rotates and is just given back. */
#define COUNT (2 + DEPTH + HELD + ZCP_ROTATION_LARGE + 1)
/* Nodes between the two: the subscriber's signal lies in a page that nobody has had yet. */
#define BETWEEN 40

/*
 * What the program touches is touched before: code and constants are mapped, and stack and
 * data see traffic on another topic. AddressSanitizer besides has a shadow page for each eight
 * pages that are touched, and an allocator that leaves nothing where it was: there the pool's
 * own pages are what must not be seen, some 5000 of the large one.
 */
#ifdef ZCP_TEST_ASAN
#define N_MESSAGES 2000
#define N_FAULTS_MAX 2500
#else
#define N_MESSAGES 100000
#define N_FAULTS_MAX 0
#endif

/* Publisher and subscriber of one topic, in a process each. */
struct traffic {
	const char *topic;
	size_t size;
	uint64_t n;
	/* samples that the subscriber may hold */
	uint32_t held;
};

static const struct traffic warm = { "warm", 2 * PAGE, 2000, HELD };

static uint64_t n_faults(void)
{
	struct rusage usage;

	ZCP_CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
	return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

static void prepare(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long begin, end;
	char line[512], mode[8];

	ZCP_CHECK(maps != NULL);
	while (fgets(line, sizeof(line), maps)) {
		ZCP_CHECK(sscanf(line, "%lx-%lx %7s", &begin, &end, mode) == 3);
		/* Not all can be; then the other topic's traffic has to do. */
		if (strcmp(mode, "r-xp") == 0 || strcmp(mode, "r--p") == 0)
			(void)madvise((void *)begin, end - begin, MADV_POPULATE_READ);
	}
	(void)fclose(maps);
	/*
	 * No allocation comes by pages that another one has touched; a sanitizer's allocator
	 * does not know that.
	 */
	(void)mallopt(M_MMAP_THRESHOLD, PAGE);
	(void)malloc_trim(0);
}

static void publish(struct zcp_publisher *publisher, const struct traffic *traffic)
{
	for (uint64_t i = 0; i < traffic->n; i++) {
		struct zcp_loan loan;

		ZCP_CHECK(zcp_publisher_loan(publisher, traffic->size, &loan) == 0);
		for (size_t at = 0; at < traffic->size; at += PAGE)
			memcpy((char *)loan.data + at, &i, sizeof(i));
		ZCP_CHECK(zcp_publisher_publish(publisher, &loan) == 0);
	}
}

/* Holds several at a time, so that many chunks are in use. */
static void take(struct zcp_node *node, struct zcp_subscriber *subscriber,
		 const struct traffic *traffic)
{
	struct zcp_sample held[HELD] = { { .data = NULL } };

	for (uint64_t i = 0; i < traffic->n; i++) {
		struct zcp_sample *sample = &held[i % HELD];
		int r;

		if (sample->data)
			ZCP_CHECK(zcp_sample_release(sample) == 0);
		while ((r = zcp_subscriber_take(subscriber, sample)) == -EAGAIN)
			ZCP_CHECK(zcp_node_wait(node, ZCP_FOREVER) == 0);
		ZCP_CHECK(r == 0 && sample->size == traffic->size && sample->lost == 0);
		for (size_t at = 0; at < traffic->size; at += PAGE)
			ZCP_CHECK(memcmp((const char *)sample->data + at, &i, sizeof(i)) == 0);
	}
	for (int i = 0; i < HELD; i++)
		if (held[i].data)
			ZCP_CHECK(zcp_sample_release(&held[i]) == 0);
}

static struct zcp_publisher *open_publisher(struct zcp_node *node, const struct traffic *traffic)
{
	struct zcp_publisher *publisher = zcp_test_publisher(node, traffic->topic, traffic->size,
							     2);

	ZCP_CHECK(zcp_publisher_wait_subscribers(publisher, 1, ZCP_FOREVER) == 0);
	return publisher;
}

static struct zcp_subscriber *open_subscriber(struct zcp_node *node, const struct traffic *traffic)
{
	return zcp_test_subscriber(node, traffic->topic, DEPTH, traffic->held, ZCP_ON_FULL_BLOCK);
}

/* Each says when it has its node, and what faults there were from its open to its end. */
static void be_publisher(struct zcp_test_child *self, void *arg)
{
	const struct traffic *traffic = arg;
	struct zcp_publisher *publisher;
	struct zcp_node *node = zcp_test_node();
	uint64_t before;

	publish(open_publisher(node, &warm), &warm);
	node = zcp_test_node();
	zcp_test_say_step(self, 1);
	prepare();
	publisher = open_publisher(node, traffic);
	before = n_faults();
	publish(publisher, traffic);
	zcp_test_say_step(self, n_faults() - before);
	zcp_test_wait_for_the_end(self);
}

static void be_subscriber(struct zcp_test_child *self, void *arg)
{
	const struct traffic *traffic = arg;
	struct zcp_subscriber *subscriber;
	struct zcp_node *node = zcp_test_node();
	uint64_t before;

	take(node, open_subscriber(node, &warm), &warm);
	zcp_test_hear_step(self, 1);
	node = zcp_test_node();
	prepare();
	subscriber = open_subscriber(node, traffic);
	before = n_faults();
	take(node, subscriber, traffic);
	zcp_test_say_step(self, n_faults() - before);
	zcp_test_wait_for_the_end(self);
}

/* Sends and takes all; the page faults of publisher and subscriber. */
static void run(const struct traffic *traffic, uint64_t faults[2])
{
	struct zcp_test_child publisher, subscriber;
	struct zcp_node *between[BETWEEN];

	zcp_test_fork(&subscriber, be_subscriber, (void *)traffic);
	zcp_test_fork(&publisher, be_publisher, (void *)traffic);
	zcp_test_hear_step(&publisher, 1);
	for (int i = 0; i < BETWEEN; i++)
		between[i] = zcp_test_node();
	zcp_test_say_step(&subscriber, 1);
	zcp_test_hear(&publisher, &faults[0], sizeof(faults[0]));
	zcp_test_hear(&subscriber, &faults[1], sizeof(faults[1]));
	zcp_test_kill(&publisher);
	zcp_test_kill(&subscriber);
	for (int i = 0; i < BETWEEN; i++)
		zcp_node_close(between[i]);
	(void)fprintf(
		stderr,
		"%s: %llu messages of %zu bytes; page faults: publisher %llu, subscriber %llu\n",
		traffic->topic, (unsigned long long)traffic->n, traffic->size,
		(unsigned long long)faults[0], (unsigned long long)faults[1]);
}

static void expect_no_faults(const struct traffic *traffic)
{
	uint64_t faults[2];

	run(traffic, faults);
	ZCP_CHECK(faults[0] <= N_FAULTS_MAX && faults[1] <= N_FAULTS_MAX);
}

/* Whether 32 MiB may be locked by whoever wants to. */
static bool may_lock(void)
{
	struct rlimit limit;

	ZCP_CHECK(getrlimit(RLIMIT_MEMLOCK, &limit) == 0);
	return has_lock_capability() || limit.rlim_cur >= 32 * MIB;
}

/*
 * From the first message on. The small topic is there for what a publisher and a subscriber
 * keep for themselves, which is larger the more chunks there are and may be held.
 */
static void prefault_leaves_no_page_fault_to_the_data_path(void)
{
	static const struct traffic plain = { "plain", MIB, 2000, HELD };
	static const struct traffic large = { "large", MIB, N_MESSAGES, HELD };
	static const struct traffic small = { "small", PAGE, 10000, 1024 };
	struct zcp_test_runtime runtime;
	char config[1024];
	uint64_t faults[2];
	const char *lock = "";

	if (may_lock())
		lock = "lock = true\n";
	else
		(void)printf("not locked: RLIMIT_MEMLOCK is too low\n");
	(void)snprintf(config, sizeof(config),
		       "[pool.plain]\nclasses = [{size = \"1MiB\", count = %d}]\n"
		       "[pool.large]\nclasses = [{size = \"1MiB\", count = %d}]\n"
		       "prefault = true\n%s"
		       "[pool.small]\nclasses = [{size = \"4KiB\", count = 4096}]\n"
		       "prefault = true\n%s"
		       "[topic.plain]\npool = \"plain\"\n[topic.large]\npool = \"large\"\n"
		       "[topic.small]\npool = \"small\"\n",
		       COUNT, COUNT, lock, lock);
	zcp_test_runtime_start(&runtime, config);
	expect_no_faults(&large);
	expect_no_faults(&small);
	run(&plain, faults);
	/* A few chunks at least are in use at once; to read maps 16 pages at a time. */
	ZCP_CHECK(faults[0] > 1000 && faults[1] > 64);
}

/* It took its time to take; others are gone with their last topic. */
static void prefaulted_pool_stays_for_the_next_topic(void)
{
	static const struct {
		const char *topic;
		/* two regions, and both once more for reading */
		unsigned int n_fds;
	} cases[] = { { "sparse", 0 }, { "prefaulted", 4 }, { "prefaulted", 0 } };
	struct zcp_test_runtime runtime;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, "[pool.a]\nclasses = [{size = 64, count = 64}]\n"
					 "[pool.b]\nclasses = [{size = 64, count = 64}]\n"
					 "prefault = true\n[topic.sparse]\npool = \"a\"\n"
					 "[topic.prefaulted]\npool = \"b\"\n");
	node = zcp_test_node();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned int n_fds = zcp_test_n_fds(runtime.worker);
		struct zcp_publisher *publisher = zcp_test_publisher(node, cases[i].topic, 0, 1);

		zcp_test_send(publisher, 1);
		expect_info(node, cases[i].topic, i > 0, false, "KiB pages");
		zcp_publisher_close(publisher);
		ZCP_CHECK(zcp_test_ask(node, cases[i].topic) == -ENOENT);
		ZCP_CHECK(zcp_test_n_fds(runtime.worker) == n_fds + cases[i].n_fds);
	}
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

/* Without ending anybody for want of memory. */
static void more_than_the_machine_has_is_refused(void)
{
	static const char *const words =
		"pool 'huge'|prefault|16777|MiB are available|lower its counts";
	struct zcp_test_runtime runtime;
	struct zcp_node *node;
	unsigned int n_fds;

	zcp_test_runtime_start(&runtime,
			       "[pool.huge]\nclasses = [{size = \"16GiB\", count = 1024}]\n"
			       "prefault = true\n[topic.t]\npool = \"huge\"\n");
	node = zcp_test_node();
	n_fds = zcp_test_n_fds(runtime.worker);
	ZCP_REFUSED(try_to_publish(node, "t"), node, -ENOMEM, words);
	ZCP_REFUSED(try_to_subscribe(node, "t"), node, -ENOMEM, words);
	ZCP_CHECK(zcp_test_n_fds(runtime.worker) == n_fds);
	ZCP_CHECK(zcp_test_ask(node, "t") == -ENOENT);
	(void)zcp_test_publisher(node, "other", 64, 1);
	zcp_node_close(node);
}

struct huge_pages {
	unsigned long long n_total;
	unsigned long long n_free;
};

static unsigned long long read_huge_pages(const char *name)
{
	unsigned long long n = 0;
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-2048kB/%s", name);
	file = fopen(path, "re");
	if (!file)
		return 0;
	ZCP_CHECK(fscanf(file, "%llu", &n) == 1);
	(void)fclose(file);
	return n;
}

static struct huge_pages huge_pages(void)
{
	return (struct huge_pages){
		.n_total = read_huge_pages("nr_hugepages"),
		.n_free = read_huge_pages("free_hugepages") - read_huge_pages("resv_hugepages"),
	};
}

/* More than are free: nothing of the machine is changed for it. */
static void huge_pages_are_had_or_refused_with_what_is_missing(void)
{
	struct huge_pages pages;
	struct zcp_test_runtime runtime;
	char config[1024], words[128];
	struct zcp_publisher *publisher;
	struct zcp_node *node;
	unsigned int n_fds;

	pages = huge_pages();
	(void)snprintf(config, sizeof(config),
		       "[pool.must]\nclasses = [{size = 4096, count = 1}, "
		       "{size = \"2MiB\", count = %llu}]\nhuge_pages = \"must\"\n"
		       "[pool.try]\nclasses = [{size = 4096, count = 1}, "
		       "{size = \"2MiB\", count = %llu}]\nhuge_pages = \"try\"\n"
		       "[topic.must]\npool = \"must\"\n[topic.try]\npool = \"try\"\n",
		       pages.n_free + 7, pages.n_free + 7);
	/* The small class has one, and the data begins behind a page of its own. */
	(void)snprintf(words, sizeof(words),
		       "pool 'must'|%llu huge pages of 2 MiB|%llu are missing|"
		       "vm.nr_hugepages=%llu",
		       pages.n_free + 9, 9ULL, pages.n_total + 9);
	zcp_test_runtime_start(&runtime, config);
	node = zcp_test_node();
	n_fds = zcp_test_n_fds(runtime.worker);
	ZCP_REFUSED(try_to_publish(node, "must"), node, -ENOMEM, words);
	ZCP_REFUSED(try_to_subscribe(node, "must"), node, -ENOMEM, words);
	ZCP_CHECK(zcp_test_n_fds(runtime.worker) == n_fds);
	ZCP_CHECK(zcp_test_ask(node, "must") == -ENOENT);

	publisher = zcp_test_publisher(node, "try", 0, 1);
	/* All of it or none; what the kernel gives instead is its affair. */
	expect_info(node, "try", false, false, "pages");
	zcp_test_send(publisher, 1);
	zcp_node_close(node);
}

static void huge_pages_that_are_there_are_taken(void)
{
	static const struct traffic traffic = { "must", MIB, 2000, HELD };
	struct huge_pages before, during;
	struct zcp_test_runtime runtime;
	struct zcp_publisher *publisher;
	struct zcp_node *node;
	char config[512];

	before = huge_pages();
	if (before.n_free < 16)
		zcp_test_skip("fewer than 16 huge pages are free here (sysctl vm.nr_hugepages)");
	(void)snprintf(config, sizeof(config),
		       "[pool.p]\nclasses = [{size = \"1MiB\", count = %d}]\nprefault = true\n"
		       "huge_pages = \"must\"\n[topic.must]\npool = \"p\"\n",
		       COUNT);
	zcp_test_runtime_start(&runtime, config);
	expect_no_faults(&traffic);
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, "must", 0, 1);
	expect_info(node, "must", true, false, "2 MiB huge pages");
	during = huge_pages();
	ZCP_CHECK(before.n_free - during.n_free == (COUNT * MIB + PAGE) / (2 * MIB) + 1);
	zcp_publisher_close(publisher);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
	during = huge_pages();
	ZCP_CHECK(before.n_free == during.n_free);
}

int main(int argc, char **argv)
{
	static const struct zcp_test_case cases[] = {
		ZCP_TEST_CASE(prefault_leaves_no_page_fault_to_the_data_path),
		ZCP_TEST_CASE(prefaulted_pool_stays_for_the_next_topic),
		ZCP_TEST_CASE(more_than_the_machine_has_is_refused),
		ZCP_TEST_CASE(huge_pages_are_had_or_refused_with_what_is_missing),
		ZCP_TEST_CASE(huge_pages_that_are_there_are_taken),
	};

	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
