/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one user may have in a domain: who is over it is refused with a sentence, whatever is
 * there goes on, and what is given back is there for the next one, whichever worker of the
 * runtime counts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zcp/zcp.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/peer.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"
#include "tests/support/scene.h"

#define CONNECTIONS "max_connections_per_user in [runtime]|close some, or raise it"
#define ENDPOINTS "max_endpoints_per_user in [runtime]|close some, or raise it"
#define MEMORY "max_memory_per_user in [runtime]|raise it, or lower"

static void check_link(struct zcp_test_scene *link)
{
	ZCP_OK(zcp_test_ask(link->node, "t"), link->node);
	zcp_test_scene_burst(link);
}

static void end(struct zcp_test_scene *link)
{
	check_link(link);
	(void)zcp_test_audit(link->node);
	zcp_node_close(link->node);
	zcp_test_runtime_stop(&link->runtime);
}

/* The runtime learns of the end of a connection in its own time. */
static struct zcp_node *open_when_there_is_room(const char *words)
{
	struct zcp_node *node = NULL;

	while (zcp_node_open(&node, NULL) < 0)
		ZCP_CHECK(zcp_test_has(zcp_node_error(NULL), words));
	return node;
}

/* --- connections --- */

/* The sentence, then the end; whatever has been said, it has not been read. */
static void check_hung_up_on(int socket)
{
	struct zcp_message message;
	struct zcp_fds fds;

	ZCP_CHECK(zcp_socket_receive(socket, &message, &fds) == 0);
	ZCP_CHECK(message.type == ZCP_MESSAGE_ERROR && message.id == 0);
	ZCP_CHECK(message.u.error.code == EUSERS && fds.n_fds == 0);
	ZCP_CHECK(zcp_test_has(message.u.error.text, CONNECTIONS));
	zcp_message_deinit(&message);
	ZCP_CHECK(zcp_socket_receive(socket, &message, &fds) == -EPIPE);
	(void)close(socket);
}

/* Has said what it is before the runtime takes its connection. */
static int connect_and_speak(const struct zcp_test_scene *link)
{
	struct zcp_message hello = zcp_test_hello();
	int socket;

	zcp_test_stop_process(link->runtime.worker);
	socket = zcp_test_connect();
	ZCP_CHECK(zcp_socket_send(socket, &hello, NULL, 0) == 0);
	zcp_test_continue_process(link->runtime.worker);
	return socket;
}

/* What a node finds that asks when it has been hung up on. */
static void last_word(void)
{
	struct zcp_message message = { .type = ZCP_MESSAGE_ERROR };
	struct zcp_test_scene link;
	int sockets[2];

	zcp_test_scene_begin(&link, NULL);
	message.u.error.code = EUSERS;
	(void)strcpy(message.u.error.text, "that is enough: go");
	ZCP_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets) ==
		  0);
	ZCP_CHECK(zcp_socket_send(sockets[1], &message, NULL, 0) == 0);
	(void)close(sockets[1]);
	ZCP_CHECK(dup2(sockets[0], zcp_test_socket(link.node)) >= 0);
	(void)close(sockets[0]);
	ZCP_REFUSED(zcp_test_ask(link.node, "t"), link.node, -EUSERS, "that is enough: go");
	zcp_node_close(link.node);
	zcp_test_runtime_stop(&link.runtime);
}

