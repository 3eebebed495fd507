/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes and runtimes that do not fit each other, or are not what they say: a process of the
 * test's answers in the runtime's place, and then asks in a node's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zcp/zcp.h>

#include "pubsub/shm/region.h"
#include "pubsub/shm/signal.h"
#include "pubsub/wire/codec.h"
#include "tests/support/cases.h"
#include "tests/support/peer.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define DOMAIN_ID 77
#define SHORTLY_NS 200000000

static struct zcp_node *node;

static int open_shortly(void)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;

	options.timeout_ns = SHORTLY_NS;
	options.auto_start = ZCP_AUTO_START_OFF;
	return zcp_node_open(&node, &options);
}

/* --- in the runtime's place --- */

/* Takes one node, has its hello answered, and waits until it has gone. */
static void serve_one(struct zcp_test_child *self, void *arg)
{
	void (*answer)(int socket) = *(void (**)(int))arg;
	int listener = zcp_test_listen(), socket;
	struct zcp_message message;
	struct zcp_fds fds;

	zcp_test_say_step(self, 0);
	socket = accept(listener, NULL, NULL);
	ZCP_CHECK(socket >= 0);
	ZCP_CHECK(zcp_socket_receive(socket, &message, &fds) == 0);
	ZCP_CHECK(message.type == ZCP_MESSAGE_HELLO && message.id == 1);
	answer(socket);
	zcp_test_expect_disconnect(socket);
}

static void check_answer(void (*answer)(int socket), int error, const char *words)
{
	struct zcp_test_child runtime;
	char path[128];

	zcp_test_fork(&runtime, serve_one, &answer);
	zcp_test_hear_step(&runtime, 0);
	ZCP_REFUSED(open_shortly(), NULL, error, words);
	zcp_test_join(&runtime);
	(void)snprintf(path, sizeof(path), "%s/default/zcpd.sock", zcp_test_directory());
	ZCP_CHECK(unlink(path) == 0);
	*strrchr(path, '/') = 0;
	ZCP_CHECK(rmdir(path) == 0);
}

/* {"v": 99, "t": "welcome", "id": 1}, and more that we cannot know of */
static void answer_with_version_99(int socket)
{
	static const char bytes[] = "\x84\xa1v\x63\xa1t\xa7welcome\xa2id\x01\xa3new\xc3";

	ZCP_CHECK(zcp_test_send_bytes(socket, bytes, sizeof(bytes) - 1));
}

static void answer_with_noise(int socket)
{
	ZCP_CHECK(zcp_test_send_bytes(socket, "HTTP/1.1 400 Bad Request\r\n\r\n", 28));
}

static void answer_with_nothing(int socket)
{
	(void)socket;
}

static struct zcp_message welcome(void)
{
	struct zcp_message message = { .type = ZCP_MESSAGE_WELCOME, .id = 1 };

	message.u.welcome.domain_id = DOMAIN_ID;
	message.u.welcome.fingerprint = zcp_layout_fingerprint();
	(void)strcpy(message.u.welcome.version, "0.1.7");
	return message;
}

static void send_welcome(int socket, const struct zcp_message *message, int fd)
{
	ZCP_CHECK(zcp_socket_send(socket, message, &fd, fd >= 0) == 0);
}

static void answer_with_another_fingerprint(int socket)
{
	struct zcp_message message = welcome();

	message.u.welcome.fingerprint++;
	send_welcome(socket, &message, -1);
}

static void answer_without_descriptor(int socket)
{
	struct zcp_message message = welcome();

	send_welcome(socket, &message, -1);
}

static void answer_with_a_file(int socket)
{
	struct zcp_message message = welcome();
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

	send_welcome(socket, &message, fd);
}

static void answer_with_a_memfd_that_can_shrink(int socket)
{
	struct zcp_message message = welcome();
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ZCP_CHECK(fd >= 0 && ftruncate(fd, 1 << 20) == 0);
	send_welcome(socket, &message, fd);
}

static int make_signals(uint64_t domain_id)
{
	struct zcp_region region;
	int fd;

	ZCP_CHECK(zcp_region_create(&region, &fd, "test", zcp_signals_size(2)) == 0);
	zcp_signals_construct(&region, 2, domain_id);
	zcp_region_deinit(&region);
	return fd;
}

static void answer_for_another_domain(int socket)
{
	struct zcp_message message = welcome();

	send_welcome(socket, &message, make_signals(DOMAIN_ID + 1));
}

static void answer_with_an_impossible_signal(int socket)
{
	struct zcp_message message = welcome();

	message.u.welcome.signal = 2;
	send_welcome(socket, &message, make_signals(DOMAIN_ID));
}

static void answer_with_another_message(int socket)
{
	struct zcp_message message = { .type = ZCP_MESSAGE_OK, .id = 1 };

	ZCP_CHECK(zcp_socket_send(socket, &message, NULL, 0) == 0);
}

static void send_error(int socket, uint32_t code)
{
	struct zcp_message message = { .type = ZCP_MESSAGE_ERROR, .id = 1 };

	message.u.error.code = code;
	(void)strcpy(message.u.error.text, "the moon is in the wrong quarter");
	ZCP_CHECK(zcp_socket_send(socket, &message, NULL, 0) == 0);
}

static void answer_with_an_error(int socket)
{
	send_error(socket, EUSERS);
}

