/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients of the control socket that are broken or malicious: each loses its connection, or
 * is refused what it asked for, and nobody else notices.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zcp/zcp.h>

#include "pubsub/wire/codec.h"
#include "tests/support/cases.h"
#include "tests/support/peer.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

/* Two honest nodes, which go on all the time, and whose runtime is the same all the time. */
struct honest {
	struct zcp_test_runtime runtime;
	struct zcp_node *node;
	struct zcp_node *other;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
	uint64_t n;
};

static void begin(struct honest *honest)
{
	*honest = (struct honest){ .n = 0 };
	zcp_test_runtime_start(&honest->runtime, NULL);
	honest->node = zcp_test_node();
	honest->other = zcp_test_node();
	honest->publisher = zcp_test_publisher(honest->node, "honest", 64, 2);
	honest->subscriber = zcp_test_subscriber(honest->other, "honest", 4, 2, 0);
}

/* Messages arrive, and the runtime does its work. */
static void check_undisturbed(struct honest *honest)
{
	struct zcp_subscriber *late = zcp_test_subscriber(honest->node, "honest", 4, 2, 0);
	struct zcp_publisher *more = zcp_test_publisher(honest->other, "more", 64, 1);

	zcp_test_send(honest->publisher, ++honest->n);
	zcp_test_expect(honest->subscriber, honest->n);
	zcp_test_expect(late, honest->n);
	zcp_subscriber_close(late);
	zcp_publisher_close(more);
	ZCP_CHECK(zcp_publisher_n_subscribers(honest->publisher) == 1);
	ZCP_CHECK(zcp_test_n_busy(honest->node) == 0);
	ZCP_CHECK(!zcp_test_ends(honest->runtime.pidfd, 0));
}

static void end(struct honest *honest)
{
	check_undisturbed(honest);
	zcp_node_close(honest->node);
	zcp_node_close(honest->other);
	zcp_test_runtime_stop(&honest->runtime);
}

static size_t pack(const struct zcp_message *message, char *buffer)
{
	size_t size;

	ZCP_CHECK(zcp_codec_pack(message, buffer, ZCP_PACKET_SIZE_MAX, &size) == 0);
	return size;
}

/* Sends it before and after the introduction, and is thrown out both times. */
static void check_thrown_out(const void *bytes, size_t size)
{
	int stranger = zcp_test_connect(), guest = zcp_test_greet();

	ZCP_CHECK(zcp_test_send_bytes(stranger, bytes, size));
	zcp_test_expect_disconnect(stranger);
	ZCP_CHECK(zcp_test_send_bytes(guest, bytes, size));
	zcp_test_expect_disconnect(guest);
	(void)close(stranger);
	(void)close(guest);
}

static void truncated_message(void)
{
	static char buffer[ZCP_PACKET_SIZE_MAX];
	struct zcp_message hello = zcp_test_hello();
	struct honest honest;
	size_t size;

	begin(&honest);
	size = pack(&hello, buffer);
	for (size_t n = 0; n < size; n++)
		check_thrown_out(buffer, n);
	ZCP_CHECK(zcp_test_runtime_said(&honest.runtime, "sent a malformed message: disconnected"));
	end(&honest);
}