static void connections(void)
{
	struct zcp_node *nodes[3], *one_more = NULL;
	struct zcp_test_scene link;
	int sockets[3];

	zcp_test_scene_begin(&link,
			     "[runtime]\nmax_connections_per_user = 4\nhello_timeout = '1h'\n");
	/* Those that say nothing count. */
	for (int i = 0; i < 3; i++)
		sockets[i] = zcp_test_connect();
	for (int i = 0; i < 100; i++) {
		check_hung_up_on(zcp_test_connect());
		ZCP_REFUSED(zcp_node_open(&one_more, NULL), NULL, -EUSERS,
			    "has 4 connections|" CONNECTIONS);
		check_link(&link);
	}
	check_hung_up_on(connect_and_speak(&link));
	(void)close(sockets[0]);
	zcp_node_close(open_when_there_is_room(CONNECTIONS));
	sockets[0] = zcp_test_connect();
	while (zcp_node_open(&one_more, NULL) == 0)
		zcp_node_close(one_more);
	/* The next worker counts what the last one has left. */
	(void)zcp_test_kill_worker(link.runtime.pid);
	ZCP_REFUSED(zcp_node_open(&one_more, NULL), NULL, -EUSERS, CONNECTIONS);
	check_link(&link);
	for (int i = 0; i < 3; i++)
		(void)close(sockets[i]);
	for (int i = 0; i < 3; i++)
		nodes[i] = open_when_there_is_room(CONNECTIONS);
	ZCP_REFUSED(zcp_node_open(&one_more, NULL), NULL, -EUSERS, CONNECTIONS);
	for (int i = 0; i < 3; i++)
		zcp_node_close(nodes[i]);
	end(&link);
}

/* A process that closes its connection and lives on, with what it has not closed. */
static void connect_and_hang_up(struct zcp_test_child *self, void *arg)
{
	struct zcp_message reply, request = { .type = ZCP_MESSAGE_OPEN_PUBLISHER, .id = 2 };
	int socket = zcp_test_greet();

	(void)arg;
	(void)strcpy(request.u.open_publisher.topic, "theirs");
	request.u.open_publisher.max_payload = 64;
	zcp_test_request(socket, &request, &reply);
	ZCP_CHECK(reply.type == ZCP_MESSAGE_OPENED);
	(void)close(socket);
	zcp_test_say_step(self, 1);
	zcp_test_wait_for_the_end(self);
}

static void connections_that_are_closed_and_leave_something(void)
{
	struct zcp_node *one_more = NULL;
	struct zcp_test_child child;
	struct zcp_test_scene link;

	zcp_test_scene_begin(&link, "[runtime]\nmax_connections_per_user = 2\n");
	zcp_test_fork(&child, connect_and_hang_up, NULL);
	zcp_test_hear_step(&child, 1);
	for (int worker = 0; worker < 2; worker++) {
		ZCP_REFUSED(zcp_node_open(&one_more, NULL), NULL, -EUSERS, CONNECTIONS);
		if (worker == 0)
			(void)zcp_test_kill_worker(link.runtime.pid);
	}
	zcp_test_kill(&child);
	zcp_node_close(open_when_there_is_room(CONNECTIONS));
	end(&link);
}

static void connections_by_default(void)
{
	enum { N = 1087 };
	static int sockets[N];
	struct zcp_node *one_more = NULL;
	struct zcp_test_scene link;

	zcp_test_scene_begin(&link, "[runtime]\nhello_timeout = '1h'\n");
	for (int i = 0; i < N; i++)
		sockets[i] = zcp_test_connect();
	ZCP_REFUSED(zcp_node_open(&one_more, NULL), NULL, -EUSERS,
		    "has 1088 connections|" CONNECTIONS);
	check_link(&link);
	for (int i = 0; i < N; i++)
		(void)close(sockets[i]);
	zcp_node_close(open_when_there_is_room(CONNECTIONS));
	end(&link);
}

static void log_is_not_filled(void)
{
	struct zcp_node *one_more = NULL;
	struct zcp_test_scene link;
	char *log;
	size_t n = 0;
	FILE *file;

	zcp_test_scene_begin(&link,
			     "[runtime]\nmax_connections_per_user = 1\nlog_level = 'warning'\n");
	for (int i = 0; i < 1000; i++)
		ZCP_REFUSED(zcp_node_open(&one_more, NULL), NULL, -EUSERS, CONNECTIONS);
	log = calloc(1, 1 << 20);
	file = fopen(link.runtime.log, "re");
	ZCP_CHECK(log && file && fread(log, 1, (1 << 20) - 1, file) > 0);
	for (const char *s = log; (s = strstr(s, "is refused: user")); s++)
		n++;
	ZCP_CHECK(n > 0 && n < 500);
	(void)fclose(file);
	free(log);
	end(&link);
}

