/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One question over the domain's socket.
 */
#include "runtime/failover/replace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <zcp/version.h>

#include "pubsub/shm/region.h"
#include "pubsub/util.h"
#include "pubsub/wire/message.h"
#include "pubsub/wire/paths.h"
#include "pubsub/wire/socket.h"

#define ANSWER_SECONDS 10

static int fail(int r, const char *domain, char *text, size_t text_size)
{
	(void)snprintf(text, text_size,
		       "the runtime of domain '%s' does not hand over: %s: stop it first, then "
		       "start zcpd without --replace",
		       domain, strerror(-r));
	return r;
}

/* A runtime that does not know the question hangs up. */
static int ask(int socket, int way, struct zcp_message *answer)
{
	ZCP_CLEANUP(zcp_fds_deinit) struct zcp_fds fds = { .n_fds = 0 };
	struct zcp_message question = { .type = ZCP_MESSAGE_REPLACE, .id = 1 };
	int r;

	question.u.replace.fingerprint = zcp_layout_fingerprint();
	(void)strcpy(question.u.replace.version, ZCP_VERSION_STRING);
	r = zcp_socket_send(socket, &question, &way, 1);
	if (r == 0)
		r = zcp_socket_receive(socket, answer, &fds);
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

int zcpd_replace_ask(const char *directory, const char *domain, int *socketp, char *text,
		     size_t text_size)
{
	ZCP_CLEANUP(zcp_close_fd) int connection = -1;
	ZCP_CLEANUP(zcp_close_fd) int ours = -1;
	ZCP_CLEANUP(zcp_close_fd) int theirs = -1;
	const struct timeval limit = { .tv_sec = ANSWER_SECONDS };
	struct zcp_message answer = { .type = ZCP_MESSAGE_NONE };
	struct zcp_paths paths;
	int pair[2], r;

	r = zcp_paths_init(&paths, directory, domain, text, text_size);
	if (r < 0)
		return r;
	connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (connection < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return fail(zcp_errno(), domain, text, text_size);
	ours = pair[0];
	theirs = pair[1];
	(void)setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(connection, (const struct sockaddr *)&paths.socket, sizeof(paths.socket)) < 0)
		return errno == ENOENT || errno == ECONNREFUSED ?
			       ZCPD_REPLACE_E_NONE :
			       fail(zcp_errno(), domain, text, text_size);
	r = ask(connection, theirs, &answer);
	if (r < 0)
		return fail(r, domain, text, text_size);
	if (answer.type == ZCP_MESSAGE_OK) {
		*socketp = zcp_steal_fd(&ours);
		return 0;
	}
	r = -EPROTO;
	if (answer.type == ZCP_MESSAGE_ERROR)
		(void)snprintf(text, text_size, "%s", answer.u.error.text);
	else
		(void)fail(r, domain, text, text_size);
	zcp_message_deinit(&answer);
	return r;
}
