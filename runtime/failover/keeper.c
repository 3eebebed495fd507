/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Five descriptors and a list: signals, the worker's socket, the worker's end, and the keepers
 * that had the list before this one and will have it next.
 */
#include "runtime/failover/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/util.h"
#include "pubsub/wire/socket.h"
#include "runtime/failover/hold.h"
#include "runtime/failover/keep.h"
#include "runtime/failover/shelf.h"
#include "runtime/failover/store.h"
#include "runtime/system/log.h"
#include "runtime/system/notify.h"

#define EXIT_FAILED 1
#define ARGUMENTS_MAX 20
/* Workers that may die one after another before they serve, and between two of these. */
#define DEATHS_MAX 10
#define PAUSE_NS UINT64_C(50000000)
/* Packets that are read before the other descriptors have their turn. */
#define PACKETS_PER_TURN 64
/* Until a successor and its worker must have everything; a node that asks waits longer. */
#define SUCCESSION_NS UINT64_C(3000000000)

struct keeper {
	const char *const *arguments;
	struct zcpd_shelf *shelf;
	/* the words that nodes sleep on */
	struct zcpd_hold hold;
	const char *log;
	int signals;
	/* when it goes, SIGHUP is for us */
	bool has_terminal;
	/* the worker; its socket is ours to it */
	pid_t pid;
	int pidfd;
	int socket;
	/* what the worker has not got yet: a record and all behind it, then the end */
	struct zcpd_shelf_record *next;
	bool handing_out;
	/* the keeper before us, until a worker has its records; whether more come from it */
	int predecessor;
	bool inherits;
	/* the next keeper, once there is no worker; whether it has been told all records */
	int successor;
	bool told_all;
	bool has_handed_on;
	uint64_t deadline_ns;
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
static __attribute__((noreturn)) void be_the_worker(struct keeper *keeper, int socket)
{
	const char *arguments[ARGUMENTS_MAX] = { "zcpd" };
	char option[32];

	(void)snprintf(option, sizeof(option), "--" ZCPD_KEEPER_OPTION "=%d", socket);
	arguments[1] = option;
	for (int i = 0; i + 3 < ARGUMENTS_MAX && keeper->arguments[i]; i++)
		arguments[i + 2] = keeper->arguments[i];
	if (fcntl(socket, F_SETFD, 0) < 0)
		_exit(EXIT_FAILED);
	(void)execv("/proc/self/exe", (char *const *)arguments);
	(void)fprintf(stderr, "zcpd: cannot start the worker (/proc/self/exe): %s\n",
		      strerror(errno));
	_exit(EXIT_FAILED);
}

static int start_worker(struct keeper *keeper)
{
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return zcp_errno();
	keeper->pid = fork();
	if (keeper->pid == 0)
		be_the_worker(keeper, sockets[1]);
	(void)close(sockets[1]);
	keeper->socket = sockets[0];
	if (keeper->pid < 0)
		return zcp_errno();
#ifdef ZCP_CRASHPOINTS
	/* Meant for the first one. */
	(void)unsetenv("ZCP_CRASHPOINT");
#endif
	ZCP_CRASHPOINT("keeper.after_fork");
	if (keeper->predecessor >= 0)
		ZCP_CRASHPOINT("heir.after_fork");
	keeper->pidfd = (int)syscall(SYS_pidfd_open, keeper->pid, 0);
	if (keeper->pidfd < 0)
		return zcp_errno();
	(void)fcntl(keeper->socket, F_SETFL, O_NONBLOCK);
	keeper->next = TAILQ_FIRST(&keeper->shelf->records);
	keeper->handing_out = true;
	keeper->worker_is_ready = false;
	keeper->start_ns = 0;
	/* It has it blocked until it can end in order, as the one before could not. */
	if (keeper->ending)
		(void)kill(keeper->pid, keeper->ending);
	return 0;
}

/* From here on the keeper does not write to the terminal. */
static void detach(const struct keeper *keeper, int log)
{
	ZCP_CLEANUP(zcp_close_fd) int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0) {
		(void)dup2(null, STDIN_FILENO);
		(void)dup2(null, STDOUT_FILENO);
	}
	(void)dup2(log, STDERR_FILENO);
	if (keeper->log)
		zcpd_log_to_file(keeper->log);
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
	bool inherited = keeper->predecessor >= 0;
	char text[64];

