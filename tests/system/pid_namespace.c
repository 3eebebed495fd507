/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A runtime and nodes in different pid namespaces, as in containers that share a runtime directory:
 * a process without a pid here is not a dead one, and its end is noticed all the same.
 *
 * A container is a helper that is the first process of a pid namespace, with a /proc of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#define TOPIC "apart"
#define PAYLOAD 64
#define DEPTH 4
#define HELD 2

static const char *const patient = "[runtime]\nreturn_timeout = \"10s\"\n";
static const char *const hurried = "[runtime]\nreturn_timeout = \"100ms\"\n";

/* What a container or a helper outside is told to do; it says the same when it has done it. */
enum step {
	STEP_START_PATIENT = 1,
	STEP_START_HURRIED,
	STEP_KILL_WORKER,
	STEP_KILL_ALL,
	STEP_STOP,
	/* opens a node, with something on loan, queued and held */
	STEP_USE,
	/* the node looks for a runtime, and publishes */
	STEP_COME_BACK,
	/* what match callbacks and `zcp info` say of others' pids */
	STEP_SEES_NO_PIDS,
	STEP_SEES_PIDS,
	STEP_READ_PID_FILE,
	STEP_LACK_PEERPIDFD,
};

struct helper {
	struct zcp_test_runtime runtime;
	struct zcp_node *node;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
};

static void use(struct helper *helper)
{
	struct zcp_sample sample;
	struct zcp_loan loan;

	helper->node = zcp_test_node();
	helper->subscriber = zcp_test_subscriber(helper->node, TOPIC, DEPTH, HELD, 0);
	helper->publisher = zcp_test_publisher(helper->node, TOPIC, PAYLOAD, 2);
	zcp_test_send(helper->publisher, 1);
	zcp_test_send(helper->publisher, 2);
	ZCP_OK(zcp_subscriber_take(helper->subscriber, &sample), helper->node);
	ZCP_OK(zcp_publisher_loan(helper->publisher, PAYLOAD, &loan), helper->node);
}

/* What the command says of the topic, its endpoints' pids alone. */
static void read_pids(char *text, size_t size)
{
	FILE *command = popen(ZCP_BIN_DIR "/zcp info " TOPIC " --json | grep '\"pid\"'", "re");
	size_t n = 0;

	ZCP_CHECK(command != NULL);
	n = fread(text, 1, size - 1, command);
	text[n] = '\0';
	ZCP_CHECK(pclose(command) == 0);
}

/* How many subscribers have the pid. */
struct count {
	uint32_t pid;
	unsigned int n;
};

static void on_match(const struct zcp_match *match, void *user)
{
	struct count *count = user;

	count->n += match->pid == count->pid;
}

static void check_pids(struct helper *helper, bool are_seen)
{
	struct count count = { .pid = are_seen ? (uint32_t)getpid() : 0 };
	char text[1024], mine[32];

	ZCP_OK(zcp_publisher_on_match(helper->publisher, on_match, &count), helper->node);
	ZCP_OK(zcp_node_dispatch(helper->node, 0), helper->node);
	ZCP_OK(zcp_publisher_on_match(helper->publisher, NULL, NULL), helper->node);
	ZCP_CHECK(count.n == 1);
	read_pids(text, sizeof(text));
	(void)snprintf(mine, sizeof(mine), "\"pid\": %d,", (int)getpid());
	ZCP_CHECK((strstr(text, mine) != NULL) == are_seen);
	ZCP_CHECK(are_seen || strstr(text, "\"pid\": null") != NULL);
}

static const char *pid_file(char *line, size_t size)
{
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/default/zcpd.pid", zcp_test_directory());
	file = fopen(path, "re");
	ZCP_CHECK(file && fgets(line, (int)size, file));
	(void)fclose(file);
	return line;
}

