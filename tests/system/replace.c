/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zcpd --replace: another runtime takes the domain over, and whoever publishes, subscribes, comes
 * or goes notices nothing. One that cannot, or dies on the way, leaves the old one serving.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pubsub/client/node.h"
#include "pubsub/client/publisher.h"
#include "pubsub/client/subscriber.h"
#include "pubsub/shm/region.h"
#include "pubsub/wire/paths.h"
#include "pubsub/wire/socket.h"
#include "runtime/failover/keep.h"
#include "tests/support/cases.h"
#include "tests/support/load.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define DEPTH 4
#define HELD 2
#define PAYLOAD 64
#define ROUNDS 10

struct scene {
	struct zcp_test_runtime runtime;
	struct zcp_node *node;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
	uint64_t n;
};

static void begin(struct scene *scene)
{
	*scene = (struct scene){ .n = 0 };
	zcp_test_runtime_start(&scene->runtime, NULL);
	scene->node = zcp_test_node();
	scene->publisher = zcp_test_publisher(scene->node, "t", PAYLOAD, 2);
	scene->subscriber = zcp_test_subscriber(scene->node, "t", DEPTH, HELD, ZCP_ON_FULL_BLOCK);
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
	ZCP_CHECK(other->reader.options.slot == 1);
	zcp_test_info(scene->node, "t", &reply);
	ZCP_CHECK(reply.u.topic_info.n_publishers == 1 && reply.u.topic_info.n_subscribers == 2);
	ZCP_CHECK(reply.u.topic_info.n_messages == scene->n);
	zcp_message_deinit(&reply);
	zcp_subscriber_close(other);
	ZCP_CHECK(zcp_test_audit(scene->node) == 0);
}

static void end(struct scene *scene)
{
	exchange(scene);
	zcp_subscriber_close(scene->subscriber);
	zcp_publisher_close(scene->publisher);
	ZCP_CHECK(zcp_test_ask(scene->node, "t") == -ENOENT);
	ZCP_CHECK(zcp_test_audit(scene->node) == 0);
	zcp_node_close(scene->node);
	zcp_test_runtime_stop(&scene->runtime);
	ZCP_CHECK(zcp_test_runtime_pid("default") == 0);
}

static void links_go_on(void)
{
	unsigned int keeper, worker;
	struct scene scene;

	begin(&scene);
	check(&scene);
	zcp_test_wait_until_asleep_in(scene.runtime.pid, "poll");
	keeper = zcp_test_n_fds(scene.runtime.pid);
	worker = zcp_test_n_fds(scene.runtime.worker);
	for (int round = 0; round < ROUNDS; round++) {
		zcp_test_send(scene.publisher, ++scene.n);
		zcp_test_runtime_replace(&scene.runtime, NULL);
		ZCP_CHECK(zcp_test_runtime_pid("default") == scene.runtime.pid);
		zcp_test_expect(scene.subscriber, scene.n);
		check(&scene);
		zcp_test_wait_n_fds(scene.runtime.pid, keeper);
		zcp_test_wait_n_fds(scene.runtime.worker, worker);
	}
	/* It is as good as one that was started otherwise. */
	(void)zcp_test_kill_worker(scene.runtime.pid);
	check(&scene);
	end(&scene);
}

static void it_has_a_configuration_of_its_own(void)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_publisher *publisher;
	struct scene scene;

	begin(&scene);
	zcp_test_runtime_replace(&scene.runtime, "[runtime]\nmax_topics = 1\n");
	options.max_payload = PAYLOAD;
	ZCP_REFUSED(zcp_publisher_open(&publisher, scene.node, "other", &options), scene.node,
		    -EUSERS, "max_topics");
	check(&scene);
	end(&scene);
}

/* --- what is refused, and who dies --- */

/* As a zcpd would; returns our end, and the answer. */
static int ask(uint64_t fingerprint, struct zcp_message *answer)
{
	struct zcp_message question = { .type = ZCP_MESSAGE_REPLACE, .id = 1 };
	struct zcp_paths paths;
	struct zcp_fds fds;
	char text[1024];
	int pair[2], fd;

	ZCP_CHECK(zcp_paths_init(&paths, NULL, "default", text, sizeof(text)) == 0);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ZCP_CHECK(fd >= 0 &&
		  connect(fd, (const struct sockaddr *)&paths.socket, sizeof(paths.socket)) == 0);
	ZCP_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	question.u.replace.fingerprint = fingerprint;
	(void)strcpy(question.u.replace.version, "9.9.9");
	ZCP_CHECK(zcp_socket_send(fd, &question, &pair[1], 1) == 0);
	ZCP_CHECK(zcp_socket_receive(fd, answer, &fds) == 0);
	zcp_fds_deinit(&fds);
	(void)close(pair[1]);
	(void)close(fd);
	return pair[0];
}