	keeper->worker_is_ready = true;
	keeper->n_deaths = 0;
	if (inherited) {
		zcp_close_fd(&keeper->predecessor);
		/* The one before may not have come to say that it is ready. */
		(void)snprintf(text, sizeof(text), "MAINPID=%d\nREADY=1", (int)getpid());
		zcpd_notify(text);
	}
	if (keeper->was_ready)
		return;
	keeper->was_ready = true;
	if (fds->n_fds > 0)
		detach(keeper, fds->fds[0]);
	tell_readiness(keeper);
	if (!inherited)
		zcpd_notify("READY=1");
}

/* No successor has all the records while the worker lives, so the keeper kills it. */
static void begin_succession(struct keeper *keeper, struct zcp_fds *fds)
{
	if (keeper->successor >= 0 || fds->n_fds != 1)
		return;
	keeper->successor = zcp_steal_fd(&fds->fds[0]);
	(void)fcntl(keeper->successor, F_SETFL, O_NONBLOCK);
	keeper->told_all = false;
	keeper->deadline_ns = zcp_now_ns() + SUCCESSION_NS;
	(void)kill(keeper->pid, SIGKILL);
}

/* The next worker is ours again. */
static void end_succession(struct keeper *keeper, const char *why)
{
	const struct zcpd_keep_header header = { .operation = ZCPD_KEEP_ABORT };
	int size = 0;
	socklen_t n = sizeof(size);

	zcpd_warning("the runtime is not replaced: %s: it goes on", why);
	/* Twice as much room: what it has not read is in the way of nothing. */
	if (keeper->told_all &&
	    getsockopt(keeper->successor, SOL_SOCKET, SO_SNDBUF, &size, &n) == 0) {
		(void)setsockopt(keeper->successor, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		ZCP_IGNORE(zcp_socket_send_packet(keeper->successor, (const char *)&header,
						  sizeof(header), NULL, 0) < 0);
	}
	zcp_close_fd(&keeper->successor);
	keeper->handing_out = false;
	keeper->start_ns = 0;
	/* It may have them, and its end then was not ours. */
	zcpd_hold_again(&keeper->hold);
}

/* A packet with its header; what is behind that is in the buffer. */
static int receive_packet(struct keeper *keeper, int socket, struct zcpd_keep_header *header,
			  size_t *size, struct zcp_fds *fds)
{
	int r = zcp_socket_receive_packet(socket, MSG_DONTWAIT, keeper->buffer,
					  sizeof(keeper->buffer), size, fds);

	if (r == -EMFILE)
		zcpd_error("the keeper is out of descriptors: raise RLIMIT_NOFILE (ulimit -n)");
	if (r == 0 && *size < sizeof(*header))
		r = -EPROTO;
	if (r < 0)
		return r;
	memcpy(header, keeper->buffer, sizeof(*header));
	return 0;
}

/* Nodes notice our end from here on, those too that the keeper before us has had. */
static void hold_signals(struct keeper *keeper)
{
	const struct zcpd_shelf_record *record = zcpd_shelf_find(keeper->shelf, ZCP_ENTRY_DOMAIN,
								 ZCPD_KEEP_SINGLE);
	int r = record && record->n_fds == 1 ? zcpd_hold_signals(&keeper->hold, record->fds[0]) : 0;

	if (r < 0)
		zcpd_warning(
			"the words that nodes sleep on cannot be held: %s: they look after the "
			"runtime every 50 ms by themselves",
			strerror(-r));
}

static int keep(struct keeper *keeper, const struct zcpd_keep_header *header, struct zcp_fds *fds)
{
	uint32_t n_fds = fds->n_fds;
	int r;

	fds->n_fds = 0;
	r = zcpd_shelf_keep(keeper->shelf, header->kind, header->id, "", 0, fds->fds, n_fds);
	if (r == 0 && header->kind == ZCP_ENTRY_DOMAIN)
		hold_signals(keeper);
	return r;
}

static int receive_one(struct keeper *keeper)
{
	ZCP_CLEANUP(zcp_fds_deinit) struct zcp_fds fds = { .n_fds = 0 };
	struct zcpd_keep_header header;
	size_t size;
	int r = receive_packet(keeper, keeper->socket, &header, &size, &fds);

	if (r < 0)
		return r == -EMFILE ? 0 : r;
	switch (header.operation) {
	case ZCPD_KEEP_RECORD:
		ZCP_CRASHPOINT("keeper.before_keep");
		r = keep(keeper, &header, &fds);
		if (r < 0)
			zcpd_error("a record cannot be kept: %s: should the worker be killed now, "
				   "nodes lose their connection",
				   strerror(-r));
		ZCP_CRASHPOINT("keeper.after_keep");
		break;
	case ZCPD_KEEP_DROP:
		zcpd_shelf_drop(keeper->shelf, header.kind, header.id);
		ZCP_CRASHPOINT("keeper.after_drop");
		break;
	case ZCPD_KEEP_READY:
		on_ready(keeper, &fds);
		break;
	case ZCPD_KEEP_STOPPING:
		zcpd_notify("STOPPING=1");
		break;
	case ZCPD_KEEP_REPLACE:
		begin_succession(keeper, &fds);
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

/*
 * Takes the records of the keeper before us. Returns the exit code where that one fails to give all
 * of them: then it goes on itself, or no keeper does.
 */
static int inherit(struct keeper *keeper)
{
	for (int i = 0; i < PACKETS_PER_TURN && keeper->inherits; i++) {
		ZCP_CLEANUP(zcp_fds_deinit) struct zcp_fds fds = { .n_fds = 0 };
		struct zcpd_keep_header header;
		size_t size;
		int r = receive_packet(keeper, keeper->predecessor, &header, &size, &fds);

		if (r == -EAGAIN)
			return -1;
		if (r == 0 && header.operation == ZCPD_KEEP_RECORD)
			r = keep(keeper, &header, &fds);
		if (r < 0) {
			zcpd_warning("the keeper before has not given all it has: %s: %s",
				     strerror(-r),
				     keeper->was_ready ? "another one is needed" :
							 "start zcpd --replace again");
			return EXIT_FAILED;
		}
		ZCP_CRASHPOINT("heir.after_record");
		keeper->inherits = header.operation != ZCPD_KEEP_END;
	}
	if (!keeper->inherits && keeper->was_ready)
		zcpd_warning("the keeper has died: another one goes on");
	return -1;
}

/* Nothing is written to us before the worker has all. */
static void hand_out(struct keeper *keeper, int socket)
{
	while (keeper->handing_out) {
		struct zcpd_shelf_record *record = keeper->next;
		struct zcpd_keep_header header = {
			.operation = ZCPD_KEEP_END,
			.id = (uint64_t)getpid(),
		};
		const int *fds = record ? record->fds : &keeper->predecessor;
		uint32_t n_fds = record ? record->n_fds : keeper->predecessor >= 0;
		int r;

		if (record)
			header = (struct zcpd_keep_header){
				.operation = ZCPD_KEEP_RECORD,
				.kind = record->kind,
				.id = record->id,
			};
		r = zcp_socket_send_packet(socket, (const char *)&header, sizeof(header), fds,
					   n_fds);
		/* Where the worker is gone its pidfd tells, and a successor's end is read. */
		if (r < 0)
			return;
		ZCP_CRASHPOINT("keeper.after_hand_out");
		if (keeper->predecessor >= 0)
			ZCP_CRASHPOINT("heir.after_hand_out");
		keeper->handing_out = record != NULL;
		keeper->told_all = !record;
		if (record)
			keeper->next = TAILQ_NEXT(record, link);
	}
}

/* A hangup takes it away before it sends SIGHUP. */
static bool has_terminal(void)
{
	ZCP_CLEANUP(zcp_close_fd) int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);

	return fd >= 0;
}

void zcpd_keeper_signals(sigset_t *signals)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2 };

	(void)sigemptyset(signals);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		(void)sigaddset(signals, numbers[i]);
}

