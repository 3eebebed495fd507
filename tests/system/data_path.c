/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data path makes no system call, allocates nothing, and needs no runtime: 100,000
 * messages with zcpd killed, under a filter that kills on any system call but exit_group,
 * and with an allocator that aborts on use.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zcp/zcp.h>

#include "tests/support/cases.h"
#include "tests/support/runtime.h"

#define N_MESSAGES 100000
#define SIZE 256
#define DEPTH 8

/* --- an allocator that can be switched off; not under a sanitizer, which has its own --- */

static bool armed;

#ifndef ZCP_TEST_ASAN
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void __libc_free(void *memory);

static void check_allowed(void)
{
	if (armed)
		abort();
}

void *malloc(size_t size)
{
	check_allowed();
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	check_allowed();
	return __libc_calloc(n, size);
}

void *realloc(void *memory, size_t size)
{
	check_allowed();
	return __libc_realloc(memory, size);
}

void free(void *memory)
{
	check_allowed();
	__libc_free(memory);
}
#endif

/* --- the data path --- */

struct ends {
	struct zcp_node *node;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
};

static void open_ends(struct ends *ends)
{
	struct zcp_test_runtime runtime;

	zcp_test_runtime_start(&runtime, NULL);
	ends->node = zcp_test_node();
	ends->publisher = zcp_test_publisher(ends->node, "path", SIZE, 1);
	ends->subscriber = zcp_test_subscriber(ends->node, "path", DEPTH, 2, 0);
	zcp_test_runtime_kill_all(&runtime);
}

static int publish_one(const struct ends *ends, uint64_t i)
{
	struct zcp_loan loan;

	if (zcp_publisher_loan(ends->publisher, SIZE, &loan) < 0)
		return 10;
	memset(loan.data, (int)(i & 0xff), SIZE);
	if (i % 7 == 0) {
		if (zcp_publisher_discard(ends->publisher, &loan) < 0 ||
		    zcp_publisher_loan(ends->publisher, SIZE, &loan) < 0)
			return 11;
		memset(loan.data, (int)(i & 0xff), SIZE);
	}
	return zcp_publisher_publish(ends->publisher, &loan) < 0 ? 12 : 0;
}

static int take_one(const struct ends *ends, uint64_t i)
{
	struct zcp_sample sample;

	if (zcp_subscriber_take(ends->subscriber, &sample) < 0)
		return 20;
	if (sample.sequence != i || sample.size != SIZE || sample.lost != 0)
		return 21;
	for (size_t byte = 0; byte < SIZE; byte++)
		if (((const unsigned char *)sample.data)[byte] != (i & 0xff))
			return 22;
	return zcp_sample_release(&sample) < 0 ? 23 : 0;
}

/* What is refused is part of the data path as well. */
static int be_refused(const struct ends *ends)
{
	struct zcp_sample samples[3];
	struct zcp_loan loan, second;

	if (zcp_subscriber_take(ends->subscriber, &samples[0]) != -EAGAIN)
		return 30;
	if (zcp_publisher_loan(ends->publisher, SIZE + 1, &loan) != -EMSGSIZE)
		return 32;
	if (zcp_publisher_loan(ends->publisher, SIZE, &loan) != 0 ||
	    zcp_publisher_loan(ends->publisher, SIZE, &second) != -EMLINK ||
	    zcp_publisher_discard(ends->publisher, &loan) != 0 ||
	    zcp_publisher_discard(ends->publisher, &loan) != -EINVAL)
		return 33;
	for (int i = 0; i < 3; i++)
		if (zcp_publisher_send(ends->publisher, "x", 1) != 0)
			return 34;
	if (zcp_subscriber_take(ends->subscriber, &samples[0]) != 0 ||
	    zcp_subscriber_take(ends->subscriber, &samples[1]) != 0 ||
	    zcp_subscriber_take(ends->subscriber, &samples[2]) != -EMLINK)
		return 35;
	for (int i = 0; i < 2; i++)
		if (zcp_sample_release(&samples[i]) != 0)
			return 36;
	/* More than the queue holds: messages are dropped. */
	for (int i = 0; i < 3 * DEPTH; i++)
		if (zcp_publisher_send(ends->publisher, "x", 1) != 0)
			return 37;
	for (int i = 0; i < DEPTH; i++)
		if (zcp_subscriber_take(ends->subscriber, &samples[0]) != 0 ||
		    zcp_sample_release(&samples[0]) != 0)
			return 38;
	/* Many empty looks: a lane is compared with its publisher now and then. */
	for (int i = 0; i < 5000; i++)
		if (zcp_subscriber_take(ends->subscriber, &samples[0]) != -EAGAIN)
			return 39;
	return 0;
}

/* No check of ours in here: it would print, and that is a system call. */
static int exchange(const struct ends *ends)
{
	int r = 0;

	for (uint64_t i = 1; i <= N_MESSAGES && r == 0; i++) {
		r = publish_one(ends, i);
		if (r == 0)
			r = take_one(ends, i);
	}
	return r == 0 ? be_refused(ends) : r;
}

/* --- the filter --- */

static void allow_only_the_end(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(ZCP_TEST_SKIPPED);
}

static void under_the_filter(int (*run)(const struct ends *ends))
{
	struct ends ends;

	open_ends(&ends);
	allow_only_the_end();
	_exit(run(&ends));
}

static void with_the_allocator_off(int (*run)(const struct ends *ends))
{
	struct ends ends;
	int r;

	open_ends(&ends);
	armed = true;
	r = run(&ends);
	armed = false;
	_exit(r);
}

static int wait_status(void (*with)(int (*run)(const struct ends *)),
		       int (*run)(const struct ends *ends))
{
	pid_t pid;
	int status;

	(void)fflush(NULL);
	pid = fork();
	ZCP_CHECK(pid >= 0);
	if (pid == 0)
		with(run);
	ZCP_CHECK(waitpid(pid, &status, 0) == pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == ZCP_TEST_SKIPPED)
		zcp_test_skip("seccomp is not to be had");
	return status;
}

static void check_passed(int status)
{
	if (WIFSIGNALED(status))
		(void)fprintf(stderr, "ended by signal %d\n", WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		(void)fprintf(stderr, "failed at %d\n", WEXITSTATUS(status));
	ZCP_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void makes_no_system_call(void)
{
#ifdef ZCP_TEST_ASAN
	zcp_test_skip("a sanitizer makes system calls of its own");
#endif
	check_passed(wait_status(under_the_filter, exchange));
}

static int make_a_system_call(const struct ends *ends)
{
	(void)ends;
	(void)syscall(SYS_getppid);
	return 0;
}

/* What the check above is worth. */
static void filter_kills_on_a_system_call(void)
{
	int status = wait_status(under_the_filter, make_a_system_call);

	ZCP_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static void allocates_nothing(void)
{
#ifdef ZCP_TEST_ASAN
	zcp_test_skip("a sanitizer has an allocator of its own");
#endif
	check_passed(wait_status(with_the_allocator_off, exchange));
}

static int allocate(const struct ends *ends)
{
	void *volatile memory = malloc(sizeof(*ends));

	free(memory);
	return 0;
}

static void allocator_aborts_when_it_is_off(void)
{
	int status;

#ifdef ZCP_TEST_ASAN
	zcp_test_skip("a sanitizer has an allocator of its own");
#endif
	status = wait_status(with_the_allocator_off, allocate);
	ZCP_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(makes_no_system_call),
	ZCP_TEST_CASE(filter_kills_on_a_system_call),
	ZCP_TEST_CASE(allocates_nothing),
	ZCP_TEST_CASE(allocator_aborts_when_it_is_off),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
