/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three descriptors and a list: signals, the worker's socket, the worker's end.
 */
#include "runtime/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "pubsub/util.h"
#include "pubsub/wire/socket.h"
#include "runtime/keep.h"
#include "runtime/log.h"
#include "runtime/notify.h"
#include "runtime/shelf.h"

#define EXIT_FAILED 1
#define ARGUMENTS_MAX 20
/* Workers that may die one after another before they serve, and between two of these. */
#define DEATHS_MAX 10
#define PAUSE_NS UINT64_C(50000000)
/* Packets that are read before the other descriptors have their turn. */
#define PACKETS_PER_TURN 64

struct keeper {
	const char *const *arguments;
	struct zcpd_shelf shelf;
	int signals;
	/* the worker; its socket is ours to it */
	pid_t pid;
	int pidfd;
	int socket;
	/* what the worker has not got yet: a record and all behind it, then the end */
	struct zcpd_shelf_record *next;
	bool handing_out;
	/* where the first worker's readiness is waited for; -1: it was told */
	int ready;
	bool was_ready;
	bool worker_is_ready;
	/* the signal that has come to end us, or 0 */
	int ending;
	uint32_t n_deaths;
	uint64_t start_ns;
	char buffer[ZCPD_KEEP_SIZE_MAX];
};

/* In the child: between fork and exec. */
static __attribute__((noreturn)) void be_the_worker(struct keeper *keeper, int socket, pid_t parent)
{
	const char *arguments[ARGUMENTS_MAX] = { "zcpd" };
	char option[32];

	(void)snprintf(option, sizeof(option), "--" ZCPD_KEEPER_OPTION "=%d", socket);
	arguments[1] = option;
	for (int i = 0; i + 3 < ARGUMENTS_MAX && keeper->arguments[i]; i++)
		arguments[i + 2] = keeper->arguments[i];
	/* Without its keeper it could not be what the next one goes on from. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent ||
	    fcntl(socket, F_SETFD, 0) < 0)
		_exit(EXIT_FAILED);
	(void)execv("/proc/self/exe", (char *const *)arguments);
	(void)fprintf(stderr, "zcpd: cannot start the worker (/proc/self/exe): %s\n",
		      strerror(errno));
	_exit(EXIT_FAILED);
}

static int start_worker(struct keeper *keeper)
{
	pid_t parent = getpid();
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return zcp_errno();
	keeper->pid = fork();
	if (keeper->pid == 0)
		be_the_worker(keeper, sockets[1], parent);
	(void)close(sockets[1]);
	keeper->socket = sockets[0];
	if (keeper->pid < 0)
		return zcp_errno();
#ifdef ZCP_CRASHPOINTS
	/* Meant for the first one. */
	(void)unsetenv("ZCP_CRASHPOINT");
#endif
	keeper->pidfd = (int)syscall(SYS_pidfd_open, keeper->pid, 0);
	if (keeper->pidfd < 0)
		return zcp_errno();
	(void)fcntl(keeper->socket, F_SETFL, O_NONBLOCK);
	keeper->next = TAILQ_FIRST(&keeper->shelf.records);
	keeper->handing_out = true;
	keeper->worker_is_ready = false;
	keeper->start_ns = 0;
	/* It has it blocked until it can end in order, as the one before could not. */
	if (keeper->ending)
		(void)kill(keeper->pid, keeper->ending);
	return 0;
}

/* Nobody reads our terminal from here on. */
static void detach(int log)
{
	ZCP_CLEANUP(zcp_close_fd) int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0) {
		(void)dup2(null, STDIN_FILENO);
		(void)dup2(null, STDOUT_FILENO);
	}
	(void)dup2(log, STDERR_FILENO);
}

static void tell_readiness(struct keeper *keeper)
{
	if (keeper->ready < 0)
		return;
	ZCP_IGNORE(write(keeper->ready, "r", 1) < 0);
	zcp_close_fd(&keeper->ready);
}

static void on_ready(struct keeper *keeper, const struct zcp_fds *fds)
{
	keeper->worker_is_ready = true;
	keeper->n_deaths = 0;
	if (keeper->was_ready)
		return;
	keeper->was_ready = true;
	if (fds->n_fds > 0)
		detach(fds->fds[0]);
	tell_readiness(keeper);
	zcpd_notify("READY=1");
}

static void keep(struct keeper *keeper, const struct zcpd_keep_header *header, size_t size,
		 struct zcp_fds *fds)
{
	uint32_t n_fds = fds->n_fds;
	int r;

	fds->n_fds = 0;
	r = zcpd_shelf_keep(&keeper->shelf, header->kind, header->id,
			    keeper->buffer + sizeof(*header), size - sizeof(*header), fds->fds,
			    n_fds);
	if (r < 0)
		zcpd_error("a record cannot be kept: %s: should the worker be killed now, nodes "
			   "lose their connection",
			   strerror(-r));
}

static int receive_one(struct keeper *keeper)
{
	ZCP_CLEANUP(zcp_fds_deinit) struct zcp_fds fds = { .n_fds = 0 };
	struct zcpd_keep_header header;
	size_t size;
	int r = zcp_socket_receive_packet(keeper->socket, 0, keeper->buffer, sizeof(keeper->buffer),
					  &size, &fds);

	if (r == -EMFILE) {
		zcpd_error("the keeper is out of descriptors: raise RLIMIT_NOFILE (ulimit -n)");
		return 0;
	}
	if (r < 0 || size < sizeof(header))
		return r < 0 ? r : -EPROTO;
	memcpy(&header, keeper->buffer, sizeof(header));
	switch (header.operation) {
	case ZCPD_KEEP_RECORD:
		keep(keeper, &header, size, &fds);
		break;
	case ZCPD_KEEP_DROP:
		zcpd_shelf_drop(&keeper->shelf, header.kind, header.id);
		break;
	case ZCPD_KEEP_READY:
		on_ready(keeper, &fds);
		break;
	case ZCPD_KEEP_STOPPING:
		zcpd_notify("STOPPING=1");
		break;
	default:
		break;
	}
	return 0;
}