/* Whether the signal is to end us. */
static bool is_end(const struct keeper *keeper, int number)
{
	switch (number) {
	case SIGUSR1:
	case SIGUSR2:
		zcpd_info("SIGUSR%d means nothing to the runtime: it goes on",
			  number == SIGUSR1 ? 1 : 2);
		return false;
	case SIGHUP:
		if (keeper->has_terminal && !has_terminal()) {
			zcpd_info("SIGHUP: the terminal is gone: the runtime ends");
			return true;
		}
		zcpd_info("SIGHUP: the runtime goes on with the configuration that it has: zcpd "
			  "--replace reads it again");
		return false;
	case SIGQUIT:
		zcpd_info("SIGQUIT: the runtime ends");
		return true;
	default:
		return true;
	}
}

static void take_signal(struct keeper *keeper)
{
	struct signalfd_siginfo info;

	if (read(keeper->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (!is_end(keeper, (int)info.ssi_signo))
		return;
	/* What the worker ends by. */
	keeper->ending = info.ssi_signo == SIGINT ? SIGINT : SIGTERM;
	if (keeper->successor >= 0 && keeper->pid == 0)
		end_succession(keeper, "it is to end");
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
	if (keeper->successor >= 0) {
		keeper->next = TAILQ_FIRST(&keeper->shelf->records);
		keeper->handing_out = true;
		return -1;
	}
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

/* While there is no worker of ours. Returns 0 where a worker of the successor has all, or -1. */
static int succeed(struct keeper *keeper, short events)
{
	ZCP_CLEANUP(zcp_fds_deinit) struct zcp_fds fds = { .n_fds = 0 };
	struct zcpd_keep_header header;
	char text[64];
	size_t size;
	int r = -EAGAIN;

	if (events & POLLOUT)
		hand_out(keeper, keeper->successor);
	if (events & ~POLLOUT)
		r = receive_packet(keeper, keeper->successor, &header, &size, &fds);
	if (r == 0 && keeper->told_all && header.operation == ZCPD_KEEP_GOT) {
		/* Unless it says otherwise: it may be another service's, or none's. */
		zcpd_store_condemn(keeper->shelf, ZCPD_LEDGER_HANDED_ON);
		keeper->has_handed_on = true;
		(void)snprintf(text, sizeof(text), "MAINPID=%llu", (unsigned long long)header.id);
		zcpd_notify(text);
		return 0;
	}
	if (r != -EAGAIN)
		end_succession(keeper,
			       r < 0 ? strerror(-r) : "the other one says what it must not");
	else if (zcp_now_ns() >= keeper->deadline_ns)
		end_succession(keeper, "the other one has not got all in time");
	return -1;
}

/* Milliseconds; -1: for ever. */
static int timeout_of(const struct keeper *keeper)
{
	uint64_t now = zcp_now_ns(), at = keeper->start_ns;

	if (keeper->pid > 0 || keeper->inherits)
		return -1;
	if (keeper->successor >= 0)
		at = keeper->deadline_ns;
	return at > now ? (int)((at - now) / 1000000 + 1) : 0;
}

/* Waits for something and does it. Returns the exit code, or -1 to go on. */
static int turn(struct keeper *keeper)
{
	struct pollfd pollfds[] = {
		{ .fd = keeper->signals, .events = POLLIN },
		{ .fd = keeper->pidfd, .events = POLLIN },
		{ .fd = keeper->socket,
		  .events = (short)(POLLIN | (keeper->handing_out ? POLLOUT : 0)) },
		{ .fd = keeper->inherits ? keeper->predecessor : -1, .events = POLLIN },
		{ .fd = keeper->pid == 0 ? keeper->successor : -1,
		  .events = (short)(POLLIN | (keeper->handing_out ? POLLOUT : 0)) },
	};

	if (poll(pollfds, sizeof(pollfds) / sizeof(pollfds[0]), timeout_of(keeper)) < 0)
		return errno == EINTR ? -1 : EXIT_FAILED;
	if (pollfds[0].revents)
		take_signal(keeper);
	if (pollfds[2].revents & POLLOUT)
		hand_out(keeper, keeper->socket);
	if (pollfds[2].revents & POLLIN)
		(void)receive_some(keeper);
	if (pollfds[1].revents)
		return on_worker_end(keeper);
	if (pollfds[3].revents)
		return inherit(keeper);
	if (keeper->pid == 0 && keeper->successor >= 0)
		return succeed(keeper, pollfds[4].revents);
	if (keeper->pid == 0 && !keeper->inherits && zcp_now_ns() >= keeper->start_ns) {
		int r = start_worker(keeper);

		if (r < 0) {
			zcpd_error("the worker cannot be started: %s", strerror(-r));
			return EXIT_FAILED;
		}
	}
	return -1;
}

int zcpd_keeper_run(const struct zcpd_keeper_options *options)
{
	static struct keeper keeper;
	struct sigaction hangup;
	sigset_t signals;
	int code = -1;

	keeper = (struct keeper){
		.arguments = options->arguments,
		.shelf = options->shelf,
		.log = options->log,
		.signals = -1,
		.pidfd = -1,
		.socket = -1,
		.successor = -1,
		.predecessor = options->predecessor,
		.inherits = options->predecessor >= 0,
		.ready = options->ready,
		/* A process that waits for readiness was told by the first keeper. */
		.was_ready = options->predecessor >= 0 && !options->replaces,
	};
#ifdef ZCP_CRASHPOINTS
	/* Meant for us. */
	if (keeper.inherits && !options->replaces)
		(void)unsetenv("ZCP_CRASHPOINT");
#endif
	/* The one before us has gone to it. */
	if (keeper.was_ready && keeper.log)
		zcpd_log_to_file(keeper.log);
	(void)signal(SIGCHLD, SIG_DFL);
	/* nohup has it ignored. */
	keeper.has_terminal = sigaction(SIGHUP, NULL, &hangup) == 0 &&
			      hangup.sa_handler != SIG_IGN && has_terminal();
	zcpd_keeper_signals(&signals);
	/* The worker has them blocked as well; two of them until it can act on them. */
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	keeper.signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (keeper.signals < 0) {
		(void)fprintf(stderr, "zcpd: signalfd: %s\n", strerror(errno));
		code = EXIT_FAILED;
	}
	/* What a service manager has stored is there from the beginning. */
	hold_signals(&keeper);
	while (code < 0)
		code = turn(&keeper);
	if (code == 0)
		/* Two nodes may start a runtime at the same time: then the other serves both. */
		tell_readiness(&keeper);
	/* The next runtime must not go on from our records; a predecessor's are still its own. */
	if (!keeper.has_handed_on && keeper.predecessor < 0)
		zcpd_store_condemn(keeper.shelf, ZCPD_LEDGER_ENDED);
	zcpd_log_tell(true);
	zcp_close_fd(&keeper.ready);
	zcp_close_fd(&keeper.predecessor);
	zcp_close_fd(&keeper.successor);
	zcpd_shelf_deinit(keeper.shelf);
	zcp_close_fd(&keeper.signals);
	zcp_close_fd(&keeper.pidfd);
	zcp_close_fd(&keeper.socket);
	return code;
}