/* --- silence --- */

static void silent_connections(void)
{
	struct zcp_message hello = zcp_test_hello(), reply;
	int silent[20], late;
	struct zcp_test_scene link;

	zcp_test_scene_begin(&link,
			     "[runtime]\nhello_timeout = '200ms'\nmax_connections_per_user = 21\n");
	for (int i = 0; i < 20; i++)
		silent[i] = zcp_test_connect();
	for (int i = 0; i < 20; i++)
		zcp_test_expect_disconnect(silent[i]);
	ZCP_CHECK(zcp_test_runtime_said(&link.runtime, "hello_timeout"));
	/* There is room again, and who says in time what he is stays. */
	late = zcp_test_connect();
	zcp_test_request(late, &hello, &reply);
	ZCP_CHECK(reply.type == ZCP_MESSAGE_WELCOME);
	silent[0] = zcp_test_connect();
	zcp_test_expect_disconnect(silent[0]);
	hello = (struct zcp_message){ .type = ZCP_MESSAGE_AUDIT, .id = 7 };
	zcp_test_request(late, &hello, &reply);
	ZCP_CHECK(reply.type == ZCP_MESSAGE_AUDIT_REPORT);
	zcp_message_deinit(&reply);
	end(&link);
}

/* The next worker gives a silent one the whole time again, and no more. */
static void silent_connection_and_a_worker_that_dies(void)
{
	struct zcp_test_scene link;
	int silent;

	zcp_test_scene_begin(&link, "[runtime]\nhello_timeout = '200ms'\n");
	silent = zcp_test_connect();
	check_link(&link);
	(void)zcp_test_kill_worker(link.runtime.pid);
	zcp_test_expect_disconnect(silent);
	end(&link);
}

/* --- endpoints --- */

static int try_to_publish(struct zcp_node *node, const char *topic, size_t max_payload)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_publisher *publisher;

	options.max_payload = max_payload;
	return zcp_publisher_open(&publisher, node, topic, &options);
}

static int try_to_subscribe(struct zcp_node *node, const char *topic)
{
	struct zcp_subscriber *subscriber;

	return zcp_subscriber_open(&subscriber, node, topic, NULL);
}

static void endpoints(void)
{
	struct zcp_publisher *publisher;
	struct zcp_node *other;
	struct zcp_test_scene link;

	zcp_test_scene_begin(&link, "[runtime]\nmax_endpoints_per_user = 4\n");
	other = zcp_test_node();
	publisher = zcp_test_publisher(other, "a", 64, 1);
	(void)zcp_test_subscriber(other, "b", 4, 1, 0);
	for (int i = 0; i < 100; i++) {
		ZCP_REFUSED(try_to_publish(other, "c", 64), other, -EUSERS,
			    "has 4 publishers and subscribers|" ENDPOINTS);
		ZCP_REFUSED(try_to_subscribe(link.node, "t"), link.node, -EUSERS, ENDPOINTS);
		check_link(&link);
	}
	zcp_publisher_close(publisher);
	ZCP_OK(try_to_subscribe(link.node, "t"), link.node);
	(void)zcp_test_kill_worker(link.runtime.pid);
	ZCP_REFUSED(try_to_publish(other, "a", 64), other, -EUSERS, ENDPOINTS);
	check_link(&link);
	/* A whole node's. */
	zcp_node_close(other);
	ZCP_OK(try_to_publish(link.node, "a", 64), link.node);
	ZCP_REFUSED(try_to_publish(link.node, "a", 64), link.node, -EUSERS, ENDPOINTS);
	end(&link);
}

/* Opens two, and is killed. */
static void open_two(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();

	(void)arg;
	(void)zcp_test_publisher(node, "theirs", 64, 1);
	(void)zcp_test_subscriber(node, "theirs", 4, 1, 0);
	zcp_test_say_step(self, 1);
	zcp_test_wait_for_the_end(self);
}

