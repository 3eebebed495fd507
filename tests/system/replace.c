/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zcpd --replace: another runtime takes the domain over, and whoever publishes, subscribes, comes
 * or goes notices nothing. One that cannot, or dies on the way, leaves the old one serving.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pubsub/shm/region.h"
#include "pubsub/wire/paths.h"
#include "pubsub/wire/socket.h"
#include "runtime/failover/keep.h"
#include "tests/support/cases.h"
#include "tests/support/load.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"
#include "tests/support/scene.h"

#define ROUNDS 10

static void links_go_on(void)
{
	unsigned int keeper, worker;
	struct zcp_test_scene scene;

	zcp_test_scene_begin(&scene, NULL);
	zcp_test_scene_check(&scene);
	zcp_test_wait_until_asleep_in(scene.runtime.pid, "poll");
	keeper = zcp_test_n_fds(scene.runtime.pid);
	worker = zcp_test_n_fds(scene.runtime.worker);
	for (int round = 0; round < ROUNDS; round++) {
		zcp_test_send(scene.publisher, ++scene.n);
		zcp_test_runtime_replace(&scene.runtime, NULL);
		ZCP_CHECK(zcp_test_runtime_pid("default") == scene.runtime.pid);
		zcp_test_expect(scene.subscriber, scene.n);
		zcp_test_scene_check(&scene);
		zcp_test_wait_n_fds(scene.runtime.pid, keeper);
		zcp_test_wait_n_fds(scene.runtime.worker, worker);
	}
	/* It is as good as one that was started otherwise. */
	(void)zcp_test_kill_worker(scene.runtime.pid);
	zcp_test_scene_check(&scene);
	zcp_test_scene_end(&scene);
}

static void it_has_a_configuration_of_its_own(void)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_publisher *publisher;
	struct zcp_test_scene scene;

	zcp_test_scene_begin(&scene, NULL);
	zcp_test_runtime_replace(&scene.runtime, "[runtime]\nmax_topics = 1\n");
	options.max_payload = ZCP_SCENE_PAYLOAD;
	ZCP_REFUSED(zcp_publisher_open(&publisher, scene.node, "other", &options), scene.node,
		    -EUSERS, "max_topics");
	zcp_test_scene_check(&scene);
	zcp_test_scene_end(&scene);
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
	struct zcp_test_scene scene;
	pid_t worker;

	zcp_test_scene_begin(&scene, NULL);
	worker = scene.runtime.worker;
	(void)close(ask(fingerprint + 1, &answer));
	ZCP_CHECK(answer.type == ZCP_MESSAGE_ERROR && answer.u.error.code == EPROTO);
	ZCP_CHECK(zcp_test_has(answer.u.error.text, "9.9.9|memory layout|stop that one first"));
	zcp_test_scene_check(&scene);
	ZCP_CHECK(zcp_test_worker(scene.runtime.pid) == worker);
	zcp_test_scene_end(&scene);
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
	struct zcp_test_scene scene;

	zcp_test_scene_begin(&scene, NULL);
	for (int i = 0; i < 2; i++) {
		int socket = ask(zcp_layout_fingerprint(), &answer);

		ZCP_CHECK(answer.type == ZCP_MESSAGE_OK);
		if (i == 1)
			take_records(socket);
		(void)close(socket);
		zcp_test_scene_check(&scene);
		ZCP_CHECK(zcp_test_runtime_pid("default") == scene.runtime.pid);
	}
	ZCP_CHECK(zcp_test_runtime_said(&scene.runtime, "is not replaced"));
	zcp_test_scene_end(&scene);
}

/* It learns that it has come too late, whichever of its workers asks. */
static void one_that_does_nothing_is_not_waited_for(void)
{
	struct zcpd_keep_header header;
	struct zcp_message answer;
	struct zcp_test_scene scene;
	int socket;

	zcp_test_scene_begin(&scene, NULL);
	socket = ask(zcp_layout_fingerprint(), &answer);
	ZCP_CHECK(answer.type == ZCP_MESSAGE_OK);
	/* Not before the old one has given up. */
	zcp_test_scene_check(&scene);
	take_records(socket);
	ZCP_CHECK(recv(socket, &header, sizeof(header), MSG_PEEK) == sizeof(header));
	ZCP_CHECK(header.operation == ZCPD_KEEP_ABORT);
	(void)close(socket);
	zcp_test_scene_end(&scene);
}

static void one_that_cannot_be_configured_takes_nothing(void)
{
	const char *arguments[] = { "--replace", "--config", NULL, NULL };
	char out[64], err[1024];
	struct zcp_test_scene scene;
	pid_t worker;

	zcp_test_scene_begin(&scene, NULL);
	worker = scene.runtime.worker;
	arguments[2] = zcp_test_config("[runtime");
	ZCP_CHECK(zcp_test_zcpd(arguments, out, err, sizeof(out)) == 1);
	zcp_test_scene_check(&scene);
	ZCP_CHECK(zcp_test_worker(scene.runtime.pid) == worker);
	zcp_test_scene_end(&scene);
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
	struct zcp_test_scene scene;

	zcp_test_scene_begin(&scene, NULL);
	zcp_test_load_begin(&load);
	for (int round = 0; round < ROUNDS; round++) {
		zcp_test_scene_exchange(&scene);
		zcp_test_runtime_replace(&scene.runtime, NULL);
	}
	zcp_test_load_end(&load, "runtimes", ROUNDS);
	while (zcp_test_ask(scene.node, "load") == 0 || zcp_test_ask(scene.node, "other") == 0)
		;
	zcp_test_scene_end(&scene);
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

ZCP_TEST_MAIN(cases)