/* As a kernel before Linux 6.5 answers. */
static void lack_peerpidfd(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsockopt, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SO_PEERPIDFD, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOPROTOOPT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	ZCP_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	ZCP_CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void do_step(struct helper *helper, uint64_t step)
{
	char line[64], expected[64];

	switch (step) {
	case STEP_START_PATIENT:
	case STEP_START_HURRIED:
		zcp_test_runtime_start(&helper->runtime,
				       step == STEP_START_PATIENT ? patient : hurried);
		break;
	case STEP_KILL_WORKER:
		(void)zcp_test_kill_worker(helper->runtime.pid);
		break;
	case STEP_KILL_ALL:
		zcp_test_runtime_kill_all(&helper->runtime);
		break;
	case STEP_STOP:
		zcp_test_runtime_stop(&helper->runtime);
		break;
	case STEP_USE:
		use(helper);
		break;
	case STEP_COME_BACK:
		while (zcp_test_ask(helper->node, TOPIC) != 0)
			continue;
		zcp_test_send(helper->publisher, 3);
		break;
	case STEP_SEES_NO_PIDS:
	case STEP_SEES_PIDS:
		check_pids(helper, step == STEP_SEES_PIDS);
		break;
	case STEP_READ_PID_FILE:
		/* Of use inside: what stands behind the namespace is the pid there. */
		(void)snprintf(expected, sizeof(expected), "/%d\n", (int)helper->runtime.pid);
		ZCP_CHECK(strcmp(strrchr(pid_file(line, sizeof(line)), '/'), expected) == 0);
		break;
	default:
		ZCP_CHECK(step == STEP_LACK_PEERPIDFD);
		lack_peerpidfd();
	}
}

static void obey(struct zcp_test_child *self, void *is_container)
{
	struct helper helper = { .node = NULL };
	uint64_t step;

	if (is_container) {
		ZCP_CHECK(getpid() == 1);
		ZCP_CHECK(unshare(CLONE_NEWNS) == 0);
		ZCP_CHECK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
		ZCP_CHECK(mount("proc", "/proc", "proc", 0, NULL) == 0);
	}
	for (;;) {
		if (read(self->in, &step, sizeof(step)) != (ssize_t)sizeof(step))
			_exit(0);
		do_step(&helper, step);
		zcp_test_say_step(self, step);
	}
}

static void tell(struct zcp_test_child *helper, enum step step)
{
	zcp_test_say_step(helper, step);
	zcp_test_hear_step(helper, step);
}

static void start_helper(struct zcp_test_child *child)
{
	zcp_test_fork(child, obey, NULL);
}

static void start_container(struct zcp_test_child *child)
{
	int ours = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);

	ZCP_CHECK(ours >= 0);
	if (unshare(CLONE_NEWPID) < 0)
		zcp_test_skip("no right to make a pid namespace: run it as root");
	zcp_test_fork(child, obey, child);
	ZCP_CHECK(setns(ours, CLONE_NEWPID) == 0);
	(void)close(ours);
	/* A runtime of ours would be another one. */
	ZCP_CHECK(setenv("ZCP_AUTO_START", "0", 1) == 0);
}

/* With something of each kind of the helper's there. */
static void check_is_there(struct zcp_node *node)
{
	zcp_test_wait_for_members(node, TOPIC, 1, 1);
	ZCP_CHECK(zcp_test_n_busy(node) == 3);
}

static void check_goes(struct zcp_node *node)
{
	while (zcp_test_ask(node, TOPIC) != -ENOENT)
		(void)sched_yield();
	ZCP_CHECK(zcp_test_n_busy(node) == 0);
}

static uint32_t pid_of_publisher(struct zcp_node *node)
{
	struct zcp_message reply;
	uint32_t pid;

	zcp_test_endpoints(node, TOPIC, &reply);
	ZCP_CHECK(reply.u.endpoint_page.n_publishers == 1);
	pid = reply.u.endpoint_page.publishers[0].pid;
	zcp_message_deinit(&reply);
	return pid;
}

