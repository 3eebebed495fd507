/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service manager that stores descriptors: all of the runtime is killed at once, keeper and
 * worker, it is started again with what is stored, and whoever is attached notices nothing. With
 * a store that is no use it begins anew, says why, and nodes come back.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pubsub/util.h"
#include "pubsub/wire/socket.h"
#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/load.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define DEPTH 4
#define HELD 2
#define PAYLOAD 64
#define ROUNDS 10
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

enum command {
	COUNT,
	LIST,
	LOSE_ONE,      /* a descriptor is gone */
	BREAK_RECORDS, /* bytes in the middle of the list */
	AGE,           /* as if another version had written it */
	STALL,         /* until the next command */
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

static void spoil(struct manager *manager, enum command command)
{
	struct stored *ledger = find(manager, "zcp-ledger-");
	static const char garbage[] = "garbage";
	struct stat st;
	uint64_t fingerprint = 1;

	ZCP_CHECK(fstat(ledger->fd, &st) == 0);
	if (command == LOSE_ONE)
		take_out(manager, (uint32_t)(find(manager, "zcp-fd-") - manager->stored));
	if (command == BREAK_RECORDS)
		ZCP_CHECK(pwrite(ledger->fd, garbage, 7, 4096 + (st.st_size - 4096) / 2) == 7);
	if (command == AGE)
		ZCP_CHECK(pwrite(ledger->fd, &fingerprint, 8, 8) == 8);
}

/* Returns whether to go on. */
static bool obey(struct manager *manager, bool *stalls)
{
	uint32_t command;

	if (recv(manager->control, &command, sizeof(command), 0) != sizeof(command))
		return false;
	*stalls = command == STALL;
	while (!*stalls && hear_one(manager))
		;
	switch (command) {
	case LIST:
		list(manager);
		return true;
	case COUNT:
	case STALL:
		break;
	default:
		spoil(manager, (enum command)command);
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
	(void)close(sockets[4]);
	(void)close(sockets[5]);
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

/* --- the runtime, as it starts it --- */

struct scene {
	struct zcp_test_runtime runtime;
	struct zcp_test_child manager;
	char notify[128];
	int control;
	int others;
	/* FDSTORE */
	const char *room;
	struct zcp_node *node;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
	/* the node's connection, and what it is to stay */
	int socket;
	struct stat connection;
	uint64_t n;
};

static uint32_t tell(const struct scene *scene, enum command command)
{
	uint32_t number = command, n;

	ZCP_CHECK(send(scene->control, &number, sizeof(number), 0) == sizeof(number));
	ZCP_CHECK(recv(scene->control, &n, sizeof(n), 0) == sizeof(n));
	return n;
}

static void start_manager(struct scene *scene)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(address);
	int control[2], others[2], notify;
	int sockets[6];

	notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ZCP_CHECK(notify >= 0);
	ZCP_CHECK(bind(notify, (const struct sockaddr *)&address, sizeof(sa_family_t)) == 0);
	ZCP_CHECK(getsockname(notify, (struct sockaddr *)&address, &size) == 0);
	(void)snprintf(scene->notify, sizeof(scene->notify), "@%.*s",
		       (int)(size - offsetof(struct sockaddr_un, sun_path) - 1),
		       address.sun_path + 1);
	ZCP_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) == 0);
	ZCP_CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, others) == 0);
	sockets[0] = notify;
	sockets[1] = control[1];
	sockets[2] = others[1];
	sockets[3] = -1;
	sockets[4] = control[0];
	sockets[5] = others[0];
	zcp_test_fork(&scene->manager, manage, sockets);
	(void)close(notify);
	(void)close(control[1]);
	(void)close(others[1]);
	scene->control = control[0];
	scene->others = others[0];
}

