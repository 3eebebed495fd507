/* SPDX-License-Identifier: Apache-2.0 */
/*
 * More endpoints than one packet of the runtime holds: `zcp info` shows each of them once,
 * while others come and go, and does not believe a runtime that finds no end.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zcp/zcp.h>

#include "pubsub/shm/region.h"
#include "pubsub/shm/signal.h"
#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/peer.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define N_PUBLISHERS 64
#define N_SUBSCRIBERS 256
#define N_IDS 1000000
/* As long as a name may be. */
#define NODE "n12345678901234567890123456789012345678901234567890123456789012"

#define CONFIG                                                                                     \
	"[topic.\"t\"]\nmax_publishers = 64\nmax_subscribers = 256\nmax_depth = 2\ndepth = 2\n"

/* How often each id was shown. */
static unsigned char shown[N_IDS];

/* Runs `zcp info t` with an option and reads all of it, a line at a time. */
static void run_info(const char *option, void (*read_line)(const char *line))
{
	char command[256], line[1024];
	FILE *info;

	(void)snprintf(command, sizeof(command), ZCP_BIN_DIR "/zcp info t %s", option);
	/* NOLINTNEXTLINE(cert-env33-c): nothing of the command comes from outside */
	info = popen(command, "r");
	ZCP_CHECK(info);
	while (fgets(line, sizeof(line), info))
		read_line(line);
	ZCP_CHECK(pclose(info) == 0);
}

static void see_id(const char *line)
{
	unsigned long long id;

	/* Only endpoints have one. */
	if (sscanf(line, " \"id\": %llu", &id) != 1)
		return;
	ZCP_CHECK(id < N_IDS && shown[id] == 0);
	shown[id] = 1;
}

static int n_rows;

static void see_row(const char *line)
{
	n_rows += strstr(line, " " NODE " ") != NULL;
}

static uint64_t open_endpoint(struct zcp_node *node, bool is_publisher)
{
	return is_publisher ? zcp_test_inside(zcp_test_publisher(node, "t", 64, 1)).id :
			      zcp_test_inside(zcp_test_subscriber(node, "t", 2, 1, 0)).id;
}

static void every_endpoint_is_shown_once(void)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;
	uint64_t ids[N_PUBLISHERS + N_SUBSCRIBERS];
	struct zcp_test_runtime runtime;
	struct zcp_node *node;

	zcp_test_runtime_start(&runtime, CONFIG);
	options.name = NODE;
	ZCP_OK(zcp_node_open(&node, &options), NULL);
	for (int i = 0; i < N_PUBLISHERS + N_SUBSCRIBERS; i++)
		ids[i] = open_endpoint(node, i < N_PUBLISHERS);
	run_info("--json", see_id);
	for (int i = 0; i < N_PUBLISHERS + N_SUBSCRIBERS; i++) {
		ZCP_CHECK(shown[ids[i]] == 1);
		shown[ids[i]] = 0;
	}
	for (int i = 0; i < N_IDS; i++)
		ZCP_CHECK(shown[i] == 0);
	run_info("", see_row);
	ZCP_CHECK(n_rows == N_PUBLISHERS + N_SUBSCRIBERS);
	zcp_node_close(node);
}

/* Opens and closes until its parent has seen enough. */
static void come_and_go(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *node = zcp_test_node();

	(void)arg;
	zcp_test_say_step(self, 0);
	for (;;) {
		struct zcp_publisher *publisher = zcp_test_publisher(node, "t", 64, 1);
		struct zcp_subscriber *subscriber = zcp_test_subscriber(node, "t", 2, 1, 0);

		zcp_publisher_close(publisher);
		zcp_subscriber_close(subscriber);
	}
}

static void others_come_and_go_meanwhile(void)
{
	uint64_t ids[N_PUBLISHERS + N_SUBSCRIBERS - 2];
	struct zcp_test_runtime runtime;
	struct zcp_test_child child;
	struct zcp_node *node;
	int n = 0;

	zcp_test_runtime_start(&runtime, CONFIG);
	zcp_test_fork(&child, come_and_go, NULL);
	zcp_test_hear_step(&child, 0);
	node = zcp_test_node();
	for (int i = 0; i < N_PUBLISHERS - 1; i++)
		ids[n++] = open_endpoint(node, true);
	for (int i = 0; i < N_SUBSCRIBERS - 1; i++)
		ids[n++] = open_endpoint(node, false);
	for (int round = 0; round < 10; round++) {
		memset(shown, 0, sizeof(shown));
		run_info("--json", see_id);
		for (int i = 0; i < n; i++)
			ZCP_CHECK(shown[ids[i]] == 1);
	}
	zcp_test_kill(&child);
	zcp_node_close(node);
}

