/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw ends of the control socket.
 */
#include "tests/support/peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "pubsub/shm/region.h"
#include "tests/support/cases.h"

static struct sockaddr_un address_of_runtime(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/default/zcpd.sock",
		       zcp_test_directory());
	return address;
}

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	ZCP_CHECK(fd >= 0);
	return fd;
}

int zcp_test_connect(void)
{
	struct sockaddr_un address = address_of_runtime();
	int fd = new_socket();

	ZCP_CHECK(connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

int zcp_test_listen(void)
{
	struct sockaddr_un address = address_of_runtime();
	int fd = new_socket();
	char directory[128];

	(void)snprintf(directory, sizeof(directory), "%s/default", zcp_test_directory());
	ZCP_CHECK(mkdir(directory, 0700) == 0);
	ZCP_CHECK(bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
	ZCP_CHECK(listen(fd, 8) == 0);
	return fd;
}

struct zcp_message zcp_test_hello(void)
{
	struct zcp_message hello = { .type = ZCP_MESSAGE_HELLO, .id = 1 };

	hello.u.hello.fingerprint = zcp_layout_fingerprint();
	hello.u.hello.membarrier = true;
	(void)strcpy(hello.u.hello.name, "peer");
	return hello;
}

void zcp_test_request(int socket, const struct zcp_message *request, struct zcp_message *reply)
{
	struct zcp_fds fds;

	ZCP_CHECK(zcp_socket_send(socket, request, NULL, 0) == 0);
	do {
		ZCP_CHECK(zcp_socket_receive(socket, reply, &fds) == 0);
		zcp_fds_deinit(&fds);
	} while (reply->id != request->id);
}

int zcp_test_greet(void)
{
	struct zcp_message reply, hello = zcp_test_hello();
	int socket = zcp_test_connect();

	zcp_test_request(socket, &hello, &reply);
	ZCP_CHECK(reply.type == ZCP_MESSAGE_WELCOME);
	return socket;
}

int zcp_test_request_error(int socket, const struct zcp_message *request, const char *words)
{
	struct zcp_message reply;
	int code;

	zcp_test_request(socket, request, &reply);
	ZCP_CHECK(reply.type == ZCP_MESSAGE_ERROR);
	ZCP_CHECK(zcp_test_has(reply.u.error.text, words));
	code = -(int)reply.u.error.code;
	zcp_message_deinit(&reply);
	return code;
}

bool zcp_test_send_bytes(int socket, const void *bytes, size_t size)
{
	ssize_t n = send(socket, bytes, size, MSG_NOSIGNAL);

	if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
		return false;
	ZCP_CHECK(n == (ssize_t)size);
	return true;
}

void zcp_test_expect_disconnect(int socket)
{
	char buffer[65536];
	ssize_t n;

	while ((n = recv(socket, buffer, sizeof(buffer), 0)) > 0)
		;
	ZCP_CHECK(n == 0 || errno == ECONNRESET);
}