static void malformed_message(void)
{
	static const struct {
		const char *bytes;
		size_t size;
	} packets[] = {
#define PACKET(text) { text, sizeof(text) - 1 }
		PACKET("\xc0"),
		PACKET("\xc1"),
		PACKET("GET / HTTP/1.1\r\n\r\n"),
		PACKET("\x80"),
		/* no "v", a negative one, one that is a string */
		PACKET("\x82\xa1t\xa5hello\xa2id\x01"),
		PACKET("\x82\xa1v\xff\xa1t\xa5hello"),
		PACKET("\x82\xa1v\xa1\x31\xa1t\xa5hello"),
		/* "t" is a number; "id" is a string */
		PACKET("\x82\xa1v\x01\xa1t\x05"),
		PACKET("\x83\xa1v\x01\xa1t\xa5hello\xa2id\xa1x"),
		/* a name with a zero in it, and one of another kind */
		PACKET("\x83\xa1v\x01\xa1t\xa5hello\xa4name\xa3"
		       "a\0b"),
		PACKET("\x83\xa1v\x01\xa1t\xa5hello\xa4name\xc3"),
		/* two messages in a packet */
		PACKET("\x82\xa1v\x01\xa1t\xa4list\x82\xa1v\x01\xa1t\xa4list"),
		/* lengths that are not there: 2^32 - 1 entries, and bytes */
		PACKET("\xdf\xff\xff\xff\xff"),
		PACKET("\xdd\xff\xff\xff\xff"),
		PACKET("\xdb\xff\xff\xff\xff"),
		PACKET("\xc6\xff\xff\xff\xff"),
	};
	struct honest honest;

	begin(&honest);
	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++)
		check_thrown_out(packets[i].bytes, packets[i].size);
	end(&honest);
}

static void message_that_is_too_large(void)
{
	static char bytes[ZCP_PACKET_SIZE_MAX + 1];
	struct honest honest;

	begin(&honest);
	/* Arrays in arrays, all the way down. */
	memset(bytes, 0x91, sizeof(bytes));
	check_thrown_out(bytes, ZCP_PACKET_SIZE_MAX);
	check_thrown_out(bytes, ZCP_PACKET_SIZE_MAX + 1);
	/* Maps that promise more than there is. */
	memset(bytes, 0x8f, sizeof(bytes));
	check_thrown_out(bytes, ZCP_PACKET_SIZE_MAX);
	end(&honest);
}

static void noise(void)
{
	static char buffer[ZCP_PACKET_SIZE_MAX];
	struct zcp_message request = { .type = ZCP_MESSAGE_OPEN_SUBSCRIBER, .id = 5 };
	struct honest honest;
	uint32_t random = 4711;
	size_t size;

	begin(&honest);
	(void)strcpy(request.u.open_subscriber.topic, "noise");
	size = pack(&request, buffer);
	for (int round = 0; round < 2000; round++) {
		int socket = zcp_test_greet();

		/* A message with some bytes changed, which may be one that is allowed. */
		(void)pack(&request, buffer);
		for (uint32_t i = 0; i <= zcp_test_random(&random) % 4; i++)
			buffer[zcp_test_random(&random) % size] = (char)zcp_test_random(&random);
		ZCP_CHECK(zcp_test_send_bytes(socket, buffer, size));
		(void)close(socket);
	}
	end(&honest);
}

static void manners(void)
{
	struct zcp_message list = { .type = ZCP_MESSAGE_LIST, .id = 3 }, hello = zcp_test_hello();
	static char buffer[ZCP_PACKET_SIZE_MAX];
	struct honest honest;
	int socket;

	begin(&honest);
	socket = zcp_test_connect();
	ZCP_CHECK(zcp_test_send_bytes(socket, buffer, pack(&list, buffer)));
	zcp_test_expect_disconnect(socket);
	ZCP_CHECK(zcp_test_runtime_said(&honest.runtime, "asks before it has introduced itself"));
	(void)close(socket);
	socket = zcp_test_greet();
	ZCP_CHECK(zcp_test_send_bytes(socket, buffer, pack(&hello, buffer)));
	zcp_test_expect_disconnect(socket);
	ZCP_CHECK(zcp_test_runtime_said(&honest.runtime, "introduces itself twice"));
	(void)close(socket);
	end(&honest);
}

