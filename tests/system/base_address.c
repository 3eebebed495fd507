/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No address is stored in shared memory: a process that created the topic, a forked child
 * and an unrelated process have everything mapped at other addresses, and see the same. A
 * handle that was inherited over fork() is dead, and leaves its owner alone.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define TOPIC "base"
#define SIZE 5000
#define N_REGIONS 5
/* zcp_loan.reserved: the ref */
#define LOAN_REF 1

/* What one process sees. */
struct view {
	/* signals, topic, acks, descriptors, chunks */
	uint64_t bases[N_REGIONS];
	uint64_t sizes[N_REGIONS];
	uint64_t n_classes;
	uint64_t n_chunks;
	uint64_t payload_size;
	uint64_t stride;
	/* over all that is in them */
	uint64_t descriptors;
	uint64_t payload;
	/* of the sample that it took */
	uint64_t sample_payload;
	uint64_t sequence;
	uint64_t publisher_id;
};

/* The creator's view, and a chunk that it has on loan. */
struct task {
	struct view view;
	uint32_t ref;
};

static uint64_t hash(const void *data, size_t size)
{
	const unsigned char *bytes = data;
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++)
		h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
	return h;
}

static void add_region(struct view *view, int i, const struct zcp_region *region)
{
	view->bases[i] = (uint64_t)(uintptr_t)region->base;
	view->sizes[i] = region->size;
}

static void look(struct view *view, const struct zcp_node *node,
		 const struct zcp_test_inside *inside, uint32_t ref)
{
	const struct zcp_class *class = &inside->pool->classes[0];

	*view = (struct view){
		.n_classes = inside->pool->n_classes,
		.n_chunks = class->n_chunks,
		.payload_size = class->payload_size,
		.stride = class->stride,
		.descriptors = hash(class->chunks, class->n_chunks * sizeof(class->chunks[0])),
	};
	add_region(view, 0, &zcp_test_signals(node)->region);
	add_region(view, 1, &inside->topic->region);
	add_region(view, 2, &inside->acks->region);
	add_region(view, 3, &class->chunks_region);
	add_region(view, 4, &class->data_region);
	ZCP_CHECK(zcp_pool_class(inside->pool, ref) == class);
	view->payload = hash(zcp_class_payload(class, zcp_ref_index(ref)), SIZE);
}

/* Takes the one message, and looks at everything with the sample held. */
static void take_and_look(struct zcp_test_child *self, const struct task *task)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 2, 1, 0);
	const struct zcp_test_inside inside = zcp_test_inside(subscriber);
	struct zcp_sample sample;
	struct view view;

	zcp_test_say_step(self, 1);
	zcp_test_hear_step(self, 2);
	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	look(&view, node, &inside, task->ref);
	view.sample_payload = hash(sample.data, sample.size);
	view.sequence = sample.sequence;
	view.publisher_id = sample.publisher_id;
	zcp_test_say(self, &view, sizeof(view));
	zcp_test_wait_for_the_end(self);
}