static void runtime_inside_knows_of_the_end_of_a_process_outside(void)
{
	struct zcp_test_child container, outside;
	struct zcp_node *node;

	start_container(&container);
	tell(&container, STEP_START_PATIENT);
	start_helper(&outside);
	tell(&outside, STEP_USE);
	tell(&outside, STEP_SEES_NO_PIDS);
	node = zcp_test_node();
	check_is_there(node);
	ZCP_CHECK(pid_of_publisher(node) == 0);
	/* The next one knows it by the pidfd of the one before. */
	tell(&container, STEP_KILL_WORKER);
	check_is_there(node);
	tell(&outside, STEP_COME_BACK);
	zcp_test_kill(&outside);
	check_goes(node);
	zcp_node_close(node);
	tell(&container, STEP_STOP);
	zcp_test_kill(&container);
}

/* By its signal's lock alone: nothing else is left that would tell. */
static void process_outside_is_not_cleaned_up_for_having_no_pid(void)
{
	struct zcp_test_child container, outside;
	struct zcp_node *node;

	start_container(&container);
	tell(&container, STEP_START_PATIENT);
	start_helper(&outside);
	tell(&outside, STEP_USE);
	node = zcp_test_node();
	(void)zcp_test_subscriber(node, TOPIC, DEPTH, HELD, 0);
	tell(&container, STEP_KILL_ALL);
	tell(&container, STEP_START_HURRIED);
	/* It is kept, though it was waited for in vain. */
	zcp_test_wait_for_members(node, TOPIC, 1, 2);
	ZCP_CHECK(zcp_test_n_busy(node) == 3);
	zcp_test_wait_for_members(node, TOPIC, 1, 2);
	tell(&container, STEP_KILL_WORKER);
	zcp_test_wait_for_members(node, TOPIC, 1, 2);
	zcp_test_kill(&outside);
	zcp_test_wait_for_members(node, TOPIC, 0, 1);
	/* And nobody is waited for that has parts of the pool. */
	(void)zcp_test_publisher(node, TOPIC, PAYLOAD, 2);
	zcp_node_close(node);
	tell(&container, STEP_STOP);
	zcp_test_kill(&container);
}

static void process_outside_comes_back_to_a_runtime_inside(void)
{
	struct zcp_test_child container, outside;
	struct zcp_node *node;

	start_container(&container);
	tell(&container, STEP_START_PATIENT);
	start_helper(&outside);
	tell(&outside, STEP_USE);
	node = zcp_test_node();
	(void)zcp_test_subscriber(node, TOPIC, DEPTH, HELD, 0);
	tell(&container, STEP_KILL_ALL);
	tell(&container, STEP_START_HURRIED);
	/* Known by its slots, from the topic that we hand back, before it comes itself. */
	zcp_test_wait_for_members(node, TOPIC, 1, 2);
	tell(&outside, STEP_COME_BACK);
	zcp_test_wait_for_members(node, TOPIC, 1, 2);
	zcp_test_kill(&outside);
	zcp_test_wait_for_members(node, TOPIC, 0, 1);
	zcp_node_close(node);
	tell(&container, STEP_STOP);
	zcp_test_kill(&container);
}