/* Sends as many descriptors as the kernel lets it, with a message that wants none. */
static void send_descriptors(int socket, int n)
{
	struct zcp_message list = { .type = ZCP_MESSAGE_LIST, .id = 3 };
	union {
		char buffer[CMSG_SPACE(sizeof(int) * 253)];
		struct cmsghdr align;
	} control;
	static char buffer[ZCP_PACKET_SIZE_MAX];
	struct iovec iov = { .iov_base = buffer, .iov_len = pack(&list, buffer) };
	struct msghdr header = { .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control.buffer,
				 .msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n) };
	struct cmsghdr *rights;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	memset(&control, 0, sizeof(control));
	rights = CMSG_FIRSTHDR(&header);
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n);
	for (int i = 0; i < n; i++)
		memcpy(CMSG_DATA(rights) + (size_t)i * sizeof(int), &null, sizeof(int));
	ZCP_CHECK(sendmsg(socket, &header, MSG_NOSIGNAL) > 0);
	(void)close(null);
}

static void descriptors_that_nobody_asked_for(void)
{
	struct honest honest;
	struct zcp_message reply;
	struct zcp_fds fds;
	unsigned int n;
	int socket;

	begin(&honest);
	n = zcp_test_n_fds(honest.runtime.worker);
	socket = zcp_test_greet();
	for (int i = 0; i < 100; i++) {
		send_descriptors(socket, 100);
		ZCP_CHECK(zcp_socket_receive(socket, &reply, &fds) == 0);
		ZCP_CHECK(reply.type == ZCP_MESSAGE_TOPICS && fds.n_fds == 0);
		zcp_message_deinit(&reply);
	}
	(void)close(socket);
	socket = zcp_test_greet();
	send_descriptors(socket, 253);
	zcp_test_expect_disconnect(socket);
	(void)close(socket);
	check_undisturbed(&honest);
	/* Two connections, whose ends it may not have seen yet. */
	ZCP_CHECK(zcp_test_n_fds(honest.runtime.worker) <= n + 4);
	end(&honest);
}

/* Says that its eventfd is what these descriptors are, and is thrown out. */
static void check_no_waker(const int *fds, uint32_t n)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_SIGNAL_FD, .id = 4 };
	int socket = zcp_test_greet();

	ZCP_CHECK(zcp_socket_send(socket, &request, fds, n) == 0);
	zcp_test_expect_disconnect(socket);
	(void)close(socket);
}

/*
 * What others would write to in order to wake it: nothing that makes them wait, or kills them.
 */
static void descriptors_that_nobody_can_wake_with(void)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_SIGNAL_FD, .id = 4 }, reply;
	int pipes[2], sockets[2], waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int two[2] = { waker, waker }, blocking = eventfd(0, EFD_CLOEXEC), socket;
	struct honest honest;

	begin(&honest);
	ZCP_CHECK(pipe2(pipes, O_CLOEXEC | O_NONBLOCK) == 0);
	ZCP_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets) == 0);
	check_no_waker(NULL, 0);
	check_no_waker(two, 2);
	check_no_waker(&blocking, 1);
	for (int i = 0; i < 2; i++) {
		check_no_waker(&pipes[i], 1);
		check_no_waker(&sockets[i], 1);
		(void)close(pipes[i]);
		(void)close(sockets[i]);
	}
	ZCP_CHECK(zcp_test_runtime_said(&honest.runtime, "sent no non-blocking eventfd"));
	socket = zcp_test_greet();
	ZCP_CHECK(zcp_socket_send(socket, &request, &waker, 1) == 0);
	ZCP_CHECK(zcp_socket_receive(socket, &reply, &(struct zcp_fds){ .n_fds = 0 }) == 0);
	ZCP_CHECK(reply.type == ZCP_MESSAGE_OK);
	zcp_message_deinit(&reply);
	(void)close(socket);
	(void)close(waker);
	(void)close(blocking);
	end(&honest);
}

/*
 * Asks and asks, and reads no answer. At some time it is not listened to any more, even
 * though the runtime has had its turn; or it is thrown out.
 */