static void endpoints_of_a_process_that_dies(void)
{
	struct zcp_test_child child;
	struct zcp_test_scene link;

	zcp_test_scene_begin(&link, "[runtime]\nmax_endpoints_per_user = 4\n");
	for (int i = 0; i < 10; i++) {
		zcp_test_fork(&child, open_two, NULL);
		zcp_test_hear_step(&child, 1);
		ZCP_REFUSED(try_to_subscribe(link.node, "t"), link.node, -EUSERS, ENDPOINTS);
		zcp_test_kill(&child);
		while (zcp_test_ask(link.node, "theirs") == 0)
			continue;
		if (i % 3 == 1)
			(void)zcp_test_kill_worker(link.runtime.pid);
	}
	end(&link);
}

/* --- memory --- */

#define MIB ((size_t)1 << 20)

/*
 * 1 publisher, 1 subscriber, 4 in the queue, 2 loans, 4 held, 3 that rotate, 1 that is just given
 * back: 14 chunks; queues of some KiB.
 */
#define SMALL "[defaults]\nmax_publishers = 1\nmax_subscribers = 1\ndepth = 4\nmax_depth = 4\n"

static void memory(void)
{
	struct zcp_publisher *publisher;
	struct zcp_node *other;
	struct zcp_test_scene link;

	zcp_test_scene_begin(&link, "[runtime]\nmax_memory_per_user = '32MiB'\n" SMALL);
	other = zcp_test_node();
	publisher = zcp_test_publisher(other, "a", MIB, 1);
	for (int i = 0; i < 100; i++) {
		ZCP_REFUSED(try_to_publish(link.node, "b", 2 * MIB), link.node, -EDQUOT,
			    "topic 'b' would take up to 29 MiB more|"
			    "takes up to 15 MiB|allows 32 MiB|" MEMORY);
		ZCP_CHECK(zcp_test_ask(link.node, "b") == -ENOENT);
		check_link(&link);
	}
	ZCP_OK(try_to_publish(link.node, "b", MIB), link.node);
	/* What there is may be used. */
	ZCP_OK(try_to_subscribe(other, "a"), other);
	(void)zcp_test_kill_worker(link.runtime.pid);
	ZCP_REFUSED(try_to_publish(other, "c", MIB), other, -EDQUOT, "up to 15 MiB|" MEMORY);
	check_link(&link);
	zcp_publisher_close(publisher);
	/* A subscriber is there: the topic goes on, and counts. */
	ZCP_REFUSED(try_to_publish(other, "c", MIB), other, -EDQUOT, MEMORY);
	zcp_node_close(other);
	ZCP_OK(try_to_publish(link.node, "c", MIB), link.node);
	ZCP_REFUSED(try_to_publish(link.node, "d", MIB), link.node, -EDQUOT, MEMORY);
	end(&link);
}

static void memory_of_a_pool_that_grows(void)
{
	struct zcp_publisher *publisher;
	struct zcp_test_scene link;

	zcp_test_scene_begin(&link, "[runtime]\nmax_memory_per_user = '32MiB'\n" SMALL
				    "[topic.\"a\"]\nmax_publishers = 2\n");
	publisher = zcp_test_publisher(link.node, "a", MIB / 2, 1);
	/* 27 chunks of half a MiB are there, and so many of two would come. */
	ZCP_REFUSED(try_to_publish(link.node, "a", 2 * MIB), link.node, -EDQUOT,
		    "topic 'a' would take up to 55 MiB more|" MEMORY);
	check_link(&link);
	ZCP_OK(try_to_publish(link.node, "a", MIB / 2), link.node);
	zcp_publisher_close(publisher);
	end(&link);
}