/* --- a runtime that finds no end --- */

static void send_to(int socket, const struct zcp_message *message, int fd)
{
	ZCP_CHECK(zcp_socket_send(socket, message, &fd, fd >= 0) == 0);
}

static void welcome(int socket, uint64_t id)
{
	struct zcp_message message = { .type = ZCP_MESSAGE_WELCOME, .id = id };
	struct zcp_region region;
	int fd;

	ZCP_CHECK(zcp_region_create(&region, &fd, "test", zcp_signals_size(1)) == 0);
	zcp_signals_construct(&region, 1, 77);
	zcp_region_deinit(&region);
	message.u.welcome.domain_id = 77;
	message.u.welcome.fingerprint = zcp_layout_fingerprint();
	send_to(socket, &message, fd);
	(void)close(fd);
}

/* Answers every question about endpoints with the same number of them, and `step` on. */
struct endless {
	uint32_t step;
	uint32_t n_publishers;
};

static void serve(struct zcp_test_child *self, void *arg)
{
	static struct zcp_publisher_info publishers[ZCP_ENDPOINTS_PER_PAGE];
	const struct endless *endless = arg;
	int listener = zcp_test_listen(), socket;
	struct zcp_message message;
	struct zcp_fds fds;

	zcp_test_say_step(self, 0);
	socket = accept(listener, NULL, NULL);
	ZCP_CHECK(socket >= 0);
	while (zcp_socket_receive(socket, &message, &fds) == 0) {
		struct zcp_message reply = { .id = message.id };

		if (message.type == ZCP_MESSAGE_HELLO) {
			welcome(socket, message.id);
			continue;
		}
		reply.type = ZCP_MESSAGE_TOPIC_INFO;
		if (message.type == ZCP_MESSAGE_ENDPOINTS) {
			reply.type = ZCP_MESSAGE_ENDPOINT_PAGE;
			reply.u.endpoint_page.publishers = publishers;
			reply.u.endpoint_page.n_publishers = endless->n_publishers;
			reply.u.endpoint_page.more = true;
			reply.u.endpoint_page.next = message.u.endpoints.from + endless->step;
		}
		send_to(socket, &reply, -1);
	}
}

static void endless_pages_have_an_end(void)
{
	static struct endless kinds[] = {
		{ .step = 0, .n_publishers = 1 },
		{ .step = UINT32_MAX, .n_publishers = 1 },
		{ .step = 1, .n_publishers = 0 },
		{ .step = 1, .n_publishers = ZCP_ENDPOINTS_PER_PAGE },
	};
	char line[1024], path[128];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct zcp_test_child runtime;
		FILE *info;

		zcp_test_fork(&runtime, serve, &kinds[i]);
		zcp_test_hear_step(&runtime, 0);
		/* NOLINTNEXTLINE(cert-env33-c) */
		info = popen(ZCP_BIN_DIR "/zcp info t 2>&1", "r");
		ZCP_CHECK(info && fgets(line, sizeof(line), info));
		ZCP_CHECK(zcp_test_has(line, "zcp info: |endpoints that topic 't' cannot have"));
		ZCP_CHECK(!fgets(line, sizeof(line), info));
		ZCP_CHECK(WEXITSTATUS(pclose(info)) == 1);
		zcp_test_join(&runtime);
		(void)snprintf(path, sizeof(path), "%s/default/zcpd.sock", zcp_test_directory());
		ZCP_CHECK(unlink(path) == 0);
		*strrchr(path, '/') = 0;
		ZCP_CHECK(rmdir(path) == 0);
	}
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(every_endpoint_is_shown_once),
	ZCP_TEST_CASE(others_come_and_go_meanwhile),
	ZCP_TEST_CASE(endless_pages_have_an_end),
};

ZCP_TEST_MAIN(cases)