/* Whether there may be more. */
static bool receive_some(struct keeper *keeper)
{
	for (int i = 0; i < PACKETS_PER_TURN; i++)
		if (receive_one(keeper) < 0)
			return false;
	return true;
}

/* Nothing is written to us before the worker has all. */
static void hand_out(struct keeper *keeper)
{
	while (keeper->handing_out) {
		struct zcpd_shelf_record *record = keeper->next;
		struct zcpd_keep_header header = { .operation = ZCPD_KEEP_END };
		size_t size = sizeof(header);
		int r;

		if (record) {
			header = (struct zcpd_keep_header){
				.operation = ZCPD_KEEP_RECORD,
				.kind = record->kind,
				.id = record->id,
			};
			memcpy(keeper->buffer + size, record->bytes, record->size);
			size += record->size;
		}
		memcpy(keeper->buffer, &header, sizeof(header));
		r = zcp_socket_send_packet(keeper->socket, keeper->buffer, size,
					   record ? record->fds : NULL, record ? record->n_fds : 0);
		/* Where the worker is gone its pidfd tells. */
		if (r < 0)
			return;
		keeper->handing_out = record != NULL;
		if (record)
			keeper->next = TAILQ_NEXT(record, link);
	}
}

static void pass_signal_on(struct keeper *keeper)
{
	struct signalfd_siginfo info;

	if (read(keeper->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	keeper->ending = (int)info.ssi_signo;
	if (keeper->pid > 0)
		(void)kill(keeper->pid, keeper->ending);
}

/* Returns the exit code that the worker's end is for us too, or -1 to start another one. */
static int on_worker_end(struct keeper *keeper)
{
	int status = 0;

	/* What it has written is there; its records are as good as those of the living. */
	while (receive_some(keeper))
		;
	while (waitpid(keeper->pid, &status, 0) < 0 && errno == EINTR)
		;
	zcp_close_fd(&keeper->pidfd);
	zcp_close_fd(&keeper->socket);
	keeper->pid = 0;
	keeper->handing_out = false;
	if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || !keeper->was_ready))
		return WEXITSTATUS(status);
	keeper->n_deaths = keeper->worker_is_ready ? 0 : keeper->n_deaths + 1;
	if (keeper->n_deaths >= DEATHS_MAX) {
		zcpd_error("%d workers have died one after another before they served: the runtime "
			   "ends; what nodes have open goes on without it",
			   DEATHS_MAX);
		return EXIT_FAILED;
	}
	zcpd_warning("the worker has died (%s %d): another one goes on",
		     WIFSIGNALED(status) ? "signal" : "exit code",
		     WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	/* One that died at its work has the next one at once. */
	keeper->start_ns = zcp_now_ns() + (keeper->n_deaths > 1 ? PAUSE_NS : 0);
	return -1;
}

/* Waits for something and does it. Returns the exit code, or -1 to go on. */
static int turn(struct keeper *keeper)
{
	struct pollfd pollfds[3] = {
		{ .fd = keeper->signals, .events = POLLIN },
		{ .fd = keeper->pidfd, .events = POLLIN },
		{ .fd = keeper->socket,
		  .events = (short)(POLLIN | (keeper->handing_out ? POLLOUT : 0)) },
	};
	uint64_t now = zcp_now_ns();
	int timeout = -1;

	if (keeper->pid == 0)
		timeout = keeper->start_ns > now ? (int)((keeper->start_ns - now) / 1000000) : 0;
	if (poll(pollfds, 3, timeout) < 0)
		return errno == EINTR ? -1 : EXIT_FAILED;
	if (pollfds[0].revents)
		pass_signal_on(keeper);
	if (pollfds[2].revents & POLLOUT)
		hand_out(keeper);
	if (pollfds[2].revents & POLLIN)
		(void)receive_some(keeper);
	if (pollfds[1].revents)
		return on_worker_end(keeper);
	if (keeper->pid == 0 && zcp_now_ns() >= keeper->start_ns) {
		int r = start_worker(keeper);

		if (r < 0) {
			zcpd_error("the worker cannot be started: %s", strerror(-r));
			return EXIT_FAILED;
		}
	}
	return -1;
}

int zcpd_keeper_run(const char *const *arguments, int ready)
{
	static struct keeper keeper;
	sigset_t signals;
	int code = -1;

	keeper = (struct keeper){
		.arguments = arguments,
		.signals = -1,
		.pidfd = -1,
		.socket = -1,
		.ready = ready,
	};
	zcpd_shelf_init(&keeper.shelf);
	(void)signal(SIGCHLD, SIG_DFL);
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	/* The worker has them blocked as well, until it can act on them. */
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	keeper.signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (keeper.signals < 0) {
		(void)fprintf(stderr, "zcpd: signalfd: %s\n", strerror(errno));
		code = EXIT_FAILED;
	}
	while (code < 0)
		code = turn(&keeper);
	if (code == 0)
		/* Two nodes may start a runtime at the same time: then the other serves both. */
		tell_readiness(&keeper);
	zcp_close_fd(&keeper.ready);
	zcpd_shelf_deinit(&keeper.shelf);
	zcp_close_fd(&keeper.signals);
	zcp_close_fd(&keeper.pidfd);
	zcp_close_fd(&keeper.socket);
	return code;
}