/* A topic's queues alone, and what has been cut out of a pool that the configuration names. */
static void memory_of_queues(void)
{
	struct zcp_test_scene link;

	zcp_test_scene_begin(
		&link, "[runtime]\nmax_memory_per_user = '32MiB'\n"
		       "[pool.p]\nclasses = [{ size = '1MiB', count = 64 }]\n"
		       "[topic.\"link\"]\nmax_publishers = 1\nmax_subscribers = 1\nmax_depth = 4\n"
		       "depth = 4\n"
		       "[topic.\"p\"]\npool = 'p'\nmax_depth = 16\n"
		       "[topic.\"q/*\"]\nmax_depth = 1024\n"
		       "[topic.\"deep\"]\nmax_depth = 65536\n");
	ZCP_REFUSED(try_to_subscribe(link.node, "deep"), link.node, -EDQUOT,
		    "topic 'deep' would take up to 1026 MiB|" MEMORY);
	/* 64 MiB that are not this user's. */
	ZCP_OK(try_to_publish(link.node, "p", MIB), link.node);
	/* Queues of 16 MiB, and some for the rest. */
	ZCP_OK(try_to_subscribe(link.node, "q/a"), link.node);
	ZCP_REFUSED(try_to_subscribe(link.node, "q/b"), link.node, -EDQUOT, "up to 18 MiB|" MEMORY);
	(void)zcp_test_kill_worker(link.runtime.pid);
	ZCP_REFUSED(try_to_subscribe(link.node, "q/b"), link.node, -EDQUOT, "up to 18 MiB|" MEMORY);
	end(&link);
}

/* --- a runtime that comes after one that was killed --- */

/* Whoever was let in is let in again, and counts, with what he brings. */
static void limits_of_those_who_come_back(void)
{
	static const char config[] = "[runtime]\nmax_connections_per_user = 3\n"
				     "max_endpoints_per_user = 6\n"
				     "max_memory_per_user = '32MiB'\n" SMALL;
	struct zcp_node *nodes[2], *one_more = NULL;
	struct zcp_test_scene link;

	zcp_test_scene_begin(&link, config);
	for (int i = 0; i < 2; i++) {
		nodes[i] = zcp_test_node();
		(void)zcp_test_publisher(nodes[i], i ? "b" : "a", MIB, 1);
		(void)zcp_test_subscriber(nodes[i], i ? "a" : "b", 4, 1, 0);
	}
	for (int round = 0; round < 3; round++) {
		zcp_test_runtime_kill_all(&link.runtime);
		zcp_test_runtime_start(&link.runtime, config);
		check_link(&link);
		/* The first of them brings the other's endpoint, and with it his name. */
		for (int i = 0; i < 2; i++)
			ZCP_OK(zcp_test_ask(nodes[i], "a"), nodes[i]);
		ZCP_REFUSED(zcp_node_open(&one_more, NULL), NULL, -EUSERS, CONNECTIONS);
		ZCP_REFUSED(try_to_subscribe(link.node, "c"), link.node, -EUSERS, ENDPOINTS);
		zcp_subscriber_close(link.subscriber);
		ZCP_REFUSED(try_to_publish(link.node, "c", MIB), link.node, -EDQUOT, MEMORY);
		link.subscriber = zcp_test_subscriber(link.node, "t", 4, 1, 0);
	}
	for (int i = 0; i < 2; i++)
		zcp_node_close(nodes[i]);
	ZCP_OK(try_to_publish(link.node, "c", MIB), link.node);
	end(&link);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(connections),
	ZCP_TEST_CASE(last_word),
	ZCP_TEST_CASE(connections_that_are_closed_and_leave_something),
	ZCP_TEST_CASE(connections_by_default),
	ZCP_TEST_CASE(log_is_not_filled),
	ZCP_TEST_CASE(silent_connections),
	ZCP_TEST_CASE(silent_connection_and_a_worker_that_dies),
	ZCP_TEST_CASE(endpoints),
	ZCP_TEST_CASE(endpoints_of_a_process_that_dies),
	ZCP_TEST_CASE(memory),
	ZCP_TEST_CASE(memory_of_a_pool_that_grows),
	ZCP_TEST_CASE(memory_of_queues),
	ZCP_TEST_CASE(limits_of_those_who_come_back),
};

ZCP_TEST_MAIN(cases)