static void flood(void)
{
	struct zcp_message list = { .type = ZCP_MESSAGE_LIST, .id = 3 };
	static char buffer[ZCP_PACKET_SIZE_MAX];
	size_t size = pack(&list, buffer);
	int socket, n = 0, n_refused = 0;
	struct honest honest;

	begin(&honest);
	socket = zcp_test_greet();
	while (n_refused < 10) {
		if (send(socket, buffer, size, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
			ZCP_CHECK(++n < 1000000);
			n_refused = 0;
		} else if (errno == EAGAIN) {
			n_refused++;
			check_undisturbed(&honest);
		} else {
			ZCP_CHECK(errno == EPIPE || errno == ECONNRESET);
			break;
		}
	}
	check_undisturbed(&honest);
	/* Then it goes away with all of it unread. */
	(void)close(socket);
	end(&honest);
}

static void many_connections(void)
{
	enum { N = 300 };
	struct honest honest;
	int sockets[N];

	begin(&honest);
	for (int i = 0; i < N; i++)
		sockets[i] = i % 2 ? zcp_test_connect() : zcp_test_greet();
	check_undisturbed(&honest);
	for (int i = 0; i < N; i++)
		(void)close(sockets[i]);
	end(&honest);
}

/* What no libzcp would ask for is refused, whoever asks. */
static void check_open(int socket, const char *topic, uint64_t payload, uint32_t loans, int error)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_OPEN_PUBLISHER, .id = 9 };

	(void)strcpy(request.u.open_publisher.topic, topic);
	request.u.open_publisher.max_payload = payload;
	request.u.open_publisher.loans = loans;
	ZCP_CHECK(zcp_test_request_error(socket, &request, "") == error);
}

static void check_subscribe(int socket, const char *topic, uint32_t depth, uint32_t held,
			    uint32_t on_full, int error)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_OPEN_SUBSCRIBER, .id = 9 };

	(void)strcpy(request.u.open_subscriber.topic, topic);
	request.u.open_subscriber.depth = depth;
	request.u.open_subscriber.held = held;
	request.u.open_subscriber.on_full = on_full;
	ZCP_CHECK(zcp_test_request_error(socket, &request, "") == error);
}

static void requests_that_no_node_makes(void)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_CLOSE, .id = 4 }, reply;
	struct honest honest;
	int socket;

	begin(&honest);
	socket = zcp_test_greet();
	check_open(socket, "", 64, 1, -EINVAL);
	check_open(socket, "a\nb", 64, 1, -EINVAL);
	check_open(socket, "*", 64, 1, -EINVAL);
	check_open(socket, "x", UINT64_MAX, 1, -EMSGSIZE);
	check_open(socket, "x", 64, UINT32_MAX, -EINVAL);
	check_subscribe(socket, "", 1, 1, 0, -EINVAL);
	check_subscribe(socket, "x", UINT32_MAX, 1, 0, -ERANGE);
	check_subscribe(socket, "x", 1, UINT32_MAX, 0, -ERANGE);
	check_subscribe(socket, "x", 1, 1, UINT32_MAX, -EINVAL);
	/* What belongs to others is not closed, and its chunks are not handed out. */
	request.u.close.endpoint = zcp_publisher_id(honest.publisher);
	zcp_test_request(socket, &request, &reply);
	ZCP_CHECK(reply.type == ZCP_MESSAGE_OK);
	request.type = ZCP_MESSAGE_POOL_GET;
	request.u.pool_get.endpoint = zcp_publisher_id(honest.publisher);
	ZCP_CHECK(zcp_test_request_error(socket, &request, "no such endpoint") == -EINVAL);
	request.type = ZCP_MESSAGE_INFO;
	(void)strcpy(request.u.info.topic, "not there");
	ZCP_CHECK(zcp_test_request_error(socket, &request, "there is no topic 'not there'") ==
		  -ENOENT);
	check_undisturbed(&honest);
	zcp_test_info(honest.node, "honest", &reply);
	ZCP_CHECK(reply.u.topic_info.n_publishers == 1);
	zcp_message_deinit(&reply);
	(void)close(socket);
	end(&honest);
}