static void answer_with_an_impossible_error(int socket)
{
	send_error(socket, UINT32_MAX);
}

static void answer_with_an_error_that_is_none(int socket)
{
	send_error(socket, 0);
}

static void runtime_that_does_not_fit_is_refused(void)
{
	static const char *const moon = "the moon is in the wrong quarter";

	check_answer(answer_with_version_99, -EPROTO,
		     "runtime of domain 'default'|does not speak our protocol|one version");
	check_answer(answer_with_noise, -EPROTO, "does not speak our protocol|one version");
	check_answer(answer_with_nothing, -ETIMEDOUT, "did not answer within 0.2 s");
	check_answer(answer_with_another_fingerprint, -EPROTO,
		     "version 0.1.7|another memory layout|libzcp " ZCP_VERSION_STRING "|one build");
	check_answer(answer_without_descriptor, -EPROTO, "signal region|no descriptor");
	check_answer(answer_with_a_file, -EPROTO, "signal region|not a memfd");
	check_answer(answer_with_a_memfd_that_can_shrink, -EPROTO, "signal region|not sealed");
	check_answer(answer_for_another_domain, -EPROTO, "signal region|another domain");
	check_answer(answer_with_an_impossible_signal, -EPROTO, "impossible signal");
	check_answer(answer_with_another_message, -EPROTO, "does not speak our protocol");
	check_answer(answer_with_an_error, -EUSERS, moon);
	check_answer(answer_with_an_impossible_error, -EPROTO, moon);
	check_answer(answer_with_an_error_that_is_none, -EPROTO, moon);
}

/* --- in a node's place --- */

static void node_of_another_version_is_told(void)
{
	/* {"v": 99, "t": "hello", "id": 9} */
	static const char bytes[] = "\x83\xa1v\x63\xa1t\xa5hello\xa2id\x09";
	struct zcp_test_runtime runtime;
	struct zcp_message reply, hello = zcp_test_hello();
	struct zcp_fds fds;
	int socket;

	zcp_test_runtime_start(&runtime, NULL);
	socket = zcp_test_connect();
	ZCP_CHECK(zcp_test_send_bytes(socket, bytes, sizeof(bytes) - 1));
	ZCP_CHECK(zcp_socket_receive(socket, &reply, &fds) == 0);
	ZCP_CHECK(reply.type == ZCP_MESSAGE_ERROR && reply.id == 9);
	ZCP_CHECK(reply.u.error.code == EPROTO);
	ZCP_CHECK(zcp_test_has(reply.u.error.text,
			       "zcpd " ZCP_VERSION_STRING
			       "|protocol version 1|node version 99|one version"));
	/* It may still think better of it. */
	zcp_test_request(socket, &hello, &reply);
	ZCP_CHECK(reply.type == ZCP_MESSAGE_WELCOME);
	(void)close(socket);
}

static void node_of_another_layout_is_told(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_message hello = zcp_test_hello();
	int socket;

	zcp_test_runtime_start(&runtime, NULL);
	socket = zcp_test_connect();
	hello.u.hello.fingerprint ^= 1;
	ZCP_CHECK(zcp_test_request_error(socket, &hello,
					 "another memory layout|zcpd " ZCP_VERSION_STRING
					 "|one build") == -EPROTO);
	(void)close(socket);
}

/* A message of a newer version within the protocol is refused and the connection goes on. */
static void message_that_is_not_known_is_refused(void)
{
	/* {"v": 1, "t": "dance", "id": 9} */
	static const char bytes[] = "\x83\xa1v\x01\xa1t\xa5"
				    "dance\xa2id\x09";
	static const enum zcp_message_type not_for_runtimes[] = {
		ZCP_MESSAGE_WELCOME, ZCP_MESSAGE_OPENED, ZCP_MESSAGE_POOL_CLASSES, ZCP_MESSAGE_OK,
		ZCP_MESSAGE_ERROR,   ZCP_MESSAGE_TOPICS, ZCP_MESSAGE_TOPIC_INFO,
	};
	struct zcp_message reply, hello = zcp_test_hello();
	struct zcp_test_runtime runtime;
	struct zcp_fds fds;
	int socket;

	zcp_test_runtime_start(&runtime, NULL);
	socket = zcp_test_connect();
	zcp_test_request(socket, &hello, &reply);
	ZCP_CHECK(zcp_test_send_bytes(socket, bytes, sizeof(bytes) - 1));
	ZCP_CHECK(zcp_socket_receive(socket, &reply, &fds) == 0);
	ZCP_CHECK(reply.type == ZCP_MESSAGE_ERROR && reply.id == 9);
	ZCP_CHECK(reply.u.error.code == EOPNOTSUPP);
	for (size_t i = 0; i < sizeof(not_for_runtimes) / sizeof(not_for_runtimes[0]); i++) {
		struct zcp_message message = { .type = not_for_runtimes[i], .id = 10 + i };

		ZCP_CHECK(zcp_test_request_error(socket, &message, "does not take") == -EOPNOTSUPP);
	}
	(void)close(socket);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(runtime_that_does_not_fit_is_refused),
	ZCP_TEST_CASE(node_of_another_version_is_told),
	ZCP_TEST_CASE(node_of_another_layout_is_told),
	ZCP_TEST_CASE(message_that_is_not_known_is_refused),
};

ZCP_TEST_MAIN(cases)
