/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manager's process, and what it hands to the zcpd that it starts.
 */
#include "tests/support/manager.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pubsub/wire/socket.h"
#include "tests/support/cases.h"

/* What the manager has room for, and what it passes on at once. */
#define STORED_MAX 1024
#define BATCH 100
/* In the process that becomes zcpd: out of the way of where they go. */
#define FDS_BEGIN 3
#define ASIDE 600
#define NAME_SIZE 64

/* --- the manager, a process of its own --- */

struct stored {
	int fd;
	char name[NAME_SIZE];
};

struct manager {
	struct stored stored[STORED_MAX];
	uint32_t n;
	int notify;
	int control;
	/* where what is not about the store goes */
	int others;
};

struct batch {
	uint32_t n;
	char names[BATCH][NAME_SIZE];
};

static void add(struct manager *manager, const char *name, int fd)
{
	/* As systemd does: what it has it has, under the name it has it. */
	for (uint32_t i = 0; i < manager->n; i++) {
		if (syscall(SYS_kcmp, getpid(), getpid(), 0, manager->stored[i].fd, fd) == 0) {
			(void)close(fd);
			return;
		}
	}
	ZCP_CHECK(manager->n < STORED_MAX);
	manager->stored[manager->n].fd = fd;
	(void)snprintf(manager->stored[manager->n++].name, NAME_SIZE, "%s", name);
}

static void take_out(struct manager *manager, uint32_t i)
{
	(void)close(manager->stored[i].fd);
	manager->stored[i] = manager->stored[--manager->n];
}

static void remove_name(struct manager *manager, const char *name)
{
	for (uint32_t i = manager->n; i > 0; i--)
		if (strcmp(manager->stored[i - 1].name, name) == 0)
			take_out(manager, i - 1);
}

/* Returns whether there was one. */
static bool hear_one(struct manager *manager)
{
	struct zcp_fds fds = { .n_fds = 0 };
	char text[512], *name;
	size_t size;

	if (zcp_socket_receive_packet(manager->notify, MSG_DONTWAIT, text, sizeof(text) - 1, &size,
				      &fds) < 0)
		return false;
	text[size] = 0;
	name = strstr(text, "FDNAME=");
	if (strncmp(text, "FDSTOREREMOVE=1\n", 16) == 0) {
		ZCP_CHECK(name && fds.n_fds == 0);
		remove_name(manager, name + 7);
	} else if (strncmp(text, "FDSTORE=1\n", 10) == 0) {
		ZCP_CHECK(name && fds.n_fds == 1 && strstr(text, "\nFDPOLL=0\n"));
		add(manager, name + 7, fds.fds[0]);
	} else {
		ZCP_CHECK(fds.n_fds == 0);
		ZCP_CHECK(send(manager->others, text, size, MSG_DONTWAIT) == (ssize_t)size);
	}
	return true;
}

static void list(const struct manager *manager)
{
	uint32_t i = 0;

	do {
		struct batch batch = { .n = 0 };
		int fds[BATCH];

		for (; i < manager->n && batch.n < BATCH; i++, batch.n++) {
			fds[batch.n] = manager->stored[i].fd;
			(void)strcpy(batch.names[batch.n], manager->stored[i].name);
		}
		ZCP_CHECK(zcp_socket_send_packet(manager->control, (const char *)&batch,
						 sizeof(batch), fds, batch.n) == 0);
		if (batch.n == 0)
			return;
	} while (true);
}

static struct stored *find(struct manager *manager, const char *prefix)
{
	struct stored *found = NULL;

	for (uint32_t i = 0; i < manager->n && !found; i++)
		if (strncmp(manager->stored[i].name, prefix, strlen(prefix)) == 0)
			found = &manager->stored[i];
	ZCP_CHECK(found != NULL);
	return found;
}

static void spoil(struct manager *manager, enum zcp_test_manager_command command)
{
	struct stored *ledger = find(manager, "zcp-ledger-");
	static const char garbage[] = "garbage";
	struct stat st;
	uint64_t fingerprint = 1;

	ZCP_CHECK(fstat(ledger->fd, &st) == 0);
	if (command == ZCP_MANAGER_LOSE_ONE)
		take_out(manager, (uint32_t)(find(manager, "zcp-fd-") - manager->stored));
	if (command == ZCP_MANAGER_BREAK_RECORDS)
		ZCP_CHECK(pwrite(ledger->fd, garbage, 7, 4096 + (st.st_size - 4096) / 2) == 7);
	if (command == ZCP_MANAGER_AGE)
		ZCP_CHECK(pwrite(ledger->fd, &fingerprint, 8, 8) == 8);
}

/* Returns whether to go on. */
static bool obey(struct manager *manager, bool *stalls)
{
	uint32_t command;

	if (recv(manager->control, &command, sizeof(command), 0) != sizeof(command))
		return false;
	*stalls = command == ZCP_MANAGER_STALL;
	while (!*stalls && hear_one(manager))
		;
	switch (command) {
	case ZCP_MANAGER_LIST:
		list(manager);
		return true;
	case ZCP_MANAGER_COUNT:
	case ZCP_MANAGER_STALL:
		break;
	default:
		spoil(manager, (enum zcp_test_manager_command)command);
		break;
	}
	return send(manager->control, &manager->n, sizeof(manager->n), 0) == sizeof(manager->n);
}

