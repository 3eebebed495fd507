/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets and descriptors over a pair of sockets.
 */
#include "pubsub/wire/socket.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pubsub/util.h"
#include "tests/support/process.h"

static int ends[2];

static void setup(void)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
		     0);
}

static void teardown(void)
{
	zcp_close_fd(&ends[0]);
	zcp_close_fd(&ends[1]);
}

TestSuite(socket, .init = setup, .fini = teardown);

static struct zcp_message a_message(uint64_t id)
{
	struct zcp_message message = { .type = ZCP_MESSAGE_CLOSE, .id = id };

	message.u.close.endpoint = id + 1;
	return message;
}

static void send_one(const int *fds, uint32_t n_fds)
{
	struct zcp_message message = a_message(7);

	cr_assert_eq(zcp_socket_send(ends[0], &message, fds, n_fds), 0);
}

/* A file of so many bytes, to be told from others. */
static int file_of(uint32_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	cr_assert(fd >= 0 && ftruncate(fd, size) == 0);
	return fd;
}

static int receive(struct zcp_message *message, struct zcp_fds *fds)
{
	memset(message, 0, sizeof(*message));
	fds->n_fds = 4711;
	return zcp_socket_receive(ends[1], message, fds);
}

/* A packet of bytes with so many descriptors of /dev/null. */
static void send_bytes(const void *bytes, size_t size, size_t n_fds)
{
	union {
		char buffer[CMSG_SPACE(sizeof(int) * 253)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	memset(&control, 0, sizeof(control));
	if (n_fds > 0) {
		struct cmsghdr *rights;

		header.msg_control = control.buffer;
		header.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		for (size_t i = 0; i < n_fds; i++)
			memcpy(CMSG_DATA(rights) + i * sizeof(int), &null, sizeof(int));
	}
	cr_assert_eq(sendmsg(ends[0], &header, MSG_NOSIGNAL), (ssize_t)size);
	zcp_close_fd(&null);
}

Test(socket, messages_come_in_order)
{
	struct zcp_message message;
	struct zcp_fds fds;

	for (uint64_t id = 1; id <= 10; id++) {
		message = a_message(id);
		cr_assert_eq(zcp_socket_send(ends[0], &message, NULL, 0), 0);
	}
	for (uint64_t id = 1; id <= 10; id++) {
		cr_assert_eq(receive(&message, &fds), 0);
		cr_assert_eq(message.type, ZCP_MESSAGE_CLOSE);
		cr_assert_eq(message.id, id);
		cr_assert_eq(message.u.close.endpoint, id + 1);
		cr_assert_eq(fds.n_fds, 0);
	}
	cr_assert_eq(receive(&message, &fds), -EAGAIN);
	cr_assert_eq(fds.n_fds, 0);
}

Test(socket, descriptors_come_in_order_and_are_closed_on_exec)
{
	unsigned int n = zcp_test_n_fds(getpid());
	int sent[ZCP_PACKET_FDS_MAX];
	struct zcp_message message;
	struct zcp_fds fds;

	for (uint32_t i = 0; i < ZCP_PACKET_FDS_MAX; i++)
		sent[i] = file_of(i);
	send_one(sent, ZCP_PACKET_FDS_MAX);
	cr_assert_eq(receive(&message, &fds), 0);
	cr_assert_eq(fds.n_fds, ZCP_PACKET_FDS_MAX);
	for (uint32_t i = 0; i < ZCP_PACKET_FDS_MAX; i++) {
		struct stat st;

		cr_assert_eq(fstat(fds.fds[i], &st), 0);
		cr_assert_eq(st.st_size, (off_t)i);
		cr_assert_neq(fds.fds[i], sent[i]);
		cr_assert(fcntl(fds.fds[i], F_GETFD) & FD_CLOEXEC);
		/* The sender's were borrowed. */
		cr_assert_eq(fstat(sent[i], &st), 0);
		zcp_close_fd(&sent[i]);
	}
	zcp_fds_deinit(&fds);
	cr_assert_eq(fds.n_fds, 0);
	cr_assert_eq(zcp_test_n_fds(getpid()), n);
}

Test(socket, too_many_descriptors_are_not_sent)
{
	struct zcp_message message = a_message(1);
	int fds[ZCP_PACKET_FDS_MAX + 1] = { 0 };

	cr_assert_eq(zcp_socket_send(ends[0], &message, fds, ZCP_PACKET_FDS_MAX + 1), -EMSGSIZE);
	cr_assert_eq(zcp_socket_send_packet(ends[0], "x", 1, fds, ZCP_PACKET_FDS_MAX + 1),
		     -EMSGSIZE);
}

Test(socket, peer_that_has_closed_is_no_signal)
{
	struct zcp_message message = a_message(1);
	struct zcp_fds fds;

	cr_assert_neq(signal(SIGPIPE, SIG_DFL), SIG_ERR);
	send_one(NULL, 0);
	zcp_close_fd(&ends[0]);
	cr_assert_eq(receive(&message, &fds), 0);
	cr_assert_eq(receive(&message, &fds), -EPIPE);
	message = a_message(2);
	cr_assert_eq(zcp_socket_send(ends[1], &message, NULL, 0), -EPIPE);
}

/* Linux says so where the peer has closed with something unread. */
Test(socket, peer_that_has_closed_without_reading_is_told_apart)
{
	struct zcp_message message = a_message(1);
	struct zcp_fds fds;

	send_one(NULL, 0);
	zcp_close_fd(&ends[1]);
	ends[1] = ends[0];
	ends[0] = -1;
	cr_assert_eq(receive(&message, &fds), -ECONNRESET);
	cr_assert_eq(receive(&message, &fds), -EPIPE);
}

Test(socket, buffer_that_is_full_is_try_again)
{
	struct zcp_message message = a_message(1);
	struct zcp_fds fds;
	int r, n = 0;

	while ((r = zcp_socket_send(ends[0], &message, NULL, 0)) == 0)
		cr_assert_lt(++n, 1000000);
	cr_assert_eq(r, -EAGAIN);
	cr_assert_gt(n, 0);
	for (int i = 0; i < n; i++)
		cr_assert_eq(receive(&message, &fds), 0);
	cr_assert_eq(receive(&message, &fds), -EAGAIN);
	send_one(NULL, 0);
	cr_assert_eq(receive(&message, &fds), 0);
}

Test(socket, packet_that_is_cut_off_is_an_error)
{
	static const char bytes[ZCP_PACKET_SIZE_MAX + 1];
	struct zcp_message message;
	struct zcp_fds fds;

	send_bytes(bytes, sizeof(bytes), 3);
	cr_assert_eq(receive(&message, &fds), -EMSGSIZE);
	cr_assert_eq(fds.n_fds, 0);
	/* The next one is whole. */
	send_one(NULL, 0);
	cr_assert_eq(receive(&message, &fds), 0);
}

Test(socket, empty_packet_is_an_end)
{
	struct zcp_message message;
	struct zcp_fds fds;

	send_bytes("", 0, 0);
	cr_assert_eq(receive(&message, &fds), -EPIPE);
}

Test(socket, descriptors_of_a_bad_packet_are_closed)
{
	unsigned int n = zcp_test_n_fds(getpid());
	struct zcp_message message;
	struct zcp_fds fds;

	send_bytes("nonsense", 8, 20);
	cr_assert_eq(receive(&message, &fds), -EPROTO);
	cr_assert_eq(fds.n_fds, 0);
	send_bytes("\x82\xa1v\x63\xa1t\xa2ok", 9, 20);
	cr_assert_eq(receive(&message, &fds), -EPROTONOSUPPORT);
	cr_assert_eq(message.version, 99);
	cr_assert_eq(fds.n_fds, 0);
	cr_assert_eq(zcp_test_n_fds(getpid()), n);
}

/* More than our table: the kernel cuts them off, and we keep none. */
Test(socket, more_descriptors_than_fit_are_an_error_with_the_message)
{
	unsigned int n = zcp_test_n_fds(getpid());
	struct zcp_message message;
	struct zcp_fds fds;

	send_bytes("\x83\xa1v\x01\xa1t\xa2ok\xa2id\x09", 13, ZCP_PACKET_FDS_MAX + 1);
	cr_assert_eq(receive(&message, &fds), -EMFILE);
	cr_assert_eq(message.type, ZCP_MESSAGE_OK);
	cr_assert_eq(message.id, 9);
	cr_assert_eq(fds.n_fds, 0);
	cr_assert_eq(zcp_test_n_fds(getpid()), n);
}

Test(socket, process_without_room_for_descriptors_gets_none)
{
	unsigned int n;
	struct rlimit limit, old;
	struct zcp_message message;
	struct zcp_fds fds;
	int last;

	/* Without a gap below the last one. */
	do {
		last = dup(ends[0]);
		n = zcp_test_n_fds(getpid());
	} while ((unsigned int)last + 2 != n);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	limit = old;
	send_bytes("\x83\xa1v\x01\xa1t\xa2ok\xa2id\x09", 13, 5);
	limit.rlim_cur = (rlim_t)last + 3;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(receive(&message, &fds), -EMFILE);
	cr_assert_eq(message.id, 9);
	cr_assert_eq(fds.n_fds, 0);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	cr_assert_eq(zcp_test_n_fds(getpid()), n);
}

Test(socket, message_that_was_looked_at_is_there_until_it_is_consumed)
{
	unsigned int n_fds;
	int fd = file_of(1);

	send_one(&fd, 1);
	send_one(NULL, 0);
	n_fds = zcp_test_n_fds(getpid());
	for (int i = 0; i < 3; i++) {
		struct zcp_message message;
		struct zcp_fds fds;

		cr_assert_eq(zcp_socket_peek(ends[1], &message, &fds), 0);
		cr_assert(message.id == 7 && fds.n_fds == 1);
		zcp_message_deinit(&message);
		zcp_fds_deinit(&fds);
	}
	zcp_socket_consume(ends[1]);
	cr_assert_eq(zcp_test_n_fds(getpid()), n_fds);
	for (int i = 0; i < 2; i++) {
		struct zcp_message message;
		struct zcp_fds fds;

		cr_assert_eq(zcp_socket_peek(ends[1], &message, &fds), i == 0 ? 0 : -EAGAIN);
		cr_assert_eq(fds.n_fds, 0);
		zcp_socket_consume(ends[1]);
	}
	(void)close(fd);
}