/* --- a connection that ends before its process does --- */

static uint64_t subscribe(int socket, const char *topic)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_OPEN_SUBSCRIBER, .id = 2 }, reply;
	uint64_t id;

	(void)strcpy(request.u.open_subscriber.topic, topic);
	zcp_test_request(socket, &request, &reply);
	ZCP_CHECK(reply.type == ZCP_MESSAGE_OPENED);
	id = reply.u.opened.endpoint;
	zcp_message_deinit(&reply);
	return id;
}

static void subscribe_and_hang_up(struct zcp_test_child *self, void *arg)
{
	int socket = zcp_test_greet();

	(void)arg;
	(void)subscribe(socket, "honest");
	zcp_test_say_step(self, 1);
	zcp_test_hear_step(self, 2);
	ZCP_CHECK(zcp_test_send_bytes(socket, "?", 1));
	zcp_test_expect_disconnect(socket);
	zcp_test_say_step(self, 3);
	zcp_test_wait_for_the_end(self);
}

/*
 * Its endpoints are inactive until its process ends: it gets nothing new, and keeps what it
 * had. Then they are gone; and whoever has come meanwhile has the runtime's attention still.
 */
static void connection_ends_and_process_lives(void)
{
	struct zcp_test_child child;
	struct honest honest;
	int newcomers[8];

	begin(&honest);
	zcp_test_fork(&child, subscribe_and_hang_up, NULL);
	zcp_test_hear_step(&child, 1);
	ZCP_CHECK(zcp_publisher_n_subscribers(honest.publisher) == 2);
	zcp_test_send(honest.publisher, ++honest.n);
	zcp_test_expect(honest.subscriber, honest.n);
	zcp_test_say_step(&child, 2);
	zcp_test_hear_step(&child, 3);
	/* It is hung up on first: an answer says that the runtime is done with it. */
	zcp_test_wait_for_members(honest.node, "honest", 1, 2);
	ZCP_CHECK(zcp_publisher_n_subscribers(honest.publisher) == 1);
	zcp_test_send(honest.publisher, ++honest.n);
	zcp_test_expect(honest.subscriber, honest.n);
	/* What it has keeps nothing else from coming back. */
	for (int i = 0; i < 10000; i++) {
		zcp_test_send(honest.publisher, ++honest.n);
		zcp_test_expect(honest.subscriber, honest.n);
	}
	ZCP_CHECK(zcp_test_n_busy(honest.node) == 1);
	zcp_test_wait_for_members(honest.node, "honest", 1, 2);

	/* The runtime's descriptor of that connection may be somebody else's by now. */
	for (size_t i = 0; i < sizeof(newcomers) / sizeof(newcomers[0]); i++)
		newcomers[i] = zcp_test_greet();
	zcp_test_kill(&child);
	zcp_test_wait_for_members(honest.node, "honest", 1, 1);
	ZCP_CHECK(zcp_test_n_busy(honest.node) == 0);
	for (size_t i = 0; i < sizeof(newcomers) / sizeof(newcomers[0]); i++) {
		(void)subscribe(newcomers[i], "newcomers");
		(void)close(newcomers[i]);
	}
	end(&honest);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(truncated_message),
	ZCP_TEST_CASE(malformed_message),
	ZCP_TEST_CASE(message_that_is_too_large),
	ZCP_TEST_CASE(noise),
	ZCP_TEST_CASE(manners),
	ZCP_TEST_CASE(descriptors_that_nobody_asked_for),
	ZCP_TEST_CASE(descriptors_that_nobody_can_wake_with),
	ZCP_TEST_CASE(flood),
	ZCP_TEST_CASE(many_connections),
	ZCP_TEST_CASE(requests_that_no_node_makes),
	ZCP_TEST_CASE(connection_ends_and_process_lives),
};

ZCP_TEST_MAIN(cases)