/* What the runtime before has written as pids are those of other processes, or of none. */
static void runtime_in_another_namespace_goes_on(void)
{
	struct zcp_test_child container, outside;
	struct zcp_test_runtime runtime;
	struct zcp_node *node;

	start_container(&container);
	tell(&container, STEP_START_PATIENT);
	start_helper(&outside);
	tell(&outside, STEP_USE);
	node = zcp_test_node();
	(void)zcp_test_subscriber(node, TOPIC, DEPTH, HELD, 0);
	/* The runtime knows it by a pid that is another process's outside. */
	tell(&container, STEP_USE);
	tell(&container, STEP_KILL_ALL);
	zcp_test_runtime_start(&runtime, hurried);
	zcp_test_wait_for_members(node, TOPIC, 2, 3);
	tell(&outside, STEP_COME_BACK);
	tell(&outside, STEP_SEES_PIDS);
	zcp_test_kill(&outside);
	zcp_test_wait_for_members(node, TOPIC, 1, 2);
	tell(&container, STEP_COME_BACK);
	zcp_test_wait_for_members(node, TOPIC, 1, 2);
	zcp_test_kill(&container);
	zcp_test_wait_for_members(node, TOPIC, 0, 1);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

/* By the pidfds that it gets with the sessions. */
static void runtime_outside_takes_over_from_one_inside(void)
{
	static const char *const replace[] = { "--replace", NULL };
	struct zcp_test_child container, outside;
	struct zcp_node *node;
	char out[256], err[256];

	start_container(&container);
	tell(&container, STEP_START_PATIENT);
	start_helper(&outside);
	tell(&outside, STEP_USE);
	node = zcp_test_node();
	ZCP_CHECK(pid_of_publisher(node) == 0);
	ZCP_CHECK(zcp_test_zcpd(replace, out, err, sizeof(out)) == 0);
	check_is_there(node);
	ZCP_CHECK(pid_of_publisher(node) == (uint32_t)outside.pid);
	tell(&outside, STEP_SEES_PIDS);
	(void)zcp_test_kill_worker(zcp_test_runtime_pid("default"));
	check_is_there(node);
	ZCP_CHECK(pid_of_publisher(node) == (uint32_t)outside.pid);
	zcp_test_kill(&outside);
	check_goes(node);
	zcp_node_close(node);
	zcp_test_started_runtime_stop("default");
	zcp_test_kill(&container);
}

static void process_inside_is_known_to_a_runtime_outside(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_test_child container;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, hurried);
	start_container(&container);
	tell(&container, STEP_USE);
	/* The pids that the runtime tells are not those of the container. */
	tell(&container, STEP_SEES_NO_PIDS);
	node = zcp_test_node();
	check_is_there(node);
	ZCP_CHECK(pid_of_publisher(node) == (uint32_t)container.pid);
	(void)zcp_test_kill_worker(runtime.pid);
	check_is_there(node);
	zcp_test_runtime_kill_all(&runtime);
	zcp_test_runtime_start(&runtime, hurried);
	tell(&container, STEP_COME_BACK);
	zcp_test_wait_for_members(node, TOPIC, 1, 1);
	ZCP_CHECK(pid_of_publisher(node) == (uint32_t)container.pid);
	zcp_test_kill(&container);
	check_goes(node);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static void pid_file_of_a_container_is_no_number_outside(void)
{
	struct zcp_test_child container;
	char line[64], *end;

	start_container(&container);
	tell(&container, STEP_START_PATIENT);
	(void)strtol(pid_file(line, sizeof(line)), &end, 10);
	ZCP_CHECK(end == line && strncmp(line, "pid:[", 5) == 0);
	tell(&container, STEP_READ_PID_FILE);
	tell(&container, STEP_STOP);
	zcp_test_kill(&container);
}

static void process_whose_end_nothing_tells_is_refused(void)
{
	struct zcp_test_child container;
	struct zcp_node *node = NULL;

	start_container(&container);
	tell(&container, STEP_LACK_PEERPIDFD);
	tell(&container, STEP_START_PATIENT);
	ZCP_REFUSED(zcp_node_open(&node, NULL), NULL, -ENOTSUP,
		    "pid namespace|SO_PEERPIDFD|docker run --pid");
	/* By its pid. */
	tell(&container, STEP_USE);
	tell(&container, STEP_STOP);
	zcp_test_kill(&container);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(runtime_inside_knows_of_the_end_of_a_process_outside),
	ZCP_TEST_CASE(process_outside_is_not_cleaned_up_for_having_no_pid),
	ZCP_TEST_CASE(process_outside_comes_back_to_a_runtime_inside),
	ZCP_TEST_CASE(runtime_in_another_namespace_goes_on),
	ZCP_TEST_CASE(runtime_outside_takes_over_from_one_inside),
	ZCP_TEST_CASE(process_inside_is_known_to_a_runtime_outside),
	ZCP_TEST_CASE(pid_file_of_a_container_is_no_number_outside),
	ZCP_TEST_CASE(process_whose_end_nothing_tells_is_refused),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