/* In the process that becomes zcpd: what is stored, and a descriptor that is not ours. */
static void receive_stored(const struct scene *scene)
{
	static char names[STORED_MAX * NAME_SIZE] = "http";
	uint32_t number = LIST;
	struct batch batch;
	char text[32];
	int n = 1;

	ZCP_CHECK(send(scene->control, &number, sizeof(number), 0) == sizeof(number));
	ZCP_CHECK(fcntl(STDIN_FILENO, F_DUPFD, ASIDE) == ASIDE);
	for (;;) {
		struct zcp_fds fds;
		size_t size;

		ZCP_CHECK(zcp_socket_receive_packet(scene->control, 0, (char *)&batch,
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

static void start(struct scene *scene, bool is_service, const char *option)
{
	struct zcp_test_runtime *runtime = &scene->runtime;
	const char *arguments[] = { "zcpd", "--foreground", "--log-level", "debug", option, NULL };

	(void)snprintf(runtime->log, sizeof(runtime->log), "%s/foreground.log",
		       zcp_test_directory());
	(void)fflush(NULL);
	runtime->pid = fork();
	ZCP_CHECK(runtime->pid >= 0);
	if (runtime->pid == 0) {
		int log = open(runtime->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

		ZCP_CHECK(log >= 0 && dup2(log, STDERR_FILENO) >= 0);
		ZCP_CHECK(prctl(PR_SET_PDEATHSIG, SIGTERM) == 0);
		if (is_service) {
			ZCP_CHECK(setenv("NOTIFY_SOCKET", scene->notify, 1) == 0);
			ZCP_CHECK(setenv("FDSTORE", scene->room, 1) == 0);
			if (!option)
				receive_stored(scene);
		}
		(void)execv(getenv("ZCP_ZCPD"), (char *const *)arguments);
		_exit(127);
	}
	runtime->pidfd = zcp_test_pidfd(runtime->pid);
	runtime->notify = dup(scene->others);
	ZCP_CHECK(runtime->pidfd >= 0 && runtime->notify >= 0);
}

static void start_service(struct scene *scene)
{
	start(scene, true, NULL);
	zcp_test_runtime_notifies(&scene->runtime, "READY=1");
	scene->runtime.worker = zcp_test_worker(scene->runtime.pid);
}

static void restart(struct scene *scene)
{
	zcp_test_runtime_kill_all(&scene->runtime);
	start_service(scene);
}

/* --- what everybody does --- */

static void begin(struct scene *scene, const char *room)
{
	*scene = (struct scene){ .room = room };
	ZCP_CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	start_manager(scene);
	start_service(scene);
	scene->node = zcp_test_node();
	scene->publisher = zcp_test_publisher(scene->node, "t", PAYLOAD, 2);
	scene->subscriber = zcp_test_subscriber(scene->node, "t", DEPTH, HELD, ZCP_ON_FULL_BLOCK);
	scene->socket = zcp_test_socket(scene->node);
	ZCP_CHECK(fstat(scene->socket, &scene->connection) == 0);
}

static void exchange(struct scene *scene)
{
	for (int i = 0; i < 100; i++) {
		zcp_test_send(scene->publisher, ++scene->n);
		ZCP_OK(zcp_node_wait(scene->node, ZCP_FOREVER), scene->node);
		zcp_test_expect(scene->subscriber, scene->n);
	}
}

/* The link, and one who comes and goes. */
static void check(struct scene *scene)
{
	struct zcp_subscriber *other;
	struct zcp_message reply;

	exchange(scene);
	other = zcp_test_subscriber(scene->node, "t", DEPTH, HELD, 0);
	ZCP_CHECK(zcp_test_inside(other).slot == 1);
	zcp_test_info(scene->node, "t", &reply);
	ZCP_CHECK(reply.u.topic_info.n_publishers == 1 && reply.u.topic_info.n_subscribers == 2);
	ZCP_CHECK(reply.u.topic_info.n_messages == scene->n);
	zcp_message_deinit(&reply);
	zcp_subscriber_close(other);
	ZCP_CHECK(zcp_test_audit(scene->node) == 0);
}

static void check_unnoticed(const struct scene *scene)
{
	struct stat now;

	ZCP_CHECK(zcp_test_socket(scene->node) == scene->socket && fstat(scene->socket, &now) == 0);
	ZCP_CHECK(now.st_ino == scene->connection.st_ino && now.st_dev == scene->connection.st_dev);
	ZCP_CHECK(!zcp_test_runtime_said(&scene->runtime, "has come back"));
	ZCP_CHECK(!zcp_test_runtime_said(&scene->runtime, "does not go on"));
	ZCP_CHECK(!zcp_test_runtime_said(&scene->runtime, "does not keep"));
}

static void end(struct scene *scene)
{
	check(scene);
	zcp_subscriber_close(scene->subscriber);
	zcp_publisher_close(scene->publisher);
	ZCP_CHECK(zcp_test_ask(scene->node, "t") == -ENOENT);
	ZCP_CHECK(zcp_test_audit(scene->node) == 0);
	zcp_node_close(scene->node);
	zcp_test_runtime_stop(&scene->runtime);
	ZCP_CHECK(zcp_test_runtime_pid("default") == 0);
	ZCP_CHECK(tell(scene, COUNT) == 0);
	(void)close(scene->control);
	(void)close(scene->others);
	zcp_test_join(&scene->manager);
}

static void links_go_on(void)
{
	unsigned int keeper, worker;
	struct scene scene;
	uint32_t n;

	begin(&scene, "1024");
	check(&scene);
	n = tell(&scene, COUNT);
	restart(&scene);
	check(&scene);
	zcp_test_wait_until_asleep_in(scene.runtime.pid, "poll");
	keeper = zcp_test_n_fds(scene.runtime.pid);
	worker = zcp_test_n_fds(scene.runtime.worker);
	for (int round = 0; round < ROUNDS; round++) {
		/* One is queued meanwhile, and links work. */
		zcp_test_send(scene.publisher, ++scene.n);
		zcp_test_runtime_kill_all(&scene.runtime);
		zcp_test_expect(scene.subscriber, scene.n);
		exchange(&scene);
		zcp_test_send(scene.publisher, ++scene.n);
		start_service(&scene);
		ZCP_CHECK(zcp_test_runtime_pid("default") == scene.runtime.pid);
		zcp_test_expect(scene.subscriber, scene.n);
		check(&scene);
		check_unnoticed(&scene);
		ZCP_CHECK(tell(&scene, COUNT) == n);
		zcp_test_wait_n_fds(scene.runtime.pid, keeper);
		zcp_test_wait_n_fds(scene.runtime.worker, worker);
	}
	end(&scene);
}

/* Whoever of the two dies first, alone. */
static void the_store_outlives_keepers_and_workers(void)
{
	struct scene scene;
	uint32_t n;

	begin(&scene, "1024");
	n = tell(&scene, COUNT);
	for (int round = 0; round < 5; round++) {
		(void)zcp_test_kill_worker(scene.runtime.pid);
		check(&scene);
		ZCP_CHECK(tell(&scene, COUNT) == n);
		zcp_test_runtime_kill_keeper(&scene.runtime);
		check(&scene);
		ZCP_CHECK(tell(&scene, COUNT) == n);
		restart(&scene);
		check(&scene);
		check_unnoticed(&scene);
		ZCP_CHECK(tell(&scene, COUNT) == n);
	}
	end(&scene);
}

/* --- who comes, goes and dies --- */

static void publish_and_subscribe(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();

	(void)arg;
	(void)zcp_test_publisher(node, "p", PAYLOAD, 2);
	(void)zcp_test_subscriber(node, "s", DEPTH, HELD, 0);
	zcp_test_say_step(self, 0);
	zcp_test_wait_for_the_end(self);
}

static void who_dies_meanwhile_is_cleaned_up(void)
{
	struct zcp_subscriber *subscriber;
	struct zcp_publisher *publisher;
	struct zcp_test_child child;
	struct scene scene;
	uint32_t n = 0;

	begin(&scene, "1024");
	subscriber = zcp_test_subscriber(scene.node, "p", DEPTH, HELD, 0);
	publisher = zcp_test_publisher(scene.node, "s", PAYLOAD, 2);
	for (int round = 0; round < 5; round++) {
		zcp_test_fork(&child, publish_and_subscribe, NULL);
		zcp_test_hear_step(&child, 0);
		zcp_test_wait_for_members(scene.node, "p", 1, 1);
		zcp_test_wait_for_members(scene.node, "s", 1, 1);
		for (uint64_t i = 0; i < 2 * DEPTH; i++)
			zcp_test_send(publisher, i);
		zcp_test_runtime_kill_all(&scene.runtime);
		zcp_test_kill(&child);
		start_service(&scene);
		zcp_test_wait_for_members(scene.node, "p", 0, 1);
		zcp_test_wait_for_members(scene.node, "s", 1, 0);
		ZCP_CHECK(zcp_test_audit(scene.node) == 0);
		/* The first one has made its topic's pool larger. */
		if (round == 0)
			n = tell(&scene, COUNT);
		ZCP_CHECK(tell(&scene, COUNT) == n);
	}
	zcp_publisher_close(publisher);
	zcp_subscriber_close(subscriber);
	check_unnoticed(&scene);
	end(&scene);
}

static void as_much_is_stored_as_there_is(void)
{
	struct scene scene;
	uint32_t n = 0;

	begin(&scene, "1024");
	/* Often enough for the list of records to be written anew. */
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 20; i++) {
			struct zcp_node *node = zcp_test_node();

			(void)zcp_test_publisher(node, "t", PAYLOAD, 2);
			(void)zcp_test_subscriber(node, "other", DEPTH, HELD, 0);
			zcp_node_close(node);
		}
		while (zcp_test_ask(scene.node, "other") == 0)
			;
		zcp_test_wait_for_members(scene.node, "t", 1, 1);
		ZCP_CHECK(zcp_test_audit(scene.node) == 0);
		if (round == 0)
			n = tell(&scene, COUNT);
		/* The last node's connection may be about to go. */
		while (tell(&scene, COUNT) != n)
			;
	}
	restart(&scene);
	check(&scene);
	check_unnoticed(&scene);
	ZCP_CHECK(tell(&scene, COUNT) == n);
	end(&scene);
}

static void open_one_after_the_other(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();
	const char *topic = arg;
	uint64_t n = 0;

	zcp_test_say_step(self, 0);
	for (; !zcp_test_has_said(self); n++) {
		struct zcp_subscriber *subscriber = zcp_test_subscriber(node, topic, DEPTH, HELD,
									0);
		struct zcp_publisher *publisher = zcp_test_publisher(node, "other", PAYLOAD, 1);

		zcp_test_send(publisher, n);
		ZCP_CHECK(zcp_publisher_close(publisher) == NULL);
		ZCP_CHECK(zcp_subscriber_close(subscriber) == NULL);
		if (n % 8 == 7) {
			zcp_node_close(node);
			node = zcp_test_node();
		}
	}
	zcp_test_say(self, &n, sizeof(n));
	zcp_node_close(node);
}

static void nothing_is_lost_under_load(void)
{
	struct zcp_test_load load;
	struct scene scene;
	uint64_t killed = 0;

	begin(&scene, "1024");
	zcp_test_load_begin(&load);
	while (zcp_test_load_goes_on(&load) || killed < ROUNDS) {
		exchange(&scene);
		restart(&scene);
		killed++;
		exchange(&scene);
		ZCP_CHECK(zcp_test_ask(scene.node, "t") == 0);
	}
	zcp_test_load_end(&load, "runtimes", killed);
	while (zcp_test_ask(scene.node, "load") == 0 || zcp_test_ask(scene.node, "other") == 0)
		;
	check_unnoticed(&scene);
	end(&scene);
}

/* Killed in the middle of what was asked, again and again. */
static void what_is_asked_meanwhile_is_done(void)
{
	static char *const topics[] = { "a", "other" };
	uint64_t rounds = zcp_test_rounds(3 * ROUNDS), n;
	struct zcp_test_child children[2];
	struct scene scene;

	begin(&scene, "1024");
	for (int i = 0; i < 2; i++) {
		zcp_test_fork(&children[i], open_one_after_the_other, topics[i]);
		zcp_test_hear_step(&children[i], 0);
	}
	for (uint64_t round = 0; round < rounds; round++) {
		/* Whoever has asked before us has been answered by then. */
		for (uint64_t i = 0; i <= round % 8; i++)
			ZCP_CHECK(zcp_test_ask(scene.node, "t") == 0);
		restart(&scene);
	}
	for (int i = 0; i < 2; i++) {
		zcp_test_say_step(&children[i], 1);
		zcp_test_hear(&children[i], &n, sizeof(n));
		zcp_test_join(&children[i]);
		(void)printf("%llu endpoints\n", (unsigned long long)n * 2);
	}
	while (zcp_test_ask(scene.node, "a") == 0 || zcp_test_ask(scene.node, "other") == 0)
		;
	check_unnoticed(&scene);
	end(&scene);
}

/* --- a store that is no use --- */

static void stop(struct scene *scene)
{
	char said[64];

	zcp_test_runtime_stop(&scene->runtime);
	ZCP_CHECK(tell(scene, COUNT) == 0);
	ZCP_CHECK(recv(scene->others, said, sizeof(said), 0) == 10);
	ZCP_CHECK(memcmp(said, "STOPPING=1", 10) == 0);
}

static void a_clean_end_empties_the_store(void)
{
	struct scene scene;

	begin(&scene, "1024");
	for (int round = 0; round < 3; round++) {
		stop(&scene);
		start_service(&scene);
		ZCP_CHECK(zcp_test_ask(scene.node, "t") == 0);
		ZCP_CHECK(!zcp_test_runtime_said(&scene.runtime, "does not go on"));
	}
	zcp_subscriber_close(scene.subscriber);
	zcp_publisher_close(scene.publisher);
	scene.publisher = zcp_test_publisher(scene.node, "t", PAYLOAD, 2);
	scene.subscriber = zcp_test_subscriber(scene.node, "t", DEPTH, HELD, ZCP_ON_FULL_BLOCK);
	scene.n = 0;
	end(&scene);
}

/* The next one begins anew, says so, and the node comes back with what it has. */
static void check_anew(struct scene *scene, const char *why)
{
	ZCP_CHECK(truncate(scene->runtime.log, 0) == 0);
	start_service(scene);
	ZCP_CHECK(zcp_test_ask(scene->node, "t") == 0);
	ZCP_CHECK(zcp_test_runtime_said(&scene->runtime, "does not go on"));
	ZCP_CHECK(zcp_test_runtime_said(&scene->runtime, why));
	ZCP_CHECK(zcp_test_runtime_said(&scene->runtime, "has come back"));
	check(scene);
	/* And has a store that is as good as the first one. */
	scene->socket = zcp_test_socket(scene->node);
	ZCP_CHECK(fstat(scene->socket, &scene->connection) == 0);
	ZCP_CHECK(truncate(scene->runtime.log, 0) == 0);
	restart(scene);
	check(scene);
	check_unnoticed(scene);
}

static void a_spoilt_store_is_not_used(void)
{
	static const struct {
		enum command command;
		const char *why;
	} spoils[] = {
		{ LOSE_ONE, "a descriptor is missing" },
		{ BREAK_RECORDS, "its list of records is broken" },
		{ AGE, "it is of another version" },
	};
	struct scene scene;

	begin(&scene, "1024");
	for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
		uint32_t n = tell(&scene, COUNT);

		zcp_test_runtime_kill_all(&scene.runtime);
		(void)tell(&scene, spoils[i].command);
		check_anew(&scene, spoils[i].why);
		ZCP_CHECK(tell(&scene, COUNT) == n);
	}
	end(&scene);
}

static void a_store_that_is_too_small_is_called_off(void)
{
	struct scene scene;

	begin(&scene, "8");
	ZCP_CHECK(zcp_test_runtime_said(&scene.runtime, "raise FileDescriptorStoreMax="));
	check(&scene);
	zcp_test_runtime_kill_all(&scene.runtime);
	scene.room = "1024";
	check_anew(&scene, "something could not be stored");
	end(&scene);
}

static void a_manager_that_hangs_does_not_stop_the_runtime(void)
{
	struct zcp_subscriber *subscribers[16];
	struct scene scene;
	uint32_t n;

	begin(&scene, "1024");
	(void)tell(&scene, STALL);
	/* The node has an answer, although nobody stores what it opens. */
	for (n = 0; n < 16; n++) {
		char topic[16];

		(void)snprintf(topic, sizeof(topic), "t%u", n);
		subscribers[n] = zcp_test_subscriber(scene.node, topic, DEPTH, HELD, 0);
	}
	for (n = 0; n < 16; n++)
		zcp_subscriber_close(subscribers[n]);
	if (!zcp_test_runtime_said(&scene.runtime, "does not keep what the runtime has")) {
		(void)tell(&scene, COUNT);
		zcp_test_skip("the kernel's queue of datagrams is too long to be filled");
	}
	check(&scene);
	/* The next worker has it stored again. */
	(void)tell(&scene, COUNT);
	(void)zcp_test_kill_worker(scene.runtime.pid);
	check(&scene);
	ZCP_CHECK(truncate(scene.runtime.log, 0) == 0);
	restart(&scene);
	check(&scene);
	check_unnoticed(&scene);
	end(&scene);
}

/* --- --replace --- */

static void replace(struct scene *scene, bool is_service)
{
	struct zcp_test_runtime old = scene->runtime;
	char state[32], said[64];
	bool has_ready = false, has_pid = false;
	int status;
	ssize_t n;

	start(scene, is_service, "--replace");
	(void)snprintf(state, sizeof(state), "MAINPID=%d", (int)scene->runtime.pid);
	/* The old one says it; the new one too, where it is the service's. */
	while (!has_pid || (is_service && !has_ready)) {
		n = recv(scene->others, said, sizeof(said) - 1, 0);
		ZCP_CHECK(n > 0);
		said[n] = 0;
		ZCP_CHECK(strncmp(said, state, strlen(state)) == 0);
		has_ready = has_ready || strstr(said, "READY=1");
		has_pid = has_pid || !strstr(said, "READY=1");
	}
	ZCP_CHECK(waitpid(old.pid, &status, 0) == old.pid);
	ZCP_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	(void)close(old.pidfd);
	(void)close(old.notify);
	check(scene);
}

static void one_that_replaces_has_the_store(void)
{
	struct scene scene;
	uint32_t n;

	begin(&scene, "1024");
	n = tell(&scene, COUNT);
	for (int round = 0; round < 3; round++) {
		replace(&scene, true);
		ZCP_CHECK(tell(&scene, COUNT) == n);
		restart(&scene);
		check(&scene);
		check_unnoticed(&scene);
		ZCP_CHECK(tell(&scene, COUNT) == n);
	}
	end(&scene);
}

/* What it has is the other's now, and must be left alone: its lock, its connections. */
static void what_one_elsewhere_has_is_not_taken(void)
{
	struct zcp_test_runtime elsewhere;
	struct scene scene;
	int status;

	begin(&scene, "1024");
	replace(&scene, false);
	elsewhere = scene.runtime;
	start(&scene, true, NULL);
	ZCP_CHECK(waitpid(scene.runtime.pid, &status, 0) == scene.runtime.pid);
	ZCP_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	ZCP_CHECK(zcp_test_runtime_said(&scene.runtime, "has taken it over"));
	ZCP_CHECK(zcp_test_runtime_said(&scene.runtime, "has a runtime already"));
	ZCP_CHECK(tell(&scene, COUNT) == 0);
	(void)close(scene.runtime.pidfd);
	(void)close(scene.runtime.notify);
	scene.runtime = elsewhere;
	ZCP_CHECK(zcp_test_socket(scene.node) == scene.socket);
	check(&scene);
	end(&scene);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(links_go_on),
	ZCP_TEST_CASE(the_store_outlives_keepers_and_workers),
	ZCP_TEST_CASE(who_dies_meanwhile_is_cleaned_up),
	ZCP_TEST_CASE(as_much_is_stored_as_there_is),
	ZCP_TEST_CASE(nothing_is_lost_under_load),
	ZCP_TEST_CASE(what_is_asked_meanwhile_is_done),
	ZCP_TEST_CASE(a_clean_end_empties_the_store),
	ZCP_TEST_CASE(a_spoilt_store_is_not_used),
	ZCP_TEST_CASE(a_store_that_is_too_small_is_called_off),
	ZCP_TEST_CASE(a_manager_that_hangs_does_not_stop_the_runtime),
	ZCP_TEST_CASE(one_that_replaces_has_the_store),
	ZCP_TEST_CASE(what_one_elsewhere_has_is_not_taken),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