/* Where the creator has its regions, nothing of ours can be. */
static void reserve(const struct view *theirs)
{
	for (int i = 0; i < N_REGIONS; i++) {
		void *base = (void *)(uintptr_t)theirs->bases[i];

		/* Where something is already, nothing else will be. */
		ZCP_CHECK(mmap(base, theirs->sizes[i], PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
			       -1, 0) == base ||
			  errno == EEXIST);
	}
	ZCP_CHECK(mmap(NULL, 257 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
		  MAP_FAILED);
}

static void be_the_child(struct zcp_test_child *self, void *arg)
{
	(void)arg;
	struct task task;

	zcp_test_hear(self, &task, sizeof(task));
	take_and_look(self, &task);
}

/* A process that shares nothing with the creator but the domain. */
static void be_unrelated(struct zcp_test_child *self, void *arg)
{
	char in[16], out[16];
	const char *arguments[] = { "unrelated", "--unrelated", in, out, NULL };

	(void)arg;
	(void)snprintf(in, sizeof(in), "%d", dup(self->in));
	(void)snprintf(out, sizeof(out), "%d", dup(self->out));
	(void)execv("/proc/self/exe", (char *const *)arguments);
	ZCP_CHECK(false && "execv");
}

static int main_unrelated(char **argv)
{
	struct zcp_test_child self = {
		.pid = getpid(),
		.in = (int)strtol(argv[2], NULL, 10),
		.out = (int)strtol(argv[3], NULL, 10),
	};
	struct task task;

	zcp_test_hear(&self, &task, sizeof(task));
	reserve(&task.view);
	take_and_look(&self, &task);
	return 0;
}

static void check_views(const struct view *a, const struct view *b)
{
	for (int i = 0; i < N_REGIONS; i++) {
		ZCP_CHECK(a->bases[i] != b->bases[i]);
		ZCP_CHECK(a->sizes[i] == b->sizes[i]);
	}
	ZCP_CHECK(a->n_classes == 1 && b->n_classes == 1);
	ZCP_CHECK(a->n_chunks == b->n_chunks);
	ZCP_CHECK(a->payload_size == SIZE && b->payload_size == SIZE);
	ZCP_CHECK(a->stride == b->stride);
	ZCP_CHECK(a->descriptors == b->descriptors);
	ZCP_CHECK(a->payload == b->payload);
	ZCP_CHECK(a->sample_payload == b->sample_payload);
	ZCP_CHECK(a->sequence == 1 && b->sequence == 1);
	ZCP_CHECK(a->publisher_id == b->publisher_id);
}

static void fill(void *payload, int with)
{
	for (size_t i = 0; i < SIZE; i++)
		((unsigned char *)payload)[i] = (unsigned char)(i * 7 + (size_t)with);
}

static void three_processes_map_elsewhere_and_see_the_same(void)
{
	struct zcp_test_child child, unrelated;
	struct zcp_loan message, loan;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
	struct zcp_test_inside inside;
	struct zcp_sample sample;
	struct view forked, stranger;
	struct zcp_node *node;
	struct task task;

	zcp_test_fork(&unrelated, be_unrelated, NULL);
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, TOPIC, SIZE, 2);
	inside = zcp_test_inside(publisher);
	subscriber = zcp_test_subscriber(node, TOPIC, 2, 1, 0);
	/* With all that we have mapped, so that it maps its own elsewhere. */
	zcp_test_fork(&child, be_the_child, NULL);
	ZCP_OK(zcp_publisher_loan(publisher, SIZE, &loan), node);
	fill(loan.data, 3);
	task.ref = (uint32_t)loan.reserved[LOAN_REF];
	look(&task.view, node, &inside, task.ref);
	zcp_test_say(&child, &task, sizeof(task));
	zcp_test_say(&unrelated, &task, sizeof(task));
	zcp_test_hear_step(&child, 1);
	zcp_test_hear_step(&unrelated, 1);

	ZCP_OK(zcp_publisher_loan(publisher, SIZE, &message), node);
	fill(message.data, 5);
	ZCP_OK(zcp_publisher_publish(publisher, &message), node);
	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	zcp_test_say_step(&child, 2);
	zcp_test_hear(&child, &forked, sizeof(forked));
	zcp_test_say_step(&unrelated, 2);
	zcp_test_hear(&unrelated, &stranger, sizeof(stranger));
	look(&task.view, node, &inside, task.ref);
	task.view.sample_payload = hash(sample.data, sample.size);
	task.view.sequence = sample.sequence;
	task.view.publisher_id = zcp_publisher_id(publisher);
	ZCP_CHECK(task.view.payload != task.view.sample_payload);
	check_views(&task.view, &forked);
	check_views(&task.view, &stranger);

	zcp_test_kill(&child);
	zcp_test_kill(&unrelated);
	zcp_node_close(node);
}

/* --- what a child inherits --- */

struct handles {
	struct zcp_node *node;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
	struct zcp_sample sample;
	struct zcp_loan loan;
};

static void never(const struct zcp_sample *sample, void *user)
{
	(void)sample;
	(void)user;
	ZCP_CHECK(false && "called back in a child");
}

static void never_matched(const struct zcp_match *match, void *user)
{
	(void)match;
	(void)user;
	ZCP_CHECK(false && "called back in a child");
}

