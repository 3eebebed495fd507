/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that replaces its program (execve(2)) ends what the program before had, as its end
 * would, and goes on with the same pid.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define TOPIC "exec"
#define DEPTH 4
#define HELD 2
#define PAYLOAD 64
/* More than a topic has places for publishers. */
#define N_PROGRAMS 12

/* What a program does before it replaces itself, or says that it is there. */
enum manner {
	/* one after another, each with something on loan, queued and held */
	MANNER_ONE_AFTER_ANOTHER,
	/* a child of the first keeps the connection open */
	MANNER_CHILD,
	/* it opens nothing, waits to be told, and then is replaced */
	MANNER_LATER,
};

static void replace_program(const struct zcp_test_child *self, enum manner manner, int number)
{
	char arguments[4][16];
	int in = dup(self->in), out = dup(self->out);

	ZCP_CHECK(in >= 0 && out >= 0);
	(void)snprintf(arguments[0], sizeof(arguments[0]), "%d", in);
	(void)snprintf(arguments[1], sizeof(arguments[1]), "%d", out);
	(void)snprintf(arguments[2], sizeof(arguments[2]), "%d", (int)manner);
	(void)snprintf(arguments[3], sizeof(arguments[3]), "%d", number);
	(void)execl("/proc/self/exe", "exec", "--program", arguments[0], arguments[1], arguments[2],
		    arguments[3], (char *)NULL);
	ZCP_CHECK(false && "execl");
}

/* Leaves one message on loan, one held and one queued. */
static void use(struct zcp_node *node)
{
	struct zcp_subscriber *subscriber = zcp_test_subscriber(node, TOPIC, DEPTH, HELD, 0);
	struct zcp_publisher *publisher = zcp_test_publisher(node, TOPIC, PAYLOAD, 2);
	struct zcp_sample sample;
	struct zcp_loan loan;

	zcp_test_send(publisher, 1);
	zcp_test_send(publisher, 2);
	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	ZCP_CHECK(*(const uint64_t *)sample.data == 1);
	ZCP_OK(zcp_publisher_loan(publisher, PAYLOAD, &loan), node);
}

static int main_program(char **argv)
{
	struct zcp_test_child self = {
		.pid = getpid(),
		.in = (int)strtol(argv[2], NULL, 10),
		.out = (int)strtol(argv[3], NULL, 10),
	};
	enum manner manner = (enum manner)strtol(argv[4], NULL, 10);
	int number = (int)strtol(argv[5], NULL, 10);

	if (manner != MANNER_LATER || number == 1)
		use(zcp_test_node());
	if (manner == MANNER_CHILD && number == 1) {
		pid_t child = fork();

		ZCP_CHECK(child >= 0);
		if (child == 0)
			zcp_test_wait_for_the_end(&self);
	}
	if (manner == MANNER_LATER && number == 1) {
		zcp_test_say_step(&self, 1);
		zcp_test_hear_step(&self, 2);
	}
	if (number < (manner == MANNER_ONE_AFTER_ANOTHER ? N_PROGRAMS : 2))
		replace_program(&self, manner, number + 1);
	zcp_test_say_step(&self, 3);
	zcp_test_wait_for_the_end(&self);
}

static void run_programs(struct zcp_test_child *self, void *manner)
{
	replace_program(self, *(const enum manner *)manner, 1);
}

static void start(struct zcp_test_child *child, enum manner manner)
{
	zcp_test_fork(child, run_programs, &manner);
}

static void former_program_gives_back_its_places_and_its_chunks(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_test_child child;

	start(&child, MANNER_ONE_AFTER_ANOTHER);
	zcp_test_hear_step(&child, 3);
	zcp_test_wait_for_members(node, TOPIC, 1, 1);
	/* The last one's: on loan, held, queued. */
	ZCP_CHECK(zcp_test_n_busy(node) == 3);
	zcp_test_kill(&child);
	zcp_node_close(node);
}

/* Nobody is told of that end before the process connects again. */
static void former_program_ends_though_a_child_keeps_its_connection(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_test_child child;

	start(&child, MANNER_CHILD);
	zcp_test_hear_step(&child, 3);
	zcp_test_wait_for_members(node, TOPIC, 1, 1);
	ZCP_CHECK(zcp_test_n_busy(node) == 3);
	zcp_test_kill(&child);
	/* The grandchild ends with our ends of its pipes. */
	zcp_node_close(node);
}

static const char *const shared_pool = "[runtime]\n"
				       "return_timeout = \"100ms\"\n"
				       "[pool.shared]\n"
				       "classes = [ { size = 64, count = 1000 } ]\n"
				       "[topic.\"*\"]\n"
				       "pool = \"shared\"\n";

/* The next runtime does not wait for it, and nobody is kept out of the pool for its sake. */
static void program_replaced_while_there_was_no_runtime_is_gone(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_publisher *publisher;
	struct zcp_test_child child;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, shared_pool);
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, TOPIC, PAYLOAD, 2);
	start(&child, MANNER_LATER);
	zcp_test_hear_step(&child, 1);
	zcp_test_runtime_kill_all(&runtime);
	zcp_test_say_step(&child, 2);
	zcp_test_hear_step(&child, 3);
	zcp_test_runtime_start(&runtime, shared_pool);
	zcp_test_wait_for_members(node, TOPIC, 1, 0);
	/* Of its publisher's chunks none is left, and we have none. */
	ZCP_CHECK(zcp_test_n_busy(node) == 0);
	(void)zcp_test_publisher(node, "new", PAYLOAD, 2);
	zcp_test_send(publisher, 1);
	zcp_test_kill(&child);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static void keep_both(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();

	(void)arg;
	use(node);
	/* As if the runtime had hung up: the node would find it again at its next call. */
	ZCP_CHECK(shutdown(zcp_test_socket(node), SHUT_RDWR) == 0);
	zcp_test_say_step(self, 1);
	zcp_test_wait_for_the_end(self);
}

/* The same from the runtime's side, but that the program is there still. */
static void program_that_lives_keeps_what_it_has(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_test_child child;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	zcp_test_fork(&child, keep_both, NULL);
	zcp_test_hear_step(&child, 1);
	/* Two round trips: the end of its connection was there before the first. */
	zcp_test_wait_for_members(node, TOPIC, 1, 1);
	zcp_test_wait_for_members(node, TOPIC, 1, 1);
	ZCP_CHECK(zcp_test_n_busy(node) == 3);
	ZCP_CHECK(!zcp_test_runtime_said(&runtime, "another program"));
	zcp_test_kill(&child);
	while (zcp_test_ask(node, TOPIC) != -ENOENT)
		continue;
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(former_program_gives_back_its_places_and_its_chunks),
	ZCP_TEST_CASE(former_program_ends_though_a_child_keeps_its_connection),
	ZCP_TEST_CASE(program_replaced_while_there_was_no_runtime_is_gone),
	ZCP_TEST_CASE(program_that_lives_keeps_what_it_has),
};

int main(int argc, char **argv)
{
	if (argc == 6 && strcmp(argv[1], "--program") == 0)
		return main_program(argv);
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