static void another_build_is_refused(void)
{
	uint64_t fingerprint = zcp_layout_fingerprint();
	struct zcp_message answer;
	struct scene scene;
	pid_t worker;

	begin(&scene);
	worker = scene.runtime.worker;
	(void)close(ask(fingerprint + 1, &answer));
	ZCP_CHECK(answer.type == ZCP_MESSAGE_ERROR && answer.u.error.code == EPROTO);
	ZCP_CHECK(zcp_test_has(answer.u.error.text, "9.9.9|memory layout|stop that one first"));
	check(&scene);
	ZCP_CHECK(zcp_test_worker(scene.runtime.pid) == worker);
	end(&scene);
}

static void take_records(int socket)
{
	static char packet[ZCPD_KEEP_SIZE_MAX];
	struct zcpd_keep_header header;
	struct zcp_fds fds;
	size_t size;

	do {
		ZCP_CHECK(zcp_socket_receive_packet(socket, 0, packet, sizeof(packet), &size,
						    &fds) == 0);
		zcp_fds_deinit(&fds);
		memcpy(&header, packet, sizeof(header));
	} while (header.operation != ZCPD_KEEP_END);
}

/* Before it has a record, and when it has all but has not said so. */
static void one_that_dies_leaves_the_old_one(void)
{
	struct zcp_message answer;
	struct scene scene;

	begin(&scene);
	for (int i = 0; i < 2; i++) {
		int socket = ask(zcp_layout_fingerprint(), &answer);

		ZCP_CHECK(answer.type == ZCP_MESSAGE_OK);
		if (i == 1)
			take_records(socket);
		(void)close(socket);
		check(&scene);
		ZCP_CHECK(zcp_test_runtime_pid("default") == scene.runtime.pid);
	}
	ZCP_CHECK(zcp_test_runtime_said(&scene.runtime, "is not replaced"));
	end(&scene);
}

/* It learns that it has come too late, whichever of its workers asks. */
static void one_that_does_nothing_is_not_waited_for(void)
{
	struct zcpd_keep_header header;
	struct zcp_message answer;
	struct scene scene;
	int socket;

	begin(&scene);
	socket = ask(zcp_layout_fingerprint(), &answer);
	ZCP_CHECK(answer.type == ZCP_MESSAGE_OK);
	/* Not before the old one has given up. */
	check(&scene);
	take_records(socket);
	ZCP_CHECK(recv(socket, &header, sizeof(header), MSG_PEEK) == sizeof(header));
	ZCP_CHECK(header.operation == ZCPD_KEEP_ABORT);
	(void)close(socket);
	end(&scene);
}

static void one_that_cannot_be_configured_takes_nothing(void)
{
	const char *arguments[] = { "--replace", "--config", NULL, NULL };
	char out[64], err[1024];
	struct scene scene;
	pid_t worker;

	begin(&scene);
	worker = scene.runtime.worker;
	arguments[2] = zcp_test_config("[runtime");
	ZCP_CHECK(zcp_test_zcpd(arguments, out, err, sizeof(out)) == 1);
	check(&scene);
	ZCP_CHECK(zcp_test_worker(scene.runtime.pid) == worker);
	end(&scene);
}

/* --- in the background --- */

static void one_that_finds_none_is_the_first(void)
{
	static const char *const arguments[] = { "--replace", NULL };
	char out[1024], err[1024];
	struct zcp_node *node = NULL;
	pid_t pid = 0;

	for (int round = 0; round < 3; round++) {
		ZCP_CHECK(zcp_test_zcpd(arguments, out, err, sizeof(out)) == 0);
		ZCP_CHECK(zcp_test_runtime_pid("default") > 0);
		ZCP_CHECK(zcp_test_runtime_pid("default") != pid);
		pid = zcp_test_runtime_pid("default");
		if (round == 0)
			node = zcp_test_node();
		ZCP_CHECK(zcp_test_audit(node) == 0);
	}
	ZCP_CHECK(kill(pid, SIGTERM) == 0);
	while (zcp_test_runtime_pid("default") != 0)
		;
	zcp_node_close(node);
}

/* --- under load --- */

static void nothing_is_lost_under_load(void)
{
	struct zcp_test_load load;
	struct scene scene;

	begin(&scene);
	zcp_test_load_begin(&load);
	for (int round = 0; round < ROUNDS; round++) {
		exchange(&scene);
		zcp_test_runtime_replace(&scene.runtime, NULL);
	}
	zcp_test_load_end(&load, "runtimes", ROUNDS);
	while (zcp_test_ask(scene.node, "load") == 0 || zcp_test_ask(scene.node, "other") == 0)
		;
	end(&scene);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(links_go_on),
	ZCP_TEST_CASE(it_has_a_configuration_of_its_own),
	ZCP_TEST_CASE(another_build_is_refused),
	ZCP_TEST_CASE(one_that_dies_leaves_the_old_one),
	ZCP_TEST_CASE(one_that_does_nothing_is_not_waited_for),
	ZCP_TEST_CASE(one_that_cannot_be_configured_takes_nothing),
	ZCP_TEST_CASE(one_that_finds_none_is_the_first),
	ZCP_TEST_CASE(nothing_is_lost_under_load),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