static void check_dead(struct handles *handles)
{
	struct zcp_publisher *publisher = NULL;
	struct zcp_subscriber *subscriber = NULL;
	struct zcp_sample sample = ZCP_SAMPLE_INIT;
	struct zcp_loan loan = ZCP_LOAN_INIT;
	uint64_t taken, lost;
	char name[ZCP_NODE_NAME_MAX + 1];

	zcp_subscriber_on_sample(handles->subscriber, never, NULL);
	ZCP_CHECK(zcp_publisher_open(&publisher, handles->node, TOPIC, NULL) == -EOWNERDEAD);
	ZCP_CHECK(zcp_subscriber_open(&subscriber, handles->node, TOPIC, NULL) == -EOWNERDEAD);
	ZCP_CHECK(!publisher && !subscriber);
	ZCP_CHECK(zcp_node_wait(handles->node, 0) == -EOWNERDEAD);
	ZCP_CHECK(zcp_node_wait(handles->node, ZCP_FOREVER) == -EOWNERDEAD);
	ZCP_CHECK(zcp_node_dispatch(handles->node, 0) == -EOWNERDEAD);
	ZCP_CHECK(zcp_node_dispatch(handles->node, ZCP_FOREVER) == -EOWNERDEAD);
	ZCP_CHECK(zcp_node_fd(handles->node) == -EOWNERDEAD);
	zcp_node_interrupt(handles->node);
	ZCP_CHECK(zcp_publisher_loan(handles->publisher, 1, &loan) == -EOWNERDEAD);
	ZCP_CHECK(zcp_publisher_publish(handles->publisher, &handles->loan) == -EOWNERDEAD);
	ZCP_CHECK(zcp_publisher_publish_timed(handles->publisher, &handles->loan, 0) ==
		  -EOWNERDEAD);
	ZCP_CHECK(zcp_publisher_discard(handles->publisher, &handles->loan) == -EOWNERDEAD);
	ZCP_CHECK(zcp_publisher_send(handles->publisher, "x", 1) == -EOWNERDEAD);
	ZCP_CHECK(zcp_publisher_wait_subscribers(handles->publisher, 1, 0) == -EOWNERDEAD);
	ZCP_CHECK(zcp_publisher_n_subscribers(handles->publisher) == 0);
	ZCP_CHECK(zcp_publisher_on_match(handles->publisher, NULL, NULL) == -EOWNERDEAD);
	ZCP_CHECK(zcp_publisher_on_match(handles->publisher, never_matched, NULL) == -EOWNERDEAD);
	ZCP_CHECK(zcp_subscriber_on_match(handles->subscriber, never_matched, NULL) == -EOWNERDEAD);
	ZCP_CHECK(zcp_subscriber_wait_publishers(handles->subscriber, 1, 0) == -EOWNERDEAD);
	ZCP_CHECK(zcp_sample_publisher_name(&handles->sample, name, sizeof(name)) == -EOWNERDEAD);
	ZCP_CHECK(zcp_subscriber_take(handles->subscriber, &sample) == -EOWNERDEAD);
	ZCP_CHECK(zcp_sample_release(&handles->sample) == -EOWNERDEAD);
	ZCP_CHECK(zcp_subscriber_n_publishers(handles->subscriber) == 0);
	/* Those that give no error do no harm. */
	zcp_subscriber_counts(handles->subscriber, &taken, &lost);
	ZCP_CHECK(strcmp(zcp_node_name(handles->node), program_invocation_short_name) == 0);
	ZCP_CHECK(zcp_publisher_id(handles->publisher) != 0);
	ZCP_CHECK(zcp_publisher_max_payload(handles->publisher) == SIZE);
	(void)zcp_node_error(handles->node);
}

static void use_and_close_inherited(struct zcp_test_child *self, void *arg)
{
	struct handles *handles = arg;

	check_dead(handles);
	zcp_node_close(handles->node);
	zcp_test_say_step(self, 1);
}

static void use_with_a_node_of_its_own(struct zcp_test_child *self, void *arg)
{
	struct handles *handles = arg;
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, "own", 64, 1);
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "own", 2, 1, 0);

	check_dead(handles);
	zcp_subscriber_close(handles->subscriber);
	zcp_publisher_close(handles->publisher);
	zcp_node_close(handles->node);
	zcp_test_send(publisher, 1);
	zcp_test_expect(subscriber, 1);
	zcp_node_close(node);
	zcp_test_say_step(self, 1);
}

