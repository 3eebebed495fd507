/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the socket onto the shelf, and back.
 */
#include "tests/fuzz/support/keeper.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "pubsub/util.h"
#include "pubsub/wire/socket.h"
#include "tests/fuzz/support/mortal.h"
#include "tests/support/check.h"

static struct zcp_fuzz_keeper *keeper;
static char buffer[ZCPD_KEEP_SIZE_MAX];

/* The linker's names. NOLINTBEGIN(bugprone-reserved-identifier) */
int __real_zcp_socket_send_packet(int socket, const char *packet, size_t size, const int *fds,
				  uint32_t n_fds);
int __real_zcp_socket_receive_packet(int socket, int flags, char *packet, size_t packet_size,
				     size_t *size, struct zcp_fds *fds);
int __wrap_zcp_socket_send_packet(int socket, const char *packet, size_t size, const int *fds,
				  uint32_t n_fds);
int __wrap_zcp_socket_receive_packet(int socket, int flags, char *packet, size_t packet_size,
				     size_t *size, struct zcp_fds *fds);

/* The worker may be out of descriptors; we are another process. */
static void lift_limit(struct rlimit *before)
{
	struct rlimit limit;

	ZCP_CHECK(getrlimit(RLIMIT_NOFILE, before) == 0);
	limit = *before;
	limit.rlim_cur = limit.rlim_max;
	ZCP_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void take_one(void)
{
	struct zcpd_shelf *shelf = keeper->other ? keeper->other : &keeper->shelf;
	struct zcpd_keep_header header;
	struct zcp_fds fds;
	size_t size;

	ZCP_CHECK(__real_zcp_socket_receive_packet(keeper->socket, MSG_DONTWAIT, buffer,
						   sizeof(buffer), &size, &fds) == 0);
	ZCP_CHECK(size >= sizeof(header));
	memcpy(&header, buffer, sizeof(header));
	switch (header.operation) {
	case ZCPD_KEEP_RECORD:
		ZCP_CHECK(zcpd_shelf_keep(shelf, header.kind, header.id, buffer + sizeof(header),
					  size - sizeof(header), fds.fds, fds.n_fds) == 0);
		fds.n_fds = 0;
		break;
	case ZCPD_KEEP_DROP:
		zcpd_shelf_drop(shelf, header.kind, header.id);
		break;
	default:
		ZCP_CHECK(false);
	}
	zcp_fds_deinit(&fds);
}

static void hand_out_one(void)
{
	const struct zcpd_shelf_record *record = keeper->next;
	struct zcpd_keep_header header = { .operation = ZCPD_KEEP_END };
	size_t size = sizeof(header);

	if (record) {
		header.operation = ZCPD_KEEP_RECORD;
		header.kind = record->kind;
		header.id = record->id;
		memcpy(buffer + size, record->bytes, record->size);
		size += record->size;
		keeper->next = TAILQ_NEXT(record, link);
	}
	memcpy(buffer, &header, sizeof(header));
	ZCP_CHECK(__real_zcp_socket_send_packet(keeper->socket, buffer, size,
						record ? record->fds : NULL,
						record ? record->n_fds : 0) == 0);
}

int __wrap_zcp_socket_send_packet(int socket, const char *packet, size_t size, const int *fds,
				  uint32_t n_fds)
{
	struct rlimit limit;
	bool was_running;
	int r;

	if (!keeper || socket != keeper->worker)
		return __real_zcp_socket_send_packet(socket, packet, size, fds, n_fds);
	was_running = zcp_fuzz_mortal_pause();
	lift_limit(&limit);
	r = __real_zcp_socket_send_packet(socket, packet, size, fds, n_fds);
	ZCP_CHECK(r == 0);
	take_one();
	ZCP_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	zcp_fuzz_mortal_go_on(was_running);
	return r;
}

int __wrap_zcp_socket_receive_packet(int socket, int flags, char *packet, size_t packet_size,
				     size_t *size, struct zcp_fds *fds)
{
	if (keeper && socket == keeper->worker)
		hand_out_one();
	return __real_zcp_socket_receive_packet(socket, flags, packet, packet_size, size, fds);
}
/* NOLINTEND(bugprone-reserved-identifier) */

void zcp_fuzz_keeper_init(struct zcp_fuzz_keeper *k)
{
	*k = (struct zcp_fuzz_keeper){ .socket = -1, .worker = -1 };
	zcpd_shelf_init(&k->shelf);
	keeper = k;
}

void zcp_fuzz_keeper_deinit(struct zcp_fuzz_keeper *k)
{
	zcpd_shelf_deinit(&k->shelf);
	zcp_fuzz_keeper_end(k);
	keeper = NULL;
}

int zcp_fuzz_keeper_begin(struct zcp_fuzz_keeper *k)
{
	int sockets[2];

	ZCP_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
	k->socket = sockets[0];
	k->worker = sockets[1];
	k->next = TAILQ_FIRST(&k->shelf.records);
	return sockets[1];
}

void zcp_fuzz_keeper_end(struct zcp_fuzz_keeper *k)
{
	zcp_close_fd(&k->socket);
	k->worker = -1;
}

void zcp_fuzz_keeper_descriptors(const struct zcp_fuzz_keeper *k,
				 struct zcp_fuzz_descriptors *descriptors)
{
	const struct zcpd_shelf_record *record;

	TAILQ_FOREACH(record, &k->shelf.records, link)
		for (uint32_t i = 0; i < record->n_fds; i++)
			zcp_fuzz_descriptors_mark(descriptors, record->fds[i]);
	zcp_fuzz_descriptors_mark(descriptors, k->socket);
}
