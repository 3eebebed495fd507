/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data path makes no system call and allocates nothing: loan, write, publish, take, ask
 * whose it is, read, release, in a child that a seccomp filter kills at its first system call, and that
 * aborts at its first use of the allocator. Each of the two guards is first shown to work.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pubsub/shm/members.h"
#include "tests/support/check.h"
#include "tests/support/testbed.h"

#define PAYLOAD 256
#define DEPTH_LOG2 2

/* A sanitizer has an allocator of its own. */
#if defined(__GLIBC__) && !defined(ZCP_TEST_ASAN) && !defined(ZCP_TEST_TSAN)
#define GUARD_ALLOCATOR 1
#endif

static bool allocator_is_forbidden;

#ifdef GUARD_ALLOCATOR
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *old);

/* abort() would try a signal first, and the filter would kill for that. */
static void guard(void)
{
	if (allocator_is_forbidden)
		__builtin_trap();
}

void *malloc(size_t size)
{
	guard();
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	guard();
	return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	guard();
	return __libc_realloc(old, size);
}

void free(void *old)
{
	guard();
	__libc_free(old);
}
#endif

/* From here on every system call but the last kills the process. */
static void forbid_system_calls(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog program = {
		.len = sizeof(filter) / sizeof(filter[0]),
		.filter = filter,
	};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(ZCP_TEST_SKIPPED);
}

/* Not _exit(), before which a sanitizer makes system calls of its own. */
static void leave(int status)
{
	(void)syscall(SYS_exit_group, status);
}

/* Runs `body` in a child without system calls; its wait status. */
static int run_confined(void (*body)(void *), void *arg)
{
	int status;
	pid_t pid = fork();

	ZCP_CHECK(pid >= 0);
	if (pid == 0) {
		forbid_system_calls();
		body(arg);
		leave(0);
	}
	ZCP_CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static bool is_killed_by(int status, int number)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == number;
}

static void call_the_system(void *arg)
{
	(void)arg;
	(void)syscall(SYS_getppid);
}

static void read_the_clock(void *arg)
{
	struct timespec ts;

	(void)arg;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
}

#ifdef GUARD_ALLOCATOR
static void allocate(void *arg)
{
	allocator_is_forbidden = true;
	*(void *_Atomic *)arg = malloc(16);
}
#endif

struct path {
	struct zcp_writer writer;
	struct zcp_reader readers[2];
	/* more messages than the lanes hold before they are taken */
	uint32_t burst;
};

static void publish_one(struct path *path)
{
	struct zcp_writer *w = &path->writer;
	struct zcp_writer_loan loan = { .payload = NULL };

	if (zcp_writer_loan(w, PAYLOAD, &loan) != 0)
		leave(2);
	zcp_test_fill(loan.payload, PAYLOAD, 1, w->next_seq);
	if (zcp_writer_publish(w, &loan, PAYLOAD, 0) != 0)
		leave(3);
}

static void take_all(struct zcp_reader *reader)
{
	struct zcp_reader_message m;
	struct zcp_member member;

	while (zcp_reader_take(reader, &m) == 0) {
		if (!zcp_member_find(reader->topic, ZCP_MEMBER_PUBLISHER, m.publisher_id, &member))
			leave(6);
		if (!zcp_test_is_filled(m.payload, m.size, 1, m.seq))
			leave(4);
		if (m.publish_time_ns == 0)
			leave(5);
		(void)zcp_reader_release(reader, m.place, m.held);
	}
}

/* 100,000 messages: taken one by one, then with bursts that push some out. */
static void walk_the_path(void *arg)
{
	struct path *path = arg;

	allocator_is_forbidden = true;
	for (uint32_t i = 0; i < 100000 / path->burst; i++) {
		for (uint32_t j = 0; j < path->burst; j++)
			publish_one(path);
		for (int r = 0; r < 2; r++)
			take_all(&path->readers[r]);
	}
	allocator_is_forbidden = false;
}

static void check_path(uint32_t burst, bool blocks, bool has_slept)
{
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(
		1, 2, DEPTH_LOG2, PAYLOAD, 1 + 2 * ((1 << DEPTH_LOG2) + 1));
	struct path path = { .burst = burst };
	struct zcp_testbed bed;
	int status;

	zcp_testbed_init(&bed, &options);
	for (uint32_t i = 0; i < 2; i++) {
		const struct zcp_reader_options subscriber = {
			.slot = i,
			.depth_log2 = DEPTH_LOG2,
			.max_held = 1,
			.blocks = blocks,
			.symmetric = bed.symmetric,
		};

		zcp_testbed_join(&bed, &subscriber, 0);
		zcp_testbed_reader(&bed.view, &subscriber, &path.readers[i]);
	}
	if (has_slept) {
		/* And is awake now: publishers look, and wake nobody. */
		ZCP_CHECK(zcp_reader_arm(&path.readers[1]) == 0);
		(void)zcp_signal_announce(&bed.view.signals.signals[1]);
		zcp_signal_awake(&bed.view.signals.signals[1]);
	}
	zcp_testbed_writer(&bed, &bed.view, 0, 1, &path.writer);
	zcp_member_write(&bed.view.topic, ZCP_MEMBER_PUBLISHER, 0,
			 &(struct zcp_member){ .id = path.writer.options.publisher_id });

	status = run_confined(walk_the_path, &path);
	if (!(WIFEXITED(status) && WEXITSTATUS(status) == 0))
		(void)fprintf(stderr, "burst %u, %s: status %#x\n", burst,
			      blocks ? "blocking" : "dropping", (unsigned int)status);
	ZCP_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ZCP_CHECK(zcp_testbed_n_busy(&bed) == 0);
	ZCP_CHECK(zcp_test_load(&bed.view.topic.publishers[0].next_seq) ==
		  100000 / burst * burst + 1);

	zcp_writer_deinit(&path.writer);
	for (int i = 0; i < 2; i++)
		zcp_reader_deinit(&path.readers[i]);
	zcp_testbed_deinit(&bed);
}

int main(void)
{
	int status;

	zcp_test_watchdog(60);
#ifdef ZCP_TEST_TSAN
	(void)fprintf(stderr, "skipped: ThreadSanitizer makes system calls of its own\n");
	return ZCP_TEST_SKIPPED;
#endif
	status = run_confined(call_the_system, NULL);
	if (WIFEXITED(status) && WEXITSTATUS(status) == ZCP_TEST_SKIPPED) {
		(void)fprintf(stderr, "skipped: no seccomp filter can be set here\n");
		return ZCP_TEST_SKIPPED;
	}
	ZCP_CHECK(is_killed_by(status, SIGSYS));
	status = run_confined(read_the_clock, NULL);
	if (is_killed_by(status, SIGSYS)) {
		(void)fprintf(stderr, "skipped: reading the clock is a system call here\n");
		return ZCP_TEST_SKIPPED;
	}
	ZCP_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
#ifdef GUARD_ALLOCATOR
	{
		void *_Atomic result = NULL;

		status = run_confined(allocate, &result);
		ZCP_CHECK(is_killed_by(status, SIGILL) || is_killed_by(status, SIGTRAP));
	}
#endif
	for (int has_slept = 0; has_slept < 2; has_slept++) {
		check_path(1, false, has_slept);
		check_path(1, true, has_slept);
		check_path(1 << DEPTH_LOG2, true, has_slept);
		check_path(3 << DEPTH_LOG2, false, has_slept);
	}
	return 0;
}