static void inherited_handles_are_dead_and_disturb_nobody(void)
{
	void (*const runs[])(struct zcp_test_child *, void *) = {
		use_and_close_inherited,
		use_with_a_node_of_its_own,
	};
	struct handles handles = { .node = zcp_test_node() };
	struct zcp_message reply;

	handles.publisher = zcp_test_publisher(handles.node, TOPIC, SIZE, 2);
	handles.subscriber = zcp_test_subscriber(handles.node, TOPIC, 4, 2, 0);
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		struct zcp_test_child child;

		zcp_test_send(handles.publisher, 1);
		zcp_test_send(handles.publisher, 2);
		ZCP_OK(zcp_subscriber_take(handles.subscriber, &handles.sample), handles.node);
		ZCP_OK(zcp_publisher_loan(handles.publisher, SIZE, &handles.loan), handles.node);
		zcp_test_fork(&child, runs[i], &handles);
		zcp_test_hear_step(&child, 1);
		zcp_test_join(&child);

		ZCP_CHECK(*(const uint64_t *)handles.sample.data == 1);
		ZCP_CHECK(zcp_sample_release(&handles.sample) == 0);
		/* Not interrupted by the child. */
		ZCP_OK(zcp_node_wait(handles.node, 0), handles.node);
		zcp_test_expect(handles.subscriber, 2);
		*(uint64_t *)handles.loan.data = 3;
		handles.loan.size = sizeof(uint64_t);
		ZCP_OK(zcp_publisher_publish(handles.publisher, &handles.loan), handles.node);
		zcp_test_expect(handles.subscriber, 3);
		zcp_test_info(handles.node, TOPIC, &reply);
		ZCP_CHECK(reply.u.topic_info.n_publishers == 1);
		ZCP_CHECK(reply.u.topic_info.n_subscribers == 1);
		zcp_message_deinit(&reply);
		ZCP_CHECK(zcp_test_n_busy(handles.node) == 0);
	}
	zcp_node_close(handles.node);
}

static void have_inherited(struct zcp_test_child *self, void *arg)
{
	(void)arg;
	zcp_test_say_step(self, 1);
	zcp_test_wait_for_the_end(self);
}

static void node_that_is_closed_is_gone_though_a_child_has_its_connection(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_test_child child;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, "[runtime]\nlog_level = \"debug\"\n");
	node = zcp_test_node();
	(void)zcp_test_publisher(node, TOPIC, SIZE, 2);
	zcp_test_fork(&child, have_inherited, NULL);
	zcp_test_hear_step(&child, 1);
	zcp_node_close(node);
	while (!zcp_test_runtime_said(&runtime, "has left"))
		continue;
	zcp_test_kill(&child);
	zcp_test_runtime_stop(&runtime);
}

/* --- what a subscriber may do to its data --- */

static void write_to_sample(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, 4, 2, 0);
	const struct zcp_region *region = &zcp_test_inside(subscriber).pool->classes[0].data_region;
	struct zcp_sample sample;

	(void)arg;
	zcp_test_say_step(self, 1);
	zcp_test_hear_step(self, 2);
	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	ZCP_CHECK(mprotect(region->base, region->size, PROT_READ | PROT_WRITE) < 0);
	ZCP_CHECK(errno == EACCES);
	/* A sanitizer has a handler of its own. */
	ZCP_CHECK(signal(SIGSEGV, SIG_DFL) != SIG_ERR);
	zcp_test_say_step(self, 3);
	*(volatile char *)(uintptr_t)sample.data = 1;
	zcp_test_say_step(self, 4);
}

static void samples_cannot_be_written_to(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, SIZE, 2);
	struct zcp_test_child child;
	int status;

	zcp_test_fork(&child, write_to_sample, NULL);
	zcp_test_hear_step(&child, 1);
	zcp_test_send(publisher, 1);
	zcp_test_say_step(&child, 2);
	zcp_test_hear_step(&child, 3);
	ZCP_CHECK(waitpid(child.pid, &status, 0) == child.pid);
	ZCP_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(three_processes_map_elsewhere_and_see_the_same),
	ZCP_TEST_CASE(inherited_handles_are_dead_and_disturb_nobody),
	ZCP_TEST_CASE(node_that_is_closed_is_gone_though_a_child_has_its_connection),
	ZCP_TEST_CASE(samples_cannot_be_written_to),
};

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "--unrelated") == 0)
		return main_unrelated(argv);
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