static void manage(struct zcp_test_child *self, void *arg)
{
	static struct manager manager;
	const int *sockets = arg;
	bool stalls = false;

	(void)self;
	(void)close(sockets[3]);
	(void)close(sockets[4]);
	manager = (struct manager){
		.notify = sockets[0],
		.control = sockets[1],
		.others = sockets[2],
	};
	for (;;) {
		struct pollfd pollfds[2] = {
			{ .fd = manager.control, .events = POLLIN },
			{ .fd = stalls ? -1 : manager.notify, .events = POLLIN },
		};

		ZCP_CHECK(poll(pollfds, 2, -1) > 0);
		if (pollfds[0].revents && !obey(&manager, &stalls))
			_exit(0);
		if (pollfds[1].revents)
			(void)hear_one(&manager);
	}
}

/* --- seen from the test --- */

void zcp_test_manager_start(struct zcp_test_manager *manager, const char *room)
{
	int control[2], others[2], sockets[5];

	*manager = (struct zcp_test_manager){ .room = room };
	sockets[0] = zcp_test_notify_socket(manager->notify, sizeof(manager->notify));
	ZCP_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) == 0);
	ZCP_CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, others) == 0);
	sockets[1] = control[1];
	sockets[2] = others[1];
	sockets[3] = control[0];
	sockets[4] = others[0];
	zcp_test_fork(&manager->process, manage, sockets);
	for (int i = 0; i < 3; i++)
		(void)close(sockets[i]);
	manager->control = control[0];
	manager->others = others[0];
}

void zcp_test_manager_stop(struct zcp_test_manager *manager)
{
	(void)close(manager->control);
	(void)close(manager->others);
	zcp_test_join(&manager->process);
}

uint32_t zcp_test_manager_tell(const struct zcp_test_manager *manager,
			       enum zcp_test_manager_command command)
{
	uint32_t number = command, n;

	ZCP_CHECK(send(manager->control, &number, sizeof(number), 0) == sizeof(number));
	ZCP_CHECK(recv(manager->control, &n, sizeof(n), 0) == sizeof(n));
	return n;
}

/* In the process that becomes zcpd: what is stored, and a descriptor that is not ours. */
static void receive_stored(const struct zcp_test_manager *manager)
{
	static char names[STORED_MAX * NAME_SIZE] = "http";
	uint32_t number = ZCP_MANAGER_LIST;
	struct batch batch;
	char text[32];
	int n = 1;

	ZCP_CHECK(send(manager->control, &number, sizeof(number), 0) == sizeof(number));
	ZCP_CHECK(fcntl(STDIN_FILENO, F_DUPFD, ASIDE) == ASIDE);
	for (;;) {
		struct zcp_fds fds;
		size_t size;

		ZCP_CHECK(zcp_socket_receive_packet(manager->control, 0, (char *)&batch,
						    sizeof(batch), &size, &fds) == 0);
		if (batch.n == 0)
			break;
		for (uint32_t i = 0; i < batch.n; i++) {
			ZCP_CHECK(fcntl(fds.fds[i], F_DUPFD, ASIDE) == ASIDE + n++);
			(void)strcat(strcat(names, ":"), batch.names[i]);
		}
		zcp_fds_deinit(&fds);
	}
	for (int i = 0; i < n; i++) {
		ZCP_CHECK(dup2(ASIDE + i, FDS_BEGIN + i) == FDS_BEGIN + i);
		(void)close(ASIDE + i);
	}
	(void)snprintf(text, sizeof(text), "%d", n);
	ZCP_CHECK(setenv("LISTEN_FDS", text, 1) == 0);
	ZCP_CHECK(setenv("LISTEN_FDNAMES", names, 1) == 0);
	(void)snprintf(text, sizeof(text), "%d", (int)getpid());
	ZCP_CHECK(setenv("LISTEN_PID", text, 1) == 0);
}

static void become_service(void *user)
{
	const struct zcp_test_manager *manager = user;

	ZCP_CHECK(setenv("NOTIFY_SOCKET", manager->notify, 1) == 0);
	ZCP_CHECK(setenv("FDSTORE", manager->room, 1) == 0);
	if (manager->hands_out)
		receive_stored(manager);
}

void zcp_test_manager_run(struct zcp_test_manager *manager, struct zcp_test_runtime *runtime,
			  bool is_service, bool replaces)
{
	const char *const arguments[] = { replaces ? "--replace" : NULL, NULL };

	manager->hands_out = !replaces;
	zcp_test_runtime_spawn(runtime, arguments, is_service ? become_service : NULL, manager);
	runtime->notify = dup(manager->others);
	ZCP_CHECK(runtime->notify >= 0);
}
