/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the runtime does when it is sent a signal.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

static void signals_that_have_no_meaning_are_ignored(void)
{
	static const struct {
		int number;
		const char *line;
	} signals[] = {
		{ SIGHUP, "SIGHUP: the runtime goes on" },
		{ SIGUSR1, "SIGUSR1 means nothing" },
		{ SIGUSR2, "SIGUSR2 means nothing" },
	};
	struct zcp_test_runtime runtime;
	struct zcp_subscriber *subscriber;
	struct zcp_publisher *publisher;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, NULL);
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, "t", 64, 2);
	subscriber = zcp_test_subscriber(node, "t", 4, 2, 0);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		/* pkill finds both of its processes. */
		ZCP_CHECK(kill(runtime.worker, signals[i].number) == 0);
		ZCP_CHECK(kill(runtime.pid, signals[i].number) == 0);
		while (!zcp_test_runtime_said(&runtime, signals[i].line))
			ZCP_CHECK(!zcp_test_ends(runtime.pidfd, 0));
		ZCP_CHECK(zcp_test_ask(node, "t") == 0);
		zcp_test_send(publisher, i);
		zcp_test_expect(subscriber, i);
		ZCP_CHECK(zcp_test_worker(runtime.pid) == runtime.worker);
	}
	ZCP_CHECK(!zcp_test_runtime_said(&runtime, "has died"));
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static void sigquit_ends_it_in_order(void)
{
	struct zcp_test_runtime runtime;

	zcp_test_runtime_start(&runtime, NULL);
	/* As a terminal does. */
	ZCP_CHECK(kill(runtime.worker, SIGQUIT) == 0);
	ZCP_CHECK(kill(runtime.pid, SIGQUIT) == 0);
	zcp_test_runtime_notifies(&runtime, "STOPPING=1");
	ZCP_CHECK(zcp_test_ends(runtime.pidfd, -1));
	ZCP_CHECK(zcp_test_runtime_pid("default") == 0);
	ZCP_CHECK(!zcp_test_runtime_said(&runtime, "has died"));
}

struct terminal {
	/* its other end */
	int fd;
	const char *name;
	bool is_nohup;
};

/* In a session whose terminal is `name`: that goes away once the runtime serves. */
/* A service manager, a terminal and an impatient user may all end it. */
static void one_that_is_ended_again_and_again_ends_in_order(void)
{
	for (int round = 0; round < 20; round++) {
		struct zcp_test_runtime runtime;
		int status;

		zcp_test_runtime_start(&runtime, NULL);
		zcp_node_close(zcp_test_node());
		while (!zcp_test_ends(runtime.pidfd, 0))
			(void)zcp_test_pidfd_kill(runtime.pidfd, SIGTERM);
		ZCP_CHECK(waitpid(runtime.pid, &status, 0) == runtime.pid);
		ZCP_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		ZCP_CHECK(!zcp_test_runtime_said(&runtime, "has died"));
		(void)close(runtime.pidfd);
		(void)close(runtime.notify);
	}
}

static void run_in_terminal(struct zcp_test_child *self, void *arg)
{
	const struct terminal *terminal = arg;
	struct zcp_test_runtime runtime;
	sigset_t hangup;

	/* For us it means nothing; a signal that is blocked is no less one for the runtime. */
	ZCP_CHECK(sigemptyset(&hangup) == 0 && sigaddset(&hangup, SIGHUP) == 0);
	ZCP_CHECK(sigprocmask(SIG_BLOCK, &hangup, NULL) == 0);
	if (terminal->is_nohup)
		ZCP_CHECK(signal(SIGHUP, SIG_IGN) != SIG_ERR);
	ZCP_CHECK(setsid() >= 0);
	/* The first one that a leader of a session opens is its own. */
	ZCP_CHECK(open(terminal->name, O_RDWR | O_CLOEXEC) >= 0);
	ZCP_CHECK(close(terminal->fd) == 0);
	zcp_test_runtime_start(&runtime, NULL);
	zcp_test_say_step(self, 1);
	zcp_test_hear_step(self, 2);
	/* As shells do. */
	ZCP_CHECK(kill(runtime.pid, SIGHUP) == 0);
	if (!terminal->is_nohup) {
		ZCP_CHECK(zcp_test_ends(runtime.pidfd, -1));
		ZCP_CHECK(zcp_test_runtime_said(&runtime, "SIGHUP: the terminal is gone"));
		ZCP_CHECK(zcp_test_runtime_said(&runtime, "ends: SIGTERM"));
		return;
	}
	while (!zcp_test_runtime_said(&runtime, "SIGHUP: the runtime goes on"))
		ZCP_CHECK(!zcp_test_ends(runtime.pidfd, 0));
	zcp_test_runtime_stop(&runtime);
}

static void run_until_hangup(bool is_nohup)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct terminal terminal = { .fd = fd, .is_nohup = is_nohup };
	struct zcp_test_child child;

	if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0)
		zcp_test_skip("no pseudo-terminal");
	terminal.name = ptsname(fd);
	ZCP_CHECK(terminal.name != NULL);
	zcp_test_fork(&child, run_in_terminal, &terminal);
	zcp_test_hear_step(&child, 1);
	ZCP_CHECK(close(fd) == 0);
	zcp_test_say_step(&child, 2);
	zcp_test_join(&child);
}

static void it_ends_in_order_with_its_terminal(void)
{
	run_until_hangup(false);
}

static void under_nohup_it_goes_on(void)
{
	run_until_hangup(true);
}

/* A service manager whose socket is full. */
static void manager_that_does_not_listen_holds_nothing_up(void)
{
	struct zcp_test_runtime runtime;
	struct sockaddr_un address;
	socklen_t size = sizeof(address);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	zcp_test_runtime_start(&runtime, NULL);
	ZCP_CHECK(fd >= 0 && getsockname(runtime.notify, (struct sockaddr *)&address, &size) == 0 &&
		  connect(fd, (struct sockaddr *)&address, size) == 0);
	while (send(fd, "X=1", 3, MSG_DONTWAIT) == 3)
		;
	ZCP_CHECK(errno == EAGAIN);
	ZCP_CHECK(kill(runtime.pid, SIGTERM) == 0);
	ZCP_CHECK(zcp_test_ends(runtime.pidfd, -1));
	ZCP_CHECK(zcp_test_runtime_said(&runtime, "cannot notify"));
	(void)close(fd);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(signals_that_have_no_meaning_are_ignored),
	ZCP_TEST_CASE(sigquit_ends_it_in_order),
	ZCP_TEST_CASE(one_that_is_ended_again_and_again_ends_in_order),
	ZCP_TEST_CASE(it_ends_in_order_with_its_terminal),
	ZCP_TEST_CASE(under_nohup_it_goes_on),
	ZCP_TEST_CASE(manager_that_does_not_listen_holds_nothing_up),
};

ZCP_TEST_MAIN(cases)
